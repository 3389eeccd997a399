/* norm_tmpl.h - layer norm and RMS norm of one row, forward and backward pass. A row has D values, padded with zeros to
 * Dp.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_NORM_TMPL_H
#define CAD_NORM_TMPL_H

#include <math.h>

#include "panel_tmpl.h"

typedef struct {
    const float *weight, *bias; // (Dp)
    const float *real;          // (Dp) 1 for channels below D, 0 for padding
    int64_t D, Dp;
    float eps;
    bool rms;
} norm_t;

/* Returns a copy of n with copies of weight (D) and bias (D), padded to (Dp). NULL becomes zeros. */
static norm_t lay_norm(cad_bump_t *b, norm_t n, const float *weight, const float *bias)
{
    n.weight = lay_vector(b, weight, n.D, n.Dp);
    n.bias = lay_vector(b, bias, n.D, n.Dp);
    return n;
}

/* Sets out (Dp) to norm(x) over the D channels; the padding becomes 0. */
static void norm_row(const norm_t *n, const float *x, float *out)
{
    vf acc = vset(0.0f), mean = vset(0.0f), scale;
    if (!n->rms) {
        for (int64_t i = 0; i < n->Dp; i += VW) acc = acc + vload(x + i);
        mean = vset(vsum(acc) / (float)n->D);
        acc = vset(0.0f);
    }
    for (int64_t i = 0; i < n->Dp; i += VW) {
        vf d = (vload(x + i) - mean) * vload(n->real + i);
        acc = vfma(d, d, acc);
    }
    scale = vset(1.0f / sqrtf(vsum(acc) / (float)n->D + n->eps));
    for (int64_t i = 0; i < n->Dp; i += VW)
        vstore(out + i, vfma((vload(x + i) - mean) * scale, vload(n->weight + i), vload(n->bias + i)));
}

/* Normalises rows of x (rows,Dp). */
static void norm_rows(const norm_t *n, const float *x, int64_t rows, float *out)
{
    for (int64_t r = 0; r < rows; r++) norm_row(n, x + r * n->Dp, out + r * n->Dp);
}

#ifdef CAD_ISA_BACK_OPS
/* Adds the gradient of x to dx (Dp). dy (Dp): the gradient of norm(x). Sets xhat (Dp) to the normalised x before weight
 * and bias. */
static void norm_row_back(const norm_t *n, const float *x, const float *dy, float *dx, float *xhat)
{
    vf acc = vset(0.0f), mean = vset(0.0f), proj = vset(0.0f), shift = vset(0.0f), scale;
    float inv = 1.0f / (float)n->D;
    if (!n->rms) {
        for (int64_t i = 0; i < n->Dp; i += VW) acc = acc + vload(x + i);
        mean = vset(vsum(acc) * inv);
        acc = vset(0.0f);
    }
    for (int64_t i = 0; i < n->Dp; i += VW) {
        vf d = (vload(x + i) - mean) * vload(n->real + i);
        vstore(xhat + i, d);
        acc = vfma(d, d, acc);
    }
    scale = vset(1.0f / sqrtf(vsum(acc) * inv + n->eps));
    for (int64_t i = 0; i < n->Dp; i += VW) {
        vf h = vload(xhat + i) * scale, d = vload(dy + i) * vload(n->weight + i);
        vstore(xhat + i, h);
        proj = vfma(d, h, proj);
        shift = shift + d;
    }
    proj = vset(vsum(proj) * inv);
    shift = n->rms ? vset(0.0f) : vset(vsum(shift) * inv);
    for (int64_t i = 0; i < n->Dp; i += VW) {
        vf d = vload(dy + i) * vload(n->weight + i) - shift - vload(xhat + i) * proj;
        vstore(dx + i, vfma(d * vload(n->real + i), scale, vload(dx + i)));
    }
}

/* Adds `times` x `from` (n) to `to` (n). */
static void add_row(float *to, const float *from, float times, int64_t n)
{
    for (int64_t i = 0; i < n; i += VW) vstore(to + i, vfma(vload(from + i), vset(times), vload(to + i)));
}
#endif

#endif
