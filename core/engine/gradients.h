/* grads.h - the gradients of a model's weights, laid out as kernels make them, and how
 * they become the parameters'. For backends, which include it: in what C and CUDA C++
 * share, and nothing to link. SPDX-License-Identifier: MIT
 */
#ifndef CAD_GRADS_H
#define CAD_GRADS_H

#include <math.h>

#include "base/base.h"
#include "model/config.h"
#include "model/model.h"
#include "model/tensors.h"

typedef struct {                                /* one Mamba */
    float *in_x, *in_z, *in_x_bias, *in_z_bias; // (Ep,Dp), in_z behind in_x; (Ep), likewise
    float *conv, *conv_bias;                    // (K,Ep), (Ep)
    float *x;                                   // (Sp,Ep)
    float *dt, *dt_bias;                        // (Rp,Ep), (Ep)
    float *a;                                   // (Ep/width,Np,width) of A
    float *skip;                                // (Ep)
    float *out, *out_bias;                      // (Dp,Ep), (Dp)
} cad_sum_t;

typedef struct {
    int64_t D, E, N, K, R, V, Dp, Ep, Sp, Np, Rp, width;
    cad_sum_t *dir;              // (layers,2)
    float **norm, **norm_bias;   // (layers) of (Dp)
    float *norm_f, *norm_f_bias; // (Dp)
    float *embed, *head[2];      // (V,Dp)
    int64_t count;               /* of floats, all together */
} cad_sums_t;

typedef struct {
    float *base;
    int64_t used;
} cad_place_t; /* base NULL: only counts */

static inline float *cad_place(cad_place_t *p, int64_t n)
{
    float *at = p->base ? p->base + p->used : NULL;
    p->used += cad_round_up(n, 16);
    return at;
}

static inline void cad_sum_place(cad_place_t *p, const cad_sums_t *s, cad_sum_t *t)
{
    t->in_x = cad_place(p, s->Ep * s->Dp);
    t->in_z = cad_place(p, s->Ep * s->Dp);
    t->in_x_bias = cad_place(p, s->Ep);
    t->in_z_bias = cad_place(p, s->Ep);
    t->conv = cad_place(p, s->K * s->Ep);
    t->conv_bias = cad_place(p, s->Ep);
    t->x = cad_place(p, s->Sp * s->Ep);
    t->dt = cad_place(p, s->Rp * s->Ep);
    t->dt_bias = cad_place(p, s->Ep);
    t->a = cad_place(p, s->Ep * s->Np);
    t->skip = cad_place(p, s->Ep);
    t->out = cad_place(p, s->Dp * s->Ep);
    t->out_bias = cad_place(p, s->Dp);
}

/* Where everything lies from base on. */
static inline void cad_sums_place(cad_sums_t *s, const cad_model_t *m, float *base)
{
    cad_place_t p = { base, 0 };
    for (int i = 0; i < 2 * m->cfg.n_layer; i++)
        if (i % 2 < m->layer[i / 2].ndir) cad_sum_place(&p, s, &s->dir[i]);
    for (int i = 0; i < m->cfg.n_layer; i++) {
        s->norm[i] = cad_place(&p, s->Dp);
        s->norm_bias[i] = cad_place(&p, s->Dp);
    }
    s->norm_f = cad_place(&p, s->Dp);
    s->norm_f_bias = cad_place(&p, s->Dp);
    s->embed = cad_place(&p, s->V * s->Dp);
    s->head[0] = cad_place(&p, s->V * s->Dp);
    s->head[1] = cad_place(&p, s->V * s->Dp);
    s->count = p.used;
}

/* Sizes and count; false when out of memory. Np: rows of a; width 0: all of Ep. */
static inline bool cad_sums_open(cad_sums_t *s, const cad_model_t *m, int64_t Np, int64_t width)
{
    const cad_config_t *c = &m->cfg;
    size_t layers = (size_t)c->n_layer;
    s->D = c->d_model;
    s->E = c->d_inner;
    s->N = c->d_state;
    s->K = c->d_conv;
    s->R = c->dt_rank;
    s->V = m->vocab.rows;
    s->Dp = cad_round_up(s->D, CAD_PAD);
    s->Ep = cad_round_up(s->E, CAD_PAD);
    s->Sp = cad_round_up(s->R + 2 * s->N, CAD_PAD);
    s->Rp = cad_round_up(s->R, CAD_PAD);
    s->Np = Np;
    s->width = width ? width : s->Ep;
    s->dir = (cad_sum_t *)calloc(layers * 2, sizeof *s->dir);
    s->norm = (float **)calloc(layers, sizeof *s->norm);
    s->norm_bias = (float **)calloc(layers, sizeof *s->norm_bias);
    if (!s->dir || !s->norm || !s->norm_bias) return false;
    cad_sums_place(s, m, NULL);
    return true;
}

static inline void cad_sums_close(cad_sums_t *s)
{
    free(s->dir);
    free(s->norm);
    free(s->norm_bias);
}

/* ---- to the parameters' layout ---- */

static inline void cad_add_rows(float *to, const float *from, int64_t rows, int64_t cols, int64_t ld)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) to[r * cols + c] += from[r * ld + c];
}

/* from (cols,ld) to (rows,cols). */
static inline void cad_add_turned(float *to, const float *from, int64_t rows, int64_t cols, int64_t ld)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) to[r * cols + c] += from[c * ld + r];
}

/* A = -exp(A_log), so dA_log = A dA. */
static inline void cad_add_decay(float *to, const cad_sums_t *s, const float *from, const float *a_log)
{
    for (int64_t e = 0; e < s->E; e++)
        for (int64_t n = 0; n < s->N; n++)
            to[e * s->N + n] -= (float)(exp((double)a_log[e * s->N + n]) *
                                        (double)from[(e / s->width * s->Np + n) * s->width + e % s->width]);
}

/* The table that tokens enter with is the head's, but for the fold of an odd depth. */
static inline void cad_add_embedding(float *to, const cad_sums_t *s, const cad_model_t *m)
{
    bool turned = cad_model_turned(m);
    for (int64_t v = 0; v < s->V; v++)
        for (int64_t d = 0, w = m->vocab.comp[v]; d < s->D; d++) {
            to[v * s->D + d] += s->head[0][v * s->Dp + d];
            to[w * s->D + d] += s->head[1][v * s->Dp + d];
            if (turned) to[w * s->D + s->D - 1 - d] += s->embed[v * s->Dp + d];
            else to[v * s->D + d] += s->embed[v * s->Dp + d];
        }
}

static inline void cad_add_direction(float *to, const cad_sums_t *s, const cad_sum_t *t, cad_role_t role,
                                     const float *a_log)
{
    switch (role) {
    case CAD_T_IN:
        cad_add_rows(to, t->in_x, s->E, s->D, s->Dp);
        cad_add_rows(to + s->E * s->D, t->in_z, s->E, s->D, s->Dp);
        break;
    case CAD_T_IN_BIAS:
        cad_add_rows(to, t->in_x_bias, 1, s->E, s->Ep);
        cad_add_rows(to + s->E, t->in_z_bias, 1, s->E, s->Ep);
        break;
    case CAD_T_CONV: cad_add_turned(to, t->conv, s->E, s->K, s->Ep); break;
    case CAD_T_CONV_BIAS: cad_add_rows(to, t->conv_bias, 1, s->E, s->Ep); break;
    case CAD_T_X: cad_add_rows(to, t->x, s->R + 2 * s->N, s->E, s->Ep); break;
    case CAD_T_DT: cad_add_turned(to, t->dt, s->E, s->R, s->Ep); break;
    case CAD_T_DT_BIAS: cad_add_rows(to, t->dt_bias, 1, s->E, s->Ep); break;
    case CAD_T_A_LOG: cad_add_decay(to, s, t->a, a_log); break;
    case CAD_T_SKIP: cad_add_rows(to, t->skip, 1, s->E, s->Ep); break;
    case CAD_T_OUT: cad_add_rows(to, t->out, s->D, s->E, s->Ep); break;
    case CAD_T_OUT_BIAS: cad_add_rows(to, t->out_bias, 1, s->D, s->Dp); break;
    default: break;
    }
}

static inline bool cad_is_projection(cad_role_t r)
{
    return r == CAD_T_IN || r == CAD_T_IN_BIAS || r == CAD_T_OUT || r == CAD_T_OUT_BIAS;
}

/* Adds all of them into flat, which is laid out as the parameters are. */
static inline void cad_sums_add(const cad_sums_t *s, const cad_model_t *m, float *flat)
{
    bool shared = m->cfg.tied && m->cfg.bidirectional;
    for (int i = 0; i < m->ntensor; i++) {
        const cad_tensor_t *t = &m->tensor[i];
        float *to = flat + t->offset;
        switch (t->role) {
        case CAD_T_EMBED: cad_add_embedding(to, s, m); break;
        case CAD_T_NORM_F: cad_add_rows(to, s->norm_f, 1, s->D, s->Dp); break;
        case CAD_T_NORM_F_BIAS: cad_add_rows(to, s->norm_f_bias, 1, s->D, s->Dp); break;
        case CAD_T_NORM: cad_add_rows(to, s->norm[t->layer], 1, s->D, s->Dp); break;
        case CAD_T_NORM_BIAS: cad_add_rows(to, s->norm_bias[t->layer], 1, s->D, s->Dp); break;
        case CAD_T_SCORE: break; /* the caller's: it is not an operation of a backend */
        default:
            cad_add_direction(to, s, &s->dir[2 * t->layer + t->dir], t->role, m->param + t->offset);
            if (shared && cad_is_projection(t->role))
                cad_add_direction(to, s, &s->dir[2 * t->layer + 1], t->role, NULL);
        }
    }
}

#endif
