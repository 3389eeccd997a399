#!/bin/sh
# track.t - per-base tracks: every value, bigWig and bedGraph, and their faults
# (19-26, 43-48).
. "${srcdir:-.}/test/lib.sh"

python=$(python)
full=$builddir/.libs/libfullfs.so
model=$data/ps
run() { "$caduceus" track --quiet --window 96 -m "$model" -T ref.fa "$@"; }
has_bigwig=
[ "$python" ] && "$python" -c 'import pyBigWig; assert pyBigWig.numpy' 2>/dev/null && has_bigwig=y

# Names that sort otherwise than they come; N, soft-masked bases, letters besides; one base; nothing but N.
{ contig chrZ 700 1; echo ">chr10"; echo "$(bases 90 2)NNNN$(bases 100 3)nR$(bases 60 4 | tr ACGT acgt)$(bases 31 5)"
  echo ">chr2"; echo C; echo ">gap"; bases 200 6 | sed 's/./N/g'; contig chr1 48 7; } >ref.fa
printf 'chrZ\t10\t20\nchrZ\t15\t60\nchrZ\t130\t131\nchr10\t80\t200\nchr1\t0\t48\n' >some.bed

# ---- values ----
ok "bedGraph" run -o t.bedGraph
if [ "$python" ]; then
    cat >check.py <<'PY'
"""check.py REFERENCE.py GRAPHS DECIMALS MASK SCORES SOFT MODEL CONTIGS: each base against the float64 model."""
import os, sys, types
sys.path.insert(0, os.path.dirname(sys.argv[1]))
import numpy as np, reference
graphs, decimals, mask, names, soft = sys.argv[2].split(","), int(sys.argv[3]), sys.argv[4], sys.argv[5].split(","), sys.argv[6] == "soft"
m, fasta = reference.Model(sys.argv[7]), reference.read_fasta("ref.fa")
C, F = 48, 24
want = {n: {} for n in names}
for chrom, seq in fasta.items():
    if len(sys.argv) > 8 and chrom not in sys.argv[8].split(","): continue
    for lo in range(0, len(seq), C):
        hi = min(lo + C, len(seq))
        a, b = max(0, lo - F), min(len(seq), hi + F)
        ids, base = reference.encode(m, seq[a:b])
        scored = base >= 0
        if soft: scored &= np.frombuffer(seq[a:b], np.uint8) < ord("a")
        scored[:lo - a] = scored[hi - a:] = False
        for s in reference.mask_sets(mask, np.flatnonzero(scored), a):
            lp = reference.base_log_probs(m, ids, [s], mask != "none")
            p = np.exp(lp)
            for name in names:
                if name.startswith("logo."): v = (2 - reference.score("entropy", lp, base[s])) * p[:, "ACGT".index(name[5])]
                else: v = reference.score(name, lp, base[s])
                for i, x in zip(s, v): want[name][chrom, a + int(i)] = x
for graph, name in zip(graphs, names, strict=True):
    got = {}
    for line in open(graph):
        if line[0] == "#": continue
        c, beg, end, v = line.rstrip("\n").split("\t")
        assert len(v.partition(".")[2]) == decimals, line
        for i in range(int(beg), int(end)):
            assert (c, i) not in got, (c, i)
            got[c, i] = float(v)
    assert got.keys() == want[name].keys(), (name, len(got), len(want[name]), sorted(got.keys() ^ want[name].keys())[:5])
    worst = max(abs(got[k] - want[name][k]) for k in got)
    assert worst <= .5 * 10 ** -decimals + 2e-5, (name, worst)
PY
    against() { ok "$1" "$python" check.py "$reference" "$2" "$3" "$4" "$5" "$6" "${7:-$model}" $8; }
    against "every base is that of the float64 model" t.bedGraph 3 stride:8 pll all
    run --decimals 6 --mask none -o d.bedGraph; against "--mask none, six digits" d.bedGraph 6 none pll all
    run --decimals 6 --mask stride:3 --skip-soft-masked -o d.bedGraph; against "--skip-soft-masked" d.bedGraph 6 stride:3 pll soft
    run --decimals 0 -o d.bedGraph
    is "--decimals 0" "$(rows d.bedGraph | awk '$4 ~ /[.]|^-0$/' | wc -l | tr -d ' ')" 0
    run --decimals 5 --score entropy,ic,logo_ref,logo,pA,pC,pG,pT -O bedGraph -o s
    all=; files=
    for s in entropy ic logo_ref logo.A logo.C logo.G logo.T pA pC pG pT; do all=$all${all:+,}$s files=$files${files:+,}s.$s.bedGraph; done
    against "all scores" "$files" 5 stride:8 "$all" all
    for m in ph plant; do "$caduceus" track --quiet --window 96 -m "$data/$m" -T ref.fa -r chr1,chr2 --mask each --decimals 5 -o d.bedGraph; against "--mask each, $m" d.bedGraph 5 each pll all "$data/$m" chr1,chr2; done
else
    skip "every base is that of the float64 model" "no python3 with numpy"
fi
is "N, and what is read as N, is absent" "$(rows t.bedGraph | awk '$1 == "gap" || ($1 == "chr10" && $3 > 90 && $2 < 94) || ($1 == "chr10" && $3 > 194 && $2 < 196)' | wc -l | tr -d ' ')" 0
is "a contig of one base has one value" "$(rows t.bedGraph | awk '$1 == "chr2" { print $2, $3 }')" "0 1"

# ---- the value of a base depends on nothing else ----
each_base() { rows "$1" | awk '{ for (i = $2; i < $3; i++) print $1 "\t" i "\t" $4 }'; }
each_base t.bedGraph >all
run -L some.bed -o some.bedGraph; each_base some.bedGraph >got
awk 'NR == FNR { n++; c[n] = $1; b[n] = $2; e[n] = $3; next } { for (i = 1; i <= n; i++) if ($1 == c[i] && $2 >= b[i] && $2 < e[i]) { print; next } }' some.bed all >want
same "-L gives the same values" want got
awk '{ a[NR] = $0 } END { for (i = NR; i; i--) print a[i] }' some.bed >back.bed
run -L back.bed -o back.bedGraph; same "in any order of regions" some.bedGraph back.bedGraph
run -R some.bed -o R.bedGraph; same "-R reads a BED too" some.bedGraph R.bedGraph
run -r chrZ:11-60,chrZ:131 -r chr10:81-200,chr1 -o r.bedGraph
each_base r.bedGraph | grep -v "chrZ	1[3-9][1-9]\|chrZ	[2-9][0-9][0-9]\|chrZ	1[4-9]0" >got
same "-r gives the same values" want got
run -r chrZ:333-333 -o - | grep -v '^#' >got
is "a region of one base" "$(cat got)" "$(awk '$1 == "chrZ" && $2 == 332 { print $1 "\t" $2 "\t" $2 + 1 "\t" $3 }' all)"
for n in 1 2 5; do run -@ $n -o n.bedGraph; same "bedGraph with -@ $n" t.bedGraph n.bedGraph; done
run -o a.bw; for n in 1 3; do run -@ $n -o n.bw; same "bigWig with -@ $n" a.bw n.bw; done
run >std; same "standard output is bedGraph" t.bedGraph std
LC_ALL=de_DE.UTF-8 run >std; same "whatever the locale" t.bedGraph std

# ---- bedGraph.gz ----
run -o z.bedGraph.gz
gzip -dc z.bedGraph.gz >z; same ".bedGraph.gz holds the same" t.bedGraph z
ok "with an index" test -s z.bedGraph.gz.tbi
if command -v tabix >/dev/null; then
    tabix z.bedGraph.gz chr10:81-200 >got; rows t.bedGraph | awk '$1 == "chr10" && $2 < 200 && $3 > 80' >want
    same "that tabix reads" want got
else skip "that tabix reads" "no tabix"; fi

# ---- bigWig ----
run -O bw >b.bw; same "-O bw to standard output" a.bw b.bw
mkfifo fifo; cat fifo >got.bw & run -O bw -o fifo; is "to a FIFO" $? 0; wait; same "the same bytes" a.bw got.bw
ok ".json lies beside" test -s a.bw.json
like ".json names the track" '"track": "pll"' a.bw.json
is "and no FIFO's" "$(ls fifo.json 2>/dev/null)" ""
run --score pll,pA -o p; same "several scores: PREFIX.SCORE.bw" a.bw p.pll.bw
ok "each with its .json" test -s p.pA.bw.json
if [ "$has_bigwig" ]; then
    cat >bw.py <<'PY'
"""bw.py BIGWIG GRAPH FASTA.fai: values, header, contigs and zoom levels."""
import struct, sys, zlib
import numpy as np, pyBigWig
path, graph, fai = sys.argv[1:4]
lengths = [(f[0], int(f[1])) for f in map(str.split, open(fai))]
want = {c: np.full(n, np.nan, np.float32) for c, n in lengths}
for line in open(graph):
    if line[0] != "#":
        c, b, e, v = line.split("\t")
        want[c][int(b):int(e)] = np.float32(v)
w = pyBigWig.open(path)
assert w.chroms() == dict(lengths), (len(w.chroms()), len(lengths))
every = np.concatenate(list(want.values())).astype(float)
every = every[~np.isnan(every)]
h = w.header()
assert h["nBasesCovered"] == len(every), h
raw = open(path, "rb").read()
at = struct.unpack("<Q", raw[44:52])[0]
covered, low, high, total, square = struct.unpack("<Qdddd", raw[at:at + 40])
assert covered == len(every)
if covered: assert (low, high) == (every.min(), every.max()) and abs(total - every.sum()) <= 1e-9 * abs(total) and abs(square - (every ** 2).sum()) <= 1e-9 * square
for c, n in lengths if len(lengths) < 50 else lengths[::97] + lengths[-1:]:
    got = np.array(w.values(c, 0, n), np.float32)
    assert np.array_equal(got, want[c], equal_nan=True), (c, np.flatnonzero(got != want[c])[:5])
# zoom levels, read by hand
nzoom = struct.unpack("<H", raw[6:8])[0]
longest = max(n for _, n in lengths)
assert nzoom >= 1 and h["nLevels"] == nzoom
def leaves(at):
    leaf, _, n = struct.unpack("<BBH", raw[at:at + 4])
    for i in range(n):
        p = at + 4 + i * (32 if leaf else 24)
        if leaf: yield struct.unpack("<IIIIQQ", raw[p:p + 32])
        else:
            box, child = struct.unpack("<IIII", raw[p:p + 16]), struct.unpack("<Q", raw[p + 16:p + 24])[0]
            below = list(leaves(child))
            assert box[:2] == below[0][:2] and box[2:] == below[-1][2:4], "an inner node bounds its leaves"
            yield from below
for z in range(nzoom):
    width, _, data, index = struct.unpack("<IIQQ", raw[64 + 24 * z:88 + 24 * z])
    seen, count = 0, 0
    magic, size, items = struct.unpack("<IIQ", raw[index:index + 16])
    assert magic == 0x2468ACE0
    blocks = list(leaves(index + 48))
    assert items == len(blocks), (items, len(blocks))
    for c0, b0, c1, e1, at, size in blocks:
        r = zlib.decompress(raw[at:at + size])
        for k in range(0, len(r), 32):
            c, b, e, valid, lo, hi, s, q = struct.unpack("<IIIIffff", r[k:k + 32])
            v = want[lengths[c][0]][b:e].astype(float); v = v[~np.isnan(v)]
            assert b % width == 0 and e == min(b + width, lengths[c][1])
            assert valid == len(v) and lo == v.min() and hi == v.max(), (z, c, b, lo, hi)
            assert abs(s - v.sum()) <= 1e-5 * abs(s) + 1e-6 and abs(q - (v ** 2).sum()) <= 1e-5 * q
            seen += valid; count += 1
    assert seen == len(every) and struct.unpack("<I", raw[data:data + 4])[0] == count, (z, seen, count)
for c, n in lengths[:3]: # as a browser asks
    width = struct.unpack("<I", raw[64:68])[0]
    bins = n // width
    if bins < 2: continue
    for kind, f in ("min", np.min), ("max", np.max), ("mean", np.mean):
        got = w.stats(c, 0, bins * width, type=kind, nBins=bins)
        for i, g in enumerate(got):
            v = want[c][i * width:(i + 1) * width].astype(float); v = v[~np.isnan(v)]
            assert (g is None) == (len(v) == 0) and (g is None or abs(g - f(v)) < 1e-4), (c, kind, i, g)
PY
    bw() { ok "$1" "$python" bw.py "$2" "$3" "${4:-ref.fa}".fai; }
    "$caduceus" track --quiet -m "$model" -T ref.fa -r chrZ --dry-run >/dev/null 2>&1
    [ -e ref.fa.fai ] || awk '/^>/ { if (n != "") print n "\t" l; n = substr($1, 2); l = 0; next } { l += length($0) } END { print n "\t" l }' ref.fa >ref.fa.fai
    bw "bigWig: values, header, contigs, zoom levels" a.bw t.bedGraph
    is "where all values are negative" "$(rows t.bedGraph | awk '$4 >= 0' | wc -l | tr -d ' ')" 0
    run -L some.bed -o some.bw; bw "of regions" some.bw some.bedGraph
    awk 'BEGIN { for (i = 0; i < 700; i += 3) print "chrZ\t" i "\t" i + 1 + i % 2 }' >sparse.bed
    run -L sparse.bed -o sparse.bw; run -L sparse.bed -o sparse.bedGraph; bw "of scattered bases" sparse.bw sparse.bedGraph
    { awk 'BEGIN { for (i = 0; i < 200; i += 2) print "chrZ\t" i "\t" i + 1 }'; printf 'chrZ\t300\t363\nchrZ\t364\t428\nchrZ\t430\t495\nchrZ\t500\t501\n'; } >mixed.bed
    run -L mixed.bed -o mixed.bw; run -L mixed.bed -o mixed.bedGraph; bw "of dense and scattered bases" mixed.bw mixed.bedGraph
    run -r gap -o gap.bw; run -r gap -o gap.bedGraph; bw "without a value" gap.bw gap.bedGraph
    run -r chr2 -o one.bw; run -r chr2 -o one.bedGraph; bw "of one base" one.bw one.bedGraph
    for n in 300 1000 66000; do
        awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) print ">c" (i * 7919) % n "\n" (n > 60000 && i % 1000 ? "N" : "ACG") }' >many.fa
        awk '/^>/ { c = substr($1, 2); next } { print c "\t" length($1) }' many.fa >sizes.fai
        rm -f many.fa.fai many.bw
        "$caduceus" track --quiet --window 96 -m "$model" -T many.fa -o many.bw
        "$caduceus" track --quiet --window 96 -m "$model" -T many.fa -o many.bedGraph
        bw "$n contigs" many.bw many.bedGraph sizes
    done
    # a run of 64 values ends its block: more than 256 blocks, so an index of two levels
    { echo ">long"; bases 20000 9 | fold -w 66 | sed 's/.$/N/' | tr -d '\n'; echo; } >runs.fa
    printf 'long\t20000\n' >runs.fai
    for f in runs.bw runs.bedGraph; do "$caduceus" track --quiet -m "$data/ph" --mask none --window 1024 -T runs.fa -o $f; done
    bw "more blocks than one node of the index holds" runs.bw runs.bedGraph runs
    ok "they are" "$python" -c 'import struct; raw = open("runs.bw", "rb").read(); at = struct.unpack("<Q", raw[24:32])[0]; assert struct.unpack("<Q", raw[at + 8:at + 16])[0] > 256 and raw[at + 48] == 0'
    contig million 1000000 10 >million.fa
    for f in million.bw million.bedGraph; do "$caduceus" track --quiet -m "$data/ph" --mask none --window 1024 --decimals 6 -T million.fa -o $f; done
    ok "a million intervals" "$python" -c 'import numpy as n, pyBigWig
w = pyBigWig.open("million.bw")
g = n.loadtxt("million.bedGraph", usecols=(1, 2, 3))
want = n.repeat(g[:, 2].astype(n.float32), (g[:, 1] - g[:, 0]).astype(int))
assert len(w.intervals("million")) == 1000000 and n.array_equal(n.array(w.values("million", 0, 1000000), n.float32), want)
assert n.allclose(w.stats("million", 0, 1 << 19, nBins=8), want[:1 << 19].astype(float).reshape(8, -1).mean(1), atol=1e-6)'
    rm million.*
else
    skip "bigWig: values, header, contigs, zoom levels" "no python3 with pyBigWig"
fi

# ---- errors ----
rm -rf out; mkdir out
old() { rm -rf out; mkdir out; for f in o.bw o.bw.json o.bedGraph o.bedGraph.gz o.bedGraph.gz.tbi; do echo "old $f" >out/$f; done; (cd out && cksum ./* && ls -A) >before; }
intact() { (cd out && cksum ./* && ls -A) >after; same "$1" before after; }
T() { "$caduceus" track --quiet --window 96 -m "$model" -T ref.fa "$@"; }
error "no reference" 'reference with -T' "$caduceus" track -m "$model" -o x
error "an unknown score" 'score' T --score foo
error "no score" 'nothing to do' T --score none
error "several tracks to standard output" 'several tracks need -o' T --score pll,ic
error "an unknown format" 'expected bw' T -O wig
error "an argument" 'no such argument' T in.bed
error "-@ abc" 'whole number' T -@ abc
error "--decimals 7" 'whole number' T --decimals 7
error "a contig that is not there" 'no contig "Z".*chrZ' T -r Z:1-9 -o out/x.bw
printf 'Z\t1\t9\n' >miss.bed
error "a contig that is not there, in a BED" 'Z.*chrZ' T -L miss.bed -o out/x.bw
printf 'chrZ\t9\t4\n' >turn.bed
error "a BED that ends before it begins" 'turn.bed:1' T -L turn.bed -o out/x.bw
is "nothing is left" "$(ls -A out)" ""
error "the reference as output" 'also an input' T -o ref.fa
error "its index as output" 'also an input|named for two' T -o ref.fa.fai
error "the BED as output" 'also an input' T -L some.bed -o some.bed
error "a missing folder, before the model is read" 'gone/o.bw: .*No such file' "$caduceus" track -m "$dir/none" -T ref.fa -o gone/o.bw
cp ref.fa stale.fa; sed '2,3d' ref.fa >short.fa; cp ref.fa stale.fa
"$caduceus" track --quiet --window 96 -m "$model" -T stale.fa -r chr2 >/dev/null; [ -e stale.fa.fai ] || { command -v samtools >/dev/null && samtools faidx stale.fa; }
if [ -e stale.fa.fai ]; then
    cp short.fa stale.fa; touch stale.fa.fai
    error "an index of other contents" 'stale.fa.fai' "$caduceus" track --quiet --window 96 -m "$model" -T stale.fa -o out/x.bw
    is "nothing is left" "$(ls -A out)" ""
else skip "an index of other contents" "no samtools"; fi
error "no folder for temporary files" 'no temporary file' env TMPDIR="$dir/gone" "$caduceus" track --quiet --window 96 -m "$model" -T ref.fa -o out/x.bw
error "a full device" 'No space left' T -O bw -o /dev/full
error "a full device for bedGraph" 'No space left' T -o /dev/full -O bedGraph
if [ ! -e "$full" ]; then why="no $(basename "$full")"
elif ldd "$caduceus" 2>/dev/null | grep -q asan || grep -q __asan_init "$caduceus"; then why="built with a sanitizer"
else why=; fi
if [ -z "$why" ]; then
    disk() { n=$1; shift; env LD_PRELOAD="$full" "$n" "$caduceus" track --quiet --window 96 -m "$model" -T ref.fa "$@"; }
    size=$(($(wc -c <a.bw))) gz=$(($(wc -c <z.bedGraph.gz)))
    for n in 0 1 500 $((size / 2)) $((size - 1)); do old; error "disk full after $n bytes of bigWig" 'No space left' disk FULLFS_AFTER=$n -o out/o.bw; intact "the old files stay"; done
    for n in 0 100 $((gz - 1)) $gz; do old; error "disk full after $n bytes of .bedGraph.gz" 'No space left' disk FULLFS_AFTER=$n -o out/o.bedGraph.gz; intact "the old files stay"; done
    for f in o.bw o.bedGraph o.bedGraph.gz; do for when in FSYNC CLOSE; do old; error "$when of $f fails" 'No space left|Input/output error' disk FULLFS_$when=1 -o out/$f; intact "the old files stay"; done; done
else skip "disk full" "$why"; fi
old
(trap '' XFSZ; ulimit -f 2; T --score pll -o out/o.bw) >.out 2>.err; is "a file size limit is an error" $? 1
like "that says so" 'File too large' .err
intact "the old files stay"
old
contig long 400000 9 >long.fa
"$caduceus" track --quiet --window 16384 --mask each -m "$model" -T long.fa -o out/o.bw 2>/dev/null & pid=$!
i=0; while [ $i -lt 100 ] && ! ls -A out | grep -q 'tmp$'; do i=$((i + 1)); sleep .05; done
kill -TERM $pid 2>/dev/null; wait $pid; is "killed" $? 143
intact "the old files stay"

# ---- a folder that is read-only (24, 48) ----
if bound; then
    mkdir shut; cp ref.fa shut/; chmod 555 shut
    error "a read-only folder" 'shut/x.bw: .*Permission denied' $as "$caduceus" track --quiet --window 96 -m "$dir/none" -T ref.fa -o shut/x.bw
    $as "$caduceus" track --quiet --window 96 -m "$model" -T shut/ref.fa -O bedGraph >got 2>err; is "a reference without index in one" $? 0
    rows got >got.rows; rows t.bedGraph >want; same "is read" want got.rows
else skip "a read-only folder" "root cannot give up its rights"; fi
# ---- annotate --grid: a row is the mean of the track ----
{ contig g1 900 21; contig g2 77 22; } | awk 'NR == 4 { gsub(/A/, "N") } { print }' >grid.fa
printf 'g1\t0\t900\ng1\t100\t101\ng1\t63\t65\ng1\t250\t777\ng2\t10\t77\ng1\t30\t31\n' >grid.bed
for mask in stride:8 each none; do
    "$caduceus" track --quiet -m "$data/ps" -T grid.fa --window 64 --mask $mask --decimals 6 >grid.bedGraph
    "$caduceus" annotate --quiet -m "$data/ps" -T grid.fa --window 64 --mask $mask --grid grid.bed | grep -v '^#' >grid.got
    awk -v OFS='\t' 'FNR == NR { if ($0 !~ /^#/) for (i = $2; i < $3; i++) v[$1, i] = $4; next }
        { n = s = 0; for (i = $2; i < $3; i++) if (($1, i) in v) { n++; s += v[$1, i] } print $0, n ? s / n : ".", n }' grid.bedGraph grid.bed >grid.want
    ok "annotate --grid --mask $mask gives means of the track" close_to grid.got grid.want 2e-6
done
error "--grid fits regions only" 'grid' "$caduceus" annotate -m "$data/ps" --grid grid.fa

# ---- a hub ----
{ contig 1 300 31; contig MT 90 32; } >hub.fa
hub() { "$caduceus" track --quiet -m "$data/ps" -T hub.fa --window 64 "$@"; }
ok "a track hub" hub --hub hub --genome hg19 --email me@example.org
is "its files" "$(cd hub && find . -name '*.txt' -o -name '*.bw' -o -name 'igv*' | sort | tr '\n' ' ')" \
    "./genomes.txt ./hg19/A.bw ./hg19/C.bw ./hg19/G.bw ./hg19/T.bw ./hg19/chromAlias.txt ./hg19/igv.json ./hg19/igv_session.xml ./hg19/logo_ref.bw ./hg19/pll.bw ./hg19/trackDb.txt ./hub.txt "
is "every bigDataUrl is there, relative" "$(sed -n 's/^ *bigDataUrl //p' hub/hg19/trackDb.txt | while read -r f; do [ -s "hub/hg19/$f" ] || echo "$f"; done)" ""
like "the logo" '^logo on$' hub/hg19/trackDb.txt; like "stacked" '^aggregate stacked$' hub/hg19/trackDb.txt
like "names of UCSC" '^chrM	MT$' hub/hg19/chromAlias.txt; like "genomes.txt knows them" '^chromAlias hg19/chromAlias.txt$' hub/genomes.txt
hub --score pll,logo -o all; for b in A C G T; do same "its $b is the logo's" all.logo.$b.bw hub/hg19/$b.bw; done
ok "igv.json is JSON" perl -MJSON::PP -e 'local $/; open F, "hub/hg19/igv.json"; my $j = decode_json(<F>); die unless $j->{genome} eq "hg19" && grep { ($_->{graphType} // "") eq "dynseq" && -s "hub/hg19/$_->{url}" } @{$j->{tracks}}'
if [ "$python" ]; then
    cat >session.py <<'PY'
"""session.py FOLDER GENOME NAME...: igv_session.xml has a resource and a track for each name, in order."""
import os, sys, xml.etree.ElementTree as tree
folder, genome, names = sys.argv[1], sys.argv[2], sys.argv[3:]
root = tree.parse(os.path.join(folder, "igv_session.xml")).getroot()
assert root.tag == "Session" and root.get("genome") == genome and root.get("version") == "8"
paths, tracks = [r.get("path") for r in root.iter("Resource")], list(root.iter("Track"))
assert paths == [n + ".bw" for n in names] == [t.get("id") for t in tracks], paths
assert all(os.path.getsize(os.path.join(folder, p)) for p in paths)
for t, name in zip(tracks, names):
    bounds = [float(t.find("DataRange").get(k)) for k in ("minimum", "baseline", "maximum")]
    assert bounds[0] <= bounds[1] <= bounds[2] and bounds[0] < bounds[2], bounds
    assert t.find("DataRange").get("type") == "LINEAR"
    assert (t.get("renderer") == "DYNSEQ") == name.startswith("logo_ref"), name
PY
    ok "igv_session.xml names them" "$python" session.py hub/hg19 hg19 pll logo_ref
    hub --hub every --genome hg19 --email x --mask none --score pll,entropy,ic,logo,logo_ref,pA,pC,pG,pT
    ok "all scores too" "$python" session.py every/hg19 hg19 pll_unmasked entropy_unmasked ic_unmasked logo_ref_unmasked pA_unmasked pC_unmasked pG_unmasked pT_unmasked
else skip "igv_session.xml names them" "no python3 with numpy"; fi
sed 's/^>1$/>chr1/; s/^>MT$/>chrM/' hub.fa >ucsc.fa; "$caduceus" track --quiet -m "$data/ps" -T ucsc.fa --window 64 --hub ucsc --genome hg19 --email me@example.org
is "no alias where names are UCSC's" "$(ls ucsc/hg19/chromAlias.txt 2>/dev/null; grep chromAlias ucsc/genomes.txt)" ""
for a in "--hub h" "--hub h --genome hg19" "--hub h --genome a/b --email x" "--hub h --genome a&b --email x" "--hub h --genome hg19 --email x -o y.bw" "--hub h --genome hg19 --email x --shard 1/2" "--genome hg19"; do
    # shellcheck disable=SC2086
    error "$a" 'track: --' hub $a
done
is "nothing is made then" "$(ls -d h 2>/dev/null)" ""
for a in "--hub h" "--hub hub"; do
    # shellcheck disable=SC2086
    error "$a fails" 'no contig "Z"' hub $a --genome hg20 --email x -r Z
done
is "and leaves no folder of its own" "$(ls -d h hub/hg20 2>/dev/null; find hub -name hub.txt)" "hub/hub.txt"
error "a hub where a file is" 'hub.txt: cannot write' hub --hub hub/hub.txt --genome hg19 --email x

# ---- other names of contigs; what a BED of regions may say ----
printf 'chrZ\tZ\n' >alias; run -r chrZ:1-100 -o want.bedGraph; run --chr-alias alias -r Z:1-100 -o got.bedGraph; same "-r by another name" want.bedGraph got.bedGraph
printf 'Z\t0\t100\n' >alias.bed; run --chr-alias alias -L alias.bed -o got.bedGraph; same "-L by another name" want.bedGraph got.bedGraph
printf 'chrZ\t0\t100\nchrZ\t700\t700\n' >end.bed; run -L end.bed -o got.bedGraph; same "an empty row at the end of a contig" want.bedGraph got.bedGraph
printf 'chrZ\t0\t9\nchr9\t0\t9\n' >gone.bed; error "a row of a contig that is not there" 'gone.bed:2: contig "chr9" is not in ref.fa' run -L gone.bed -o x.bw
printf '# x\nchrZ\t900\t950\n' >past.bed; error "a row past the end" 'past.bed:2: begins past the end of chrZ .700 bases.' run -L past.bed -o x.bw
for o in "--chr-alias alias -O bedGraph -o alias" "-L y.bw.json -o y.bw" "-L y.bedGraph.gz.tbi -o y.bedGraph.gz"; do
    cp some.bed y.bw.json; cp some.bed y.bedGraph.gz.tbi
    # shellcheck disable=SC2086
    error "an output over an input: $o" 'is also an input' run $o
done

# ---- the page's picture, as it stands there ----
name="gnuplot draws a track"
if command -v gnuplot >/dev/null; then
    sed -n '/gnuplot \\-e/p' "$srcdir/doc/caduceus-track.1" | sed 's/\\-/-/g' >draw.sh
    run -r chrZ --score ic -O bedGraph -o ic.bedGraph
    ok "$name" sh draw.sh <ic.bedGraph
    ok "as a PNG" test "$(head -c 4 ic.png | tail -c 3)" = PNG
else skip "$name" "no gnuplot"; fi

finish
