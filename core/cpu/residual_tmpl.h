/* residual_tmpl.h - operations on the gradient of the residual stream, which all layer kinds share.
 *
 * Parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, without which this file is empty.
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

static int residual_divide(cad_grad_lane_t *l, int64_t n, bool times)
{
    n *= l->grads->s.Dp;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < n; i++) l->keep[k][i] = times ? l->keep[k][i] * l->dres[i] : l->dres[i];
    return 0;
}
#endif

#endif
