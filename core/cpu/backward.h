/* backward.h - the backward table (train.h). Included after kernels.h.
 *
 * Gradients of data are products and row or channel loops, shared as in the
 * forward pass. Gradients of weights are sums over the rows of a span: each
 * output is one thread's, which adds the rows in order. SPDX-License-Identifier: MIT
 */
#include "engine/backward.h"
#include "grads.h"

#define STRIP 64        /* rows of one partial sum of a weight's gradient */
#define SHARE (16 * MR) /* of A's columns: one task's */

typedef struct {
    job_t f; /* the span and the lane, as the forward kernels take them */
    cad_grad_lane_t *l;
    const cad_sum_t *g;
    const turn_t *t;
} back_t;

static back_t back_for(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    int64_t i = 2 * layer + dir;
    return (back_t) { .f = job_for(&l->f, layer, dir, s), .l = l, .g = &l->grads->s.dir[i], .t = &l->grads->turn[i] };
}

static void share_blocks(back_t *b, cad_task_f *fn)
{
    b->f.chunk = CAD_BLOCK;
    cad_team_run(b->l->f.team, (b->l->grads->s.Ep + CAD_BLOCK - 1) / CAD_BLOCK, fn, b);
}

/* ---- gradients of weights: C (n,k) += A (rows,n)^T B (rows,k) ---- */

typedef struct {
    const float *a, *b;
    float *c;
    int64_t lda, ldb, ldc, n, k, rows, groups;
} outer_t;

INLINE void outer_micro(const int mr, const int nv, const float *a, int64_t lda, const float *b, int64_t rows, float *c,
                        int64_t ldc)
{
    vf acc[MR][NV];
    micro_sum(false, mr, nv, a, 1, lda, b, rows, acc);
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < nv; j++) vstore(c + i * ldc + j * VW, vload(c + i * ldc + j * VW) + acc[i][j]);
}

#define OUTER_EDGE(i) \
    case i: outer_micro(i, nv, a, lda, b, rows, c, ldc); break;
INLINE void outer_edge(int mr, const int nv, const float *a, int64_t lda, const float *b, int64_t rows, float *c,
                       int64_t ldc)
{
    switch (mr) {
        OUTER_EDGE(1) OUTER_EDGE(2) OUTER_EDGE(3) OUTER_EDGE(4) OUTER_EDGE(5)
    }
}

/* nv vectors of B's columns from col on, A's columns [from, to). */
INLINE void outer_panel(const outer_t *o, const int nv, int64_t col, int64_t from, int64_t to)
{
    float b[STRIP * PW];
    for (int64_t r = 0; r < o->rows; r += STRIP) {
        int64_t rows = cad_min(STRIP, o->rows - r), i = from;
        for (int64_t k = 0; k < rows; k++)
            for (int j = 0; j < nv; j++) vstore(b + (k * nv + j) * VW, vload(o->b + (r + k) * o->ldb + col + j * VW));
        for (; i + MR <= to; i += MR)
            outer_micro(MR, nv, o->a + r * o->lda + i, o->lda, b, rows, o->c + i * o->ldc + col, o->ldc);
        if (i < to)
            outer_edge((int)(to - i), nv, o->a + r * o->lda + i, o->lda, b, rows, o->c + i * o->ldc + col, o->ldc);
    }
}

static void outer_task(void *arg, int64_t task, int worker)
{
    const outer_t *o = arg;
    int64_t col = task / o->groups * PW, from = task % o->groups * SHARE, to = cad_min(from + SHARE, o->n);
    (void)worker;
    switch (cad_min(NV, (o->k - col) / VW)) {
    case 1: outer_panel(o, 1, col, from, to); break;
#if NV > 2
    case 2: outer_panel(o, 2, col, from, to); break;
    case 3: outer_panel(o, 3, col, from, to); break;
#endif
    case NV: outer_panel(o, NV, col, from, to); break;
    }
}

static void outer(back_t *b, const float *a, int64_t lda, int64_t n, const float *v, int64_t ldb, int64_t k, float *c,
                  int64_t ldc)
{
    outer_t o = { a, v, c, lda, ldb, ldc, n, k, b->f.s.end - b->f.s.beg, (n + SHARE - 1) / SHARE };
    cad_team_run(b->l->f.team, (k + PW - 1) / PW * o.groups, outer_task, &o);
}

/* c (k) += the sum of rows of a. */
static void add_columns(const float *a, int64_t lda, int64_t rows, int64_t k, float *c)
{
    for (int64_t i = 0; i < k; i += VW) {
        vf acc = vset(0.0f);
        for (int64_t r = 0; r < rows; r++) acc = acc + vload(a + r * lda + i);
        vstore(c + i, vload(c + i) + acc);
    }
}

/* ---- norm ---- */

/* dx += the gradient through norm(x) of dy (Dp); xhat (Dp) becomes the normalised x. */
static void norm_back_row(const cad_weights_t *w, const float *x, const float *weight, const float *dy, float *dx,
                          float *xhat)
{
    vf acc = vset(0.0f), mean = vset(0.0f), proj = vset(0.0f), shift = vset(0.0f), scale;
    float inv = 1.0f / (float)w->D;
    if (!w->rms) {
        for (int64_t i = 0; i < w->Dp; i += VW) acc = acc + vload(x + i);
        mean = vset(vsum(acc) * inv);
        acc = vset(0.0f);
    }
    for (int64_t i = 0; i < w->Dp; i += VW) {
        vf d = (vload(x + i) - mean) * vload(w->real + i);
        vstore(xhat + i, d);
        acc = vfma(d, d, acc);
    }
    scale = vset(1.0f / sqrtf(vsum(acc) * inv + w->eps));
    for (int64_t i = 0; i < w->Dp; i += VW) {
        vf h = vload(xhat + i) * scale, d = vload(dy + i) * vload(weight + i);
        vstore(xhat + i, h);
        proj = vfma(d, h, proj);
        shift = shift + d;
    }
    proj = vset(vsum(proj) * inv);
    shift = w->rms ? vset(0.0f) : vset(vsum(shift) * inv);
    for (int64_t i = 0; i < w->Dp; i += VW) {
        vf d = vload(dy + i) * vload(weight + i) - shift - vload(xhat + i) * proj;
        vstore(dx + i, vfma(d * vload(w->real + i), scale, vload(dx + i)));
    }
}

/* ---- the residual's gradient ---- */

static int back_start(cad_grad_lane_t *l, int64_t n)
{
    memset(l->dres, 0, (size_t)(n * l->grads->s.Dp) * sizeof(float));
    return 0;
}

static int back_divide(cad_grad_lane_t *l, int64_t n, bool times)
{
    n *= l->grads->s.Dp;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < n; i++) l->keep[k][i] = times ? l->keep[k][i] * l->dres[i] : l->dres[i];
    return 0;
}

/* ---- out ---- */

static void out_back_task(void *arg, int64_t task, int worker)
{
    back_t *b = arg;
    const cad_weights_t *w = b->l->f.weights;
    cad_span_t s = chunk_of(&b->f, task);
    dest_t g = { b->l->g, NULL, NULL, w->zero, w->Ep, STORE };
    (void)worker;
    product(b->l->dout + s.beg * w->Dp, w->Dp, s.end - s.beg, b->t->outt, w->Ep, w->Dp, &g, s.beg);
    memset(b->l->dx + s.beg * w->Ep, 0, (size_t)((s.end - s.beg) * w->Ep) * sizeof(float));
}

static int back_out(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    back_t b = back_for(l, layer, dir, s);
    share_rows(&b.f, &b, out_back_task);
    return 0;
}

/* ---- scan ---- */

#include "scan_back.h"

/* ---- conv ---- */

/* dxdbl and du of some rows: dt_in's columns first, whose padding B and C then cover. */
static void project_back_task(void *arg, int64_t task, int worker)
{
    back_t *b = arg;
    cad_grad_lane_t *l = b->l;
    const cad_weights_t *w = l->f.weights;
    cad_span_t s = chunk_of(&b->f, task);
    int64_t first = s.beg - b->f.s.beg, rows = s.end - s.beg, known = w->R + 2 * w->N;
    float *dxdbl = l->dxdbl + first * w->Sp, *du = l->du + first * w->Ep;
    dest_t dt = { dxdbl, NULL, NULL, w->zero, w->Sp, STORE }, u = { du, du, NULL, w->zero, w->Ep, ADD };
    (void)worker;
    product(l->dpre + first * w->Ep, w->Ep, rows, b->t->dtt, l->grads->s.Rp, w->Ep, &dt, 0);
    scatter(b, first, rows);
    for (int64_t r = 0; r < rows; r++) memset(dxdbl + r * w->Sp + known, 0, (size_t)(w->Sp - known) * sizeof(float));
    product(dxdbl, w->Sp, rows, b->t->xt, w->Ep, w->Sp, &u, 0);
}

/* Rows beg to end of sequence q, for VW channels: dx += w dc, dw += x dc, where dc =
 * du silu'(conv). Of any number of taps; dw (K), db. */
static void conv_back_any(const back_t *b, int q, int64_t beg, int64_t end, int64_t c, vf *dw, vf *db)
{
    const cad_grad_lane_t *l = b->l;
    const cad_span_t *s = &b->f.s;
    const packed_t *p = b->f.p;
    int64_t Ep = l->f.weights->Ep, K = l->f.weights->K, step = p->reverse ? -1 : 1;
    for (int64_t r = beg; r < end; r++) {
        int64_t past = p->reverse ? s->off[q + 1] - 1 - r : r - s->off[q], first = cad_max(0, K - 1 - past);
        vf sum = conv_sum(p, l->f.x + r * Ep, Ep, step, K, first, c), on = vsigmoid(sum);
        vf dc = vload(l->du + (r - s->beg) * Ep + c) * on * vfma(sum, vset(1.0f) - on, vset(1.0f));
        for (int64_t k = first; k < K; k++) {
            int64_t at = (r - step * (K - 1 - k)) * Ep + c;
            dw[k] = vfma(vload(l->f.x + at), dc, dw[k]);
            vstore(l->dx + at, vfma(vload(p->conv + k * Ep + c), dc, vload(l->dx + at)));
        }
        *db = *db + dc;
    }
}

#define TAPS 4 /* of the published models: x and dc of as many rows stay in registers */

typedef struct {
    vf w[TAPS], bias, x[TAPS - 1], dc[TAPS - 1], dw[TAPS], db;
} taps_t; /* x, dc: of the rows before, 0 where there are none */

/* n rows, ew apart. whole: the rows TAPS-1 before them exist, and their dx is then complete. */
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

/* The same of TAPS taps. */
static void conv_back_taps(const back_t *b, int q, int64_t beg, int64_t end, int64_t c, vf *dw, vf *db)
{
    const cad_grad_lane_t *l = b->l;
    const packed_t *p = b->f.p;
    int64_t Ep = l->f.weights->Ep, ew = p->reverse ? -Ep : Ep, rows = end - beg, first = p->reverse ? end - 1 : beg,
            r = 0;
    int64_t past = p->reverse ? b->f.s.off[q + 1] - end : beg - b->f.s.off[q]; /* rows of the sequence before these */
    const float *x = l->f.x + first * Ep + c, *du = l->du + (first - b->f.s.beg) * Ep + c;
    float *dx = l->dx + first * Ep + c;
    taps_t t = { .bias = vload(p->conv_bias + c), .db = *db };
    for (int k = 0; k < TAPS; k++) t.w[k] = vload(p->conv + k * Ep + c);
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

static void conv_back_task(void *arg, int64_t task, int worker)
{
    const back_t *b = arg;
    const cad_weights_t *w = b->l->f.weights;
    const cad_span_t *s = &b->f.s;
    int64_t from = task * b->f.chunk, to = cad_min(from + b->f.chunk, w->Ep), K = w->K;
    int first = find_seq(s, s->beg), last = find_seq(s, s->end - 1);
    (void)worker;
    for (int64_t c = from; c < to; c += VW) {
        vf dw[64], db = vset(0.0f); /* config.c: d_conv is at most 64 */
        for (int64_t k = 0; k < K; k++) dw[k] = vset(0.0f);
        for (int q = first; q <= last; q++) {
            piece_t p = piece_of(s, q, b->f.p->reverse);
            if (K == TAPS) conv_back_taps(b, q, p.beg, p.end, c, dw, &db);
            else conv_back_any(b, q, p.beg, p.end, c, dw, &db);
        }
        for (int64_t k = 0; k < K; k++) vstore(b->g->conv + k * w->Ep + c, vload(b->g->conv + k * w->Ep + c) + dw[k]);
        vstore(b->g->conv_bias + c, vload(b->g->conv_bias + c) + db);
    }
}

static int back_conv(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    const cad_weights_t *w = l->f.weights;
    back_t b = back_for(l, layer, dir, s);
    share_rows(&b.f, &b, project_back_task);
    outer(&b, l->dxdbl, w->Sp, w->R + 2 * w->N, l->f.u, w->Ep, w->Ep, b.g->x, w->Ep);
    outer(&b, l->f.xdbl, w->Sp, w->R, l->dpre, w->Ep, w->Ep, b.g->dt, w->Ep);
    share_blocks(&b, conv_back_task);
    return 0;
}

/* ---- in ---- */

/* u = y silu(z), g becomes dz, a the normalised rows, da their gradient. */
static void gate_back_task(void *arg, int64_t task, int worker)
{
    back_t *b = arg;
    cad_grad_lane_t *l = b->l;
    const cad_weights_t *w = l->f.weights;
    cad_span_t s = chunk_of(&b->f, task);
    int64_t first = s.beg - b->f.s.beg, rows = s.end - s.beg;
    float *da = l->da + first * w->Dp;
    const float *ys = l->f.y + s.beg * w->Ep, *zs = z_of(&l->f, s.beg);
    float *us = l->f.u + first * w->Ep, *gs = l->g + s.beg * w->Ep;
    dest_t x = { da, NULL, NULL, w->zero, w->Dp, STORE }, z = { da, da, NULL, w->zero, w->Dp, ADD };
    (void)worker;
    for (int64_t i = 0; i < rows * w->Ep; i += VW) {
        vf v = vload(zs + i), on = vsigmoid(v), y = vload(ys + i), g = vload(gs + i);
        vstore(us + i, y * (v * on));
        vstore(gs + i, g * y * on * vfma(v, vset(1.0f) - on, vset(1.0f)));
    }
    for (int64_t r = 0; r < rows; r++)
        norm_row(w, l->f.base + (s.beg + r) * w->Dp, b->f.norm, b->f.norm_bias, l->f.a + (first + r) * w->Dp);
    product(l->dx + s.beg * w->Ep, w->Ep, rows, b->t->in_xt, w->Dp, w->Ep, &x, 0);
    product(gs, w->Ep, rows, b->t->in_zt, w->Dp, w->Ep, &z, 0);
}

/* dres through the norm; a becomes da times the normalised residual. */
static void norm_back_task(void *arg, int64_t task, int worker)
{
    back_t *b = arg;
    cad_grad_lane_t *l = b->l;
    const cad_weights_t *w = l->f.weights;
    cad_span_t s = chunk_of(&b->f, task);
    (void)worker;
    for (int64_t r = s.beg; r < s.end; r++) {
        const float *da = l->da + (r - b->f.s.beg) * w->Dp;
        float *xhat = l->f.a + (r - b->f.s.beg) * w->Dp;
        norm_back_row(w, l->f.base + r * w->Dp, b->f.norm, da, l->dres + r * w->Dp, xhat);
        for (int64_t i = 0; i < w->Dp; i += VW) vstore(xhat + i, vload(xhat + i) * vload(da + i));
    }
}

static int back_in(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    const cad_weights_t *w = l->f.weights;
    back_t b = back_for(l, layer, dir, s);
    int64_t rows = s.end - s.beg;
    const float *dx = l->dx + s.beg * w->Ep, *dz = l->g + s.beg * w->Ep, *dout = l->dout + s.beg * w->Dp;
    b.f.norm = w->norm[layer];
    b.f.norm_bias = w->norm_bias[layer];
    share_rows(&b.f, &b, gate_back_task);
    outer(&b, dout, w->Dp, w->D, l->f.u, w->Ep, w->Ep, b.g->out, w->Ep);
    outer(&b, dx, w->Ep, l->grads->s.E, l->f.a, w->Dp, w->Dp, b.g->in_x, w->Dp);
    outer(&b, dz, w->Ep, l->grads->s.E, l->f.a, w->Dp, w->Dp, b.g->in_z, w->Dp);
    add_columns(dout, w->Dp, rows, w->Dp, b.g->out_bias);
    add_columns(dx, w->Ep, rows, w->Ep, b.g->in_x_bias);
    add_columns(dz, w->Ep, rows, w->Ep, b.g->in_z_bias);
    share_rows(&b.f, &b, norm_back_task);
    add_columns(l->f.a, w->Dp, rows, w->Dp, l->grads->s.norm[layer]);
    add_columns(l->da, w->Dp, rows, w->Dp, l->grads->s.norm_bias[layer]);
    return 0;
}

/* ---- embedding, head, pool ---- */

static void add_row(float *to, const float *from, float times, int64_t n)
{
    for (int64_t i = 0; i < n; i += VW) vstore(to + i, vfma(vload(from + i), vset(times), vload(to + i)));
}

static int back_embed(cad_grad_lane_t *l, const uint8_t *tok, cad_span_t s)
{
    int64_t Dp = l->grads->s.Dp;
    for (int64_t r = s.beg; r < s.end; r++) add_row(l->grads->s.embed + tok[r] * Dp, l->dres + r * Dp, 1.0f, Dp);
    return 0;
}

/* dres of row r from dh (Dp), the gradient of norm_f's output. */
static void final_norm_back(cad_grad_lane_t *l, int64_t r, const float *dh)
{
    const cad_weights_t *w = l->f.weights;
    float *xhat = l->f.row;
    norm_back_row(w, l->f.res + r * w->Dp, w->norm_f, dh, l->dres + r * w->Dp, xhat);
    for (int64_t i = 0; i < w->Dp; i += VW)
        vstore(l->grads->s.norm_f + i, vfma(vload(xhat + i), vload(dh + i), vload(l->grads->s.norm_f + i)));
    add_row(l->grads->s.norm_f_bias, dh, 1.0f, w->Dp);
}

static int back_head(cad_grad_lane_t *l, int strand, const int64_t *row, int64_t n, const float *dlogits)
{
    const cad_weights_t *w = l->f.weights;
    float *h = l->f.a, *dh = l->da;
    for (int64_t i = 0; i < n; i++) {
        norm_row(w, l->f.res + row[i] * w->Dp, w->norm_f, w->norm_f_bias, h);
        memset(dh, 0, (size_t)w->Dp * sizeof *dh);
        for (int64_t v = 0; v < w->V; v++) {
            add_row(dh, w->head[strand] + v * w->Dp, dlogits[i * w->V + v], w->Dp);
            add_row(l->grads->s.head[strand] + v * w->Dp, h, dlogits[i * w->V + v], w->Dp);
        }
        final_norm_back(l, row[i], dh);
    }
    return 0;
}

static void mean_back(cad_grad_lane_t *l, int64_t beg, int64_t end, const float *dpooled)
{
    float *dh = l->da;
    memset(dh, 0, (size_t)l->grads->s.Dp * sizeof *dh);
    for (int64_t d = 0; d < l->grads->s.D; d++) dh[d] = dpooled[d] / (float)(end - beg);
    for (int64_t r = beg; r < end; r++) final_norm_back(l, r, dh);
}

/* Channels [from, to), at most 64: each one's gradient goes to the first row that has its maximum. */
static void max_back(cad_grad_lane_t *l, int64_t beg, int64_t end, const float *dpooled, int64_t from, int64_t to)
{
    const cad_weights_t *w = l->f.weights;
    float *dh = l->da, *h = l->f.a, best[64];
    int64_t at[64];
    for (int64_t r = beg; r < end; r++) {
        norm_row(w, l->f.res + r * w->Dp, w->norm_f, w->norm_f_bias, h);
        for (int64_t d = from; d < to; d++)
            if (r == beg || h[d] > best[d - from]) {
                best[d - from] = h[d];
                at[d - from] = r;
            }
    }
    for (int64_t d = from; d < to; d++) {
        memset(dh, 0, (size_t)w->Dp * sizeof *dh);
        dh[d] = dpooled[d];
        final_norm_back(l, at[d - from], dh);
    }
}

static int back_pool(cad_grad_lane_t *l, int64_t beg, int64_t end, enum cad_pool_t how, const float *dpooled)
{
    int64_t D = l->grads->s.D;
    if (how == CAD_POOL_MEAN) mean_back(l, beg, end, dpooled);
    else
        for (int64_t d = 0; d < D; d += 64) max_back(l, beg, end, dpooled, d, cad_min(d + 64, D));
    return 0;
}

extern const cad_back_ops_t CAD_BACK_OPS;
const cad_back_ops_t CAD_BACK_OPS = {
    .name = NAME,
    .rows = 4096,
    .least = 4096,
    .round = 1,
    .tile = 128 /* a multiple of CAD_STRETCH */,
    .keeps = true,
    .lanes = 2,
    .take = cad_cpu_take,
    .give = cad_cpu_give,
    .carve = cad_cpu_carve_back,
    .open = grads_open,
    .close = grads_close,
    .renew = grads_renew,
    .collect = grads_collect,
    .start = back_start,
    .divide = back_divide,
    .embed = back_embed,
    .out = back_out,
    .scan = back_scan,
    .conv = back_conv,
    .in = back_in,
    .head = back_head,
    .pool = back_pool,
};
