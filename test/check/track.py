"""track.py GRAPHS DECIMALS MASK SCORES SOFT MODEL [CONTIGS]: compares every value in the bedGraphs of ref.fa, one for
each score, with the float64 model. Windows have 96 bases. SOFT is soft (soft-masked bases have no value) or all."""

import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import numpy as np
import reference

graphs, decimals, mask, names = sys.argv[1].split(","), int(sys.argv[2]), sys.argv[3], sys.argv[4].split(",")
soft, contigs = sys.argv[5] == "soft", sys.argv[7].split(",") if len(sys.argv) > 7 else None
m, fasta = reference.Model(sys.argv[6]), reference.read_fasta("ref.fa")
C, F = 48, 24
want = {n: {} for n in names}
for chrom, seq in fasta.items():
    if contigs and chrom not in contigs:
        continue
    for lo in range(0, len(seq), C):
        hi = min(lo + C, len(seq))
        a, b = max(0, lo - F), min(len(seq), hi + F)
        ids, base = reference.encode(m, seq[a:b])
        scored = base >= 0
        if soft:
            scored &= np.frombuffer(seq[a:b], np.uint8) < ord("a")
        scored[: lo - a] = scored[hi - a :] = False
        for s in reference.mask_sets(mask, np.flatnonzero(scored), a):
            lp = reference.base_log_probs(m, ids, [s], mask != "none")
            p = np.exp(lp)
            for name in names:
                if name.startswith("logo."):
                    information = 2 - reference.score("entropy", lp, base[s])
                    v = information * p[:, "ACGT".index(name[5])]
                else:
                    v = reference.score(name, lp, base[s])
                for i, x in zip(s, v):
                    want[name][chrom, a + int(i)] = x
for graph, name in zip(graphs, names, strict=True):
    got = {}
    for line in open(graph):
        if line[0] == "#":
            continue
        c, beg, end, v = line.rstrip("\n").split("\t")
        assert len(v.partition(".")[2]) == decimals, line
        for i in range(int(beg), int(end)):
            assert (c, i) not in got, (c, i)
            got[c, i] = float(v)
    differ = sorted(got.keys() ^ want[name].keys())
    assert not differ, (name, len(got), len(want[name]), differ[:5])
    worst = max(abs(got[k] - want[name][k]) for k in got)
    assert worst <= 0.5 * 10**-decimals + 2e-5, (name, worst)
