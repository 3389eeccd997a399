"""tensors.py: safetensors files for the programs beside it, read and written without checks of their own."""

import json
import struct


def read(path):
    """The header as a dict, and the bytes of every tensor by name."""
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head, data = json.loads(raw[8 : 8 + n]), raw[8 + n :]
    return head, {k: data[slice(*v["data_offsets"])] for k, v in head.items() if k != "__metadata__"}


def write(path, tensors, metadata=None):
    """tensors: name: (dtype, shape, bytes), laid out in this order."""
    head, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, (dtype, shape, b) in tensors.items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(b)]}
        data += b
    text = json.dumps(head).encode()
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)
