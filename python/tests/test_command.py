# SPDX-License-Identifier: MIT
"""Every number of the package equals the command's, to the bit where the command writes bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caduceus
from conftest import BUNDLED, DATA, EXAMPLES, Command, random_sequence, write_fasta

SMALL = [DATA / "ps", DATA / "ph", DATA / "plant"]
named = pytest.mark.parametrize("path", [BUNDLED, *SMALL], ids=lambda p: p.name)


def rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines() if not line.startswith("#")]


def number(x: float) -> str:
    return "." if x != x else f"{x:.6g}"


@named
@pytest.mark.parametrize("pool", ["mean", "max", "center", "none"])
@pytest.mark.parametrize("cut", [None, (65, 16), (9, 4)], ids=str)
def test_embed(
    path: Path, pool: str, cut: tuple[int, int] | None, sequences: list[str], command: Command, tmp_path: Path
):
    if path == BUNDLED:
        sequences = sequences[:7]
    options = [] if cut is None else ["--window", str(cut[0]), "--flank", str(cut[1])]
    window, flank = cut or (None, None)
    fasta = write_fasta(tmp_path / "in.fa", sequences)
    command("embed", "-m", path, "--pool", pool, *options, fasta, "-o", tmp_path / "out.npy")
    want = np.load(tmp_path / "out.npy")
    with caduceus.Model(path, threads=2) as model:
        got = model.embed(sequences, pool, window=window, flank=flank)
        one = model.embed(sequences[-1], pool, window=window, flank=flank)
    assert np.array_equal(one, got[-1])
    joined = np.concatenate(got) if pool == "none" else got
    assert joined.dtype == np.float32 and joined.tobytes() == want.tobytes()


@named
@pytest.mark.parametrize("layer", [1, -1, -2])
def test_layer(path: Path, layer: int, sequences: list[str], command: Command, tmp_path: Path):
    sequences = sequences[:7]
    fasta = write_fasta(tmp_path / "in.fa", sequences)
    with caduceus.Model(path) as model:
        if -layer > model.n_layer:
            with pytest.raises(caduceus.ArgumentError, match="layer"):
                model.embed(sequences, layer=layer)
            return
        for pool in ("mean", "none"):
            out = tmp_path / f"{pool}.npy"
            command("embed", "-m", path, "--layer", str(layer), "--pool", pool, fasta, "-o", out)
            got = model.embed(sequences, pool, layer=layer)
            joined = np.concatenate(got) if pool == "none" else got
            assert joined.tobytes() == np.load(out).tobytes()
        assert model.hidden("ACGT", -1).tobytes() == model.hidden("ACGT").tobytes()
        assert model.hidden("ACGT", 1).tobytes() == model.hidden("ACGT", -model.n_layer).tobytes()
        if model.n_layer > 1:
            assert model.hidden("ACGT", 1).tobytes() != model.hidden("ACGT").tobytes()
        with pytest.raises(caduceus.ArgumentError, match="layer 0"):
            model.hidden("ACGT", 0)


@named
@pytest.mark.parametrize("mask", ["each", "stride:3", "none"])
@pytest.mark.parametrize("cut", [None, (64, 16)], ids=str)
def test_score(
    path: Path, mask: str, cut: tuple[int, int] | None, sequences: list[str], command: Command, tmp_path: Path
):
    options = [] if cut is None else ["--window", str(cut[0]), "--flank", str(cut[1])]
    window, flank = cut or (None, None)
    if path == BUNDLED:
        sequences = sequences[:5]
    fasta = write_fasta(tmp_path / "in.fa", sequences)
    text = command("annotate", "-m", path, "--mask", mask, "--score", "pll,n,entropy", *options, fasta)
    with caduceus.Model(path, threads=2) as model:
        scores = model.score(sequences, mask, window=window, flank=flank)
    assert len(scores) == len(sequences)
    for row, s in zip(rows(text), scores):
        seen = s.entropy[~np.isnan(s.entropy)]
        entropy = np.cumsum(seen)[-1] / len(seen) if s.n else np.nan
        assert row[3:] == [number(s.pll), str(s.n), number(entropy)]


def test_bases_to_the_bit(sequences: list[str], command: Command, tmp_path: Path):
    """The tag yb of reads has a float for every base; so has yp, and ye for every value of the embedding."""
    pysam = pytest.importorskip("pysam")
    sequences = [s.upper() for s in sequences[:8]]
    sam = tmp_path / "in.sam"
    sam.write_text("".join(f"r{i}\t4\t*\t0\t0\t*\t*\t0\t0\t{s}\t*\n" for i, s in enumerate(sequences)))
    out = tmp_path / "out.bam"
    command("annotate", "-m", BUNDLED, "--score", "pll,n,bases", "--embed", "-", sam, "-o", out)
    with caduceus.Model(BUNDLED) as model:
        scores, embedded = model.score(sequences), model.embed(sequences)
    with pysam.AlignmentFile(str(out), check_sq=False) as reads:
        for read, s, x in zip(reads, scores, embedded):
            bases = np.where(np.isnan(s.bases), np.float32(1), s.bases)
            assert np.array(read.get_tag("yb"), np.float32).tobytes() == bases.tobytes()
            assert np.array(read.get_tag("ye"), np.float32).tobytes() == x.tobytes()
            if s.n:
                assert np.float32(read.get_tag("yp")) == np.float32(s.pll)
            assert read.get_tag("yn") == s.n


def test_track(command: Command, tmp_path: Path):
    seq = random_sequence(300, 1)
    fasta = write_fasta(tmp_path / "in.fa", [seq])
    text = command("track", "-m", BUNDLED, "-T", fasta, "--score", "pll", "--decimals", "6", "-O", "bedGraph")
    with caduceus.Model(BUNDLED) as model:
        bases = model.score(seq).bases
    want = {t: value for _, beg, end, value in rows(text) for t in range(int(beg), int(end))}
    assert {t: f"{x:.6f}" for t, x in enumerate(bases) if x == x} == {t: f"{float(v):.6f}" for t, v in want.items()}


def test_eval(command: Command, tmp_path: Path):
    seq = random_sequence(60, 2)
    fasta = write_fasta(tmp_path / "in.fa", [seq])
    text = command("eval", "-m", BUNDLED, "-T", fasta, "--markov", "none", "--mask", "each", "--no-version")
    header, row = (line.split("\t") for line in text.splitlines())
    with caduceus.Model(BUNDLED) as model:
        s = model.score(seq, "each")
    assert row[header.index("loss")] == number(-s.pll)


@named
def test_llr(path: Path, example_fasta: Path, command: Command, tmp_path: Path):
    """An SNV in the middle of a contig that fits one window: the window is the contig."""
    seq = random_sequence(201, 3).upper().replace("N", "A")
    fasta = write_fasta(tmp_path / "in.fa", [seq])
    alts = [b for b in "ACGT" if b != seq[100]]
    vcf = tmp_path / "in.vcf"
    vcf.write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=s0,length=201>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"s0\t101\t.\t{seq[100]}\t{','.join(alts)}\t.\t.\t.\n"
    )
    text = command("annotate", "-m", path, "-T", fasta, vcf, "--flank", "100", "--window", "201")
    want = rows(text)[0][7].split("=")[1].split(",")
    with caduceus.Model(path, max_len=201) as model:
        got = model.llr(seq, [100] * 3, alts)
        assert [number(np.float32(x)) for x in got] == want
        assert model.llr(seq, 100, alts[0]) == got[0]
        assert list(model.llr([seq] * 3, 100, alts)) == list(got)
        logp = model.score(seq, "each").logp[100].astype(float)
    assert list(got) == [logp["ACGT".index(b)] - logp["ACGT".index(seq[100])] for b in alts]


def test_variants(example_fasta: Path, command: Command):
    vcf = EXAMPLES / "example.vcf"
    text = command("annotate", "-m", DATA / "ps", "-T", example_fasta, vcf, "--score", "llr,dpll,n,dist,cos")
    want = []
    for chrom, pos, name, ref, alts, _, _, info in rows(text):
        fields = dict(f.split("=") for f in info.split(";"))
        for i, alt in enumerate(alts.split(",")):
            values = [
                fields.get(f"CADUCEUS_{k}", ",").split(",")[i] for k in ("LLR", "DPLL", "N", "DIST", "COS", "NOTE")
            ]
            want.append([chrom, pos, name, ref, alt, *values])
    with caduceus.Model(DATA / "ps") as model:
        found = list(model.variants(example_fasta, vcf, score="llr,dpll,n,dist,cos"))
        few = list(model.variants(example_fasta, vcf, options=["-t", "chrE2"]))

    def show(x: object) -> str:
        return "" if x is None else number(x) if isinstance(x, float) else str(x)

    assert [[v.chrom, str(v.start + 1), *map(show, v[2:])] for v in found] == want
    assert len(found) == 8 and sum(v.llr is not None for v in found) == 3
    assert [v.id for v in few] == ["insertion"]


def test_variants_fail(example_fasta: Path, tmp_path: Path, caduceus_path: str, monkeypatch: pytest.MonkeyPatch):
    with caduceus.Model(DATA / "ps") as model:
        with pytest.raises(caduceus.Error, match=r"caduceus annotate: .*nothing\.vcf: No such file"):
            list(model.variants(example_fasta, tmp_path / "nothing.vcf"))
        first = next(iter(model.variants(example_fasta, EXAMPLES / "example.vcf")))  # the rest is not read
        assert first.id == "snv"
        monkeypatch.setenv("PATH", "")
        monkeypatch.setattr("caduceus.variants._CARRIED", tmp_path / "nothing")
        with pytest.raises(FileNotFoundError, match="install"):
            model.variants(example_fasta, EXAMPLES / "example.vcf")


@pytest.mark.parametrize("name", ["cls-ps", "cls-ph"])
def test_predict(name: str, sequences: list[str], command: Command, tmp_path: Path):
    fasta = write_fasta(tmp_path / "in.fa", sequences)
    text = command("predict", "-m", DATA / name, "--no-version", fasta)
    with caduceus.Model(DATA / name, threads=2) as model:
        p, names = model.predict_proba(sequences), model.predict(sequences)
        assert np.array_equal(model.classify(sequences[3]), model.classify(sequences)[3])
        assert np.array_equal(model.predict_proba(sequences[3]), p[3])
        assert model.predict(sequences[3]) == names[3]
    got = [[*map(number, row), str(label)] for row, label in zip(p, names)]
    assert [row[-len(got[0]) :] for row in rows(text)[1:]] == got
