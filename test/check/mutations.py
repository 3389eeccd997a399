"""mutations.py stride TSV MASK WINDOW FLANK MODEL FASTA: compares the llr of caduceus mutate --mask stride:K with the
float64 model, for whole records. mutations.py classes TSV OUTPUT MODEL FASTA: the same for a classifier's output."""

import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import numpy as np
import reference


def table(path):
    """{(contig, position): four values}, NaN where there are none."""
    rows = (line.rstrip("\n").split("\t") for line in open(path) if line[0] != "#")
    return {(r[0], int(r[1])): [float("nan" if v == "." else v) for v in r[4:8]] for r in rows}


def stride(m, seq, mask, window, flank):
    want = np.full((len(seq), 4), np.nan)
    for lo, hi in reference.cores(0, len(seq), window - 2 * flank):
        a, b = max(0, lo - flank), min(len(seq), hi + flank)
        ids, base = reference.encode(m, seq[a:b])
        scored = base >= 0
        scored[: lo - a] = scored[hi - a :] = False
        for s in reference.mask_sets(mask, np.flatnonzero(scored), a):
            lp = reference.base_log_probs(m, ids, [s], True)
            want[a + s] = lp - lp[np.arange(len(s)), base[s]][:, None]
    return want


def classes(m, seq, output):
    ids, base = reference.encode(m, seq)
    changed = np.repeat(ids[None], 1 + 4 * len(ids), 0)
    for i in range(len(ids)):
        changed[1 + 4 * i : 5 + 4 * i, i] = m.acgt
    logits = reference.class_logits(m, changed, reference.revcomp(m, changed))[:, output]
    want = (logits[1:] - logits[0]).reshape(-1, 4)
    want[base < 0] = np.nan
    return want


got, path = table(sys.argv[2]), sys.argv[-1]
m = reference.Model(sys.argv[-2])
for name, seq in reference.read_fasta(path).items():
    if sys.argv[1] == "stride":
        want = stride(m, seq, sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        want = classes(m, seq, int(sys.argv[3]))
    have = np.array([got[name, i] for i in range(len(seq))])
    assert (np.isnan(have) == np.isnan(want)).all(), name
    worst = np.nanmax(abs(have - want) / np.maximum(1, abs(want)), initial=0)
    assert worst < 3e-5, (name, worst)
