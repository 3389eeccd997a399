#!/usr/bin/python3
"""torch_mamba2.py - runs the forward pass of Caduceus-PS with Mamba-2 layers in PyTorch, for comparison. The scan is
either sequential (one step per token) or chunked (matrix products over chunks of 64 tokens, as mamba_ssm's kernels).

    torch_mamba2.py MODEL LENGTH THREADS sequential|chunked

MODEL is a folder with config.json. With a model.safetensors beside it (float32, projections tied, without biases, RMS
norms) its weights are used, else random ones of the same shape. Prints seconds and tokens per second of one forward
pass over LENGTH random bases. Needs Debian's python3-torch.
"""
import json
import os
import sys
import time

import torch
import torch.nn.functional as F

from torch_forward import load, rms

CHUNK = 64


def shape(config):
    ssm = config["ssm_cfg"]
    D, N, K = config["d_model"], ssm.get("d_state", 128), ssm.get("d_conv", 4)
    I, P, G = ssm.get("expand", 2) * D, ssm.get("headdim", 64), ssm.get("ngroups", 1)
    return D, I, N, K, P, G, I // P


def random_weights(config):
    D, I, N, K, _, G, H = shape(config)
    C = I + 2 * G * N
    w = {"lm_head.lm_head.weight": torch.randn(config["vocab_size"], D) * 0.02}
    for i in range(config["n_layer"]):
        p = f"backbone.layers.{i}."
        w[p + "norm.weight"] = torch.ones(D)
        fwd, rev = p + "mixer.submodule.mamba_fwd.", p + "mixer.submodule.mamba_rev."
        w[fwd + "in_proj.weight"] = torch.randn(I + C + H, D) / D**0.5
        w[fwd + "out_proj.weight"] = torch.randn(D, I) / I**0.5
        for d in fwd, rev:
            w[d + "conv1d.weight"], w[d + "conv1d.bias"] = torch.randn(C, 1, K) / K**0.5, torch.zeros(C)
            w[d + "dt_bias"], w[d + "A_log"] = torch.full((H,), -4.0), torch.rand(H) * 2.7
            w[d + "D"], w[d + "norm.weight"] = torch.ones(H), torch.ones(I)
    return w


def sequential(x, dt, A, B, C):
    """x (L,H,P), dt (L,H), A (H), B and C (L,H,N): y (L,H,P)."""
    decay, xdt = torch.exp(dt * A), x * dt.unsqueeze(-1)
    S, y = torch.zeros(x.shape[1], x.shape[2], B.shape[2]), torch.empty_like(x)
    for t in range(x.shape[0]):
        S = decay[t, :, None, None] * S + xdt[t].unsqueeze(-1) * B[t].unsqueeze(1)
        y[t] = (S @ C[t].unsqueeze(-1)).squeeze(-1)
    return y


def chunked(x, dt, A, B, C):
    """The same, by products over chunks. B and C (L,G,N): a group's heads share the scores."""
    L, H, P = x.shape
    G, N, c = B.shape[1], B.shape[2], -(-L // CHUNK)

    def split(v):  # (L,...) to (c,CHUNK,...)
        return F.pad(v.flatten(1), (0, 0, 0, c * CHUNK - L)).reshape(c, CHUNK, *v.shape[1:])

    xdt, B, C = split(x * dt.unsqueeze(-1)).transpose(1, 2), split(B).transpose(1, 2), split(C).transpose(1, 2)
    sums = torch.cumsum(split(dt * A), 1).transpose(1, 2)  # (c,H,CHUNK)
    past = torch.ones(CHUNK, CHUNK).tril().bool()
    decay = (sums.unsqueeze(-1) - sums.unsqueeze(-2)).masked_fill(~past, -torch.inf).exp()  # (c,H,CHUNK,CHUNK)
    scores = (C @ B.transpose(-1, -2)).repeat_interleave(H // G, 1)  # (c,H,CHUNK,CHUNK)
    last = (sums[..., -1:] - sums).exp().unsqueeze(-1)
    B, C = B.repeat_interleave(H // G, 1), C.repeat_interleave(H // G, 1)
    added = (xdt * last).transpose(-1, -2) @ B  # (c,H,P,N)
    whole, S, states = sums[..., -1].exp()[..., None, None], torch.zeros(H, P, N), torch.empty_like(added)
    for k in range(c):
        states[k] = S
        S = whole[k] * S + added[k]
    y = (scores * decay) @ xdt + sums.exp().unsqueeze(-1) * (C @ states.transpose(-1, -2))
    return y.transpose(1, 2).reshape(c * CHUNK, H, P)[:L]


def direction(zxr, w, p, config, form):
    """Computes o of one direction from in_proj's result (L,2I+2GN+H)."""
    _, I, N, K, P, G, H = shape(config)
    L = zxr.shape[0]
    z, xBC, r = zxr.split([I, I + 2 * G * N, H], 1)
    padded = F.pad(xBC.t(), (K - 1, 0)).unsqueeze(0)
    u = F.silu(F.conv1d(padded, w[p + "conv1d.weight"], w[p + "conv1d.bias"], groups=xBC.shape[1])[0]).t()
    x, B, C = u.split([I, G * N, G * N], 1)
    x, B, C = x.reshape(L, H, P), B.reshape(L, G, N), C.reshape(L, G, N)
    dt, A = F.softplus(r + w[p + "dt_bias"]), -torch.exp(w[p + "A_log"])
    if form == "chunked":
        y = chunked(x, dt, A, B, C)
    else:
        y = sequential(x, dt, A, B.repeat_interleave(H // G, 1), C.repeat_interleave(H // G, 1))
    g = ((y + w[p + "D"].unsqueeze(-1) * x).reshape(L, I) * F.silu(z)).reshape(L, G, I // G)
    return rms(g, w[p + "norm.weight"].reshape(G, I // G)).reshape(L, I)


def bimamba2(h, w, p, config, form):
    """Both directions; the tied projections run once."""
    fwd, rev = p + "mamba_fwd.", p + "mamba_rev."
    shared = fwd if fwd + "in_proj.weight" in w else rev
    zxr = h @ w[shared + "in_proj.weight"].t()
    o = direction(zxr, w, fwd, config, form) + direction(zxr.flip(0), w, rev, config, form).flip(0)
    return o @ w[shared + "out_proj.weight"].t()


def forward(ids, w, config, form):
    """Both halves through every layer; the fused norm exchanges them each time. The second half is kept flipped."""
    comp = torch.tensor([int(config["complement_map"].get(str(v), v)) for v in range(config["vocab_size"])])
    table = w.get("backbone.embeddings.word_embeddings.embedding.weight", w.get("lm_head.lm_head.weight"))
    a, b = table[ids], table[comp[ids.flip(0)]]
    for i in range(config["n_layer"]):
        p, norm = f"backbone.layers.{i}.mixer.submodule.", w[f"backbone.layers.{i}.norm.weight"]
        if config["fused_add_norm"]:
            a, b = b.flip(0, 1), a.flip(0, 1)
        a, b = (v + bimamba2(rms(v, norm), w, p, config, form) for v in (a, b))
    return a, b


def main():
    path, length, threads, form = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    torch.set_num_threads(threads)
    with open(os.path.join(path, "config.json")) as f:
        config = json.load(f)
    weights = os.path.join(path, "model.safetensors")
    torch.manual_seed(1)
    w = load(weights) if os.path.exists(weights) else random_weights(config)
    ids = torch.randint(3, 7, (length,))
    with torch.no_grad():
        start = time.perf_counter()
        forward(ids, w, config, form)
        seconds = time.perf_counter() - start
    print(f"{seconds:.3f} s\t{length / seconds:.1f} tokens/s")


if __name__ == "__main__":
    main()
