# SPDX-License-Identifier: MIT
"""Reads FASTA."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import FormatError


def read_fasta(path: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """Yields (name, sequence) of each record of a FASTA, plain or compressed by gzip or bgzip.

    The name ends at the first blank. Letters keep their case. A file without a record is a FormatError.
    """
    with Path(path).open("rb") as f:
        packed = f.read(2) == b"\x1f\x8b"
    name: str | None = None
    lines: list[str] = []
    with gzip.open(path, "rt") if packed else Path(path).open() as text:
        for line in text:
            if line.startswith(">"):
                if name is not None:
                    yield name, "".join(lines)
                name, lines = (line[1:].split() or [""])[0], []
            elif name is not None:
                lines.append(line.strip())
            elif line.strip():
                raise FormatError(f"{path}: is not FASTA: its first line does not begin with >")
    if name is None:
        raise FormatError(f"{path}: holds no sequence")
    yield name, "".join(lines)
