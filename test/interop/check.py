"""check.py WHAT ...: caduceus against PyTorch and Hugging Face's libraries. Prints a line for each check, "ok NAME" or
"not ok NAME" and the reason in lines that begin with #. SPDX-License-Identifier: MIT

  check.py golden FOLDER...            the module of modeling_caduceus.py has the results of golden checkpoints
"""

import contextlib
import json
import os
import sys
import traceback

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers.utils import logging

import modeling_caduceus as published

TOLERANCE = 1e-6  # relative Frobenius, between two programs that compute in float32
GOLDEN = 2e-6  # the same against float64
LARGE = 100000  # elements of the hidden states above which float64 takes too long


def error(x, y):
    return ((x.double() - y.double()).norm() / y.double().norm()).item()


@contextlib.contextmanager
def check(name):
    """Prints whether the block raised."""
    try:
        yield
        print("ok", name, flush=True)
    except Exception as e:
        print("not ok", name)
        lines = f"{type(e).__name__}: {e}".splitlines() if isinstance(e, Failure) else traceback.format_exc().splitlines()
        print("\n".join("# " + line for line in lines[-12:]), flush=True)


class Failure(Exception):
    pass


def need(truth, *why):
    if not truth:
        raise Failure(" ".join(map(str, why)))


# ---- models ----


def config_of(folder):
    with open(folder + "/config.json") as f:
        return json.load(f)


def load(folder, **options):
    """The model of a folder, by its architecture, and what transformers says of its keys."""
    kind = getattr(published, config_of(folder)["architectures"][0])
    options = {"torch_dtype": torch.float32, **options}
    model, info = kind.from_pretrained(folder, output_loading_info=True, **options)
    return model.eval(), info


@torch.no_grad()
def results(model, want):
    """What the model computes from input_ids, under the names of expected.safetensors."""
    if isinstance(model, published.CaduceusForSequenceClassification):
        return {"class_logits": model(want["input_ids"], want.get("input_ids_rc")).logits}
    out = model(want["input_ids"])
    return {"logits": out.logits, "last_hidden_state": out.hidden_states[0]}


def whole(info):
    """No key is missing, unexpected or of another shape."""
    need(not any(info.values()), {k: sorted(v)[:4] for k, v in info.items() if v})


# ---- golden checkpoints ----


def supported(folder):
    with safe_open(folder + "/model.safetensors", "pt") as f:
        return any("x_proj" in name for name in f.keys())


def golden(*folders):
    for folder in filter(supported, folders):
        want = load_file(folder + "/expected.safetensors")
        large = want["input_ids"].numel() * config_of(folder)["d_model"] > LARGE
        for dtype in [torch.float32] if large else [torch.float32, torch.float64]:
            with check(f"golden {os.path.basename(os.path.normpath(folder))} in {dtype}"):
                model, info = load(folder, torch_dtype=dtype)
                whole(info)
                need(all(p.dtype == dtype for p in model.parameters()), "another type")
                for name, x in results(model, want).items():
                    need(error(x, want[name]) <= GOLDEN, name, error(x, want[name]))


logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)
{"golden": golden}[sys.argv[1]](*sys.argv[2:])
