/* gated_sums.h - gradients of a gated layer's weights in the kernels' layout; see
 * engine/gradients.h. SPDX-License-Identifier: MIT */
#ifndef CAD_GATED_SUMS_H
#define CAD_GATED_SUMS_H

#include "engine/gradients.h"
#include "kinds/gated.h"

typedef struct cad_gated_sums_t {
    struct {
        float *in_x, *in_z; // (Ep,Dp) in_z follows in_x
        float *out;         // (Dp,Ep)
    } dir[2];
} cad_gated_sums_t;

static inline void cad_gated_sums_place(cad_bump_t *b, const cad_model_t *m, int layer, void *sums)
{
    cad_gated_sums_t *s = (cad_gated_sums_t *)sums;
    int64_t Ep = cad_gated_Ep(&m->cfg), Dp = cad_round_up(m->cfg.d_model, CAD_PAD);
    for (int k = 0; k < m->layer[layer].ndir; k++) {
        s->dir[k].in_x = cad_bump_floats(b, Ep, Dp);
        s->dir[k].in_z = cad_bump_floats(b, Ep, Dp);
        s->dir[k].out = cad_bump_floats(b, Dp, Ep);
    }
}

static inline void cad_gated_sums_add(const cad_model_t *m, const cad_tensor_t *t, const void *sums, int dir, float *to)
{
    const cad_gated_sums_t *s = (const cad_gated_sums_t *)sums;
    int64_t D = m->cfg.d_model, Dp = cad_round_up(D, CAD_PAD), E = cad_gated_E(&m->cfg), Ep = cad_gated_Ep(&m->cfg);
    if (t->role == CAD_GATED_OUT) cad_add_rows(to, s->dir[dir].out, D, E, Ep);
    if (t->role != CAD_GATED_IN) return;
    cad_add_rows(to, s->dir[dir].in_x, E, D, Dp);
    cad_add_rows(to + E * D, s->dir[dir].in_z, E, D, Dp);
}

#endif
