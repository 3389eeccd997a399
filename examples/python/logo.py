# SPDX-License-Identifier: MIT
"""Draws the logo of a region: at each base, letters as tall as the model is certain of them.

python3 logo.py [FASTA [CONTIG:BEG-END [MODEL]]] -o logo.png
Coordinates count from 1, as in samtools.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

import caduceus

HERE = Path(__file__).resolve().parent
COLOUR = {"A": "#008000", "C": "#0000ff", "G": "#ffa600", "T": "#ff0000"}
FONT = FontProperties(family="DejaVu Sans", weight="bold")


def letter(base: str, x: float, y: float, height: float) -> PathPatch:
    """Returns the letter of a base, as wide as one base and `height` bits tall."""
    path = TextPath((0, 0), base, size=1, prop=FONT)
    box = path.get_extents()
    to = Affine2D().translate(-box.x0, -box.y0).scale(0.92 / box.width, height / box.height).translate(x - 0.46, y)
    return PathPatch(to.transform_path(path), facecolor=COLOUR[base], linewidth=0)


def draw_logo(ax: plt.Axes, score: caduceus.Score, start: int) -> None:
    """Draws a logo: p(base) x information, in bits. start: coordinate of the first base."""
    heights = np.exp(score.logp.astype(float)) * (2 - score.entropy)[:, None]  # (L, 4)
    for t, row in enumerate(heights):
        y = 0.0
        for b in np.argsort(row):  # the tallest letter on top; NaN, of an N, is not drawn
            if row[b] > 0.01:
                ax.add_patch(letter("ACGT"[b], start + t, y, row[b]))
                y += row[b]
    ax.set(xlim=(start - 0.5, start + len(heights) - 0.5), ylim=(0, 2), ylabel="bits")


def main() -> None:
    """Reads the command line, scores the region with flanks of 200 bases, draws it."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("fasta", nargs="?", default=HERE.parent / "example.fa")
    p.add_argument("region", nargs="?", default="chrE1:7371-7430")
    p.add_argument("model", nargs="?", default="bundled")
    p.add_argument("-o", "--output", default="logo.png")
    a = p.parse_args()
    contig, _, interval = a.region.rpartition(":")
    beg, end = (int(x) for x in interval.split("-"))
    seq = dict(caduceus.read_fasta(a.fasta))[contig]
    left = max(0, beg - 1 - 200)
    with caduceus.Model(a.model) as model:
        s = model.score(seq[left : end + 200], "each")
    inside = slice(beg - 1 - left, end - left)
    fig, ax = plt.subplots(figsize=(12, 2.4), layout="constrained")
    draw_logo(ax, s._replace(logp=s.logp[inside], bases=s.bases[inside]), beg)
    ax.set_xlabel(f"{contig}: the bases that the model expects")
    fig.savefig(a.output, dpi=120)


if __name__ == "__main__":
    main()
