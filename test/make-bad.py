#!/usr/bin/env python3
"""make-bad.py DATA OUT: a folder in OUT for each fault of a checkpoint, cut from
the good ones in DATA. Prints name, regular expression of the error expected (or
"good"), and what it is, separated by tabs. SPDX-License-Identifier: MIT"""
import copy, json, os, shutil, struct, sys

DATA, OUT = sys.argv[1:]
BIG = 2**53
EMBED = "caduceus.backbone.embeddings.word_embeddings.embedding.weight"
LAYER = "caduceus.backbone.layers.1.mixer.submodule.mamba_"
A_LOG, SKIP = LAYER + "fwd.A_log", LAYER + "fwd.D"


class Checkpoint:
    def __init__(self, kind):
        self.kind = kind
        raw = open(f"{DATA}/{kind}/model.safetensors", "rb").read()
        n = struct.unpack("<Q", raw[:8])[0]
        self.head = json.loads(raw[8:8 + n])
        self.data = raw[8 + n:]
        self.config = json.load(open(f"{DATA}/{kind}/config.json"))

    def text(self):
        return json.dumps(self.head).encode()

    def get(self, name):
        a, b = self.head[name]["data_offsets"]
        return self.data[a:b]

    def replace(self, name, dtype=None, shape=None, data=None):
        """Changes or adds a tensor; assigns new offsets to all tensors."""
        parts = {k: self.get(k) for k in self.head if k != "__metadata__"}
        entry = self.head.setdefault(name, {})
        if dtype: entry["dtype"] = dtype
        if shape is not None: entry["shape"] = shape
        if data is not None: parts[name] = data
        self.lay_out(parts)

    def lay_out(self, parts):
        self.data = b""
        for k, v in parts.items():
            self.head[k]["data_offsets"] = [len(self.data), len(self.data) + len(v)]
            self.data += v

    def remove(self, name):
        parts = {k: self.get(k) for k in self.head if k not in ("__metadata__", name)}
        del self.head[name]
        self.lay_out(parts)

    def poke(self, name, index, value):
        b = bytearray(self.get(name))
        b[4 * index:4 * index + 4] = struct.pack("<f", value)
        self.replace(name, data=bytes(b))


def pack(text, data, length=None):
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def case(name, regex, what, kind="ps", weights=None, config=None, files=None):
    """weights, config: a function that changes the checkpoint, or returns the bytes of
    the file. files: {name: content} of other files; None makes a folder, False removes."""
    at = f"{OUT}/{name}"
    shutil.copytree(f"{DATA}/{kind}", at)
    c = Checkpoint(kind)
    raw = weights(c) if weights else None
    text = config(c.config) if config else None
    if weights: open(at + "/model.safetensors", "wb").write(raw if raw is not None else pack(c.text(), c.data))
    if config: open(at + "/config.json", "wb").write(text if text is not None else json.dumps(c.config).encode())
    for f, v in (files or {}).items():
        if v is None:
            if os.path.islink(f"{at}/{f}") or os.path.isfile(f"{at}/{f}"):
                os.unlink(f"{at}/{f}")
            else:
                shutil.rmtree(f"{at}/{f}", True)
            os.mkdir(f"{at}/{f}")
        elif v is False: os.unlink(f"{at}/{f}")
        else: open(f"{at}/{f}", "wb").write(v if isinstance(v, bytes) else json.dumps(v).encode())
    print(name, regex, what, sep="\t")


def edit(**kw):
    return lambda c: c.update(kw)


def ssm(**kw):
    return lambda c: c["ssm_cfg"].update(kw)


def swap(old, new):
    """Returns a function that replaces text in config.json."""
    def f(c):
        text = json.dumps(c).encode()
        assert old in text, old
        return text.replace(old, new, 1)
    return f


def head(change):
    """Returns a function that replaces text in the header."""
    return lambda c: pack(change(c.text()), c.data)


def entry(name, **kw):
    return lambda c: c.head[name].update(kw)


# ---- the header (rows 32, 33) ----
NOT = "not a safetensors file, or cut short"
for n in (0, 1, 100 * 2**20 + 1, 2**31, 2**32 + 100, 2**63 - 1, 2**63, 2**64 - 1):
    case(f"length-{n}", f"header of {n} bytes", f"a header length of {n}", weights=lambda c: pack(c.text(), c.data, n))
case("length-file", NOT, "a header one byte longer than the file",
    weights=lambda c: pack(c.text(), b"", len(c.text()) + 1))
case("length-whole", "bad header", "a header length that takes in the data",
    weights=lambda c: pack(c.text(), c.data, len(c.text()) + len(c.data)))
case("length-short", "header", "a header length one byte short",
    weights=lambda c: pack(c.text(), c.data, len(c.text()) - 1))
for n in (0, 1, 7, 8, 9, 10):
    case(f"bytes-{n}", NOT, f"a weights file of {n} bytes", weights=lambda c: pack(c.text(), c.data)[:n])
case("no-tensor", "no embedding table", "a header without tensors", weights=lambda c: pack(b"{}", b""))
case("blank-first", "does not begin with {", "a blank before the header", weights=head(lambda t: b" " + t))
case("array", "does not begin with {", "an array as header", weights=head(lambda t: b"[" + t + b"]"))
for k, v in {"ff": b"\xff", "overlong": b"\xc0\x80", "surrogate": b"\xed\xa0\x80", "cut": b"\xe2\x82"}.items():
    case(f"utf8-{k}", "bad header", f"bad UTF-8 in a name ({k})",
        weights=head(lambda t: t.replace(b"norm_f", b"norm" + v)))
    case(f"utf8-meta-{k}", "bad header", f"bad UTF-8 in the metadata ({k})",
        weights=head(lambda t: t.replace(b'"pt"', b'"' + v + b'"')))
case("duplicate", "bad header.*duplicate", "a tensor named twice",
    weights=lambda c: pack(c.text()[:-1] + b', "' + SKIP.encode() + b'": ' + json.dumps(c.head[SKIP]).encode() + b"}",
    c.data))
case("duplicate-inner", "bad header.*duplicate", "dtype given twice",
    weights=head(lambda t: t.replace(b'"dtype": "F32"', b'"dtype": "F32", "dtype": "F32"', 1)))
case("duplicate-meta", "bad header.*duplicate", "a metadata key given twice",
    weights=head(lambda t: t.replace(b'"format": "pt"', b'"format": "pt", "format": "np"')))
case("duplicate-escaped", "bad header.*duplicate", "a key given twice, once escaped",
    weights=head(lambda t: t.replace(b'"format": "pt"', b'"format": "pt", "f\\u006frmat": "np"')))
for k, v in {"number": 1, "null": None, "object": {}, "list": ["x"]}.items():
    case(f"meta-{k}", "__metadata__.* is not a string", f"metadata with a {k}",
        weights=lambda c: c.head["__metadata__"].update(x=v))
case("meta-string", "__metadata__ is not an object", "metadata that is a string",
    weights=lambda c: c.head.update(__metadata__="pt"))
case("meta-nul", "bad header", "metadata with an escaped NUL", weights=head(lambda t: t.replace(b'"pt"', b'"\\u0000"')))


def nest(depth):
    v = 1
    for _ in range(depth): v = [v]
    return v


case("depth-8", "good", "a header nested exactly 8 deep", weights=entry(SKIP, extra=nest(6)))
case("depth-9", "nested more than 8", "a header nested 9 deep", weights=entry(SKIP, extra=nest(7)))
case("depth-900", "nested more than 8", "a header nested 900 deep", weights=entry(SKIP, extra=nest(900)))
case("depth-100000", "bad header|nested", "a header nested 100,000 deep",
    weights=head(lambda t: t[:-1] + b', "x": ' + b"[" * 100000 + b"]" * 100000 + b"}"))
case("junk", "bad header", "a letter after the header's brace", weights=head(lambda t: t + b"x"))
case("junk-nul", "bad header", "a NUL after the header's brace", weights=head(lambda t: t + b"\0"))
case("junk-object", "bad header", "a second object after the header", weights=head(lambda t: t + b"{}"))
case("blank-last", "good", "blanks after the header", weights=head(lambda t: t + b"   \n"))
case("unfinished", "bad header", "a header without its last brace", weights=head(lambda t: t[:-1]))
case("trailing-1", "1 bytes follow", "a byte after the last tensor", weights=lambda c: pack(c.text(), c.data + b"x"))
case("trailing-4096", "4096 bytes follow", "a block after the last tensor",
    weights=lambda c: pack(c.text(), c.data + bytes(4096)))

# ---- offsets, shapes, types (rows 34 to 36) ----
def shift(by_first, by_second, name=A_LOG):
    def f(c):
        a, b = c.head[name]["data_offsets"]
        c.head[name]["data_offsets"] = [a + by_first, b + by_second]
    return f


case("overlap", "data_offsets overlap", "overlapping tensors", weights=shift(-4, -4))
case("overlap-same", "data_offsets overlap", "two tensors at one place",
    weights=lambda c: c.head[LAYER + "rev.A_log"].update(data_offsets=c.head[A_LOG]["data_offsets"]))
case("hole", "data_offsets (leave a hole|overlap)", "a hole before a tensor", weights=shift(4, 4))
case("hole-first", "leave a hole", "a hole before the first tensor",
    weights=lambda c: [v.update(data_offsets=[x + 8 for x in v["data_offsets"]]) for k, v in c.head.items()
    if k != "__metadata__"] and pack(c.text(), bytes(8) + c.data))
case("reversed", "data_offsets do not span", "offsets the wrong way round",
    weights=lambda c: c.head[A_LOG]["data_offsets"].reverse())
case("span-short", "data_offsets do not span", "offsets that span too little", weights=shift(0, -4))
case("past-end", "past the end", "a tensor past the end", weights=shift(BIG // 2, BIG // 2))
case("past-end-1", "past the end", "a tensor past the end by 4 bytes",
    weights=lambda c: c.replace(A_LOG, data=c.get(A_LOG)) or pack(c.text(), c.data[:-4]))
for k, v in {"negative": [-4, 0], "real": [0.0, 4.0], "text": ["0", "4"], "three": [0, 4, 8], "one": [0], "none": [],
    "null": None, "huge": [2**62, 2**62 + 2048], "beyond": [2**63 - 2048, 2**63]}.items():
    case(f"offsets-{k}", "malformed|bad header", f"data_offsets {v}", weights=entry(A_LOG, data_offsets=v))
OVER = "zero, malformed, or their product overflows"
for k, v in {"overflow": [2**32, 2**32], "overflow-3": [BIG, BIG, BIG], "zero": [32, 0], "zero-overflow": [0, BIG, BIG],
    "negative": [-32, 16], "negative-2": [-32, -16], "real": [32.0, 16], "text": ["32", 16], "list": [[32, 16]],
    "past-2-53": [BIG + 1]}.items():
    case(f"shape-{k}", OVER, f"shape {v}", weights=entry(A_LOG, shape=v))
case("shape-bytes", "do not span", "a shape whose bytes overflow", weights=entry(A_LOG, shape=[BIG, 512]))
case("shape-9", "more than 8 dimensions", "nine dimensions", weights=entry(A_LOG, shape=[1] * 7 + [32, 16]))
case("shape-huge", "do not span", "a shape far larger than the file", weights=entry(A_LOG, shape=[2**40, 16]))
case("shape-none", "missing or malformed", "no shape", weights=lambda c: c.head[A_LOG].pop("shape") and None)
for v in ("F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "I4", "U4", "BOOL1", "C64", "f32", "F32 ", "", "F" * 5000):
    case(f"dtype-{v.strip()[:12] or 'empty'}{'-blank' if v.endswith(' ') else ''}", "unknown dtype",
        f"dtype \"{v[:12]}\"", weights=entry(A_LOG, dtype=v))
for k, v in {"number": 4, "null": None, "list": ["F32"]}.items():
    case(f"dtype-{k}", "missing or malformed", f"dtype {v}", weights=entry(A_LOG, dtype=v))
for v in ("I32", "U32"):
    case(f"weights-{v}", f"mamba_fwd.A_log is {v}; expected F32", f"weights of type {v}", weights=entry(A_LOG, dtype=v))
case("entry-list", "missing or malformed", "a tensor that is a list", weights=lambda c: c.head.update({A_LOG: []}))
case("entry-null", "missing or malformed", "a tensor that is null", weights=lambda c: c.head.update({A_LOG: None}))

# ---- tensors (rows 37, 38) and ties ----
case("missing", r"layers.1.mixer.submodule.mamba_fwd.A_log \(32,16\) is missing", "a tensor missing",
    weights=lambda c: c.remove(A_LOG))
case("missing-embedding", "no embedding table", "the embedding missing", weights=lambda c: c.remove(EMBED))
case("missing-norm_f", r"norm_f.weight \(16\) is missing", "the last norm missing",
    weights=lambda c: c.remove("caduceus.backbone.norm_f.weight"))
for v in ("lm_head.bias", "caduceus.backbone.layers.2.norm.weight", "score.bias", "x", "complement_map"):
    case(f"extra-{v}", f"tensor {v.replace('caduceus.', '')} is not part", f"an extra tensor {v}",
        weights=lambda c: c.replace(v, "F32", [2], bytes(8)))
case("extra-empty-name", "is not part", "an extra tensor without a name",
    weights=lambda c: c.replace("", "F32", [2], bytes(8)))
case("extra-newline", "is not part", "a tensor name with a line end",
    weights=lambda c: c.replace("a\nb", "F32", [2], bytes(8)))
case("extra-long", "is not part|mmm", "a tensor name of 100,000 letters",
    weights=lambda c: c.replace("m" * 100000, "F32", [2], bytes(8)))
for k, v in {"transposed": [16, 32], "flat": [512], "three": [32, 16, 1], "factors": [8, 64]}.items():
    text = ",".join(map(str, v))
    case(f"wrong-{k}", rf"mamba_fwd.A_log has shape \({text}\); config.json asks for \(32,16\)",
        f"shape ({text}) for (32,16)", weights=entry(A_LOG, shape=v))
case("wrong-scalar", r"has shape \(\); .*\(32,16\)", "a scalar for a matrix",
    weights=lambda c: c.replace(A_LOG, shape=[], data=bytes(4)))
case("wrong-embedding", "embedding.weight has 8 rows", "an embedding of too few rows",
    weights=lambda c: c.replace(EMBED, shape=[8, 16], data=c.get(EMBED)[:512]))
case("wrong-embedding-flat", "embedding.weight has", "an embedding in one dimension", weights=entry(EMBED, shape=[256]))
for name, i in ((A_LOG, 0), (SKIP, 31), (EMBED, 255), (LAYER + "rev.dt_proj.bias", 3)):
    for k, v in {"nan": float("nan"), "inf": float("inf"), "minus-inf": float("-inf")}.items():
        short = name.replace("caduceus.", "")
        case(f"{k}-{short}", f"tensor {short} holds {'NaN' if k == 'nan' else 'an infinity'}",
            f"{k} in {short.split('.')[-1]}, number {i}", weights=lambda c: c.poke(name, i, v))
case("f64-overflow", "mamba_fwd.D holds an infinity", "a double beyond float",
    weights=lambda c: c.replace(SKIP, "F64", data=struct.pack("<32d", *[1.0] * 31, 1e300)))
case("f16-inf", "mamba_fwd.D holds an infinity", "an infinite F16",
    weights=lambda c: c.replace(SKIP, "F16", data=b"\0\x3c" * 31 + b"\0\x7c"))
case("bf16-nan", "mamba_fwd.D holds NaN", "a BF16 NaN",
    weights=lambda c: c.replace(SKIP, "BF16", data=b"\x80\x3f" * 31 + b"\xc0\x7f"))
case("f64", "good", "a tensor stored as F64",
    weights=lambda c: c.replace(SKIP, "F64", data=struct.pack("<32d", *struct.unpack("<32f", c.get(SKIP)))))
case("tied-head", "good", "the embedding stored twice and equal",
    weights=lambda c: c.replace("lm_head.lm_head.weight", "F32", [16, 16], c.get(EMBED)))
case("tied-head-moved", "good", "the embedding stored as the head only",
    weights=lambda c: c.replace("lm_head.lm_head.weight", "F32", [16, 16], c.get(EMBED)) or c.remove(EMBED))


def bent(b):
    return b[:-4] + struct.pack("<f", struct.unpack("<f", b[-4:])[0] + 1)


case("tied-head-differs", "embedding.weight and lm_head.lm_head.weight differ", "a head unlike the embedding",
    weights=lambda c: c.replace("lm_head.lm_head.weight", "F32", [16, 16], bent(c.get(EMBED))))
case("tied-head-shape", r"lm_head.lm_head.weight has shape \(8,32\)", "a head of another shape",
    weights=lambda c: c.replace("lm_head.lm_head.weight", "F32", [8, 32], c.get(EMBED)))


def tie(change):
    def f(c):
        for leaf in ("in_proj.weight", "out_proj.weight"):
            for a, b in (("fwd.", "rev."), ("rev.", "fwd.")):
                if LAYER + a + leaf in c.head and LAYER + b + leaf not in c.head:
                    c.replace(LAYER + b + leaf, "F32", c.head[LAYER + a + leaf]["shape"],
                        change(c.get(LAYER + a + leaf)))
                    break
    return f


case("tied-proj", "good", "projections stored twice and equal", weights=tie(lambda b: b))
case("tied-proj-differs", "proj.weight and .*proj.weight differ", "projections unlike under a tie", weights=tie(bent))


def prefix(change):
    def f(c): c.head = {change(k): v for k, v in c.head.items()}
    return f


case("prefix-model", "good", "names with model. before them",
    weights=prefix(lambda k: "model." + k if k != "__metadata__" else k))
case("prefix-bare", "good", "names without caduceus.", weights=prefix(lambda k: k.replace("caduceus.", "")))
case("prefix-both", "norm_f.weight is there twice", "a name with and without caduceus.",
    weights=lambda c: c.replace("backbone.norm_f.weight", "F32", [16], bytes(64)))
MAP = "lm_head.complement_map"
ids = [*range(7), 10, 9, 8, 7, *range(11, 16)]
case("buffer-differs", "complement_map sends token 7 to 7", "a buffer unlike config.json",
    weights=lambda c: c.replace(MAP, data=struct.pack("<16q", *range(16))))
case("buffer-range", "complement_map sends token 0", "a buffer with an id out of range",
    weights=lambda c: c.replace(MAP, data=struct.pack("<16q", 2**40, *ids[1:])))
case("buffer-long", "complement_map has 17 entries for 16", "a buffer that is too long",
    weights=lambda c: c.replace(MAP, shape=[17], data=struct.pack("<17q", *ids, 16)))
case("buffer-huge", "complement_map has 5000 entries", "a buffer of 5000 entries",
    weights=lambda c: c.replace(MAP, shape=[5000], data=bytes(40000)))
case("buffer-f32", "complement_map is F32; expected I64", "a buffer of floats",
    weights=lambda c: c.replace(MAP, "F32", data=bytes(64)))

# ---- other files in place of weights (row 40) ----
for k, v, regex in (
    ("lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git-LFS pointer.*git lfs pull"),
    ("html", b"<!DOCTYPE html>\n<html></html>\n", "HTML page"), ("html-lower", b"<html lang=en>", "HTML page"),
    ("html-upper", b"<HTML><HEAD>", "HTML page"), ("html-blank", b"\n  <!doctype html>\n<html>", "HTML page"),
    ("pickle", b"\x80\x02}q\x00." + bytes(64), "pickle"), ("pickle-4", b"\x80\x04\x95" + bytes(64), "pickle"),
    ("zip", b"PK\3\4" + bytes(64), "zip archive")
):
    case(k, regex, f"{k} in place of weights", files={"model.safetensors": v})
case("weights-folder", "not a regular file|folder|directory", "a folder in place of weights",
    files={"model.safetensors": None})

# ---- config.json (row 39) ----
for key in ("d_model", "n_layer", "vocab_size"):
    case(f"{key}-missing", f'"{key}" is required', f"{key} missing", config=lambda c: c.pop(key) and None)
    for k, v in {"null": "null", "negative": "-4", "zero": "0", "huge": "1e18",
        "huge-int": "99999999999999999999999999", "real": "2.5", "text": '"16"', "true": "true", "list": "[16]",
        "infinite": "1e999", "minus-infinite": "-1e999", "NaN": "NaN", "Infinity": "Infinity", "hex": "0x10"}.items():
        old = f'"{key}": {Checkpoint("ps").config[key]}'.encode()
        case(f"{key}-{k}",
            "config.json:1: " if k in ("infinite", "minus-infinite", "hex") else key,
            f"{key} {v}", config=swap(old, f'"{key}": {v}'.encode()))
    case(f"{key}-twice", "duplicate", f"{key} given twice", config=swap(old, old + b", " + old))
for key, v, regex in (
    ("n_layer", 1, "layers.1.* is not part"), ("n_layer", 3, "layers.2.* is missing"),
    ("n_layer", 1025, '"n_layer" is 1025'), ("d_model", 8, r"has shape .*asks for"),
    ("d_model", 65537, '"d_model" is 65537'), ("d_model", 65536, r"asks for"),
    ("vocab_size", 32, "16 rows; config.json asks for a vocabulary of 32"),
    ("vocab_size", 300, '"vocab_size" is 300'), ("vocab_size", 8, "16 rows"),
    ("pad_vocab_size_multiple", 0, "multiple"), ("pad_vocab_size_multiple", -8, "multiple"),
    ("pad_vocab_size_multiple", 2**40, "multiple"), ("rms_norm", False, "bias .*missing"),
    ("rms_norm", "yes", "rms_norm"), ("rms_norm", 1, "rms_norm"), ("fused_add_norm", False, "missing"),
    ("bidirectional", False, "not part|missing"), ("bidirectional_weight_tie", False, "missing"),
    ("rcps", False, "missing"), ("rcps", "true", "rcps"), ("bidirectional_strategy", "mul", "strategy"),
    ("bidirectional_strategy", 3, "strategy"), ("norm_epsilon", 0, "norm_epsilon"),
    ("norm_epsilon", -1e-5, "norm_epsilon"), ("norm_epsilon", 2, "norm_epsilon"),
    ("norm_epsilon", "1e-5", "norm_epsilon"), ("ssm_cfg", [], "ssm_cfg"), ("ssm_cfg", "x", "ssm_cfg"),
    ("num_labels", -1, "num_labels"), ("num_labels", 2**40, "num_labels"),
    ("architectures", ["CaduceusForSequenceClassification"], "score.weight.* is missing")
):
    case(f"{key}={v if not isinstance(v, list) else 'list'}", regex, f"{key} {v}", config=edit(**{key: v}))
case("norm_epsilon-infinite", "config.json:1: ", "norm_epsilon 1e999",
    config=swap(b'"norm_epsilon": 1e-05', b'"norm_epsilon": 1e999'))
for key, v, regex in (
    ("d_state", 8, "x_proj|A_log"), ("d_state", 0, "d_state"), ("d_state", 1025, "d_state"),
    ("d_state", "16", "d_state"), ("d_conv", 3, "conv1d"), ("d_conv", -1, "d_conv"), ("d_conv", 4.5, "d_conv"),
    ("expand", 4, "asks for"), ("expand", 0, "expand"), ("expand", 2**31, "expand"), ("dt_rank", 2, "asks for"),
    ("dt_rank", -1, "dt_rank"), ("dt_rank", "big", "dt_rank"), ("dt_rank", 1e18, "dt_rank"),
    ("conv_bias", False, "conv1d.bias is not part"), ("conv_bias", 1, "conv_bias"),
    ("bias", True, "in_proj.bias .* is missing"), ("bias", "no", "bias")
):
    case(f"ssm-{key}={v}", regex, f"ssm_cfg.{key} {v}", config=ssm(**{key: v}))
case("d_state-infinite", "config.json:1: ", "d_state 1e999", config=swap(b'"d_state": 16', b'"d_state": 1e999'))
case("labels-contradict", "score.weight has 3 rows; config.json says 5", "num_labels unlike score.weight",
    kind="cls-ps", config=edit(num_labels=5))
for k, v in {"empty": b"", "text": b"d_model: 16\n", "array": b"[]", "number": b"3", "unfinished": b'{"d_model": 16',
    "trailing": b"{} x", "utf8": b'{"d_model": 16, "x": "\xff"}', "deep": b'{"x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "nul": b'{"a": 1}\0'}.items():
    case(f"config-{k}", "config.json", f"config.json: {k}", files={"config.json": v})
case("config-missing", "config.json: No such file", "no config.json", files={"config.json": False})
case("config-folder", "config.json: .*(folder|directory)", "config.json is a folder", files={"config.json": None})
case("tokenizer_config-text", "tokenizer_config.json:1: ", "tokenizer_config.json that is not JSON",
    files={"tokenizer_config.json": b"x"})
case("tokenizer_config-array", "tokenizer_config.json: not a JSON object", "tokenizer_config.json that is a list",
    files={"tokenizer_config.json": []})
case("unknown-key", "good", "an unknown key", config=edit(zebra={"a": [1, None]}))
case("ssm-null", "good", "ssm_cfg null, defaults", config=edit(ssm_cfg=None))
case("strategy-null", "good", "a null strategy", config=edit(bidirectional_strategy=None))
case("no-map", "good", "no complement_map", config=lambda c: c.pop("complement_map") and None)


def complement(**kw):
    return lambda c: c["complement_map"].update({k.strip("_"): v for k, v in kw.items()})


INV = "complement_map (is not its own inverse|does not exchange)"
PAIR = "complement_map.* has an entry"
case("map-inverse", "complement_map is not its own inverse", "complement_map not an involution",
    config=complement(_0=1))
case("map-cycle", INV, "complement_map with a cycle of three", config=complement(_7=8, _8=9, _9=7))
case("map-identity", "complement_map does not exchange A with T", "complement_map that keeps A and T",
    config=complement(_7=7, _10=10))
case("map-absent", INV, "complement_map with A to T but not T to A",
    config=lambda c: c["complement_map"].pop("10") and None)
case("map-outside", INV, "complement_map to an id without a row", config=complement(_15=200))
for k, v in {"256": 256, "negative": -1, "real": 7.5, "text": "7", "null": None}.items():
    case(f"map-value-{k}", PAIR, f"complement_map to {v}", config=complement(_0=v))
for k in ("x", "", "256", "-1", "7.0", "7x"):
    case(f"map-key-{k or 'empty'}", PAIR, f"complement_map with the key \"{k}\"",
        config=lambda c: c["complement_map"].update({k: 0}))
case("map-key-07", "complement_map", "complement_map with the key \"07\" against \"7\"",
    config=lambda c: c["complement_map"].update({"07": 7}))
case("map-list", "complement_map", "complement_map that is a list", config=edit(complement_map=ids))

# ---- vocabularies ----
TOKENS = {"[CLS]": 0, "[SEP]": 1, "[BOS]": 2, "[MASK]": 3, "[PAD]": 4, "[RESERVED]": 5, "[UNK]": 6, "A": 7, "C": 8,
    "G": 9, "T": 10, "N": 11}


def vocab(**kw):
    v = {**TOKENS, **kw}
    return {"tokenizer.json": {"model": {"vocab": {k: i for k, i in v.items() if i is not False}}}}


LINES = list(TOKENS)
case("vocab-good", "good", "a good tokenizer.json", files=vocab())
case("vocab-outer", "good", "a tokenizer.json with vocab outside model", files={"tokenizer.json": {"vocab": TOKENS}})
case("vocab-lines", "good", "a good vocab.txt", files={"vocab.txt": "\n".join(LINES).encode() + b"\n"})
case("vocab-crlf", "good", "a vocab.txt with CRLF", files={"vocab.txt": "\r\n".join(LINES).encode() + b"\r\n"})
for k, v in {"16": 16, "negative": -1, "huge": 2**63, "text": "7", "real": 7.0, "null": None, "256": 256 + 7}.items():
    case(f"vocab-id-{k}", 'the id of token "A"|tokenizer.json:1: ', f"the id {v} in tokenizer.json", files=vocab(A=v))
for k in "ACGT": case(f"vocab-no-{k}", f"has no token {k}", f"a tokenizer.json without {k}", files=vocab(**{k: False}))
case("vocab-swapped", "complement_map does not exchange", "a tokenizer.json unlike complement_map",
    files=vocab(A=8, C=7))
case("vocab-same", "same id|twice|does not exchange|not its own inverse", "two bases with one id", kind="ph",
    config=lambda c: c.pop("complement_map") and None, files=vocab(T=7, C=8, G=8))
case("vocab-no-pad", r"neither \[PAD\] nor \[UNK\]", "a tokenizer.json without PAD and UNK",
    files=vocab(**{"[PAD]": False, "[UNK]": False}))
case("vocab-none", 'has no "vocab" map', "a tokenizer.json without a vocabulary",
    files={"tokenizer.json": {"model": {}}})
case("vocab-list", 'has no "vocab" map', "a tokenizer.json with a list",
    files={"tokenizer.json": {"model": {"vocab": LINES}}})
case("vocab-text", "tokenizer.json:1: ", "a tokenizer.json that is not JSON", files={"tokenizer.json": b"A\nC\n"})
case("vocab-twice", "tokenizer.json:1: .*duplicate", "a token given twice",
    files={"tokenizer.json": json.dumps({"vocab": TOKENS}).replace('"A": 7', '"A": 7, "A": 8').encode()})
case("vocab-folder", "tokenizer.json: .*(folder|directory)", "tokenizer.json is a folder",
    files={"tokenizer.json": None})
case("vocab-lines-long", "vocab.txt:17: more tokens", "a vocab.txt of 17 tokens",
    files={"vocab.txt": "\n".join(LINES + ["x"] * 5).encode() + b"\n"})
case("vocab-lines-no-T", "has no token T", "a vocab.txt without T",
    files={"vocab.txt": "\n".join(x for x in LINES if x != "T").encode() + b"\n"})
case("vocab-lines-empty", "has no token A", "an empty vocab.txt", files={"vocab.txt": b""})

# ---- shards (row 41) ----
INDEX = "model.safetensors.index.json"


def split(count=2, **kw):
    c = Checkpoint("ps")
    names = [k for k in c.head if k != "__metadata__"]
    files, where = {"model.safetensors": False}, {}
    for i in range(count):
        part = copy.deepcopy(c)
        for j, k in enumerate(names):
            if j % count != i: part.remove(k)
            else: where[k] = f"model-{i + 1:05}-of-{count:05}.safetensors"
        files[where[names[i]]] = pack(part.text(), part.data)
    where.update({k.replace("__", ""): v for k, v in kw.items()})
    files[INDEX] = {"metadata": {}, "weight_map": where}
    return files, names[0]


files, first = split()
case("shards", "good", "a sharded checkpoint", files=files)
case("shards-5", "good", "five shards", files=split(5)[0])
for k, v in {"up": "../ps/model.safetensors", "absolute": "/etc/passwd", "folder": "a/b.safetensors", "dots": "..",
    "dot": ".", "hidden": ".x", "empty": "", "number": 3, "null": None, "inner": "x/../model.safetensors"}.items():
    files, first = split()
    files[INDEX]["weight_map"][first] = v
    case(f"shards-{k}", "is not a plain file name", f"a shard named {v!r}", files=files)
for k, v, regex in (("missing", "model-00003-of-00002.safetensors", "No such file"),
    ("itself", INDEX, "not a safetensors file")):
    files, first = split()
    files[INDEX]["weight_map"][first] = v
    case(f"shards-{k}", regex, f"a shard that is {k}", files=files)
files, _ = split()
files["model-00002-of-00002.safetensors"] = files["model-00001-of-00002.safetensors"]
case("shards-twice", "stands in two shards", "a tensor in two shards", files=files)
files, _ = split()
files["model-00002-of-00002.safetensors"] = files["model-00002-of-00002.safetensors"][:-1]
case("shards-cut", "past the end", "a shard cut short", files=files)
for k, v in {"text": b"x", "array": [], "no-map": {"metadata": {}}, "list": {"weight_map": []},
    "none": {"weight_map": {}}}.items():
    files, _ = split()
    files[INDEX] = v
    case(f"shards-index-{k}", INDEX, f"an index that is wrong: {k}", files=files)
files, _ = split()
case("shards-index-twice", "duplicate", "an index that names a tensor twice",
    files={**files,
    INDEX: json.dumps(files[INDEX]).replace('"weight_map": {',
    '"weight_map": {"lm_head.complement_map": "x", ').encode()})
