#!/bin/sh
# nothing.t - a run that has nothing to do prints a warning, or is an error.
#
# An input without records gives a valid output without records (fault 5) and a warning, so that chunks of a cohort may
# be empty. Training or computing metrics without data is an error. Tested: every kind of input and command; -L, -r and
# -t that select nothing; bases that are all N. A shard may be empty without a warning.
. "${srcdir:-.}/test/lib.sh"

{ contig one 400 3; contig two 300 4; printf '>gap\nNNNNNNNNNNNNNNNNNNNNNNNN\n'; } >ref.fa
seq=$(grep -v '>' ref.fa | tr -d '\n'); ref=$(echo "$seq" | cut -c 40)
printf '# a comment\n' >none.bed; row 'one 5 40' >one.bed; row 'two 5 40' >two.bed; printf '\n' >none.txt
row '@SQ SN:one LN:400' '@SQ SN:two LN:300' >none.sam; { cat none.sam; row 'r 0 one 40 60 4M * 0 0 ACGT *'; } >one.sam
{   printf '##fileformat=VCFv4.2\n##contig=<ID=one>\n##contig=<ID=two>\n'
    row '#CHROM POS ID REF ALT QUAL FILTER INFO'; } >none.vcf
{ cat none.vcf; row "one 40 . $ref <DEL> . . ."; } >one.vcf
run() { local cmd=$1; shift; "$caduceus" $cmd -d cpu -m "$data/ps" --window 64 "$@"; }
# says NAME REGEX COMMAND...: the command exits 0, writes an output and prints exactly one warning, which matches.
says() {
    local name=$1 regex=$2; shift 2; rm -f out.*
    run "$@" >out.text 2>.err
    is "$name: exit, warnings, sum" \
        "$? $(grep -c 'nothing to do: ' .err) $(grep -c 'in all: 1 input(s) with nothing to do' .err)" "0 1 1"
    like "$name: a warning" "warning: $regex" .err
    ok "$name: an output exists" test -s "$(ls -S out.* | head -n 1)"
}
# silent NAME COMMAND...: the command exits 0 and prints no such warning.
silent() {
    local name=$1; shift; rm -f out.*; run "$@" >.out 2>.err
    is "$name: no message is printed" "$? $(grep -c 'nothing to do: ' .err)" "0 0"
}
for kind in bed sam vcf; do
    says "an empty $kind" "none.$kind: nothing to do: it holds no record" annotate -T ref.fa none.$kind
    says "-L of other regions, $kind" \
        "one.$kind: nothing to do: .* select no record" annotate -T ref.fa -L two.bed one.$kind
    silent "an ordinary $kind" annotate -T ref.fa one.$kind
    "$caduceus" annotate --quiet -d cpu -m "$data/ps" --window 64 -T ref.fa none.$kind >.out 2>.err
    is "--quiet $kind" "$? $(cat .err)" "0 "
done
says "an empty list" 'none.txt: nothing to do' annotate -T ref.fa --in-format regions none.txt
says "an empty FASTA" 'none.txt: nothing to do' annotate --in-format fasta none.txt
says "-L without rows" 'one.bed: nothing to do' annotate -T ref.fa -L none.bed one.bed
says "-t of other regions" 'one.vcf: nothing to do' annotate -T ref.fa -t two one.vcf
for f in none.bed none.vcf; do says "embed $f" "$f: nothing to do" embed -T ref.fa $f -o out.npy; done
says "embed, arrays" 'none.bed: nothing to do' embed -T ref.fa --pool none none.bed -o out.npz
silent "a shard" annotate -T ref.fa none.bed --shard 1/2 -o out.bed
says "a track of no region" 'ref.fa: nothing to do: no base' track -T ref.fa -L none.bed -o out.bw
says "a track of N" 'ref.fa: nothing to do: no base' track -T ref.fa -r gap -o out.bw
silent "a track" track -T ref.fa -r one:1-50 -o out.bw
says "eval of N" 'ref.fa: nothing to do: no base' eval -T ref.fa -r gap --markov none

echo sequence,label >none.csv; { cat none.csv; echo NNNNNN,0; echo NNNN,1; } >n.csv
predict() { "$caduceus" predict -d cpu -m "$data/cls-ps" --window 64 "$@"; }
predict none.csv -o out.tsv 2>err; is "predict: exit" $? 0
like "predict: says so" 'warning: none.csv: nothing to do: it holds no record' err
ok "predict: a table is written" test -s out.tsv
predict -T ref.fa none.bed -o out.bed 2>err; like "predict, BED" 'warning: none.bed: nothing to do' err
error "metrics of nothing" 'none.csv: no rows to compare' predict none.csv -o no.tsv --metrics no.m
finetune() { "$caduceus" finetune -d cpu -m "$data/ps" --epochs 1 -o no "$@"; }
error "finetune on nothing" 'none.csv: no sequences' finetune none.csv
error "finetune on N" 'n.csv: no sequence has an A, C, G or T' finetune n.csv
{ cat none.csv; echo ACGTACGT,0; echo ACCTACGT,1; echo ACGTAAGT,0; echo ACGTAGGT,1; } >some.csv
error "tests of N" 'n.csv: no sequence has' finetune some.csv --test n.csv
error "validation of N" 'n.csv: no sequence has' finetune some.csv --valid n.csv
is "nothing is written" "$(ls -d no no.* 2>/dev/null)" ""
finish
