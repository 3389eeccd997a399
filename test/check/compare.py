"""compare.py MODEL FASTA TABLE SETTING...: checks rows of eval --masks or --flanks against the float64 reference. The
FASTA has one contig, which is one window. SETTING: mask=HOW, or flank=F with the longest flank first; the first setting
is the one with which the others are compared."""

import os
import sys

import numpy as n

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import reference  # noqa: E402


def rank(x):
    r = n.empty(len(x))
    r[n.argsort(x)] = n.arange(len(x))
    return r


def predictions(m, seq, setting):
    """Returns pll (n,) and llr (3n,) of the bases of the core."""
    kind, value = setting.split("=")
    core = range(len(seq))
    if kind == "flank":
        core = range(LONGEST, len(seq) - LONGEST)
        lo, hi = core[0] - int(value), core[-1] + 1 + int(value)
        seq, core = seq[lo:hi], range(core[0] - lo, core[-1] + 1 - lo)
        origin = lo
    else:
        origin = 0
    mask = value if kind == "mask" else "stride:8"
    ids, base = reference.encode(m, seq)
    sets = reference.mask_sets(mask, n.array(core), origin)
    lp = reference.base_log_probs(m, ids, sets, mask != "none")
    order = n.argsort(n.concatenate(sets))
    lp, base = lp[order], base[list(core)]
    own = lp[n.arange(len(lp)), base]
    others = n.array([[b for b in range(4) if b != x] for x in base])
    return own, (n.take_along_axis(lp, others, 1) - own[:, None]).ravel()


model, fasta, table, *settings = sys.argv[1:]
LONGEST = int(settings[0].split("=")[1]) if settings[0].startswith("flank") else 0
m = reference.Model(model)
sequence = next(iter(reference.read_fasta(fasta).values())).upper()
rows = {r[0]: [float(x) for x in r[5:]] for r in (line.split("\t") for line in open(table) if line[0] != "#")}
exact = predictions(m, sequence, settings[0])
for s in settings:
    want = []
    for x, y in zip(predictions(m, sequence, s), exact):
        want += [n.sqrt(((x - y) ** 2).mean()), n.corrcoef(rank(x), rank(y))[0, 1]]
    assert n.allclose(rows[s], want, rtol=1e-4, atol=1e-4), (s, rows[s], want)
print(rows)
