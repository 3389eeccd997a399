"""matrices.py KIND ARGUMENT...: properties of the matrices that annotate and embed write, of the kinds below."""

import json
import sys

import numpy as n


def like(got, want):
    """annotate's matrix of six regions, of which the fifth is empty, and the reference's."""
    a, b = n.load(got), n.load(want)
    assert a.dtype == n.float32 and a.shape == b.shape == (6, 16), (a.shape, b.shape)
    assert n.isnan(a[4]).all() and n.isnan(b[4]).all()
    k = [0, 1, 2, 3, 5]
    e = abs(a[k] - b[k]).max()
    assert e < 2e-6, e


def mean_of_rows(rows, mean):
    """343 rows, one for each base; those of the first and the fourth region average to the mean."""
    a, b = n.load(rows), n.load(mean)
    assert a.shape == (343, 16), a.shape
    assert abs(a[:120].mean(0) - b[0]).max() < 1e-6
    assert abs(a[250:340].mean(0) - b[3]).max() < 1e-6


def last_is_nan(path):
    """Three rows, of which the last one alone is NaN."""
    a = n.load(path)
    assert a.shape == (3, 16) and a.dtype == "<f4" and a.flags.c_contiguous
    assert n.isnan(a[2]).all() and not n.isnan(a[:2]).any()


def provenance(path):
    assert len(json.load(open(path))["model_sha256"]) == 64


def finite(path, rows):
    a = n.load(path)
    assert a.shape == (int(rows), 16) and a.dtype == n.float32 and not n.isnan(a).any()


def arrays(path, *rows):
    """A .npz with an array for each row of a table, of these lengths; of a .npy, its parts."""
    z, rows = n.load(path), [int(r) for r in rows]
    assert sorted(z.files) == [str(i) for i in range(len(rows))]
    assert [z[str(i)].shape for i in range(len(rows))] == [(r, 16) for r in rows]


def joined(path, whole):
    z = n.load(path)
    assert n.array_equal(n.concatenate([z[str(i)] for i in range(len(z.files))]), n.load(whole))


def alleles(path):
    """REF and ALT side by side, five alleles; the third and the fifth are NaN, not scored."""
    v = n.load(path)
    assert v.shape == (5, 32)
    assert list(n.isnan(v).all(1)) == [False, False, True, False, True] and n.isnan(v).any(1).sum() == 2


def difference(path, alleles):
    d, v = n.load(path), n.load(alleles)
    assert d.shape == (5, 16)
    assert n.array_equal(d, v[:, 16:] - v[:, :16], equal_nan=True)


def distances(path, dist, cos):
    """The length of the difference is annotate's dist, and the angle of both is its cos."""
    v = n.load(path).astype(float)[:4]
    x, y, k = v[:, :16], v[:, 16:], [0, 1, 3]
    dist, cos = (n.array([float(s) if s.strip() != "." else n.nan for s in open(p)]) for p in (dist, cos))
    assert abs(n.linalg.norm(y - x, axis=1) - dist)[k].max() < 1e-5
    angle = (x * y).sum(1) / n.linalg.norm(x, axis=1) / n.linalg.norm(y, axis=1)
    assert abs(1 - angle - cos)[k].max() < 1e-5


globals()[sys.argv[1]](*sys.argv[2:])
