/* bar.h - sizes for readers, and the bar of a download. SPDX-License-Identifier: MIT */
#ifndef CAD_BAR_H
#define CAD_BAR_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Writes bytes as "12.3 MB"; returns buf. */
const char *size_text(int64_t bytes, char buf[24]);

typedef struct bar_t {
    bool on, quiet;      /* draws, on a terminal; says nothing at all */
    const char *name;    /* the file at hand; borrowed */
    int64_t total, done; /* bytes of all files; those that are there */
    int64_t fetched;     /* those that came over the network in this run */
    struct timespec start, shown;
} bar_t;
void bar_begin(bar_t *b, bool quiet, int64_t total);
/* Counts n bytes; fetched: from the network. Negative: they are lost. Draws at most five times a second. */
void bar_add(bar_t *b, int64_t n, bool fetched);
void bar_clear(const bar_t *b);
/* Says that the file at hand is waited for. */
void bar_waits(const bar_t *b);

#endif
