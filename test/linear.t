#!/bin/sh
# linear.t - run time is linear in the size of the input. Each command runs on a large input with a limit of processor
# time: at least 20 times what it needs, and far below what a quadratic algorithm would need.
#
# The inputs have 100,000 contigs, aliases of each contig, aliases of one contig, rows, regions of every option,
# sequences, reads, variants at one position and on a contig each, tags, CIGAR operations, values of one INFO field,
# shards to merge or windows of training; or 60,000 alleles (BCF allows no more than 65,535), or 10,000 samples,
# or 16,000 columns of labels.
. "${srcdir:-.}/test/lib.sh"

n=100000
awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) {
    print ">s_" i "\nACGTTGCATGACCTAGTCAG" >"many.fa"
    print "u_" i "\tG_" i ".1\ts_" i >"many.alias"; print "u_" i "\t2\t12" >"alias.bed"; print "s_0\ta" i >"one.alias"
    print "s_" i "\t2\t12" >"many.bed"; print "s_" i ":3-12" >"many.txt"; print ">q" i "\nACGTACGTAC" >"many.in.fa"
    print "s_" i "\t0\t20\t" (i % 2 ? "train" : "valid") >"split.bed" } }'
awk -v n=$n 'BEGIN { printf ">one\n"; for (i = 0; i < n; i++) print "ACGTTGCATGACCTAGTCAG" }' >one.fa
awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) print "one\t" 20 * i "\t" 20 * i + 7 }' >one.bed
# sam CONTIGS: prints a SAM of n reads: on one contig if CONTIGS is 1, else on n contigs.
sam() {
    awk -v n=$n -v c="$1" 'BEGIN {
        if (c == 1) printf "@SQ\tSN:one\tLN:%d\n", 20 * n; else for (i = 0; i < n; i++) print "@SQ\tSN:s_" i "\tLN:20"
        for (i = 0; i < n; i++) print "r" i "\t0\t" (c == 1 ? "one" : "s_" i) "\t" (c == 1 ? 20 * i + 1 : 3) \
            "\t60\t10M\t*\t0\t0\tACGTACGTAC\t*" }'
}
head_='##fileformat=VCFv4.2\n##INFO=<ID=A,Number=.,Type=Integer,Description="x">
##FORMAT=<ID=GT,Number=1,Type=String,Description="x">\n##FORMAT=<ID=DP,Number=1,Type=Float,Description="x">\n'
columns='#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO'
{ printf "$head_"; awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) print "##contig=<ID=s_" i ",length=20>" }'
    printf "$columns\n"
    awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) print "s_" i "\t1\t.\tA\tC\t.\t.\t." }'; } >many.vcf
one() { printf "$head_##contig=<ID=one,length=$((20 * n))>\n$columns$1\n"; }
{ one; awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) print "one\t1\t.\tA\tC\t.\t.\t." }'; } >place.vcf
{ one; awk -v n=$n 'BEGIN { printf "one\t1\t.\tA\tC\t.\t.\tA="
    for (i = 0; i < n; i++) printf "%s0%d", i ? "," : "", i; print "" }'; } >values.vcf
{ one; awk 'BEGIN { printf "one\t1\t.\tA\t"; for (i = 0; i < 60000; i++) {
    t = "A"; k = i; for (j = 0; j < 8; j++) { t = t substr("ACGT", k % 4 + 1, 1); k = int(k / 4) }
    printf "%s%s", i ? "," : "", t }; print "\t.\t.\t." }'; } >alleles.vcf
{ one "$(awk 'BEGIN { printf "\\tFORMAT"; for (i = 0; i < 10000; i++) printf "\\ts%d", i }')"
    awk 'BEGIN { for (k = 0; k < 10; k++) { printf "one\t1\t.\tA\tC\t.\t.\t.\tGT:DP"
        for (i = 0; i < 10000; i++) printf "\t0/1:1.50"; print "" } }'; } >samples.vcf
sam 1 >one.sam; sam $n >many.sam
awk -v n=$n 'BEGIN { printf "@SQ\tSN:one\tLN:%d\nr\t0\tone\t1\t60\t", 20 * n; for (i = 0; i < n / 2; i++) printf "1M1I"
    printf "\t*\t0\t0\t"; for (i = 0; i < n; i++) printf "A"; print "\t*" }' >cigar.sam
awk -v n=$n 'BEGIN { printf "@SQ\tSN:one\tLN:9\nr\t0\tone\t1\t60\t3M\t*\t0\t0\tACG\t*"
    for (i = 0; i < n; i++) printf "\typ:f:1"; print "" }' >tags.sam

# within SECONDS NAME COMMAND...: the command exits 0 within SECONDS of processor time and prints no message.
limited() { ulimit -t "$1"; shift; exec "$@"; }
within() { local most=$1 name=$2; shift 2; (limited "$most" "$@") >.out 2>.err; is "$name" "$? $(cat .err)" "0 "; }
annotate="$caduceus annotate -d cpu --quiet -@ 1 -m $data/ps-f16-l1 --window 64"
track="$caduceus track -d cpu --quiet -@ 1 -m $data/ps-f16-l1 --window 64 --mask none"
run() { local name=$1; shift; within 20 "$name" $annotate "$@"; }
run "rows on a contig each" --dry-run -T many.fa many.bed
run "aliases of each contig" --dry-run -T many.fa --chr-alias many.alias alias.bed
run "aliases of one contig" --dry-run -T many.fa --chr-alias one.alias many.bed
run "regions on a contig each" --dry-run -T many.fa -L many.bed many.bed
run "regions on one contig" --dry-run -T one.fa -L one.bed one.bed
run "a list of regions" --dry-run -T many.fa --in-format regions many.txt
run "sequences" --dry-run many.in.fa
run "reads on a contig each" --dry-run -L many.bed many.sam
run "reads and regions on one contig" --dry-run -T one.fa --context ref -L one.bed one.sam
run "variants on a contig each" --dry-run -T many.fa -L many.bed many.vcf
run "variants at one position" -T one.fa --score n place.vcf -o o.vcf
run "values of one field" -T one.fa --score n values.vcf -o o.vcf
run "alleles of one record" -T one.fa --score n --dry-run alleles.vcf
run "samples" -T one.fa --score n samples.vcf -O b -o o.bcf
run "tags of one name" -o o.sam tags.sam
within 60 "operations of a CIGAR" $annotate -o o.bam cigar.sam
within 60 "and the reference under them" $annotate -T one.fa --context ref -o o.bam cigar.sam
within 20 "a track's contigs" $track --dry-run -T many.fa -L many.bed
within 20 "splits" "$caduceus" eval -d cpu --quiet -m "$data/ps-f16-l1" --window 64 --mask none -T many.fa \
    -L split.bed --dry-run
within 20 "intervals of training" "$caduceus" pretrain -d cpu --quiet -@ 1 -T many.fa -L split.bed --d-model 8 \
    --n-layer 1 --seq-len 20 --batch-tokens 64 --steps 1 --valid-every 100000 -o new
# Columns of labels, by name in a table and by number in a BED.
m=16000
awk -v m=$m 'BEGIN { printf "sequence"; for (k = 0; k < m; k++) printf ",v%d", k; print ""
    for (i = 0; i < 40; i++) { printf "ACGTTGCATGACCTAGTCAG"; for (k = 0; k < m; k++) printf ",%d", (i + k) % 2
        print "" } }' >labels.csv
{   row '#chrom start end' | tr '\n' '\t'; head -n 1 labels.csv | cut -d , -f 2- | tr , '\t'
    sed 1d labels.csv | awk -F , -v OFS='\t' '{ $1 = "one" OFS 20 * NR OFS 20 * NR + 7; print }'; } >labels.bed
names=$(head -n 1 labels.csv | cut -d , -f 2-) numbers=$(seq -s , 4 $((m + 3)))
tune="$caduceus finetune -d cpu --quiet -@ 1 -m $data/ps-f16-l1 --epochs 1"
within 20 "columns of values" $tune --task regress --label-column "$names" labels.csv -o values
within 20 "columns of labels" $tune --task multilabel -T one.fa --label-column "$numbers" labels.bed -o labels
within 20 "values are predicted" "$caduceus" predict -d cpu --quiet -@ 1 -m values --metrics m.tsv \
    --label-column "$names" labels.csv -o p.tsv
if command -v samtools >/dev/null && command -v bcftools >/dev/null; then
    samtools view -b --write-index -o many.bam many.sam; bcftools view --no-version -Oz -o many.vcf.gz many.vcf
    bcftools index many.vcf.gz
    within 100 "reads through an index" $annotate --dry-run -R many.bed many.bam
    within 200 "variants through an index" $annotate --dry-run -T many.fa -R many.bed many.vcf.gz
else skip "an index" "no samtools or bcftools"
fi
for k in 1 2; do
    within 200 "shard $k of a track" $track -T many.fa --shard $k/2 -o p$k.bw
    run "shard $k of variants" -T many.fa --score n --shard $k/2 many.vcf -o p$k.vcf
done
within 40 "tracks are merged" "$caduceus" merge -o o.bw p1.bw p2.bw
within 40 "variants are merged" "$caduceus" merge -o o.vcf p1.vcf p2.vcf
finish
