"""make.py FOLDER OUT [KIND...]: writes the checkpoint of FOLDER in the forms in which PyTorch checkpoints occur, each
to OUT/KIND, with config.json and expected results. Needs torch and safetensors. SPDX-License-Identifier: MIT

Kinds that keep every value get FOLDER's expected*.safetensors. half and bfloat16 get a folder `rounded`, with their
values in a float32 model.safetensors. Without KIND: all kinds."""

import collections
import functools
import glob
import json
import os
import pathlib
import shutil
import sys
import types
import zipfile

import torch
from safetensors.torch import load_file, save_file

KINDS = {}


def kind(f):
    KINDS[f.__name__.strip("_").replace("_", "-")] = f
    return f


def twin(name, config, names):
    """Returns the other name of a tied tensor, or None."""
    if ("in_proj." in name or "out_proj." in name) and config.get("bidirectional_weight_tie", True):
        if "mamba_rev." in name:
            return name.replace("mamba_rev.", "mamba_fwd.")
        return name.replace("mamba_fwd.", "mamba_rev.") if config.get("bidirectional", True) else None
    if "score.weight" in names or not name.endswith("weight"):
        return None
    table = "caduceus.backbone.embeddings.word_embeddings." + ("embedding." if config.get("rcps") else "") + "weight"
    head = "lm_head.lm_head.weight" if config.get("rcps") else "lm_head.weight"
    return {table: head, head: table}.get(name)


def state_of(folder, config):
    """Returns the state_dict() of a module: all names of a tied tensor, with one storage."""
    state = collections.OrderedDict(load_file(folder + "/model.safetensors"))
    for name in list(state):
        other = twin(name, config, state)
        if other:
            state[other] = state[name]
    return state


def each(state, f):
    """Applies f to every floating-point tensor of the state. Names that share a tensor still share one afterwards."""
    done = {}
    for t in state.values():
        if t.data_ptr() not in done:
            done[t.data_ptr()] = f(t) if t.is_floating_point() else t
    return collections.OrderedDict((name, done[t.data_ptr()]) for name, t in state.items())


def prefixed(state, prefix):
    return collections.OrderedDict((prefix + name, t) for name, t in state.items())


# ---- files of transformers ----


@kind
def bin_(state, out, **options):
    torch.save(state, out + "/pytorch_model.bin", **options)


@kind
def bin_sharded(state, out):
    names, files = list(state), {}
    third = -(-len(names) // 3)
    for i in range(3):
        file = f"pytorch_model-{i + 1:05}-of-00003.bin"
        part = collections.OrderedDict((name, state[name]) for name in names[i * third : (i + 1) * third])
        torch.save(part, f"{out}/{file}")
        files.update(dict.fromkeys(part, file))
    size = sum(t.numel() * t.element_size() for t in state.values())
    with open(out + "/pytorch_model.bin.index.json", "w") as f:
        json.dump({"metadata": {"total_size": size}, "weight_map": files}, f)


@kind
def bin_legacy(state, out):
    """Writes the format of torch before 1.6: consecutive pickles, not a zip file."""
    bin_(state, out, _use_new_zipfile_serialization=False)


@kind
def bin_deflated(state, out):
    bin_(state, out)
    with zipfile.ZipFile(out + "/pytorch_model.bin") as stored:
        with zipfile.ZipFile(out + "/new", "w", zipfile.ZIP_DEFLATED) as packed:
            for entry in stored.infolist():
                packed.writestr(entry.filename, stored.read(entry))
    os.replace(out + "/new", out + "/pytorch_model.bin")


# ---- storages ----


def transposed(t):
    axes = tuple(reversed(range(t.dim())))
    return t.permute(axes).contiguous().permute(axes)


@kind
def strided(state, out):
    """The axes of each tensor have the reverse order in memory."""
    bin_(each(state, transposed), out)


@kind
def offset(state, out):
    """All tensors of a type are in one storage, with gaps, in the reverse order."""
    tensors = [t for t in each(state, lambda t: t).values() if t.is_floating_point()]
    storage = torch.full((sum(t.numel() + 3 for t in tensors),), 7.0, dtype=tensors[0].dtype)
    at = len(storage)

    def place(t):
        nonlocal at
        at -= t.numel() + 3
        storage[at + 1 : at + 1 + t.numel()] = t.flatten()
        return storage[at + 1 : at + 1 + t.numel()].view(t.shape)

    bin_(each(state, place), out)


@kind
def separate(state, out):
    """Each name has a separate storage."""
    bin_(collections.OrderedDict((name, t.clone()) for name, t in state.items()), out)


@kind
def parameters(state, out):
    bin_(each(state, torch.nn.Parameter), out)


@kind
def plain_dict(state, out):
    bin_(dict(state), out)


# ---- names ----


@kind
def ddp(state, out):
    bin_(prefixed(state, "module."), out)


@kind
def compiled(state, out):
    bin_(prefixed(state, "_orig_mod."), out)


@kind
def stacked(state, out):
    bin_(prefixed(state, "_orig_mod.module.model."), out)


@kind
def bare(state, out):
    """The backbone alone, as the class Caduceus saves it. A classifier is saved whole."""
    name = "caduceus."
    head = {n: t for n, t in state.items() if n == "score.weight"}
    state = {n.removeprefix(name): t for n, t in state.items() if n.startswith(name)}
    bin_(collections.OrderedDict({**state, **head}), out)


# ---- types ----


def rounded(state, out, dtype):
    state = each(state, lambda t: t.to(dtype))
    bin_(state, out)
    os.mkdir(out + "/rounded")
    tensors = {name: t.float().clone() if t.is_floating_point() else t for name, t in state.items()}
    save_file(tensors, out + "/rounded/model.safetensors", {"format": "pt"})


@kind
def half(state, out):
    rounded(state, out, torch.float16)


@kind
def bfloat16(state, out):
    rounded(state, out, torch.bfloat16)


@kind
def double(state, out):
    bin_(each(state, torch.Tensor.double), out)


# ---- files of other names ----


def lightning(state, hyper):
    tensors = [t for t in state.values() if t.is_floating_point()]
    moments = {i: {"step": torch.tensor(2.0), "exp_avg": torch.zeros_like(t)} for i, t in enumerate(tensors)}
    groups = [{"lr": 1e-3, "betas": (0.9, 0.95), "params": list(moments), "foreach": None}]
    return {
        "epoch": 1,
        "global_step": 2,
        "pytorch-lightning_version": "1.8.6",
        "state_dict": prefixed(state, "model."),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"ready": 2}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val/loss'}": {"best_model_score": torch.tensor(1.2)}},
        "optimizer_states": [{"state": moments, "param_groups": groups}],
        "lr_schedulers": [{"last_epoch": 2, "_last_lr": [1e-3]}],
        "hparams_name": "config",
        "hyper_parameters": hyper,
    }


@kind
def raw(state, out):
    """A file with another name, as torch.save(model.state_dict(), FILE) writes it."""
    torch.save(state, out + "/weights.pt")


@kind
def ckpt(state, out):
    hyper = {"train": {"seed": 1, "lr": 1e-3}, "tags": ["a", "b"], "none": None}
    torch.save(lightning(state, hyper), out + "/last.ckpt")


def pretended(module, name):
    """Returns a class of a package that is not installed."""
    kind_ = type(name, (), {"__module__": module})
    parts = module.split(".")
    for i in range(len(parts)):
        sys.modules.setdefault(".".join(parts[: i + 1]), types.ModuleType(parts[i]))
    setattr(sys.modules[module], name, kind_)
    return kind_


@kind
def ckpt_objects(state, out):
    """A training checkpoint with objects of other packages in its hyper-parameters and callbacks."""
    hyper = pretended("omegaconf.dictconfig", "DictConfig")()
    hyper.__dict__.update(_content={"path": pathlib.PurePosixPath("/data")}, _metadata=None, dtype=torch.float32)
    whole = lightning(state, hyper)
    whole["callbacks"]["timer"] = functools.partial(max, 1)
    whole["seen"] = {1, 2, frozenset((3,))}
    torch.save(whole, out + "/last.ckpt")


# ---- all ----


def place(folder, out, name):
    """Writes OUT/NAME without the weights. A training checkpoint has its configuration in model_config.json."""
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    with open(folder + "/config.json") as f:
        config = json.load(f)
    path, value = ("model_config", {"config": config}) if name.startswith("ckpt") else ("config", config)
    with open(f"{out}/{path}.json", "w") as f:
        json.dump(value, f, indent=1)
    KINDS[name](state_of(folder, config), out)
    if os.path.isdir(out + "/rounded"):
        shutil.copy(out + "/config.json", out + "/rounded")
    else:
        for file in glob.glob(folder + "/expected*.safetensors"):
            shutil.copy(file, out)


if __name__ == "__main__":
    folder, out = sys.argv[1:3]
    for name in sys.argv[3:] or KINDS:
        place(folder, f"{out}/{name}", name)
