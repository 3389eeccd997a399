#!/usr/bin/python3
"""torch_forward.py - runs the published Caduceus-PS forward pass in PyTorch, for
comparison, on the CPU or a GPU. The scan is the sequential reference scan: one step
per token, as in the published code without its own kernels.

    torch_forward.py MODEL LENGTH THREADS [DEVICE]

Prints seconds and tokens per second of one forward pass over LENGTH random bases.
DEVICE is cpu (the default) or cuda; on cuda one pass is run first and not counted.
Needs Debian's python3-torch. Supports tied, additive, bias-free PS models with RMSNorm.
"""
import json
import os
import struct
import sys
import time

import torch
import torch.nn.functional as F


def load(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = bytearray(f.read())
    out = {}
    for name, t in header.items():
        if name != "__metadata__" and t["dtype"] == "F32":
            a, b = t["data_offsets"]
            out[name.removeprefix("caduceus.")] = torch.frombuffer(data[a:b], dtype=torch.float32).reshape(t["shape"])
    return out


def selective_scan(u, dt, A, B, C, D):
    """Returns y (E,L) for u, dt (E,L), A (E,N), B, C (N,L), D (E), with one step per token."""
    dA = torch.exp(dt.unsqueeze(-1) * A.unsqueeze(1))  # (E,L,N)
    dBu = (dt * u).unsqueeze(-1) * B.t().unsqueeze(0)  # (E,L,N)
    s, ys = torch.zeros_like(A), []
    for t in range(u.shape[1]):
        s = dA[:, t] * s + dBu[:, t]
        ys.append(s @ C[:, t])
    return torch.stack(ys, 1) + D.unsqueeze(1) * u


def mamba(h, w, p, shared):
    """Computes one direction for h (L,D)."""
    x, z = (h @ w[shared + "in_proj.weight"].t()).t().chunk(2, 0)  # (E,L)
    K, R, N = w[p + "conv1d.weight"].shape[2], w[p + "dt_proj.weight"].shape[1], w[p + "A_log"].shape[1]
    padded = F.pad(x, (K - 1, 0)).unsqueeze(0)
    u = F.silu(F.conv1d(padded, w[p + "conv1d.weight"], w[p + "conv1d.bias"], groups=x.shape[0])[0])
    dt, B, C = (w[p + "x_proj.weight"] @ u).split([R, N, N])
    dt = F.softplus(w[p + "dt_proj.weight"] @ dt + w[p + "dt_proj.bias"].unsqueeze(1))
    y = selective_scan(u, dt, -torch.exp(w[p + "A_log"]), B, C, w[p + "D"])
    return (y * F.silu(z)).t() @ w[shared + "out_proj.weight"].t()


def bimamba(h, w, p):
    fwd, rev = p + "mamba_fwd.", p + "mamba_rev."
    shared = fwd if fwd + "in_proj.weight" in w else rev
    return mamba(h, w, fwd, shared) + mamba(h.flip(0), w, rev, shared).flip(0)


def rms(x, weight):
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5) * weight


def forward(ids, w, layers, comp):
    """Runs both halves of the channels through every block; the fused norm exchanges them in each block."""
    table = w.get("backbone.embeddings.word_embeddings.embedding.weight", w.get("lm_head.lm_head.weight"))
    a, b = table[ids], table[comp[ids.flip(0)]]
    for i in range(layers):
        p, norm = f"backbone.layers.{i}.mixer.submodule.", w[f"backbone.layers.{i}.norm.weight"]
        a, b = a + bimamba(rms(a, norm), w, p), b + bimamba(rms(b, norm), w, p)
    return a, b


def main():
    path, length, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    device = sys.argv[4] if len(sys.argv) > 4 else "cpu"
    torch.set_num_threads(threads)
    with open(os.path.join(path, "config.json")) as f:
        layers = json.load(f)["n_layer"]
    w = {k: t.to(device) for k, t in load(os.path.join(path, "model.safetensors")).items()}
    comp = torch.arange(16)
    comp[[7, 8, 9, 10]] = torch.tensor([10, 9, 8, 7])
    torch.manual_seed(1)
    ids, comp = torch.randint(7, 11, (length,)).to(device), comp.to(device)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    with torch.no_grad():
        if device == "cuda":
            forward(ids, w, layers, comp)
        wait()
        start = time.perf_counter()
        forward(ids, w, layers, comp)
        wait()
        seconds = time.perf_counter() - start
    print(f"{seconds:.3f} s\t{length / seconds:.1f} tokens/s")


if __name__ == "__main__":
    main()
