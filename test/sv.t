#!/bin/sh
# sv.t - the score sv: structural variants and long alleles at their breakpoints.
. "${srcdir:-.}/test/lib.sh"

command -v bcftools >/dev/null || { skip "sv" "no bcftools"; finish; exit; }
py=$(python)
model=$data/ps
ann() { "$caduceus" annotate --quiet --window 64 -m "$model" -T ref.fa "$@"; }
loud() { "$caduceus" annotate --window 64 -m "$model" -T ref.fa "$@"; }
fields='%CHROM\t%POS\t%ALT\t%CADUCEUS_SV\t%CADUCEUS_N\n'
values() { bcftools query -f "$fields" "$1" | awk -F '\t' -v OFS='\t' 'length($3) >= 40 { $3 = "long" } 1'; }
# against MODEL OPTION...: sv of in.vcf agrees with the float64 reference.
against() {
    name="sv of $(basename "$1")"; model=$1; shift
    ann in.vcf --score sv,n "$@" -o got.vcf 2>err || diag err
    values got.vcf >got
    "$py" "$reference" structural "$model" ref.fa in.vcf --window 64 "$@" >want
    ok "$name $*" close_to got want 5e-6
    model=$data/ps
}

# ---- against the reference ----
if [ "$py" ]; then
    "$py" "$checks/structural.py" make ref.fa in.vcf
    "$py" "$reference" random mamba2 --seed 3 --set layer=Mamba2 d_model=32 L=64 >/dev/null
    against "$data/ps"; is "alleles have values" "$(grep -c '	-\{0,1\}[0-9][0-9.e-]*	[0-9]*$' got)" 20
    against "$data/ps" --vocab-softmax; against "$data/ps" --anchor 20
    against "$data/ph" --sv-flank 12; against "$data/plant"
    against "$PWD/mamba2"; against "$PWD/mamba2" --vocab-softmax
    ann in.vcf --score sv,n -o whole.vcf; ann in.vcf --score sv,n -@ 5 | cmp -s - whole.vcf; is "threads" $? 0
    for i in 1 2 3; do ann in.vcf --score sv,n --shard $i/3 -o p$i.vcf; done
    "$caduceus" merge -o merged.vcf p1.vcf p2.vcf p3.vcf; same "shards" merged.vcf whole.vcf
    "$py" "$checks/structural.py" reverse ref.fa in.vcf rc.fa rc.vcf
    "$caduceus" annotate --quiet --window 64 -m "$model" -T rc.fa rc.vcf --score sv,n -o rc.out
    bcftools query -f '%CHROM\t%ID\t%CADUCEUS_SV\t%CADUCEUS_N\n' rc.out | sort >rc
    grep '<\|^#' whole.vcf | bcftools query -f '%CHROM\t%POS\t%CADUCEUS_SV\t%CADUCEUS_N\n' - | sort >forward
    is "the other strand: all symbolic alleles" "$(lines <rc)" 16
    ok "have the same values" close_to rc forward 5e-6
    like "declared" '^##INFO=<ID=CADUCEUS_SV,Number=A,Type=Float,Description="Caduceus: mean over the bases' whole.vcf
    like "the provenance has the width" 'options=score=n,sv .* sv-flank=5' whole.vcf
    shim=$builddir/.libs/caduceus-cuda-shim.so
    for m in "$data/ps" "$PWD/mamba2"; do
        if [ -e "$shim" ]; then
            ann -m "$m" in.vcf --score sv,n -o cpu.vcf; values cpu.vcf >cpu
            CADUCEUS_CUDA_MODULE=$shim ann -m "$m" -d cuda --precision fp32 in.vcf --score sv,n -o cuda.vcf
            values cuda.vcf >cuda; ok "the CUDA kernels agree, $(basename "$m")" close_to cuda cpu 5e-6
        else skip "the CUDA kernels" "no shim"; fi
    done
    if [ -e "$builddir/plugin/caduceus.so" ]; then
        BCFTOOLS_PLUGINS=$builddir/plugin bcftools +caduceus in.vcf -- -T ref.fa -m "$model" --window 64 --quiet \
            --score sv,n 2>err | rows - >got; rows whole.vcf >want; same "the plugin writes the same" got want
    else skip "the plugin" "not built"; fi
else
    skip "sv agrees with the reference" "no numpy"
fi

# ---- spellings, notes ----
repeat() { { bases 200 8; printf '%.0sACGGT' $(seq 300); bases 200 9; } | tr -d '\n' | fold -w 60; echo; }
{ contig one 900 7; echo ">r"; repeat; } >ref.fa; rm -f ref.fa.fai
base() { awk -v n="$1" '/^>/ { on = $1 == ">" n; next } on' ref.fa | tr -d '\n' | cut -c "$2"; }
{   printf '##fileformat=VCFv4.4\n##contig=<ID=%s>\n' one; echo '##contig=<ID=r>'
    for f in END,Number=1,Type=Integer SVLEN,Number=A,Type=Integer SVCLAIM,Number=A,Type=String; do
        echo "##INFO=<ID=$f,Description=\"x\">"; done
    row '#CHROM POS ID REF ALT QUAL FILTER INFO'; } >head.vcf
{   cat head.vcf
    row "r 200 . $(base r 200-1280) $(base r 200) . . ." "r 205 . $(base r 205-1285) $(base r 205) . . ." \
        "r 300 . $(base r 300-1380) $(base r 300) . . ."; } >in.vcf
ann in.vcf --score sv | bcftools query -f '%CADUCEUS_SV\n' - | sort -u >got
is "a long deletion in a repeat has one value, however it is written" "$(lines <got)$(grep -c '^\.' got)" 10
snv="$(base one 300) $(base one 300 | tr ACGT CGTA)"
{   cat head.vcf
    row "one 300 . $(base one 300) <DEL>,<DUP>,<CNV>,<INS>,* . . SVLEN=20,30,5,6,." "one 300 . $snv . . ." \
        "one 301 . $(base one 301) <DEL>,<DEL> . . END=320;SVCLAIM=D,J" "one 302 . $(base one 302) <DEL> . . ." \
        "one 303 . $(base one 303) $(base one 303)[one:500[ . . ." \
        "one 304 . $(base one 304) <DUP:DISPERSED> . . END=330" \
        "one 0 . N <DEL> . . END=20" "one 901 . N <DEL> . . ."; } >in.vcf
ann in.vcf --score llr,dpll,n,sv,dist,jsd -o out.vcf
bcftools query -f '%POS %CADUCEUS_SV %CADUCEUS_LLR %CADUCEUS_DPLL %CADUCEUS_N %CADUCEUS_NOTE\n' out.vcf |
    sed 's/-\{0,1\}[0-9]\.[0-9e-]*/x/g' >got
cat >want <<'END'
300 x,x,.,.,. . . 10,10,.,.,. .,.,SYMBOLIC,NO_SEQUENCE,STAR
300 . x . 1 .
301 .,x . . .,10 DEPTH,.
302 . . . . NO_END
303 . . . . BND
304 . . . . SYMBOLIC
0 x . . 5 EDGE
901 . . . . NO_END
END
same "which alleles have which scores, and notes" got want
ann in.vcf -o plain.vcf; bcftools query -f '%CADUCEUS_NOTE\n' plain.vcf | tr ',' '\n' | sort | uniq -c | tr -s ' ' >got
printf ' 1 .\n 1 STAR\n 11 SYMBOLIC\n' >want; same "without sv the notes are those of before" got want
is "--dry-run: windows of REF and of ALT" \
    "$(ann in.vcf --score sv --dry-run | awk '$1 == "passes" { print $2 }')" "$((3 + 3 + 3 + 3))"
ann in.vcf --score sv --sv-flank 3 | bcftools query -f '%CADUCEUS_SV\n' - >three
ann in.vcf --score sv | bcftools query -f '%CADUCEUS_SV\n' - >five; differ "--sv-flank matters" three five

# ---- faults ----
for k in 0 x 2000; do error "--sv-flank $k" 'sv-flank' ann in.vcf --score sv --sv-flank $k -o x.vcf; done
alone='vocab-softmax is for --score sv'
error "--vocab-softmax without sv" "$alone" ann in.vcf --vocab-softmax -o x.vcf
error "with llr" "$alone" ann in.vcf --score sv,llr --vocab-softmax -o x.vcf
{ cat head.vcf; row "one 300 . $(base one 300) <DEL> . . END=1000"; } >far.vcf
error "an END past the contig" 'far.vcf:[0-9]+: an allele at POS 300 ends at 1000, past the end of one' \
    ann far.vcf --score sv -o x.vcf
ok "without sv it is kept" ann far.vcf
{ cat head.vcf; row "one 300 . $(base one 300 | tr ACGT CGTA) <DEL> . . END=310"; } >other.vcf
error "another REF" 'is it the right reference' ann other.vcf --score sv -o x.vcf
ann other.vcf --score sv --check-ref w | rows - | cut -f 8 >got
is "--check-ref w keeps it" "$(cat got)" "END=310;CADUCEUS_NOTE=SYMBOLIC"
error "of a classifier" 'classifier' ann -m "$data/cls-ps" in.vcf --score sv -o x.vcf
row 'one 10 20' >x.bed; error "of a BED" 'does not fit' ann x.bed --sv-flank 4
is "nothing is left" "$(ls | grep -c '^x\.vcf\|tmp$')" 0
finish
