/* fuzz.h - fuzz targets. A target takes the content of a file and must neither crash nor hang for any content.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_FUZZ_H
#define CAD_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* To add a target, add its name here, a function fuzz_NAME, and a corpus of files in test/fuzz/corpus/NAME. */
#define FUZZ_TARGETS(target)                                                                                \
    target(torch) target(pickle) target(safetensors) target(config) target(bed) target(fasta) target(reads) \
        target(variants) target(merge) target(labels) target(state) target(regions) target(alias)

typedef void fuzz_f(const uint8_t *data, size_t size);
#define FUZZ_DECLARE(name) fuzz_f fuzz_##name;
FUZZ_TARGETS(FUZZ_DECLARE)

/* In mutate.c. Changes the n bytes of data at random, from seed; the buffer has room for `room` bytes. Returns the new
 * number of bytes. */
size_t fuzz_mutate(uint8_t *data, size_t n, size_t room, uint64_t seed);

#endif
