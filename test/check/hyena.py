"""hyena.py make DIR, hyena.py score DIR FASTA BED NPY, or hyena.py same FILE FILE: HyenaDNA in float64, with
convolutions as sums over lags. It shares no code with the C project.

make: writes a random model under the names and in the layout of both published forms: DIR/hf (model.safetensors and
the config.json of transformers), and DIR/first (weights.ckpt, as Lightning writes it, and the config.json of the first
release). The values are the same. No PyTorch is needed.
score: prints chrom, start, end, pll and n of each region, whose window is its whole contig; writes their embeddings.
same: the second file has every tensor of the first, the same values, and no other but further names of freq.
SPDX-License-Identifier: MIT"""

import io
import json
import os
import pickle
import sys
import types
import zipfile

import numpy as np

D, LAYERS, ORDER, EMB, LENGTH, FREQ = 20, 2, 16, 5, 202, 4
TOKEN = {b: 7 + i for i, b in enumerate("ACGT")}
N = 11


def read(path):
    with open(path, "rb") as f:
        blob = f.read()
    size = int.from_bytes(blob[:8], "little")
    head = json.loads(blob[8:8 + size])
    head.pop("__metadata__", None)
    return {n: np.frombuffer(blob[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]], "<f4")
            .reshape(t["shape"]).astype(float) for n, t in head.items()}


def write(path, tensors):
    head, data, at = {}, b"", 0
    for n, a in sorted(tensors.items()):
        raw = a.astype("<f4").tobytes()
        head[n] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [at, at + len(raw)]}
        data, at = data + raw, at + len(raw)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + data)


# ---- a file of PyTorch, without PyTorch ----

torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
FloatStorage = type("FloatStorage", (), {"__module__": "torch"})


def _rebuild_tensor_v2():
    """Stands for PyTorch's function of this name, which is only named in the file."""


_rebuild_tensor_v2.__module__ = "torch._utils"
torch.FloatStorage, torch._utils, utils._rebuild_tensor_v2 = FloatStorage, utils, _rebuild_tensor_v2
sys.modules.update({"torch": torch, "torch._utils": utils})


class Tensor:
    def __init__(self, a, key):
        self.a, self.key = a, key

    def __reduce__(self):
        steps = [int(np.prod(self.a.shape[i + 1:])) for i in range(self.a.ndim)]
        return _rebuild_tensor_v2, (Storage(self), 0, self.a.shape, tuple(steps), False, {})


class Storage:
    def __init__(self, tensor):
        self.tensor = tensor


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            return "storage", FloatStorage, obj.tensor.key, "cpu", obj.tensor.a.size
        return None


def write_lightning(path, tensors):
    held = {n: Tensor(a, str(i)) for i, (n, a) in enumerate(tensors.items())}
    text = io.BytesIO()
    Pickler(text, 2).dump({"epoch": 1, "state_dict": held})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        z.writestr("archive/data.pkl", text.getvalue())
        for t in held.values():
            z.writestr("archive/data/" + t.key, t.a.astype("<f4").tobytes())
        z.writestr("archive/version", "3\n")


# ---- a random model ----

def random_layer(rng, prefix):
    def some(*shape):
        return rng.normal(size=shape) * 0.3

    t = np.arange(LENGTH) / (LENGTH - 1)
    angle = 2 * np.pi * np.arange(LENGTH)[:, None] / LENGTH * np.array([1e-4, 1])
    filters = prefix + "mixer.filter_fn."
    w = {"mixer.in_proj.weight": some(3 * D, D), "mixer.in_proj.bias": some(3 * D),
         "mixer.out_proj.weight": some(D, D), "mixer.out_proj.bias": some(D),
         "mixer.short_filter.weight": some(3 * D, 1, 3), "mixer.short_filter.bias": some(3 * D),
         "norm1.weight": 1 + some(D), "norm1.bias": some(D), "norm2.weight": 1 + some(D), "norm2.bias": some(D),
         "mlp.fc1.weight": some(3 * D, D), "mlp.fc1.bias": some(3 * D),
         "mlp.fc2.weight": some(D, 3 * D), "mlp.fc2.bias": some(D)}
    w = {prefix + n: a for n, a in w.items()}
    w[filters + "bias"] = some(D)
    w[filters + "pos_emb.t"] = t[None, :, None]
    w[filters + "pos_emb.z"] = np.concatenate([t[:, None], np.cos(angle), -np.sin(angle)], axis=1)[None]
    w[filters + "modulation.deltas"] = np.linspace(-3.07, -15.35, D)[None, None]
    sizes = [EMB, ORDER, ORDER, ORDER]
    for i in range(3):
        w[filters + f"implicit_filter.{2 * i}.weight"] = some(ORDER, sizes[i])
        w[filters + f"implicit_filter.{2 * i}.bias"] = some(ORDER)
    w[filters + "implicit_filter.6.weight"] = some(D, ORDER)
    w[filters + "implicit_filter.1.freq"] = FREQ + some(1, ORDER)
    return w


def make(folder):
    rng = np.random.default_rng(8)
    w = {"backbone.embeddings.word_embeddings.weight": rng.normal(size=(16, D)),
         "backbone.ln_f.weight": 1 + rng.normal(size=D) * 0.2, "backbone.ln_f.bias": rng.normal(size=D) * 0.2}
    for i in range(LAYERS):
        w.update(random_layer(rng, f"backbone.layers.{i}."))
    hf, first = os.path.join(folder, "hf"), os.path.join(folder, "first")
    os.makedirs(hf), os.makedirs(first)
    head = {"lm_head.weight": w["backbone.embeddings.word_embeddings.weight"]}
    write(os.path.join(hf, "model.safetensors"), {"hyena." + n: a for n, a in w.items()} | head)
    sizes = {"d_model": D, "n_layer": LAYERS, "d_inner": 3 * D, "vocab_size": 12, "pad_vocab_size_multiple": 8}
    filters = {"emb_dim": EMB, "filter_order": ORDER, "short_filter_order": 3}
    with open(os.path.join(hf, "config.json"), "w") as f:
        json.dump({**sizes, **filters, "architectures": ["HyenaDNAForCausalLM"], "model_type": "hyenadna",
                   "max_seq_len": LENGTH, "activation_freq": FREQ, "hyena_order": 2, "num_inner_mlps": 2,
                   "layer_norm_epsilon": 1e-05, "train_freq": True, "use_bias": True, "embed_dropout": 0.1}, f)
    for n, a in list(w.items()):  # one tensor, under a name for each layer that uses it
        if n.endswith("1.freq"):
            w[n.replace("1.freq", "3.freq")] = w[n.replace("1.freq", "5.freq")] = a
    inner = {n.replace(".mixer.", ".mixer.layer.").replace(".mlp.", ".mlp.layer."): a for n, a in w.items()}
    write_lightning(os.path.join(first, "weights.ckpt"), {"model." + n: a for n, a in {**inner, **head}.items()})
    with open(os.path.join(first, "config.json"), "w") as f:
        json.dump({**sizes, "residual_in_fp32": True, "checkpoint_mixer": True, "checkpoint_mlp": True,
                   "layer": {**filters, "_name_": "hyena", "l_max": LENGTH, "modulate": True, "w": FREQ, "lr": 6e-4,
                             "wd": 0.0, "lr_pos_emb": 0.0}}, f)


# ---- the model ----

def norm(x, w, b):
    x = x - x.mean(axis=1, keepdims=True)
    return x / np.sqrt((x ** 2).mean(axis=1, keepdims=True) + 1e-5) * w + b


def mixer(w, a):
    """Adds the layer to rows a (L,D)."""
    rows, filters = len(a), {n[len("filter_fn."):]: v for n, v in w.items() if n.startswith("filter_fn.")}
    u = a @ w["in_proj.weight"].T + w["in_proj.bias"]
    tap, before = w["short_filter.weight"][:, 0], np.zeros((2, u.shape[1]))
    late = np.concatenate([before, u])
    u = sum(tap[:, k] * late[k:k + rows] for k in range(3)) + w["short_filter.bias"]
    x0, x1, v = np.split(u, 3, axis=1)
    h = filters["pos_emb.z"][0, :rows]
    for i in (0, 2, 4):
        h = h @ filters[f"implicit_filter.{i}.weight"].T + filters[f"implicit_filter.{i}.bias"]
        h = np.sin(filters["implicit_filter.1.freq"] * h)
    decay = np.exp(-filters["pos_emb.t"][0, :rows] * np.abs(filters["modulation.deltas"][0]))
    k = h @ filters["implicit_filter.6.weight"].T * (decay + 0.05)
    p = v * x1
    c = np.array([(k[t::-1] * p[:t + 1]).sum(axis=0) for t in range(rows)]) + filters["bias"] * p
    return c * x0 @ w["out_proj.weight"].T + w["out_proj.bias"]


def mlp(w, a):
    v = a @ w["fc1.weight"].T + w["fc1.bias"]
    v = v / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v ** 3)))
    return v @ w["fc2.weight"].T + w["fc2.bias"]


def under(w, prefix):
    return {n[len(prefix):]: a for n, a in w.items() if n.startswith(prefix)}


def hidden(w, ids):
    x = w["hyena.backbone.embeddings.word_embeddings.weight"][ids]
    layers = len({n.split(".")[3] for n in w if n.startswith("hyena.backbone.layers.")})
    for i in range(layers):
        one = under(w, f"hyena.backbone.layers.{i}.")
        x = x + mixer(under(one, "mixer."), norm(x, one["norm1.weight"], one["norm1.bias"]))
        x = x + mlp(under(one, "mlp."), norm(x, one["norm2.weight"], one["norm2.bias"]))
    return norm(x, w["hyena.backbone.ln_f.weight"], w["hyena.backbone.ln_f.bias"])


def logp(w, text):
    """log p (L,4) of the bases at each position, from the bases before it and those after it, and embeddings (L,D)."""
    other = text[::-1].translate(str.maketrans("ACGT", "TGCA"))
    strands = [hidden(w, [TOKEN.get(b, N) for b in s]) for s in (text, other)]
    table, logits = w["hyena.backbone.embeddings.word_embeddings.weight"][7:11], np.zeros((len(text), 4))
    left, right = strands[0][:-1] @ table.T, (strands[1][:-1] @ table.T)[::-1, ::-1]
    if len(text) > 1:
        logits[1:] += left / 2
        logits[:-1] += right / 2
        logits[0], logits[-1] = 2 * logits[0], 2 * logits[-1]
    top = logits.max(axis=1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True)), (strands[0] + strands[1][::-1]) / 2


def score(folder, fasta, bed, npy):
    w, contigs = read(os.path.join(folder, "model.safetensors")), {}
    with open(fasta) as f:
        for part in f.read().split(">")[1:]:
            name, *lines = part.split("\n")
            contigs[name] = "".join(lines).upper()
    rows = []
    with open(bed) as f:
        for line in f:
            name, beg, end = line.split()
            p, e = logp(w, contigs[name])
            known = [i for i in range(int(beg), int(end)) if contigs[name][i] in TOKEN]
            mean = np.mean([p[i, "ACGT".index(contigs[name][i])] for i in known]) if known else np.nan
            print(name, beg, end, f"{mean:.7g}" if known else ".", len(known), sep="\t")
            rows.append(e[int(beg):int(end)].mean(axis=0))
    np.save(npy, np.array(rows, np.float32))


def same(first, second):
    a, b = read(first), read(second)
    assert not set(a) - set(b), set(a) - set(b)
    for name, value in b.items():
        twin = name.replace("3.freq", "1.freq").replace("5.freq", "1.freq")
        assert np.array_equal(value, a[twin]), name


{"make": make, "score": score, "same": same}[sys.argv[1]](*sys.argv[2:])
