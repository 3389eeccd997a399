#!/bin/sh
# pretrain.t - caduceus pretrain: results, resuming after a crash, and faults (43, 44, 45, 48, 50, 51, 52, 53, 58).
. "${srcdir:-.}/test/lib.sh"
py=$(python)

{   contig one 3000 1; bases 400 2 | tr A-Z a-z | fold -w 60; contig two 500 3
    printf '>short\nACGTACGTNNACCA\n>gap\nNNNNNNNNNNNNNNNNNNNN\n'; } >g.fa
row 'one 0 2500 train' 'one 3100 3400 train' 'two 0 500 train' 'one 2500 3000 valid' 'short 0 14 valid' >g.bed
tiny="-T g.fa --d-model 16 --n-layer 2 --seq-len 64 --batch-tokens 512 --steps 12 -@ 1 --quiet"
train() { "$caduceus" pretrain $tiny "$@"; }
column() { rows "$2" | cut -f "$1"; } # NUMBER LOG: prints this column
files="README.md config.json log.tsv model.safetensors options.txt tokenizer_config.json training.safetensors "
listed() { ls -A "$1" | joined; }
# logged FOLDER: prints the log without its column of speeds.
logged() { rows "$1/log.tsv" | cut -f 1-6; }
quietless=${tiny%--quiet}

# ---- a run, and options that do not change its results (58) ----
ok "a run" train -L g.bed -o want --valid-every 5 --save-every 5
is "--quiet prints no message" "$(cat .out .err)" ""
is "it writes the expected files" "$(listed want)" "$files"
ok "the model verifies" "$caduceus" model verify -m want
ok "and is described" "$caduceus" model info want
like "its length is that of the windows" '^window	64$' .out
like "its status says how many steps are done" '^status	pretrained: 12 of 12 steps of 512 tokens$' .out
is "the log names its columns" "$(head -n 1 want/log.tsv)" "#step	tokens	loss	lr	gradient_norm	valid_loss	tokens_per_s"
is "and a line for each step" "$(column 1 want/log.tsv | joined)" "1 2 3 4 5 6 7 8 9 10 11 12 "
is "the column tokens is the sum" "$(column 2 want/log.tsv | tail -n 1)" 6144
is "it is validated every 5 steps and at the end" \
    "$(rows want/log.tsv | awk -F'\t' '$6 != "." { printf "%s ", $1 }')" "5 10 12 "
logged want >want.log
# alike NAME OPTION...: a run with these options writes the same bytes as the run above.
alike() {
    local name=$1; shift
    rm -rf got; train -L g.bed -o got --valid-every 5 "$@" 2>err || diag err
    same "$name: the weights" want/model.safetensors got/model.safetensors
    same "$name: the training state" want/training.safetensors got/training.safetensors
    prints "$name: the log" want.log logged got
}
alike "two threads" -@ 2
alike "five threads" -@ 5
alike "--recompute" --recompute -@ 2
alike "batches that are accumulated" --batch-tokens 256 --accumulate 2
alike "defaults spelled out" --lr 0.008 --lr-end 0.0001 --warmup 0.1 --weight-decay 0.1 --clip 1 --seed 1 \
    --rcps yes --rc-aug no --train train --valid valid --soft-mask-weight 1 --accumulate 1
for o in "-@ 1" "-@ 2" "-@ 5" "-@ 3 --recompute"; do # several packs, each of several tiles
    # shellcheck disable=SC2086
    rm -rf got; train -o got --seq-len 900 --batch-tokens 9000 --steps 2 $o
    [ "$o" != "-@ 1" ] || mv got packs
    [ "$o" = "-@ 1" ] || same "$o: longer windows" packs/training.safetensors got/training.safetensors
done
# ---- bf16: parameters, moments and sums stay float32 ----
half() { train -L g.bed -d cpu --precision bf16 --seq-len 900 --batch-tokens 9000 --steps 4 "$@"; }
train -L g.bed -d cpu --seq-len 900 --batch-tokens 9000 --steps 4 -o single
ok "--precision bf16" half -o half
column 3 single/log.tsv >exact; column 3 half/log.tsv >near
ok "its losses agree within its precision" close_to exact near 2e-2
differ "and differ from those of fp32" single/model.safetensors half/model.safetensors
rm -rf got; half -@ 3 --recompute -o got
same "the same bytes with three threads and --recompute" half/training.safetensors got/training.safetensors
for isa in avx512 avx2 plain avx512bf16-plain; do
    rm -rf got; CADUCEUS_ISA=$isa half -o got
    column 3 got/log.tsv >near; ok "losses agree on $isa, or what is below it" close_to exact near 2e-2
done
grep train g.bed | cut -f 1-3 >plain.bed; rm -rf got; train -L plain.bed -o got
same "all intervals of a BED without names are used for training" want/model.safetensors got/model.safetensors
for s in train valid; do awk -v s=$s '$4 == s' g.bed >$s.bed; done
rm -rf got; train -L valid.bed -L train.bed -o got
same "two BEDs give the same as one" want/model.safetensors got/model.safetensors
for o in "--seed 2" "--lr 0.004" "--soft-mask-weight 0.1" "--rc-aug yes" "--rcps no" "--weight-decay 0" \
    "--clip 0.01" "--warmup 0.5"; do
    # shellcheck disable=SC2086
    rm -rf got; train -L g.bed -o got $o; ok "$o trains" test -s got/model.safetensors
    differ "$o changes the result" want/model.safetensors got/model.safetensors
done

# ---- the recipe ----
rm -rf got; train -L g.bed -o got --steps 40 --lr 0.01 --lr-end 0.002 --warmup 0.25 --batch-tokens 64
ok "learning rates are those of the formula" awk -F'\t' '
    /^#/ { next }
    {   s = $1 - 1; pi = 3.141592653589793
        if (s < 10) want = 1e-6 + (0.01 - 1e-6) * (s + 1) / 10
        else want = 0.002 + 0.008 * 0.5 * (1 + cos(pi * (s - 10) / 30))
        if ((want - $4) ^ 2 > 1e-10 * want ^ 2) { print "step " $1 ": " $4 " against " want; bad = 1 }
        n++ }
    END { exit bad || n != 40 }' got/log.tsv
check "numpy finds the same learning rates, and possible moments" recipe.py got/log.tsv got/training.safetensors

# The losses of ten steps, as recorded when this test was written.
golden="2.84958 2.60276 2.4021 2.20816 2.14887 2.0162 1.86772 1.7824 1.79704 1.74403"
for isa in plain avx2 avx512; do
    if [ $isa != plain ] && ! grep -Eqw "$isa|${isa}f" /proc/cpuinfo 2>/dev/null; then
        skip "$isa: ten losses" "this processor lacks it"
        continue
    fi
    rm -rf got; env CADUCEUS_ISA=$isa "$caduceus" pretrain $tiny -L g.bed -o got --steps 10
    column 3 got/log.tsv >losses; echo "$golden" | tr ' ' '\n' >wanted
    ok "$isa: ten losses" close_to wanted losses 1e-3
done

# A model learns a genome that consists of one repeat.
{ echo '>r'; awk 'BEGIN { for (i = 0; i < 400; i++) printf "ACGGTCA"; print "" }'; } >repeat.fa
ok "a repeat" "$caduceus" pretrain -T repeat.fa -o repeat -@ 1 --d-model 16 --n-layer 1 --seq-len 64 \
    --batch-tokens 512 --steps 150 --lr 0.03 --quiet
ok "the repeat is learnt" awk -F'\t' '/^#/ { next } { last = $3 } END { exit !(last < 0.05) }' repeat/log.tsv

# ---- models of every kind ----
# kind NAME CONFIG OPTION...: a model of this configuration learns, and its checkpoint is valid.
kind() {
    local name=$1; echo "$2" >config.json; shift 2
    rm -rf got; ok "$name trains" train -o got --config config.json --steps 30 --lr 0.02 --save-every 100 "$@"
    ok "$name: the loss falls" awk -F'\t' '
        /^#/ { next } $1 <= 3 { a += $3 } $1 > 27 { b += $3 } END { print a / 3, b / 3; exit !(b < a - 1) }' got/log.tsv
    ok "$name verifies" "$caduceus" model verify -m got
    like "$name is equivariant" '^rc_equivariance	' .out
}
base='"d_model": 16, "n_layer": 2, "vocab_size": 12'
kind "Ph" "{$base, \"rcps\": false}"
kind "one direction" "{$base, \"rcps\": true, \"bidirectional\": false}"
untied='"bidirectional_weight_tie": false, "bidirectional_strategy": "ew_multiply"'
unusual='{"d_state": 8, "d_conv": 3, "expand": 3, "dt_rank": 5}'
kind "untied, multiplied" "{$base, \"rcps\": false, $untied}"
kind "LayerNorm, odd depth" "{$base, \"rcps\": true, \"rms_norm\": false}" --n-layer 3
kind "biases" "{$base, \"rcps\": true, \"ssm_cfg\": {\"bias\": true}}"
kind "unusual sizes" "{$base, \"rcps\": true, \"ssm_cfg\": $unusual}" --recompute

# ---- from a checkpoint ----
# on MODEL OPTION...: continues the training of a checkpoint.
on() { local model=$1; shift; "$caduceus" pretrain -T g.fa -m "$model" -o got --quiet "$@"; }
short="--seq-len 96 --batch-tokens 192 --steps 2 -@ 1"
described() { "$caduceus" model info "$1" | grep -E '^(configuration|parameters|window|vocabulary|tokens)'; }
for model in ph plant ps-f16-l1 ps-odd-depth; do
    rm -rf got; ok "training of $model continues" on "$data/$model" $short
    agree "$model: the kind of the model is unchanged" 'described "$data/$model" | sort' 'described got | sort'
done
cp -r "$data/plant" words; printf '[PAD]\n[MASK]\n[UNK]\na\nc\ng\nt\n' >words/vocab.txt
rm -rf got; ok "training of a model with a vocabulary file continues" on words $short
same "the vocabulary file is copied" words/vocab.txt got/vocab.txt
rm got/training.safetensors got/log.tsv
error "and is not overwritten" 'got/model.safetensors: of another model' on words $short --resume
rm -rf got; ok "windows longer than the model's" on "$data/ps" --seq-len 700 --batch-tokens 700 --steps 1
"$caduceus" model info got >.out; like "become the length of the model" '^window	700$' .out

# ---- no data to learn from ----
row 'gap 0 20' >n.bed; echo '>n' >n.fa; awk 'BEGIN { for (i = 0; i < 300; i++) printf "N"; print "" }' >>n.fa
new() { "$caduceus" pretrain -o n --d-model 16 --n-layer 1 --seq-len 64 --batch-tokens 128 --steps 3 "$@"; }
error "a genome of N" 'n.fa: nothing to train on: no base of the intervals is A, C, G or T' new -T n.fa
tr ACGT acgt <g.fa >low.fa
error "a genome in lower case with weight 0" 'low.fa: nothing to train on: .* upper-case' \
    new -T low.fa --soft-mask-weight 0
error "intervals of N" 'g.fa: nothing to train on' new -T g.fa -L n.bed
is "nothing is written" "$(ls -d n 2>/dev/null)" ""
{ cat n.fa; echo '>last'; echo A; } >nearly.fa
ok "a genome with a single base" new -T nearly.fa --seed 5
is "few steps have a loss" "$(column 3,5 n/log.tsv | grep -c '^\.	0$' | sed 's/[23]/most/')" most
is "no message mentions NaN" "$(grep -ci nan n/log.tsv .err | joined)" "n/log.tsv:0 .err:0 "
ok "its model is valid" "$caduceus" model verify -m n
ok "a window longer than every interval" train -o long --seq-len 9000 --batch-tokens 1 --steps 2
ok "half a window at lower case" train -L g.bed -o soft --soft-mask-weight 0 --steps 2

# ---- messages ----
"$caduceus" pretrain $quietless -L g.bed -o said --valid-every 6 2>err
rows said/log.tsv | awk -F'\t' '$1 % 6 == 0 {
    printf "caduceus pretrain: step %d of 12 ; validation %.4f (%.4f bits a base)\n", $1, $6, $6 / log(2) }' >said.want
agree "a line for each validation, where there is no terminal" 'cat said.want' "sed 's/, .*; / ; /; s/, .*//' err"
is "no line is overwritten" "$(tr -cd '\r' <err | wc -c | tr -d ' ')" 0
cksum said/model.safetensors >before
ok "a finished run" "$caduceus" pretrain $quietless -L g.bed -o said --resume
like "a message says so" 'said/training.safetensors: all 12 steps are done' .err
cksum said/model.safetensors >after; same "and nothing is changed" before after
rm said/model.safetensors; train -L g.bed -o said --resume
same "a missing model is written again" said/model.safetensors want/model.safetensors
row 'one 0 900 train' 'one 800 1000 valid' >leak.bed
"$caduceus" pretrain $quietless -L leak.bed -o leak --steps 1 2>err
like "validation within training is reported" 'warning: one:801-1000 is for validation and.*for training' err

# ---- resuming (50, 51, 52) ----
ok "--resume starts a new run if there is none" train -L g.bed -o begun --resume
same "a run" want/model.safetensors begun/model.safetensors
error "a run is not started twice" 'begun/training.safetensors: .*--resume' train -L g.bed -o begun
# differs NAME REGEX OPTION...: a run is not resumed with other options of training.
differs() {
    local name=$1 regex=$2; shift 2
    error "$name" "$regex" train -L g.bed -o begun --resume "$@"
}
differs "another length of the run" 'begun with steps=12, not steps=120;' --steps 120
differs "another rate" 'begun with lr=0.008 lr_end=0.0001, not lr=0.08 lr_end=0.001;' --lr 0.08
differs "another batch" 'begun with windows=8, not windows=1;' --batch-tokens 64
differs "another length of windows" 'begun with .*seq_len=64.*, not .*seq_len=32' --seq-len 32
differs "another seed" 'begun with seed=1, not seed=11;' --seed 11
differs "other intervals" 'begun with data=[0-9a-f]* bases=3300, not data=[0-9a-f]* bases=514;' \
    --train valid --valid train
differs "another direction" 'begun with model=[0-9a-f]*, not model=' --rcps no --rc-aug no
differs "another size" 'is of another model: d_model=16' --d-model 24
differs "another depth" 'is of another model: .*n_layer=2 ' --n-layer 1
cp g.fa kept.fa
awk 'NR == 2 { $0 = substr($0, 1, 59) (substr($0, 60) == "A" ? "C" : "A") } 1' kept.fa >g.fa
differs "a genome with one other base" 'begun with data=[0-9a-f]*, not data=[0-9a-f]*;'
cp kept.fa g.fa
for damage in 'truncate -s 1000' 'truncate -s 0' 'printf x >>' 'printf x >'; do
    rm -rf bad; cp -r begun bad
    sh -c "$damage bad/training.safetensors"
    error "a checkpoint after: $damage" 'bad/training.safetensors' train -L g.bed -o bad --resume
done
# One bit of a training state is inverted: in its numbers, texts, checksum or shapes.
state=begun/training.safetensors; size=$(($(wc -c <$state))); wrong=
where() { grep -a -b -o "$1" $state | head -n 1 | cut -d : -f 1; }
rm -rf bad; cp -r begun bad
for at in $((size - 1)) $((size - 4)) $((size / 2)) $((size / 3)) 0 7 9 $(($(where '"step":"') + 8)) \
    $(($(where '"note":"') + 12)) $(($(where '"model":"') + 10)) $(($(where '"sha256":"') + 20)) \
    $(($(where '"sha256":') + 3)) $(($(where '"shape":') + 9)) $(($(where 'exp_avg') + 2)); do
    cp $state bad/training.safetensors; flip bad/training.safetensors $at
    train -L g.bed -o bad --resume >.out 2>.err && wrong="$wrong $at"
    grep -q '^caduceus pretrain: bad/training.safetensors: ' .err || wrong="$wrong $at: $(cat .err)"
done
is "a flipped bit of a state is found" "$wrong" ""
cp -r begun other; rm other/training.safetensors other/log.tsv
error "a folder with a model of other origin" 'other/model.safetensors: of another model' train -L g.bed -o other
error "the same with --resume" 'other/model.safetensors: of another model' train -L g.bed -o other --resume
mkdir token; echo '{}' >token/tokenizer.json
error "a folder with a tokenizer" 'token/tokenizer.json: of another model' train -L g.bed -o token

# steps_are_whole LOG: succeeds if the steps are 1, 2, 3 ... and no line is cut short.
steps_are_whole() { awk -F'\t' '/^#/ { next } $1 != ++n || NF != 7 { bad = 1 } END { exit bad }' "$1"; }
# A run that is killed and resumed many times.
long="-L g.bed --steps 240 --batch-tokens 256 --save-every 6 --valid-every 50"
ok "a longer run" train $long -o whole
lives=0 killed=0 lost=0 lines=0 least=0
ended() { [ -e lives/log.tsv ] && [ "$(column 1 lives/log.tsv | tail -n 1)" = 240 ]; }
while [ $lives -lt 50 ] && ! ended; do
    "$caduceus" pretrain $quietless $long -o lives --resume >/dev/null 2>life.err & pid=$!
    sleep "0.0$((15 + lives * 7 % 50))"
    kill -KILL $pid 2>/dev/null && killed=$((killed + 1)); wait $pid 2>/dev/null
    at=$(sed -nE 's/.*going on after step ([0-9]*)$/\1/p' life.err); at=${at:-0}
    grep -q 'not there, beginning\|going on' life.err && [ $((least - at)) -gt 6 ] && lost=$((least - at))
    [ -e lives/log.tsv ] && least=$(grep -c "^[0-9].*" lives/log.tsv)
    [ ! -e lives/log.tsv ] || steps_are_whole lives/log.tsv || lines=$((lines + 1))
    lives=$((lives + 1))
done
ok "a run is killed $killed times" test $killed -ge 1
is "only steps after a checkpoint are lost" "$lost" 0
is "the log never has a gap or a repeated step" "$lines" 0
ok "the last process finishes the run" train $long -o lives --resume
same "its model equals that of an uninterrupted run" whole/model.safetensors lives/model.safetensors
same "its training state too" whole/training.safetensors lives/training.safetensors
agree "and the log" 'logged whole' 'logged lives'
is "and there are no other files" "$(listed lives)" "$files"
head -c -20 want/log.tsv >cut.log; rm -rf got; cp -r want got; cp cut.log got/log.tsv; train -L g.bed -o got --resume
same "a finished run does not change the log" cut.log got/log.tsv

# ---- --resume -o DIR alone ----
rm -rf alone; mkdir elsewhere
train -L g.bed -o alone --valid-every 5 --save-every 5 --steps 12 && same "as before" want/model.safetensors \
    alone/model.safetensors
like "the options are stored, names of files in full" "^--targets-file=$dir/g.bed$" alone/options.txt
is "but not where to" "$(grep -c -e '--output' -e '--resume' -e '--quiet' alone/options.txt)" 0
rm -rf half1; mkdir half1; cp alone/options.txt half1 # as if killed before a checkpoint
ok "they are enough, in another folder" sh -c 'cd elsewhere && "$0" pretrain --quiet --resume -o ../half1' "$caduceus"
same "for the same model" want/model.safetensors half1/model.safetensors
same "and the same training" want/training.safetensors half1/training.safetensors
ok "an option that is given as well" "$caduceus" pretrain --resume -o half1 --valid-every 4
error "one that changes the recipe" 'begun with lr=' "$caduceus" pretrain --quiet --resume -o half1 --lr 0.5
rm half1/options.txt
error "without the stored options" 'half1/options.txt: not there; give the options' \
    "$caduceus" pretrain --resume -o half1

# ---- --dry-run ----
ok "a dry run" train -L g.bed --dry-run -o dry
is "counts" "$(cut -f 1,2 .out | head -n 7 | tr '\t\n' '= ')" \
    "bases=3300 validation_bases=514 windows=53 windows_in_a_step=8 tokens_in_a_step=512 steps=12 tokens=6144 "
is "and estimates" "$(tail -n 4 .out | awk '$2 > 0 { printf "%s ", $1 }')" "epochs parameters bytes seconds "
ok "it needs no folder" train -L g.bed --dry-run
is "and makes none" "$(ls -d dry 2>&1 | grep -c '^dry')" 0
row 'gap 0 20 train' >none.bed
error "data without a base" 'nothing to train on' train --dry-run -L none.bed

# ---- signals (45) ----
why=$(no_preload "$full")
if perl -e 1 2>/dev/null && [ -z "$why" ]; then
    for s in INT=130 TERM=143; do
        rm -rf sig; wrong=
        for wait in 05 12 20; do
            natural env LD_PRELOAD="$full" FULLFS_NAMED=1 "$caduceus" pretrain $tiny $long --steps 100000 -o sig \
                --save-every 1 --resume 2>sig.err & pid=$!
            sleep 0.$wait; kill -${s%=*} $pid; wait $pid 2>/dev/null; status=$?
            [ $status = ${s#*=} ] || wrong="$wrong $status"
            [ -z "$(ls -A sig | grep tmp)$(cat sig.err)" ] || wrong="$wrong $(ls -A sig | joined)$(cat sig.err)"
        done
        is "${s%=*} ends it with ${s#*=} in silence, no temporary file is left" "$wrong" ""
        if [ -e sig/model.safetensors ]; then ok "the last checkpoint is complete" "$caduceus" model verify -m sig
        else skip "the last checkpoint is complete" "too slow"; fi
    done
else skip "signals" "${why:-no perl}"; fi

# A signal: the step ends, a checkpoint is saved, and the run goes on after it.
if perl -e 1 2>/dev/null; then
    # shellcheck disable=SC2086
    natural "$caduceus" pretrain $quietless $long --save-every 100000 --steps 100000 -o paused 2>paused.err & pid=$!
    i=0
    while [ $i -lt 200 ] && [ "$(cat paused/log.tsv 2>/dev/null | lines)" -lt 3 ]; do i=$((i + 1)); sleep .05; done
    kill -INT $pid; wait $pid; is "control-C gives 130" $? 130
    step=$(tail -n 1 paused/log.tsv | cut -f 1)
    like "says where it stopped" "pretrain: stopped at step $step of 100000; go on with --resume -o paused$" paused.err
    like "the model is of that step" "pretrained: $step of 100000 steps" paused/README.md
    natural "$caduceus" pretrain --resume -o paused 2>paused.err & pid=$!
    i=0; while [ $i -lt 200 ] && ! grep -q 'going on' paused.err; do i=$((i + 1)); sleep .05; done
    kill -TERM $pid; wait $pid 2>/dev/null; is "SIGTERM gives 143" $? 143
    like "it had gone on from there" "going on after step $step$" paused.err
    steps_are_whole paused/log.tsv && pass "the log has every step" || fail "the log has every step"
else skip "a signal" "no perl"; fi

# ---- disks (43, 44, 48) ----
if [ -z "$why" ]; then
    state=$(wc -c <want/training.safetensors)
    model=$(cat want/config.json want/model.safetensors want/tokenizer_config.json | wc -c)
    steps="-L g.bed --save-every 5 --valid-every 5"
    for n in 0 30 200 $((state / 2)) $((state + 600)) $((state + model + 900)) $((2 * state + model)); do
        rm -rf out
        error "disk full after $n bytes" 'out/[A-Za-z_.]*: write failed: No space left' \
            failing_disk AFTER=$n train $steps -o out
        is "no temporary file is left" "$(ls -A out 2>/dev/null | grep tmp)" ""
        [ ! -e out/model.safetensors ] || ok "an existing checkpoint is complete" "$caduceus" model verify -m out
        train $steps -o out --resume
        same "and the resumed run has the same result" want/model.safetensors out/model.safetensors
        prints "with the same log" want.log logged out
    done
    rm -rf half; failing_disk AFTER=$((state + model + 900)) train $steps -o half 2>/dev/null
    (cd half && cksum *) >before
    for how in AFTER=0 AFTER=100 FSYNC=1 CLOSE=1; do
        error "going on, $how" 'half/[a-z_.]*: write failed: (No space left|Input/output error)' \
            failing_disk $how train $steps -o half --resume
        (cd half && ls -A && cksum *) | grep -v '^[a-z]' >after; same "$how: all files are unchanged" before after
    done
    yes '9999	1' | head -c 70000000 >>half/log.tsv
    ok "going on with a log of 70 MB" train $steps -o half --resume
    prints "the lines of completed steps are kept" want.log logged half
else skip "disk full" "$why"; fi
error "a folder whose parent does not exist" 'no/x: cannot write there: No such file' train -o no/x
error "a file with the name of the folder" 'g.bed: is there and is not a folder' train -o g.bed
error "an empty name" 'cannot write there' train -o ''
if bound; then
    mkdir shut; chmod 500 shut
    error "a folder that is read-only" 'cannot write there' $as "$caduceus" pretrain $tiny -o shut
    chmod 700 shut
else skip "a folder that is read-only" "root cannot give up its rights"; fi
cp -r "$data/ps" pub; cksum pub/* >before
error "the folder of -m" 'pub/model.safetensors: is also an input' "$caduceus" pretrain -T g.fa -m pub -o pub --steps 1
error "the file of -m" 'pub/model.safetensors: is also an input' \
    "$caduceus" pretrain -T g.fa -m pub/model.safetensors -o pub --steps 1
mkdir conf; cp pub/config.json conf
error "the folder of --config" 'conf/config.json: is also an input' train --config conf/config.json -o conf
error "the folder of another model" 'pub/model.safetensors: of another model' train -o pub
cksum pub/* >after; same "is unchanged" before after

# ---- allocations (53) ----
why=$(no_preload "$failing")
if [ "$why" ]; then skip "a failing allocation is an error" "$why"
else
    n=1 wrong= failed=0; rm -rf want1; train -L g.bed -o want1 --steps 1
    while [ $n -lt 2500 ]; do
        rm -rf out
        env LD_PRELOAD="$failing" FAILMALLOC_AT=$n "$caduceus" pretrain $tiny -L g.bed -o out --steps 1 2>err; status=$?
        case $status in
        0) cmp -s want1/model.safetensors out/model.safetensors || wrong="$wrong $n:output" ;;
        1)  failed=$((failed + 1))
            [ "$(wc -l <err)" -eq 1 ] && grep -q '^caduceus pretrain: ' err ||
                wrong="$wrong $n:$(cat err)" ;;
        *) wrong="$wrong $n:status$status" ;;
        esac
        [ -z "$(ls -A out 2>/dev/null | grep tmp)" ] || wrong="$wrong $n:left"
        n=$((n + 1 + n / 8))
    done
    is "every failing allocation is an error or nothing" "$wrong" ""
    ok "$failed allocations failed" test $failed -ge 25
fi

# ---- options and inputs ----
bad() { local name=$1 regex=$2; shift 2; error "$name" "$regex" train -o bad.out "$@"; }
error "no genome" 'pretrain: give the genome with -T' "$caduceus" pretrain -o x
error "no folder" 'pretrain: name the folder.*-o' "$caduceus" pretrain -T g.fa
bad "an argument" 'more.fa: no such argument; more.fa looks like a FASTA: -T' more.fa
bad "a genome that is not there" 'gone.fa: No such file' -T gone.fa
bad "intervals that are not there" 'gone.bed: No such file' -L gone.bed
error "a model that is not there" 'gone' "$caduceus" pretrain -T g.fa -m gone -o bad.out
for o in "--steps 0" "--steps 99999999999" "--steps 1x" "--seq-len 1" "--seq-len 2000000" "--d-model 0" \
    "--n-layer 9999" "--batch-tokens 0" "--accumulate -1" "--lr nan" "--lr -1" "--lr x" "--warmup 1.1" "--clip -1" \
    "--valid-fraction 1" "--seed -1" "--save-every 0" "--rcps maybe" "--rc-aug 1" "--weight-decay inf"; do
    # shellcheck disable=SC2086
    bad "$o" "${o% *} " $o
done
bad "a step too large" 'more than 2.31 tokens' --batch-tokens 1000000000 --accumulate 1000
bad "-d cuda without a module" 'device cuda: no CUDA module' -d cuda
row 'one 0 9000 train' >past.bed
bad "an interval past the end" 'past.bed:1: end 9000 is past the end of one' -L past.bed
row 'chrone 0 9 train' >gone.bed
bad "a contig that is not there" 'gone.bed:1: contig "chrone" is not in' -L gone.bed
row 'one 5 5 train' >empty.bed
bad "empty intervals" 'nothing to train on' -L empty.bed
bad "no such split" '--train x: no such rows in g.bed; its fourth column has train, valid' -L g.bed --train x
bad "no such validation" '--valid x: no such rows' -L g.bed --valid x
bad "one split for both" '--valid train: the split that is trained on' -L g.bed --valid train
bad "splits without names" 'no fourth column' -L plain.bed --train a
bad "splits without intervals" 'which is not given' --train a
bad "names and a fraction" 'names splits' -L g.bed --valid-fraction 0.1
bad "one name and a fraction" 'names splits' -L train.bed --valid-fraction 0.1
bad "a fraction of nothing" 'nothing to validate on' --valid-fraction 0.00001
bad "--train and a fraction" 'holds out' -L g.bed --train train --valid-fraction 0.1
error "-m and --rcps" 'make a new one' "$caduceus" pretrain -T g.fa -o x -m "$data/ps" --rcps no
error "a classifier" 'cls-ps: a classifier' "$caduceus" pretrain -T g.fa -o x -m "$data/cls-ps"
config() { echo "$2" >c.json; bad "config: $1" "$3" --config c.json; }
config "no JSON" 'hello' "c.json:1: "
config "half" '{"d_model":' "c.json:[12]: "
config "nothing" '' "c.json:[12]: "
config "a list" '[]' "c.json: not a JSON object"
size='"d_model": 16, "n_layer": 1, "vocab_size"'
config "too few tokens" "{$size: 4}" 'c.json: "vocab_size" is 4'
config "no bases" "{$size: 8}" 'c.json: the vocabulary has no token C'
config "a number too large" "{$size: 12, \"norm_epsilon\": 1e999}" 'c.json:1: '
config "a classifier" "{$size: 12, \"architectures\": [\"CaduceusForSequenceClassification\"]}" 'c.json: a classifier'
bad "config: none" 'gone.json: No such file' --config gone.json
bad "config: a folder" 'Is a directory' --config .
is "no folder is left" "$(ls -d bad.out x 2>/dev/null)" ""
is "nor a temporary file" "$(find . -name '.caduceus-*')" ""
finish
