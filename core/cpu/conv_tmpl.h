/* conv_tmpl.h - depthwise causal convolution over the rows of a pack (sequences stored one after the other, without
 * padding), followed by SiLU: u = silu(conv(x)). K is the number of taps; `width` is the number of channels, a multiple
 * of VW.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_CONV_TMPL_H
#define CAD_CONV_TMPL_H

#include "share_tmpl.h"

#define AHEAD 8 /* a row is prefetched this many rows before it is used */

typedef struct {
    const float *w, *bias; // (K,width), (width)
    int64_t K, width;
    bool reverse; /* the convolution runs from the last row of a sequence to the first */
} conv_t;

/* Returns the convolution at row r, before SiLU, for one vector (VW channels) from channel c onwards: bias + sum over k
 * from `first` to K-1 of w_k x[r - (K-1-k)]. The pointer x is the address of row r; the previous row, in the direction
 * of the convolution, is at x - ew. Taps before `first` are left out: they would read rows before the sequence's first
 * row. */
INLINE vf conv_sum(const conv_t *m, const float *x, int64_t ew, const int64_t K, int64_t first, int64_t c)
{
    vf acc = vload(m->bias + c);
    for (int64_t k = first; k < K; k++)
        acc = vfma(vload(m->w + k * m->width + c), vload(x - (K - 1 - k) * ew + c), acc);
    return acc;
}

INLINE void conv_some(const conv_t *m, const float *x, int64_t ew, const int64_t K, int64_t first, int64_t c,
                      const int n, float *u)
{
    int64_t ld = m->reverse ? -ew : ew; /* floats to the row that is computed next: rows are computed in memory order */
    vf v[GROUP];
    REPEAT(i, n) __builtin_prefetch(x + AHEAD * ld + c + i * VW);
    REPEAT(i, n) v[i] = conv_sum(m, x, ew, K, first, c + i * VW);
    vsilus(n, v);
    REPEAT(i, n) vstore(u + c + i * VW, v[i]);
}

/* Computes n vectors of channels of u, from channel c onwards, for all rows of span s. n is so small that the weights
 * and the rows of these channels stay in the first-level cache. */
INLINE void conv_block(const conv_t *m, const cad_span_t *s, const float *x, int64_t ld, float *u, int64_t ldu,
                       int64_t c, const int n)
{
    int64_t ew = m->reverse ? -ld : ld;
    int q = find_seq(s, s->beg);
    for (int64_t r = s->beg; r < s->end; r++) {
        while (r >= s->off[q + 1]) q++;
        int64_t past = m->reverse ? s->off[q + 1] - 1 - r : r - s->off[q];
        const float *from = x + r * ld;
        float *to = u + (r - s->beg) * ldu;
        if (m->K == 4 && past >= 3) conv_some(m, from, ew, 4, 0, c, n, to);
        else conv_some(m, from, ew, m->K, cad_max(0, m->K - 1 - past), c, n, to);
    }
}

/* Computes u for the rows of span s. x (rows,ld) has all rows of the pack; row 0 of u (rows,ldu) is the first row of
 * s. */
static void conv_rows(const conv_t *m, const cad_span_t *s, const float *x, int64_t ld, float *u, int64_t ldu)
{
    int64_t c = 0, width = m->width;
    for (; c + GROUP * VW <= width; c += GROUP * VW) conv_block(m, s, x, ld, u, ldu, c, GROUP);
    for (; c + FEW * VW <= width; c += FEW * VW) conv_block(m, s, x, ld, u, ldu, c, FEW);
    for (; c < width; c += VW) conv_block(m, s, x, ld, u, ldu, c, 1);
}

#ifdef CAD_ISA_BACK_OPS
/* arguments of the backward pass for the rows of span s. dc is the gradient of the convolution's result before SiLU:
 * dc = du silu'(conv); dx += w dc, dw += x dc, db += dc */
typedef struct {
    conv_t m;
    const cad_span_t *s;
    const float *x;    // (rows,ld) for all rows of the pack
    const float *du;   // (rows,ldu) gradient of u; row 0 is the first row of s
    float *dx;         // (rows,ld) gradient of x, for all rows of the pack
    float *dw, *dbias; // (K,width), (width)
    int64_t ld, ldu;
} conv_back_t;

/* Runs the backward pass, for any number of taps, for rows [beg, end) of sequence q and one vector of channels from
 * channel c onwards. Adds to b->dx, and to the gradients of the taps dw (K) and of the bias db, which are vectors of
 * channels. */
static void conv_back_any(const conv_back_t *b, int q, int64_t beg, int64_t end, int64_t c, vf *dw, vf *db)
{
    const cad_span_t *s = b->s;
    const conv_t *m = &b->m;
    int64_t K = m->K, ew = m->reverse ? -b->ld : b->ld;
    for (int64_t r = beg; r < end; r++) {
        int64_t past = m->reverse ? s->off[q + 1] - 1 - r : r - s->off[q], first = cad_max(0, K - 1 - past);
        vf sum = conv_sum(m, b->x + r * b->ld, ew, K, first, c), on = vsigmoid(sum);
        vf dc = vload(b->du + (r - s->beg) * b->ldu + c) * on * vfma(sum, vset(1.0f) - on, vset(1.0f));
        for (int64_t k = first; k < K; k++) {
            int64_t at = r * b->ld - (K - 1 - k) * ew + c;
            dw[k] = vfma(vload(b->x + at), dc, dw[k]);
            vstore(b->dx + at, vfma(vload(m->w + k * m->width + c), dc, vload(b->dx + at)));
        }
        *db = *db + dc;
    }
}

#define TAPS 4 /* number of taps in the published models; x and dc of this many rows fit in registers */

typedef struct {
    vf w[TAPS], bias, dw[TAPS], db;
    vf x[TAPS - 1], dc[TAPS - 1]; /* x and dc of the previous TAPS-1 rows; 0 for rows before the sequence's first row */
} taps_t;

/* Runs the backward pass, as conv_back_any does, for n rows, which are ew floats apart in x and dx, and uw floats apart
 * in du. whole: the sequence has TAPS-1 rows before these rows. The n rows of dx that begin TAPS-1 rows earlier are
 * then complete, and are stored. */
INLINE void taps_rows(taps_t *t, const float *x, const float *du, float *dx, int64_t ew, int64_t uw, const int n,
                      const bool whole)
{
    vf v[TAPS - 1 + FEW], dc[TAPS - 1 + FEW], sum[FEW], on[FEW];
    REPEAT(i, TAPS - 1) {
        v[i] = t->x[i];
        dc[i] = t->dc[i];
    }
    REPEAT(i, n) __builtin_prefetch(x + (i + AHEAD) * ew);
    REPEAT(i, n) __builtin_prefetch(du + (i + AHEAD) * uw);
    REPEAT(i, n) __builtin_prefetch(dx + (i + AHEAD) * ew, 1);
    REPEAT(i, n) v[TAPS - 1 + i] = vload(x + i * ew);
    REPEAT(i, n) sum[i] = t->bias;
    REPEAT(k, TAPS)
        REPEAT(i, n) sum[i] = vfma(t->w[k], v[i + k], sum[i]);
    REPEAT(i, n) on[i] = sum[i];
    vsigmoids(n, on);
    REPEAT(i, n) dc[TAPS - 1 + i] = vload(du + i * uw) * on[i] * vfma(sum[i], vset(1.0f) - on[i], vset(1.0f));
    REPEAT(k, TAPS)
        REPEAT(i, n) t->dw[k] = vfma(v[i + k], dc[TAPS - 1 + i], t->dw[k]);
    REPEAT(i, n) t->db = t->db + dc[TAPS - 1 + i];
    dx -= (TAPS - 1) * ew;
    if (whole)
        REPEAT(i, n) {
            vf d = vload(dx + i * ew);
            REPEAT(k, TAPS) d = vfma(t->w[TAPS - 1 - k], dc[i + k], d);
            vstore(dx + i * ew, d);
        }
    REPEAT(i, TAPS - 1) {
        t->x[i] = v[n + i];
        t->dc[i] = dc[n + i];
    }
}

/* Runs the backward pass, as conv_back_any does, for K = TAPS. */
static void conv_back_taps(const conv_back_t *b, int q, int64_t beg, int64_t end, int64_t c, vf *dw, vf *db)
{
    const cad_span_t *s = b->s;
    const conv_t *m = &b->m;
    int64_t ew = m->reverse ? -b->ld : b->ld, uw = m->reverse ? -b->ldu : b->ldu;
    int64_t rows = end - beg, first = m->reverse ? end - 1 : beg, r = 0;
    /* number of rows of the sequence that come before rows [beg, end) in the direction of the convolution */
    int64_t past = m->reverse ? s->off[q + 1] - end : beg - s->off[q];
    const float *x = b->x + first * b->ld + c, *du = b->du + (first - s->beg) * b->ldu + c;
    float *dx = b->dx + first * b->ld + c;
    taps_t t = { .bias = vload(m->bias + c), .db = *db };
    for (int k = 0; k < TAPS; k++) t.w[k] = vload(m->w + k * m->width + c);
    for (int k = 0; k < TAPS; k++) t.dw[k] = dw[k];
    for (int i = 0; i < TAPS - 1; i++) {
        t.x[i] = past >= TAPS - 1 - i ? vload(x - (TAPS - 1 - i) * ew) : vset(0.0f);
        t.dc[i] = vset(0.0f);
    }
    for (; r < rows && r + past < TAPS - 1; r++) taps_rows(&t, x + r * ew, du + r * uw, dx + r * ew, ew, uw, 1, false);
    for (; r + FEW <= rows; r += FEW) taps_rows(&t, x + r * ew, du + r * uw, dx + r * ew, ew, uw, FEW, true);
    for (; r < rows; r++) taps_rows(&t, x + r * ew, du + r * uw, dx + r * ew, ew, uw, 1, true);
    for (int i = (int)cad_max(0, TAPS - 1 - past - rows); i < TAPS - 1; i++) {
        float *to = dx + (rows - (TAPS - 1) + i) * ew;
        for (int k = i; k < TAPS - 1; k++) vstore(to, vfma(t.w[TAPS - 1 - (k - i)], t.dc[k], vload(to)));
    }
    for (int k = 0; k < TAPS; k++) dw[k] = t.dw[k];
    *db = t.db;
}

#define MOST_TAPS 64 /* largest d_conv (number of taps) that configure() of each layer kind accepts */

/* Runs the backward pass of the convolution for channels [from, to) and all rows of span b->s. */
static void conv_back_channels(const conv_back_t *b, int64_t from, int64_t to)
{
    const conv_t *m = &b->m;
    const cad_span_t *s = b->s;
    int64_t K = m->K;
    int first = find_seq(s, s->beg), last = find_seq(s, s->end - 1);
    for (int64_t c = from; c < to; c += VW) {
        vf dw[MOST_TAPS], db = vset(0.0f);
        for (int64_t k = 0; k < K; k++) dw[k] = vset(0.0f);
        for (int q = first; q <= last; q++) {
            piece_t p = piece_of(s, q, m->reverse);
            if (K == TAPS) conv_back_taps(b, q, p.beg, p.end, c, dw, &db);
            else conv_back_any(b, q, p.beg, p.end, c, dw, &db);
        }
        for (int64_t k = 0; k < K; k++) vstore(b->dw + k * m->width + c, vload(b->dw + k * m->width + c) + dw[k]);
        vstore(b->dbias + c, vload(b->dbias + c) + db);
    }
}
#endif

#endif
