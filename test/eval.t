#!/bin/sh
# eval.t - caduceus eval: loss, bits and accuracy of a model and of Markov models.
. "${srcdir:-.}/test/lib.sh"

# Two contigs with runs of N, lower case and an IUPAC code
dirty() { awk '{ print substr($0, 1, 300) "NNNNN" tolower(substr($0, 306, 200)) "R" substr($0, 507) }'; }
{   echo ">one"; bases 1900 7 | dirty | fold -w 60; echo ">two"; bases 700 8 | dirty | fold -w 70
    printf '>gap\n%s\n' NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN; } >ref.fa
row 'one 0 800 train' 'one 850 1400 valid' 'one 1500 1900 train' 'two 0 400 valid' 'two 450 700 test' >in.bed
eval_() { "$caduceus" eval --quiet -m "$data/${model:-ps}" -T ref.fa --window 96 "$@"; }
table() { eval_ "$@" | rows -; }
loud() { "$caduceus" eval -m "$data/ps" -T ref.fa --window 96 "$@"; }
value() { awk -F'\t' -v g="$1" -v p="$2" -v c="$3" '$1 == g && $2 == p { print $c }' "$4"; }
py=$(python)

# ---- comparison with float64 and with another implementation of Markov models ----
row 'one 0 500 train' 'one 600 750 valid' 'one 1800 1900 valid' 'two 0 300 train' 'two 480 560 test' >small.bed
printf 'one\t0\t90\ttrain\none\t560\t650\tvalid\n' >tiny.bed
for case in "ps stride:8 small" "ph each tiny" "ps-odd-depth stride:3 tiny"; do
    # shellcheck disable=SC2086
    set -- $case; model=$1 mask=$2 bed=$3
    if [ -z "$py" ]; then skip "$model, $mask: the numbers of the reference" "no numpy"; continue; fi
    "$py" "$reference" evaluate -m "$data/$model" -T ref.fa --window 96 --flank 24 --mask "$mask" --markov 5 $bed.bed \
        >want
    table -L $bed.bed --mask "$mask" --markov 5 | grep -v '^total' >got
    ok "$model, $mask: the numbers of the reference" close_to got want 1e-5
done
model=ps
if [ -n "$py" ]; then
    "$py" "$reference" evaluate -m "$data/ps" -T ref.fa --window 96 --flank 20 --skip-soft-masked small.bed >want
    table -L small.bed --flank 20 --skip-soft-masked | grep -v '^total' >got
    ok "order 12, without lower case: the numbers of the reference" close_to got want 1e-5
else skip "order 12, without lower case: the numbers of the reference" "no numpy"; fi

# ---- the table ----
ok "a table" eval_ -L in.bed --markov 2
cp .out all
like "its columns have names" "^#group	predictor	bases	loss	bits	accuracy	perplexity$" all
like "its header lists the options" \
    '^##caduceus_options=eval mask=stride:8 window=96 flank=24 markov=2 markov-split=train$' all
is "splits come as in the BED, then all" "$(rows all | cut -f 1 | uniq | joined)" "train valid test total "
is "every predictor has a row" "$(rows all | grep '^test' | cut -f 2 | joined)" \
    "model markov-0 markov-1 markov-2 markov-1-two-sided markov-2-two-sided "
is "all predictors have the same number of bases" "$(rows all | cut -f 1,3 | uniq | lines)" 4
ok "the total is the mean over all bases" awk -F'\t' '
    /^#/ { next }
    $1 == "total" { d = $4 - s[$2] / n[$2]; if (d * d > 1e-10 || $3 != n[$2]) bad = 1; next }
    { s[$2] += $3 * $4; n[$2] += $3 } END { exit bad }' all
ok "bits and perplexity follow from the loss" awk -F'\t' '
    /^#/ { next }
    { d = $5 * log(2) / $4 - 1; e = $7 / exp($4) - 1; if (d * d > 1e-9 || e * e > 1e-9) bad = 1 } END { exit bad }' all
annotate() { "$caduceus" annotate --quiet -m "$data/ps" -T ref.fa --window 96 "$@"; }
annotate --score pll,n in.bed |
    awk -F'\t' '$4 == "valid" { s += $5 * $6; n += $6 } END { printf "%.4f\n", -s / n }' >pll
is "the loss is annotate's -pll" "$(value valid model 4 all | awk '{ printf "%.4f\n", $1 }')" "$(cat pll)"

# ---- what is evaluated ----
table -L in.bed --split valid --markov 2 >valid; grep '^valid' all >want; grep '^valid' valid >got
same "--split" got want
is "one split is all there is: no row is printed twice" "$(grep -c '^total' valid)" 0
table -r one:1001-1200 -L in.bed --split valid --markov 2 >part
is "-r limits the bases" "$(value valid model 3 part)" 200
ok "-r alone" eval_ -r one:1001-1200 --markov none
like "and the header lists it" 'flank=24 region=one:1001-1200$' .out
table -r one:1001-1200 --markov none >alone
is "-r without -L: the contig" "$(cut -f 1-3 alone | tr '\t\n' ': ')" "one:model:200 "
cut -f 1-3 in.bed >plain.bed; table -L plain.bed --markov none >got
is "without names: contigs" "$(cut -f 1 got | joined)" "one two total "
is "and the same bases" "$(value total model 3 got)" "$(value total model 3 all)"
cut -f 1-3 in.bed | sed 's/$/\tall/' >named.bed; cat named.bed named.bed >twice.bed
agree "a base given twice counts once" 'table -L named.bed --markov none' 'table -L twice.bed --markov none'
grep -v train in.bed >held.bed; grep train in.bed >train.bed; rows all >want
prints "-L twice adds up" want table -L train.bed -L held.bed --markov 2
row 'gap model 0 . . . .' >want; prints "nothing but N" want table -r gap --markov none
table -L in.bed --split valid --mask none --markov none >got
like "--mask none is part of the predictor's name" '^valid	model_unmasked	' got
# Several models: each has the rows that it has alone, Markov models come once.
both() { "$caduceus" eval --quiet -T ref.fa -L in.bed --split valid --window 96 -m "$data/ps" -m "$data/ph" "$@"; }
for m in ps ph; do
    "$caduceus" eval --quiet -T ref.fa -L in.bed --split valid --window 96 -m "$data/$m" --markov none | rows - |
        awk -v FS='\t' -v OFS='\t' -v name="$data/$m" '{ $2 = name; print }'
done >want
ok "two models" both --markov 1
is "their predictors" "$(rows .out | cut -f 2 | sed 's|.*/||' | joined)" "ps markov-0 markov-1 markov-1-two-sided ph "
rows .out | grep -v markov >got; same "their rows are those of each alone" want got
is "the provenance names both" "$(grep -c '^##caduceus_model_sha256=' .out)" 2
ok "a dry run of two" both --dry-run
is "counts both" "$(grep '^#model' .out | sed 's|.*/||' | joined)" "ps ph "
error "the second is not there" 'gone: No such file' both -m gone
error "-o over the second" 'is also an input' both -o "$data/ph/config.json"
printf 'one\t0\t800\ttrain\none\t100\t300\tvalid\n' >leak.bed
loud -L leak.bed --markov 2 >got 2>err
like "a split within the training split is reported" 'one:101-300 is in split valid and.*train' err
table -L in.bed --markov-split valid --markov 2 >got
if [ "$(value test markov-2 4 got)" = "$(value test markov-2 4 all)" ]; then fail "--markov-split"
else pass "--markov-split"; fi
is "and the row of the model does not change" "$(grep -P '\tmodel\t' got)" "$(rows all | grep -P '\tmodel\t')"

# ---- Markov models computed by hand; the training sequence is AC, so both strands give AC and GT ----
printf '>t\nAC\n>v\nACA\n' >hand.fa; printf 't\t0\t2\ttrain\nv\t0\t3\tvalid\n' >hand.bed
"$caduceus" eval --quiet -m "$data/ps" -T hand.fa -L hand.bed --split valid --markov 1 --mask each >hand
# Order 0: each base is counted once in 4 bases. The prior 1/4 has weight 2, so P = (1 + 2/4) / (4 + 2) = 1/4.
# Order 1: the probability of order 0 has weight 3, so P(C|A) = (1 + 3/4) / (1 + 3), P(A|C) = (0 + 3/4) / (0 + 3).
calculated() { awk "BEGIN { printf \"%.6g\", $1 }"; }
is "order 0 by hand" "$(value valid markov-0 4 hand)" "$(calculated "log(4)")"
is "order 1 by hand" "$(value valid markov-1 4 hand)" "$(calculated "(log(4) - log(7 / 16) + log(4)) / 3")"
is "ties count in part" "$(value valid markov-0 6 hand)" 0.25
# The two-sided model also predicts the first A of ACA from the C that follows. On the other strand this is T after G,
# and P(T|G) = 7/16. The base after C does not change the prediction of C.
is "both sides by hand" "$(value valid markov-1-two-sided 4 hand)" \
    "$(calculated "(-log(7 / 16) - log(7 / 16) + log(4)) / 3")"
{ echo ">r"; awk 'BEGIN { for (i = 0; i < 400; i++) printf "ACGGT"; print "" }'; } >repeat.fa
row 'r 0 1500 train' 'r 1500 2000 valid' >repeat.bed
"$caduceus" eval --quiet -m "$data/ps" -T repeat.fa -L repeat.bed --split valid --markov 6 >repeat
bits=$(value valid markov-6 5 repeat) accuracy=$(value valid markov-6 6 repeat)
ok "a repeat is learnt" awk -v b="$bits" -v a="$accuracy" 'BEGIN { exit !(b < 0.05 && a > 0.99) }'

# ---- samples ----
sampled() { table -L in.bed --markov none "$@"; }
agree "a sample of more windows than exist" sampled 'sampled --sample 1000'
agree "the seed is 1" 'sampled --sample 7' 'sampled --sample 7 --seed 1'
sampled --sample 7 >a; sampled --sample 7 --seed 2 >b; differ "another seed, another sample" a b
is "--dry-run counts its windows" "$(eval_ -L in.bed --sample 7 --dry-run | sed -n 's/^windows	//p')" 7
windows() { sed -n 's/^windows	//p'; }
is "without --sample it counts all windows" \
    "$(eval_ -L in.bed --dry-run | windows)" "$(annotate --dry-run in.bed | windows)"

# ---- options that do not change the output ----
eval_ -L in.bed --markov 12 -@ 1 >one
for t in 2 3; do eval_ -L in.bed --markov 12 -@ $t >t; same "-@ $t gives the same bytes as -@ 1" t one; done
eval_ -L - --markov 12 <in.bed >t; same "standard input gives the same bytes" t one
eval_ -L in.bed --markov 12 -o t.tsv; same "-o gives the same bytes" t.tsv one
(LC_ALL=de_DE.UTF-8 eval_ -L in.bed --markov 12) >t; same "another locale gives the same bytes" t one

# ---- no baseline ----
loud >got 2>err
is "without training intervals only the model is evaluated" "$(rows got | cut -f 2 | uniq)" model
like "with a warning" 'eval: warning: no Markov models .*-L BED' err
loud --markov none 2>err >got
is "no warning with --markov none" "$(grep -c Markov err)" 0

# ---- errors ----
echo old >kept.tsv
bad() { local name=$1 regex=$2; shift 2; error "$name" "$regex" eval_ "$@" -o kept.tsv; }
error "no reference" 'eval: .*-T' "$caduceus" eval -L in.bed
bad "an unknown split" '--split tset: no such rows in in.bed; its fourth column has train, valid, test' -L in.bed \
    --split tset
bad "no names" '--split valid: plain.bed has no fourth column' -L plain.bed --split valid
bad "no intervals" '--split valid: .*-L' --split valid
bad "an unknown training split" '--markov-split x: no such rows' -L in.bed --markov-split x
bad "a baseline that cannot be had" '--markov-split train: no such rows' -L held.bed --markov 3
bad "--markov-split without a baseline" 'does not fit' -L in.bed --markov none --markov-split train
bad "order 13" '--markov 13: .*from 0 to 12' -L in.bed --markov 13
bad "a mask" '--mask random: expected each' --mask random
bad "no window" '--sample 0: expected' --sample 0
row 'one 0 9000 valid' >past.bed
bad "past the end" 'past.bed:1: end 9000 is past the end of one \(1900 bases\)' -L past.bed
row 'chrone 0 90 valid' >gone.bed
bad "a contig that is not there" 'gone.bed:1: contig "chrone" is not in ref.fa' -L gone.bed
row 'one 0 90 valid' 'one 100 200' >mixed.bed
bad "names in some rows only" 'mixed.bed:2: no fourth column' -L mixed.bed
awk 'BEGIN { for (i = 0; i < 1001; i++) print "one\t" i "\t" i + 1 "\tgene" i }' >genes.bed
bad "names that are not splits" 'genes.bed:1001: more than 1000 names' -L genes.bed
echo '# nothing' >none.bed; bad "no rows" 'nothing to evaluate' -L none.bed
printf 'one\t5\t5\tvalid\n' >empty.bed; bad "empty rows" 'nothing to evaluate' -L empty.bed
bad "-r that leaves nothing" 'nothing to evaluate' -L in.bed -r gap --markov 2
bad "-r past the end" 'begins past the end' -r one:5000-6000
bad "a region of no contig" 'no contig "three"' -r three
bad "a classifier" 'classifier without a language-model head' -m "$data/cls-ps" --markov none
bad "flanks that fill the window" 'leaves nothing' --flank 48
bad "an argument" 'in.bed: no such argument; in.bed looks like a BED: -L' in.bed
error "the output is the BED" 'in.bed' eval_ -L in.bed -o in.bed
error "the output is the index" 'ref.fa.fai' eval_ -L in.bed -o ref.fa.fai
error "a missing folder" 'no/x.tsv' eval_ -L in.bed -o no/x.tsv
is "the old table is unchanged" "$(cat kept.tsv)" old
is "no temporary file is left" "$(find . -name '.caduceus-*')" ""
"$caduceus" eval -m "$data/ps" >/dev/null 2>&1; is "a missing -T fails" $? 1

# ---- masks and flanks compared ----
contig one 120 77 >small.fa
compared() { "$caduceus" eval --quiet -m "$data/ps" -T small.fa "$@"; }
compared --window 120 --flank 0 --masks stride:3,each,none >masks.tsv
is "a row for each mask, in the order given" "$(rows masks.tsv | cut -f 1,2,3 | tr '\t\n' ', ')" \
    "mask=stride:3,120,3 mask=each,120,120 mask=none,120,1 "
check "masks: RMS and rank correlation" compare.py "$data/ps" small.fa masks.tsv mask=each mask=stride:3 mask=none
compared --window 120 --flanks 10,40 >flanks.tsv
is "flanks: the same bases in windows of other lengths" "$(rows flanks.tsv | cut -f 1-4 | tr '\t\n' ', ')" \
    "flank=10,120,24,1280 flank=40,120,24,2240 "
# The contig is one window; its bases 41 to 80 are read with flanks of 40 and of 10.
compared --window 120 -r one:41-80 --flanks 40,10 >flanks.tsv
check "flanks: RMS and rank correlation" compare.py "$data/ps" small.fa flanks.tsv flank=40 flank=10
compared --window 120 --flank 0 --masks each,none --no-version -o plain.csv
is "a plain CSV" "$(sed -n '1s/,.*//p' plain.csv)" setting
tokens=$(compared --window 120 --flank 0 --masks each,none --dry-run | grep -c "^tokens")
is "--dry-run counts each setting" "$tokens" 2
error "without each" 'each must be in the list' compared --masks stride:8,none
error "flanks that leave nothing" 'leaves nothing of --window 120' compared --window 120 --flanks 10,60
error "both" 'give one of them' compared --masks each --flanks 9
error "not a mask" 'expected each' compared --masks each,some
error "two models" 'one model' compared --masks each -m "$data/ps" -m "$data/ph"
error "--json" 'json' compared --masks each --json
finish
