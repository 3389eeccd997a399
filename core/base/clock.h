/* clock.h - a clock that is never set back. SPDX-License-Identifier: MIT */
#ifndef CAD_CLOCK_H
#define CAD_CLOCK_H

#include <time.h>

/* Returns the seconds since some moment in the past, which is the same for all processes of the machine. */
static inline double cad_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#endif
