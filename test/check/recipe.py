"""recipe.py LOG STATE: checks the learning rates of 40 steps and the optimiser's moments in the training state."""

import sys

import numpy as np
import tensors

lr = np.genfromtxt(sys.argv[1], usecols=3)
s = np.arange(40.0)
warm = np.linspace(1e-6, 0.01, 11)[1:].tolist() + [0] * 30
want = np.where(s < 10, warm, 0.002 + 0.004 * (1 + np.cos(np.pi * (s - 10) / 30)))
assert np.allclose(lr, want, rtol=2e-5, atol=0), lr - want
head, parts = tensors.read(sys.argv[2])
assert head["__metadata__"]["step"] == "40", head["__metadata__"]
a = {k: np.frombuffer(v, np.float32) for k, v in parts.items()}
assert len({len(x) for x in a.values()}) == 1 and all(np.isfinite(x).all() for x in a.values()), a
assert (a["exp_avg_sq"] >= 0).all() and (a["exp_avg_sq"] > 0).any()
