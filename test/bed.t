#!/bin/sh
# bed.t - annotate from BED to BED: which columns and lines are kept and added, and bad input.
. "${srcdir:-.}/test/lib.sh"

annotate() { "$caduceus" annotate -m "$data/ps" --window 512 "$@"; }
bed() { annotate -T ref.fa "$@"; }
refuses() { name=$1; regex=$2; shift 2; error "$name" "$regex" bed -o kept.bed "$@"; }
# data_lines FILE: prints the file without track, browser and blank lines.
data_lines() { grep -v '^track\|^browser\|^[[:space:]]*$' "$1"; }
# shape NAME FILE: the header has one #chrom line, which comes last and names every column.
shape() {
    is "$1: one #chrom line" "$(grep -c '^#chrom' "$2")" 1
    is "$1: the header ends with it and names every column" "$(awk -F '\t' '
        /^#chrom/ { h = NF; next }
        /^##/ { if (h) print "late " $0 }
        !/^#/ && !/^track|^browser|^[ \t\r]*$/ && NF != h { print "columns " NF }' "$2")" ""
}

{ echo '>a'; bases 1000 1 | awk '{ print substr($0, 1, 300) "NNNNNNN" substr($0, 308) }' | fold -w 60
  contig b 700 2; contig chr20 500 3; contig 7 90 4; contig chrM 80 5; contig HLA:01:02 300 6
  contig HLA 300 7; } >ref.fa
sed -n '/^>a/,/^>b/{ /^>/!p; }' ref.fa | tr -d '\n' >a.bases
is "the reference has the expected numbers of bases" "$(tr -d N <a.bases | wc -c) $(tr -cd N <a.bases | wc -c)" "993 7"
echo old >kept.bed
row 'a 0 100 x' 'b 5 600 y' 'a 295 320 z' 'chr20 0 500 w' >in.bed

# ---- the plain case ----
ok "a BED is annotated" bed in.bed -o out.bed
shape "plain" out.bed
rows out.bed | cut -f 1-4 >got; same "input rows are unchanged and in order" in.bed got
is "n counts ACGT" "$(rows out.bed | cut -f 6 | joined)" "100 595 18 500 "
is "no message is printed" "$(cat .err)" ""
annotate --fasta-ref ref.fa in.bed >fasta-ref.bed 2>/dev/null
same "--fasta-ref is -T" out.bed fasta-ref.bed
error "BED without -T" 'give -T' annotate in.bed

# ---- channels: a file, a pipe and a redirection give the same bytes ----
prints "a pipe gives the same bytes as a file" out.bed piped in.bed bed -
prints "standard input gives the same bytes as a file" out.bed reading in.bed bed -
gzip -c in.bed >in.gzip; prints "gzip input gives the same bytes" out.bed bed in.gzip
for n in 1 2 3; do prints "-@ $n gives the same bytes" out.bed bed -@ $n in.bed; done
ok "compressed output" bed in.bed -o out.bed.gz
prints "compressed output holds the same" out.bed gzip -dc out.bed.gz
is "it is BGZF with its end marker" "$(tail -c 28 out.bed.gz | od -An -tx1 | tr -d ' \n')" \
    1f8b08040000000000ff0600424302001b0003000000000000000000
printf '%s' "$(cat in.bed)" >unended.bed; prints "a last line without newline" out.bed bed unended.bed
awk 'BEGIN { srand(3); for (i = 0; i < 20000; i++) printf "a\t%d\t%d\n", rand() * 400, 400 + rand() * 600 }' >big.bed
if command -v bgzip >/dev/null; then
    bgzip -c in.bed >in.bed.gz
    prints "bgzip input gives the same bytes" out.bed bed in.bed.gz
    bgzip -c in.bed | bed - >gz.bed 2>.err; same "bgzip through a pipe equals plain" out.bed gz.bed
    # Rows outside -r are read but not scored, which is fast.
    bgzip -c big.bed >big.bed.gz; size=$(wc -c <big.bed.gz)
    ok "a BGZF file of several blocks" bed -r b big.bed.gz
    first=$(od -An -tu2 -j 16 -N 2 big.bed.gz | tr -d ' ')
    for cut in 17 100 $((first + 1)) $((first + 20)) $((size / 2)) $((size - 28)) $((size - 27)) $((size - 1)); do
        head -c "$cut" big.bed.gz >cut.bed.gz
        refuses "BGZF cut at byte $cut of $size" 'cut short|damaged|binary' -r b cut.bed.gz
        error "the same through a pipe" 'cut short|damaged|binary' \
            piped cut.bed.gz "$caduceus" annotate -m "$data/ps" -T ref.fa -r b - -o kept.bed
    done
    head -c $(($(wc -c <in.bed.gz) - 28)) in.bed.gz >cut.bed.gz
    refuses "a small BGZF file without its end marker" 'cut short' cut.bed.gz
    for at in 40 $((size / 3)) $((size / 2)) $((size - 40)); do
        cp big.bed.gz bent.bed.gz; flip bent.bed.gz "$at"
        refuses "a flipped bit at byte $at of $size" 'damaged' -r b bent.bed.gz
    done
    : | bgzip -c >none.bed.gz; refuses "BGZF of nothing" 'empty' none.bed.gz
    cat in.bed.gz in.bed.gz >twice.bed.gz; cat in.bed in.bed >twice.bed
    bed twice.bed >twice.out 2>.err; prints "joined BGZF files are read to the end" twice.out bed twice.bed.gz
else
    skip "BGZF input: plain, cut, damaged" "no bgzip"
fi
gzip -c big.bed >big.gzip; head -c 50000 big.gzip >cut.gzip
refuses "gzip cut short" 'cut short|damaged' -r b cut.gzip
head -c $(($(wc -c <big.gzip) - 4)) big.gzip >cut.gzip
refuses "gzip cut in its trailer" 'cut short|damaged' -r b cut.gzip

# ---- six columns of numbers look like a CRAM index ----
row '1 100 200 7 0 1' >six.bed; gzip -c six.bed >six.bed.gz
sed 's/^>.*/>1/; 2,$ { />/,$ d; }' ref.fa >six.fa
six() { "$caduceus" annotate --quiet -m "$data/ps" -T six.fa "$1"; }
six six.bed >want 2>/dev/null; ok "compressed" six six.bed.gz; same "gives rows" want .out

# ---- output is an input ----
cp in.bed own.bed; ln -s own.bed soft.bed; ln own.bed hard.bed; mkdir folder
for o in own.bed soft.bed hard.bed ./own.bed folder/../own.bed; do
    error "-o $o is the input" 'is also an input' bed own.bed -o $o
done
error "the input is a link to -o" 'is also an input' bed soft.bed -o own.bed
ln -s ref.fa soft.fa; cp in.bed only.bed
error "-o is the reference" 'is also an input' bed own.bed -o ref.fa
error "-o is a link to the reference" 'is also an input' bed own.bed -o soft.fa
cp ref.fa other.fa; cp ref.fa.fai other.fa.fai
error "-o is the reference's index" 'is also an input' annotate -T other.fa own.bed -o other.fa.fai
error "-o is the -L file" 'is also an input' bed own.bed -L only.bed -o only.bed
error "--embed is the input" 'is also an input' bed own.bed --embed own.bed
error "--embed is a link to the input" 'is also an input' bed own.bed --embed hard.bed
error "--embed is the reference" 'is also an input' bed own.bed --embed ref.fa
cp own.bed m.npy.json; cp own.bed hard2.bed
error "the .json beside --embed is the input" 'is also an input' bed m.npy.json --embed m.npy
error "-o and --embed are one file" 'two outputs' bed own.bed -o one.out --embed one.out
error "-o and --embed are one file, spelt differently" 'two outputs' bed own.bed -o one.out --embed ./one.out
error "-o is the .json beside --embed" 'two outputs' bed own.bed -o one.npy.json --embed one.npy
cp -r "$data/ps" model
error "-o is the model's weights" 'is also an input' \
    "$caduceus" annotate -m model --window 512 -T ref.fa own.bed -o model/model.safetensors
error "standard output is the input" 'also an input' appending hard2.bed bed hard2.bed
same "the input is unchanged" in.bed own.bed
same "the weights are unchanged" "$data/ps/model.safetensors" model/model.safetensors
cp in.bed own.bed; cp own.bed own.want
error "-o names what standard input reads" "also an input" reading own.bed bed - -o own.bed
same "which is unchanged" own.want own.bed

# ---- tiling: 128 + 256 + 128 ----
# cut_rows CONTIG BEG END: prints the tiles of a region as BED rows, by the documented rule, for C = 256 bases per tile.
cut_rows() {
    awk -v contig="$1" -v b="$2" -v e="$3" -v C=256 'BEGIN {
        n = e - b; m = n <= C ? n : C - (C + n) % 2; lo = b + (n - m) / 2; hi = lo + m
        out = contig "\t" lo "\t" hi
        while (lo > b) { x = lo - C > b ? lo - C : b; out = contig "\t" x "\t" lo "\n" out; lo = x }
        while (hi < e) { x = hi + C < e ? hi + C : e; out = out "\n" contig "\t" hi "\t" x; hi = x }
        print out }'
}
for r in 'a 0 1000' 'a 0 999' 'a 100 613' 'a 1 257' 'a 1 258' 'a 290 1000' 'b 0 700'; do
    row "$r" >long.bed; bed long.bed >long.out 2>.err; scores long.out >long.got
    cut_rows $r >tiles.bed; bed tiles.bed >tiles.out 2>.err; combined tiles.out >long.want
    ok "$r equals its tiles run alone" close_to long.got long.want 2e-5
    is "$r: n is exact" "$(cut -f 2 long.got)" "$(cut -f 2 long.want)"
done
row 'a 0 1000' >long.bed; bed long.bed >long.out 2>.err
is "n of all of a is its ACGT" "$(scores long.out | cut -f 2)" 993
# A window as long as the contig gives every base more context, so the value must differ.
annotate -T ref.fa --window 4096 long.bed >wide.out 2>.err
is "another window gives another value" "$(cmp -s long.out wide.out && echo same)" ""
row 'a 300 307' >n.bed; ok "a row of N" bed n.bed
is "a row of N has the score ." "$(rows .out)" "$(row 'a 300 307 . 0')"

# ---- clipping ----
row 'a 900 1000' 'b 0 10' >fits.bed; bed fits.bed >fits.out 2>.err
row 'a 900 1001' 'b 0 10' >past.bed
refuses "past the contig's end" 'past.bed:1: .*--clip' past.bed
row 'a 0 10' 'a 5 9223372036854775807' >past.bed
refuses "far past the contig's end" 'past.bed:2: ' past.bed
row 'a 2000 3000' >beyond.bed
refuses "beyond the contig" 'beyond.bed:1: ' beyond.bed
row 'a 900 2000' 'b 0 10' >past.bed
ok "--clip" bed --clip past.bed; cp .out clip.out
warned "--clip" 'past.bed:1: '
is "a clipped row is verbatim" "$(rows clip.out | cut -f 1-3)" "$(cat past.bed)"
is "and is scored up to the end of the contig" "$(scores clip.out)" "$(scores fits.out)"
ok "--clip of a row beyond the contig" bed --clip beyond.bed
is "has the score ." "$(rows .out)" "$(row 'a 2000 3000 . 0')"
row 'a 900 9223372036854775807' >past.bed
ok "--clip up to 2^63" reading past.bed bed --clip --split -o clip.out -T ref.fa -
is "has the clipped scores" "$(scores clip.out)" "$(scores fits.out | head -n 1)"

# ---- CRLF, comments, track and browser lines ----
sed 's/$/\r/' in.bed >crlf.bed
ok "CRLF" bed crlf.bed; cp .out crlf.out
rows out.bed | sed 's/$/\r/' >crlf.want; rows crlf.out >crlf.got
same "CRLF: CR stays at the end" crlf.want crlf.got
{ printf 'browser position a:1-10\r\n#chrom\tstart\tend\tname\r\n\r\n'; cat crlf.bed; } >crlf2.bed
ok "CRLF with a header" bed crlf2.bed; cp .out crlf2.out; tr -d '\r' <crlf2.out >crlf2.lf
shape "CRLF with a header" crlf2.lf
is "no CR inside a line" "$(grep -c "$(printf '\r').")" 0 <crlf2.out
{   echo 'browser position a:1-1000'; echo '# about'; echo 'track name="x y" db=1'; echo
    row '#chrom start end label'; sed '2q' in.bed
    echo 'track name=second'; echo '#late'; printf ' \t\n'; sed '1,2d' in.bed; } >rich.bed
ok "track, browser, comment and blank lines" bed rich.bed; cp .out rich.out
shape "rich" rich.out
like "the input's header is extended" "^#chrom	start	end	label	pll	n$" rich.out
grep -v '^##' rich.out | grep -v '^#chrom' | awk -F '\t' -v OFS='\t' 'NF > 5 { NF -= 2 } 1' >rich.got
grep -v '^#chrom' rich.bed >rich.want
same "all other lines are copied in order" rich.want rich.got
scores out.bed >rich.want; data_lines rich.out >rich.rows; scores rich.rows >rich.got
same "and do not change scores" rich.want rich.got
ok "into .gz" bed rich.bed -o rich.bed.gz
warned "into .gz" 'track'
gzip -dc rich.bed.gz >rich.gz; grep -v '^track\|^browser' rich.out >rich.want
same "track and browser lines are dropped" rich.want rich.gz
like "a warning counts them" 'in all: .*3 ' .err
if command -v tabix >/dev/null && command -v bgzip >/dev/null; then
    sort -k 1,1 -k 2,2n in.bed | bed - -o sorted.bed.gz 2>.err
    ok "tabix indexes the output" tabix -p bed sorted.bed.gz
    is "and finds a row" "$(tabix sorted.bed.gz b:6-7 | cut -f 1-4)" "$(row 'b 5 600 y')"
else skip "tabix indexes the output" "no tabix"; fi
row '#chrom start end' 'a 0 100' >narrow.bed; row '#chrom start end name' 'a 0 100' >wrong.bed
for f in narrow wrong; do
    ok "$f header" bed $f.bed; cp .out $f.out
    like "$f header: the last one fits" '^#chrom	start	end	pll	n$' $f.out
done
row 'tracker 0 5' >tracker.bed
refuses "a contig named tracker is no track line" 'tracker.bed:1: contig "tracker"' tracker.bed
row '#chrom start end name' >head.bed; ok "header only" reading head.bed bed -
cp .out head.out
is "gives only a header" "$(rows head.out)$(tail -n 1 head.out)" "$(row '#chrom start end name pll n')"
printf '# nothing\ntrack x\n' >head.bed
ok "comments only" bed head.bed; cp .out head.out; like "also give a header" '^#chrom	start	end	pll	n$' head.out
printf '\n' >head.bed; ok "one blank line" bed head.bed
ok "comments only, into .gz" bed head.bed -o head.bed.gz; ok "which is a valid file" gzip -t head.bed.gz
: >zero.bed; refuses "0 bytes" 'zero.bed: .*empty' zero.bed
refuses "0 bytes on standard input" 'empty' - </dev/null

# ---- our own output is valid input ----
row 'a 0 100 x 0 + 0 0 0 2 10,20, 0,80,' 'b 0 50 y 0 - 0 0 0 1 50 0' >bed12.bed
row 'a 0 9 x 0 + 0 0 0 q' >bed10.bed
printf 'a 0  100 x\nb 5 600   y\na 295 320 z\nchr20 0 500 w\n' >space.bed
for f in in crlf rich bed12 bed10 space n narrow; do
    bed $f.bed >once.bed 2>.err; ok "$f: the output is valid input" bed once.bed; cp .out again.bed
    tr -d '\r' <again.bed >again.lf; [ $f = space ] || shape "$f again" again.lf
    tr -d '\r' <once.bed >once.lf; data_lines once.lf >o; data_lines again.lf >a
    scores o >o.scores; rows a | sed 's/	\.$//' >a.rows; scores a.rows >a.scores
    [ $f = bed10 ] || same "$f: with the same scores" o.scores a.scores
done
bed in.bed -o once.bed.gz 2>.err; ok "the .bed.gz output is valid input" bed once.bed.gz
bed --embed - in.bed >once.bed 2>.err; ok "the output with embeddings is valid input" bed once.bed
row '#chrom start end' >empty.bed; bed empty.bed >once.bed 2>.err; ok "an empty output is valid input" bed once.bed
is "and stays empty" "$(rows .out)" ""

# ---- space-separated ----
ok "space-separated BED" bed space.bed; cp .out space.out
scores space.out >space.got; scores out.bed >space.want
same "gives the same scores as the tab-separated BED" space.want space.got
rows space.out | sed 's/	[^	]*	[^	]*$//' >space.got; same "and its columns are unchanged" space.bed space.got

# ---- zero length ----
row 'a 5 5 x' 'a 0 0 y' 'a 1000 1000 z' 'a 0 100 w' >zero.bed
ok "zero-length rows" bed zero.bed; cp .out zero.out
warned "zero-length rows" 'zero.bed:1: '
like "zero-length rows: three" 'in all: .*3 ' .err
is "have the score ." "$(rows zero.out | head -n 3)" "$(row 'a 5 5 x . 0' 'a 0 0 y . 0' 'a 1000 1000 z . 0')"
is "and do not change other rows" "$(rows zero.out | tail -n 1 | cut -f 5-)" "$(rows out.bed | head -n 1 | cut -f 5-)"
bed --embed zero.npy zero.bed >zero.out 2>.err; bed --embed - zero.bed >zero.col 2>.err
is "their embedding is ." "$(rows zero.col | cut -f 7 | head -n 3 | joined)" ". . . "
values=$(($(wc -c <zero.npy) - 4 * 16 * 4)) # the matrix is 4 rows of 16
is "and NaN in a matrix" "$(od -An -v -tf4 -j $values -N 192 zero.npy | tr -s ' ' '\n' | grep -v '^$' | sort -u)" nan

# ---- malformed rows, each on line 2 ----
while IFS='|' read -r what line; do
    printf 'a\t0\t100\n' >bad.bed; printf "$line\n" >>bad.bed
    refuses "$what" '^caduceus annotate: bad\.bed:2: ' bad.bed
done <<'E'
start after end|a\t10\t5
negative start|a\t-1\t5
negative end|a\t0\t-5
text for start|a\tx\t5
text for end|a\t5\tend
plus sign|a\t+5\t10
plus sign in the end|a\t5\t+10
exponent|a\t1e1\t1e2
fraction|a\t1.0\t5
hexadecimal|a\t0x1\t0x5
thousands|a\t1,000\t2,000
empty start|a\t\t5
empty end|a\t5\t
leading blank|a\t 5\t10
trailing blank|a\t5 \t10
above 2^63|a\t0\t9223372036854775808
start above 2^63|a\t9223372036854775808\t9223372036854775809
2^64 + 10|a\t0\t18446744073709551626
below -2^63|a\t-9223372036854775809\t5
100 digits|a\t0\t1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111
one column|a
two columns|a\t5
two columns, spaces|a 5
empty contig|\t0\t5
a lone CR in a number|a\t0\r\t5
a NUL|a\t0\t5\t\000x
more columns than before|a\t0\t5\tx
E
row 'a 0 5 x' 'a 0 5' >bad.bed; refuses "fewer columns than before" 'bad.bed:2: .*column' bad.bed
for line in 'a\t0' 'a\tb\tc' 'x' '{"a": 1}' 'a,0,5' '\0a\t0\t5' '\357\273\277a\t0\t5'; do
    printf "$line\n" >bad.bed; name=$(echo "$line" | tr -cd "[:alnum:] ,:")
    refuses "not a BED: $name" '^caduceus annotate: bad\.bed' bad.bed
done

# ---- contigs that the FASTA lacks ----
row '20 0 5' >hint.bed;  refuses "20 for chr20" 'hint.bed:1: .*"20".*"chr20"' hint.bed
row 'chr7 0 5' >hint.bed; refuses "chr7 for 7" 'hint.bed:1: .*"chr7".*"7"' hint.bed
row 'MT 0 5' >hint.bed; refuses "MT for chrM" 'hint.bed:1: .*"MT".*"chrM"' hint.bed
row 'a 0 5' 'zz 0 5' >hint.bed; refuses "another contig" 'hint.bed:2: .*"zz"' hint.bed
awk 'BEGIN { for (i = 0; i < 5000; i++) printf "x"; print "\t0\t5" }' >hint.bed
refuses "a contig name of 5000 letters" 'hint.bed:1: ' hint.bed

# ---- order ----
awk 'BEGIN { for (i = 0; i < 30; i++)
    print (i % 3 ? "a" : "b") "\t" i * 37 % 300 "\t" 310 + i * 53 % 300 }' >shuffled.bed
sed -n '4,8p;4,4p' shuffled.bed >>shuffled.bed
ok "unsorted, overlapping, repeated rows" bed shuffled.bed; cp .out shuffled.out
rows shuffled.out | cut -f 1-3 >shuffled.got; same "are written one to one, in order" shuffled.bed shuffled.got
tac shuffled.bed | bed - 2>.err >tac.out; rows tac.out | tac >tac.got; rows shuffled.out >shuffled.got
same "and in reverse order with the same values" shuffled.got tac.got

# ---- numbers in options ----
for v in abc -1 -5 99999999999999999999 9223372036854775808 4x '4 ' ' 4' 1.5 1e1 0x2 ''; do
    error "-@ '$v'" '-@' bed -@ "$v" in.bed
    error "--window '$v'" '--window' bed --window "$v" in.bed
    error "--flank '$v'" '--flank' bed --flank "$v" in.bed
    error "--mask 'stride:$v'" '--mask' bed --mask "stride:$v" in.bed
done
for v in 0 1; do bed -@ $v in.bed >threads.bed 2>.err; same "-@ $v works" out.bed threads.bed; done
error "--window 0" '--window' bed --window 0 in.bed
error "--mask stride:0" '--mask' bed --mask stride:0 in.bed
for v in stride 8 Each '' each: none8; do error "--mask '$v'" '--mask' bed --mask "$v" in.bed; done
error "a window too large for memory" 'window' bed --window 1073741824 in.bed
for v in 256 257 300 536870912; do error "--flank $v leaves no tile" 'flank' bed --flank $v in.bed; done
row 'a 290 300' >short.bed
ok "--flank 255 leaves two bases" bed --flank 255 short.bed
is "n is 10 with it" "$(scores .out | cut -f 2)" 10
ok "a tile of one base, an even region" annotate -T ref.fa --window 3 --flank 1 short.bed
is "n is 10 with it" "$(scores .out | cut -f 2)" 10
ok "a window of one base" annotate -T ref.fa --window 1 --flank 0 short.bed
is "n is 10 with it too" "$(scores .out | cut -f 2)" 10
# perplexity FILE: prints its rows, with column 5 (ppl) replaced by exp(-pll); pll is column 4.
perplexity() { rows "$1" | awk -F '\t' -v OFS='\t' '$4 != "." { $5 = exp(-$4) } { print }'; }
row 'a 0 100' 'b 5 600' 'a 300 307' >ppl.bed
bed --score pll,ppl,n ppl.bed >out.ppl 2>.err; perplexity out.ppl >ppl.want; rows out.ppl >ppl.got
ok "ppl is exp(-pll), and . without a base" close_to ppl.got ppl.want 2e-5
annotate --score pll,ppl ref.fa >out.ppl; perplexity out.ppl >ppl.want; rows out.ppl >ppl.got
ok "the same for FASTA records" close_to ppl.got ppl.want 2e-5
is "ppl has a value where n is not 0" "$(rows out.ppl | awk '$5 > 1 { n++ } END { print n }')" 7
bed --mask none --score ppl ppl.bed >out.ppl.none 2>.err
like "under --mask none it is ppl_unmasked" '^#chrom	start	end	ppl_unmasked$' out.ppl.none
error "--score with an unknown name" '--score' bed --score pll,foo in.bed
error "--score empty" '--score' bed --score '' in.bed
error "two inputs" 'one input' bed in.bed in.bed
error "no such input" 'absent.bed: .*No such file' bed absent.bed
error "a folder as input" 'folder' bed folder
error "no such option" 'no-such' bed --no-such in.bed

# ---- locale ----
locale=$(locale -a 2>/dev/null | grep -i '^de_DE\.utf-\?8$' | head -n 1)
[ -n "$locale" ] || skip "with de_DE installed" "locale -a lists none; its name is set all the same"
in_german() { LC_ALL=${locale:-de_DE.UTF-8} LC_NUMERIC=${locale:-de_DE.UTF-8} bed in.bed; }
prints "LC_NUMERIC=de_DE changes no byte" out.bed in_german

# ---- BED12 and the twelve columns ----
line='a 0 100'
for k in 3 4 5 6 7 8 9 10 11 12 13 14; do
    row "$line" >k.bed
    bed k.bed >k2.out 2>.err
    bed --score pll,n,ic k.bed >k3.out 2>.err
    bed --score pll k.bed >k1.out 2>.err
    bed --score none --embed k.npy k.bed >k0.out 2>.err
    for more in 2 3 1 0; do
        want=$((k + more)); [ $k -ne 12 ] && [ $want -eq 12 ] && want=13
        is "$k columns in, $more more" "$(rows k$more.out | awk -F '\t' '{ printf "%d ", NF }')" "$want "
        is "$k columns, $more more, are all named" "$(awk -F '\t' '/^#chrom/ { printf "%d ", NF }' k$more.out)" "$want "
    done
    line="$line 0"
done
rows bed12.bed | cut -f 1-3 >bed3.bed; bed bed3.bed >bed3.out 2>.err; bed bed12.bed >bed12.out 2>.err
scores bed3.out >want; scores bed12.out >got; same "BED12 is its whole span" want got
ok "--split" bed --split bed12.bed; scores .out >split.got
row 'a 0 10' 'a 80 100' >blocks.bed; bed blocks.bed >blocks.out 2>.err; combined blocks.out >split.want
row 'b 0 50' >blocks.bed; bed blocks.bed >blocks.out 2>.err; scores blocks.out >>split.want
ok "--split scores the blocks" close_to split.got split.want 2e-5
is "--split: n is exact" "$(cut -f 2 split.got | joined)" "30 50 "
row 'a 0 990 x 0 + 0 0 0 3 300,7,600 0,300,380' >bed12.bed
bed --split bed12.bed >split.out 2>.err; scores split.out >split.got
row 'a 0 300' 'a 300 307' 'a 380 980' >blocks.bed; bed blocks.bed >blocks.out 2>.err; combined blocks.out >split.want
ok "--split with long blocks, one of N" close_to split.got split.want 2e-5
bed --split in.bed >split.out 2>.err; agree "--split of other rows is their span" 'rows out.bed' 'rows split.out'
while IFS='|' read -r what blocks; do
    row "a 0 100 x 0 + 0 0 0 $blocks" >bad.bed; refuses "--split: $what" 'bad.bed:1: .*block' --split bad.bed
done <<'E'
no blocks|0 0 0
a negative count|-1 5 0
a huge count|9999999999 5 0
a count that overflows|18446744073709551617 5 0
too few sizes|2 5 0,10
too few starts|2 5,5 0
too many sizes|1 5,6 0
text|1 x 0
an empty entry|2 5,,5 0,10
overlapping blocks|2 20,20 0,10
unordered blocks|2 5,5 50,10
past the end|1 101 0
a negative size|1 -5 0
an overflowing start|1 5 9223372036854775807
E
row 'a 990 1020 x 0 + 0 0 0 2 5,10 0,20' >bad.bed
refuses "--split past the contig" 'bad.bed:1: ' --split bad.bed
ok "--split --clip" bed --split --clip bad.bed
row 'a 990 995' >blocks.bed; bed blocks.bed >blocks.out 2>/dev/null
is "scores the rest" "$(scores .out)" "$(scores blocks.out)"

# ---- -r and -L ----
row 'a 0 100' 'a 100 200' 'a 150 400' 'a 400 400' 'b 0 700' 'HLA:01:02 0 50' 'HLA 0 50' 'a 199 200' 'a 200 201' >sel.bed
bed sel.bed >sel.all 2>.err
# selects NAME CONDITION OPTION...: the options select those rows of sel.bed for which the awk condition is true. The
# scores of these rows do not change.
selects() {
    name=$1; cond=$2; shift 2
    bed "$@" sel.bed >sel.out 2>.err || diag .err
    rows sel.out >sel.got; rows sel.all | awk -F '\t' "$cond" >sel.want
    same "$name" sel.want sel.got
}
selects "-r CONTIG" '$1 == "b"' -r b
selects "-r keeps overlapping rows whole" '$1 == "a" && $2 < 200 && $3 > 149' -r a:150-200
selects "-r of one base" '$1 == "a" && $2 <= 199 && $3 > 199' -r a:200-200
selects "-r from" '$1 == "a" && ($3 > 200 || $2 >= 200)' -r a:201
selects "-r from, with a dash" '$1 == "a" && ($3 > 200 || $2 >= 200)' -r a:201-
selects "-r up to" '$1 == "a" && $2 < 100' -r a:-100
selects "-r with thousands" '$1 == "a"' -r a:1-1,000
selects "-r with a comma" '$1 == "a" && $2 < 100 || $1 == "b"' -r a:1-100,b
selects "-r with commas of both kinds" '$1 == "a" || $1 == "b"' -r a:1-1,000,b:1-1,000
selects "-r twice" '$1 == "b" || $1 == "HLA"' -r b -r HLA:1-300
selects "-r of a contig with colons" '$1 == "HLA:01:02"' -r HLA:01:02
selects "-r of a range of it" '$1 == "HLA:01:02"' -r HLA:01:02:1-5
selects "-r past its rows" 'NR < 0' -r HLA:01:02:60-70
selects "-r at an empty row" '$1 == "a" && $2 <= 400 && ($3 > 400 || $2 == 400)' -r a:401-401
row 'a 150 200' >only.bed; selects "-L" '$1 == "a" && $2 < 200 && $3 > 150' -L only.bed
row '#chrom start end x' 'b 0 1 x' 'a 0 1 x' 'a 0 120' 'zz 0 9' | sed 's/$/\r/' >only.bed
selects "-L with CRLF, comments, strangers" '$1 == "a" && $2 < 120 || $1 == "b"' -L only.bed
row 'a 150 200' >only.bed
selects "-r and -L: both" '$1 == "a" && $2 < 200 && $3 > 150 && $2 < 160' -L only.bed -r a:1-160
bed -r b in.bed >sel.out 2>.err; shape "-r" sel.out
bed -r HLA in.bed -o sel.out 2>.err
is "-r that selects no row: exit 0 and a header" "$?$(grep -c '^#chrom' sel.out)$(rows sel.out)" 01
for r in a:10-5 a:x a:5-x a:- a: a:1e3 a:1-2-3 a:+5 a:1-+5 'a:1 - 5' a:99999999999999999999 \
    a:1-99999999999999999999 ''; do
    refuses "-r '$r'" 'region' -r "$r" in.bed
done
refuses "-r of a missing contig" 'region 20: .*"20".*"chr20"' -r 20 in.bed
refuses "-r of a missing contig, the other way" 'region chr7:1-5: .*"chr7".*"7"' -r chr7:1-5 in.bed
refuses "-L of a missing file" 'absent.bed' -L absent.bed in.bed
row 'a 5' >bad.bed; refuses "-L with two columns" 'bad.bed:1: ' -L bad.bed in.bed
row 'a 0 5' 'a 9 5' >bad.bed; refuses "-L with start after end" 'bad.bed:2: ' -L bad.bed in.bed
: >bad.bed; refuses "-L of 0 bytes" 'bad.bed: .*empty' -L bad.bed in.bed

# ---- other kinds of file ----
row '##gff-version 3' 'a src gene 5 50 . + . ID=1' >x.gff
row 'a src gene 5 50 . + . ID=1' >y.gff
row '#!genome-build x' '#' >z.gtf; printf 'a\tsrc\texon\t5\t50\t.\t+\t.\tgene_id "x"; t "y";\n' >>z.gtf
row 'a 4 50' >gff.bed; bed gff.bed >gff.want 2>.err; scores gff.want >gff.want2
for f in x.gff y.gff z.gtf; do
    refuses "$f" 'GFF.*awk' $f
    sed 's/.*onvert it: //; s/FILE/'$f'/' .lines >convert.sh
    sh convert.sh >convert.bed 2>/dev/null; bed convert.bed >convert.out 2>/dev/null; scores convert.out >gff.got
    same "$f: the line shown converts it" gff.want2 gff.got
done
gzip -c x.gff >x.gff.gz; refuses "gzip'd GFF" 'GFF.*awk' x.gff.gz
printf 'BAM\001\377\000\000\000' >x.bam
printf 'CRAM\003\000xxxxxxxxxxxxxxxxxxxx' >x.cram; printf 'BCF\002\002\000\000\000\000xxxxxxx' >x.bcf
for f in x.bam x.cram x.bcf; do refuses "damaged $f" "$f: " $f; done
refuses "an index" 'ref.fa.fai' ref.fa.fai
awk 'BEGIN { for (i = 0; i < 4000; i++) printf "%c", 128 + i * 7919 % 120 }' >junk
refuses "binary junk" '^caduceus annotate: junk' junk
head -c 3000 "$data/ps/model.safetensors" >junk; refuses "safetensors" '^caduceus annotate: junk' junk
head -c 3000 "$caduceus" >junk; refuses "a program" '^caduceus annotate: junk' junk
gzip -c junk >junk.gz; refuses "a program, compressed" '^caduceus annotate: junk.gz' junk.gz
refuses "FASTA given with -T" '-T' ref.fa
refuses "a wrong --in-format" 'in.bed: .*its header' --in-format bam in.bed
refuses "an unknown --in-format" '--in-format gff' --in-format gff in.bed
refuses "FASTA read as BED" 'ref.fa:1: ' --in-format bed ref.fa

# ---- lists of regions ----
listed() { bed --in-format regions "$@"; }
row '#x' '' a a:301-320 a:991 a:991- a:-40 chr20:1-500 HLA:01:02 HLA:01:02:2-5 >in.list; printf 'a:1,000\r\n' >>in.list
row 'a 0 1000' 'a 300 320' 'a 990 1000' 'a 990 1000' 'a 0 40' 'chr20 0 500' 'HLA:01:02 0 300' 'HLA:01:02 1 5' \
    'a 999 1000' >list.bed
list="--score pll,n,entropy"
listed $list in.list -o out.list; bed $list list.bed >out.bed3
rows out.list | grep "$tab" | tr -d '\r' | cut -f 2- >got; rows out.bed3 | cut -f 4- >want
same "a list has the values of the same BED" want got
is "its lines are unchanged" "$(sed '/^#[#r]/d; s/\t[^\r]*//' out.list | cksum)" "$(cksum <in.list)"
like "its header names the columns" '^#region	pll	n	entropy$' out.list
grep '^##' out.bed3 >want; grep '^##' out.list >got; same "its provenance is that of the BED" want got
prints "a list through a pipe" out.list piped in.list listed $list -
prints "and on 3 threads" out.list listed $list -@ 3 in.list
for i in 1 2 3; do listed $list --shard $i/3 in.list -o part.$i; done
ok "parts of a list merge" "$caduceus" merge -o whole.list part.1 part.2 part.3
same "to the output of one run" out.list whole.list
printf 'chrA\ta\n' >names.txt; sed -n 's/^a/chrA/p' in.list >alias.list; sed -n 's/^a/chrA/p' out.list >want
listed $list --chr-alias names.txt alias.list | rows - >got
same "names in the input are kept with --chr-alias" want got
listed $list -r a:995-,HLA:01:02:1-1 in.list | rows - | grep "$tab" | cut -f 1 | joined >got
is "-r selects lines" "$(cat got)" "a a:991 a:991- HLA:01:02 a:1,000 "
echo a:991-2000 >clip.list; ok "--clip clips a region of a list" listed --clip clip.list
is "to the end of the contig" "$(scores .out | cut -f 2)" 10
echo '# none' >none.list; ok "a list without regions" listed none.list; like "has a header" '^#region	pll	n$' .out
for bad in a:0-5 a:5-4 a:x a:1-1001 a:1001 zz:1-2 a:1-2,a:4-5 'a:1-2 ' ' a' 'a	1	2' 'track name=x'; do
    printf '#\n%s\n' "$bad" >bad.list; refuses "a list with '$bad'" '^caduceus annotate: bad.list:2: ' \
        --in-format regions bad.list
done
matrix() { "$caduceus" embed --quiet -m "$data/ps" --window 512 -T ref.fa "$@"; }
matrix --in-format regions in.list -o list.npy; matrix list.bed -o bed.npy
same "embed writes the matrix of the same BED" bed.npy list.npy
refuses "a list is not detected" 'in.list:3: ' in.list
refuses "--split of a list" '--split does not fit' --split --in-format regions in.list
error "a list without -T" 'give -T' annotate --in-format regions in.list

# ---- no error above has changed the output file ----
echo old >old; same "the destination is untouched" old kept.bed
is "no temporary file is left" "$(find . -name '.caduceus-*')" ""
finish
