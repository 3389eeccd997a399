/* mamba_conv_tmpl.h - Mamba's operation `conv`, forward and backward pass: depthwise causal convolution, SiLU and the
 * projection x_proj. u = silu(conv(x)), xdbl = u x_proj^T; the columns of xdbl are dt_in, B and C.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_MAMBA_CONV_TMPL_H
#define CAD_MAMBA_CONV_TMPL_H

#include "conv_tmpl.h"
#include "mamba_tmpl.h"
#include "mamba_scan_back_tmpl.h"

static conv_t conv_of(const mamba_t *m)
{
    return (conv_t) { .w = m->conv, .bias = m->conv_bias, .K = m->K, .width = m->Ep, .reverse = m->reverse };
}

static void conv_task(void *arg, int64_t task, int worker)
{
    const mamba_call_t *call = arg;
    const mamba_t *m = call->m;
    cad_span_t s = rows_of_task(&call->share, task);
    int64_t first = s.beg - call->share.span.beg;
    conv_t conv = conv_of(m);
    float *u = call->w->u + first * m->Ep;
    dest_t d = { call->w->xdbl + first * m->Sp, NULL, NULL, m->zero, m->Sp, STORE };
    (void)worker;
    conv_rows(&conv, &s, call->w->x, m->Ep, u, m->Ep);
    project(m->numbers, u, m->Ep, s.end - s.beg, m->x, m->Sp, m->Ep, &d, 0);
}

static int mamba_conv(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba_call_t c = mamba_call(l, layer, dir, s);
    (void)how;
    share_rows(&c.share, &c, conv_task);
    return 0;
}

#ifdef CAD_ISA_BACK_OPS
/* For the rows of a task: computes dxdbl, the gradient of xdbl, and adds x_proj's contribution to du, the gradient of
 * u. The product with dt_proj^T, which gives the gradient of dt_in, also writes to the columns after dt_in; it
 * therefore runs before dB and dC are copied to these columns. */
static void project_back_task(void *arg, int64_t task, int worker)
{
    const mamba_back_t *b = arg;
    const mamba_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t first = s.beg - b->f.share.span.beg, rows = s.end - s.beg, known = m->R + 2 * m->N;
    float *dxdbl = b->w->dxdbl + first * m->Sp, *du = b->w->du + first * m->Ep;
    dest_t dt = { dxdbl, NULL, NULL, m->zero, m->Sp, STORE }, u = { du, du, NULL, m->zero, m->Ep, ADD };
    (void)worker;
    project(m->numbers, b->w->dpre + first * m->Ep, m->Ep, rows, b->t->dtt, cad_round_up(m->R, CAD_PAD), m->Ep, &dt, 0);
    scatter(b, first, rows);
    for (int64_t r = 0; r < rows; r++) memset(dxdbl + r * m->Sp + known, 0, (size_t)(m->Sp - known) * sizeof(float));
    project(m->numbers, dxdbl, m->Sp, rows, b->t->xt, m->Ep, m->Sp, &u, 0);
}

static void conv_back_task(void *arg, int64_t task, int worker)
{
    const mamba_back_t *b = arg;
    const mamba_t *m = b->f.m;
    int64_t from = task * b->f.share.size;
    conv_back_t c = { .m = conv_of(m),
                      .s = &b->f.share.span,
                      .x = b->f.w->x,
                      .du = b->w->du,
                      .dx = b->w->dx,
                      .dw = b->sum->conv,
                      .dbias = b->sum->conv_bias,
                      .ld = m->Ep,
                      .ldu = m->Ep };
    (void)worker;
    conv_back_channels(&c, from, cad_min(from + b->f.share.size, m->Ep));
}

static int mamba_conv_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba_back_t b = mamba_back(l, layer, dir, s);
    const mamba_t *m = b.f.m;
    outer_how_t sum = outer_how(l, b.w->words);
    int64_t rows = s.end - s.beg;
    (void)how;
    share_rows(&b.f.share, &b, project_back_task);
    outer(&sum, rows, b.w->dxdbl, m->Sp, m->R + 2 * m->N, b.f.w->u, m->Ep, b.sum->x);
    outer(&sum, rows, b.f.w->xdbl, m->Sp, m->R, b.w->dpre, m->Ep, b.sum->dt);
    share_back(&b, conv_back_task);
    return 0;
}
#endif

#endif
