/* bar.h - formats sizes, and draws the progress bar of a download. SPDX-License-Identifier: MIT */
#ifndef CAD_BAR_H
#define CAD_BAR_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Writes bytes as "12.3 MB"; returns buf. */
const char *size_text(int64_t bytes, char buf[24]);

typedef struct bar_t {
    bool on, quiet;      /* on: the bar is drawn (on a terminal); quiet: nothing at all is printed */
    const char *name;    /* the file being fetched; borrowed */
    int64_t total, done; /* total: bytes of all files; done: bytes on disk, from this run or an earlier one */
    int64_t fetched;     /* bytes that this run has received over the network */
    struct timespec start, shown;
} bar_t;
void bar_begin(bar_t *b, bool quiet, int64_t total);
/* Adds n bytes to done, and to fetched if they came over the network. n is negative if received bytes are discarded.
 * Redraws the bar at most five times a second. */
void bar_add(bar_t *b, int64_t n, bool fetched);
void bar_clear(const bar_t *b);
/* Prints that another process is fetching the file and that this process waits for it. */
void bar_waits(const bar_t *b);

#endif
