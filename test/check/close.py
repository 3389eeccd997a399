"""close.py TABLE TABLE: exits 0 if two tables, or two float32 matrices in .npy, are equal except for the last digits of
numbers. SPDX-License-Identifier: MIT"""

import struct
import sys


def rows_of(path):
    """Returns the rows of a table; for a matrix, a row of numbers and a row with its header."""
    if not path.endswith(".npy"):
        return [line.split() for line in open(path) if not line.startswith("##")]
    raw = open(path, "rb").read()
    start = 10 + int.from_bytes(raw[8:10], "little")
    return [[raw[:start]], struct.unpack(f"<{(len(raw) - start) // 4}f", raw[start:])]


a, b = map(rows_of, sys.argv[1:])
assert len(a) == len(b) > 1


def near(x, y):
    try:
        return abs(float(x) - float(y)) <= 2e-6 * max(1, abs(float(x)))
    except ValueError:
        return x == y


assert all(len(r) == len(s) and all(map(near, r, s)) for r, s in zip(a, b))
