/* fuzz.c - runs a fuzz target. Compiled with FUZZ_LIBFUZZER it is a libFuzzer program, and $CADUCEUS_FUZZ names the
 * target. Otherwise it runs the target on files and on mutations of them, for AFL++ and for `make check`:
 * fuzz TARGET MUTATIONS SEED FILE..., with absolute paths. SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static int report_fd;
static char now[256]; /* the file and mutation that are being run, for report() */

/* Signal handler: prints which file and mutation crashed or hung, then raises the signal again. */
static void report(int sig)
{
    ssize_t said = write(report_fd, now, strlen(now));
    signal(sig, SIG_DFL);
    raise(said < 0 ? SIGABRT : sig);
}

static void run_bytes(fuzz_f *run, const uint8_t *data, size_t size, const char *path, long k)
{
    uint8_t *exact = malloc(size ? size : 1); /* exact size, so that a sanitizer detects reads beyond the end */
    if (!exact) abort();
    memcpy(exact, data, size);
    snprintf(now, sizeof now, "%.200s, mutation %ld\n", path, k);
    alarm(60);
    run(exact, size);
    free(exact);
}

/* Runs the target on the file, then on mutations of it. */
static int run_file(fuzz_f *run, const char *path, long mutations, uint64_t seed)
{
    FILE *f = fopen(path, "rb");
    long size = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    size_t n = size >= 0 ? (size_t)size : 0, room = 2 * n + 4096;
    uint8_t *data = calloc(2, room), *changed = data ? data + room : NULL;
    int bad = !data || size < 0 || fseek(f, 0, SEEK_SET) || fread(data, 1, n, f) != n;
    if (f) fclose(f);
    for (long k = 0; k <= mutations && !bad; k++) {
        size_t m = n;
        memcpy(changed, data, n);
        if (k) m = fuzz_mutate(changed, n, room, seed * 1000003 + (uint64_t)k);
        run_bytes(run, changed, m, path, k);
    }
    free(data);
    return bad ? (dprintf(report_fd, "%s: cannot be read\n", path), 1) : 0;
}

/* Discards the messages of the commands. Returns a descriptor on which report() can still print. */
static int quieten(void)
{
    int kept = dup(STDERR_FILENO);
    return kept < 0 || !freopen("/dev/null", "w", stderr) ? STDERR_FILENO : kept;
}

int main(int argc, char **argv)
{
    fuzz_f *run = argc > 4 ? find(argv[1]) : NULL;
    if (!run) {
        fprintf(stderr, "usage: fuzz TARGET MUTATIONS SEED FILE...\n");
        return 2;
    }
    report_fd = quieten();
    for (int i = 0; i < 4; i++) signal((int[]) { SIGSEGV, SIGABRT, SIGALRM, SIGBUS }[i], report);
    for (int i = 4; i < argc; i++)
        if (run_file(run, argv[i], atol(argv[2]), strtoull(argv[3], NULL, 10))) return 1;
    printf("%d files\n", argc - 4);
    return 0;
}

#endif
