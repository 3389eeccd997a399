"""npy.py MATRIX [JSON]: prints the rows of a .npy file. Checks its header against the definition by numpy, and reads
the provenance file beside it."""

import ast, json, struct, sys

raw = open(sys.argv[1], "rb").read()
assert raw[:8] == b"\x93NUMPY\x01\x00", raw[:8]
n = struct.unpack("<H", raw[8:10])[0]
assert (10 + n) % 64 == 0 and raw[9 + n : 10 + n] == b"\n"
head = ast.literal_eval(raw[10 : 10 + n].decode())
assert head["descr"] == "<f4" and head["fortran_order"] is False, head
assert set(head) == {"descr", "fortran_order", "shape"}, head
rows, width = head["shape"]
v = struct.unpack(f"<{rows * width}f", raw[10 + n :])
for i in range(rows):
    print(",".join("%.6g" % (x or 0.0) for x in v[i * width : (i + 1) * width]))
if len(sys.argv) > 2:
    j = json.load(open(sys.argv[2]))
    assert {"version", "model_sha256", "contigs_sha256", "options", "precision", "device", "rows"} <= set(j), j
