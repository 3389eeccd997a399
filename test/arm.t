#!/bin/sh
# arm.t - runs the kernels for 64-bit ARM, NEON and plain C, under qemu: every operation, gradients, checkpoints with
# known results, and a command. Skipped if the cross compiler, qemu or the libraries are missing. `make arm` runs it,
# with a copy of the sources in build-arm.
. "${srcdir:-.}/test/lib.sh"

built=$builddir/build-arm
why=$("$srcdir/test/arm/build" "$built") || case $why in
make*|configure*) fail "64-bit ARM: $why"; finish; exit ;;
*) skip "64-bit ARM" "${why:-no build}"; finish; exit ;;
esac
arm() { "$built/run" "$built/tree/caduceus" "$@"; }
isas="neon plain"

# ---- operations and gradients, two programs at a time ----
for program in t_ops t_mamba2 t_grad; do
    for isa in $isas; do echo "$program $isa"; done
done >list
# shellcheck disable=SC2016
xargs -P "$(nproc)" -L 1 sh -c \
    '"$0/run" "$0/tree/test/$1" "$2" few >"$1.$2" 2>&1; echo $? >"$1.$2.status"' "$built" <list
passed() { [ "$(cat "$1.status")" = 0 ] && ! grep -qE '^not ok|# SKIP' "$1" && grep -q '^1\.\.' "$1"; }
while read -r program isa; do
    ok "$program, $isa: $(grep -c '^ok' "$program.$isa") tests" passed "$program.$isa"
    grep -E '^not ok|# SKIP' "$program.$isa" | diag
done <list

# ---- checkpoints ----
[ -d "$shared/golden" ] || skip "the larger golden checkpoints" "not present"
: >all
# verifies ISA OPTION...: `model verify`, whose table is added to the file all.
verifies() {
    local isa=$1; shift
    CADUCEUS_ISA=$isa arm model verify -d cpu "$@" >table && sed "s/^/$isa	/" table >>all
}
for model in "$data"/*/ "$shared"/golden/*/; do
    [ -e "$model/expected.safetensors" ] || continue
    name=$(basename "$model")
    case $name in ps-d256-l16 | pc2-d384-l2 | ph-d256-l4-bf16) continue ;; esac # take minutes
    for isa in $isas; do
        ok "$name verifies, $isa" verifies $isa -m "$model"
        [ "$name" = ps-d118-l4 ] && break
        ok "$name verifies in bf16, $isa" verifies $isa --precision bf16 -m "$model"
        [ -e "$model/expected_grads.safetensors" ] || continue
        case $name in pc2-d96-l3) continue ;; esac
        ok "$name: gradients, $isa" verifies $isa -m "$model" "$model/expected_grads.safetensors" -@ 1
    done
done

# ---- a command ----
contig chr1 600 5 >g.fa
regions chr1 600 4 >in.bed
annotate() { arm annotate --quiet -m "$data/ps" -T g.fa --window 96 --flank 32 in.bed "$@"; }
ok "annotate writes a file" annotate -o neon.bed
like "on NEON" '^##caduceus_device=cpu neon$' neon.bed
CADUCEUS_ISA=neon annotate -@ 1 >one; same "which is the same with one thread" neon.bed one
CADUCEUS_ISA=avx512 annotate >below; same "and if the highest instruction set is another processor's" neon.bed below
CADUCEUS_ISA=plain annotate >plain.bed; like "plain C" '^##caduceus_device=cpu plain$' plain.bed
CADUCEUS_ISA=plain "$caduceus" annotate --quiet -d cpu -m "$data/ps" -T g.fa --window 96 --flank 32 in.bed >here
rows here >want; rows neon.bed >neon; rows plain.bed >plain
for isa in $isas; do ok "$isa gives the scores of this machine" close_to want $isa 2e-5; done
finish
