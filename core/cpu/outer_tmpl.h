/* outer_tmpl.h - gradients of weights, which are sums over rows: C (n,k) += A (rows,n)^T x B (rows,k).
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_PAIRS: compiles the sums of PAIRS instead of those of FLOATS and
 * ROUNDED.
 *
 * Sums of FLOATS read A and B where they are. For the precision bf16, the rows of A and B are first stored as words of
 * ROUNDED or PAIRS. A word of PAIRS here holds the values of two adjacent rows.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_OUTER_TMPL_H
#define CAD_OUTER_TMPL_H

#include "narrow_tmpl.h"
#include "weights_tmpl.h"

#define STRIP (64 / PER_WORD) /* number of rows of words that are summed before the sum is added to C */
#define SHARE (16 * MR)       /* columns of A that one task sums */
#define LUMP 8                /* rows of words that one task rounds */

typedef struct { /* how sums over rows are computed */
    cad_team_t *team;
    numbers_t f;
    float *words; // room for the words of A and B: (rows,n+k), with n and k rounded up to VW; unused by FLOATS
} outer_how_t;

static outer_how_t outer_how(const cad_grad_lane_t *l, float *words)
{
    return (outer_how_t) { l->f.team, l->grads->numbers, words };
}

typedef struct {
    const float *a, *b; // (rows,lda), (rows,k)
    float *c;           // (n,k)
    int64_t lda, n, k, rows, groups;
} outer_t;

INLINE void outer_micro(const int mr, const int nv, const float *a, int64_t lda, const float *b, int64_t rows, float *c,
                        int64_t ldc)
{
    vf acc[MR][NV];
    micro_sum(NARROW_PAIRS, mr, nv, a, 1, lda, b, rows, acc);
    for (int i = 0; i < mr; i++)
        for (int j = 0; j < nv; j++) vstore(c + i * ldc + j * VW, vload(c + i * ldc + j * VW) + acc[i][j]);
}

#define OUTER_EDGE(i) \
    case i: outer_micro(i, nv, a, lda, b, rows, c, ldc); break;
INLINE void outer_edge(int mr, const int nv, const float *a, int64_t lda, const float *b, int64_t rows, float *c,
                       int64_t ldc)
{
    switch (mr) {
        OUTER_EDGE(1) OUTER_EDGE(2) OUTER_EDGE(3) OUTER_EDGE(4) OUTER_EDGE(5)
    }
}

/* Adds A^T x B to rows [from, to) of C, for nv vectors of columns from `col` onwards. These rows of C are columns of
 * A. */
INLINE void outer_panel(const outer_t *o, const int nv, int64_t col, int64_t from, int64_t to)
{
    float b[STRIP * PW];
    for (int64_t r = 0; r < o->rows; r += STRIP) {
        int64_t rows = cad_min(STRIP, o->rows - r), i = from;
        for (int64_t k = 0; k < rows; k++)
            for (int j = 0; j < nv; j++) vstore(b + (k * nv + j) * VW, vload(o->b + (r + k) * o->k + col + j * VW));
        for (; i + MR <= to; i += MR)
            outer_micro(MR, nv, o->a + r * o->lda + i, o->lda, b, rows, o->c + i * o->k + col, o->k);
        if (i < to) outer_edge((int)(to - i), nv, o->a + r * o->lda + i, o->lda, b, rows, o->c + i * o->k + col, o->k);
    }
}

static void outer_task(void *arg, int64_t task, int worker)
{
    const outer_t *o = arg;
    int64_t col = task / o->groups * PW, from = task % o->groups * SHARE, to = cad_min(from + SHARE, o->n);
    (void)worker;
    switch (cad_min(NV, (o->k - col) / VW)) {
    case 1: outer_panel(o, 1, col, from, to); break;
#if NV > 2
    case 2: outer_panel(o, 2, col, from, to); break;
    case 3: outer_panel(o, 3, col, from, to); break;
#endif
    case NV: outer_panel(o, NV, col, from, to); break;
    }
}

typedef struct {       /* rows that are stored as words */
    const float *from; // (rows,ld)
    float *words;      // (rows / PER_WORD,width), rounded up
    int64_t rows, ld, width;
} words_t;

/* Stores the row of words that starts with row r. A row after the last one counts as 0. */
INLINE void store_words(const words_t *w, int64_t r)
{
    const float *row = w->from + r * w->ld;
    float *to = w->words + r / PER_WORD * w->width;
#if defined(CAD_ISA_PAIRS)
    const bool both = r + 1 < w->rows;
    for (int64_t i = 0; i < w->width; i += VW)
        vstore(to + i, vpair(vload(row + i), both ? vload(row + w->ld + i) : vset(0.0f)));
#else
    narrow(row, w->width, to);
#endif
}

static void words_task(void *arg, int64_t task, int worker)
{
    const words_t *w = arg;
    int64_t r = task * LUMP * PER_WORD, end = cad_min(r + LUMP * PER_WORD, w->rows);
    (void)worker;
    for (; r < end; r += PER_WORD) store_words(w, r);
}

/* Stores `width` columns of rows (rows,ld) as words, and returns these. */
static const float *words_of_rows(cad_team_t *team, const float *from, int64_t ld, int64_t rows, int64_t width,
                                  float *words)
{
    words_t w = { from, words, rows, ld, width };
    cad_team_run(team, (rows + LUMP * PER_WORD - 1) / (LUMP * PER_WORD), words_task, &w);
    return words;
}

/* Adds A (rows,n)^T x B (rows,k) to C (n,k). Each output is computed by one thread, which adds the rows in order. k is
 * a multiple of VW. lda: floats from one row of A to the next, at least n rounded up to VW. */
static void outer(const outer_how_t *how, int64_t rows, const float *a, int64_t lda, int64_t n, const float *b,
                  int64_t k, float *c)
{
    outer_t o = { a, b, c, lda, n, k, rows, (n + SHARE - 1) / SHARE };
    if (how->f != FLOATS) {
        o.lda = cad_round_up(n, VW);
        o.rows = (rows + PER_WORD - 1) / PER_WORD;
        o.a = words_of_rows(how->team, a, lda, rows, o.lda, how->words);
        o.b = words_of_rows(how->team, b, k, rows, k, how->words + o.rows * o.lda);
    }
    cad_team_run(how->team, (k + PW - 1) / PW * o.groups, outer_task, &o);
}

/* Adds the sum of the rows of `a` (rows,k), which are lda floats apart, to `c` (k). */
static void add_columns(const float *a, int64_t lda, int64_t rows, int64_t k, float *c)
{
    for (int64_t i = 0; i < k; i += VW) {
        vf acc = vset(0.0f);
        for (int64_t r = 0; r < rows; r++) acc = acc + vload(a + r * lda + i);
        vstore(c + i, vload(c + i) + acc);
    }
}

#endif
