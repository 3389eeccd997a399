"""undirected.py ARGUMENT...: as test/reference.py, for models whose layers are MLPs and tables of k-mers.

It shares no code with the C project. PS with fused_add_norm is computed with the two halves of the channels exchanged
before every layer, not by folding weights. The half that is the first one after the last layer has the words of the
sequence, the other half those of its reverse complement. SPDX-License-Identifier: MIT"""

import json
import math
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import reference  # noqa: E402

erf = np.vectorize(math.erf)


class Model(reference.Model):
    def __init__(self, folder):
        super().__init__(folder)
        with open(os.path.join(folder, "config.json")) as f:
            raw = json.load(f)
        kinds = raw["layer_kinds"]
        self.kinds = [kinds[i % len(kinds)] for i in range(self.cfg["n_layer"])]
        self.k = raw.get("kmer_cfg", {}).get("k", 3)
        self.activation = raw.get("mlp_cfg", {}).get("activation", "gelu")


def words(m, ids):
    """The row of the table for each token of one sequence, ids (L,)."""
    letter = {m.vocab[b]: b for b in "ACGT"} | {m.vocab["MASK"]: "M"}
    half = m.k // 2
    text = "." * half + "".join(letter.get(t, ".") for t in ids) + "." * half
    out = []
    for r in range(len(ids)):
        w = text[r:r + m.k]
        out.append(4 ** m.k if "M" in w else 4 ** m.k + 1 if "." in w else
                   int(w.translate(str.maketrans("ACGT", "0123")), 4))
    return np.array(out)


def gelu(m, v):
    if m.activation == "gelu_tanh":
        return v / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v ** 3)))
    return v / 2 * (1 + erf(v / np.sqrt(2)))


def layer(m, i, x, ids):
    """What layer i adds to x (B,L,D), the residual of sequences with tokens ids (B,L)."""
    w = m.under(f"backbone.layers.{i}.mixer.")
    if m.kinds[i] == "kmer":
        assert not m.under(f"backbone.layers.{i}.norm.")
        return np.stack([w["table.weight"][words(m, one)] for one in ids])
    h = reference.norm(m, x, m.under(f"backbone.layers.{i}.norm."))
    u = gelu(m, h @ w["fc1.weight"].T + w.get("fc1.bias", 0))
    return u @ w["fc2.weight"].T + w.get("fc2.bias", 0)


def hidden_ph(m, ids, layers):
    x = m.table[ids]
    for i in range(layers):
        x = x + layer(m, i, x, ids)
    return reference.norm(m, x, m.under("backbone.norm_f."))


def hidden_ps(m, ids, layers):
    flip, rc = reference.flip, reference.revcomp(m, ids)
    fused = m.cfg["fused_add_norm"]
    halves = [m.table[ids], flip(m.table[rc])]
    second = [False, True]  # whether the half has the words of the reverse complement
    if fused and m.cfg["n_layer"] % 2:
        second = second[::-1]
    for i in range(layers):
        if fused:
            halves, second = halves[::-1], second[::-1]
        for place in (0, 1):
            rows = flip(halves[place]) if place else halves[place]
            added = layer(m, i, rows, rc if second[place] else ids)
            if m.kinds[i] == "kmer" and bool(place) != second[place]:
                added = added[:, ::-1]  # the words are in the order of their strand, `rows` in the other one
            halves[place] = halves[place] + (flip(added) if place else added)
    w = m.under("backbone.norm_f.")
    return np.concatenate(reference.on_halves(lambda x: reference.norm(m, x, w), *halves), axis=-1)


reference.Model, reference.hidden_ph, reference.hidden_ps = Model, hidden_ph, hidden_ps
sys.exit(reference.main())
