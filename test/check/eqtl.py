"""eqtl.py tables DIR: checks table.tsv and table.md of caduceus protocol eqtl against runs.tsv. eqtl.py fits DIR TSV N:
draws the rows of each run again, N of them to train on, fits scikit-learn's SVM to the features in DIR, and compares
decision values and AUROC. SPDX-License-Identifier: MIT"""

import csv
import glob
import sys

import numpy as np

from draws import below, hashed, random

BUCKETS = ("0-30k", "30-100k", ">100k")
def close(name, got, want, tol=2e-6):
    if not abs(got - want) <= tol:
        sys.exit(f"{name}: {got}, expected {want}")


def table(path):
    with open(path) as f:
        return list(csv.DictReader((s.lstrip("#") for s in f if not s.startswith("##")), delimiter="\t"))


def tables(folder):
    rows = table(f"{folder}/runs.tsv")
    with open(f"{folder}/table.md") as f:
        shown = [line.split("|") for line in f][2:]
    for line in table(f"{folder}/table.tsv"):
        published = line["result"] == "auroc_as_published"
        value, by = ("class_auroc", "class_auroc") if published else ("auroc", "valid_auroc")
        means, of = {}, {}
        for row in rows:
            if row["distance"] == line["distance"] and row["training"] == ("published" if published else "validated"):
                of.setdefault(row["C"], []).append(float(row[value]))
                means.setdefault(row["C"], []).append(float(row[by]))
        best = max(means, key=lambda c: np.mean(means[c]))
        v = np.array(of[best])
        if best != line["C"]:
            sys.exit(f"{line['distance']} {line['result']}: C {line['C']}, expected {best}")
        close("chosen_by", float(line["chosen_by"]), np.mean(means[best]))
        close("mean", float(line["mean"]), v.mean())
        close("spread", float(line["spread"]), (v.max() - v.min()) / 2)
        close("deviation", float(line["deviation"]), v.std(ddof=1))
        close("least", float(line["least"]), v.min())
        close("most", float(line["most"]), v.max())
        cells = shown[BUCKETS.index(line["distance"])]
        mean, spread = cells[6 if published else 4].split("±")
        close("mean in table.md", float(mean), v.mean(), 5.1e-4)
        close("spread in table.md", float(spread), (v.max() - v.min()) / 2, 5.1e-4)
        close("C in table.md", float(cells[7 if published else 5]), float(best))


def read_rows(path):
    with open(path) as f:
        rows = list(csv.DictReader(f, delimiter="\t"))
    place = lambda r: (r["chromosome"], int(r["position"]), f"{r['ref']}\t{r['alt']}")  # noqa: E731
    number = {p: i for i, p in enumerate(sorted({place(r) for r in rows}))}
    tissue = {t: i for i, t in enumerate(sorted({r["tissue"] for r in rows}))}
    for r in rows:
        d = float(r["distance_to_nearest_tss"])
        r["bucket"] = 0 if d <= 30000 else 1 if d <= 100000 else 2
        r["variant"], r["number"], r["y"] = number[place(r)], tissue[r["tissue"]], int(r["label"])
    return rows


def draw(rows, seed, bucket, published, most):
    """Returns the rows to train on and to validate on."""
    valid, name = [], hashed("eqtl validation")
    if not published:
        held = [(random(seed, name, r["variant"], 0) >> 11) * 2.0**-53 < 0.1 for r in rows]
        valid = [r for r, h in zip(rows, held) if h]
        rows = [r for r, h in zip(rows, held) if not h]
    rows, n, name = list(rows), len(rows), hashed("eqtl rows")
    if n < most:
        drawn = [rows[below(random(seed, name, bucket, i), n)] for i in range(most)]
        return (drawn if published else rows), valid
    for i in range(most):
        j = i + below(random(seed, name, bucket, i), n - i)
        rows[i], rows[j] = rows[j], rows[i]
    return rows[:most], valid


def fits(folder, path, most):
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    feature = np.concatenate([np.load(f) for f in sorted(glob.glob(f"{folder}/features/*.npy"))])
    rows = read_rows(path)
    matrix = lambda some: np.array([np.append(feature[r["variant"]].astype(float), r["number"]) for r in some])  # noqa
    labels = lambda some: np.array([r["y"] for r in some])  # noqa: E731
    for run in table(f"{folder}/runs.tsv"):
        bucket, seed, published = BUCKETS.index(run["distance"]), int(run["seed"]), run["training"] == "published"
        mine = [r for r in rows if r["bucket"] == bucket]
        test = [r for r in mine if r["split"] == "test"]
        train, valid = draw([r for r in mine if r["split"] != "test"], seed, bucket, published, int(most))
        name = f"{run['distance']} C {run['C']} seed {seed} {run['training']}"
        if (len(train), len(valid), len(test)) != tuple(int(run[k]) for k in ("trained", "validated", "tested")):
            sys.exit(f"{name}: {len(train)}, {len(valid)}, {len(test)} rows")
        model = make_pipeline(StandardScaler(), SVC(C=float(run["C"]))).fit(matrix(train), labels(train))
        decision = model.decision_function(matrix(test))
        suffix = ".published" if published else ""
        kept = table(f"{folder}/decisions/{bucket + 1}.C{run['C']}.seed{seed}{suffix}.tsv")
        if [(r["chromosome"], r["position"], r["tissue"], r["label"]) for r in test] != [
            (r["chrom"], r["pos"], r["tissue"], r["label"]) for r in kept
        ]:
            sys.exit(f"{name}: other test rows")
        # both solvers stop at a tolerance of 1e-3
        ours = np.array([float(r["decision"]) for r in kept])
        close(f"{name}: decision values", np.abs(ours - decision).max(), 0, 2e-3)
        close(f"{name}: AUROC", float(run["auroc"]), roc_auc_score(labels(test), ours))
        close(f"{name}: AUROC of classes", float(run["class_auroc"]), roc_auc_score(labels(test), ours > 0))
        close(f"{name}: scikit-learn's AUROC", float(run["auroc"]), roc_auc_score(labels(test), decision), 5e-3)
        if valid:
            want = roc_auc_score(labels(valid), model.decision_function(matrix(valid)))
            close(f"{name}: validation", float(run["valid_auroc"]), want, 2e-2)


globals()[sys.argv[1]](*sys.argv[2:])
