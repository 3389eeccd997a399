#!/bin/sh
# threads.t - a small job of each command that computes on threads, with four of them and with one: the same bytes. For
# a build with the thread sanitizer, which ends a command at its first race; see the part `threads` of test/deep/run.
#
# Siblings: short windows on lanes and one long window on the team; BED, BAM and CRAM, compressed VCF, BCF; embeddings;
# bigWig; training with and without recomputed layers, with validation, on both kinds of strands; both kinds of layers;
# htslib's threads; an error on the worker.
. "${srcdir:-.}/test/lib.sh"

{ contig one 3000 1; contig two 900 2; } >ref.fa
regions one 3000 8 >in.bed
echo "one${tab}0${tab}3000" >long.bed
seq=$(sed -n '/>one/,/>two/p' ref.fa | grep -v '>' | tr -d '\n')
awk -v s="$seq" -v OFS='\t' 'BEGIN { print "@HD\tVN:1.6\tSO:coordinate\n@SQ\tSN:one\tLN:3000\n@SQ\tSN:two\tLN:900"
    for (i = 0; i < 200; i++) print "r" i, 0, "one", 1 + 10 * i, 60, "40M", "*", 0, 0, substr(s, 1 + 10 * i, 40), "*"
    }' >in.sam
awk -v s="$seq" -v OFS='\t' 'BEGIN { print "##fileformat=VCFv4.2\n##contig=<ID=one,length=3000>"
    print "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    for (i = 1; i < 60; i++) { r = substr(s, 40 * i, 1); print "one", 40 * i, ".", r, r "A," (r == "C" ? "G" : "C"), \
        ".", ".", "." } }' >in.vcf
awk 'NR % 2 { printf "%s\t%s\t%s\ttrain\n", $1, $2, $3; next } { print $1 "\t" $2 "\t" $3 "\tvalid" }' in.bed >split.bed
{ echo sequence,label; for i in $(seq 24); do echo "$(bases 30 $((i + 9))),$((i % 2))"; done; } >train.csv

# both NAME COMMAND...: with -@ 4 and -@ 1, into the folders 4 and 1, the files are the same.
both() {
    local name=$1 n; shift
    for n in 4 1; do
        mkdir -p $n; rm -rf ${n:?}/*
        (cd $n && "$caduceus" "$@" -d cpu --quiet -@ $n) >.out 2>.err || { fail "$name, -@ $n"; diag .err; return; }
    done
    ok "$name" diff -r -x '*.json' -x log.tsv 4 1
}
cat >config.json <<'END'
{"d_model": 24, "n_layer": 1, "vocab_size": 12, "rcps": true, "d_intermediate": 0, "pad_token_id": -100,
 "complement_map": {"0": 0, "7": 10, "8": 9, "9": 8, "10": 7},
 "ssm_cfg": {"layer": "Mamba2", "d_state": 20, "headdim": 12, "ngroups": 2}}
END
ok "a model of Mamba-2" "$caduceus" pretrain -d cpu --quiet -@ 4 -T ref.fa --config config.json --seq-len 150 \
    --batch-tokens 600 --steps 2 -o mamba2
ln -s "$data/ps" "$data/ph" .
for model in ps ph mamba2; do
    m="-m $dir/$model"
    both "$model: a BED" annotate $m -T ../ref.fa --window 64 --score pll,entropy,n ../in.bed --embed e.npy -o o.bed.gz
    both "$model: a long window" annotate $m -T ../ref.fa --mask none --window 3000 ../long.bed -o o.bed
    both "$model: a track" track $m -T ../ref.fa --window 256 --mask stride:8 -L ../in.bed -o o.bw
    both "$model: pretraining" pretrain $m -T ../ref.fa -L ../split.bed --seq-len 64 --batch-tokens 256 --steps 3 \
        --valid-every 2 --valid-tokens 64 --seed 3 -o run
    both "$model: fine-tuning" finetune $m --epochs 2 --batch 8 --seed 3 ../train.csv -o run
    both "$model: recomputing" finetune $m --epochs 1 --batch 24 --recompute --seed 3 ../train.csv -o run
done
m="-m $data/ps --window 64"
both "BAM" annotate $m --no-PG ../in.sam -o o.bam
cp 1/o.bam in.bam
both "BAM to BAM, with an index" annotate $m --no-PG --write-index ../in.bam -o o.bam
both "BAM to CRAM" annotate $m --no-PG -T "$dir/ref.fa" ../in.bam -o o.cram
both "VCF" annotate $m -T ../ref.fa ../in.vcf --write-index -o o.vcf.gz
cp 1/o.vcf.gz in.vcf.gz
both "BCF" annotate $m -T ../ref.fa --score llr,dist,cos ../in.vcf.gz -o o.bcf
both "embeddings" embed $m -T ../ref.fa ../in.bed -o e.npy
both "an evaluation" eval $m -T ../ref.fa -L ../split.bed -o o.tsv
both "predictions" predict -m "$data/cls-ps" ../train.csv -o o.tsv
echo "one${tab}10${tab}5000" >>in.bed
error "an error while the worker computes" 'in.bed:9' "$caduceus" annotate $m -d cpu -@ 4 -T ref.fa in.bed -o bad.bed
for k in 1 2; do "$caduceus" annotate $m --quiet -@ 4 --shard $k/2 in.bam -o p$k.bam; done
ok "a merge" "$caduceus" merge -@ 4 -o whole.bam p1.bam p2.bam
finish
