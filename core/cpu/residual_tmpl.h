/* residual_tmpl.h - operations of the backward pass that all layer kinds share; they use the gradient of the residual
 * stream, dres.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, without which this file is empty.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_RESIDUAL_TMPL_H
#define CAD_RESIDUAL_TMPL_H

#ifdef CAD_ISA_BACK_OPS
#include "outer_tmpl.h"
#include "share_tmpl.h"
#include "weights_tmpl.h"

static int residual_start(cad_grad_lane_t *l, int64_t n)
{
    memset(l->dres, 0, (size_t)(n * l->grads->s.Dp) * sizeof(float));
    return 0;
}

typedef struct { /* arguments of norm_back() that its tasks share */
    share_t share;
    const cad_grad_lane_t *l;
    const norm_t *norm;
} norm_back_t;

static void norm_back_task(void *arg, int64_t task, int worker)
{
    const norm_back_t *b = arg;
    const cad_lane_t *f = &b->l->f;
    cad_span_t s = rows_of_task(&b->share, task);
    (void)worker;
    for (int64_t r = s.beg; r < s.end; r++) {
        const float *da = b->l->da + (r - b->share.span.beg) * f->Dp;
        float *xhat = f->a + (r - b->share.span.beg) * f->Dp;
        norm_row_back(b->norm, f->base + r * f->Dp, da, b->l->dres + r * f->Dp, xhat);
        for (int64_t i = 0; i < f->Dp; i += VW) vstore(xhat + i, vload(xhat + i) * vload(da + i));
    }
}

/* Runs the backward pass of a layer's norm for the rows of s: reads l->da, the gradient of the normalised rows, adds to
 * l->dres and to the gradients of the norm's weight and bias. Row 0 of l->da is row beg of s. Overwrites l->f.a. */
static void norm_back(cad_grad_lane_t *l, int layer, cad_span_t s)
{
    norm_back_t b = { .share = { .team = l->f.team, .span = s }, .l = l, .norm = &l->f.weights->norm[layer] };
    share_rows(&b.share, &b, norm_back_task);
    add_columns(l->f.a, l->f.Dp, s.end - s.beg, l->f.Dp, l->grads->s.norm[layer]);
    add_columns(l->da, l->f.Dp, s.end - s.beg, l->f.Dp, l->grads->s.norm_bias[layer]);
}

static int residual_divide(cad_grad_lane_t *l, int64_t n, bool times)
{
    n *= l->grads->s.Dp;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < n; i++) l->keep[k][i] = times ? l->keep[k][i] * l->dres[i] : l->dres[i];
    return 0;
}
#endif

#endif
