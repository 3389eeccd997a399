/* attention_graph_tmpl.h - attention along the edges of a graph, forward and backward pass.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass. Exponentials have base 2.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_ATTENTION_GRAPH_TMPL_H
#define CAD_ATTENTION_GRAPH_TMPL_H

#include "attention_tmpl.h"

#define SLOTS 16 /* CAD_EDGES rounded up to whole vectors */
_Static_assert(CAD_EDGES <= SLOTS && SLOTS % VW == 0, "the scores of a row are whole vectors");

/* Finds the edges of the sequences that begin in the span. A forward pass computes whole sequences, tile after tile, so
 * the tile of a sequence's first row has the edges of all its rows. */
static void find_edges(const attention_call_t *c)
{
    const cad_span_t *s = &c->share.span;
    for (int q = find_seq(s, s->beg); q < s->nseq && s->off[q] < s->end; q++)
        if (s->off[q] >= s->beg) cad_attention_edges(c->m->digit, c->l->tok, s->off[q], s->off[q + 1], c->w->edge);
}

/* Returns the sum over d channels of a (b + e). */
INLINE float dot_sum(const float *a, const float *b, const float *e, int64_t d)
{
    vf acc = vset(0.0f);
    for (int64_t i = 0; i < d; i += VW) acc = vfma(vload(a + i), vload(b + i) + vload(e + i), acc);
    return vsum(acc);
}

/* Sets score (SLOTS) to the exponents of the edges of one row and head; -1e30 where there is no edge. */
static void score_edges(const attention_call_t *c, int64_t row, int64_t head, float *score)
{
    const attention_t *m = c->m;
    int64_t d = m->shape.d, ld = 3 * m->I;
    const int32_t *edge = c->w->edge + row * CAD_EDGES;
    const float *q = c->w->qkv + row * ld + head * d, scale = (float)(LOG2E / sqrt((double)d));
    for (int t = 0; t < SLOTS; t++) score[t] = -1e30f;
    for (int t = 0; t < CAD_EDGES; t++)
        if (edge[t] >= 0)
            score[t] = scale * dot_sum(q, c->w->qkv + edge[t] * ld + m->I + head * d, m->edge + t * m->I + head * d, d);
}

/* Replaces the exponents by powers of 2, relative to `most`. */
static void raise_edges(float *score, float most)
{
    for (int t = 0; t < SLOTS; t += VW) {
        vf p = vload(score + t) - vset(most);
        vdecays(1, &p);
        vstore(score + t, p);
    }
}

static void graph_row(const attention_call_t *c, int64_t row, int64_t head)
{
    const attention_t *m = c->m;
    int64_t d = m->shape.d, ld = 3 * m->I;
    const int32_t *edge = c->w->edge + row * CAD_EDGES;
    float p[SLOTS], most = -1e30f, sum = 0, *y = c->w->y + row * m->I + head * d;
    score_edges(c, row, head, p);
    for (int t = 0; t < CAD_EDGES; t++) most = p[t] > most ? p[t] : most;
    raise_edges(p, most);
    for (int t = 0; t < CAD_EDGES; t++) sum += edge[t] >= 0 ? p[t] : 0.0f;
    for (int64_t i = 0; i < d; i += VW) {
        vf acc = vset(0.0f);
        for (int t = 0; t < CAD_EDGES; t++)
            if (edge[t] >= 0)
                acc = vfma(vset(p[t] / sum), vload(c->w->qkv + edge[t] * ld + 2 * m->I + head * d + i), acc);
        vstore(y + i, acc);
    }
    if (!c->w->stat) return;
    c->w->stat[(row * m->shape.H + head) * 2] = most;
    c->w->stat[(row * m->shape.H + head) * 2 + 1] = 1.0f / sum;
}

static void graph_task(void *arg, int64_t task, int worker)
{
    const attention_call_t *c = arg;
    cad_span_t s = rows_of_task(&c->share, task);
    (void)worker;
    for (int64_t r = s.beg; r < s.end; r++)
        for (int64_t head = 0; head < c->m->shape.H; head++) graph_row(c, r, head);
}

#ifdef CAD_ISA_BACK_OPS
/* Adds what one edge of a row contributes to dq, dk, dv and the gradient of the edge's embedding, for one head. to: the
 * row at the other end. p: the weight of the edge. delta: the sum of y dy. */
static void graph_edge_back(const attention_back_t *b, int64_t row, int64_t to, int type, int64_t head, float p,
                            float delta)
{
    const attention_t *m = b->f.m;
    int64_t d = m->shape.d, ld = 3 * m->I, at = head * d;
    const float *q = b->f.w->qkv + row * ld + at, *k = b->f.w->qkv + to * ld + m->I + at, *v = k + m->I;
    const float *e = m->edge + type * m->I + at, *dy = b->w->g + row * m->I + at;
    float *dq = b->w->dqkv + row * ld + at, *dk = b->w->dqkv + to * ld + m->I + at;
    float ds = p * (dot_sum(dy, v, m->zero, d) - delta) * (float)(1 / sqrt((double)d));
    add_row(dq, k, ds, d);
    add_row(dq, e, ds, d);
    add_row(dk, q, ds, d);
    add_row(b->sum->edge + type * m->I + at, q, ds, d);
    add_row(dk + m->I, dy, p, d);
}

static void graph_row_back(const attention_back_t *b, int64_t row, int64_t head)
{
    const attention_t *m = b->f.m;
    const int32_t *edge = b->f.w->edge + row * CAD_EDGES;
    const float *stat = b->f.w->stat + (row * m->shape.H + head) * 2;
    int64_t at = row * m->I + head * m->shape.d;
    float p[SLOTS], delta = dot_sum(b->w->g + at, b->f.w->y + at, m->zero, m->shape.d);
    score_edges(&b->f, row, head, p);
    raise_edges(p, stat[0]);
    for (int t = 0; t < CAD_EDGES; t++)
        if (edge[t] >= 0) graph_edge_back(b, row, edge[t], t, head, p[t] * stat[1], delta);
}

/* A task is one head: its rows add to the same keys, in their order. */
static void graph_back_task(void *arg, int64_t head, int worker)
{
    const attention_back_t *b = arg;
    (void)worker;
    for (int64_t r = b->f.share.span.beg; r < b->f.share.span.end; r++) graph_row_back(b, r, head);
}
#endif

#endif
