"""structural.py COMMAND ...: inputs for tests of the score sv.

  make OUT.fa OUT.vcf
      writes two contigs, and structural variants of each kind, some of them at the contigs' ends
  reverse REF.fa IN.vcf OUT.fa OUT.vcf
      writes the reverse complement of both, without alleles that are sequences; the ID of a record is its POS in IN.vcf
"""
import random
import sys

HEADER = """##fileformat=VCFv4.4
##contig=<ID=one>
##contig=<ID=two>
##INFO=<ID=END,Number=1,Type=Integer,Description="x">
##INFO=<ID=SVLEN,Number=A,Type=Integer,Description="x">
##INFO=<ID=SVCLAIM,Number=A,Type=String,Description="x">
##INFO=<ID=SVINSSEQ,Number=1,Type=String,Description="x">
##INFO=<ID=LEFT_SVINSSEQ,Number=1,Type=String,Description="x">
##INFO=<ID=RIGHT_SVINSSEQ,Number=1,Type=String,Description="x">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""


def write_fasta(path, contigs):
    with open(path, "w") as out:
        for name, seq in contigs.items():
            print(f">{name}\n{seq}", file=out)


def make(fasta, vcf):
    rng = random.Random(4)
    seq = rng.choices("ACGT", k=4000)
    seq[700], seq[1203] = "N", "R"
    contigs = {"one": "".join(seq), "two": "".join(rng.choices("ACGT", k=60))}
    seq, inserted = contigs["one"], "".join(rng.choices("ACGT", k=1500))
    symbolic = [(3, "<DEL>", "END=6"), (100, "<DEL>", "END=103"), (200, "<DEL>", "END=330"),
                (205, "<DUP>", "SVLEN=40"), (210, "<DUP:TANDEM>", "END=213"), (260, "<INV>", "END=300"),
                (270, "<INV>", "SVLEN=-3"), (280, "<DUP>", "END=1500;SVCLAIM=DJ"),
                (300, "<INS>", "SVINSSEQ=ACGTTGCA"), (320, "<INS>", "SVINSSEQ=" + "ACCA" * 30),
                (330, "<INS:ME:ALU>", "LEFT_SVINSSEQ=ACGTTGCAACGAGG;RIGHT_SVINSSEQ=TTAGACCAGGTAGACCCATG"),
                (698, "<DEL>", "END=1206"), (3000, "<DEL>", "END=4000"), (3990, "<INV>", "END=3998")]
    rows = [("one", pos, seq[pos - 1], alt, info) for pos, alt, info in symbolic]
    rows += [("one", 1300, seq[1299:2399], seq[1299] + "TT", "."), ("one", 2000, seq[1999:3500], seq[1999], "."),
             ("one", 2000, seq[1999], seq[1999] + inserted, "."),
             ("one", 2000, seq[1999], seq[1999] + seq[2000:2003] + "G" * 1022, "."),
             ("two", 1, contigs["two"][0], "<DUP>", "END=60"), ("two", 20, contigs["two"][19], "<INV>", "END=41")]
    write_fasta(fasta, contigs)
    with open(vcf, "w") as out:
        print(HEADER, end="", file=out)
        for name, pos, ref, alt, info in rows:
            print(name, pos, ".", ref, alt, ".", ".", info, sep="\t", file=out)


def rc(seq):
    return seq[::-1].translate(str.maketrans("ACGT", "TGCA"))


def reverse(fasta, vcf, out_fasta, out_vcf):
    contigs = dict(record.split("\n", 1) for record in open(fasta).read().split(">")[1:])
    contigs = {name: rc(seq.replace("\n", "")) for name, seq in contigs.items()}
    write_fasta(out_fasta, contigs)
    with open(out_vcf, "w") as out:
        print(HEADER, end="", file=out)
        for row in (line.rstrip("\n").split("\t") for line in open(vcf) if line[0] != "#"):
            if row[4][0] != "<":
                continue
            seq, beg, info = contigs[row[0]], int(row[1]), dict(x.split("=") for x in row[7].split(";"))
            end = int(info.get("END", beg + (0 if "INS" in row[4] else abs(int(info.get("SVLEN", 0))))))
            pos = len(seq) - end
            new = {"END": str(len(seq) - beg)} if end > beg else {}
            for key in info:
                if "SEQ" in key:
                    new[key.replace("LEFT", "x").replace("RIGHT", "LEFT")
                        .replace("x", "RIGHT")] = rc(info[key])
            print(row[0], pos, row[1], seq[pos - 1] if pos else "N", row[4], ".", ".",
                  ";".join(f"{k}={v}" for k, v in new.items()), sep="\t", file=out)


globals()[sys.argv[1]](*sys.argv[2:])
