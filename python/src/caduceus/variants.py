# SPDX-License-Identifier: MIT
"""Runs `caduceus annotate` on variants and reads its VCF."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from ._caduceus import lib
from .errors import Error, text


class Variant(NamedTuple):
    """Scores of one ALT allele. A score that was not asked for, or that the allele does not have, is None."""

    chrom: str
    start: int
    """position of the first base of ref, from 0 (POS - 1)"""
    id: str | None
    ref: str
    alt: str
    llr: float | None
    """SNVs: log p(alt) - log p(ref) at the masked base, nats; negative: alt is less likely"""
    dpll: float | None
    """other alleles: log-likelihood of the ALT haplotype less that of REF, nats"""
    n: int | None
    """number of bases compared"""
    dist: float | None
    """Euclidean distance of the embeddings of both haplotypes"""
    cos: float | None
    """1 - cosine similarity of these embeddings"""
    note: str | None
    """why the allele has no score, or what is special about it"""


_CARRIED = Path(__file__).parent / "bin" / "caduceus"


def command() -> str:
    """Returns the path of the command caduceus: the one that a wheel carries, else the one in PATH."""
    path = str(_CARRIED) if _CARRIED.exists() else shutil.which("caduceus")
    if path is None:
        raise FileNotFoundError("this needs the command caduceus, which is not in PATH: install it")
    return path


def message(stderr: str) -> str:
    """Returns the error in what a command wrote to standard error: its last line that is not a warning."""
    lines = [line for line in stderr.splitlines() if line and ": warning: " not in line]
    return lines[-1] if lines else "the command caduceus failed"


def annotate(
    model: list[str],
    sha256: str,
    fasta: str | os.PathLike[str],
    vcf: str | os.PathLike[str],
    score: str,
    options: Iterable[str],
) -> Iterator[Variant]:
    """Yields the alleles of a VCF; see Model.variants."""
    line = [command(), "annotate", *model, "-T", os.fspath(fasta), "--score", score, "-Ov", "--verbosity", "1"]
    line += [*options, "--", os.fspath(vcf)]
    return _run(line, sha256)


def _run(line: list[str], sha256: str) -> Iterator[Variant]:
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            yield from _alleles(process.stdout, sha256)
        except BaseException:
            process.terminate()
            raise
        if process.wait():
            errors.seek(0)
            raise Error(message(errors.read()))


def _check(line: str, sha256: str) -> None:
    """Checks a header line: the command must be of this version and have read the same weights."""
    key, _, value = line.strip().partition("=")
    wanted = {"##CADUCEUS_version": text(lib.cad_version()), "##CADUCEUS_model_sha256": sha256}.get(key, value)
    if value != wanted:
        raise Error(f"the command caduceus says {key[2:]}={value}, this package {wanted}: install the same version")


def _alleles(vcf: IO[str], sha256: str) -> Iterator[Variant]:
    for line in vcf:
        if line.startswith("#"):
            _check(line, sha256)
            continue
        chrom, pos, name, ref, alts, _, _, info, *_ = line.rstrip("\n").split("\t")
        fields = dict(field.partition("=")[::2] for field in info.split(";"))
        for i, alt in enumerate(alts.split(",")):
            of = {key: _value(fields, key, i) for key in ("LLR", "DPLL", "N", "DIST", "COS", "NOTE")}
            llr, dpll, dist, cos = (None if (x := of[k]) is None else float(x) for k in ("LLR", "DPLL", "DIST", "COS"))
            n = None if of["N"] is None else int(of["N"])
            yield Variant(
                chrom, int(pos) - 1, None if name == "." else name, ref, alt, llr, dpll, n, dist, cos, of["NOTE"]
            )


def _value(fields: dict[str, str], key: str, i: int) -> str | None:
    """Returns the value of allele i in an INFO field; None if it is missing."""
    values = fields.get(f"CADUCEUS_{key}", ".").split(",")
    value = values[i] if i < len(values) else "."
    return None if value == "." else value
