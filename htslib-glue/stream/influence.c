/* influence.c - the scores jsd and infl: how much an allele changes the predictions at other positions.
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "stream/influence.h"

/* Returns the Jensen-Shannon divergence in bits. Its terms of first order cancel base by base, so a small divergence
 * has no more rounding error than a large one, and equal arguments give exactly 0. */
static double divergence(const float p[4], const float q[4])
{
    double sum = 0;
    for (int b = 0; b < 4; b++) {
        double x = exp((double)p[b]), y = exp((double)q[b]), m = (x + y) / 2;
        sum += fmax((x > 0 ? x * log(x / m) : 0) + (y > 0 ? y * log(y / m) : 0), 0);
    }
    return sum / 2 * 1.4426950408889634;
}

double log_odds(const float p[4], int b)
{
    double top = -INFINITY, sum = 0;
    for (int c = 0; c < 4; c++)
        if (c != b) top = fmax(top, (double)p[c]);
    for (int c = 0; c < 4; c++)
        if (c != b) sum += exp((double)p[c] - top);
    return (double)p[b] - top - log(sum);
}

static double largest_change(const float p[4], const float q[4])
{
    double most = 0;
    for (int b = 0; b < 4; b++) most = fmax(most, fabs(log_odds(p, b) - log_odds(q, b)));
    return most;
}

void influence_add(influence_t *s, const float *ref, const float *alt, int64_t n)
{
    for (int64_t i = 0; i < n; i++, ref += 4, alt += 4) {
        if (isnan(*ref) || isnan(*alt)) continue;
        s->n++;
        s->jsd += divergence(ref, alt);
        s->change += largest_change(ref, alt);
    }
}
