"""make-bad-torch.py MODEL OUT: converts the safetensors model in the folder MODEL to PyTorch files, without PyTorch.
Some files are valid, in forms that PyTorch does not write itself; the others have one fault each, of the pickle or its
zip archive. For each file prints its name, a regular expression of the expected error (or "good") and a description,
separated by tabs. SPDX-License-Identifier: MIT"""
import io, json, os, struct, sys, zipfile

MODEL, OUT = sys.argv[1:]
CLASS = {"F32": "FloatStorage", "F16": "HalfStorage", "BF16": "BFloat16Storage", "F64": "DoubleStorage",
         "I64": "LongStorage"}

# ---- instructions of a pickle ----
HEAD, STOP, NONE, FALSE = b"\x80\x02", b".", b"N", b"\x89"


def text(s):
    b = s.encode()
    return b"X" + struct.pack("<I", len(b)) + b


def number(i): return b"\x8a\x08" + struct.pack("<q", i)
def call(module, name): return f"c{module}\n{name}\n".encode()
def many(*items): return b"(" + b"".join(items) + b"t"
def record(items): return b"}(" + b"".join(text(k) + v for k, v in items) + b"u"


def storage(key, count, kind="FloatStorage", module="torch", tag="storage"):
    return many(text(tag), call(module, kind), text(key), text("cpu"), number(count)) + b"Q"


def tensor(stored, shape, offset=0, stride=None, function="_rebuild_tensor_v2"):
    if stride is None:
        stride = [1] * len(shape)
        for d in range(len(shape) - 2, -1, -1): stride[d] = stride[d + 1] * shape[d + 1]
    return call("torch._utils", function) + many(stored, number(offset), many(*map(number, shape)),
                                                 many(*map(number, stride)), FALSE, NONE) + b"R"


# ---- the model ----
raw = open(f"{MODEL}/model.safetensors", "rb").read()
length = struct.unpack("<Q", raw[:8])[0]
TENSORS = {k: v for k, v in json.loads(raw[8:8 + length]).items() if k != "__metadata__"}
DATA = {k: raw[8 + length + t["data_offsets"][0]:8 + length + t["data_offsets"][1]] for k, t in TENSORS.items()}
EMBED = next(k for k in TENSORS if "word_embeddings" in k and k.endswith("weight"))
ROWS, WIDTH = TENSORS[EMBED]["shape"]


def count(shape):
    n = 1
    for s in shape: n *= s
    return n


def entries(change=None):
    """Returns name and pickled tensor of each entry. If `change` is given, it replaces the tensor EMBED."""
    return [(k, change if change is not None and k == EMBED else
             tensor(storage(str(i), count(t["shape"]), CLASS[t["dtype"]]), t["shape"]))
            for i, (k, t) in enumerate(TENSORS.items())]


def members(pickle, folder="archive", **data):
    out = {"data.pkl": pickle, "byteorder": b"little", "version": b"3\n"}
    out.update({f"data/{i}": DATA[k] for i, k in enumerate(TENSORS)})
    out.update({k.replace("__", "/"): v for k, v in data.items()})
    return {f"{folder}/{k}": v for k, v in out.items() if v is not None}


def pack(files, method=zipfile.ZIP_STORED):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", method) as z:
        for name, data in files.items(): z.writestr(zipfile.ZipInfo(name), data, method)
    return b.getvalue()


def pack64(files):
    """The same as pack, with zip64 records only."""
    old = zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT
    zipfile.ZIP64_LIMIT = zipfile.ZIP_FILECOUNT_LIMIT = 0
    try:
        b = io.BytesIO()
        with zipfile.ZipFile(b, "w") as z:
            for name, data in files.items():
                with z.open(zipfile.ZipInfo(name), "w", force_zip64=True) as f: f.write(data)
        return b.getvalue()
    finally:
        zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT = old


def case(name, regex, what, weights):
    os.makedirs(f"{OUT}/{name}")
    for f in ("config.json", "tokenizer_config.json"):
        open(f"{OUT}/{name}/{f}", "wb").write(open(f"{MODEL}/{f}", "rb").read())
    open(f"{OUT}/{name}/pytorch_model.bin", "wb").write(weights)
    print(name, regex, what, sep="\t")


def pickled(name, regex, what, pickle, **data): case(name, regex, what, pack(members(pickle, **data)))
def embed(name, regex, what, change, **data): pickled(name, regex, what, HEAD + record(entries(change)) + STOP, **data)
def root(name, regex, what, body): pickled(name, regex, what, HEAD + body + STOP)


GOOD = HEAD + record(entries()) + STOP
FILE = pack(members(GOOD))
key = str(list(TENSORS).index(EMBED))
whole = storage(key, ROWS * WIDTH)

# ---- good ----
case("plain", "good", "made without PyTorch", FILE)
case("deflated", "good", "deflated", pack(members(GOOD), zipfile.ZIP_DEFLATED))
case("zip64", "good", "zip64", pack64(members(GOOD)))
root("nested", "good", "'model' in a dict", record([("model", record(entries())), ("step", number(3))]))
root("model-state", "good", "'model_state_dict' in a dict", record([("model_state_dict", record(entries()))]))
root("ordered", "good", "an OrderedDict with attributes",
     call("collections", "OrderedDict") + b")R(" + b"".join(text(k) + v for k, v in entries()) + b"u" +
     record([("_metadata", record([]))]) + b"b")
root("beside", "good", "numbers, None and lists beside the tensors",
     record(entries() + [("step", number(1)), ("_metadata", NONE), ("list", b"]")]))
for name in ("module.", "_orig_mod.", "model.", "caduceus.", "module.model.", "_orig_mod.module.", "base_model.model.",
             "model.module._orig_mod.model."):
    root("prefix-" + name, "good", "names that begin with " + name, record([(name + k, v) for k, v in entries()]))
root("prefix-within", "good", "a part wrapped by torch.compile",
     record([(k.replace(".layers.", "._orig_mod.layers."), v) for k, v in entries()]))
turned = b"".join(DATA[EMBED][4 * (r * WIDTH + c):][:4] for c in range(WIDTH) for r in range(ROWS))
embed("transposed", "good", "a tensor transposed in memory", tensor(whole, [ROWS, WIDTH], 0, [1, ROWS]),
      **{"data__" + key: turned})
gaps = b"".join(DATA[EMBED][4 * r * WIDTH:][:4 * WIDTH] + b"\xff" * 8 for r in range(ROWS))
embed("sliced", "good", "a slice of a wider tensor, with an offset",
      tensor(storage(key, 3 + ROWS * (WIDTH + 2)), [ROWS, WIDTH], 3, [WIDTH + 2, 1]),
      **{"data__" + key: b"\xff" * 12 + gaps})
embed("parameter", "good", "a parameter",
      call("torch._utils", "_rebuild_parameter") + many(tensor(whole, [ROWS, WIDTH]), FALSE, NONE) + b"R")
root("unknown-beside", "good", "objects of unknown classes beside the state dict", record(
    [("callbacks", call("os", "system") + many(text("touch pwned")) + b"R"), ("state_dict", record(entries())),
     ("cfg", call("omegaconf", "DictConfig") + b")\x81" + record([("a", NONE)]) + b"b")]))

# ---- pickles that contain code: none of it is executed ----
RUN = call("os", "system") + many(text("touch pwned")) + b"R"
EVAL = call("builtins", "eval") + many(text("open('pwned', 'w')")) + b"R"
root("os-system", "holds an object of os.system, not a dict of tensors", "os.system", RUN)
root("eval", "holds an object of builtins.eval", "eval", EVAL)
root("eval-state", 'its "state_dict" is an object of builtins.eval', "eval as a state dict",
     record([("state_dict", EVAL)]))
embed("eval-tensor", "tensor .*: is no tensor but an object of builtins.eval", "eval as a tensor", EVAL)
embed("eval-storage", "the record of its storage is malformed", "eval as a storage", tensor(EVAL, [ROWS, WIDTH]))
embed("eval-shape", "its shape or strides are malformed", "eval as a shape",
      call("torch._utils", "_rebuild_tensor_v2") + many(whole, number(0), EVAL, EVAL, FALSE, NONE) + b"R")

# ---- tensors ----
embed("class", "its storage is torch.ComplexFloatStorage, which", "another storage class",
      tensor(storage(key, ROWS * WIDTH, "ComplexFloatStorage"), [ROWS, WIDTH]))
embed("v3", "an object of torch._utils._rebuild_tensor_v3", "another way to rebuild",
      tensor(whole, [ROWS, WIDTH], function="_rebuild_tensor_v3"))
embed("no-storage", "its storage is not in the file", "a storage that is missing", tensor(storage("99", 256), [256]))
embed("key-dots", "its storage is not in the file", "a storage outside", tensor(storage("../data.pkl", 256), [256]))
embed("key-long", "its storage is not in the file", "a long key", tensor(storage("9" * 5000, 256), [256]))
embed("tag", "the record of its storage is malformed", "a persistent id of another kind",
      tensor(storage(key, ROWS * WIDTH, tag="module"), [ROWS, WIDTH]))
for name, n in (("count-more", ROWS * WIDTH + 1), ("count-less", 3), ("count-huge", 2**62)):
    embed(name, "its storage is not of the size", "a storage of another size", tensor(storage(key, n), [ROWS, WIDTH]))
for name, shape, offset, stride in (("offset", [ROWS, WIDTH], 1, None), ("offset-huge", [ROWS, WIDTH], 2**63 - 1, None),
                                    ("stride", [ROWS, WIDTH], 0, [WIDTH, 2]), ("shape", [ROWS, WIDTH + 1], 0, None)):
    embed("past-" + name, "past the end of its storage", "past the end: " + name, tensor(whole, shape, offset, stride))
for name, shape, stride in (("stride-huge", [ROWS, WIDTH], [2**62, 1]), ("shape-huge", [2**62, 4], [0, 0]),
                            ("negative", [ROWS, -WIDTH], [1, 1]), ("backwards", [ROWS, WIDTH], [WIDTH, -1]),
                            ("zero", [0, WIDTH], [1, 1])):
    embed(name, "overflow|zero", "a shape or stride: " + name, tensor(whole, shape, 0, stride))
embed("expanded-huge", "asks for", "one number as 2^60", tensor(whole, [2**30, 2**30], 0, [0, 0]))
embed("dimensions", "more than 8 dimensions", "nine dimensions", tensor(whole, [1] * 9))
embed("short-stride", "its shape or strides are malformed", "fewer strides", tensor(whole, [ROWS, WIDTH], 0, [1]))
embed("few", "malformed", "too few arguments", call("torch._utils", "_rebuild_tensor_v2") + b")R")
embed("itself", "tensor .*: is no tensor but", "a parameter of itself", call("torch._utils", "_rebuild_parameter") +
      b"]q\1h\1a" + b"0h\1R")
root("missing", "no embedding table", "an entry that is None", record(entries(NONE)))
root("twice", "there twice", "a tensor twice", record(entries() + entries()))
root("double", "there twice, under different prefixes", "a tensor under two prefixes",
     record(entries() + [("module." + k, v) for k, v in entries()]))
root("long-name", "name of a tensor", "a name of 300 bytes", record([("x" * 300, v) for k, v in entries()]))
root("number-name", "name of a tensor", "a number as a name",
     b"}" + b"".join(number(1) + v + b"s" for k, v in entries()))

# ---- instructions ----
root("empty-dict", "holds a dict without tensors", "an empty dict", b"}")
root("none", "holds None, not a dict", "None", NONE)
root("list", "holds a list", "a list", b"]" + RUN + b"a")
root("unknown-op", "byte 2 of its pickle: unknown instruction 0xff", "an unknown instruction", b"\xff")
root("extension", "unknown instruction 0x82", "the extension registry", b"\x82\1")
root("buffer", "unknown instruction 0x97", "a buffer out of band", b"\x97")
root("underflow", "takes a value that is not there", "an empty stack", b"R")
root("under-mark", "takes a value that is not there", "values below a mark", b"NN(R")
root("no-mark", "takes a mark that is not there", "no mark", b"NNt")
root("odd", "a key has no value", "a key without a value", b"}(Nu")
root("memo-absent", "memo that is not there", "the memo empty", b"h\0")
root("memo-huge", "memo is too large", "a memo number of 2^32-1", b"Nr\xff\xff\xff\xff")
root("text-huge", "cut short", "a text of 4 GB", b"X\xff\xff\xff\xff")
root("text-8", "cut short", "a text of 2^63 bytes", b"\x8d" + b"\xff" * 8)
root("long-huge", "cut short", "an integer of 4 GB", b"\x8b\xff\xff\xff\xff")
root("endless", "cut short", "a class name without an end", b"cos")
root("class-number", "name of a class is not a text", "a class whose name is a number", b"K\1K\2\x93")
root("protocol", "newer than 5", "protocol 6", b"\x80\6")
pickled("protocol-0", "not of protocol 2 to 5", "protocol 0", b"(dp0\n.")
pickled("no-stop", "cut short", "no end", GOOD[:-1])
pickled("empty-pickle", "not of protocol 2 to 5", "an empty pickle", b"")
for n in (1, len(GOOD) // 3, len(GOOD) // 2): pickled(f"cut-pickle-{n}", "cut short|protocol", "a pickle cut", GOOD[:n])
DEEP = 200000
root("deep-lists", "holds a list", "lists in lists", b"]" * DEEP + b"a" * (DEEP - 1))
root("deep-tuples", "holds a tuple", "tuples in tuples", b")" + b"\x85" * DEEP)
root("marks", "value that is not there|cut short", "marks", b"(" * DEEP)
root("cycle-list", "holds a list", "a list in itself", b"]q\1h\1a")
root("cycle-dict", '"state_dict"|without tensors', "a dict in itself", b"}q\1" + text("state_dict") + b"h\1s")
root("doubling", "holds a list", "a list that holds the one before twice", b"]" + b"q\1]h\1ah\1a" * 5000)
root("copies", "holds a tuple", "many copies of a value", b"(" + b"N2" + b"2" * DEEP + b"t")
root("big-pickle", "too large for the file", "a pickle too large for its file", b"N0" * 600000 + b"}")

# ---- the archive ----
case("no-pickle", "not weights but a zip archive that PyTorch did not write", "no data.pkl", pack(members(None)))
case("npz", "a NumPy archive", "a .npz", pack({"a.npy": b"\x93NUMPY"}))
case("docx", "an Office document", "a .docx", pack({"[Content_Types].xml": b"<a/>", "word/document.xml": b""}))
case("script", "a TorchScript program", "TorchScript", pack({**members(GOOD), "archive/code/__torch__.py": b"",
                                                             "archive/constants.pkl": b""}))
case("two-folders", "data.pkl is there twice", "two archives in one", pack({**members(GOOD), **members(GOOD, "b")}))
case("empty-zip", "an empty zip archive", "an empty zip archive", pack({}))
case("big-endian", "its byte order is \"big\"", "big-endian", pack(members(GOOD, byteorder=b"big")))
case("no-version", "version \"\" of", "no version", pack(members(GOOD, version=None)))
case("version", "version \"99\" of", "version 99", pack(members(GOOD, version=b"99\n")))
case("version-long", "version is too long", "a long version", pack(members(GOOD, version=b"3" * 99)))
case("bzip2", "compressed by method 12", "bzip2", pack(members(GOOD), zipfile.ZIP_BZIP2))
case("legacy", "PyTorch before 1.6", "before 1.6", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + bytes(100))
case("bare", "a Python pickle", "a bare pickle", GOOD)
import warnings
warnings.simplefilter("ignore")
b = io.BytesIO(FILE)
with zipfile.ZipFile(b, "a") as z: z.writestr(f"archive/data/{key}", DATA[EMBED])
case("member-twice", "is there twice", "a member twice", b.getvalue())
for what, at in (("data", FILE.index(DATA[EMBED]) + 5), ("pickle", FILE.index(GOOD) + len(GOOD) - 60)):
    bent = bytearray(FILE)
    bent[at] ^= 1
    case("flip-" + what, "damaged", "a flipped bit in the " + what, bytes(bent))
bent = bytearray(pack(members(GOOD), zipfile.ZIP_DEFLATED))
bent[len(bent) // 2] ^= 4
case("flip-deflated", "damaged|complete", "a flipped bit in deflated data", bytes(bent))
for n in (30, 200, len(FILE) // 2, len(FILE) - 300, len(FILE) - 1):
    case(f"cut-{n - len(FILE)}", "damaged|complete", "cut short", FILE[:n])
zeros = bytes(64 << 20)
embed_bomb = HEAD + record(entries(tensor(storage(key, len(zeros) // 4), [ROWS, WIDTH]))) + STOP
case("bomb", "expands to more than 16 times", "64 MB of zeros, deflated",
     pack(members(embed_bomb, **{"data__" + key: zeros}), zipfile.ZIP_DEFLATED))
case("bomb-pickle", "too large for the file", "a pickle of 64 MB, deflated", pack(members(zeros), zipfile.ZIP_DEFLATED))
spread = bytes(8 << 20)
case("bomb-spread", "spread over more bytes", "a tensor spread over 8 MB, deflated", pack(members(
    HEAD + record(entries(tensor(storage(key, 2 << 20), [ROWS, WIDTH], 0, [(2 << 20) // ROWS, 1]))) + STOP,
    **{"data__" + key: spread}), zipfile.ZIP_DEFLATED))
# The end record says that the central directory has 20 million members.
end = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 20000000, 20000000, len(FILE), 0)
end += struct.pack("<4sIQI", b"PK\6\7", 0, len(FILE), 1) + b"PK\5\6" + b"\xff" * 16 + b"\0\0"
case("many-members", "more than 65536 members", "20 million members", FILE + end)
