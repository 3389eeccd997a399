"""undirected.py ARGUMENT...: as test/reference.py, for models of layers without a direction: attention, MLPs,
tables of k-mers and convolutions that pool rows. `undirected.py means DIR FASTA BED OUT.npy` writes the mean of the
rows of each region, computed without flanks.

It shares no code with the C project. PS with fused_add_norm is computed with the two halves of the channels exchanged
before every layer, not by folding weights. The half that is the first one after the last layer has the words of the
sequence, the other half those of its reverse complement. SPDX-License-Identifier: MIT"""

import json
import math
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import draws  # noqa: E402
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
        self.attention = raw.get("attention_cfg", {})
        self.pool = raw.get("cnn_cfg", {}).get("pool", 2)
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


def blocks_read(m, i, block, n):
    """The blocks of 64 tokens that a block of n reads in layer i."""
    random = m.attention.get("random", 3)
    if m.attention.get("pattern") != "blocks" or block in (0, n - 1) or n <= random + 5:
        return set(range(n))
    found = {0, block - 1, block, block + 1, n - 1}
    most, draw = len(found) + random, 0
    while len(found) < most:
        found.add(draws.below(draws.random(m.attention.get("seed", 0), i, block, draw), n))
        draw += 1
    return found


def rotated(x):
    """x (L,d), each row turned by its position."""
    half = x.shape[1] // 2
    angle = np.arange(len(x))[:, None] * 10000.0 ** (-np.arange(half) / half)
    a, b = x[:, :half], x[:, half:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], axis=1)


def edges(m, ids):
    """For each row of one sequence, ids (L,), the rows at the other ends of its edges, or None, by type."""
    k, m.k = m.k, 3
    word = words(m, ids)
    m.k = k
    names = [a + b + c for a in "ACGT" for b in "ACGT" for c in "ACGT"]
    other = [names.index(n.translate(str.maketrans("ACGT", "TGCA"))[::-1]) for n in names]
    out = []
    for r, w in enumerate(word):
        before, after = range(r - 1, -1, -1), range(r + 1, len(ids))
        own = [r, r - 1 if r else None, r + 1 if r + 1 < len(ids) else None]
        for wanted in (w, other[w]) if w < 64 else (None, None):
            own += [next((p for p in side if word[p] == wanted), None) for side in (before, after)]
        out.append(own)
    return out


def along_edges(m, w, q, k, v, ids):
    """y (L,I) of one sequence in the pattern "graph"; q, k, v (L,heads,d)."""
    y = np.zeros_like(v)
    table = w["edge.weight"].reshape(7, *q.shape[1:])
    for r, own in enumerate(edges(m, ids)):
        used = [(t, s) for t, s in enumerate(own) if s is not None]
        score = np.array([(q[r] * (k[s] + table[t])).sum(axis=1) for t, s in used]) / np.sqrt(q.shape[2])
        p = np.exp(score - score.max(axis=0))
        y[r] = np.einsum("eh,ehd->hd", p / p.sum(axis=0), v[[s for _, s in used]])
    return y.reshape(len(v), -1)


def attended(m, i, w, h, ids):
    """What attention adds to one sequence with tokens ids (L,), from its normalised rows h (L,D)."""
    length, heads = len(h), m.attention.get("heads", 8)
    d = len(w["qkv_proj.weight"]) // 3 // heads
    q, k, v = (part.reshape(length, heads, d) for part in np.split(h @ w["qkv_proj.weight"].T, 3, axis=1))
    if m.attention.get("pattern") == "graph":
        return along_edges(m, w, q, k, v, ids) @ w["out_proj.weight"].T
    block = np.arange(length) // 64
    n = block[-1] + 1
    reads = np.array([[b in blocks_read(m, i, a, n) for b in range(n)] for a in range(n)])[block][:, block]
    y = np.zeros((length, heads, d))
    turn = rotated if m.attention.get("positions", "rotary") == "rotary" else np.asarray
    for head in range(heads):
        s = turn(q[:, head]) @ turn(k[:, head]).T / np.sqrt(d)
        p = np.where(reads, np.exp(s - s.max(axis=1, keepdims=True)), 0)
        y[:, head] = p @ v[:, head] / p.sum(axis=1, keepdims=True)
    return y.reshape(length, heads * d) @ w["out_proj.weight"].T


def convolved(m, w, h):
    """The output of convolutions for one sequence, from its normalised rows h (L,D): ceil(L/pool) rows."""
    length, u = len(h), []
    for i in range(4):
        if f"conv.{i}.weight" in w:
            weight = w[f"conv.{i}.weight"]
            size = weight.shape[2]
            near = np.pad(h, [((size - 1) // 2, size // 2), (0, 0)])
            taps = np.stack([near[j:j + length] for j in range(size)])
            u.append(np.einsum("cdj,jtd->tc", weight, taps) + w[f"conv.{i}.bias"])
    u = np.maximum(np.concatenate(u, axis=1), 0)
    y = np.stack([u[at:at + m.pool].max(axis=0) for at in range(0, length, m.pool)])
    return y @ w["out_proj.weight"].T + w["out_proj.bias"]


def after(m, i, x, ids):
    """The residual after layer i, from x (B,L,D) before it, of sequences with tokens ids."""
    added = layer(m, i, x, ids)
    return added if m.kinds[i] == "cnn" else x + added


def layer(m, i, x, ids):
    """The output of layer i for x (B,L,D), the residual of sequences with tokens ids (B,L)."""
    w = m.under(f"backbone.layers.{i}.mixer.")
    if m.kinds[i] == "kmer":
        assert not m.under(f"backbone.layers.{i}.norm.")
        return np.stack([w["table.weight"][words(m, one)] for one in ids])
    h = reference.norm(m, x, m.under(f"backbone.layers.{i}.norm."))
    if m.kinds[i] == "cnn":
        return np.stack([convolved(m, w, one) for one in h])
    if m.kinds[i] == "attention":
        return np.stack([attended(m, i, w, one, tokens) for one, tokens in zip(h, ids)])
    u = gelu(m, h @ w["fc1.weight"].T + w.get("fc1.bias", 0))
    return u @ w["fc2.weight"].T + w.get("fc2.bias", 0)


def hidden_ph(m, ids, layers):
    x = m.table[ids]
    for i in range(layers):
        x = after(m, i, x, ids)
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
            turned = bool(place) != second[place]  # the rows are not in the order of the strand
            rows = after(m, i, rows[:, ::-1] if turned else rows, rc if second[place] else ids)
            if turned:
                rows = rows[:, ::-1]
            halves[place] = flip(rows) if place else rows
    w = m.under("backbone.norm_f.")
    return np.concatenate(reference.on_halves(lambda x: reference.norm(m, x, w), *halves), axis=-1)


def means(folder, fasta, bed, out):
    m, contigs = Model(folder), reference.read_fasta(fasta)
    ids = [reference.encode(m, contigs[chrom][start:end])[0] for chrom, start, end in reference.read_bed(bed)]
    np.save(out, np.array([reference.embedding(m, one, None).mean(axis=0) for one in ids]))


reference.Model, reference.hidden_ph, reference.hidden_ps = Model, hidden_ph, hidden_ps
if sys.argv[1] == "means":
    sys.exit(means(*sys.argv[2:]))
sys.exit(reference.main())
