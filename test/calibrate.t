#!/bin/sh
# calibrate.t - caduceus calibrate, and annotate --calibration.
. "${srcdir:-.}/test/lib.sh"

py=$(python)
calibrate() { "$caduceus" calibrate --quiet -m "$data/ps" -T ref.fa --window 21 "$@"; }
ann() { "$caduceus" annotate --quiet -m "$data/ps" -T ref.fa --window 21 "$@"; }
loud() { "$caduceus" annotate -m "$data/ps" -T ref.fa --window 21 "$@"; }
contig c 24000 7 >ref.fa
printf 'c\t2\t12000\n' >neutral.bed
ok "a table" calibrate -L neutral.bed -n 5000 -o table.tsv
is "1536 rows" "$(rows table.tsv | lines)" 1536
like "the provenance names model, window and draw" \
    '^##caduceus_options=calibrate mask=each window=21 left=10 right=10 n=5000 seed=1 sites=11998:' table.tsv
"$caduceus" calibrate -m "$data/ps" -T ref.fa --window 21 -L neutral.bed -n 3 -o few.tsv 2>err
like "cells with few sites: a warning" \
    'warning: 1536 of 1536 cells have fewer than 20 sites \([ACGT]{5}>[ACGT]: 3\)' err
is "three sites for each five bases" "$(rows few.tsv | cut -f 3 | sort -u)" 3
calibrate -L neutral.bed -n 3 -@ 5 >got; same "threads and standard output do not matter" few.tsv got
printf 'c\t5000\t12000\nc\t2\t6000\nc\t100\t200\n' >split.bed
calibrate -L split.bed -n 3 >got; same "nor how the regions are written" few.tsv got
calibrate -L neutral.bed -n 3 --seed 2 >got; differ "the seed matters" few.tsv got
calibrate -L neutral.bed -n 3 -r c:1-100 >got; is "-r" "$(rows got | awk '{ n += $3 } END { print n }')" 294
is "--dry-run" "$(calibrate -L neutral.bed -n 3 --dry-run | head -n 4 | cut -f 2 | joined)" "1536 1536 1536 32256 "

# ---- annotate ----
if [ "$py" ]; then
    "$py" "$checks/calibration.py" variants ref.fa 2 12000 >drawn.vcf
    "$py" "$checks/calibration.py" variants ref.fa 12000 23998 >other.vcf
    ann drawn.vcf --calibration table.tsv -o drawn.out
    ann other.vcf --calibration table.tsv -o other.out
    check "the sites drawn: statistics of each cell, means of 0, uniform percentiles" \
        calibration.py same_sites ref.fa drawn.out table.tsv
    diag .out
    check "other sites: means of 0 within their standard errors, uniform percentiles" \
        calibration.py other_sites ref.fa other.out table.tsv
    diag .out
else
    skip "neutral sites are calibrated" "no numpy"
fi
{ echo '>c'; grep -v '>' ref.fa | tr -d '\n' | rev | tr ACGT TGCA; echo; } >rc.fa
printf 'c\t12000\t23998\n' >rc.bed
"$caduceus" calibrate --quiet -m "$data/ps" -T rc.fa --window 21 -L rc.bed -n 5000 -o rc.tsv
rows table.tsv >one; rows rc.tsv >two; ok "the other strand has the same table" close_to one two 1e-4
b() { grep -v '>' ref.fa | tr -d '\n' | cut -c "$1"; }
o() { b "$1" | tr ACGT CGTA; }
{   printf '##fileformat=VCFv4.2\n##contig=<ID=c>\n'
    row '#CHROM POS ID REF ALT QUAL FILTER INFO' "c 2 . $(b 2) $(o 2) . . ." \
        "c 300 . $(b 300) $(o 300),$(b 300)T,* . . ." "c 400 . $(b 400) <DEL> . . ."; } >some.vcf
ann some.vcf --calibration table.tsv >some.out
for f in CLLR Z PCTL; do like "$f is declared" "^##INFO=<ID=CADUCEUS_$f,Number=A,Type=Float" some.out; done
like "the table is in the provenance" 'CADUCEUS_options=.* calibration=[0-9a-f]{16}' some.out
rows some.out | cut -f 8 | sed 's/-\{0,1\}[0-9][-.e0-9]*/x/g' >got
three=$(printf 'CADUCEUS_%s=x,.,.;' CLLR Z PCTL)
printf '%s\n' CADUCEUS_LLR=x "CADUCEUS_LLR=x,.,.;CADUCEUS_DPLL=.,x,.;${three}CADUCEUS_NOTE=.,.,STAR" \
    CADUCEUS_NOTE=SYMBOLIC >want
same "SNVs with five bases around them have values, other alleles do not" got want
ann some.vcf --score dpll --calibration table.tsv | grep -c CADUCEUS_CLLR= >n; is "also without llr" "$(cat n)" 1
for i in 1 2; do ann some.vcf --calibration table.tsv --shard $i/2 -o p$i.vcf; done
ann some.vcf --calibration table.tsv -o whole.vcf
"$caduceus" merge -o merged.vcf p1.vcf p2.vcf; same "shards" merged.vcf whole.vcf
if command -v bcftools >/dev/null && [ -e "$builddir/plugin/caduceus.so" ]; then
    BCFTOOLS_PLUGINS=$builddir/plugin bcftools +caduceus some.vcf -- -T ref.fa -m "$data/ps" --window 21 --quiet \
        --calibration table.tsv 2>err | rows - >got
    rows some.out >want; same "the plugin writes the same" got want
else skip "the plugin" "no bcftools"; fi

# ---- a table of another run ----
other='made with another'
error "another model" "table.tsv: $other model .*calibrate" ann -m "$data/ph" some.vcf --calibration table.tsv
error "another flank" "table.tsv: $other window \(left=10 right=10; here left=9 right=9\)" \
    ann some.vcf --flank 9 --calibration table.tsv
error "another window" "$other window" ann some.vcf --window 31 --calibration table.tsv
error "another anchor" "$other window" ann some.vcf --anchor 9 --calibration table.tsv
error "N as a token" "$other window .*n-token" ann some.vcf --n-token --calibration table.tsv
ok "a wider window with the same flanks is the same" ann some.vcf --window 31 --flank 10 --calibration table.tsv
loud some.vcf --flank 9 --calibration table.tsv --force-calibration >got 2>err
is "--force-calibration writes" "$(grep -c CADUCEUS_CLLR= got)" 1
like "and warns" 'warning: table.tsv: made with another window' err
error "--force-calibration alone" 'needs --calibration' ann some.vcf --force-calibration
error "of a BED" 'does not fit' ann neutral.bed --calibration table.tsv

# ---- faults ----
bad() { error "$1" "$2" ann some.vcf --calibration bad.tsv -o out.vcf; }
error "no table" 'none.tsv: No such' ann some.vcf --calibration none.tsv
cp neutral.bed bad.tsv; bad "a BED" 'bad.tsv:1: not a row'
: >bad.tsv; bad "an empty file" 'bad.tsv: not a table'
head -n 1000 table.tsv >bad.tsv; bad "a table that is cut short" 'bad.tsv: rows are missing'
sed '$s/\t[^\t]*$//' table.tsv >bad.tsv; bad "a row that is cut short" 'bad.tsv:1544: not a row'
sed '20p' table.tsv >bad.tsv; bad "a row twice" 'bad.tsv:21: a second row'
sed '20s/\t-\{0,1\}[0-9][^\t]*$/\tx/' table.tsv >bad.tsv; bad "a text for a number" 'bad.tsv:20: a quantile'
sed 's/^\(##caduceus_percentiles=\)[^,]*,/\1/' table.tsv >bad.tsv; bad "a percentile fewer" 'bad.tsv:7: the percentiles'
grep -v model_sha256 table.tsv >bad.tsv; bad "no model" 'bad.tsv: not a table'
sed 's/$/\r/' table.tsv >crlf.tsv; ok "line ends of Windows" ann some.vcf --calibration crlf.tsv
cp table.tsv kept.tsv; error "the output is the table" 'input' ann some.vcf --calibration kept.tsv -o kept.tsv
same "which stays" kept.tsv table.tsv
error "no regions" 'give neutral regions' calibrate -o x.tsv
error "regions without bases" 'no site to draw' calibrate -L neutral.bed -r c:13000-14000 -o x.tsv
error "a classifier" 'classifier' calibrate -m "$data/cls-ps" -L neutral.bed -o x.tsv
error "an output of another kind" 'x.vcf' calibrate -L neutral.bed -o x.vcf
for n in 0 x ''; do error "-n '$n'" 'calibrate: -n' calibrate -L neutral.bed -n "$n" -o x.tsv; done
is "nothing is left" "$(ls | grep -c '^x\.\|^out\.vcf\|tmp$')" 0
finish
