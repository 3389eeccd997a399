# SPDX-License-Identifier: MIT
"""Draws a heat map of every substitution in a region: log p(alt) - log p(ref), red where alt is less likely.

python3 variants.py [FASTA [CONTIG:BEG-END [MODEL]]] -o variants.png
Coordinates count from 1, as in samtools.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import caduceus

HERE = Path(__file__).resolve().parent


def draw_substitutions(ax: plt.Axes, score: caduceus.Score, seq: str, start: int) -> None:
    """Draws llr (4, L) of all substitutions. score: made with mask "each". start: coordinate of the first base."""
    llr = (score.logp - score.bases[:, None]).T  # (4, L); 0 at the base of the sequence itself
    most = np.nanmax(np.abs(llr))
    image = ax.imshow(
        llr, cmap="RdBu", vmin=-most, vmax=most, aspect="auto", extent=(start - 0.5, start + len(seq) - 0.5, 3.5, -0.5)
    )
    at = ["ACGT".find(b) for b in seq.upper()]
    ax.plot([start + t for t, b in enumerate(at) if b >= 0], [b for b in at if b >= 0], "k.", markersize=3)
    ax.set(yticks=range(4), yticklabels=list("ACGT"), ylabel="alt")
    ax.figure.colorbar(image, ax=ax, label="llr (nats)", pad=0.01)


def main() -> None:
    """Reads the command line, scores the region with flanks of 200 bases, draws it."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("fasta", nargs="?", default=HERE.parent / "example.fa")
    p.add_argument("region", nargs="?", default="chrE1:7371-7430")
    p.add_argument("model", nargs="?", default="bundled")
    p.add_argument("-o", "--output", default="variants.png")
    a = p.parse_args()
    contig, _, interval = a.region.rpartition(":")
    beg, end = (int(x) for x in interval.split("-"))
    seq = dict(caduceus.read_fasta(a.fasta))[contig]
    left = max(0, beg - 1 - 200)
    with caduceus.Model(a.model) as model:
        s = model.score(seq[left : end + 200], "each")
    inside = slice(beg - 1 - left, end - left)
    fig, ax = plt.subplots(figsize=(12, 2.4), layout="constrained")
    draw_substitutions(ax, s._replace(logp=s.logp[inside], bases=s.bases[inside]), seq[beg - 1 : end], beg)
    ax.set_xlabel(f"{contig}: dots are the reference")
    fig.savefig(a.output, dpi=120)


if __name__ == "__main__":
    main()
