/* mamba_in_tmpl.h - Mamba's operation `in`, forward and backward pass: norm and input projection, x|z = norm(base)
 * in_proj^T + bias. The backward pass also computes the gradients of the gate silu(z) and of out_proj's weights,
 * because both need y of both directions.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_MAMBA_IN_TMPL_H
#define CAD_MAMBA_IN_TMPL_H

#include "mamba_tmpl.h"
#include "residual_tmpl.h"

static void copy_first(const float *first, int64_t Ep, const uint8_t *tok, int64_t n, float *to)
{
    for (int64_t r = 0; r < n; r++) memcpy(to + r * Ep, first + tok[r] * Ep, (size_t)Ep * sizeof *to);
}

/* Copies x and z of layer 0, which depend on the token only, from tables with a row for each token. */
static void in_first_task(void *arg, int64_t task, int worker)
{
    const mamba_call_t *c = arg;
    const mamba_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task), gate = cad_span_need(s, 0);
    (void)worker;
    if (c->parts & CAD_IN_X) copy_first(m->first_x, m->Ep, c->l->tok + s.beg, s.end - s.beg, c->w->x + s.beg * m->Ep);
    if (c->parts & CAD_IN_Z)
        copy_first(m->first_z, m->Ep, c->l->tok + gate.beg, gate.end - gate.beg, z_row(c, gate.beg));
}

static void in_task(void *arg, int64_t task, int worker)
{
    const mamba_call_t *c = arg;
    const mamba_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task), gate = cad_span_need(s, 0);
    float *a = c->l->a + (s.beg - c->share.span.beg) * m->Dp;
    dest_t x = { c->w->x, NULL, NULL, m->in_x_bias, m->Ep, STORE },
           z = { c->w->z, NULL, NULL, m->in_z_bias, m->Ep, STORE };
    (void)worker;
    norm_rows(c->norm, c->l->base + s.beg * m->Dp, s.end - s.beg, a);
    if (c->parts & CAD_IN_X) project(m->numbers, a, m->Dp, s.end - s.beg, m->in_x, m->Ep, m->Dp, &x, s.beg);
    if (c->parts & CAD_IN_Z)
        project(m->numbers, a + (gate.beg - s.beg) * m->Dp, m->Dp, gate.end - gate.beg, m->in_z, m->Ep, m->Dp, &z,
                gate.beg % c->l->zrows);
}

static int mamba_in(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned parts)
{
    mamba_call_t c = mamba_call(l, layer, dir, s);
    c.parts = parts;
    share_rows(&c.share, &c, parts & CAD_IN_TOKENS && c.m->first_x ? in_first_task : in_task);
    return 0;
}

#ifdef CAD_ISA_BACK_OPS
/* Overwrites the array u with the gated y, y silu(z), and the array g, which holds the gradient of the gated y, with
 * dz, the gradient of z. Stores the normalised rows in l->f.a and their gradient in l->da. */
static void gate_back_task(void *arg, int64_t task, int worker)
{
    const mamba_back_t *b = arg;
    const cad_grad_lane_t *l = b->l;
    const mamba_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t first = s.beg - b->f.share.span.beg, rows = s.end - s.beg;
    float *da = l->da + first * m->Dp;
    const float *ys = b->f.w->y + s.beg * m->Ep, *zs = z_row(&b->f, s.beg);
    float *us = b->f.w->u + first * m->Ep, *gs = b->w->g + s.beg * m->Ep;
    dest_t x = { da, NULL, NULL, m->zero, m->Dp, STORE }, z = { da, da, NULL, m->zero, m->Dp, ADD };
    (void)worker;
    for (int64_t i = 0; i < rows * m->Ep; i += VW) {
        vf v = vload(zs + i), on = vsigmoid(v), y = vload(ys + i), g = vload(gs + i);
        vstore(us + i, y * (v * on));
        vstore(gs + i, g * y * on * vfma(v, vset(1.0f) - on, vset(1.0f)));
    }
    norm_rows(b->f.norm, l->f.base + s.beg * m->Dp, rows, l->f.a + first * m->Dp);
    project(m->numbers, b->w->dx + s.beg * m->Ep, m->Ep, rows, b->t->in_xt, m->Dp, m->Ep, &x, 0);
    project(m->numbers, gs, m->Ep, rows, b->t->in_zt, m->Dp, m->Ep, &z, 0);
}

static int mamba_in_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba_back_t b = mamba_back(l, layer, dir, s);
    const mamba_t *m = b.f.m;
    outer_how_t sum = outer_how(l, b.w->words);
    int64_t rows = s.end - s.beg;
    const float *dx = b.w->dx + s.beg * m->Ep, *dz = b.w->g + s.beg * m->Ep, *dout = l->dout + s.beg * m->Dp;
    (void)how;
    share_rows(&b.f.share, &b, gate_back_task);
    outer(&sum, rows, dout, m->Dp, m->D, b.f.w->u, m->Ep, b.sum->out);
    outer(&sum, rows, dx, m->Ep, m->E, l->f.a, m->Dp, b.sum->in_x);
    outer(&sum, rows, dz, m->Ep, m->E, l->f.a, m->Dp, b.sum->in_z);
    add_columns(dout, m->Dp, rows, m->Dp, b.sum->out_bias);
    add_columns(dx, m->Ep, rows, m->Ep, b.sum->in_x_bias);
    add_columns(dz, m->Ep, rows, m->Ep, b.sum->in_z_bias);
    norm_back(l, layer, s);
    return 0;
}
#endif

#endif
