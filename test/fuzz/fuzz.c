/* fuzz.c - runs a target: under libFuzzer (FUZZ_LIBFUZZER; CADUCEUS_FUZZ names the target), or on the files named on
 * the command line, for AFL++ and for `make check`: fuzz TARGET FILE...
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static fuzz_f *find(const char *name)
{
#define FUZZ_FIND(target) \
    if (name && !strcmp(name, #target)) return fuzz_##target;
    FUZZ_TARGETS(FUZZ_FIND)
    return NULL;
}

#ifdef FUZZ_LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_f *run = find(getenv("CADUCEUS_FUZZ"));
    if (!run) abort();
    run(data, size);
    return 0;
}

#else

static int run_file(fuzz_f *run, const char *path)
{
    FILE *f = fopen(path, "rb");
    long size = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    uint8_t *data = size >= 0 ? malloc((size_t)size + 1) : NULL;
    int bad = !data || fseek(f, 0, SEEK_SET) || fread(data, 1, (size_t)size, f) != (size_t)size;
    if (bad) perror(path);
    else run(data, (size_t)size);
    free(data);
    if (f) fclose(f);
    return bad;
}

int main(int argc, char **argv)
{
    fuzz_f *run = argc > 2 ? find(argv[1]) : NULL;
    if (!run) {
        fprintf(stderr, "usage: fuzz TARGET FILE...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++)
        if (run_file(run, argv[i])) return 1;
    printf("%d files\n", argc - 2);
    return 0;
}

#endif
