#!/bin/sh
# interop.t - exchanges checkpoints with PyTorch, transformers, safetensors, peft and huggingface_hub, with two sets of
# versions: the newest and those of 2024. Skipped if the packages cannot be installed. `make interop` runs it.
# CADUCEUS_INTEROP is the folder of the virtual environments; the default is interop.env in the build folder.
. "${srcdir:-.}/test/lib.sh"

environments=${CADUCEUS_INTEROP:-$builddir/interop.env}
why=$("$srcdir/test/interop/environments" "$environments") || {
    skip "the libraries of Python" "${why:-no environment}"
    finish
    exit
}
export CADUCEUS="$caduceus" HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 TOKENIZERS_PARALLELISM=false
unset HF_ENDPOINT HF_TOKEN HF_HUB_CACHE HUGGINGFACE_HUB_CACHE

# ---- checkpoints that caduceus writes ----
mkdir converted written
[ -d "$shared/golden" ] || skip "the large golden checkpoints" "not present"
for model in "$data"/*/ "$shared"/golden/*/; do
    [ -e "$model/config.json" ] || continue
    if mamba2 "$model"; then
        skip "$(basename "$model") is converted" "the classes in Python know Mamba-1 alone"
        continue
    fi
    ok "$(basename "$model") is converted" "$caduceus" model convert -m "$model" -o "converted/$(basename "$model")"
done
{ contig one 3000 1; contig two 500 3; } >g.fa
pretrain() { "$caduceus" pretrain -T g.fa --seq-len 64 --batch-tokens 512 --steps 2 -@ 1 --quiet "$@"; }
ok "two steps of PS" pretrain --d-model 16 --n-layer 3 -o written/pretrained-ps
ok "two steps of Ph" pretrain --d-model 16 --n-layer 2 --rcps no -o written/pretrained-ph
# labelled N VALUE: prints a table of N sequences. The label is the awk expression VALUE of y, which is 0 or 1.
labelled() {
    echo sequence,label
    for i in $(seq "$1"); do bases 40 $((i * 7919)); done | awk "{ y = NR % 2; print \$0 \",\" $2 }"
}
labelled 48 y >classes.csv
labelled 48 'y * 3 + NR / 50' >numbers.csv
finetune() { "$caduceus" finetune --quiet -@ 1 --epochs 1 --batch 16 --lr 0.02 "$@"; }
ok "an epoch" finetune -m "$data/ps" classes.csv -o written/finetuned-ps
ok "an epoch, pooled by the largest" finetune -m "$data/ph" --pool max classes.csv -o written/finetuned-max
ok "an epoch of regression" finetune -m "$data/ps-odd-depth" --task regress numbers.csv -o written/finetuned-numbers

# ---- the checks of check.py, with both sets of libraries at the same time ----
# check WHAT ARGUMENT...: runs check.py, which prints lines "ok NAME", "not ok NAME", "skip NAME # WHY" and "# TEXT".
check() {
    timeout 600 "$python" "$srcdir/test/interop/check.py" "$@" 2>err && echo "ok $1 is done" && return
    echo "not ok $1 is done"
    tail -n 8 err | sed 's/^/# /'
}

# all SET: runs all checks with the libraries of SET, in a separate folder.
all() {
    local set=$1 python="$environments/$1/bin/python"
    mkdir "$set" && cd "$set" || return
    export HF_HOME="$PWD/hf"
    [ ! -d "$shared/golden" ] || check golden "$shared"/golden/*/
    check written "$srcdir/models/human-small" "$dir"/converted/* "$dir"/written/*
    check auto "$srcdir/models/human-small" "$dir"/converted/cls-ps "$dir"/written/*
    for model in ps-odd-depth ps-unfused ps-bias ps-layernorm ph-untied plant cls-ps cls-ph; do
        echo "$dir/converted/$model"
    done >models
    # shellcheck disable=SC2046
    check saved $(cat models)
    check adapters "$dir"/converted/ps-odd-depth "$dir"/converted/ph "$dir"/converted/ph-untied "$dir"/converted/cls-ps
    check hub "$srcdir/models/human-small"
    [ "$set" = newest ] || return 0 # both sets have the same PyTorch, so the rest runs once
    for model in "$data"/*/; do echo "$dir/converted/$(basename "$model")"; done >models
    # shellcheck disable=SC2046
    check made all $(cat models)
    check made bin,ckpt "$dir"/converted/*-d[0-9]*-l*
}
for set in newest 2024; do all $set >$set.found & done
wait
for set in newest 2024; do
    while read -r word rest; do
        case $word in
        ok) pass "$set: $rest" ;;
        not) fail "$set: ${rest#ok }" ;;
        skip) skip "$set: ${rest%% # *}" "${rest#* # }" ;;
        *) echo "$word $rest" ;;
        esac
    done <$set.found
done
finish
