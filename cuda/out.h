/* out.h - the output of a layer: out_proj, whose result is added to the residual stream. Dp and Ep are d_model and the
 * number of inner channels, with padding. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_OUT_H
#define CAD_CUDA_OUT_H

#include "graph.h"
#include "product.h"

/* ---- forward pass ---- */

typedef struct {
    float *to;
    const float *base, *bias; // base: (rows,Dp), or NULL; bias: (Dp)
    int64_t width;
} broadcast_out_args_t;

/* Writes bias, or base + bias, to each row of the array `to`; the matrix product is then added to these rows. blockIdx.x is a
 * row, blockIdx.y a group of THREADS values. */
KERNEL(broadcast_out, broadcast_out_args_t)
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, i = blockIdx.x * arg.width + c;
    if (c < arg.width) arg.to[i] = arg.base ? arg.base[i] + arg.bias[c] : arg.bias[c];
}

typedef struct {
    float *res;
    const float *base, *h, *o;
    int64_t n;
    bool times;
} combine_args_t; /* arguments; each pointer: (rows,Dp), from the span's first row onwards; n = rows x Dp threads */

/* Computes res = base + (h + o) or, if `times`, res = base + h * o. h and o are the outputs of the first and second
 * direction. */
KERNEL(combine, combine_args_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < arg.n) arg.res[i] = arg.base[i] + (arg.times ? arg.h[i] * arg.o[i] : arg.h[i] + arg.o[i]);
}

typedef struct { /* out_proj of one direction of a layer */
    const product_t *product;
    const void *w;     // (Dp,Ep) of type T
    const float *bias; // (Dp), or NULL
    const void *y;     // (rows,Ep) of type T
    float *o;          // (rows,Dp) memory for this direction's output, if the layer's directions are not merged
} out_t;

/* Sets the array `to` (rows,Dp) to y x out_proj^T + bias, or to base + y x out_proj^T + bias if base is not NULL. */
static int project_out(cad_lane_t *l, const out_t *t, cad_span_t s, float *to, const float *base)
{
    int64_t Dp = l->weights->Dp, at = s.beg * Dp;
    broadcast_out_args_t arg = { .to = to + at, .base = base ? base + at : NULL, .bias = t->bias, .width = Dp };
    int rc = 0;
    if (t->bias) {
        LAUNCH(broadcast_out, s.end - s.beg, ceil_div(Dp, THREADS), THREADS, 0, gpu_of(l)->stream, arg);
        rc = launched(l, "out");
    }
    return rc ? rc
              : multiply(l, t->product, t->y, t->w, base && !t->bias ? base : to, to, s.beg, s.end,
                         base || t->bias ? 1 : 0);
}

/* Runs out_proj on the rows of s and stores the result as `how` (a cad_out_t) says. */
static int out_rows(cad_lane_t *l, const out_t *t, cad_span_t s, unsigned how)
{
    int64_t Dp = l->weights->Dp, at = s.beg * Dp;
    bool add = how == CAD_OUT_ADD;
    float *to = add ? l->res : how == CAD_OUT_KEEP ? l->h : t->o;
    combine_args_t arg = { .res = l->res + at,
                           .base = l->base + at,
                           .h = l->h + at,
                           .o = t->o + at,
                           .n = (s.end - s.beg) * Dp,
                           .times = how == CAD_OUT_TIMES };
    int rc = project_out(l, t, s, to, add ? l->base : NULL);
    if (rc || add || how == CAD_OUT_KEEP) return rc;
    LAUNCH(combine, ceil_div(arg.n, THREADS), 1, THREADS, 0, gpu_of(l)->stream, arg);
    return launched(l, "out");
}

/* ---- backward pass ---- */

typedef struct {
    float *keep[2];
    const float *dres;
    int64_t n;
    bool times;
} divide_args_t; /* arguments; each pointer: (rows,Dp); n = rows x Dp threads */

/* Computes keep[k], the gradient of the output of direction k (0 or 1). If the layer adds the two outputs (`times` is
 * false), both gradients are dres. If it multiplies them, keep[k] holds the other direction's output on entry, and the
 * gradient is that output times dres. */
KERNEL(divide, divide_args_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= arg.n) return;
    arg.keep[0][i] = arg.times ? arg.keep[0][i] * arg.dres[i] : arg.dres[i];
    arg.keep[1][i] = arg.times ? arg.keep[1][i] * arg.dres[i] : arg.dres[i];
}

static int back_divide(cad_grad_lane_t *l, int64_t n, bool times)
{
    divide_args_t arg = {
        .keep = { l->keep[0], l->keep[1] }, .dres = l->dres, .n = n * l->grads->s.Dp, .times = times
    };
    LAUNCH(divide, ceil_div(arg.n, THREADS), 1, THREADS, 0, gpu_of(&l->f)->stream, arg);
    return launched(&l->f, "divide");
}

#endif
