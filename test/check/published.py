"""published.py FOLDER [bare]: checks that model.safetensors has exactly the tensor names of the published Python
classes for config.json, and that both names of a tied tensor have equal values (bare: that there is only one name).
SPDX-License-Identifier: MIT"""

import json
import sys

import tensors

folder, bare = sys.argv[1], "bare" in sys.argv[2:]
c = json.load(open(folder + "/config.json"))
rcps, both, tied = c["rcps"], c["bidirectional"], c["bidirectional_weight_tie"]
ssm, classifier = c["ssm_cfg"], "SequenceClassification" in c["architectures"][0]
inner = ".submodule" if rcps else ""


def linear(name, bias):
    return [name + ".weight"] + ([name + ".bias"] if bias else [])


def mixer(prefix):
    names = linear(prefix + ".in_proj", ssm["bias"]) + linear(prefix + ".out_proj", ssm["bias"])
    names += linear(prefix + ".conv1d", ssm["conv_bias"]) + linear(prefix + ".dt_proj", True)
    return names + [prefix + ".x_proj.weight", prefix + ".A_log", prefix + ".D"]


def norm(prefix, wrapped):
    return linear(prefix + (".submodule" if wrapped else ""), not c["rms_norm"])


b = "caduceus.backbone."
embedding = b + "embeddings.word_embeddings" + (".embedding" if rcps else "") + ".weight"
head = "lm_head" + (".lm_head" if rcps else "") + ".weight"
want, twins = [embedding], {}
for i in range(c["n_layer"]):
    layer = f"{b}layers.{i}."
    for d in ("fwd", "rev")[: 1 + both]:
        want += mixer(f"{layer}mixer{inner}.mamba_{d}")
    want += norm(layer + "norm", rcps and not c["fused_add_norm"])
    if both and tied:
        for p in linear("in_proj", ssm["bias"]) + linear("out_proj", ssm["bias"]):
            twins[f"{layer}mixer{inner}.mamba_rev.{p}"] = f"{layer}mixer{inner}.mamba_fwd.{p}"
want += norm(b + "norm_f", rcps and not c["fused_add_norm"])
if rcps:
    want.append(b + "embeddings.word_embeddings.complement_map")
if classifier:
    want += linear("score", c.get("score_bias", False))
else:
    want.append(head)
    twins[head] = embedding
    want += ["lm_head.complement_map"] if rcps else []
if bare:
    want = [n for n in want if n not in twins]
header, data = tensors.read(folder + "/model.safetensors")
assert sorted(want) == sorted(data), (sorted(set(want) - set(data)), sorted(set(data) - set(want)))
assert bare or all(data[a] == data[n] for a, n in twins.items()), "twins differ"
