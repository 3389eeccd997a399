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
#include "weights_tmpl.h"

static int residual_start(cad_grad_lane_t *l, int64_t n)
{
    memset(l->dres, 0, (size_t)(n * l->grads->s.Dp) * sizeof(float));
    return 0;
}

/* Runs the backward pass of a layer's norm for the rows of s: reads l->da, the gradient of the normalised rows, and
 * adds to l->dres. Row 0 of l->da and l->f.a is row beg of the pack. Overwrites l->f.a with the terms of the gradient
 * of the norm's weight: da times the normalised residual. */
static void norm_rows_back(const cad_grad_lane_t *l, const norm_t *norm, cad_span_t s, int64_t beg)
{
    int64_t Dp = l->f.Dp;
    for (int64_t r = s.beg; r < s.end; r++) {
        const float *da = l->da + (r - beg) * Dp;
        float *xhat = l->f.a + (r - beg) * Dp;
        norm_row_back(norm, l->f.base + r * Dp, da, l->dres + r * Dp, xhat);
        for (int64_t i = 0; i < Dp; i += VW) vstore(xhat + i, vload(xhat + i) * vload(da + i));
    }
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
