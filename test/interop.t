#!/bin/sh
# interop.t - checkpoints from and to PyTorch, transformers, safetensors, peft and huggingface_hub, in two sets of
# versions: the newest, and those of 2024. Skipped where the packages cannot be had. `make interop` runs it.
# CADUCEUS_INTEROP names the folder of the environments; its default is the build's.
. "${srcdir:-.}/test/lib.sh"

environments=${CADUCEUS_INTEROP:-$builddir/interop}
why=$("$srcdir/test/interop/environments" "$environments") || {
    skip "the libraries of Python" "${why:-no environment}"
    finish
    exit
}
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 HF_HOME="$dir/hf" TOKENIZERS_PARALLELISM=false

# checks SET WHAT...: what check.py finds with a set of libraries.
checks() {
    local set=$1; shift
    timeout 240 "$environments/$set/bin/python" "$srcdir/test/interop/check.py" "$@" >.checks 2>.err
    echo $? >.status
    while read -r word rest; do
        case $word in
        ok) pass "$set: $rest" ;;
        not) fail "$set: ${rest#ok }" ;;
        \#) echo "# $rest" ;;
        esac
    done <.checks
    is "$set: $1 is done" "$(cat .status)" 0 || diag .err
}

for set in newest 2024; do
    if [ -d "$shared/golden" ]; then checks $set golden "$shared"/golden/*/
    else skip "$set: golden checkpoints" "not present"; fi
done
finish
