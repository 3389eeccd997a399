#!/bin/sh
# finite.t - every command that computes results stops with an error if a result is not finite.
#
# Tested with models that overflow: scores, tracks, embeddings of every pooling and input, differences of embeddings,
# tags, distances, classes, labels, training and validation.
. "${srcdir:-.}/test/lib.sh"
py=$(any_python)
if [ -z "$py" ]; then skip "results that are not finite" "no python3"; finish; exit; fi
overflow() { "$py" "$checks/overflow.py" "$data/$1" "$2"; }
ok "models that overflow" overflow ps lm && overflow cls-ps cls

contig one 400 3 >ref.fa
seq=$(grep -v '>' ref.fa | tr -d '\n')
ref=$(echo "$seq" | cut -c 40); alt=$(echo "$ref" | tr ACGT CGTA)
row 'one 5 40 a' 'one 100 130 b' >in.bed
printf '>r\nACGTTGCA\n' >in.fa
{   printf '##fileformat=VCFv4.2\n##contig=<ID=one>\n'; row '#CHROM POS ID REF ALT QUAL FILTER INFO'
    row "one 40 . $ref $alt . . ." "one 60 . $(echo "$seq" | cut -c 60) ${alt}CGT . . ."; } >in.vcf
{ row '@SQ SN:one LN:400' 'r 0 one 40 60 8M * 0 0 ACGTTGCA *'; } >in.sam
{ echo sequence,label; printf 'ACGTACGTTT,0\nACGTTTTTTT,1\nAGGCCGCCGG,0\nACCTTGGTTA,1\n'; } >in.csv
run() { local cmd=$1; shift; "$caduceus" $cmd -d cpu --quiet -m lm --window 64 "$@"; }
# overflows NAME COMMAND...: the command stops with an error and writes no output.
overflows() {
    local name=$1; shift
    error "$name" '(the model overflows: .*|the loss|the gradient) is not finite' "$@"
    is "$name: nothing is written" "$(ls -Ad out* 2>/dev/null | joined)$(ls -A | grep 'tmp$')" ""
    rm -rf out*
}
overflows "scores of regions" run annotate -T ref.fa in.bed -o out.bed
overflows "scores of records" run annotate in.fa -o out.bed
overflows "a track" run track -T ref.fa -o out.bw
overflows "eval" run eval -T ref.fa -L in.bed
for pool in mean max center none; do
    overflows "embed --pool $pool" run embed -T ref.fa --pool $pool in.bed -o out.npy
done
overflows "embed, an array for each" run embed -T ref.fa --pool none in.bed -o out.npz
overflows "embed, sequences" run embed in.fa -o out.npy
overflows "embed, alleles" run embed -T ref.fa in.vcf -o out.npy
overflows "embed, differences" run embed -T ref.fa --difference in.vcf -o out.npy
overflows "columns of embeddings" run annotate -T ref.fa --score none --embed - in.bed -o out.bed
overflows "the tag ye" run annotate --score none --embed - in.sam -o out.sam
overflows "the tag yb" run annotate --score bases in.sam -o out.sam
for score in llr dpll dist cos dist,cos,n; do
    overflows "--score $score" run annotate -T ref.fa --score $score in.vcf -o out.vcf
done
overflows "predict" "$caduceus" predict -d cpu --quiet -m cls --window 64 in.csv -o out.tsv
overflows "predict --metrics" "$caduceus" predict -d cpu --quiet -m cls --window 64 in.csv -o out.tsv --metrics out.m
finetune() { "$caduceus" finetune -d cpu --quiet --batch 2 in.csv -o got "$@"; }
error "finetune" '(is not|is no longer|no longer) finite' finetune -m lm --epochs 1
error "finetune --freeze" '(is not|is no longer|no longer) finite' finetune -m lm --epochs 1 --freeze
pretrain() { "$caduceus" pretrain -d cpu --quiet -T ref.fa --batch-tokens 64 -o new "$@"; }
row 'one 0 200 train' 'one 200 400 valid' >split.bed
error "eval of splits" '(is not|is no longer|no longer) finite' run eval -T ref.fa -L split.bed --markov 0
is "no model is written" "$(ls new/model.safetensors got/model.safetensors 2>/dev/null)" ""
finish
