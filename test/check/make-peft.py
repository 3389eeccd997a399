"""make-peft.py MODEL ADAPTER MERGED [KIND]: writes a random LoRA adapter to the model in the folder MODEL, in the
format of peft, and the merged model, with separate projections of the two directions. KIND: same (both directions get
the same change), rslora, score (also a new head of 3 labels), half (an A without its B), dora, head (also an adapter
of lm_head). SPDX-License-Identifier: MIT"""

import json
import os
import random
import shutil
import struct
import sys

import tensors

model, adapter, merged = sys.argv[1:4]
kind = sys.argv[4] if len(sys.argv) > 4 else ""
R, ALPHA = 3, 4
draw = random.Random(7)
config = json.load(open(model + "/config.json"))
header, data = tensors.read(model + "/model.safetensors")


def floats(raw):
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


def packed(values):
    return struct.pack(f"<{len(values)}f", *values)


def single(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def plain(name):
    """Returns a tensor name with the published prefix."""
    for p in ("model.", "caduceus."):
        name = name[len(p) :] if name.startswith(p) else name
    return name if name.startswith(("lm_head", "score")) else "caduceus." + name


def pair(outputs, inputs):
    a = [single(draw.uniform(-0.1, 0.1)) for _ in range(R * inputs)]
    b = [single(draw.uniform(-0.1, 0.1)) for _ in range(outputs * R)]
    return a, b


def added(w, a, b, outputs, inputs):
    scale = ALPHA / (R**0.5 if kind == "rslora" else R)
    return [
        w[i * inputs + j] + scale * sum(b[i * R + k] * a[k * inputs + j] for k in range(R))
        for i in range(outputs)
        for j in range(inputs)
    ]


full = {plain(k): ("F32", header[k]["shape"], v) for k, v in data.items() if header[k]["dtype"] == "F32"}
other = {plain(k): (header[k]["dtype"], header[k]["shape"], v) for k, v in data.items() if header[k]["dtype"] != "F32"}
for k in [k for k in full if ".in_proj." in k or ".out_proj." in k]:
    full.setdefault(k.replace("mamba_fwd", "mamba_rev"), full[k])
    full.setdefault(k.replace("mamba_rev", "mamba_fwd"), full[k])
lora, changed, kept = {}, dict(full), {}
for k, (_, (outputs, inputs, *rest), raw) in [(k, v) for k, v in sorted(full.items()) if len(v[1]) == 2]:
    if not k.endswith(("in_proj.weight", "out_proj.weight", "x_proj.weight")):
        continue
    twin = k.replace("mamba_rev", "mamba_fwd")
    a, b = kept[twin] if kind == "same" and twin in kept and "x_proj" not in k else pair(outputs, inputs)
    kept[k] = a, b
    name = "base_model.model." + k[: -len(".weight")]
    lora[name + ".lora_A.weight"] = "F32", [R, inputs], packed(a)
    lora[name + ".lora_B.weight"] = "F32", [outputs, R], packed(b)
    changed[k] = "F32", [outputs, inputs], packed(added(floats(raw), a, b, outputs, inputs))
if kind == "half":
    del lora[[k for k in lora if "lora_B" in k][0]]
if kind == "head":
    for half, shape in ("A", [R, config["d_model"]]), ("B", [16, R]):
        zeros = bytes(4 * shape[0] * shape[1])
        lora[f"base_model.model.lm_head.lora_{half}.weight"] = "F32", shape, zeros
if kind == "score":
    head = packed([draw.uniform(-1, 1) for _ in range(3 * config["d_model"])])
    changed["score.weight"] = "F32", [3, config["d_model"]], head
    lora["base_model.model.score.modules_to_save.weight"] = changed["score.weight"]
    config.update(num_labels=3, architectures=["CaduceusForSequenceClassification"])
about = {"peft_type": "LORA", "r": R, "lora_alpha": ALPHA, "base_model_name_or_path": os.path.abspath(model)}
about.update(use_rslora=kind == "rslora", use_dora=kind == "dora", fan_in_fan_out=False, alpha_pattern={})
os.makedirs(adapter, exist_ok=True)
json.dump(about, open(adapter + "/adapter_config.json", "w"))
tensors.write(adapter + "/adapter_model.safetensors", lora, {"format": "pt"})
shutil.copytree(model, merged)
if kind == "same":
    changed = {k: v for k, v in changed.items() if ".mamba_rev.in_" not in k and ".mamba_rev.out_" not in k}
else:
    config["bidirectional_weight_tie"] = False
json.dump(config, open(merged + "/config.json", "w"))
if kind == "score":
    changed = {k: v for k, v in changed.items() if not k.startswith("lm_head")}
    other = {k: v for k, v in other.items() if not k.startswith("lm_head")}
tensors.write(merged + "/model.safetensors", {**other, **changed}, {"format": "pt"})
