#!/usr/bin/python3
"""Independent float64 reference of the Caduceus model, of the scores of caduceus annotate (regions and variants) and
of caduceus eval.

It shares no code with the C project, so that it can find mistakes of the C code. PS with fused_add_norm is computed as
published, with the two halves of the channels exchanged in every block, not by folding weights.

  reference.py verify DIR...                        compare with DIR/expected.safetensors; exit 1 above 2e-6
  reference.py annotate -m DIR -T FASTA [...] BED   print chrom, start, end and the scores, one line per region
  reference.py variants DIR FASTA VCF [...]         print chrom, pos, ref, alt, llr, dpll, n, dist, cos, jsd, infl
                                                    and note. With --score none no scores are computed; DIR may be -
  reference.py structural DIR FASTA VCF [...]       print chrom, pos, alt, sv and the number of bases compared
  reference.py evaluate -m DIR -T FASTA [...] BED   print group, predictor, bases, loss, bits, accuracy, perplexity
  reference.py random OUTDIR --seed S [--set k=v]   write a random checkpoint with its expected tensors
  reference.py sample OUTDIR --n 24 --seed S        write many, which together have every switch; --set k=v fixes some

Letters as in the C code: B sequences, L tokens, D d_model, E d_inner, N d_state, K d_conv, R dt_rank, V rows;
in Mamba-2 layers G ngroups, H heads of P = headdim channels.
"""
import argparse
import collections
import dataclasses
import functools
import gzip
import itertools
import json
import math
import os
import re
import sys

import numpy as np

TOLERANCE = 2e-6      # relative Frobenius; the expected tensors are float64 results stored as F32
SCAN_CHUNK = 1 << 15  # elements of a (time,B,E,N) temporary of the scan
PASS_CHUNK = 1 << 21  # elements of a (B,L,E) activation when masked passes are batched

# ---- safetensors -------------------------------------------------------------------------------------------

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "BF16": "<u2"}

def read_tensors(path):
    """{name: array}: floating point of any width becomes float64, I64 stays."""
    with open(path, "rb") as f:
        blob = f.read()
    size = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8:8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, t in header.items():
        lo, hi = (8 + size + o for o in t["data_offsets"])
        a = np.frombuffer(blob[lo:hi], DTYPES[t["dtype"]])
        if t["dtype"] == "BF16":
            a = (a.astype("<u4") << 16).view("<f4")
        a = a.reshape(t["shape"])
        tensors[name] = a if t["dtype"] == "I64" else a.astype(np.float64)
    return tensors

def to_bytes(a, dtype):
    if dtype == "BF16":  # round to nearest, ties to even, on the bits of the float32
        bits = a.astype("<f4").view("<u4")
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()
    return a.astype(DTYPES[dtype]).tobytes()

def write_tensors(path, tensors, dtype):
    """Write {name: array}, wide types first as the safetensors library does, so that all are aligned."""
    kinds = {n: "I64" if a.dtype.kind == "i" else dtype for n, a in tensors.items()}
    order = sorted(tensors, key=lambda n: (-np.dtype(DTYPES[kinds[n]]).itemsize, n))
    header, data, at = {"__metadata__": {"format": "pt"}}, [], 0
    for n in order:
        data.append(to_bytes(np.ascontiguousarray(tensors[n]), kinds[n]))
        header[n] = {"dtype": kinds[n], "shape": list(tensors[n].shape), "data_offsets": [at, at + len(data[-1])]}
        at += len(data[-1])
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as f:
        f.write(len(head).to_bytes(8, "little") + head + b"".join(data))

# ---- vocabulary and configuration --------------------------------------------------------------------------

TABLE = {t: i for i, t in enumerate("CLS SEP BOS MASK PAD RESERVED UNK A C G T N".split())}
PLANT = {t: i for i, t in enumerate("PAD MASK UNK A C G T".split())}

CONFIG = {"rms_norm": True, "fused_add_norm": True, "bidirectional": True, "bidirectional_strategy": "add",
          "bidirectional_weight_tie": True, "rcps": False, "norm_epsilon": 1e-5, "pad_vocab_size_multiple": 8,
          "residual_in_fp32": False}
SSM = {"d_state": 16, "d_conv": 4, "expand": 2, "dt_rank": "auto", "dt_min": 1e-3, "dt_max": 0.1,
       "dt_init": "random", "dt_scale": 1.0, "dt_init_floor": 1e-4, "conv_bias": True, "bias": False}
SSM2 = {"layer": "Mamba2", "d_state": 128, "d_conv": 4, "expand": 2, "headdim": 64, "ngroups": 1, "dt_min": 1e-3,
        "dt_max": 0.1, "dt_init_floor": 1e-4, "conv_bias": True, "bias": False}

def read_json(*path):
    try:
        with open(os.path.join(*path)) as f:
            return json.load(f)
    except FileNotFoundError:
        return None

def swaps(vocab):
    """Returns the complement map of a vocabulary, without ids that are their own complement."""
    return {vocab[b]: vocab[c] for b, c in zip("ACGT", "TGCA")}

def read_vocab(folder, comp):
    """{token in upper case without brackets: id}."""
    tokenizer = read_json(folder, "tokenizer.json")
    text = os.path.join(folder, "vocab.txt")
    if tokenizer is not None:
        found = tokenizer.get("model", tokenizer)["vocab"]
    elif os.path.exists(text):
        with open(text) as f:
            found = {t: i for i, t in enumerate(f.read().split())}
    else:
        plant = all(comp.get(i) == j for i, j in swaps(PLANT).items())
        return PLANT if plant else TABLE
    return {t.strip("[]<>").upper(): i for t, i in found.items()}

class Model:
    """A checkpoint folder: cfg, canonical tensors w, vocabulary, comp (V,)."""

    def __init__(self, folder):
        raw = read_json(folder, "config.json")
        self.cfg = {**CONFIG, **{k: v for k, v in raw.items() if v is not None}}
        self.w = {canonical(n): a for n, a in read_tensors(os.path.join(folder, "model.safetensors")).items()}
        self.mamba2 = any(n.endswith(".dt_bias") for n in self.w)  # config.json may not say
        self.ssm = {**(SSM2 if self.mamba2 else SSM), **(raw.get("ssm_cfg") or {})}
        self.tie("backbone.embeddings.word_embeddings.weight", "lm_head.weight")
        if self.cfg["bidirectional"] and self.cfg["bidirectional_weight_tie"]:
            for i, n in itertools.product(range(self.cfg["n_layer"]), ("in_proj", "out_proj")):
                for part in ("weight", "bias") if self.ssm["bias"] else ("weight",):
                    self.tie(*(f"backbone.layers.{i}.mixer.mamba_{d}.{n}.{part}" for d in ("fwd", "rev")))
        self.table = self.w["lm_head.weight"]  # (V,D)
        comp = raw.get("complement_map")
        comp = swaps(TABLE) if comp is None else {int(k): v for k, v in comp.items()}
        self.comp = np.array([comp.get(i, i) for i in range(len(self.table))])
        self.vocab = read_vocab(folder, comp)
        self.acgt = np.array([self.vocab[b] for b in "ACGT"])
        self.max_length = (read_json(folder, "tokenizer_config.json") or {}).get("model_max_length")

    def tie(self, x, y):
        a, b = self.w.get(x, self.w.get(y)), self.w.get(y, self.w.get(x))
        if not np.array_equal(a, b):
            raise ValueError(f"{x} and {y} are tied but differ")
        self.w[x] = self.w[y] = a

    def under(self, prefix):
        """Returns {rest of the name: tensor} of all tensors whose names begin with a prefix."""
        return {n[len(prefix):]: a for n, a in self.w.items() if n.startswith(prefix)}

def canonical(name):
    """Remove wrapper prefixes from a tensor name. They differ between PS, Ph, fused, unfused and training files."""
    name = re.sub(r"^(model\.)?(caduceus\.)?", "", name).replace(".submodule.", ".")
    return name.replace("word_embeddings.embedding.", "word_embeddings.").replace("lm_head.lm_head.", "lm_head.")

# ---- the model ---------------------------------------------------------------------------------------------

def silu(x):
    return x * 0.5 * (1 + np.tanh(x / 2))

def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))

def norm(m, x, w):
    """RMSNorm or LayerNorm over the last axis."""
    if not m.cfg["rms_norm"]:
        x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + m.cfg["norm_epsilon"]) * w["weight"]
    return x if m.cfg["rms_norm"] else x + w["bias"]

def conv(x, w):
    """Causal depthwise convolution: x (B,L,E), weight (E,1,K)."""
    weight = w["conv1d.weight"][:, 0]
    K, L = weight.shape[1], x.shape[1]
    x = np.pad(x, ((0, 0), (K - 1, 0), (0, 0)))
    return sum(x[:, k:k + L] * weight[:, k] for k in range(K)) + w.get("conv1d.bias", 0)

def scan(u, dt, A, Bm, Cm):
    """s <- exp(dt A) s + dt u B, y = s C: u, dt (B,L,E), Bm, Cm (B,L,N) -> (B,L,E)."""
    (B, L, E), N = u.shape, A.shape[1]
    u, dt, Bm, Cm = (np.moveaxis(v, 1, 0) for v in (u, dt, Bm, Cm))
    y, s = np.empty((L, B, E)), np.zeros((B, E, N))
    step = max(1, SCAN_CHUNK // (B * E * N))
    for at in range(0, L, step):
        t = slice(at, at + step)
        decay = np.exp(dt[t][..., None] * A)                       # (t,B,E,N)
        state = (dt[t] * u[t])[..., None] * Bm[t][:, :, None, :]   # what enters, then the state itself
        for k in range(len(state)):
            state[k] += decay[k] * s
            s = state[k]
        y[t] = (state @ Cm[t][..., None])[..., 0]
    return np.moveaxis(y, 0, 1)

def scan2(x, dt, A, Bm, Cm):
    """S <- exp(dt A) S + dt x B, y = S C for each head: x (B,L,H,P), dt (B,L,H), Bm, Cm (B,L,G,N) -> (B,L,H,P)."""
    B, L, H, P = x.shape
    each = H // Bm.shape[2]
    Bm, Cm = (np.repeat(v, each, axis=2) for v in (Bm, Cm))        # head h reads group h G / H
    S, y = np.zeros((B, H, P, Bm.shape[3])), np.empty_like(x)
    for t in range(L):
        S = np.exp(dt[:, t] * A)[..., None, None] * S
        S += (dt[:, t, :, None] * x[:, t])[..., None] * Bm[:, t, :, None, :]
        y[:, t] = (S @ Cm[:, t][..., None])[..., 0]
    return y

def mamba2(m, h, w):
    """One direction in its own time order, (B,L,D) -> (B,L,D)."""
    H, E, G, N = len(w["A_log"]), len(w["norm.weight"]), m.ssm["ngroups"], m.ssm["d_state"]
    z, xBC, r = np.split(h @ w["in_proj.weight"].T + w.get("in_proj.bias", 0), [E, 2 * E + 2 * G * N], axis=-1)
    x, Bm, Cm = np.split(silu(conv(xBC, w)), [E, E + G * N], axis=-1)
    heads, groups = (*x.shape[:2], H, E // H), (*x.shape[:2], G, N)
    x = x.reshape(heads)
    y = scan2(x, softplus(r + w["dt_bias"]), -np.exp(w["A_log"]), Bm.reshape(groups), Cm.reshape(groups))
    g = (y + w["D"][:, None] * x).reshape(z.shape) * silu(z)
    parts = g.reshape(*g.shape[:2], G, E // G)
    o = (parts / np.sqrt((parts * parts).mean(-1, keepdims=True) + 1e-5)).reshape(g.shape) * w["norm.weight"]
    return o @ w["out_proj.weight"].T + w.get("out_proj.bias", 0)

def mamba(m, h, w):
    """One direction in its own time order, (B,L,D) -> (B,L,D)."""
    if m.mamba2:
        return mamba2(m, h, w)
    x, z = np.split(h @ w["in_proj.weight"].T + w.get("in_proj.bias", 0), 2, axis=-1)
    u = silu(conv(x, w))
    R, N = w["dt_proj.weight"].shape[1], w["A_log"].shape[1]
    dt, Bm, Cm = np.split(u @ w["x_proj.weight"].T, [R, R + N], axis=-1)
    dt = softplus(dt @ w["dt_proj.weight"].T + w["dt_proj.bias"])
    y = scan(u, dt, -np.exp(w["A_log"]), Bm, Cm) + w["D"] * u
    return (y * silu(z)) @ w["out_proj.weight"].T + w.get("out_proj.bias", 0)

def bimamba(m, h, i):
    at = f"backbone.layers.{i}.mixer.mamba_"
    out = mamba(m, h, m.under(at + "fwd."))
    if not m.cfg["bidirectional"]:
        return out
    rev = mamba(m, h[:, ::-1], m.under(at + "rev."))[:, ::-1]
    return out * rev if m.cfg["bidirectional_strategy"] == "ew_multiply" else out + rev

def hidden_ph(m, ids, layers):
    h, res = m.table[ids], 0
    for i in range(layers):
        res = res + h
        h = bimamba(m, norm(m, res, m.under(f"backbone.layers.{i}.norm.")), i)
    return norm(m, res + h, m.under("backbone.norm_f."))

def flip(x):
    """Reverse length and channels: the reverse complement of one half of the channels."""
    return x[:, ::-1, ::-1]

def on_halves(f, first, second):
    """Apply f to the first half and, between two flips, to the second, as every RC-equivariant wrapper does."""
    out = f(np.concatenate([first, flip(second)]))
    return out[:len(first)], flip(out[len(first):])

def hidden_ps(m, ids, layers):
    """Hidden states (B,L,2D): the half of the sequence, then that of its reverse complement, flipped in length and
    channels."""
    h = m.table[ids], flip(m.table[revcomp(m, ids)])
    res = (0, 0)
    for i in range(layers):
        w = m.under(f"backbone.layers.{i}.norm.")
        if m.cfg["fused_add_norm"]:
            # The published fused block exchanges the halves: the norm of the second half goes to the first place, and
            # that of the first half to the second place, for hidden states and residual.
            h, res = h[::-1], res[::-1]
        res = h[0] + res[0], h[1] + res[1]
        h = on_halves(lambda x: norm(m, x, w), *res)
        h = on_halves(lambda x: bimamba(m, x, i), *h)
    w = m.under("backbone.norm_f.")  # the final norm exchanges nothing
    return np.concatenate(on_halves(lambda x: norm(m, x, w), h[0] + res[0], h[1] + res[1]), axis=-1)

def revcomp(m, ids):
    return m.comp[ids[:, ::-1]]

def hidden(m, ids, layers=None):
    """last_hidden_state of the published model, or of its first layers, followed by its final norm."""
    return (hidden_ps if m.cfg["rcps"] else hidden_ph)(m, ids, layers or m.cfg["n_layer"])

def strands(m, ids, ids_rc=None, layers=None):
    """Hidden states of the strand and of its reverse complement, each (B,L,D) in its own order. For PS both are halves
    of one run."""
    if m.cfg["rcps"]:
        a, c = np.split(hidden(m, ids, layers), 2, axis=-1)
        return a, flip(c)
    both = hidden(m, np.concatenate([ids, revcomp(m, ids) if ids_rc is None else ids_rc]), layers)
    return both[:len(ids)], both[len(ids):]

def head(m, h):
    """Logits (B,L,V) of the published model, from the result of hidden()."""
    if not m.cfg["rcps"]:
        return h @ m.table.T
    first, second = np.split(h, 2, axis=-1)
    return first @ m.table.T + second[..., ::-1] @ m.table[m.comp].T

def conjoined_logits(m, ids):
    """Logits (B,L,V), the same for both strands: those of PS unchanged, for Ph the mean over the strands."""
    if m.cfg["rcps"]:
        return head(m, hidden(m, ids))
    a, c = strands(m, ids)
    return (head(m, a) + head(m, c)[:, ::-1][..., m.comp]) / 2

def class_logits(m, ids, ids_rc=None):
    """Logits of a classifier with mean pooling; the mean over both strands for PS, and for Ph if ids_rc is given."""
    rate = lambda h: h.mean(1) @ m.w["score.weight"].T
    if not m.cfg["rcps"] and ids_rc is None:
        return rate(hidden(m, ids))
    a, c = strands(m, ids, ids_rc)
    return (rate(a) + rate(c)) / 2

def verify(args):
    worst = 0
    for folder in args.folders:
        m = Model(folder)
        want = read_tensors(os.path.join(folder, "expected.safetensors"))
        for name, error in compare(m, want):
            worst = max(worst, error) if error == error else math.inf
            print(f"{os.path.basename(os.path.normpath(folder))}\t{name}\t{error:.3e}", flush=True)
    return 0 if worst <= TOLERANCE else 1

def compare(m, want):
    ids = want["input_ids"]
    got = {}
    if "class_logits" in want:
        got["class_logits"] = class_logits(m, ids, want.get("input_ids_rc"))
    else:
        got["last_hidden_state"] = hidden(m, ids)
        got["logits"] = head(m, got["last_hidden_state"])
    for name, x in got.items():
        yield name, np.linalg.norm(x - want[name]) / np.linalg.norm(want[name])

# ---- annotate ----------------------------------------------------------------------------------------------

def read_bytes(path):
    """The content of a plain or gzip file (BGZF is gzip)."""
    with open(path, "rb") as f:
        data = f.read()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data

def read_fasta(path):
    """{name: bytes}"""
    records = (r.partition(b"\n") for r in re.split(rb"(?m)^>", read_bytes(path))[1:])
    return {name.split()[0].decode(): b"".join(seq.split()) for name, _, seq in records}

def read_bed(path):
    with open(path) as f:
        for row in map(str.split, f):
            if row and row[0] not in ("track", "browser") and not row[0].startswith("#"):
                yield row[0], int(row[1]), int(row[2])

def encode(m, text):
    """Letters -> token ids (L,) and indexes into ACGT (L,), -1 for other letters. Other letters get the id of PAD, or
    of UNK in a vocabulary without N."""
    base = np.full(256, -1)
    for i, (big, small) in enumerate(zip(b"ACGT", b"acgt")):
        base[big] = base[small] = i
    base = base[np.frombuffer(text, np.uint8)]
    other = m.vocab["PAD" if "N" in m.vocab else "UNK"]
    return np.where(base < 0, other, m.acgt[base]), base

def cores(start, end, C):
    """Cut a region about its middle into cores of at most C bases, symmetrically."""
    if end - start <= C:
        return [(start, end)] if start < end else []
    middle = C - (end - start - C) % 2
    cuts = [start + (end - start - middle) // 2]
    cuts.append(cuts[0] + middle)
    while cuts[0] > start:
        cuts.insert(0, max(start, cuts[0] - C))
    while cuts[-1] < end:
        cuts.append(min(end, cuts[-1] + C))
    return [(a, b) for a, b in zip(cuts, cuts[1:]) if a < b]

def mask_sets(mask, at, origin):
    """Split the window positions in the array `at` (n,) into sets that share a pass. origin: 0-based window start."""
    if mask == "none" or not len(at):
        return [at] if len(at) else []
    if mask == "each":
        return [at[i:i + 1] for i in range(len(at))]
    residue = (at + origin) % int(mask.removeprefix("stride:"))
    return [at[residue == r] for r in np.unique(residue)]

def base_log_probs(m, ids, sets, masked, vocab=False):
    """log softmax over ACGT, or over the whole vocabulary, (n,4) at the positions of all sets; one pass per set."""
    rows = max(1, PASS_CHUNK // (2 * len(ids) * m.ssm["expand"] * m.cfg["d_model"]))
    out = [np.empty((0, 4))]
    for at in range(0, len(sets), rows):
        group = sets[at:at + rows]
        batch = np.repeat(ids[None], len(group), 0)
        for row, s in zip(batch, group if masked else ()):
            row[s] = m.vocab["MASK"]
        logits = conjoined_logits(m, batch)  # (rows,L,V)
        over = logits if vocab else logits[..., m.acgt]
        x = logits[..., m.acgt] - np.log(np.exp(over - over.max(-1, keepdims=True)).sum(-1, keepdims=True)) \
            - over.max(-1, keepdims=True)
        out += [y[s] for y, s in zip(x, group)]
    return np.concatenate(out)

def embedding(m, ids, layer):
    """Embeddings (L,D) of ids (L,) after a layer, the mean over both strands."""
    a, c = strands(m, ids[None], layers=layer)
    return ((a + c[:, ::-1]) / 2)[0]

def region(m, seq, start, end, opt):
    """For a region: log probabilities (n,4), the true bases (n,), and embeddings (end-start,D) or None."""
    lps, bases, embeddings = [np.empty((0, 4))], [np.empty(0, int)], []
    for lo, hi in cores(start, end, opt.window - 2 * opt.flank):
        origin, stop = max(0, lo - opt.flank), min(len(seq), hi + opt.flank)
        text = seq[origin:stop]
        ids, base = encode(m, text)
        scored = base >= 0
        if opt.skip_soft_masked:
            scored &= np.frombuffer(text, np.uint8) < ord("a")
        scored[:lo - origin] = scored[hi - origin:] = False
        sets = mask_sets(opt.mask, np.flatnonzero(scored), origin)
        lps.append(base_log_probs(m, ids, sets, opt.mask != "none"))
        bases += [base[s] for s in sets]
        if opt.embed:  # computed without masking
            embeddings.append(embedding(m, ids, opt.layer)[lo - origin:hi - origin])
    return np.concatenate(lps), np.concatenate(bases), np.concatenate(embeddings) if embeddings else None

def pooled(e, how):
    n = len(e)
    return {"mean": e.mean(0), "max": e.max(0), "center": (e[(n - 1) // 2] + e[n // 2]) / 2}[how]

def score(name, lp, base):
    """The values (n,) whose mean is the score of a region."""
    p = np.exp(lp)
    ref = np.arange(len(base)), base
    entropy = -(p * lp).sum(-1) / np.log(2)
    table = {"pll": lp[ref], "entropy": entropy, "ic": 2 - entropy, "logo_ref": p[ref] * (2 - entropy),
             **{"p" + b: p[:, i] for i, b in enumerate("ACGT")}}
    return table[name.removesuffix("_unmasked")]

def cell(name, lp, base):
    if name == "n":
        return str(len(base))
    return "%.10g" % (score(name, lp, base).mean() + 0.0) if len(base) else "."  # + 0.0 turns -0 into 0

def default_window(m):
    return m.max_length if m.max_length and m.max_length <= 1 << 20 else 131072

def annotate(opt):
    m, fasta = Model(opt.model), read_fasta(opt.reference)
    if opt.window is None:
        opt.window = default_window(m)
    if opt.flank is None:
        opt.flank = min(1024, opt.window // 4)
    if 2 * opt.flank >= opt.window:
        sys.exit("reference.py annotate: 2 flanks do not fit the window")
    embeddings = []
    for chrom, start, end in read_bed(opt.bed):
        if not 0 <= start <= end <= len(fasta[chrom]):
            sys.exit(f"reference.py annotate: {chrom}:{start}-{end} is not within the contig")
        lp, base, e = region(m, fasta[chrom], start, end, opt)
        print(chrom, start, end, *(cell(s, lp, base) for s in opt.score.split(",")), sep="\t", flush=True)
        embeddings.append(np.full(m.cfg["d_model"], np.nan) if e is None else pooled(e, opt.pool))
    if opt.embed:
        np.save(opt.embed, np.array(embeddings).reshape(-1, m.cfg["d_model"]))
    return 0

# ---- eval ---------------------------------------------------------------------------------------------------

def both_strands(text):
    return text, text[::-1].translate(str.maketrans("ACGT", "TGCA"))

def count_words(texts, order):
    """How often each word of up to order + 1 bases occurs on both strands."""
    strands = (s for text in texts for s in both_strands(text))
    words = (s[i - k:i + 1] for s in strands for i in range(len(s)) for k in range(min(order, i) + 1))
    return collections.Counter(w for w in words if set(w) <= set("ACGT"))

def markov(words, order, before):
    """P(A,C,G,T) of the base after a text, for each order: (order+1,4)."""
    rows = [np.full(4, 0.25)]
    for k in range(order + 1):
        context = before[len(before) - k:]
        n = np.array([words[context + x] for x in "ACGT"])
        known = len(before) >= k and set(context) <= set("ACGT")
        rows.append((n + (k + 2) * rows[-1]) / (n.sum() + k + 2) if known else rows[-1])
    return np.array(rows[1:])

def markov_sides(words, order, text, t):
    """Probabilities (2,order+1,4): predicted from the left, and from both sides."""
    left = markov(words, order, text[:t])
    right = markov(words, order, both_strands(text)[1][:len(text) - 1 - t])[:, ::-1]
    both = left * right / left[0]
    return np.array([left, both / both.sum(-1, keepdims=True)])

def put_result(group, predictor, p, base):
    """Accuracy of p (n,4) for base (n,). A base that ties with k-1 others counts 1/k."""
    true = p[np.arange(len(base)), base]
    best = p == p.max(-1, keepdims=True)
    right = best[np.arange(len(base)), base] / best.sum(-1)
    loss = -np.log(true).mean()
    numbers = loss, loss / math.log(2), right.mean(), math.exp(loss)
    print(group, predictor, len(base), *("%.6g" % x for x in numbers), sep="\t")

def evaluate(opt):
    """Evaluate the rows of a BED. Column 4 names the split of each row; rows neither touch nor overlap."""
    m, fasta = Model(opt.model), read_fasta(opt.reference)
    opt.embed = None
    with open(opt.bed) as f:
        rows = [(c, int(beg), int(end), split) for c, beg, end, split in map(str.split, f)]
    as_is = {c: seq.decode() for c, seq in fasta.items()}
    upper = {c: text.upper() for c, text in as_is.items()}
    words = count_words([upper[c][beg:end] for c, beg, end, split in rows if split == "train"], opt.markov)
    for group in dict.fromkeys(split for *_, split in rows):
        logp, base, other, at_base = [], [], [], []
        for c, start, end in (r[:3] for r in rows if r[3] == group):
            lp, b, _ = region(m, fasta[c], start, end, opt)
            logp.append(lp)
            base.append(b)
            for lo, hi in cores(start, end, opt.window - 2 * opt.flank):
                origin, text = max(0, lo - opt.flank), upper[c][max(0, lo - opt.flank):hi + opt.flank]
                scored = [t for t in range(lo, hi) if as_is[c][t] in ("ACGT" if opt.skip_soft_masked else "ACGTacgt")]
                other += [markov_sides(words, opt.markov, text, t - origin) for t in scored]
                at_base += ["ACGT".index(upper[c][t]) for t in scored]
        put_result(group, "model", np.exp(np.concatenate(logp)), np.concatenate(base))
        other = np.array(other)
        for k in range(opt.markov + 1):
            put_result(group, f"markov-{k}", other[:, 0, k], np.array(at_base))
        for k in range(1, opt.markov + 1):
            put_result(group, f"markov-{k}-two-sided", other[:, 1, k], np.array(at_base))
    return 0

# ---- variants ----------------------------------------------------------------------------------------------

VARIANT_SCORES = "llr", "dpll", "n", "dist", "cos", "jsd", "infl"
UNTOUCHED = {".", "<NON_REF>", "<*>"}  # a record with only these ALTs has no alternative sequence
NOT_ACGT = re.compile(rb"[^ACGT]")

@dataclasses.dataclass
class Allele:
    """An ALT on its contig: the segments REF [beg,end) and alt, between a and b bases of context."""
    note: str = None
    kind: str = None    # SNV or OTHER
    beg: int = None
    end: int = None
    alt: bytes = None
    a: int = None
    b: int = None
    n: int = None       # bases compared, None if the allele is not scored
    spans: list = None  # for the REF and the ALT haplotype: [lo,hi), and whether the outermost bases have weight 1/2

    def haplotypes(self, seq):
        left, right = seq[self.beg - self.a:self.beg], seq[self.end:self.end + self.b]
        return left + seq[self.beg:self.end] + right, left + self.alt + right

def read_vcf(path):
    """chrom, pos, ref and alts of every record."""
    for row in read_bytes(path).decode().split("\n"):
        if row and not row.startswith("#"):
            chrom, pos, _, ref, alts = row.split("\t")[:5]
            yield chrom, int(pos), ref, alts.split(",")

def trim(ref, alt):
    """Take off the common suffix, then the common prefix: (length of the prefix, ref, alt)."""
    k = len(os.path.commonprefix([ref[::-1], alt[::-1]]))
    ref, alt = ref[:len(ref) - k], alt[:len(alt) - k]
    k = len(os.path.commonprefix([ref, alt]))
    return k, ref[k:], alt[k:]

def slide(seq, beg, end, unit, limit):
    """How many bases an indel of unit at [beg,end) can be shifted left and right; counting stops beyond limit."""
    fits = lambda i, j: 0 <= i < len(seq) and seq[i] in b"ACGT" and seq[i] == unit[j % len(unit)]
    left = right = 0
    while left <= limit and fits(beg - left - 1, -left - 1):
        left += 1
    while right <= limit and fits(end + right, right):
        right += 1
    return left, right

def scored_spans(lengths, a, b, s):
    """Allele.spans, or None. In each haplotype as many bases count as the longer segment has, and s on either side."""
    spans = []
    room = a - min(s, a), b - min(s, b)
    for length in lengths:
        more = max(lengths) - length
        half = (more + 1) // 2
        left, right = half, half
        if half > min(room):  # one side has too few bases, so the other gives the rest
            left, right = (min(r, more - min(room)) for r in room)
        if left + right < more:
            return None
        spans.append((a - min(s, a) - left, a + length + min(s, b) + right, left + right > more))
    return spans

def locate(seq, beg, ref, alt, opt):
    """The Allele of REF at beg and ALT, both upper-case sequences; REF agrees with seq."""
    prefix, ref, alt = trim(ref, alt)
    if not ref and not alt:
        return Allele("SAME")
    if NOT_ACGT.search(ref):
        return Allele("N_REF")
    if NOT_ACGT.search(alt):
        return Allele("N_ALT")
    beg, end = beg + prefix, beg + prefix + len(ref)
    snv = len(ref) == len(alt) == 1
    s = 0 if snv else min(128, *opt.flanks)
    limit = max(1024, opt.window // 4)
    if not ref or not alt:
        left, right = slide(seq, beg, end, ref or alt, limit)
        alt = seq[beg - left:beg] + alt + seq[end:end + right]
        beg, end = beg - left, end + right
    short, m = sorted([end - beg, len(alt)])
    if m > limit:
        return Allele("LONG", "OTHER")
    fl, fr = (max(f, s + (m - short + 1) // 2) for f in opt.flanks)
    a, b = min(fl, beg), min(fr, len(seq) - end)
    a, b = min(beg, a + fr - b), min(len(seq) - end, b + fl - a)  # missing context is added on the other side
    v = Allele("EDGE", "SNV" if snv else "OTHER", beg, end, alt, a, b)
    v.spans, side = None, s + 1
    while not v.spans and side:  # near a contig's end fewer bases a side
        side -= 1
        v.spans = scored_spans([end - beg, len(alt)], a, b, side)
    if not v.spans:
        return v
    if any(NOT_ACGT.search(h, lo, hi) for h, (lo, hi, _) in zip(v.haplotypes(seq), v.spans)):
        v.note = "N_REF"
        return v
    v.n = m + min(side, a) + min(side, b)
    if a + b == fl + fr and min(a, b) >= s and side == s:
        v.note = None
    return v

def agrees(seq, beg, ref):
    """Whether REF is within the contig and agrees with its bases."""
    there = seq[max(0, beg):beg + len(ref)]
    return len(there) == len(ref) and not any(x != y and x in b"ACGT" and y in b"ACGT" for x, y in zip(there, ref))

def alleles(fasta, chrom, pos, ref, alts, opt):
    """Returns an Allele for each ALT of a record."""
    seq, ref = fasta.get(chrom), ref.upper().encode()
    for alt in alts:
        if not re.fullmatch("[A-Za-z]+", alt):
            yield Allele(None if UNTOUCHED.issuperset(alts) else "STAR" if alt == "*" else "SYMBOLIC")
        elif seq is None:
            yield Allele("NO_CONTIG")
        elif agrees(seq, pos - 1, ref):
            yield locate(seq, pos - 1, ref, alt.upper().encode(), opt)
        elif opt.check_ref == "w":
            yield Allele("REF_MISMATCH")
        else:
            sys.exit(f"reference.py variants: {chrom}:{pos}: REF is not what the FASTA has")

@functools.lru_cache(4)  # the alleles of a site share what is computed for REF
def span_log_probs(m, haplotype, lo, hi, mask):
    """Log probabilities (hi-lo,4). Only bases of the span are masked, as --mask says."""
    ids, _ = encode(m, haplotype)
    sets = mask_sets(mask, np.arange(lo, hi), 0)
    lp = np.empty((hi - lo, 4))
    lp[np.concatenate(sets) - lo] = base_log_probs(m, ids, sets, mask != "none")
    return lp

@functools.lru_cache(4)
def haplotype_embedding(m, haplotype, layer):
    return embedding(m, encode(m, haplotype)[0], layer)

def llr(m, v, haplotypes):
    lp = span_log_probs(m, haplotypes[0], v.a, v.a + 1, "each")[0]
    ref, alt = (b"ACGT".index(h[v.a]) for h in haplotypes)
    return lp[alt] - lp[ref]

def dpll(m, v, haplotypes, mask):
    total = []
    for h, (lo, hi, half) in zip(haplotypes, v.spans):
        lp = span_log_probs(m, h, lo, hi, mask)
        lp = lp[np.arange(hi - lo), encode(m, h[lo:hi])[1]]
        total.append(lp.sum() - (lp[0] + lp[-1]) / 2 * half)
    return total[1] - total[0]

def distances(m, v, haplotypes, radius, layer):
    """Returns {dist, cos}, or {} if there is no base to pool."""
    w = min(radius, v.a, v.b)
    ends = [len(h) - v.b + w for h in haplotypes]
    if min(ends) == v.a - w:
        return {}
    x, y = (haplotype_embedding(m, h, layer)[v.a - w:end].mean(0) for h, end in zip(haplotypes, ends))
    return {"dist": np.linalg.norm(x - y), "cos": 1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y)}

def log_odds(lp):
    """log(p/(1-p)) of each base (n,4); 1-p is the sum of the other three, so that it does not vanish."""
    return np.stack([lp[:, b] - np.logaddexp.reduce(np.delete(lp, b, 1), axis=1) for b in range(4)], 1)

def around(m, v, haplotypes, radius):
    """Returns {jsd, infl}, means over the A, C, G and T of the `radius` bases on each side, or {} if there are none."""
    left, right = min(radius, v.a), min(radius, v.b)
    lps = []
    for h in haplotypes:
        at = [*range(v.a - left, v.a), *range(len(h) - v.b, len(h) - v.b + right)]
        at = np.array([i for i in at if h[i:i + 1] in b"ACGT"], int)
        lps.append(base_log_probs(m, encode(m, h)[0], [at], False) if len(at) else np.empty((0, 4)))
    if not len(lps[0]):
        return {}
    x, y = (np.exp(lp) for lp in lps)
    mid = (x + y) / 2
    jsd = ((x * np.log2(x / mid)).sum(-1) + (y * np.log2(y / mid)).sum(-1)) / 2
    change = abs(log_odds(lps[0]) - log_odds(lps[1])).max(-1)
    return {"jsd": jsd.mean(), "infl": change.mean()}

def allele_scores(m, seq, v, opt):
    """Returns {name: value} of a scored allele, with the requested scores only."""
    out, haplotypes = {"n": v.n}, v.haplotypes(seq)
    if v.kind == "SNV" and "llr" in opt.score:
        out["llr"] = llr(m, v, haplotypes)
    if v.kind == "OTHER" and "dpll" in opt.score:
        out["dpll"] = dpll(m, v, haplotypes, opt.mask)
    if {"dist", "cos"} & opt.score:
        out |= distances(m, v, haplotypes, opt.pool_window, opt.layer)
    if {"jsd", "infl"} & opt.score:
        out |= around(m, v, haplotypes, opt.pool_window)
    return {name: "%.9g" % (x + 0.0) for name, x in out.items() if name in opt.score}

def flanks(opt):
    """Nominal number of context bases to the left and to the right."""
    if opt.anchor is not None:
        return opt.anchor, opt.window - 1 - opt.anchor
    flank = min(1024, (opt.window - 1) // 2) if opt.flank is None else opt.flank
    return flank, flank

def variants(opt):
    if opt.score != {"none"} and not opt.score.issubset(VARIANT_SCORES):
        sys.exit("reference.py variants: unknown --score")
    if opt.model == "-" and (opt.score != {"none"} or opt.window is None):
        sys.exit("reference.py variants: without a model, --score none and --window are needed")
    m = None if opt.model == "-" else Model(opt.model)
    fasta = {name: seq.upper() for name, seq in read_fasta(opt.fasta).items()}
    if opt.window is None:
        opt.window = default_window(m)
    opt.flanks = flanks(opt)
    if min(opt.flanks) < 0 or sum(opt.flanks) >= opt.window:
        sys.exit("reference.py variants: the flanks do not fit the window")
    records = itertools.islice(read_vcf(opt.vcf), opt.limit)
    for i, (chrom, pos, ref, alts) in enumerate(records):
        if opt.pick and i not in opt.pick:
            continue
        for alt, v in zip(alts, alleles(fasta, chrom, pos, ref, alts, opt)):
            if opt.score == {"none"}:
                cells = v.kind or "-", v.beg, v.end, (v.alt or b"").decode(), v.a, v.b, v.note, v.n
            else:
                got = allele_scores(m, fasta[chrom], v, opt) if v.n else {}
                cells = *map(got.get, VARIANT_SCORES), v.note
            print(chrom, pos, ref, alt, *("." if c in (None, "") else c for c in cells), sep="\t", flush=True)
    return 0

# ---- structural variants ------------------------------------------------------------------------------------

RC = bytes.maketrans(b"ACGT", b"TGCA")

def alternative(seq, pos, ref, alt, info, limit):
    """Returns the ALT contigs, junctions in them and pairs of REF and ALT places to compare: (contigs, [(contig,
    place)], [(REF breakpoint, REF place, junction, ALT place)]); places step outwards with i. None: not scored."""
    L, kind = len(seq), re.match("<([A-Z]+)(:TANDEM|:ME.*)?>$", alt)
    if not kind and not re.fullmatch("[A-Za-z]+", alt):
        return None
    if not kind or kind[1] == "INS":
        if kind:
            b = e = pos
            inside = info.get("SVINSSEQ"), info.get("SVINSSEQ")
            if not inside[0]:
                inside = info.get("LEFT_SVINSSEQ"), info.get("RIGHT_SVINSSEQ")
            if not all(inside):
                return None
            left, right = (s.encode() for s in inside)
            if "SVINSSEQ" in info:
                contigs = [seq[:b] + left + seq[e:]]
                junctions = [(0, b), (0, b + len(left))]
            else:
                contigs = [seq[:b] + left, right + seq[e:]]
                junctions = [(0, b), (1, len(right))]
        else:
            prefix, x, y = trim(ref.encode(), alt.encode())
            b, e = pos - 1 + prefix, pos - 1 + prefix + len(x)
            if NOT_ACGT.search(x + y):
                return None
            if not x or not y:
                l, r = slide(seq, b, e, x or y, 10 ** 9)
                y = seq[b - l:b] + y + seq[e:e + r]
                b, e = b - l, e + r
            if max(e - b, len(y)) <= limit:
                return None
            contigs, junctions = [seq[:b] + y + seq[e:]], [(0, b), (0, b + len(y))]
        pairs = [(b, lambda i: b - 1 - i, 0, lambda i: b - 1 - i, b),
                 (e, lambda i: e + i, 1, lambda i: junctions[1][1] + i, L - e)]
        return contigs, junctions, pairs
    b, length = pos, abs(int(info.get("SVLEN", "0").split(",")[0]))
    e = int(info["END"]) if "END" in info else b + length
    n = e - b
    before = b, lambda i: b - 1 - i, 0, lambda i: b - 1 - i, b
    if kind[1] == "DEL":
        return [seq[:b] + seq[e:]], [(0, b)], [before, (e, lambda i: e + i, 0, lambda i: b + i, L - e)]
    if kind[1] == "DUP":
        return [seq[:e] + seq[b:]], [(0, e)], [(e, lambda i: e - 1 - i, 0, lambda i: e - 1 - i, n),
                                              (b, lambda i: b + i, 0, lambda i: e + i, n)]
    if kind[1] == "INV":
        contig = seq[:b] + seq[b:e][::-1].translate(RC) + seq[e:]
        return [contig], [(0, b), (0, e)], [before, (e, lambda i: e - 1 - i, 0, lambda i: b + i, n),
                                           (b, lambda i: b + i, 1, lambda i: e - 1 - i, n),
                                           (e, lambda i: e + i, 1, lambda i: e + i, L - e)]
    return None

def own_log_prob(m, contig, centre, place, opt, known):
    """log p of the base at a place, read in the window around the centre; None if it is not a base of the window."""
    left, right = opt.flanks
    beg, end = max(0, centre - left), min(len(contig), centre + right)
    if not beg <= place < end or contig[place:place + 1] not in [b"A", b"C", b"G", b"T"]:
        return None
    key = contig[beg:end]
    if key not in known:
        known[key] = base_log_probs(m, encode(m, key)[0], [np.arange(len(key))], False, opt.vocab_softmax)
    return known[key][place - beg][b"ACGT".index(contig[place])]

def structural(opt):
    m = Model(opt.model)
    fasta = {name: seq.upper() for name, seq in read_fasta(opt.fasta).items()}
    opt.flanks = flanks(opt)
    for row in read_bytes(opt.vcf).decode().split("\n"):
        if not row or row.startswith("#"):
            continue
        chrom, pos, _, ref, alts, _, _, info = row.split("\t")[:8]
        info = dict(x.split("=") for x in info.split(";") if "=" in x)
        for alt in alts.split(","):
            seq, known, sums = fasta[chrom], {}, []
            found = alternative(seq, int(pos), ref, alt, info, max(1024, opt.window // 4))
            for at, place, junction, other, n in found[2] if found else ():
                contig, centre = found[1][min(junction, len(found[1]) - 1)]
                for i in range(min(n, opt.sv_flank)):
                    x = own_log_prob(m, seq, at, place(i), opt, known)
                    y = own_log_prob(m, found[0][contig], centre, other(i), opt, known)
                    if x is not None and y is not None:
                        sums.append(y - x)
            cells = ("%.9g" % np.mean(sums), len(sums)) if sums else (".", ".")
            print(chrom, pos, alt if len(alt) < 40 else "long", *cells, sep="\t", flush=True)
    return 0

# ---- random checkpoints ------------------------------------------------------------------------------------

SETTINGS = {  # the defaults of random, and for sample the values each setting takes
    "d_model": (16, [7, 16, 20, 24, 34, 48]), "n_layer": (2, [1, 2, 3, 4]), "rcps": (True, [True, True, False]),
    "fused_add_norm": (True, [True, True, False]), "rms_norm": (True, [True, True, False]),
    "norm_epsilon": (1e-5, [1e-5, 1e-5, 1e-3]), "bidirectional": (True, [True, True, True, False]),
    "bidirectional_strategy": ("add", ["add", "add", "add", "ew_multiply"]),
    "bidirectional_weight_tie": (True, [True, True, False]), "d_state": (16, [16, 16, 8, 5, 1]),
    "d_conv": (4, [4, 4, 3, 2]), "expand": (2, [2, 2, 3, 1]), "dt_rank": ("auto", ["auto", "auto", 1, 5]),
    "bias": (False, [False, False, True]), "conv_bias": (True, [True, True, False]),
    "layer": ("Mamba1", ["Mamba1"]), "named": (True, [True, False]),  # named: ssm_cfg says Mamba2
    "ngroups": (1, [1, 2, 3]), "heads": (2, [1, 2, 3]),  # Mamba-2: maximum number of heads per group
    "num_labels": (0, [0, 0, 0, 1, 2, 5]),               # above 0: a classifier
    "labels_as": ("num_labels", ["num_labels", "id2label", "absent"]),
    "vocab": ("table", ["table", "table", "plant"]),     # the plant vocabulary without a file is implicit in the map
    "vocab_file": ("none", ["none", "none", "tokenizer.json", "vocab.txt"]),
    "vocab_stored": ("after", ["before", "after"]),      # vocab_size before or after padding
    "pad_vocab_size_multiple": (8, [8, 8, 16, 1]),
    "map": ("full", ["full", "full", "short", "absent"]),  # complement_map: all ids, those that change, no map
    "config": ("full", ["full", "terse"]),               # terse leaves defaults out
    "dtype": ("F32", ["F32", "F16", "BF16"]), "keep": ("fwd", ["fwd", "rev", "both"]),
    "keep_head": ("embedding", ["embedding", "lm_head", "both"]),
    "prefix": ("caduceus.", ["caduceus.", "caduceus.", "", "model.caduceus."]),
    "model_max_length": (None, [None, 64, 512, 10 ** 30]),
    "L": (50, [1, 2, 3, 17, 64, 100, 257]), "B": (2, [1, 2, 3]),
}

def settle(s):
    """Resolve the combinations that cannot be stored."""
    if s["prefix"] == "":
        s["num_labels"] = 0           # a bare backbone has no head of either kind
    if s["prefix"] == "" or s["num_labels"]:
        s["keep_head"] = "embedding"
    if s["vocab"] == "plant" and s["map"] == "absent":
        s["map"] = "full"             # an absent map is the table's
    E = s["expand"] * s["d_model"]
    s["ngroups"] = max(g for g in range(1, s["ngroups"] + 1) if E % g == 0)
    s["heads"] = s["ngroups"] * max(h for h in range(1, s["heads"] + 1) if E // s["ngroups"] % h == 0)
    s["headdim"] = E // s["heads"]
    return s

def padded(s):
    n, k = len(PLANT if s["vocab"] == "plant" else TABLE), s["pad_vocab_size_multiple"]
    return -(-n // k) * k

def full_map(s, size):
    swap = swaps(PLANT if s["vocab"] == "plant" else TABLE)
    return {i: swap.get(i, i) for i in range(size)}

def make_config(s):
    V = padded(s) if s["vocab_stored"] == "after" else len(PLANT if s["vocab"] == "plant" else TABLE)
    cfg = {k: s.get(k, v) for k, v in CONFIG.items()}
    usual = SSM2 if s["layer"] == "Mamba2" else SSM
    ssm = {k: s.get(k, v) for k, v in usual.items()}
    if s["config"] == "terse":
        cfg = {k: v for k, v in cfg.items() if v != CONFIG[k]}
        ssm = {k: v for k, v in ssm.items() if v != usual[k] or k == "layer"} or None
    if s["layer"] == "Mamba2" and not s["named"]:
        del ssm["layer"]
        cfg.setdefault("bidirectional_strategy", None)
    cfg.update(architectures=["CaduceusFor" + ("SequenceClassification" if s["num_labels"] else "MaskedLM")],
               model_type="caduceus", d_model=s["d_model"], n_layer=s["n_layer"], vocab_size=V, ssm_cfg=ssm,
               torch_dtype={"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[s["dtype"]])
    if s["map"] != "absent":
        cfg["complement_map"] = {str(i): j for i, j in full_map(s, V).items() if s["map"] == "full" or i != j}
    if s["num_labels"] and s["labels_as"] == "num_labels":
        cfg["num_labels"] = s["num_labels"]
    if s["num_labels"] and s["labels_as"] == "id2label":
        cfg["id2label"] = {str(i): f"LABEL_{i}" for i in range(s["num_labels"])}
    return cfg

def make_direction2(s, rng):
    """Makes one Mamba-2 direction; see make_direction."""
    D, N, K, E, G, H = s["d_model"], s["d_state"], s["d_conv"], s["expand"] * s["d_model"], s["ngroups"], s["heads"]
    C = E + 2 * G * N
    linear = lambda fan_in, *shape: rng.uniform(-1, 1, shape) * (3 / fan_in) ** 0.5
    dt = np.exp(rng.uniform(np.log(0.003), np.log(0.3), H))
    w = {"in_proj.weight": linear(D, E + C + H, D), "conv1d.weight": linear(K, C, 1, K),
         "dt_bias": np.log(np.expm1(dt)), "A_log": np.log(rng.uniform(1, 16, H)), "D": rng.normal(1, 0.3, H),
         "norm.weight": rng.normal(1, 0.3, E), "out_proj.weight": linear(E, D, E) / s["n_layer"] ** 0.5}
    if s["conv_bias"]:
        w["conv1d.bias"] = linear(3 * K, C)
    if s["bias"]:
        w.update({"in_proj.bias": rng.normal(0, 0.2, E + C + H), "out_proj.bias": rng.normal(0, 0.2, D)})
    return w

def make_direction(s, rng):
    """One Mamba. Unlike a fresh model: linear layers of gain one and dt mostly in 0.003..0.3, so that a mistake in
    the scan or in a deep layer shows at the end, and A_log, D jittered, so that no two channels are alike."""
    if s["layer"] == "Mamba2":
        return make_direction2(s, rng)
    D, N, K, E = s["d_model"], s["d_state"], s["d_conv"], s["expand"] * s["d_model"]
    R = math.ceil(D / 16) if s["dt_rank"] == "auto" else s["dt_rank"]
    linear = lambda fan_in, *shape: rng.uniform(-1, 1, shape) * (3 / fan_in) ** 0.5
    dt = np.exp(rng.uniform(np.log(0.003), np.log(0.3), E))
    w = {"in_proj.weight": linear(D, 2 * E, D), "conv1d.weight": linear(K, E, 1, K),
         "x_proj.weight": linear(E, R + 2 * N, E), "dt_proj.weight": linear(3 * R, E, R),
         "dt_proj.bias": np.log(np.expm1(dt)), "D": rng.normal(1, 0.3, E),
         "A_log": np.log(np.arange(1, N + 1)) + rng.normal(0, 0.3, (E, N)),
         "out_proj.weight": linear(E, D, E) / s["n_layer"] ** 0.5}
    if s["conv_bias"]:
        w["conv1d.bias"] = linear(3 * K, E)
    if s["bias"]:
        w.update({"in_proj.bias": rng.normal(0, 0.2, 2 * E), "out_proj.bias": rng.normal(0, 0.2, D)})
    return w

def make_mixer(s, rng):
    """{mamba_fwd.…, mamba_rev.…}: tied tensors equal, stored under the names that keep says."""
    fwd = make_direction(s, rng)
    if not s["bidirectional"]:
        return {"mamba_fwd." + n: a for n, a in fwd.items()}
    rev = make_direction(s, rng)
    if s["bidirectional_weight_tie"]:
        tied = {n: fwd[n] for n in fwd if n.startswith(("in_proj", "out_proj"))}
        rev.update(tied)
        if s["keep"] != "both":
            for n in tied:
                del (rev if s["keep"] == "fwd" else fwd)[n]
    return {f"mamba_{d}.{n}": a for d, w in (("fwd", fwd), ("rev", rev)) for n, a in w.items()}

def make_norm(s, rng):
    wrap = "submodule." if s["rcps"] and not s["fused_add_norm"] else ""
    w = {wrap + "weight": rng.normal(1, 0.3, s["d_model"])}
    if not s["rms_norm"]:
        w[wrap + "bias"] = rng.normal(0, 0.1, s["d_model"])
    return w

def make_tensors(s, rng):
    base, D, V = s["prefix"] + "backbone.", s["d_model"], padded(s)
    outer = "model." if s["prefix"].startswith("model.") else ""
    out = {}
    put = lambda at, w: out.update({at + n: a for n, a in w.items()})
    for i in range(s["n_layer"]):
        put(f"{base}layers.{i}.mixer." + ("submodule." if s["rcps"] else ""), make_mixer(s, rng))
        put(f"{base}layers.{i}.norm.", make_norm(s, rng))
    put(base + "norm_f.", make_norm(s, rng))
    table, words = rng.normal(0, 2 * D ** -0.5, (V, D)), base + "embeddings.word_embeddings."
    if s["keep_head"] != "lm_head":
        out[words + ("embedding.weight" if s["rcps"] else "weight")] = table
    if s["keep_head"] != "embedding":
        out[outer + ("lm_head.lm_head.weight" if s["rcps"] else "lm_head.weight")] = table
    comp = np.array(list(full_map(s, V).values()))
    if s["rcps"]:
        out[words + "complement_map"] = comp
    if s["rcps"] and s["prefix"] and not s["num_labels"]:
        out[outer + "lm_head.complement_map"] = comp
    if s["num_labels"]:
        out[outer + "score.weight"] = rng.normal(0, D ** -0.5, (s["num_labels"], D))
    return out

def write_vocab(folder, s):
    for name in ("tokenizer.json", "vocab.txt", "tokenizer_config.json"):  # an earlier checkpoint's
        if os.path.exists(os.path.join(folder, name)):
            os.remove(os.path.join(folder, name))
    vocab = PLANT if s["vocab"] == "plant" else TABLE
    case = str.lower if s["vocab"] == "plant" else str
    tokens = {case(t) if len(t) == 1 else f"[{t}]": i for t, i in vocab.items()}
    if s["vocab_file"] == "tokenizer.json":
        write_json(folder, s["vocab_file"], {"version": "1.0", "model": {"type": "WordLevel", "vocab": tokens}})
    elif s["vocab_file"] == "vocab.txt":
        with open(os.path.join(folder, "vocab.txt"), "w") as f:
            f.write("".join(t + "\n" for t in tokens))
    if s["model_max_length"] is not None:
        write_json(folder, "tokenizer_config.json", {"model_max_length": s["model_max_length"]})

def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w") as f:
        json.dump(value, f, indent=2)
        f.write("\n")

def make_checkpoint(folder, s, rng):
    s = settle({**{k: v for k, (v, _) in SETTINGS.items()}, **s})
    os.makedirs(folder, exist_ok=True)
    write_json(folder, "config.json", make_config(s))
    write_tensors(os.path.join(folder, "model.safetensors"), make_tensors(s, rng), s["dtype"])
    write_vocab(folder, s)
    m = Model(folder)  # read back: the weights as rounded, under the names as stored
    some = rng.integers(0, len(m.vocab), (s["B"], s["L"]))  # any id except those of padding rows
    ids = np.where(rng.random(some.shape) < 0.8, m.acgt[rng.integers(0, 4, some.shape)], some)
    out = {"input_ids": ids}
    if s["num_labels"]:
        if not s["rcps"]:
            out["input_ids_rc"] = revcomp(m, ids)
        out["class_logits"] = class_logits(m, ids, out.get("input_ids_rc"))
    else:
        out["last_hidden_state"] = hidden(m, ids)
        out["logits"] = head(m, out["last_hidden_state"])
    write_tensors(os.path.join(folder, "expected.safetensors"), out, "F32")
    return s

def parse_setting(text):
    key, equals, value = text.partition("=")
    if not equals or key not in SETTINGS:
        raise argparse.ArgumentTypeError(f"{text}: expected one of {' '.join(SETTINGS)} and =value")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value

def random(args):
    make_checkpoint(args.outdir, dict(args.set or ()), np.random.default_rng(args.seed))
    return 0

def sample(args):
    """Every setting takes its values in a separate random order, so that all values occur, in random combinations."""
    rng = np.random.default_rng(args.seed)
    columns = {}
    for k, (_, values) in SETTINGS.items():
        cycle = list(itertools.islice(itertools.cycle(values), args.n))
        columns[k] = [cycle[i] for i in rng.permutation(args.n)]
    for i in range(args.n):
        s = {**{k: c[i] for k, c in columns.items()}, **dict(args.set or ())}
        s = make_checkpoint(os.path.join(args.outdir, f"{i:03d}"), s, rng)
        print(f"{i:03d}", *(f"{k}={v}" for k, v in s.items() if v != SETTINGS.get(k, [None])[0]), flush=True)
    return 0

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)

    def command(f):
        c = commands.add_parser(f.__name__)
        c.set_defaults(run=f)
        return c

    command(verify).add_argument("folders", nargs="+", metavar="DIR")
    c = command(annotate)
    c.add_argument("-m", "--model", required=True)
    c.add_argument("-T", "--reference", required=True)
    c.add_argument("--mask", default="stride:8", help="each, stride:K or none")
    c.add_argument("--score", default="pll,n", help="of pll entropy ic logo_ref pA pC pG pT n")
    c.add_argument("--window", type=int)
    c.add_argument("--flank", type=int)
    c.add_argument("--skip-soft-masked", action="store_true")
    c.add_argument("--pool", default="mean", choices=["mean", "max", "center"])
    c.add_argument("--embed", metavar="OUT.npy")
    c.add_argument("--layer", type=int, help="layer of embeddings, from 1")
    c.add_argument("bed")
    c = command(evaluate)
    c.add_argument("-m", "--model", required=True)
    c.add_argument("-T", "--reference", required=True)
    c.add_argument("--mask", default="stride:8", help="each, stride:K or none")
    c.add_argument("--window", type=int, required=True)
    c.add_argument("--flank", type=int, required=True)
    c.add_argument("--markov", type=int, default=12)
    c.add_argument("--skip-soft-masked", action="store_true")
    c.add_argument("bed")
    c = command(variants)
    c.add_argument("model")
    c.add_argument("fasta")
    c.add_argument("vcf")
    c.add_argument("--window", type=int)
    either = c.add_mutually_exclusive_group()
    either.add_argument("--flank", type=int)
    either.add_argument("--anchor", type=int)
    c.add_argument("--mask", default="stride:8", help="each, stride:K or none; an SNV's site is always masked")
    c.add_argument("--pool-window", type=int, default=768)
    c.add_argument("--layer", type=int, help="layer of embeddings, from 1")
    c.add_argument("--check-ref", default="e", choices="ew")
    c.add_argument("--score", default="llr,dpll,n", type=lambda s: set(s.split(",")),
                   help="of llr dpll n dist cos jsd infl, or none: kind, beg, end, altseg, a, b, note, n instead")
    either = c.add_mutually_exclusive_group()
    either.add_argument("--limit", type=int, help="the first so many records")
    either.add_argument("--pick", type=lambda s: set(map(int, s.split(","))), help="records by number, from 0")
    c = command(structural)
    c.add_argument("model")
    c.add_argument("fasta")
    c.add_argument("vcf")
    c.add_argument("--window", type=int, required=True)
    c.add_argument("--flank", type=int)
    c.add_argument("--anchor", type=int)
    c.add_argument("--sv-flank", type=int, default=5)
    c.add_argument("--vocab-softmax", action="store_true")
    c = command(random)
    c.add_argument("outdir")
    c.add_argument("--seed", type=int, required=True)
    c.add_argument("--set", action="extend", nargs="+", type=parse_setting, metavar="key=value")
    c = command(sample)
    c.add_argument("outdir")
    c.add_argument("--n", type=int, default=24)
    c.add_argument("--seed", type=int, required=True)
    c.add_argument("--set", action="extend", nargs="+", type=parse_setting, metavar="key=value")
    args = parser.parse_args()
    return args.run(args)

if __name__ == "__main__":
    sys.exit(main())
