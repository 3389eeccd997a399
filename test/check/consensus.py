"""consensus.py COMMAND ...: compares scores in haplotypes of samples with the haplotypes of bcftools consensus.

  random SEED RECORDS OUT.fa OUT.vcf [APART]
      writes contigs and sorted records with genotypes: SNVs and indels, close together, some of them overlapping;
      phased calls, phase sets that change, homozygous, haploid, half missing and unphased calls; APART: the least
      distance of two records
  build REF.fa IN.vcf SAMPLE OUT.fa OUT.vcf [FIRST LAST]
      writes, for each allele that a haplotype of the sample carries in the records FIRST to LAST (from 0), a contig
      that is this haplotype with REF, and a record with the allele; its ID is CHROM:NUMBER:HAPLOTYPE
  compare OUT.vcf SCORED.vcf SAMPLE SCORED_OUT.vcf
      compares FORMAT CLLR and CDPLL of SCORED.vcf with INFO LLR and DPLL of SCORED_OUT.vcf, as they are printed
  reverse REF.fa IN.vcf OUT.fa OUT.vcf
      writes the reverse complement of both; the ID of a record is its number in IN.vcf
  strands SCORED.vcf SCORED_REVERSE.vcf
      compares the values of both
"""
import os
import random
import subprocess
import sys
import tempfile

def read_fasta(path):
    contigs, name = {}, None
    for line in open(path):
        if line.startswith(">"):
            name = line[1:].split()[0]
            contigs[name] = []
        else:
            contigs[name].append(line.strip())
    return {name: "".join(parts) for name, parts in contigs.items()}

def write_fasta(path, contigs):
    with open(path, "w") as out:
        for name, seq in contigs.items():
            print(f">{name}\n{seq}", file=out)

def read_vcf(path):
    header, rows = [], []
    for line in open(path):
        if line.startswith("#"):
            header.append(line.rstrip("\n"))
        else:
            rows.append(line.rstrip("\n").split("\t"))
    return header, rows

def fields(row, column):
    return dict(zip(row[8].split(":"), row[column].split(":")))

# ---- random input ----

def random_alleles(rng, seq, at):
    kind = rng.choice("SSSSIDMX")
    base = seq[at]
    other = [b for b in "ACGT" if b != base]
    rng.shuffle(other)
    n = rng.randint(1, 7)
    if kind == "S":
        return base, other[:rng.choice([1, 1, 1, 2])]
    if kind == "I":
        return base, [base + "".join(rng.choices("ACGT", k=n))]
    if kind == "D":
        return seq[at:at + n + 1], [base]
    if kind == "M":
        return seq[at:at + 2], [other[0] + rng.choice([b for b in "ACGT" if b != seq[at + 1]])]
    return seq[at:at + n + 1], [base, base + "".join(rng.choices("ACGT", k=2))]

def random_call(rng, alleles, state):
    if rng.random() < 0.1:
        state["set"] = rng.choice([".", "7", "8"])
    a, b = rng.randint(0, alleles), rng.randint(0, alleles)
    kind = rng.random()
    if kind < 0.1:
        return rng.choice([f"{a}/{b}:.", f".|{a}:.", f"{a}|.:{state['set']}", "./.:.", "0/0:."])
    if kind < 0.2:
        return f"{a}/{a}:."
    return f"{a}|{b}:{state['set']}"

def command_random(seed, records, fasta, vcf, apart=1):
    rng = random.Random(int(seed))
    contigs = {"one": "".join(rng.choices("ACGT", k=(11 + int(apart)) * int(records) + 40)),
               "M": "".join(rng.choices("ACGT", k=6 * int(records) + 40))}
    write_fasta(fasta, contigs)
    with open(vcf, "w") as out:
        print("##fileformat=VCFv4.2", *[f"##contig=<ID={c},length={len(s)}>" for c, s in contigs.items()],
              '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">',
              '##FORMAT=<ID=PS,Number=1,Type=Integer,Description="p">',
              "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB", sep="\n", file=out)
        states = [{"set": "."}, {"set": "."}]
        for name, seq in contigs.items():
            at = rng.randint(0, 5)
            while at < len(seq) - 9:
                ref, alts = random_alleles(rng, seq, at)
                calls = [random_call(rng, len(alts), s) if name != "M" else f"{rng.randint(0, len(alts))}:."
                         for s in states]
                print(name, at + 1, ".", ref, ",".join(alts), ".", ".", ".", "GT:PS", *calls, sep="\t", file=out)
                at += rng.randint(int(apart), int(apart) + 21)

# ---- haplotypes ----

def alleles_of(row, column):
    gt = fields(row, column)["GT"]
    return gt.replace("|", "/").split("/"), "|" in gt

def phase_set(row, column):
    return fields(row, column).get("PS", ".")

def is_het(alleles):
    return len(set(alleles)) > 1

def has_alt(alleles):
    return any(a not in ".0" for a in alleles)

def set_of(rows, i, column):
    """Returns the phase set of the call of row i; None: none, and "any": no phased call decides it."""
    alleles, bar = alleles_of(rows[i], column)
    if is_het(alleles):
        return phase_set(rows[i], column) if bar else None
    if bar and phase_set(rows[i], column) != ".":
        return phase_set(rows[i], column)
    best, found = None, "any"
    beg, end = trimmed(rows[i], column)
    for j, row in enumerate(rows):
        alleles, bar = alleles_of(row, column)
        if j == i or row[0] != rows[i][0] or not bar or not is_het(alleles) or not has_alt(alleles):
            continue
        d = max(int(row[1]) - 1 - end, beg - (int(row[1]) - 1 + len(row[3])), 0)
        if best is None or d < best:
            best, found = d, phase_set(row, column)
    return found

def trim(ref, alt):
    """Returns the beginning and end of the part of REF that differs, and that part of ALT."""
    end, k = len(ref), 0
    stop = len(alt)
    while end and stop and ref[end - 1] == alt[stop - 1]:
        end, stop = end - 1, stop - 1
    while k < end and k < stop and ref[k] == alt[k]:
        k += 1
    return k, end, alt[k:stop]

def trimmed(row, column, k=None):
    alleles, _ = alleles_of(row, column)
    a = int(alleles[k]) if k is not None else next(int(a) for a in alleles if a not in ".0")
    beg, end, _ = trim(row[3], row[4].split(",")[a - 1])
    return int(row[1]) - 1 + beg, int(row[1]) - 1 + end

def own_call(rows, i, j, column, k, chosen):
    """Returns the allele of row j on haplotype k of row i."""
    alleles, bar = alleles_of(rows[j], column)
    if i == j:
        return alleles[k]
    if not has_alt(alleles) or rows[j][0] != rows[i][0]:
        return "0"
    if not is_het(alleles):
        return alleles[0]
    same = bar and chosen is not None and phase_set(rows[j], column) == chosen
    if same and len(alleles) == len(alleles_of(rows[i], column)[0]):
        return alleles[k].replace(".", "0")
    return "0"

def lift(chain, at):
    """Returns the place in the query of a place in the target, by the lines of a UCSC chain."""
    t, q = int(chain[0].split()[5]), int(chain[0].split()[10])
    for line in chain[1:]:
        block = list(map(int, line.split()))
        if t <= at < t + block[0]:
            return q + at - t
        t, q = t + block[0] + (block[1] if len(block) > 1 else 0), q + block[0] + (block[2] if len(block) > 1 else 0)
    return None

def consensus(fasta, header, rows, folder):
    """Returns the haplotype, its chain, and whether a call was skipped."""
    vcf, chain = os.path.join(folder, "h.vcf.gz"), os.path.join(folder, "h.chain")
    text = "\n".join([h for h in header if h.startswith("##")] +
                     ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS"] +
                     ["\t".join(r) for r in rows]) + "\n"
    subprocess.run(["bgzip", "-c"], input=text.encode(), stdout=open(vcf, "wb"), check=True)
    subprocess.run(["bcftools", "index", "-f", vcf], check=True)
    done = subprocess.run(["bcftools", "consensus", "-f", fasta, "-s", "S", "-H", "1", "-c", chain, vcf],
                          capture_output=True, text=True, check=True)
    return done.stdout, [l for l in open(chain).read().split("\n") if l], done.stderr

def command_build(fasta, vcf, sample, out_fasta, out_vcf, first="0", last=None):
    contigs = read_fasta(fasta)
    header, rows = read_vcf(vcf)
    column = header[-1].split("\t").index(sample)
    made, records = {}, []
    folder = tempfile.mkdtemp(dir=".")
    for name in contigs:
        write_fasta(os.path.join(folder, name + ".fa"), {name: contigs[name]})
    for i in range(int(first), len(rows) if last is None else int(last) + 1):
        alleles, _ = alleles_of(rows[i], column)
        for k, a in enumerate(alleles):
            if a in ".0" or "<" in rows[i][4] or "*" in rows[i][4]:
                continue
            chosen = set_of(rows, i, column)
            calls = [own_call(rows, i, j, column, k, chosen) for j in range(len(rows))]
            carried = [r[:5] + [".", ".", ".", "GT", c] for r, c in zip(rows, calls)
                       if c not in ".0" and r[0] == rows[i][0] and r[4].split(",")[int(c) - 1].isalpha()]
            text, chain, said = consensus(os.path.join(folder, rows[i][0] + ".fa"), header, carried, folder)
            if f"The site {rows[i][0]}:{rows[i][1]} overlaps" in said:
                continue
            seq = "".join(text.split("\n")[1:]).upper()
            beg, end, alt = trim(rows[i][3], rows[i][4].split(",")[int(a) - 1])
            ref = rows[i][3][beg:end]
            at = lift(chain, int(rows[i][1]) - 1)
            at = at if at is None else at + beg
            if at is None or seq[at:at + len(alt)] != alt:
                print(f"{rows[i][0]}:{rows[i][1]} is not found in its haplotype", file=sys.stderr)
                continue
            seq = seq[:at] + ref + seq[at + len(alt):]
            if not ref or not alt: # a record needs a base
                at, left = (at - 1, seq[at - 1]) if at else (at, "")
                right = "" if left else seq[at + len(ref)]
                ref, alt = left + ref + right, left + alt + right
            contig = f"{rows[i][0]}:{i}:{k}"
            made[contig] = seq
            records.append([contig, str(at + 1), contig, ref, alt, ".", ".", "."])
    write_fasta(out_fasta, made)
    with open(out_vcf, "w") as out:
        print("##fileformat=VCFv4.2", *[f"##contig=<ID={c},length={len(s)}>" for c, s in made.items()],
              "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", *["\t".join(r) for r in records], sep="\n", file=out)

def command_compare(built, scored, sample, scored_built):
    header, rows = read_vcf(scored)
    column = header[-1].split("\t").index(sample)
    values = {r[2]: dict(x.split("=") for x in r[7].split(";") if "=" in x) for r in read_vcf(scored_built)[1]}
    wrong = compared = other = 0
    for record in read_vcf(built)[1]:
        _, i, k = record[2].rsplit(":", 2)
        row = rows[int(i)]
        own = fields(row, column)
        names = ("LLR", "DPLL") if "CADUCEUS_LLR" in values[record[2]] else ("DPLL", "LLR")
        want = values[record[2]].get("CADUCEUS_" + names[0], ".")
        got = own.get("C" + names[0], ".").split(",")
        got = got[int(k)] if int(k) < len(got) else "."
        info = dict(x.split("=") for x in row[7].split(";") if "=" in x)
        compared += want != "."
        other += want != "." and want not in info.get("CADUCEUS_" + names[0], "").split(",")
        if want != got:
            wrong += 1
            print(f"{record[2]} {row[1]} {row[3]}>{row[4]} {row[column]}: {got}, in its FASTA {want}")
    print(f"{compared} values, {other} of them differ from the reference's; {wrong} wrong")
    return 1 if wrong or compared < 10 or other < compared / 4 else 0

# ---- the other strand ----

def rc(seq):
    return seq[::-1].translate(str.maketrans("ACGT", "TGCA"))

def command_reverse(fasta, vcf, out_fasta, out_vcf):
    contigs = read_fasta(fasta)
    header, rows = read_vcf(vcf)
    write_fasta(out_fasta, {name: rc(seq) for name, seq in contigs.items()})
    with open(out_vcf, "w") as out:
        print(*header, sep="\n", file=out)
        for name, seq in contigs.items():
            for i in reversed([i for i, r in enumerate(rows) if r[0] == name]):
                pos, ref, alts = int(rows[i][1]) - 1, rows[i][3], rows[i][4].split(",")
                end = pos + len(ref)
                if any(len(a) != len(ref) for a in alts): # the base before becomes that behind
                    pos, end, ref = pos + 1, end + 1, ref[1:] + seq[end]
                    alts = [a[1:] + ref[-1] for a in alts]
                print(name, len(seq) - end + 1, i, rc(ref), ",".join(map(rc, alts)), *rows[i][5:], sep="\t", file=out)

def command_strands(scored, reverse):
    rows = read_vcf(scored)[1]
    wrong = n = 0
    for other in read_vcf(reverse)[1]:
        row = rows[int(other[2])]
        for column in range(9, len(row)):
            a, b = fields(row, column), fields(other, column)
            for key in "CLLR", "CDPLL":
                x, y = a.get(key, ".").split(","), b.get(key, ".").split(",")
                n += len([v for v in x if v != "."])
                if len(x) != len(y) or any((v == ".") != (w == ".") or
                                           (v != "." and abs(float(v) - float(w)) > 2e-4) for v, w in zip(x, y)):
                    wrong += 1
                    print(row[0], row[1], key, ",".join(x), "and", ",".join(y))
    print(f"{n} values, {wrong} wrong")
    return 1 if wrong or n < 20 else 0

if __name__ == "__main__":
    sys.exit(globals()["command_" + sys.argv[1]](*sys.argv[2:]))
