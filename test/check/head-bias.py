"""head-bias.py MODEL FOLDER [VALUE]: writes the classifier MODEL to FOLDER, with a bias of the head and the tensor
names of the paper's training code. VALUE: the bias of every class. SPDX-License-Identifier: MIT"""

import json
import shutil
import struct
import sys

import tensors

model, folder = sys.argv[1:3]
shutil.copytree(model, folder)
header, data = tensors.read(model + "/model.safetensors")
out = {}
for k, v in data.items():
    name = k.replace("score.", "decoder.0.output_transform.") if k.endswith("score.weight") else k
    out[name] = header[k]["dtype"], header[k]["shape"], v
labels = header["score.weight"]["shape"][0]
bias = [float(sys.argv[3])] * labels if len(sys.argv) > 3 else [0.25 * (k + 1) for k in range(labels)]
out["decoder.0.output_transform.bias"] = "F32", [labels], struct.pack(f"<{labels}f", *bias)
tensors.write(folder + "/model.safetensors", out, {"format": "pt"})
config = json.load(open(folder + "/config.json"))
json.dump(config, open(folder + "/config.json", "w"))
