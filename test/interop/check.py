"""check.py WHAT ARGUMENT...: compares caduceus with PyTorch and the libraries of Hugging Face. Prints "ok NAME" or
"not ok NAME" for each check, and the reason of a failure in lines that begin with #. SPDX-License-Identifier: MIT

  golden FOLDER...      modeling_caduceus.py computes the expected results of golden checkpoints
  written FOLDER...     checkpoints of caduceus load without missing keys and give the results of caduceus
  auto FOLDER...        the same through auto classes, with the code of a model in the hub's cache
  saved FOLDER...       caduceus reads the checkpoints that transformers saves
  made KINDS FOLDER...  caduceus reads the checkpoints that make.py writes; KINDS is a list with commas, or all
  adapters FOLDER...    caduceus reads the adapters that peft makes for the models of these folders
  hub FOLDER            caduceus finds what huggingface_hub downloads, and huggingface_hub what caduceus downloads

$CADUCEUS is the command. Everything is written below the current folder."""

import contextlib
import inspect
import itertools
import json
import os
import shutil
import subprocess
import sys
import traceback

import huggingface_hub
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import hub_server
import make
import modeling_caduceus as published

TOLERANCE = 1e-6  # relative Frobenius: float32 of caduceus against float64 of Python
GOLDEN = 2e-6  # float32 of Python against golden tensors
LARGE = 100000  # elements of the hidden states above which float64 takes too long
CODE = "kuleshov-group/caduceus-ps_seqlen-131k_d_model-256_n_layer-16"  # auto_map refers to its code
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Failure(Exception):
    pass


def need(truth, *why):
    if not truth:
        raise Failure(" ".join(map(str, why)))


@contextlib.contextmanager
def check(name):
    """Prints "ok" if the block raises no exception, else "not ok"."""
    try:
        yield
        print("ok", name, flush=True)
    except Exception as e:
        why = str(e) if isinstance(e, Failure) else traceback.format_exc()
        print("\n# ".join(["not ok " + name, *why.splitlines()[-8:]]), flush=True)


def name_of(folder):
    return os.path.basename(os.path.normpath(folder))


def read_json(path):
    with open(path) as f:
        return json.load(f)


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def caduceus(*arguments, **environment):
    """Runs a command that must succeed; returns its standard output."""
    command = [os.environ["CADUCEUS"], *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})
    need(done.returncode == 0, done.stdout + done.stderr, "exit status", done.returncode)
    return done.stdout


# ---- models and their results ----


def class_of(folder):
    """Returns the name of the model class of a folder, and the options of its constructor."""
    config = read_json(folder + "/config.json")
    name = config["architectures"][0]
    pool = config.get("caduceus_pooling", config.get("pooling_strategy", "mean"))
    return name, {"pooling_strategy": pool} if "Classification" in name else {}


def load(folder, declares=True, **options):
    """Loads the model of a folder. No key may be missing or unexpected or have another shape."""
    published.DECLARES_TIES = declares
    name, pooling = class_of(folder)
    options = {"torch_dtype": torch.float32, **pooling, **options}
    model, info = getattr(published, name).from_pretrained(folder, output_loading_info=True, **options)
    need(not any(info.values()), {k: sorted(v)[:4] for k, v in info.items() if v})
    return model.eval()


@torch.no_grad()
def results(model, ids, ids_rc=None):
    """Returns the results of the model, with the names of expected.safetensors."""
    out = model(ids) if ids_rc is None else model(ids, ids_rc)
    if getattr(out, "hidden_states", None) is None:
        return {"class_logits": out.logits}
    return {"logits": out.logits, "last_hidden_state": out.hidden_states[0]}


def expect(model, path):
    """Writes random tokens and the model's float64 results for them."""
    ids = torch.randint(0, min(12, model.config.vocab_size), (2, 40), generator=torch.Generator().manual_seed(1))
    save_file({"input_ids": ids, **{k: v.float() for k, v in results(model.double(), ids).items()}}, path)
    return path


def verify(expected, *model, **environment):
    """Checks that caduceus computes the results in a file. model: MODEL, or options that name it."""
    model = ["-m", *model] if len(model) == 1 else model
    cpu = ["-d", "cpu", "--precision", "fp32"]
    caduceus("model", "verify", *cpu, "--tolerance", str(TOLERANCE), *model, expected, **environment)


def refused(model, word):
    """Checks that caduceus refuses a model with a message of one line that contains the word."""
    done = subprocess.run([os.environ["CADUCEUS"], "model", "info", model], capture_output=True, text=True, timeout=60)
    need(done.returncode == 1 and done.stderr.count("\n") == 1 and word in done.stderr, done.returncode, done.stderr)


def error(x, y):
    return ((x.double() - y.double()).norm() / y.double().norm()).item()


def supported(folder):
    """Returns whether the model has Mamba-1 layers."""
    with safe_open(folder + "/model.safetensors", "pt") as f:
        return any("x_proj" in name for name in f.keys())


def golden(*folders):
    for folder in filter(supported, folders):
        want = load_file(folder + "/expected.safetensors")
        ids, ids_rc = want["input_ids"], want.get("input_ids_rc")
        large = ids.numel() * read_json(folder + "/config.json")["d_model"] > LARGE
        for dtype in [torch.float32] if large else [torch.float32, torch.float64]:
            with check(f"golden {name_of(folder)} in {dtype}"):
                model = load(folder, torch_dtype=dtype)
                need(all(p.dtype == dtype for p in model.parameters()), "another type")
                for name, x in results(model, ids, ids_rc).items():
                    need(error(x, want[name]) <= GOLDEN, name, error(x, want[name]))


# ---- checkpoints that caduceus writes ----


def written(*folders):
    for folder, declares, low in itertools.product(folders, (True, False), (False, True)):
        ties = "declared" if declares else "made in constructors alone"
        with check(f"{name_of(folder)}: loaded with ties {ties}" + (" and low_cpu_mem_usage" if low else "")):
            model = load(folder, declares, low_cpu_mem_usage=low)
            verify(expect(model, "expected.safetensors"), folder)


def lay_code():
    """Puts modeling_caduceus.py into the hub cache, as the code to which auto_map in checkpoints refers."""
    cache = os.path.join(huggingface_hub.constants.HF_HUB_CACHE, "models--" + CODE.replace("/", "--"))
    snapshot = f"{cache}/snapshots/{COMMIT}"
    for folder in (cache + "/refs", snapshot):
        os.makedirs(folder, exist_ok=True)
    write(cache + "/refs/main", COMMIT)
    shutil.copy(published.__file__, snapshot + "/modeling_caduceus.py")
    write(snapshot + "/configuration_caduceus.py", "from .modeling_caduceus import CaduceusConfig\n")


def auto(*folders):
    lay_code()
    for folder in folders:
        with check(f"{name_of(folder)}: loaded by an auto class"):
            name, pooling = class_of(folder)
            kind = getattr(transformers, name.replace("Caduceus", "AutoModel"))
            model = kind.from_pretrained(folder, trust_remote_code=True, **pooling).eval()
            need(type(model).__module__.startswith("transformers_modules."), type(model))
            need(model.config.pad_token_id == 4, "pad_token_id is", model.config.pad_token_id)
            verify(expect(model, "expected.safetensors"), folder)


# ---- checkpoints that transformers saves ----


def save_bin(model, out, size="5GB"):
    """Saves as PyTorch files: with transformers, if this version supports it, else with huggingface_hub."""
    if "safe_serialization" in inspect.signature(transformers.PreTrainedModel.save_pretrained).parameters:
        model.save_pretrained(out, safe_serialization=False, max_shard_size=size)
        return
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(out)
    huggingface_hub.save_torch_state_dict(model.state_dict(), out, safe_serialization=False, max_shard_size=size)


def save_raw(model, out):
    model.config.save_pretrained(out)
    torch.save(model.state_dict(), out + "/weights.pt")


def save_lightning(model, out):
    write(out + "/model_config.json", json.dumps({"config": model.config.to_dict()}))
    torch.save(make.lightning(model.state_dict(), {"config": {"seed": 1}}), out + "/last.ckpt")


FORMS = {  # name: (function that saves, file that is passed to caduceus)
    "model.safetensors": (lambda m, out: m.save_pretrained(out), ""),
    "shards of safetensors": (lambda m, out: m.save_pretrained(out, max_shard_size="10KB"), ""),
    "pytorch_model.bin": (save_bin, ""),
    "shards of .bin": (lambda m, out: save_bin(m, out, "10KB"), ""),
    "float16": (lambda m, out: m.half().save_pretrained(out), ""),
    "bfloat16": (lambda m, out: m.bfloat16().save_pretrained(out), ""),
    "float16 in .bin": (lambda m, out: save_bin(m.half(), out), ""),
    "bfloat16 in .bin": (lambda m, out: save_bin(m.bfloat16(), out), ""),
    "a state_dict": (save_raw, "/weights.pt"),
    "a checkpoint of Lightning": (save_lightning, "/last.ckpt"),
}


def saved(*folders):
    for folder, (form, (save, file)) in itertools.product(folders, FORMS.items()):
        with check(f"{name_of(folder)}: {form} as saved"):
            model, out = load(folder), fresh("saved")
            model.config.architectures = [type(model).__name__]
            save(model, out)  # rounds the model in some forms
            need("shards" not in form or len(os.listdir(out)) > 3, "one shard")
            verify(expect(model, "expected.safetensors"), out + file)


REFUSED = {"bin-legacy": "torch.save"}  # kinds that are refused: a word of the message
FILES = {"raw": "/weights.pt", "ckpt": "/last.ckpt", "ckpt-objects": "/last.ckpt"}  # files that kinds of make.py write


def made(kinds, *folders):
    kinds = make.KINDS if kinds == "all" else kinds.split(",")
    for folder, kind in itertools.product(folders, kinds):
        with check(f"{name_of(folder)}: {kind} as made"):
            out = f"made/{kind}"
            make.place(folder, out, kind)
            if kind in REFUSED:
                refused(out, REFUSED[kind])
                continue
            if os.path.isdir(out + "/rounded"):
                expected = expect(load(out + "/rounded"), "expected.safetensors")
            else:
                expected = expect(load(folder), "expected.safetensors")
            verify(expected, out + FILES.get(kind, ""))


# ---- adapters ----

TARGETS = ["in_proj", "out_proj", "x_proj"]
ADAPTERS = {
    "of x_proj": {"r": 4, "lora_alpha": 8, "target_modules": ["x_proj"]},
    "of in_proj, out_proj and x_proj": {"r": 3, "lora_alpha": 5, "target_modules": TARGETS},
    "of rank-stabilised scale": {"r": 4, "lora_alpha": 8, "target_modules": TARGETS, "use_rslora": True},
}


def adapted(folder, options, out):
    """Makes a random adapter to a model and saves it."""
    import peft

    model = load(folder)
    if isinstance(model, published.CaduceusForSequenceClassification):
        options = {**options, "modules_to_save": ["score"]}
    model = peft.get_peft_model(model, peft.LoraConfig(**options)).eval()
    torch.manual_seed(2)
    for name, p in model.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            torch.nn.init.normal_(p, std=0.1)
    model.save_pretrained(out)
    return model


def merge(model, out):
    """Merges an adapter into the projections of each direction, which are no longer tied. (The merge of peft adds the
    adapters of both directions to one tensor.)"""
    base, state = model.get_base_model(), {}
    for name, t in base.state_dict().items():
        if "lora_" not in name and "original_module" not in name:
            state[name.replace(".base_layer", "").replace(".modules_to_save.default", "")] = t.clone()
    for name, module in base.named_modules():
        if hasattr(module, "get_delta_weight"):
            state[name + ".weight"] += module.get_delta_weight("default")
    base.config.bidirectional_weight_tie = False
    base.config.architectures = [type(base).__name__]
    base.config.save_pretrained(out)
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
    save_file(tensors, out + "/model.safetensors", {"format": "pt"})


def adapters(*folders):
    for folder, (form, options) in itertools.product(folders, ADAPTERS.items()):
        out = fresh("adapter")
        with check(f"{name_of(folder)}: an adapter {form} is what it is said to be"):
            model = adapted(folder, options, out)
            expected, plain = expect(model, "expected.safetensors"), expect(load(folder), "plain.safetensors")
            changes = [error(x, y) for x, y in zip(load_file(plain).values(), load_file(expected).values())]
            need(max(changes) > 1e-3, "it changes nothing")
            merge(model, fresh("merged"))
            verify(expected, "merged")
        with check(f"{name_of(folder)}: and is applied"):
            verify(expected, "-m", folder, "--adapter", out)
        with check(f"{name_of(folder)}: and finds its base"):
            verify(expected, out)


# ---- the hub ----

NAME = "tiny-org/tiny-model"


def snapshot(name, local=None, **environment):
    """Returns the folder in which huggingface_hub finds a model. Runs in a separate process, because the library reads
    its environment only once."""
    program = os.path.join(os.path.dirname(__file__), "snapshot.py")
    command = [sys.executable, program, name, *([local] if local else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})
    need(done.returncode == 0, done.stderr[-600:])
    return done.stdout.strip()


def hub(folder):
    expected = expect(load(folder), "expected.safetensors")
    with hub_server.serving(folder, NAME, COMMIT) as address:
        online = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        home, cache = {"HF_HOME": os.path.abspath("home")}, {"HF_HUB_CACHE": os.path.abspath("cache")}
        for where in home, cache:
            variable = next(iter(where))
            with check(f"what huggingface_hub downloads is found: {variable}"):
                snapshot(NAME, **online, **where)
                verify(expected, "hf:" + NAME, **where)
                verify(expected, f"hf:{NAME}@{COMMIT}", **where)
        if not pulls():
            print("skip what caduceus pulls is found by huggingface_hub # this caduceus has no `model pull`")
            return
        for where in home, cache:
            shutil.rmtree(next(iter(where.values())))
            variable = next(iter(where))
            with check(f"what caduceus pulls is found by huggingface_hub: {variable}"):
                caduceus("model", "pull", NAME, **online, **where)
                found = snapshot(NAME, "local", **where)
                need(os.path.basename(found) == COMMIT, found)
                verify(expect(load(found), "expected.safetensors"), folder)
                verify(expected, "hf:" + NAME, **where)
            with check(f"and nothing of it is downloaded again: {variable}"):
                before = files_below(next(iter(where.values())))
                snapshot(NAME, **online, **where)
                after = files_below(next(iter(where.values())))
                need(before.items() <= after.items(), set(before.items()) - set(after.items()))


def pulls():
    command = [os.environ["CADUCEUS"], "model", "pull", "--help"]
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


def files_below(folder):
    """Returns {path: inode and size} of all files except links and locks."""
    out = {}
    for at, _, names in os.walk(folder):
        for path in (os.path.join(at, n) for n in names if not n.endswith(".lock")):
            if not os.path.islink(path):
                out[path] = os.stat(path).st_ino, os.stat(path).st_size
    return out


logging = transformers.utils.logging
logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)
WHAT = {f.__name__: f for f in (golden, written, auto, saved, made, adapters, hub)}
if __name__ == "__main__":
    WHAT[sys.argv[1]](*sys.argv[2:])
