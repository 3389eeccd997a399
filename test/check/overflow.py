"""overflow.py MODEL NEW: copies a checkpoint and makes the weights of its last norm so large (but finite) that results
overflow."""

import json
import os
import shutil
import struct
import sys

old, new = sys.argv[1:]
shutil.copytree(old, new)
path = os.path.join(new, "model.safetensors")
with open(path, "rb") as f:
    data = bytearray(f.read())
size = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8 : 8 + size])
(name,) = [k for k in header if k.endswith("norm_f.weight")]
begin, end = (8 + size + x for x in header[name]["data_offsets"])
assert header[name]["dtype"] == "F32"
data[begin:end] = struct.pack("<f", 3e38) * ((end - begin) // 4)
os.chmod(path, 0o644)
with open(path, "wb") as f:
    f.write(data)
