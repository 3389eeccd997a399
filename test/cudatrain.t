#!/bin/sh
# cudatrain.t - training on the CUDA backend under the host shim: gradients of the golden checkpoints, comparison with
# runs on the CPU, and errors (faults 54, 55, 56). t_grad checks derivatives; gpu-check trains on a GPU.
. "${srcdir:-.}/test/lib.sh"

shim=$builddir/.libs/caduceus-cuda-shim.so
if [ ! -e "$shim" ]; then
    skip "training runs under the shim" "the shim is not built"
    finish
    exit
fi
on() { CADUCEUS_CUDA_MODULE=$shim; "$@"; CADUCEUS_CUDA_MODULE=; } # COMMAND...: runs a command with the shim
columns() { rows "$2" | cut -f "$1"; } # COLUMNS LOG: prints these columns

# ---- gradients ----
for kind in ps-fused-d16-l2 ps-fused-d16-l3 ph-layernorm-untied-mul-d24-l2 pc2-d64-l2 pc2-d96-l3 \
    m2-ph-headdim16-d32-l2 m2-unfused-untied-mul-d32-l2; do
    model=$shared/golden/$kind
    if [ -e "$model/expected_grads.safetensors" ]; then
        on ok "golden $kind: gradients" \
            "$caduceus" model verify -d cuda --precision fp32 -m "$model" "$model/expected_grads.safetensors"
        on ok "golden $kind: gradients in bf16" \
            "$caduceus" model verify -d cuda -m "$model" "$model/expected_grads.safetensors"
    else
        skip "golden $kind: gradients" "not present"
    fi
done

# ---- pretrain ----
contig one 3000 11 >ref.fa
tiny="-T ref.fa --d-model 12 --n-layer 2 --seq-len 64 --batch-tokens 256 --steps 4 --warmup 0"
valid="--valid-fraction 0.2 --valid-tokens 128 --valid-every 2"
train() { "$caduceus" pretrain $tiny $valid --quiet "$@"; }
train -d cpu -o cpu
on ok "pretrain -d cuda" train -d cuda --precision fp32 -o card
is "prints no message" "$(cat .out .err)" ""
columns 1-6 cpu/log.tsv >want; columns 1-6 card/log.tsv >got
ok "losses, norms and validations agree with the CPU" close_to got want 2e-4
ok "the model verifies on the CPU" "$caduceus" model verify -m card
on train -d cuda --precision fp32 -@ 3 -o again
same "the same bytes again, with -@ 3" again/model.safetensors card/model.safetensors
on train -d cuda --precision fp32 --recompute -o less
same "and with --recompute, which a device always does" less/model.safetensors card/model.safetensors
on train -d cuda --precision fp32 --save-every 2 -o stopped
same "intermediate checkpoints do not change the result" stopped/model.safetensors card/model.safetensors
on train -d cuda -o half
columns 3 half/log.tsv >got; columns 3 cpu/log.tsv >want
ok "bf16 is the default and agrees within its precision" close_to got want 3e-2
differ "and differs from fp32" half/model.safetensors card/model.safetensors
rm -rf auto; on train -o auto
same "auto takes the device" auto/model.safetensors half/model.safetensors
train -d auto -o auto2 2>note
same "auto without a module trains on the CPU" auto2/model.safetensors cpu/model.safetensors

cat >m2.json <<'END'
{"d_model": 12, "n_layer": 2, "vocab_size": 12, "rcps": true,
 "complement_map": {"0": 0, "7": 10, "8": 9, "9": 8, "10": 7},
 "ssm_cfg": {"layer": "Mamba2", "d_state": 5, "headdim": 4, "ngroups": 2}}
END
mamba2() {
    "$caduceus" pretrain --quiet -T ref.fa --config m2.json --seq-len 150 --batch-tokens 600 --steps 4 --warmup 0 \
        --valid-fraction 0 "$@"
}
mamba2 -d cpu -o m2-cpu
on ok "pretrain -d cuda, Mamba-2" mamba2 -d cuda --precision fp32 -o m2
columns 1-6 m2-cpu/log.tsv >want; columns 1-6 m2/log.tsv >got
ok "the losses and norms are the CPU's" close_to got want 2e-4
on mamba2 -d cuda --precision fp32 -@ 3 -o m2-again
same "the same bytes again, with -@ 3" m2-again/model.safetensors m2/model.safetensors

# ---- finetune ----
bases 640 3 | fold -w 40 | awk '{ n = gsub(/[GC]/, "&"); print $0 "," (n > 20) }' >body
{ echo sequence,label; cat body; } >train.csv
tune() {
    "$caduceus" finetune --quiet -m "$data/ph" --epochs 2 --batch 8 --lr 0.005 --valid-fraction 0.25 train.csv "$@"
}
for pool in mean max; do
    tune -d cpu --pool $pool -o "cpu-$pool" >/dev/null
    on ok "finetune -d cuda, $pool" tune -d cuda --precision fp32 --pool $pool -o "card-$pool"
    columns 1-4 "cpu-$pool/metrics.tsv" >want; columns 1-4 "card-$pool/metrics.tsv" >got
    ok "losses agree with the CPU" close_to got want 2e-3
done
like "the table names the device" '^##caduceus_device=cuda host shim' card-mean/metrics.tsv

# ---- errors ----
export CADUCEUS_SHIM_DEVICES=0
on error "no device is an error" 'device cuda: no CUDA-capable device' train -d cuda -o none
unset CADUCEUS_SHIM_DEVICES
export CADUCEUS_SHIM_MEMORY=40000000 # too small for packs of the usual size
rm -rf less; on train -d cuda --precision fp32 -o less
same "with less memory, smaller packs" less/model.safetensors card/model.safetensors
export CADUCEUS_SHIM_MEMORY=2000000
on error "too little memory is an error that says how much" 'out of memory on cuda.* GB' train -d cuda -o none
export CADUCEUS_SHIM_MEMORY=1000
on error "too little memory for the model is an error" 'out of memory' train -d cuda -o none
unset CADUCEUS_SHIM_MEMORY
for n in 3 60 400; do
    export CADUCEUS_SHIM_FAULT=$n
    on error "a fault in launch $n is an error" 'cuda host shim: .*illegal memory access' train -d cuda -o none
    is "and leaves no model" "$(ls none 2>/dev/null | grep -c safetensors)" 0
    rm -rf none
done
unset CADUCEUS_SHIM_FAULT
finish
