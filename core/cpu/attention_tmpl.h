/* attention_tmpl.h - the softmax of attention layers, forward and backward pass, for a piece of a block of queries.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 *
 * Scores are stored transposed, a row for each key and a column for each query, so that a vector holds the scores of VW
 * queries: the largest score and the sum of a query are then maxima and sums of vectors. Keys are read a block at a
 * time; the sum over the blocks before is rescaled when a larger score appears (Milakov and Gimelshein 2018), so that
 * no array of all keys is needed. Exponentials have base 2.
 *
 * One thread computes a head of a piece, keys in ascending order; so a row's result depends on its own sequence only.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_ATTENTION_TMPL_H
#define CAD_ATTENTION_TMPL_H

#include "blocks/attention_sums.h"
#include "share_tmpl.h"
#include "small_tmpl.h"
#include "weights_tmpl.h"
#ifdef CAD_ISA_BACK_OPS
#include "outer_tmpl.h"
#include "residual_tmpl.h"
#endif

#define KEYS CAD_ATTENTION_BLOCK
#define LOG2E 1.4426950408889634

typedef struct { /* packed weights of one layer */
    cad_attention_t shape;
    int64_t D, Dp, I;
    const float *qkv, *out; // panels (3I,Dp), (Dp,I)
    const float *edge;      // (CAD_EDGES,I) embeddings of the types of edges
    uint8_t digit[256];     // what each token is in a word
    const float *zero;      // (max(Dp,3I)) zeros, for products without a bias
    const double *speed;    // (d/2) angles by which a position turns the pairs of channels
    const double *turn;     // (KEYS,d) cosines, then sines, of these angles for positions 0 to KEYS-1
    numbers_t numbers;
} attention_t;

typedef struct { /* arguments of one call of an operation */
    share_t share;
    cad_lane_t *l;
    cad_attention_lane_t *w;
    const attention_t *m;
    const norm_t *norm;
    int layer;
    dest_t dest;
} attention_call_t;

typedef struct {        /* consecutive rows of one block of one sequence */
    int64_t first, len; /* the sequence's first row, and its length */
    int64_t beg, end;
} queries_t;

/* Returns the piece of a span that begins at row r: rows of one block of one sequence. */
static queries_t queries_at(const cad_span_t *s, int64_t r)
{
    int q = find_seq(s, r);
    int64_t first = s->off[q], block = first + (r - first) / KEYS * KEYS;
    return (queries_t) { first, s->off[q + 1] - first, r, cad_min(cad_min(block + KEYS, s->off[q + 1]), s->end) };
}

/* Sets list to the blocks of keys that a piece reads. */
static void keys_of(const attention_call_t *c, const queries_t *q, cad_attention_reads_t *list)
{
    cad_attention_reads(&c->m->shape, c->layer, (q->beg - q->first) / KEYS, (q->len + KEYS - 1) / KEYS, list);
}

/* Stores the transpose of rows (n,d), which are ld floats apart, times `scale` in `to` (d,KEYS); other columns are 0. */
static void turn_rows(const float *rows, int64_t ld, int64_t n, int64_t d, float scale, float *to)
{
    for (int64_t i = 0; i < d; i++) {
        for (int64_t r = 0; r < n; r++) to[i * KEYS + r] = scale * rows[r * ld + i];
        for (int64_t r = n; r < KEYS; r++) to[i * KEYS + r] = 0;
    }
}

/* Computes scores (n,KEYS) = keys (n,d) x queries (d,KEYS). ld: floats from one key to the next. */
static void score_keys(const float *keys, int64_t ld, int64_t n, int64_t d, const float *queries, bool fine, float *to)
{
    small_t t = { .a = keys,
                  .lda = ld,
                  .next = 1,
                  .b = queries,
                  .ldb = KEYS,
                  .c = to,
                  .ldc = KEYS,
                  .rows = n,
                  .k = d,
                  .n = KEYS,
                  .fine = fine };
    small_product(&t);
}

/* Replaces the scores s (n,KEYS) of one block by powers of 2 that are relative to the largest score so far, most
 * (KEYS). Adds them to sum (KEYS), which is first multiplied by shrink (KEYS), the power of 2 by which `most` grew. */
static void soften(float *s, int64_t n, float *most, float *sum, float *shrink)
{
    for (int64_t j = 0; j < KEYS; j += VW) {
        vf old = vload(most + j), top = old, p[GROUP], add = vset(0.0f), by;
        int64_t k = 0;
        for (int64_t i = 0; i < n; i++) top = vmax(top, vload(s + i * KEYS + j));
        by = old - top;
        vdecays(1, &by);
        for (; k + FEW <= n; k += FEW) {
            REPEAT(i, FEW) p[i] = vload(s + (k + i) * KEYS + j) - top;
            vdecays(FEW, p);
            REPEAT(i, FEW) vstore(s + (k + i) * KEYS + j, p[i]);
            REPEAT(i, FEW) add = add + p[i];
        }
        for (; k < n; k++) {
            p[0] = vload(s + k * KEYS + j) - top;
            vdecays(1, p);
            vstore(s + k * KEYS + j, p[0]);
            add = add + p[0];
        }
        vstore(most + j, top);
        vstore(shrink + j, by);
        vstore(sum + j, vfma(vload(sum + j), by, add));
    }
}

/* Computes y of one head for the queries of a piece. */
static void attend_head(const attention_call_t *c, const queries_t *q, const cad_attention_reads_t *list, int64_t head)
{
    const attention_t *m = c->m;
    int64_t d = m->shape.d, ld = 3 * m->I, n = q->end - q->beg;
    const float *qkv = c->w->qkv + head * d;
    float queries[CAD_ATTENTION_WIDEST * KEYS], s[KEYS * KEYS], y[KEYS * CAD_ATTENTION_WIDEST];
    float most[KEYS], sum[KEYS] = { 0 }, shrink[KEYS];
    for (int64_t i = 0; i < KEYS; i++) most[i] = -1e30f;
    memset(y, 0, (size_t)(n * d) * sizeof *y);
    turn_rows(qkv + q->beg * ld, ld, n, d, (float)(LOG2E / sqrt((double)d)), queries);
    for (int64_t b = 0; b < list->n; b++) {
        int64_t beg = cad_attention_block(list, b) * KEYS, keys = cad_min(KEYS, q->len - beg);
        const float *k = qkv + (q->first + beg) * ld + m->I;
        small_t add = { .a = s,
                        .lda = 1,
                        .next = KEYS,
                        .b = k + m->I,
                        .ldb = ld,
                        .c = y,
                        .ldc = d,
                        .rows = n,
                        .k = keys,
                        .n = d,
                        .add = true,
                        .fine = c->l->tape != NULL };
        score_keys(k, ld, keys, d, queries, add.fine, s);
        soften(s, keys, most, sum, shrink);
        for (int64_t i = 0; i < n && b; i++)
            for (int64_t j = 0; j < d; j += VW) vstore(y + i * d + j, vload(y + i * d + j) * vset(shrink[i]));
        small_product(&add);
    }
    for (int64_t i = 0; i < n; i++) {
        float *to = c->w->y + (q->beg + i) * m->I + head * d, inverse = 1.0f / sum[i];
        for (int64_t j = 0; j < d; j += VW) vstore(to + j, vload(y + i * d + j) * vset(inverse));
        if (!c->w->stat) continue;
        c->w->stat[((q->beg + i) * m->shape.H + head) * 2] = most[i];
        c->w->stat[((q->beg + i) * m->shape.H + head) * 2 + 1] = inverse;
    }
}

/* A task is one head of the pieces that begin within KEYS rows of the span. */
static void attend_task(void *arg, int64_t task, int worker)
{
    const attention_call_t *c = arg;
    const cad_span_t *s = &c->share.span;
    int64_t head = task % c->m->shape.H, from = s->beg + task / c->m->shape.H * KEYS, to = cad_min(from + KEYS, s->end);
    queries_t q = { .end = s->beg };
    (void)worker;
    if (from > s->beg) q = queries_at(s, from - 1);
    /* the piece with the row before `from` belongs to another task, up to its end */
    while (q.end < to) {
        cad_attention_reads_t list;
        q = queries_at(s, q.end);
        keys_of(c, &q, &list);
        attend_head(c, &q, &list, head);
    }
}

#ifdef CAD_ISA_BACK_OPS
typedef struct { /* arguments of one call of an operation of the backward pass */
    attention_call_t f;
    cad_grad_lane_t *l;
    cad_attention_grad_lane_t *w;
    cad_attention_sums_t *sum;
    const float *qkvt, *outt; // panels (Dp,3I), (I,Dp)
} attention_back_t;

/* For one block of keys: s (n,KEYS) holds scores and becomes the probabilities p; dp (n,KEYS) holds the gradient of p
 * and becomes that of the scores, p (dp - delta). most, inverse, delta (KEYS): of each query; delta is the sum of
 * y dy. Columns without a query have inverse 0. */
static void soften_back(float *s, float *dp, int64_t n, const float *most, const float *inverse, const float *delta,
                        float scale)
{
    for (int64_t i = 0; i < n * KEYS; i += VW) {
        vf p = vload(s + i) - vload(most + i % KEYS);
        vdecays(1, &p);
        p = p * vload(inverse + i % KEYS);
        vstore(s + i, p);
        vstore(dp + i, p * (vload(dp + i) - vload(delta + i % KEYS)) * vset(scale));
    }
}

/* Adds to dq, dk and dv of one head what the queries of a piece contribute. */
static void attend_head_back(const attention_back_t *b, const queries_t *q, const cad_attention_reads_t *list,
                             int64_t head)
{
    const attention_t *m = b->f.m;
    int64_t d = m->shape.d, ld = 3 * m->I, n = q->end - q->beg;
    const float *own = b->f.w->qkv + q->beg * ld + head * d, *dy = b->w->g + q->beg * m->I + head * d;
    float queries[CAD_ATTENTION_WIDEST * KEYS], grads[CAD_ATTENTION_WIDEST * KEYS], s[KEYS * KEYS], dp[KEYS * KEYS];
    float most[KEYS] = { 0 }, inverse[KEYS] = { 0 }, delta[KEYS] = { 0 };
    for (int64_t i = 0; i < n; i++) {
        const float *stat = b->f.w->stat + ((q->beg + i) * m->shape.H + head) * 2;
        const float *y = b->f.w->y + (q->beg + i) * m->I + head * d;
        vf acc = vset(0.0f);
        for (int64_t j = 0; j < d; j += VW) acc = vfma(vload(y + j), vload(dy + i * m->I + j), acc);
        most[i] = stat[0];
        inverse[i] = stat[1];
        delta[i] = vsum(acc);
    }
    turn_rows(own, ld, n, d, (float)(LOG2E / sqrt((double)d)), queries);
    turn_rows(dy, m->I, n, d, 1.0f, grads);
    for (int64_t k = 0; k < list->n; k++) {
        int64_t beg = cad_attention_block(list, k) * KEYS, keys = cad_min(KEYS, q->len - beg);
        int64_t at = (q->first + beg) * ld + head * d;
        const float *key = b->f.w->qkv + at + m->I;
        float *to = b->w->dqkv + at + m->I, *dq = b->w->dqkv + q->beg * ld + head * d;
        small_t dv = { .a = s,
                       .lda = KEYS,
                       .next = 1,
                       .b = dy,
                       .ldb = m->I,
                       .c = to + m->I,
                       .ldc = ld,
                       .rows = keys,
                       .k = n,
                       .n = d,
                       .add = true,
                       .fine = true };
        small_t dk = { .a = dp,
                       .lda = KEYS,
                       .next = 1,
                       .b = own,
                       .ldb = ld,
                       .c = to,
                       .ldc = ld,
                       .rows = keys,
                       .k = n,
                       .n = d,
                       .add = true,
                       .fine = true };
        small_t to_q = { .a = dp,
                         .lda = 1,
                         .next = KEYS,
                         .b = key,
                         .ldb = ld,
                         .c = dq,
                         .ldc = ld,
                         .rows = n,
                         .k = keys,
                         .n = d,
                         .add = true,
                         .fine = true };
        score_keys(key, ld, keys, d, queries, true, s);
        score_keys(key + m->I, ld, keys, d, grads, true, dp);
        soften_back(s, dp, keys, most, inverse, delta, (float)(1 / sqrt((double)d)));
        small_product(&dv);
        small_product(&dk);
        small_product(&to_q);
    }
}

/* A task is one head: its pieces add to the same keys, in the order of rows. */
static void attend_back_task(void *arg, int64_t head, int worker)
{
    const attention_back_t *b = arg;
    const cad_span_t *s = &b->f.share.span;
    (void)worker;
    for (queries_t q = { .end = s->beg }; q.end < s->end;) {
        cad_attention_reads_t list;
        q = queries_at(s, q.end);
        keys_of(&b->f, &q, &list);
        attend_head_back(b, &q, &list, head);
    }
}
#endif

#endif
