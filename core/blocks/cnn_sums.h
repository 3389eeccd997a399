/* cnn_sums.h - the gradients of a convolution layer's weights in the kernels' layout, and their conversion to the
 * parameters' layout; see engine/gradients.h. SPDX-License-Identifier: MIT */
#ifndef CAD_CNN_SUMS_H
#define CAD_CNN_SUMS_H

#include "blocks/cnn.h"
#include "engine/gradients.h"

typedef struct cad_cnn_sums_t {
    float *weight[CAD_CNN_WIDTHS]; // (w Dp,C) row j Dp + d: of W[:,d,j]
    float *bias[CAD_CNN_WIDTHS];   // (C)
    float *out, *out_bias;         // (Dp,E), (Dp)
} cad_cnn_sums_t;

static inline void cad_cnn_sums_place(cad_bump_t *b, const cad_model_t *m, int layer, void *sums)
{
    cad_cnn_sums_t *s = (cad_cnn_sums_t *)sums;
    const cad_cnn_t *c = cad_cnn(&m->cfg);
    int64_t Dp = cad_round_up(m->cfg.d_model, CAD_PAD);
    (void)layer;
    for (int i = 0; i < c->n; i++) {
        s->weight[i] = cad_bump_floats(b, c->width[i] * Dp, c->C);
        s->bias[i] = cad_bump_floats(b, 1, c->C);
    }
    s->out = cad_bump_floats(b, Dp, cad_cnn_E(c));
    s->out_bias = cad_bump_floats(b, 1, Dp);
}

static inline void cad_cnn_sums_add(const cad_model_t *m, const cad_tensor_t *t, const void *sums, int dir, float *to)
{
    const cad_cnn_sums_t *s = (const cad_cnn_sums_t *)sums;
    const cad_cnn_t *c = cad_cnn(&m->cfg);
    int64_t D = m->cfg.d_model, Dp = cad_round_up(D, CAD_PAD), E = cad_cnn_E(c);
    int i = (t->role - CAD_CNN_WEIGHT) / 2;
    (void)dir;
    if (t->role == CAD_CNN_OUT) cad_add_rows(to, s->out, D, E, E);
    else if (t->role == CAD_CNN_OUT_BIAS) cad_add_rows(to, s->out_bias, 1, D, Dp);
    else if (t->role == CAD_CNN_BIAS + 2 * i) cad_add_rows(to, s->bias[i], 1, c->C, c->C);
    else
        for (int64_t k = 0, w = c->width[i]; k < c->C * D * w; k++)
            to[k] += s->weight[i][(k % w * Dp + k / w % D) * c->C + k / w / D];
}

#endif
