# SPDX-License-Identifier: MIT
"""The package by itself: shapes, golden tensors, errors, threads, forks, signals, memory."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import caduceus
from caduceus import windows
from conftest import BUNDLED, DATA, random_sequence


@pytest.fixture(scope="module")
def model():
    with caduceus.Model(BUNDLED, threads=2) as m:
        yield m


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    n = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + n])
    header.pop("__metadata__", None)
    types = {"F32": np.float32, "I64": np.int64}

    def array(t: dict) -> np.ndarray:
        beg, end = (8 + n + x for x in t["data_offsets"])
        return np.frombuffer(data[beg:end], types[t["dtype"]]).reshape(t["shape"])

    return {name: array(t) for name, t in header.items()}


def golden() -> list[Path]:
    shared = Path(os.environ.get("CADUCEUS_SHARED", "/nonexistent")) / "golden"
    names = ["ps-d32-l2-f16", "ph-d16-l2", "pc2-d64-l2", "cls-ps-d16-l2"]
    return sorted(p.parent for p in DATA.glob("*/expected.safetensors")) + [
        shared / n for n in names if (shared / n).is_dir()
    ]


def far(x: np.ndarray, want: np.ndarray) -> float:
    return float(np.linalg.norm(x - want) / np.linalg.norm(want))


@pytest.mark.parametrize("path", golden(), ids=lambda p: p.name)
def test_golden(path: Path):
    want = read_tensors(path / "expected.safetensors")
    with caduceus.Model(path) as m:
        tokens = [row.astype(np.uint8) for row in want["input_ids"]]
        if "class_logits" in want:
            if "input_ids_rc" not in want and m.kind.startswith("Caduceus-PS"):
                assert far(m.classify(tokens), want["class_logits"]) < 2e-6
            return
        assert far(np.stack(m.hidden(tokens)), want["last_hidden_state"]) < 2e-6
        assert far(np.stack(m.logits(tokens, both_strands=False)), want["logits"]) < 2e-6
        if m.kind.startswith("Caduceus-PS"):
            assert np.array_equal(m.logits(tokens[0]), m.logits(tokens[0], both_strands=False))


def test_properties(model: caduceus.Model):
    config = json.loads((BUNDLED / "config.json").read_text())
    assert (model.d_model, model.n_layer, model.vocab_size) == (config["d_model"], config["n_layer"], 16)
    assert model.kind == "Caduceus-PS" and model.head is None and model.precision == "fp32"
    assert model.device.startswith("cpu ") and model.threads == 2 and len(model.sha256) == 64
    assert model.n_parameters > 400_000 and Path(model.folder).samefile(BUNDLED)
    assert caduceus.version == caduceus.__version__
    assert "Caduceus-PS, cpu" in repr(model)


def test_tokenize(model: caduceus.Model):
    tokens = model.tokenize("ACGTacgt")
    assert (
        tokens.dtype == np.uint8 and tuple(tokens[:4]) == model.base_tokens and np.array_equal(tokens[:4], tokens[4:])
    )
    assert np.shares_memory(model.tokenize(tokens), tokens)  # tokens are not copied
    n, as_n = model.tokenize("N"), model.tokenize("N", n_token=True)
    assert n[0] != as_n[0]
    assert np.array_equal(model.tokenize(b"ACGT"), model.tokenize("ACGT"))
    assert [len(t) for t in model.tokenize(["A", "", "ACG"])] == [1, 0, 3]
    assert np.array_equal(model.embed("ACGT"), model.embed(model.tokenize("ACGT")))


def test_shapes(model: caduceus.Model):
    D = model.d_model
    assert model.logits("ACGTA").shape == (5, 16)
    assert model.hidden("ACGTA").shape == (5, 2 * D)
    assert [x.shape for x in model.hidden(["AC", "ACG"])] == [(2, 2 * D), (3, 2 * D)]
    assert model.embed(s for s in ("AC", "ACG")).shape == (2, D)
    assert model.embed(np.array(["AC", "ACG"])).shape == (2, D)
    assert model.embed([]).shape == (0, D) and model.score([]) == [] and model.logits([]) == []
    s = model.score("ACNGT")
    assert s.logp.shape == (5, 4) and s.n == 4 and np.isnan(s.logp[2]).all() and np.isnan(s.bases[2])
    assert np.allclose(np.exp(s.logp[[0, 1, 3, 4]].astype(float)).sum(axis=1), 1)
    assert s.entropy.shape == (5,) and np.isnan(s.entropy[2]) and (np.delete(s.entropy, 2) <= 2).all()


def test_empty_sequences(model: caduceus.Model):
    assert np.isnan(model.embed(["", "ACG"])[0]).all() and not np.isnan(model.embed(["", "ACG"])[1]).any()
    assert model.embed("", "none").shape == (0, model.d_model)
    s = model.score("")
    assert s.n == 0 and np.isnan(s.pll) and s.logp.shape == (0, 4)
    with pytest.raises(caduceus.ArgumentError, match="empty sequence"):
        model.logits("")


METHODS = ("tokenize", "embed", "score", "logits", "hidden")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("sequences", "n", "first"),
    [
        ("ACGUUA", 2, "'U' at position 3 of sequence 0, both counted from 0; RNA: replace U by T"),
        (b"acgt-n", 1, "'-' at position 4 of sequence 0, both counted from 0"),
        (["ACGTN", "acgtn", "TTR", "MK"], 3, "'R' at position 2 of sequence 2, both counted from 0"),
        (["A", "CG\nT "], 2, "'\\n' at position 2 of sequence 1, both counted from 0"),
        (["AC1", b"\xff"], 2, "'1' at position 2 of sequence 0, both counted from 0"),
    ],
    ids=["RNA", "gap", "IUPAC", "blanks", "digit"],
)
def test_letters_read_as_n(method: str, sequences: object, n: int, first: str, model: caduceus.Model):
    """One warning for each call, at the caller's line, with the number, the first letter and its place."""
    with pytest.warns(UserWarning) as seen:
        getattr(model, method)(sequences)
    text = f"{n} letter{'s' * (n > 1)} other than A, C, G, T and N read as N: the first is {first}"
    assert [str(w.message) for w in seen] == [text] and seen[0].filename == __file__


@pytest.mark.parametrize("method", METHODS)
def test_letters_of_dna(method: str, model: caduceus.Model):
    """Bases and N, in either case, and tokens cause no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        getattr(model, method)(["ACGTNacgtn", b"ACGTNacgtn", model.tokenize("ACGTN")])


def test_letters_read_as_n_elsewhere(model: caduceus.Model):
    """The other methods warn once too, at the caller's line, and read the letters as N."""
    with pytest.warns(UserWarning, match="'u' at position 1 of sequence 0") as seen:
        assert model.llr("Aug", 2, ["A", "C"]).shape == (2,)
    assert len(seen) == 1 and seen[0].filename == __file__
    with caduceus.Model(DATA / "cls-ps") as c:
        for call in (c.classify, c.predict_proba, c.predict):
            with pytest.warns(UserWarning, match="'X' at position 0 of sequence 1") as seen:
                call(["ACGT", "X"])
            assert len(seen) == 1 and seen[0].filename == __file__
    with pytest.warns(UserWarning, match="1 letter "):
        assert model.embed("ACUG").tobytes() == model.embed("ACNG").tobytes()


def test_results_depend_on_nothing_else(model: caduceus.Model):
    seqs = [random_sequence(n, n) for n in (5, 100, 400, 64)]
    with caduceus.Model(BUNDLED, threads=1) as single:
        for a, b, seq in zip(single.score(seqs), model.score(seqs[::-1])[::-1], seqs):
            assert a.logp.tobytes() == b.logp.tobytes() == model.score(seq).logp.tobytes()
    both = model.embed(seqs)
    assert both.tobytes() == np.stack([model.embed(s) for s in seqs]).tobytes()


@pytest.mark.parametrize("mask", ["each", "stride:5"])
def test_scoring_in_parts_changes_nothing(mask: str, model: caduceus.Model, monkeypatch: pytest.MonkeyPatch):
    seqs = [random_sequence(n, n) for n in (3, 20, 71)]
    want = model.score(seqs, mask, window=60, flank=7)
    calls: list[int] = []
    real = caduceus.Model._call
    monkeypatch.setattr(caduceus.Model, "_call", lambda self, *a: (calls.append(1), real(self, *a))[1])
    counts = []
    for budget in (50, 300, 1 << 20):
        monkeypatch.setattr(caduceus.Model, "_budget", budget)
        calls.clear()
        got = model.score(seqs, mask, window=60, flank=7)
        counts.append(len(calls))
        assert [g.logp.tobytes() for g in got] == [w.logp.tobytes() for w in want]
    assert counts[0] > counts[1] > counts[2] == 1


def test_tiles():
    """Cores cover the sequence once, are symmetric, and no longer than the window allows."""
    for window, flank in ((9, 4), (10, 4), (64, 16), (7, 0)):
        t = windows.tiling(window, flank)
        for n in range(0, 60):
            cut = list(windows.tiles(t, n))
            assert [i for c, _ in cut for i in range(*c)] == list(range(n))
            assert all(0 < e - b <= t.core for (b, e), _ in cut)
            assert [(n - e, n - b) for (b, e), _ in reversed(cut)] == [c for c, _ in cut]
            assert all(w == (max(b - flank, 0), min(e + flank, n)) for (b, e), w in cut)


def test_errors(model: caduceus.Model, tmp_path: Path):
    with pytest.raises(caduceus.FileError, match="No such file") as e:
        caduceus.Model(tmp_path / "nothing")
    assert isinstance(e.value, OSError) and isinstance(e.value, caduceus.Error) and e.value.code < 0
    for options in ({"device": "gpu"}, {"precision": "fp8"}, {"threads": 0}, {"threads": 5000}):
        with pytest.raises((caduceus.ArgumentError, caduceus.DeviceError)):
            caduceus.Model(BUNDLED, **options)
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"config\.json"):
        caduceus.Model(tmp_path)
    with pytest.raises(ValueError, match="1500 tokens in a context for 1024"):
        model.logits("A" * 1500)
    with pytest.raises(caduceus.ArgumentError, match="not ASCII"):
        model.score("ACGÜ")
    with pytest.raises(TypeError, match="not int"):
        model.embed([1, 2])
    with pytest.raises(TypeError):
        model.embed(np.zeros((2, 3), np.uint8))
    with pytest.raises(caduceus.ArgumentError, match="token 200"):
        model.embed(np.array([200], np.uint8))
    with pytest.raises(caduceus.ArgumentError, match="expected mean"):
        model.embed("ACGT", "median")
    for mask in ("every", "stride:0", "stride:", "stride:-1", "stride:1048577", ""):
        with pytest.raises(caduceus.ArgumentError, match="expected each"):
            model.score("ACGT", mask)
    for window, flank in ((8, 4), (0, None), (10, -1), (2000, None)):
        with pytest.raises(caduceus.ArgumentError):
            model.score("ACGT", window=window, flank=flank)
    for pos in (-1, 4):
        with pytest.raises(IndexError):
            model.llr("ACGT", pos, "A")
    with pytest.raises(caduceus.ArgumentError, match="alt"):
        model.llr("ACGT", 0, "N")
    with pytest.raises(caduceus.ArgumentError, match="2 positions and 3 alts"):
        model.llr("ACGT", [0, 1], "ACG")
    assert np.isnan(model.llr("ACNT", 2, "A")) and model.llr("ACGT", 2, "g") == 0
    for f in (model.classify, model.predict, model.predict_proba):
        with pytest.raises(caduceus.ArgumentError, match="classifier"):
            f("ACGT")
    with caduceus.Model(DATA / "cls-ps") as c, pytest.raises(caduceus.ArgumentError, match="classifier"):
        c.score("ACGT")


def test_bundled():
    with pytest.warns(UserWarning, match="not for publication"):
        caduceus.Model().close()
    with caduceus.Model("bundled") as m:
        assert m.kind == "Caduceus-PS"


def test_nearly_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("bundle", "Bundled"):
        with pytest.raises(caduceus.FileError, match=f"^{name}: No such file or directory; .*named 'bundled'$") as e:
            caduceus.Model(name)
        (tmp_path / name).mkdir()
        with pytest.raises(caduceus.Error, match="holds neither model") as there:
            caduceus.Model(name)
        assert e.value.code == there.value.code < 0
    with pytest.raises(caduceus.FileError, match=r"No such file or directory$"):
        caduceus.Model("human")


def test_environment_names_the_model(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CADUCEUS_MODEL", str(DATA / "ph"))
    with caduceus.Model() as m:
        assert m.kind == "Caduceus-Ph"


def test_close():
    m = caduceus.Model(DATA / "ps")
    m.close()
    m.close()
    assert "closed" in repr(m)
    for f in (lambda: m.embed("ACGT"), lambda: m.d_model, lambda: m.kind, lambda: m.tokenize("A")):
        with pytest.raises(ValueError, match="closed"):
            f()


def test_pickle(model: caduceus.Model):
    with pickle.loads(pickle.dumps(model)) as again:
        assert again.threads == 2 and again.embed("ACGT").tobytes() == model.embed("ACGT").tobytes()


def test_threads(model: caduceus.Model):
    """Eight threads of Python share a model, and get what one gets."""
    seqs = [[random_sequence(100, 10 * i + k) for k in range(5)] for i in range(8)]
    want = [model.embed(s).tobytes() for s in seqs]
    got: dict[int, bytes] = {}
    threads = [threading.Thread(target=lambda i=i: got.update({i: model.embed(seqs[i]).tobytes()})) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [got[i] for i in range(8)] == want


def test_the_gil_is_released(model: caduceus.Model):
    """Python runs on while the library computes: a loop counts during one call."""
    tokens = model.tokenize(random_sequence(1000, 1))
    done = threading.Event()
    worker = threading.Thread(target=lambda: (model.score([tokens] * 2, "stride:8"), done.set()))
    worker.start()
    turns = 0
    while not done.wait(0.002):
        turns += 1
    worker.join()
    assert turns > 3


_shared: caduceus.Model | None = None


def in_child(seq: str) -> bytes:
    assert _shared is not None
    return _shared.embed(seq).tobytes()


def test_fork(model: caduceus.Model):
    global _shared
    _shared = model
    want = model.embed("ACGTTGCA").tobytes()  # its threads exist before the fork
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(in_child, ["ACGTTGCA"] * 4).get(60) == [want] * 4
    assert model.embed("ACGTTGCA").tobytes() == want


INTERRUPTED = """
import signal, sys, caduceus
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
with caduceus.Model(sys.argv[1], threads=1) as model:
    print("ready", flush=True)
    try:
        model.score(["ACGT" * 250] * 4000 if sys.argv[2] == "many" else "ACGT" * 256, "each")
    except KeyboardInterrupt:
        print("interrupted", model.score("ACGT").n)
"""


@pytest.mark.parametrize("what", ["many", "one"])
def test_keyboard_interrupt(what: str):
    line = [sys.executable, "-c", INTERRUPTED, str(BUNDLED), what]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as p:
        try:
            assert p.stdout is not None and p.stdout.readline() == "ready\n"
            time.sleep(0.2)
            p.send_signal(signal.SIGINT)
            assert p.communicate(timeout=60)[0] == "interrupted 4\n"
        finally:
            p.kill()


def test_no_leaks():
    """The process does not grow over 10,000 calls, nor over opening and closing, nor over errors."""

    def rounds(n: int) -> int:
        for i in range(n):
            model.embed("A")
            if i % 10 == 0:
                model.score("AC", "none")
        for _ in range(n // 100):
            caduceus.Model(DATA / "ps").close()
            with pytest.raises(caduceus.ArgumentError):
                model.logits("")
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with caduceus.Model(DATA / "ph", threads=1) as model:
        before = rounds(1000)
        assert rounds(10_000) - before < 4096  # KB


def test_read_fasta(tmp_path: Path):
    text = ">one first\nACG\nTN\n\n>two\n>three\nacgt\n"
    (tmp_path / "a.fa").write_text(text)
    (tmp_path / "a.fa.gz").write_bytes(gzip.compress(text.encode()))
    want = [("one", "ACGTN"), ("two", ""), ("three", "acgt")]
    assert list(caduceus.read_fasta(tmp_path / "a.fa")) == want == list(caduceus.read_fasta(tmp_path / "a.fa.gz"))
    (tmp_path / "b.fa").write_text("ACGT\n")
    with pytest.raises(caduceus.FormatError, match="not FASTA"):
        list(caduceus.read_fasta(tmp_path / "b.fa"))
    (tmp_path / "c.fa").write_text("")
    with pytest.raises(caduceus.FormatError, match="no sequence"):
        list(caduceus.read_fasta(tmp_path / "c.fa"))
    for name, data in {"random": bytes(range(128, 256)), "later": b">one\nAC\xff\n"}.items():
        for file, packed in ((name, data), (f"{name}.gz", gzip.compress(data))):
            (tmp_path / file).write_bytes(packed)
            with pytest.raises(caduceus.FormatError, match=f"{file}: is not FASTA: it has bytes that are no text"):
                list(caduceus.read_fasta(tmp_path / file))
    packed = gzip.compress(b">one\n" + random_sequence(100_000, 1).encode())
    (tmp_path / "d.fa.gz").write_bytes(packed[:-20])
    with pytest.raises(caduceus.FormatError, match=r"d\.fa\.gz: is cut short or damaged"):
        list(caduceus.read_fasta(tmp_path / "d.fa.gz"))
    (tmp_path / "e.fa.gz").write_bytes(packed[:500] + bytes(50) + packed[550:])
    with pytest.raises(caduceus.FormatError, match=r"e\.fa\.gz: is cut short or damaged"):
        list(caduceus.read_fasta(tmp_path / "e.fa.gz"))
    with pytest.raises(FileNotFoundError):
        list(caduceus.read_fasta(tmp_path / "nothing"))
