/* hyena_sums.h - the gradients of a hyena layer's weights in the kernels' layout, and their conversion to the parameters'
 * layout; see engine/gradients.h. z, t and deltas have none. SPDX-License-Identifier: MIT */
#ifndef CAD_HYENA_SUMS_H
#define CAD_HYENA_SUMS_H

#include "blocks/hyena.h"
#include "engine/gradients.h"

typedef struct cad_hyena_sums_t {
    float *in, *in_bias;     // (W,Dp), (W)
    float *out, *out_bias;   // (Dp,Dp), (Dp)
    float *taps, *taps_bias; // (3D,3), (3D)
    float *bias;             // (D)
    float *filter;           // (cad_hyena_filter_size)
} cad_hyena_sums_t;

static inline void cad_hyena_sums_place(cad_bump_t *b, const cad_model_t *m, int layer, void *sums)
{
    cad_hyena_sums_t *s = (cad_hyena_sums_t *)sums;
    int64_t D = m->cfg.d_model, Dp = cad_round_up(D, CAD_PAD), W = cad_hyena_W(&m->cfg);
    (void)layer;
    s->in = cad_bump_floats(b, W, Dp);
    s->in_bias = cad_bump_floats(b, 1, W);
    s->out = cad_bump_floats(b, Dp, Dp);
    s->out_bias = cad_bump_floats(b, 1, Dp);
    s->taps = cad_bump_floats(b, 3 * D, CAD_HYENA_TAPS);
    s->taps_bias = cad_bump_floats(b, 1, 3 * D);
    s->bias = cad_bump_floats(b, 1, D);
    s->filter = cad_bump_floats(b, 1, cad_hyena_filter_size(cad_hyena(&m->cfg), D));
}

static inline void cad_hyena_sums_add(const cad_model_t *m, const cad_tensor_t *t, const void *sums, int dir, float *to)
{
    const cad_hyena_sums_t *s = (const cad_hyena_sums_t *)sums;
    const cad_hyena_t *z = cad_hyena(&m->cfg);
    int64_t D = m->cfg.d_model, Dp = cad_round_up(D, CAD_PAD), i = t->role - CAD_HYENA_WEIGHT;
    const float *layer = s->filter + cad_hyena_place(z, i > CAD_HYENA_INNER ? i - CAD_HYENA_INNER - 1 : i);
    (void)dir;
    switch (t->role) {
    case CAD_HYENA_IN: cad_add_rows(to, s->in, 3 * D, D, Dp); return;
    case CAD_HYENA_IN_BIAS: cad_add_rows(to, s->in_bias, 1, 3 * D, 0); return;
    case CAD_HYENA_SHORT: cad_add_rows(to, s->taps, 3 * D, CAD_HYENA_TAPS, CAD_HYENA_TAPS); return;
    case CAD_HYENA_SHORT_BIAS: cad_add_rows(to, s->taps_bias, 1, 3 * D, 0); return;
    case CAD_HYENA_BIAS: cad_add_rows(to, s->bias, 1, D, 0); return;
    case CAD_HYENA_FREQ: cad_add_rows(to, s->filter + cad_hyena_freq_place(z, D), 1, z->O, 0); return;
    case CAD_HYENA_LAST: cad_add_rows(to, s->filter + cad_hyena_last_place(z), D, z->O, z->O); return;
    case CAD_HYENA_OUT: cad_add_rows(to, s->out, D, D, Dp); return;
    case CAD_HYENA_OUT_BIAS: cad_add_rows(to, s->out_bias, 1, D, 0); return;
    case CAD_HYENA_Z:
    case CAD_HYENA_T:
    case CAD_HYENA_DELTAS: return;
    default: break;
    }
    if (t->role >= CAD_HYENA_WEIGHT_BIAS) {
        layer += z->O * cad_hyena_inputs(z, i - CAD_HYENA_INNER - 1);
        cad_add_rows(to, layer, 1, z->O, 0);
    } else cad_add_rows(to, layer, z->O, cad_hyena_inputs(z, i), cad_hyena_inputs(z, i));
}

#endif
