/* forward.h - the table of operations (ops.h). Included after kernels.h.
 * SPDX-License-Identifier: MIT */
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

static void in_task(void *arg, int64_t task, int worker)
{
    job_t *j = arg;
    const cad_weights_t *w = j->l->weights;
    cad_span_t s = chunk_of(j, task), gate = cad_span_need(s, 0);
    float *a = j->l->a + (s.beg - j->s.beg) * w->Dp;
    dest_t x = { j->l->x, NULL, NULL, j->p->in_x_bias, w->Ep, STORE }, z = { j->l->z, NULL, NULL, j->p->in_z_bias, w->Ep, STORE };
    (void)worker;
    for (int64_t r = s.beg; r < s.end; r++)
        norm_row(w, j->l->base + r * w->Dp, j->norm, j->norm_bias, a + (r - s.beg) * w->Dp);
    if (j->parts & CAD_IN_X) product(a, w->Dp, s.end - s.beg, j->p->in_x, w->Ep, w->Dp, &x, s.beg);
    if (j->parts & CAD_IN_Z) product(a + (gate.beg - s.beg) * w->Dp, w->Dp, gate.end - gate.beg, j->p->in_z, w->Ep, w->Dp, &z, gate.beg);
}

static int op_in(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned parts)
{
    job_t j = job_for(l, layer, dir, s);
    j.parts = parts;
    j.norm = l->weights->norm[layer];
    j.norm_bias = l->weights->norm_bias[layer];
    share_rows(&j, &j, in_task);
    return 0;
}

/* ---- conv ---- */

INLINE void conv_row(const pack_t *p, const float *x, int64_t Ep, int64_t step, const int64_t K, int64_t first, float *u)
{
    for (int64_t c = 0; c < Ep; c += VW) vstore(u + c, vsilu(conv_sum(p, x, Ep, step, K, first, c)));
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
    product(u, w->Ep, s.end - s.beg, j->p->x, w->Sp, w->Ep, &d, 0);
}

static int op_conv(cad_lane_t *l, int layer, int dir, cad_span_t s)
{
    job_t j = job_for(l, layer, dir, s);
    share_rows(&j, &j, conv_task);
    return 0;
}

/* ---- scan ---- */

/* Rows are far apart in memory: ask for those that come next. */
INLINE void fetch_ahead(const stretch_t *t, int64_t r, int64_t step)
{
    int64_t ahead = r + AHEAD * step;
    if (ahead < 0 || ahead >= t->rows) return;
    __builtin_prefetch(t->u + ahead * t->w->Ep);
    if (t->add) __builtin_prefetch(t->y + ahead * t->w->Ep, 1);
    if (t->z) __builtin_prefetch(t->z + ahead * t->w->Ep);
}

/* One row: s = exp(dt A) s + dt u B, y = s.C + skip u. */
INLINE void scan_row(const stretch_t *t, int64_t r, const int64_t N, vf dt, vf *s)
{
    const cad_weights_t *w = t->w;
    const float *a = t->p->a + t->c * N, *B = t->xdbl + r * w->Sp + w->R, *C = B + N;
    float *y = t->y + r * w->Ep;
    vf u = vload(t->u + r * w->Ep), dtu = dt * u, part[4] = { vset(0.0f), vset(0.0f), vset(0.0f), vset(0.0f) }, sum;
#pragma GCC unroll 16
    for (int64_t n = 0; n < N; n++) {
        s[n] = vfma(vdecay(dt * vload(a + n * VW)), s[n], dtu * vset(B[n]));
        part[n & 3] = vfma(s[n], vset(C[n]), part[n & 3]);
    }
    sum = vfma(vload(t->p->skip + t->c), u, (part[0] + part[1]) + (part[2] + part[3]));
    if (t->add) sum = vload(y) + sum;
    if (t->z) sum = sum * vsilu(vload(t->z + r * w->Ep));
    vstore(y, sum);
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

/* carry: (N,VW). With N known, the states stay in registers. */
INLINE void scan_rows(const stretch_t *t, const int64_t N, float *carry, vf *s)
{
    float dt[STRETCH * VW];
    for (int64_t n = 0; n < N; n++) s[n] = vload(carry + n * VW);
    for (int64_t i = 0, n; i < t->rows; i += n) {
        int64_t beg = next_stretch(t, i, &n);
        delta(t, beg, beg + n, NULL, dt);
        if (t->keep)
            for (int64_t k = 0; k < N; k++) vstore(kept_state(t->w, t->keep, t->seq, t->row + beg, t->c) + k * VW, s[k]);
        if (t->p->reverse)
            for (int64_t r = n - 1; r >= 0; r--) {
                fetch_ahead(t, beg + r, -1);
                scan_row(t, beg + r, N, vload(dt + r * VW), s);
            }
        else
            for (int64_t r = 0; r < n; r++) {
                fetch_ahead(t, beg + r, 1);
                scan_row(t, beg + r, N, vload(dt + r * VW), s);
            }
    }
    for (int64_t n = 0; n < N; n++) vstore(carry + n * VW, s[n]);
}

static void scan_16(const stretch_t *t, float *carry)
{
    vf s[16];
    scan_rows(t, 16, carry, s);
}

static void scan_any(const stretch_t *t, float *carry)
{
    vf s[1024]; /* config.c: d_state is at most 1024 */
    scan_rows(t, t->w->N, carry, s);
}

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
    product(j->l->y + s.beg * w->Ep, w->Ep, s.end - s.beg, j->p->out, w->Dp, w->Ep, &j->dest, s.beg);
}

static int op_out(cad_lane_t *l, int layer, int dir, cad_span_t s, cad_out_t how)
{
    job_t j = job_for(l, layer, dir, s);
    float *c = how == CAD_OUT_KEEP ? l->h : l->res;
    j.dest = (dest_t){ c, l->base, l->h, j.p->out_bias, l->weights->Dp,
                       how == CAD_OUT_KEEP ? STORE : how == CAD_OUT_ADD ? ADD : how == CAD_OUT_PLUS ? PLUS : TIMES };
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

extern const cad_ops_t CAD_OPS;
const cad_ops_t CAD_OPS = {
    .name = NAME, .precision = "fp32", .tile = TILE, .wide = 4, .pack = 2048, .least = 2048, .split = 16384,
    .weights_open = weights_open, .weights_renew = weights_renew, .weights_close = weights_close, .extent = extent,
    .lane_open = cad_cpu_lane_open, .lane_close = cad_cpu_lane_close, .read = cad_cpu_read,
    .embed = op_embed, .in = op_in, .conv = op_conv, .scan = op_scan, .out = op_out,
    .head = op_head, .pool = op_pool,
};
