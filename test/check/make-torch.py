"""make-torch.py MODEL OUT: converts the safetensors model in the folder MODEL with PyTorch, and writes
OUT/pytorch_model.bin, OUT/sharded/ (two shards, protocol 4), and OUT/last.ckpt in the form of Lightning. It made the
files of test/data/torch from test/data/ps with PyTorch 2.13. SPDX-License-Identifier: MIT"""
import argparse, collections, json, os, struct, sys

import torch

MODEL, OUT = sys.argv[1:]
DTYPE = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64, "I64": torch.int64}
TWINS = {"mamba_rev.in_proj": "mamba_fwd.in_proj", "mamba_rev.out_proj": "mamba_fwd.out_proj"}


class Callback:
    """A class that only the trainer has."""

    def __init__(self):
        self.best, self.monitor = 0.5, "val/loss"


def load(path):
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    tensors = collections.OrderedDict()
    for name, t in json.loads(raw[8:8 + n]).items():
        if name == "__metadata__": continue
        a, b = (8 + n + x for x in t["data_offsets"])
        tensors[name] = torch.frombuffer(bytearray(raw[a:b]), dtype=DTYPE[t["dtype"]]).reshape(t["shape"])
    return tensors


def save(value, name, **options):
    path = os.path.join(OUT, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    torch.save(value, path, **options)


def sharded(tensors):
    half = len(tensors) // 2
    shards = {f"pytorch_model-0000{i + 1}-of-00002.bin": dict(part) for i, part in
              enumerate((list(tensors.items())[:half], list(tensors.items())[half:]))}
    for name, part in shards.items(): save(part, "sharded/" + name, pickle_protocol=4)
    index = {"metadata": {}, "weight_map": {k: name for name, part in shards.items() for k in part}}
    json.dump(index, open(os.path.join(OUT, "sharded/pytorch_model.bin.index.json"), "w"), indent=1)


def wild(tensors):
    """Returns the same values: some as slices of one storage, some transposed in memory, some as parameters."""
    flat = torch.cat([t.reshape(-1) for t in tensors.values() if t.dtype == torch.float32] or [torch.zeros(1)])
    at, out = 0, collections.OrderedDict()
    for i, (name, t) in enumerate(tensors.items()):
        if t.dtype == torch.float32:
            part = flat[at:at + t.numel()].view(t.shape)
            at += t.numel()
            if i % 3 == 0: t = part
        if i % 3 == 1 and t.dim() == 2: t = t.t().contiguous().t()
        if i % 3 == 2 and t.is_floating_point(): t = torch.nn.Parameter(t)
        out[("model._orig_mod." if i % 2 else "model.module.") + name] = t
    return out


def checkpoint(tensors):
    one = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.Adam([one])
    one.sum().backward()
    optimizer.step()
    return {"epoch": 3, "global_step": 2**40, "pytorch-lightning_version": "1.8.6", "state_dict": wild(tensors),
            "loops": {"fit": [1, 2.5, None, True, (1, 2, 3, 4)]}, "callbacks": {"best": Callback()},
            "optimizer_states": [optimizer.state_dict()], "hyper_parameters": argparse.Namespace(lr=8e-3, seen={1, 2}),
            "device": torch.device("cpu"), "size": torch.Size([2, 3]), "big": 2**80, "bytes": b"\0\1"}


weights = load(os.path.join(MODEL, "model.safetensors"))
for name in list(weights): # a tied tensor has one storage and two names
    for twin, of in TWINS.items():
        first = weights.get(name.replace(twin, of)) if twin in name else None
        if first is not None and torch.equal(first, weights[name]): weights[name] = first
save(weights, "pytorch_model.bin")
sharded(weights)
save(checkpoint(weights), "last.ckpt")
