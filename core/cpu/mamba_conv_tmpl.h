/* mamba_conv_tmpl.h - depthwise causal convolution, SiLU and x_proj: u = silu(conv(x)),
 * xdbl = u x_proj^T.
 *
 * Parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA_CONV_TMPL_H
#define CAD_MAMBA_CONV_TMPL_H

#include "mamba_tmpl.h"
#include "mamba_scan_back_tmpl.h"

/* Returns the convolution at one row before SiLU, for VW channels from c onwards: bias + sum over k from `first` to K-1
 * of w_k x[r - step (K-1-k)]. x points to row r; step is 1, or -1 if the direction is reversed. Taps before `first`
 * would read rows before the sequence's first. */
INLINE vf conv_sum(const mamba_t *m, const float *x, int64_t step, const int64_t K, int64_t first, int64_t c)
{
    vf acc = vload(m->conv_bias + c);
    for (int64_t k = first; k < K; k++)
        acc = vfma(vload(m->conv + k * m->Ep + c), vload(x - step * (K - 1 - k) * m->Ep + c), acc);
    return acc;
}

INLINE void conv_some(const mamba_t *m, const float *x, int64_t step, const int64_t K, int64_t first, int64_t c,
                      const int n, float *u)
{
    vf v[GROUP];
    REPEAT(i, n) v[i] = conv_sum(m, x, step, K, first, c + i * VW);
    vsilus(n, v);
    REPEAT(i, n) vstore(u + c + i * VW, v[i]);
}

/* Computes u (Ep) of one row. */
INLINE void conv_row(const mamba_t *m, const float *x, int64_t step, const int64_t K, int64_t first, float *u)
{
    int64_t c = 0, Ep = m->Ep;
    for (; c + GROUP * VW <= Ep; c += GROUP * VW) conv_some(m, x, step, K, first, c, GROUP, u);
    for (; c + FEW * VW <= Ep; c += FEW * VW) conv_some(m, x, step, K, first, c, FEW, u);
    for (; c < Ep; c += VW) conv_some(m, x, step, K, first, c, 1, u);
}

static void conv_task(void *arg, int64_t task, int worker)
{
    const mamba_call_t *call = arg;
    const mamba_t *m = call->m;
    cad_span_t s = rows_of_task(&call->share, task);
    int64_t step = m->reverse ? -1 : 1, first = s.beg - call->share.span.beg;
    float *u = call->w->u + first * m->Ep;
    dest_t d = { call->w->xdbl + first * m->Sp, NULL, NULL, m->zero, m->Sp, STORE };
    int q = find_seq(&s, s.beg);
    (void)worker;
    for (int64_t r = s.beg; r < s.end; r++) {
        while (r >= s.off[q + 1]) q++;
        int64_t past = m->reverse ? s.off[q + 1] - 1 - r : r - s.off[q];
        const float *x = call->w->x + r * m->Ep;
        float *to = u + (r - s.beg) * m->Ep;
        if (m->K == 4 && past >= 3) conv_row(m, x, step, 4, 0, to);
        else conv_row(m, x, step, m->K, cad_max(0, m->K - 1 - past), to);
    }
    project(m->half, u, m->Ep, s.end - s.beg, m->x, m->Sp, m->Ep, &d, 0);
}

static int mamba_conv(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba_call_t c = mamba_call(l, layer, dir, s);
    (void)how;
    share_rows(&c.share, &c, conv_task);
    return 0;
}

#ifdef CAD_ISA_BACK_OPS
/* Computes dxdbl and adds to du, for the rows of a task. dt_proj's product comes first, because it also writes to
 * the columns after dt_in, which dB and dC then overwrite. */
static void project_back_task(void *arg, int64_t task, int worker)
{
    const mamba_back_t *b = arg;
    const mamba_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t first = s.beg - b->f.share.span.beg, rows = s.end - s.beg, known = m->R + 2 * m->N;
    float *dxdbl = b->w->dxdbl + first * m->Sp, *du = b->w->du + first * m->Ep;
    dest_t dt = { dxdbl, NULL, NULL, m->zero, m->Sp, STORE }, u = { du, du, NULL, m->zero, m->Ep, ADD };
    (void)worker;
    product(b->w->dpre + first * m->Ep, m->Ep, rows, b->t->dtt, cad_round_up(m->R, CAD_PAD), m->Ep, &dt, 0);
    scatter(b, first, rows);
    for (int64_t r = 0; r < rows; r++) memset(dxdbl + r * m->Sp + known, 0, (size_t)(m->Sp - known) * sizeof(float));
    product(dxdbl, m->Sp, rows, b->t->xt, m->Ep, m->Sp, &u, 0);
}

/* Backward pass of the convolution with any number of taps, for rows [beg, end) of sequence q and VW channels from
 * c onwards: dc = du silu'(conv); dx += w dc, dw (K) += x dc, db += dc. */
static void conv_back_any(const mamba_back_t *b, int q, int64_t beg, int64_t end, int64_t c, vf *dw, vf *db)
{
    const cad_span_t *s = &b->f.share.span;
    const mamba_t *m = b->f.m;
    int64_t Ep = m->Ep, K = m->K, step = m->reverse ? -1 : 1;
    for (int64_t r = beg; r < end; r++) {
        int64_t past = m->reverse ? s->off[q + 1] - 1 - r : r - s->off[q], first = cad_max(0, K - 1 - past);
        vf sum = conv_sum(m, b->f.w->x + r * Ep, step, K, first, c), on = vsigmoid(sum);
        vf dc = vload(b->w->du + (r - s->beg) * Ep + c) * on * vfma(sum, vset(1.0f) - on, vset(1.0f));
        for (int64_t k = first; k < K; k++) {
            int64_t at = (r - step * (K - 1 - k)) * Ep + c;
            dw[k] = vfma(vload(b->f.w->x + at), dc, dw[k]);
            vstore(b->w->dx + at, vfma(vload(m->conv + k * Ep + c), dc, vload(b->w->dx + at)));
        }
        *db = *db + dc;
    }
}

#define TAPS 4 /* taps of the published models, so few that x and dc of TAPS rows stay in registers */

typedef struct {
    vf w[TAPS], bias, dw[TAPS], db;
    vf x[TAPS - 1], dc[TAPS - 1]; /* x and dc of the TAPS-1 rows before; 0 before the sequence's first row */
} taps_t;

/* Does the same as conv_back_any, for n rows that are ew floats apart in memory. whole: the TAPS-1 rows before them
 * exist, so the dx of n rows is complete and stored. */
INLINE void taps_rows(taps_t *t, const float *x, const float *du, float *dx, int64_t ew, const int n, const bool whole)
{
    vf v[TAPS - 1 + FEW], dc[TAPS - 1 + FEW], sum[FEW], on[FEW];
    REPEAT(i, TAPS - 1) {
        v[i] = t->x[i];
        dc[i] = t->dc[i];
    }
    REPEAT(i, n) __builtin_prefetch(x + (i + AHEAD) * ew);
    REPEAT(i, n) __builtin_prefetch(du + (i + AHEAD) * ew);
    REPEAT(i, n) __builtin_prefetch(dx + (i + AHEAD) * ew, 1);
    REPEAT(i, n) v[TAPS - 1 + i] = vload(x + i * ew);
    REPEAT(i, n) sum[i] = t->bias;
    REPEAT(k, TAPS)
        REPEAT(i, n) sum[i] = vfma(t->w[k], v[i + k], sum[i]);
    REPEAT(i, n) on[i] = sum[i];
    vsigmoids(n, on);
    REPEAT(i, n) dc[TAPS - 1 + i] = vload(du + i * ew) * on[i] * vfma(sum[i], vset(1.0f) - on[i], vset(1.0f));
    REPEAT(k, TAPS)
        REPEAT(i, n) t->dw[k] = vfma(v[i + k], dc[TAPS - 1 + i], t->dw[k]);
    REPEAT(i, n) t->db = t->db + dc[TAPS - 1 + i];
    dx -= (TAPS - 1) * ew;
    if (whole)
        REPEAT(i, n) {
            vf d = vload(dx + i * ew);
            REPEAT(k, TAPS) d = vfma(t->w[TAPS - 1 - k], dc[i + k], d);
            vstore(dx + i * ew, d);
        }
    REPEAT(i, TAPS - 1) {
        t->x[i] = v[n + i];
        t->dc[i] = dc[n + i];
    }
}

/* Does the same as conv_back_any, for K = TAPS. */
static void conv_back_taps(const mamba_back_t *b, int q, int64_t beg, int64_t end, int64_t c, vf *dw, vf *db)
{
    const cad_span_t *s = &b->f.share.span;
    const mamba_t *m = b->f.m;
    int64_t Ep = m->Ep, ew = m->reverse ? -Ep : Ep, rows = end - beg, first = m->reverse ? end - 1 : beg, r = 0;
    /* rows of the sequence before [beg, end), in the direction of the scan */
    int64_t past = m->reverse ? s->off[q + 1] - end : beg - s->off[q];
    const float *x = b->f.w->x + first * Ep + c, *du = b->w->du + (first - s->beg) * Ep + c;
    float *dx = b->w->dx + first * Ep + c;
    taps_t t = { .bias = vload(m->conv_bias + c), .db = *db };
    for (int k = 0; k < TAPS; k++) t.w[k] = vload(m->conv + k * Ep + c);
    for (int k = 0; k < TAPS; k++) t.dw[k] = dw[k];
    for (int i = 0; i < TAPS - 1; i++) {
        t.x[i] = past >= TAPS - 1 - i ? vload(x - (TAPS - 1 - i) * ew) : vset(0.0f);
        t.dc[i] = vset(0.0f);
    }
    for (; r < rows && r + past < TAPS - 1; r++) taps_rows(&t, x + r * ew, du + r * ew, dx + r * ew, ew, 1, false);
    for (; r + FEW <= rows; r += FEW) taps_rows(&t, x + r * ew, du + r * ew, dx + r * ew, ew, FEW, true);
    for (; r < rows; r++) taps_rows(&t, x + r * ew, du + r * ew, dx + r * ew, ew, 1, true);
    for (int i = (int)cad_max(0, TAPS - 1 - past - rows); i < TAPS - 1; i++) {
        float *to = dx + (rows - (TAPS - 1) + i) * ew;
        for (int k = i; k < TAPS - 1; k++) vstore(to, vfma(t.w[TAPS - 1 - (k - i)], t.dc[k], vload(to)));
    }
    for (int k = 0; k < TAPS; k++) dw[k] = t.dw[k];
    *db = t.db;
}

#define MOST_TAPS 64 /* upper limit of d_conv, see blocks/mamba.c */

static void conv_back_task(void *arg, int64_t task, int worker)
{
    const mamba_back_t *b = arg;
    const mamba_t *m = b->f.m;
    const cad_span_t *s = &b->f.share.span;
    float *dconv = b->sum->conv, *dbias = b->sum->conv_bias;
    int64_t from = task * b->f.share.size, to = cad_min(from + b->f.share.size, m->Ep), K = m->K;
    int first = find_seq(s, s->beg), last = find_seq(s, s->end - 1);
    (void)worker;
    for (int64_t c = from; c < to; c += VW) {
        vf dw[MOST_TAPS], db = vset(0.0f);
        for (int64_t k = 0; k < K; k++) dw[k] = vset(0.0f);
        for (int q = first; q <= last; q++) {
            piece_t p = piece_of(s, q, m->reverse);
            if (K == TAPS) conv_back_taps(b, q, p.beg, p.end, c, dw, &db);
            else conv_back_any(b, q, p.beg, p.end, c, dw, &db);
        }
        for (int64_t k = 0; k < K; k++) vstore(dconv + k * m->Ep + c, vload(dconv + k * m->Ep + c) + dw[k]);
        vstore(dbias + c, vload(dbias + c) + db);
    }
}

static int mamba_conv_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba_back_t b = mamba_back(l, layer, dir, s);
    const mamba_t *m = b.f.m;
    int64_t rows = s.end - s.beg;
    (void)how;
    share_rows(&b.f.share, &b, project_back_task);
    outer(l->f.team, rows, b.w->dxdbl, m->Sp, m->R + 2 * m->N, b.f.w->u, m->Ep, m->Ep, b.sum->x, m->Ep);
    outer(l->f.team, rows, b.f.w->xdbl, m->Sp, m->R, b.w->dpre, m->Ep, m->Ep, b.sum->dt, m->Ep);
    share_back(&b, conv_back_task);
    return 0;
}
#endif

#endif
