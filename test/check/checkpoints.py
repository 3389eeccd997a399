"""checkpoints.py KIND ARGUMENT...: writes checkpoints and files of expected tensors that are unusual or wrong. KIND is
a function below. SPDX-License-Identifier: MIT"""

import json
import os
import re
import shutil
import struct
import sys

import tensors


def config(folder, **changes):
    """Changes config.json; a value of None removes its key."""
    c = json.load(open(folder + "/config.json"))
    c.update(changes)
    json.dump({k: v for k, v in c.items() if v is not None}, open(folder + "/config.json", "w"))


def eleven(folder):
    """Changes the model in a folder: the tables of its vocabulary get 11 rows in place of 16."""
    path = folder + "/model.safetensors"
    head, parts = tensors.read(path)
    out = {}
    for k, data in parts.items():
        dtype, shape = head[k]["dtype"], head[k]["shape"]
        if k.endswith("complement_map") or "word_embeddings" in k:
            data, shape = data[: len(data) // 16 * 11], [11] + shape[1:]
        out[k] = dtype, shape, data
    tensors.write(path, out, head.get("__metadata__"))
    map_ = json.load(open(folder + "/config.json"))["complement_map"]
    map_ = {k: v for k, v in map_.items() if int(k) < 11}
    config(folder, vocab_size=11, pad_vocab_size_multiple=1, complement_map=map_)


def tokens(*values, shape=None):
    return "I64", shape or [1, len(values)], struct.pack(f"<{len(values)}q", *values)


def gradients(folder):
    """Writes expected gradients with a tensor of a wrong shape, and others with labels of a wrong shape."""
    ids, loss = tokens(*[7] * 8), ("F32", [1], struct.pack("<f", 1.0))
    thin = {"input_ids": ids, "labels": tokens(*[8] * 8), "loss": loss}
    thin["grad.caduceus.backbone.layers.0.norm.weight"] = "F32", [1], bytes(4)
    tensors.write(folder + "/thin.safetensors", thin)
    short = {"input_ids": ids, "labels": tokens(*[8] * 80), "loss": loss}
    tensors.write(folder + "/short.safetensors", short)


def expected(folder, data):
    """Writes hostile files of expected tensors, FOLDER/NAME.st, and FOLDER/one-label, a model with one label, for which
    a scalar has the right number of values."""

    def write(name, **kw):
        tensors.write(f"{folder}/{name}.st", kw)

    ids = tokens(7, 8, 9, 10)
    write("range", input_ids=tokens(7, 8, 9, 16))
    write("negative", input_ids=tokens(7, 8, 9, -1))
    write("flat", input_ids=tokens(7, 8, 9, 10, shape=[4]))
    write("type", input_ids=("F32", [1, 4], bytes(16)))
    write("nothing", input_ids=ids)
    write("nan", input_ids=ids, logits=("F32", [1, 4, 16], struct.pack("<f", float("nan")) * 64))
    write("shape", input_ids=ids, logits=("F32", [1, 16, 4], bytes(256)))
    write("kind", input_ids=ids, logits=("I64", [1, 4, 16], bytes(512)))
    write("scalar", input_ids=ids, class_logits=("F32", [], bytes(4)))
    strands = tokens(7, 8, 9, 10, shape=[2, 2])
    write("strands", input_ids=ids, input_ids_rc=strands, class_logits=("F32", [1, 3], bytes(12)))
    one = folder + "/one-label"
    shutil.copytree(data + "/cls-ps", one)
    head, parts = tensors.read(one + "/model.safetensors")
    out = {k: (head[k]["dtype"], head[k]["shape"], v) for k, v in parts.items()}
    out["score.weight"] = head["score.weight"]["dtype"], [1, 8], parts["score.weight"][:32]
    tensors.write(one + "/model.safetensors", out)
    config(one, id2label=None, num_labels=1)


def published(model, folder):
    """Writes the model with the prefix of published tensor names, which some fixtures lack, and with other metadata."""
    os.makedirs(folder, exist_ok=True)
    head, parts = tensors.read(model + "/model.safetensors")
    out = {}
    for k, data in parts.items():
        name = re.sub(r"^(model\.)?(caduceus\.)?backbone", "caduceus.backbone", re.sub(r"^model\.", "", k))
        out[name] = head[k]["dtype"], head[k]["shape"], data
    tensors.write(folder + "/model.safetensors", out, {"format": "pt", "status": 'a "test", µ'})
    shutil.copyfile(model + "/config.json", folder + "/config.json")


def shards(model, folder):
    """Writes the model with one file per tensor. The size of each header begins with bytes 80 01, as a pickle does."""
    os.makedirs(folder, exist_ok=True)
    head, parts = tensors.read(model + "/model.safetensors")
    files = {name: f"{i}.safetensors" for i, name in enumerate(parts)}
    for name, data in parts.items():
        tensor = {"dtype": head[name]["dtype"], "shape": head[name]["shape"], "data_offsets": [0, len(data)]}
        header = json.dumps({name: tensor}).encode().ljust(0x180)
        open(f"{folder}/{files[name]}", "wb").write(struct.pack("<Q", len(header)) + header + data)
    json.dump({"metadata": {}, "weight_map": files}, open(folder + "/model.safetensors.index.json", "w"))
    shutil.copyfile(model + "/config.json", folder + "/config.json")


KINDS = {"eleven": eleven, "gradients": gradients, "expected": expected, "published": published, "shards": shards}
KINDS[sys.argv[1]](*sys.argv[2:])
