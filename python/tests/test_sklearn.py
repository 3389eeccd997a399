# SPDX-License-Identifier: MIT
"""The estimators in scikit-learn's own checks, pipelines and searches."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import caduceus
from conftest import BUNDLED, DATA, Command, random_sequence

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from caduceus.sklearn import Classifier, Embedder

AT = [("AT" * 20)[i % 2 :] + random_sequence(20, i) for i in range(16)]
GC = [("GC" * 20)[i % 2 :] + random_sequence(20, i) for i in range(16)]
X, Y = AT + GC, np.array([3] * 16 + [7] * 16)


@pytest.mark.parametrize("estimator", [Embedder(DATA / "ps"), Classifier(DATA / "ps")], ids=["Embedder", "Classifier"])
def test_check_estimator(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells that arrays of numbers are not tested
        check_estimator(estimator)


def test_embedder():
    e = Embedder(DATA / "ps", pool="max", threads=1)
    with caduceus.Model(DATA / "ps") as model:
        want = model.embed(X, "max")
        assert np.array_equal(e.fit_transform(X), want)
        assert np.array_equal(Embedder(model, pool="max").fit(X).transform(np.array(X)[:, None]), want)
        assert clone(Embedder(model)).model is model
    assert list(e.get_feature_names_out()[:2]) == ["caduceus0", "caduceus1"] and want.shape == (32, e.model_.d_model)
    assert np.array_equal(pickle.loads(pickle.dumps(e)).transform(X), want)
    for wrong in ("ACGT", [], np.zeros((2, 2))):
        with pytest.raises(ValueError):
            e.transform(wrong)


def test_pipeline():
    pipeline = make_pipeline(Embedder(DATA / "ps"), LogisticRegression(max_iter=1000))
    search = GridSearchCV(pipeline, {"embedder__pool": ["mean", "max"]}, cv=2).fit(X, Y)
    assert search.score(X, Y) == 1 and set(search.predict(X)) == {3, 7}


def test_classifier(command: Command, tmp_path: Path):
    c = Classifier(
        BUNDLED,
        folder=tmp_path / "out",
        options=("--epochs", "4", "--batch", "8", "--lr", "0.01", "--freeze"),
        threads=2,
    )
    assert c.fit(X, Y) is c
    assert list(c.classes_) == [3, 7] and c.score(X, Y) > 0.9
    p = c.predict_proba(X)
    assert p.shape == (32, 2) and np.allclose(p.sum(axis=1), 1)
    with pytest.warns(UserWarning, match="'U' at position 2 of sequence 1"):
        Classifier(BUNDLED, options=("--epochs", "1", "--freeze")).fit(["AC", "GGU", "CA", "TG"], [0, 1, 0, 1])
    loaded = Classifier.load(tmp_path / "out", threads=1)
    assert list(loaded.classes_) == ["3", "7"] and np.array_equal(loaded.predict_proba(X), p)
    assert list(loaded.predict(X)) == [str(y) for y in c.predict(X)]
    with pytest.raises(caduceus.Error, match="caduceus finetune: --epochs none"):
        Classifier(BUNDLED, options=("--epochs", "none")).fit(X, Y)
    with pytest.raises(ValueError, match="one class"):
        c.fit(X, [1] * 32)
    with pytest.raises(ValueError, match="labels of shape"):
        c.fit(X, [1])
    with pytest.raises(ValueError, match="not a classifier"):
        Classifier.load(BUNDLED)
