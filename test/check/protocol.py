"""protocol.py batches JSON TSV CSV N: checks the MCC and F1 of finetune --as-published against the predictions of its
model on the labelled rows of CSV, in batches of N. protocol.py tables DIR: checks table.tsv and table.md of caduceus
protocol against runs.tsv. SPDX-License-Identifier: MIT"""

import csv
import json
import sys

import numpy as np


def confusion(truth, called):
    return np.array([[np.sum((truth == a) & (called == b)) for b in (0, 1)] for a in (0, 1)], float)


def mcc(truth, called):
    (tn, fp), (fn, tp) = confusion(truth, called)
    root = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / root if root else 0.0


def f1(truth, called):
    (_, fp), (fn, tp) = confusion(truth, called)
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0


def close(name, got, want, tol=2e-6):
    if abs(got - want) > tol:
        sys.exit(f"{name}: {got}, expected {want}")


def table(path):
    with open(path) as f:
        return list(csv.DictReader((s.lstrip("#") for s in f if not s.startswith("##")), delimiter="\t"))


def batches(printed, predicted, labels, size):
    with open(printed) as f:
        got = json.load(f)
    called = np.array([int(r["predicted"]) for r in table(predicted)])
    with open(labels) as f:
        truth = np.array([int(r["label"]) for r in csv.DictReader(f)])
    parts = [slice(i, i + int(size)) for i in range(0, len(truth), int(size))]
    weights = [len(truth[p]) for p in parts]
    close("mcc", got["mcc"], np.average([mcc(truth[p], called[p]) for p in parts], weights=weights))
    close("f1", got["f1"], np.average([f1(truth[p], called[p]) for p in parts], weights=weights))
    close("accuracy", got["accuracy"], np.mean(truth == called))
    if have_sklearn():
        from sklearn.metrics import f1_score, matthews_corrcoef

        for p in parts:
            close("sklearn mcc", mcc(truth[p], called[p]), matthews_corrcoef(truth[p], called[p]))
            close("sklearn f1", f1(truth[p], called[p]), f1_score(truth[p], called[p], zero_division=0))


def number(text):
    return float("nan") if text == "." else float(text)


def tables(folder):
    rows = table(f"{folder}/runs.tsv")
    for row in rows:
        close("the metric of a row", number(row["test"]), number(row[row["metric"]]), 0)
    for line in table(f"{folder}/table.tsv"):
        settings = {}
        for row in rows:
            if row["task"] == line["task"]:
                settings.setdefault((row["lr"], row["batch"]), []).append(row)
        best = max(settings, key=lambda k: np.mean([number(r["valid"]) for r in settings[k]]))
        test = np.array([number(r["test"]) for r in settings[best]])
        if best != (line["lr"], line["batch"]):
            sys.exit(f"{line['task']}: chose {line['lr']} x {line['batch']}, not {best}")
        close("valid", number(line["valid"]), np.mean([number(r["valid"]) for r in settings[best]]))
        close("mean", number(line["mean"]), test.mean())
        close("spread", number(line["spread"]), (test.max() - test.min()) / 2)
        close("least", number(line["least"]), test.min())
        close("most", number(line["most"]), test.max())
        if len(test) > 1:
            close("deviation", number(line["deviation"]), test.std(ddof=1))
        with open(f"{folder}/table.md") as f:
            shown = [s for s in f if s.startswith(f"| {line['task']} |")]
        if len(shown) != 1:
            sys.exit(f"table.md has {len(shown)} lines for {line['task']}")
        mean, spread = shown[0].split("|")[3].split("±")
        close("mean in table.md", float(mean), test.mean(), 5.1e-4)
        close("spread in table.md", float(spread), (test.max() - test.min()) / 2, 5.1e-4)


def have_sklearn():
    try:
        import sklearn  # noqa: F401
    except ImportError:
        return False
    return True


globals()[sys.argv[1]](*sys.argv[2:])
