"""converted.py WAS NEW [STATUS]: checks that the folder NEW holds the same checkpoint as the folder WAS, with the
names, offsets and metadata of published checkpoints."""

import json
import struct
import sys

import tensors

WIDTHS = {"F32": 4, "I64": 8, "F16": 2, "BF16": 2}
was, new = sys.argv[1:3]


def config(folder, name="config.json"):
    return json.load(open(f"{folder}/{name}"))


def laid_out(path):
    """Checks that the header is aligned and that the tensors follow one another in the order of the header."""
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


def twin(name):
    """Returns the other name of a tied tensor."""
    if ".mamba_rev." in name:
        return name.replace(".mamba_rev.", ".mamba_fwd.")
    if ".mamba_fwd." in name:
        return name.replace(".mamba_fwd.", ".mamba_rev.")
    pairs = {"lm_head.weight": "caduceus.backbone.embeddings.word_embeddings.weight"}
    pairs["lm_head.lm_head.weight"] = "caduceus.backbone.embeddings.word_embeddings.embedding.weight"
    return {**pairs, **{v: k for k, v in pairs.items()}}.get(name)


assert all(a[k] == b[k] for k in a), "a tensor is missing or has other values"
assert all(a[twin(k)] == b[k] for k in b if k not in a), "a tensor is not a twin"
a, b = config(was), config(new)
for k in a:
    assert k in b, k
    if k != "vocab_size":
        assert a[k] == b[k] and type(a[k]) == type(b[k]), (k, a[k], b[k])
assert "pooling_strategy" not in b
ties = [w + "_proj." + t for w in ("in", "out") for t in ("weight", "bias") if a.get("bidirectional", True)]
names = read(new)[1]
if a.get("bidirectional_weight_tie", True):
    for k in names:
        if any(k.endswith(t) for t in ties):
            assert twin(k) in names and names[twin(k)] == names[k], k
if not any(k.startswith("score") for k in names):
    assert any(k.startswith("lm_head") and k.endswith("weight") for k in names)
auto = b["auto_map"]["AutoModelForMaskedLM"]
assert auto.startswith("kuleshov-group/") and auto.endswith("--modeling_caduceus.CaduceusForMaskedLM"), auto
assert isinstance(b["pad_token_id"], int)
assert isinstance(config(new, "tokenizer_config.json")["model_max_length"], int)
