/* mlp_sums.h - the gradients of an MLP's weights in the kernels' layout, and their conversion to the parameters' layout;
 * see engine/gradients.h. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MLP_SUMS_H
#define CAD_MLP_SUMS_H

#include "blocks/mlp.h"
#include "engine/gradients.h"

typedef struct cad_mlp_sums_t {
    float *fc1, *fc1_bias; // (Ep,Dp), (Ep)
    float *fc2, *fc2_bias; // (Dp,Ep), (Dp)
} cad_mlp_sums_t;

static inline void cad_mlp_sums_place(cad_bump_t *b, const cad_model_t *m, int layer, void *sums)
{
    cad_mlp_sums_t *s = (cad_mlp_sums_t *)sums;
    int64_t Ep = cad_mlp_Ep(&m->cfg), Dp = cad_round_up(m->cfg.d_model, CAD_PAD);
    (void)layer;
    s->fc1 = cad_bump_floats(b, Ep, Dp);
    s->fc1_bias = cad_bump_floats(b, 1, Ep);
    s->fc2 = cad_bump_floats(b, Dp, Ep);
    s->fc2_bias = cad_bump_floats(b, 1, Dp);
}

static inline void cad_mlp_sums_add(const cad_model_t *m, const cad_tensor_t *t, const void *sums, int dir, float *to)
{
    const cad_mlp_sums_t *s = (const cad_mlp_sums_t *)sums;
    int64_t D = m->cfg.d_model, Dp = cad_round_up(D, CAD_PAD), E = cad_mlp(&m->cfg)->E, Ep = cad_mlp_Ep(&m->cfg);
    (void)dir;
    switch (t->role) {
    case CAD_MLP_FC1: cad_add_rows(to, s->fc1, E, D, Dp); break;
    case CAD_MLP_FC1_BIAS: cad_add_rows(to, s->fc1_bias, 1, E, Ep); break;
    case CAD_MLP_FC2: cad_add_rows(to, s->fc2, D, E, Ep); break;
    case CAD_MLP_FC2_BIAS: cad_add_rows(to, s->fc2_bias, 1, D, Dp); break;
    default: break;
    }
}

#endif
