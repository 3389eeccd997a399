# SPDX-License-Identifier: MIT
"""Turns the library's error codes into exceptions."""

from __future__ import annotations

from typing import Any

from ._caduceus import ffi, lib


class Error(Exception):
    """An error of the library. Its text is the library's own line; `code` is the CAD_E* code."""

    code: int = 0


class ArgumentError(Error, ValueError):
    """An argument is out of range or does not fit the model."""

    code = lib.CAD_EARG


class FormatError(Error, ValueError):
    """A file is malformed, or a result is not finite."""

    code = lib.CAD_EFORMAT


class FileError(Error, OSError):
    """A file could not be opened, read or written."""

    code = lib.CAD_EIO


class DeviceError(Error, RuntimeError):
    """A device or its driver is missing or failed."""

    code = lib.CAD_EDEVICE


class OutOfMemory(Error, MemoryError):
    """Memory could not be allocated."""

    code = lib.CAD_ENOMEM


_KIND: dict[int, type[Error]] = {
    kind.code: kind for kind in (ArgumentError, FormatError, FileError, DeviceError, OutOfMemory)
}


def new_error() -> Any:
    """Returns a cad_error_t for one call."""
    return ffi.new("cad_error_t *")


def text(c: Any) -> str:
    """Returns a C text as a str."""
    return str(ffi.string(c).decode("utf-8", "replace"))


def check(code: int, err: Any) -> None:
    """Raises the exception for a code below 0."""
    if code >= 0:
        return
    e = _KIND.get(code, Error)(text(err.text) or text(lib.cad_strerror(code)))
    e.code = code
    raise e
