#!/bin/sh
# haplotypes.t - scores of alleles in the haplotypes of samples, which are compared with those of the same haplotypes
# built by bcftools consensus.
. "${srcdir:-.}/test/lib.sh"

for tool in bcftools samtools bgzip; do
    command -v $tool >/dev/null || { skip "haplotypes" "no $tool"; finish; exit; }
done
py=$(any_python)
model=$data/ps
ann() { "$caduceus" annotate --quiet --window 64 -m "$model" -T ref.fa "$@"; }
loud() { "$caduceus" annotate --window 64 -m "$model" -T ref.fa "$@"; }
make() { "$py" "$checks/consensus.py" "$@"; }
work() { awk '{ printf "%s ", $2 }' | cut -d ' ' -f 2-4; }
# consensus NAME SAMPLE ANNOTATE-OPTION...: the sample's values in out.vcf are those of its haplotypes as a FASTA.
consensus() {
    name=$1 sample=$2; shift 2; rm -f h.fa.fai
    make build ref.fa in.vcf "$sample" h.fa h.vcf >build.out 2>&1
    "$caduceus" annotate --quiet -m "$model" -T h.fa h.vcf -o built.vcf "$@" 2>err || diag err
    ok "$name" make compare h.vcf out.vcf "$sample" built.vcf
    diag .out build.out
}

# ---- against bcftools consensus ----
if [ -n "$py" ]; then
    for seed in 13:ps 5:ph; do
        model=$data/${seed#*:}; rm -f ref.fa.fai
        make random "${seed%:*}" 20 ref.fa in.vcf
        ann in.vcf --all-samples -o out.vcf 2>err || diag err
        for sample in A B; do consensus "haplotypes of seed $seed, sample $sample" $sample --window 64; done
    done
    model=$data/ps
    ann in.vcf --all-samples -o out.vcf
    ann in.vcf --all-samples --mask each -o each.vcf; differ "--mask changes CDPLL" each.vcf out.vcf
    ann in.vcf --all-samples --mask none -o none.vcf
    like "without masking its name changes" '^##FORMAT=<ID=CDPLL_unmasked,' none.vcf
    ann in.vcf -o plain.vcf; ann in.vcf --all-samples | bcftools annotate -x FORMAT/CLLR,FORMAT/CDPLL - |
        rows - | sed 's/[&;=A-Z_]*UNPHASED//g; s/[&A-Z_=;]*OVERLAP//g' | cut -f 1-7,9- >got
    rows plain.vcf | cut -f 1-7,9- >want; same "nothing else changes in a record" got want

    # ---- shards, threads, parts of the input ----
    for i in 1 2 3; do ann in.vcf --all-samples --shard $i/3 -o p$i.vcf; done
    "$caduceus" merge -o merged.vcf p1.vcf p2.vcf p3.vcf; same "shards" merged.vcf out.vcf
    ann -@ 5 in.vcf --all-samples | cmp -s - out.vcf; is "threads do not matter" $? 0
    bcftools view -Ob -o in.bcf in.vcf; bcftools index in.bcf
    bgzip -k in.vcf; bcftools index -t in.vcf.gz
    for r in one:70-130 one:1-30,one:60-90,M:40-; do
        rows out.vcf | cut -f 1,2,4- >all
        for f in in.bcf in.vcf.gz; do
            ann $f -r $r --all-samples -O v | rows - | cut -f 1,2,4- >part
            is "-r $r of $f: all of its records" "$(lines <part)" "$(bcftools view -H -r $r in.bcf | lines)"
            is "with the same values" "$(grep -Fxc -f part all)" "$(lines <part)"
        done
    done
    printf 'one\t60\t130\n' >some.bed; ann in.vcf -L some.bed --all-samples | rows - >part
    is "-L: records beside the targets count" "$(rows out.vcf | grep -Fxc -f part)" "$(lines <part)"
    of_b() { bcftools query -s B -f '[%POS %CLLR %CDPLL\n]' "$1" | grep -v '\. \.$'; }
    ann in.vcf --sample B -o b.vcf; of_b b.vcf >got; of_b out.vcf >want; same "--sample: of one sample" got want
    is "and no other" "$(bcftools query -s A -f '[%CLLR%CDPLL\n]' b.vcf | sort -u)" ..
    printf 'B\r\nA\r\n\n' >names; ann in.vcf --samples-file names | cmp -s - out.vcf; is "--samples-file" $? 0
    ann in.vcf --sample B,A | cmp -s - out.vcf; is "a list of samples, in any order" $? 0
    ann in.vcf --sample B --sample A | cmp -s - out.vcf; is "--sample twice" $? 0
    like "the provenance has the samples" 'options=score=llr,dpll .* samples=2:[0-9a-f]{16}$' out.vcf
    ann out.vcf --all-samples | rows - >got; rows out.vcf >want; same "a second run replaces the values" got want
    ann in.bcf --all-samples -Ob -o again.bcf; bcftools view -H again.bcf >got; bcftools view -H out.vcf >want
    same "BCF" got want
    if [ -e "$builddir/plugin/caduceus.so" ]; then
        BCFTOOLS_PLUGINS=$builddir/plugin bcftools +caduceus in.vcf -- -T ref.fa -m "$model" --window 64 --quiet \
            --all-samples 2>err | rows - >got; rows out.vcf >want; same "the plugin writes the same" got want
    else skip "the plugin" "not built"; fi

    # ---- the other strand ----
    rm -f ./*.fai; make random 3 40 ref.fa in.vcf 25
    ann in.vcf --all-samples -o out.vcf; make reverse ref.fa in.vcf rc.fa rc.vcf
    "$caduceus" annotate --quiet --window 64 -m "$model" -T rc.fa rc.vcf --all-samples -o rc.out
    ok "the other strand has the same values" make strands out.vcf rc.out; diag .out
else
    skip "haplotypes built by bcftools consensus" "no python3"
fi

# ---- phases, one record after the other ----
{ contig one 900 7; contig M 300 8; } >ref.fa; rm -f ref.fa.fai
base() { awk -v n="$1" '/^>/ { on = $1 == ">" n; next } on' ref.fa | tr -d '\n' | cut -c "$2"; }
other() { base "$@" | tr ACGT CGTA; }
head_of() {
    printf '##fileformat=VCFv4.2\n##contig=<ID=one>\n##contig=<ID=M>\n'
    printf '##FORMAT=<ID=%s,Description="x">\n' GT,Number=1,Type=String "PS,Number=1,Type=${1:-Integer}"
    row "#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT $2"
}
# snv CONTIG POS CALL...: an SNV with calls of samples.
snv() { local c=$1 p=$2; shift 2; row "$c $p . $(base $c $p) $(other $c $p) . . . GT:PS $*"; }
# shape FILE: prints position, note and the values of each sample; in each record, equal values have equal numbers.
shape() {
    rows "$1" | awk -F '\t' '{
        note = "."; n = split($8, f, ";"); for (i = 1; i <= n; i++) if (f[i] ~ /NOTE=/) note = substr(f[i], 15)
        k = split($9, key, ":"); at = 0; for (i = 1; i <= k; i++) if (key[i] ~ /^C(LLR|DPLL)$/) at = i
        s = $2 " " note; split("", seen); m = 0
        for (c = 10; c <= NF; c++) {
            split($c, f, ":"); w = at && f[at] != "" ? split(f[at], x, ",") : 0; v = w ? "" : "."
            for (i = 1; i <= w; i++) {
                if (x[i] != "." && !(x[i] in seen)) seen[x[i]] = ++m
                v = v (i > 1 ? "," : "") (x[i] == "." ? "." : seen[x[i]]) }
            s = s " " v }
        print s }'
}
# S1 to S6 carry the SNV at 300 on one haplotype, or both; their neighbours at 310 differ.
{   head_of Integer "S1 S2 S3 S4 S5 S6 S7"
    snv one 290 '0|0:.' '0|0:.' '0|0:.' '0|0:.' '0|0:.' '0|0:.' '0|1:4'
    snv one 300 '0|1:.' '0|1:.' '0|1:.' '0|1:5' '1/1:.' '0/1:.' '1|1:.'
    snv one 310 '0|1:.' '1|0:.' '0/1:.' '0|1:6' '0|1:.' '1/1:.' '1|0:6'
    snv M 100 '1:.' '1:.' '0:.' '.:.' '1:.' '0:.' '1:.'
    snv M 110 '1:.' '0:.' '1:.' '1:.' '.:.' '0/1:.' './.:.'
    snv M 200 4 . 4 4 4 4 4 | sed 's/GT:PS/PS/'; } >in.vcf
ann in.vcf --all-samples >out.vcf; shape out.vcf >got
# 300: S1 carries both changes; in S2 they are on different haplotypes; in S3 the neighbour is not phased; in S4 it
# is of another phase set; S5 is homozygous, so the neighbour is on its second haplotype; in S6 it is homozygous;
# S7 is homozygous between two phase sets, and takes the first, since both are equally far.
cat >want <<'END'
290 UNPHASED . . . . . . .,1
300 UNPHASED .,1 .,2 .,2 .,2 2,1 .,1 2,3
310 UNPHASED .,1 2,. .,2 .,2 .,1 2,2 1,.
100 . 1 2 . . 2 . 2
110 . 1 . 2 2 . .,2 .
200 . . . . . . . .
END
same "which neighbours are on the haplotype" got want
loud in.vcf --all-samples 2>err >/dev/null
like "unphased genotypes: the first is shown" \
    'warning: in.vcf: one:[0-9]+: the genotype of S[0-9] is not phased with its neighbours.*\(UNPHASED\)' err
like "and all are counted" 'in all: 7 unphased genotype\(s\) left as REF beside alleles$' err
sed 's/=PS,Number=1,Type=Integer/=PS,Number=1,Type=String/' in.vcf >text.vcf
ann text.vcf --all-samples | shape - >got; same "PS may be a text" got want
sed 's/:[.456]\t/\t/g; s/:[.456]$//; s/GT:PS/GT/; /^M\t200/d' in.vcf >none.vcf
ann none.vcf --all-samples | shape - >got
cat >want <<'END'
290 . . . . . . . .,1
300 UNPHASED .,1 .,2 .,2 .,1 2,1 .,1 1,3
310 UNPHASED .,1 2,. .,2 .,1 .,1 2,2 1,.
100 . 1 2 . . 2 . 2
110 . 1 . 2 2 . .,2 .
END
same "without PS all phased calls are of one set" got want

# ---- neighbours that cannot be applied, overlaps ----
{   head_of Integer S
    row "one 300 . $(base one 300-303) $(base one 300) . . . GT 1|0"
    row "one 302 . $(base one 302) $(other one 302),* . . . GT 1|2"
    row "one 320 . $(base one 320) <DEL> . . END=325 GT 1|1" | sed 's/\. \. END/. . END/'
    row "one 330 . $(base one 330) $(other one 330),<*> . . . GT 1|2"; } >in.vcf
ann in.vcf --all-samples 2>err | shape - >got
cat >want <<'END'
300 OVERLAP&SKIPPED 1,.
302 OVERLAP,STAR .
320 SYMBOLIC .
330 OVERLAP&SKIPPED,SYMBOLIC 1,.
END
same "of overlapping calls the first counts; <DEL> is skipped" got want
ann in.vcf --all-samples --score dpll | grep -c ':-\{0,1\}[0-9.]*,' >n
is "--score dpll: only CDPLL" "$(cat n) $(ann in.vcf --all-samples --score dpll | grep -c ID=CLLR)" "1 0"

# ---- the same haplotypes are scored once; memory ----
many() {
    awk -v n="$1" -v m="$2" -v ref="$(base one 1-900)" 'BEGIN { OFS = "\t"
        print "##fileformat=VCFv4.2\n##contig=<ID=one>\n##FORMAT=<ID=GT,Number=1,Type=String,Description=\"x\">"
        s = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"; for (i = 0; i < n; i++) s = s "\tS" i
        print s
        for (r = 0; r < m; r++) {
            p = 101 + r; b = substr(ref, p, 1); g = ""
            for (i = 0; i < n; i++) g = g "\t" ((i + r) % 2 ? "0|1" : "1|0")
            print "one", p, ".", b, b == "A" ? "C" : "A", ".", ".", ".", "GT" g } }'
}
many 2 20 >two.vcf; many 1000 20 >thousand.vcf
is "a thousand samples with the same haplotypes cost as much as two" \
    "$(ann thousand.vcf --all-samples --dry-run | work)" "$(ann two.vcf --all-samples --dry-run | work)"
ann two.vcf --all-samples | rows - | cut -f 10-11 >want
ann thousand.vcf --all-samples | rows - | cut -f 1008-1009 >got; same "and have their values" got want

# ---- faults ----
tests_of() { ann in.vcf "$@" -o x.vcf; }
error "a sample that is missing" 'in.vcf: no sample "T"; bcftools query -l lists' tests_of --sample T
error "a sample twice" 'sample "S" is named twice' tests_of --sample S,S
error "an empty name" 'no sample ""' tests_of --sample S,
printf 'S\nT\n' >names; error "in a file" 'no sample "T"' tests_of --samples-file names
: >names; error "an empty file" 'names' tests_of --samples-file names
printf '\n\n' >names; error "a file of blank lines" 'names: names no sample' tests_of --samples-file names
error "no file" 'none: No such' tests_of --samples-file none
error "all samples and one" 'does not fit' tests_of --all-samples --sample S
error "without llr and dpll" 'need --score llr or dpll' tests_of --all-samples --score dist
error "the file of names is the output" 'input' ann in.vcf --samples-file in.vcf -o in.vcf
head_of | cut -f 1-8 >x.in; error "no samples" 'x.in: has no samples' ann x.in --all-samples
sed '/ID=GT/d' in.vcf >x.in; error "no GT" 'x.in: its header declares no FORMAT/GT' ann x.in --all-samples
sed '/ID=PS/s/Integer/Float/' in.vcf >x.in; error "PS a number with fractions" 'FORMAT/PS' ann x.in --all-samples
{ cat in.vcf; snv one 310 '0|1'; } | sed 's/GT:PS/GT/' >x.in
error "records out of order" 'x.in:[0-9]+: one:310 comes after later records; .* bcftools sort' ann x.in --all-samples
{ cat in.vcf; snv M 10 '0|1'; snv one 400 '0|1'; } | sed 's/GT:PS/GT/' >x.in
error "a contig that comes back" 'one:400 comes after later records' ann x.in --all-samples
ok "without haplotypes order does not matter" ann x.in
{ cat in.vcf; snv one 400 '0|2'; } | sed 's/GT:PS/GT/' >x.in
error "an allele that the record lacks" 'x.in:[0-9]+: the genotype of S names an allele' ann x.in --all-samples
sed 's/^#CHROM/##FORMAT=<ID=CLLR,Number=1,Type=Float,Description="x">\n&/' in.vcf >x.in
error "another CLLR" 'FORMAT/CLLR of another Type or Number' ann x.in --all-samples
row 'one 10 20' >x.bed; error "of a BED" 'does not fit' ann x.bed --all-samples
error "of embed" 'not an option of embed' "$caduceus" embed -m "$model" -T ref.fa in.vcf --all-samples -o x.npy
is "nothing is left" "$(ls | grep -c '^x\.vcf\|^x\.npy\|tmp$')" 0

# ---- real genotypes ----
real=$shared/data/human/chr22_hg19
if [ -n "$py" ] && [ -d "$real" ]; then
    beg=16050001 end=16062000
    samtools faidx "$real/chr22_1-22M.hg19.fa.gz" 22:$beg-$end | sed 's/^>.*/>22/' >ref.fa; rm -f ref.fa.fai
    cp "$real"/1000G_phase3.genotypes*.vcf.gz* .; vcf=$(echo 1000G*.vcf.gz)
    bcftools view --no-version -s HG00096,NA19238,NA21144 -r 22:$beg-$end "$vcf" |
        awk -F '\t' -v OFS='\t' -v b=$beg '!/^#/ { $2 -= b - 1 } 1' | sed '/^##contig/s/<.*/<ID=22>/' >in.vcf
    "$caduceus" annotate --quiet -m "$model" -T ref.fa in.vcf --all-samples --window 1024 -o out.vcf 2>err || diag err
    consensus "1000 Genomes, NA19238" NA19238 --window 1024
else
    skip "1000 Genomes" "no $real"
fi
finish
