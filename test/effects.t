#!/bin/sh
# effects.t - scores of alleles that compare predictions around them: jsd and infl. variants.t compares their values
# with the float64 reference and tests the symmetries that they share with other scores.
. "${srcdir:-.}/test/lib.sh"

command -v bcftools >/dev/null || { skip "effects" "no bcftools"; finish; exit; }
py=$(python)
ann() { "$caduceus" annotate --quiet --window 64 -m "$data/ps" -T ref.fa "$@"; }
query() { bcftools query -f "$1\n" "$2"; }
both='%CADUCEUS_JSD %CADUCEUS_INFL'
{ contig one 900 7; contig two 40 8; printf '>n\n'; printf '%.0sN' $(seq 30); echo A; } >ref.fa
base() { awk -v n="$1" '/^>/ { on = $1 == ">" n; next } on' ref.fa | tr -d '\n' | cut -c "$2"; }
other() { base "$@" | tr ACGT CGTA; }
head_of() { printf '##fileformat=VCFv4.2\n##contig=<ID=one>\n##contig=<ID=two>\n##contig=<ID=n>\n'
    row '#CHROM POS ID REF ALT QUAL FILTER INFO'; }
b=$(base one 300)
{   head_of
    row "one 1 . $(base one 1) $(other one 1) . . ." \
        "one 300 . $b $(other one 300),$(other one 300 | tr ACGT CGTA),${b}TT,<DEL>,* . . ." \
        "one 300 . $b $(other one 300) . . ." "one 301 . $(base one 301-310) $(base one 301) . . ." \
        "one 400 . $(base one 400) $(base one 400) . . ." "two 40 . $(base two 40) $(other two 40) . . ." \
        "n 31 . A C . . ."; } >in.vcf

ann in.vcf --score jsd,infl >out.vcf 2>err
is "annotate with jsd and infl" "$? $(cat err)" "0 "
for f in JSD INFL; do
    like "$f is declared" "^##INFO=<ID=CADUCEUS_$f,Number=A,Type=Float,Description=\"Caduceus: mean .*\">" out.vcf
done
like "the provenance has the width" 'options=score=jsd,infl .*pool-window=768' out.vcf
query '%POS %CADUCEUS_JSD' out.vcf | awk '{ print $1, gsub(/[0-9.]+e?-?[0-9]*/, "x", $2) }' >/dev/null
query "%POS $both" out.vcf | sed 's/[0-9][-.e0-9]*\([0-9]\)/x/2g; s/ [0-9][-.e0-9]*/ x/g; s/,[0-9][-.e0-9]*/,x/g' >shape
row '1 x x' '300 x,x,x,.,. x,x,x,.,.' '300 x x' '301 x x' '400 . .' '40 x x' '31 . .' | tr '\t' ' ' >want
same "each sequence allele has a value; without bases around there is none" shape want
query '%CADUCEUS_JSD' out.vcf | tr ',' '\n' | awk '$1 != "." && !($1 > 0 && $1 < 1)' >bad
is "jsd lies between 0 and 1" "$(cat bad)" ""
is "records at one site have equal values" "$(query "$both" out.vcf | sed -n 3p)" \
    "$(query "$both" out.vcf | sed -n '2s/,[^ ]*//gp')"
passes() { ann in.vcf --dry-run --score "$1" | awk '$1 == "passes" { print $2 }'; }
is "passes: REF and ALT, REF of a site once" "$(passes jsd) $(passes jsd,infl) $(passes llr,infl)" "14 14 18"
ann in.vcf --score infl,jsd | rows - >swapped; rows out.vcf >whole
same "their order in --score does not matter" swapped whole
ann in.vcf --score jsd,infl --mask none | rows - | cmp -s - whole; is "nor does --mask" $? 0
ann in.vcf --score jsd,infl --pool-window 3 | rows - >narrow; differ "--pool-window matters" narrow whole
ann in.vcf --score jsd,infl --pool-window 0 | grep -v '^#' | grep -c CADUCEUS_JSD >none
is "no bases around: no values" "$(cat none)" 0
ann -@ 5 in.vcf --score llr,dpll,jsd,infl,dist -o t5.vcf; ann in.vcf --score llr,dpll,jsd,infl,dist -o t1.vcf
same "threads do not matter" t5.vcf t1.vcf
for i in 1 2 3; do ann in.vcf --score llr,dpll,jsd,infl,dist --shard $i/3 -o p$i.vcf; done
"$caduceus" merge -o merged.vcf p1.vcf p2.vcf p3.vcf; same "nor do shards" merged.vcf t1.vcf
ann in.vcf --score jsd,infl,llr,dpll,n,dist,cos | rows - | grep -o 'CADUCEUS_[A-Z]*' | sort -u | joined >all
is "with all other scores" "$(cat all)" \
    "CADUCEUS_COS CADUCEUS_DIST CADUCEUS_DPLL CADUCEUS_INFL CADUCEUS_JSD CADUCEUS_LLR CADUCEUS_N CADUCEUS_NOTE "
error "a classifier has no predictions" 'classifier' ann -m "$data/cls-ps" in.vcf --score jsd

# ---- a model whose predictions depend on their own base only ----
if [ "$py" ]; then
    "$py" "$checks/independent.py" "$data/ps" flat
    ann -m flat in.vcf --score jsd,infl | query "$both" - | tr ' ,' '\n\n' | sort -u | joined >values
    is "if bases do not depend on each other, jsd and infl are exactly 0, with indels too" "$(cat values)" ". 0 "
else
    skip "independent bases" "no numpy"
fi
# ---- bench/mpra: measured effects and llr ----
mpra() { CADUCEUS=$caduceus "$py" "$srcdir/bench/mpra" -m "$data/ps" "$@"; }
if [ "$py" ]; then
    "$py" "$checks/mpra.py" make; rm -f e.fa.fai
    ok "bench/mpra" mpra elements.tsv; cp .out table
    "$caduceus" annotate --quiet -m "$data/ps" -T e.fa e.vcf --score llr -o scored.vcf
    check "its correlations and intervals, from numpy" mpra.py check table scored.vcf
    gzip -k elements.tsv; prints "a compressed table" table mpra elements.tsv.gz
    mpra --barcodes 1 elements.tsv >all; is "--barcodes 1: more SNVs" "$(paste table all | sed 1d |
        awk -F '\t' '{ print ($10 > $3) }' | joined)" "1 1 "
    sed '2s/\t[ACGT]\t/\tN\t/' elements.tsv >two.tsv
    mpra two.tsv >.out 2>.err; like "two bases at a position" '^mpra: two.tsv: .* has two bases at [0-9]+$' .err
else skip "bench/mpra" "no numpy"; fi
finish
