"""mpra.py make|check TABLE SCORED.vcf: tests bench/mpra.
    make: writes elements.tsv, a table like that of Kircher et al. 2019, and the elements and SNVs that count, as
        e.fa and e.vcf
    check: computes counts and Spearman's correlations of TABLE, what bench/mpra printed, with numpy from elements.tsv
        and the llr of SCORED.vcf, which is e.vcf after annotate, and their 95 % intervals."""

import sys

import numpy as np

LEAST = 10  # barcodes


def make():
    rng = np.random.default_rng(7)
    with open("elements.tsv", "w") as table, open("e.fa", "w") as fasta, open("e.vcf", "w") as vcf:
        print("Chrom\tPos\tRef\tAlt\tBarcodes\tDNA\tRNA\tCoefficient\tpValue\tElement\tRelease", file=table)
        print("##fileformat=VCFv4.2\n##contig=<ID=P1>\n##contig=<ID=E.2>", file=vcf)
        print("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", file=vcf)
        for name, begin, length, gap in ("P1", 1001, 60, 20), ("E.2", 500, 47, 5):
            seq = rng.choice(list("ACGT"), length)
            seq[gap] = "N"  # a position without rows
            print(f">{name}", "".join(seq), sep="\n", file=fasta)
            rows = []
            for i, alt in ((i, a) for i in range(length) for a in "ACGT-"):
                if i == gap or alt == seq[i]:
                    continue
                effect, barcodes = rng.integers(-9, 10) / 10, rng.integers(5, 40)  # some effects are equal
                row = ["1", str(begin + i), seq[i], alt, str(barcodes), "1", "1", str(effect), "0.5", name]
                rows.append([*row, "GRCh38"])
                rows.append([*row[:7], "9", "0.5", name, "GRCh37"])
                if alt != "-" and barcodes >= LEAST:
                    print(name, i + 1, effect, seq[i], alt, ".", ".", ".", sep="\t", file=vcf)
            for k in rng.permutation(len(rows)):
                print(*rows[k], sep="\t", file=table)


def ranks(x):
    _, inverse, count = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[inverse]


def spearman(x, y):
    try:
        from scipy.stats import spearmanr

        return spearmanr(x, y)[0]
    except ImportError:
        return np.corrcoef(ranks(x), ranks(y))[0, 1]


def check(table, scored):
    effects, llrs, lengths = {}, {}, {"P1": 60, "E.2": 47}
    for row in (line.split("\t") for line in open(scored) if line[0] != "#"):
        llr = [x.split("=")[1] for x in row[7].strip().split(";") if x.startswith("CADUCEUS_LLR=")]
        effects.setdefault(row[0], []).append(float(row[2]))
        llrs.setdefault(row[0], []).append(float(llr[0]))
    head, *rows = [line.rstrip("\n").split("\t") for line in open(table)]
    assert head[0] == "element" and [r[0] for r in rows] == sorted(lengths), (head, rows)
    for name, *got in rows:
        x, y = np.array(effects[name]), np.array(llrs[name])
        r = spearman(np.abs(x), np.abs(y))
        low, high = np.tanh(np.arctanh(r) + np.array([-1, 1]) * 1.959964 / np.sqrt(len(x) - 3))
        want = [lengths[name], len(x), r, low, high, spearman(x, y)]
        assert np.allclose([float(v) for v in got], want, rtol=0, atol=6e-4), (name, got, want)
    print(f"{len(rows)} elements")


if __name__ == "__main__":
    make() if sys.argv[1] == "make" else check(*sys.argv[2:])
