# SPDX-License-Identifier: MIT
"""Starts the command caduceus that a wheel carries, without importing the package."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    """Replaces this process by the command, with the same arguments."""
    package = find_spec("caduceus")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "bin" / "caduceus"
    os.execv(path, [str(path), *sys.argv[1:]])
