/* mamba2_sums.h - the gradients of a Mamba-2 layer's weights in the kernels' layout, and their conversion to the
 * parameters' layout; see engine/gradients.h. Shapes: I is d_inner, H the number of heads of P channels, N of states, G
 * of groups, K of taps, D d_model; Dp, Hp, Pp and Np are padded; Ep = H Pp; Cp and Xp are the widths of x|B|C (x, B and
 * C side by side) and of x|B|C|r. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA2_SUMS_H
#define CAD_MAMBA2_SUMS_H

#include "blocks/mamba2.h"
#include "engine/gradients.h"

typedef struct cad_mamba2_dir_sums_t {
    float *in_x, *in_z, *in_x_bias, *in_z_bias; // (Xp,Dp), (Ep,Dp), (Xp), (Ep): of in_proj and its bias
    float *conv, *conv_bias;                    // (K,Cp), (Cp)
    float *dt_bias, *a, *skip;                  // (Hp) each; a: the gradient of A, not of A_log
    float *norm;                                // (Ep)
    float *out, *out_bias;                      // (Dp,Ep), (Dp)
} cad_mamba2_dir_sums_t;

typedef struct cad_mamba2_sums_t {
    cad_mamba2_dir_sums_t dir[2];
} cad_mamba2_sums_t;

static inline void cad_mamba2_sums_place(cad_bump_t *b, const cad_model_t *m, int layer, void *sums)
{
    const cad_mamba2_t *s = cad_mamba2(&m->cfg);
    int64_t Dp = cad_round_up(m->cfg.d_model, CAD_PAD), Ep = cad_mamba2_Ep(s), Hp = cad_mamba2_Hp(s);
    for (int k = 0; k < m->layer[layer].ndir; k++) {
        cad_mamba2_dir_sums_t *t = &((cad_mamba2_sums_t *)sums)->dir[k];
        t->in_x = cad_bump_floats(b, cad_mamba2_Xp(s), Dp);
        t->in_z = cad_bump_floats(b, Ep, Dp);
        t->in_x_bias = cad_bump_floats(b, 1, cad_mamba2_Xp(s));
        t->in_z_bias = cad_bump_floats(b, 1, Ep);
        t->conv = cad_bump_floats(b, s->K, cad_mamba2_Cp(s));
        t->conv_bias = cad_bump_floats(b, 1, cad_mamba2_Cp(s));
        t->dt_bias = cad_bump_floats(b, 1, Hp);
        t->a = cad_bump_floats(b, 1, Hp);
        t->skip = cad_bump_floats(b, 1, Hp);
        t->norm = cad_bump_floats(b, 1, Ep);
        t->out = cad_bump_floats(b, Dp, Ep);
        t->out_bias = cad_bump_floats(b, 1, Dp);
    }
}

/* Adds the rows of `from` (padded channels,ld) to the rows of `to` (channels,width), for the channels of x|B|C or, if
 * `steps`, of x|B|C|r. */
static inline void cad_mamba2_add_channels(float *to, const cad_mamba2_t *s, bool steps, const float *from,
                                           int64_t width, int64_t ld)
{
    for (int64_t k = 0; k < s->H + 2 * s->G + steps; k++) {
        cad_mamba2_run_t r = cad_mamba2_run(s, k);
        cad_add_rows(to + r.from * width, from + r.to * ld, r.n, width, ld);
    }
}

/* Adds the rows of `from` (Ep,ld) to the rows of `to` (I,width), for the channels of z. */
static inline void cad_mamba2_add_heads(float *to, const cad_mamba2_t *s, const float *from, int64_t width, int64_t ld)
{
    for (int64_t h = 0; h < s->H; h++)
        cad_add_rows(to + h * s->P * width, from + h * cad_mamba2_Pp(s) * ld, s->P, width, ld);
}

static inline void cad_mamba2_add_conv(float *to, const cad_mamba2_t *s, const float *from)
{
    for (int64_t k = 0; k < s->H + 2 * s->G; k++) {
        cad_mamba2_run_t r = cad_mamba2_run(s, k);
        cad_add_transposed(to + r.from * s->K, from + r.to, r.n, s->K, cad_mamba2_Cp(s));
    }
}

/* Adds `from` (D,Ep) to `to` (D,I), without the padding. */
static inline void cad_mamba2_add_out(float *to, const cad_mamba2_t *s, const float *from, int64_t D)
{
    for (int64_t d = 0; d < D; d++)
        for (int64_t e = 0; e < s->I; e++)
            to[d * s->I + e] += from[d * cad_mamba2_Ep(s) + e / s->P * cad_mamba2_Pp(s) + e % s->P];
}

static inline void cad_mamba2_sums_add(const cad_model_t *m, const cad_tensor_t *tensor, const void *sums, int dir,
                                       float *to)
{
    const cad_mamba2_t *s = cad_mamba2(&m->cfg);
    const cad_mamba2_dir_sums_t *t = &((const cad_mamba2_sums_t *)sums)->dir[dir];
    int64_t D = m->cfg.d_model, Dp = cad_round_up(D, CAD_PAD);
    switch (tensor->role) {
    case CAD_MAMBA2_IN:
        cad_mamba2_add_heads(to, s, t->in_z, D, Dp);
        cad_mamba2_add_channels(to + s->I * D, s, true, t->in_x, D, Dp);
        break;
    case CAD_MAMBA2_IN_BIAS:
        cad_mamba2_add_heads(to, s, t->in_z_bias, 1, 1);
        cad_mamba2_add_channels(to + s->I, s, true, t->in_x_bias, 1, 1);
        break;
    case CAD_MAMBA2_CONV: cad_mamba2_add_conv(to, s, t->conv); break;
    case CAD_MAMBA2_CONV_BIAS: cad_mamba2_add_channels(to, s, false, t->conv_bias, 1, 1); break;
    case CAD_MAMBA2_DT_BIAS: cad_add_rows(to, t->dt_bias, 1, s->H, s->H); break;
    case CAD_MAMBA2_A_LOG: /* A = -exp(A_log), so the gradient of A_log is A times the gradient of A */
        for (int64_t h = 0; h < s->H; h++)
            to[h] -= (float)(exp((double)m->param[tensor->offset + h]) * (double)t->a[h]);
        break;
    case CAD_MAMBA2_SKIP: cad_add_rows(to, t->skip, 1, s->H, s->H); break;
    case CAD_MAMBA2_NORM: cad_mamba2_add_heads(to, s, t->norm, 1, 1); break;
    case CAD_MAMBA2_OUT: cad_mamba2_add_out(to, s, t->out, D); break;
    case CAD_MAMBA2_OUT_BIAS: cad_add_rows(to, t->out_bias, 1, D, Dp); break;
    default: break;
    }
}

#endif
