/* failmalloc.c - a library for LD_PRELOAD that makes the n-th memory allocation of a program fail.
 *
 * FAILMALLOC_AT=n      allocation n fails. Calls of malloc, calloc, realloc, aligned_alloc and posix_memalign count,
 *                      also inside functions such as strdup and fopen. Counting starts when the libraries are
 *                      initialised, just before main.
 * FAILMALLOC_ON=1      all later allocations fail too
 * FAILMALLOC_COUNT=F   writes the number of allocations to the file F when the process exits
 * SPDX-License-Identifier: MIT
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

/* The C library's allocators. These names can be called without dlsym, which itself allocates. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

static atomic_long seen;
static long at; /* number of the allocation that fails, from 1; 0: none fails */
static bool on;

__attribute__((constructor)) static void start(void)
{
    const char *s = getenv("FAILMALLOC_AT");
    on = getenv("FAILMALLOC_ON") != NULL;
    at = s ? atol(s) : 0;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("FAILMALLOC_COUNT");
    long n = atomic_load(&seen);
    FILE *f;
    at = 0; /* fopen allocates; this must not fail */
    f = path ? fopen(path, "w") : NULL;
    if (f) fprintf(f, "malloc %ld\n", n);
    if (f) fclose(f);
}

static bool fails(void)
{
    long n;
    if (at <= 0) return false;
    n = atomic_fetch_add(&seen, 1) + 1;
    if (n != at && (!on || n < at)) return false;
    errno = ENOMEM;
    return true;
}

EXPORT void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
EXPORT void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
EXPORT void *realloc(void *old, size_t size) { return fails() ? NULL : __libc_realloc(old, size); }
EXPORT void *aligned_alloc(size_t align, size_t size) { return fails() ? NULL : __libc_memalign(align, size); }

EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
    void *p = fails() ? NULL : __libc_memalign(align, size);
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}
