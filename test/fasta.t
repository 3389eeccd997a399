#!/bin/sh
# fasta.t - FASTA as a reference, with stale or malformed indexes and damaged files, and as input.
. "${srcdir:-.}/test/lib.sh"

annotate() { "$caduceus" annotate -m "$data/ps" --window 512 "$@"; }
on() { fa=$1; shift; annotate -T "$fa" "$@"; }
# le64 N...: prints little-endian 64-bit numbers.
le64() {
    for v in "$@"; do
        for shift in 0 8 16 24 32 40 48 56; do printf "\\$(printf %o $((v >> shift & 255)))"; done
    done
}
# one_line: reads a FASTA and prints the sequence of each contig on one line.
one_line() { awk '/^>/ { printf "%s%s\n", (NR > 1 ? "\n" : ""), $0; next } { printf "%s", $0 } END { print "" }'; }
have() { command -v "$1" >/dev/null; }

{ contig a 1000 1; contig b 700 2; contig c 300 3; } >ref.fa
row 'a 0 1000' 'b 0 700' 'c 0 300' 'a 990 1000' 'b 1 61' >in.bed

# ---- the index: built once, then used ----
ok "a FASTA without an index" on ref.fa in.bed; cp .out want
is "no message is printed" "$(cat .err)" ""
is "an index is created beside it" "$(awk -F '\t' '{ printf "%s:%s ", $1, $2 }' ref.fa.fai)" "a:1000 b:700 c:300 "
if have samtools; then
    cp ref.fa other.fa; samtools faidx other.fa; same "it is what samtools makes" other.fa.fai ref.fa.fai
else skip "it is what samtools makes" "no samtools"; fi
before=$(ls -i ref.fa.fai); touch -r ref.fa ref.fa.fai
ok "a second run" on ref.fa in.bed; same "the same bytes" want .out
is "the index is used, not rebuilt" "$(ls -i ref.fa.fai)" "$before"
sed 's/^a	/A	/' ref.fa.fai >x.fai; cp ref.fa x.fa; mv x.fai x.fa.fai
error "an existing index that cannot be read is an error" 'x.fa.fai' on x.fa in.bed
mkdir race; cp ref.fa race/ref.fa
for n in 1 2 3 4 5 6; do on race/ref.fa in.bed >race/$n.out 2>race/$n.err & done; wait
is "six processes index at once" "$(for n in 1 2 3 4 5 6; do cmp want race/$n.out 2>&1; cat race/$n.err; done)" ""
is "and leave one index" "$(ls race | grep -c 'ref.fa')" 2

# ---- the same reference, written in different ways ----
# variant NAME: v.fa, another form of ref.fa, gives the same output as ref.fa.
variant() { rm -f v.fa.fai; on v.fa in.bed >got 2>.err || diag .err; same "$1" want got; }
sed 's/$/\r/' ref.fa >v.fa; variant "CRLF"
printf '%s' "$(cat ref.fa)" >v.fa; variant "no newline at the end"
{ cat ref.fa; printf '\n\n'; } >v.fa; variant "blank lines at the end"
sed 's/^>b/\n>b/' ref.fa >v.fa; variant "a blank line between contigs"
sed 's/^>.*/& some text, >more/' ref.fa >v.fa; variant "descriptions"
tr ACGT acgt <ref.fa | sed '/^>/y/ACGT/acgt/' >v.fa; variant "lower case"
one_line <ref.fa >v.fa; variant "one line each"
awk '/^>/ { print; next } { for (i = 1; i <= length($0); i++) print substr($0, i, 1) }' ref.fa >v.fa
variant "one base a line"
ln -s ref.fa link.fa; on link.fa in.bed >got 2>.err; same "a symbolic link" want got
{ echo '>only'; tail -n +2 ref.fa | sed '/^>/,$d'; } >one.fa; row 'only 0 1000' >one.bed; head -n 1 in.bed >a.bed
on one.fa one.bed >one.out 2>.err; on ref.fa a.bed >a.out 2>.err
is "other contigs do not change the result" "$(scores one.out)" "$(scores a.out)"

# ---- other letters ----
awk '/^>a/ { print; getline; $0 = substr($0, 1, 20) "RYSWKMBDHVryswkmbdhvN" substr($0, 42) } { print }' ref.fa >iupac.fa
sed '2s/[RYSWKMBDHVryswkmbdhv]/N/g' iupac.fa >n.fa
ok "IUPAC letters" on iupac.fa in.bed; cp .out iupac.out; cp .err iupac.err
warned "IUPAC letters" 'a:.* letters other than'
like "IUPAC letters: how many" 'in all: 20 letters' iupac.err
ok "N is not warned about" on n.fa in.bed; is "it is as expected" "$(cat .err)" ""
grep -v sha256 .out >n.out; grep -v sha256 iupac.out >got; same "they are read as N" n.out got
is "n is without them" "$(scores got | head -n 1 | cut -f 2)" 979
row 'a 0 20' 'a 41 1000' >clean.bed; ok "a row beside them" on iupac.fa clean.bed
is "no message is printed" "$(cat .err)" ""

# ---- --skip-soft-masked, with every base masked alone and the whole contig in one window ----
awk '/^>/ { print; next } FNR % 2 { print tolower($0); next } { print }' ref.fa | sed '/^>/y/ABC/abc/' >soft.fa
row 'c 0 300' >c.bed
"$caduceus" annotate -m "$data/ps" --window 4096 --mask each -T soft.fa --skip-soft-masked c.bed >soft.out 2>.err
awk '/^>/ { on = /^>c/; p = 0; next }
    on { if ($0 ~ /[A-Z]/) print "c\t" p "\t" p + length($0); p += length($0) }' soft.fa >upper.bed
"$caduceus" annotate -m "$data/ps" --window 4096 --mask each -T ref.fa upper.bed >upper.out 2>.err
scores soft.out >soft.got; combined upper.out >soft.want
ok "--skip-soft-masked scores the upper case alone" close_to soft.got soft.want 2e-5
is "n is exact" "$(cut -f 2 soft.got)" "$(awk '{ n += $3 - $2 } END { print n }' upper.bed)"
sed '/^>/!y/ACGT/acgt/' ref.fa >lower.fa; on lower.fa --skip-soft-masked c.bed >soft.out 2>.err
is "a row of lower case only has the score ." "$(scores soft.out)" "$(row '. 0')"
on lower.fa c.bed >soft.out 2>.err; on ref.fa c.bed >upper.out 2>.err
is "without the option, case does not matter" "$(scores soft.out)" "$(scores upper.out)"

# ---- stale indexes ----
row 'a 500 510' >a.bed
# stale NAME [BED]: s.fa has changed since s.fa.fai was made. It is refused even if BED reads only unchanged contigs.
stale() {
    touch -d 2001-01-01 s.fa
    error "stale: $1" 's\.fa' on s.fa -o kept "${2:-in.bed}"
    rm -f s.fa s.fa.fai s.fa.gzi; cp ref.fa.fai s.fa.fai
}
echo old >kept; cp ref.fa.fai s.fa.fai
sed 's/^>a/>a text/' ref.fa >s.fa; stale "the first header grew"
sed 's/^>b/>b text/' ref.fa >s.fa; stale "a header grew"
sed 's/^>c/>c text/' ref.fa >s.fa; stale "the last header grew, a row before it" a.bed
sed '4s/./&A/' ref.fa >s.fa; stale "a base inserted"
sed '4s/.//' ref.fa >s.fa; stale "a base deleted"
{ echo ">a"; { echo A; sed -n '2,18p' ref.fa; } | tr -d '\n' | fold -w 60; echo; sed '1,18d' ref.fa; } >s.fa
stale "a base inserted, wrapped anew"
sed '$s/$/A/' ref.fa >s.fa; stale "a base appended at the very end" a.bed
sed '$s/.$//' ref.fa >s.fa; stale "a base missing at the very end" a.bed
sed '18s/$/A/' ref.fa >s.fa; stale "a base appended to the first contig"
one_line <ref.fa | fold -w 50 >s.fa; stale "another line width"
sed 's/$/\r/' ref.fa >s.fa; stale "LF became CRLF"
sed 's/^>b/>x/' ref.fa >s.fa; stale "a contig renamed"
sed 's/^>b/>bb/' ref.fa >s.fa; stale "a contig renamed, longer"
{ cat ref.fa; contig d 100 4; } >s.fa; stale "a contig appended" a.bed
{ cat ref.fa; echo '>d'; } >s.fa; cp ref.fa.fai s.fa.fai
ok "an appended contig without bases is ignored" on s.fa in.bed -o /dev/null
{ cat ref.fa; echo; contig a 100 4; } >s.fa; stale "a contig appended whose name is taken" a.bed
sed '/^>c/,$d' ref.fa >s.fa; stale "a contig removed" a.bed
sed '1,18d' ref.fa >s.fa; stale "the first contig removed"
{ sed '1,18d' ref.fa; sed '18q' ref.fa; } >s.fa; stale "contigs swapped"
{ contig a 500 9; contig x 400 8; sed '1,18d' ref.fa; } >s.fa; stale "a contig split"
grep -v '^>b' ref.fa >s.fa; stale "contigs joined"
head -c 1900 ref.fa >s.fa; stale "cut short" a.bed
{ echo; cat ref.fa; } >s.fa; stale "a blank line before all"
for at in '5s' '10s' '12s' '16s'; do # one line is a base longer, the next line a base shorter
    sed "$at/\$/A/; $((${at%s} + 1))s/.\$//" ref.fa >s.fa; stale "lines ${at%s} and the next ragged, a the same length"
done
# The same change, in a line that a check of some lines only would miss.
contig long 60000 11 >long.fa; on long.fa c.bed >/dev/null 2>&1; row 'long 30030 30050' >long.bed
[ -f long.fa.fai ] || fail "an index for long.fa"
sed '502s/$/A/; 503s/.$//' long.fa >s.fa; cp long.fa.fai s.fa.fai
stale "two ragged lines among 1000, where the row is" long.bed
i=0; while [ $i -lt 250 ]; do printf '>t%d\nACGTACGTAC\nGGGGGCCCCC\nTTTTTAAAAA\nACGT\n' $i; i=$((i + 1)); done >many.fa
row 't100 0 34' >many.bed; on many.fa many.bed >/dev/null 2>&1
awk '/^>t100$/ { at = NR } at && NR == at + 2 { $0 = $0 "A" } at && NR == at + 3 { $0 = substr($0, 2) } 1' many.fa >s.fa
cp many.fa.fai s.fa.fai; stale "two ragged lines in one of 250 contigs" many.bed
sed '/^>t100$/{n;n;s/$/A/}' many.fa >s.fa
cp many.fa.fai s.fa.fai; stale "a base inserted in one of 250 contigs" many.bed

# index NAME LINES [BED]: an index that does not belong to the FASTA is refused.
index() { cp ref.fa s.fa; printf "$2" >s.fa.fai; stale "$1" "$3"; }
rest='b\t700\t1023\t60\t61\nc\t300\t1738\t60\t61\n'
index "empty index" ''
index "text for an index" 'hello\n'
index "binary for an index" '\000\001\002\n'
index "four columns" 'a\t1000\t3\t60\n'
index "negative length" "a\t-1\t3\t60\t61\n$rest"
index "negative offset" "a\t1000\t-3\t60\t61\n$rest"
index "no bases in a line" "a\t1000\t3\t0\t61\n$rest"
index "no width" "a\t1000\t3\t60\t0\n$rest"
index "lines narrower than their bases" "a\t1000\t3\t60\t59\n$rest"
index "a length beyond the file" "a\t100000000\t3\t60\t61\n$rest"
index "a length above 2^63" "a\t9223372036854775808\t3\t60\t61\n$rest"
index "a length that overflows in lines" "a\t2305843009213693951\t3\t1\t2147483647\n$rest"
index "a length that overflows to a plausible end" "a\t2305843009213693951\t3\t1\t8\n"
index "an offset beyond the file" "a\t1000\t99999\t60\t61\n$rest"
index "an offset in the middle of bases" "a\t1000\t64\t60\t61\n$rest"
index "the same contig twice" "a\t1000\t3\t60\t61\na\t1000\t3\t60\t61\n$rest"
index "two contigs at one place" "a\t1000\t3\t60\t61\nz\t1000\t3\t60\t61\n$rest"
index "a contig missing first" "$rest" c.bed
index "a contig missing in the middle" 'a\t1000\t3\t60\t61\nc\t300\t1738\t60\t61\n' a.bed
index "a contig missing at the end" 'a\t1000\t3\t60\t61\nb\t700\t1023\t60\t61\n' a.bed
index "a contig too many" "a\t1000\t3\t60\t61\n${rest}d\t10\t5000\t60\t61\n" a.bed
index "a length short by one" "a\t999\t3\t60\t61\n$rest" c.bed
index "a length short by a line" "a\t940\t3\t60\t61\n$rest" c.bed
index "a width too large by one" "a\t1000\t3\t60\t62\n$rest" c.bed
cp ref.fa s2.fa; mkdir s2.fa.fai; error "a folder for an index" 's2\.fa' on s2.fa in.bed
echo old >untouched; same "the destination is untouched" kept untouched

cp ref.fa aged.fa; cp ref.fa.fai aged.fa.fai; touch -d 2001-01-01 aged.fa.fai
ok "an older index that agrees" on aged.fa in.bed; same "gives the same bytes" want .out
warned "an older index" 'aged.fa.fai.*older'

# ---- a read-only folder ----
mkdir ro tmp; cp ref.fa ro/ref.fa; cp in.bed ro/in.bed; chmod 555 ro
if bound; then
    export TMPDIR="$dir/tmp"
    bound_run() { $as "$caduceus" annotate -m "$data/ps" --window 512 "$@"; }
    ok "a read-only folder without an index" bound_run -T ro/ref.fa ro/in.bed
    same "gives the same bytes" want .out
    warned "a read-only folder" 'ro/ref.fa: has no index'
    is "TMPDIR is left empty" "$(ls -A tmp)$(ls ro | grep -v '^in.bed$\|^ref.fa$')" ""
    row 'zz 0 5' >bad_row.bed
    error "an error in a row leaves TMPDIR empty, too" 'contig' \
        piped bad_row.bed bound_run -T ro/ref.fa -
    is "it is as expected" "$(ls -A tmp)" ""
    chmod 555 tmp
    error "neither folder can be written" 'ro/ref.fa' bound_run -T ro/ref.fa ro/in.bed
    chmod 755 tmp ro; sed 's/^>b/>bb/' ref.fa >ro/s.fa; cp ref.fa.fai ro/s.fa.fai; chmod 555 ro
    error "a stale index there is still an error" 'ro/s.fa' bound_run -T ro/s.fa ro/in.bed
    chmod 755 ro; sed '4s/$/A/' ref.fa >ro/ragged.fa; chmod 555 ro
    error "a ragged FASTA there" 'ro/ragged.fa' bound_run -T ro/ragged.fa ro/in.bed
    is "leaves TMPDIR empty" "$(ls -A tmp)" ""
    if have bgzip; then
        chmod 755 ro; bgzip -c ref.fa >ro/ref.fa.gz; chmod 555 ro
        ok "bgzip in a read-only folder" bound_run -T ro/ref.fa.gz ro/in.bed
        same "gives the same bytes" want .out
        is "TMPDIR is empty again" "$(ls -A tmp)" ""
    else skip "bgzip in a read-only folder" "no bgzip"; fi
    unset TMPDIR
else skip "a read-only folder" "root cannot give up its rights"; fi
chmod 755 ro

# ---- files that are not FASTA ----
# broken NAME REGEX: v.fa is refused without an index. If this run leaves an index, v.fa is refused again with it.
broken() {
    rm -f v.fa.fai
    error "$1" "$2" on v.fa in.bed
    [ ! -e v.fa.fai ] || error "$1, a second time" "$2" on v.fa in.bed
    is "$1: no temporary file is left" "$(ls v.fa.* 2>/dev/null | grep -v 'v.fa.fai$')" ""
}
{ cat ref.fa; contig a 200 7; } >v.fa; broken "a contig there twice" 'a is there twice'
{ contig a 200 7; cat ref.fa; } >v.fa; broken "twice in a row" 'a is there twice'
{ cat ref.fa; contig c 200 7; contig d 200 7; } >v.fa; broken "twice, not last" 'c is there twice'
{ cat ref.fa; sed '/^>/s/$/ other/;q' ref.fa; } >v.fa; broken "twice, the second empty" 'v.fa'
sed '4s/$/A/' ref.fa >v.fa; broken "a line too long" 'v.fa'
sed '4s/.$//' ref.fa >v.fa; broken "a line too short" 'v.fa'
sed '4s/^/\n/' ref.fa >v.fa; broken "a blank line inside a contig" 'v.fa'
: >v.fa; broken "0 bytes" 'v.fa: .*empty'
printf '\n\n' >v.fa; broken "blank lines" 'v.fa'
tail -n +2 ref.fa >v.fa; broken "no header line" 'v.fa'
cp in.bed v.fa; broken "a BED" 'v.fa'
awk '/^>/ { next } { print "@r" NR; print; print "+"; print }' ref.fa >v.fa; broken "a FASTQ" 'v.fa'
head -c 4000 "$data/ps/model.safetensors" >v.fa; broken "binary junk" 'v.fa'
error "a missing FASTA" 'absent.fa: No such file' on absent.fa in.bed
error "a folder" 'race' on race in.bed
error "a device" '/dev/null' on /dev/null in.bed
mkfifo fifo; error "a FIFO" 'fifo' on fifo in.bed
gzip -c ref.fa >ref.gzip; error "plain gzip" 'ref.gzip: .*bgzip' on ref.gzip in.bed
cp ref.fa.fai ref.gzip.fai; error "plain gzip with an index" 'ref.gzip: .*bgzip' on ref.gzip in.bed
{ cat ref.fa; printf '>d\n'; contig e 100 5; } >v.fa; rm -f v.fa.fai
on v.fa in.bed >got 2>.err
is "an empty contig in the reference does not spoil the others" "$(scores got)" "$(scores want)"

# ---- bgzip ----
if have bgzip && have samtools; then
    bgzip -c ref.fa >ref.fa.gz
    ok "a bgzip FASTA without indexes" on ref.fa.gz in.bed; same "bgzip equals plain" want .out
    is "both its indexes are built" "$(ls ref.fa.gz.*)" "$(printf 'ref.fa.gz.fai\nref.fa.gz.gzi')"
    ok "a second run" on ref.fa.gz in.bed; same "bgzip equals plain, indexes used" want .out
    rm ref.fa.gz.gzi; error "a missing .gzi" 'ref.fa.gz.gzi' on ref.fa.gz in.bed
    sed 's/^>b/>x/' ref.fa | bgzip -c >s.fa.gz; cp ref.fa.fai s.fa.gz.fai
    samtools faidx s.fa.gz --fai-idx /dev/null 2>/dev/null
    bgzip -r s.fa.gz; error "bgzip with a stale .fai" 's.fa.gz' on s.fa.gz in.bed

    # The index gives an offset after the end of the data. An assertion of htslib would abort the process there. In the
    # second case the header of the block claims 65,535 bytes.
    bgzip -c ref.fa >past.fa.gz; bgzip -r past.fa.gz
    for claim in '' '\377\377'; do
        printf "$claim" | dd of=past.fa.gz bs=1 seek=$(($(wc -c <past.fa.gz) - 32)) conv=notrunc 2>/dev/null
        for at in 20000 60000 70000; do
            row "a 50 $at 60 61" >past.fa.gz.fai
            error "a contig at byte $at${claim:+ that the block claims}" 'past.fa.gz.fai: does not belong' \
                on past.fa.gz in.bed
        done
    done
    contig big 300000 5 >big.fa; bgzip -c big.fa >big.fa.gz
    awk 'BEGIN { for (i = 0; i < 305000; i += 21760) if (i + 60 < 300000) print "big\t" i "\t" i + 40 }' >big.bed
    on big.fa big.bed >big.want 2>.err
    ok "several blocks" on big.fa.gz big.bed; same "several blocks equal plain" big.want .out
    cp big.fa.gz.gzi good.gzi; n=$(od -An -v -tu8 -N 8 good.gzi | tr -d " ")
    is "there are several" "$(test "$n" -ge 4 && echo yes)" yes
    # hostile NAME: big.fa.gz is refused with the present .gzi. Afterwards the good .gzi is restored.
    hostile() { error ".gzi: $1" 'big.fa.gz' on big.fa.gz big.bed; cp good.gzi big.fa.gz.gzi; }
    # bend K C U: writes big.fa.gz.gzi with the numbers C and U in its pair K; if K is 0, writes it unchanged.
    bend() {
        k=0
        {   le64 "$n"
            for pairs in $list; do
                k=$((k + 1)); c=${pairs%:*}; u=${pairs#*:}
                [ $k -ne "$1" ] || { c=$2; u=$3; }
                le64 "$c" "$u"
            done; } >big.fa.gz.gzi
    }
    list=$(od -An -v -tu8 -j 8 -w16 good.gzi | awk '{ print $1 ":" $2 }')
    set -- $(echo "$list" | tr ':' ' '); c1=$1 u1=$2 c2=$3 u2=$4 c3=$5 u3=$6
    bend 0 0 0; same "the tests can write a .gzi" good.gzi big.fa.gz.gzi
    : >big.fa.gz.gzi; hostile "0 bytes"
    head -c 7 good.gzi >big.fa.gz.gzi; hostile "7 bytes"
    head -c 30 good.gzi >big.fa.gz.gzi; hostile "cut inside a pair"
    { cat good.gzi; echo; } >big.fa.gz.gzi; hostile "a byte too many"
    { le64 1152921504606846976; tail -c +9 good.gzi; } >big.fa.gz.gzi; hostile "2^60 entries"
    { le64 1152921504606846981; tail -c +9 good.gzi; } >big.fa.gz.gzi; hostile "a count that overflows"
    { le64 -1; tail -c +9 good.gzi; } >big.fa.gz.gzi; hostile "2^64 - 1 entries"
    le64 0 >big.fa.gz.gzi; hostile "no entries"
    { le64 2; head -c 40 good.gzi | tail -c 32; } >big.fa.gz.gzi; hostile "the last entries dropped"
    { le64 $((n - 1)); tail -c +25 good.gzi; } >big.fa.gz.gzi; hostile "the first entry dropped"
    bend 2 "$c1" "$u2"; hostile "an offset twice"
    bend 2 "$c2" "$u1"; hostile "a place twice"
    bend 2 "$c3" "$u3"; hostile "not monotone"
    bend 2 $((c2 + 1)) "$u2"; hostile "an offset that is no block"
    bend 2 "$c2" $((u2 - 1)); hostile "a place off by one"
    bend 2 "$c2" $((u2 - 61)); hostile "a place off by a line"
    bend 3 -1 "$u3"; hostile "a negative offset"
    bend 3 999999999999 "$u3"; hostile "an offset beyond the file"
    bgzip -l 1 -c big.fa >fast.fa.gz; bgzip -r fast.fa.gz
    cp fast.fa.gz.gzi big.fa.gz.gzi; hostile "another compression's"
    contig other 250000 9 | bgzip -c >other.fa.gz; bgzip -r other.fa.gz
    cp other.fa.gz.gzi big.fa.gz.gzi; hostile "another file's"
    cp ref.fa big.fa.gz.gzi; hostile "a text"
    ok "the good one still works" on big.fa.gz big.bed

    size=$(wc -c <big.fa.gz)
    for cut in $((size - 28)) $((size / 2)) "$c2" $((c2 + 5)); do
        head -c "$cut" big.fa.gz >cut.fa.gz; rm -f cut.fa.gz.*
        error "a bgzip FASTA cut at byte $cut of $size, no index" 'cut.fa.gz' on cut.fa.gz big.bed
        error "and a second time" 'cut.fa.gz' on cut.fa.gz big.bed
        cp big.fa.gz.fai cut.fa.gz.fai; cp good.gzi cut.fa.gz.gzi
        [ "$cut" -gt $((size - 29)) ] || error "cut at byte $cut, whole indexes" 'cut.fa.gz' on cut.fa.gz big.bed
    done
    cp big.fa.gz bent.fa.gz; cp big.fa.gz.fai bent.fa.gz.fai; cp good.gzi bent.fa.gz.gzi
    flip bent.fa.gz $((c2 + 3000))
    error "a flipped bit in a bgzip FASTA" 'bent.fa.gz' on bent.fa.gz big.bed
    rm bent.fa.gz.*; error "a flipped bit, no index" 'bent.fa.gz' on bent.fa.gz big.bed
else skip "bgzip FASTA: the same, hostile .gzi, damage" "no bgzip or samtools"; fi

# ---- ten million N ----
{ echo '>n'; head -c 10000000 /dev/zero | tr '\0' N | fold -w 100; } >n10.fa; row 'n 0 10000000' >n10.bed
ok "10 Mb of N, a region" timeout 20 "$caduceus" annotate -m "$data/ps" --window 512 -T n10.fa n10.bed
is "its row has the score ." "$(rows .out)" "$(row 'n 0 10000000 . 0')"
ok "10 Mb of N, a record" timeout 20 "$caduceus" annotate -m "$data/ps" --window 512 --score pll,n,entropy,ic n10.fa
is "its row has no NaN" "$(rows .out)" "$(row 'n 0 10000000 . 0 . .')"
rm -f n10.fa

# ---- FASTA and FASTQ as input ----
ok "FASTA as input" annotate ref.fa; cp .out seqs.out
rows seqs.out | cut -f 1-3 >got; head -n 3 in.bed >three.bed; same "rows are name, 0, length" three.bed got
on ref.fa three.bed >three.out 2>.err; scores three.out >three
prints "a record equals its contig as a region" three scores seqs.out
like "the header names the columns" '^#chrom	start	end	pll	n$' seqs.out
ok "its output is valid BED" on ref.fa seqs.out; scores .out >got; same "with the same scores" three got
# as_input NAME [OPTION...]: s.in gives the same output as ref.fa.
as_input() { name=$1; shift; annotate "$@" s.in >got 2>.err || diag .err; same "$name" seqs.out got; }
sed 's/$/\r/' ref.fa >s.in; as_input "FASTA with CRLF"
sed '/^>/!y/ACGT/acgt/; s/^>.*/& about	it/' ref.fa >s.in; as_input "lower case, descriptions"
awk '!/^>/ { $0 = substr($0, 1, 7) "\n\n" substr($0, 8) } 1' ref.fa >s.in; as_input "ragged FASTA with blank lines"
printf '%s' "$(cat ref.fa)" >s.in; as_input "FASTA without a newline at the end"
gzip -c ref.fa >s.in; as_input "FASTA in gzip"
awk 'function record() { if (s) print s "\n+\n" q; s = q = "" }
    /^>/ { record(); print "@" substr($0, 2); next } { s = s $0; gsub(/./, "@"); q = q $0 }
    END { record() }' ref.fa >ref.fq
cp ref.fq s.in; as_input "FASTQ, all quality @"
as_input "--in-format fastq" --in-format fastq
awk 'NR % 4 == 3 { $0 = "+again" }
    { while (NR % 2 == 0 && length($0) > 50) { print substr($0, 1, 50); $0 = substr($0, 51) } print }' ref.fq >s.in
as_input "FASTQ in many lines"
sed 's/$/\r/' ref.fq >s.in; as_input "FASTQ with CRLF"
gzip -c ref.fq >s.in; as_input "FASTQ in gzip"
if have bgzip; then bgzip -c ref.fa >s.in; as_input "FASTA in BGZF"; else skip "FASTA in BGZF" "no bgzip"; fi
prints "FASTA through a pipe" seqs.out piped ref.fa annotate -
gzip -c ref.fq | annotate - >got 2>.err; same "FASTQ in gzip through a pipe" seqs.out got
prints "-@ 3 gives the same bytes" seqs.out annotate -@ 3 ref.fa
annotate -r b ref.fa >got 2>.err; rows got >b.got; rows seqs.out | sed -n 2p >b.want
same "-r chooses records" b.want b.got
printf '>i\nACGTRRYACGTN\n>e\n>f\nACGT\n' >s.fa; ok "IUPAC and an empty record" annotate s.fa; cp .out s.out
is "rows of both kinds" "$(rows s.out | cut -f 1-3,5 | tr '\t\n' '  ')" "i 0 12 8 e 0 0 0 f 0 4 4 "
is "the empty record has the score ." "$(rows s.out | sed -n 2p)" "$(row 'e 0 0 . 0')"
is "two kinds of warning" "$(grep -c ': warning: ' .err)" 2
like "both are counted" 'in all: 1 empty.*3 letters' .err
printf '>e\n' >s.fa; ok "a header alone" annotate s.fa; is "gives a row" "$(rows .out)" "$(row 'e 0 0 . 0')"
printf '@e\n\n+\n\n@f\nACGT\n+\nIIII\n' >s.fq; ok "an empty FASTQ record" annotate s.fq
is "gives a row" "$(rows .out | cut -f 1-3,5 | tr '\t\n' '  ')" "e 0 0 0 f 0 4 4 "
printf '>s\nACGTACGTacgtACGT\n' >s.fa
ok "--skip-soft-masked on a record" annotate --skip-soft-masked s.fa; is "n is 12" "$(scores .out | cut -f 2)" 12

# rejects NAME REGEX TEXT: a file with this text is refused. REGEX matches the message after the name of the file.
echo old >kept
rejects() { printf "$3" >bad.in; error "$1" "^caduceus annotate: bad\.in:$2" annotate bad.in -o kept; }
good='@r\nACGT\n+\nIIII\n'
rejects "FASTQ that ends after a name" '5: ' "$good@s\n"
rejects "FASTQ that ends in a sequence" '6: ' "$good@s\nACGT\n"
rejects "FASTQ that ends after +" '7: ' "$good@s\nACGT\n+\n"
rejects "FASTQ that ends in a quality" '8: ' "$good@s\nACGT\n+\nIII"
rejects "quality longer than the sequence" '4: .*longer' '@r\nACGT\n+\nIIIII\n'
rejects "quality longer, in two lines" '5: .*longer' '@r\nACGT\n+\nIII\nIII\n'
rejects "FASTQ without +" '[0-9]+: ' '@r\nACGT\nIIII\n@s\nACGT\n+\nIIII\n'
rejects "FASTQ without a name" '5: .*name' "$good@\nACGT\n+\nIIII\n"
rejects "text after FASTQ" '5: ' "${good}hello\n"
rejects "FASTA without a name" '3: .*name' '>r\nACGT\n>\nACGT\n'
rejects "FASTA without a name, but a description" '3: .*name' '>r\nACGT\n> x\nACGT\n'
printf '>r\nAC\000GT\n' >bad.in; error "a NUL in a sequence" 'bad\.in:2: ' annotate --in-format fasta bad.in -o kept
rejects "control letters in a sequence" '3: ' '>r\nACGT\nAC\001GT\n'
rejects "bytes above 127 in a sequence" '3: ' '>r\nACGT\nAC\303\251GT\n'
: >bad.in; error "0 bytes" 'empty' annotate bad.in -o kept
error "0 bytes, forced" 'empty' annotate --in-format fasta bad.in -o kept
error "BED forced to be FASTA" 'in.bed:1: ' annotate --in-format fasta in.bed -o kept
error "FASTA forced to be FASTQ" 'ref.fa:1: ' annotate --in-format fastq ref.fa -o kept
error "FASTA with -T" '-T' on ref.fa ref.fa -o kept
error "FASTA with --clip" '--clip' annotate --clip ref.fa -o kept
error "FASTA with --split" '--split' annotate --split ref.fa -o kept
cp ref.fa own.fa; ln -s own.fa own2.fa
error "-o is the FASTA" 'also an input' annotate own.fa -o own.fa
error "-o is a link to it" 'also an input' annotate own.fa -o own2.fa
error "--embed is the FASTA" 'also an input' annotate own.fa --embed own.fa; same "which is unchanged" ref.fa own.fa
gzip -c ref.fq >ref.fq.gz; head -c $(($(wc -c <ref.fq.gz) / 2)) ref.fq.gz >bad.in
error "gzip'd FASTQ cut short" 'bad.in:' annotate bad.in -o kept
if have bgzip; then
    bgzip -c big.fa >bad.in.gz; size=$(wc -c <bad.in.gz)
    for cut in $((size - 28)) $((size / 2)); do
        head -c $cut bad.in.gz >bad.in
        error "BGZF FASTA cut at byte $cut of $size" 'bad.in:' annotate --score n --mask none bad.in -o kept
    done
else skip "BGZF FASTA cut short" "no bgzip"; fi
same "the destination is untouched" kept untouched
is "no temporary file is left" "$(find . -name '.caduceus-*')" ""
# ---- bgzip files joined with cat have an empty block in the middle ----
if have bgzip; then
    contig j1 90000 3 >j1.fa; contig j2 90000 4 >j2.fa
    { bgzip -c j1.fa; bgzip -c j2.fa; } >joined.fa.gz; cat j1.fa j2.fa >joined.fa
    row 'j1 80000 80100' 'j2 100 200' 'j2 89900 90000' >j.bed
    ok "joined, plain" on joined.fa j.bed; cp .out joined.want
    ok "joined, compressed" on joined.fa.gz j.bed; same "gives the same bytes" joined.want .out
    ok "joined, compressed, indexed" on joined.fa.gz j.bed; same "a second run" joined.want .out
else skip "joined bgzip files" "no bgzip"; fi

# ---- the disk is full when an index is written (43) ----
why=$(no_preload "$full")
if [ -z "$why" ]; then
    mkdir disk; cp ref.fa disk/ref.fa; rm -f disk/ref.fa.fai
    error "a full disk while indexing" 'disk/ref.fa: cannot write its index: No space left' \
        failing_disk AFTER=0 "$caduceus" annotate -m "$data/ps" -T disk/ref.fa in.bed
    is "nothing is left" "$(ls -A disk)" ref.fa
else skip "a full disk while indexing" "$why"; fi

# ---- regions by other names of contigs ----
c=$(sed -n '1s/^>\([^ ]*\).*/\1/p' ref.fa)
printf '%s\tother\n' "$c" >names; printf 'other\t0\t30\nother\t40\t60\n' >other.bed
for r in "$c" other; do
    "$caduceus" annotate --quiet -m "$data/ps" -T ref.fa --chr-alias names -r $r:1-35 other.bed >$r.got
    is "-r $r" "$(grep -vc '^#' $r.got)" 1
done
printf 'nobody\t0\t30\n' >nobody.bed
error "-L that names none of the contigs" 'nobody.bed:1: contig "nobody" is not in ref.fa.*, nor any other row' \
    "$caduceus" annotate -m "$data/ps" -T ref.fa -L nobody.bed --chr-alias names other.bed

finish
