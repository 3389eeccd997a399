"""metrics.py numpy|sklearn: computes metrics of out.tsv and test.csv, with numpy or with scikit-learn, and compares
them with those that caduceus predict wrote to the file metrics."""

import sys

import numpy as np

y = np.array([int(line.split(",")[1]) for line in open("test.csv").read().split()[1:]])
rows = [line.split("\t") for line in open("out.tsv") if line[0].isdigit()]
p, c = np.array([float(r[2]) for r in rows]), np.array([int(r[3]) for r in rows])
lines = [line.split("\t") for line in open("metrics").read().split("\n")]
ours = {line[0]: float(line[1]) for line in lines[:13] if len(line) == 2 and line[0][0].islower() and line[1] != "."}
# precision, recall, F1 of each class
classes = {line[0]: [float(v) for v in line[1:]] for line in lines if len(line) == 4 and line[0][0] != "#"}


def by_numpy():
    tp, d = (c * y).sum(), p[y == 1][:, None] - p[y == 0][None]
    yield "accuracy", (c == y).mean(), 1e-6
    yield "mcc", np.corrcoef(c, y)[0, 1], 1e-6
    yield "f1", 2 * tp / (c.sum() + y.sum()), 1e-6
    yield "auroc", ((d > 0) + 0.5 * (d == 0)).mean(), 1e-5
    yield "loss", -np.log(np.where(y == 1, p, 1 - p)).mean(), 1e-4
    for k in (0, 1):
        right = ((c == k) & (y == k)).sum()
        want = right / (c == k).sum(), right / (y == k).sum(), 2 * right / ((c == k).sum() + (y == k).sum())
        assert np.allclose(classes[str(k)], want, atol=1e-5), (k, classes[str(k)], want)
    assert np.allclose(classes["macro"], (np.array(classes["0"]) + classes["1"]) / 2, atol=1e-5)


def by_sklearn():
    import sklearn.metrics as k

    yield "accuracy", k.accuracy_score(y, c), 1e-5
    yield "mcc", k.matthews_corrcoef(y, c), 1e-5
    yield "f1", k.f1_score(y, c), 1e-5
    yield "auroc", k.roc_auc_score(y, p), 1e-5
    want = k.precision_recall_fscore_support(y, c)[:3], k.precision_recall_fscore_support(y, c, average="macro")[:3]
    assert np.allclose([classes["0"], classes["1"]], np.transpose(want[0]), atol=1e-5)
    assert np.allclose(classes["macro"], want[1], atol=1e-5)


for name, value, tolerance in {"numpy": by_numpy, "sklearn": by_sklearn}[sys.argv[1]]():
    assert abs(ours[name] - value) < tolerance, (name, ours[name], value)
