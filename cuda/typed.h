/* typed.h - kernels that read or write T. Included once for float32 and once for
 * bfloat16, with NAME, T, get and put defined. SPDX-License-Identifier: MIT */

/* ---- norm: what in_proj reads ---- */

typedef struct {
    const float *res;
    T *a;
    norm_t norm;
    int64_t beg, end, Dp;
} NAME(norm_job_t);

KERNEL(NAME(norm), NAME(norm_job_t))
{
    int64_t r = j.beg + (int64_t)blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP;
    int lane = (int)threadIdx.x % WARP;
    const float *x = j.res + r * j.Dp;
    moments_t m;
    if (r >= j.end) return;
    m = moments(&j.norm, x, lane);
    for (int64_t d = lane; d < j.Dp; d += WARP)
        j.a[r * j.Dp + d] = put(normed(&j.norm, m, x, d)); /* padding: weight and bias are 0 */
}

/* ---- a bias under in_proj's product ---- */

typedef struct {
    T *to;
    const float *bias;
    int64_t n, width;
} NAME(spread_job_t); /* n = rows x width */

KERNEL(NAME(spread), NAME(spread_job_t))
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < j.n) j.to[i] = put(j.bias[i % j.width]);
}

/* ---- conv and SiLU: thread = channel, RUN rows ---- */

typedef struct {
    const T *x;
    T *u;
    const float *w, *bias;
    const int64_t *off;
    int64_t beg, end, Ep, K;
    int nseq;
    bool reverse;
} NAME(conv_job_t); // x: (rows,2Ep)

/* Taps before the sequence's start are left out: they begin at `first`. */
DEVICE float NAME(taps)(const NAME(conv_job_t) * j, int64_t r, int64_t first, const int64_t K, int64_t c)
{
    int64_t step = j->reverse ? -1 : 1;
    float acc = j->bias[c];
    UNROLL
    for (int64_t k = 0; k < K; k++)
        if (k >= first) acc = fma32(j->w[k * j->Ep + c], get(j->x[(r - step * (K - 1 - k)) * 2 * j->Ep + c]), acc);
    return acc;
}

DEVICE int64_t NAME(first_tap)(const NAME(conv_job_t) * j, int64_t r, int q)
{
    int64_t past = j->reverse ? j->off[q + 1] - 1 - r : r - j->off[q];
    return past < j->K - 1 ? j->K - 1 - past : 0;
}

KERNEL(NAME(conv), NAME(conv_job_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, r = j.beg + (int64_t)blockIdx.x * RUN,
            end = r + RUN < j.end ? r + RUN : j.end;
    int q = find_seq(j.off, j.nseq, r);
    if (c >= j.Ep) return;
    for (; r < end; r++) {
        int64_t first;
        while (r >= j.off[q + 1]) q++;
        first = NAME(first_tap)(&j, r, q);
        j.u[r * j.Ep + c] = put(silu(j.K == 4 ? NAME(taps)(&j, r, first, 4, c) : NAME(taps)(&j, r, first, j.K, c)));
    }
}

#include "scan.h"
