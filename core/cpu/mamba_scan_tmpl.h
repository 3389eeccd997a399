/* mamba_scan_tmpl.h - forward pass of the selective scan: s = exp(dt A) s + dt u B and y = s.C + skip u, with the state
 * s and dt = softplus(dt_in dt_proj^T + bias). mamba_scan_back_tmpl.h has the backward pass.
 *
 * Macro parameters: CAD_ISA_* of simd.h.
 *
 * A task runs one vector of VW channels at a time through the rows of a span, in stretches of at most CAD_STRETCH rows.
 * Each channel has N states; the states of the vector, (N,VW), stay in the first-level cache.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA_SCAN_TMPL_H
#define CAD_MAMBA_SCAN_TMPL_H

#include "mamba_tmpl.h"

#define STRETCH CAD_STRETCH

typedef struct { /* consecutive rows of one sequence, run in one or more stretches, for VW channels */
    const mamba_t *m;
    int64_t c;             /* first channel */
    const float *u, *xdbl; /* at the row that is first in memory */
    float *y;
    const float *z; /* NULL: y is not gated */
    int seq;
    int64_t row;  /* index of the first of these rows in the pack */
    int64_t rows; /* number of rows */
    bool add;     /* add the result to y, which holds the first direction's y */
    float *keep;  /* memory for the states before each stretch, which the backward pass reads; or NULL */
} stretch_t;

/* Computes pre = dt_in x dt_proj^T + bias and dt = softplus(pre) of n rows from `at` onwards, which are `step`
 * rows apart in memory. */
INLINE void delta_rows(const stretch_t *t, int64_t at, const int64_t step, const int n, vf *pre, vf *dt)
{
    const mamba_t *m = t->m;
    const float *in = t->xdbl + at * m->Sp, *p = m->dt + t->c;
    REPEAT(i, n) pre[i] = vload(m->dt_bias + t->c);
    for (int64_t r = 0; r < m->R; r++, p += m->Ep) {
        vf v = vload(p);
        REPEAT(i, n) pre[i] = vfma(vset(in[i * step * m->Sp + r]), v, pre[i]);
    }
    REPEAT(i, n) dt[i] = pre[i];
    vsoftpluses(n, dt);
}

INLINE void delta_some(const stretch_t *t, int64_t at, const int n, float *to)
{
    vf pre[GROUP], dt[GROUP];
    delta_rows(t, at, 1, n, pre, dt);
    REPEAT(i, n) vstore(to + i * VW, dt[i]);
}

/* Computes dt (end-beg,VW) of rows [beg, end). */
INLINE void delta(const stretch_t *t, int64_t beg, int64_t end, float *dt)
{
    int64_t r = beg;
    for (; r + GROUP <= end; r += GROUP) delta_some(t, r, GROUP, dt + (r - beg) * VW);
    for (; r + FEW <= end; r += FEW) delta_some(t, r, FEW, dt + (r - beg) * VW);
    for (; r < end; r++) delta_some(t, r, 1, dt + (r - beg) * VW);
}

/* Returns the address of a state (N,VW) that is kept for the backward pass: the state of sequence q before the stretch
 * that contains `row`, for VW channels from c onwards. Row numbers count from the start of the pack. When states are
 * kept, stretches end at multiples of STRETCH rows of the pack. */
INLINE float *kept_state(const mamba_t *m, float *state, int q, int64_t row, int64_t c)
{
    return state + ((row / STRETCH + q) * m->Ep + c) * m->N;
}

static stretch_t rows_of_piece(const mamba_call_t *call, int q, const piece_t *p, int64_t c)
{
    const cad_mamba_lane_t *w = call->w;
    const mamba_t *m = call->m;
    int64_t at = p->beg - call->share.span.beg;
    return (stretch_t) { .m = m,
                         .c = c,
                         .u = w->u + at * m->Ep + c,
                         .xdbl = w->xdbl + at * m->Sp,
                         .y = w->y + p->beg * m->Ep + c,
                         .z = call->gate ? z_row(call, p->beg) + c : NULL,
                         .seq = q,
                         .row = p->beg,
                         .rows = p->end - p->beg,
                         .add = call->add,
                         .keep = w->state[call->dir] };
}

/* Prefetches y and z of n rows from r onwards, and u of the rows that come AHEAD rows later. The hardware does not
 * prefetch these addresses, because rows are far apart in memory. */
INLINE void prefetch_rows(const stretch_t *t, int64_t r, const int n, int64_t step)
{
    for (int i = 0; i < n; i++, r += step) {
        int64_t at = r * t->m->Ep, ahead = cad_min(cad_max(r + AHEAD * step, 0), t->rows - 1);
        __builtin_prefetch(t->u + ahead * t->m->Ep);
        __builtin_prefetch(t->y + at, 1);
        if (t->z) __builtin_prefetch(t->z + at);
    }
}

/* Scans n rows: the first is row `at` of the stretch that begins with row beg; the next is `step` (1 or -1) rows later
 * in memory. Updates the state s (N,VW); reads dt and stores y, arrays (n,VW) of the stretch. The decays of these rows
 * do not depend on s, so they are computed together. */
INLINE void scan_some(const stretch_t *t, int64_t beg, int64_t at, const int n, int64_t step, const int64_t N,
                      const bool rough, const float *dt, float *y, float *s)
{
    const mamba_t *m = t->m;
    const float *a = m->a + t->c * N, *u = t->u + (beg + at) * m->Ep, *B = t->xdbl + (beg + at) * m->Sp + m->R;
    const int64_t uw = step * m->Ep, bw = step * m->Sp, dw = step * VW;
    vf d[GROUP], du[GROUP], sum[GROUP];
    REPEAT(i, n) d[i] = vload(dt + at * VW + i * dw);
    REPEAT(i, n) du[i] = vload(u + i * uw);
    REPEAT(i, n) sum[i] = vload(m->skip + t->c) * du[i];
    REPEAT(i, n) du[i] = d[i] * du[i];
    for (int64_t k = 0; k < N; k++, B++) {
        vf x[GROUP], h = vload(s + k * VW), v = vload(a + k * VW);
        REPEAT(i, n) x[i] = d[i] * v;
        if (rough) vdecays_rough(n, x);
        else vdecays(n, x);
        REPEAT(i, n) {
            h = vfma(x[i], h, du[i] * vset(B[i * bw]));
            sum[i] = vfma(h, vset(B[i * bw + N]), sum[i]);
        }
        vstore(s + k * VW, h);
    }
    REPEAT(i, n) vstore(y + at * VW + i * dw, sum[i]);
}

/* Stores n rows of y, from row r onwards: `from` (n,VW), plus the first direction's y if t->add is set, and then
 * multiplied by silu(z) if t->z is not NULL. */
INLINE void store_rows(const stretch_t *t, int64_t r, const int n, const float *from)
{
    int64_t Ep = t->m->Ep;
    float *y = t->y + r * Ep;
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

/* Finds the stretch that comes after the first i rows in the direction of the scan. Returns its first row in memory
 * order and sets *n to its length. A stretch ends at a multiple of STRETCH rows, counted from the pack's first row if
 * states are kept, else from the first row of t. */
static int64_t next_stretch(const stretch_t *t, int64_t i, int64_t *n)
{
    int64_t from = t->keep ? t->row : 0, end = t->rows - i;
    if (!t->m->reverse) {
        *n = cad_min(STRETCH - (from + i) % STRETCH, end);
        return i;
    }
    *n = cad_min((from + end - 1) % STRETCH + 1, end);
    return end - *n;
}

/* Scans all rows of t. s (N,VW): on entry the state before the first row in the direction of the scan, on return
 * the state after the last one. */
INLINE void scan_rows(const stretch_t *t, const int64_t N, const bool rough, float *s)
{
    float dt[STRETCH * VW], y[STRETCH * VW];
    int64_t step = t->m->reverse ? -1 : 1;
    for (int64_t i = 0, n, r; i < t->rows; i += n) {
        int64_t beg = next_stretch(t, i, &n), at = t->m->reverse ? n - 1 : 0;
        delta(t, beg, beg + n, dt);
        if (t->keep) memcpy(kept_state(t->m, t->keep, t->seq, t->row + beg, t->c), s, (size_t)(N * VW) * sizeof *s);
        for (r = 0; r + FEW <= n; r += FEW) {
            prefetch_rows(t, beg + at + r * step, FEW, step);
            scan_some(t, beg, at + r * step, FEW, step, N, rough, dt, y, s);
        }
        for (; r < n; r++) scan_some(t, beg, at + r * step, 1, step, N, rough, dt, y, s);
        for (r = 0; r + GROUP <= n; r += GROUP) store_rows(t, beg + r, GROUP, y + r * VW);
        for (; r + FEW <= n; r += FEW) store_rows(t, beg + r, FEW, y + r * VW);
        for (; r < n; r++) store_rows(t, beg + r, 1, y + r * VW);
    }
}

static void scan_16(const stretch_t *t, float *s) { scan_rows(t, 16, false, s); }
static void scan_16_rough(const stretch_t *t, float *s) { scan_rows(t, 16, true, s); }
static void scan_any(const stretch_t *t, float *s) { scan_rows(t, t->m->N, false, s); }

static void scan_piece(const mamba_call_t *call, int q, int64_t c)
{
    const mamba_t *m = call->m;
    piece_t p = piece_of(&call->share.span, q, m->reverse);
    float *carry = call->w->carry + c * m->N;
    stretch_t t = rows_of_piece(call, q, &p, c);
    if (p.first) memset(carry, 0, (size_t)m->N * VW * sizeof *carry);
    if (m->N == 16 && is_rough(m->numbers)) scan_16_rough(&t, carry);
    else if (m->N == 16) scan_16(&t, carry);
    else scan_any(&t, carry);
}

static void scan_task(void *arg, int64_t task, int worker)
{
    const mamba_call_t *call = arg;
    const cad_span_t *s = &call->share.span;
    bool reverse = call->m->reverse;
    int first = find_seq(s, s->beg), last = find_seq(s, s->end - 1);
    int64_t from = task * call->share.size, to = cad_min(from + call->share.size, call->m->Ep);
    (void)worker;
    for (int i = 0; i <= last - first; i++)
        for (int64_t c = from; c < to; c += VW) scan_piece(call, reverse ? last - i : first + i, c);
}

static int mamba_scan(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba_call_t c = mamba_call(l, layer, dir, s);
    int64_t Ep = c.m->Ep, threads = cad_team_threads(l->team);
    c.add = how & CAD_SCAN_ADD;
    c.gate = how & CAD_SCAN_GATE;
    share_channels(&c.share, &c, scan_task, Ep, cad_round_up((Ep + threads - 1) / threads, VW));
    return 0;
}

#endif
