/* mamba_weights_tmpl.h - packs the weights of one direction of a Mamba layer for the forward pass and, transposed, for
 * the backward pass. blocks/mamba_sums.h has the layout of the gradients.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the transposed weights.
 *
 * Shapes: D is d_model, E d_inner, N d_state, K d_conv, R dt_rank, V the number of tokens in the vocabulary. Dp, Ep and
 * Sp are D, E and R+2N rounded up to CAD_PAD. Panels are the layout of panel_tmpl.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA_WEIGHTS_TMPL_H
#define CAD_MAMBA_WEIGHTS_TMPL_H

#include <math.h>

#include "blocks/mamba.h"
#include "blocks/mamba_sums.h"
#include "norm_tmpl.h"
#include "panel_tmpl.h"

#define MAMBA_TOKENS 64 /* largest vocabulary for which x and z of layer 0 are tabulated */

typedef struct { /* weights of one direction of a layer */
    int64_t D, E, N, K, R, Dp, Ep, Sp;
    const float *in_x, *in_z, *in_x_bias, *in_z_bias; // panels (Ep,Dp), (Ep,Dp); (Ep), (Ep)
    const float *conv, *conv_bias;                    // (K,Ep), (Ep)
    const float *x;                                   // panels (Sp,Ep)
    const float *dt, *dt_bias;                        // (R,Ep), (Ep)
    const float *a;                                   // (Ep/VW,N,VW) -exp(A_log) log2 e
    const float *skip;                                // (Ep)
    const float *out, *out_bias;                      // panels (Dp,Ep), (Dp)
    const float *zero;                                // (max(Dp,Ep,Sp)) zeros, for products without a bias
    float *first_x, *first_z;                         // (V,Ep) x and z of layer 0 for each token; or NULL
    bool reverse;                                     /* the scan runs from the last row to the first */
    numbers_t numbers;                                /* of the panels */
} mamba_t;

static const float *lay_decay(cad_bump_t *b, const mamba_t *m, const float *a_log)
{
    float *d = cad_bump_floats(b, m->Ep, m->N);
    for (int64_t e = 0; d && e < m->E; e++)
        for (int64_t n = 0; n < m->N; n++) {
            double a = -exp((double)a_log[e * m->N + n]) * 1.4426950408889634;
            /* values below -1e30 become -1e30, so that dt A stays finite */
            d[(e / VW * m->N + n) * VW + e % VW] = a < -1e30 ? -1e30f : (float)a;
        }
    return d;
}

static mamba_t mamba_shape(const cad_model_t *model, const cad_direction_t *d, numbers_t f)
{
    const cad_config_t *c = &model->cfg;
    const cad_mamba_t *s = cad_mamba(c);
    return (mamba_t) { .D = c->d_model,
                       .E = s->E,
                       .N = s->N,
                       .K = s->K,
                       .R = s->R,
                       .Dp = cad_round_up(c->d_model, CAD_PAD),
                       .Ep = cad_mamba_Ep(c),
                       .Sp = cad_mamba_Sp(c),
                       .reverse = d->reverse,
                       .numbers = f };
}

/* Packs the weights of direction d. like: the packed weights of the other direction, if both directions have the same
 * projections, else NULL. tokens: the size of the vocabulary if x and z of each token are to be tabulated, else 0. */
static mamba_t lay_mamba(cad_bump_t *b, const cad_model_t *model, const cad_direction_t *d, const mamba_t *like,
                         numbers_t f, int64_t tokens)
{
    mamba_t m = mamba_shape(model, d, f);
    const float *in = cad_param(d, CAD_MAMBA_IN), *in_bias = cad_param(d, CAD_MAMBA_IN_BIAS);
    int64_t D = m.D, E = m.E;
    m.in_x = like ? like->in_x : lay_panels(b, f, in, E, D, m.Ep, m.Dp);
    m.in_z = like ? like->in_z : lay_panels(b, f, in + E * D, E, D, m.Ep, m.Dp);
    m.in_x_bias = lay_vector(b, in_bias, E, m.Ep);
    m.in_z_bias = lay_vector(b, in_bias ? in_bias + E : NULL, E, m.Ep);
    m.conv = lay_transposed(b, cad_param(d, CAD_MAMBA_CONV), E, m.K, m.Ep);
    m.conv_bias = lay_vector(b, cad_param(d, CAD_MAMBA_CONV_BIAS), E, m.Ep);
    m.x = lay_panels(b, f, cad_param(d, CAD_MAMBA_X), m.R + 2 * m.N, E, m.Sp, m.Ep);
    m.dt = lay_transposed(b, cad_param(d, CAD_MAMBA_DT), E, m.R, m.Ep);
    m.dt_bias = lay_vector(b, cad_param(d, CAD_MAMBA_DT_BIAS), E, m.Ep);
    m.a = lay_decay(b, &m, cad_param(d, CAD_MAMBA_A_LOG));
    m.skip = lay_vector(b, cad_param(d, CAD_MAMBA_SKIP), E, m.Ep);
    m.out = like ? like->out : lay_panels(b, f, cad_param(d, CAD_MAMBA_OUT), D, E, m.Dp, m.Ep);
    m.out_bias = lay_vector(b, cad_param(d, CAD_MAMBA_OUT_BIAS), D, m.Dp);
    m.zero = lay_vector(b, NULL, 0, cad_max(cad_max(m.Dp, m.Ep), m.Sp));
    m.first_x = tokens ? cad_bump_floats(b, tokens, m.Ep) : NULL;
    m.first_z = tokens ? cad_bump_floats(b, tokens, m.Ep) : NULL;
    return m;
}

/* Computes the tables of x and z of layer 0, with a row for each token, from embed (tokens,Dp). row (Dp): scratch. */
static void mamba_tabulate(const mamba_t *m, const norm_t *norm, const float *embed, int64_t tokens, float *row)
{
    dest_t x = { m->first_x, NULL, NULL, m->in_x_bias, m->Ep, STORE },
           z = { m->first_z, NULL, NULL, m->in_z_bias, m->Ep, STORE };
    for (int64_t v = 0; v < tokens; v++) {
        norm_row(norm, embed + v * m->Dp, row);
        project(m->numbers, row, m->Dp, 1, m->in_x, m->Ep, m->Dp, &x, v);
        project(m->numbers, row, m->Dp, 1, m->in_z, m->Ep, m->Dp, &z, v);
    }
}

#ifdef CAD_ISA_BACK_OPS
typedef struct {                  /* transposed weights of one direction of a layer */
    const float *in_xt, *in_zt;   // panels (Dp,Ep)
    const float *xt, *dtt, *outt; // panels (Ep,Sp), (Rp,Ep), (Ep,Dp), where Rp is R rounded up to CAD_PAD
} mamba_turned_t;

static mamba_turned_t lay_mamba_turned(cad_bump_t *b, const cad_model_t *model, const cad_direction_t *d, numbers_t f)
{
    mamba_t m = mamba_shape(model, d, f);
    mamba_turned_t t;
    int64_t D = m.D, E = m.E;
    t.in_xt = lay_turned(b, f, cad_param(d, CAD_MAMBA_IN), D, D, E, m.Dp, m.Ep);
    t.in_zt = lay_turned(b, f, cad_param(d, CAD_MAMBA_IN) + E * D, D, D, E, m.Dp, m.Ep);
    t.xt = lay_turned(b, f, cad_param(d, CAD_MAMBA_X), E, E, m.R + 2 * m.N, m.Ep, m.Sp);
    t.dtt = lay_turned(b, f, cad_param(d, CAD_MAMBA_DT), m.R, m.R, E, cad_round_up(m.R, CAD_PAD), m.Ep);
    t.outt = lay_turned(b, f, cad_param(d, CAD_MAMBA_OUT), E, E, D, m.Ep, m.Dp);
    return t;
}
#endif

#endif
