/* mamba2_in_tmpl.h - the projections of a Mamba-2 layer, forward and backward pass: in_proj with the norm before it,
 * z|x|B|C|r = norm(base) in_proj^T + bias, and out_proj, out = o out_proj^T + bias. x|B|C|r is one array with the
 * columns of x, then of B, C and r. blocks/mamba2.h explains these names.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_MAMBA2_IN_TMPL_H
#define CAD_MAMBA2_IN_TMPL_H

#include "mamba2_tmpl.h"
#include "residual_tmpl.h"

/* In training (with a tape), products are summed more exactly (FINE). Each gradient of A, D and dt_bias is a sum of
 * many terms that largely cancel, so errors of the activations affect these gradients several times as much as the
 * others. */
static int store_of(const cad_lane_t *l) { return l->tape ? STORE + FINE : STORE; }

/* Copies the table's row of each token of span s to consecutive rows of `width` floats. `to`: where row s.beg is
 * stored. */
static void copy_tokens(const float *table, int64_t width, const uint8_t *tok, cad_span_t s, float *to)
{
    for (int64_t r = s.beg; r < s.end; r++, to += width) memcpy(to, table + tok[r] * width, (size_t)width * sizeof *to);
}

/* Copies x and z of layer 0, which depend on the token only, from tables with a row for each token. The backward pass
 * recomputes x and z from the tables too, since these are more exact than a float32 product. */
static void mamba2_first_task(void *arg, int64_t task, int worker)
{
    const mamba2_call_t *c = arg;
    const mamba2_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task);
    (void)worker;
    if (c->how & CAD_IN_X) copy_tokens(m->first_x, m->Xp, c->l->tok, s, c->w->x + s.beg * m->Xp);
    s = cad_span_need(s, 0);
    if (c->how & CAD_IN_Z) copy_tokens(m->first_z, m->Ep, c->l->tok, s, c->w->z + (s.beg - c->w->first) * m->Ep);
}

static void mamba2_in_task(void *arg, int64_t task, int worker)
{
    const mamba2_call_t *c = arg;
    const mamba2_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task), gate = cad_span_need(s, 0);
    float *a = c->l->a + (s.beg - c->share.span.beg) * m->Dp;
    dest_t x = { c->w->x, NULL, NULL, m->in_x_bias, m->Xp, store_of(c->l) },
           z = { c->w->z, NULL, NULL, m->in_z_bias, m->Ep, store_of(c->l) };
    (void)worker;
    norm_rows(c->norm, c->l->base + s.beg * m->Dp, s.end - s.beg, a);
    if (c->how & CAD_IN_X) project(m->numbers, a, m->Dp, s.end - s.beg, m->in_x, m->Xp, m->Dp, &x, s.beg);
    if (c->how & CAD_IN_Z)
        project(m->numbers, a + (gate.beg - s.beg) * m->Dp, m->Dp, gate.end - gate.beg, m->in_z, m->Ep, m->Dp, &z,
                gate.beg - c->w->first);
}

static int mamba2_in(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba2_call_t c = mamba2_call(l, layer, dir, s, how);
    share_rows(&c.share, &c, c.m->first_x ? mamba2_first_task : mamba2_in_task);
    return 0;
}

static void mamba2_out_task(void *arg, int64_t task, int worker)
{
    const mamba2_call_t *c = arg;
    const mamba2_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task);
    (void)worker;
    project(m->numbers, c->w->o + (s.beg - c->w->first) * m->Ep, m->Ep, s.end - s.beg, m->out, m->Dp, m->Ep, &c->dest,
            s.beg);
}

static int mamba2_out(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba2_call_t c = mamba2_call(l, layer, dir, s, how);
    c.dest = out_dest(l, c.m->out_bias, how);
    if (l->tape) c.dest.how += FINE;
    share_rows(&c.share, &c, mamba2_out_task);
    return 0;
}

#ifdef CAD_ISA_BACK_OPS
/* Computes g = dout x out_proj, the gradient of o, and sets dx, the gradient of x|B|C|r, to 0. */
static void mamba2_out_back_task(void *arg, int64_t task, int worker)
{
    const mamba2_back_t *b = arg;
    const mamba2_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t rows = s.end - s.beg;
    dest_t g = { b->w->g, NULL, NULL, m->zero, m->Ep, STORE + FINE };
    (void)worker;
    project(m->numbers, b->l->dout + s.beg * m->Dp, m->Dp, rows, b->t->outt, m->Ep, m->Dp, &g, s.beg);
    memset(b->w->dx + s.beg * m->Xp, 0, (size_t)(rows * m->Xp) * sizeof(float));
}

static int mamba2_out_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba2_back_t b = mamba2_back(l, layer, dir, s, how);
    share_rows(&b.f.share, &b, mamba2_out_back_task);
    return 0;
}

/* Stores the normalised rows in l->f.a and their gradient in l->da. */
static void mamba2_in_back_task(void *arg, int64_t task, int worker)
{
    const mamba2_back_t *b = arg;
    const cad_grad_lane_t *l = b->l;
    const mamba2_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t first = s.beg - b->f.share.span.beg, rows = s.end - s.beg;
    float *da = l->da + first * m->Dp;
    dest_t x = { da, NULL, NULL, m->zero, m->Dp, STORE + FINE }, z = { da, da, NULL, m->zero, m->Dp, ADD + FINE };
    (void)worker;
    norm_rows(b->f.norm, l->f.base + s.beg * m->Dp, rows, l->f.a + first * m->Dp);
    project(m->numbers, b->w->dx + s.beg * m->Xp, m->Xp, rows, b->t->in_xt, m->Dp, m->Xp, &x, 0);
    project(m->numbers, b->w->dz + s.beg * m->Ep, m->Ep, rows, b->t->in_zt, m->Dp, m->Ep, &z, 0);
}

static int mamba2_in_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba2_back_t b = mamba2_back(l, layer, dir, s, how);
    const mamba2_t *m = b.f.m;
    outer_how_t sum = outer_how(l, b.w->words);
    int64_t rows = s.end - s.beg;
    const float *dx = b.w->dx + s.beg * m->Xp, *dz = b.w->dz + s.beg * m->Ep, *dout = l->dout + s.beg * m->Dp;
    share_rows(&b.f.share, &b, mamba2_in_back_task);
    outer(&sum, rows, dout, m->Dp, m->D, b.f.w->o + s.beg * m->Ep, m->Ep, b.sum->out);
    outer(&sum, rows, dx, m->Xp, m->Xp, l->f.a, m->Dp, b.sum->in_x);
    outer(&sum, rows, dz, m->Ep, m->Ep, l->f.a, m->Dp, b.sum->in_z);
    add_columns(dout, m->Dp, rows, m->Dp, b.sum->out_bias);
    add_columns(dx, m->Xp, rows, m->Xp, b.sum->in_x_bias);
    add_columns(dz, m->Ep, rows, m->Ep, b.sum->in_z_bias);
    norm_back(l, layer, s);
    return 0;
}
#endif

#endif
