"""bench.py EXPRESSION: exits 0 if the expression is true. d is the content of bench.json."""

import json
import math
import sys

d = json.load(open("bench.json"))
cells = d["cells"]


def positive(*values):
    return all(isinstance(v, (int, float)) and v > 0 for v in values)


def close(a, b):
    return math.isclose(a, b, rel_tol=1e-4)


def each(f):
    return all(f(c) for c in cells)


def each_operation(f):
    return all(f(name, o) for c in cells for name, o in c["operations"].items())


def parts_are_there():
    """True if d has all its parts, and two models."""
    return set(d) == {"version", "processor", "cpus", "rounds", "models", "peaks", "cells"} and d["rounds"] == 2


def are(*combinations):
    """True if the cells are all combinations of these lists of models, windows, batches and threads, in order."""
    models, windows, batches, threads = combinations
    want = [(m, w, b, t) for m in models for w in windows for b in batches for t in threads]
    return [(c["model"], c["window"], c["batch"], c["threads"]) for c in cells] == want


def in_order(speed):
    return 0 < speed["min"] <= speed["median"] <= speed["max"] and len(speed["rounds"]) == 2


def memory(c):
    reserved = positive(c["bytes"]["reserved"], c["bytes_per_token"]["reserved"])
    return reserved and (c["bytes"]["touched"] is None or positive(c["bytes"]["touched"]))


def floored(name, o):
    """True if embed and pool have no floor and every other operation has one."""
    return (o["floor_ns"] is None) == (name in ("embed", "pool")) and (
        o["floor_ns"] is None or positive(o["floor_ns"])
    )


def floor_is_sum(c):
    return close(c["floor_ns"], sum(o["floor_ns"] or 0 for o in c["operations"].values()))


def floor(operation):
    return cells[0]["operations"][operation]["floor_ns"]


def peaks(threads):
    """The fp32 peaks measured with these numbers of threads."""
    there = [(p["threads"], p["precision"]) for p in d["peaks"]] == [(t, "fp32") for t in threads]
    return there and all(positive(*(p[k] for k in ("flop", "updates", "exps", "bytes"))) for p in d["peaks"])


def errors(c, keys=("hidden", "logits"), low=0, high=2e-6):
    return all(low < c["error"][k] < high for k in keys)


def agrees(c):
    """True if hidden states, and logits if the model has them, agree with double precision except for rounding."""
    return c["error"]["hidden"] < 2e-6 and (c["error"]["logits"] is None or c["error"]["logits"] < 2e-6)


sys.exit(not eval(sys.argv[1]))
