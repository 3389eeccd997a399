"""bigwig.py KIND BIGWIG ...: checks a bigWig with pyBigWig and with an independent reader. KIND is a function below."""

import struct, sys, zlib
import numpy as np
import pyBigWig


def leaves(raw, at):
    """Returns the leaf entries of an R tree. Checks that each inner node bounds the entries below it."""
    leaf, _, n = struct.unpack("<BBH", raw[at : at + 4])
    for i in range(n):
        p = at + 4 + i * (32 if leaf else 24)
        if leaf:
            yield struct.unpack("<IIIIQQ", raw[p : p + 32])
        else:
            box, child = struct.unpack("<IIII", raw[p : p + 16]), struct.unpack("<Q", raw[p + 16 : p + 24])[0]
            below = list(leaves(raw, child))
            assert box[:2] == below[0][:2] and box[2:] == below[-1][2:4], "an inner node bounds its leaves"
            yield from below


def whole(path, graph, fai):
    """Checks values, header, contigs and zoom levels against a bedGraph."""
    lengths = [(f[0], int(f[1])) for f in map(str.split, open(fai))]
    want = {c: np.full(n, np.nan, np.float32) for c, n in lengths}
    for line in open(graph):
        if line[0] != "#":
            c, b, e, v = line.split("\t")
            want[c][int(b) : int(e)] = np.float32(v)
    w = pyBigWig.open(path)
    assert w.chroms() == dict(lengths), (len(w.chroms()), len(lengths))
    every = np.concatenate(list(want.values())).astype(float)
    every = every[~np.isnan(every)]
    h = w.header()
    assert h["nBasesCovered"] == len(every), h
    raw = open(path, "rb").read()
    at = struct.unpack("<Q", raw[44:52])[0]
    covered, low, high, total, square = struct.unpack("<Qdddd", raw[at : at + 40])
    assert covered == len(every)
    if covered:
        assert (low, high) == (every.min(), every.max())
        assert abs(total - every.sum()) <= 1e-9 * abs(total) and abs(square - (every**2).sum()) <= 1e-9 * square
    for c, n in lengths if len(lengths) < 50 else lengths[::97] + lengths[-1:]:
        got = np.array(w.values(c, 0, n), np.float32)
        assert np.array_equal(got, want[c], equal_nan=True), (c, np.flatnonzero(got != want[c])[:5])
    # zoom levels, read without pyBigWig
    nzoom = struct.unpack("<H", raw[6:8])[0]
    longest = max(n for _, n in lengths)
    assert nzoom >= 1 and h["nLevels"] == nzoom
    for z in range(nzoom):
        width, _, data, index = struct.unpack("<IIQQ", raw[64 + 24 * z : 88 + 24 * z])
        seen, count = 0, 0
        magic, size, items = struct.unpack("<IIQ", raw[index : index + 16])
        assert magic == 0x2468ACE0
        blocks = list(leaves(raw, index + 48))
        assert items == len(blocks), (items, len(blocks))
        for c0, b0, c1, e1, at, size in blocks:
            r = zlib.decompress(raw[at : at + size])
            for k in range(0, len(r), 32):
                c, b, e, valid, lo, hi, s, q = struct.unpack("<IIIIffff", r[k : k + 32])
                v = want[lengths[c][0]][b:e].astype(float)
                v = v[~np.isnan(v)]
                assert b % width == 0 and e == min(b + width, lengths[c][1])
                assert valid == len(v) and lo == v.min() and hi == v.max(), (z, c, b, lo, hi)
                assert abs(s - v.sum()) <= 1e-5 * abs(s) + 1e-6 and abs(q - (v**2).sum()) <= 1e-5 * q
                seen += valid
                count += 1
        assert seen == len(every) and struct.unpack("<I", raw[data : data + 4])[0] == count, (z, seen, count)
    for c, n in lengths[:3]:  # requests that a genome browser would make
        width = struct.unpack("<I", raw[64:68])[0]
        bins = n // width
        if bins < 2:
            continue
        for kind, f in ("min", np.min), ("max", np.max), ("mean", np.mean):
            got = w.stats(c, 0, bins * width, type=kind, nBins=bins)
            for i, g in enumerate(got):
                v = want[c][i * width : (i + 1) * width].astype(float)
                v = v[~np.isnan(v)]
                assert (g is None) == (len(v) == 0) and (g is None or abs(g - f(v)) < 1e-4), (c, kind, i, g)


def deep(path):
    """Checks that the index has more entries than one node can hold, and that its root is an inner node."""
    raw = open(path, "rb").read()
    at = struct.unpack("<Q", raw[24:32])[0]
    assert struct.unpack("<Q", raw[at + 8 : at + 16])[0] > 256 and raw[at + 48] == 0


def million(path, graph):
    """Checks a million intervals of the contig million, and their zoom levels, against a bedGraph."""
    w, g = pyBigWig.open(path), np.loadtxt(graph, usecols=(1, 2, 3))
    want = np.repeat(g[:, 2].astype(np.float32), (g[:, 1] - g[:, 0]).astype(int))
    assert len(w.intervals("million")) == 1000000
    assert np.array_equal(np.array(w.values("million", 0, 1000000), np.float32), want)
    means = want[: 1 << 19].astype(float).reshape(8, -1).mean(1)
    assert np.allclose(w.stats("million", 0, 1 << 19, nBins=8), means, atol=1e-6)


def near(path, graph):
    """Checks values against those of a bedGraph, which have six digits."""
    w = pyBigWig.open(path)
    for line in open(graph):
        c, b, e, v = line.split("\t")
        got = np.array(w.values(c, int(b), int(e)))
        assert np.all(np.abs(got - float(v)) <= 1e-5 * abs(float(v))), (line, got)


def made(path, fai, graph):
    """Writes a bigWig of a bedGraph, whose contigs have the order of the index; a graph without rows is allowed."""
    w, rows = pyBigWig.open(path, "w"), [line.split() for line in open(graph)]
    w.addHeader([(f[0], int(f[1])) for f in map(str.split, open(fai))])
    for c, b, e, v in rows:
        w.addEntries([c], [int(b)], ends=[int(e)], values=[float(v)])
    w.close()


def usable():
    """Checks that pyBigWig is installed, with support for numpy."""
    assert pyBigWig.numpy


KINDS = {"whole": whole, "deep": deep, "million": million, "near": near, "made": made, "usable": usable}
KINDS[sys.argv[1]](*sys.argv[2:])
