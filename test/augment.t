#!/bin/sh
# augment.t - finetune --augment: training rows that are moved, mutated, or drawn from the model's prediction.
. "${srcdir:-.}/test/lib.sh"

rich 80 40 5 >rows
{ echo sequence,label; tr ' ' , <rows; } >train.csv
tune() { "$caduceus" finetune --quiet -@ 1 -m "$data/ps" --epochs 2 --batch 16 --lr 0.02 "$@" >.printed; }
weights() { tune "$@" -o tuned && cp tuned/model.safetensors "$model" && rm -r tuned; }
all=rc,shift:3,mutate:0.1,mlm:0.2

# ---- every change has an effect, and threads have none ----
model=plain; weights train.csv
for list in shift:3 mutate:0.1 mlm:0.2; do
    model=got; ok "--augment $list" weights train.csv --augment $list; differ "$list has an effect" plain got
done
model=want; weights train.csv --rc-aug yes; model=got; weights train.csv --augment rc
same "rc is --rc-aug yes" want got
model=want; weights -m "$data/ph" train.csv; model=got; weights -m "$data/ph" train.csv --augment rc
same "which Ph has anyway" want got
tune train.csv --augment $all -o one; tune train.csv --augment $all -@ 2 -o two
ok "two threads, the same files" diff -r one two
like "the list is in the provenance" ' rc-aug=yes augment=shift:3,mutate:0.1,mlm:0.2$' one/metrics.tsv
model=got; weights train.csv --augment mlm:0.2,mutate:0.1,rc,shift:3; same "in any order" one/model.safetensors got
tune train.csv --augment $all --seed 2 -o seed; differ "another seed" one/model.safetensors seed/model.safetensors
resumes "a training that is killed and resumed" "$caduceus" finetune --quiet -@ 1 -m "$data/ps" --epochs 2 --batch 20 \
    --lr 0.02 --augment $all train.csv
ok "--from-scratch draws from the given model" tune train.csv --augment mlm:0.2 --from-scratch -o scratch
ok "adapters" tune train.csv --augment mlm:0.2 --lora 2 -o lora
ok "a dry run" tune train.csv --augment $all --dry-run

# ---- validation rows stay ----
frozen() { tune train.csv --freeze --lr 1e-9 --epochs 1 "$@"; }
frozen -o still; frozen --augment shift:15,mutate:0.5 -o moved
is "the same losses of validation" "$(rows moved/metrics.tsv | cut -f 4-)" "$(rows still/metrics.tsv | cut -f 4-)"
is "other losses of training" "$(rows moved/metrics.tsv | cut -f 3 | grep -cF "$(rows still/metrics.tsv | cut -f 3)")" 0

# ---- regions move over the reference ----
awk '{ print ">c" NR; print $1 }' rows >apart.fa
awk -v OFS='\t' '{ print "c" NR, 0, 40, $2 }' rows >apart.bed
{ echo ">c"; cut -d ' ' -f 1 rows | tr -d '\n' | fold -w 60; echo; } >joined.fa
awk -v OFS='\t' '{ print "c", 40 * (NR - 1), 40 * NR, $2 }' rows >joined.bed
model=want; weights train.csv --augment shift:5
model=got; weights -T apart.fa apart.bed --augment shift:5; same "at a contig's end, as a sequence: padding" want got
model=bed; weights -T joined.fa joined.bed --augment shift:5; differ "within a contig, the bases there" want bed
{ echo ">c"; grep -v '>' joined.fa | tr -d '\n' | rev | tr ACGT TGCA | fold -w 60; echo; } >turned.fa
awk -v OFS=, 'BEGIN { print "region", "start", "end", "strand", "label" }
    { print "c", 40 * (NR - 1), 40 * NR, "+", $2 }' rows >forward.csv
awk -v OFS=, 'BEGIN { print "region", "start", "end", "strand", "label" }
    { print "c", 3200 - 40 * NR, 3240 - 40 * NR, "-", $2 }' rows >backward.csv
model=got; weights -T joined.fa forward.csv --augment shift:5; same "a table of intervals" bed got
model=got; weights -T turned.fa backward.csv --augment shift:5; same "on the other strand" bed got
ok "padded sequences" tune train.csv --pad 50 --augment shift:5 -o padded

# ---- other tasks ----
row 'c 100 300 x' 'c 700 900 y' 'c 1500 1900 x' >classes.bed
contig c 2000 3 >bases.fa; contig d 500 4 >>bases.fa
bases_() { "$caduceus" finetune --quiet -@ 1 -m "$data/ps" --task bases -T bases.fa --window 100 --epochs 1 "$@"; }
bases_ classes.bed --valid d -o bases >/dev/null
for list in mutate:0.1 mlm:0.1; do
    ok "classes of bases: $list" bases_ classes.bed --valid d --augment $list -o changed
    differ "$list has an effect" bases/model.safetensors changed/model.safetensors
done
error "classes of bases: shift" '--augment shift does not go with --task bases: the labels' \
    bases_ classes.bed --augment shift:2 -o bad
error "tracks: shift" '--augment shift does not go with --task tracks' \
    tune --task tracks -T bases.fa --augment shift:2 x.bw -o bad

# ---- errors ----
error "a classifier predicts no bases" '--augment mlm: .* the model of -m is a classifier' \
    tune -m one train.csv --augment mlm:0.1 -o bad
ok "but may be trained on with others" tune -m one train.csv --augment mutate:0.1 -o ok
error "contradiction" '--augment rc contradicts --rc-aug no' tune train.csv --augment rc --rc-aug no -o bad
for list in turn shift:0 shift:1.5 mutate:2 mlm rc,; do
    error "--augment $list" 'finetune: --augment [^ ]*: expected' tune train.csv --augment $list -o bad
done
finish
