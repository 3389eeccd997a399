#!/bin/sh
# fuzz.t - runs the targets of test/fuzz on their corpora and on some mutations of each file; `make fuzz` runs them
# under libFuzzer. FUZZ_MUTATIONS is the number of mutations, FUZZ_SEED the seed.
. "${srcdir:-.}/test/lib.sh"

seed=${FUZZ_SEED:-1}
# target MUTATIONS NAME...: runs these targets on their corpora and on MUTATIONS mutations of each file.
target() {
    times=${FUZZ_MUTATIONS:-$1}; shift
    for name; do
        ok "$name: its corpus, and $times mutations of each file" timeout 500 \
            "$builddir/test/fuzz/fuzz" "$name" "$times" "$seed" "$srcdir/test/fuzz/corpus/$name"/*
    done
}
target 400 alias config labels pickle regions safetensors torch
target 100 bed fasta merge reads state variants
is "each target has a corpus and is run here" "$(ls "$srcdir/test/fuzz/corpus" | lines)" 13
finish
