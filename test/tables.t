#!/bin/sh
# tables.t - text that other programs read: --no-version, --json, and the index of a BED or bedGraph.
. "${srcdir:-.}/test/lib.sh"

model=$data/ps
{ contig chrZ 900 1; contig chr2 300 2; } >ref.fa
row '#chrom start end gene' 'chrZ 5 60 a' 'chrZ 70 90 b' 'chrZ 70 70 none' 'chr2 0 99 c' >in.bed
A() { "$caduceus" annotate --quiet --window 96 -m "$model" -T ref.fa "$@"; }
N() { "$caduceus" annotate --quiet --window 96 -m "$model" "$@"; }
T() { "$caduceus" track --quiet --window 96 -m "$model" -T ref.fa "$@"; }
E() { "$caduceus" embed --quiet --window 96 -m "$model" -T ref.fa "$@"; }
V() { "$caduceus" eval --quiet --window 96 -m "$model" -T ref.fa "$@"; }
M() { "$caduceus" merge "$@"; }
py3=$(any_python)
# leaves NAME FILE WANT: the JSON in FILE has these leaves, as read-json.py prints them.
leaves() {
    if [ -z "$py3" ]; then skip "$1" "no python3"; return; fi
    "$py3" "$checks/read-json.py" "$2" >got 2>.err || diag .err
    is "$1" "$(cat got)" "$3"
}

# ---- --no-version: a table and nothing else ----
# plain NAME FILE COLUMNS: the first line has these names; all rows have as many columns; the rest is that of FILE.with.
plain() {
    is "$1: the first line names the columns" "$(head -n 1 "$2" | tr '\t' ' ')" "$3"
    is "$1: every line has as many" "$(awk -F'\t' '{ print NF }' "$2" | sort -u | lines)" 1
    grep -v '^##' "$2.with" | sed '1s/^#//' >got; same "$1: the rest is as without it" got "$2"
}
A in.bed -o bed.with; A in.bed --no-version -o bed
plain "a BED with a header" bed 'chrom start end gene pll n'
rows in.bed >bare.bed; A bare.bed -o bare.with; A bare.bed --no-version -o bare
plain "one without" bare 'chrom start end name pll n'
sed '1s/.*/#chrom  start end gene/' in.bed >blank.bed; A blank.bed -o blank.with; A blank.bed --no-version -o blank
plain "one whose header has blanks" blank 'chrom start end gene pll n'
echo chrZ:6-60 >list.txt; L() { A --in-format regions list.txt "$@"; }; L -o list.with; L --no-version -o list
plain "a list of regions" list 'region pll n'
N ref.fa -o fasta.with; N ref.fa --no-version -o fasta; plain "sequences" fasta 'chrom start end pll n'
E in.bed -o e.npy; mv e.tsv e.with; E in.bed -o e.npy --no-version; mv e.tsv e
plain "embed" e 'chrom start end gene'
{ printf '##fileformat=VCFv4.2\n##contig=<ID=chrZ,length=900>\n'; row '#CHROM POS ID REF ALT QUAL FILTER INFO' \
    "chrZ 40 . $(sed -n 2p ref.fa | cut -c 40) <DEL> . . ."; } >in.vcf
E in.vcf -o v.npy; mv v.tsv v.with; E in.vcf -o v.npy --no-version; mv v.tsv v
plain "embed of variants" v 'chrom pos ref alt note'
V --markov none -o eval.with; V --markov none --no-version -o eval
plain "eval" eval 'group predictor bases loss bits accuracy perplexity'
T -r chrZ:1-80 >graph.with; T -r chrZ:1-80 --no-version >graph
grep -v '^#' graph.with >got; same "a bedGraph has no line but rows" got graph
error "reads" 'no-version does not fit' N --no-version "$data/../../examples/example.sam"
tr '\t' ' ' <bare.bed >spaces.bed; A spaces.bed --no-version -o spaces
same "rows whose columns lie between blanks too" bare spaces
for i in 1 2 3; do A in.bed --no-version --shard $i/3 -o p$i.bed; E in.bed --no-version --shard $i/3 -o q$i.npy; done
M -o got p3.bed p1.bed p2.bed; same "parts without versions are one run" bed got
M -o got q3.tsv q1.tsv q2.tsv; same "so are embed's" e got
A in.bed --shard 2/3 -o p4.bed; error "one with versions is no part of it" 'made otherwise' M -o x p1.bed p4.bed p3.bed
if [ -n "$py3" ] && "$py3" -c 'import pandas' 2>/dev/null; then
    "$py3" "$checks/pandas-table.py" bed | joined >got
    is "pandas reads it" "$(tr '\t' ' ' <got)" "chrom text start number end number gene text pll number n number "
else skip "pandas reads it" "no pandas"; fi

# ---- --write-index ----
A in.bed -o in.bed.gz --write-index
is "a BED has a .tbi" "$(ls in.bed.gz.*)" in.bed.gz.tbi
if command -v tabix >/dev/null; then
    rows bed.with | grep -v '^chrom' | grep '	70	' >want; prints "tabix finds the rows" want tabix in.bed.gz chrZ:61-80
    A in.bed -o csi.bed.gz --write-index=csi; ok "or a .csi" test -s csi.bed.gz.csi
    prints "which tabix reads" want tabix csi.bed.gz chrZ:61-80
else for what in "tabix finds the rows" "or a .csi" "which tabix reads"; do skip "$what" "no tabix"; done; fi
for i in 1 2; do A in.bed --write-index --shard $i/2 -o p$i.bed.gz; done
M --write-index -o m.bed.gz p2.bed.gz p1.bed.gz
same "merge writes it too" in.bed.gz.tbi m.bed.gz.tbi
T -o t.bedGraph.gz; T -o u.bedGraph.gz --write-index=csi
is "a bedGraph has one, of either kind" "$(ls ./*.bedGraph.gz.* | joined)" "./t.bedGraph.gz.tbi ./u.bedGraph.gz.csi "
error "a bigWig has none" 'only a .bedGraph.gz' T -o t.bw --write-index
# unfit NAME REGEX ROW...: rows after the first, with which no index is written.
unfit() {
    local name=$1 regex=$2; shift 2
    { row 'chrZ 50 60 a'; row "$@"; } >unfit.bed
    error "$name" "unfit.bed:[0-9]*: $regex" A unfit.bed -o unfit.bed.gz --write-index
    is "$name: nothing is written" "$(ls unfit.bed.gz* 2>/dev/null)" ""
}
unfit "rows out of order" 'not sorted .*sort -k1,1 -k2,2n' 'chrZ 70 80 b' 'chrZ 60 70 c'
unfit "a contig in two pieces" 'not sorted' 'chr2 1 9 b' 'chrZ 70 80 c'
unfit "a comment among rows" 'a comment or blank line' '#c' 'chrZ 70 80 c'
unfit "a blank line" 'a comment or blank line' '' 'chrZ 70 80 c'
echo 'chrZ 50 60 a' >unfit.bed; error "blanks" 'use tabs' A unfit.bed -o unfit.bed.gz --write-index
{ row 'chrZ 70 80 b' 'chrZ 60 70 c'; } >any.bed; ok "without an index any order is right" A any.bed -o any.bed.gz
error "a part of a sorted run is not sorted" 'not sorted' A any.bed --shard 1/2 -o any1.bed.gz --write-index
A any.bed -o any.bed.gz --shard 1/1
error "merge of such rows" 'any2.bed.gz: cannot be indexed: its rows are not sorted' \
    M --write-index -o any2.bed.gz any.bed.gz
is "writes nothing" "$(ls any2* 2>/dev/null)" ""
error "no index of plain text" 'as out.bed.gz' A in.bed -o x.bed --write-index
error "nor beside standard output" 'as out.bed.gz' A in.bed --write-index
error "nor a .bai" 'a tbi or csi' A in.bed -o x.bed.gz --write-index=bai
error "nor without the #" 'does not fit --no-version' A in.bed -o x.bed.gz --write-index --no-version
error "merge: plain text" 'as out.bed.gz' M --write-index -o x.bed p1.bed.gz p2.bed.gz
error "the index is an input" 'also an input' A in.bed.gz.tbi --in-format bed -o in.bed.gz --write-index

# ---- --json ----
A in.bed --dry-run >want; A in.bed --dry-run --json >json
if [ -n "$py3" ]; then
    "$py3" "$checks/read-json.py" json >got; grep -v '^seconds' want >w; grep -v '^seconds' got >g
    same "--dry-run as JSON" w g; ok "with seconds" grep -q '^seconds	[0-9]' got
    for command in "T" "E in.bed -o x.npy" "V --markov none"; do
        $command --dry-run | grep -v '^seconds' >w
        $command --dry-run --json >json; "$py3" "$checks/read-json.py" json | grep -v '^seconds' >g
        same "$command" w g
    done
    row 'chrZ 0 500 train' 'chrZ 500 900 valid' >splits.bed
    V -L splits.bed --markov 1 -o table; V -L splits.bed --markov 1 --json -o json
    rows table | tr '\t' '\n' >want
    "$py3" "$checks/read-json.py" json | grep '^results' | cut -f 2 >got; same "eval's table as JSON" want got
    is "all of it" "$(lines <got)" 84
    "$py3" "$checks/read-json.py" json |
        sed -n 's/^\([a-z].*[a-z0-9]\)	\(.*\)/##caduceus_\1=\2/p' | grep -v results >got
    grep '^##' table >want; same "with its provenance" want got
else for what in "--dry-run as JSON" "with seconds" T E V "eval's table as JSON" "all of it" "with its provenance"; do
    skip "$what" "no python3"; done; fi
error "--json without --dry-run" 'goes with --dry-run' A in.bed --json
error "track: --json without --dry-run" 'goes with --dry-run' T --json -o x.bw

# ---- finetune and predict ----
awk 'BEGIN { print "sequence,label"; for (i = 0; i < 40; i++) {
    s = ""; for (k = 0; k < 20; k++) s = s substr(i % 2 ? "GGCA" : "ATTC", (i * 3 + k * k) % 4 + 1, 1)
    print s "," i % 2 } }' >train.csv
tune() { "$caduceus" finetune --quiet -@ 1 -m "$model" --epochs 1 --batch 8 train.csv --test train.csv -o "$@"; }
P() { "$caduceus" predict --quiet -m one "$@"; }
tune one --no-version --log log >text; tune two --json >json
plain_name() { head -n 1 "$1" | cut -f 1; }
is "metrics.tsv and the log are tables" "$(plain_name one/metrics.tsv) $(plain_name log)" "epoch update"
metrics=$(awk -F'\t' -v OFS='\t' '/^#rows|^#epoch/ { print substr($1, 2), $2 }
    /^[a-z]/ && NF == 2 { print }' text)
by_class=$(awk -F'\t' -v OFS='\t' '/^#class/ { on = 1; next } /^#truth/ { on = 0 } on {
    k = $1 == "macro" ? $1 : "per_class." $1
    print k ".precision", $2; print k ".recall", $3; print k ".f1", $4 }' text)
table="$metrics
classes.0	0
classes.1	1
$by_class
$(tail -n 2 text | awk -F'\t' -v OFS='\t' '{ k = "confusion." NR - 1; print k ".0", $2; print k ".1", $3 }')"
leaves "finetune's metrics as JSON" json "$table"
P train.csv --no-version --metrics m.tsv -o p.tsv; P train.csv --no-version --json --metrics m.json -o p2.tsv
leaves "predict's metrics as JSON" m.json "$(echo "$table" | grep -v '^rows\|^epoch')"
is "predict writes a table" "$(head -n 1 p.tsv | tr '\t' ' ')" "row p_0 p_1 predicted"
is "and plain metrics" "$(grep -c '^##' m.tsv)" 0
P in.bed -T ref.fa -o pbed.with; P in.bed -T ref.fa -o pbed --no-version
plain "predict of a BED" pbed 'chrom start end gene p_0 p_1 predicted'
error "predict: --json without --metrics" 'goes with --metrics' P train.csv --json

# ---- suffixes ----
# not_written NAME OPTION...: refused because of the suffix, and nothing is written.
not_written() {
    local file=$1; shift
    error "$file: $*" "$file: [A-Za-z0-9]*( with gzip)? cannot be written; possible here: *\\.?" "$@"
    is "$file: nothing is written" "$(ls "$file"* 2>/dev/null)" ""
}
for suffix in png wig csv h5 bw.gz npy tsv PNG txt; do not_written t.$suffix T -r chrZ:1-90 -o t.$suffix; done
for suffix in png h5 bw bed npy.gz parquet; do not_written e.$suffix E in.bed -o e.$suffix; done
for suffix in png bam npy bw xlsx; do not_written a.$suffix A in.bed -o a.$suffix; done
for suffix in csv h5 tsv.gz; do not_written m.$suffix A in.bed --embed m.$suffix; done
for suffix in csv bed png; do not_written r.$suffix N "$srcdir/examples/example.sam" -o r.$suffix; done
for suffix in csv bed tsv; do not_written v.$suffix A in.vcf -o v.$suffix; done
not_written x.bw V --markov none -o x.bw; not_written x.csv V --markov none --json -o x.csv
not_written x.bed P train.csv -o x.bed; not_written x.npy P train.csv -o x.npy
not_written x.csv P train.csv --metrics x.csv -o /dev/null
T -r chrZ:1-90 --shard 1/1 -o t1.bw; not_written x.bed M -o x.bed t1.bw
not_written x.png M -o x.png p1.bed p2.bed p3.bed
T -r chrZ:1-90 -o one.bw
for name in solo one.bigWig one.v1 one.BW; do T -r chrZ:1-90 -o $name; same "$name is a bigWig" one.bw $name; done
T -r chrZ:1-90 -O bw -o x.wig; same "-O says more than a suffix" one.bw x.wig
T -r chrZ:1-90 --score pll,ic -o x.csv
ok "the suffix of several tracks is their own" test -s x.csv.pll.bw -a -s x.csv.ic.bw
A in.bed -o a.narrowPeak; A in.bed -o a.bed; same "a suffix that names no format is allowed" a.bed a.narrowPeak

# ---- CSV, and tables of embeddings ----
# commas FILE: a table of tabs as CSV.
commas() { tr '\t' , <"$1"; }
A in.bed -o b.csv; commas bed >want; same "annotate writes CSV" want b.csv
printf '# a comment\nchrZ\t5\t60\ta,"b"\r\n' >odd.bed; A odd.bed -o odd.csv
is "with quotes where needed, and no comments" "$(cut -d , -f 1-5 odd.csv | joined)" \
    'chrom,start,end,name,pll chrZ,5,60,"a,""b""" '
ok "and no CR" test "$(grep -c "$(printf '\r')" odd.csv)" = 0
A in.bed -o b.csv.gz; gzip -dc b.csv.gz >got; same "compressed" b.csv got
for i in 1 2 3; do A in.bed --shard $i/3 -o c$i.csv; done
M -o got.csv c3.csv c1.csv c2.csv; same "in shares too" b.csv got.csv
P train.csv --no-version -o p.tsv; P train.csv -o p.csv; commas p.tsv >want; same "predict writes CSV" want p.csv
P odd.bed -T ref.fa -o podd.csv; is "also of a BED" "$(cut -d , -f 1-5 podd.csv | tail -n 1)" 'chrZ,5,60,"a,""b"""'
V --markov none --no-version -o v.tsv; V --markov none -o v.csv; commas v.tsv >want; same "eval too" want v.csv
E in.bed -o w.tsv --no-version
is "embed writes a table" "$(head -n 1 w.tsv | tr '\t' ' ' | cut -d ' ' -f 1-7)" "chrom start end gene e0 e1 e2"
is "and no other file" "$(ls w.* | joined)" "w.tsv "
E in.bed -o w.csv; commas w.tsv >want; same "or CSV" want w.csv
E in.bed -o w2.tsv; like "with provenance in a .tsv" '^##caduceus_model_sha256=' w2.tsv
A in.bed --score none --embed - --no-version | cut -f 5 | tr ',' '\t' | sed 1d | grep -v '^\.$' >want
cut -f 5- w.tsv | sed 1d | grep -v '^\.' >got; same "its numbers are those of annotate --embed -" want got
is "a region without bases has points" "$(grep none w.tsv | cut -f 5- | tr '\t' '\n' | sort -u)" .
base=$(sed -n 2p ref.fa | cut -c 50)
{ cat in.vcf; row "chrZ 50 . $base $(echo "$base" | tr ACGT CATG) . . ."; } >two.vcf
E two.vcf -o y.tsv --no-version; E two.vcf -o z.tsv --no-version --difference
is "of variants: REF and ALT" "$(head -n 1 y.tsv | tr '\t' '\n' | grep -c '^ref[0-9]\|^alt[0-9]')" \
    $((2 * $(head -n 1 z.tsv | tr '\t' '\n' | grep -c '^e[0-9]')))
awk -F'\t' 'NR == 3 { for (i = 6; i <= (NF - 5) / 2 + 5; i++) print $(i + (NF - 5) / 2) - $i }' y.tsv >y
awk -F'\t' 'NR == 3 { for (i = 6; i <= NF; i++) print $i }' z.tsv >z
ok "ALT less REF is the difference" close_to y z 1e-4
is "every line has as many columns" "$(awk -F'\t' '{ print NF }' y.tsv | sort -u | lines)" 1
error "--pool none does not fit a table" 'needs OUT.npy or OUT.npz' E in.bed --pool none -o none.tsv
for i in 1 2; do E in.bed --shard $i/2 -o s$i.tsv --no-version; done; M -o s.tsv s2.tsv s1.tsv
same "tables of shares are one" w.tsv s.tsv
finish
