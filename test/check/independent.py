"""independent.py FROM TO: copies a checkpoint and sets the output projections of all layers to 0, so that the model's
predictions at a position depend on the base at that position only."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import reference  # noqa: E402

source, target = sys.argv[1:]
shutil.copytree(source, target)
path = os.path.join(target, "model.safetensors")
tensors = reference.read_tensors(path)
for name in tensors:
    if "out_proj" in name:
        tensors[name] *= 0
reference.write_tensors(path, tensors, "F32")
