/* mlp_kind_tmpl.h - compiles the layer kind MLP for one instruction set: its weights, its operations and their tables, in
 * the order of blocks/mlp.h.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_MLP_KIND_TMPL_H
#define CAD_MLP_KIND_TMPL_H

#include "blocks/mlp.h"
#include "blocks/mlp_sums.h"
#include "residual_tmpl.h"
#include "share_tmpl.h"
#include "weights_tmpl.h"
#ifdef CAD_ISA_BACK_OPS
#include "outer_tmpl.h"
#endif

/* ---- weights ---- */

typedef struct {
    int64_t D, E, Dp, Ep;
    const float *fc1, *fc1_bias; // panels (Ep,Dp); (Ep)
    const float *fc2, *fc2_bias; // panels (Dp,Ep); (Dp)
    const float *zero;           // (max(Dp,Ep)) zeros, for products without a bias
    bool tanh;
    numbers_t numbers; /* of the panels */
} mlp_t;

static void lay_mlp(cad_bump_t *b, const cad_weights_t *w, const cad_model_t *m, int layer, void *packed)
{
    const cad_direction_t *d = &m->layer[layer].dir[0];
    const cad_mlp_t *s = cad_mlp(&m->cfg);
    mlp_t *p = packed;
    *p = (mlp_t) { .D = w->D, .E = s->E, .Dp = w->Dp, .Ep = cad_mlp_Ep(&m->cfg), .tanh = s->tanh };
    p->numbers = w->numbers;
    p->fc1 = lay_panels(b, p->numbers, cad_param(d, CAD_MLP_FC1), p->E, p->D, p->Ep, p->Dp);
    p->fc1_bias = lay_vector(b, cad_param(d, CAD_MLP_FC1_BIAS), p->E, p->Ep);
    p->fc2 = lay_panels(b, p->numbers, cad_param(d, CAD_MLP_FC2), p->D, p->E, p->Dp, p->Ep);
    p->fc2_bias = lay_vector(b, cad_param(d, CAD_MLP_FC2_BIAS), p->D, p->Dp);
    p->zero = lay_vector(b, NULL, 0, cad_max(p->Dp, p->Ep));
}

/* ---- forward pass ---- */

typedef struct { /* arguments of one call of an operation of the forward pass */
    share_t share;
    cad_lane_t *l;
    const mlp_t *m;
    const norm_t *norm;
    float *u;
    dest_t dest;
} mlp_call_t;

static mlp_call_t mlp_call(cad_lane_t *l, int layer, cad_span_t s)
{
    return (mlp_call_t) { .share = { .team = l->team, .span = s },
                          .l = l,
                          .m = l->weights->layer[layer],
                          .norm = &l->weights->norm[layer],
                          .u = cad_mlp_lane(l)->u };
}

/* Computes a = norm(base) and u = a x fc1^T + bias for the rows of s; row 0 of u and of the lane's array a is the first
 * row of the call's span. */
static void mlp_project(const mlp_call_t *c, cad_span_t s)
{
    const mlp_t *m = c->m;
    int64_t first = s.beg - c->share.span.beg, rows = s.end - s.beg;
    float *a = c->l->a + first * m->Dp;
    dest_t u = { c->u, NULL, NULL, m->fc1_bias, m->Ep, STORE };
    norm_rows(c->norm, c->l->base + s.beg * m->Dp, rows, a);
    project(m->numbers, a, m->Dp, rows, m->fc1, m->Ep, m->Dp, &u, first);
}

/* Replaces the n <= GROUP vectors at u by their GELU. g: NULL, or vectors that are multiplied by GELU's derivative. */
INLINE void mlp_vectors(const int n, const bool tanh, float *u, float *g)
{
    const int slopes = g ? n : 0;
    vf x[GROUP], slope[GROUP];
    REPEAT(i, n) x[i] = vload(u + i * VW);
    if (tanh) vgelus_tanh(n, x, g ? slope : NULL);
    else vgelus(n, x, g ? slope : NULL);
    REPEAT(i, n) vstore(u + i * VW, x[i]);
    REPEAT(i, slopes) vstore(g + i * VW, vload(g + i * VW) * slope[i]);
}

INLINE void mlp_values(const bool tanh, float *u, float *g, int64_t n)
{
    int64_t i = 0;
    for (; i + FEW * VW <= n; i += FEW * VW) mlp_vectors(FEW, tanh, u + i, g ? g + i : NULL);
    for (; i < n; i += VW) mlp_vectors(1, tanh, u + i, g ? g + i : NULL);
}

static void mlp_activate(const mlp_t *m, float *u, int64_t rows)
{
    if (m->tanh) mlp_values(true, u, NULL, rows * m->Ep);
    else mlp_values(false, u, NULL, rows * m->Ep);
}

static void mlp_in_task(void *arg, int64_t task, int worker)
{
    const mlp_call_t *c = arg;
    cad_span_t s = rows_of_task(&c->share, task);
    (void)worker;
    mlp_project(c, s);
    mlp_activate(c->m, c->u + (s.beg - c->share.span.beg) * c->m->Ep, s.end - s.beg);
}

static int mlp_in(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mlp_call_t c = mlp_call(l, layer, s);
    (void)dir;
    (void)how;
    share_rows(&c.share, &c, mlp_in_task);
    return 0;
}

static void mlp_out_task(void *arg, int64_t task, int worker)
{
    const mlp_call_t *c = arg;
    const mlp_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task);
    (void)worker;
    project(m->numbers, c->u + (s.beg - c->share.span.beg) * m->Ep, m->Ep, s.end - s.beg, m->fc2, m->Dp, m->Ep,
            &c->dest, s.beg);
}

static int mlp_out(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mlp_call_t c = mlp_call(l, layer, s);
    (void)dir;
    c.dest = out_dest(l, c.m->fc2_bias, how);
    share_rows(&c.share, &c, mlp_out_task);
    return 0;
}

static cad_op_f *const mlp_ops[CAD_MLP_OPS] = { [CAD_MLP_OP_IN] = mlp_in, [CAD_MLP_OP_OUT] = mlp_out };

/* ---- backward pass ---- */

#ifdef CAD_ISA_BACK_OPS
typedef struct {              /* transposed weights */
    const float *fc1t, *fc2t; // panels (Dp,Ep), (Ep,Dp)
} mlp_turned_t;

static void lay_mlp_turned(cad_bump_t *b, const cad_model_t *m, numbers_t f, int layer, void *turned)
{
    const cad_direction_t *d = &m->layer[layer].dir[0];
    int64_t D = m->cfg.d_model, E = cad_mlp(&m->cfg)->E, Dp = cad_round_up(D, CAD_PAD), Ep = cad_mlp_Ep(&m->cfg);
    mlp_turned_t *t = turned;
    t->fc1t = lay_turned(b, f, cad_param(d, CAD_MLP_FC1), D, D, E, Dp, Ep);
    t->fc2t = lay_turned(b, f, cad_param(d, CAD_MLP_FC2), E, E, D, Ep, Dp);
}

typedef struct { /* arguments of one call of the backward pass */
    mlp_call_t f;
    cad_grad_lane_t *l;
    const mlp_turned_t *t;
    float *g;
} mlp_back_t;

/* Computes u, GELU(u), which overwrites it, g, the gradient of u, and da = g x fc1. */
static void mlp_back_task(void *arg, int64_t task, int worker)
{
    const mlp_back_t *b = arg;
    const mlp_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t first = s.beg - b->f.share.span.beg, rows = s.end - s.beg;
    float *u = b->f.u + first * m->Ep, *g = b->g + first * m->Ep;
    dest_t to_g = { g, NULL, NULL, m->zero, m->Ep, STORE }, to_da = { b->l->da, NULL, NULL, m->zero, m->Dp, STORE };
    (void)worker;
    mlp_project(&b->f, s);
    project(m->numbers, b->l->dout + s.beg * m->Dp, m->Dp, rows, b->t->fc2t, m->Ep, m->Dp, &to_g, 0);
    if (m->tanh) mlp_values(true, u, g, rows * m->Ep);
    else mlp_values(false, u, g, rows * m->Ep);
    project(m->numbers, g, m->Ep, rows, b->t->fc1t, m->Dp, m->Ep, &to_da, first);
}

static int mlp_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mlp_back_t b = { mlp_call(&l->f, layer, s), l, l->grads->turned[layer], cad_mlp_grad_lane(l)->g };
    const mlp_t *m = b.f.m;
    const cad_mlp_sums_t *sum = l->grads->s.layer[layer];
    outer_how_t way = outer_how(l, cad_mlp_grad_lane(l)->words);
    const float *dout = l->dout + s.beg * m->Dp;
    int64_t rows = s.end - s.beg;
    (void)dir;
    (void)how;
    share_rows(&b.f.share, &b, mlp_back_task);
    outer(&way, rows, dout, m->Dp, m->D, b.f.u, m->Ep, sum->fc2);
    outer(&way, rows, b.g, m->Ep, m->E, l->f.a, m->Dp, sum->fc1);
    add_columns(dout, m->Dp, rows, m->Dp, sum->fc2_bias);
    add_columns(b.g, m->Ep, rows, m->Ep, sum->fc1_bias);
    norm_back(l, layer, s);
    return 0;
}

static cad_back_f *const mlp_back_ops[CAD_MLP_BACK_OPS] = { [CAD_MLP_BACK] = mlp_back };
static const cad_kind_sums_t MLP_SUMS = { .bytes = sizeof(cad_mlp_sums_t),
                                          .place = cad_mlp_sums_place,
                                          .add = cad_mlp_sums_add };
#endif

static const cpu_kind_t cpu_mlp = {
    .packed = sizeof(mlp_t),
    .lay = lay_mlp,
#ifdef CAD_ISA_BACK_OPS
    .turned = sizeof(mlp_turned_t),
    .lay_turned = lay_mlp_turned,
    .sums = &MLP_SUMS,
#endif
};

#endif
