/* kernels.h - the CPU backend, compiled once per instruction set.
 *
 * The including file defines CAD_ISA_* and CAD_OPS, the name of the table to
 * export. Vectors run over channels throughout: one channel, one vector lane.
 * Every output of a matrix product is one sum over k in ascending order,
 * whatever the size of the block it is computed in, so that no result depends on
 * tiling, batching or threads. SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "../ops.h"
#include "simd.h"

/* Rows x vectors of one micro-kernel: what the registers hold. */
#if defined(CAD_ISA_AVX512)
#define MR 14
#define NAME "cpu avx512"
#elif defined(CAD_ISA_AVX2)
#define MR 6
#define NAME "cpu avx2"
#else
#define MR 6
#define NAME "cpu plain"
#endif
#define NV 2
#define PW (NV * VW)
#define TILE 126 /* a multiple of every MR; keeps a tile's activations in cache */
#define CHUNK 64 /* terms of a matrix product summed before they join the total */
#define SUB 64   /* rows whose dt is held at a time */
#define AHEAD 8  /* rows fetched ahead of the scan */

#include "pack.h"

/* ---- matrix products: C = A (rows,k) x packed (n,k)^T ---- */

typedef struct {
    float *c;             // (rows,ldc)
    const float *other;   // (rows,ldc), for PLUS and TIMES
    const float *bias;    // (n)
    int64_t ldc;
    enum { STORE, ADD, PLUS, TIMES } how;
} dest_t;

INLINE void finish(const dest_t *d, int64_t at, vf v)
{
    switch (d->how) {
    case STORE: break;
    case ADD: v = vload(d->c + at) + v; break;
    case PLUS: v = vload(d->c + at) + (vload(d->other + at) + v); break;
    case TIMES: v = vload(d->c + at) + vload(d->other + at) * v; break;
    }
    vstore(d->c + at, v);
}

/* acc = A's rows x B's vectors over n terms of the sum. */
INLINE void micro_sum(const int mr, const int nv, const float *a, int64_t lda, const float *b, int64_t n, vf acc[MR][NV])
{
#pragma GCC unroll 14
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 2
        for (int j = 0; j < nv; j++) acc[i][j] = vset(0.0f);
    for (int64_t p = 0; p < n; p++) {
        vf v[NV];
#pragma GCC unroll 2
        for (int j = 0; j < nv; j++) v[j] = vload(b + (p * nv + j) * VW);
#pragma GCC unroll 14
        for (int i = 0; i < mr; i++) {
            vf s = vset(a[i * lda + p]);
#pragma GCC unroll 2
            for (int j = 0; j < nv; j++) acc[i][j] = vfma(s, v[j], acc[i][j]);
        }
    }
}

/* One block of C. The sum is taken CHUNK terms at a time: rounding then grows
 * with the square root of CHUNK and of k/CHUNK rather than of k. */
INLINE void micro(const int mr, const int nv, const float *a, int64_t lda, const float *b, int64_t k,
                  const dest_t *d, int64_t row, int64_t col)
{
    vf acc[MR][NV], sum[MR][NV];
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < nv; j++) sum[i][j] = vload(d->bias + col + j * VW);
    for (int64_t p = 0; p < k; p += CHUNK) {
        micro_sum(mr, nv, a + p, lda, b + p * nv * VW, cad_min(CHUNK, k - p), acc);
#pragma GCC unroll 14
        for (int i = 0; i < mr; i++)
#pragma GCC unroll 2
            for (int j = 0; j < nv; j++) sum[i][j] = sum[i][j] + acc[i][j];
    }
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < nv; j++) finish(d, (row + i) * d->ldc + col + j * VW, sum[i][j]);
}

#define EDGE(i) case i: micro(i, nv, a, lda, b, k, d, row, col); break;
INLINE void micro_edge(int mr, const int nv, const float *a, int64_t lda, const float *b, int64_t k,
                       const dest_t *d, int64_t row, int64_t col)
{
    switch (mr) {
        EDGE(1) EDGE(2) EDGE(3) EDGE(4) EDGE(5)
#if MR > 6
        EDGE(6) EDGE(7) EDGE(8) EDGE(9) EDGE(10) EDGE(11) EDGE(12) EDGE(13)
#endif
    }
}

INLINE void panel(const int nv, const float *a, int64_t lda, int64_t rows, const float *b, int64_t k,
                  const dest_t *d, int64_t row, int64_t col)
{
    int64_t r = 0;
    for (; r + MR <= rows; r += MR) micro(MR, nv, a + r * lda, lda, b, k, d, row + r, col);
    if (r < rows) micro_edge((int)(rows - r), nv, a + r * lda, lda, b, k, d, row + r, col);
}

/* a: rows of A; row: where they go in C. */
static void product(const float *a, int64_t lda, int64_t rows, const float *packed, int64_t n, int64_t k,
                    const dest_t *d, int64_t row)
{
    int64_t col = 0;
    for (; col + PW <= n; col += PW) panel(2, a, lda, rows, packed + col * k, k, d, row, col);
    for (; col < n; col += VW) panel(1, a, lda, rows, packed + col * k, k, d, row, col);
}

/* ---- sharing a tile's rows or channels among a team ---- */

typedef struct {
    cad_lane_t *l;
    const pack_t *p;
    const float *norm, *norm_bias;
    cad_span_t s;
    int64_t chunk;
    dest_t dest;
    bool add, gate;
} job_t;

static void share_rows(job_t *j, cad_task_f *fn)
{
    int64_t rows = j->s.end - j->s.beg, threads = cad_team_threads(j->l->team);
    j->chunk = cad_round_up((rows + threads - 1) / threads, MR);
    cad_team_run(j->l->team, (rows + j->chunk - 1) / j->chunk, fn, j);
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
    return (job_t){ .l = l, .p = &l->weights->dir[2 * layer + dir], .s = s };
}

/* ---- embedding and norm ---- */

static int op_embed(cad_lane_t *l, const uint8_t *tok, cad_span_t s)
{
    const cad_weights_t *w = l->weights;
    for (int64_t r = s.beg; r < s.end; r++)
        memcpy(l->res + r * w->Dp, w->embed + tok[r] * w->Dp, (size_t)w->Dp * sizeof(float));
    return 0;
}

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

/* ---- in ---- */

static void in_task(void *arg, int64_t task, int worker)
{
    job_t *j = arg;
    const cad_weights_t *w = j->l->weights;
    cad_span_t s = chunk_of(j, task), gate = cad_span_need(s, 0);
    float *a = j->l->a + (s.beg - j->s.beg) * w->Dp;
    dest_t x = { j->l->x, NULL, j->p->in_x_bias, w->Ep, STORE }, z = { j->l->z, NULL, j->p->in_z_bias, w->Ep, STORE };
    (void)worker;
    for (int64_t r = s.beg; r < s.end; r++)
        norm_row(w, j->l->res + r * w->Dp, j->norm, j->norm_bias, a + (r - s.beg) * w->Dp);
    product(a, w->Dp, s.end - s.beg, j->p->in_x, w->Ep, w->Dp, &x, s.beg);
    product(a + (gate.beg - s.beg) * w->Dp, w->Dp, gate.end - gate.beg, j->p->in_z, w->Ep, w->Dp, &z, gate.beg);
}

static int op_in(cad_lane_t *l, int layer, int dir, cad_span_t s)
{
    job_t j = job_for(l, layer, dir, s);
    j.norm = l->weights->norm[layer];
    j.norm_bias = l->weights->norm_bias[layer];
    share_rows(&j, in_task);
    return 0;
}

/* ---- conv ---- */

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

/* u = silu(bias + sum_k w_k x[r - step (K-1-k)]), taps before the sequence's start left out. */
INLINE void conv_row(const pack_t *p, const float *x, int64_t Ep, int64_t step, const int64_t K, int64_t first, float *u)
{
    for (int64_t c = 0; c < Ep; c += VW) {
        vf acc = vload(p->conv_bias + c);
        for (int64_t k = first; k < K; k++)
            acc = vfma(vload(p->conv + k * Ep + c), vload(x - step * (K - 1 - k) * Ep + c), acc);
        vstore(u + c, vsilu(acc));
    }
}

static void conv_task(void *arg, int64_t task, int worker)
{
    job_t *j = arg;
    const cad_weights_t *w = j->l->weights;
    cad_span_t s = chunk_of(j, task);
    int64_t step = j->p->reverse ? -1 : 1, first = s.beg - j->s.beg;
    float *u = j->l->u + first * w->Ep;
    dest_t d = { j->l->xdbl + first * w->Sp, NULL, w->zero, w->Sp, STORE };
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
    share_rows(&j, conv_task);
    return 0;
}

/* ---- scan ---- */

typedef struct { /* VW channels of one stretch of one sequence */
    const cad_weights_t *w;
    const pack_t *p;
    int64_t c;            /* first channel */
    const float *u, *xdbl; /* of the first row in memory order */
    float *y;
    const float *z;
    int64_t rows;
    bool add;
} stretch_t;

/* dt = softplus(dt_in x dt_proj^T + bias), four rows at a time. */
INLINE void delta_rows(const stretch_t *t, int64_t at, const int n, float *dt)
{
    const cad_weights_t *w = t->w;
    vf acc[4];
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) acc[i] = vload(t->p->dt_bias + t->c);
    for (int64_t r = 0; r < w->R; r++) {
        vf v = vload(t->p->dt + r * w->Ep + t->c);
#pragma GCC unroll 4
        for (int i = 0; i < n; i++) acc[i] = vfma(vset(t->xdbl[(at + i) * w->Sp + r]), v, acc[i]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) vstore(dt + i * VW, vsoftplus(acc[i]));
}

static void delta(const stretch_t *t, int64_t beg, int64_t end, float *dt)
{
    int64_t r = beg;
    for (; r + 4 <= end; r += 4) delta_rows(t, r, 4, dt + (r - beg) * VW);
    for (; r < end; r++) delta_rows(t, r, 1, dt + (r - beg) * VW);
}

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

/* carry: (N,VW). With N known, the states stay in registers. */
INLINE void scan_rows(const stretch_t *t, const int64_t N, float *carry, vf *s)
{
    float dt[SUB * VW];
    for (int64_t n = 0; n < N; n++) s[n] = vload(carry + n * VW);
    for (int64_t i = 0; i < t->rows; i += SUB) {
        int64_t n = cad_min(SUB, t->rows - i), beg = t->p->reverse ? t->rows - i - n : i;
        delta(t, beg, beg + n, dt);
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

/* The rows of one sequence that lie in the tile. */
static void scan_piece(const job_t *j, int q, int64_t c)
{
    cad_lane_t *l = j->l;
    const cad_weights_t *w = l->weights;
    int64_t beg = cad_max(j->s.beg, j->s.off[q]), end = cad_min(j->s.end, j->s.off[q + 1]);
    bool fresh = j->p->reverse ? end == j->s.off[q + 1] : beg == j->s.off[q];
    float *carry = l->carry + c * w->N;
    stretch_t t = { w, j->p, c, l->u + (beg - j->s.beg) * w->Ep + c, l->xdbl + (beg - j->s.beg) * w->Sp,
                    l->y + beg * w->Ep + c, j->gate ? l->z + beg * w->Ep + c : NULL, end - beg, j->add };
    if (fresh) memset(carry, 0, (size_t)w->N * VW * sizeof *carry);
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
    j.dest = (dest_t){ c, l->h, j.p->out_bias, l->weights->Dp,
                       how == CAD_OUT_KEEP ? STORE : how == CAD_OUT_ADD ? ADD : how == CAD_OUT_PLUS ? PLUS : TIMES };
    share_rows(&j, out_task);
    return 0;
}

/* ---- head and pool ---- */

static const float *final_norm(cad_lane_t *l, int64_t r)
{
    const cad_weights_t *w = l->weights;
    norm_row(w, l->res + r * w->Dp, w->norm_f, w->norm_f_bias, l->row);
    return l->row;
}

static int op_head(cad_lane_t *l, int strand, const int64_t *row, int64_t n, float *logits)
{
    const cad_weights_t *w = l->weights;
    for (int64_t i = 0; i < n; i++) {
        const float *h = final_norm(l, row[i]);
        for (int64_t v = 0; v < w->V; v++) {
            const float *t = w->head[strand] + v * w->Dp;
            vf acc = vset(0.0f);
            for (int64_t d = 0; d < w->Dp; d += VW) acc = vfma(vload(h + d), vload(t + d), acc);
            logits[i * w->V + v] = vsum(acc);
        }
    }
    return 0;
}

static int op_pool(cad_lane_t *l, int64_t beg, int64_t end, enum cad_pool_t how, float *out)
{
    const cad_weights_t *w = l->weights;
    if (how == CAD_POOL_MEAN) memset(l->sum, 0, (size_t)w->D * sizeof *l->sum);
    for (int64_t r = beg; r < end; r++) {
        const float *h = final_norm(l, r);
        if (how == CAD_POOL_NONE || (how == CAD_POOL_MAX && r == beg))
            memcpy(out + (how == CAD_POOL_NONE ? (r - beg) * w->D : 0), h, (size_t)w->D * sizeof *out);
        else if (how == CAD_POOL_MAX)
            for (int64_t d = 0; d < w->D; d++) out[d] = h[d] > out[d] ? h[d] : out[d];
        else
            for (int64_t d = 0; d < w->D; d++) l->sum[d] += (double)h[d];
    }
    if (how == CAD_POOL_MEAN)
        for (int64_t d = 0; d < w->D; d++) out[d] = (float)(l->sum[d] / (double)(end - beg));
    return 0;
}

static void *host_alloc(size_t bytes) { return cad_alloc(bytes, 1); }

extern const cad_ops_t CAD_OPS;
const cad_ops_t CAD_OPS = {
    .name = NAME, .tile = TILE,
    .weights_open = weights_open, .weights_close = weights_close, .extent = extent,
    .alloc = host_alloc, .release = free,
    .embed = op_embed, .in = op_in, .conv = op_conv, .scan = op_scan, .out = op_out,
    .head = op_head, .pool = op_pool,
};
