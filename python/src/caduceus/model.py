# SPDX-License-Identifier: MIT
"""The class Model: a checkpoint and a context that computes with it."""

from __future__ import annotations

import difflib
import functools
import math
import os
import re
import sys
import threading
import warnings
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Union, overload

import numpy as np
import numpy.typing as npt

from . import variants as _variants
from ._caduceus import ffi, lib
from .errors import ArgumentError, DeviceError, FileError, check, new_error, text
from .windows import Tile, Tiling, tiles, tiling

Tokens = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Sequence = Union[str, bytes, Tokens]
Sequences = Iterable[Sequence]
Pool = Literal["mean", "max", "center"]

_POOL: dict[str, int] = {
    "mean": lib.CAD_POOL_MEAN,
    "max": lib.CAD_POOL_MAX,
    "center": lib.CAD_POOL_MEAN,
    "none": lib.CAD_POOL_NONE,
}
_HEAD_POOL: dict[int, Literal["mean", "max", "attention"]] = {
    lib.CAD_POOL_MEAN: "mean",
    lib.CAD_POOL_MAX: "max",
    lib.CAD_POOL_ATTENTION: "attention",
}
_HEAD: dict[int, Literal["classes", "labels", "values"]] = {
    lib.CAD_HEAD_CLASSES: "classes",
    lib.CAD_HEAD_LABELS: "labels",
    lib.CAD_HEAD_VALUES: "values",
}


class Head(NamedTuple):
    """The meaning of a classifier's K outputs."""

    kind: Literal["classes", "labels", "values"]
    """one of K classes, any of K labels, or K numbers"""
    names: tuple[str, ...]
    pool: Literal["mean", "max", "attention"]
    """how positions are pooled"""
    mean: tuple[float, ...]
    """values only: value k is logit k x scale[k] + mean[k]"""
    scale: tuple[float, ...]


class Score(NamedTuple):
    """Scores of one sequence of L letters. Natural logarithms."""

    logp: Floats
    """(L, 4) log p of A, C, G and T at each position; NaN where the letter is none of them"""
    bases: Floats
    """(L,) log p of the sequence's own base; NaN where the letter is none of A, C, G, T"""
    pll: float
    """mean of `bases` over the scored positions; NaN if there are none"""
    n: int
    """number of scored positions"""

    @property
    def entropy(self) -> Doubles:
        """(L,) entropy in bits, 0 (certain) to 2 (a guess); the information content is 2 - entropy."""
        row = ffi.from_buffer("float[]", np.ascontiguousarray(self.logp))
        return np.array([lib.cad_entropy(row + 4 * i) for i in range(len(self.logp))])


class _Window(NamedTuple):
    """One window to compute: its tokens, the core within them, and the memory that receives the result."""

    tokens: Tokens
    core: tuple[int, int]
    out: Floats | None


def _address(array: npt.NDArray[Any], kind: str) -> Any:
    return ffi.cast(kind, array.__array_interface__["data"][0])


def _mask(how: str) -> int:
    """Returns the number that stands for a mask in the C interface."""
    kind, _, stride = how.partition(":")
    if how in ("each", "none"):
        return int(lib.CAD_MASK_EACH if how == "each" else lib.CAD_MASK_NONE)
    if kind == "stride" and stride.isascii() and stride.isdigit() and 1 <= int(stride) <= 1 << 20:
        return int(stride)
    raise ArgumentError(f"mask {how!r}: expected each, none or stride:K, K from 1 to 1048576")


def _layer(layer: int | None) -> int:
    """Returns the number that stands for a layer in the C interface."""
    if layer == 0:
        raise ArgumentError("layer 0: expected 1, 2, ... or, counted from the last layer, -1, -2, ...")
    return 0 if layer is None else layer


def _default_threads() -> int:
    n = len(os.sched_getaffinity(0))
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(n, int(slurm)) if slurm.isdigit() and int(slurm) > 0 else n


def _locate(model: str | os.PathLike[str] | None) -> str:
    """Returns the path of a model; None means $CADUCEUS_MODEL, else the bundled model with a warning."""
    path = os.fspath(model) if model is not None else os.environ.get("CADUCEUS_MODEL") or None
    if path is not None and path != "bundled":
        if difflib.get_close_matches(path.lower(), ["bundled"], cutoff=0.7) and not Path(path).exists():
            raise FileError(f"{path}: No such file or directory; the model in the package is named 'bundled'")
        return path
    bundled = Path(__file__).parent / "share" / "caduceus" / "models" / "human-small"
    if not bundled.is_dir():
        raise ArgumentError("this installation has no bundled model: name a checkpoint, or set CADUCEUS_MODEL")
    if path is None:
        warnings.warn(
            "no model given: using the bundled small model, not for publication ('bundled': no warning)", stacklevel=3
        )
    return str(bundled)


def _stack_level() -> int:
    """Returns the stacklevel with which the caller's warning points at the line that called the package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"].startswith(f"{__package__}."):
        frame, level = frame.f_back, level + 1
    return level


def _warn_of_letters(n: int, index: int, seq: Sequence) -> None:
    """Warns of n letters that are read as N; seq, the index-th sequence, has the first of them."""
    letters = seq.decode("latin-1") if isinstance(seq, bytes) else str(seq)
    first = re.search("[^ACGTNacgtn]", letters)
    assert first is not None
    what = f"{n} letter{'s' * (n > 1)} other than A, C, G, T and N read as N"
    where = f"{first[0]!r} at position {first.start()} of sequence {index}, both counted from 0"
    advice = "; RNA: replace U by T" if re.search("[Uu]", letters) else ""
    warnings.warn(f"{what}: the first is {where}{advice}", stacklevel=_stack_level())


def _close_context(model: Any, ctx: Any) -> None:
    """Closes a context; the parameter model keeps the context's model open until then."""
    lib.cad_context_close(ctx)


_models: weakref.WeakSet[Model] = weakref.WeakSet()


def _after_fork() -> None:
    for model in list(_models):
        model._forget_context()


os.register_at_fork(after_in_child=_after_fork)


class Model:
    """A model that is open for computing.

    Args:
        model: a folder, a .safetensors file beside its config.json, "hf:ORG/NAME[@REV]" in the hub's local cache, or
            "bundled". None: $CADUCEUS_MODEL, else the bundled model with a warning.
        adapter: a folder of a LoRA adapter of peft, or "hf:ORG/NAME[@REV]".
        device: "cpu", "cuda", "cuda:I", "cuda:I,J", "cuda:all" or "auto".
        precision: "fp32", "bf16x3" or "bf16"; None: fp32 on the CPU, bf16 on CUDA.
        threads: number of CPU threads that compute; None: as many as this process may use. Results do not depend on it.
        max_len: length of the longest window in bases; None: the model's. Memory grows with it only as it is used.

    A model may be used by several threads of Python, which take turns at each call of the library. The child of a fork
    opens its own context when it first computes; on CUDA that is a DeviceError. A pickled model is opened again from
    its path. Ctrl-C takes effect between calls of the library: after a batch, or after some masking passes.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        adapter: str | os.PathLike[str] | None = None,
        device: str | None = None,
        precision: str | None = None,
        threads: int | None = None,
        max_len: int | None = None,
    ) -> None:
        self._path = _locate(model)
        self._adapter = None if adapter is None else os.fspath(adapter)
        self._wanted = (device, precision)
        self.threads = _default_threads() if threads is None else threads
        self._max_len = max_len
        self._lock = threading.Lock()
        self._contexts: dict[int, Any] = {}  # by layer, 0 for the last
        self._model: Any = self._open_model()
        self.max_len = max_len or self._number(lib.CAD_MAX_LEN)
        with self._lock:
            ctx = self._open()
        self.device = text(lib.cad_context_device(ctx))
        self.precision = text(lib.cad_context_precision(ctx))
        self.note = text(lib.cad_context_note(ctx))
        self.head = self._read_head()
        _models.add(self)

    # ---- opening and closing ----

    def _open_model(self) -> Any:
        handle, err = ffi.new("cad_model_t **"), new_error()
        adapter = ffi.NULL if self._adapter is None else os.fsencode(self._adapter)
        check(lib.cad_model_open_adapted(handle, os.fsencode(self._path), adapter, err), err)
        return ffi.gc(handle[0], lib.cad_model_close)

    def _open(self, layer: int = 0) -> Any:
        """Returns the context of a layer; opens it if this process has none yet. The caller holds the lock.

        Of the inner layers only the one that was used last has a context.
        """
        if self._model is None:
            raise ValueError("the model is closed")
        if layer not in self._contexts:
            options, handle, err = ffi.new("cad_options_t *"), ffi.new("cad_context_t **"), new_error()
            lib.cad_options_init_sized(options, ffi.sizeof("cad_options_t"))
            names = [ffi.NULL if name is None else ffi.new("char[]", name.encode()) for name in self._wanted]
            options.device, options.precision = names
            options.threads = self.threads
            options.max_len = self.max_len
            options.layer = layer
            check(lib.cad_context_open(handle, self._model, options, err), err)
            for other in [k for k in self._contexts if k and layer]:
                ffi.release(self._contexts.pop(other))
            self._contexts[layer] = ffi.gc(handle[0], functools.partial(_close_context, self._model))
        return self._contexts[layer]

    def _forget_context(self) -> None:
        """In the child of a fork: drops the context, whose threads exist only in the parent."""
        self._lock = threading.Lock()
        for ctx in self._contexts.values():
            ffi.gc(ctx, None)
        self._contexts = {}
        if self.device.startswith("cuda"):
            self._wanted = ("forked", None)

    def close(self) -> None:
        """Frees the model and its context; a later call that computes is a ValueError."""
        with self._lock:
            for ctx in self._contexts.values():
                ffi.release(ctx)
            self._contexts, self._model = {}, None

    def __enter__(self) -> Model:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        device, precision = self._wanted
        again = functools.partial(
            Model,
            self._path,
            adapter=self._adapter,
            device=device,
            precision=precision,
            threads=self.threads,
            max_len=self._max_len,
        )
        return again, ()

    def __deepcopy__(self, memo: object) -> Model:
        return self  # nothing about a model changes but whether it is open

    def __repr__(self) -> str:
        state = "closed" if self._model is None else f"{self.kind}, {self.device}, {self.precision}"
        return f"<caduceus.Model {self._path}: {state}>"

    # ---- properties ----

    def _number(self, what: int) -> int:
        if self._model is None:
            raise ValueError("the model is closed")
        return int(lib.cad_model_number(self._model, what))

    def _text(self, what: int) -> str:
        if self._model is None:
            raise ValueError("the model is closed")
        return text(lib.cad_model_text(self._model, what))

    @property
    def kind(self) -> str:
        """The architecture: "Caduceus-PS" or "Caduceus-Ph", with Mamba-2 layers "Caduceus-PS, Mamba-2"."""
        return self._text(lib.CAD_TEXT_KIND)

    @property
    def sha256(self) -> str:
        """SHA-256 of the weight file."""
        return self._text(lib.CAD_TEXT_SHA256)

    @property
    def folder(self) -> str:
        """The folder that the model was opened from."""
        return self._text(lib.CAD_TEXT_FOLDER)

    @property
    def d_model(self) -> int:
        """D, the width of an embedding."""
        return self._number(lib.CAD_D_MODEL)

    @property
    def n_layer(self) -> int:
        """Number of layers."""
        return self._number(lib.CAD_N_LAYER)

    @property
    def vocab_size(self) -> int:
        """V, the rows of the embedding table and the columns of the logits."""
        return self._number(lib.CAD_VOCAB)

    @property
    def n_parameters(self) -> int:
        """Number of trainable values; a tied tensor counts once."""
        return self._number(lib.CAD_PARAMETERS)

    @property
    def base_tokens(self) -> tuple[int, int, int, int]:
        """Token ids of A, C, G and T, which are columns of the logits."""
        a, c, g, t = (self._number(w) for w in (lib.CAD_TOKEN_A, lib.CAD_TOKEN_C, lib.CAD_TOKEN_G, lib.CAD_TOKEN_T))
        return a, c, g, t

    def _read_head(self) -> Head | None:
        if not self._number(lib.CAD_LABELS):
            return None
        head, err = ffi.new("cad_head_t *"), new_error()
        lib.cad_head_init_sized(head, ffi.sizeof("cad_head_t"))
        check(lib.cad_head_read(head, self._model, err), err)
        try:
            numbers = [() if a == ffi.NULL else tuple(ffi.unpack(a, head.n)) for a in (head.mean, head.scale)]
            names = tuple(text(head.name[i]) for i in range(head.n))
            return Head(_HEAD[head.kind], names, _HEAD_POOL[head.pool], numbers[0], numbers[1])
        finally:
            lib.cad_head_free(head)

    # ---- tokens ----

    @overload
    def tokenize(self, seq: Sequence, n_token: bool = False) -> Tokens: ...  # type: ignore[overload-overlap]
    @overload
    def tokenize(self, seq: Sequences, n_token: bool = False) -> list[Tokens]: ...

    def tokenize(self, seq: Sequence | Sequences, n_token: bool = False) -> Tokens | list[Tokens]:
        """Returns the token ids of the letters, (L,) uint8: one token is one base, upper or lower case.

        Letters other than A, C, G and T become PAD as in pretraining (UNK where the vocabulary has no N). Here and in
        every method below, letters other than these and N, IUPAC codes too, are counted in a UserWarning.

        Args:
            seq: a sequence or several. An array of uint8 is returned as it is: these are tokens already.
            n_token: True: N and IUPAC codes become the token N instead, if the vocabulary has it.
        """
        one, all_tokens = self._several(seq, n_token)
        return all_tokens[0] if one else all_tokens

    def _encode(self, seq: Sequence, n_token: bool = False) -> tuple[Tokens, int]:
        """Returns the tokens of a sequence, and the number of its letters other than A, C, G, T and N."""
        if isinstance(seq, np.ndarray):
            if seq.dtype != np.uint8 or seq.ndim != 1:
                raise TypeError(f"tokens are a one-dimensional array of uint8, not {seq.ndim} of {seq.dtype}")
            return np.ascontiguousarray(seq), 0
        if not isinstance(seq, (str, bytes)):
            raise TypeError(f"a sequence is a str, bytes or an array of tokens, not {type(seq).__name__}")
        if self._model is None:
            raise ValueError("the model is closed")
        if isinstance(seq, str) and not seq.isascii():
            raise ArgumentError("a sequence has a letter that is not ASCII")
        letters = seq.encode("ascii") if isinstance(seq, str) else seq
        tokens = np.empty(len(letters), np.uint8)
        flags = lib.CAD_N_AS_TOKEN if n_token else 0
        return tokens, lib.cad_encode(self._model, letters, len(letters), flags, _address(tokens, "uint8_t *"))

    def _several(self, seq: Sequence | Sequences, n_token: bool = False) -> tuple[bool, list[Tokens]]:
        """Returns whether seq is one sequence, and the tokens of all of them. Warns once of letters read as N."""
        one = isinstance(seq, (str, bytes)) or (isinstance(seq, np.ndarray) and seq.dtype == np.uint8)
        given: Iterable[Any] = [seq] if one else seq
        all_tokens: list[Tokens] = []
        total, first = 0, None
        for s in given:
            tokens, odd = self._encode(s, n_token)
            if odd:
                first = first or (len(all_tokens), s)
                total += odd
            all_tokens.append(tokens)
        if first:
            _warn_of_letters(total, *first)
        return one, all_tokens

    # ---- calling the library ----

    def _call(self, function: Any, *arguments: Any, layer: int = 0) -> None:
        """Calls a function of a layer's context, without the GIL; one thread at a time."""
        err = new_error()
        with self._lock:
            if self._wanted[0] == "forked":
                raise DeviceError("the model was opened on CUDA before a fork: open it in the child process")
            check(function(self._open(layer), *arguments, err), err)

    @property
    def _budget(self) -> int:
        """Tokens of one call of the library: seconds of work, since Ctrl-C waits for the call."""
        return 1 << 20 if self.device.startswith("cuda") else self.threads << 15

    def _batches(self, windows: list[_Window], passes: int = 1) -> Iterator[list[_Window]]:
        """Divides windows into batches of about _budget tokens and passes."""
        batch: list[_Window] = []
        tokens = 0
        for w in windows:
            cost = len(w.tokens) * min(passes, max(w.core[1] - w.core[0], 1))
            if batch and tokens + cost > self._budget:
                yield batch
                batch, tokens = [], 0
            batch.append(w)
            tokens += cost
        if batch:
            yield batch

    def _fill(self, batch: list[_Window], member: str, skip: Tokens | None = None) -> Any:
        """Returns the cad_window_t array of a batch; member ("logp" or "embedding") receives the results."""
        array = ffi.new("cad_window_t[]", len(batch))
        for i, w in enumerate(batch):
            c = array[i]
            c.tokens = _address(w.tokens, "uint8_t *")
            c.len = len(w.tokens)
            c.core_beg, c.core_end = w.core
            if w.out is not None:
                setattr(c, member, _address(w.out, "float *"))
            if skip is not None:
                c.skip = _address(skip, "uint8_t *")
        return array

    def _score_windows(self, windows: list[_Window], mask: int) -> None:
        """Writes the log-probabilities (core length, 4) of every window to its `out`."""
        most = 1 << 62 if mask == lib.CAD_MASK_EACH else max(mask, 1)
        for batch in self._batches(windows, most):
            n = batch[0].core[1] - batch[0].core[0]
            passes = min(most, n)
            parts = min(-(-passes * len(batch[0].tokens) // self._budget), passes)
            if len(batch) > 1 or parts < 2:
                self._call(lib.cad_score, self._fill(batch, "logp"), len(batch), mask)
            else:
                self._score_in_parts(batch[0], mask, passes, parts)

    def _score_in_parts(self, w: _Window, mask: int, passes: int, parts: int) -> None:
        """Scores one window in several calls, each of some of its masking passes, so that Ctrl-C works between them."""
        assert w.out is not None
        beg, end = w.core
        at = np.arange(end - beg) % passes
        logp = np.empty_like(w.out)
        w.out[:] = np.nan
        for k in range(parts):
            chosen = (at >= passes * k // parts) & (at < passes * (k + 1) // parts)
            skip = np.ones(len(w.tokens), np.uint8)
            skip[beg:end] = ~chosen
            self._call(lib.cad_score, self._fill([_Window(w.tokens, w.core, logp)], "logp", skip), 1, mask)
            w.out[chosen] = logp[chosen]

    def _tiling(self, window: int | None, flank: int | None) -> Tiling:
        t = tiling(self.max_len if window is None else window, flank)
        if t.window > self.max_len:
            raise ArgumentError(f"window {t.window} is longer than max_len {self.max_len}: open the model with it")
        return t

    # ---- whole sequences ----

    @overload
    def logits(self, seq: Sequence, *, both_strands: bool = True) -> Floats: ...  # type: ignore[overload-overlap]
    @overload
    def logits(self, seq: Sequences, *, both_strands: bool = True) -> list[Floats]: ...

    def logits(self, seq: Sequence | Sequences, *, both_strands: bool = True) -> Floats | list[Floats]:
        """Returns logits (L, V) of one forward pass, in which nothing is masked.

        Args:
            seq: a sequence or several, of 1 to max_len letters each. To mask a position, give tokens.
            both_strands: True: for PS the published logits; for Ph the mean of those of the sequence and of its reverse
                complement. False: the published forward pass, which for Ph reads the given strand alone.
        """
        one, all_tokens = self._several(seq)
        results = []
        for tokens in all_tokens:
            out = np.empty((len(tokens), self.vocab_size), np.float32)
            at, to = _address(tokens, "uint8_t *"), _address(out, "float *")
            if both_strands:
                self._call(lib.cad_forward_conjoined, at, len(tokens), to)
            else:
                self._call(lib.cad_forward, at, len(tokens), ffi.NULL, to)
            results.append(out)
        return results[0] if one else results

    @overload
    def hidden(self, seq: Sequence, layer: int | None = None) -> Floats: ...  # type: ignore[overload-overlap]
    @overload
    def hidden(self, seq: Sequences, layer: int | None = None) -> list[Floats]: ...

    def hidden(self, seq: Sequence | Sequences, layer: int | None = None) -> Floats | list[Floats]:
        """Returns the published last hidden state: (L, 2D) for PS, (L, D) for Ph, which reads the given strand alone.

        Args:
            seq: a sequence or several, of 1 to max_len letters each.
            layer: the layer after which the state is read, and normalised by the model's final norm: 1 to n_layer, or
                -1 (the last) to -n_layer. None: the last. The first use of another layer opens a context.
        """
        of = _layer(layer)
        one, all_tokens = self._several(seq)
        results = []
        for tokens in all_tokens:
            out = np.empty((len(tokens), self._number(lib.CAD_HIDDEN_WIDTH)), np.float32)
            at = _address(tokens, "uint8_t *")
            self._call(lib.cad_forward, at, len(tokens), _address(out, "float *"), ffi.NULL, layer=of)
            results.append(out)
        return results[0] if one else results

    # ---- embeddings ----

    @overload
    def embed(  # type: ignore[overload-overlap]
        self,
        seq: Sequence,
        pool: Pool | Literal["none"] = ...,
        *,
        layer: int | None = ...,
        window: int | None = ...,
        flank: int | None = ...,
    ) -> Floats: ...
    @overload
    def embed(
        self,
        seq: Sequences,
        pool: Pool = ...,
        *,
        layer: int | None = ...,
        window: int | None = ...,
        flank: int | None = ...,
    ) -> Floats: ...
    @overload
    def embed(
        self,
        seq: Sequences,
        pool: Literal["none"],
        *,
        layer: int | None = ...,
        window: int | None = ...,
        flank: int | None = ...,
    ) -> list[Floats]: ...

    def embed(
        self,
        seq: Sequence | Sequences,
        pool: Pool | Literal["none"] = "mean",
        *,
        layer: int | None = None,
        window: int | None = None,
        flank: int | None = None,
    ) -> Floats | list[Floats]:
        """Returns embeddings, as `caduceus embed` writes them: both strands, nothing masked.

        Args:
            seq: a sequence or several, of any length. The embedding of an empty sequence is NaN.
            pool: "mean" or "max" over the positions, N included, or "center", the middle one (the mean of the two
                middle ones): (D,) for a sequence, (n, D) for n of them. "none": (L, D), or a list of them.
            layer: the layer whose states are embedded, as in `hidden`; None: the last.
            window: bases that the model reads at once; a longer sequence is cut. Default: max_len.
            flank: bases of context on each side of a cut. Default: min(1024, window / 4).
        """
        if pool not in _POOL:
            raise ArgumentError(f"pool {pool!r}: expected mean, max, center or none")
        one, all_tokens = self._several(seq)
        t = self._tiling(window, flank)
        if pool == "none":
            rows = self._embed_rows(all_tokens, t, _layer(layer))
            return rows[0] if one else rows
        out = self._embed_pooled(all_tokens, t, pool, _layer(layer))
        return out[0] if one else out

    def _embed_windows(self, windows: list[_Window], pool: str, layer: int) -> None:
        for batch in self._batches(windows):
            self._call(lib.cad_embed, self._fill(batch, "embedding"), len(batch), _POOL[pool], layer=layer)

    def _embed_rows(self, all_tokens: list[Tokens], t: Tiling, layer: int) -> list[Floats]:
        results = [np.empty((len(tokens), self.d_model), np.float32) for tokens in all_tokens]
        self._embed_windows(
            [_cut(tokens, tile, out) for tokens, out in zip(all_tokens, results) for tile in tiles(t, len(tokens))],
            "none",
            layer,
        )
        return results

    def _embed_pooled(self, all_tokens: list[Tokens], t: Tiling, pool: str, layer: int) -> Floats:
        out = np.full((len(all_tokens), self.d_model), np.nan, np.float32)
        windows: list[_Window] = []
        joins: list[tuple[int, list[_Window]]] = []  # sequences that take several windows
        for i, tokens in enumerate(all_tokens):
            cut = [w for tile in tiles(t, len(tokens)) if (w := _pooled(tokens, tile, out[i], pool))]
            if len(cut) > 1:
                cut = [w._replace(out=np.empty(self.d_model, np.float32)) for w in cut]
                joins.append((i, cut))
            windows += cut
        self._embed_windows(windows, pool, layer)
        for i, cut in joins:
            out[i] = _join(cut, pool)
        return out

    # ---- scores ----

    @overload
    def score(  # type: ignore[overload-overlap]
        self, seq: Sequence, mask: str = ..., *, window: int | None = ..., flank: int | None = ...
    ) -> Score: ...
    @overload
    def score(
        self, seq: Sequences, mask: str = ..., *, window: int | None = ..., flank: int | None = ...
    ) -> list[Score]: ...

    def score(
        self,
        seq: Sequence | Sequences,
        mask: str = "stride:8",
        *,
        window: int | None = None,
        flank: int | None = None,
    ) -> Score | list[Score]:
        """Returns masked log-probabilities of each base, as `caduceus annotate` computes them: a Score for a sequence.

        Args:
            seq: a sequence or several, of any length. The pll of an empty sequence is NaN.
            mask: "each" masks one base in each forward pass, which is exact; "stride:K" every K-th base, in K passes;
                "none" masks nothing in its only pass: the model then sees the base, and pll is no likelihood.
            window: bases that the model reads at once; a longer sequence is cut. Default: max_len.
            flank: bases of context on each side of a cut. Default: min(1024, window / 4).
        """
        how = _mask(mask)
        one, all_tokens = self._several(seq)
        t = self._tiling(window, flank)
        all_logp = [np.empty((len(tokens), 4), np.float32) for tokens in all_tokens]
        cut = [_cut(tokens, tile, out) for tokens, out in zip(all_tokens, all_logp) for tile in tiles(t, len(tokens))]
        self._score_windows(cut, how)
        results = [self._summed(tokens, logp) for tokens, logp in zip(all_tokens, all_logp)]
        return results[0] if one else results

    def _bases(self, tokens: Tokens) -> npt.NDArray[np.int64]:
        """Returns 0, 1, 2, 3 for A, C, G, T, and 4 for any other token."""
        table = np.full(256, 4)
        table[list(self.base_tokens)] = range(4)
        return table[tokens]

    def _summed(self, tokens: Tokens, logp: Floats) -> Score:
        base = self._bases(tokens)
        own = np.full(len(tokens), np.nan, np.float32)
        at = np.flatnonzero(base < 4)
        own[at] = logp[at, base[at]]
        if len(at) == 0:
            return Score(logp, own, math.nan, 0)
        total = np.cumsum(own[at], dtype=np.float64)[-1]  # in the order of the positions, as the command adds
        return Score(logp, own, float(total / len(at)), len(at))

    @overload
    def llr(self, seq: Sequence, pos: int, alt: str) -> float: ...
    @overload
    def llr(self, seq: Sequence | Sequences, pos: npt.ArrayLike, alt: Iterable[str]) -> Doubles: ...

    def llr(self, seq: Sequence | Sequences, pos: npt.ArrayLike, alt: str | Iterable[str]) -> float | Doubles:
        """Returns log p(alt) - log p(ref) at a base that is masked; negative: alt is less likely than ref.

        The window is the whole sequence: for the number that `caduceus annotate` gives an SNV, pass it with
        min(1024, (max_len - 1) / 2) bases on each side, 2,049 in all if max_len allows. That base alone is masked, as
        in `score` with mask="each". Bases other than A, C, G and T at pos give NaN.

        Args:
            seq: a sequence of up to max_len letters, or n of them.
            pos: the position in the sequence, from 0, or n of them.
            alt: A, C, G or T, or n of them (a str of n letters too). With one sequence and n positions and alts, or n
                sequences, the result is an array (n,); alts at one position of one sequence share a forward pass.
        """
        one, all_tokens = self._several(seq)
        positions = np.atleast_1d(np.asarray(pos))
        alts = [alt] if isinstance(alt, str) and np.ndim(pos) == 0 and one else list(alt)
        n = max(len(all_tokens), len(positions), len(alts))
        if any(len(x) not in (1, n) for x in (all_tokens, positions, alts)):
            raise ArgumentError(f"{len(all_tokens)} sequences, {len(positions)} positions and {len(alts)} alts")
        sites: dict[tuple[int, int], Floats] = {}
        windows: list[_Window] = []
        result = np.empty(n)
        wanted = []
        for i in range(n):
            s, at, letter = i % len(all_tokens), int(positions[i % len(positions)]), alts[i % len(alts)]
            if letter.upper() not in ("A", "C", "G", "T"):
                raise ArgumentError(f"alt {letter!r}: expected A, C, G or T")
            if not 0 <= at < len(all_tokens[s]):
                raise IndexError(f"position {at} in a sequence of {len(all_tokens[s])}")
            if (s, at) not in sites:
                sites[s, at] = np.empty((1, 4), np.float32)
                windows.append(_Window(all_tokens[s], (at, at + 1), sites[s, at]))
            wanted.append((s, at, "ACGT".index(letter.upper())))
        self._score_windows(windows, lib.CAD_MASK_EACH)
        for i, (s, at, b) in enumerate(wanted):
            logp = sites[s, at][0].astype(np.float64)
            ref = int(self._bases(all_tokens[s][at : at + 1])[0])
            result[i] = logp[b] - logp[ref] if ref < 4 else math.nan
        return float(result[0]) if one and np.ndim(pos) == 0 and isinstance(alt, str) else result

    def variants(
        self,
        fasta: str | os.PathLike[str],
        vcf: str | os.PathLike[str],
        *,
        score: str = "llr,dpll",
        options: Iterable[str] = (),
    ) -> Iterator[_variants.Variant]:
        """Yields a Variant for each ALT allele of a VCF or BCF, in its order.

        This runs the command `caduceus annotate` with this model, device and precision, and reads the INFO fields that
        it writes. Trimming alleles, sliding indels and cutting haplotypes out of a FASTA is the command's, not the
        library's: so its results are the command's by construction, and new scores of the command work here too.

        Args:
            fasta: the reference, plain or bgzip.
            vcf: VCF or BCF, plain or compressed.
            score: the command's --score: some of llr, dpll, n, dist, cos.
            options: further options of `caduceus annotate`, such as ("-r", "chr20", "--check-ref", "w").

        Raises:
            Error: the command failed; the text is its line.
            FileNotFoundError: the command `caduceus` is not installed.
        """
        if self._model is None:
            raise ValueError("the model is closed")
        return _variants.annotate(self._command_options(), self.sha256, fasta, vcf, score, options)

    def _command_options(self) -> list[str]:
        """Returns the options that make a command use this model as this object does."""
        options = ["-m", self._path, "-@", str(self.threads), "-d", self.device.split()[0], "--precision"]
        options.append(self.precision)
        return options if self._adapter is None else [*options, "--adapter", self._adapter]

    # ---- classifiers ----

    def classify(self, seq: Sequence | Sequences) -> Floats:
        """Returns a classifier's logits: (K,) for a sequence, (n, K) for n of them; both strands are read.

        Args:
            seq: a sequence or several, of 1 to max_len letters each.
        """
        one, all_tokens = self._several(seq)
        K = self._number(lib.CAD_LABELS)
        out = np.empty((len(all_tokens), K), np.float32)
        done = 0
        for batch in self._batches([_Window(tokens, (0, len(tokens)), None) for tokens in all_tokens]):
            rows = out[done : done + len(batch)]
            self._call(lib.cad_classify_all, self._fill(batch, ""), len(batch), _address(rows, "float *"))
            done += len(batch)
        return out[0] if one else out

    def predict_proba(self, seq: Sequence | Sequences) -> Doubles:
        """Returns probabilities of a classifier's K classes or labels: (K,) for a sequence, (n, K) for n of them.

        Those of classes add up to 1; those of labels are independent. A regression has none: use predict.
        """
        head = self._classifier()
        if head.kind == "values":
            raise ArgumentError("the model is a regression: it has no probabilities; use predict")
        logits = self.classify(seq)
        of = _softmax if head.kind == "classes" else _logistic
        rows = np.array([of(row) for row in np.atleast_2d(logits).tolist()]).reshape(-1, len(head.names))
        return rows[0] if logits.ndim == 1 else rows

    def predict(self, seq: Sequence | Sequences) -> Any:
        """Returns predictions of a sequence, or an array with a row for each of several.

        Classes: the name of the most likely class, a str; several: (n,) names. Labels: (K,) bool, probability above
        0.5; several: (n, K). Regression: (K,) float64 values; several: (n, K).
        """
        head = self._classifier()
        if head.kind == "values":
            return self.classify(seq).astype(np.float64) * head.scale + head.mean
        p = self.predict_proba(seq)
        if head.kind == "labels":
            return p > 0.5
        names = np.array(head.names)[p.argmax(axis=-1)]
        return str(names) if p.ndim == 1 else names

    def _classifier(self) -> Head:
        if self.head is None:
            raise ArgumentError("the model is a language model without a classifier; make one of it with finetune")
        return self.head


def _cut(tokens: Tokens, tile: Tile, out: Floats) -> _Window:
    """Returns the window of a tile; its results go to the rows of out, one for each base of the sequence."""
    (beg, end), (wbeg, wend) = tile.core, tile.window
    return _Window(tokens[wbeg:wend], (beg - wbeg, end - wbeg), out[beg:end])


def _pooled(tokens: Tokens, tile: Tile, out: Floats, pool: str) -> _Window | None:
    """Returns the window whose core is what is pooled; None if the tile does not hold the center."""
    (beg, end), (wbeg, wend) = tile.core, tile.window
    if pool == "center":
        beg, end = max(beg, (len(tokens) - 1) // 2), min(end, len(tokens) // 2 + 1)
    return _Window(tokens[wbeg:wend], (beg - wbeg, end - wbeg), out) if beg < end else None


def _join(cut: list[_Window], pool: str) -> Doubles:
    """Pools the embeddings of a sequence's windows, in double precision and in order, as the command does."""
    rows = np.array([w.out for w in cut], np.float64)
    if pool == "max":
        return np.asarray(rows.max(axis=0))
    n = np.array([w.core[1] - w.core[0] for w in cut], np.float64)
    return np.asarray(np.cumsum(rows * n[:, None], axis=0)[-1] / n.sum())


def _softmax(row: list[float]) -> list[float]:
    top = max(row)
    e = [math.exp(z - top) for z in row]
    total = 0.0
    for x in e:  # not sum(), which compensates rounding errors in newer versions of Python
        total += x
    return [x / total for x in e]


def _logistic(row: list[float]) -> list[float]:
    return [math.exp(z) / (1 + math.exp(z)) if z < 0 else 1 / (1 + math.exp(-z)) for z in row]
