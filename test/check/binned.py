"""binned.py: checks finetune --task tracks against numpy.

binned.py metrics OUT FAI BIN MISSING CONTIG NAME LABELS PREDICTED: the table that finetune printed in OUT has, for
output NAME, the Pearson and Spearman correlations of the bins of CONTIG in the bedGraphs LABELS and PREDICTED. MISSING
is zero, or ignore, where the table counts the bins with a value. With a further argument SCALE, its loss is the mean of
x - y log x for predictions x and labels y, both divided by SCALE."""

import sys
import numpy as np


def bins(path, contig, length, size, missing):
    v = np.full(length, np.nan)
    for line in open(path):
        f = line.split()
        if f and f[0] == contig:
            v[int(f[1]) : int(f[2])] = float(f[3])
    if missing == "zero":
        v = np.nan_to_num(v)
    parts = [v[i : i + size] for i in range(0, length, size)]
    return np.array([np.nanmean(p) if np.isfinite(p).any() else np.nan for p in parts])


def ranks(v):
    order, r = np.argsort(v, kind="stable"), np.empty(len(v))
    r[order] = np.arange(len(v))
    return np.array([r[v == x].mean() for x in v])


def metrics(out, fai, size, missing, contig, name, labels, predicted, scale=None):
    length = next(int(f[1]) for f in map(str.split, open(fai)) if f[0] == contig)
    y = bins(labels, contig, length, int(size), missing)
    x = bins(predicted, contig, length, int(size), "ignore")
    kept = ~np.isnan(y)
    x, y = x[kept], y[kept]
    if missing == "ignore":
        assert f"\nn\t{len(y)}\n" in open(out).read(), len(y)
    row = next(f for f in (line.rstrip("\n").split("\t") for line in open(out)) if f[0] == name and len(f) == 4)
    got = [float(v) for v in row[1:]]
    assert abs(got[1] - np.corrcoef(x, y)[0, 1]) < 2e-3, (got, np.corrcoef(x, y))
    assert abs(got[2] - np.corrcoef(ranks(x), ranks(y))[0, 1]) < 2e-3, (got, np.corrcoef(ranks(x), ranks(y)))
    if scale:
        x, y = x / float(scale), y / float(scale)
        assert abs(got[0] - np.mean(x - y * np.log(x))) < 1e-3, (got, np.mean(x - y * np.log(x)))


KINDS = {"metrics": metrics}
KINDS[sys.argv[1]](*sys.argv[2:])
