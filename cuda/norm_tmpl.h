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

typedef struct __attribute__((aligned(4 * sizeof(T)))) {
    T v[4];
} NAME(four_t);

KERNEL(NAME(norm), NAME(norm_args_t))
{
    int64_t r = arg.beg + (int64_t)blockIdx.x * NORM_ROWS + threadIdx.x / WARP;
    int in_warp = (int)threadIdx.x % WARP;
    const float *x = arg.x + r * arg.Dp;
    moments_t m;
    if (r >= arg.end) return;
    m = moments(&arg.norm, x, in_warp);
    for (int d = 4 * in_warp; d < (int)arg.Dp; d += 4 * WARP) {
        NAME(four_t) to;
        float v[4], w[4], b[4];
        load4(x + d, v);
        load4(arg.norm.weight + d, w);
        load4(arg.norm.bias + d, b);
        REPEAT(k, 4) to.v[k] = put(fma32((v[k] - m.mean) * m.scale, w[k], b[k])); /* 0 in the padding, as w and b */
        *(NAME(four_t) *)(arg.a + r * arg.Dp + d) = to;
    }
}

/* Normalises rows [beg, end) of x and stores them in the array `a`. */
static int NAME(norm_rows)(cad_lane_t *l, const float *x, T *a, norm_t norm, int64_t beg, int64_t end)
{
    NAME(norm_args_t) arg = { .x = x, .a = a, .norm = norm, .beg = beg, .end = end, .Dp = l->weights->Dp };
    LAUNCH(NAME(norm), ceil_div(end - beg, NORM_ROWS), 1, THREADS, 0, gpu_of(l)->stream, arg);
    return launched(l, "norm");
}
