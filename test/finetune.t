#!/bin/sh
# finetune.t - caduceus finetune and predict: labelled sequences, metrics, checkpoints.
. "${srcdir:-.}/test/lib.sh"
py=$(python)

rich 160 40 5 >rows
rich 60 40 9 >more
{ echo sequence,label; tr ' ' , <rows; } >train.csv
{ echo sequence,label; tr ' ' , <more; } >test.csv
finetune() { "$caduceus" finetune --quiet -@ 1 -m "$data/ps" --epochs 2 --batch 16 --lr 0.02 "$@"; }
predict() { "$caduceus" predict --quiet "$@"; }
value() { sed -n "s/^$1$tab//p" "$2"; }
# metrics_of OPTION...: prints the metrics that predict computes.
metrics_of() { predict "$@" -o /dev/null --metrics got; rows got; }

# ---- a classifier ----
ok "finetune" finetune train.csv --test test.csv --log updates.tsv -o one; cp .out one.out
is "the loss falls" "$(value accuracy one.out | awk '{ print ($1 > 0.9 ? "well" : $1) }')" well
is "a row for each epoch" "$(rows one/metrics.tsv | cut -f 1,2 | tr '\t\n' ': ')" "1:9 2:18 "
columns="#epoch	updates	train_loss	valid_loss	valid_accuracy	valid_mcc	valid_f1	valid_auroc	kept"
like "metrics.tsv names its columns" "^$columns$" one/metrics.tsv
is "a row for each update" "$(rows updates.tsv | lines)" 18
rows updates.tsv | awk -F'\t' 'NR == 1 { first = $3 } END { print (first == 0.02) ($3 < 0.0025) }' >rates
is "the rate falls to a tenth" "$(cat rates)" 11
like "provenance: the data" '^##caduceus_train_sha256=[0-9a-f]{64}$' one/metrics.tsv
ok "the result is a checkpoint" "$caduceus" model verify -m one
"$caduceus" model info one >info; like "of a classifier" "^labels${tab}2$" info
like "that says where it comes from" "^status${tab}fine-tuned by caduceus" info
like "with the names of the labels" '"label2id"' one/config.json
finetune train.csv --test test.csv --log first.tsv -o alone >alone.out
finetune -@ 3 train.csv --test test.csv --log third.tsv -o third >third.out
for file in model.safetensors config.json metrics.tsv; do
    same "threads do not change $file" alone/$file third/$file
done
same "and the printed metrics are the same" alone.out third.out; same "and the log is the same" first.tsv third.tsv
finetune train.csv --seed 2 -o seed >/dev/null
differ "another seed gives another model" one/model.safetensors seed/model.safetensors

# ---- predicting ----
ok "predict" predict -m one test.csv --metrics metrics -o out.tsv
is "a row for each sequence" "$(rows out.tsv | cut -f 1 | head -n 3 | joined)$(rows out.tsv | lines)" "row 1 2 61"
is "columns" "$(rows out.tsv | head -n 1)" "row${tab}p_0${tab}p_1${tab}predicted"
rows one.out >want; rows metrics >got; same "its metrics equal those of finetune" got want
rows out.tsv | awk 'NR > 1 { d = $2 + $3 - 1; if (d * d > 1e-10) n++ } END { print n + 0 }' >off
is "probabilities add up to 1" "$(cat off)" 0
is "the prediction is the class with the larger probability" \
    "$(rows out.tsv | awk 'NR > 1 && $4 != ($3 > $2) { n++ } END { print n + 0 }')" 0
cp out.tsv plain.tsv; predict -m one test.csv -@ 3 -o three.tsv; same "three threads" out.tsv three.tsv
# turned TABLE: prints the table with the reverse complements of its first column.
turned() {
    awk -F, -v OFS=, 'NR > 1 {
        q = ""; for (i = length($1); i; i--) q = q substr("TGCA", index("ACGT", substr($1, i, 1)), 1)
        $1 = q } { print }' "$1"
}
turned test.csv >turned.csv; predict -m one turned.csv -o turned.tsv
ok "a sequence and its reverse complement" close_to out.tsv turned.tsv 2e-6
"$caduceus" predict -m one test.csv -o - >got; same "standard output" out.tsv got
check "metrics by numpy" metrics.py numpy
if [ -n "$py" ] && "$py" -c 'import sklearn' 2>/dev/null; then check "metrics by scikit-learn" metrics.py sklearn
else skip "metrics by scikit-learn" "no scikit-learn"; fi

# ---- the same rows in other formats give the same model ----
awk '{ printf "%s\t%d\t%s\n", $2, NR, $1 }' rows | sed '1i label\tx\tSEQ' >order.tsv
awk '{ printf "\"a, \"\"b\"\"\",\"%s\",%s\r\n", $1, $2 }' rows | sed '1i note,seq,labels\r' >quoted.csv
gzip -c train.csv >train.csv.gz
awk '{ printf ">r%d some words label=%s more\n%s\n%s\n", NR, $2, substr($1, 1, 25), substr($1, 26) }' rows >train.fa
awk '{ printf "@r%d label=%s\n%s\n+\n%s\n", NR, $2, $1, $1 }' rows >train.fq
{ echo ">c"; awk '{ printf "%s", $1 } END { print "" }' rows | fold -w 60; } >ref.fa
{   row '#chrom start end class'; echo "track name=x"
    awk -v OFS='\t' '{ print "c", 40 * (NR - 1), 40 * NR, $2 }' rows; } >train.bed
awk -v OFS='\t' '{ print "c", 40 * (NR - 1), 40 * NR, "n" NR, 0, "+", $2 }' rows >wide.bed
predict -m one train.csv -o want.tsv --metrics got; rows got >metrics
for in in order.tsv quoted.csv train.csv.gz train.fa train.fq "-T ref.fa train.bed" \
    "-T ref.fa wide.bed --label-column 7" "train.csv --label-column 2 --sequence-column 1"; do
    prints "sequences and labels of $in" metrics metrics_of -m one $in
done
for in in order.tsv "-T ref.fa train.bed"; do
    rm -rf same; finetune $in -o same >/dev/null; same "finetune $in" same/model.safetensors one/model.safetensors
done
row '#chrom start end up down' 'c 0 40 1 0' 'c 40 80 0 1' 'c 80 99 1 1' >two.bed
finetune --task multilabel --valid-fraction 0.4 -T ref.fa --label-column 4,5 --epochs 1 -o named two.bed >/dev/null
is "a BED's labels are named by its header" "$(grep -cE '"[01]": "(up|down)"' named/config.json)" 2

predict -m one -T ref.fa train.bed -o out.bed
is "a BED gains columns" \
    "$(grep -v '^##' out.bed | head -n 2 | tr '\t\n' ' |')" "track name=x|#chrom start end class p_0 p_1 predicted|"
agree "with the same numbers" 'rows want.tsv | sed 1d | cut -f 2-' 'rows out.bed | grep -v track | cut -f 5-'
agree "the output is valid input" 'metrics_of -m one train.csv' 'metrics_of -m one -T ref.fa out.bed'
predict -m one train.fa -o out.tsv
is "names of a FASTA" "$(rows out.tsv | sed -n '1p;2p' | cut -f 1 | joined)" "name r1 "
row 'c 0 40 1 0 + 0 40 0' 'c 7 7 0 0 + 7 7 0' | sed 's/$/\r/' >crlf.bed
predict -m one -T ref.fa crlf.bed -o crlf.out
is "never twelve columns; CRLF" "$(rows crlf.out | awk -F'\t' '{ printf "%d%s ", NF, /\r$/ ? "r" : "" }')" "13r 13r "
is "an empty region keeps its row" "$(rows crlf.out | sed -n 2p | cut -f 10- | tr '\t\r' ' r')" ". . . .r"
predict -m one -T ref.fa train.bed -o out.bed.gz
agree "compressed" 'grep -v track out.bed' 'gzip -dc out.bed.gz | grep -v track'

# ---- options of training ----
ok "--freeze" finetune train.csv --freeze --lr 0.03 -o frozen
check "--freeze trains score alone" frozen.py "$data/ps/model.safetensors" frozen/model.safetensors
finetune train.csv --from-scratch --lr 1e-9 --epochs 1 -o fresh >/dev/null
finetune train.csv --lr 1e-9 --epochs 1 -o warm >/dev/null
differ "--from-scratch has other weights" fresh/model.safetensors warm/model.safetensors
same "and the same configuration" fresh/config.json warm/config.json
finetune train.csv --recompute -o lean >lean.out
same "--recompute does not change the result" lean/model.safetensors one/model.safetensors
ok "--pool max" finetune train.csv --test test.csv --pool max -o max; cp .out max.out
agree "predict pools as it was trained" 'rows max.out' 'metrics_of -m max test.csv'
ok "Caduceus-Ph" finetune -m "$data/ph" train.csv --test test.csv -o ph; cp .out ph.out
like "its rows are reverse-complemented" 'rc-aug=yes' ph/metrics.tsv
like "the rows of Caduceus-PS are not" 'rc-aug=no' one/metrics.tsv
predict -m ph test.csv -o got; predict -m ph turned.csv -o want; ok "its strands are conjoined" close_to got want 2e-6
finetune -m "$data/ph" train.csv --rc-aug no -o straight >/dev/null
differ "--rc-aug no" ph/model.safetensors straight/model.safetensors
finetune -m one train.csv --epochs 1 --lr 1e-9 -o again >/dev/null
is "a classifier may be fine-tuned again" "$(rows again/metrics.tsv | lines)" 1
finetune train.csv --valid test.csv --epochs 30 --patience 2 --metric loss --lr 0.3 -o early >/dev/null
rows early/metrics.tsv | awk -F'\t' '{ n++; if ($NF) kept = n } END { print (n < 30) (n - kept) }' >stopped
is "--patience stops early" "$(cat stopped)" 12
rows early/metrics.tsv | awk -F'\t' '
    { k = n == 0 || $4 < best; if (k) best = $4; n++; if (k != $NF) bad++ } END { print bad + 0 }' >wrong
is "an epoch is kept if it is the best" "$(cat wrong)" 0
finetune train.csv --valid-fraction 0 --epochs 2 -o last >last.out
is "without validation the last epoch stays" \
    "$(rows last/metrics.tsv | cut -f 4- | tr '\t\n' ' ;')" ". . . . . 1;. . . . . 1;"
is "and no metric is computed" "$(cat last.out)" ""

# ---- classes of unequal size ----
awk '!$2 || n++ < 12' rows | tr ' ' , | sed '1i sequence,label' >rare.csv
recall() { sed -n '/^#class/,/^#truth/p' "$1" | awk -F '\t' '$1 == 1 { print $3 }'; }
finetune rare.csv --test test.csv --seed 3 --batch 32 -o rare >rare.out
ok "--sampler balanced" finetune rare.csv --test test.csv --seed 3 --batch 32 --sampler balanced -o even
ok "--class-weights balanced" finetune rare.csv --test test.csv --seed 3 --batch 32 --class-weights balanced -o weighed
for name in even weighed; do
    "$caduceus" predict --quiet -m $name test.csv -o /dev/null --metrics m
    is "$name: more rows of the rare class are found" \
        "$(echo "$(recall m) $(recall rare.out)" | awk '{ print ($1 > $2 ? "more" : $1 " " $2) }')" more
done
like "the sampler is in the provenance" 'sampler=balanced' even/metrics.tsv
finetune -@ 3 rare.csv --test test.csv --seed 3 --batch 32 --sampler balanced -o even3 >/dev/null
same "threads change nothing" even/model.safetensors even3/model.safetensors
finetune train.csv --class-weights 1,1 -o same >/dev/null
same "weights of 1 change nothing" one/model.safetensors same/model.safetensors; rm -r same
finetune rare.csv --test test.csv --seed 3 --batch 32 --loss focal:0 -o zero >zero.out
ok "--loss focal:0 is cross-entropy" close_to rare.out zero.out 1e-4
ok "--loss focal" finetune rare.csv --test test.csv --seed 3 --batch 32 --loss focal -o focal
like "its exponent is 2" 'loss=focal:2' focal/metrics.tsv
differ "it is another loss" focal/model.safetensors zero/model.safetensors
error "a focal loss of values" '--loss focal goes with' finetune --task regress train.csv --loss focal -o bad
error "an exponent" '--loss focal:G x: expected a number' finetune train.csv --loss focal:x -o bad
error "weights for two classes" '--class-weights 1: expected balanced, or 2 numbers' \
    finetune train.csv --class-weights 1 -o bad
error "weights of values" '--class-weights goes with' finetune --task regress train.csv --class-weights 1 -o bad
error "a sampler for values" '--sampler goes with' finetune --task regress train.csv --sampler balanced -o bad
error "an unknown sampler" '--sampler x: expected shuffle or balanced' finetune train.csv --sampler x -o bad

# ---- several classes, labels, values ----
awk '{ print $1 "," (NR % 3 == 0 ? "10" : NR % 3 == 1 ? "9" : "x") }' rows | sed '1i sequence,label' >three.csv
ok "three classes" finetune three.csv --epochs 1 -o three; cp .out three.out
like "in order: numbers first, by size" "^#truth.predicted${tab}9${tab}10${tab}x$" three.out
is "the split takes its part of each class" \
    "$(sed -n '/^#truth/,$p' three.out | sed 1d | awk '{ printf "%d ", $2 + $3 + $4 }')" "5 5 5 "
awk '{ print $1 "," ($2 ? "gc" (NR % 2 ? ";odd" : "") : NR % 2 ? "odd" : "") }' rows | sed '1i sequence,label' >sets.csv
awk '{ print $1 "," $2 "," NR % 2 }' rows | sed '1i sequence,gc,odd' >columns.csv
ok "sets of labels" finetune --task multilabel sets.csv -o sets; cp .out sets.out
ok "the same as columns" finetune --task multilabel --label-column gc,odd columns.csv -o columns
same "give the same model" sets/model.safetensors columns/model.safetensors
is "metrics are per label" "$(sed -n '/^#label/,$p' sets.out | cut -f 1 | joined)" "#label gc odd "
predict -m sets sets.csv --metrics sets.want -o sets.tsv; rows sets.tsv | sed 1d | cut -f 4 | sort -u >predicted
is "predicted sets" "$(grep -vcE '^(\.|gc|odd|gc;odd)$' predicted)" 0
ok "there are predicted sets" test -s predicted
predict -m sets --label-column odd,gc columns.csv --metrics want -o /dev/null
same "labels as columns, in any order" sets.want want
awk '{ n = gsub(/[GC]/, "&", $1); print $1 "," 1000 + n }' rows | sed '1i sequence,label' >values.csv
ok "values" finetune --task regress --epochs 10 --lr 0.03 values.csv -o values; cp .out values.out
is "values are learnt" "$(value pearson values.out | awk '{ print ($1 > 0.9 ? "well" : $1) }')" well
predict -m values values.csv -o values.tsv
is "and predicted on their own scale" \
    "$(rows values.tsv | awk 'NR > 1 && ($2 < 990 || $2 > 1060) { n++ } END { print n + 0, NF }')" "0 2"
awk -F, 'NR == 1 || $2 = 7' OFS=, values.csv >flat.csv
is "a constant has no correlation" "$(finetune --task regress --epochs 1 flat.csv -o flat | value pearson /dev/stdin)" .

# ---- errors ----
plain_tune() { "$caduceus" finetune -m "$data/ps" "$@"; }
cut -d, -f 1 train.csv >train.txt
error "no labels" 'train.txt:1: no column "label"' plain_tune train.txt -o bad
bad() { # NAME REGEX LINE...: a table of these lines is refused
    local name=$1 regex=$2; shift 2
    printf '%s\n' "$@" >bad.csv
    error "$name" "$regex" finetune bad.csv -o bad
}
bad "a ragged row" 'bad.csv:3: 3 columns, and the header has 2' sequence,label ACGT,0 ACGT,1,2
bad "a quote that does not end" 'bad.csv:2: a quoted column' sequence,label '"ACGT,0' ACGT,1
bad "an empty label" 'bad.csv:3: label "" is empty' sequence,label ACGT,0 ACGT,
bad "no base" 'bad.csv:2: a character that is not a base' sequence,label 'AC9T,0' ACGT,1
bad "an empty sequence" 'bad.csv:3: an empty sequence' sequence,label ACGT,0 ,1
bad "one class" 'all rows have the label "0"' sequence,label ACGT,0 ACGG,0
bad "no rows" 'bad.csv: no sequences' sequence,label
bad "a header without a sequence" 'bad.csv:1: no column "sequence".*--sequence-column' text,label ACGT,0
bad "a table without a header" 'bad.csv:1: no column' ACGT,0 ACGG,1
: >empty.csv; error "an empty file" 'empty.csv: the file is empty' finetune empty.csv -o bad
head -c 300 train.csv.gz >cut.csv.gz; error "a file cut short" 'cut.csv.gz' finetune cut.csv.gz -o bad
sed '3s/,.*/,7/' test.csv >unseen.csv
error "a label that training has not seen" 'unseen.csv:3: label "7" is none of the model.s: 0, 1' \
    finetune train.csv --test unseen.csv -o bad
error "a label that training has not seen, in predict" \
    'unseen.csv:3: label "7"' predict -m one unseen.csv --metrics m -o bad.tsv
error "text for a value" 'three.csv:3: label "x" is not a number' finetune --task regress three.csv -o bad
printf 'sequence,label\nACGT,nan\nACGG,1\n' >nan.csv
error "NaN for a value" 'nan.csv:2: label "nan" is not a number' finetune --task regress nan.csv -o bad
printf 'sequence,a,b\nACGT,2,0\n' >two.csv
error "a column of a set that is neither 0 nor 1" 'two.csv:2: label "2" is neither 0 nor 1' \
    plain_tune two.csv -o bad --task multilabel --label-column a,b
error "a column of labels named twice" 'columns.csv: two columns of labels are named "gc"' \
    finetune --task multilabel --label-column gc,odd,2 columns.csv -o bad
{ echo sequence,label; for k in $(seq 1001); do echo "ACGT,$k"; done; } >classes.csv
error "more than 1,000 classes" 'classes.csv: 1001 different labels, but at most 1000' finetune classes.csv -o bad
printf 'sequence,label\nACGT,a\nACGG,a;;b\n' >empty-name.csv
error "a set with an empty name" 'empty-name.csv:3: label "a;;b" has an empty name' \
    finetune --task multilabel empty-name.csv -o bad
printf 'sequence,label\nACGT,1e300\nACGG,-1e300\n' >far.csv
error "values too far apart" 'far.csv: values of "label" are too large' finetune --task regress far.csv -o bad
error "other columns than the model's" 'the model.s label "gc" is none of the columns' \
    predict -m columns --label-column odd,sequence columns.csv --metrics m -o bad.tsv
error "more columns" 'columns.csv: 2 columns of labels, and the model has 1' \
    predict -m values --label-column gc,odd columns.csv --metrics m -o bad.tsv
error "a column of a BED that holds the place" 'train.bed: .*from 4|--label-column 3: expected' \
    finetune -T ref.fa --label-column 3 train.bed -o bad
printf 'sequence,label\nACGT,a\nACGG,b\377\n' >latin.csv
error "a label that is not UTF-8" 'a label is not UTF-8 text' finetune --valid-fraction 0 latin.csv -o bad
cp -r one other; sed 's/single_label_classification/ranking/' one/config.json >other/config.json
error "a model of another problem" '"problem_type" is none of' predict -m other test.csv -o bad.tsv
error "columns of a FASTA" 'ref.fa: FASTA and FASTQ have no columns' finetune --label-column 2 ref.fa -o bad
error "an unknown format" '--in-format pdf: expected csv, tsv' finetune --in-format pdf train.csv -o bad
error "FASTA without a label" 'ref.fa:1: record c has no label; write label=X' finetune --crop --window 9 ref.fa -o bad
error "a sequence longer than the window" 'ref.fa:[0-9]*: a sequence of 6400 bases, and the window is 512; .*--crop' \
    predict -m one ref.fa -o bad.tsv
ok "--crop uses the middle of a longer sequence" predict -m one --crop ref.fa -o middle.tsv
awk 'NR == 1 { print; next } { q = q $0 } END { print substr(q, 2945, 512) }' ref.fa >middle.fa
predict -m one --crop middle.fa -o want.tsv
is "--crop takes the middle" "$(rows middle.tsv)" "$(rows want.tsv)"
awk 'NR == 2 { print "sequence,label\n" $1 $1 ",0\n" $1 $1 $1 ",1" }' middle.fa >long.csv
finetune --window 2000 --valid-fraction 0 --epochs 1 long.csv -o long >/dev/null
ok "predict takes what finetune was given" predict -m long long.csv -o long.tsv
error "BED without a reference" 'train.bed: .*-T FASTA' finetune train.bed -o bad
error "BED: a label column that is not there" 'train.bed:3: 4 columns, and the label is in column 5' \
    finetune -T ref.fa --label-column 5 train.bed -o bad
row 'c 0 6401 1' >end.bed
error "BED: past the end" 'end 6401 is past the end of c' plain_tune -T ref.fa end.bed -o bad
error "-T without a BED" '-T: no input is a BED' finetune -T ref.fa train.csv -o bad
error "reads" 'reads or variants' finetune "$srcdir/examples/example.sam" -o bad
error "a language model given to predict" 'a language model without a classifier; .*caduceus finetune' \
    predict -m "$data/ps" test.csv -o bad.tsv
error "a metric that does not fit the task" '--metric pearson does not fit --task classify' \
    finetune train.csv --metric pearson -o bad
error "--patience without validation" '--patience needs' finetune train.csv --valid-fraction 0 --patience 1 -o bad
error "no output" 'name the folder' finetune train.csv
error "bad numbers" '--lr 1x: expected a number from' finetune train.csv --lr 1x -o bad
error "bad task" '--task guess: expected classify, multilabel, regress, bases or tracks' \
    finetune train.csv --task guess -o bad
is "no folder is left" "$(ls -d bad 2>/dev/null)" ""
cp -r one keep
error "an error does not change the folder" 'is none of the model' finetune train.csv --test unseen.csv -o keep
for file in model.safetensors metrics.tsv; do same "$file is unchanged" one/$file keep/$file; done
error "the folder of the model" 'is also an input' finetune -m one train.csv -o one
echo x >file
error "the bundled model's folder" 'is also an input' \
    env -u CADUCEUS_MODEL "$caduceus" finetune train.csv -o "$builddir/models/human-small"
error "an output that is the reference's index" 'is also an input' predict -m one -T ref.fa train.bed -o ref.fa.fai
error "an output that is the log" 'is also an input' finetune -T ref.fa train.bed -o bad --log ref.fa.fai
error "predict without a model" 'name a checkpoint of caduceus finetune with -m' \
    env -u CADUCEUS_MODEL "$caduceus" predict test.csv -o bad.tsv
error "a file in place of the folder" 'file: is there and is not a folder' finetune train.csv -o file
error "an output that is the input" 'is also an input' predict -m one test.csv -o test.csv
error "labels without --metrics" '--label-column needs --metrics' predict -m one --label-column label test.csv
error "standard input twice" 'several inputs are standard input' finetune - --test - -o bad
prints "predict from standard input" plain.tsv piped test.csv predict -m one -
# ---- faults ----
why=$(no_preload "$full")
if [ -z "$why" ]; then
    for n in 0 900 20000 48000; do
        error "a full disk after $n bytes" 'No space left' \
            failing_disk AFTER=$n "$caduceus" finetune --quiet -m "$data/ps" --seed 5 train.csv -o keep
    done
    same "the old checkpoint is unchanged" one/model.safetensors keep/model.safetensors
    same "and its configuration" one/config.json keep/config.json
    # crash N TABLE: kills finetune at its Nth rename, while it replaces a checkpoint of two classes.
    crash() {
        rm -rf crash; cp -r one crash
        env LD_PRELOAD="$full" FULLFS_RENAME=$1 FULLFS_NAMED=1 \
            "$caduceus" finetune --quiet -m "$data/ps" --epochs 1 "$2" -o crash >/dev/null 2>&1
    }
    for n in 1 2 3 4; do
        crash $n test.csv; predict -m crash test.csv -o crash.tsv
        same "stopped at rename $n, with the same classes: the old checkpoint" crash.tsv plain.tsv
        crash $n three.csv
        error "with other classes: no checkpoint" \
            'holds neither model.safetensors' predict -m crash test.csv -o crash.tsv
    done
    crash 5 three.csv; predict -m crash test.csv -o crash.tsv
    like "after the last rename: the new checkpoint" "^row${tab}p_9${tab}p_10${tab}p_x${tab}predicted" crash.tsv
    # After a failed rename there is the old checkpoint, the new one or none; never old and new files together.
    for n in 1 2 3 4 5; do
        rm -rf failed; cp -r one failed
        error "rename $n fails" 'Input/output error' env LD_PRELOAD="$full" FULLFS_FAIL=rename:$n FULLFS_NAMED=1 \
            "$caduceus" finetune --quiet -m "$data/ps" --epochs 1 three.csv -o failed
        if [ -e failed/model.safetensors ]; then
            predict -m failed test.csv -o failed.tsv
            like "and the new checkpoint exists" "^row${tab}p_9${tab}p_10${tab}p_x${tab}predicted" failed.tsv
        else pass "and there is none"; fi
    done
    ok "the next run removes the rest" finetune three.csv --epochs 1 -o crash
    is "no temporary file is left" "$(ls -A crash | grep tmp)" ""
else skip "a full disk" "$why"; fi
# ---- resuming ----
slow() { "$caduceus" finetune --quiet -@ 1 -m "$data/ps" --epochs 3 --batch 40 --lr 0.02 "$@"; }
resumes "a training that is killed and resumed: the same files" slow train.csv --test test.csv
resumes "values, the head alone" slow train.csv --task regress --freeze
resumes "sets of labels; without provenance" slow sets.csv --task multilabel --no-version
resumes "stopped by --patience" slow train.csv --epochs 30 --lr 0.3 --patience 2 --metric loss
like "which has not taken all epochs" '^[3-9]	' part/metrics.tsv
is "that is enough" "$(tail -n 1 part/metrics.tsv | cut -f 1 | awk '{ print ($1 < 30) }')" 1
slow train.csv --log whole.log -o whole >/dev/null
if [ -z "$why" ]; then
    interrupted RENAME=8 slow train.csv --log part.log --save-every 2 -o half >/dev/null 2>&1
    rm .caduceus-*; ls half >before
    error "without --resume nothing is overwritten" 'half/training.safetensors: .* begun; .*--resume' \
        slow train.csv -o half
    differs() {
        local name=$1 regex=$2; shift 2
        error "$name" "half/training.safetensors: $regex" "$@" --resume -o half
    }
    logged() { slow train.csv --log part.log "$@"; }
    differs "another rate" 'begun with lr=0.02, not lr=0.5;' logged --lr 0.5
    differs "another batch and number of epochs" 'begun with epochs=3 batch=40, not epochs=4 batch=20;' \
        logged --batch 20 --epochs 4
    differs "another seed" 'begun with seed=1, not seed=2;' logged --seed 2
    differs "only the head" 'begun without freeze;' logged --freeze
    differs "without the log" 'begun with log;' slow train.csv
    differs "other rows" 'begun with data=[0-9a-f]*, not data=' slow test.csv --log part.log
    differs "other rows to validate on" 'begun with valid-fraction=0.1, not valid=[0-9a-f]* valid;' \
        logged --valid test.csv
    differs "another model" 'is of another model' slow train.csv --log part.log -m "$data/ph"
    error "adapters" 'half: holds a whole model' logged --resume -o half --lora 2
    ls half >after; same "the folder is as it was" before after
    rm -rf bad; cp -r half bad
    flip bad/training.safetensors $(($(grep -a -b -o best_epoch bad/training.safetensors | cut -d : -f 1) + 11))
    error "a damaged state" 'bad/training.safetensors: damaged' logged --resume -o bad
    ok "going on, without a word about options" "$caduceus" finetune --resume -o half
    like "it says where" '^caduceus finetune: half/training.safetensors: going on after update [1-9]' .err
    for file in model.safetensors metrics.tsv; do same "the same $file" whole/$file half/$file; done
    same "the log has all updates" whole.log part.log
    is "the state is gone" "$(ls -A half | joined)" "$(ls -A whole | joined)"
else skip "other settings" "$why"; fi
cksum whole/* whole.log >before
ok "--resume of a complete training" "$caduceus" finetune -@ 1 -m "$data/ps" --epochs 3 --batch 40 --lr 0.02 train.csv \
    --log whole.log --resume -o whole
like "says so" '^caduceus finetune: whole: the training is complete$' .err
like "and prints its metrics" '^accuracy	' .out
cksum whole/* whole.log >after; same "and changes nothing" before after
ok "with other settings, a new training" slow train.csv --epochs 1 --resume -o whole
is "is made" "$(rows whole/metrics.tsv | lines)" 1
error "--resume without options" 'nowhere/options.txt: not there; give the options' \
    "$caduceus" finetune --resume -o nowhere
"$caduceus" pretrain --quiet -@ 1 -T ref.fa -o pre --d-model 16 --n-layer 1 --seq-len 64 --batch-tokens 64 --steps 1
error "a state of pretrain" 'pre/training.safetensors: is of another model' slow train.csv --resume -o pre

# begun FOLDER: starts a long run in the background, sets $pid, and waits until the run has saved its first epoch.
begun() {
    "$caduceus" finetune --quiet -@ 1 -m "$data/ps" --epochs 100000 --batch 16 --metric loss train.csv -o "$1" \
        >/dev/null & pid=$!
    i=0; while [ $i -lt 200 ] && [ ! -e "$1/metrics.tsv" ]; do i=$((i + 1)); sleep .05; done
}
# A classifier of short sequences warns of long ones, once, with a count.
{ echo sequence,label; for i in 1 2 3 4 5 6 7 8; do echo "$(bases 40 $i),$((i % 2))"; done; } >short.csv
{ echo sequence; bases 79 1; bases 80 2; bases 300 3; } >long.csv
ok "short sequences" finetune short.csv --epochs 1 -o short
ok "the longest is stored" grep -q '"caduceus_longest": 40' short/config.json
ok "predictions for long ones" "$caduceus" predict -m short long.csv
like "warn of the first that is twice as long" 'warning: long.csv:3: 80 bases, .* tuned on sequences of up to 40; ' .err
like "and count them" 'in all: 2 sequence\(s\) far longer than those of training' .err
ok "cropped ones" "$caduceus" predict -m short --crop --window 40 long.csv; is "do not" "$(cat .err)" ""
length=$("$caduceus" model info "$data/ps" | sed -n "s/^window$tab//p")
{ cat short.csv; echo "$(bases $((2 * length)) 9),1"; } >longer.csv
ok "training on long ones" "$caduceus" finetune -@ 1 -m "$data/ps" --epochs 1 --window 5000 --valid-fraction 0 \
    longer.csv -o longer
like "warns too" "warning: longer.csv:10: $((2 * length)) bases, and the model's length is $length" .err
ok "a dry run" finetune --epochs 3 --batch 2 train.csv --test test.csv --dry-run -o dry
is "counts" "$(cut -f 1 .out | joined)" "sequences validation_sequences test_sequences labels longest epochs updates \
tokens parameters bytes seconds "
is "all of the rows" \
    "$(awk '/^(validation_)?sequences/ { n += $2 } END { print n }' .out)" "$(($(lines <train.csv) - 1))"
is "and makes no folder" "$(ls -d dry 2>&1 | grep -c '^dry')" 0
error "a dry run reads the data" 'gone.csv: No such file' finetune gone.csv --dry-run
begun killed; kill -9 $pid; wait $pid 2>/dev/null
ok "after kill -9 the checkpoint of the best epoch exists" predict -m killed test.csv -o killed.tsv
like "and the table of epochs" '^1	9	' killed/metrics.tsv
begun busy
error "a folder in which another process is working" 'busy: another process is at work there' finetune train.csv -o busy
kill -9 $pid; wait $pid 2>/dev/null
begun ended; kill -TERM $pid; wait $pid; is "SIGTERM" $? 143
natural "$caduceus" finetune -@ 1 -m "$data/ps" --epochs 100000 --batch 16 train.csv -o told >/dev/null 2>told.err &
pid=$!
i=0; while [ $i -lt 200 ] && [ ! -e told/metrics.tsv ]; do i=$((i + 1)); sleep .05; done
kill -INT $pid; wait $pid; is "control-C" $? 130
like "tells which epoch is kept" 'finetune: stopped at update [0-9]+ of [0-9]+; told holds the model of epoch ' told.err
like "and how to go on" 'holds the model of epoch [0-9]+; go on with --resume -o told$' told.err
is "the checkpoint of the best epoch is left, and what --resume needs" "$(ls -A ended | joined)" \
    "README.md config.json metrics.tsv model.safetensors options.txt tokenizer_config.json training.safetensors "
mkfifo gate
"$caduceus" finetune --quiet -m "$data/ps" gate -o unborn >/dev/null & pid=$!
i=0; while [ $i -lt 200 ] && [ ! -e unborn ]; do i=$((i + 1)); sleep .05; done
kill -TERM $pid; wait $pid; is "SIGTERM before the first epoch" $? 143
is "leaves no folder" "$(ls -d unborn 2>/dev/null)" ""
# A run ended by kill -9 may leave a temporary file in its folder.
is "no temporary file is left" "$(find . -name '.caduceus-*' ! -path './killed/*' ! -path './busy/*')" ""
finish
