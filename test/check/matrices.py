"""matrices.py KIND ARGUMENT...: checks matrices that annotate and embed write. KIND is a function below."""

import json
import sys

import numpy as n


def like(got, want):
    """Compares annotate's matrix with the reference. There are six regions; the fifth is empty."""
    a, b = n.load(got), n.load(want)
    assert a.dtype == n.float32 and a.shape == b.shape == (6, 16), (a.shape, b.shape)
    assert n.isnan(a[4]).all() and n.isnan(b[4]).all()
    k = [0, 1, 2, 3, 5]
    e = abs(a[k] - b[k]).max()
    assert e < 2e-6, e


def mean_of_rows(rows, mean):
    """Checks the matrix of --pool none: 343 rows, one for each base. In the first and the fourth region the mean of the
    rows is the row of --pool mean."""
    a, b = n.load(rows), n.load(mean)
    assert a.shape == (343, 16), a.shape
    assert abs(a[:120].mean(0) - b[0]).max() < 1e-6
    assert abs(a[250:340].mean(0) - b[3]).max() < 1e-6


def close(got, want, tolerance):
    a, b = n.load(got), n.load(want)
    assert a.shape == b.shape and (n.isnan(a) == n.isnan(b)).all(), (a.shape, b.shape)
    e = n.nanmax(abs(a - b))
    assert e < float(tolerance), e


def last_is_nan(path):
    """Checks that there are three rows and only the last one is NaN."""
    a = n.load(path)
    assert a.shape == (3, 16) and a.dtype == "<f4" and a.flags.c_contiguous
    assert n.isnan(a[2]).all() and not n.isnan(a[:2]).any()


def provenance(path):
    assert len(json.load(open(path))["model_sha256"]) == 64


def finite(path, rows):
    a = n.load(path)
    assert a.shape == (int(rows), 16) and a.dtype == n.float32 and not n.isnan(a).any()


def arrays(path, *rows):
    """Checks that a .npz has an array for each row of a table, with these numbers of rows."""
    z, rows = n.load(path), [int(r) for r in rows]
    assert sorted(z.files) == [str(i) for i in range(len(rows))]
    assert [z[str(i)].shape for i in range(len(rows))] == [(r, 16) for r in rows]


def joined(path, whole):
    z = n.load(path)
    assert n.array_equal(n.concatenate([z[str(i)] for i in range(len(z.files))]), n.load(whole))


def alleles(path):
    """Checks the rows of five alleles, each REF followed by ALT. The third and the fifth are not scored, so NaN."""
    v = n.load(path)
    assert v.shape == (5, 32)
    assert list(n.isnan(v).all(1)) == [False, False, True, False, True] and n.isnan(v).any(1).sum() == 2


def difference(path, alleles):
    d, v = n.load(path), n.load(alleles)
    assert d.shape == (5, 16)
    assert n.array_equal(d, v[:, 16:] - v[:, :16], equal_nan=True)


def distances(path, dist, cos):
    """Checks that the length of ALT - REF is annotate's dist and the cosine between REF and ALT is its cos."""
    v = n.load(path).astype(float)[:4]
    x, y, k = v[:, :16], v[:, 16:], [0, 1, 3]
    dist, cos = (n.array([float(s) if s.strip() != "." else n.nan for s in open(p)]) for p in (dist, cos))
    assert abs(n.linalg.norm(y - x, axis=1) - dist)[k].max() < 1e-5
    angle = (x * y).sum(1) / n.linalg.norm(x, axis=1) / n.linalg.norm(y, axis=1)
    assert abs(1 - angle - cos)[k].max() < 1e-5


globals()[sys.argv[1]](*sys.argv[2:])
