/* sums.h - computes gradients of weights, which are sums over rows.
 *
 * A kernel computes partial sums, each over SLAB rows, over PART_ROWS rows or over one piece of a sequence, in the
 * order of the rows; `fold` then adds the partial sums in order. Nothing is added atomically.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_SUMS_H
#define CAD_CUDA_SUMS_H

#include "product.h"
#include "simd.h"

/* ---- fold: adds `parts` partial sums of `count` values, `stride` values apart, to the array `to` (count) ---- */

typedef struct {
    float *to;
    const float *part;
    int64_t count, stride, parts;
} fold_args_t;

KERNEL(fold, fold_args_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    float acc = 0, v[PREFETCH];
    if (i >= arg.count) return;
    for (int64_t k = 0; k < arg.parts; k += PREFETCH) {
        REPEAT(b, PREFETCH) v[b] = k + b < arg.parts ? arg.part[(k + b) * arg.stride + i] : 0;
        REPEAT(b, PREFETCH) acc += v[b];
    }
    arg.to[i] += acc;
}

/* Adds `parts` partial sums of `count` values, `stride` values apart, to the array `to`, with the kernel `fold`. The
 * partial sums are in l->grads->parts, from index `at` onwards. */
static int fold_parts(cad_grad_lane_t *l, float *to, int64_t at, int64_t count, int64_t stride, int64_t parts)
{
    fold_args_t arg = { .to = to, .part = l->grads->parts + at, .count = count, .stride = stride, .parts = parts };
    LAUNCH(fold, ceil_div(count, THREADS), 1, THREADS, 0, gpu_of(&l->f)->stream, arg);
    return launched(&l->f, "fold");
}

/* ---- C (n,k) = A (rows,n)^T x B (rows,k) where n is small ---- */

/* A is the array `a`, if it is not NULL. Otherwise A is given by tok (rows): A[r][i] is 1 if tok[r] == i, else 0. If
 * tok is NULL too, A (rows,1) is all 1. */
typedef struct {
    const float *a;
    const uint8_t *tok;
    const float *b;
    float *part; // (slabs,n,k) partial sums of SLAB rows
    int64_t rows, n, k, lda, ldb;
} thin_args_t;

KERNEL(thin, thin_args_t)
{
    int64_t groups = (arg.k + THREADS - 1) / THREADS, i = blockIdx.y / groups,
            c = blockIdx.y % groups * THREADS + threadIdx.x;
    int64_t beg = (int64_t)blockIdx.x * SLAB, end = beg + SLAB < arg.rows ? beg + SLAB : arg.rows;
    float acc = 0;
    if (c >= arg.k) return;
    for (int64_t r = beg; r < end; r++) {
        if (arg.tok && arg.tok[r] != i) continue;
        acc = fma32(arg.a ? arg.a[r * arg.lda + i] : 1.0f, arg.b[r * arg.ldb + c], acc);
    }
    arg.part[(blockIdx.x * arg.n + i) * arg.k + c] = acc;
}

/* Adds A^T x B to the array `to` (n,k), with A as in thin_args_t. */
static int thin_sum(cad_grad_lane_t *l, const float *a, const uint8_t *tok, int64_t n, const float *b, int64_t k,
                    int64_t rows, float *to)
{
    thin_args_t arg = {
        .a = a, .tok = tok, .b = b, .part = l->grads->parts, .rows = rows, .n = n, .k = k, .lda = n, .ldb = k
    };
    int64_t parts = ceil_div(rows, SLAB);
    LAUNCH(thin, parts, n * ceil_div(k, THREADS), THREADS, 0, gpu_of(&l->f)->stream, arg);
    return fold_parts(l, to, 0, n * k, n * k, parts);
}

/* Adds the sum of the rows of b (rows,k) to the array `to` (k). */
static int columns(cad_grad_lane_t *l, const float *b, int64_t k, int64_t rows, float *to)
{
    return thin_sum(l, NULL, NULL, 1, b, k, rows, to);
}

/* ---- C (n,k) = A (rows,n)^T x B (rows,k) by matrix products ---- */

/* Sets to 0 the rows of the matrix `a` after its last row, up to a multiple of PART_ROWS, because outer_rows() reads
 * PART_ROWS rows for each partial sum. The memory may be written, although the pointer is const. */
static int clear_tail(cad_grad_lane_t *l, const float *a, int64_t width, int64_t rows)
{
    int64_t more = cad_round_up(rows, PART_ROWS) - rows;
    if (more == 0) return 0;
    return check(
        &l->f,
        cudaMemsetAsync((void *)(a + rows * width), 0, (size_t)(more * width) * sizeof *a, gpu_of(&l->f)->stream),
        "clearing");
}

/* Adds A^T x B to the array `to` (n,k), with A = `a` (rows,n) and B = `b` (rows,k). */
static int outer(cad_grad_lane_t *l, const outer_t *o, const float *a, const float *b, int64_t rows, float *to)
{
    int64_t size = o->n * o->k;
    int rc = clear_tail(l, a, o->lda, rows);
    if (rc == 0) rc = clear_tail(l, b, o->ldb, rows);
    for (int64_t r = 0; r < rows && rc == 0; r += PRODUCT_ROWS) {
        rc = outer_rows(&l->f, o, a, b, r, rows, l->grads->parts);
        if (rc == 0) rc = fold_parts(l, to, 0, size, size, ceil_div(cad_min(PRODUCT_ROWS, rows - r), PART_ROWS));
    }
    return rc;
}

#endif
