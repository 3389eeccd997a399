"""calibration.py KIND ARGUMENT...: checks caduceus calibrate and annotate --calibration. KIND is a function below."""

import gzip
import sys

import numpy as n

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def sequence(path):
    return "".join(line.strip() for line in open(path) if line[0] != ">").upper()


def variants(fasta, beg, end):
    """Prints a VCF with all three changes of the bases beg to end - 1 (0-based) of the contig c."""
    seq = sequence(fasta)
    print(f"##fileformat=VCFv4.2\n##contig=<ID=c,length={len(seq)}>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for i in range(int(beg), int(end)):
        if seq[i] in "ACGT":
            print("c", i + 1, ".", seq[i], ",".join(b for b in "ACGT" if b != seq[i]), ".", ".", ".", sep="\t")


def cell(five, alt):
    if five[2] in "AG":
        five, alt = five[::-1].translate(COMPLEMENT), alt.translate(COMPLEMENT)
    return five, alt


def alleles(fasta, vcf):
    """Yields (cell, {field: value}) of each SNV that has five bases around it."""
    seq = sequence(fasta)
    for line in gzip.open(vcf, "rt") if vcf.endswith("gz") else open(vcf):
        if line[0] == "#":
            continue
        _, pos, _, ref, alts, _, _, info = line.rstrip("\n").split("\t")[:8]
        fields = dict(x.split("=") for x in info.split(";") if "=" in x)
        five = seq[int(pos) - 3:int(pos) + 2]
        for k, alt in enumerate(alts.split(",")):
            if len(ref) == len(alt) == 1 and len(five) == 5 and set(five) <= set("ACGT"):
                names = "LLR", "CLLR", "Z", "PCTL"
                yield cell(five, alt), {f: float(fields["CADUCEUS_" + f].split(",")[k]) for f in names}


def read_table(path):
    rows = [line.rstrip("\n").split("\t") for line in open(path) if line[0] != "#"]
    return {(r[0], r[1]): [float(x) if x != "." else n.nan for x in r[2:]] for r in rows}


def gather(fasta, vcf):
    cells = {}
    for key, value in alleles(fasta, vcf):
        cells.setdefault(key, []).append(value)
    return cells


def distance(percentiles):
    """The Kolmogorov-Smirnov distance of percentiles from the uniform distribution."""
    x = n.sort(percentiles) / 100
    i = n.arange(len(x))
    return max((x - i / len(x)).max(), ((i + 1) / len(x) - x).max())


def same_sites(fasta, vcf, table):
    """The VCF holds exactly the sites that were drawn: statistics of each cell, means of 0 and uniform percentiles."""
    cells, rows = gather(fasta, vcf), read_table(table)
    assert len(rows) == 1536, len(rows)
    worst = 0
    for key, values in cells.items():
        x = n.array([v["LLR"] for v in values])
        q = n.quantile(x, [0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999])
        assert rows[key][0] == len(x), (key, rows[key][0], len(x))
        worst = max(worst, abs(n.array(rows[key][1:]) - [x.mean(), x.std(ddof=1), *q]).max())
        centred, z = (n.array([v[f] for v in values]) for f in ("CLLR", "Z"))
        assert abs(centred.mean()) < 1e-5 and abs(z.mean()) < 1e-5 and abs(z.std(ddof=1) - 1) < 1e-5, key
        assert n.allclose(centred, x - x.mean(), atol=1e-4)
    assert sum(len(v) for v in cells.values()) == sum(r[0] for r in rows.values())
    percentiles = n.array([v["PCTL"] for values in cells.values() for v in values])
    ks = distance(percentiles)
    print(f"{len(percentiles)} changes: statistics within {worst:.1e}, Kolmogorov-Smirnov {ks:.5f}")
    assert worst < 5e-5 and ks < 0.002


def other_sites(fasta, vcf, table):
    """The VCF holds sites that were not drawn: means are 0 within their standard errors, percentiles uniform."""
    cells, rows = gather(fasta, vcf), read_table(table)
    t = []
    for key, values in cells.items():
        number, mean, sd = rows[key][:3]
        if number >= 5 and len(values) >= 5:
            x = n.array([v["CLLR"] for v in values])
            t.append(x.mean() / n.sqrt(x.var(ddof=1) / len(x) + sd * sd / number))
    t = n.array(t)
    percentiles = n.array([v["PCTL"] for values in cells.values() for v in values])
    ks = distance(percentiles)
    print(f"{len(t)} cells: mean / standard error has mean {t.mean():.3f}, sd {t.std():.3f},",
          f"largest {abs(t).max():.2f}; {len(percentiles)} changes: Kolmogorov-Smirnov {ks:.5f}")
    assert abs(t.mean()) < 0.1 and 0.9 < t.std() < 1.15 and abs(t).max() < 5 and ks < 0.015


globals()[sys.argv[1]](*sys.argv[2:])
