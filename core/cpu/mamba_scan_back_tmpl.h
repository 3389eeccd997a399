/* mamba_scan_back_tmpl.h - backward pass of the selective scan; mamba_scan_tmpl.h has the forward pass and its
 * equations.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, without which this file is empty.
 *
 * Rows are processed in stretches of at most CAD_STRETCH rows. The forward pass kept the state before each stretch.
 * From that state, a stretch is first run forward again; this stores, for each row, the state before it and its decay.
 * Then the stretch is run backward. Both runs process one vector of channels and two of their states at a time, so that
 * these values fit in the first-level cache. From prefetch_back() to store_stretch(), row 0 is the stretch's first row
 * in the direction of the scan. N is the number of states, Ep the padded number of channels.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA_SCAN_BACK_TMPL_H
#define CAD_MAMBA_SCAN_BACK_TMPL_H

#ifdef CAD_ISA_BACK_OPS
#include "mamba_scan_tmpl.h"

#define PAIR 2 /* number of states that are processed at a time */
#define LOT 8  /* one call of vsum_rows() sums the terms of dB or dC of this many rows over channels */
_Static_assert((LOT - 1) * PAIR <= CAD_PAD, "cad_cpu_part_size has room for a lot that begins with the last row");

typedef struct {             /* values of one row, for VW channels */
    float dt[VW], dtu[VW];   /* dtu = dt u */
    float dy[VW], slope[VW]; /* slope: derivative of softplus at dt_in x dt_proj^T + bias */
    /* Sums over the states that have been processed (s: the state after the row, ds: its gradient): */
    float y[VW]; /* skip u + the sum of s C */
    float q[VW]; /* the sum of ds B */
    float p[VW]; /* the sum of (ds decay s') A, where s' is the state before the row */
} back_row_t;

typedef struct {
    back_row_t row[STRETCH];
    /* for each row and state: the state before the row, and its decay in the row */
    float before[STRETCH * PAIR][2][VW];
    float terms[LOT * PAIR * VW]; /* (LOT*PAIR,VW) terms of dB or dC: one for each row, state and channel */
} scratch_t;

typedef struct { /* a stretch for VW channels; the pointers point to its first row in the direction of the scan */
    stretch_t t;
    /* step: 1 or -1, the distance in memory, in rows, to the next row in the direction of the scan */
    int64_t rows, step;
    int64_t time; /* number of rows of the tile that come before the stretch in the direction of the scan */
    const float *g, *z;
    float *du, *dpre;
    const float *state; // (N,VW) state before the stretch
    // (N,VW) gradient of the state after the stretch; replaced by the gradient of the state before it
    float *carry;
    float *da, *dskip, *dbias; // (N,VW), (VW), (VW): gradients of A, the skip weight and dt_bias
    const float *B, *C;        // (N,tile) in the layout that gather() defines
    float *dB, *dC;            // (N,tile) gradients of B and C, in the same layout
    int64_t tile;
} back_stretch_t;

/* Prefetches the outputs of rows r to r+n-1, and the inputs of the n rows after them. The hardware does not prefetch
 * these addresses, because rows are far apart in memory. */
INLINE void prefetch_back(const back_stretch_t *b, int64_t r, const int n)
{
    int64_t Ep = b->t.m->Ep * b->step, at = r * Ep;
    for (int i = 0; i < n; i++, at += Ep) {
        int64_t ahead = at + cad_min(n, b->rows - 1 - r - i) * Ep;
        __builtin_prefetch(b->z + ahead);
        __builtin_prefetch(b->g + ahead);
        __builtin_prefetch(b->t.u + ahead);
        __builtin_prefetch(b->t.y + at, 1);
        __builtin_prefetch(b->du + at, 1);
        __builtin_prefetch(b->dpre + at, 1);
    }
}

/* Sets the n elements of h from rows r to r+n-1: dt, the derivative of its softplus (slope), dt u, dy = g silu(z),
 * where g is the gradient of the gated y, and y = skip u. */
INLINE void load_rows(const back_stretch_t *b, back_row_t *h, int64_t r, const int n)
{
    const int64_t Ep = b->t.m->Ep * b->step, from = r * Ep;
    const vf skip = vload(b->t.m->skip + b->t.c), zero = vset(0.0f);
    vf v[GROUP], d[GROUP];
    prefetch_back(b, r, n);
    delta_rows(&b->t, r * b->step, b->step, n, v, d);
    REPEAT(i, n) {
        vf u = vload(b->t.u + from + i * Ep);
        vstore(h[i].dt, d[i]);
        vstore(h[i].dtu, d[i] * u);
        vstore(h[i].y, skip * u);
        vstore(h[i].q, zero);
        vstore(h[i].p, zero);
    }
    vsigmoids(n, v);
    REPEAT(i, n) vstore(h[i].slope, v[i]);
    REPEAT(i, n) v[i] = vload(b->z + from + i * Ep);
    vsilus(n, v);
    REPEAT(i, n) vstore(h[i].dy, v[i] * vload(b->g + from + i * Ep));
}

static void load_stretch(const back_stretch_t *b, scratch_t *h)
{
    int64_t r = 0;
    for (int64_t k = 0; k < b->t.m->N; k++) __builtin_prefetch(b->state + k * VW);
    for (; r + GROUP <= b->rows; r += GROUP) load_rows(b, h->row + r, r, GROUP);
    for (; r < b->rows; r++) load_rows(b, h->row + r, r, 1);
}

/* Runs n rows forward, from row r onwards, for `pair` states: recomputes and stores the states and decays, adds to y,
 * and computes the terms of dC. s: the states, on entry before these rows, on return after them. */
INLINE void forward_some(scratch_t *h, const float *B, const float *C, int64_t r, const int n, const int pair,
                         const vf *a, vf *s)
{
    back_row_t *row = h->row + r;
    float(*before)[2][VW] = h->before + r * pair, *terms = h->terms + r % LOT * pair * VW;
    vf d[FEW], dtu[FEW], dy[FEW], y[FEW];
    REPEAT(i, n) d[i] = vload(row[i].dt);
    REPEAT(i, n) dtu[i] = vload(row[i].dtu);
    REPEAT(i, n) dy[i] = vload(row[i].dy);
    REPEAT(i, n) y[i] = vload(row[i].y);
    REPEAT(k, pair) {
        vf x[FEW];
        REPEAT(i, n) x[i] = d[i] * a[k];
        vdecays(n, x);
        REPEAT(i, n) {
            const int at = i * pair + k;
            vstore(before[at][0], s[k]);
            vstore(before[at][1], x[i]);
            s[k] = vfma(x[i], s[k], dtu[i] * vset(B[r * pair + at]));
            y[i] = vfma(s[k], vset(C[r * pair + at]), y[i]);
            vstore(terms + at * VW, s[k] * dy[i]);
        }
    }
    REPEAT(i, n) vstore(row[i].y, y[i]);
}

/* Runs n rows backward, from row r+n-1 to row r, for `pair` states: computes the terms of dB and adds to da, the
 * gradient of A. v: the gradient of the states, on entry of those after these rows, on return of those before them. */
INLINE void backward_some(scratch_t *h, const float *B, const float *C, int64_t r, const int n, const int pair,
                          const vf *a, vf *v, vf *da)
{
    back_row_t *row = h->row + r;
    float(*before)[2][VW] = h->before + r * pair, *terms = h->terms + r % LOT * pair * VW;
    UNROLL
    for (int i = n - 1; i >= 0; i--) {
        vf d = vload(row[i].dt), dtu = vload(row[i].dtu), dy = vload(row[i].dy), q = vload(row[i].q),
           p = vload(row[i].p);
        REPEAT(k, pair) {
            const int at = i * pair + k;
            vf da_term;
            v[k] = vfma(dy, vset(C[r * pair + at]), v[k]);
            vstore(terms + at * VW, v[k] * dtu);
            q = vfma(v[k], vset(B[r * pair + at]), q);
            v[k] = v[k] * vload(before[at][1]);
            da_term = v[k] * vload(before[at][0]);
            p = vfma(da_term, a[k], p);
            da[k] = vfma(da_term, d, da[k]);
        }
        vstore(row[i].q, q);
        vstore(row[i].p, p);
    }
}

/* Runs all rows of the stretch forward and then backward, for states [k, k+pair). */
INLINE void states_back(const back_stretch_t *b, scratch_t *h, int64_t k, const int pair)
{
    const int64_t at = k * b->tile + b->time * pair;
    const float *B = b->B + at, *C = b->C + at;
    float *dB = b->dB + at, *dC = b->dC + at;
    int64_t r = 0, full = b->rows / LOT * LOT;
    vf a[PAIR], s[PAIR], da[PAIR];
    REPEAT(i, pair) {
        a[i] = vload(b->t.m->a + b->t.c * b->t.m->N + (k + i) * VW);
        s[i] = vload(b->state + (k + i) * VW);
        da[i] = vset(0.0f);
    }
    for (; r < full; r += LOT) {
        UNROLL
        for (int i = 0; i < LOT; i += FEW) forward_some(h, B, C, r + i, FEW, pair, a, s);
        vsum_rows(h->terms, LOT * pair, dC + r * pair);
    }
    if (r < b->rows) {
        memset(h->terms, 0, sizeof h->terms);
        for (; r < b->rows; r++) forward_some(h, B, C, r, 1, pair, a, s);
        vsum_rows(h->terms, LOT * pair, dC + full * pair);
    }
    REPEAT(i, pair) s[i] = vload(b->carry + (k + i) * VW);
    if (full < b->rows) {
        while (r-- > full) backward_some(h, B, C, r, 1, pair, a, s, da);
        vsum_rows(h->terms, LOT * pair, dB + full * pair);
    }
    for (r = full; r > 0;) {
        r -= LOT;
        UNROLL
        for (int i = LOT - FEW; i >= 0; i -= FEW) backward_some(h, B, C, r + i, FEW, pair, a, s, da);
        vsum_rows(h->terms, LOT * pair, dB + r * pair);
    }
    REPEAT(i, pair) {
        vstore(b->carry + (k + i) * VW, s[i]);
        vstore(b->da + (k + i) * VW, vload(b->da + (k + i) * VW) + da[i]);
    }
}

/* Stores y, du (the gradient of u) and dpre (the gradient of dt before softplus) of the stretch, and adds to dskip and
 * dbias, the gradients of the skip weight and of dt_bias. */
static void store_stretch(const back_stretch_t *b, const scratch_t *h)
{
    const vf ln2 = vset(0x1.62e43p-1f), skip = vload(b->t.m->skip + b->t.c);
    vf dskip = vset(0.0f), dbias = vset(0.0f);
    for (int64_t r = 0, at = 0; r < b->rows; r++, at += b->t.m->Ep * b->step) {
        const back_row_t *row = &h->row[r];
        vf u = vload(b->t.u + at), y = vload(row->y), dy = vload(row->dy), q = vload(row->q);
        vf dpre = vfma(vload(row->p), ln2, q * u) * vload(row->slope);
        if (b->t.add) y = vload(b->t.y + at) + y;
        vstore(b->t.y + at, y);
        vstore(b->dpre + at, dpre);
        vstore(b->du + at, vfma(q, vload(row->dt), dy * skip));
        dbias = dbias + dpre;
        dskip = vfma(dy, u, dskip);
    }
    vstore(b->dskip, vload(b->dskip) + dskip);
    vstore(b->dbias, vload(b->dbias) + dbias);
}

/* Runs the backward pass of a stretch for `channels` channels, VW at a time. */
static void scan_back_channels(back_stretch_t b, int64_t channels)
{
    scratch_t h __attribute__((aligned(64)));
    const int64_t N = b.t.m->N;
    for (int64_t c = 0, k; c < channels; c += VW) {
        load_stretch(&b, &h);
        for (k = 0; k + PAIR <= N; k += PAIR) states_back(&b, &h, k, PAIR);
        for (; k < N; k++) states_back(&b, &h, k, 1);
        store_stretch(&b, &h);
        b.t.c += VW;
        b.t.u += VW;
        b.t.y += VW;
        b.g += VW;
        b.z += VW;
        b.du += VW;
        b.dpre += VW;
        b.state += N * VW;
        b.carry += N * VW;
        b.da += N * VW;
        b.dskip += VW;
        b.dbias += VW;
    }
}

static inline void copy_pair(float *to, const float *from, int64_t pair)
{
    to[0] = from[0];
    if (pair == PAIR) to[1] = from[1];
}

/* Copies B and C of a tile's rows from xdbl (x_proj's result) to bc, with rows in the direction of the scan. Each pair
 * of states becomes an array (rows,PAIR), and the next pair begins PAIR x tile floats later. If N is odd, the last
 * state is an array (rows). */
static void gather(const mamba_back_t *b)
{
    const cad_grad_lane_t *l = b->l;
    const mamba_t *m = b->f.m;
    int64_t N = m->N, tile = l->f.tile, rows = b->f.share.span.end - b->f.share.span.beg, pair;
    for (int64_t k = 0; k < 2 * N; k += pair) {
        const float *from = b->f.w->xdbl + m->R + k;
        pair = N - k % N < PAIR ? 1 : PAIR;
        for (int64_t r = 0; r < rows; r++)
            copy_pair(b->w->bc + k * tile + (m->reverse ? rows - 1 - r : r) * pair, from + r * m->Sp, pair);
    }
}

/* Runs the backward pass of rows [beg, beg+n) of sequence q, which are in one stretch, for channels [from, to). sums:
 * dB and dC, to which the terms are added, in the layout that gather() gives B and C. */
static void scan_back_stretch(const mamba_back_t *b, int q, const piece_t *p, int64_t beg, int64_t n, int64_t from,
                              int64_t to, float *sums)
{
    cad_grad_lane_t *l = b->l;
    const mamba_t *m = b->f.m;
    const cad_span_t *s = &b->f.share.span;
    bool reverse = m->reverse;
    int64_t N = m->N, first = reverse ? beg + n - 1 : beg, row = first * m->Ep + from, at = row - s->beg * m->Ep;
    int64_t time = reverse ? s->end - 1 - first : first - s->beg;
    back_stretch_t t = { .t = rows_of_piece(&b->f, q, p, from),
                         .rows = n,
                         .step = reverse ? -1 : 1,
                         .g = b->w->g + row,
                         .z = z_row(&b->f, first) + from,
                         .du = b->w->du + at,
                         .dpre = b->w->dpre + at,
                         .state = kept_state(m, b->f.w->state[b->f.dir], q, beg, from),
                         .carry = b->w->carry + from * N,
                         .da = b->sum->a + from * N,
                         .dskip = b->sum->skip + from,
                         .dbias = b->sum->dt_bias + from,
                         .tile = l->f.tile,
                         .B = b->w->bc,
                         .C = b->w->bc + N * l->f.tile,
                         .dB = sums,
                         .dC = sums + N * l->f.tile,
                         .time = time };
    t.t.u += (first - p->beg) * m->Ep;
    t.t.y += (first - p->beg) * m->Ep;
    t.t.xdbl += (first - p->beg) * m->Sp;
    scan_back_channels(t, to - from);
}

/* Runs the backward pass of the rows of sequence q that are in the tile, for channels [from, to): stretch by stretch,
 * from the last to the first in the direction of the scan. */
static void scan_back_piece(const mamba_back_t *b, int q, int64_t from, int64_t to, float *sums)
{
    const mamba_t *m = b->f.m;
    piece_t p = piece_of(&b->f.share.span, q, m->reverse);
    if (p.last) memset(b->w->carry + from * m->N, 0, (size_t)((to - from) * m->N) * sizeof(float));
    for (int64_t left = p.end - p.beg, n; left; left -= n) {
        /* of the rows that are not done, the last one in the direction of the scan */
        int64_t last = m->reverse ? p.end - left : p.beg + left - 1;
        if (m->reverse) n = cad_min(STRETCH - last % STRETCH, left);
        else n = cad_min(last % STRETCH + 1, left);
        scan_back_stretch(b, q, &p, m->reverse ? last : last + 1 - n, n, from, to, sums);
    }
}

static void scan_back_task(void *arg, int64_t task, int worker)
{
    const mamba_back_t *b = arg;
    const mamba_t *m = b->f.m;
    const cad_span_t *s = &b->f.share.span;
    int64_t from = task * b->f.share.size, to = cad_min(from + b->f.share.size, m->Ep);
    int64_t size = cad_cpu_part_size(b->l->f.tile, m->N);
    float *sums = b->w->part + task * size;
    int first = find_seq(s, s->beg), last = find_seq(s, s->end - 1);
    (void)worker;
    memset(sums, 0, (size_t)size * sizeof *sums);
    for (int i = 0; i <= last - first; i++) scan_back_piece(b, m->reverse ? first + i : last - i, from, to, sums);
}

/* Each group of CAD_MAMBA_GROUP channels has its own sums of dB and dC. Adds those of all other groups to those of the
 * first group, in the order of the groups. */
static void add_parts(const mamba_back_t *b)
{
    float *sum = b->w->part;
    int64_t size = cad_cpu_part_size(b->l->f.tile, b->f.m->N);
    for (int64_t k = 1; k * CAD_MAMBA_GROUP < b->f.m->Ep; k++)
        for (int64_t i = 0; i < size; i += VW) vstore(sum + i, vload(sum + i) + vload(sum + k * size + i));
}

/* Copies dB and dC of rows [beg, beg+n) of the tile from the layout that gather() defines to dxdbl, the gradient of
 * x_proj's result. */
static void scatter(const mamba_back_t *b, int64_t beg, int64_t n)
{
    const cad_grad_lane_t *l = b->l;
    const mamba_t *m = b->f.m;
    int64_t N = m->N, rows = b->f.share.span.end - b->f.share.span.beg, pair;
    for (int64_t k = 0; k < 2 * N; k += pair) {
        float *to = b->w->dxdbl + m->R + k;
        pair = N - k % N < PAIR ? 1 : PAIR;
        for (int64_t r = beg; r < beg + n; r++)
            copy_pair(to + r * m->Sp, b->w->part + k * l->f.tile + (m->reverse ? rows - 1 - r : r) * pair, pair);
    }
}

static int mamba_scan_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    mamba_back_t b = mamba_back(l, layer, dir, s);
    b.f.add = how & CAD_SCAN_ADD;
    gather(&b);
    share_back(&b, scan_back_task);
    add_parts(&b);
    return 0;
}
#endif

#endif
