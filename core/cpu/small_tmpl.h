/* small_tmpl.h - products of small matrices, which stay in the first-level cache. A may have any strides, B and C any
 * row length.
 *
 * Macro parameters: CAD_ISA_* of simd.h. As in product_tmpl.h, each output is one sum over k in ascending order,
 * whatever the number of rows. CHUNK terms are summed at a time or, if `fine`, TERMS, which is slower and more exact.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SMALL_TMPL_H
#define CAD_SMALL_TMPL_H

#include "product_tmpl.h"

typedef struct {    /* C (rows,n) = A (rows,k) x B (k,n); C += A x B if `add` is true */
    const float *a; // A[i,p] is a[i * lda + p * next]
    int64_t lda, next;
    const float *b; // B[p,j] is b[p * ldb + j]
    int64_t ldb;
    float *c;                // C[i,j] is c[i * ldc + j]
    int64_t ldc, rows, k, n; /* n: a multiple of VW */
    /* which elements A[i,p] are 0. SMALL_FULL: none; SMALL_LOWER: those with p > i; SMALL_UPPER: those with p < i */
    enum { SMALL_FULL, SMALL_LOWER, SMALL_UPPER } zeros;
    bool add, fine;
} small_t;

INLINE void small_micro(const int mr, const int nv, const small_t *t, int64_t i, int64_t j, int64_t beg, int64_t end,
                        bool add)
{
    const float *a = t->a + i * t->lda, *b = t->b + j;
    float *c = t->c + i * t->ldc + j;
    vf acc[MR][NV];
    REPEAT(r, mr)
        REPEAT(s, nv) acc[r][s] = vset(0.0f);
    for (int64_t p = beg; p < end; p++) {
        vf v[NV];
        REPEAT(s, nv) v[s] = vload(b + p * t->ldb + s * VW);
        REPEAT(r, mr) {
            vf x = vset(a[r * t->lda + p * t->next]);
            REPEAT(s, nv) acc[r][s] = vfma(x, v[s], acc[r][s]);
        }
    }
    REPEAT(r, mr)
        REPEAT(s, nv) {
            float *to = c + r * t->ldc + s * VW;
            if (add) acc[r][s] = vload(to) + acc[r][s];
            vstore(to, acc[r][s]);
        }
}

#define SMALL_EDGE(r) \
    case r: small_micro(r, nv, t, i, j, beg, end, add); break;
INLINE void small_edge(int mr, const int nv, const small_t *t, int64_t i, int64_t j, int64_t beg, int64_t end, bool add)
{
    switch (mr) {
        SMALL_EDGE(1) SMALL_EDGE(2) SMALL_EDGE(3) SMALL_EDGE(4) SMALL_EDGE(5)
    }
}

INLINE void small_rows(const int nv, const small_t *t, int64_t j, int64_t from, int64_t to, bool add)
{
    for (int64_t i = 0; i < t->rows; i += MR) {
        int64_t beg = t->zeros == SMALL_UPPER ? cad_max(from, i) : from;
        int64_t end = cad_max(beg, t->zeros == SMALL_LOWER ? cad_min(to, i + MR) : to);
        if (i + MR <= t->rows) small_micro(MR, nv, t, i, j, beg, end, add);
        else small_edge((int)(t->rows - i), nv, t, i, j, beg, end, add);
    }
}

static void small_wide(const small_t *t, int64_t j, int64_t from, int64_t to, bool add)
{
    small_rows(NV, t, j, from, to, add);
}
#if NV > 2
static void small_pair(const small_t *t, int64_t j, int64_t from, int64_t to, bool add)
{
    small_rows(2, t, j, from, to, add);
}
#endif
static void small_narrow(const small_t *t, int64_t j, int64_t from, int64_t to, bool add)
{
    small_rows(1, t, j, from, to, add);
}

static void small_product(const small_t *t)
{
    int64_t terms = t->fine ? TERMS : CHUNK;
    for (int64_t from = 0; from < t->k; from += terms) {
        int64_t to = cad_min(from + terms, t->k), j = 0;
        bool add = t->add || from;
        for (; j + NV * VW <= t->n; j += NV * VW) small_wide(t, j, from, to, add);
#if NV > 2
        for (; j + 2 * VW <= t->n; j += 2 * VW) small_pair(t, j, from, to, add);
#endif
        for (; j < t->n; j += VW) small_narrow(t, j, from, to, add);
    }
}

#endif
