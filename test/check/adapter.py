"""adapter.py BASE ADAPTER MERGED: checks that ADAPTER has the names and shapes of peft, that both directions of a tied
projection have the same adapter, and that the weights in MERGED are those of BASE plus alpha/r B A, and the adapter's
head. SPDX-License-Identifier: MIT"""

import json
import struct
import sys

import tensors

base, adapter, merged = (tensors.read(d + f) for d, f in zip(sys.argv[1:], ("/model.safetensors",
                         "/adapter_model.safetensors", "/model.safetensors")))
config = json.load(open(sys.argv[2] + "/adapter_config.json"))
R, ALPHA = config["r"], config["lora_alpha"]


def plain(name):
    for p in ("base_model.model.", "model.", "caduceus."):
        name = name[len(p) :] if name.startswith(p) else name
    return name


def table(opened):
    """Returns name -> shape, values, of the tensors of type F32."""
    header, data = opened
    return {
        plain(k): (header[k]["shape"], struct.unpack(f"<{len(v) // 4}f", v))
        for k, v in data.items()
        if header[k]["dtype"] == "F32"
    }


before, change, after = map(table, (base, adapter, merged))
want = {"peft_type": "LORA", "task_type": "SEQ_CLS", "bias": "none", "use_dora": False, "use_rslora": False}
assert all(config[k] == v for k, v in want.items()), config
assert config["modules_to_save"] == ["score"] and config["lora_dropout"] == 0
for name in adapter[0]:
    assert name == "__metadata__" or name == "base_model.model.score.weight" or (
        name.startswith("base_model.model.caduceus.backbone.layers.")
        and name.endswith((".lora_A.weight", ".lora_B.weight"))
        and name.split(".")[-3] in config["target_modules"]
    ), name
worst, seen = 0, 0
for name, (shape, values) in after.items():
    stem = name[: -len(".weight")]
    a, b = change.get(stem + ".lora_A.weight"), change.get(stem + ".lora_B.weight")
    old = before.get(name) or before.get(name.replace("mamba_rev", "mamba_fwd"))
    if name == "score.weight":
        assert values == change[name][1]
    elif not a:
        assert values == old[1], name + " changed"
    else:
        seen += 1
        rows, columns = shape
        assert a[0] == [R, columns] and b[0] == [rows, R], name
        twin = name.replace("mamba_rev", "mamba_fwd")[: -len(".weight")] + ".lora_A.weight"
        assert ".x_proj" in name or change[twin] == a, name + ": the directions differ"
        for i in range(rows):
            for j in range(columns):
                w = old[1][i * columns + j] + ALPHA / R * sum(
                    b[1][i * R + k] * a[1][k * columns + j] for k in range(R)
                )
                worst = max(worst, abs(w - values[i * columns + j]))
print("changed", seen, "worst", "%.1g" % worst)
assert seen and worst < 1e-6
