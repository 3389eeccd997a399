"""converted.py WAS NEW [STATUS]: the folder NEW is the checkpoint of the folder WAS, with names, values, offsets and
metadata as published checkpoints have them."""

import json
import struct
import sys

import tensors

WIDTHS = {"F32": 4, "I64": 8, "F16": 2, "BF16": 2}
was, new = sys.argv[1:3]


def config(folder, name="config.json"):
    return json.load(open(f"{folder}/{name}"))


def laid_out(path):
    """The header is aligned, and tensors lie one after another in its order."""
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    assert n % 8 == 0 and raw[8:9] == b"{", "header"
    at = 0
    for name, t in tensors.read(path)[0].items():
        if name == "__metadata__":
            continue
        (a, b), count, width = t["data_offsets"], 1, WIDTHS[t["dtype"]]
        for d in t["shape"]:
            count *= d
        assert a == at and b - a == count * width and a % width == 0, (name, a, at)
        assert t["dtype"] == ("I64" if name.endswith("complement_map") else "F32"), name
        at = b
    assert at == len(raw) - 8 - n, "trailing bytes"


def read(folder):
    head, parts = tensors.read(folder + "/model.safetensors")
    return head["__metadata__"], {k: (head[k]["dtype"], head[k]["shape"], v) for k, v in parts.items()}


laid_out(new + "/model.safetensors")
a, (metadata, b) = read(was)[1], read(new)
assert metadata["format"] == "pt" and all(isinstance(v, str) for v in metadata.values()), metadata
assert len(sys.argv) < 4 or metadata["status"] == sys.argv[3], metadata
missing = [k for k in a if k not in b]
assert all("mamba_rev" in k or k.startswith("lm_head") for k in missing), missing
assert all(a[k] == b[k] for k in a if k in b), "values"
assert all("mamba_fwd" in k or "word_embeddings" in k for k in b if k not in a), "names"
a, b = config(was), config(new)
for k in b:
    if k in a and k not in ("ssm_cfg", "vocab_size"):
        assert a[k] == b[k] and type(a[k]) == type(b[k]), (k, a[k], b[k])
for k, v in b["ssm_cfg"].items():
    if a["ssm_cfg"].get(k, v) != "auto":
        assert a["ssm_cfg"].get(k, v) == v, (k, v)
assert isinstance(config(new, "tokenizer_config.json")["model_max_length"], int)
