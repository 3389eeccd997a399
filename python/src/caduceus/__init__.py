"""Caduceus DNA language models as NumPy arrays.

    with caduceus.Model("hf:ORG/NAME") as model:
        X = model.embed(["ACGTTGCA", "TTAGGGTTAGGG"])  # (2, D) float32
        s = model.score("ACGTTGCAAGGCT")               # s.logp (13, 4), s.pll
        d = model.llr("ACGTTGCAAGGCT", 4, "G")         # log p(G) - log p(T) at position 4, counted from 0

SPDX-License-Identifier: MIT
"""

from ._caduceus import lib as _lib
from .errors import ArgumentError, DeviceError, Error, FileError, FormatError, OutOfMemory
from .errors import text as _text
from .fasta import read_fasta
from .model import Head, Model, Score
from .variants import Variant

version: str = _text(_lib.cad_version())
"""The version of the library."""
__version__ = version

__all__ = [
    "ArgumentError",
    "DeviceError",
    "Error",
    "FileError",
    "FormatError",
    "Head",
    "Model",
    "OutOfMemory",
    "Score",
    "Variant",
    "read_fasta",
    "version",
]
