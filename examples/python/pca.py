# SPDX-License-Identifier: MIT
"""Cuts a FASTA into pieces, embeds them, and draws the first two principal components, coloured by GC content.

python3 pca.py [FASTA [MODEL]] [--length 200] -o pca.png
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import caduceus

HERE = Path(__file__).resolve().parent


def principal_components(X: np.ndarray, n: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first n components (rows, n) of X, and the share of the variance of each."""
    U, s, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    return (U * s)[:, :n], (s**2 / (s**2).sum())[:n]


def gc_content(seq: str) -> float:
    """Returns the fraction of G and C among A, C, G and T."""
    n = [seq.upper().count(b) for b in "ACGT"]
    return (n[1] + n[2]) / max(sum(n), 1)


def draw_components(ax: plt.Axes, X: np.ndarray, gc: list[float]) -> None:
    """Draws the rows of X (n, D) in the plane of their first two components."""
    at, share = principal_components(X)
    points = ax.scatter(at[:, 0], at[:, 1], c=gc, cmap="viridis", s=14)
    ax.set(xlabel=f"PC 1 ({share[0]:.0%} of the variance)", ylabel=f"PC 2 ({share[1]:.0%})")
    ax.figure.colorbar(points, ax=ax, label="GC content")


def main() -> None:
    """Reads the command line, embeds, draws."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("fasta", nargs="?", default=HERE.parent / "example.fa")
    p.add_argument("model", nargs="?", default="bundled")
    p.add_argument("--length", type=int, default=200)
    p.add_argument("-o", "--output", default="pca.png")
    a = p.parse_args()
    pieces = []
    for _, seq in caduceus.read_fasta(a.fasta):
        pieces += [seq[i : i + a.length] for i in range(0, len(seq) - a.length + 1, a.length)]
    pieces = [s for s in pieces if s.upper().count("N") < a.length / 2]
    with caduceus.Model(a.model) as model:
        X = model.embed(pieces)
    fig, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
    draw_components(ax, X, [gc_content(s) for s in pieces])
    ax.set_title(f"{len(pieces)} pieces of {a.length} bases")
    fig.savefig(a.output, dpi=120)


if __name__ == "__main__":
    main()
