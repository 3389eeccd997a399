/* mamba_out.h - Mamba's operation `out`: out_proj, whose result is added to the residual stream. mamba_in_tmpl.h
 * computes the gradients of out_proj's weights, because it has the gated y. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_MAMBA_OUT_H
#define CAD_CUDA_MAMBA_OUT_H

#include "out.h"

static int op_out(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const mamba_weights_t *w = &l->weights->mamba;
    const mamba_dir_t *p = &w->dir[2 * layer + dir];
    const mamba_lane_t *g = &gpu_of(l)->mamba;
    out_t t = { .product = &w->product[OUT_PROJ], .w = p->out, .bias = p->out_bias, .y = g->y, .o = g->o };
    return replaying(l) ? 0 : out_rows(l, &t, s, how);
}

/* Computes g = dout x out_proj, the gradient of the gated y. */
static int back_out(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const mamba_grads_t *q = &l->grads->mamba;
    (void)how;
    return multiply(&l->f, &q->product[OUT_BACK], l->dout, q->dir[2 * layer + dir].out, back_of(l)->g, back_of(l)->g, 0,
                    s.end, 0);
}

#endif
