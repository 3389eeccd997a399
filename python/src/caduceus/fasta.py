# SPDX-License-Identifier: MIT
"""Reads FASTA."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from .errors import FormatError


def _lines(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yields the lines of a text, plain or compressed by gzip; a file that is neither is a FormatError."""
    with Path(path).open("rb") as f:
        packed = f.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rt", encoding="utf-8") if packed else Path(path).open(encoding="utf-8") as text:
            yield from text
    except UnicodeDecodeError as e:
        raise FormatError(f"{path}: is not FASTA: it has bytes that are no text; give FASTA, plain or gzip") from e
    except (EOFError, gzip.BadGzipFile, zlib.error) as e:
        raise FormatError(f"{path}: is cut short or damaged ({e}); copy it again") from e


def read_fasta(path: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """Yields (name, sequence) of each record of a FASTA, plain or compressed by gzip or bgzip.

    The name ends at the first blank. Letters keep their case. A file without a record is a FormatError.
    """
    name: str | None = None
    lines: list[str] = []
    for line in _lines(path):
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
