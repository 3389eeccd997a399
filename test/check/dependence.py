"""dependence.py TSV MODEL FASTA CONTIG FROM TO FLANK: compares the map of caduceus depend with the float64 model. FROM
and TO count from 0; the window has FLANK more bases on each side."""

import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import numpy as np
import reference

table, folder, fasta, contig = sys.argv[1:5]
lo, hi, flank = map(int, sys.argv[5:8])
m, seq = reference.Model(folder), reference.read_fasta(fasta)[contig]
beg, end = max(0, lo - flank), min(len(seq), hi + flank)
ids, base = reference.encode(m, seq[beg:end])
n, at = hi - lo, np.arange(lo - beg, hi - beg)


def odds(ids):
    return reference.log_odds(reference.base_log_probs(m, ids, [at], False)) / np.log(2)


plain = odds(ids)
want = np.full((n, n), np.nan)
for i in np.flatnonzero(base[at] >= 0):
    changes = []
    for b in set(range(4)) - {base[at[i]]}:
        changed = ids.copy()
        changed[at[i]] = m.acgt[b]
        changes.append(abs(odds(changed) - plain).max(1))
    want[i] = np.where(base[at] >= 0, np.max(changes, 0), np.nan)
    want[i, i] = 0
rows = [line.rstrip("\n").split("\t") for line in open(table) if line[0] != "#"]
assert [int(r[1]) for r in rows] == list(range(lo, hi))
assert [r[3] for r in rows] == list(seq[lo:hi].decode().upper())
have = np.array([[float("nan" if v == "." else v) for v in r[4:]] for r in rows])
assert have.shape == want.shape, have.shape
assert (np.isnan(have) == np.isnan(want)).all()
worst = np.nanmax(abs(have - want) / np.maximum(1, abs(want)))
assert worst < 1e-4, worst
