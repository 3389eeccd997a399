/* mamba_out.h - Mamba's output: out_proj, added to the residual stream. The gradients of out_proj's weights are
 * computed in mamba_in_tmpl.h, where the gated y is known. SPDX-License-Identifier: MIT */
#ifndef CAD_CUDA_MAMBA_OUT_H
#define CAD_CUDA_MAMBA_OUT_H

#include "graph.h"
#include "product.h"

/* ---- forward ---- */

typedef struct {
    float *to;
    const float *base, *bias; // (rows,Dp) or NULL; (Dp)
    int64_t n, width;
} broadcast_out_args_t; /* n = rows x width */

/* Writes bias, or base + bias, to each row of the array `to`; the matrix product is then added to these rows. */
KERNEL(broadcast_out, broadcast_out_args_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < arg.n) arg.to[i] = arg.base ? arg.base[i] + arg.bias[i % arg.width] : arg.bias[i % arg.width];
}

typedef struct {
    float *res;
    const float *base, *h, *o;
    int64_t n;
    bool times;
} combine_args_t; /* each pointer: (rows,Dp), beginning at the first row of the span; n = rows x Dp */

/* Computes res = base + (h + o) or, if `times`, res = base + h * o. h and o are the outputs of the first and second
 * direction. */
KERNEL(combine, combine_args_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < arg.n) arg.res[i] = arg.base[i] + (arg.times ? arg.h[i] * arg.o[i] : arg.h[i] + arg.o[i]);
}

/* Sets the array `to` (rows,Dp) to y x out_proj^T + bias, plus base if base is not NULL. */
static int project_out(cad_lane_t *l, const mamba_dir_t *p, cad_span_t s, float *to, const float *base)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    int64_t at = s.beg * w->Dp;
    broadcast_out_args_t arg = { .to = to + at,
                                 .base = base ? base + at : NULL,
                                 .bias = p->out_bias,
                                 .n = (s.end - s.beg) * w->Dp,
                                 .width = w->Dp };
    int rc = 0;
    if (p->out_bias) {
        LAUNCH(broadcast_out, ceil_div(arg.n, THREADS), 1, THREADS, 0, g->stream, arg);
        rc = launched(l, "out");
    }
    return rc ? rc
              : multiply(l, &w->mamba.product[OUT_PROJ], g->mamba.y, p->out, base && !p->out_bias ? base : to, to,
                         s.beg, s.end, base || p->out_bias ? 1 : 0);
}

static int op_out(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    int64_t at = s.beg * w->Dp;
    bool add = how == CAD_OUT_ADD;
    float *to = add ? l->res : how == CAD_OUT_KEEP ? l->h : g->mamba.o;
    combine_args_t arg = { .res = l->res + at,
                           .base = l->base + at,
                           .h = l->h + at,
                           .o = g->mamba.o + at,
                           .n = (s.end - s.beg) * w->Dp,
                           .times = how == CAD_OUT_TIMES };
    int rc;
    if (replaying(l)) return 0;
    rc = project_out(l, &w->mamba.dir[2 * layer + dir], s, to, add ? l->base : NULL);
    if (rc || add || how == CAD_OUT_KEEP) return rc;
    LAUNCH(combine, ceil_div(arg.n, THREADS), 1, THREADS, 0, g->stream, arg);
    return launched(l, "out");
}

/* ---- backward ---- */

typedef struct {
    float *keep[2];
    const float *dres;
    int64_t n;
    bool times;
} divide_args_t; /* each pointer: (rows,Dp); n = rows x Dp */

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

/* Computes g = dout x out_proj and clears dx. */
static int back_out(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const mamba_grads_t *q = &l->grads->mamba;
    size_t width = (size_t)q->size.Ep * sizeof(float);
    int rc = check(&l->f, cudaMemset2DAsync(back_of(l)->dx, 2 * width, 0, width, (size_t)s.end, gpu_of(&l->f)->stream),
                   "clearing");
    (void)how;
    return rc ? rc
              : multiply(&l->f, &q->product[OUT_BACK], l->dout, q->dir[2 * layer + dir].out, back_of(l)->g,
                         back_of(l)->g, 0, s.end, 0);
}

#endif
