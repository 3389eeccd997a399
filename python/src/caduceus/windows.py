# SPDX-License-Identifier: MIT
"""Cuts sequences into windows, as the command does for the records of a FASTA."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .errors import ArgumentError


class Tiling(NamedTuple):
    """Lengths in bases: of a window with its flanks, and of one flank."""

    window: int
    flank: int

    @property
    def core(self) -> int:
        """The largest number of bases that one window scores."""
        return self.window - 2 * self.flank


class Tile(NamedTuple):
    """Half-open intervals of a sequence: the core, and the window that the model reads."""

    core: tuple[int, int]
    window: tuple[int, int]


def tiling(window: int, flank: int | None) -> Tiling:
    """Returns the tiling of these lengths; the default flank is that of the command."""
    t = Tiling(window, min(1024, window // 4) if flank is None else flank)
    if t.flank < 0 or t.core < 1:
        raise ArgumentError(f"a flank of {t.flank} on both sides does not fit a window of {window}")
    return t


def tiles(t: Tiling, n: int) -> Iterator[Tile]:
    """Cuts n bases into tiles about their middle, so that the reverse complement is cut at the same places.

    The middle core has t.core bases, or one less if only one of t.core and n is odd; on each side of it are cores of
    t.core bases, the outermost of which may be shorter.
    """
    middle = n if n <= t.core else t.core - ((t.core ^ n) & 1)
    side = (n - middle) // 2
    left = list(range(side, 0, -t.core))[::-1]
    right = list(range(side + middle, n, t.core))
    ends = [0, *left] if side else [0]
    bounds = sorted({*ends, *right, n})
    for beg, end in zip(bounds, bounds[1:]):
        yield Tile((beg, end), (max(beg - t.flank, 0), min(end + t.flank, n)))
