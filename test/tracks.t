#!/bin/sh
# tracks.t - finetune --task tracks and predict: values of bins, bigWig in and out; gradients are tested by t_grad.
. "${srcdir:-.}/test/lib.sh"
py=$(python)
[ "$py" ] || { echo "1..0 # SKIP no python3 with numpy"; exit 0; }

# Contigs of GC-rich and AT-rich blocks of 16 or 32 bases. made NAME LENGTH SEED: prints a contig; writes to gc.txt 6
# where it is rich in GC and 1 elsewhere, and to at.txt 4 where it is rich in AT (no value elsewhere).
made() {
    awk -v name="$1" -v n="$2" -v s="$3" 'function next_() { s = (s * 16807) % 2147483647; return int(s / 65536) }
        BEGIN {
            for (at = 0; at < n; at = end) {
                y = next_() % 2; end = at + 16 + 16 * (next_() % 2); if (end > n) end = n
                print name "\t" at "\t" end "\t" (y ? 6 : 1) >>"gc.txt"
                if (!y) print name "\t" at "\t" end "\t4" >>"at.txt"
                for (i = at; i < end; i++) {
                    x = next_() % 20
                    q = q (x < 17 ? substr(y ? "GC" : "AT", x % 2 + 1, 1) : substr("ACGT", x % 4 + 1, 1)) } }
            print ">" name "\n" q }'
}
{ made one 1208 5; made two 400 7; made three 410 9; made four 9 3; } >g.fa
printf 'one\t1208\ntwo\t400\nthree\t410\nfour\t9\n' >g.len
# wig FORM TEXT FILE: writes a bigWig. shred TEXT: prints its intervals base by base.
wig() { "$py" "$checks/make-bigwig.py" "${len:-g.len}" "$@"; }
shred() { awk '{ for (i = $2; i < $3; i++) print $1 "\t" i "\t" i + 1 "\t" $4 }' "$1"; }
shred gc.txt >gc.bases
awk 'NR % 3' gc.txt >some.txt
wig 1 gc.txt gc.bw; wig 1 at.txt at.bw; wig 1 some.txt some.bw
wig 0 gc.txt plain.bw; wig 2 gc.bases variable.bw; wig 3 gc.bases fixed.bw
tune() { "$caduceus" finetune --quiet -@ 1 -m "$data/ps" --task tracks -T g.fa --epochs 6 --batch 2 --lr 0.03 "$@"; }
split="--valid two --test three --bin 16 --window 160"
predict() { "$caduceus" predict --quiet --no-version "$@"; }

# ---- training ----
ok "finetune --task tracks" tune gc.bw AT=at.bw $split -o head; cp .out head.out
is "outputs are named by file or option" "$(sed -n '/^#output/,$p' head.out | cut -f 1 | joined)" "#output gc AT "
is "GC content is learnt" "$(awk '$1 == "gc" { print ($3 > 0.8 && $4 > 0.6 ? "well" : $0) }' head.out)" well
is "the bins of three" "$(awk '$1 == "n" { print $2 }' head.out)" 26
like "provenance" 'options=task=tracks window=160 bin=16 loss=poisson missing=zero valid=two .* test=three' \
    head/metrics.tsv
like "the head is of bins" '"caduceus_bin": 16' head/config.json
tune -@ 3 gc.bw AT=at.bw $split -o threads >threads.out
same "three threads do not change the model" head/model.safetensors threads/model.safetensors
same "nor the metrics" head.out threads.out
for form in plain variable fixed; do
    tune "gc=$form.bw" AT=at.bw $split -o "$form" >/dev/null
    same "a bigWig of the form $form" head/model.safetensors "$form/model.safetensors"
done
cp gc.txt gc.bedGraph; { echo "track type=bedGraph"; sort -k 1,1r -k 2,2n at.txt; } | gzip >AT.bdg.gz
tune gc.bedGraph AT.bdg.gz $split -o graphs >/dev/null
for file in model.safetensors metrics.tsv config.json; do
    same "bedGraphs, plain and compressed, give the same $file" head/$file graphs/$file
done
tune gc.bw AT=at.bw $split --missing ignore -o both >both.out
is "a bin without a value in one bigWig is left out" \
    "$(awk '$1 == "n" { print ($2 > 5 && $2 < 24 ? "some" : $2) }' both.out)" some
tune gc=some.bw $split --missing ignore -o ignored >ignored.out
tune gc.bw AT=at.bw $split --rc-aug yes -o turned >turned.out
is "the other strand has the bins in reverse order" "$(awk '$1 == "gc" || $1 == "AT"' head.out turned.out |
    sort | awk '$1 == last { d = $2 - v; if (d < 0) d = -d; print (d < 0.001 ? "near" : d) } { last = $1; v = $2 }' |
    joined)" "near near "
tune gc.bw AT=at.bw $split --loss squared -o squared >squared.out
is "squared loss" "$(awk '$1 == "gc" { print ($3 > 0.8 ? "well" : $0) }' squared.out)" well
ok "adapters" tune gc.bw $split --lora 2 -o adapter
tune gc.bw --bin 16 --window 160 --valid-fraction 0.2 --json -o drawn >drawn.json
like "JSON has the outputs" '"by_output": \[' drawn.json
ok "the default bin" tune gc.bw --valid two -o usual
like "has 128 bases" '"caduceus_bin": 128' usual/config.json
resumes "a training that is killed and resumed" tune gc.bw AT=at.bw $split --epochs 3 --batch 4 --rc-aug yes
tune gc.bw AT=at.bw $split --dry-run >plan
is "a dry run counts windows" "$(grep -E '^(sequences|labels|longest)' plan | tr '\t\n' ': ')" \
    "sequences:9 labels:2 longest:160 "

# ---- predicting ----
ok "predict: bedGraph" predict -m head g.fa -o p.bedGraph
is "a file for each output" "$(ls p.* | joined)" "p.AT.bedGraph p.gc.bedGraph "
is "every base has a value" "$(awk '{ n += $3 - $2 } END { print n }' p.gc.bedGraph)" 2027
is "values change at bins only" \
    "$(awk '$2 % 16 || ($3 % 16 && $3 != 1208 && $3 != 410 && $3 != 9)' p.gc.bedGraph | lines)" 0
predict -m head g.fa -@ 3 -o q.bedGraph; same "three threads" p.gc.bedGraph q.gc.bedGraph
ok "predict: bigWig" predict -m head g.fa -o p.bw
if "$py" "$checks/bigwig.py" usable 2>/dev/null; then
    check "its values are those of the bedGraph" bigwig.py near p.gc.bw p.gc.bedGraph
    check "pyBigWig writes a bigWig" bigwig.py made other.bw g.len gc.txt
    tune gc=other.bw AT=at.bw $split -o other >/dev/null
    same "which is read alike" head/model.safetensors other/model.safetensors
    : >none; "$py" "$checks/bigwig.py" made none.bw g.len none
    error "an empty one of pyBigWig" 'none.bw: holds no values' tune none.bw $split -o x
else skip "values, and bigWigs of pyBigWig" "no python3 with pyBigWig"; fi
for n in 1 3 7; do
    shares $n bedGraph predict -m head g.fa
    for k in gc AT; do same "$n shards: bedGraph of $k" p.$k.bedGraph merged.$k.bedGraph; done
done
shares 3 bw predict -m head g.fa
for k in gc AT; do same "shards: bigWig of $k" p.$k.bw merged.$k.bw; done
error "parts of two tracks" 'made otherwise|differ' "$caduceus" merge -o x.bw part.1-of-3.gc.bw part.2-of-3.AT.bw \
    part.3-of-3.gc.bw
ok "it is read again" tune p=p.gc.bw $split -o again
# windows of training and of prediction are cut differently: predict as training does, one window each
windows() {
    awk '/^>/ { name = substr($1, 2); next } name == "three" {
        for (i = 1; i <= length($0); i += 160) print ">w" (i - 1) "\n" substr($0, i, 160) }' g.fa
}
windows >w.fa
for m in head squared ignored; do
    predict -m $m w.fa -o $m.bedGraph
    for output in "$m".*.bedGraph; do
        awk '{ at = substr($1, 2); print "three\t" at + $2 "\t" at + $3 "\t" $4 }' "$output" >"${output%.bedGraph}"
    done
done
scale=$("$py" "$checks/read-json.py" head/config.json | awk '$1 ~ /^target_scale.0$/ { print $2 }')
check "loss and correlations of gc, from numpy" \
    binned.py metrics head.out g.len 16 zero three gc gc.txt head.gc "$scale"
check "correlations of AT, missing values 0" binned.py metrics head.out g.len 16 zero three AT at.txt head.AT
check "squared loss, correlations" binned.py metrics squared.out g.len 16 zero three gc gc.txt squared.gc
check "missing values ignored" binned.py metrics ignored.out g.len 16 ignore three gc some.txt ignored.gc
printf 'three\t100\t200\none\t500\t501\n' >some.bed
predict -m head -T g.fa some.bed -o r.bedGraph
shred p.gc.bedGraph | awk '($1 == "three" && $2 >= 100 && $2 < 200) || ($1 == "one" && $2 == 500)' >want
shred r.gc.bedGraph >got
same "regions get the values of the whole" got want

# ---- errors ----
error "no bigWig" 'one.bw' tune one.bw $split -o x
cp g.fa text.bw; error "not a bigWig" 'text.bw: not a bigWig, or damaged' tune text.bw $split -o x
echo short >short.bw; error "a short file" 'short.bw: not a bigWig, or damaged' tune short.bw $split -o x
: >none; wig 1 none empty.bw; error "an empty bigWig" 'empty.bw: holds no values' tune empty.bw $split -o x
head -c 300 gc.bw >cut.bw; error "a bigWig cut short" 'cut.bw: ' tune cut.bw $split -o x
printf 'one\t1208\nchr7\t400\n' >other.len
len=other.len; wig 1 none other.bw; len=
error "a contig that the reference lacks" 'other.bw: contig "chr7" is not in g.fa' tune other.bw $split -o x
printf 'one\t1200\n' >long.len; len=long.len; wig 1 none long.bw; len=
error "a contig of another length" 'long.bw: contig one has 1200 bases, in g.fa 1208' tune long.bw $split -o x
bad() { { printf 'one\t0\t10\t1\none\t10\t20\t%s\n' "$1"; } >bad.txt; wig 1 bad.txt bad.bw; tune bad.bw $split -o x; }
error "not a number" 'bad.bw: one:11: the value is not a number' bad nan
error "infinite" 'bad.bw: one:11: the value is infinite' bad inf
error "negative" 'bad.bw: one:11: the value -0.5 is negative; use --loss squared' bad -0.5
# row_error NAME REGEX ROW: a bedGraph with this row at its end is refused.
row_error() {
    { cat gc.txt; row "$3"; } >x.bg; error "$1" "$2" tune x.bg $split -o x; rm x.bg
}
n=$(lines <gc.txt)
row_error "bedGraph: overlapping rows" "x.bg:$((n + 1)): begins before the end of an earlier row" "one 1200 1208 1"
row_error "an end past the contig" "x.bg:$((n + 1)): end 10 is past the end of four" "four 9 10 1"
row_error "an unknown contig" "x.bg:$((n + 1)): contig \"chr7\" is not in g.fa" "chr7 0 1 1"
row_error "no value" "x.bg:$((n + 1)): the fourth column is not a number" "four 9 9"
row_error "no number" "x.bg:$((n + 1)): the fourth column is not a number" "four 9 9 1x"
for bad in nan inf; do
    { row "one 0 3 $bad"; cat at.txt; } >x.bg
    error "a value $bad" 'x.bg: one:1: the value is (not a number|infinite)' tune x.bg $split -o x
done
echo "track x" >x.bg; error "a bedGraph without rows" 'x.bg: holds no values' tune x.bg $split -o x; rm x.bg
error "no bedGraph" 'gone.bedGraph.gz: No such file' tune gone.bedGraph.gz $split -o x
ok "negative values under squared loss" tune bad.bw $split --loss squared -o negative
printf 'one\t0\t1200\t2\n' >flat.txt; wig 1 flat.txt flat.bw
error "one value everywhere" 'output flat: all bins of the training contigs have the value 2' \
    tune flat.bw $split --loss squared --missing ignore -o x
printf 'two\t0\t100\t2\n' >out.txt; wig 1 out.txt out.bw
error "no value to train on" 'no bin of the training contigs has a value' tune out.bw $split --missing ignore -o x
error "two outputs of one name" 'two outputs are named gc' tune gc.bw gc=at.bw $split -o x
error "--window" '--window 150: expected a multiple of --bin 16' tune gc.bw --bin 16 --window 150 -o x
error "--bin" '--bin 0: ' tune gc.bw --bin 0 -o x
error "--loss" '--loss huber: expected poisson or squared' tune gc.bw --loss huber -o x
error "other tasks" 'go with --task tracks' "$caduceus" finetune -m "$data/ps" --bin 8 gc.bw -o x
error "without a reference" '--task tracks: give the reference with -T' \
    "$caduceus" finetune -m "$data/ps" --task tracks gc.bw -o x
error "an output of another kind" 'values of bins are written as .bw or .bedGraph' predict -m head g.fa -o x.bed
is "nothing is left" "$(ls -d x x.* 2>/dev/null)" ""
finish
