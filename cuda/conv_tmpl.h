/* conv_tmpl.h - the causal, depthwise convolution of packed sequences, followed by SiLU: u = silu(conv(x)). A thread
 * computes one channel. Compiled once for each T, the type of x and u. K is the number of taps, `width` the number of
 * channels.
 *
 * Macro parameters: T; NAME(x): x with T's suffix; get(v): T to float; put(v): float to T. Gradients are float32.
 * SPDX-License-Identifier: MIT
 */
#include "graph.h"
#include "sums.h"

#define RUN 16 /* number of rows that one thread convolves */
#define TAPS 4 /* number of taps whose gradients are summed in one loop over the rows */

/* ---- forward pass ---- */

typedef struct {
    const T *x;            // (rows,width), where rows are ld values apart
    T *u;                  // (rows,width)
    const float *w, *bias; // (K,width), (width)
    const int64_t *off;
    int64_t beg, end, ld, width, K;
    int nseq;
    bool reverse;
} NAME(conv_args_t);

/* Returns the convolution at row r, before SiLU. `first` is the first tap that reads a row of the same sequence. */
DEVICE float NAME(taps)(const NAME(conv_args_t) * arg, int64_t r, int64_t first, const int64_t K, int64_t c)
{
    int64_t step = arg->reverse ? -1 : 1;
    float acc = arg->bias[c];
    UNROLL
    for (int64_t k = 0; k < K; k++)
        if (k >= first)
            acc = fma32(arg->w[k * arg->width + c], get(arg->x[(r - step * (K - 1 - k)) * arg->ld + c]), acc);
    return acc;
}

DEVICE int64_t NAME(first_tap)(const NAME(conv_args_t) * arg, int64_t r, int q)
{
    int64_t past = arg->reverse ? arg->off[q + 1] - 1 - r : r - arg->off[q];
    return past < arg->K - 1 ? arg->K - 1 - past : 0;
}

KERNEL(NAME(conv), NAME(conv_args_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, r = arg.beg + (int64_t)blockIdx.x * RUN,
            end = r + RUN < arg.end ? r + RUN : arg.end;
    int q = find_seq(arg.off, arg.nseq, r);
    if (c >= arg.width) return;
    for (; r < end; r++) {
        int64_t first;
        while (r >= arg.off[q + 1]) q++;
        first = NAME(first_tap)(&arg, r, q);
        arg.u[r * arg.width + c] = put(
            silu(arg.K == 4 ? NAME(taps)(&arg, r, first, 4, c) : NAME(taps)(&arg, r, first, arg.K, c)));
    }
}

/* Computes u for the rows [args->beg, args->end). */
static int NAME(conv_rows)(cad_lane_t *l, const NAME(conv_args_t) * args)
{
    const NAME(conv_args_t) arg = *args;
    LAUNCH(NAME(conv), ceil_div(arg.end - arg.beg, RUN), ceil_div(arg.width, THREADS), THREADS, 0, gpu_of(l)->stream,
           arg);
    return launched(l, "conv");
}

/* ---- backward pass ---- */

typedef struct {
    NAME(conv_args_t) f; /* arguments of the forward pass */
    float *du, *u;       // (rows,width)
} NAME(silu_back_args_t);

/* Replaces du by dc, the gradient of the convolution's result before SiLU, and recomputes u. */
KERNEL(NAME(silu_back), NAME(silu_back_args_t))
{
    const NAME(conv_args_t) *f = &arg.f;
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, r = f->beg + (int64_t)blockIdx.x * RUN,
            end = r + RUN < f->end ? r + RUN : f->end;
    int q = find_seq(f->off, f->nseq, r);
    if (c >= f->width) return;
    for (; r < end; r++) {
        int64_t at = r * f->width + c;
        float sum, on;
        while (r >= f->off[q + 1]) q++;
        sum = NAME(taps)(f, r, NAME(first_tap)(f, r, q), f->K, c);
        on = sigmoid(sum);
        arg.u[at] = sum * on;
        arg.du[at] = arg.du[at] * on * fma32(sum, 1.0f - on, 1.0f);
    }
}

/* Overwrites du with dc, the gradient of the convolution's result before SiLU, and writes u, for all rows of f. */
static int NAME(silu_gradients)(cad_grad_lane_t *l, const NAME(conv_args_t) * f, float *du, float *u)
{
    NAME(silu_back_args_t) arg = { .f = *f, .du = du, .u = u };
    arg.f.beg = 0;
    LAUNCH(NAME(silu_back), ceil_div(f->end, RUN), ceil_div(f->width, THREADS), THREADS, 0, gpu_of(&l->f)->stream, arg);
    return launched(&l->f, "conv, backwards");
}

typedef struct {
    const T *x;      // (rows,width), where rows are ld values apart
    const float *dc; // (rows,width)
    // (rows,width), where rows are ld values apart: gradient of x, to which the convolution's contribution is added
    float *dx;
    const float *w; // (K,width)
    float *part;    // (slabs,K+1,width) partial sums of the gradients: K rows for the taps, one for the bias
    const int64_t *off;
    int64_t rows, ld, width, K;
    int nseq;
    bool reverse;
} NAME(conv_back_args_t);

/* Adds the convolution's contribution to dx. Row r of x was read by the convolution at row r and at the K-1 rows after
 * row r in the direction of the scan. */
KERNEL(NAME(conv_back), NAME(conv_back_args_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, r = (int64_t)blockIdx.x * RUN,
            end = r + RUN < arg.rows ? r + RUN : arg.rows, step = arg.reverse ? -1 : 1;
    int q = find_seq(arg.off, arg.nseq, r);
    if (c >= arg.width) return;
    for (; r < end; r++) {
        float acc = 0;
        while (r >= arg.off[q + 1]) q++;
        for (int64_t k = 0; k < arg.K; k++) {
            int64_t at = r + step * k;
            if (at >= arg.off[q] && at < arg.off[q + 1])
                acc = fma32(arg.w[(arg.K - 1 - k) * arg.width + c], arg.dc[at * arg.width + c], acc);
        }
        arg.dx[r * arg.ld + c] += acc;
    }
}

/* Sets acc (TAPS+1) to the gradients of the taps from `first` onwards and of the bias, summed over rows [beg, end). */
DEVICE void NAME(sum_taps)(const NAME(conv_back_args_t) * arg, int64_t beg, int64_t end, int64_t first, int64_t c,
                           float *acc)
{
    int64_t step = arg->reverse ? -1 : 1;
    int q = find_seq(arg->off, arg->nseq, beg);
    UNROLL
    for (int k = 0; k <= TAPS; k++) acc[k] = 0;
    for (int64_t r = beg; r < end; r++) {
        float dc = arg->dc[r * arg->width + c];
        while (r >= arg->off[q + 1]) q++;
        REPEAT(k, TAPS) {
            int64_t at = r - step * (arg->K - 1 - first - k);
            if (first + k < arg->K && at >= arg->off[q] && at < arg->off[q + 1])
                acc[k] = fma32(get(arg->x[at * arg->ld + c]), dc, acc[k]);
        }
        acc[TAPS] += dc;
    }
}

KERNEL(NAME(conv_sums), NAME(conv_back_args_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, beg = (int64_t)blockIdx.x * SLAB,
            end = beg + SLAB < arg.rows ? beg + SLAB : arg.rows;
    float acc[TAPS + 1], *to = arg.part + (int64_t)blockIdx.x * (arg.K + 1) * arg.width + c;
    if (c >= arg.width) return;
    for (int64_t first = 0; first < arg.K; first += TAPS) {
        NAME(sum_taps)(&arg, beg, end, first, c, acc);
        REPEAT(k, TAPS)
            if (first + k < arg.K) to[(first + k) * arg.width] = acc[k];
    }
    to[arg.K * arg.width] = acc[TAPS];
}

/* Adds to dx, and to w (K,width) and bias (width), the gradients of the convolution's weights. dc: see
 * silu_gradients. */
static int NAME(conv_gradients)(cad_grad_lane_t *l, const NAME(conv_args_t) * f, const float *dc, float *dx, float *w,
                                float *bias)
{
    gpu_t *g = gpu_of(&l->f);
    int64_t groups = ceil_div(f->width, THREADS), parts = ceil_div(f->end, SLAB), stride = (f->K + 1) * f->width;
    NAME(conv_back_args_t)
    arg = { .x = f->x,
            .dc = dc,
            .dx = dx,
            .w = f->w,
            .part = l->grads->parts,
            .off = f->off,
            .rows = f->end,
            .ld = f->ld,
            .width = f->width,
            .K = f->K,
            .nseq = f->nseq,
            .reverse = f->reverse };
    int rc;
    LAUNCH(NAME(conv_back), ceil_div(f->end, RUN), groups, THREADS, 0, g->stream, arg);
    LAUNCH(NAME(conv_sums), parts, groups, THREADS, 0, g->stream, arg);
    rc = launched(&l->f, "conv, backwards");
    if (rc == 0) rc = fold_parts(l, w, 0, f->K * f->width, stride, parts);
    return rc ? rc : fold_parts(l, bias, f->K * f->width, f->width, stride, parts);
}
