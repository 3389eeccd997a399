#!/bin/sh
# golden.t - compares the results of checkpoints of every kind with tensors computed in float64.
. "${srcdir:-.}/test/lib.sh"

for model in "$data"/*/; do
    name="$(basename "$model") verifies"
    if can_read "$model"; then ok "$name" "$caduceus" model verify -m "$model"
    else skip "$name" "built without libzip"; fi
done

for isa in plain avx2 avx512 avx512bf16-plain amx-plain; do
    for kind in ps ph-untied ps-ssm ps-causal; do
        for precision in fp32 bf16x3 bf16; do
            ok "$kind verifies in $precision with kernels up to $isa" \
                env CADUCEUS_ISA=$isa "$caduceus" model verify -d cpu --precision $precision -m "$data/$kind"
        done
    done
done

if [ -d "$shared/golden" ]; then
    for model in "$shared"/golden/*/; do
        ok "golden $(basename "$model") verifies" "$caduceus" model verify -m "$model"
        ok "golden $(basename "$model") verifies in bf16" "$caduceus" model verify -d cpu --precision bf16 -m "$model"
        case $(basename "$model") in ps-d256-l16 | pc2-d384-l2) continue ;; esac # large: slow in plain C
        for precision in fp32 bf16x3 bf16; do
            ok "golden $(basename "$model") verifies in $precision, with matrix tiles in plain C" env \
                CADUCEUS_ISA=amx-plain "$caduceus" model verify -d cpu --precision $precision -m "$model"
        done
    done
else
    skip "the large golden checkpoints verify" "not present"
fi

# Gradients of a mean cross-entropy, with all activations kept, with recomputed layers, and with several threads.
# gradients NAME MODEL OPTION...: the gradients and the loss are as expected.
gradients() {
    local name=$1 model=$2; shift 2
    ok "golden $(basename "$model"): gradients, $name" \
        "$caduceus" model verify -m "$model" "$model/expected_grads.safetensors" "$@"
    like "and the loss" '^loss	[0-9.e-]*	ok$' "$dir/.out"
}
ls "$shared"/golden/*/expected_grads.safetensors >grads 2>/dev/null
while read -r file; do
    model=$(dirname "$file")
    gradients "in full" "$model" -@ 1
    gradients "layers run again" "$model" -@ 1 --recompute
    cp "$dir/.out" again
    gradients "three threads" "$model" -@ 3
    same "three threads give the same numbers, as do layers run again" again "$dir/.out"
    grep -ao '"grad\.[^"]*"' "$file" | sort -u >named
    is "every parameter is compared" "$(grep -c '^grad\.' again)" "$(lines <named)"
done <grads
for name in ps-d118-l4 ph-layernorm-untied-mul-d24-l2 pc2-d64-l2 pc2-d96-l3 m2-ph-headdim16-d32-l2 \
    m2-unfused-untied-mul-d32-l2; do
    for isa in plain avx2 avx512; do
        model=$shared/golden/$name
        if [ -e "$model/expected_grads.safetensors" ]; then
            ok "golden $name: gradients with kernels up to $isa" \
                env CADUCEUS_ISA=$isa "$caduceus" model verify -m "$model" "$model/expected_grads.safetensors" -@ 1
        else skip "golden $name: gradients with kernels up to $isa" "not present"; fi
    done
done
[ -s grads ] || skip "gradients of the large golden checkpoints" "not present"

# New random checkpoints, so that the code is not tested with the committed checkpoints alone.
py=$(python)
if [ -n "$py" ]; then
    "$py" "$reference" sample "$dir/sample" --n 16 --seed 2024 >/dev/null
    "$py" "$reference" sample "$dir/mamba2" --n 12 --seed 2025 --set layer=Mamba2 >/dev/null
    for model in "$dir"/sample/*/ "$dir"/mamba2/*/; do
        ok "random checkpoint ${model#"$dir/"} verifies" "$caduceus" model verify -m "$model"
    done
else
    skip "random checkpoints verify" "no numpy"
fi

# verify must fail if a tensor is wrong.
cp -r "$data/ps" "$dir/bent"
size=$(wc -c <"$dir/bent/expected.safetensors")
printf '\101' | dd of="$dir/bent/expected.safetensors" bs=1 seek=$((size - 1)) conv=notrunc 2>/dev/null
error "a perturbed expected file is an error" 'above the tolerance' "$caduceus" model verify -m "$dir/bent"
model=$shared/golden/ps-fused-d16-l2
if [ -e "$model/expected_grads.safetensors" ]; then
    verify() { "$caduceus" model verify "$@"; }
    grads=$model/expected_grads.safetensors
    error "a small tolerance is too small for gradients" 'above the tolerance' \
        verify -m "$model" "$grads" --tolerance 1e-12
    error "gradients of another model" 'grad\.|token|tensor' verify -m "$data/ph" "$grads"
else
    skip "a small tolerance is too small for gradients" "not present"
    skip "gradients of another model" "not present"
fi
cp -r "$data/ps-odd-depth" "$dir/unfold"
sed -i 's/"norm_epsilon": 1e-05/"norm_epsilon": 0.5/' "$dir/unfold/config.json"
error "another norm_epsilon is reported" 'above the tolerance' "$caduceus" model verify -m "$dir/unfold"
rm "$dir/bent/expected.safetensors"
ok "without an expected file, equivariance is checked" "$caduceus" model verify -m "$dir/bent"
like "equivariance is reported" '^rc_equivariance	' "$dir/.out"

finish
