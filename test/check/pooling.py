"""pooling.py MODEL TABLE PREDICTED: checks, in float64, what predict writes for a classifier of --pool attention on a
table "sequence,label". The rows of each strand come from test/reference.py; here they are pooled by the softmax of
their products with pool.weight. Both strands count, for Ph too.

pooling.py same BEFORE AFTER: checks that only the head differs between two weights files, and that pool.weight is
not 0.
SPDX-License-Identifier: MIT"""

import json
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import reference  # noqa: E402


def pooled(h, w):
    """The row (D) of one strand's rows h (L,D)."""
    s = h @ w
    p = np.exp(s - s.max())
    return p @ h / p.sum()


def logits(m, letters):
    strands = reference.strands(m, reference.encode(m, letters.encode())[0][None])
    rows = [pooled(h[0], m.w["pool.weight"]) for h in strands]
    return m.w["score.weight"] @ (rows[0] + rows[1]) / 2


def outputs(config, x):
    """The columns that predict writes for the logits x (K)."""
    if config["problem_type"] == "regression":
        return x * config["target_scale"] + config["target_mean"]
    if config["problem_type"] == "multi_label_classification":
        return 1 / (1 + np.exp(-x))
    p = np.exp(x - x.max())
    return p / p.sum()


def compare(model, table, predicted):
    m = reference.Model(model)
    with open(os.path.join(model, "config.json")) as f:
        config = json.load(f)
    assert config["caduceus_pooling"] == "attention"
    letters = [line.split(",")[0] for line in open(table)][1:]
    found = [line.split("\t") for line in open(predicted) if not line.startswith("#")][1:]
    assert len(letters) == len(found) > 10
    plain = np.array([outputs(config, logits(m, s)) for s in letters])
    got = np.array([[float(v) for v in row[1 : 1 + plain.shape[1]]] for row in found])
    error = np.abs(got - plain).max() / np.abs(plain).max()
    m.w["pool.weight"] = m.w["pool.weight"] * 0  # the mean, which must be something else
    mean = np.array([outputs(config, logits(m, s)) for s in letters])
    print("error", error, "of the mean", np.abs(got - mean).max() / np.abs(plain).max())
    assert error < 5e-6, error  # predict writes six digits
    assert np.abs(got - mean).max() / np.abs(plain).max() > 100 * error


def same(before, after):
    was, now = (
        {k.removeprefix("caduceus."): v for k, v in reference.read_tensors(path).items()} for path in (before, after)
    )
    head = {"pool.weight", "score.weight"}
    assert not head & was.keys() and head < now.keys()
    for k in now.keys() - head:  # one of two tied tensors may be stored in one of the files only
        assert (was[k if k in was else k.replace("_rev", "_fwd")] == now[k]).all(), k
    assert (now["pool.weight"] != 0).all()


if sys.argv[1] == "same":
    same(*sys.argv[2:])
else:
    compare(*sys.argv[1:])
