/* attention_sums.h - the gradients of an attention layer's weights in the kernels' layout, and their conversion to the
 * parameters' layout; see engine/gradients.h. SPDX-License-Identifier: MIT */
#ifndef CAD_ATTENTION_SUMS_H
#define CAD_ATTENTION_SUMS_H

#include "blocks/attention.h"
#include "engine/gradients.h"

typedef struct cad_attention_sums_t {
    float *qkv;  // (3I,Dp)
    float *out;  // (Dp,I)
    float *edge; // (CAD_EDGES,I)
} cad_attention_sums_t;

static inline void cad_attention_sums_place(cad_bump_t *b, const cad_model_t *m, int layer, void *sums)
{
    cad_attention_sums_t *s = (cad_attention_sums_t *)sums;
    int64_t I = cad_attention_I(&m->cfg), Dp = cad_round_up(m->cfg.d_model, CAD_PAD);
    (void)layer;
    s->qkv = cad_bump_floats(b, 3 * I, Dp);
    s->out = cad_bump_floats(b, Dp, I);
    s->edge = cad_bump_floats(b, CAD_EDGES, I);
}

static inline void cad_attention_sums_add(const cad_model_t *m, const cad_tensor_t *t, const void *sums, int dir,
                                          float *to)
{
    const cad_attention_sums_t *s = (const cad_attention_sums_t *)sums;
    int64_t D = m->cfg.d_model, I = cad_attention_I(&m->cfg);
    (void)dir;
    if (t->role == CAD_ATTENTION_QKV) cad_add_rows(to, s->qkv, 3 * I, D, cad_round_up(D, CAD_PAD));
    if (t->role == CAD_ATTENTION_OUT) cad_add_rows(to, s->out, D, I, I);
    if (t->role == CAD_ATTENTION_EDGE) cad_add_rows(to, s->edge, CAD_EDGES, I, I);
}

#endif
