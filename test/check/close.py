"""close.py TABLE TABLE: the same table but for the last digits of numbers. SPDX-License-Identifier: MIT"""

import sys

a, b = ([line.split() for line in open(p) if not line.startswith("##")] for p in sys.argv[1:])
assert len(a) == len(b) > 1


def near(x, y):
    try:
        return abs(float(x) - float(y)) <= 2e-6 * max(1, abs(float(x)))
    except ValueError:
        return x == y


assert all(len(r) == len(s) and all(map(near, r, s)) for r, s in zip(a, b))
