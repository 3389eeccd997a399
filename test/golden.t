#!/bin/sh
# golden.t - checkpoints of every kind against tensors computed in float64.
. "${srcdir:-.}/test/lib.sh"

for model in "$data"/*/; do
    ok "$(basename "$model") verifies" "$caduceus" model verify -m "$model"
done

for isa in plain avx2 avx512; do
    if ! grep -q -w "$isa" /proc/cpuinfo 2>/dev/null && [ "$isa" = avx2 ]; then skip "$isa verifies" "this processor lacks it"; continue; fi
    for kind in ps ph-untied ps-ssm ps-causal; do
        ok "$kind verifies with kernels up to $isa" env CADUCEUS_ISA=$isa "$caduceus" model verify -m "$data/$kind"
    done
done

if [ -d "$shared/golden" ]; then
    for model in "$shared"/golden/*/; do
        ok "golden $(basename "$model") verifies" "$caduceus" model verify -m "$model"
    done
else
    skip "the large golden checkpoints verify" "not present"
fi

# Checkpoints drawn anew, so that nothing is fitted to the fixtures.
py=$(python)
if [ -n "$py" ]; then
    "$py" "$reference" sample "$dir/sample" --n 16 --seed 2024 >/dev/null
    for model in "$dir"/sample/*/; do
        ok "random checkpoint $(basename "$model") verifies" "$caduceus" model verify -m "$model"
    done
else
    skip "random checkpoints verify" "no numpy"
fi

# verify must be able to fail.
cp -r "$data/ps" "$dir/bent"
size=$(wc -c <"$dir/bent/expected.safetensors")
printf '\101' | dd of="$dir/bent/expected.safetensors" bs=1 seek=$((size - 1)) conv=notrunc 2>/dev/null
error "a perturbed expected file is an error" 'above the tolerance' "$caduceus" model verify -m "$dir/bent"
mkdir "$dir/unfold" && cp "$data"/ps-odd-depth/*.safetensors "$dir/unfold" && cp "$data/ps-odd-depth/config.json" "$dir/unfold"
sed -i 's/"norm_epsilon": 1e-05/"norm_epsilon": 0.5/' "$dir/unfold/config.json"
error "another norm_epsilon is noticed" 'above the tolerance' "$caduceus" model verify -m "$dir/unfold"
rm "$dir/bent/expected.safetensors"
ok "without an expected file, equivariance is checked" "$caduceus" model verify -m "$dir/bent"
like "equivariance is reported" '^rc_equivariance	' "$dir/.out"

finish
