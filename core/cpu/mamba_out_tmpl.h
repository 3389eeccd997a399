/* mamba_out_tmpl.h - Mamba's operation `out`: the output projection of the gated y and, in the backward pass, the
 * gradient of the gated y. mamba_in_tmpl.h computes the gradient of out_proj's weights, because it needs y of both
 * directions.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_MAMBA_OUT_TMPL_H
#define CAD_MAMBA_OUT_TMPL_H

#include "mamba_tmpl.h"

static void out_task(void *arg, int64_t task, int worker)
{
    const mamba_call_t *c = arg;
    const mamba_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task);
    (void)worker;
    project(m->numbers, c->w->y + s.beg * m->Ep, m->Ep, s.end - s.beg, m->out, m->Dp, m->Ep, &c->dest, s.beg);
}

static int mamba_out(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba_call_t c = mamba_call(l, layer, dir, s);
    c.dest = out_dest(l, c.m->out_bias, how);
    share_rows(&c.share, &c, out_task);
    return 0;
}

#ifdef CAD_ISA_BACK_OPS
/* Computes g = dout x out_proj, the gradient of the gated y, and sets dx, the gradient of x, to 0. */
static void out_back_task(void *arg, int64_t task, int worker)
{
    const mamba_back_t *b = arg;
    const cad_grad_lane_t *l = b->l;
    const mamba_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t rows = s.end - s.beg;
    dest_t g = { b->w->g, NULL, NULL, m->zero, m->Ep, STORE };
    (void)worker;
    project(m->numbers, l->dout + s.beg * m->Dp, m->Dp, rows, b->t->outt, m->Ep, m->Dp, &g, s.beg);
    memset(b->w->dx + s.beg * m->Ep, 0, (size_t)(rows * m->Ep) * sizeof(float));
}

static int mamba_out_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba_back_t b = mamba_back(l, layer, dir, s);
    (void)how;
    share_rows(&b.f.share, &b, out_back_task);
    return 0;
}
#endif

#endif
