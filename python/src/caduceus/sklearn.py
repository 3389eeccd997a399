# SPDX-License-Identifier: MIT
"""Estimators for scikit-learn, whose X is a list or an array of sequences.

In scikit-learn's terms X is not an array of numbers, so tags say that it holds strings; check_estimator then applies
the checks that remain.
"""

from __future__ import annotations

import csv
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from . import variants
from .errors import ArgumentError, Error
from .model import Doubles, Floats, Model, Pool


def _sequences(X: Any) -> list[Any]:
    """Returns the sequences of X: a list, an array (n,), or a table or array with one column (n, 1)."""
    if isinstance(X, (str, bytes)):
        raise ArgumentError("X is one sequence: give a list of them")
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()
    if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == 1:
        X = X[:, 0]
    if isinstance(X, np.ndarray) and X.ndim != 1:
        raise ArgumentError(f"Reshape your data: X has shape {X.shape}, expected (n,) sequences")
    seqs = list(X)
    if not seqs:
        raise ArgumentError("Found array with 0 sample(s) while a minimum of 1 is required")
    return seqs


class _OfSequences(BaseEstimator):  # type: ignore[misc]
    """Tells scikit-learn that X holds strings, in the ways of its versions before and since 1.6."""

    def _more_tags(self) -> dict[str, Any]:
        return {"X_types": ["string"], "no_validation": True, "requires_fit": True}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags


class Embedder(TransformerMixin, _OfSequences):  # type: ignore[misc]
    """A transformer of n sequences to their embeddings (n, D) float32, those of Model.embed.

    Args:
        model: what Model takes, or a Model that is open.
        pool: "mean", "max" or "center".
        layer: the layer whose states are embedded, as in Model.hidden; None: the last.
        window: bases that the model reads at once; None: the model's length.
        flank: bases of context on each side of a cut.
        device: as in Model; like the next two it has no effect on a Model that is open.
        precision: as in Model.
        threads: as in Model.

    Attributes:
        model_: the open Model.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Model | None = None,
        *,
        pool: Pool = "mean",
        layer: int | None = None,
        window: int | None = None,
        flank: int | None = None,
        device: str | None = None,
        precision: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.model = model
        self.pool = pool
        self.layer = layer
        self.window = window
        self.flank = flank
        self.device = device
        self.precision = precision
        self.threads = threads

    def fit(self, X: Iterable[Any], y: object = None) -> Embedder:
        """Opens the model; learns nothing from X and y."""
        _sequences(X)
        self.model_ = _open(self.model, self.device, self.precision, self.threads)
        return self

    def transform(self, X: Iterable[Any]) -> Floats:
        """Returns the embeddings (n, D) of n sequences."""
        check_is_fitted(self)
        seqs = _sequences(X)
        return self.model_.embed(seqs, self.pool, layer=self.layer, window=self.window, flank=self.flank)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[Any]:
        """Returns the names caduceus0, caduceus1 and so on of the D columns."""
        check_is_fitted(self)
        return np.array([f"caduceus{i}" for i in range(self.model_.d_model)], dtype=object)


class Classifier(ClassifierMixin, _OfSequences):  # type: ignore[misc]
    """A classifier that fine-tunes the model itself, by the command `caduceus finetune`.

    Args:
        model: a path or name that Model takes.
        folder: where fit writes the checkpoint, replacing an older one; None: a temporary folder, removed with the
            estimator (so give a folder to keep or pickle it).
        options: options of the command, such as ("--epochs", "3", "--freeze").
        device: as in Model.
        precision: as in Model.
        threads: as in Model.

    Attributes:
        classes_: the sorted labels, columns of predict_proba.
        model_: the open Model of the checkpoint.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        folder: str | os.PathLike[str] | None = None,
        options: tuple[str, ...] = (),
        device: str | None = None,
        precision: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.model = model
        self.folder = folder
        self.options = options
        self.device = device
        self.precision = precision
        self.threads = threads

    @classmethod
    def load(cls, folder: str | os.PathLike[str], **parameters: Any) -> Classifier:
        """Returns a fitted Classifier of a checkpoint of `caduceus finetune`, whose classes_ are its names."""
        c = cls(folder, **parameters)
        c.model_ = Model(folder, device=c.device, precision=c.precision, threads=c.threads)
        if c.model_.head is None or c.model_.head.kind != "classes":
            raise ArgumentError(f"{os.fspath(folder)}: is not a classifier of one of several classes")
        c.classes_ = np.array(sorted(c.model_.head.names))
        c._columns = [c.model_.head.names.index(name) for name in c.classes_]
        return c

    def fit(self, X: Iterable[Any], y: Iterable[Any]) -> Classifier:
        """Fine-tunes the model on n sequences (str) and their n labels."""
        seqs, labels = _sequences(X), np.asarray(y)
        if labels.shape != (len(seqs),):
            raise ArgumentError(f"{len(seqs)} sequences and labels of shape {labels.shape}")
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise ArgumentError("Classifier can't train when only one class is present")
        self._folder = tempfile.TemporaryDirectory(prefix="caduceus-")
        folder = str(Path(self._folder.name) / "model") if self.folder is None else os.fspath(self.folder)
        base = _open(self.model, self.device, self.precision, self.threads)
        base.tokenize(seqs)  # for its warning of letters: the command's notes are not shown
        self._finetune(base, seqs, labels, folder)
        self.model_ = Model(folder, device=self.device, precision=self.precision, threads=self.threads)
        assert self.model_.head is not None
        self._columns = [self.model_.head.names.index(str(label)) for label in self.classes_]
        return self

    def _finetune(self, base: Model, seqs: list[Any], labels: npt.NDArray[Any], folder: str) -> None:
        table = Path(self._folder.name) / "train.csv"
        with table.open("w", newline="") as f:
            rows = csv.writer(f)
            rows.writerow(["sequence", "label"])
            rows.writerows((s.decode() if isinstance(s, bytes) else s, label) for s, label in zip(seqs, labels))
        line = [variants.command(), "finetune", *base._command_options(), *self.options, "-o", folder, "--", str(table)]
        done = subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise Error(variants.message(done.stderr))

    def predict_proba(self, X: Iterable[Any]) -> Doubles:
        """Returns probabilities (n, K) of n sequences, a column for each of classes_."""
        check_is_fitted(self)
        p: Doubles = self.model_.predict_proba(_sequences(X))[:, self._columns]
        return p

    def predict(self, X: Iterable[Any]) -> npt.NDArray[Any]:
        """Returns the most likely label of each of n sequences, (n,)."""
        p = self.predict_proba(X)
        labels: npt.NDArray[Any] = self.classes_[p.argmax(axis=1)]
        return labels


def _open(model: Any, device: str | None, precision: str | None, threads: int | None) -> Model:
    if isinstance(model, Model):
        return model
    return Model(model, device=device, precision=precision, threads=threads)
