"""check.py WHAT ARGUMENT...: caduceus against PyTorch and Hugging Face's libraries. Prints "ok NAME" or "not ok NAME"
for each check, and why not in lines that begin with #. SPDX-License-Identifier: MIT

  golden FOLDER...      the module of modeling_caduceus.py has the results of golden checkpoints
  written FOLDER...     what caduceus wrote is loaded, no key missing, and gives the results that caduceus gives
  auto FOLDER...        the same through auto classes, with the code of a model in the hub's cache
  saved FOLDER...       what transformers saves is read by caduceus
  made KINDS FOLDER...  so is what make.py writes: kinds with commas between them, or all
  adapters FOLDER...    so are adapters of peft to the models of these folders
  hub FOLDER            what huggingface_hub downloads, caduceus finds, and the other way round

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
CODE = "kuleshov-group/caduceus-ps_seqlen-131k_d_model-256_n_layer-16"  # whose code auto_map names
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Failure(Exception):
    pass


def need(truth, *why):
    if not truth:
        raise Failure(" ".join(map(str, why)))


@contextlib.contextmanager
def check(name):
    """Prints whether the block raised."""
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
    """Standard output of a command that must succeed."""
    command = [os.environ["CADUCEUS"], *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **environment})
    need(done.returncode == 0, done.stdout + done.stderr, "exit status", done.returncode)
    return done.stdout


# ---- models and their results ----


def class_of(folder):
    """The name of a folder's class, and the options of its constructor."""
    config = read_json(folder + "/config.json")
    name = config["architectures"][0]
    pool = config.get("caduceus_pooling", config.get("pooling_strategy", "mean"))
    return name, {"pooling_strategy": pool} if "Classification" in name else {}


def load(folder, declares=True, **options):
    """The model of a folder, by its architecture; no key may be missing, unexpected or of another shape."""
    published.DECLARES_TIES = declares
    name, pooling = class_of(folder)
    options = {"torch_dtype": torch.float32, **pooling, **options}
    model, info = getattr(published, name).from_pretrained(folder, output_loading_info=True, **options)
    need(not any(info.values()), {k: sorted(v)[:4] for k, v in info.items() if v})
    return model.eval()


@torch.no_grad()
def results(model, ids, ids_rc=None):
    """What the model computes, under the names of expected.safetensors."""
    out = model(ids) if ids_rc is None else model(ids, ids_rc)
    if getattr(out, "hidden_states", None) is None:
        return {"class_logits": out.logits}
    return {"logits": out.logits, "last_hidden_state": out.hidden_states[0]}


def expect(model, path):
    """Writes random tokens and what the model makes of them in float64."""
    ids = torch.randint(0, min(12, model.config.vocab_size), (2, 40), generator=torch.Generator().manual_seed(1))
    save_file({"input_ids": ids, **{k: v.float() for k, v in results(model.double(), ids).items()}}, path)
    return path


def verify(expected, *model, **environment):
    """Whether caduceus has the results of a file: MODEL, or options that name it."""
    model = ["-m", *model] if len(model) == 1 else model
    cpu = ["-d", "cpu", "--precision", "fp32"]
    caduceus("model", "verify", *cpu, "--tolerance", str(TOLERANCE), *model, expected, **environment)


def refused(model, word):
    """Whether caduceus refuses a model in one line, which has the word."""
    done = subprocess.run([os.environ["CADUCEUS"], "model", "info", model], capture_output=True, text=True, timeout=60)
    need(done.returncode == 1 and done.stderr.count("\n") == 1 and word in done.stderr, done.returncode, done.stderr)


def error(x, y):
    return ((x.double() - y.double()).norm() / y.double().norm()).item()


def supported(folder):
    """Whether it is of Mamba-1."""
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


# ---- what caduceus writes ----


def written(*folders):
    for folder, declares, low in itertools.product(folders, (True, False), (False, True)):
        ties = "declared" if declares else "made in constructors alone"
        with check(f"{name_of(folder)}: loaded with ties {ties}" + (" and low_cpu_mem_usage" if low else "")):
            model = load(folder, declares, low_cpu_mem_usage=low)
            verify(expect(model, "expected.safetensors"), folder)


def lay_code():
    """The module of the tests in the hub's cache, as the code that checkpoints name in auto_map."""
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


# ---- what transformers saves ----


def save_bin(model, out, size="5GB"):
    """As files of PyTorch: by transformers, where it still does, else by huggingface_hub."""
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


FORMS = {  # name: the function that saves, and the file that caduceus is given
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
            save(model, out)  # may round the model
            need("shards" not in form or len(os.listdir(out)) > 3, "one shard")
            verify(expect(model, "expected.safetensors"), out + file)


REFUSED = {"bin-legacy": "torch.save"}  # kinds that are refused, and a word of the remedy
FILES = {"raw": "/weights.pt", "ckpt": "/last.ckpt", "ckpt-objects": "/last.ckpt"}  # of kinds of make.py


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
    """A random adapter to a model, saved."""
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
    """Adds an adapter to the projections of each direction, which are tied no longer. (peft's own merge adds those of
    both directions to the one tensor.)"""
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
    """Where huggingface_hub has a model. In a process of its own, since the library reads its environment once."""
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
    """{path: inode and size} of what is not a link; locks aside."""
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
