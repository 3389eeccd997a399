/* fuzz.h - targets for fuzzers. A target takes the bytes of a file; it must neither crash nor hang, whatever they are.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_FUZZ_H
#define CAD_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* To add one: a line here, a function fuzz_NAME, and files of test/fuzz/corpus/NAME to begin with. */
#define FUZZ_TARGETS(target)                                                                                \
    target(torch) target(pickle) target(safetensors) target(config) target(bed) target(fasta) target(reads) \
        target(variants) target(merge) target(labels) target(state) target(regions) target(alias)

typedef void fuzz_f(const uint8_t *data, size_t size);
#define FUZZ_DECLARE(name) fuzz_f fuzz_##name;
FUZZ_TARGETS(FUZZ_DECLARE)

/* mutate.c: changes the n bytes of data, which has room for `room`, as seed says; returns their new number. */
size_t fuzz_mutate(uint8_t *data, size_t n, size_t room, uint64_t seed);

#endif
