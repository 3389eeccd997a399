# SPDX-License-Identifier: MIT
"""Builds the extension against libcaduceus, and puts the bundled model into the package.

If $CADUCEUS_COMMAND names the command, the package carries it too, as a wheel does; see the script wheel.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here))
from caduceus_build import pkg_config  # noqa: E402

command = os.environ.get("CADUCEUS_COMMAND")
model = here.parent / "models" / "human-small"


class build_with_files(build_py):
    """Copies the model of the source tree, if there is one, and the command to where the command finds the model."""

    def run(self) -> None:
        """Runs build_py, then copies."""
        super().run()
        package = Path(self.build_lib) / "caduceus"
        if getattr(self, "editable_mode", False):
            return
        if model.is_dir():
            shutil.copytree(model, package / "share" / "caduceus" / "models" / "human-small", dirs_exist_ok=True)
        if command:
            (package / "bin").mkdir(exist_ok=True)
            shutil.copy(command, package / "bin" / "caduceus")


setup(
    license="MIT",
    version=pkg_config("--modversion").replace("-dev", ".dev0"),
    cffi_modules=["caduceus_build.py:ffi"],
    cmdclass={"build_py": build_with_files},
    options={"bdist_wheel": {"py_limited_api": "cp39"}},
    py_modules=["caduceus_command"] if command else [],
)
