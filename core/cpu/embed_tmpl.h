/* embed_tmpl.h - the embedding. The forward pass copies the row of each token from the embedding table; the backward
 * pass adds the gradient of each row to the gradient of the table.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_EMBED_TMPL_H
#define CAD_EMBED_TMPL_H

#include "weights_tmpl.h"

static int embed_forward(cad_lane_t *l, const uint8_t *tok, cad_span_t s)
{
    const cad_weights_t *w = l->weights;
    for (int64_t r = s.beg; r < s.end; r++)
        memcpy(l->res + r * w->Dp, w->embed + tok[r] * w->Dp, (size_t)w->Dp * sizeof(float));
    return 0;
}

#ifdef CAD_ISA_BACK_OPS
static int embed_back(cad_grad_lane_t *l, const uint8_t *tok, cad_span_t s)
{
    int64_t Dp = l->grads->s.Dp;
    for (int64_t r = s.beg; r < s.end; r++) add_row(l->grads->s.embed + tok[r] * Dp, l->dres + r * Dp, 1.0f, Dp);
    return 0;
}
#endif

#endif
