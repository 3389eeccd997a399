#!/bin/sh
# embed.t - caduceus embed: matrices of embeddings and the names of their rows.
. "${srcdir:-.}/test/lib.sh"

{ contig one 900 7; contig two 120 8; } >ref.fa
printf 'one\t300\t420\tx\none\t0\t30\ty\ntwo\t0\t120\tz\none\t700\t700\tempty\n' >in.bed
base() { grep -v '>' ref.fa | head -n 15 | tr -d '\n' | cut -c "$1"; }
other() { base "$1" | tr ACGT CGTA; }
{   printf '##fileformat=VCFv4.2\n##contig=<ID=one,length=900>\n##contig=<ID=gone,length=9>\n'
    row '#CHROM POS ID REF ALT QUAL FILTER INFO' "one 100 . $(base 100) $(other 100) . . ." \
        "one 200 . $(base 200) $(base 200)TTG,<DEL>,$(other 200) . . ." "one 300 . $(base 300) . . . ." \
        'gone 5 . A C . . .'; } >in.vcf
embed() { "$caduceus" embed --quiet -m "$data/ps" --window 96 "$@"; }
annotate() { "$caduceus" annotate --quiet -m "$data/ps" --window 96 "$@"; }
matrix() { local name=$1; shift; check "$name" matrices.py "$@"; }
py=$(python)

# ---- regions and records: the same matrix as from annotate, and names ----
for how in mean max center none; do
    ok "embed --pool $how" embed -T ref.fa --pool $how in.bed -o m.npy
    annotate -T ref.fa --score none --pool $how --embed want.npy in.bed >want.tsv
    same "--pool $how: the matrix is annotate's" m.npy want.npy
    grep -v '^##' m.tsv >got; grep -v '^##' want.tsv >rows; same "--pool $how: the names are the rows" got rows
done
ok "sequences" embed ref.fa -o s.npy
is "the names of the sequences" "$(rows s.tsv | joined)" "$(printf 'one\t0\t900 two\t0\t120 ')"
matrix "their rows" finite s.npy 2
like "provenance beside it" '"rows": "regions, in order"' s.npy.json
cat ref.fa | embed - -o piped.npy; same "standard input" s.npy piped.npy
embed ref.fa -o plain -@ 3
same "a name without .npy, three threads" s.npy plain
same "and the same names beside it" s.tsv plain.tsv

ok "an array for each row" embed -T ref.fa --pool none in.bed -o a.npz
embed -T ref.fa --pool none in.bed -o a.npy
matrix "is in the .npz" arrays a.npz 120 30 120 0
matrix "as in the .npy" joined a.npz a.npy
error ".npz without --pool none" 'needs --pool none' embed ref.fa -o kept.npz

# ---- variants ----
ok "variants" embed -T ref.fa in.vcf -o v.npy
is "a row for each ALT" \
    "$(rows v.tsv | cut -f 1,2,5 | tr '\t\n' ': ')" "one:100:. one:200:. one:200:SYMBOLIC one:200:. gone:5:NO_CONTIG "
like "the columns have names" "^#chrom	pos	ref	alt	note$" v.tsv
embed -T ref.fa --difference in.vcf -o d.npy
annotate -T ref.fa --score dist,cos in.vcf >scored.vcf
for f in dist cos; do
    sed -n "s/.*CADUCEUS_$(echo $f | tr a-z A-Z)=\([^;	]*\).*/\1/p" scored.vcf | tr , '\n' >$f
done
matrix "REF and ALT side by side; unscored alleles are NaN" alleles v.npy
matrix "--difference is ALT less REF" difference d.npy v.npy
matrix "its length is dist, its angle cos" distances v.npy dist cos
embed -T ref.fa --pool-window 3 in.vcf -o narrow.npy; differ "--pool-window matters" narrow.npy v.npy
embed -T ref.fa -t one:150-250 in.vcf -o t.npy; is "-t" "$(rows t.tsv | lines)" 3

# ---- layers ----
# layer MODEL K COUNTED: the embeddings after layer K are those of the reference; COUNTED names the same layer from the
# end.
layer() {
    if [ -n "$py" ]; then
        "$py" "$reference" annotate -m "$data/$1" -T ref.fa --window 96 --layer "$2" --embed want.npy in.bed >/dev/null
        "$caduceus" embed --quiet -m "$data/$1" --window 96 -T ref.fa --layer "$2" in.bed -o layer.npy
        matrix "$1, layer $2: the published model's" close layer.npy want.npy 1e-5
    else skip "$1, layer $2" "no numpy"; fi
    "$caduceus" embed --quiet -m "$data/$1" --window 96 -T ref.fa --layer "$2" in.bed -o layer.npy
    "$caduceus" embed --quiet -m "$data/$1" --window 96 -T ref.fa --layer "$3" in.bed -o end.npy
    same "$1: layer $3 is layer $2" layer.npy end.npy
    same "$1: also in the provenance" layer.npy.json end.npy.json
}
layer ps 1 -2
layer ps-odd-depth 1 -3
layer ps-odd-depth 2 -2
layer ps-unfused 1 -2
layer ps-layernorm 1 -2
layer ph 1 -2
like "the provenance names the layer" ' layer=1"' layer.npy.json
embed -T ref.fa in.bed -o m.npy
embed -T ref.fa --layer 2 in.bed -o layer.npy; same "the last layer is the default" m.npy.json layer.npy.json
for n in 3 -3; do error "--layer $n" 'layer.*2 layers' embed -T ref.fa --layer $n in.bed -o kept.npy; done
for n in 0 x 1x '' 99999999999; do
    error "--layer '$n'" 'layer.*expected' embed -T ref.fa --layer "$n" in.bed -o kept.npy
done
error "--layer without embeddings" 'layer.*nothing here' annotate -T ref.fa --layer 1 in.bed
annotate -T ref.fa --layer 1 --score none --embed layer.npy in.bed >/dev/null
embed -T ref.fa --layer 1 in.bed -o want.npy; same "annotate --layer" layer.npy want.npy

# ---- shards ----
for in in in.bed in.vcf; do
    rm -f p.*; embed -T ref.fa $in -o whole.npy
    for i in 1 2 3; do embed -T ref.fa $in --shard $i/3 -o p.$i.npy; done
    "$caduceus" merge -o p.npy p.2.npy p.3.npy p.1.npy; same "$in in three shards" whole.npy p.npy
    same "$in: provenance" whole.npy.json p.npy.json
    "$caduceus" merge -o p.tsv p.1.tsv p.2.tsv p.3.tsv; same "$in: names" whole.tsv p.tsv
done

# ---- the classifier of the man page, run without changes ----
name="a classifier learns from embeddings of regions"
if [ "$py" ] && "$py" -c 'import sklearn' 2>/dev/null; then
    awk '/^\.fi/ { at = 0 } at; /^\.nf/ { at = 1 }' "$srcdir/doc/caduceus-embed.1" |
        sed 's/\\e/\\/g; s/\\-/-/g' >classify.py
    # 40 regions, alternately AT-rich and GC-rich, and one of N only
    {   echo ">c"; for i in $(seq 20); do bases 100 $i | tr C A; bases 100 $i | tr A C; done
        bases 100 1 | sed 's/./N/g'; } >labelled.fa
    awk 'BEGIN { for (i = 0; i < 41; i++) print "c\t" 100 * i "\t" 100 * i + 100 "\t" (i % 2 ? "GC" : "AT") }' \
        >regions.bed
    embed -T labelled.fa regions.bed -o regions.npy
    ok "$name" "$py" classify.py
    is "at least nine in ten regions are classified correctly" "$(awk '$1 > .9 { print "y" }' .out)" y
else skip "$name" "no python3 with sklearn"; fi

# ---- an empty region next to a region of several batches ----
contig long 300000 9 >long.fa; printf 'long\t10\t40\nlong\t50\t50\nlong\t100\t299000\nlong\t7\t7\n' >long.bed
ok "arrays of a long region and of empty ones" \
    "$caduceus" embed --quiet -m "$data/ps" --pool none --flank 0 -T long.fa long.bed -o long.npz
matrix "all are there" arrays long.npz 30 0 298900 0

# ---- the tables that finetune and predict read ----
printf 'label,sequence,id\n1,ACGTACGTNN,a\n0,"GGG TTT","b,c"\r\n\n1,acg,d\n' >table.csv
printf '>a\nACGTACGTNN\n>b,c\nGGGTTT\n>d\nacg\n' >table.fa
for format in '' '--in-format csv'; do
    ok "a CSV $format" embed table.csv $format -o csv.npy --no-version
    embed table.fa -o fasta.npy --no-version
    same "the same matrix as from a FASTA $format" csv.npy fasta.npy
    same "and the same names $format" csv.tsv fasta.tsv
done
printf 'Seq\tlabel\nACGT\t\nGG\tx\n' >table.tsv
ok "a TSV whose rows have no names" piped table.tsv embed - -o tsv.npy --no-version
is "they are numbered" "$(tail -n +2 tsv.tsv | cut -f 1 | joined)" "1 2 "
"$caduceus" annotate --quiet -m "$data/ps" --no-version table.csv >scored
"$caduceus" annotate --quiet -m "$data/ps" --no-version table.fa >wanted
same "annotate reads tables too" scored wanted
printf 'sequence,label\nACGT\n' >short.csv
error "a row with fewer columns" 'short.csv:2: 1 columns' embed short.csv -o kept.npy
printf 'sequence,label\nAC5GT,1\n' >odd.csv
error "a letter that is none" 'odd.csv:2: a character' embed odd.csv -o kept.npy
printf 'sequence,label\n"ACGT,1\n' >open.csv
error "a quote that is not closed" 'open.csv:2: a quoted column' embed open.csv -o kept.npy
printf 'dna,label\nACGT,1\n' >unnamed.csv
error "no column of sequences" 'unnamed.csv:1: no column is named sequence' \
    embed --in-format csv unnamed.csv -o kept.npy

# ---- errors ----
echo old >kept.npy; echo old >kept.tsv; cp kept.npy old
error "no output" 'embed: .*-o OUT.npy' embed ref.fa
error "an option that only annotate has" 'embed: --score: not an option of embed' embed --score pll ref.fa -o kept.npy
error "reads" 'annotate --embed -' embed "$srcdir/examples/example.sam" -o kept.npy
error "BED without a reference" 'embed: in.bed: .*-T' embed in.bed -o kept.npy
error "--difference without variants" 'embed: .*--difference' embed --difference ref.fa -o kept.npy
error "a missing input" 'embed: nothing.fa' embed nothing.fa -o kept.npy
cp in.bed in.tsv; error "the names would replace the input" 'also an input' embed -T ref.fa in.tsv -o in.npy
printf 'one\t900\t.\tAAAA\tC\t.\t.\t.\n' | cat in.vcf - >bad.vcf
error "an error after some rows" 'bad.vcf:9: ' embed -T ref.fa bad.vcf -o kept.npy
same "the old matrix is unchanged" old kept.npy; same "and the old names" old kept.tsv
is "no temporary file is left" "$(find . -name '.caduceus-*')" ""
finish
