"""frozen.py BEFORE AFTER: checks that only score.weight differs between two weights files."""

import sys

import tensors


def short(name):
    return name[9:] if name.startswith("caduceus.") else name


before, after = (tensors.read(path)[1] for path in sys.argv[1:])
before = {short(k): v for k, v in before.items()}
compared = 0
for k, v in after.items():
    if k != "score.weight" and "complement" not in k:
        tied = before.get(short(k).replace("_fwd", "_rev"), v)
        assert before.get(short(k), tied) == v, k
        compared += 1
assert compared > 10
