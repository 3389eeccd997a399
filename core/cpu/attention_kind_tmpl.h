/* attention_kind_tmpl.h - compiles the layer kind attention for one instruction set: its operations, in the order of
 * blocks/attention.h, and the functions that pack its weights and lay out its gradients.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_ATTENTION_KIND_TMPL_H
#define CAD_ATTENTION_KIND_TMPL_H

#include "attention_graph_tmpl.h"
#include "attention_tmpl.h"

/* ---- weights ---- */

static const double *lay_speed(cad_bump_t *b, int64_t d)
{
    double *to = cad_bump(b, 1, d / 2, sizeof(double));
    for (int64_t i = 0; to && i < d / 2; i++) to[i] = pow(CAD_ATTENTION_BASE, -2 * (double)i / (double)d);
    return to;
}

static const double *lay_turn(cad_bump_t *b, const double *speed, int64_t d)
{
    double *to = cad_bump(b, KEYS, d, sizeof(double));
    for (int64_t i = 0; to && i < KEYS * (d / 2); i++) {
        int64_t row = i / (d / 2), k = i % (d / 2);
        to[row * d + k] = cos((double)row * speed[k]);
        to[row * d + d / 2 + k] = sin((double)row * speed[k]);
    }
    return to;
}

static void lay_attention(cad_bump_t *b, const cad_weights_t *w, const cad_model_t *m, int layer, void *packed)
{
    const cad_direction_t *d = &m->layer[layer].dir[0];
    int64_t D = w->D, Dp = w->Dp, I = cad_attention_I(&m->cfg);
    attention_t *a = packed;
    *a = (attention_t) { .shape = *cad_attention(&m->cfg), .D = D, .Dp = Dp, .I = I, .numbers = w->numbers };
    a->qkv = lay_panels(b, w->numbers, cad_param(d, CAD_ATTENTION_QKV), 3 * I, D, 3 * I, Dp);
    a->out = lay_panels(b, w->numbers, cad_param(d, CAD_ATTENTION_OUT), D, I, Dp, I);
    a->zero = lay_vector(b, NULL, 0, cad_max(Dp, 3 * I));
    a->edge = lay_rows(b, cad_param(d, CAD_ATTENTION_EDGE), a->shape.pattern == CAD_ATTENTION_GRAPH ? CAD_EDGES : 0, I,
                       I);
    cad_kmer_digits(&m->vocab, a->digit);
    a->speed = lay_speed(b, a->shape.d);
    a->turn = lay_turn(b, a->speed, a->shape.d);
}

static attention_call_t attention_call(cad_lane_t *l, int layer, cad_span_t s)
{
    return (attention_call_t) { .share = { .team = l->team, .span = s },
                                .l = l,
                                .w = cad_attention_lane(l),
                                .m = l->weights->layer[layer],
                                .norm = &l->weights->norm[layer],
                                .layer = layer };
}

/* ---- rotation ---- */

/* Rotates q and k of rows [beg, end) of an array (rows,3I). back: by the opposite angle, as gradients need. An angle is
 * the sum of the angle at a multiple of KEYS and one of the table, in double precision. */
static void rotate_rows(const attention_t *m, const cad_span_t *s, int64_t beg, int64_t end, bool back, float *qkv)
{
    int64_t d = m->shape.d, half = d / 2, at = -1;
    int q = find_seq(s, beg);
    double from[CAD_ATTENTION_WIDEST];
    float now[CAD_ATTENTION_WIDEST];
    for (int64_t r = beg; r < end; r++) {
        const double *turn;
        while (s->off[q + 1] <= r) q++;
        turn = m->turn + (r - s->off[q]) % KEYS * d;
        if (at != (r - s->off[q]) / KEYS * KEYS) {
            at = (r - s->off[q]) / KEYS * KEYS;
            for (int64_t i = 0; i < half; i++) from[i] = cos((double)at * m->speed[i]);
            for (int64_t i = 0; i < half; i++) from[half + i] = sin((double)at * m->speed[i]);
        }
        for (int64_t i = 0; i < half; i++) now[i] = (float)(from[i] * turn[i] - from[half + i] * turn[half + i]);
        for (int64_t i = 0; i < half; i++) now[half + i] = (float)(from[half + i] * turn[i] + from[i] * turn[half + i]);
        for (int64_t i = 0; i < half && back; i++) now[half + i] = -now[half + i];
        for (float *x = qkv + r * 3 * m->I, *stop = x + 2 * m->I; x < stop; x += d)
            for (int64_t i = 0; i < half; i++) {
                float a = x[i], b = x[half + i];
                x[i] = a * now[i] - b * now[half + i];
                x[half + i] = b * now[i] + a * now[half + i];
            }
    }
}

/* ---- forward pass ---- */

static void qkv_task(void *arg, int64_t task, int worker)
{
    const attention_call_t *c = arg;
    const attention_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task);
    float *a = c->l->a + (s.beg - c->share.span.beg) * m->Dp;
    dest_t to = { c->w->qkv, NULL, NULL, m->zero, 3 * m->I, STORE };
    (void)worker;
    norm_rows(c->norm, c->l->base + s.beg * m->Dp, s.end - s.beg, a);
    project(m->numbers, a, m->Dp, s.end - s.beg, m->qkv, 3 * m->I, m->Dp, &to, s.beg);
    if (m->shape.rotary) rotate_rows(m, &s, s.beg, s.end, false, c->w->qkv);
}

static int attention_in(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    attention_call_t c = attention_call(l, layer, s);
    (void)dir;
    (void)how;
    if (c.w->edge) find_edges(&c);
    share_rows(&c.share, &c, qkv_task);
    return 0;
}

static int attention_attend(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    attention_call_t c = attention_call(l, layer, s);
    (void)dir;
    (void)how;
    if (c.w->edge) share_rows(&c.share, &c, graph_task);
    else cad_team_run(l->team, (s.end - s.beg + KEYS - 1) / KEYS * c.m->shape.H, attend_task, &c);
    return 0;
}

static void attention_out_task(void *arg, int64_t task, int worker)
{
    const attention_call_t *c = arg;
    const attention_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task);
    (void)worker;
    project(m->numbers, c->w->y + s.beg * m->I, m->I, s.end - s.beg, m->out, m->Dp, m->I, &c->dest, s.beg);
}

static int attention_out(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    attention_call_t c = attention_call(l, layer, s);
    (void)dir;
    c.dest = out_dest(l, c.m->zero, how);
    share_rows(&c.share, &c, attention_out_task);
    return 0;
}

static cad_op_f *const attention_ops[CAD_ATTENTION_OPS] = {
    [CAD_ATTENTION_OP_IN] = attention_in,
    [CAD_ATTENTION_OP_ATTEND] = attention_attend,
    [CAD_ATTENTION_OP_OUT] = attention_out,
};

/* ---- backward pass ---- */

#ifdef CAD_ISA_BACK_OPS
typedef struct {
    const float *qkv, *out; // panels (Dp,3I), (I,Dp)
} attention_turned_t;

static void lay_attention_turned(cad_bump_t *b, const cad_model_t *m, numbers_t f, int layer, void *turned)
{
    const cad_direction_t *d = &m->layer[layer].dir[0];
    int64_t D = m->cfg.d_model, I = cad_attention_I(&m->cfg), Dp = cad_round_up(D, CAD_PAD);
    attention_turned_t *t = turned;
    t->qkv = lay_turned(b, f, cad_param(d, CAD_ATTENTION_QKV), D, D, 3 * I, Dp, 3 * I);
    t->out = lay_turned(b, f, cad_param(d, CAD_ATTENTION_OUT), I, I, D, I, Dp);
}

static attention_back_t attention_back(cad_grad_lane_t *l, int layer, cad_span_t s)
{
    const attention_turned_t *t = l->grads->turned[layer];
    return (attention_back_t) { .f = attention_call(&l->f, layer, s),
                                .l = l,
                                .w = cad_attention_grad_lane(l),
                                .sum = l->grads->s.layer[layer],
                                .qkvt = t->qkv,
                                .outt = t->out };
}

/* Computes g, the gradient of y, and sets the gradients of q, k and v to 0. */
static void attention_out_back_task(void *arg, int64_t task, int worker)
{
    const attention_back_t *b = arg;
    const attention_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t rows = s.end - s.beg;
    dest_t g = { b->w->g, NULL, NULL, m->zero, m->I, STORE };
    (void)worker;
    project(m->numbers, b->l->dout + s.beg * m->Dp, m->Dp, rows, b->outt, m->I, m->Dp, &g, s.beg);
    memset(b->w->dqkv + s.beg * 3 * m->I, 0, (size_t)(rows * 3 * m->I) * sizeof(float));
}

static int attention_out_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    attention_back_t b = attention_back(l, layer, s);
    (void)dir;
    (void)how;
    share_rows(&b.f.share, &b, attention_out_back_task);
    return 0;
}

static int attention_attend_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    attention_back_t b = attention_back(l, layer, s);
    (void)dir;
    (void)how;
    if (b.f.w->edge) find_edges(&b.f);
    cad_team_run(l->f.team, b.f.m->shape.H, b.f.w->edge ? graph_back_task : attend_back_task, &b);
    return 0;
}

/* Computes the normalised rows again, and their gradient. */
static void qkv_back_task(void *arg, int64_t task, int worker)
{
    const attention_back_t *b = arg;
    const attention_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t first = s.beg - b->f.share.span.beg, rows = s.end - s.beg;
    dest_t to = { b->l->da + first * m->Dp, NULL, NULL, m->zero, m->Dp, STORE };
    (void)worker;
    if (m->shape.rotary) rotate_rows(m, &s, s.beg, s.end, true, b->w->dqkv);
    norm_rows(b->f.norm, b->l->f.base + s.beg * m->Dp, rows, b->l->f.a + first * m->Dp);
    project(m->numbers, b->w->dqkv + s.beg * 3 * m->I, 3 * m->I, rows, b->qkvt, m->Dp, 3 * m->I, &to, 0);
}

static int attention_in_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    attention_back_t b = attention_back(l, layer, s);
    const attention_t *m = b.f.m;
    outer_how_t sum = outer_how(l, b.w->words);
    int64_t rows = s.end - s.beg;
    (void)dir;
    (void)how;
    share_rows(&b.f.share, &b, qkv_back_task);
    outer(&sum, rows, l->dout + s.beg * m->Dp, m->Dp, m->D, b.f.w->y + s.beg * m->I, m->I, b.sum->out);
    outer(&sum, rows, b.w->dqkv + s.beg * 3 * m->I, 3 * m->I, 3 * m->I, l->f.a, m->Dp, b.sum->qkv);
    norm_back(l, layer, s);
    return 0;
}

static cad_back_f *const attention_back_ops[CAD_ATTENTION_BACK_OPS] = {
    [CAD_ATTENTION_BACK_OUT] = attention_out_back,
    [CAD_ATTENTION_BACK_ATTEND] = attention_attend_back,
    [CAD_ATTENTION_BACK_IN] = attention_in_back,
};
static const cad_kind_sums_t ATTENTION_SUMS = { .bytes = sizeof(cad_attention_sums_t),
                                                .place = cad_attention_sums_place,
                                                .add = cad_attention_sums_add };
#endif

static const cpu_kind_t cpu_attention = {
    .packed = sizeof(attention_t),
    .lay = lay_attention,
#ifdef CAD_ISA_BACK_OPS
    .turned = sizeof(attention_turned_t),
    .lay_turned = lay_attention_turned,
    .sums = &ATTENTION_SUMS,
#endif
};

#endif
