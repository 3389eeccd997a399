/* forward.h - the table of operations (ops.h). Included after kernels.h.
 * SPDX-License-Identifier: MIT */
/* ---- products with weights ---- */

#define ROOM 65536 /* bfloat16 numbers of A that a product holds */

/* A is rounded to bfloat16; packed holds pairs, k numbers a row. */
static void product_half(const float *a, int64_t lda, int64_t rows, const float *packed, int64_t n, int64_t k,
                         const dest_t *d, int64_t row)
{
    int64_t most = cad_max(MR, cad_min(TILE, ROOM / k / MR * MR));
    uint16_t pairs[most * k] __attribute__((aligned(64)));
    for (int64_t r = 0, m; r < rows; r += m) {
        m = cad_min(most, rows - r);
        for (int64_t i = 0; i < m; i++)
            for (int64_t p = 0; p < k; p += VW) vhalves(pairs + i * k + p, vload(a + (r + i) * lda + p));
        panels(true, (const float *)pairs, k / 2, m, packed, n, k / 2, d, row + r);
    }
}

/* A product with weights, of the precision they were packed in. */
static void project(const cad_weights_t *w, const float *a, int64_t lda, int64_t rows, const float *packed, int64_t n,
                    int64_t k, const dest_t *d, int64_t row)
{
    if (w->half) product_half(a, lda, rows, packed, n, k, d, row);
    else product(a, lda, rows, packed, n, k, d, row);
}

#include "weights.h"

/* ---- embed ---- */

static int op_embed(cad_lane_t *l, const uint8_t *tok, cad_span_t s)
{
    const cad_weights_t *w = l->weights;
    for (int64_t r = s.beg; r < s.end; r++)
        memcpy(l->res + r * w->Dp, w->embed + tok[r] * w->Dp, (size_t)w->Dp * sizeof(float));
    return 0;
}

/* ---- in ---- */

static void copy_first(const float *first, int64_t Ep, const uint8_t *tok, int64_t n, float *to)
{
    for (int64_t r = 0; r < n; r++) memcpy(to + r * Ep, first + tok[r] * Ep, (size_t)Ep * sizeof *to);
}

/* Layer 0, from the tokens. */
static void first_task(void *arg, int64_t task, int worker)
{
    job_t *j = arg;
    const cad_weights_t *w = j->l->weights;
    cad_span_t s = chunk_of(j, task), gate = cad_span_need(s, 0);
    (void)worker;
    if (j->parts & CAD_IN_X)
        copy_first(w->first_x[j->dir], w->Ep, j->l->tok + s.beg, s.end - s.beg, j->l->x + s.beg * w->Ep);
    if (j->parts & CAD_IN_Z)
        copy_first(w->first_z[j->dir], w->Ep, j->l->tok + gate.beg, gate.end - gate.beg, z_of(j->l, gate.beg));
}

static void in_task(void *arg, int64_t task, int worker)
{
    job_t *j = arg;
    const cad_weights_t *w = j->l->weights;
    cad_span_t s = chunk_of(j, task), gate = cad_span_need(s, 0);
    float *a = j->l->a + (s.beg - j->s.beg) * w->Dp;
    dest_t x = { j->l->x, NULL, NULL, j->p->in_x_bias, w->Ep, STORE },
           z = { j->l->z, NULL, NULL, j->p->in_z_bias, w->Ep, STORE };
    (void)worker;
    for (int64_t r = s.beg; r < s.end; r++)
        norm_row(w, j->l->base + r * w->Dp, j->norm, j->norm_bias, a + (r - s.beg) * w->Dp);
    if (j->parts & CAD_IN_X) project(w, a, w->Dp, s.end - s.beg, j->p->in_x, w->Ep, w->Dp, &x, s.beg);
    if (j->parts & CAD_IN_Z)
        project(w, a + (gate.beg - s.beg) * w->Dp, w->Dp, gate.end - gate.beg, j->p->in_z, w->Ep, w->Dp, &z,
                gate.beg % j->l->zrows);
}

static int op_in(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned parts)
{
    job_t j = job_for(l, layer, dir, s);
    j.parts = parts;
    j.norm = l->weights->norm[layer];
    j.norm_bias = l->weights->norm_bias[layer];
    share_rows(&j, &j, parts & CAD_IN_TOKENS && l->weights->first_x[0] ? first_task : in_task);
    return 0;
}

/* ---- conv ---- */

INLINE void conv_some(const packed_t *p, const float *x, int64_t Ep, int64_t step, const int64_t K, int64_t first,
                      int64_t c, const int n, float *u)
{
    vf v[GROUP];
    REPEAT(i, n) v[i] = conv_sum(p, x, Ep, step, K, first, c + i * VW);
    vsilus(n, v);
    REPEAT(i, n) vstore(u + c + i * VW, v[i]);
}

INLINE void conv_row(const packed_t *p, const float *x, int64_t Ep, int64_t step, const int64_t K, int64_t first,
                     float *u)
{
    int64_t c = 0;
    for (; c + GROUP * VW <= Ep; c += GROUP * VW) conv_some(p, x, Ep, step, K, first, c, GROUP, u);
    for (; c + FEW * VW <= Ep; c += FEW * VW) conv_some(p, x, Ep, step, K, first, c, FEW, u);
    for (; c < Ep; c += VW) conv_some(p, x, Ep, step, K, first, c, 1, u);
}

static void conv_task(void *arg, int64_t task, int worker)
{
    job_t *j = arg;
    const cad_weights_t *w = j->l->weights;
    cad_span_t s = chunk_of(j, task);
    int64_t step = j->p->reverse ? -1 : 1, first = s.beg - j->s.beg;
    float *u = j->l->u + first * w->Ep;
    dest_t d = { j->l->xdbl + first * w->Sp, NULL, NULL, w->zero, w->Sp, STORE };
    int q = find_seq(&s, s.beg);
    (void)worker;
    for (int64_t r = s.beg; r < s.end; r++) {
        while (r >= s.off[q + 1]) q++;
        int64_t past = j->p->reverse ? s.off[q + 1] - 1 - r : r - s.off[q];
        const float *x = j->l->x + r * w->Ep;
        float *to = u + (r - s.beg) * w->Ep;
        if (w->K == 4 && past >= 3) conv_row(j->p, x, w->Ep, step, 4, 0, to);
        else conv_row(j->p, x, w->Ep, step, w->K, cad_max(0, w->K - 1 - past), to);
    }
    project(w, u, w->Ep, s.end - s.beg, j->p->x, w->Sp, w->Ep, &d, 0);
}

static int op_conv(cad_lane_t *l, int layer, int dir, cad_span_t s)
{
    job_t j = job_for(l, layer, dir, s);
    share_rows(&j, &j, conv_task);
    return 0;
}

/* ---- scan ---- */

/* Rows are far apart in memory: ask for u of those that come next, and for what n rows end with. */
INLINE void fetch_ahead(const stretch_t *t, int64_t r, const int n, int64_t step)
{
    for (int i = 0; i < n; i++, r += step) {
        int64_t at = r * t->w->Ep, ahead = cad_min(cad_max(r + AHEAD * step, 0), t->rows - 1);
        __builtin_prefetch(t->u + ahead * t->w->Ep);
        __builtin_prefetch(t->y + at, 1);
        if (t->z) __builtin_prefetch(t->z + at);
    }
}

/* n rows from `at` of a stretch that begins with row beg; step 1 or -1 in memory:
 * s = exp(dt A) s + dt u B, y = s.C + skip u. */
INLINE void scan_some(const stretch_t *t, int64_t beg, int64_t at, const int n, int64_t step, const int64_t N,
                      const float *dt, float *y, float *s)
{
    const cad_weights_t *w = t->w;
    const float *a = t->p->a + t->c * N, *u = t->u + (beg + at) * w->Ep, *B = t->xdbl + (beg + at) * w->Sp + w->R;
    const int64_t uw = step * w->Ep, bw = step * w->Sp, dw = step * VW;
    vf d[GROUP], du[GROUP], sum[GROUP];
    REPEAT(i, n) d[i] = vload(dt + at * VW + i * dw);
    REPEAT(i, n) du[i] = vload(u + i * uw);
    REPEAT(i, n) sum[i] = vload(t->p->skip + t->c) * du[i];
    REPEAT(i, n) du[i] = d[i] * du[i];
    for (int64_t k = 0; k < N; k++, B++) {
        vf x[GROUP], h = vload(s + k * VW), v = vload(a + k * VW);
        REPEAT(i, n) x[i] = d[i] * v;
        vdecays(n, x);
        REPEAT(i, n) {
            h = vfma(x[i], h, du[i] * vset(B[i * bw]));
            sum[i] = vfma(h, vset(B[i * bw + N]), sum[i]);
        }
        vstore(s + k * VW, h);
    }
    REPEAT(i, n) vstore(y + at * VW + i * dw, sum[i]);
}

/* What a scan leaves of n rows. */
INLINE void leave_rows(const stretch_t *t, int64_t r, const int n, const float *from)
{
    float *y = t->y + r * t->w->Ep;
    int64_t Ep = t->w->Ep;
    vf v[GROUP], g[GROUP];
    REPEAT(i, n) v[i] = vload(from + i * VW);
    if (t->add)
        REPEAT(i, n) v[i] = vload(y + i * Ep) + v[i];
    if (t->z) {
        REPEAT(i, n) g[i] = vload(t->z + (r + i) * Ep);
        vsilus(n, g);
        REPEAT(i, n) v[i] = v[i] * g[i];
    }
    REPEAT(i, n) vstore(y + i * Ep, v[i]);
}

/* The n rows that follow i rows in time: the first in memory. They end where a
 * multiple of STRETCH does, of the pack's rows if states are kept. */
static int64_t next_stretch(const stretch_t *t, int64_t i, int64_t *n)
{
    int64_t from = t->keep ? t->row : 0, end = t->rows - i;
    if (!t->p->reverse) {
        *n = cad_min(STRETCH - (from + i) % STRETCH, end);
        return i;
    }
    *n = cad_min((from + end - 1) % STRETCH + 1, end);
    return end - *n;
}

/* s: (N,VW), the states. */
INLINE void scan_rows(const stretch_t *t, const int64_t N, float *s)
{
    float dt[STRETCH * VW], y[STRETCH * VW];
    int64_t step = t->p->reverse ? -1 : 1;
    for (int64_t i = 0, n, r; i < t->rows; i += n) {
        int64_t beg = next_stretch(t, i, &n), at = t->p->reverse ? n - 1 : 0;
        delta(t, beg, beg + n, dt);
        if (t->keep) memcpy(kept_state(t->w, t->keep, t->seq, t->row + beg, t->c), s, (size_t)(N * VW) * sizeof *s);
        for (r = 0; r + FEW <= n; r += FEW) {
            fetch_ahead(t, beg + at + r * step, FEW, step);
            scan_some(t, beg, at + r * step, FEW, step, N, dt, y, s);
        }
        for (; r < n; r++) scan_some(t, beg, at + r * step, 1, step, N, dt, y, s);
        for (r = 0; r + GROUP <= n; r += GROUP) leave_rows(t, beg + r, GROUP, y + r * VW);
        for (; r + FEW <= n; r += FEW) leave_rows(t, beg + r, FEW, y + r * VW);
        for (; r < n; r++) leave_rows(t, beg + r, 1, y + r * VW);
    }
}

static void scan_16(const stretch_t *t, float *s) { scan_rows(t, 16, s); }
static void scan_any(const stretch_t *t, float *s) { scan_rows(t, t->w->N, s); }

static void scan_piece(const job_t *j, int q, int64_t c)
{
    const cad_weights_t *w = j->l->weights;
    piece_t p = piece_of(&j->s, q, j->p->reverse);
    float *carry = j->l->carry + c * w->N;
    stretch_t t = rows_of_piece(j, q, &p, c);
    if (p.first) memset(carry, 0, (size_t)w->N * VW * sizeof *carry);
    if (w->N == 16) scan_16(&t, carry);
    else scan_any(&t, carry);
}

static void scan_task(void *arg, int64_t task, int worker)
{
    const job_t *j = arg;
    int first = find_seq(&j->s, j->s.beg), last = find_seq(&j->s, j->s.end - 1);
    int64_t Ep = j->l->weights->Ep, from = task * j->chunk, to = cad_min(from + j->chunk, Ep);
    (void)worker;
    for (int i = 0; i <= last - first; i++)
        for (int64_t c = from; c < to; c += VW) scan_piece(j, j->p->reverse ? last - i : first + i, c);
}

static int op_scan(cad_lane_t *l, int layer, int dir, cad_span_t s, bool add, bool gate)
{
    job_t j = job_for(l, layer, dir, s);
    int64_t Ep = l->weights->Ep, threads = cad_team_threads(l->team);
    j.add = add;
    j.gate = gate;
    j.chunk = cad_round_up((Ep + threads - 1) / threads, VW);
    cad_team_run(l->team, (Ep + j.chunk - 1) / j.chunk, scan_task, &j);
    return 0;
}

/* ---- out ---- */

static void out_task(void *arg, int64_t task, int worker)
{
    job_t *j = arg;
    const cad_weights_t *w = j->l->weights;
    cad_span_t s = chunk_of(j, task);
    (void)worker;
    project(w, j->l->y + s.beg * w->Ep, w->Ep, s.end - s.beg, j->p->out, w->Dp, w->Ep, &j->dest, s.beg);
}

static int op_out(cad_lane_t *l, int layer, int dir, cad_span_t s, cad_out_t how)
{
    job_t j = job_for(l, layer, dir, s);
    float *c = how == CAD_OUT_KEEP ? l->h : l->res;
    j.dest = (dest_t) { c,
                        l->base,
                        l->h,
                        j.p->out_bias,
                        l->weights->Dp,
                        how == CAD_OUT_KEEP   ? STORE
                        : how == CAD_OUT_ADD  ? ADD
                        : how == CAD_OUT_PLUS ? PLUS
                                              : TIMES };
    share_rows(&j, &j, out_task);
    return 0;
}

/* ---- head and pool ---- */

static const float *final_norm(cad_lane_t *l, int64_t r)
{
    const cad_weights_t *w = l->weights;
    norm_row(w, l->res + r * w->Dp, w->norm_f, w->norm_f_bias, l->row);
    return l->row;
}

static int op_head(cad_lane_t *l, const cad_pick_t *pick, int64_t n)
{
    const cad_weights_t *w = l->weights;
    for (int64_t i = 0; i < n; i++) {
        const float *h = final_norm(l, pick[i].row);
        for (int64_t v = 0; v < w->V; v++) {
            const float *t = w->head[pick[i].strand] + v * w->Dp;
            vf acc = vset(0.0f);
            for (int64_t d = 0; d < w->Dp; d += VW) acc = vfma(vload(h + d), vload(t + d), acc);
            pick[i].to[v] = vsum(acc);
        }
    }
    return 0;
}

static void pool_range(cad_lane_t *l, const cad_range_t *p)
{
    const cad_weights_t *w = l->weights;
    if (p->how == CAD_POOL_MEAN) memset(l->sum, 0, (size_t)w->D * sizeof *l->sum);
    for (int64_t r = p->beg; r < p->end; r++) {
        const float *h = final_norm(l, r);
        if (p->how == CAD_POOL_NONE || (p->how == CAD_POOL_MAX && r == p->beg))
            memcpy(p->to + (p->how == CAD_POOL_NONE ? (r - p->beg) * w->D : 0), h, (size_t)w->D * sizeof *h);
        else if (p->how == CAD_POOL_MAX)
            for (int64_t d = 0; d < w->D; d++) p->to[d] = h[d] > p->to[d] ? h[d] : p->to[d];
        else
            for (int64_t d = 0; d < w->D; d++) l->sum[d] += (double)h[d];
    }
    if (p->how == CAD_POOL_MEAN)
        for (int64_t d = 0; d < w->D; d++) p->to[d] = (float)(l->sum[d] / (double)(p->end - p->beg));
}

static int op_pool(cad_lane_t *l, const cad_range_t *range, int64_t n)
{
    for (int64_t i = 0; i < n; i++) pool_range(l, &range[i]);
    return 0;
}

#define TABLE(kind)                                                                                                 \
    {                                                                                                               \
        .name = NAME, .precision = kind, .tile = TILE, .wide = 4, .pack = 2048, .least = 2048, .split = 16384,      \
        .late = true, .weights_open = weights_open, .weights_renew = weights_renew, .weights_close = weights_close, \
        .lane_open = cad_cpu_lane_open, .lane_close = cad_cpu_lane_close, .read = cad_cpu_read, .embed = op_embed,  \
        .in = op_in, .conv = op_conv, .scan = op_scan, .out = op_out, .head = op_head, .pool = op_pool              \
    }
#if defined(CAD_OPS)
extern const cad_ops_t CAD_OPS;
const cad_ops_t CAD_OPS = TABLE("fp32");
#endif
extern const cad_ops_t CAD_HALF_OPS;
const cad_ops_t CAD_HALF_OPS = TABLE("bf16");
