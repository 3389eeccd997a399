#!/bin/sh
# reads.t - SAM, BAM and CRAM as input and output: which data are kept, the values of tags, which reads are scored and
# written, and bad input (faults 1-14, 43-49, 57, 58, 60 of doc/faults.md).
. "${srcdir:-.}/test/lib.sh"

if ! command -v samtools >/dev/null; then skip "reads" "no samtools"; finish; exit; fi
python=$(any_python)
annotate() { "$caduceus" annotate --quiet -m "$data/ps" --window 64 "$@"; }
loud() { "$caduceus" annotate -m "$data/ps" --window 64 "$@"; }
# quick runs annotate without scoring any read; bare runs it with default options; unscored does both.
quick() { annotate --include 'qname == "no such read"' --no-PG "$@"; }
bare() { "$caduceus" annotate -m "$data/ps" "$@"; }
unscored() { bare --quiet --include 'mapq > 99' "$@"; }
# refuses NAME REGEX ARGUMENT...: annotate stops with an error. The last test checks that no error changed kept.bam.
refuses() { name=$1; regex=$2; shift 2; error "$name" "$regex" annotate -o kept.bam "$@"; }
# body FILE: prints the records as text, without the MD and NM that samtools adds to CRAM records.
body() { samtools view -T ref.fa --input-fmt-option decode_md=0 "$1"; }
untag() { sed "s/${tab}[yx][pneb]:[^$tab]*//g"; }
# unmade: removes from SAM text the tags MD and NM, which htslib adds when it reads CRAM.
unmade() { sed "s/${tab}MD:[^$tab]*//; s/${tab}NM:[^$tab]*//"; }
untagged() { body "$1" | untag; }
kept() { untagged "$1" | unmade; }
# COMMAND | records: prints the records that a command writes, in the form of body.
# COMMAND | alignments: prints the SAM lines that a command writes, without the header.
records() { body -; }
alignments() { grep -v '^@'; }
header() { samtools view -H --no-PG "$1"; }
no_m5() { sed "/^@SQ/s/${tab}M5:.*//"; }
# tags FILE TAG...: prints the name of each read and the values of these tags, "." for an absent tag.
tags() {
    file=$1; shift
    body "$file" | awk -F '\t' -v want="$*" '{
        k = split(want, w, " "); line = $1
        for (i = 1; i <= k; i++) {
            v = "."; for (f = 12; f <= NF; f++) if (substr($f, 1, 2) == w[i]) v = substr($f, 6)
            line = line "\t" v }
        print line }'
}
# array FILE TAG: prints the name of each read and the values of an array tag.
array() { tags "$1" "$2" | tr ',' '\t' | cut -f 1,3-; }
# rows_of FASTA OPTION...: prints name, pll and n of each FASTA record.
rows_of() { annotate "$@" | rows - | cut -f 1,4,5; }
fasta() { body "$1" | awk -F '\t' '{ print ">" $1 "\n" $10 }'; }
rc() { rev | tr ACGT TGCA; }

# ---- reads of many shapes ----
echo old >kept.bam
{ contig chr1 2000 1; contig HLA:01:02 900 2; contig chr2 700 3; contig HLA 400 4; } >ref.fa
samtools faidx ref.fa
# make READS SEED: prints a sorted SAM with READS reads on each contig.
make() {
    awk -v reads="$1" -v seed="$2" '
        function rnd(n) { seed = seed * 16807 % 2147483647; return int(seed / 65536) % n }
        function word(n, s) { for (s = ""; n > 0; n--) s = s substr("ACGT", rnd(4) + 1, 1); return s }
        function quality(n, s) { for (s = ""; n > 0; n--) s = s sprintf("%c", 35 + rnd(40)); return s }
        /^>/ { name = substr($1, 2); order[++contigs] = name; next }
        { bases[name] = bases[name] $0 }
        END {
            cigars = "60M 5S40M5S 20M3I20M4D20M 10M50N30M40N10M 3H7S30M2H 25M2P25M 31M 4I5M5D5M5N6S 90M 30M10S"
            shapes = split(cigars, cigar, " ")
            split("0 16 99 147 256 1024 2064", flag, " ")
            print "@HD\tVN:1.6\tSO:coordinate"
            for (c = 1; c <= contigs; c++) print "@SQ\tSN:" order[c] "\tLN:" length(bases[order[c]])
            print "@RG\tID:g1\tSM:x\n@PG\tID:bwa\tPN:bwa\tVN:1\tCL:bwa mem \"a b\"\n@CO\ta comment"
            for (c = 1; c <= contigs; c++) for (i = 0; i < reads; i++) {
                n = length(bases[order[c]]); at = p = int(i * (n - 150) / reads); seq = ""; left = cigar[i % shapes + 1]
                while (match(left, /^[0-9]+[MIDNSHP=X]/)) {
                    k = substr(left, 1, RLENGTH - 1) + 0
                    op = substr(left, RLENGTH, 1); left = substr(left, RLENGTH + 1)
                    if (index("M=X", op)) seq = seq substr(bases[order[c]], at + 1, k)
                    if (index("IS", op)) seq = seq word(k)
                    if (index("M=XDN", op)) at += k
                }
                print "r" ++id, flag[rnd(7) + 1], order[c], p + 1, rnd(61), cigar[i % shapes + 1], "*", 0, 0, seq,
                    quality(length(seq)), "XA:i:" id, "RG:Z:g1"
                if (i == 3) print "p" id, 69, order[c], p + 1, 0, "*", "=", p + 1, 0, word(40), quality(40)
            }
            for (i = 1; i <= 3; i++) print "u" i, 4, "*", 0, 0, "*", "*", 0, 0, word(35), quality(35)
        }' OFS='\t' ref.fa
}
make 10 7 >in.sam
samtools view --no-PG -b in.sam -o in.bam; samtools index in.bam
samtools view --no-PG -C -T ref.fa in.sam -o in.cram; samtools index in.cram
samtools view --no-PG -h -O sam.gz in.sam -o in.sam.gz; samtools index -c in.sam.gz
body in.sam >in.body; header in.sam >in.head
is "the reads have the expected shapes" "$(wc -l <in.body) $(cut -f 6 in.body | sort -u | wc -l)" "47 11"
annotate in.sam -o want.sam; body want.sam >want.body

# ---- every format in and out, file and pipe ----
for i in sam bam cram sam.gz; do for o in sam bam cram; do
    ok "$i to $o" annotate -T ref.fa in.$i -o out.$o
    is "$i to $o: no message is printed" "$(cat .err)" ""
    ok "$i to $o: samtools quickcheck" samtools quickcheck out.$o
    prints "$i to $o: records are kept, in order" in.body kept out.$o
    [ $o$i = cramcram ] ||
        agree "$i to $o: the tags are those of sam to sam" "tags want.sam yp yn" "tags out.$o yp yn"
    header out.$o | no_m5 >head
    agree "$i to $o: the header is kept" "header in.$i | no_m5" "grep -v ID:caduceus head"
    is "$i to $o: and gains one @PG" "$(grep -c '^@PG.*ID:caduceus' head)" 1
    quick -T ref.fa in.$i -o out.$o
    prints "$i to $o: standard input and output give the same bytes" out.$o reading in.$i quick -T ref.fa -O $o -
    cat in.$i | quick -T ref.fa - -o by.suffix.$o; same "$i to $o: a pipe gives the same bytes" out.$o by.suffix.$o
done; done
for f in sam bam cram; do
    quick -T ref.fa in.$f -o out.$f
    prints "the output format is that of the input by default ($f)" out.$f quick -T ref.fa in.$f
    quick -T ref.fa in.sam -O $f -o odd.name; same "-O $f takes precedence over the suffix" out.$f odd.name
    quick -T ref.fa in.sam -O $f -o odd.bam; same "also if the suffix differs" out.$f odd.bam
done
quick in.bam -o out.sam.gz
agree ".sam.gz is SAM in BGZF" 'quick in.bam -O sam' 'samtools view -h --no-PG out.sam.gz'
prints "-O sam.gz too" out.sam.gz quick in.bam -O sam.gz
gzip -c in.sam >gzipped; agree "gzip in" 'quick in.sam' 'quick gzipped'
agree "uncompressed BAM in" 'quick in.bam' 'samtools view --no-PG -u in.bam | quick -'
quick in.bam -o plain.bam; quick in.bam -O bam,level=0 -o level0.bam
quick in.bam --output-fmt-option level=9 -o level9.bam
ok "-O bam,level" test "$(wc -c <level0.bam)" -gt "$(wc -c <plain.bam)"
is "--output-fmt-option level" "$(cmp -s level9.bam plain.bam || echo other)" other
agree "the records are the same" 'body plain.bam' 'body level0.bam'
ok "CRAM options" annotate --no-PG -T ref.fa in.bam -o v31.cram \
    --output-fmt-option version=3.1 --output-fmt-option seqs_per_slice=7
is "CRAM 3.1" "$(head -c 6 v31.cram | od -An -tx1 | tr -d ' ')" 4352414d0301
prints "CRAM 3.1: the records are the same" in.body untagged v31.cram
free() { samtools view --input-fmt-option decode_md=0 free.cram | untag; } # reads CRAM without a reference
for f in no_ref=1 embed_ref=2; do
    ok "CRAM with $f and no reference" annotate --no-PG in.sam -O cram,$f -o free.cram
    prints "the records are the same" in.body free
done
ok "CRAM with embed_ref=1" annotate --no-PG in.sam -T ref.fa -O cram,embed_ref=1 -o free.cram
prints "is read without a reference" in.body free
ok "caduceus reads it too" annotate free.cram -O bam -o got.bam
prints "all records" in.body kept got.bam
samtools view --no-PG -C -T ref.fa -O cram,version=2.1 in.sam -o v21.cram
ok "CRAM 2.1" annotate -T ref.fa v21.cram -O bam -o got.bam
prints "all records" in.body kept got.bam
awk 'BEGIN { for (i = 0; i < 35000; i++) printf "1M1I"; print "" }' >long.cigar
{ grep '^@' in.sam | sed "s/LN:2000/LN:200000/"
  printf 'long\t0\tchr1\t1\t60\t%s\t*\t0\t0\t%s\t*\n' "$(cat long.cigar)" "$(bases 70000 5)"; } >long.sam
quick long.sam -o long.bam
agree "70,000 CIGAR operations pass through BAM" 'alignments <long.sam' 'samtools view long.bam'

# ---- @PG ----
annotate in.bam -o pg.bam --include 'qname != "a  b" && "\t"' --window 64
header pg.bam | grep ID:caduceus | tr '\t' '\n' >pg
is "CL is the command line" "$(grep ^CL: pg)" "CL:caduceus annotate --quiet -m $data/ps --window 64 in.bam -o pg.bam \
--include qname != \"a  b\" && \"\\t\" --window 64"
sum=$(sha256sum <"$data/ps/model.safetensors" | cut -d ' ' -f 1)
options="options: score=pll,n mask=stride:8 window=64 flank=16; precision: fp32; device: cpu"
like "DS names the weights" "^DS:model_sha256: $sum; $options" pg
is "and the other provenance" "$(grep '^@PG\|^ID\|^PN\|^PP\|^VN' pg | joined)" \
    "@PG ID:caduceus PN:caduceus PP:bwa VN:$("$caduceus" version | sed -n '1s/caduceus //p') "
annotate in.sam --include "qname != \"${tab}
\"" | grep 'ID:caduceus' >pg
is "a tab and a line end in an argument become blanks" "$(grep -c 'CL:.*qname != "  "' pg)" 1
annotate pg.bam -O sam -T ref.fa | grep '^@PG' | tail -n 1 | tr '\t' '\n' >pg
is "a second run is chained" "$(grep '^ID\|^PP' pg | joined)" "ID:caduceus.1 PP:caduceus "
{ printf '@PG\tID:a\n@PG\tID:b\tPP:a\n@PG\tID:c\tPP:a\n'; } >two.sam
annotate two.sam >got.sam; samtools view -h two.sam -o wanted.sam
chains() { grep "PN:$1" "$2" | grep -o "PP:[^$tab]*" | sort; } # PROGRAM FILE: prints the PP fields of its @PG lines
agree "chained as samtools does, one for each chain" 'chains samtools wanted.sam' 'chains caduceus got.sam'
for f in sam bam; do
    annotate --no-PG in.$f -o nopg.$f
    prints "--no-PG, $f: the header as it was" in.head header nopg.$f
done
for s in bases n pll,bases n,pll; do annotate in.sam --score $s | grep -o 'options: [^ ]*'; done >got
is "provenance lists the scores" "$(joined <got)" \
    "options: score=bases options: score=n options: score=pll,bases options: score=pll,n "
annotate in.sam --score none --embed - | grep -o 'options: [^ ]*.*pool=mean' >got
is "and that there are no scores" "$(cat got)" "options: score=none mask=stride:8 window=64 flank=16 pool=mean"

# ---- values: without --context ref, a read is computed as if it were a contig ----
# alike NAME COMMAND COMMAND TOLERANCE: two command lines, each in quotes, print the same values within TOLERANCE.
alike() {
    eval "$2" >wanted
    eval "$3" >got
    ok "$1" close_to got wanted "$4"
    [ -s wanted ] || fail "$1: nothing is printed by: $2"
}
fasta in.sam >in.fa
alike "yp and yn are pll and n of the bases as FASTA" 'rows_of in.fa' 'tags want.sam yp yn' 1e-5
annotate --embed - --score pll,n,bases in.bam -o all.bam
alike "ye is --embed of it" "annotate --embed - in.fa | rows - | cut -f 1,4-6 | tr ',' '\t'" \
    "tags all.bam yp yn ye | tr ',' '\t' | cut -f 1-3,5-" 1e-5
is "ye is an array of floats as wide as the model" \
    "$(body all.bam | grep -c "ye:B:f\(,[^,$tab]*\)\{16\}$tab")" "$(lines <in.body)"
# layout FILE: prints the names of reads that break one of these rules: yb has an entry for each base, yn of the entries
# have a score, and the mean of these is yp.
layout() {
    body "$1" | awk -F '\t' '{
            yp = yn = yb = ""
            for (f = 12; f <= NF; f++) {
                if ($f ~ /^yp:f:/) yp = substr($f, 6)
                if ($f ~ /^yn:i:/) yn = substr($f, 6)
                if ($f ~ /^yb:B:f,/) yb = substr($f, 8) }
            if (yn == 0 && yb == "" && yp == "") next
            k = split(yb, v, ","); n = s = 0
            for (i = 1; i <= k; i++)
                if (v[i] <= 0) { n++; s += v[i] } else if (v[i] != 1) bad = bad " " $1 ":" v[i]
            d = n ? s / n - yp : 0; if (d < 0) d = -d
            if (k != length($10) || n != yn || d > 2e-5) bad = bad " " $1 }
        END { print bad }'
}
is "yb has an entry a base, and yp is its mean" "$(layout all.bam)" ""
annotate --score pll,n,bases --clip-soft in.sam -o clip.sam
is "--clip-soft: the same" "$(layout clip.sam)" ""
# The same reads with their soft clips removed.
awk -F '\t' -v OFS='\t' '
    /^@/ { print; next }
    {   a = b = 0; c = $6; sub(/^[0-9]+H/, "", c); sub(/[0-9]+H$/, "", c)
        if (match(c, /^[0-9]+S/)) a = substr(c, 1, RLENGTH - 1) + 0
        if (match(c, /[0-9]+S$/)) b = substr(c, RSTART, RLENGTH - 1) + 0
        $10 = substr($10, a + 1, length($10) - a - b); $11 = "*"; $6 = "*"; $2 = 4; print }' in.sam >cut.sam
annotate --score pll,n,bases cut.sam -o cut.out.sam
agree "--clip-soft scores the other bases alone" 'tags cut.out.sam yp yn' 'tags clip.sam yp yn'
unclipped() { tags clip.sam yb | sed "s/,1,\(1,\)*/,/; s/,1\$//; :again; s/,1\$//; t again; s/f\(,1\)*,/f,/"; }
agree "and gives 1 for those left out" 'tags cut.out.sam yb' unclipped
clipped=$(body clip.sam | awk -F '\t' '$6 == "3H7S30M2H"' | grep -o 'yb:B:f.*' | cut -c 1-21 | sort -u)
is "which are as many as are clipped" "$clipped" "yb:B:f,1,1,1,1,1,1,1,"
annotate --score pll,n,bases --min-BQ 20 in.sam -o bq.sam
is "--min-BQ: yb is as long, yp its mean" "$(layout bq.sam)" ""
body in.sam | awk -F '\t' 'BEGIN { for (i = 33; i < 127; i++) ord[sprintf("%c", i)] = i - 33 }
    {   s = ""
        for (i = 1; i <= length($10); i++) s = s (ord[substr($11, i, 1)] < 20 ? "N" : substr($10, i, 1))
        print ">" $1 "\n" s }' >bq.fa
alike "--min-BQ reads lower bases as N" 'rows_of bq.fa' 'tags bq.sam yp yn' 1e-5
ok "some bases are excluded" test "$(grep -c 'N' bq.fa)" -gt 20
sed "/^@/!s/^\(\([^$tab]*$tab\)\{10\}\)[^$tab]*/\1*/" in.sam >noqual.sam
agree "--min-BQ does nothing where there is no QUAL" 'tags want.sam yp yn' \
    'annotate --no-PG --min-BQ 20 noqual.sam | tags - yp yn'
prints "the records still have QUAL" in.body untagged bq.sam
agree "--min-BQ 0 is the default" 'cat want.body' 'annotate --no-PG --min-BQ 0 in.sam | records'

# ---- reads longer than the window, strands, masks ----
for i in 1 2 3 4 5; do bases $((i * 97)) $((i + 40)); done >seqs
awk '{ print "s" NR "\t4\t*\t0\t0\t*\t*\t0\t0\t" $1 "\t*" }' seqs >long.sam
rc <seqs | awk '{ print "s" NR "\t4\t*\t0\t0\t*\t*\t0\t0\t" $1 "\t*" }' >back.sam
awk '{ print ">s" NR "\n" $1 }' seqs >long.fa
backwards() { awk -F '\t' '{ s = $1; for (i = NF; i > 1; i--) s = s "\t" $i; print s }'; }
for m in each none stride:3 stride:8; do
    set -- --mask $m --tag-map yp=xp,yb=xb
    for f in long back; do annotate "$@" --score pll,n,bases --embed - $f.sam -o $f.out.sam; done
    alike "--mask $m: tiled as FASTA is" 'rows_of --mask $m long.fa' 'tags long.out.sam xp yn' 1e-5
    alike "--mask $m: the reverse complement has the same yp and yn" \
        'tags back.out.sam xp yn' 'tags long.out.sam xp yn' 2e-5
    alike "--mask $m: and the same ye" 'array back.out.sam ye' 'array long.out.sam ye' 2e-5
    alike "--mask $m: and yb backwards" 'array back.out.sam xb | backwards' 'array long.out.sam xb' 5e-5
done
annotate --mask none --tag-map yp=xp in.sam -o got.sam
is "a tag that is renamed is that tag" \
    "$(body got.sam | grep -c "${tab}xp:f:") $(body got.sam | grep -c "${tab}yp:")" "$(lines <in.body) 0"
annotate --score pll,n,bases --embed - --tag-map yp=xp,yn=xn,ye=xe,yb=xb in.sam -o got.sam
agree "--tag-map of all four" 'body all.bam' 'body got.sam | sed "s/${tab}x\([pneb]:\)/${tab}y\1/g"'

# ---- --context ref: the reference bases to which a read is aligned ----
sed "s/${tab}31M$tab/${tab}10=1X20=$tab/" in.sam >eqx.sam
annotate -T ref.fa --context ref eqx.sam -o under.sam
body eqx.sam | awk -F '\t' -v OFS='\t' '
    function block() {
        if (at > beg) { n++; sizes = sizes (at - beg) ","; starts = starts (beg - $4 + 1) ","; end = at } }
    $6 != "*" {
        at = beg = end = $4 - 1; left = $6; n = 0; sizes = starts = ""
        while (match(left, /^[0-9]+[MIDNSHP=X]/)) {
            k = substr(left, 1, RLENGTH - 1) + 0; op = substr(left, RLENGTH, 1); left = substr(left, RLENGTH + 1)
            if (op == "N") { block(); at += k; beg = at }
            else if (index("M=XD", op)) at += k
        }
        block()
        print $3, $4 - 1, end, $1, 0, "+", $4 - 1, end, 0, n, sizes, starts }' >under.bed
alike "--context ref is BED regions of the aligned spans, without N" \
    "annotate -T ref.fa --split under.bed | rows - | awk -F '\t' -v OFS='\t' '{ print \$4, \$(NF - 1), \$NF }'" \
    'tags under.sam yp yn | grep -v "$tab[.]$tab[.]"' 1e-5
is "all aligned reads are compared" "$(lines <got)" 40
agree "--context ref: the records are kept" 'body eqx.sam' 'untagged under.sam'
annotate -T ref.fa --context ref --score pll,n,bases in.bam -o under.bam
is "unaligned reads have no tags" "$(tags under.bam yp yn yb | grep -c "$tab[.]$tab[.]$tab[.]")" 7
# With the whole contig in every window, a base gets the same score in a BED row of its own and in a read.
{ header eqx.sam; body eqx.sam | grep "${tab}HLA$tab"; } >hla.sam
awk 'BEGIN { for (i = 0; i < 400; i++) print "HLA\t" i "\t" i + 1 }' >each.bed
set -- --window 1024 --flank 450 --mask each -T ref.fa
annotate "$@" each.bed | rows - | cut -f 2,4 >each
annotate "$@" --context ref --score pll,n,bases hla.sam -o hla.out.sam
scored_alone() {
    body hla.out.sam | awk -F '\t' -v OFS='\t' '
        NR == FNR { v[$1] = $2; next }
        $6 != "*" {
            at = $4 - 1; left = $6; s = $1
            while (match(left, /^[0-9]+[MIDNSHP=X]/)) {
                k = substr(left, 1, RLENGTH - 1) + 0; op = substr(left, RLENGTH, 1); left = substr(left, RLENGTH + 1)
                for (i = 0; i < k && index("M=XISDN", op); i++) {
                    if (index("M=X", op)) s = s "\t" v[at]
                    if (index("IS", op)) s = s "\t1"
                    if (index("M=XDN", op)) at++ } }
            print s }' each -
}
alike "yb follows the CIGAR: 1 at insertions and clips, nothing at deletions" \
    scored_alone 'tags hla.out.sam yb | grep -v "$tab[.]" | tr , "\t" | cut -f 1,3-' 2e-5
is "reads of every shape are compared" "$(lines <got)" 10
sed "s/${tab}HLA:01:02$tab/${tab}chr9$tab/; s/SN:HLA:01:02/SN:chr9/" in.sam >other.sam
ok "a contig that the reference lacks" loud -T ref.fa --context ref other.sam -o got.sam
like "is a warning" 'warning: .*contig "chr9" is not in ref.fa' .err
like "is counted" '^caduceus annotate: in all: .*10 .* on contigs that the FASTA lacks' .err
is "its reads are written without tags" "$(body got.sam | grep "${tab}chr9$tab" | grep -c "${tab}y")" 0
sed "s/${tab}\(HLA[:0-9]*\|chr[12]\)$tab/${tab}chr9$tab/; s/SN:chr1/SN:chr9/" in.sam >none.sam
refuses "no contig that the reference has" 'nothing could be scored: contig "chr9" is not in ref.fa' \
    -T ref.fa --context ref none.sam
sed "s/LN:400/LN:4000/; s/^\(r40$tab[^$tab]*${tab}HLA$tab\)[0-9]*/\1390/" in.sam >past.sam
refuses "a read past the end of the reference" 'read r40 reaches base [0-9]* of HLA, which has 400' \
    -T ref.fa --context ref past.sam

# ---- SEQ *, IUPAC codes, tags that the input already has ----
one() { grep '^@' in.sam; row "$@"; } # RECORD...: a SAM of these records; blanks stand for tabs
b=$(bases 50 9)
one "s 0 chr1 11 60 50M * 0 0 * * yp:f:3" "z 4 * 0 0 * * 0 0 * *" "e 0 chr1 11 60 50M * 0 0 $b *" >star.sam
for c in seq ref; do
    ok "SEQ *, --context $c" loud -T ref.fa --context $c --score pll,n,bases --embed - star.sam -o star.out.sam
    like "is a warning" 'warning: read s has no sequence and passes untagged' .err
    like "is counted" '^caduceus annotate: in all: 2 read.s. without a sequence' .err
    is "the read is written without tags" "$(body star.out.sam | head -n 2 | tr '\t\n' ' ;')" \
        "s 0 chr1 11 60 50M * 0 0 * *;z 4 * 0 0 * * 0 0 * *;"
    is "the next read has tags" "$(body star.out.sam | sed 1,2d | grep -o "${tab}y[pneb]" | tr -d '\t\n')" "ypynyeyb"
done
for f in bam cram; do
    annotate -T ref.fa star.sam -o star.$f
    is "SEQ * in $f" "$(body star.$f | cut -f 1-6,10 | head -n 2 | tr '\t\n' ' ;')" \
        "s 0 chr1 11 60 50M *;z 4 * 0 0 * *;"
done
one "i 4 * 0 0 * * 0 0 ACGTRYKMSWBDHVN=ACGTACGTTGCA *" "n 4 * 0 0 * * 0 0 NNNNNNNN *" >iupac.sam
printf '>i\nACGTNNNNNNNNNNNNACGTACGTTGCA\n>n\nNNNNNNNN\n' >iupac.fa
ok "IUPAC codes" loud --score pll,n,bases iupac.sam -o iupac.out.sam
like "are counted" '^caduceus annotate: in all: 11 letters other than ACGTN read as N, 1 ' .err
alike "and read as N" 'rows_of iupac.fa' 'tags iupac.out.sam yp yn' 1e-5
is "yb is 1 there" "$(layout iupac.out.sam) $(tags iupac.out.sam yb | head -n 1 | cut -d , -f 6-17)" \
    " 1,1,1,1,1,1,1,1,1,1,1,1"
is "nothing but N: yn is 0" "$(tags iupac.out.sam yp yn yb | tail -n 1)" "n$tab.${tab}0$tab."
one "o 4 * 0 0 * * 0 0 $b * AA:i:1 yp:f:9 yn:i:9 ZZ:Z:a" >old.sam
annotate old.sam -o got.sam; annotate got.sam -o got2.sam
ours() { body "$1" | cut -f 12- | sed 's/f:-[0-9.]*/f:-/' | tr '\t' ' '; } # removes the value of yp
is "existing tags are replaced" "$(ours got.sam)" "AA:i:1 ZZ:Z:a yp:f:- yn:i:50"
agree "also in a second and third run" 'body got2.sam' 'body got.sam'
one "o 4 * 0 0 * * 0 0 $b * yp:f:9 yn:i:9 yp:f:8 yn:i:7 AA:i:1 yp:f:7" >old.sam
annotate old.sam -o got.sam
is "duplicate tags become one" "$(ours got.sam)" "AA:i:1 yp:f:- yn:i:50"
for t in yp:i:1 yp:Z:a yp:A:a yp:B:f,1 yn:f:1 yn:Z:1; do
    one "o 4 * 0 0 * * 0 0 $b * $t" >old.sam
    refuses "a tag $t" "read o has a tag ${t%%:*} of another type; name another with --tag-map" old.sam
    ok "another tag name can be used" annotate --tag-map yp=xp,yn=xn old.sam
    is "and the run succeeds" "$(body .out | cut -f 12 )" "$t"
done
for t in ye:f:1 yb:B:c,1 yb:B:i,1 yb:Z:f; do
    one "o 4 * 0 0 * * 0 0 $b * $t" >old.sam
    refuses "a tag $t" "has a tag ${t%%:*} of another type" --score pll,bases --embed - old.sam
    ok "a tag $t that is not asked for" annotate old.sam
    is "is unchanged" "$(body .out | cut -f 12)" "$t"
done

# ---- which reads are scored ----
# scored NAME SAMTOOLS-OPTION... -- OPTION...: annotate tags the reads that samtools view selects.
scored() {
    name=$1; shift; select=
    while [ "$1" != -- ]; do select="$select '$1'"; shift; done; shift
    annotate "$@" in.bam -o got.bam
    body got.bam >got; untag <got | cmp -s - in.body || fail "$name: records are kept"
    grep "${tab}yn:i:" got >some; cut -f 1,4 some >tagged
    eval "samtools view $select in.bam" | cut -f 1,4 >wanted; same "$name: which are scored" wanted tagged
    if [ ! -s wanted ] || [ "$(wc -l <wanted)" -eq 47 ]; then fail "$name: the test chooses all or nothing"; fi
    awk -F '\t' 'NR == FNR { s[$1]; next } $1 in s' wanted want.body >wanted.some
    same "$name: and are otherwise unchanged" wanted.some some
}
scored "-f" -f 16 -- -f 16
scored "-f of names" -f PAIRED,REVERSE -- -f PAIRED,REVERSE
scored "-f of hexadecimals" -f 0x10 -- -f 0x10
scored "-f twice" -f 17 -- -f 1 -f 16
scored "-F" -F 1284 -- -F 1284
scored "--require-flags and --exclude-flags" -f 1 -F 4 -- --require-flags 1 --exclude-flags UNMAP
scored "-q" -q 30 -- -q 30
scored "--min-MQ" -q 1 -- --min-MQ 1
scored "--include" -e 'mapq > 20 && [XA] % 2 == 0' -- --include 'mapq > 20 && [XA] % 2 == 0'
names='rname =~ "^HLA" && cigar =~ "S"'
scored "--include of a regular expression" -e "$names" -- --include "$names"
scored "all of them" -f 16 -F 1024 -q 10 -e 'pos > 200' -- -f 16 -F 1024 -q 10 --include 'pos > 200'

# ---- which reads are written ----
# region NAME REGION...: -r and -t select the reads that samtools view -M selects from BAM. (From CRAM samtools misses
# some.)
printf '#x\nchr1\t0\t500\nchr1\t300\t900\nHLA:01:02\t99\t300\nchr9\t0\t5\n' >some.bed
region() {
    name=$1 multi=; shift
    [ $# -gt 1 ] && multi=-M # with -M, samtools does not accept names with colons
    samtools view $multi in.bam "$@" >wanted
    [ -s wanted ] || fail "$name: samtools finds nothing"
    for f in in.bam in.cram in.sam.gz; do
        for how in r t; do
            args=; for r; do args="$args -$how '$r'"; done
            rm -f got.bam; eval "quick -T ref.fa $f -O bam -o got.bam $args"
            body got.bam | unmade >got; same "-$how $name, $f" wanted got
        done
    done
}
region "a contig" chr2
region "a region" chr1:200-400
region "one base" chr1:200-200
region "from" chr1:1500
region "two that overlap" chr1:1-500 chr1:300-900
region "two that touch, out of order" chr1:501-900 chr1:1-500
region "the same twice" chr2:1-300 chr2:1-300
region "several contigs, out of order" HLA chr2:1-300 chr1:1000-1010
region "a name with colons" HLA:01:02
region "part of a name with colons" HLA:01:02:100-300
region "unplaced reads" '*'
region "a contig and unplaced reads" '*' chr2
region "parts of a container" chr2:77-77 HLA:196-201 chr2:398-403
region "parts of several" chr1:1119-1619 chr2:37-37 chr2:420-425 HLA:250-260 '*'
# Reads that overlap two distant regions are written once.
{ printf '@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:far\tLN:1000000\n'
  awk -v OFS='\t' -v b="$(bases 20 3)" 'BEGIN {
      for (i = 0; i < 900; i++) print "f" i, 0, "far", i * 1000 + 1, 60,
          i % 3 ? "20M" : "10M" (1000 * (i % 200) + 1) "N10M", "*", 0, 0, b, "*" }'; } >far.sam
samtools view --no-PG -b far.sam -o far.bam; samtools index far.bam
samtools view --no-PG -C -O cram,no_ref=1,seqs_per_slice=50 far.sam -o far.cram; samtools index far.cram
for r in 'far:1-10 far:500000' 'far:900000-900000 far:1000-2000 far:300000-300005' \
    'far:5000-5000 far:75000-75000 far:145000-145000 far:215000-215000'; do
    # shellcheck disable=SC2086
    samtools view -M far.bam $r >wanted
    [ "$(wc -l <wanted)" -gt 20 ] || fail "-r $r: the test chooses too few"
    for f in far.bam far.cram; do
        # shellcheck disable=SC2086
        quick $f $(printf ' -r %s' $r) -O bam -o got.bam
        samtools view got.bam | unmade >got; same "-r $r, $f" wanted got
    done
done
agree "-r with commas of both kinds" 'samtools view -M in.bam HLA chr2:1-300 chr1:1000-1010' \
    'quick in.bam -r chr2:1-300,HLA,chr1:1,000-1,010 -O sam | records'
samtools view -M -L some.bed in.bam >some.want 2>/dev/null
for how in R t L; do
    agree "-$how FILE is samtools view -L" 'cat some.want' 'quick in.bam -$how some.bed -O sam | records'
done
agree "-L of standard input" 'cat some.want' 'quick -L some.bed - <in.bam | records'
agree "-L from standard input" 'cat some.want' 'quick -L - in.bam <some.bed | records'
agree "-R REGION" 'samtools view in.bam chr2:1-300' 'quick -R chr2:1-300 in.bam | records'
both='quick -r chr1 -t chr1:100-200 in.bam | records'
agree "-r and -t: both must hold" 'samtools view in.bam chr1:100-200' "$both"
agree "-r leaves scores alone" 'grep "${tab}HLA$tab" want.body' 'annotate -r HLA in.bam | records'
awk -F '\t' 'BEGIN { print "r" } $3 == "chr2" { print $1 }' in.body >names
refuses "-r without an index" 'in.sam: -r and -R need an index; .*-t, -L' in.sam -r chr1
cp in.bam lone.bam; refuses "-r without an index, BAM" 'lone.bam: -r and -R need an index' lone.bam -r chr1
error "-r of standard input" 'standard input has no index' reading in.bam bare -r chr1 -
refuses "-r of a contig that is not there" 'no contig "chr9"' in.bam -r chr9
refuses "-t of a contig that is not there" 'no contig "chr9"' in.bam -t chr9
refuses "-r of an invalid region" 'expected CONTIG' in.bam -r chr1:9-3
printf 'chr9\t0\t5\n' >chr9.bed
for how in R L; do
    refuses "-$how with no contig of the file" 'chr9.bed:1: contig "chr9" is not in in.bam, nor any other' \
        in.bam -$how chr9.bed -o got.bam
done

# ---- --write-index ----
make 300 5 >many.sam; samtools view --no-PG -b many.sam -o many.bam; samtools index many.bam
samtools view --no-PG -C -T ref.fa -O cram,seqs_per_slice=100 many.sam -o many.cram; samtools index many.cram
for w in bam:csi:--write-index bam:csi:--write-index=csi bam:bai:--write-index=bai sam.gz:csi:--write-index \
    sam.gz:bai:--write-index=bai cram:crai:--write-index; do
    f=${w%%:*} option=${w##*:} x=${w#*:}; x=${x%:*}
    rm -f ix.*; ok "$option of $f" quick -T ref.fa many.bam -o ix.$f $option
    is "makes .$x" "$(ls ix.* | joined)" "$(printf '%s\n' ix.$f ix.$f.$x | joined)"
    for r in chr1:700-720 HLA:01:02:1-100 HLA '*'; do
        agree "$f, .$x: samtools finds $r" 'samtools view many.bam "$r" | cut -f 1-11' \
            'samtools view -T ref.fa ix.$f "$r" | cut -f 1-11'
    done
    [ $f = sam.gz ] || agree "$f, .$x: samtools idxstats" 'samtools idxstats many.bam' 'samtools idxstats ix.$f'
    agree "$f, .$x: caduceus finds the same reads" 'samtools view many.bam chr1:700-720 | cut -f 1-11' \
        'quick -T ref.fa ix.$f -r chr1:700-720 -O sam | records | cut -f 1-11'
done
ok "--write-index of a region" quick many.bam -r chr2 -r chr1:1-100 -o part.bam --write-index
placed() { samtools view -c -F 4 many.bam $1; }
is "samtools idxstats" "$(samtools idxstats part.bam | cut -f 3 | joined)" \
    "$(placed chr1:1-100) 0 $(placed chr2) 0 0 "
mkdir folder
{ grep '^@' in.sam; grep "${tab}chr2$tab" in.sam; grep "${tab}chr1$tab" in.sam; } >contigs.sam
{ grep '^@' in.sam; grep "${tab}chr1$tab" in.sam | tac; } >unsorted.sam
{ grep '^@' in.sam; grep "^u1" in.sam; grep "${tab}chr1$tab" in.sam; } >late.sam
for s in unsorted contigs late; do for f in bam cram sam.gz; do
    error "$s reads with --write-index, $f" 'not sorted by coordinate' \
        annotate -T ref.fa $s.sam -o folder/$s.$f --write-index
    ok "and without it" annotate -T ref.fa $s.sam -o $s.$f
done; done
is "no file is left" "$(ls -A folder)" ""
error "--write-index on standard output" 'no index beside standard output' annotate in.bam --write-index
refuses "--write-index=tbi" 'no index of that kind' in.bam --write-index=tbi
refuses "--write-index=gzi" 'expected csi, bai or tbi' in.bam --write-index=gzi
error "--write-index of SAM" 'no index of that kind' annotate in.bam -o folder/x.sam --write-index
error "--write-index=bai of CRAM" 'no index of that kind' annotate -T ref.fa in.bam -o folder/x.cram --write-index=bai
to_fifo() { bare in.bam -o pipe.bam --write-index 8<>pipe.bam; }
mkfifo pipe.bam; error "--write-index of a FIFO" 'not a regular file|pipe.bam' to_fifo

# ---- any number of threads gives the same bytes (58) ----
every() { annotate --no-PG -T ref.fa --score pll,n,bases --embed - "$@"; }
sliced() { quick -T ref.fa --output-fmt-option seqs_per_slice=50 "$@"; }
for f in sam bam cram; do
    for t in 1 2 7 7 7; do
        every -@ $t in.bam -o threads.$t.$f
        sliced -@ $t many.bam -o many.$t.$f
        [ $t != 1 ] || continue
        same "-@ $t, $f" threads.1.$f threads.$t.$f
        same "-@ $t, $f, more reads" many.1.$f many.$t.$f
    done
    prints "a pipe, scored, $f" threads.1.$f piped in.bam every -@ 2 - -O $f
    prints "a pipe, $f" many.1.$f piped many.bam sliced -@ 3 - -o - -O $f
    agree "CRAM to $f, -@ 7" 'sliced -@ 1 many.cram -O $f' 'sliced -@ 7 many.cram -O $f'
done
for t in 1 7; do for f in bam cram; do quick -@ $t -T ref.fa many.bam -o x.$t.$f --write-index; done; done
same "-@ 7: the .csi" x.1.bam.csi x.7.bam.csi; same "-@ 7: the .crai" x.1.cram.crai x.7.cram.crai
for t in abc -1 '' 1x 99999999999999999999; do refuses "-@ '$t'" '-@ ' in.bam -@ "$t"; done

# ---- damaged and cut input (1-5) ----
late=; command -v timeout >/dev/null && late='timeout 60' # so that a hanging test fails
# in_time OPTION...: runs annotate on the whole input, with a time limit.
in_time() { $late "$caduceus" annotate -m "$data/ps" -T ref.fa --include 'mapq > 99' -o kept.bam "$@"; }
# broken NAME REGEX FILE: the input is an error, from a file and from a pipe, with one thread and with several.
broken() {
    for t in 1 2 7; do
        error "$1, -@ $t" "$2" in_time -@ $t "$3"
        error "$1, a pipe, -@ $t" "$2" piped "$3" in_time -@ $t -
    done
}
# jumps NAME REGEX OPTION...: a run that uses the index is an error, with one thread and with several.
jumps() {
    name=$1 regex=$2; shift 2
    for t in 1 3; do error "$name, -@ $t" "$regex" in_time -@ $t "$@"; done
}
samtools view --no-PG -b -O bam,level=1 many.sam -o many1.bam; samtools index many1.bam
# blocks FILE: prints the offsets of its BGZF blocks.
blocks() {
    at=0; size=$(wc -c <"$1")
    while [ $at -lt "$size" ]; do
        echo $at
        at=$((at + 1 + $(od -An -tu2 -j $((at + 16)) -N 2 "$1" | tr -d ' ')))
    done
}
blocks many1.bam >starts; mid=$(sed -n 3p starts) size=$(wc -c <many1.bam)
ok "the BAM has several blocks" test "$(wc -l <starts)" -ge 5
head -c $mid many1.bam >cut.bam; broken "BAM cut at a block boundary" 'cut short' cut.bam
head -c $((mid + 3000)) many1.bam >cut.bam; broken "BAM cut in a block" 'cut short' cut.bam
head -c $((mid + 10)) many1.bam >cut.bam; broken "BAM cut in a block's header" 'cut short' cut.bam
head -c $((size - 28)) many1.bam >cut.bam; broken "BAM without its EOF block" 'cut short' cut.bam
head -c $((size - 1)) many1.bam >cut.bam; broken "BAM without its last byte" 'cut short|damaged' cut.bam
head -c 20 many1.bam >cut.bam; broken "BAM of 20 bytes" 'cut short|damaged' cut.bam
for at in $((mid + 2000)) $(($(sed -n 2p starts) + 30)) $((size - 60)); do
    cp many1.bam bent.bam; flip bent.bam $at
    broken "BAM with bit 0 of byte $at flipped" 'cut short|damaged' bent.bam
done
samtools view --no-PG -b in.sam | gzip -dc >raw.bam
ok "BAM that is not compressed at all" quick raw.bam -O sam
prints "is read" in.body body .out
head -c $(($(wc -c <raw.bam) - 30)) raw.bam >cutraw.bam
broken "BAM that is not compressed, cut in a record" 'cut short' cutraw.bam
if command -v bgzip >/dev/null; then
    bgzip -c cutraw.bam >cut.bam; broken "BAM whose last record is cut, with an EOF block" 'cut short' cut.bam
fi
csize=$(wc -c <many.cram)
head -c $((csize - 38)) many.cram >cut.cram; broken "CRAM without its EOF container" 'cut short' cut.cram
zcat many.cram.crai | sort -t "$tab" -k 4,4n | cut -f 4 | sort -nu >containers
head -c "$(sed -n 4p containers)" many.cram >cut.cram; broken "CRAM cut between containers" 'cut short' cut.cram
head -c $((csize / 2)) many.cram >cut.cram; broken "CRAM cut in a container" 'cut short' cut.cram
# htslib does not compare the checksums of uncompressed headers, such as the one 60 bytes after the start of a
# container; found by fuzzing. If the CRAM comes from a pipe, they are not compared.
for at in $((csize / 4)) $((csize / 3)) $((csize * 2 / 3)) $((csize - 45)) $(($(sed -n 2p containers) + 60)); do
    cp many.cram bent.cram; flip bent.cram $at
    refuses "CRAM with bit 0 of byte $at flipped" 'cut short|damaged' -T ref.fa bent.cram
done
head -c $(($(wc -c <in.sam.gz) - 28)) in.sam.gz >cut.sam.gz
broken ".sam.gz without its EOF block" 'cut short' cut.sam.gz
head -c 900 in.sam.gz >cut.sam.gz; broken ".sam.gz cut in a block" 'cut short|damaged' cut.sam.gz
gzip -c many.sam | head -c 20000 >cut.gz; broken "gzip cut" 'cut short|damaged' cut.gz
head -c $(($(wc -c <in.sam) - 60)) in.sam >cut.sam
broken "SAM cut in a line" "(cut|input).*:$(lines <in.sam): .*cut short" cut.sam
# A truncated file is an error even if the selected region is before the missing part.
for c in $mid $((size - 28)); do
    head -c $c many1.bam >cut.bam; cp many1.bam.bai cut.bam.bai
    jumps "-r of BAM cut at byte $c" 'cut short' cut.bam -r chr1:1-50
    jumps "-r of what is cut off at byte $c" 'cut short' cut.bam -r HLA
done
head -c $((csize - 38)) many.cram >cut.cram; cp many.cram.crai cut.cram.crai
jumps "-r of CRAM without its EOF container" 'cut short' cut.cram -r chr1:1-50
cp many1.bam bent.bam; cp many1.bam.bai bent.bam.bai; flip bent.bam $(($(sed -n 3p starts) + 2000))
jumps "-r of damaged BAM" 'damaged' bent.bam -r chr1 -r HLA:01:02
head -c $((mid + 3000)) many1.bam >cut.bam; tail -c 28 many1.bam >>cut.bam; cp many1.bam.bai cut.bam.bai
jumps "-r of BAM with a hole" 'damaged|cut short' cut.bam -r chr1:1-10 -r HLA
: >zero
for f in zero 'zero --in-format sam' 'zero --in-format bam' 'zero --in-format cram'; do
    # shellcheck disable=SC2086
    refuses "an empty file: $f" 'empty|header' $f
done
error "an empty pipe" 'empty' piped /dev/null bare - -o kept.bam
grep '^@' in.sam >head.sam; echo '@HD	VN:1.6' >hd.sam
for i in sam bam cram; do
    samtools view --no-PG -h -T ref.fa -O $i head.sam -o head.$i.in
    for o in sam bam cram; do
        ok "header only, $i to $o" annotate --no-PG -T ref.fa head.$i.in -o head.out.$o
        ok "it is valid" samtools quickcheck head.out.$o
        is "and has no records" "$(samtools view -c head.out.$o)" 0
        agree "with its header" 'cat in.head' 'header head.out.$o | no_m5'
    done
done
for o in sam bam cram; do
    ok "one header line to $o" annotate --no-PG hd.sam -O $o -o hd.$o.out
    is "is that line" "$(header hd.$o.out)" "$(cat hd.sam)"
done

# ---- CRAM and its reference (6, 7); no connection to the network is made ----
cp ref.fa away.fa; samtools view --no-PG -C -T away.fa in.sam -o away.cram; rm away.fa away.fa.fai
no='missing or another: give it with -T'
refuses "CRAM without a reference" "$no" away.cram
refuses "SAM to CRAM without a reference" "$no" in.sam -O cram
error "the same with an index" "$no" annotate in.sam -o folder/x.cram --write-index
error "to standard output" "$no" annotate in.sam -O cram
samtools faidx ref.fa chr1 >part.fa
refuses "a reference without some contigs" "$no" -T part.fa in.sam -O cram
refuses "CRAM with a reference without some contigs" "$no" -T part.fa away.cram
{ contig chr1 2000 11; contig HLA:01:02 900 12; contig chr2 700 13; contig HLA 400 14; } >wrong.fa
refuses "CRAM with the wrong reference" "$no" -T wrong.fa in.cram
refuses "the same to CRAM" "$no" -T wrong.fa in.cram -O cram
header in.cram >m5.head; { cat m5.head; grep -v '^@' in.sam; } >m5.sam
refuses "to CRAM with another reference than @SQ M5 says" \
    'contig chr1 is another sequence than m5.sam has by its @SQ M5' -T wrong.fa m5.sam -O cram
sed '/^>/!y/ACGT/acgt/' ref.fa >lower.fa
ok "lower case in the reference does not matter" annotate -T lower.fa m5.sam -o got.cram
# at_url URL FILE: copies away.cram to FILE, with URL as the address of its reference.
at_url() {
    sed "s,${tab}UR:[^$tab]*,${tab}UR:$1," m5.head >ur.head
    samtools reheader ur.head away.cram >"$2" 2>/dev/null
}
at_url "file://$dir/ref.fa" file.cram
ok "@SQ UR with a local file: URL" annotate file.cram -O bam -o got.bam
is "is used" "$(samtools view -c got.bam)" 47
bgzip -c ref.fa >ref.fa.gz 2>/dev/null && {
    ok "a reference in BGZF" annotate -T ref.fa.gz in.cram -o got.cram
    prints "serves reading and writing" in.body untagged got.cram
}
if [ -n "$python" ]; then
    rm -f port; : >connections
    "$python" "$checks/refuse-connections.py" 2>/dev/null & listener=$!
    n=0; while [ ! -e port ] && [ $n -lt 200 ]; do sleep 0.05; n=$((n + 1)); done
    port=$(cat port)
    at=127.0.0.1:$port/ref.fa
    for url in http://$at http:/$at ftp://$at preload:http://$at; do
        at_url "$url" net.cram
        { cat ur.head; alignments <in.sam; } >net.sam; sed "/^@SQ/s/${tab}M5:[^$tab]*//" net.sam >net5.sam
        refuses "reading CRAM does not follow UR:$url" "$no" net.cram
        refuses "writing CRAM does not follow UR:$url" "$no" net.sam -O cram
        refuses "nor does it without M5" "$no" net5.sam -O cram
        refuses "nor for a contig that is not in -T" "$no" -T part.fa net.sam -O cram
        refuses "nor without M5 for such a contig" "$no" -T part.fa net5.sam -O cram
        ok "no_ref needs no reference" annotate net5.sam -O cram,no_ref=1 -o got.cram
        agree "and keeps UR" "grep '^@SQ' net5.sam" "header got.cram | grep '^@SQ'"
        ok "-T is used" annotate -T ref.fa net.cram -O sam
        agree "and UR is kept" "grep '^@SQ' net.sam" "grep '^@SQ' .out"
    done
    unset HTTP_PROXY http_proxy https_proxy
    for v in "" :; do error "REF_PATH='$v'" "$no" env REF_PATH="$v" "$caduceus" annotate -m "$data/ps" away.cram; done
    mkdir cache
    for c in chr1 HLA:01:02 chr2 HLA; do
        md5=$(grep "SN:$c$tab" m5.head | sed "s/.*M5:\([0-9a-f]*\).*/\1/")
        samtools faidx ref.fa "{$c}" | sed 1d | tr -d '\n' >"cache/$md5"
    done
    ok "REF_PATH that the user sets is used" \
        env REF_PATH="$dir/cache/%s" "$caduceus" annotate --quiet -m "$data/ps" away.cram -o got.cram
    prints "for reading and writing" in.body untagged got.cram
    is "no connection was attempted" "$(cat connections)" ""
    env REF_PATH="http://127.0.0.1:$port/%s" "$caduceus" annotate --quiet -m "$data/ps" away.cram \
        -o got.bam 2>/dev/null # REF_PATH allows the connection
    is "the test detects connections" "$(lines <connections | sed 's/[1-9][0-9]*/some/')" some
    kill $listener; wait $listener 2>/dev/null
else
    skip "no connection is attempted" "no python3"
fi

# ---- records of SAM that htslib would change ----
read_a="a 0 * 0 0 * * 0 0 $b *" read_b="b 0 chr1 10 60 * * 0 0 $b *" read_h="h 0 chr1 0 60 50M * 0 0 $b *"
one "$read_a" "$read_b" "c 4 chr1 10 60 50M * 0 0 $b *" "d 5 chr1 0 60 50M = 10 0 $b *" "f 1 * 0 60 * chr1 10 0 $b *" \
    "g 0 chr1 10 60 * * 0 0 * *" "$read_h" "* 16 HLA:01:02 10 60 50M HLA 3 0 $b *" >odd.sam
for f in sam bam; do annotate odd.sam -q 99 -O $f -o odd.$f.out; done
agree "records without POS, CIGAR or RNAME pass as they are, sam" 'alignments <odd.sam' 'alignments <odd.sam.out'
agree "records without POS, CIGAR or RNAME pass as they are, bam" 'alignments <odd.sam' 'samtools view odd.bam.out'
for r in "$read_a" "$read_b" "$read_h"; do
    one "$r" >odd1.sam; refuses "CRAM cannot hold ${r%% *}" 'which CRAM cannot hold' -T ref.fa odd1.sam -O cram
done
# malformed NAME REGEX RECORD: this SAM record is refused.
malformed() { one "$3" >odd1.sam; refuses "$1" "$2" odd1.sam; }
no_sq='odd1.sam: read k is on a contig that no @SQ line names' place="odd1.sam:$(($(grep -c '^@' in.sam) + 1)): "
malformed "RNAME that no @SQ line names" "$no_sq" "k 0 chr9 10 60 50M * 0 0 $b *"
malformed "RNEXT that no @SQ line names" "$no_sq" "k 1 chr1 10 60 50M chr9 5 0 $b *"
malformed "CIGAR and SEQ of different length" "$place" "k 0 chr1 10 60 49M * 0 0 $b *"
malformed "ten columns" "$place" "k 0 chr1 10 60 50M * 0 0 $b"
malformed "a flag that is none" "$place" "k x chr1 10 60 50M * 0 0 $b *"

# ---- contigs longer than 2^31 (12) ----
{ printf '@SQ\tSN:big\tLN:3000000000\n@SQ\tSN:small\tLN:100\n'
  printf 'r\t1\tbig\t2500000001\t60\t50M\t=\t2500000101\t150\t%s\t*\n' "$b"; } >big.sam
ok "SAM with a contig beyond 2^31" annotate big.sam -o big.out.sam
is "the contig is kept" "$(grep -v '^@' big.out.sam | untag)" "$(grep -v '^@' big.sam)"
refuses "BAM cannot hold it" 'BAM cannot hold contig big of 3000000000 bases; write SAM' big.sam
refuses "CRAM cannot hold such a read" 'CRAM cannot hold' big.sam -O cram,no_ref=1
ok "SAM.gz with an index" annotate big.sam -o big.sam.gz --write-index
is "samtools finds the read" "$(samtools view big.sam.gz big:2500000010-2500000011 | untag)" "$(grep -v '^@' big.sam)"
is "and caduceus finds it too" \
    "$(quick -r big:2500000010-2500000011 big.sam.gz | grep -v '^@' | untag)" "$(grep -v '^@' big.sam)"
is "-t too" "$(quick -t big:2500000010-2500000011 big.sam | grep -v '^@' | untag)" "$(grep -v '^@' big.sam)"
is "and not at another position" "$(quick -t big:2500000051-2500000052 big.sam | grep -vc '^@')" 0

# ---- the output is also an input (13) ----
cp in.bam own.bam; cp in.bam.bai own.bam.bai; ln -s own.bam soft.bam; ln own.bam hard.bam
for o in own.bam soft.bam hard.bam ./own.bam; do
    error "-o $o is the input" 'is also an input' annotate own.bam -o $o
done
error "the input is a link to -o" 'is also an input' annotate soft.bam -o own.bam
error "-o is the reference" 'is also an input' annotate -T ref.fa own.bam -o ref.fa
error "-o is the index of the reference" 'is also an input' annotate -T ref.fa own.bam -o ref.fa.fai
error "-o is the -L file" 'is also an input' annotate -L some.bed own.bam -o some.bed
error "standard output is the input" 'also an input' appending own.bam bare own.bam
error "-o is standard input" 'also an input' reading own.bam bare - -o own.bam
ln own.bam x.bam.csi 2>/dev/null || { rm -f x.bam.csi; ln own.bam x.bam.csi; }
error "the new index is the input" 'is also an input' annotate own.bam -o x.bam --write-index
same "the input is unchanged" in.bam own.bam

# ---- full disks, close that fails (43, 44) ----
why=$(no_preload "$full")
if [ "$why" ]; then skip "a full disk leaves the old files" "$why"
else
    for f in sam bam cram; do for index in '' --write-index; do
        [ $f$index = sam--write-index ] && continue
        rm -rf fits; mkdir fits; quick -T ref.fa many.bam -o fits/x.$f $index
        size=$(wc -c <fits/x.$f) all=$(cat fits/* | wc -c)
        for t in 1 3; do
            which="$f, -@ $t${index:+ $index}"
            run="unscored --no-PG -T ref.fa -@ $t many.bam -o out/x.$f $index"
            olds="x.$f x.$f.csi x.$f.crai"
            for n in 0 10 $((size / 2)) $((size - 29)) $((size - 1)) $((all - 1)); do
                old $olds
                error "disk full after $n bytes of $which" 'out/x.*: .*No space left' failing_disk AFTER=$n $run
                intact "disk full after $n bytes of $which: the old files are unchanged"
            done
            for w in FSYNC CLOSE; do
                old $olds
                error "$w of $which fails" 'out/x.*: .*(No space left|Input/output error)' failing_disk $w=1 $run
                intact "$w of $which fails: the old files are unchanged"
            done
            old $olds; ok "a disk that is large enough for $which" failing_disk AFTER=$((all + 8192)) $run
            same "has the complete output" fits/x.$f out/x.$f
        done
    done; done
fi
for f in sam bam cram,no_ref=1; do for i in many.bam head.sam; do
    error "standard output is full, $f, $i" 'No space left' to_full unscored $i -O $f
    error "standard output is closed, $f, $i" 'standard output: ' to_closed unscored $i -O $f
done; done

# ---- broken pipes, errors while writing to a pipe, signals (45-47) ----
for f in sam bam cram,no_ref=1; do for t in 1 3; do
    {   unscored -@ $t many.bam many.bam 2>/dev/null
        unscored -@ $t many.bam -O $f 2>pipe.err; echo $? >status; } | head -c 1 >/dev/null
    is "a broken pipe, $f, -@ $t: 141 and silence" "$(cat status) $(cat pipe.err)" "141 "
done; done
one "a 4 * 0 0 * * 0 0 $b *" "o 4 * 0 0 * * 0 0 $b * yp:Z:x" >fails.sam
for f in bam cram; do
    annotate fails.sam -O $f >torn 2>/dev/null
    is "after an error standard output has no end marker, $f" "$(samtools quickcheck torn 2>/dev/null && echo valid)" ""
done
if perl -e 1 2>/dev/null; then
    for s in INT=130 TERM=143 KILL=137; do
        old x.bam x.bam.csi x.bam.crai; rm -f feed; mkfifo feed
        natural "$caduceus" annotate --quiet -m "$data/ps" --window 64 --include 'mapq > 99' - \
            -o out/x.bam --write-index <feed 2>sig.err & pid=$!
        exec 7<>feed
        head -c 60000 many.sam >&7
        await 2 out
        kill -"${s%=*}" $pid; { wait $pid; status=$?; } 2>/dev/null
        exec 7>&-
        is "${s%=*} ends it with status ${s#*=}" "$status" "${s#*=}"
        [ ${s%=*} = KILL ] && rm -f out/.*tmp
        intact "${s%=*}: the old files are there, the temporary files are removed"
    done
else skip "signals remove temporary files" "no perl"; fi

# ---- destinations (48, 49, 60) ----
# early NAME REGEX OPTION...: the error is reported, although the model does not exist either.
early() {
    what=$1 regex=$2; shift 2
    error "$what" "$regex" "$caduceus" annotate --quiet -m "$dir/no-model" in.bam "$@"
}
early "a missing folder, before any model is read" 'gone/x.bam: .*No such file' -o gone/x.bam
early "a folder" 'folder: is a folder' -o folder
mkdir folder/y.bam.csi; early "the index is a folder" 'y.bam.csi: is a folder' -o folder/y.bam --write-index
rmdir folder/y.bam.csi
is "nothing is left in the folder" "$(ls -A folder)" ""
quick many.bam -o one.bam; quick many.bam -q 99 -r chr1 -o two.bam
round=0 torn=
while [ $round -lt 8 ]; do
    quick many.bam -o shared.bam & a=$!
    quick many.bam -r chr1 -o shared.bam & c=$!
    wait $a || torn="$torn a"; wait $c || torn="$torn c"
    cmp -s shared.bam one.bam || cmp -s shared.bam two.bam || torn="$torn $round"
    round=$((round + 1))
done
is "of two processes that write one output, one result is complete" "$torn" ""
for f in sam bam cram; do
    quick -T ref.fa in.bam -o plain.$f
    rm -f fifo.$f; mkfifo fifo.$f
    $late cat fifo.$f >got & quick -T ref.fa in.bam -o fifo.$f; is "-o a FIFO, $f" "$?" 0; wait $!
    same "gets all the bytes" plain.$f got
    ln -s /dev/null null.$f; ok "-o a link to /dev/null, $f" quick -T ref.fa in.bam -o null.$f
    mkdir -p far; echo old >far/t.$f; ln -s far/t.$f near.$f; quick -T ref.fa in.bam -o near.$f
    is "a link stays, $f" "$(readlink near.$f)" far/t.$f
    same "its target is replaced" plain.$f far/t.$f
    quick -T ref.fa in.bam -O $f -o /dev/stdout | cat >got; same "-o /dev/stdout, $f" plain.$f got
    quick -T ref.fa in.bam -o closed.$f <&- >&- 2>&-; same "without standard streams, $f" plain.$f closed.$f
done
is "/dev/null is still a device" "$(test -c /dev/null && echo yes)" yes
ln -s far/z.bam zlink.bam; quick many.bam -o zlink.bam --write-index
is "a link and its index" "$(samtools view -c zlink.bam chr2) $(ls far | grep -c z.bam)" \
    "$(samtools view -c many.bam chr2) 1"
(umask 027; quick many.bam -o mode.bam --write-index)
is "new files follow the umask" "$(stat -c %a mode.bam mode.bam.csi | joined)" "640 640 "

# ---- a dry run ----
annotate --dry-run in.sam -o dry.bam --write-index >dry
like "--dry-run counts reads" '^reads	47$' dry
like "and windows" '^windows	[1-9][0-9]*$' dry
is "and writes nothing" "$(ls dry.*  2>/dev/null)" ""
annotate --dry-run --window 512 in.sam -q 30 >dry
like "--dry-run with -q counts fewer windows" "^windows	$(samtools view -c -q 30 in.sam | tr -d ' ')$" dry

# ---- --color ----
annotate --color --no-PG in.sam -o colour.sam; annotate --no-PG in.sam -o grey.sam
sed "s/${tab}YC:Z:[^$tab]*//" colour.sam >got; same "--color adds a tag YC and nothing else" grey.sam got
tags colour.sam yp YC | awk -F '\t' '
    function off(i, to,  d) { d = c[i] - (i == 0 ? 190 : 190) - f * (to - 190); return d * d > 1 }
    ($2 == ".") != ($3 == ".") { bad = 1 }
    $2 != "." {
        n++; split($3, c, ","); f = 2 + $2 / log(2); red = f < 0; if (red) f = -f; if (f > 1) f = 1
        if (off(1, red ? 200 : 0) || off(2, red ? 0 : 70) || off(3, red ? 0 : 200)) { print; bad = 1 } }
    END { exit bad || n < 20 }' >wrong; is "it is the colour of yp" "$?$(cat wrong)" 0
like "as IGV reads it" "${tab}YC:Z:[0-9]{1,3},[0-9]{1,3},[0-9]{1,3}(${tab}|\$)" colour.sam
annotate --color --no-PG colour.sam -o twice.sam; same "done again it is the same" colour.sam twice.sam
annotate --color -T ref.fa in.sam -o colour.cram; tags colour.sam YC >want; tags colour.cram YC >got
same "CRAM has it too" want got
refuses "--color without yp" 'name it in --score' in.bam --color --score n
refuses "--color does not fit BED" 'does not fit' -T ref.fa some.bed --color

# ---- options that do not apply to reads, or are wrong ----
for o in --clip --split --no-version '--check-ref w' '--anchor 3' '--pool-window 9' '--info-prefix X' \
    '--skip-soft-masked' '--embed x.npy' '--embed - --pool none' '--pool mean' '--context seq --context other' \
    '--context' '--context ref' '--context ref -T ref.fa --clip-soft' '--context ref -T ref.fa --min-BQ 3' \
    '--chr-alias some.bed' '--min-BQ x' '--min-BQ -1' '--min-BQ 256' '--min-BQ 1x' '-q x' '-q -1' '-q 256' \
    '-q 99999999999999999999' '-q 1x' \
    '-f x' '-f -1' '-f 1x' '-f 0x' '-f 0xg' '-f 65536' '-f 4294967297' '-f 99999999999999999999' \
    '-f PAIRED,NONE' '-F 1.5' '-F +1' '-f PAIRED,' \
    '--mask none' '--mask none --tag-map yn=xn' '--mask none --score bases --tag-map yp=xp' '--mask each:2' \
    '--score ye' '--score pll,pll' '--score none' '--score entropy' \
    '--tag-map yp' '--tag-map yp=' '--tag-map yp=x' '--tag-map yp=xp,yn=' '--tag-map yp=xpp' '--tag-map yp=xp,' \
    '--tag-map yq=xp' '--tag-map yp=NM' '--tag-map yp=1x' '--tag-map yp=x_' '--tag-map yp=xp;yn=xn' '--tag-map yp=yn' \
    '--tag-map yp=xx,yn=xx' '-O vcf' '-O z' '-O sam,frob=1' '-O bamx' '-O ,' '--output-fmt-option frob=1' \
    '--output-fmt-option frob' '--in-format gff' '--write-index=x' '--window 0' '--window 64 --flank 32' \
    '--include (' '--include mapq>' '--include frob>1' '--include mapq~1' '--include qname=~"("' '--include 1x' \
    '-r' '-L gone.bed' '-R chr1:x-y' '-T gone.fa' '--n-token x' '-m gone'; do
    # shellcheck disable=SC2086
    refuses "$o" 'annotate: ' in.bam $o
done
refuses "an empty -f" '-f ' in.bam -f ''
refuses "a blank in -f" '-f ' in.bam -f ' 4'
refuses "an empty --include" '--include ' in.bam --include ''
refuses "--include with trailing text" '--include mapq > 1 x: ' in.bam --include 'mapq > 1 x'
error "-O '' " '-O ' annotate in.bam -O '' -o kept.bam
printf 'chr1\t0\t50\n' >chr1.bed
for o in '-f 4' '-F 4' '-q 1' '--include 1' '--context ref' --clip-soft '--min-BQ 3' '--tag-map yp=xp' \
    --no-PG '-O bam'; do
    # shellcheck disable=SC2086
    refuses "$o does not fit BED" 'does not fit' -T ref.fa chr1.bed $o
done
for m in cls-ps cls-ph; do
    error "a classifier scores no read" 'classifier without a language-model head' \
        "$caduceus" annotate -m "$data/$m" in.bam -o kept.bam
    ok "but it can embed" "$caduceus" annotate -m "$data/$m" --window 64 --score none --embed - in.bam -o cls.bam
    is "all reads have an embedding" "$(body cls.bam | grep -c "${tab}ye:B:f,")" 47
done
refuses "an index as input" 'is an index' in.bam.bai
refuses "a file that is not there" 'gone.bam: No such file' gone.bam
refuses "BED said to be BAM" 'chr1.bed: ' chr1.bed --in-format bam
for f in sam bam cram; do ok "--in-format $f" quick -T ref.fa --in-format $f in.$f; done

# ---- another reader, and real data ----
pysam=; for p in /usr/bin/python3 python3; do [ "$pysam" ] || ! "$p" -c 'import pysam' 2>/dev/null || pysam=$p; done
if [ "$pysam" ]; then ok "pysam reads the tags" "$pysam" "$checks/read-tags.py" all.bam
else skip "pysam reads the tags" "no pysam"; fi

# real FILE REFERENCE NAME: annotate writes the same records as samtools view: to SAM, to BAM and, except for data that
# CRAM cannot store, to CRAM.
real() {
    samtools view ${2:+-T "$2"} "$1" >wanted 2>/dev/null
    quick ${2:+-T "$2"} "$1" -O sam 2>.err | alignments >got; same "$3 to SAM" wanted got
    quick ${2:+-T "$2"} "$1" -o real.bam 2>.err; prints "$3 to BAM" wanted samtools view real.bam
    if [ "$2" ]; then
        ok "$3 to CRAM" quick -T "$2" "$1" -o real.cram
        samtools view -T "$2" real.cram 2>/dev/null | cut -f 1-4,10,11 >got
        cut -f 1-4,10,11 wanted >wanted.some; same "$3 to CRAM: everything that CRAM can store" wanted.some got
    fi
}
c=$shared/data/celegans_htslib h=$shared/data/human
if [ -d "$c" ] && [ -d "$h" ]; then
    for f in 'ce#5b.sam' 'ce#5b_java.cram' 'ce#supp.sam' 'ce#unmap.sam' 'ce#large_seq.bam' range.bam range.cram; do
        real "$c/$f" "$c/ce.fa" "$f"
    done
    real "$c/c1#clip.sam" "$c/c1.fa" 'c1#clip.sam'
    real "$c/auxf#values_java.cram" "$c/auxf.fa" auxf
    real "$c/xx#rg.sam" "" 'xx#rg.sam'
    refuses "range.cram without a reference" "$no" "$c/range.cram"
    for r in CHROMOSOME_I CHROMOSOME_II:2900 CHROMOSOME_IV:1-1000; do for f in bam cram; do
        agree "-r $r of range.$f" 'samtools view -T "$c/ce.fa" "$c/range.$f" $r' \
            'quick -T "$c/ce.fa" "$c/range.$f" -r $r -O sam | alignments'
    done; done
    b37=$h/b37_20_21_htsjdk
    real "$b37/CEUTrio.HiSeq.WGS.b37.NA12878.20.first.8000.bam" "" CEUTrio
    real "$b37/NA12878.20.21.unmapped.orig.bam" "" "unmapped reads"
    slices=20.21.1-100.100-SeqsPerSlice.500-unMapped.cram
    real "$b37/NA12878.$slices" "$b37/human_g1k_v37.20.21.1-100.fasta" "CRAM of htsjdk"
    real "$b37/referenceEmbedded.NA12878.$slices" "" "CRAM with its reference embedded"
    m=$h/chrM_hg38
    real "$m/NA12878.bam" "$m/Homo_sapiens_assembly38.mt_only.fasta" chrM
    annotate --window 256 "$m/NA12878.bam" -r chrM:500-500 --include 'pos % 50 == 0 && mapq > 30' \
        -o m.bam --write-index
    agree "chrM, one base" 'samtools view "$m/NA12878.bam" chrM:500-500' 'untagged m.bam'
    body m.bam | grep "${tab}yn:i:" | head -n 20 | awk -F '\t' '{ print ">" $1 "\n" $10 }' >m.fa
    alike "scores as the bases have as FASTA" 'rows_of --window 256 m.fa | cut -f 2-' \
        'tags m.bam yp yn | grep -v "$tab[.]" | head -n 20 | cut -f 2-' 1e-5
    is "20 reads are compared" "$(lines <got)" 20
    s=$h/chr9_1Mb_grch38
    annotate --window 256 --context ref -T "$s"/Homo_sapiens*.fa "$s"/SGNex*.bam -r 9:1-60000 \
        -o rna.bam --write-index
    agree "spliced reads on their reference" 'samtools view "$s"/SGNex*.bam 9:1-60000' 'untagged rna.bam'
    is "those with SEQ are scored" "$(body rna.bam | grep -c "${tab}yn:i:")" \
        "$(awk '$10 != "*"' .want | lines)"
else
    skip "real reads" "no $(basename "$shared") data"
fi

# ---- no error above has changed the output file ----
echo old >want; same "the destination is untouched" want kept.bam
is "no temporary file is left" "$(find . -name '.caduceus-*')" ""
finish
