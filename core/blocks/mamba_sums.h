/* mamba_sums.h - the gradients of a Mamba layer's weights in the kernels' layout, and their conversion to the
 * parameters' layout; see engine/gradients.h. Shapes: D is d_model, E d_inner, N d_state, K d_conv, R dt_rank; Dp, Ep,
 * Np, Rp and Sp are D, E, N, R and R+2N with padding. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA_SUMS_H
#define CAD_MAMBA_SUMS_H

#include "blocks/mamba.h"
#include "engine/gradients.h"

typedef struct cad_mamba_dir_sums_t {
    // in_x, in_z: (Ep,Dp) each, adjacent in memory; in_x_bias, in_z_bias: (Ep) each, adjacent in memory
    float *in_x, *in_z, *in_x_bias, *in_z_bias;
    float *conv, *conv_bias; // (K,Ep), (Ep)
    float *x;                // (Sp,Ep)
    float *dt, *dt_bias;     // (Rp,Ep), (Ep)
    // (Ep/width,Np,width) gradient of A, stored in groups of `width` adjacent channels
    float *a;
    float *skip;           // (Ep)
    float *out, *out_bias; // (Dp,Ep), (Dp)
} cad_mamba_dir_sums_t;

typedef struct cad_mamba_sums_t {
    int64_t D, E, N, K, R, Dp, Ep, Sp, Np, Rp, width;
    cad_mamba_dir_sums_t dir[2];
} cad_mamba_sums_t;

static inline void cad_mamba_dir_place(cad_bump_t *b, const cad_mamba_sums_t *s, cad_mamba_dir_sums_t *t)
{
    t->in_x = cad_bump_floats(b, s->Ep, s->Dp);
    t->in_z = cad_bump_floats(b, s->Ep, s->Dp);
    t->in_x_bias = cad_bump_floats(b, 1, s->Ep);
    t->in_z_bias = cad_bump_floats(b, 1, s->Ep);
    t->conv = cad_bump_floats(b, s->K, s->Ep);
    t->conv_bias = cad_bump_floats(b, 1, s->Ep);
    t->x = cad_bump_floats(b, s->Sp, s->Ep);
    t->dt = cad_bump_floats(b, s->Rp, s->Ep);
    t->dt_bias = cad_bump_floats(b, 1, s->Ep);
    t->a = cad_bump_floats(b, s->Np, s->Ep);
    t->skip = cad_bump_floats(b, 1, s->Ep);
    t->out = cad_bump_floats(b, s->Dp, s->Ep);
    t->out_bias = cad_bump_floats(b, 1, s->Dp);
}

/* Sets the sizes in s. Np: N rounded up as the backend needs. width: number of adjacent channels in the layout of `a`;
 * 0 means Ep. */
static inline void cad_mamba_sums_shape(cad_mamba_sums_t *s, const cad_model_t *m, int64_t Np, int64_t width)
{
    const cad_mamba_t *c = cad_mamba(&m->cfg);
    s->D = m->cfg.d_model;
    s->E = c->E;
    s->N = c->N;
    s->K = c->K;
    s->R = c->R;
    s->Dp = cad_round_up(s->D, CAD_PAD);
    s->Ep = cad_mamba_Ep(&m->cfg);
    s->Sp = cad_mamba_Sp(&m->cfg);
    s->Rp = cad_round_up(s->R, CAD_PAD);
    s->Np = Np;
    s->width = width ? width : s->Ep;
}

static inline void cad_mamba_sums_place(cad_bump_t *b, const cad_model_t *m, int layer, cad_mamba_sums_t *s, int64_t Np,
                                        int64_t width)
{
    cad_mamba_sums_shape(s, m, Np, width);
    for (int k = 0; k < m->layer[layer].ndir; k++) cad_mamba_dir_place(b, s, &s->dir[k]);
}

/* Adds the gradient of A_log to the array `to` (E,N). Since A = -exp(A_log), the gradient of A_log is A times the
 * gradient of A (`from`). */
static inline void cad_mamba_add_decay(float *to, const cad_mamba_sums_t *s, const float *from, const float *a_log)
{
    for (int64_t e = 0; e < s->E; e++)
        for (int64_t n = 0; n < s->N; n++)
            to[e * s->N + n] -= (float)(exp((double)a_log[e * s->N + n]) *
                                        (double)from[(e / s->width * s->Np + n) * s->width + e % s->width]);
}

static inline void cad_mamba_sums_add(const cad_model_t *m, const cad_tensor_t *tensor, const void *sums, int dir,
                                      float *to)
{
    const cad_mamba_sums_t *s = (const cad_mamba_sums_t *)sums;
    const cad_mamba_dir_sums_t *t = &s->dir[dir];
    switch (tensor->role) {
    case CAD_MAMBA_IN:
        cad_add_rows(to, t->in_x, s->E, s->D, s->Dp);
        cad_add_rows(to + s->E * s->D, t->in_z, s->E, s->D, s->Dp);
        break;
    case CAD_MAMBA_IN_BIAS:
        cad_add_rows(to, t->in_x_bias, 1, s->E, s->Ep);
        cad_add_rows(to + s->E, t->in_z_bias, 1, s->E, s->Ep);
        break;
    case CAD_MAMBA_CONV: cad_add_transposed(to, t->conv, s->E, s->K, s->Ep); break;
    case CAD_MAMBA_CONV_BIAS: cad_add_rows(to, t->conv_bias, 1, s->E, s->Ep); break;
    case CAD_MAMBA_X: cad_add_rows(to, t->x, s->R + 2 * s->N, s->E, s->Ep); break;
    case CAD_MAMBA_DT: cad_add_transposed(to, t->dt, s->E, s->R, s->Ep); break;
    case CAD_MAMBA_DT_BIAS: cad_add_rows(to, t->dt_bias, 1, s->E, s->Ep); break;
    case CAD_MAMBA_A_LOG: cad_mamba_add_decay(to, s, t->a, m->param + tensor->offset); break;
    case CAD_MAMBA_SKIP: cad_add_rows(to, t->skip, 1, s->E, s->Ep); break;
    case CAD_MAMBA_OUT: cad_add_rows(to, t->out, s->D, s->E, s->Ep); break;
    case CAD_MAMBA_OUT_BIAS: cad_add_rows(to, t->out_bias, 1, s->D, s->Dp); break;
    default: break;
    }
}

#endif
