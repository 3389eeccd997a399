/* norm_tmpl.h - normalises rows and stores them as T, the input type of matrix products. Compiled once for each T.
 *
 * Macro parameters: T; NAME(x): x with T's suffix; put(v): float to T. SPDX-License-Identifier: MIT
 */
#include "norm.h"

typedef struct {
    const float *x; // (rows,Dp)
    T *a;           // (rows,Dp)
    norm_t norm;
    int64_t beg, end, Dp;
} NAME(norm_args_t);

KERNEL(NAME(norm), NAME(norm_args_t))
{
    int64_t r = arg.beg + (int64_t)blockIdx.x * NORM_ROWS + threadIdx.x / WARP;
    int in_warp = (int)threadIdx.x % WARP;
    const float *x = arg.x + r * arg.Dp;
    moments_t m;
    if (r >= arg.end) return;
    m = moments(&arg.norm, x, in_warp);
    for (int64_t d = in_warp; d < arg.Dp; d += WARP)
        arg.a[r * arg.Dp + d] = put(normed(&arg.norm, m, x, d)); /* 0 in the padding, where weight and bias are 0 */
}

/* Normalises rows [beg, end) of x and stores them in the array `a`. */
static int NAME(norm_rows)(cad_lane_t *l, const float *x, T *a, norm_t norm, int64_t beg, int64_t end)
{
    NAME(norm_args_t) arg = { .x = x, .a = a, .norm = norm, .beg = beg, .end = end, .Dp = l->weights->Dp };
    LAUNCH(NAME(norm), ceil_div(end - beg, NORM_ROWS), 1, THREADS, 0, gpu_of(l)->stream, arg);
    return launched(l, "norm");
}
