/* norm.h - functions for RMSNorm and LayerNorm, and the kernel of their gradients: one warp computes one row.
 * norm_tmpl.h has the kernel that writes normalised rows. Dp is d_model rounded up to CAD_PAD.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_NORM_H
#define CAD_CUDA_NORM_H

#include "sums.h"

#define NORM_ROWS (THREADS / WARP) /* number of rows that a thread block normalises */

typedef struct {
    const float *weight, *bias; // (Dp), 0 in the padding
    int64_t D;
    float eps;
    bool rms;
} norm_t;

static norm_t norm_of(const cad_weights_t *w, const float *weight, const float *bias)
{
    norm_t n = { .weight = weight, .bias = bias, .D = w->D, .eps = w->eps, .rms = w->rms };
    return n;
}

static norm_t norm_of_layer(const cad_weights_t *w, int layer)
{
    return norm_of(w, w->norm[layer], w->norm_bias[layer]);
}

static norm_t norm_of_head(const cad_weights_t *w) { return norm_of(w, w->norm_f, w->norm_f_bias); }

/* Returns the final norm for the rows of the lane's residual stream (cad_lane_t.mirrored). */
static norm_t norm_of_rows(const cad_lane_t *l)
{
    const cad_weights_t *w = l->weights;
    return l->mirrored ? norm_of(w, w->mirrored, w->mirrored_bias) : norm_of_head(w);
}

typedef struct {
    float mean, scale;
} moments_t;

/* Returns the sum over a row of x - mean or, if `squares`, of its square. x is read four floats at a time. */
DEVICE float moment(const float *x, int D, float mean, int in_warp, const bool squares)
{
    float sum = 0, v[4];
    for (int d = 4 * in_warp; d < D; d += 4 * WARP) {
        load4(x + d, v);
        REPEAT(k, 4) {
            float away = d + k < D ? v[k] - mean : 0;
            sum = squares ? fma32(away, away, sum) : sum + away;
        }
    }
    return warp_sum(sum);
}

DEVICE moments_t moments(const norm_t *t, const float *x, int in_warp)
{
    moments_t m;
    m.mean = t->rms ? 0 : moment(x, (int)t->D, 0, in_warp, false) / (float)t->D;
    m.scale = 1.0f / sqrtf(moment(x, (int)t->D, m.mean, in_warp, true) / (float)t->D + t->eps);
    return m;
}

DEVICE float normed(const norm_t *t, moments_t m, const float *x, int64_t d)
{
    return fma32((x[d] - m.mean) * m.scale, t->weight[d], t->bias[d]);
}

/* ---- backward pass ---- */

typedef struct {
    const float *x;  // (rows,Dp)
    const float *dy; // (n,Dp) gradient of the normalised rows
    float *dx;       // (rows,Dp) gradient of x, to which the kernel adds
    // (n,Dp) dy times the normalised x before the weight is applied: the terms of the weight's gradient
    float *prod;
    const int64_t *row; // (n) index of each of the n rows in x and dx; NULL: rows 0 to n-1
    norm_t norm;
    int64_t n, Dp;
} norm_back_args_t;

KERNEL(norm_back, norm_back_args_t)
{
    int64_t i = (int64_t)blockIdx.x * NORM_ROWS + threadIdx.x / WARP, r;
    int in_warp = (int)threadIdx.x % WARP;
    const float *x, *dy = arg.dy + i * arg.Dp;
    float proj = 0, shift = 0, *dx;
    moments_t m;
    if (i >= arg.n) return;
    r = arg.row ? arg.row[i] : i;
    x = arg.x + r * arg.Dp;
    dx = arg.dx + r * arg.Dp;
    m = moments(&arg.norm, x, in_warp);
    for (int64_t d = in_warp; d < arg.norm.D; d += WARP) {
        float v = dy[d] * arg.norm.weight[d];
        proj = fma32(v, (x[d] - m.mean) * m.scale, proj);
        shift += v;
    }
    proj = warp_sum(proj) / (float)arg.norm.D;
    shift = arg.norm.rms ? 0 : warp_sum(shift) / (float)arg.norm.D;
    for (int64_t d = in_warp; d < arg.Dp; d += WARP) {
        float hat = (x[d] - m.mean) * m.scale, v = fma32(dy[d], arg.norm.weight[d], -shift);
        bool real = d < arg.norm.D;
        arg.prod[i * arg.Dp + d] = real ? hat * dy[d] : 0;
        if (real) dx[d] = fma32(fma32(-hat, proj, v), m.scale, dx[d]);
    }
}

/* Runs the backward pass of a norm for n rows of x: rows row[0] to row[n-1], or rows 0 to n-1 if row is NULL. l->da
 * (n,Dp) holds the gradient of the normalised rows. Adds to dx and to the gradients of the norm's weight and bias.
 * Overwrites l->grads->a. */
static int norm_gradients(cad_grad_lane_t *l, const float *x, float *dx, const int64_t *row, int64_t n, norm_t norm,
                          float *weight, float *bias)
{
    cad_grads_t *q = l->grads;
    norm_back_args_t arg = {
        .x = x, .dy = l->da, .dx = dx, .prod = q->a, .row = row, .norm = norm, .n = n, .Dp = q->s.Dp
    };
    int rc;
    LAUNCH(norm_back, ceil_div(n, NORM_ROWS), 1, THREADS, 0, gpu_of(&l->f)->stream, arg);
    rc = launched(&l->f, "norm, backwards");
    if (rc == 0) rc = columns(l, q->a, q->s.Dp, n, weight);
    return rc || norm.rms ? rc : columns(l, l->da, q->s.Dp, n, bias);
}

#endif
