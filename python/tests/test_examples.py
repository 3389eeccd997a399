# SPDX-License-Identifier: MIT
"""The scripts and the notebook of examples/python run, and the scripts draw pictures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import DATA, EXAMPLES

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory, caduceus_path: str) -> Path:
    """Returns a copy of the folder examples/python, beside which an index of example.fa may be written."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("example.fa", "example.vcf"):
        shutil.copy(EXAMPLES / name, folder)
    shutil.copytree(EXAMPLES / "python", folder / "python", ignore=shutil.ignore_patterns("__pycache__"))
    return folder / "python"


def run(folder: Path, *line: str) -> None:
    env = {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, *line], cwd=folder, env=env, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["logo", "variants", "pca"])
def test_script(name: str, examples: Path, tmp_path: Path):
    from matplotlib.image import imread

    model = [str(DATA / "ps")] if name == "pca" else ["chrE1:7391-7410", str(DATA / "ps")]
    run(examples, f"{name}.py", "../example.fa", *model, "-o", str(tmp_path / "out.png"))
    picture = imread(tmp_path / "out.png")[..., :3]
    assert min(picture.shape[:2]) > 200 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 30


def test_notebook_text(examples: Path):
    """Runs the code of the notebook as one script, with a tiny model."""
    pytest.importorskip("sklearn")
    cells = json.loads((examples / "caduceus.ipynb").read_text())["cells"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    assert len(code) >= 7
    (examples / "notebook.py").write_text("\n\n".join(code).replace('"bundled"', repr(str(DATA / "ps"))))
    run(examples, "notebook.py")


def test_notebook(examples: Path, tmp_path: Path):
    """Runs the notebook itself; what it prints is what it printed when it was written."""
    pytest.importorskip("nbconvert")
    pytest.importorskip("ipykernel")
    out = tmp_path / "out.ipynb"
    convert = ["-m", "nbconvert", "--to", "notebook", "--execute", "--output", str(out), "caduceus.ipynb"]
    run(examples, *convert)

    def printed(path: Path) -> list[str]:
        outputs = [o for c in json.loads(path.read_text())["cells"] for o in c.get("outputs", [])]
        return ["".join(o["text"]) for o in outputs if "text" in o]

    assert printed(out) == printed(examples / "caduceus.ipynb")
