/* gated_cpu_tmpl.h - operations of a gated layer for one instruction set. As this kind is for tests, each operation
 * uses one thread only.
 *
 * Parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_GATED_CPU_TMPL_H
#define CAD_GATED_CPU_TMPL_H

#include "kinds/gated_sums.h"
#include "norm_tmpl.h"
#include "weights_tmpl.h"
#ifdef CAD_ISA_BACK_OPS
#include "outer_tmpl.h"
#endif

typedef struct { /* weights of one direction of a layer */
    int64_t D, E, Dp, Ep;
    const float *in_x, *in_z, *out; // panels (Ep,Dp), (Dp,Ep)
    const float *zero;              // (max(Dp,Ep)) zeros, for products without a bias
    numbers_t numbers;
} gated_t;

static void lay_gated(cad_bump_t *b, const cad_weights_t *w, const cad_model_t *m, int layer, void *packed)
{
    const cad_layer_t *l = &m->layer[layer];
    int64_t D = w->D, E = cad_gated_E(&m->cfg);
    for (int k = 0; k < l->ndir; k++) {
        gated_t *g = (gated_t *)packed + k;
        const float *in = cad_param(&l->dir[k], CAD_GATED_IN);
        *g = (gated_t) { .D = D, .E = E, .Dp = w->Dp, .Ep = cad_gated_Ep(&m->cfg), .numbers = w->numbers };
        g->in_x = lay_panels(b, w->numbers, in, E, D, g->Ep, g->Dp);
        g->in_z = lay_panels(b, w->numbers, in + E * D, E, D, g->Ep, g->Dp);
        g->out = lay_panels(b, w->numbers, cad_param(&l->dir[k], CAD_GATED_OUT), D, E, g->Dp, g->Ep);
        g->zero = lay_vector(b, NULL, 0, cad_max(g->Dp, g->Ep));
    }
}

static const gated_t *gated_of(const cad_lane_t *l, int layer, int dir)
{
    return (const gated_t *)l->weights->layer[layer] + dir;
}

static float *gated_z(const cad_lane_t *l, int64_t row)
{
    const cad_gated_lane_t *w = cad_gated_lane(l);
    return w->z + row % l->zrows * w->Ep;
}

/* ---- forward ---- */

static int gated_in(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const gated_t *g = gated_of(l, layer, dir);
    int64_t rows = s.end - s.beg;
    dest_t x = { cad_gated_lane(l)->x, NULL, NULL, g->zero, g->Ep, STORE },
           z = { gated_z(l, s.beg), NULL, NULL, g->zero, g->Ep, STORE };
    for (int64_t r = 0; r < rows; r++)
        norm_row(&l->weights->norm[layer], l->base + (s.beg + r) * g->Dp, l->a + r * g->Dp);
    if (how & CAD_IN_X) project(g->numbers, l->a, g->Dp, rows, g->in_x, g->Ep, g->Dp, &x, s.beg);
    if (how & CAD_IN_Z) project(g->numbers, l->a, g->Dp, rows, g->in_z, g->Ep, g->Dp, &z, 0);
    return 0;
}

/* y = x; plus y if CAD_GATED_ADD; times silu(z) if CAD_GATED_GATE. */
static int gated_gate(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    int64_t Ep = gated_of(l, layer, dir)->Ep;
    for (int64_t r = s.beg; r < s.end; r++)
        for (int64_t e = 0; e < Ep; e += VW) {
            float *y = cad_gated_lane(l)->y + r * Ep + e;
            vf v = vload(cad_gated_lane(l)->x + r * Ep + e);
            if (how & CAD_GATED_ADD) v = v + vload(y);
            if (how & CAD_GATED_GATE) v = v * vsilu(vload(gated_z(l, r) + e));
            vstore(y, v);
        }
    return 0;
}

static int gated_out(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    static const int way[] = {
        [CAD_OUT_ADD] = ADD, [CAD_OUT_KEEP] = STORE, [CAD_OUT_PLUS] = PLUS, [CAD_OUT_TIMES] = TIMES
    };
    const gated_t *g = gated_of(l, layer, dir);
    dest_t d = { how == CAD_OUT_KEEP ? l->h : l->res, l->base, l->h, g->zero, g->Dp, STORE };
    memcpy(&d.how, &way[how], sizeof d.how);
    project(g->numbers, cad_gated_lane(l)->y + s.beg * g->Ep, g->Ep, s.end - s.beg, g->out, g->Dp, g->Ep, &d, s.beg);
    return 0;
}

static cad_op_f *const gated_ops[CAD_GATED_OPS] = { gated_in, gated_gate, gated_out };

/* ---- backward ---- */

#ifdef CAD_ISA_BACK_OPS
typedef struct {
    const float *in_xt, *in_zt, *outt; // panels (Dp,Ep), (Ep,Dp)
} gated_turned_t;

static void lay_gated_turned(cad_bump_t *b, const cad_model_t *m, numbers_t f, int layer, void *turned)
{
    int64_t D = m->cfg.d_model, E = cad_gated_E(&m->cfg), Dp = cad_round_up(D, CAD_PAD), Ep = cad_gated_Ep(&m->cfg);
    for (int k = 0; k < m->layer[layer].ndir; k++) {
        gated_turned_t *t = (gated_turned_t *)turned + k;
        const cad_direction_t *d = &m->layer[layer].dir[k];
        t->in_xt = lay_turned(b, f, cad_param(d, CAD_GATED_IN), D, D, E, Dp, Ep);
        t->in_zt = lay_turned(b, f, cad_param(d, CAD_GATED_IN) + E * D, D, D, E, Dp, Ep);
        t->outt = lay_turned(b, f, cad_param(d, CAD_GATED_OUT), E, E, D, Ep, Dp);
    }
}

static const gated_turned_t *gated_turned(const cad_grad_lane_t *l, int layer, int dir)
{
    return (const gated_turned_t *)l->grads->turned[layer] + dir;
}

/* g = dout x out_proj, the gradient of the gated y; dx = 0. */
static int gated_out_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const gated_t *g = gated_of(&l->f, layer, dir);
    cad_gated_grad_lane_t *w = cad_gated_grad_lane(l);
    dest_t d = { w->g, NULL, NULL, g->zero, g->Ep, STORE };
    (void)how;
    project(g->numbers, l->dout + s.beg * g->Dp, g->Dp, s.end - s.beg, gated_turned(l, layer, dir)->outt, g->Ep, g->Dp,
            &d, s.beg);
    memset(w->dx + s.beg * g->Ep, 0, (size_t)((s.end - s.beg) * g->Ep) * sizeof(float));
    return 0;
}

/* Recomputes y; dx += g silu(z). */
static int gated_step_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    int64_t Ep = gated_of(&l->f, layer, dir)->Ep;
    cad_gated_grad_lane_t *w = cad_gated_grad_lane(l);
    gated_gate(&l->f, layer, dir, s, how);
    for (int64_t r = s.beg; r < s.end; r++)
        for (int64_t e = 0; e < Ep; e += VW) {
            int64_t at = r * Ep + e;
            vstore(w->dx + at, vfma(vload(w->g + at), vsilu(vload(gated_z(&l->f, r) + e)), vload(w->dx + at)));
        }
    return 0;
}

/* yz = y silu(z); g, the gradient of yz, is overwritten with dz. */
static void gated_gate_back(cad_grad_lane_t *l, cad_span_t s, int64_t Ep)
{
    cad_gated_grad_lane_t *w = cad_gated_grad_lane(l);
    for (int64_t r = s.beg; r < s.end; r++)
        for (int64_t e = 0; e < Ep; e += VW) {
            vf z = vload(gated_z(&l->f, r) + e), on = vsigmoid(z), y = vload(cad_gated_lane(&l->f)->y + r * Ep + e);
            vf g = vload(w->g + r * Ep + e);
            vstore(w->yz + (r - s.beg) * Ep + e, y * (z * on));
            vstore(w->g + r * Ep + e, g * y * on * vfma(z, vset(1.0f) - on, vset(1.0f)));
        }
}

static int gated_in_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const gated_t *g = gated_of(&l->f, layer, dir);
    const gated_turned_t *t = gated_turned(l, layer, dir);
    const norm_t *norm = &l->f.weights->norm[layer];
    cad_gated_sums_t *sum = l->grads->s.layer[layer];
    outer_how_t how_to = outer_how(l, cad_gated_grad_lane(l)->words);
    int64_t rows = s.end - s.beg, Dp = g->Dp, Ep = g->Ep;
    const float *dx = cad_gated_grad_lane(l)->dx + s.beg * Ep, *dz = cad_gated_grad_lane(l)->g + s.beg * Ep;
    dest_t x = { l->da, NULL, NULL, g->zero, Dp, STORE }, z = { l->da, l->da, NULL, g->zero, Dp, ADD };
    (void)how;
    gated_gate_back(l, s, Ep);
    for (int64_t r = 0; r < rows; r++) norm_row(norm, l->f.base + (s.beg + r) * Dp, l->f.a + r * Dp);
    project(g->numbers, dx, Ep, rows, t->in_xt, Dp, Ep, &x, 0);
    project(g->numbers, dz, Ep, rows, t->in_zt, Dp, Ep, &z, 0);
    outer(&how_to, rows, l->dout + s.beg * Dp, Dp, g->D, cad_gated_grad_lane(l)->yz, Ep, sum->dir[dir].out);
    outer(&how_to, rows, dx, Ep, g->E, l->f.a, Dp, sum->dir[dir].in_x);
    outer(&how_to, rows, dz, Ep, g->E, l->f.a, Dp, sum->dir[dir].in_z);
    for (int64_t r = 0; r < rows; r++) {
        const float *da = l->da + r * Dp;
        float *xhat = l->f.a + r * Dp;
        norm_row_back(norm, l->f.base + (s.beg + r) * Dp, da, l->dres + (s.beg + r) * Dp, xhat);
        for (int64_t i = 0; i < Dp; i += VW) vstore(xhat + i, vload(xhat + i) * vload(da + i));
    }
    add_columns(l->f.a, Dp, rows, Dp, l->grads->s.norm[layer]);
    add_columns(l->da, Dp, rows, Dp, l->grads->s.norm_bias[layer]);
    return 0;
}

static cad_back_f *const gated_back_ops[CAD_GATED_BACK_OPS] = { gated_out_back, gated_step_back, gated_in_back };
static const cad_kind_sums_t GATED_SUMS = { .bytes = sizeof(cad_gated_sums_t),
                                            .place = cad_gated_sums_place,
                                            .add = cad_gated_sums_add };
#endif

static const cpu_kind_t cpu_gated = {
    .packed = 2 * sizeof(gated_t),
    .lay = lay_gated,
#ifdef CAD_ISA_BACK_OPS
    .turned = 2 * sizeof(gated_turned_t),
    .lay_turned = lay_gated_turned,
    .sums = &GATED_SUMS,
#endif
};

#endif
