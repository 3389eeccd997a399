/* cnn_kind_tmpl.h - compiles the layer kind cnn for one instruction set: its weights, its operations and their tables,
 * in the order of blocks/cnn.h.
 *
 * A convolution of width w is one matrix product: since rows are adjacent in memory, a row and the w - 1 rows after it are
 * one row of w Dp values. Its gradients are such products too. Rows around a sequence are zeros in a copy of its rows.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_CNN_KIND_TMPL_H
#define CAD_CNN_KIND_TMPL_H

#include "blocks/cnn.h"
#include "blocks/cnn_sums.h"
#include "residual_tmpl.h"
#include "share_tmpl.h"
#include "weights_tmpl.h"

typedef struct { /* the packed weights of a layer */
    cad_cnn_t shape;
    int64_t D, Dp, E, before, after; /* before, after: rows that the widest convolution reads around its own */
    const float *weight[CAD_CNN_WIDTHS], *bias[CAD_CNN_WIDTHS]; // panels (C,w Dp); (C)
    const float *out, *out_bias, *zero;                         // panels (Dp,E); (Dp); (max(Dp,E)) zeros
    numbers_t numbers;                                          /* of the panels */
} cnn_t;

/* Stores W (C,D,w) as panels (C,w Dp), whose row c has W[c,:,0], then W[c,:,1] and so on. */
static const float *lay_taps(cad_bump_t *b, numbers_t f, const float *from, int64_t C, int64_t D, int64_t w, int64_t Dp)
{
    float *taps = cad_bump_floats(b, C, w * Dp);
    for (int64_t i = 0; taps && i < C * D * w; i++) taps[(i / w / D * w + i % w) * Dp + i / w % D] = from[i];
    return lay_panels(b, f, taps, C, w * Dp, C, w * Dp);
}

static void lay_cnn(cad_bump_t *b, const cad_weights_t *w, const cad_model_t *m, int layer, void *packed)
{
    const cad_direction_t *d = &m->layer[layer].dir[0];
    const cad_cnn_t *s = cad_cnn(&m->cfg);
    cnn_t *p = packed;
    *p = (cnn_t) { .shape = *s, .D = w->D, .Dp = w->Dp, .E = cad_cnn_E(s), .numbers = w->numbers };
    p->before = cad_cnn_before(cad_cnn_widest(s));
    p->after = cad_cnn_after(cad_cnn_widest(s));
    for (int i = 0; i < s->n; i++) {
        p->weight[i] = lay_taps(b, p->numbers, cad_param(d, CAD_CNN_WEIGHT + 2 * i), s->C, p->D, s->width[i], p->Dp);
        p->bias[i] = lay_vector(b, cad_param(d, CAD_CNN_BIAS + 2 * i), s->C, s->C);
    }
    p->out = lay_panels(b, p->numbers, cad_param(d, CAD_CNN_OUT), p->D, p->E, p->Dp, p->E);
    p->out_bias = lay_vector(b, cad_param(d, CAD_CNN_OUT_BIAS), p->D, p->Dp);
    p->zero = lay_vector(b, NULL, 0, cad_max(p->Dp, p->E));
}

/* ---- forward pass ---- */

typedef struct { /* arguments of one call of an operation */
    share_t share;
    cad_lane_t *l;
    cad_cnn_lane_t *w;
    const cnn_t *m;
    const norm_t *norm;
    cad_rows_t seq; /* the sequence of the rows of share.span, and the first row in w->a */
    int64_t first;
} cnn_call_t;

static cnn_call_t cnn_call(cad_lane_t *l, int layer, cad_span_t s)
{
    return (cnn_call_t) { .share = { .team = l->team, .span = s },
                          .l = l,
                          .w = cad_cnn_lane(l),
                          .m = l->weights->layer[layer],
                          .norm = &l->weights->norm[layer] };
}

/* u of convolution i, or the gradient of u. */
static float *cnn_rows(const cnn_call_t *c, float *u, int i) { return u + i * c->w->rows * c->m->shape.C; }

/* Sets rows of w->a to the normalised rows of the sequence, and to 0 outside of it. */
static void cnn_norm_task(void *arg, int64_t task, int worker)
{
    const cnn_call_t *c = arg;
    cad_span_t s = rows_of_task(&c->share, task);
    int64_t Dp = c->m->Dp;
    (void)worker;
    for (int64_t r = s.beg; r < s.end; r++) {
        float *a = c->w->a + (r - c->first) * Dp;
        if (r < c->seq.beg || r >= c->seq.end) memset(a, 0, (size_t)Dp * sizeof *a);
        else norm_row(c->norm, c->l->base + r * Dp, a);
    }
}

/* Prepares w->a for the rows [beg, end) of sequence q, and for those around them that are read. */
static void cnn_normalise(cnn_call_t *c, int q, piece_t p)
{
    c->seq = (cad_rows_t) { c->l->off_in[q], c->l->off_in[q + 1] };
    c->first = p.beg - c->m->before;
    c->share.span.beg = c->first;
    c->share.span.end = p.end + c->m->after;
    share_rows(&c->share, c, cnn_norm_task);
    c->share.span.beg = p.beg;
    c->share.span.end = p.end;
}

/* The first row of w->a that convolution i reads for row r. */
static float *cnn_window(const cnn_call_t *c, int i, int64_t r)
{
    return c->w->a + (r - cad_cnn_before(c->m->shape.width[i]) - c->first) * c->m->Dp;
}

static void cnn_task(void *arg, int64_t task, int worker)
{
    const cnn_call_t *c = arg;
    const cnn_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task);
    (void)worker;
    for (int i = 0; i < m->shape.n; i++) {
        dest_t to = { cnn_rows(c, c->w->u, i), NULL, NULL, m->bias[i], m->shape.C, STORE };
        project(m->numbers, cnn_window(c, i, s.beg), m->Dp, s.end - s.beg, m->weight[i], m->shape.C,
                m->shape.width[i] * m->Dp, &to, s.beg);
    }
}

static int cnn_in(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    cnn_call_t c = cnn_call(l, layer, s);
    (void)dir;
    (void)how;
    for (int q = find_seq(&s, s.beg); q < s.nseq && s.off[q] < s.end; q++) {
        piece_t p = piece_of(&s, q, false);
        if (p.beg >= p.end) continue;
        cnn_normalise(&c, q, p);
        share_rows(&c.share, &c, cnn_task);
    }
    return 0;
}

/* Returns the rows of u for which row r of the output, of sequence q, stands. */
static cad_rows_t cnn_stands_for(const cnn_call_t *c, int q, int64_t r)
{
    int64_t beg = c->l->off_in[q] + (r - c->l->off_out[q]) * c->m->shape.P;
    return (cad_rows_t) { beg, cad_min(beg + c->m->shape.P, c->l->off_in[q + 1]) };
}

/* Sets y (n) to the maximum of 0 and the rows of u (rows,n). NaN stays. */
static void cnn_maximum(const float *u, cad_rows_t rows, int64_t n, float *y)
{
    memset(y, 0, (size_t)n * sizeof *y);
    for (int64_t t = rows.beg; t < rows.end; t++)
        for (int64_t k = 0; k < n; k++) {
            float v = u[t * n + k];
            y[k] = v > y[k] || v != v ? v : y[k];
        }
}

/* Computes y for the rows of s. */
static void cnn_pool(const cnn_call_t *c, cad_span_t s)
{
    int q = find_seq(&s, s.beg);
    for (int64_t r = s.beg; r < s.end; r++) {
        while (s.off[q + 1] <= r) q++;
        for (int i = 0; i < c->m->shape.n; i++)
            cnn_maximum(cnn_rows(c, c->w->u, i), cnn_stands_for(c, q, r), c->m->shape.C,
                        c->w->y + (r - c->share.span.beg) * c->m->E + i * c->m->shape.C);
    }
}

static void cnn_out_task(void *arg, int64_t task, int worker)
{
    const cnn_call_t *c = arg;
    const cnn_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task);
    dest_t to = { c->l->res, NULL, NULL, m->out_bias, m->Dp, STORE };
    (void)worker;
    cnn_pool(c, s);
    project(m->numbers, c->w->y + (s.beg - c->share.span.beg) * m->E, m->E, s.end - s.beg, m->out, m->Dp, m->E, &to,
            s.beg);
}

static int cnn_out(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    cnn_call_t c = cnn_call(l, layer, s);
    (void)dir;
    (void)how;
    share_rows(&c.share, &c, cnn_out_task);
    return 0;
}

static cad_op_f *const cnn_ops[CAD_CNN_OPS] = { [CAD_CNN_OP_IN] = cnn_in, [CAD_CNN_OP_OUT] = cnn_out };

/* ---- backward pass ---- */

#ifdef CAD_ISA_BACK_OPS
typedef struct {
    const float *weight[CAD_CNN_WIDTHS]; // panels (Dp,w C)
    const float *out;                    // panels (E,Dp)
} cnn_turned_t;

/* Stores W (C,D,w) as panels (Dp,w C), whose row d has W[:,d,w-1], then W[:,d,w-2] and so on. */
static const float *lay_taps_turned(cad_bump_t *b, numbers_t f, const float *from, int64_t C, int64_t D, int64_t w,
                                    int64_t Dp)
{
    float *taps = cad_bump_floats(b, D, w * C);
    for (int64_t i = 0; taps && i < C * D * w; i++) taps[(i / w % D * w + w - 1 - i % w) * C + i / w / D] = from[i];
    return lay_panels(b, f, taps, D, w * C, Dp, w * C);
}

static void lay_cnn_turned(cad_bump_t *b, const cad_model_t *m, numbers_t f, int layer, void *turned)
{
    const cad_direction_t *d = &m->layer[layer].dir[0];
    const cad_cnn_t *s = cad_cnn(&m->cfg);
    int64_t D = m->cfg.d_model, Dp = cad_round_up(D, CAD_PAD), E = cad_cnn_E(s);
    cnn_turned_t *t = turned;
    for (int i = 0; i < s->n; i++)
        t->weight[i] = lay_taps_turned(b, f, cad_param(d, CAD_CNN_WEIGHT + 2 * i), s->C, D, s->width[i], Dp);
    t->out = lay_turned(b, f, cad_param(d, CAD_CNN_OUT), E, E, D, E, Dp);
}

typedef struct { /* arguments of one call of the backward pass */
    cnn_call_t f;
    cad_grad_lane_t *l;
    cad_cnn_grad_lane_t *w;
    const cnn_turned_t *t;
    const cad_cnn_sums_t *sum;
    int i; /* the convolution */
} cnn_back_t;

static cnn_back_t cnn_back_of(cad_grad_lane_t *l, int layer, cad_span_t s)
{
    return (cnn_back_t) { .f = cnn_call(&l->f, layer, s),
                          .l = l,
                          .w = cad_cnn_grad_lane(l),
                          .t = l->grads->turned[layer],
                          .sum = l->grads->s.layer[layer] };
}

/* Gives the gradient g (n) of the maximum y to the first of its rows of u (rows,n) that has this value; sets du. */
static void cnn_maximum_back(const float *u, cad_rows_t rows, int64_t n, const float *y, const float *g, float *du)
{
    for (int64_t k = 0; k < n; k++) {
        float left = y[k] > 0 ? g[k] : 0; /* what has not been given to a row */
        for (int64_t t = rows.beg; t < rows.end; t++) {
            bool top = u[t * n + k] == y[k];
            du[t * n + k] = top ? left : 0;
            left = top ? 0 : left;
        }
    }
}

/* Computes y again, its gradient g = dout x out_proj, and the gradient of u. */
static void cnn_out_back_task(void *arg, int64_t task, int worker)
{
    const cnn_back_t *b = arg;
    const cnn_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t first = b->f.share.span.beg;
    dest_t to = { b->w->g, NULL, NULL, m->zero, m->E, STORE };
    int q = find_seq(&s, s.beg);
    (void)worker;
    cnn_pool(&b->f, s);
    project(m->numbers, b->l->dout + s.beg * m->Dp, m->Dp, s.end - s.beg, b->t->out, m->E, m->Dp, &to, s.beg - first);
    for (int64_t r = s.beg; r < s.end; r++) {
        while (s.off[q + 1] <= r) q++;
        for (int i = 0; i < m->shape.n; i++) {
            int64_t at = (r - first) * m->E + i * m->shape.C;
            cnn_maximum_back(cnn_rows(&b->f, b->f.w->u, i), cnn_stands_for(&b->f, q, r), m->shape.C, b->f.w->y + at,
                             b->w->g + at, cnn_rows(&b->f, b->w->du, i));
        }
    }
}

static int cnn_out_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    cnn_back_t b = cnn_back_of(l, layer, s);
    const cnn_t *m = b.f.m;
    outer_how_t way = outer_how(l, b.w->words);
    const float *dout = l->dout + s.beg * m->Dp;
    (void)dir;
    (void)how;
    share_rows(&b.f.share, &b, cnn_out_back_task);
    outer(&way, s.end - s.beg, dout, m->Dp, m->D, b.f.w->y, m->E, b.sum->out);
    add_columns(dout, m->Dp, s.end - s.beg, m->Dp, b.sum->out_bias);
    return 0;
}

/* Copies du of convolution b->i, from `after` rows before the piece to `before` rows behind it, to w->near, with zeros
 * outside of the sequence. */
static void cnn_near(const cnn_back_t *b, piece_t p)
{
    int64_t C = b->f.m->shape.C, w = b->f.m->shape.width[b->i];
    int64_t beg = p.beg - cad_cnn_after(w), end = p.end + cad_cnn_before(w);
    int64_t from = cad_max(beg, b->f.seq.beg), to = cad_min(end, b->f.seq.end);
    memset(b->w->near, 0, (size_t)((end - beg) * C) * sizeof(float));
    memcpy(b->w->near + (from - beg) * C, cnn_rows(&b->f, b->w->du, b->i) + from * C,
           (size_t)((to - from) * C) * sizeof(float));
}

/* Adds the gradient of the normalised rows through convolution b->i to da; the first convolution sets it. */
static void cnn_back_task(void *arg, int64_t task, int worker)
{
    const cnn_back_t *b = arg;
    const cnn_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t C = m->shape.C;
    dest_t to = { b->l->da, b->l->da, NULL, m->zero, m->Dp, b->i ? ADD : STORE };
    (void)worker;
    project(m->numbers, b->w->near + (s.beg - b->f.share.span.beg) * C, C, s.end - s.beg, b->t->weight[b->i], m->Dp,
            m->shape.width[b->i] * C, &to, s.beg - b->f.first);
}

/* Runs the backward pass of one sequence's rows of the span that begins with row `first`. */
static void cnn_piece_back(cnn_back_t *b, int q, piece_t p, int64_t first)
{
    const cnn_t *m = b->f.m;
    int64_t C = m->shape.C, rows = p.end - p.beg;
    outer_how_t way = outer_how(b->l, b->w->words);
    cnn_normalise(&b->f, q, p);
    for (b->i = 0; b->i < m->shape.n; b->i++) {
        const float *du = cnn_rows(&b->f, b->w->du, b->i) + p.beg * C;
        outer(&way, rows, cnn_window(&b->f, b->i, p.beg), m->Dp, m->shape.width[b->i] * m->Dp, du, C,
              b->sum->weight[b->i]);
        add_columns(du, C, rows, C, b->sum->bias[b->i]);
    }
    b->f.first = first;
    for (b->i = 0; b->i < m->shape.n; b->i++) {
        cnn_near(b, p);
        share_rows(&b->f.share, b, cnn_back_task);
    }
}

static int cnn_in_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    cnn_back_t b = cnn_back_of(l, layer, s);
    (void)dir;
    (void)how;
    for (int q = find_seq(&s, s.beg); q < s.nseq && s.off[q] < s.end; q++) {
        piece_t p = piece_of(&s, q, false);
        if (p.beg < p.end) cnn_piece_back(&b, q, p, s.beg);
    }
    norm_back(l, layer, s);
    return 0;
}

static cad_back_f *const cnn_back_ops[CAD_CNN_BACK_OPS] = {
    [CAD_CNN_BACK_OUT] = cnn_out_back,
    [CAD_CNN_BACK_IN] = cnn_in_back,
};
static const cad_kind_sums_t CNN_SUMS = { .bytes = sizeof(cad_cnn_sums_t),
                                          .place = cad_cnn_sums_place,
                                          .add = cad_cnn_sums_add };
#endif

static const cpu_kind_t cpu_cnn = {
    .packed = sizeof(cnn_t),
    .lay = lay_cnn,
#ifdef CAD_ISA_BACK_OPS
    .turned = sizeof(cnn_turned_t),
    .lay_turned = lay_cnn_turned,
    .sums = &CNN_SUMS,
#endif
};

#endif
