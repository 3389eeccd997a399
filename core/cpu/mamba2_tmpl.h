/* mamba2_tmpl.h - packs the weights of a Mamba-2 layer, and defines the arguments that the tasks of one call of an
 * operation share. blocks/mamba2_sums.h has the layout of the gradients.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the transposed weights and the arguments of
 * the backward pass.
 *
 * Shapes: D is d_model, I d_inner, H the number of heads of P channels, G of groups, N of states, K of taps, V of
 * tokens in the vocabulary. A letter with p is a padded size: Ep has the channels of all heads, Cp those of x|B|C (the
 * arrays x, B and C side by side), Xp those of x|B|C|r. Panels are the layout of panel_tmpl.h.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA2_TMPL_H
#define CAD_MAMBA2_TMPL_H

#include <math.h>

#include "blocks/mamba2.h"
#include "blocks/mamba2_sums.h"
#include "conv_tmpl.h"
#include "norm_tmpl.h"
#include "panel_tmpl.h"
#include "share_tmpl.h"
#include "weights_tmpl.h"
#ifdef CAD_ISA_BACK_OPS
#include "outer_tmpl.h"
#endif

#define MAMBA2_TOKENS 64       /* largest vocabulary for which x and z of layer 0 are tabulated */
#define QROWS CAD_MAMBA2_CHUNK /* rows of a chunk of the scan */
#define COLS 64                /* columns that one small product (small_tmpl.h) computes */

typedef struct { /* weights of one direction of a layer */
    int64_t D, Dp, I, H, G, P, Pp, Np, Hp, Ep, Cp, Xp;
    const float *in_x, *in_z, *in_x_bias, *in_z_bias; // panels (Xp,Dp), (Ep,Dp); (Xp), (Ep)
    conv_t conv;                                      // (K,Cp)
    const float *dt_bias;                             // (Hp)
    const float *a, *a2, *skip;                       // (Hp) each: A; A log2 e; the skip weight D
    const float *norm;                                // (Ep)
    const float *out, *out_bias;                      // panels (Dp,Ep), (Dp)
    const float *zero;                                // (max(Dp,Xp)) zeros, for products without a bias
    float *first_x, *first_z;                         // (V,Xp), (V,Ep) x and z of layer 0 for each token; or NULL
    bool reverse;                                     /* the scan runs from the last row to the first */
    numbers_t numbers;                                /* of the panels */
} mamba2_t;

static mamba2_t mamba2_shape(const cad_model_t *model, const cad_direction_t *d, numbers_t f)
{
    const cad_mamba2_t *s = cad_mamba2(&model->cfg);
    return (mamba2_t) { .D = model->cfg.d_model,
                        .Dp = cad_round_up(model->cfg.d_model, CAD_PAD),
                        .I = s->I,
                        .H = s->H,
                        .G = s->G,
                        .P = s->P,
                        .Pp = cad_mamba2_Pp(s),
                        .Np = cad_mamba2_Np(s),
                        .Hp = cad_mamba2_Hp(s),
                        .Ep = cad_mamba2_Ep(s),
                        .Cp = cad_mamba2_Cp(s),
                        .Xp = cad_mamba2_Xp(s),
                        .reverse = d->reverse,
                        .numbers = f };
}

/* Returns the number of runs (cad_mamba2_run: adjacent channels) in x|B|C or, if `steps`, in x|B|C|r. */
static int64_t runs_of(const cad_mamba2_t *s, bool steps) { return s->H + 2 * s->G + steps; }

/* Stores v (channels,D), the rows of in_proj for z (if `heads`) or for x|B|C|r, as panels. */
static const float *lay_in(cad_bump_t *b, const mamba2_t *m, const cad_mamba2_t *s, const float *v, bool heads)
{
    panels_t t = open_panels(b, m->numbers, heads ? m->Ep : m->Xp, m->Dp);
    for (int64_t k = 0; k < (heads ? s->H : runs_of(s, true)); k++) {
        cad_mamba2_run_t r = cad_mamba2_run(s, k);
        set_panels(&t, v + r.from * m->D, m->D, r.n, m->D, r.to, 0);
    }
    return t.d;
}

/* Stores v, a value for each channel of the first n runs, as an array (np) with padding. v NULL: all values are 0. */
static const float *lay_channels(cad_bump_t *b, const cad_mamba2_t *s, const float *v, int64_t n, int64_t np)
{
    float *d = cad_bump_floats(b, 1, np);
    for (int64_t k = 0; d && v && k < n; k++) {
        cad_mamba2_run_t r = cad_mamba2_run(s, k);
        memcpy(d + r.to, v + r.from, (size_t)r.n * sizeof *d);
    }
    return d;
}

/* Stores the convolution's weights v (I+2GN,K) as an array (K,Cp). */
static const float *lay_conv(cad_bump_t *b, const mamba2_t *m, const cad_mamba2_t *s, const float *v)
{
    float *d = cad_bump_floats(b, s->K, m->Cp);
    for (int64_t k = 0; d && k < runs_of(s, false); k++) {
        cad_mamba2_run_t r = cad_mamba2_run(s, k);
        for (int64_t i = 0; i < r.n; i++)
            for (int64_t j = 0; j < s->K; j++) d[j * m->Cp + r.to + i] = v[(r.from + i) * s->K + j];
    }
    return d;
}

/* Stores scale x A, where A = -exp(A_log), as an array (Hp). Values below -1e30 become -1e30, so that dt A stays
 * finite. */
static const float *lay_rates(cad_bump_t *b, const mamba2_t *m, const float *a_log, double scale)
{
    float *d = cad_bump_floats(b, 1, m->Hp);
    for (int64_t h = 0; d && h < m->H; h++) d[h] = (float)fmax(-exp((double)a_log[h]) * scale, -1e30);
    return d;
}

/* Stores v (D,I), the weights of out_proj, as panels (Dp,Ep). */
static const float *lay_out(cad_bump_t *b, const mamba2_t *m, const float *v)
{
    panels_t t = open_panels(b, m->numbers, m->Dp, m->Ep);
    for (int64_t h = 0; h < m->H; h++) set_panels(&t, v + h * m->P, m->I, m->D, m->P, 0, h * m->Pp);
    return t.d;
}

/* Packs the projections in_proj and out_proj of one direction; the other direction may share them. tokens: the size of
 * the vocabulary if x and z of each token are to be tabulated, else 0. */
static mamba2_t lay_projections(cad_bump_t *b, const cad_model_t *model, const cad_direction_t *d, numbers_t f,
                                int64_t tokens)
{
    const cad_mamba2_t *s = cad_mamba2(&model->cfg);
    mamba2_t m = mamba2_shape(model, d, f);
    const float *in = cad_param(d, CAD_MAMBA2_IN), *bias = cad_param(d, CAD_MAMBA2_IN_BIAS);
    m.in_x = lay_in(b, &m, s, in + m.I * m.D, false);
    m.in_z = lay_in(b, &m, s, in, true);
    m.in_x_bias = lay_channels(b, s, bias ? bias + m.I : NULL, runs_of(s, true), m.Xp);
    m.in_z_bias = lay_channels(b, s, bias, s->H, m.Ep);
    m.out = lay_out(b, &m, cad_param(d, CAD_MAMBA2_OUT));
    m.out_bias = lay_vector(b, cad_param(d, CAD_MAMBA2_OUT_BIAS), m.D, m.Dp);
    m.zero = lay_vector(b, NULL, 0, cad_max(m.Dp, m.Xp));
    m.first_x = tokens ? cad_bump_floats(b, tokens, m.Xp) : NULL;
    m.first_z = tokens ? cad_bump_floats(b, tokens, m.Ep) : NULL;
    return m;
}

/* Returns m, which holds the packed projections, with the other weights of direction d added. These are never
 * shared. */
static mamba2_t lay_own(cad_bump_t *b, const cad_model_t *model, const cad_direction_t *d, mamba2_t m)
{
    const cad_mamba2_t *s = cad_mamba2(&model->cfg);
    m.reverse = d->reverse;
    m.conv = (conv_t) { .w = lay_conv(b, &m, s, cad_param(d, CAD_MAMBA2_CONV)),
                        .bias = lay_channels(b, s, cad_param(d, CAD_MAMBA2_CONV_BIAS), runs_of(s, false), m.Cp),
                        .K = s->K,
                        .width = m.Cp,
                        .reverse = m.reverse };
    m.dt_bias = lay_vector(b, cad_param(d, CAD_MAMBA2_DT_BIAS), m.H, m.Hp);
    m.a = lay_rates(b, &m, cad_param(d, CAD_MAMBA2_A_LOG), 1);
    m.a2 = lay_rates(b, &m, cad_param(d, CAD_MAMBA2_A_LOG), 1.4426950408889634);
    m.skip = lay_vector(b, cad_param(d, CAD_MAMBA2_SKIP), m.H, m.Hp);
    m.norm = lay_channels(b, s, cad_param(d, CAD_MAMBA2_NORM), s->H, m.Ep);
    return m;
}

/* Computes out (np) = W norm(x) + bias in double precision. w: W as panels (np,kp). */
static void project_exactly(const norm_t *n, const float *x, const float *w, const float *bias, int64_t np, int64_t kp,
                            float *out)
{
    double mean = 0, square = 0, scale, sum[PW];
    for (int64_t j = 0; j < n->D && !n->rms; j++) mean += (double)x[j] / (double)n->D;
    for (int64_t j = 0; j < n->D; j++) square += ((double)x[j] - mean) * ((double)x[j] - mean);
    scale = 1 / sqrt(square / (double)n->D + (double)n->eps);
    for (int64_t p = 0, width; p < np; p += width) {
        width = cad_min(PW, np - p);
        for (int64_t i = 0; i < width; i++) sum[i] = (double)bias[p + i];
        for (int64_t j = 0; j < n->D; j++) {
            double a = ((double)x[j] - mean) * scale * (double)n->weight[j] + (double)n->bias[j];
            for (int64_t i = 0; i < width; i++) sum[i] += a * (double)w[p * kp + j * width + i];
        }
        for (int64_t i = 0; i < width; i++) out[p + i] = (float)sum[i];
    }
}

/* Computes the tables of x and z of layer 0, with a row for each token, from embed (tokens,Dp). row (Dp): scratch. An
 * error in a table would be the same in all rows with that token and would add up in gradients, which are sums over
 * rows; so float32 tables are computed in double precision. */
static void mamba2_tabulate(const mamba2_t *m, const norm_t *norm, const float *embed, int64_t tokens, float *row)
{
    dest_t x = { m->first_x, NULL, NULL, m->in_x_bias, m->Xp, STORE },
           z = { m->first_z, NULL, NULL, m->in_z_bias, m->Ep, STORE };
    for (int64_t v = 0; v < tokens; v++) {
        if (m->numbers == FLOATS) {
            project_exactly(norm, embed + v * m->Dp, m->in_x, m->in_x_bias, m->Xp, m->Dp, m->first_x + v * m->Xp);
            project_exactly(norm, embed + v * m->Dp, m->in_z, m->in_z_bias, m->Ep, m->Dp, m->first_z + v * m->Ep);
            continue;
        }
        norm_row(norm, embed + v * m->Dp, row);
        project(m->numbers, row, m->Dp, 1, m->in_x, m->Xp, m->Dp, &x, v);
        project(m->numbers, row, m->Dp, 1, m->in_z, m->Ep, m->Dp, &z, v);
    }
}

typedef struct { /* arguments of one call of an operation of the forward pass */
    share_t share;
    cad_lane_t *l;
    cad_mamba2_lane_t *w;
    const mamba2_t *m;
    const norm_t *norm;
    int dir;
    unsigned how;
    /* the scan reads the state before each chunk from the kept states, and does not change the carried state */
    bool resume;
    dest_t dest;
} mamba2_call_t;

static mamba2_call_t mamba2_call(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    return (mamba2_call_t) { .share = { .team = l->team, .span = s },
                             .l = l,
                             .w = cad_mamba2_lane(l),
                             .m = &((const mamba2_t *)l->weights->layer[layer])[dir],
                             .norm = &l->weights->norm[layer],
                             .dir = dir,
                             .how = how };
}

#ifdef CAD_ISA_BACK_OPS
typedef struct {                /* transposed weights of one direction of a layer */
    const float *in_xt, *in_zt; // panels (Dp,Xp), (Dp,Ep)
    const float *outt;          // panels (Ep,Dp)
} mamba2_turned_t;

static mamba2_turned_t lay_mamba2_turned(cad_bump_t *b, const cad_model_t *model, const cad_direction_t *d, numbers_t f)
{
    const cad_mamba2_t *s = cad_mamba2(&model->cfg);
    mamba2_t m = mamba2_shape(model, d, f);
    const float *in = cad_param(d, CAD_MAMBA2_IN), *out = cad_param(d, CAD_MAMBA2_OUT);
    panels_t x = open_panels(b, f, m.Dp, m.Xp), z = open_panels(b, f, m.Dp, m.Ep), o = open_panels(b, f, m.Ep, m.Dp);
    for (int64_t k = 0; k < runs_of(s, true); k++) {
        cad_mamba2_run_t r = cad_mamba2_run(s, k);
        set_turned(&x, in + (m.I + r.from) * m.D, m.D, m.D, r.n, 0, r.to);
        if (k < s->H) set_turned(&z, in + r.from * m.D, m.D, m.D, r.n, 0, r.to);
        if (k < s->H) set_turned(&o, out + r.from, m.I, r.n, m.D, r.to, 0);
    }
    return (mamba2_turned_t) { x.d, z.d, o.d };
}

typedef struct { /* arguments of one call of an operation of the backward pass */
    mamba2_call_t f;
    cad_grad_lane_t *l;
    cad_mamba2_grad_lane_t *w;
    cad_mamba2_dir_sums_t *sum;
    const mamba2_turned_t *t;
} mamba2_back_t;

static mamba2_back_t mamba2_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    return (mamba2_back_t) { .f = mamba2_call(&l->f, layer, dir, s, how),
                             .l = l,
                             .w = cad_mamba2_grad_lane(l),
                             .sum = &((cad_mamba2_sums_t *)l->grads->s.layer[layer])->dir[dir],
                             .t = &((const mamba2_turned_t *)l->grads->turned[layer])[dir] };
}

#endif

#endif
