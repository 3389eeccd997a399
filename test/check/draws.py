"""draws.py - the random numbers of the project in Python, for the other programs of this folder: splitmix64, with the
place of a number mixed into its state. It shares no code with the C project. SPDX-License-Identifier: MIT"""

M64 = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(z):
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & M64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & M64
    return z ^ z >> 31


def random(seed, a, b, c):
    """64 random bits for the place (a,b,c)."""
    s = mix(seed + GOLDEN & M64)
    for x in (a, b, c):
        s = mix(s + (x + 1) * GOLDEN & M64)
    return s


def hashed(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 & M64
    return h


def below(bits, n):
    """A whole number in [0, n)."""
    return (bits >> 32) * n >> 32
