# SPDX-License-Identifier: MIT
"""Builds the extension against libcaduceus and puts the bundled model into the package."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here))
from caduceus_build import pkg_config  # noqa: E402


class build_with_model(build_py):
    """Copies models/human-small of the source tree, if there is one, to caduceus/bundled."""

    def run(self) -> None:
        """Runs build_py, then copies."""
        super().run()
        model = here.parent / "models" / "human-small"
        if model.is_dir() and not self.editable_mode:
            shutil.copytree(model, Path(self.build_lib) / "caduceus" / "bundled", dirs_exist_ok=True)


setup(
    version=pkg_config("--modversion").replace("-dev", ".dev0"),
    cffi_modules=["caduceus_build.py:ffi"],
    cmdclass={"build_py": build_with_model},
    options={"bdist_wheel": {"py_limited_api": "cp39"}},
)
