"""tensors.py: reads and writes safetensors files, without checks, for the other programs in this folder."""

import json
import struct


def read(path):
    """Returns the header as a dict, and a dict of the bytes of every tensor."""
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head, data = json.loads(raw[8 : 8 + n]), raw[8 + n :]
    return head, {k: data[slice(*v["data_offsets"])] for k, v in head.items() if k != "__metadata__"}


def write(path, tensors, metadata=None):
    """Writes tensors, a dict {name: (dtype, shape, bytes)}, in the order of the dict."""
    head, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, (dtype, shape, b) in tensors.items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(b)]}
        data += b
    text = json.dumps(head).encode()
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + data)
