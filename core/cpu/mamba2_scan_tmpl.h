/* mamba2_scan_tmpl.h - forward pass of Mamba-2's convolution, scan and gated norm. blocks/mamba2.h has the equations of
 * the scan; mamba2_scan_back_tmpl.h has the backward pass.
 *
 * Macro parameters: CAD_ISA_* of simd.h.
 *
 * The scan runs in chunks of QROWS rows. For each chunk and group of heads, one task computes the scores C[t].B[j],
 * which all heads of the group share. Then each task takes some heads and runs each of them through all chunks of the
 * span; a head's state (Np,Pp) stays in the cache. Inside a chunk, rows are numbered in the direction of the scan; in
 * memory, each row comes directly after the previous one or, in a reversed direction, directly before it. Np is the
 * number of states and Pp the number of channels of a head, both rounded up to CAD_PAD.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA2_SCAN_TMPL_H
#define CAD_MAMBA2_SCAN_TMPL_H

#include "mamba2_tmpl.h"
#include "small_tmpl.h"

/* ---- convolution and steps ---- */

/* Computes dt = softplus(r + dt_bias) and decay = exp(dt A) for n rows and VW heads, from head h onwards. in: r of all
 * heads, at the first of these rows. */
INLINE void step_rows(const mamba2_t *m, const float *in, int64_t h, const int n, float *dt, float *decay)
{
    vf v[FEW];
    REPEAT(i, n) v[i] = vload(in + i * m->Xp + h) + vload(m->dt_bias + h);
    vsoftpluses(n, v);
    REPEAT(i, n) vstore(dt + i * m->Hp + h, v[i]);
    REPEAT(i, n) v[i] = v[i] * vload(m->a2 + h);
    vdecays(n, v);
    REPEAT(i, n) vstore(decay + i * m->Hp + h, v[i]);
}

static void mamba2_conv_task(void *arg, int64_t task, int worker)
{
    const mamba2_call_t *c = arg;
    const mamba2_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task);
    int64_t first = s.beg - c->share.span.beg, rows = s.end - s.beg;
    const float *in = c->w->x + s.beg * m->Xp + m->Cp;
    float *dt = c->w->dt + first * m->Hp, *decay = c->w->decay + first * m->Hp;
    (void)worker;
    conv_rows(&m->conv, &s, c->w->x, m->Xp, c->w->u + first * m->Cp, m->Cp);
    for (int64_t h = 0; h < m->Hp; h += VW) {
        int64_t r = 0;
        for (; r + FEW <= rows; r += FEW) step_rows(m, in + r * m->Xp, h, FEW, dt + r * m->Hp, decay + r * m->Hp);
        for (; r < rows; r++) step_rows(m, in + r * m->Xp, h, 1, dt + r * m->Hp, decay + r * m->Hp);
    }
}

static int mamba2_conv(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba2_call_t c = mamba2_call(l, layer, dir, s, how);
    share_rows(&c.share, &c, mamba2_conv_task);
    return 0;
}

/* ---- chunks ---- */

typedef struct { /* the rows [beg, end) of one chunk that belong to a span */
    int q;       /* index of the sequence */
    int64_t beg, end;
    /* whether these rows contain the sequence's first row, and last row, in the direction of the scan */
    bool first, last;
} chunk_t;

/* Replaces *c by the chunk of span s that follows it in memory or, if `backwards`, by the one before it. Returns false if
 * there is none. reverse: true if the scan runs from the last row to the first; decides only c->first and c->last. */
static bool next_chunk(const cad_span_t *s, bool backwards, bool reverse, chunk_t *c)
{
    const int64_t *off = s->off;
    bool head, tail;
    if (backwards ? c->beg <= s->beg : c->end >= s->end) return false;
    if (backwards) {
        c->end = c->beg;
        while (c->end <= off[c->q]) c->q--;
        c->beg = cad_max(s->beg, c->end - 1 - (c->end - 1 - off[c->q]) % QROWS);
    } else {
        c->beg = c->end;
        while (c->beg >= off[c->q + 1]) c->q++;
        c->end = cad_min(cad_min(s->end, off[c->q + 1]), c->beg + QROWS - (c->beg - off[c->q]) % QROWS);
    }
    head = c->beg == off[c->q];
    tail = c->end == off[c->q + 1];
    c->first = reverse ? tail : head;
    c->last = reverse ? head : tail;
    return true;
}

/* Returns the empty chunk from which next_chunk() begins: it comes before the span's first chunk or, if `backwards`,
 * after the last one. */
static chunk_t no_chunk(const cad_span_t *s, bool backwards)
{
    int64_t at = backwards ? s->end : s->beg;
    return (chunk_t) { .q = find_seq(s, backwards ? at - 1 : at), .beg = at, .end = at };
}

/* the inputs of one head for the rows of one chunk; the pointers point to the chunk's first row in the direction of the
 * scan */
typedef struct {
    int64_t n, row; /* n: number of rows; row: index of that first row, counted from the span's first row */
    /* floats from one row to the next: cw in u, ew in y, hw in dt; negative if the scan is reversed */
    int64_t cw, ew, hw;
    const float *x, *B, *C, *dt, *decay;
    const float *score; // (n,QROWS) the scores C[t].B[j]
} head_rows_t;

static head_rows_t rows_of_head(const mamba2_call_t *call, const chunk_t *c, int64_t h)
{
    const cad_mamba2_lane_t *w = call->w;
    const mamba2_t *m = call->m;
    int64_t beg = call->share.span.beg, row = (m->reverse ? c->end - 1 : c->beg) - beg, n = c->end - c->beg;
    int64_t g = h / (m->H / m->G), step = m->reverse ? -1 : 1;
    const float *u = w->u + row * m->Cp;
    return (head_rows_t) { .n = n,
                           .row = row,
                           .cw = step * m->Cp,
                           .ew = step * m->Ep,
                           .hw = step * m->Hp,
                           .x = u + h * m->Pp,
                           .B = u + m->Ep + g * m->Np,
                           .C = u + m->Ep + (m->G + g) * m->Np,
                           .dt = w->dt + row * m->Hp + h,
                           .decay = w->decay + row * m->Hp + h,
                           .score = w->score + ((c->beg - beg) * m->G + g * n) * QROWS };
}

/* Computes the scores C[t].B[j] of one chunk and one group of heads. */
static void score_task(void *arg, int64_t task, int worker)
{
    const mamba2_call_t *call = arg;
    const mamba2_t *m = call->m;
    chunk_t c = no_chunk(&call->share.span, false);
    float turned[COLS * QROWS];
    (void)worker;
    for (int64_t i = 0; i <= task / m->G; i++) next_chunk(&call->share.span, false, m->reverse, &c);
    head_rows_t t = rows_of_head(call, &c, task % m->G * (m->H / m->G));
    for (int64_t k = 0; k < m->Np; k += COLS) { /* COLS states at a time */
        int64_t width = cad_min(COLS, m->Np - k);
        memset(turned, 0, sizeof turned);
        for (int64_t j = 0; j < t.n; j++)
            for (int64_t i = 0; i < width; i++) turned[i * QROWS + j] = t.B[j * t.cw + k + i];
        small_product(&(small_t) { .fine = call->l->tape,
                                   .a = t.C + k,
                                   .lda = t.cw,
                                   .next = 1,
                                   .b = turned,
                                   .ldb = QROWS,
                                   .c = (float *)t.score,
                                   .ldc = QROWS,
                                   .rows = t.n,
                                   .k = width,
                                   .n = QROWS,
                                   .add = k > 0 });
    }
}

static void share_scores(mamba2_call_t *c)
{
    chunk_t at = no_chunk(&c->share.span, false);
    int64_t n = 0;
    while (next_chunk(&c->share.span, false, c->m->reverse, &at)) n++;
    cad_team_run(c->share.team, n * c->m->G, score_task, c);
}

/* ---- the scan ---- */

/* Computes the decay factors of a chunk of n rows. L[t,j] is the product of the decays of rows j+1 to t, where row -1
 * is the row before the chunk.
 *     from (n)        from[t] = L[t,-1], the factor of the state before the chunk in y of row t
 *     to (QROWS)      to[j] = L[last,j], the factor of row j in the state after the chunk; 0 for j >= n
 *     mix (n,QROWS)   mix[t,j] = L[t,j] C[t].B[j], 0 for j > t; NULL: neither mix nor `all` is computed
 *     all (n,QROWS)   all[t,j] = L[t,j], 0 for j > t; NULL: not stored */
static void mix_rows(const head_rows_t *t, float *mix, float *from, float *to, float *all)
{
    float product = 1;
    memset(to, 0, QROWS * sizeof *to);
    for (int64_t i = 0; i < t->n; i++) {
        vf a = vset(t->decay[i * t->hw]);
        for (int64_t j = 0; j < i; j += VW) vstore(to + j, vload(to + j) * a);
        to[i] = 1;
        product *= t->decay[i * t->hw];
        from[i] = product;
        for (int64_t j = 0; mix && j < QROWS; j += VW) {
            vstore(mix + i * QROWS + j, vload(t->score + i * QROWS + j) * vload(to + j));
            if (all) vstore(all + i * QROWS + j, vload(to + j));
        }
    }
}

/* Multiplies row i of `from` by factor[i * next] and stores it in row i of `to` (n,COLS), for `width` columns. ld:
 * floats from one row of `from` to the next. */
INLINE void scale_rows(const float *from, int64_t ld, int64_t n, int64_t width, const float *factor, int64_t next,
                       float *to)
{
    for (int64_t i = 0; i < n; i++) {
        vf f = vset(factor[i * next]);
        for (int64_t p = 0; p < width; p += VW) vstore(to + i * COLS + p, f * vload(from + i * ld + p));
    }
}

/* Channels [p, p+width) of head h in one chunk; mix, from and to are the results of mix_rows(). */
typedef struct {
    const head_rows_t *t;
    int64_t h, p, width;
    const float *mix, *from, *to;
    float xdt[QROWS * COLS]; // (n,COLS) dt x
} columns_t;

/* Computes y of the chunk's rows, for the channels of c. state (Np,Pp): the state before the chunk. */
static void columns_y(const mamba2_call_t *call, const columns_t *c, const float *state)
{
    const mamba2_t *m = call->m;
    const head_rows_t *t = c->t;
    float *y = call->w->y + t->row * m->Ep + c->h * m->Pp + c->p;
    vf skip = vset(m->skip[c->h]);
    small_product(&(small_t) { .fine = call->l->tape,
                               .a = t->C,
                               .lda = t->cw,
                               .next = 1,
                               .b = state + c->p,
                               .ldb = m->Pp,
                               .c = y,
                               .ldc = t->ew,
                               .rows = t->n,
                               .k = m->Np,
                               .n = c->width });
    for (int64_t i = 0; i < t->n; i++)
        for (int64_t k = 0; k < c->width; k += VW)
            vstore(y + i * t->ew + k,
                   vfma(vload(y + i * t->ew + k), vset(c->from[i]), skip * vload(t->x + i * t->cw + c->p + k)));
    small_product(&(small_t) { .fine = call->l->tape,
                               .a = c->mix,
                               .lda = QROWS,
                               .next = 1,
                               .b = c->xdt,
                               .ldb = COLS,
                               .c = y,
                               .ldc = t->ew,
                               .rows = t->n,
                               .k = t->n,
                               .n = c->width,
                               .zeros = SMALL_LOWER,
                               .add = true });
}

/* Replaces the state before the chunk by the state after the chunk, for the channels of c. Overwrites c->xdt. */
static void columns_state(const mamba2_call_t *call, columns_t *c, float *state)
{
    const mamba2_t *m = call->m;
    const head_rows_t *t = c->t;
    vf last = vset(c->from[t->n - 1]);
    scale_rows(c->xdt, COLS, t->n, c->width, c->to, 1, c->xdt);
    for (int64_t k = 0; k < m->Np; k++)
        for (int64_t i = c->p; i < c->p + c->width; i += VW)
            vstore(state + k * m->Pp + i, vload(state + k * m->Pp + i) * last);
    small_product(&(small_t) { .fine = call->l->tape,
                               .a = t->B,
                               .lda = 1,
                               .next = t->cw,
                               .b = c->xdt,
                               .ldb = COLS,
                               .c = state + c->p,
                               .ldc = m->Pp,
                               .rows = m->Np,
                               .k = t->n,
                               .n = c->width,
                               .add = true });
}

/* Returns the address where the state of head h before chunk c is kept for the backward pass. */
static float *kept_head(const mamba2_call_t *call, const chunk_t *c, int64_t h)
{
    const mamba2_t *m = call->m;
    int64_t slot = cad_mamba2_slot(call->share.span.off, c->q, c->beg);
    return call->w->state[call->dir] + (slot * m->H + h) * m->Np * m->Pp;
}

static void scan_chunk(const mamba2_call_t *call, const head_rows_t *t, int64_t h, const float *state, float *carry)
{
    const mamba2_t *m = call->m;
    bool whole = !(call->how & CAD_MAMBA2_STATE);
    float mix[QROWS * QROWS], from[QROWS], to[QROWS];
    mix_rows(t, whole ? mix : NULL, from, to, NULL);
    for (int64_t p = 0; p < m->Pp; p += COLS) {
        columns_t c = { .t = t, .h = h, .p = p, .width = cad_min(COLS, m->Pp - p), .mix = mix, .from = from, .to = to };
        scale_rows(t->x + p, t->cw, t->n, c.width, t->dt, t->hw, c.xdt);
        if (whole) columns_y(call, &c, state);
        if (!call->resume) columns_state(call, &c, carry);
    }
}

static void scan_head(const mamba2_call_t *call, int64_t h)
{
    const mamba2_t *m = call->m;
    const cad_span_t *s = &call->share.span;
    int64_t each = m->H * m->Np * m->Pp;
    float *carry = call->w->carry + call->how / CAD_MAMBA2_SLOT * each + h * m->Np * m->Pp;
    size_t size = (size_t)(m->Np * m->Pp) * sizeof *carry;
    chunk_t c = no_chunk(s, m->reverse);
    if (call->how & CAD_MAMBA2_NEXT) memcpy(carry, carry + each, size);
    while (next_chunk(s, m->reverse, m->reverse, &c)) {
        head_rows_t t = rows_of_head(call, &c, h);
        if (c.first && !call->resume) memset(carry, 0, size);
        if (call->w->state[call->dir] && !call->resume) memcpy(kept_head(call, &c, h), carry, size);
        scan_chunk(call, &t, h, call->resume ? kept_head(call, &c, h) : carry, carry);
    }
}

static void mamba2_scan_task(void *arg, int64_t task, int worker)
{
    const mamba2_call_t *c = arg;
    int64_t from = task * c->share.size, to = cad_min(from + c->share.size, c->m->H);
    (void)worker;
    for (int64_t h = from; h < to; h++) scan_head(c, h);
}

static void share_heads(mamba2_call_t *c, void *arg, cad_task_f *fn)
{
    int64_t threads = cad_team_threads(c->share.team);
    share_channels(&c->share, arg, fn, c->m->H, (c->m->H + threads - 1) / threads);
}

static int mamba2_scan(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba2_call_t c = mamba2_call(l, layer, dir, s, how);
    c.w->beg = s.beg;
    if (!(how & CAD_MAMBA2_STATE)) share_scores(&c);
    share_heads(&c, &c, mamba2_scan_task);
    return 0;
}

/* ---- gate and norm ---- */

/* Replaces n vectors of y by y silu(z) and adds their squares to *sum. Prefetches the next row, which is ld floats
 * away. */
INLINE void gate_some(float *y, const float *z, int64_t ld, const int n, vf *sum)
{
    vf v[GROUP];
    REPEAT(i, n) __builtin_prefetch(z + ld + i * VW);
    REPEAT(i, n) __builtin_prefetch(y + ld + i * VW, 1);
    REPEAT(i, n) v[i] = vload(z + i * VW);
    vsilus(n, v);
    REPEAT(i, n) v[i] = vload(y + i * VW) * v[i];
    REPEAT(i, n) vstore(y + i * VW, v[i]);
    REPEAT(i, n) *sum = vfma(v[i], v[i], *sum); /* the backward pass adds the squares in the same order */
}

/* Replaces y (width) by y silu(z) and returns the sum of the squares of the new values. */
static float gate_channels(float *y, const float *z, int64_t ld, int64_t width)
{
    vf sum = vset(0.0f);
    int64_t i = 0;
    for (; i + GROUP * VW <= width; i += GROUP * VW) gate_some(y + i, z + i, ld, GROUP, &sum);
    for (; i < width; i += VW) gate_some(y + i, z + i, ld, 1, &sum);
    return vsum(sum);
}

static void mamba2_gate_task(void *arg, int64_t task, int worker)
{
    const mamba2_call_t *c = arg;
    const mamba2_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task);
    int64_t width = m->Ep / m->G;
    (void)worker;
    for (int64_t r = s.beg; r < s.end; r++)
        for (int64_t g = 0; g < m->Ep; g += width) {
            int64_t at = (r - c->w->first) * m->Ep + g;
            float *y = c->w->y + (r - c->w->beg) * m->Ep + g, *o = c->w->o + at;
            float square = gate_channels(y, c->w->z + at, m->Ep, width);
            vf scale = vset(1.0f / sqrtf(square / (float)(m->I / m->G) + (float)CAD_MAMBA2_EPSILON));
            for (int64_t i = 0; i < width; i += VW) {
                vf v = vload(y + i) * scale * vload(m->norm + g + i);
                if (c->how & CAD_MAMBA2_ADD) v = vload(o + i) + v;
                vstore(o + i, v);
            }
        }
}

static int mamba2_gate(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba2_call_t c = mamba2_call(l, layer, dir, s, how);
    share_rows(&c.share, &c, mamba2_gate_task);
    return 0;
}

#endif
