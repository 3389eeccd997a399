/* head.h - computes logits and pooled rows, and their gradients. Each of the operations `head` and `pool` ends a batch:
 * it copies its results to the host. D is d_model, Dp is D rounded up to CAD_PAD, V the number of rows of the embedding
 * table. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_HEAD_H
#define CAD_CUDA_HEAD_H

#include "graph.h"
#include "lane.h"
#include "norm.h"

/* ---- head: one thread block for each row ---- */

typedef struct {
    const float *res;     // (rows,Dp)
    const float *head[2]; // (V,Dp) for each strand
    const int64_t *pick;  // (n) 2 x row + strand of each row
    float *out;           // (n,V)
    norm_t norm;
    int64_t Dp, V;
} head_args_t;

KERNEL(head, head_args_t)
{
    int in_warp = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
    int64_t at = arg.pick[blockIdx.x];
    const float *x = arg.res + at / 2 * arg.Dp, *table = at % 2 ? arg.head[1] : arg.head[0];
    moments_t m = moments(&arg.norm, x, in_warp);
    for (int64_t v = warp; v < arg.V; v += THREADS / WARP) {
        float acc = 0;
        for (int64_t d = in_warp; d < arg.norm.D; d += WARP)
            acc = fma32(normed(&arg.norm, m, x, d), table[v * arg.Dp + d], acc);
        acc = warp_sum(acc);
        if (in_warp == 0) arg.out[blockIdx.x * arg.V + v] = acc;
    }
}

/* Computes the logits of n rows; n is at most PICKS. */
static int head_some(cad_lane_t *l, const cad_pick_t *pick, int64_t n)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    head_args_t arg = { .res = l->res,
                        .head = { w->head[0], w->head[1] },
                        .pick = g->pick,
                        .out = g->out,
                        .norm = norm_of_head(w),
                        .Dp = w->Dp,
                        .V = w->V };
    int rc;
    for (int64_t i = 0; i < n; i++) g->pick_stage[i] = 2 * pick[i].row + pick[i].strand;
    rc = to_device(l, g->pick, g->pick_stage, (size_t)n * sizeof *g->pick);
    if (rc) return rc;
    LAUNCH(head, n, 1, THREADS, 0, g->stream, arg);
    rc = launched(l, "head");
    if (rc == 0) rc = to_host(l, g->out_stage, g->out, (size_t)(n * w->V) * sizeof(float));
    if (rc == 0) rc = arrive(l);
    for (int64_t i = 0; i < n && rc == 0; i++)
        memcpy(pick[i].to, g->out_stage + i * w->V, (size_t)w->V * sizeof(float));
    return rc;
}

static int op_head(cad_lane_t *l, const cad_pick_t *pick, int64_t n)
{
    int rc = graph_end(l);
    for (int64_t i = 0; i < n && rc == 0; i += PICKS) rc = head_some(l, pick + i, cad_min(PICKS, n - i));
    return rc;
}

typedef struct {
    const float *x, *table, *dlogits; // (rows,Dp), (V,Dp), (n,V)
    float *h, *dh;                    // (n,Dp) each: output of the final norm (norm_f) of the rows; its gradient
    const int64_t *row;               // (n) indexes of the rows of x
    norm_t norm;
    int64_t n, Dp, V;
} head_back_args_t;

/* Each warp computes h and dh of one row. */
KERNEL(head_back, head_back_args_t)
{
    int64_t i = (int64_t)blockIdx.x * NORM_ROWS + threadIdx.x / WARP;
    int in_warp = (int)threadIdx.x % WARP;
    const float *x;
    moments_t m;
    if (i >= arg.n) return;
    x = arg.x + arg.row[i] * arg.Dp;
    m = moments(&arg.norm, x, in_warp);
    for (int64_t d = in_warp; d < arg.Dp; d += WARP) {
        float acc = 0;
        for (int64_t v = 0; v < arg.V; v++) acc = fma32(arg.dlogits[i * arg.V + v], arg.table[v * arg.Dp + d], acc);
        arg.h[i * arg.Dp + d] = normed(&arg.norm, m, x, d);
        arg.dh[i * arg.Dp + d] = acc;
    }
}

static int back_head(cad_grad_lane_t *l, int strand, const int64_t *row, int64_t n, const float *dlogits)
{
    cad_grads_t *q = l->grads;
    const cad_weights_t *w = l->f.weights;
    norm_t norm = norm_of_head(w);
    head_back_args_t arg = { .x = l->f.res,
                             .table = w->head[strand],
                             .dlogits = q->dlogits,
                             .h = q->a,
                             .dh = l->da,
                             .row = q->row,
                             .norm = norm,
                             .n = n,
                             .Dp = w->Dp,
                             .V = w->V };
    int rc = to_device(&l->f, q->row, row, (size_t)n * sizeof *row);
    if (rc == 0) rc = to_device(&l->f, q->dlogits, dlogits, (size_t)(n * w->V) * sizeof *dlogits);
    if (rc) return rc;
    LAUNCH(head_back, ceil_div(n, NORM_ROWS), 1, THREADS, 0, gpu_of(&l->f)->stream, arg);
    rc = launched(&l->f, "head, backwards");
    if (rc == 0) rc = thin_sum(l, q->dlogits, NULL, w->V, q->a, w->Dp, n, q->s.head[strand]);
    return rc ? rc : norm_gradients(l, l->f.res, l->dres, q->row, n, norm, q->s.norm_f, q->s.norm_f_bias);
}

/* ---- pool: normalises rows, sums each slab of rows (or takes its maximum), then combines a range's slabs ---- */

typedef struct {
    const float *res; // (rows,Dp)
    float *out;       // (end-beg,D)
    norm_t norm;
    int64_t beg, end, Dp;
} final_args_t;

KERNEL(final_norm, final_args_t)
{
    int64_t r = arg.beg + (int64_t)blockIdx.x * NORM_ROWS + threadIdx.x / WARP;
    int in_warp = (int)threadIdx.x % WARP;
    const float *x = arg.res + r * arg.Dp;
    moments_t m;
    if (r >= arg.end) return;
    m = moments(&arg.norm, x, in_warp);
    for (int64_t d = in_warp; d < arg.norm.D; d += WARP)
        arg.out[(r - arg.beg) * arg.norm.D + d] = normed(&arg.norm, m, x, d);
}

static int final_rows(cad_lane_t *l, float *out, int64_t beg, int64_t end)
{
    const cad_weights_t *w = l->weights;
    final_args_t arg = { .res = l->res, .out = out, .norm = norm_of_rows(l), .beg = beg, .end = end, .Dp = w->Dp };
    LAUNCH(final_norm, ceil_div(end - beg, NORM_ROWS), 1, THREADS, 0, gpu_of(l)->stream, arg);
    return launched(l, "pool");
}

typedef struct {
    const float *rows; // (rows,D) normalised rows; row 0 is row `beg` of the batch
    double *sum;       // (slabs,D) sum or maximum of each slab
    const slab_t *slab;
    int64_t beg, D;
} slab_args_t;

KERNEL(slabs, slab_args_t)
{
    int64_t d = (int64_t)blockIdx.y * THREADS + threadIdx.x;
    slab_t s = arg.slab[blockIdx.x];
    double acc = 0;
    if (d >= arg.D) return;
    for (int64_t r = s.beg; r < s.end; r++) {
        float v = arg.rows[(r - arg.beg) * arg.D + d];
        if (!s.max) acc += (double)v;
        else if (r == s.beg || (double)v > acc) acc = (double)v;
    }
    arg.sum[blockIdx.x * arg.D + d] = acc;
}

typedef struct {
    const double *sum; // (n,D) sum or maximum of each slab
    const slab_t *slab;
    float *out; // (ranges,D)
    int64_t n, D;
} join_args_t;

/* Combines the slabs of each range. The slabs of a range follow each other in the list; the threads of the first of
 * them combine all. */
KERNEL(join, join_args_t)
{
    int64_t d = (int64_t)blockIdx.y * THREADS + threadIdx.x, i = blockIdx.x, beg = arg.slab[i].beg, end;
    int32_t range = arg.slab[i].range;
    double acc;
    if (d >= arg.D || (i && arg.slab[i - 1].range == range)) return;
    acc = arg.sum[i * arg.D + d];
    end = arg.slab[i].end;
    for (i = i + 1; i < arg.n && arg.slab[i].range == range; i++) {
        double v = arg.sum[i * arg.D + d];
        acc = !arg.slab[i].max ? acc + v : v > acc ? v : acc;
        end = arg.slab[i].end;
    }
    arg.out[range * arg.D + d] = (float)(arg.slab[blockIdx.x].max ? acc : acc / (double)(end - beg));
}

static int64_t slabs_of(const cad_range_t *r) { return r->how == CAD_POOL_NONE ? 0 : ceil_div(r->end - r->beg, SLAB); }

static int64_t list_slabs(slab_t *to, const cad_range_t *range, int64_t n)
{
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t r = range[i].beg; r < range[i].end && range[i].how != CAD_POOL_NONE; r += SLAB) {
            to[k].beg = r;
            to[k].end = cad_min(r + SLAB, range[i].end);
            to[k].range = (int32_t)i;
            to[k++].max = range[i].how == CAD_POOL_MAX;
        }
    return k;
}

/* Pools n ranges, whose slabs together fit into the lane's list of slabs. Row 0 of g->normed is row `first` of the
 * batch. */
static int reduce(cad_lane_t *l, const cad_range_t *range, int64_t n, int64_t first)
{
    int64_t D = l->weights->D;
    gpu_t *g = gpu_of(l);
    int64_t k = list_slabs(g->slab_stage, range, n), groups = ceil_div(D, THREADS);
    slab_args_t sums = { .rows = g->normed, .sum = g->slab_sum, .slab = g->slab, .beg = first, .D = D };
    join_args_t joins = { .sum = g->slab_sum, .slab = g->slab, .out = g->out, .n = k, .D = D };
    int rc = k ? to_device(l, g->slab, g->slab_stage, (size_t)k * sizeof *g->slab) : 0;
    if (rc || k == 0) return rc;
    LAUNCH(slabs, k, groups, THREADS, 0, g->stream, sums);
    LAUNCH(join, k, groups, THREADS, 0, g->stream, joins);
    rc = launched(l, "pool");
    if (rc == 0) rc = to_host(l, g->out_stage, g->out, (size_t)(n * D) * sizeof(float));
    if (rc == 0) rc = arrive(l);
    for (int64_t i = 0; i < n && rc == 0; i++)
        if (range[i].how != CAD_POOL_NONE) memcpy(range[i].to, g->out_stage + i * D, (size_t)D * sizeof(float));
    return rc;
}

/* Returns how many of the n ranges, counted from the first, reduce() can pool in one call. */
static int64_t fitting(const cad_lane_t *l, const cad_range_t *range, int64_t n)
{
    int64_t most = most_slabs(l->rows), used = 0, i = 0;
    for (; i < n && i < most && used + slabs_of(&range[i]) <= most; i++) used += slabs_of(&range[i]);
    return i;
}

/* Copies n floats to ordinary memory, by way of two buffers in pinned memory: one is filled by the device while the
 * other is copied on. */
static int rows_to_host(cad_lane_t *l, const float *from, float *to, int64_t n)
{
    gpu_t *g = gpu_of(l);
    int64_t size = cad_min(g->out_floats / 2, CHUNK), chunks = ceil_div(n, size);
    int rc = 0;
    for (int64_t i = 0; i <= chunks && rc == 0; i++) {
        float *next = g->out_stage + i % 2 * size, *last = g->out_stage + (i + 1) % 2 * size;
        if (i < chunks) {
            rc = to_host(l, next, from + i * size, (size_t)cad_min(size, n - i * size) * sizeof(float));
            if (rc == 0) rc = check(l, cudaEventRecord(g->filled[i % 2], g->stream), "copying from the device");
        }
        if (i == 0 || rc) continue;
        rc = check(l, cudaEventSynchronize(g->filled[(i + 1) % 2]), "waiting for the device");
        if (rc == 0) memcpy(to + (i - 1) * size, last, (size_t)cad_min(size, n - (i - 1) * size) * sizeof(float));
    }
    return rc;
}

static int op_pool(cad_lane_t *l, const cad_range_t *range, int64_t n)
{
    int64_t D = l->weights->D, beg = l->rows, end = 0;
    float *rows = gpu_of(l)->normed;
    int rc = graph_end(l);
    if (rc) return rc;
    for (int64_t i = 0; i < n; i++) {
        beg = cad_min(beg, range[i].beg);
        end = cad_max(end, range[i].end);
    }
    rc = final_rows(l, rows, beg, end);
    for (int64_t i = 0; i < n && rc == 0; i++)
        if (range[i].how == CAD_POOL_NONE)
            rc = rows_to_host(l, rows + (range[i].beg - beg) * D, range[i].to, (range[i].end - range[i].beg) * D);
    for (int64_t i = 0, k; i < n && rc == 0; i += k) rc = reduce(l, range + i, k = fitting(l, range + i, n - i), beg);
    return rc ? rc : arrive(l);
}

/* ---- pool, backwards: both kernels write da, the gradient of the normalised rows of all sequences ---- */

typedef struct {
    float *dh;           // (rows,Dp)
    const float *pooled; // (nseq,D) gradient of the mean over each sequence's rows
    const int64_t *off;  // (nseq+1)
    int64_t rows, D, Dp;
    int nseq;
} mean_back_args_t;

/* Each warp computes one row. */
KERNEL(mean_back, mean_back_args_t)
{
    int64_t r = (int64_t)blockIdx.x * NORM_ROWS + threadIdx.x / WARP;
    int in_warp = (int)threadIdx.x % WARP, seq;
    float weight;
    if (r >= arg.rows) return;
    seq = find_seq(arg.off, arg.nseq, r);
    weight = 1.0f / (float)(arg.off[seq + 1] - arg.off[seq]);
    for (int64_t d = in_warp; d < arg.Dp; d += WARP)
        arg.dh[r * arg.Dp + d] = d < arg.D ? arg.pooled[seq * arg.D + d] * weight : 0;
}

typedef struct {
    float *dh;               // (rows,Dp) all 0 on entry
    const float *h, *pooled; // (rows,D) normalised rows; (nseq,D) gradient of each sequence's maximum
    const int64_t *off;      // (nseq+1)
    int64_t D, Dp;
} max_back_args_t;

/* In each channel, the first row of a sequence that has the maximum gets the gradient of the maximum. */
KERNEL(max_back, max_back_args_t)
{
    int64_t d = (int64_t)blockIdx.y * THREADS + threadIdx.x, seq = blockIdx.x, at = arg.off[seq];
    if (d >= arg.D) return;
    for (int64_t r = at + 1; r < arg.off[seq + 1]; r++)
        if (arg.h[r * arg.D + d] > arg.h[at * arg.D + d]) at = r;
    arg.dh[at * arg.Dp + d] = arg.pooled[seq * arg.D + d];
}

/* l->grads->dlogits (nseq,D) is the gradient of the means. */
static int mean_gradients(cad_grad_lane_t *l, int64_t rows, int nseq)
{
    cad_grads_t *q = l->grads;
    gpu_t *g = gpu_of(&l->f);
    mean_back_args_t arg = {
        .dh = l->da, .pooled = q->dlogits, .off = g->off, .rows = rows, .D = q->s.D, .Dp = q->s.Dp, .nseq = nseq
    };
    LAUNCH(mean_back, ceil_div(rows, NORM_ROWS), 1, THREADS, 0, g->stream, arg);
    return launched(&l->f, "pool, backwards");
}

/* l->grads->dlogits (nseq,D) is the gradient of the maxima. Overwrites l->grads->a. */
static int max_gradients(cad_grad_lane_t *l, int64_t rows, int nseq)
{
    cad_grads_t *q = l->grads;
    gpu_t *g = gpu_of(&l->f);
    max_back_args_t arg = { .dh = l->da, .h = q->a, .pooled = q->dlogits, .off = g->off, .D = q->s.D, .Dp = q->s.Dp };
    int rc = check(&l->f, cudaMemsetAsync(l->da, 0, (size_t)(rows * q->s.Dp) * sizeof(float), g->stream), "clearing");
    if (rc == 0) rc = final_rows(&l->f, q->a, 0, rows);
    if (rc) return rc;
    LAUNCH(max_back, nseq, ceil_div(arg.D, THREADS), THREADS, 0, g->stream, arg);
    return launched(&l->f, "pool, backwards");
}

typedef struct {
    float *dh;         // (rows,Dp)
    const float *rows; // (rows,D)
    int64_t n, D, Dp;
} rows_back_args_t;

KERNEL(rows_back, rows_back_args_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, r = i / arg.Dp, d = i % arg.Dp;
    if (r < arg.n) arg.dh[i] = d < arg.D ? arg.rows[r * arg.D + d] : 0;
}

/* l->grads->dlogits (rows,D) is the gradient of each row. */
static int row_gradients(cad_grad_lane_t *l, int64_t rows)
{
    cad_grads_t *q = l->grads;
    rows_back_args_t arg = { .dh = l->da, .rows = q->dlogits, .n = rows, .D = q->s.D, .Dp = q->s.Dp };
    LAUNCH(rows_back, ceil_div(rows * arg.Dp, THREADS), 1, THREADS, 0, gpu_of(&l->f)->stream, arg);
    return launched(&l->f, "pool, backwards");
}

/* The device has the offsets since the forward pass: send_batch(). */
static int back_pool(cad_grad_lane_t *l, const int64_t *off, int nseq, enum cad_pool_t how, const float *dpooled)
{
    cad_grads_t *q = l->grads;
    int64_t rows = off[nseq], n = how == CAD_POOL_NONE ? rows : nseq;
    int rc = to_device(&l->f, q->dlogits, dpooled, (size_t)(n * q->s.D) * sizeof *dpooled);
    if (rc == 0)
        rc = how == CAD_POOL_NONE   ? row_gradients(l, rows)
             : how == CAD_POOL_MEAN ? mean_gradients(l, rows, nseq)
                                    : max_gradients(l, rows, nseq);
    return rc ? rc
              : norm_gradients(l, l->f.res, l->dres, NULL, rows, norm_of_head(l->f.weights), q->s.norm_f,
                               q->s.norm_f_bias);
}

#endif
