"""protocol.py batches JSON TSV CSV N: checks the MCC and F1 of finetune --as-published against the predictions of its
model on the labelled rows of CSV, in batches of N. protocol.py tables DIR: checks table.tsv and table.md of caduceus
protocol against runs.tsv. protocol.py areas VCF TSV N SEED: checks the areas of caduceus protocol variants, and their
intervals over N resamples. SPDX-License-Identifier: MIT"""

import csv
import gzip
import json
import sys

import numpy as np

from draws import below, hashed, random


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


def auroc(y, s):
    yes, no = s[y], s[~y]
    return np.mean((yes[:, None] > no) + 0.5 * (yes[:, None] == no))


def average_precision(y, s):
    total = 0.0
    for t in np.unique(s[y]):
        total += np.sum(y & (s == t)) * np.mean(y[s >= t])
    return total / np.sum(y)


def read_alleles(path):
    alleles = []
    with gzip.open(path, "rt") as f:
        for line in f:
            column = line.rstrip("\n").split("\t")
            if line.startswith("#"):
                continue
            info = dict((x + "=").split("=")[:2] for x in column[7].split(";"))
            for i in range(len(column[4].split(","))):
                if "PATH" in info and "CADUCEUS_LLR" in info:
                    label, score = info["PATH"].split(","), info["CADUCEUS_LLR"].split(",")
                    alleles.append((info["MC"], int(label[i]), -float(score[i])))
    return alleles


def areas(vcf, tsv, resamples, seed):
    alleles = read_alleles(vcf)
    for line in table(tsv):
        name = line["MC"]
        mine = [x for x in alleles if name in ("all", x[0])]
        y = np.array([x[1] for x in mine], bool)
        s = np.array([x[2] for x in mine])
        order = np.lexsort((~y, -s))
        y, s = y[order], s[order]
        if len(y) != int(line["n"]) or y.sum() != int(line["positive"]):
            sys.exit(f"{name}: {len(y)} alleles, {y.sum()} positive")
        close("auroc", number(line["auroc"]), auroc(y, s))
        close("auprc", number(line["auprc"]), average_precision(y, s))
        if have_sklearn():
            from sklearn.metrics import average_precision_score, roc_auc_score

            close("sklearn auroc", number(line["auroc"]), roc_auc_score(y, s))
            close("sklearn auprc", number(line["auprc"]), average_precision_score(y, s))
        intervals(line, name, y, s, int(resamples), int(seed))


def intervals(line, name, y, s, resamples, seed):
    place = random(seed, hashed(name), 0, 0)
    n, roc, prc = len(y), [], []
    for k in range(resamples):
        at = np.array([below(random(place, k, i, 0), n) for i in range(n)])
        if y[at].all() or not y[at].any():
            continue
        roc.append(auroc(y[at], s[at]))
        prc.append(average_precision(y[at], s[at]))
    for key, values in (("auroc", roc), ("auprc", prc)):
        low, high = np.percentile(values, [2.5, 97.5])
        close(f"{name} {key}_low", number(line[f"{key}_low"]), low)
        close(f"{name} {key}_high", number(line[f"{key}_high"]), high)


def have_sklearn():
    try:
        import sklearn  # noqa: F401
    except ImportError:
        return False
    return True


globals()[sys.argv[1]](*sys.argv[2:])
