/* spread.c - summarises the runs of a setting: mean, range and standard deviation. SPDX-License-Identifier: MIT */
#include <math.h>

#include "protocol/protocol.h"

spread_t spread_of(const double *value, int64_t n)
{
    spread_t s = { .mean = 0, .deviation = 0, .least = INFINITY, .most = -INFINITY };
    for (int64_t i = 0; i < n; i++) {
        s.mean += value[i] / (double)n;
        s.least = value[i] < s.least ? value[i] : s.least;
        s.most = value[i] > s.most ? value[i] : s.most;
    }
    for (int64_t i = 0; i < n; i++) s.deviation += (value[i] - s.mean) * (value[i] - s.mean);
    s.deviation = n > 1 ? sqrt(s.deviation / (double)(n - 1)) : NAN;
    s.half = (s.most - s.least) / 2;
    if (n == 0 || isnan(s.mean)) s = (spread_t) { NAN, NAN, NAN, NAN, NAN };
    return s;
}
