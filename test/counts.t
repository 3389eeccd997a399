#!/bin/sh
# counts.t - registers, local memory and issue slots of the CUDA kernels, compiled for an H200, are those in counts.tsv;
# a kernel that got slower is seen without a GPU. Skipped without nvcc.
. "${srcdir:-.}/test/lib.sh"

if ! PATH="$PATH:/usr/local/cuda/bin" command -v "${NVCC:-nvcc}" >/dev/null; then
    skip "kernels of the CUDA backend, counted" "no nvcc"
    finish; exit
fi
if [ -z "$(any_python)" ]; then
    skip "kernels of the CUDA backend, counted" "no python3"
    finish; exit
fi
export CADUCEUS_CUBIN="$dir/kernels.cubin"
counts() { "$srcdir/test/gpu-counts" "$@"; }
ok "the kernels compile" counts compile
ok "no kernel needs more than in counts.tsv, and none uses local memory" counts check
sed 's/^#   /# /' .out | diag
counts print >printed 2>.err || diag .err
is "a kernel's row has all columns" "$(awk '$1 == "conv_bf16" { print NF }' printed)" 8

# A table with better counts than these kernels have is a failure that names kernel and column.
version=$(sed -n '1s/^# nvcc \([^ ]*\).*/\1/p' printed)
{ echo "# nvcc $version sm_90"
    for column in registers row around; do
        awk -v column=$column '$1 == "conv_bf16" {
            at = column == "registers" ? 5 : column == "row" ? 6 : 7; $at = $at / 2; print }' printed
    done; } >half.tsv
counts check half.tsv >found
is "a table with half the counts fails" "$?" 1
is "and names all three" "$(grep -cE '^conv_bf16, (registers|row|around): [0-9.]+, was [0-9.]+$' found)" 3
sed '1s/nvcc [^ ]*/nvcc 1.0/' half.tsv >other.tsv
ok "but not under another nvcc, whose counts differ" counts check other.tsv
echo "nokernel_bf16 EX2 1 1 1 1 1" >>half.tsv
counts check half.tsv >found 2>.err
is "a table with an unknown kernel fails" "$? $(grep -c 'no kernel nokernel_bf16' .err)" "1 1"
finish
