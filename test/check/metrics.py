"""metrics.py numpy|sklearn: computes metrics of out.tsv and test.csv, with numpy or with scikit-learn, and compares
them with those that caduceus predict wrote to the file metrics."""

import sys

import numpy as np

y = np.array([int(line.split(",")[1]) for line in open("test.csv").read().split()[1:]])
rows = [line.split("\t") for line in open("out.tsv") if line[0].isdigit()]
p, c = np.array([float(r[2]) for r in rows]), np.array([int(r[3]) for r in rows])
head = open("metrics").read().split("\n")[:13]
ours = {k: float(v) for k, v in (line.split("\t") for line in head if "\t" in line and line[0].islower()) if v != "."}


def by_numpy():
    tp, d = (c * y).sum(), p[y == 1][:, None] - p[y == 0][None]
    yield "accuracy", (c == y).mean(), 1e-6
    yield "mcc", np.corrcoef(c, y)[0, 1], 1e-6
    yield "f1", 2 * tp / (c.sum() + y.sum()), 1e-6
    yield "auroc", ((d > 0) + 0.5 * (d == 0)).mean(), 1e-5
    yield "loss", -np.log(np.where(y == 1, p, 1 - p)).mean(), 1e-4


def by_sklearn():
    import sklearn.metrics as k

    yield "accuracy", k.accuracy_score(y, c), 1e-5
    yield "mcc", k.matthews_corrcoef(y, c), 1e-5
    yield "f1", k.f1_score(y, c), 1e-5
    yield "auroc", k.roc_auc_score(y, p), 1e-5


for name, value, tolerance in {"numpy": by_numpy, "sklearn": by_sklearn}[sys.argv[1]]():
    assert abs(ours[name] - value) < tolerance, (name, ours[name], value)
