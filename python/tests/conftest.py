# SPDX-License-Identifier: MIT
"""What the tests share: the command, models of the source tree, random sequences.

CADUCEUS names the command that the package must agree with; default: caduceus in PATH. CADUCEUS_SHARED names a folder
with larger golden models, which need not exist.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "test" / "data"
EXAMPLES = ROOT / "examples"
BUNDLED = ROOT / "models" / "human-small"

os.environ.pop("CADUCEUS_MODEL", None)
os.environ["CADUCEUS_CUDA_MODULE"] = ""  # no CUDA module: results are compared on the CPU

Command = Callable[..., str]


def random_sequence(length: int, seed: int) -> str:
    r = random.Random(seed)
    return "".join(r.choices("ACGTacgtN", [20, 20, 20, 20, 4, 4, 4, 4, 2], k=length))


def write_fasta(path: Path, seqs: list[str]) -> Path:
    path.write_text("".join(f">s{i}\n{s}\n" for i, s in enumerate(seqs)))
    return path


@pytest.fixture(scope="session")
def caduceus_path() -> str:
    path = os.environ.get("CADUCEUS") or shutil.which("caduceus")
    if not path:
        pytest.skip("no command caduceus")
    os.environ["PATH"] = f"{Path(path).parent}{os.pathsep}{os.environ['PATH']}"
    return path


@pytest.fixture(scope="session")
def command(caduceus_path: str) -> Command:
    """Returns a function that runs `caduceus ARGUMENT...` and returns its standard output."""

    def run(*arguments: str | Path) -> str:
        line = [caduceus_path, *map(str, arguments), "--quiet"]
        return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout

    return run


@pytest.fixture
def example_fasta(tmp_path: Path) -> Path:
    """Returns a copy of examples/example.fa, beside which an index may be written."""
    return Path(shutil.copy(EXAMPLES / "example.fa", tmp_path))


@pytest.fixture
def sequences() -> list[str]:
    """Returns sequences of many lengths, some longer than the windows of the tests."""
    lengths = [1, 2, 3, 17, 64, 65, 66, 96, 97, 128, 200, 331, 500]
    return [random_sequence(n, n) for n in lengths]
