/* kernels.h - the CPU backend, compiled once per instruction set.
 *
 * The including file defines CAD_ISA_* and CAD_OPS, the name of the table to
 * export. Vectors run over channels throughout: one channel, one vector lane.
 * Every output of a matrix product is one sum over k in ascending order,
 * whatever the size of the block it is computed in, so that no result depends on
 * tiling, batching or threads. SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "engine/ops.h"
#include "simd.h"

/* Rows x vectors of one micro-kernel: what the registers hold. */
#if defined(CAD_ISA_BF16)
#define NAME "cpu avx512bf16"
#elif defined(CAD_ISA_AVX512)
#define NAME "cpu avx512"
#elif defined(CAD_ISA_AVX2)
#define NAME "cpu avx2"
#else
#define NAME "cpu plain"
#endif
#define MR 6
#if defined(CAD_ISA_AVX512)
#define NV 4
#else
#define NV 2
#endif
#define PW (NV * VW)
#define TILE 120            /* a multiple of MR and GROUP; keeps a tile's activations in cache */
#define CHUNK 64            /* terms of a matrix product summed before they join the total */
#define STRETCH CAD_STRETCH /* rows whose dt is held at a time */
#define AHEAD 8             /* rows fetched ahead of the scan */

#include "pack.h"

/* ---- matrix products: C = A (rows,k) x packed (n,k)^T ----
 *
 * Of float32 numbers, or of bfloat16 numbers in pairs: a pair is a word as long as a
 * float32, and the pairs' products are summed in float32. k counts words. */

typedef struct {
    float *c;           // (rows,ldc)
    const float *base;  // (rows,ldc), for ADD, PLUS and TIMES; may be c
    const float *other; // (rows,ldc), for PLUS and TIMES
    const float *bias;  // (n)
    int64_t ldc;
    enum { STORE, ADD, PLUS, TIMES } how; /* with base: v, base + v, base + (other + v), base + other v */
} dest_t;

INLINE void finish(const dest_t *d, int64_t at, vf v)
{
    switch (d->how) {
    case STORE: break;
    case ADD: v = vload(d->base + at) + v; break;
    case PLUS: v = vload(d->base + at) + (vload(d->other + at) + v); break;
    case TIMES: v = vload(d->base + at) + vload(d->other + at) * v; break;
    }
    vstore(d->c + at, v);
}

/* acc = A's rows x B's vectors over n terms of the sum; A's rows are `lda` apart, its terms `next`. */
INLINE void micro_sum(const bool half, const int mr, const int nv, const float *a, int64_t lda, int64_t next,
                      const float *b, int64_t n, vf acc[MR][NV])
{
    REPEAT(i, mr)
        REPEAT(j, nv) acc[i][j] = vset(0.0f);
    for (int64_t p = 0; p < n; p++) {
        vf v[NV];
        REPEAT(j, nv) v[j] = vload(b + (p * nv + j) * VW);
        REPEAT(i, mr) {
            vf s = vset(a[i * lda + p * next]);
            REPEAT(j, nv) acc[i][j] = half ? vdot2(s, v[j], acc[i][j]) : vfma(s, v[j], acc[i][j]);
        }
    }
}

/* What a block of C is on the way: CHUNK terms of its sum are taken at a time, so that
 * rounding grows with the square root of CHUNK and of k/CHUNK rather than of k. */
typedef struct {
    const dest_t *d;
    int64_t row, col; /* in C */
    float *sum;       /* (rows,nv,VW) so far */
} block_t;

INLINE void micro(const bool half, const int mr, const int nv, const bool first, const bool last, const float *a,
                  int64_t lda, const float *b, int64_t n, const block_t *t)
{
    vf acc[MR][NV];
    const dest_t *d = t->d;
    micro_sum(half, mr, nv, a, lda, 1, b, n, acc);
    REPEAT(i, mr)
        REPEAT(j, nv) {
            float *sum = t->sum + (i * nv + j) * VW;
            int64_t at = (t->row + i) * d->ldc + t->col + j * VW;
            vf v = (first ? vload(d->bias + t->col + j * VW) : vload(sum)) + acc[i][j];
            if (last) finish(d, at, v);
            else vstore(sum, v);
            if (first && !last) __builtin_prefetch(d->c + at, 1);
        }
}

#define EDGE(i) \
    case i: micro(half, i, nv, first, last, a, lda, b, n, t); break;
INLINE void micro_edge(const bool half, int mr, const int nv, const bool first, const bool last, const float *a,
                       int64_t lda, const float *b, int64_t n, const block_t *t)
{
    switch (mr) {
        EDGE(1) EDGE(2) EDGE(3) EDGE(4) EDGE(5)
    }
}

INLINE void chunk(const bool half, const int nv, const bool first, const bool last, const float *a, int64_t lda,
                  int64_t rows, const float *b, int64_t n, block_t t)
{
    int64_t r = 0;
    for (; r + MR <= rows; r += MR, t.row += MR, t.sum += MR * nv * VW)
        micro(half, MR, nv, first, last, a + r * lda, lda, b, n, &t);
    if (r < rows) micro_edge(half, (int)(rows - r), nv, first, last, a + r * lda, lda, b, n, &t);
}

/* nv vectors of C, for up to TILE rows: a chunk of B stays in the first-level cache for all of them. */
INLINE void panel(const bool half, const int nv, const float *a, int64_t lda, int64_t rows, const float *b, int64_t k,
                  const dest_t *d, int64_t row, int64_t col)
{
    float sum[TILE * PW] __attribute__((aligned(64)));
    block_t t = { d, row, col, sum };
    int64_t p = CHUNK, step = CHUNK * nv * VW;
    if (k <= CHUNK) {
        chunk(half, nv, true, true, a, lda, rows, b, k, t);
        return;
    }
    chunk(half, nv, true, false, a, lda, rows, b, CHUNK, t);
    for (; p + CHUNK < k; p += CHUNK) chunk(half, nv, false, false, a + p, lda, rows, b += step, CHUNK, t);
    chunk(half, nv, false, true, a + p, lda, rows, b + step, k - p, t);
}

/* Up to TILE rows of A; row: where they go in C. */
INLINE void panels(const bool half, const float *a, int64_t lda, int64_t rows, const float *packed, int64_t n,
                   int64_t k, const dest_t *d, int64_t row)
{
    int64_t col = 0;
    for (; col + PW <= n; col += PW) panel(half, NV, a, lda, rows, packed + col * k, k, d, row, col);
    switch ((n - col) / VW) {
    case 1: panel(half, 1, a, lda, rows, packed + col * k, k, d, row, col); break;
#if NV > 2
    case 2: panel(half, 2, a, lda, rows, packed + col * k, k, d, row, col); break;
    case 3: panel(half, 3, a, lda, rows, packed + col * k, k, d, row, col); break;
#endif
    }
}

static void product(const float *a, int64_t lda, int64_t rows, const float *packed, int64_t n, int64_t k,
                    const dest_t *d, int64_t row)
{
    for (int64_t r = 0; r < rows; r += TILE)
        panels(false, a + r * lda, lda, cad_min(TILE, rows - r), packed, n, k, d, row + r);
}

/* ---- sharing a tile's rows or channels among a team ---- */

typedef struct {
    cad_lane_t *l;
    const packed_t *p;
    int dir;
    const float *norm, *norm_bias;
    cad_span_t s;
    int64_t chunk;
    dest_t dest;
    unsigned parts;
    bool add, gate;
} job_t;

/* fn(arg) for each of some runs of j's rows. */
static void share_rows(job_t *j, void *arg, cad_task_f *fn)
{
    int64_t rows = j->s.end - j->s.beg, threads = cad_team_threads(j->l->team);
    j->chunk = threads > 1 ? cad_min(cad_round_up((rows + threads - 1) / threads, MR), TILE) : rows;
    cad_team_run(j->l->team, (rows + j->chunk - 1) / j->chunk, fn, arg);
}

static cad_span_t chunk_of(const job_t *j, int64_t task)
{
    cad_span_t s = j->s;
    s.beg = j->s.beg + task * j->chunk;
    s.end = cad_min(s.beg + j->chunk, j->s.end);
    return s;
}

static job_t job_for(cad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return (job_t) { .l = l, .p = &l->weights->dir[2 * layer + dir], .dir = dir, .s = s };
}

/* ---- one row ---- */

/* out = norm(x) over the D real channels; padding becomes 0. */
static void norm_row(const cad_weights_t *w, const float *x, const float *weight, const float *bias, float *out)
{
    vf acc = vset(0.0f), mean = vset(0.0f), scale;
    if (!w->rms) {
        for (int64_t i = 0; i < w->Dp; i += VW) acc = acc + vload(x + i);
        mean = vset(vsum(acc) / (float)w->D);
        acc = vset(0.0f);
    }
    for (int64_t i = 0; i < w->Dp; i += VW) {
        vf d = (vload(x + i) - mean) * vload(w->real + i);
        acc = vfma(d, d, acc);
    }
    scale = vset(1.0f / sqrtf(vsum(acc) / (float)w->D + w->eps));
    for (int64_t i = 0; i < w->Dp; i += VW)
        vstore(out + i, vfma((vload(x + i) - mean) * scale, vload(weight + i), vload(bias + i)));
}

/* The sequence that holds row r. */
static int find_seq(const cad_span_t *s, int64_t r)
{
    int lo = 0, hi = s->nseq - 1;
    while (lo < hi) {
        int mid = (lo + hi + 1) / 2;
        if (s->off[mid] <= r) lo = mid;
        else hi = mid - 1;
    }
    return lo;
}

/* bias + sum_k w_k x[r - step (K-1-k)] of channels from c on; taps before the
 * sequence's start are left out: k begins at first. */
INLINE vf conv_sum(const packed_t *p, const float *x, int64_t Ep, int64_t step, const int64_t K, int64_t first,
                   int64_t c)
{
    vf acc = vload(p->conv_bias + c);
    for (int64_t k = first; k < K; k++)
        acc = vfma(vload(p->conv + k * Ep + c), vload(x - step * (K - 1 - k) * Ep + c), acc);
    return acc;
}

/* ---- the scan ---- */

typedef struct { /* VW channels of some rows of one sequence */
    const cad_weights_t *w;
    const packed_t *p;
    int64_t c;             /* first channel */
    const float *u, *xdbl; /* of the first row in memory order */
    float *y;
    const float *z;
    int seq;
    int64_t row, rows; /* the first, of the pack; how many */
    bool add;
    float *keep; /* states at the beginnings of stretches; or NULL */
} stretch_t;

/* dt = softplus(pre), pre = dt_in x dt_proj^T + bias, of n rows, step apart. */
INLINE void delta_rows(const stretch_t *t, int64_t at, const int64_t step, const int n, vf *pre, vf *dt)
{
    const cad_weights_t *w = t->w;
    const float *in = t->xdbl + at * w->Sp, *p = t->p->dt + t->c;
    REPEAT(i, n) pre[i] = vload(t->p->dt_bias + t->c);
    for (int64_t r = 0; r < w->R; r++, p += w->Ep) {
        vf v = vload(p);
        REPEAT(i, n) pre[i] = vfma(vset(in[i * step * w->Sp + r]), v, pre[i]);
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

/* dt (end-beg,VW) of rows [beg, end). */
INLINE void delta(const stretch_t *t, int64_t beg, int64_t end, float *dt)
{
    int64_t r = beg;
    for (; r + GROUP <= end; r += GROUP) delta_some(t, r, GROUP, dt + (r - beg) * VW);
    for (; r + FEW <= end; r += FEW) delta_some(t, r, FEW, dt + (r - beg) * VW);
    for (; r < end; r++) delta_some(t, r, 1, dt + (r - beg) * VW);
}

/* The rows of one sequence that lie in the span, for channels from c on. */
typedef struct {
    int64_t beg, end;
    bool first, last;
} piece_t; /* holds the sequence's first, last row in time */

static piece_t piece_of(const cad_span_t *s, int q, bool reverse)
{
    int64_t beg = cad_max(s->beg, s->off[q]), end = cad_min(s->end, s->off[q + 1]);
    bool head = beg == s->off[q], tail = end == s->off[q + 1];
    return (piece_t) { beg, end, reverse ? tail : head, reverse ? head : tail };
}

/* Where the state that sequence q enters the stretch of `row` with is kept: (N,VW)
 * of channels from c on. Stretches do not cross multiples of STRETCH rows. */
INLINE float *kept_state(const cad_weights_t *w, float *state, int q, int64_t row, int64_t c)
{
    return state + ((row / STRETCH + q) * w->Ep + c) * w->N;
}

static float *z_of(const cad_lane_t *l, int64_t row) { return l->z + row % l->zrows * l->weights->Ep; }

static stretch_t rows_of_piece(const job_t *j, int q, const piece_t *p, int64_t c)
{
    const cad_lane_t *l = j->l;
    const cad_weights_t *w = l->weights;
    int64_t at = p->beg - j->s.beg;
    return (stretch_t) { w,
                         j->p,
                         c,
                         l->u + at * w->Ep + c,
                         l->xdbl + at * w->Sp,
                         l->y + p->beg * w->Ep + c,
                         j->gate ? z_of(l, p->beg) + c : NULL,
                         q,
                         p->beg,
                         p->end - p->beg,
                         j->add,
                         l->state[j->dir] };
}
