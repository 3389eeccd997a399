/* simd.h - functions that kernels call: exponentials, sums over a warp, search, rows of a sequence. SPDX-License-Identifier: MIT */
#ifndef CAD_CUDA_SIMD_H
#define CAD_CUDA_SIMD_H

#include "common.h"

#define WARP 32
#define LOG2E 1.44269504f

DEVICE float silu(float x) { return divide_fast(x, 1.0f + exp2_fast((x > -87.0f ? x : -87.0f) * -LOG2E)); }

DEVICE float sigmoid(float x) { return divide_fast(1.0f, 1.0f + exp2_fast((x > -87.0f ? x : -87.0f) * -LOG2E)); }

/* Returns log(1 + e^x) = max(x,0) + log1p(y), where y = e^-|x|. With s = y/(2+y), log1p(y) = 2 atanh(s), computed by a
 * polynomial in q = s^2 that is fitted on [0, 1/9]. Relative error 2e-7, also for very negative x. */
DEVICE float softplus(float x)
{
    float y = exp2_fast(fabsf(x) * -LOG2E), s = divide_fast(y, 2.0f + y), q = s * s, p;
    p = fma32(q, 0.14005994f, 0.14000902f);
    p = fma32(q, p, 0.20010764f);
    p = fma32(q, p, 0.33333208f);
    p = fma32(q, p, 1.0f);
    return fma32(s + s, p, x > 0 ? x : 0);
}

/* Returns, in each thread, the sum of v over the threads of the warp, added in a fixed order. */
DEVICE float warp_sum(float v)
{
    for (int k = WARP / 2; k; k /= 2) v = v + shuffle_xor(v, k);
    return v;
}

/* Returns the index of the sequence that contains row r. */
DEVICE int find_seq(const int64_t *off, int nseq, int64_t r)
{
    int lo = 0, hi = nseq - 1;
    while (lo < hi) {
        int mid = (lo + hi + 1) / 2;
        if (off[mid] <= r) lo = mid;
        else hi = mid - 1;
    }
    return lo;
}

typedef struct {
    int64_t row;       /* the first row in the direction of the scan */
    int step, n;       /* step: from a row to the next, 1 or -1; n: number of rows */
    int before, after; /* number of rows of the sequence before and after these, at most INT_MAX / 2 */
} stretch_t;           /* rows of one sequence, in the direction of the scan */

DEVICE int at_most_int(int64_t n) { return n < 1 << 30 ? (int)n : 1 << 30; }

/* Returns those of the rows [beg, end) that belong to the sequence off[0] to off[1]; there may be none. */
DEVICE stretch_t stretch_of(const int64_t *off, int64_t beg, int64_t end, bool reverse)
{
    int64_t lo = off[0] > beg ? off[0] : beg, hi = off[1] < end ? off[1] : end;
    stretch_t s;
    s.step = reverse ? -1 : 1;
    s.n = hi > lo ? (int)(hi - lo) : 0;
    s.row = reverse ? hi - 1 : lo;
    s.before = at_most_int(reverse ? off[1] - hi : lo - off[0]);
    s.after = at_most_int(reverse ? lo - off[0] : off[1] - hi);
    return s;
}

#endif
