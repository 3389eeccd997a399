#!/bin/sh
# torch.t - weight files in the formats of PyTorch: pytorch_model.bin, shards, .ckpt of Lightning, and hostile files.
# $CADUCEUS_TORCH may name a Python interpreter that has torch; otherwise /usr/bin/python3 and python3 are tried.
. "${srcdir:-.}/test/lib.sh"
torch=$data/torch
expected=$data/ps/expected.safetensors
py=$(any_python)
info() { "$caduceus" model info "$@"; }
verify() { "$caduceus" model verify "$@"; }

if ! verify -m "$torch" >.out 2>.err && grep -q 'built without libzip' .err; then
    like "without libzip the line says so" 'pytorch_model.bin: a PyTorch file.*install libzip-dev' .err
    skip "PyTorch files are read" "built without libzip"
    finish
    exit
fi

# ---- files of PyTorch 2.13 (test/check/make-torch.py) ----
ok "a folder with pytorch_model.bin verifies" verify -m "$torch"
ok "so does the file itself" verify -m "$torch/pytorch_model.bin" "$expected"
cp -r "$torch/sharded" sharded; cp "$torch/config.json" sharded
ok "shards verify" verify -m sharded "$expected"
ok "so does their index" verify -m sharded/pytorch_model.bin.index.json "$expected"
rm sharded/pytorch_model-00002-of-00002.bin
error "a shard that is missing" '00002-of-00002.bin: No such file' info -m sharded
ok "a .ckpt verifies: parameters, strides, shared storages, prefixes, unknown objects" verify -m "$torch/last.ckpt"
info -m "$torch" | grep -v sha256 >bin; info -m "$torch/last.ckpt" | grep -v sha256 >ckpt
same "and is described as the .bin" bin ckpt
is "as the model in safetensors" "$(info -m "$data/ps" | grep -v sha256)" "$(cat bin)"
printf '>a\nACGTNNNNACGTACGT\n' >n.fa
for model in "$data/ps" "$torch/pytorch_model.bin" "$torch/last.ckpt"; do
    "$caduceus" annotate --quiet -m "$model" n.fa | grep -v '^##' >"scores.$(basename "$model")"
done
same "a .bin scores as the safetensors" scores.ps scores.pytorch_model.bin
same "so does a .ckpt" scores.ps scores.last.ckpt

# ---- which weights file and which configuration are used ----
cp -r "$data/ps" both; echo junk >both/pytorch_model.bin
ok "model.safetensors takes precedence over pytorch_model.bin" verify -m both
mkdir -p run/checkpoints; cp "$torch/last.ckpt" run/checkpoints
error "a .ckpt without a configuration" \
    'checkpoints/config.json: No such file.* model_config.json, beside them .a .ckpt: or one folder above' \
    info -m run/checkpoints/last.ckpt
cp "$data/ps/config.json" run
ok "a .ckpt finds config.json one folder above" verify -m run/checkpoints/last.ckpt "$expected"
{ printf '{"seed": 1, "config": '; cat run/config.json; printf '}\n'; } >run/model_config.json; rm run/config.json
ok "and the model_config.json of a trainer" verify -m run/checkpoints/last.ckpt "$expected"
cp run/model_config.json run/checkpoints
(cd run/checkpoints && "$caduceus" model verify -m last.ckpt "$expected") >.out 2>.err
is "or beside it, if the file is named without a folder" $? 0
echo '{"configuration": {}}' >run/checkpoints/model_config.json
error "a model_config.json without the object config" 'model_config.json: has no object "config"' \
    info -m run/checkpoints/last.ckpt

# ---- hostile and damaged files ----
if [ -n "$py" ]; then
    mkdir bad
    ok "hostile files are made" "$py" "$checks/make-bad-torch.py" "$data/ps" bad
    cp .out cases
    while IFS=$tab read -r name regex what; do
        if [ "$regex" = good ]; then ok "good: $what" timeout 60 "$caduceus" model verify -m "bad/$name" "$expected"
        else error "bad: $what" "bad/$name/pytorch_model.bin: .*$regex" timeout 60 "$caduceus" model info -m "bad/$name"
        fi
    done <cases
    is "no file was made by a pickle" "$(find . -name pwned)" ""
else
    skip "hostile files are refused" "no python3"
fi
size=$(wc -c <"$torch/pytorch_model.bin")
mkdir cut; cp "$torch/config.json" cut
n=4 wrong=
while [ $n -lt "$size" ]; do
    head -c $n "$torch/pytorch_model.bin" >cut/pytorch_model.bin
    info -m cut >.out 2>.err
    [ $? -eq 1 ] && [ "$(lines <.err)" -eq 1 ] && [ ! -s .out ] || wrong="$wrong $n"
    n=$((n + n / 4 + 5))
done
is "cut at any length it is an error in one line" "$wrong" ""

# ---- files that PyTorch itself writes from every golden checkpoint ----
with_torch() {
    for p in "$CADUCEUS_TORCH" /usr/bin/python3 python3; do
        [ -n "$p" ] && "$p" -c 'import torch' 2>/dev/null && { echo "$p"; return; }
    done
}
torchpy=$(with_torch)
if [ -z "$torchpy" ]; then skip "files that PyTorch writes now" "no python3 with torch"
elif [ ! -d "$shared/golden" ]; then skip "files that PyTorch writes now" "no golden checkpoints"
else
    for model in "$shared"/golden/*/; do
        name=$(basename "$model")
        rm -rf made; mkdir made; cp "$model"/*.json made
        ok "golden $name is written by PyTorch" "$torchpy" "$checks/make-torch.py" "$model" made
        cp made/*.json made/sharded
        ok "golden $name as a .bin" verify -m made/pytorch_model.bin "$model/expected.safetensors"
        ok "golden $name as a .ckpt" verify -m made/last.ckpt "$model/expected.safetensors"
        ok "golden $name in shards" verify -m made/sharded "$model/expected.safetensors"
    done
fi
finish
