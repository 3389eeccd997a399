/* base.h - errors, memory, numbers, whole texts. SPDX-License-Identifier: MIT */
#ifndef CAD_BASE_H
#define CAD_BASE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caduceus.h"

#define CAD_PAD 16
#define CAD_LONGEST ((int64_t)1 << 31) /* tokens in one window */

/* ---- error.c ---- */
/* Writes the text (err may be NULL) and returns code, so that callers say
 * `return cad_fail(err, CAD_EIO, ...)`. */
int cad_fail(cad_error_t *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- memory.c ---- */
/* count x size bytes, aligned to 64 and not cleared; NULL on overflow or failure. */
void *cad_alloc(size_t count, size_t size);
/* A bump allocator of pieces aligned to 64; with base NULL it only counts.
 * Overflow sticks at SIZE_MAX. */
typedef struct {
    char *base;
    size_t used;
} cad_bump_t;
static inline void *cad_bump(cad_bump_t *b, int64_t count, int64_t width, size_t size)
{
    size_t n, at = b->used;
    if (__builtin_mul_overflow((size_t)count, (size_t)width, &n) || __builtin_mul_overflow(n, size, &n) ||
        n > SIZE_MAX / 2 || at > SIZE_MAX / 2) {
        b->used = SIZE_MAX;
        return NULL;
    }
    b->used = (at + n + 63) / 64 * 64;
    return b->base ? b->base + at : NULL;
}
static inline int64_t cad_round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static inline int64_t cad_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t cad_max(int64_t a, int64_t b) { return a > b ? a : b; }
/* Reads exactly n bytes at offset: 0, or a CAD_E* with text. */
int cad_pread(int fd, void *buf, size_t n, int64_t offset, const char *path, cad_error_t *err);
/* A decimal integer in [lo, hi] and nothing after it; false otherwise. */
bool cad_parse_int(const char *s, int64_t lo, int64_t hi, int64_t *out);
/* The n rows of a (n,width) the other way round. */
void cad_reverse_rows(float *a, int64_t n, int64_t width);
/* "dir/name", malloc'd; NULL when out of memory. */
char *cad_path_join(const char *dir, const char *name);
/* A whole text file, malloc'd, with a NUL behind its size bytes; NULL and 0 for an
 * absent one that is optional. */
int cad_read_text(char **text, size_t *size, const char *path, bool optional, cad_error_t *err);

#endif
