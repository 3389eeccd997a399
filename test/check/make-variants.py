"""make-variants.py KIND ARGUMENT...: writes random contigs (FASTA) and variants on them (VCF). KIND is a function
below."""

import random
import sys


def letters(r, k):
    return "".join("ACGT"[int(r.random() * 4)] for _ in range(k))


def pick(r, xs):
    return xs[int(r.random() * len(xs))]


def complement(s):
    return s[::-1].translate(str.maketrans("ACGTNRYKMacgtnrykm", "TGCANYRMKtgcanyrmk"))


def read(path):
    out = {}
    for line in open(path):
        if line[0] == ">":
            name = line[1:].split()[0]
            out[name] = ""
        else:
            out[name] += line.strip()
    return out


def fasta(path, seqs):
    with open(path, "w") as f:
        for k, s in seqs.items():
            f.write(f">{k}\n" + "".join(s[i : i + 60] + "\n" for i in range(0, len(s), 60)))


def vcf(path, seqs, recs, sort=True):
    names = list(seqs)
    if sort:
        recs = sorted(recs, key=lambda x: (names.index(x[0]), x[1]))
    with open(path, "w") as f:
        f.write('##fileformat=VCFv4.2\n##FILTER=<ID=PASS,Description="All filters passed">\n')
        for k, s in seqs.items():
            f.write(f"##contig=<ID={k},length={len(s)}>\n")
        f.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for c, p, i, ref, alts in recs:
            f.write(f"{c}\t{p + 1}\t{i}\t{ref}\t{','.join(alts)}\t.\t.\t.\n")


def repeats(r, n, odd):
    s = ""
    while len(s) < n:
        s += letters(r, 5 + int(r.random() * 36)) + letters(r, pick(r, [1, 1, 2, 3, 5])) * (1 + int(r.random() * 12))
        if odd and r.random() < 0.1:
            s += "N" * (1 + int(r.random() * 6))
        if odd and r.random() < 0.05:
            s += pick(r, "RYKM")
    return s


def change(r, ref, symbols):
    t = r.random()
    if t < 0.35:
        return ref[:-1] + letters(r, 1)
    if t < 0.5:
        return ref + letters(r, pick(r, [1, 1, 2, 3, 7, 30]))
    if t < 0.6:
        return ref + ref[-1] * (1 + int(r.random() * 4))
    if t < 0.75:
        return ref[:1]
    if t < 0.85:
        return letters(r, len(ref))
    if t < 0.9 and symbols:
        return pick(r, ["*", "<DEL>", "<NON_REF>", "N" + ref, ref[:1] + "r", "]c1:7]" + ref, "<*>", "."])
    if t < 0.93:
        return ref.lower() + "a"
    return letters(r, 1 + int(r.random() * 5))


def some(r, seqs, n, symbols=True):
    recs = []
    for i in range(n):
        c = pick(r, [k for k, s in seqs.items() for _ in range(1 + (len(s) > 500))])
        p, k = int(r.random() * len(seqs[c])), pick(r, [1, 1, 1, 2, 3, 8, 20, 60])
        if r.random() < 0.15:
            p = pick(r, [0, min(1, len(seqs[c]) - 1), len(seqs[c]) - 1, max(0, len(seqs[c]) - 2)])
        ref = seqs[c][p : p + k]
        if symbols and r.random() < 0.8:
            ref = ref.upper()
        recs.append((c, p, f"r{i}", ref, [change(r, ref, symbols) for _ in range(pick(r, [1, 1, 1, 2, 3]))]))
    return recs


def random_(seed, n, fa, out):
    """Writes alleles of all kinds, including symbolic and wrong alleles, on contigs with letters other than ACGT."""
    r = random.Random(int(seed))
    seqs = {
        "c1": repeats(r, 900, True),
        "c2": letters(r, 40),
        "c3": letters(r, 150),
        "c4": letters(r, 500).lower(),
        "c5": letters(r, 1),
        "c6": repeats(r, 300, False),
    }
    fasta(fa, seqs)
    vcf(out, seqs, some(r, seqs, int(n)))


def clean(seed, n, fa, out):
    """Writes variants without other letters and symbolic alleles. The VCF is not sorted, so that line k of two files is
    the same record."""
    r = random.Random(int(seed))
    seqs = {"c1": repeats(r, 700, False), "c2": letters(r, 50), "c3": repeats(r, 200, False)}
    fasta(fa, seqs)
    vcf(out, seqs, some(r, seqs, int(n), False), False)


def large(seed, n, fa, out):
    """Writes alleles of about the maximum length that can be scored, and longer repeats."""
    r = random.Random(int(seed))
    seqs = {"a": letters(r, 6000), "h": "A" * 3000, "d": "AC" * 900 + letters(r, 900)}
    recs = []
    for i in range(int(n)):
        c = pick(r, list(seqs))
        s = seqs[c]
        p, k = int(r.random() * len(s)), pick(r, [1, 1, 2, 500, 1022, 1023, 1024, 1025, 1026, 1100])
        gone, ref = r.random() < 0.5, s[p : p + k]
        if not gone:
            ref = s[p]
        if gone:
            alt = ref[0] if r.random() < 0.7 else letters(r, pick(r, [1, 3, 1020, 1024, 1025]))
        else:
            alt = ref + (letters(r, k) if r.random() < 0.7 else s[p + 1 : p + 1 + k])
        recs.append((c, p, f"r{i}", ref, [alt]))
    fasta(fa, seqs)
    vcf(out, seqs, recs)


def rows(path):
    return [line.split("\t") for line in open(path) if line[0] != "#"]


def rc(fa, v, fa2, v2):
    """Writes the reverse complement of contigs and of the variants on them."""
    seqs = read(fa)
    fasta(fa2, {k: complement(s) for k, s in seqs.items()})
    vcf(
        v2,
        seqs,
        [
            (
                f[0],
                len(seqs[f[0]]) - (int(f[1]) - 1 + len(f[3])),
                f[2],
                complement(f[3]),
                [complement(a) for a in f[4].split(",")],
            )
            for f in rows(v)
        ],
        False,
    )


def swap(seed, n, fa, v, fa2, v2):
    """Writes one contig for each variant. The second FASTA has ALT where the first FASTA has REF."""
    r = random.Random(int(seed))
    one, two, recs, back = {}, {}, [], []
    for i in range(int(n)):
        s = repeats(r, pick(r, [12, 60, 200, 400]), False)
        p = pick(r, [0, 1, len(s) - 5, int(r.random() * len(s)), int(r.random() * len(s))])
        ref = s[p : p + pick(r, [1, 1, 2, 5, 30])]
        alt = ref
        while alt == ref:
            alt = change(r, ref, False).upper()
        one[f"k{i}"], two[f"k{i}"] = s, s[:p] + alt + s[p + len(ref) :]
        recs.append((f"k{i}", p, f"r{i}", ref, [alt]))
        back.append((f"k{i}", p, f"r{i}", alt, [ref]))
    fasta(fa, one)
    fasta(fa2, two)
    vcf(v, one, recs)
    vcf(v2, two, back)


def spell(seed, n, fa, *out):
    """Writes each indel in four forms: shifted left as far as possible, shifted right, between, and with more bases
    around it."""
    r = random.Random(int(seed))
    seqs = {"c1": repeats(r, 1200, False), "c2": "ACACACACACACACACACAC" * 3, "c3": "A" * 50}
    files = [[] for _ in out]
    for i in range(int(n)):
        c = pick(r, ["c1", "c1", "c1", "c1", "c2", "c3"])
        s = seqs[c]
        p, k = 1 + int(r.random() * (len(s) - 15)), pick(r, [1, 1, 2, 3, 4, 6])
        unit = s[p : p + k] if r.random() < 0.8 else letters(r, k)
        gone = s[p : p + k] == unit and r.random() < 0.6

        def places(step):
            q, u = p, unit
            while True:
                yield q, u
                if step < 0:
                    if q == 0 or s[q - 1] != u[-1]:
                        return
                    q, u = q - 1, u[-1] + u[:-1]
                else:
                    at = q + (k if gone else 0)
                    if at >= len(s) or s[at] != u[0]:
                        return
                    q, u = q + 1, u[1:] + u[0]

        at = list(places(-1))[::-1] + list(places(1))[1:]
        for f, (q, u) in zip(files, (at[0], at[-1], at[len(at) // 2], at[len(at) // 2])):
            wide = f is files[3]
            a, b = (max(0, q - 4), min(len(s), q + 6 + k)) if wide else (q - 1, q) if q else (q, q + 1)
            if gone and not wide:
                b = max(b, q + k) if q else q + k + 1
            if gone:
                ref, alt = s[a:b], s[a:q] + s[q + k : b]
            else:
                ref, alt = s[a:b], s[a:q] + u + s[q:b]
            if ref and alt:
                f.append((c, a, f"r{i}", ref, [alt]))
    fasta(fa, seqs)
    for path, f in zip(out, files):
        vcf(path, seqs, f)


KINDS = {"random": random_, "clean": clean, "large": large, "rc": rc, "swap": swap, "spell": spell}
KINDS[sys.argv[1]](*sys.argv[2:])
