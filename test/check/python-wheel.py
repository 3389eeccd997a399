"""python-wheel.py MODEL: uses an installed wheel, then checks that libcaduceus and the libraries that it needs come
from the wheel. (Python's own modules may load liblzma, libbz2 and libcrypto of the system.)"""

import os
import sys

import caduceus

with caduceus.Model(sys.argv[1], threads=2) as model:
    assert model.embed(["ACGT"]).shape == (1, model.d_model)
with open("/proc/self/maps") as f:
    libraries = {line.split()[-1] for line in f if ".so" in line}
prefix = os.path.realpath(sys.prefix)
assert any("libcaduceus" in p for p in libraries)
names = ("libcaduceus", "libnettle", "libjansson", "libzip", "libhts")
system = [p for p in libraries if os.path.basename(p).startswith(names) and not p.startswith(prefix)]
assert not system, system
