#!/usr/bin/python3
"""mamba_ssm_forward.py - times the layers of a Caduceus model by the kernels of mamba_ssm, for comparison on a GPU.

    mamba_ssm_forward.py WINDOW

Runs what a bidirectional PS model of 16 layers with D 256 needs: RMSNorm, and Mamba in both directions with tied
projections, on both strands, in bf16, with random weights; no embedding and no head. Prints the versions and tokens per
second, as `caduceus bench` counts them. Needs PyTorch, mamba_ssm and causal_conv1d.
"""
import sys
import time

import mamba_ssm
import torch
from mamba_ssm import Mamba

D, LAYERS, ROWS = 256, 16, 131072
window = int(sys.argv[1])
batch = max(1, ROWS // window)

torch.manual_seed(1)
layers = []
for _ in range(LAYERS):
    forward, reverse = (Mamba(d_model=D, d_state=16, d_conv=4, expand=2).cuda().bfloat16() for _ in range(2))
    reverse.in_proj.weight, reverse.out_proj.weight = forward.in_proj.weight, forward.out_proj.weight
    layers.append((torch.nn.RMSNorm(D).cuda().bfloat16(), forward, reverse))


@torch.no_grad()
def run(x):
    for norm, forward, reverse in layers:
        h = norm(x)
        x = x + forward(h) + reverse(h.flip(1)).flip(1)
    return x


x = torch.randn(2 * batch, window, D, device="cuda", dtype=torch.bfloat16)  # both strands
for _ in range(2):
    run(x)
torch.cuda.synchronize()
began, rounds = time.time(), 0
while time.time() - began < 3:
    run(x)
    torch.cuda.synchronize()
    rounds += 1
rate = rounds * batch * window / (time.time() - began)
print(f"mamba_ssm {mamba_ssm.__version__}, torch {torch.__version__}: {rate:.4g} tokens/s")
