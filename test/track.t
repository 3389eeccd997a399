#!/bin/sh
# track.t - caduceus track: every value, the formats bigWig and bedGraph, and faults (19-26, 43-48 of doc/faults.md).
. "${srcdir:-.}/test/lib.sh"

py=$(python)
model=$data/ps
run() { "$caduceus" track --quiet --window 96 -m "$model" -T ref.fa "$@"; }
tracked() { "$caduceus" track --quiet -m "$@"; }
has_bigwig=
[ "$py" ] && "$py" "$checks/bigwig.py" usable 2>/dev/null && has_bigwig=y

# The contigs are not in alphabetical order. One has N, soft-masked bases and other letters, one is a single base, and
# one is all N.
{ contig chrZ 700 1; echo ">chr10"; echo "$(bases 90 2)NNNN$(bases 100 3)nR$(bases 60 4 | tr ACGT acgt)$(bases 31 5)"
  echo ">chr2"; echo C; echo ">gap"; bases 200 6 | sed 's/./N/g'; contig chr1 48 7; } >ref.fa
printf 'chrZ\t10\t20\nchrZ\t15\t60\nchrZ\t130\t131\nchr10\t80\t200\nchr1\t0\t48\n' >some.bed

# ---- values ----
ok "bedGraph" run -o t.bedGraph
# against NAME GRAPHS DECIMALS MASK SCORES SOFT [MODEL [CONTIGS]]: every value agrees with the float64 model. For the
# arguments see track.py.
against() { check "$1" track.py "$2" "$3" "$4" "$5" "$6" "${7:-$model}" $8; }
if [ "$py" ]; then
    against "every base is that of the float64 model" t.bedGraph 3 stride:8 pll all
    run --decimals 6 --mask none -o d.bedGraph; against "--mask none, six digits" d.bedGraph 6 none pll all
    run --decimals 6 --mask stride:3 --skip-soft-masked -o d.bedGraph
    against "--skip-soft-masked" d.bedGraph 6 stride:3 pll soft
    run --decimals 0 -o d.bedGraph
    is "--decimals 0" "$(rows d.bedGraph | awk '$4 ~ /[.]|^-0$/' | lines)" 0
    run --decimals 5 --score entropy,ic,logo_ref,logo,pA,pC,pG,pT -O bedGraph -o s
    all=entropy,ic,logo_ref,logo.A,logo.C,logo.G,logo.T,pA,pC,pG,pT
    files=$(echo $all | tr , '\n' | sed 's/.*/s.&.bedGraph/' | paste -sd,)
    against "all scores" "$files" 5 stride:8 "$all" all
    for m in ph plant; do
        tracked "$data/$m" --window 96 -T ref.fa -r chr1,chr2 --mask each --decimals 5 -o d.bedGraph
        against "--mask each, $m" d.bedGraph 5 each pll all "$data/$m" chr1,chr2
    done
else
    skip "every base is that of the float64 model" "no python3 with numpy"
fi
is "N, and what is read as N, is absent" "$(rows t.bedGraph | awk '
    $1 == "gap" || ($1 == "chr10" && $3 > 90 && $2 < 94) || ($1 == "chr10" && $3 > 194 && $2 < 196)' | lines)" 0
is "a contig of one base has one value" "$(rows t.bedGraph | awk '$1 == "chr2" { print $2, $3 }')" "0 1"

# ---- the value of a base does not depend on which other bases are written ----
each_base() { rows "$1" | awk '{ for (i = $2; i < $3; i++) print $1 "\t" i "\t" $4 }'; }
each_base t.bedGraph >all
run --decimals 6 --score pll,ppl -O bedGraph -o x
for s in pll ppl; do each_base x.$s.bedGraph >$s; done
awk -v OFS='\t' '{ $3 = exp(-$3); print }' pll >want; ok "ppl is exp(-pll)" close_to ppl want 1e-5
run -L some.bed -o some.bedGraph; each_base some.bedGraph >got
awk 'NR == FNR { n++; c[n] = $1; b[n] = $2; e[n] = $3; next }
    { for (i = 1; i <= n; i++) if ($1 == c[i] && $2 >= b[i] && $2 < e[i]) { print; next } }' some.bed all >want
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
LC_ALL=de_DE.UTF-8 run >std; same "the locale does not change the output" t.bedGraph std

# ---- bedGraph.gz ----
run -o z.bedGraph.gz
gzip -dc z.bedGraph.gz >z; same ".bedGraph.gz holds the same" t.bedGraph z
ok "with an index" test -s z.bedGraph.gz.tbi
if command -v tabix >/dev/null; then
    tabix z.bedGraph.gz chr10:81-200 >got; rows t.bedGraph | awk '$1 == "chr10" && $2 < 200 && $3 > 80' >want
    same "which tabix reads" want got
else skip "which tabix reads" "no tabix"; fi

# ---- bigWig ----
run -O bw >b.bw; same "-O bw to standard output" a.bw b.bw
mkfifo fifo; cat fifo >got.bw & run -O bw -o fifo; is "to a FIFO" $? 0; wait; same "the same bytes" a.bw got.bw
ok ".json is beside" test -s a.bw.json
like ".json names the track" '"track": "pll"' a.bw.json
is "and no .json is written for a FIFO" "$(ls fifo.json 2>/dev/null)" ""
run --score pll,pA -o p; same "several scores: PREFIX.SCORE.bw" a.bw p.pll.bw
ok "each has its .json" test -s p.pA.bw.json
if [ "$has_bigwig" ]; then
    bw() { check "$1" bigwig.py whole "$2" "$3" "${4:-ref.fa}".fai; }
    # both NAME OPTION...: with these options a bigWig and a bedGraph have the same values.
    both() {
        local name=$1; shift
        for f in bw bedGraph; do run "$@" -o both.$f; done
        bw "$name" both.bw both.bedGraph
    }
    "$caduceus" track --quiet -m "$model" -T ref.fa -r chrZ --dry-run >/dev/null 2>&1
    [ -e ref.fa.fai ] || awk '
        /^>/ { if (n != "") print n "\t" l; n = substr($1, 2); l = 0; next }
        { l += length($0) } END { print n "\t" l }' ref.fa >ref.fa.fai
    bw "bigWig: values, header, contigs, zoom levels" a.bw t.bedGraph
    is "where all values are negative" "$(rows t.bedGraph | awk '$4 >= 0' | lines)" 0
    both "of regions" -L some.bed
    awk 'BEGIN { for (i = 0; i < 700; i += 3) print "chrZ\t" i "\t" i + 1 + i % 2 }' >sparse.bed
    both "of scattered bases" -L sparse.bed
    {   awk 'BEGIN { for (i = 0; i < 200; i += 2) print "chrZ\t" i "\t" i + 1 }'
        row 'chrZ 300 363' 'chrZ 364 428' 'chrZ 430 495' 'chrZ 500 501'; } >mixed.bed
    both "of dense and scattered bases" -L mixed.bed
    both "without a value" -r gap
    both "of one base" -r chr2
    for n in 300 1000 66000; do
        awk -v n=$n 'BEGIN { for (i = 0; i < n; i++)
            print ">c" (i * 7919) % n "\n" (n > 60000 && i % 1000 ? "N" : "ACG") }' >many.fa
        awk '/^>/ { c = substr($1, 2); next } { print c "\t" length($1) }' many.fa >sizes.fai
        rm -f many.fa.fai many.bw
        for f in bw bedGraph; do tracked "$model" --window 96 -T many.fa -o many.$f; done
        bw "$n contigs" many.bw many.bedGraph sizes
    done
    # Every N starts a new block: there are more than 256 blocks, so the index has two levels.
    { echo ">long"; bases 20000 9 | fold -w 66 | sed 's/.$/N/' | tr -d '\n'; echo; } >runs.fa
    printf 'long\t20000\n' >runs.fai
    for f in runs.bw runs.bedGraph; do tracked "$data/ph" --mask none --window 1024 -T runs.fa -o $f; done
    bw "more blocks than one node of the index holds" runs.bw runs.bedGraph runs
    check "the values are correct" bigwig.py deep runs.bw
    contig million 1000000 10 >million.fa
    for f in million.bw million.bedGraph; do
        tracked "$data/ph" --mask none --window 1024 --decimals 6 -T million.fa -o $f
    done
    check "a million intervals" bigwig.py million million.bw million.bedGraph
    rm million.*
else
    skip "bigWig: values, header, contigs, zoom levels" "no python3 with pyBigWig"
fi

# ---- errors ----
rm -rf out; mkdir out
olds="o.bw o.bw.json o.bedGraph o.bedGraph.gz o.bedGraph.gz.tbi"
T() { "$caduceus" track --quiet --window 96 -m "$model" -T ref.fa "$@"; }
error "no reference" 'reference with -T' "$caduceus" track -m "$model" -o x
error "an unknown score" 'score' T --score foo
error "no score" 'nothing to do' T --score none
error "several tracks to standard output" 'several tracks need -o' T --score pll,ic
error "an unknown format" 'expected bw' T -O wig
error "an argument that is not an option" 'no such argument' T in.bed
error "-@ abc" 'whole number' T -@ abc
error "--decimals 7" 'whole number' T --decimals 7
error "a contig that is not there" 'no contig "Z".*chrZ' T -r Z:1-9 -o out/x.bw
printf 'Z\t1\t9\n' >miss.bed
error "a contig that is not there, in a BED" 'Z.*chrZ' T -L miss.bed -o out/x.bw
printf 'chrZ\t9\t4\n' >turn.bed
error "a BED row that ends before it begins" 'turn.bed:1' T -L turn.bed -o out/x.bw
is "nothing is left" "$(ls -A out)" ""
error "the reference as output" 'also an input' T -o ref.fa
error "its index as output" 'also an input|named for two' T -o ref.fa.fai
error "the BED as output" 'also an input' T -L some.bed -o some.bed
error "a missing folder, before the model is read" 'gone/o.bw: .*No such file' \
    "$caduceus" track -m "$dir/none" -T ref.fa -o gone/o.bw
cp ref.fa stale.fa; sed '2,3d' ref.fa >short.fa
stale() { tracked "$model" --window 96 -T stale.fa "$@"; }
stale -r chr2 >/dev/null
[ -e stale.fa.fai ] || { command -v samtools >/dev/null && samtools faidx stale.fa; }
if [ -e stale.fa.fai ]; then
    cp short.fa stale.fa; touch stale.fa.fai
    error "an index of other contents" 'stale.fa.fai' stale -o out/x.bw
    is "nothing is left" "$(ls -A out)" ""
else skip "an index of other contents" "no samtools"; fi
error "no folder for temporary files" 'no temporary file' \
    env TMPDIR="$dir/gone" "$caduceus" track --quiet --window 96 -m "$model" -T ref.fa -o out/x.bw
error "a full device" 'No space left' T -O bw -o /dev/full
error "a full device for bedGraph" 'No space left' T -o /dev/full -O bedGraph
why=$(no_preload "$full")
if [ -z "$why" ]; then
    # on_disk NAME REGEX FAULT FILE: a run on a disk with this fault stops with an error and leaves the old files.
    on_disk() {
        old $olds
        error "$1" "$2" failing_disk "$3" T -o "out/$4"
        intact "the old files are unchanged"
    }
    size=$(($(wc -c <a.bw))) gz=$(($(wc -c <z.bedGraph.gz)))
    for n in 0 1 500 $((size / 2)) $((size - 1)); do
        on_disk "disk full after $n bytes of bigWig" 'No space left' AFTER=$n o.bw
    done
    for n in 0 100 $((gz - 1)) $gz; do
        on_disk "disk full after $n bytes of .bedGraph.gz" 'No space left' AFTER=$n o.bedGraph.gz
    done
    for f in o.bw o.bedGraph o.bedGraph.gz; do
        for when in FSYNC CLOSE; do on_disk "$when of $f fails" 'No space left|Input/output error' $when=1 $f; done
    done
else skip "disk full" "$why"; fi
old $olds
(trap '' XFSZ; ulimit -f 2; T --score pll -o out/o.bw) >.out 2>.err; is "a file size limit is an error" $? 1
like "that says so" 'File too large' .err
intact "the old files are unchanged"
old $olds
contig long 400000 9 >long.fa
"$caduceus" track --quiet -m "$model" --window 16384 --mask each -T long.fa -o out/o.bw 2>/dev/null & pid=$!
await 1 out
kill -TERM $pid 2>/dev/null; wait $pid; is "a killed run" $? 143
intact "the old files are unchanged"

# ---- a folder that is read-only (24, 48) ----
if bound; then
    mkdir shut; cp ref.fa shut/; chmod 555 shut
    error "a read-only folder" 'shut/x.bw: .*Permission denied' \
        $as "$caduceus" track --quiet --window 96 -m "$dir/none" -T ref.fa -o shut/x.bw
    $as "$caduceus" track --quiet --window 96 -m "$model" -T shut/ref.fa -O bedGraph >got 2>err
    is "a reference without index in one" $? 0
    rows got >got.rows; rows t.bedGraph >want; same "can be used" want got.rows
    chmod 755 shut
else skip "a read-only folder" "root cannot give up its rights"; fi
# ---- annotate --grid: the score of a row is the mean of the track over the row ----
{ contig g1 900 21; contig g2 77 22; } | awk 'NR == 4 { gsub(/A/, "N") } { print }' >grid.fa
printf 'g1\t0\t900\ng1\t100\t101\ng1\t63\t65\ng1\t250\t777\ng2\t10\t77\ng1\t30\t31\n' >grid.bed
for mask in stride:8 each none; do
    "$caduceus" track --quiet -m "$data/ps" -T grid.fa --window 64 --mask $mask --decimals 6 >grid.bedGraph
    "$caduceus" annotate --quiet -m "$data/ps" -T grid.fa --window 64 --mask $mask --grid grid.bed >grid.out
    rows grid.out >grid.got
    awk -v OFS='\t' 'FNR == NR { if ($0 !~ /^#/) for (i = $2; i < $3; i++) v[$1, i] = $4; next }
        {   n = s = 0
            for (i = $2; i < $3; i++) if (($1, i) in v) { n++; s += v[$1, i] }
            print $0, n ? s / n : ".", n }' grid.bedGraph grid.bed >grid.want
    ok "annotate --grid --mask $mask gives means of the track" close_to grid.got grid.want 2e-6
done
error "--grid fits regions only" 'grid' "$caduceus" annotate -m "$data/ps" --grid grid.fa

# ---- a track hub ----
{ contig 1 300 31; contig MT 90 32; } >hub.fa
hub() { "$caduceus" track --quiet -m "$data/ps" -T hub.fa --window 64 "$@"; }
ok "a track hub" hub --hub hub --genome hg19 --email me@example.org
in_hub() { for f; do echo "./hg19/$f"; done; } # FILE...: prints the paths of these files in the hub
{   echo ./genomes.txt
    in_hub A.bw C.bw G.bw T.bw caduceus.html chromAlias.txt igv.json igv_session.xml logo_ref.bw pll.bw \
        trackDb.txt
    echo ./hub.txt; echo ./index.html; } >hub.files
agree "its files" 'cat hub.files' "cd hub && find . -type f ! -name '*.bw.json' | sort; cd .."
urls() { sed -n 's/^ *bigDataUrl //p' hub/hg19/trackDb.txt; }
is "every bigDataUrl is there, relative" "$(urls | while read -r f; do [ -s "hub/hg19/$f" ] || echo "$f"; done)" ""
like "the logo" '^logo on$' hub/hg19/trackDb.txt; like "the logo is stacked" '^aggregate stacked$' hub/hg19/trackDb.txt
like "names of UCSC" '^chrM	MT$' hub/hg19/chromAlias.txt
like "genomes.txt refers to them" '^chromAlias hg19/chromAlias.txt$' hub/genomes.txt
hub --score pll,logo -o all; for b in A C G T; do same "its $b is the logo's" all.logo.$b.bw hub/hg19/$b.bw; done
ok "igv.json is JSON" perl -MJSON::PP -e 'local $/; open F, "hub/hg19/igv.json"; my $j = decode_json(<F>);
    my $logo = grep { ($_->{graphType} // "") eq "dynseq" && -s "hub/hg19/$_->{url}" } @{$j->{tracks}};
    die unless $j->{genome} eq "hg19" && $logo'
check "igv_session.xml names them" session.py hub/hg19 hg19 pll logo_ref
hub --hub every --genome hg19 --email x --mask none --score pll,entropy,ic,ppl,logo,logo_ref,pA,pC,pG,pT
check "the same for all scores" session.py every/hg19 hg19 pll_unmasked entropy_unmasked ic_unmasked ppl_unmasked \
    logo_ref_unmasked pA_unmasked pC_unmasked pG_unmasked pT_unmasked
sed 's/^>1$/>chr1/; s/^>MT$/>chrM/' hub.fa >ucsc.fa
tracked "$data/ps" -T ucsc.fa --window 64 --hub ucsc --genome hg19 --email me@example.org
is "no chromAlias.txt if the names are those of UCSC" \
    "$(ls ucsc/hg19/chromAlias.txt 2>/dev/null; grep chromAlias ucsc/genomes.txt)" ""
for a in "--hub h" "--hub h --genome hg19" "--hub h --genome a/b --email x" "--hub h --genome a&b --email x" \
    "--hub h --genome hg19 --email x -o y.bw" "--hub h --genome hg19 --email x --shard 1/2" "--genome hg19"; do
    # shellcheck disable=SC2086
    error "$a" 'track: --' hub $a
done
is "and no folder is created" "$(ls -d h 2>/dev/null)" ""
for a in "--hub h" "--hub hub"; do
    # shellcheck disable=SC2086
    error "$a fails" 'no contig "Z"' hub $a --genome hg20 --email x -r Z
done
is "and the folder is removed" "$(ls -d h hub/hg20 2>/dev/null; find hub -name hub.txt)" "hub/hub.txt"
# locus FOLDER: where igv.json and igv_session.xml open.
locus() {
    sed -n 's/^  "locus": "\(.*\)",$/\1/p' "$1/igv.json"
    sed -n 's/.* locus="\([^"]*\)".*/\1/p' "$1/igv_session.xml"
}
is "it opens on the first contig" "$(locus hub/hg19 | joined)" "1:1-300 1:1-300 "
printf 'MT\t9\t500\n1\t200\t220\n1\t20\t44\n' >seen.bed
hub --hub seen --genome hg19 --email x -L seen.bed 2>err
is "or region" "$(locus seen/hg19 | joined)" "1:21-44 1:21-44 "
hub --hub seen --genome hg19 --email x -r MT:5
is "of which the end is the contig's" "$(locus seen/hg19 | uniq)" MT:5-90
is "every track has a description" "$(grep -c '^html caduceus.html$' hub/hg19/trackDb.txt)" 3
like "that says what it is" '^longLabel Caduceus: log-likelihood of the masked reference base' hub/hg19/trackDb.txt
is "in at most 80 letters" "$(sed -n 's/^ *longLabel //p' every/hg19/trackDb.txt | awk 'length > 80')" ""
like "the page describes it too" '<dt>pll</dt><dd>log-likelihood' hub/hg19/caduceus.html
like "a page shows it in igv.js" 'igv.createBrowser' hub/index.html
"$caduceus" track -m "$data/ps" -T hub.fa --window 64 --hub seen --genome hg19 --email x 2>err
like "the last line says how to look" 'open seen/hg19/igv_session.xml in IGV; .* open index.html; .* hub.txt$' err
"$caduceus" track --quiet -m "$model" --mask each --window 16384 -T long.fa --hub h --genome hg19 --email x & pid=$!
i=0; while [ ! -d h/hg19 ] && [ $i -lt 200 ]; do sleep 0.05; i=$((i + 1)); done
kill -TERM $pid; wait $pid; is "a killed hub" $? 143
is "leaves no folder" "$(ls -d h 2>/dev/null)" ""
error "a file with the name of the hub's folder" 'hub.txt: cannot write' hub --hub hub/hub.txt --genome hg19 --email x

# ---- aliases of contigs; BED files of regions ----
printf 'chrZ\tZ\n' >alias; run -r chrZ:1-100 -o want.bedGraph
prints "-r by another name" want.bedGraph run --chr-alias alias -r Z:1-100
row 'Z 0 100' >alias.bed; prints "-L by another name" want.bedGraph run --chr-alias alias -L alias.bed
row 'chrZ 0 100' 'chrZ 700 700' >end.bed
prints "an empty row at the end of a contig" want.bedGraph run -L end.bed
row 'chrZ 0 9' 'chr9 0 9' >gone.bed
error "a row of a contig that is not in the reference" \
    'gone.bed:2: contig "chr9" is not in ref.fa' run -L gone.bed -o x.bw
printf '# x\nchrZ\t900\t950\n' >past.bed
error "a row past the end" 'past.bed:2: begins past the end of chrZ .700 bases.' run -L past.bed -o x.bw
for o in "--chr-alias alias -O bedGraph -o alias" "-L y.bw.json -o y.bw" "-L y.bedGraph.gz.tbi -o y.bedGraph.gz"; do
    cp some.bed y.bw.json; cp some.bed y.bedGraph.gz.tbi
    # shellcheck disable=SC2086
    error "an output over an input: $o" 'is also an input' run $o
done

# ---- the gnuplot command of the man page, run without changes ----
name="gnuplot draws a track"
if command -v gnuplot >/dev/null; then
    sed -n '/gnuplot \\-e/p' "$srcdir/doc/caduceus-track.1" | sed 's/\\-/-/g' >draw.sh
    run -r chrZ --score ic -O bedGraph -o ic.bedGraph
    ok "$name" sh draw.sh <ic.bedGraph
    ok "as PNG" test "$(head -c 4 ic.png | tail -c 3)" = PNG
else skip "$name" "no gnuplot"; fi

finish
