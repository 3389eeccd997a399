#!/bin/sh
# variants.t - VCF and BCF: compares scores with the float64 reference, tests symmetries of the scores, and tests that
# every record is written unchanged, as read by bcftools.
. "${srcdir:-.}/test/lib.sh"

for tool in bcftools samtools bgzip; do
    command -v $tool >/dev/null || { skip "variants" "no $tool"; finish; exit; }
done
py=$(python)
model=$data/ps
fields=$(printf ,INFO/CADUCEUS_%s LLR DPLL N DIST COS JSD INFL NOTE)
fields=${fields#,}
all=llr,dpll,n,dist,cos,jsd,infl
ann() { "$caduceus" annotate --quiet --window 64 -m "$model" -T ref.fa "$@"; }
loud() { "$caduceus" annotate --window 64 -m "$model" -T ref.fa "$@"; }
# bare FILE: prints the records as bcftools reads them, without the fields that annotate adds.
bare() { bcftools annotate --no-version -x "$fields" "$1" 2>/dev/null | grep -v '^##'; }
records() { bcftools view --no-version "$1" 2>/dev/null | grep -v '^##'; }
# bared OPTION...: prints the records that annotate writes, without the fields that it adds.
bared() { ann "$@" >got.bcf; bare got.bcf; }
# viewed OPTION... FILE: prints the records that bcftools view selects.
viewed() { bcftools view --no-version "$@" 2>/dev/null | grep -v '^##'; }
# unscored FILE: prints the lines of a VCF without the fields that annotate adds. Does not use bcftools.
unscored() {
    awk -F '\t' -v OFS='\t' '!/^#/ { gsub(/;?CADUCEUS_[A-Z]+=[^;]*/, "", $8); if ($8 == "") $8 = "." } !/^##/' "$1"
}
# query FORMAT FILE: prints one line for each record.
query() { bcftools query -f "$1\n" "$2"; }
# values FILE [SUFFIX]: prints a line for each allele: chrom, pos, ID, ref, alt, llr, dpll, n, dist, cos, jsd, infl,
# note.
values() {
    ours=$(printf '\t%%INFO/CADUCEUS_%s' LLR "DPLL$2" N DIST COS JSD INFL NOTE)
    query "%CHROM\t%POS\t%ID\t%REF\t%ALT$ours" "$1" |
        awk -F '\t' '{
            n = split($5, alt, ","); for (k = 6; k <= 13; k++) m[k] = split($k, x, ",")
            for (i = 1; i <= n; i++) {
                s = $1 "\t" $2 "\t" $3 "\t" $4 "\t" alt[i]
                for (k = 6; k <= 13; k++) {
                    split($k, x, ",")
                    s = s "\t" (m[k] == n ? x[i] : m[k] == 1 && $k == "." ? "." : "bad:" $k) }
                print s } }'
}

# ---- random contigs and variants ----
make() { "$py" "$checks/make-variants.py" "$@"; rm -f ./*.fai; }
# exceeds COMMAND LIMIT: prints 1 if the command prints a number above LIMIT, else 0. Used to check that a comparison
# covers enough records.
exceeds() { test "$(eval "$1")" -gt "$2" && echo 1 || echo 0; }

# compare NAME TOLERANCE SEED RECORDS MODEL OPTION...: annotate and the reference agree within TOLERANCE in dpll, which
# is a sum over all compared bases, and within 1e-5 in the other scores.
compare() {
    name=$1 tolerance=$2; make random "$3" "$4" c.fa c.vcf; shift 4
    case $1 in /*) m=$1 ;; *) m=$data/$1 ;; esac; shift
    suffix=; case "$*" in *none*) suffix=_unmasked ;; esac
    "$py" "$reference" variants "$m" c.fa c.vcf --score $all "$@" >want.tsv 2>want.err
    "$caduceus" annotate --quiet -m "$m" -T c.fa c.vcf --score $all "$@" -o got.vcf 2>got.err || diag got.err
    values got.vcf $suffix | cut -f 1,2,4- >got.tsv
    for f in got want; do cut -f 1-5,7- $f.tsv >$f.most; cut -f 6 $f.tsv >$f.dpll; done
    ok "$name: llr, n, dist, cos, jsd, infl, note" close_to got.most want.most 1e-5
    ok "$name: dpll" close_to got.dpll want.dpll "$tolerance"
    for f in got want; do # values of jsd are small, so their logarithms are compared
        cut -f 10 $f.tsv | awk '{ print $1 == "." ? "." : log($1 + 1e-10) }' >$f.jsd
    done
    ok "$name: jsd" close_to got.jsd want.jsd 1e-3
    [ "$(cut -f 11 want.tsv | grep -vc '^\.$')" -gt 0 ] && [ "$(grep -vc '^\.$' want.dpll)" -gt 3 ] ||
        { fail "$name: compared too little"; diag want.err; }
}
# geometry NAME KIND SEED RECORDS OPTION...: annotate and the reference agree in n and note of many alleles. No forward
# pass is needed for these.
geometry() {
    name=$1 lines=$(($4 - 1)); make "$2" "$3" "$4" c.fa c.vcf; shift 4
    "$py" "$reference" variants - c.fa c.vcf --score none "$@" 2>want.err |
        awk -F '\t' -v OFS='\t' '{ print $1, $2, $3, $4, $12, $11 }' >want.tsv
    "$caduceus" annotate --quiet -m "$model" -T c.fa c.vcf --score n "$@" >got.vcf 2>got.err
    query '%CHROM\t%POS\t%REF\t%ALT\t%INFO/CADUCEUS_N\t%INFO/CADUCEUS_NOTE' got.vcf | awk -F '\t' -v OFS='\t' '{
        n = split($4, alt, ","); split($5, x, ","); split($6, y, ",")
        for (i = 1; i <= n; i++) print $1, $2, $3, alt[i], x[i] == "" ? "." : x[i], y[i] == "" ? "." : y[i] }' >got.tsv
    same "$name: bases compared and notes of $(lines <want.tsv) alleles" got.tsv want.tsv
    [ "$(wc -l <want.tsv)" -gt "$lines" ] || { fail "$name: compared too little"; diag want.err; }
}
if [ "$py" ]; then
    compare "ps, stride:8, small flanks" 2e-5 11 24 ps --window 128 --mask stride:8 --flank 20
    compare "ps, each, no flank" 2e-5 12 12 ps --window 64 --mask each --flank 0
    compare "ps, default flank" 1e-4 13 10 ps --window 129 --mask stride:5
    compare "ps, dist over few bases" 2e-5 18 12 ps --window 100 --flank 25 --pool-window 3
    compare "ps-odd-depth, dist in the first layer" 2e-5 20 12 ps-odd-depth --window 100 --layer 1
    compare "ph, stride:3" 2e-5 14 16 ph --window 64 --mask stride:3 --flank 17
    compare "ph, each" 2e-5 19 6 ph --window 64 --mask each --flank 9
    compare "ps-odd-depth, none" 1e-4 15 20 ps-odd-depth --window 101 --mask none
    compare "plant, 512 with 255 before" 1e-4 16 12 plant --window 512 --anchor 255
    "$py" "$reference" random pc2 --seed 3 --set layer=Mamba2 vocab=plant d_model=24 d_state=8 named=false \
        model_max_length=8192 >/dev/null
    compare "PlantCAD2's kind, 2048 with 1023 before" 1e-4 34 6 "$PWD/pc2" --window 2048 --anchor 1023
    compare "plant, an anchor at the edge" 2e-5 17 14 plant --window 60 --anchor 7
    geometry "default" random 21 1500 --window 64
    geometry "wide" random 22 1500 --window 512
    geometry "no flank" random 23 1500 --window 33 --flank 0
    geometry "flank of one" random 24 1500 --window 400 --flank 1
    geometry "anchored" random 25 1500 --window 512 --anchor 255
    geometry "anchored at the first base" random 26 1500 --window 40 --anchor 0
    geometry "anchored at the last base" random 27 1500 --window 40 --anchor 39
    geometry "flank beyond the contigs" random 28 1500 --window 4096

    geometry "long alleles" large 29 300 --window 64
    geometry "long alleles in wide windows" large 30 300 --window 4500 --anchor 3000

    # ---- symmetry ----
    make clean 31 60 ref.fa v.vcf
    make rc ref.fa v.vcf rc.fa rc.vcf
    for how in "ps --window 41 --mask stride:8" "ps --window 63 --mask none --flank 11" \
        "ph --window 101 --mask stride:3" "plant --window 57 --flank 20"; do
        suffix=; case $how in *none*) suffix=_unmasked ;; esac
        # shellcheck disable=SC2086
        set -- $how; m=$1; shift
        "$caduceus" annotate --quiet -m "$data/$m" -T ref.fa v.vcf --score $all "$@" -o one.vcf
        "$caduceus" annotate --quiet -m "$data/$m" -T rc.fa rc.vcf --score $all "$@" -o two.vcf
        values one.vcf $suffix | cut -f 3,6- >one; values two.vcf $suffix | cut -f 3,6- >two
        ok "reverse complement: $how" close_to one two 5e-5
    done
    is "$(lines <one) alleles are compared" "$(exceeds "awk -F '\t' '\$2 != \".\" || \$3 != \".\"' one | wc -l" 60)" 1
    for seed in 41 42; do
        make swap $seed 60 ref.fa v.vcf two.fa two.vcf
        ann v.vcf --score $all -o one.out; ann -T two.fa two.vcf --score $all -o two.out
        values one.out | cut -f 3,6- >one
        values two.out | cut -f 3,6- | awk -F '\t' -v OFS='\t' '{
            for (k = 2; k <= 3; k++) if ($k != "." && $k != "0") $k = $k ~ /^-/ ? substr($k, 2) : "-" $k
            print }' >two
        same "REF and ALT exchanged flip the sign exactly" one two
    done
    is "alleles of every kind are compared" \
        "$(awk -F '\t' '$2 != "." { s++ } $3 != "." { d++ } END { print (s > 5) (d > 20) }' one)" 11
    make spell 51 60 ref.fa left.vcf right.vcf middle.vcf wide.vcf
    for f in left right middle wide; do
        ann $f.vcf --score $all -o $f.out
        values $f.out | cut -f 1,3,6- | sort -k 2 >$f
        query %POS $f.vcf | sort >$f.pos
    done
    is "indels were spelled in two ways" "$(exceeds "comm -3 left.pos right.pos | wc -l" 30)" 1
    same "an indel to the right is the one to the left" left right
    same "so is an indel between" left middle
    same "so is an indel with more bases around it" left wide
    is "and the indels have scores" "$(exceeds "cut -f 4 left | grep -vc '^\.$'" 40)" 1
    for f in right wide; do
        bcftools norm --no-version -f ref.fa $f.vcf 2>/dev/null | ann - --score $all -o norm.out
        values norm.out | cut -f 1,3,6- | sort -k 2 >norm
        same "bcftools norm does not change scores ($f)" left norm
    done
    # Records with several alleles of different kinds.
    make clean 61 80 ref.fa u.vcf
    bcftools sort u.vcf 2>/dev/null >v.vcf
    make random 62 100 c.fa d.vcf
    real_alleles() { values "$1" | awk -F '\t' '$5 !~ /^(\.|<NON_REF>|<\*>)$/' | sort; }
    for f in v.vcf d.vcf; do
        fa=ref.fa; [ $f = d.vcf ] && fa=c.fa
        ann -T $fa $f --score $all -o whole.vcf
        bcftools norm --no-version -m- $f 2>/dev/null >split.vcf
        ann -T $fa split.vcf --score $all -o parts.vcf
        # The alleles that real_alleles drops get a note only in records with other alleles.
        agree "records of several alleles are those of one ($f)" 'real_alleles parts.vcf' 'real_alleles whole.vcf'
    done
else
    for f in "scores against the reference" "geometry" "reverse complement" "REF and ALT exchanged" \
        "spellings of an indel" "split records"; do skip "$f" "no numpy"; done
fi

# ---- every record is written ----
{ contig chr1 1500 1; contig chr2 700 2; contig 'HLA:A*01:01-x;1' 300 3; contig 'chr1:100-200' 400 4; } >ref.fa
rm -f ref.fa.fai
# at CONTIG FIRST [LAST]: prints bases of the reference.
at() {
    awk -v n="$1" -v a="$2" -v b="${3:-$2}" '
        /^>/ { on = substr($1, 2) == n; next } on { s = s $0 } END { printf "%s", substr(s, a, b - a + 1) }' ref.fa
}
# row CONTIG POS END ID ALT QUAL FILTER INFO SAMPLES: prints a record. In ALT, = stands for REF, + for the first base of
# REF, and @ for another base.
row() {
    r=$(at "$1" "$2" "$3"); [ "$4" = N ] && r=N
    first=$(printf %.1s "$r")
    alt=$(printf %s "$5" | sed "s/@/$(echo "$first" | tr ACGT CGTA)/g; s/=/$r/g; s/+/$first/g")
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\tGT:AD:GQ:FT\t%s\n' "$1" "$2" "$4" "$r" "$alt" "$6" "$7" "$8" "$9"
}
cat >h.vcf <<'VCF'
##fileformat=VCFv4.2
##FILTER=<ID=PASS,Description="All filters passed">
##FILTER=<ID=q10,Description="Quality below 10">
##FILTER=<ID=s50,Description="Few, \"samples\"">
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">
##INFO=<ID=AC,Number=A,Type=Integer,Description="Count">
##INFO=<ID=AD,Number=R,Type=Integer,Description="Depths">
##INFO=<ID=DB,Number=0,Type=Flag,Description="dbSNP">
##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequence. Format: A|B|C">
##INFO=<ID=END,Number=1,Type=Integer,Description="End">
##INFO=<ID=SVTYPE,Number=1,Type=String,Description="Kind">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Depths">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Quality">
##FORMAT=<ID=FT,Number=.,Type=String,Description="Filters">
##ALT=<ID=NON_REF,Description="Any other allele">
##contig=<ID=chr1,length=1500,assembly=toy>
##contig=<ID=chr2,length=700>
##contig=<ID=HLA:A*01:01-x;1,length=300>
##contig=<ID=chr1:100-200,length=400>
##source=by hand; a=b
VCF
missing='0/1:.:.:.	.:.:.:.'
{   cat h.vcf
    printf '#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2\n'
    row chr1 0 0 N '<DEL>' . . 'SVTYPE=DEL;END=90' '0/1:3,4:9:.	./.:.:.:.'
    row chr1 1 1 first @ 30 PASS 'DP=7;AF=0.25' '0/1:3,4:9:.	0|0:7,0:99:q10'
    row chr1 50 90 . + 11.5 PASS DP=9 '0/1:3,4:9:.	1/1:.:.:a,b'
    row chr1 60 60 rs1 '@,*,=AC' 0 q10 'DP=1;AF=0.1,0.2,0.7;AC=1,2,.;AD=1,2,3,4' '1|2:1,2,3,4:3:x	3:0,0,0,1:0:.'
    row chr1 60 60 'rs2;rs3' '<NON_REF>' . . END=80 '0/0:5,0:9:.	./.:.:.:.'
    row chr1 81 81 . . 3.4e+38 . 'END=99;DP=0' '0/0:5:9:.	./.:.:.:.'
    row chr1 100 100 . '@,<NON_REF>' 5 PASS 'DP=3;DB' '0/1:5,1,0:9:.	./.:.:.:.'
    row chr1 101 101 . '<*>' 5 PASS . '0/0:5,1:9:.	./.:.:.:.'
    row chr1 120 124 . '+,@,=GG,<DEL>,*' 5e-05 'q10;s50' 'DP=3;CSQ=a|b|c%3B,d||e' '0/5:.:.:.	./.:.:.:.'
    row chr1 300 300 bnd_W '=]chr2:30]' 6 PASS SVTYPE=BND "$missing"
    row chr1 301 301 bnd_V '[chr2:31[=' 6 PASS SVTYPE=BND "$missing"
    row chr1 302 302 . '.=' 6 PASS SVTYPE=BND "$missing"
    row chr1 302 302 . '=' 6 PASS DP=2 "$missing"
    row chr1 302 302 . '@N' 6 PASS DP=2 "$missing"
    row chr1 310 312 . 'acgtn,+@,@+' 6 . DP=2 "$missing"
    row chr1 400 400 . '<INS>' 6 PASS 'SVTYPE=INS;END=400' "$missing"
    row chr1 600 640 . + 6 PASS DP=2 "$missing"
    row chr1 1500 1500 . '@,=T' 6 PASS DP=2 "$missing"
    row chr1 1501 1501 N 'N]chr2:1]' 6 PASS SVTYPE=BND "$missing"
    row chr2 5 5 . @ nan PASS AF=nan "$missing"
    row chr2 200 220 . + . PASS DP=-2 "$missing"
    row 'HLA:A*01:01-x;1' 9 9 . @ . PASS DP=4 "$missing"
    row 'chr1:100-200' 150 150 . '@,=A' . PASS DP=4 "$missing"
} >rich.vcf
ann rich.vcf >rich.out 2>err; is "a file with records of every kind" "$? $(cat err)" "0 "
agree "VCF text is unchanged" 'unscored rich.vcf' 'unscored rich.out'
is "23 records" "$(grep -vc '^#' rich.out)" 23
grep '^##' rich.out | grep -v CADUCEUS_ >got; cat h.vcf >want
same "the header is unchanged" got want
is "records without an alternative sequence get no field" \
    "$(rows rich.out | awk -F '\t' '$5 == "." || $5 == "<NON_REF>" || $5 == "<*>"' | grep -c CADUCEUS)" 0
notes="SYMBOLIC . . .,STAR,. . . .,SYMBOLIC . .,.,.,SYMBOLIC,STAR SYMBOLIC SYMBOLIC SYMBOLIC SAME N_ALT N_ALT,.,."
is "notes" "$(query %CADUCEUS_NOTE rich.out | joined)" "$notes SYMBOLIC . .,EDGE SYMBOLIC . . . . "
bcftools view --no-version rich.vcf -Oz -o rich.vcf.gz; gzip -c rich.vcf >plain.vcf.gz
bcftools view --no-version rich.vcf -Ob -o rich.bcf; bcftools view --no-version rich.vcf -Ou -o u.bcf
bcftools index -t rich.vcf.gz 2>/dev/null; bcftools index rich.bcf
records rich.vcf >want
bcftools view --no-version rich.out >first.vcf
head -c 5 rich.bcf >kind.bcf; printf '##fil' >kind.vcf
for in in rich.vcf rich.vcf.gz rich.bcf u.bcf plain.vcf.gz; do
    formats="u b v z"; [ $in != rich.vcf ] || formats="$formats b0 z9"
    for O in $formats; do
        case $O in u|b*) suffix=bcf ;; v) suffix=vcf ;; *) suffix=vcf.gz ;; esac
        ann $in -O $O -o out.any; ann - -O $O <$in >out.pipe
        is "$in, -O $O: a pipe gives the same bytes as a file" "$(cmp out.any out.pipe && echo same)" same
        prints "$in, -O $O: every record is written" want bare out.any
        [ $in = rich.vcf ] || [ $O != b ] ||
            prints "$in, -O b: values are those of VCF" first.vcf bcftools view --no-version out.any
        [ ${#O} != 1 ] || [ $O = u ] || { ann $in -o by.$suffix; same "$in: .$suffix is -O $O" out.any by.$suffix; }
    done
    ann $in | head -c 5 >as.input
    case $in in *.bcf) kind=bcf ;; *) kind=vcf ;; esac
    same "$in: without -O the output is of its kind" kind.$kind as.input
done
for m in rich.vcf rich.bcf; do
    for t in 1 2 7; do
        ann -@ $t $m -o t.bcf; ann -@ $t - -Ob <$m >t.pipe; cp t.bcf at.$t
        cmp -s t.bcf t.pipe || fail "$m: a pipe differs with -@ $t"
    done 2>/dev/null
    same "$m: -@ 2 gives the same bytes as -@ 1" at.1 at.2
    same "$m: -@ 7 gives the same bytes as -@ 1" at.1 at.7
done
ann rich.out -o twice.vcf
same "annotating again gives the same bytes" rich.out twice.vcf
ann rich.bcf -o once.bcf; ann once.bcf -o twice.bcf
same "the same in BCF" once.bcf twice.bcf
ann rich.vcf --no-version -o nov.vcf
grep '^##' nov.vcf | grep -v '^##INFO=<ID=CADUCEUS' >got
same "--no-version adds only INFO lines" h.vcf got
ann rich.vcf --info-prefix my.own_1 | sed 's/my\.own_1/CADUCEUS/g' >prefix.vcf
same "--info-prefix renames all" rich.out prefix.vcf
for p in 1x '' 'a b' 'a;b' 'a=b' "$(bases 80 5)"; do
    error "--info-prefix '$p'" 'info-prefix' ann rich.vcf --info-prefix "$p"
done
ann rich.vcf --mask none | bcftools query -f '%CADUCEUS_LLR %CADUCEUS_DPLL_unmasked\n' >got
like "--mask none is in the name of dpll, not of llr" '^[-.0-9]+,\.,\. \.,\.,[-.0-9]+$' got
ann rich.vcf --score n,note >/dev/null 2>err; is "--score selects the fields" "$?" 1
is "--score n alone" "$(ann rich.vcf --score n | query %CADUCEUS_N - | head -n 4 | joined)" ". 1 103 1,.,64 "

# ---- alleles of a site share a forward pass ----
passes() { ann "$1" --dry-run --score "${2:-llr}" | awk '$1 == "passes" { print $2 }'; }
few() { cat h.vcf; printf '#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'; cat; }
base=$(at chr1 700); others=$(printf 'A\nC\nG\nT\n' | grep -v "$base" | tr '\n' ,); others=${others%,}
other=${others%%,*}
# snv ALT [INFO]: prints a record at base 700.
snv() { printf 'chr1\t700\t.\t%s\t%s\t.\t.\t%s\n' "$base" "$1" "${2-.}"; }
snv "$other" | few >one.vcf
snv "$others" | few >three.vcf
for a in $(echo $others | tr , ' '); do snv "$a"; done | few >split.vcf
{   printf 'chr1\t698\t.\t%s\t%s\t.\t.\t.\n' "$(at chr1 698 702)" "$(at chr1 698 699)$other$(at chr1 701 702)"
    rows split.vcf; } | few >padded.vcf
all_passes() { for f; do passes $f; done | joined; }
is "one allele, three, three records, one with bases around it: a pass for each POS" \
    "$(all_passes one.vcf three.vcf split.vcf padded.vcf)" "1 1 1 2 "
is "embeddings: the reference and each allele" \
    "$(passes one.vcf dist) $(passes three.vcf dist,cos) $(passes three.vcf llr,dist)" "2 4 5"
values_of() { ann "$1" | bcftools query -f '%CADUCEUS_LLR\n' | tr '\n' , ; }
is "and the same values" "$(values_of three.vcf)" "$(values_of split.vcf)"
ann three.vcf --dry-run -o dry.vcf >dry
is "--dry-run writes no file" "$(ls dry.vcf 2>&1 | grep -c 'cannot access') $(grep -c '^variants	1$' dry)" "1 1"

# ---- regions ----
# bcftools does not accept thousands separators.
bcf_region() { echo "$1" | sed 's/1,000-1,501/1000-1501/'; }
printf 'chr1\t59\t60\nchr1\t60\t85\nchr1\t79\t130\nchr2\t210\t211\n' >some.bed
cp rich.vcf.gz c.vcf.gz; bcftools index c.vcf.gz 2>/dev/null
some="chr1 chr1:60-60 chr1:85 chr1:85-95 chr1:91-99 chr1:70,chr1:80,chr1:90 chr2:210 chr2:1-4 chr1:1500 chr1:1501"
more="chr1:60 chr1:60- chr1:55-62,chr1:60-130 chr1:625,chr2 chr1:1,000-1,501 chr1:1-700,chr2:1-700"
for in in rich.vcf.gz c.vcf.gz rich.bcf; do
    regions="$more $some"; [ $in != c.vcf.gz ] || regions=$some
    for r in $regions; do
        viewed -r "$(bcf_region "$r")" $in >want; prints "$in, -r $r" want bared $in -r "$r"
    done
    viewed -R some.bed $in >want; prints "$in, -R" want bared $in -R some.bed
    viewed -R some.bed -t chr1:60-79 $in >want; prints "$in, -R and -t" want bared $in -R some.bed -t chr1:60-79
    ann $in -r chr1:50-130 -o way.a; ann $in -@ 3 -r chr1:50-130 -o way.b
    same "$in, -r with threads" way.a way.b
    count() { ann $in -r "$1" | bcftools view -H | lines; }
    places() { bared $in -r "$1" | rows - | cut -f 1,2; }
    is "$in: names may hold colons" "$(places 'HLA:A*01:01-x;1')" "HLA:A*01:01-x;1	9"
    is "$in: and have ranges" "$(count 'HLA:A*01:01-x;1:9-9') $(count 'HLA:A*01:01-x;1:10-')" "1 0"
    is "$in: a whole name wins over a range" "$(places 'chr1:100-200')" "chr1:100-200	150"
done
# bcftools view -t never removes records at POS 0.
telomere() { awk -F '\t' '$2 != 0'; }
for in in rich.vcf rich.vcf.gz u.bcf; do
    for r in chr1:60-85 chr1:85 chr2 chr1:60,chr1:81-400,chr2:5; do
        viewed -t "$r" $in | telomere >want
        prints "standard input of $in, -t $r" want reading $in bared -t $r -
    done
    viewed -T some.bed $in | telomere >want
    prints "$in, -L" want bared -L some.bed $in
    prints "$in, -t FILE" want bared -t some.bed $in
    error "$in without index or from a pipe, -r" 'index' ann - -r chr1 <$in
done
error "-r without an index" 'index' ann rich.vcf -r chr1
error "-r of a contig that is not there" 'chr9' ann rich.bcf -r chr9
error "-t of a contig that is not there" 'chr9' ann rich.bcf -t chr9
error "a region that ends before it begins" 'expected CONTIG' ann rich.bcf -r chr1:9-5
ann rich.vcf.gz -r chr2:600 >got
is "a region without records: a header" "$(grep -vc '^#' got) $(grep -c '^#CHROM' got)" "0 1"

# ---- an index is written with the output ----
for kind in vcf.gz=csi vcf.gz=tbi bcf=csi; do
    suffix=${kind%=*} x=${kind#*=}; o=ix.$suffix; rm -f ix.*
    ok "--write-index=$x of .$suffix" ann rich.vcf -o $o --write-index=$x
    is "only that index appears" "$(echo ix.*)" "$o $o.$x"
    is "the index counts the records" "$(bcftools index -s $o | cut -f 1,3 | tr '\n\t' ' =')" \
        "chr1=19 chr2=2 HLA:A*01:01-x;1=1 chr1:100-200=1 "
    for r in chr1:60 chr1:85 chr1:1-1 chr1:1501 chr2; do
        viewed -r $r rich.bcf >want
        bcftools view --no-version -r $r $o >part 2>/dev/null
        prints "bcftools finds $r with it" want bare part
    done
    ann rich.vcf -@ 5 -o it.$suffix --write-index=$x
    same "the index is the same with threads" $o.$x it.$suffix.$x
done
rm -f ix.*; ann rich.vcf -o ix.bcf --write-index; is "--write-index is csi" "$(echo ix.*)" "ix.bcf ix.bcf.csi"
ok "an index of blocks that are not compressed" ann rich.vcf -O z0 -o flat.vcf.gz --write-index=tbi
ann flat.vcf.gz -r chr1:1-700 >got; ann ix.bcf -Ov -r chr1:1-700 >want
is "it finds as many records" "$(rows got | wc -l)" "$(rows want | wc -l)"
gzip -dc flat.vcf.gz >text.vcf.gz; cp flat.vcf.gz.tbi text.vcf.gz.tbi; sleep 1; touch text.vcf.gz.tbi
needs='text.vcf.gz: -r and -R need a file compressed with bgzip'
error "an index beside what is not compressed" "$needs" ann text.vcf.gz -r chr1:1-700
for bad in "-o x.vcf --write-index" "--write-index" "-o x.bcf --write-index=tbi" "-o x.bcf --write-index=bai" \
    "-o x.vcf.gz --write-index=gzi" "-o /dev/null -Ob --write-index"; do
    # shellcheck disable=SC2086
    error "$bad" 'write-index' ann rich.vcf $bad
done
{ grep '^#' rich.vcf; rows rich.vcf | sed -n '1p;5p' | sed '1!G; h; $!d'; } >unsorted.vcf
{ grep '^#' rich.vcf; rows rich.vcf | sed -n '3p;5p;20p' | sed '2{h;d}; 3G'; } >mixed.vcf
for f in unsorted mixed; do
    rm -f ix.*
    error "$f input with --write-index" 'sorted' ann $f.vcf -o ix.bcf --write-index
    is "leaves nothing" "$(ls -A | grep -c -e '^ix' -e 'tmp$')" 0
    ok "$f input without it" ann $f.vcf -o ix.bcf
done

# ---- REF and the FASTA ----
awk '{ if (!/^>/ && !n++) $0 = "N" substr($0, 2, 58) "R"; print }' ref.fa >odd.fa # chr1:1 is N, chr1:60 is R
awk '/^>/ { print; next } { print tolower($0) }' ref.fa >lower.fa
ann -T lower.fa rich.vcf -o lower.vcf
agree "a lower-case FASTA" 'grep -v CADUCEUS_contigs rich.out' 'grep -v CADUCEUS_contigs lower.vcf'
awk -F '\t' -v OFS='\t' '!/^#/ { $4 = tolower($4); if ($5 ~ /^[ACGT,]+$/) $5 = tolower($5) } 1' rich.vcf >lower.in.vcf
scores() { query '%CADUCEUS_LLR %CADUCEUS_DPLL %CADUCEUS_NOTE' "$1"; }
agree "lower-case alleles" 'scores rich.out' 'ann lower.in.vcf | scores -'
ann -T odd.fa rich.vcf 2>err | bcftools query -f '%POS %CADUCEUS_NOTE\n' >got
like "N in the FASTA is N_REF" '^1 N_REF$' got
like "any other letter is N_REF" '^60 N_REF,STAR,N_REF$' got
like "a deletion of N is N_REF" '^50 N_REF$' got
{ printf 'chr1\t1\t.\t%s\tG\t.\t.\t.\n' "$(at chr1 1 2 | tr ACGT CGTA)"; snv "$others"; } | few >differs.vcf
for how in "" "--check-ref e"; do
    # shellcheck disable=SC2086
    error "REF that is not the FASTA's $how" 'differs.vcf:24: REF .* right reference' \
        ann differs.vcf -o differs.out $how
    is "writes nothing" "$(ls differs.out 2>/dev/null)" ""
done
loud differs.vcf --check-ref w >got.vcf 2>err
is "--check-ref w keeps it" \
    "$? $(query '%POS:%CADUCEUS_NOTE:%CADUCEUS_LLR' got.vcf | joined | sed 's/[-.0-9]*,[-.0-9,]*/n,n,n/')" \
    "0 1:REF_MISMATCH:. 700:.:n,n,n "
like "with one warning" 'warning: differs.vcf:24: REF' err
like "and a count" 'in all: 1 allele.* REF differs' err
error "--check-ref x" 'check-ref' ann differs.vcf --check-ref x

# ---- names of contigs ----
sed 's/chr\([12]\)$/\1/' ref.fa >bare.fa
error "no contig is there" 'contig "chr1" is not in bare.fa.*(has|"1")' \
    ann -T bare.fa differs.vcf --check-ref w -o none.vcf
is "nothing is written" "$(ls none.vcf 2>/dev/null)" ""
awk '/^>/ { on = /chr1$/ } on' ref.fa >chr1.fa
loud -T chr1.fa rich.vcf >got.vcf 2>err
is "a contig that is not in the FASTA gives a note" \
    "$? $(query '%CHROM=%CADUCEUS_NOTE' got.vcf | grep '^chr2=' | joined)" "0 chr2=NO_CONTIG chr2=NO_CONTIG "
like "counted" '5 allele.*on contigs that the FASTA lacks' err
records rich.vcf >want; prints "and every record is written" want bare got.vcf
{ grep '^#' rich.vcf; rows rich.vcf | grep SVTYPE; } >symbols.vcf
ok "symbolic alleles alone need no contig" ann -T chr1.fa symbols.vcf -o symbols.out
ann -T bare.fa rich.vcf --chr-alias /dev/null >/dev/null 2>err; is "an alias file without names has no effect" "$?" 1
printf 'chr1\t1\tNC_1\nchr2\t2\n' >two.alias
{   printf '# sequenceName\talias names\tUCSC database: toy\n'
    printf 'chr1\tCM1.1\t1\tNC_1.1\r\nchr2\t\t2\tNC_2.1\nchrM\tMT\n'; } >ucsc.alias
printf '# alias\tchrom\tsource\n1\tchr1\tensembl\n2\tchr2\tensembl\nNC_1\tchr1\trefseq\n' >old.alias
grep -v -e '^##CADUCEUS_contigs' rich.out >want
for f in two ucsc old; do
    named() { ann -T bare.fa rich.vcf --chr-alias $f.alias | grep -v '^##CADUCEUS_contigs'; }
    prints "--chr-alias, $f.alias" want named
done
error "--chr-alias without a contig of the FASTA" 'names no contig' ann -T bare.fa rich.vcf --chr-alias some.bed
error "--chr-alias that is missing" 'gone' ann -T bare.fa rich.vcf --chr-alias gone

# ---- the header ----
for t in 'FORMAT=GT' 'FILTER=q10' 'INFO=DP' 'INFO=CSQ' 'FORMAT=FT'; do
    grep -v "^##${t%=*}=<ID=${t#*=}," rich.vcf >un.vcf
    ann un.vcf -o un.out 2>err; s=$?
    unscored un.out | rows - >got; rows rich.vcf >want
    is "an undeclared $t passes from VCF to VCF" "$s" 0
    same "and it is unchanged" want got
    error "an undeclared $t does not fit BCF" "un.vcf:[0-9]+: .*declare" ann un.vcf -Ob
done
grep -v '^##contig=<ID=chr2' rich.vcf >un.vcf
error "an undeclared contig, also to VCF" 'un.vcf:[0-9]+: contig "chr2"' ann un.vcf -o un.out
llr='##INFO=<ID=CADUCEUS_LLR,Number=A,Type=Float,Description="x">'
note='##INFO=<ID=CADUCEUS_NOTE,Number=A,Type=String,Description="x">'
declare_() { sed "s/^##fileformat.*/&\n$1/"; } # LINES: adds these lines to the header
declare_ "$(echo "$llr" | sed 's/=A/=1/; s/Float/String/')" <rich.vcf >other.vcf
error "CADUCEUS_LLR of another type" 'CADUCEUS_LLR.*info-prefix' ann other.vcf -o other.out
ok "is no error with another prefix" ann other.vcf --info-prefix X -o other.out
declare_ "$llr\n$note" <rich.vcf | sed 's/	DP=[0-9]*/&;CADUCEUS_LLR=77;CADUCEUS_NOTE=OLD,OLDER/' >old.vcf
ann old.vcf >got.vcf
is "existing values are replaced or removed" "$(rows got.vcf | grep -c -e '=77' -e OLD)" 0
placed() { query '%CHROM:%POS %CADUCEUS_LLR %CADUCEUS_DPLL %CADUCEUS_NOTE' "$1"; }
agree "and new values are the same as without old ones" 'placed rich.out' 'placed got.vcf'
rows rich.vcf | cut -f 1-8 | few >sites.vcf
ann sites.vcf -o sites.out
records sites.vcf >want; prints "no samples" want bare sites.out
few </dev/null >empty.vcf
ok "no records" ann empty.vcf -o empty.out
is "a header" "$(grep -c '^#CHROM' empty.out) $(grep -vc '^#' empty.out)" "1 0"
for O in z b u; do
    ann empty.vcf -O $O -o empty.any
    is "no records, -O $O" "$(bcftools view -H empty.any | lines)" 0
done
# The IDX numbers of header lines may have gaps.
sed '/^##FILTER=<ID=PASS/!s/^##\(contig\|INFO\|FORMAT\|FILTER\)=<.*/&IDX/' rich.vcf |
    awk '/^##.*>IDX$/ { n += 3; sub(/>IDX$/, ",IDX=" n + 20 ">") } { print }' >gaps.vcf
records rich.vcf >want
for O in v z b; do ann gaps.vcf -O $O >gaps.any; prints "gaps in IDX, -O $O" want bare gaps.any; done
ok "and an index" ann gaps.any -o gaps.bcf --write-index
: >nothing.vcf; error "an empty file" 'empty' ann nothing.vcf
head -n 5 rich.vcf >headless.vcf; error "no #CHROM line" 'header' ann headless.vcf
sed 's/$/\r/' rich.vcf >crlf.vcf; ann crlf.vcf -o crlf.out
same "CRLF" rich.out crlf.out
{ cat rich.vcf; echo; } >blank.vcf; ann blank.vcf -o blank.out
same "a blank line at the end" rich.out blank.out
head -c $(($(wc -c <rich.vcf) - 1)) rich.vcf >unended.vcf; ann unended.vcf -o unended.out
same "no end of line at the end" rich.out unended.out
awk -v r="$(at chr1 500)" 'BEGIN {
    printf "chr1\t500\t.\t%s\t", r
    for (i = 1; i <= 1500; i++) {
        s = ""; for (k = i; k > 0; k = int(k / 4)) s = s substr("ACGT", k % 4 + 1, 1)
        printf "%s%s", (i > 1 ? "," : ""), r s }
    print "\t.\t.\t." }' | few >many.vcf
ann many.vcf --score n -o many.out
is "1500 alleles" "$(query %CADUCEUS_N many.out | tr , '\n' | grep -c '^[67][0-9]$')" 1500
records many.vcf >want; prints "are written" want bare many.out
awk 'BEGIN {
    printf "chr1\t500\t.\tA\tC"; for (i = 1; i <= 65600; i++) printf ",<%d>", i
    print "\t.\t.\t." }' | few >toomany.vcf
error "more alleles than htslib counts" 'toomany.vcf:24: ' ann toomany.vcf --check-ref w -o toomany.out

# ---- malformed lines ----
# wrong NAME REGEX LINE: the malformed LINE, after a good one, gives an error that names its number.
wrong() {
    { cat one.vcf; printf "$3\n"; } >wrong.vcf; rm -f wrong.out
    error "$1" "wrong.vcf:25: .*$2" ann wrong.vcf -o wrong.out
    is "$1: nothing is written" "$(ls -A | grep -c -e wrong.out -e 'tmp$')" 0
}
for pos in -5 -1 abc 1e2 +7 '' ' 7' 7x 0x7 1.0 99999999999999999999; do
    wrong "POS $pos" 'POS|POS' "chr1\t$pos\t.\tA\tC\t.\t.\t."
done
wrong "POS past the end" 'past the end' "chr1\t1501\t.\tA\tC\t.\t.\t."
wrong "REF past the end" 'past the end' "chr1\t1500\t.\t$(at chr1 1500)A\tC\t.\t.\t."
wrong "POS 0 with bases" 'POS 0' "chr1\t0\t.\tA\tC\t.\t.\t."
wrong "a symbolic allele past the end" 'past the end' "chr1\t1502\t.\tN\t<DEL>\t.\t.\t."
wrong "blanks in place of tabs" 'chr1' "chr1 700 . $base A . . ."
wrong "a comment" '' "#chr1\t700\t.\t$base\tA\t.\t.\t."
columns="chr1\t700\t.\t$base\tA\t.\t.\t."
for n in 1 2 3 4 5 6 7; do wrong "$n columns" '' "$(printf "$columns" | cut -f 1-$n)"; done
wrong "columns without samples" 'column' "chr1\t700\t.\t$base\tA\t.\t.\t.\tGT\t0/1"
wrong "QUAL is text" 'QUAL' "chr1\t700\t.\t$base\tA\tabc\t.\t."
wrong "QUAL ends in text" 'QUAL' "chr1\t700\t.\t$base\tA\t3x\t.\t."
wrong "a NUL" '' "chr1\t700\t.\t$base\tA\t.\t.\tDP=7;\\0CSQ=a"
sed 's/\t0\/1:\.:\.:\.\t\.:\.:\.:\.$/\t0\/1:.:.:./' rich.vcf >short.vcf
error "a sample too few" 'short.vcf:[0-9]+: ' ann short.vcf
{ grep '^#' rich.vcf; rows rich.vcf | cut -f 1-8; } >short.vcf
error "no samples where there should be" 'short.vcf:[0-9]+: ' ann short.vcf
sed '/^#/!s/$/	0\/0/' rich.vcf >more.vcf
error "a sample too many" 'more.vcf:[0-9]+: ' ann more.vcf
# For values that htslib cannot store there is one warning, and a summary counts them.
# lost NUMBER INFO: INFO has NUMBER such values.
lost() {
    snv "$other" "$2" | few >lost.vcf
    loud lost.vcf >got.vcf 2>err
    is "INFO $2: $1 value(s) lost" "$? $(grep -c 'warning: lost.vcf:24: INFO/' err) $(lost_in_all)" \
        "0 $(($1 > 0)) $([ "$1" = 0 ] || echo "in all: $1 value")"
}
lost_in_all() { grep -o 'in all: [0-9]* value' err; }
lost 0 'DP=2147483647;AC=-2147483640,.;AF=1e-30,nan;CSQ=x;DB'
lost 1 AF=1e-300,nan
lost 1 DP=2147483648
lost 2 'AC=1,-9999999999,x'
lost 1 DP=12.5
lost 1 AF=0.5x
lost 0 .
{   printf '##fileformat=VCFv4.2\n##contig=<ID=chr1>\n'
    printf '##FORMAT=<ID=%s,Number=1,Type=%s,Description="x">\n' GT String DP Integer GQ Float
    printf '#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\n'
    printf '%s\tGT:DP:GQ\t0/1:99999999999:5\t1/1:.\n' "$(snv "$other")"; } >lost.vcf
loud lost.vcf >got.vcf 2>err
is "values of samples" "$? $(grep -c 'warning: lost.vcf:7: FORMAT/DP: "99999999999"' err) $(lost_in_all)" \
    "0 1 in all: 1 value"

# ---- damaged files ----
# cuts FILE: prints lengths to which the file is cut: some near its beginning and end, others anywhere.
cuts() {
    n=$(wc -c <"$1")
    echo 1 3 18 28 64 $((n / 5)) $((n / 2)) $((n * 3 / 4)) $((n - 60)) $((n - 36)) \
        $((n - 29)) $((n - 28)) $((n - 27)) $((n - 8)) $((n - 1))
}
# block_edges FILE: prints the offsets of the second and the fourth compressed block.
block_edges() {
    od -An -v -tu1 -w1 "$1" | awk '
        NR > 3 && p3 == 31 && p2 == 139 && p1 == 8 && $1 == 4 { print NR - 4 } { p3 = p2; p2 = p1; p1 = $1 }' |
        sed -n '2p;4p'
}
# refused THREADS FILE: annotate prints one line of error and writes no output.
refused() {
    rm -f cut.out
    ann -@ "$1" "$2" --score n -o cut.out 2>err
    [ $? = 1 ] && [ "$(wc -l <err)" = 1 ] && [ ! -e cut.out ]
}
# The file has many blocks, so that some cuts are at a boundary of blocks.
awk 'BEGIN { s = 1; for (i = 1; i <= 1400; i++) {
    x = ""; for (k = 0; k < 20; k++) { s = s * 16807 % 2147483647; x = x s }
    printf "chr1\t%d\t.\tN\t<DEL>\t.\t.\tCSQ=%s\n", i, x } }' | few >blocks.vcf
bcftools view --no-version -Oz blocks.vcf -o blocks.vcf.gz
bcftools view --no-version -Ob blocks.vcf -o blocks.bcf
gzip -c blocks.vcf >gz.vcf.gz
for f in rich.vcf.gz rich.bcf plain.vcf.gz blocks.vcf.gz blocks.bcf gz.vcf.gz; do
    wrong=; t=3
    edge=$(case $f in blocks*) block_edges $f ;; esac)
    for k in $(cuts $f) $edge; do
        head -c $k $f >cut.any
        t=$((4 - t)) # 1, 3, 1, ...
        refused $t cut.any || wrong="$wrong $k"
        refused $((4 - t)) - <cut.any || wrong="$wrong $k/pipe"
    done
    is "$f cut short at any byte is an error" "$wrong" ""
    case $f in blocks*) is "also at the beginning of a block" "$(echo $edge | wc -w | tr -d ' ')" 2 ;; esac
done
# A changed byte in the compressed data.
for f in rich.vcf.gz rich.bcf plain.vcf.gz; do
    n=$(wc -c <$f); wrong=
    for k in $((n / 4)) $((n / 2)) $((n - 60)) $((n - 40)); do
        {   head -c $k $f; tail -c +$((k + 1)) $f | head -c 1 | tr '\000-\377' '\010-\377\000-\007'
            tail -c +$((k + 2)) $f; } >flip.any
        for t in 1 3; do refused $t flip.any || wrong="$wrong $k"; done
    done
    is "a damaged byte of $f is an error" "$wrong" ""
done
head -c $(($(wc -c <rich.vcf.gz) - 28)) rich.vcf.gz >cut.vcf.gz
for O in z b; do
    ann cut.vcf.gz -O $O >cut.stdout 2>/dev/null
    is "on error a pipe gets no end marker, -O $O" \
        "$(tail -c 28 cut.stdout | od -An -v -tx1 | tr -d ' \n' | grep -c 1b0003000000000000000000)" 0
done

# ---- contigs too long for BCF ----
sed 's/^##contig=<ID=chr2,length=700>/##contig=<ID=chr2,length=3000000000>/' one.vcf >long.vcf
ok "a contig beyond 31 bits in VCF" ann long.vcf -o long.out
error "BCF cannot store the contig" \
    'BCF cannot hold contig chr2 of 3000000000 bases; write VCF' ann long.vcf -Ob -o long.bcf
is "no BCF is written" "$(ls long.bcf 2>/dev/null)" ""
printf 'chr2\t2500000000\t.\tN\t<DEL>\t.\t.\tEND=2500000100\n' >tail; cat long.vcf tail >far.vcf
error "a record past the end of the contig in the FASTA is an error" 'past the end' ann far.vcf

{   printf '##fileformat=VCFv4.2\n##contig=<ID=far,length=6000000000>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'
    printf 'far\t%s\t.\tN\t<DEL>\t.\t.\t.\n' 550000000 5500000000; } >far.vcf
ok "positions beyond 31 bits, with CSI" ann far.vcf -o far.vcf.gz --write-index
is "are found" "$(bcftools view -H far.vcf.gz -r far:5000000000- | cut -f 1-5)" "far	5500000000	.	N	<DEL>"
error "a TBI is an error" 'csi' ann far.vcf -o far.tbi.vcf.gz --write-index=tbi

# ---- the output is the input, or is not a file ----
cp rich.vcf own.vcf; ln -s own.vcf link.vcf; ln own.vcf hard.vcf; cp rich.bcf own.bcf
for o in own.vcf ./own.vcf link.vcf hard.vcf; do
    error "the output is the input ($o)" 'is also an input' ann own.vcf -o $o
done
error "the reference as output" 'is also an input' ann own.vcf -o ref.fa
error "the aliases as output" 'is also an input' ann own.vcf --chr-alias two.alias -o two.alias
error "standard output is the input" 'is also an input' appending own.vcf ann own.vcf
same "the input is unchanged" rich.vcf own.vcf
ln -s own.bcf ix.bcf.csi 2>/dev/null || { rm -f ix.bcf.csi; ln -s own.bcf ix.bcf.csi; }
error "the input as index" 'is also an input' ann own.bcf -o ix.bcf --write-index
same "and the input is unchanged" rich.bcf own.bcf
rm -f ix.*
ok "-o /dev/null" ann rich.vcf -o /dev/null
is "/dev/null is still a device" "$(test -c /dev/null && echo yes)" yes
for O in v z b; do
    rm -f fifo; mkfifo fifo; cat fifo >got & ann rich.vcf -O $O -o fifo; wait
    ann rich.vcf -O $O >want; same "a FIFO, -O $O" want got
done
mkdir -p far; echo old >far/t.bcf; ln -s far/t.bcf near.bcf; ann rich.vcf -o near.bcf
is "a symbolic link is kept" "$(readlink near.bcf)" far/t.bcf
ann rich.vcf -Ob >want; same "its target is replaced" want far/t.bcf
early() { "$caduceus" annotate --quiet -m "$dir/no-model" -T ref.fa rich.vcf "$@"; } # fails before the model is read
error "a missing folder" 'gone/o.bcf: .*No such file' early -o gone/o.bcf
error "a folder" 'far: is a folder' early -o far
error "no reference" 'give -T' "$caduceus" annotate --quiet -m "$model" rich.vcf
for o in '-Oz --output-fmt-option nthreads=2' '-O x' '-O bam' '-O v9' '-O z99' '--clip' '--embed x' '-q 3' '--no-PG' \
    '--skip-soft-masked' '--tag-map yp=xp' '--score pll' '--score none' '--anchor 64' \
    '--window 64 --anchor 3 --flank 2' '--flank 32' '--pool-window -1' '-@ abc' '-@ -1' '-@ 99999999999999999999' \
    '--mask stride:0'; do
    # shellcheck disable=SC2086
    error "$o is refused" 'annotate: ' ann rich.vcf -o refused.vcf $o
    is "and writes nothing" "$(ls -A | grep refused)" ""
done

# ---- full disks (43, 44) ----
error "standard output is full" 'standard output: .*No space left' to_full ann rich.vcf
error "one record, BCF, to a full device" 'No space left' ann one.vcf -Ob -o /dev/full
error "one record, VCF.gz, to a full device" 'No space left' ann one.vcf -Oz -@ 3 -o /dev/full
error "a closed standard output" 'standard output: ' to_closed ann rich.vcf
olds="o.vcf o.vcf.gz o.bcf o.bcf.csi o.vcf.gz.tbi"
fails='No space left|Input/output error'
why=$(no_preload "$full")
if [ "$why" ]; then skip "a full disk leaves the old files" "$why"
else
    # on_disk NAME REGEX FAULT OPTION...: a run on a disk with this fault stops with an error, while old outputs exist.
    on_disk() {
        local name=$1 regex=$2 fault=$3; shift 3
        old $olds
        error "$name, ${fault%=*} ${fault#*=}" "$regex" failing_disk "$fault" ann rich.vcf -o out/$o "$@"
    }
    for o in o.vcf o.vcf.gz o.bcf; do
        ann rich.vcf -o size.${o#o.}; size=$(wc -c <size.${o#o.})
        for n in 0 1 $((size / 2)) $((size - 29)) $((size - 1)); do
            on_disk $o "out/$o: .*($fails)" AFTER=$n
            intact "the old file is unchanged"
        done
        for n in FSYNC CLOSE; do
            on_disk $o "out/$o: .*($fails)" $n=1
            intact "the old file is unchanged"
        done
    done
    for o in o.bcf=csi o.vcf.gz=tbi; do
        i=${o#*=} o=${o%=*}; rm -f size.*; whole=size.${o#o.}
        ann rich.vcf -o $whole --write-index=$i
        size=$(wc -c <$whole); both=$((size + $(wc -c <$whole.$i)))
        for n in AFTER=$((size - 1)) AFTER=$size AFTER=$((size + 1)) AFTER=$((both - 1)) FSYNC=1 CLOSE=1; do
            on_disk "$o with its index" "out/$o.*($fails|could not be written)" $n --write-index=$i
            intact "the old files are unchanged"
        done
        old $olds
        ok "$o with its index, just enough" failing_disk AFTER=$both ann rich.vcf -o out/$o --write-index=$i
        is "both files exist" "$(cmp $whole out/$o && cmp $whole.$i out/$o.$i && echo both)" both
    done
fi

# ---- signals, broken pipes, two processes at the same time (45, 46, 47, 49) ----
if perl -e 1 2>/dev/null; then
    for s in INT=130 TERM=143 KILL=137; do
        old $olds; rm -f feed; mkfifo feed
        natural "$caduceus" annotate --quiet --window 64 -m "$model" -T ref.fa - -o out/o.bcf --write-index \
            <feed 2>sig.err & pid=$!
        exec 7>feed
        cat rich.vcf >&7
        await 2 out
        kill -"${s%=*}" $pid
        { wait $pid; status=$?; } 2>/dev/null
        exec 7>&-
        is "${s%=*}: status ${s#*=}, in silence" "$status $(cat sig.err)" "${s#*=} "
        [ "${s%=*}" = KILL ] && rm -f out/.*tmp
        intact "${s%=*}: the old files are there"
    done
    for O in v b; do
        { (natural "$caduceus" annotate --quiet --window 64 -m "$model" -T ref.fa blocks.vcf -O $O 2>pipe.err)
          echo $? >status; } | head -c 1 >/dev/null
        wait; is "a broken pipe, -O $O" "$(cat status) $(cat pipe.err)" "141 "
    done
else skip "signals remove temporary files" "no perl"; fi
ann rich.vcf -o a.bcf; ann rich.vcf --score llr -o b.bcf
torn=; for k in 1 2 3 4 5 6; do
    ann rich.vcf -o ab.bcf & a=$!
    ann rich.vcf --score llr -o ab.bcf & b=$!
    wait $a || torn="$torn a"; wait $b || torn="$torn b"
    cmp -s ab.bcf a.bcf || cmp -s ab.bcf b.bcf || torn="$torn $k"
done
is "of two processes that write one output, one result is complete" "$torn" ""
de=$(locale -a 2>/dev/null | grep -i '^de_DE' | head -n 1)
if [ "$de" ]; then
    LC_ALL=$de ann rich.vcf -o de.vcf
    same "decimals have a point in a German locale" rich.out de.vcf
else skip "decimals have a point in a German locale" "no locale de_DE"; fi
is "no temporary file is left" "$(ls -A . out | grep -c 'tmp$')" 0

# ---- real data, if present ----
z=$shared/data/human/chr20_1Mb_vg exac=$shared/data/human/chr22_hg19
if [ -f "$z/z.vcf.gz" ]; then
    real() { "$caduceus" annotate --quiet -m "$shared/golden/ps-fused-d16-l2" --window 512 --flank 32 "$@"; }
    bare_n() { bcftools annotate --no-version -x INFO/CADUCEUS_N,INFO/CADUCEUS_NOTE "$@"; }
    real -T "$z/z.fa" "$z/z.vcf.gz" --score n -o z.bcf --write-index
    bare_n z.bcf | grep -v '^##' >got; viewed "$z/z.vcf.gz" >want
    same "$(grep -vc '^#' want) records of human chromosome 20 survive" want got
    total() { awk -F '\t' '$1 != "." { n++; s += $1 } END { print n, s }'; }
    compared() { "$py" "$reference" variants - "$z/z.fa" "$z/z.vcf.gz" --window 512 --flank 32 --score none; }
    if [ "$py" ]; then
        agree "and n agrees with the reference program" \
            'compared | cut -f 12 | total' 'query %CADUCEUS_N z.bcf | tr , "\n" | total'
    else skip "and n agrees with the reference program" "no numpy"; fi
    for r in z:1000-5000 z:500000-500100,z:500050-700000; do
        bcftools view --no-version -H "$z/z.vcf.gz" -r $r >want
        real -T "$z/z.fa" "$z/z.vcf.gz" -r $r --score n | bare_n | rows - >got
        same "-r $r" want got
    done
    real -T "$exac/chr22_1-22M.hg19.fa.gz" "$exac/ExAC.r1.sites.vep.vcf.gz" -Ov 2>&1 | rows - |
        sed -E 's/;CADUCEUS_[A-Z]+=[^;]*//g' >got
    bcftools view -H "$exac/ExAC.r1.sites.vep.vcf.gz" 2>/dev/null >want
    same "ExAC is written, with a tag that its header lacks" want got
else skip "human records are written" "no human data"; fi
# ---- a BCF whose header leaves numbers of contigs out ----
{ echo '##fileformat=VCFv4.2'; echo '##contig=<ID=chrE1,length=16000,IDX=3>'
  printf '#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'; grep '^chrE1.*snv' "$srcdir/examples/example.vcf"
} >gap.vcf
cp "$srcdir/examples/example.fa" gap.fa
bcftools view --no-version -Ob -o gap.bcf gap.vcf 2>/dev/null && bcftools index gap.bcf
ok "contig number 3 is the first one" \
    "$caduceus" annotate --quiet -m "$data/ps" -T gap.fa -r chrE1:4000-5000 gap.bcf -O v -o gap.out.vcf
is "its variant is scored" "$(query '%POS %CADUCEUS_LLR' gap.out.vcf | grep -c '^4200 -*[0-9]')" 1
finish
