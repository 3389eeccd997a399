/* product_tmpl.h - matrix products.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_PAIRS, if defined, allows products of pairs of bfloat16.
 *
 * A vector holds VW adjacent outputs (columns) of one row. Each output is one sum over k in ascending order, whatever
 * the size of the micro-kernel that computes it, so no result depends on tiling, batching or threads.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_PRODUCT_TMPL_H
#define CAD_PRODUCT_TMPL_H

#include "base/team.h"
#include "simd.h"

/* A micro-kernel computes MR rows x NV vectors of the result: as many sums as fit in the registers. */
#define MR 6
#if defined(CAD_ISA_AVX512) || defined(CAD_ISA_NEON)
#define NV 4
#else
#define NV 2
#endif
#define PW (NV * VW) /* number of outputs whose weights are in one panel, see panel_tmpl.h */
/* rows of a tile: a multiple of MR and of GROUP (simd.h), few enough that a tile's activations fit in the cache; with
 * matrix tiles also of their 32 rows */
#if defined(CAD_ISA_TILES)
#define TILE 96
#else
#define TILE 120
#endif
#define CHUNK 64 /* terms of a product that are summed before they are added to the total */
/* TERMS is used instead of CHUNK for sums that must be more exact. It is smaller in plain C, which has no FMA and so
 * rounds each product too, and with NEON, whose short vectors make the sums over rows and channels longer. */
#if defined(CAD_ISA_AVX512) || defined(CAD_ISA_AVX2)
#define TERMS 16
#else
#define TERMS 4
#endif

/* ---- C (rows,n) = A (rows,k) x W (n,k)^T + bias, where W is stored in panels (panel_tmpl.h) ----
 *
 * The terms are products of float32 values or, if `pairs`, of pairs of bfloat16 values, which are summed in float32. A
 * pair is a 32-bit word, so the same code serves both; k then counts words. */

typedef struct {        /* where a product's result v is written, and what is added to it */
    float *c;           // (rows,ldc)
    const float *base;  // (rows,ldc), for ADD, PLUS and TIMES; may be c
    const float *other; // (rows,ldc), for PLUS and TIMES
    const float *bias;  // (n)
    int64_t ldc;
    /* STORE: c = v. ADD: c = base + v. PLUS: c = base + (other + v). TIMES: c = base + other * v. If FINE is added to
     * one of these values, the product sums TERMS terms at a time instead of CHUNK, which is slower and more exact */
    enum { STORE, ADD, PLUS, TIMES, FINE } how;
} dest_t;

INLINE void finish(const dest_t *d, int64_t at, vf v)
{
    switch (d->how % FINE) {
    case STORE: break;
    case ADD: v = vload(d->base + at) + v; break;
    case PLUS: v = vload(d->base + at) + (vload(d->other + at) + v); break;
    case TIMES: v = vload(d->base + at) + vload(d->other + at) * v; break;
    }
    vstore(d->c + at, v);
}

#if defined(CAD_ISA_PAIRS)
#define TERM(pairs, a, b, sum) ((pairs) ? vdot2(a, b, sum) : vfma(a, b, sum))
#else
#define TERM(pairs, a, b, sum) ((void)(pairs), vfma(a, b, sum))
#endif

/* Computes acc (mr,nv): the products of mr rows of A with nv vectors of W, summed over n terms. lda: floats from one
 * row of A to the next; next: floats from one term of a row to the next. b: for each term, its nv vectors of W. */
INLINE void micro_sum(const bool pairs, const int mr, const int nv, const float *a, int64_t lda, int64_t next,
                      const float *b, int64_t n, vf acc[MR][NV])
{
    REPEAT(i, mr)
        REPEAT(j, nv) acc[i][j] = vset(0.0f);
    for (int64_t p = 0; p < n; p++) {
        vf v[NV];
        REPEAT(j, nv) v[j] = vload(b + (p * nv + j) * VW);
        REPEAT(i, mr) {
            vf s = vset(a[i * lda + p * next]);
            REPEAT(j, nv) acc[i][j] = TERM(pairs, s, v[j], acc[i][j]);
        }
    }
}

/* The rows and columns of C that one call of panel() computes. CHUNK terms are summed at a time, and each such sum is
 * added to `sum`: rounding errors then grow with the square roots of CHUNK and of k/CHUNK instead of the square root of
 * k. */
typedef struct {
    const dest_t *d;
    int64_t row, col; /* the first of these rows and columns in C */
    float *sum;       // (rows,nv,VW) sums of the terms that have been added
} partial_t;

INLINE void micro(const bool pairs, const int mr, const int nv, const bool first, const bool last, const float *a,
                  int64_t lda, const float *b, int64_t n, const partial_t *t)
{
    vf acc[MR][NV];
    const dest_t *d = t->d;
    micro_sum(pairs, mr, nv, a, lda, 1, b, n, acc);
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
    case i: micro(pairs, i, nv, first, last, a, lda, b, n, t); break;
INLINE void micro_edge(const bool pairs, int mr, const int nv, const bool first, const bool last, const float *a,
                       int64_t lda, const float *b, int64_t n, const partial_t *t)
{
    switch (mr) {
        EDGE(1) EDGE(2) EDGE(3) EDGE(4) EDGE(5)
    }
}

INLINE void chunk(const bool pairs, const int nv, const bool first, const bool last, const float *a, int64_t lda,
                  int64_t rows, const float *b, int64_t n, partial_t t)
{
    int64_t r = 0;
    for (; r + MR <= rows; r += MR, t.row += MR, t.sum += MR * nv * VW)
        micro(pairs, MR, nv, first, last, a + r * lda, lda, b, n, &t);
    if (r < rows) micro_edge(pairs, (int)(rows - r), nv, first, last, a + r * lda, lda, b, n, &t);
}

/* Computes nv vectors of C for up to TILE rows. The weights of CHUNK terms stay in the first-level cache while all of
 * these rows use them. */
INLINE void panel(const bool pairs, const int nv, const float *a, int64_t lda, int64_t rows, const float *b, int64_t k,
                  const dest_t *d, int64_t row, int64_t col)
{
    float sum[TILE * PW] __attribute__((aligned(64)));
    partial_t t = { d, row, col, sum };
    int64_t terms = d->how >= FINE ? TERMS : CHUNK, p = terms, step = terms * nv * VW;
    if (k <= terms) {
        chunk(pairs, nv, true, true, a, lda, rows, b, k, t);
        return;
    }
    chunk(pairs, nv, true, false, a, lda, rows, b, terms, t);
    for (; p + terms < k; p += terms) chunk(pairs, nv, false, false, a + p, lda, rows, b += step, terms, t);
    chunk(pairs, nv, false, true, a + p, lda, rows, b + step, k - p, t);
}

/* Computes up to TILE rows of C. row: index in C of the first of these rows. */
INLINE void product_tile(const bool pairs, const float *a, int64_t lda, int64_t rows, const float *w, int64_t n,
                         int64_t k, const dest_t *d, int64_t row)
{
    int64_t col = 0;
    for (; col + PW <= n; col += PW) panel(pairs, NV, a, lda, rows, w + col * k, k, d, row, col);
    switch ((n - col) / VW) {
    case 1: panel(pairs, 1, a, lda, rows, w + col * k, k, d, row, col); break;
#if NV > 2
    case 2: panel(pairs, 2, a, lda, rows, w + col * k, k, d, row, col); break;
    case 3: panel(pairs, 3, a, lda, rows, w + col * k, k, d, row, col); break;
#endif
    }
}

/* Computes C = A x W^T + bias in float32. w: W (n,k) in panels; n is a multiple of VW. Rows of A are lda floats apart;
 * row 0 of A gives row `row` of C. */
static void product(const float *a, int64_t lda, int64_t rows, const float *w, int64_t n, int64_t k, const dest_t *d,
                    int64_t row)
{
    int64_t parts = (rows + TILE - 1) / TILE, most = parts ? cad_round_up((rows + parts - 1) / parts, MR) : TILE;
    /* divide the rows equally: each call reads all weights, so a last call with few rows would waste time */
    for (int64_t r = 0; r < rows; r += most)
        product_tile(false, a + r * lda, lda, cad_min(most, rows - r), w, n, k, d, row + r);
}

#endif
