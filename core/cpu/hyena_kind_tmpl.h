/* hyena_kind_tmpl.h - compiles the layer kind hyena for one instruction set: its operations, in the order of
 * blocks/hyena.h, and the functions that pack its weights and lay out its gradients.
 *
 * A task of the convolution is a block of LANES channels. It runs the sequences in order; rows of a block are turned into
 * one array for each channel, which is transformed. The number of points depends on the sequence's length only, and so
 * does the transform of the filter, which has the positions of half as many points. In the last block, channels after the
 * last one are computed from whatever memory holds, and are not stored.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_HYENA_KIND_TMPL_H
#define CAD_HYENA_KIND_TMPL_H

#include "hyena_filter_tmpl.h"
#include "residual_tmpl.h"
#ifdef CAD_ISA_BACK_OPS
#include "outer_tmpl.h"
#endif

/* ---- weights ---- */

/* Stores the short filters (3D,3) as (3,3D+LANES). */
static const float *lay_short_taps(cad_bump_t *b, const float *v, int64_t n)
{
    float *to = cad_bump_floats(b, CAD_HYENA_TAPS, n + LANES);
    for (int64_t i = 0; to && i < n * CAD_HYENA_TAPS; i++)
        to[i % CAD_HYENA_TAPS * (n + LANES) + i / CAD_HYENA_TAPS] = v[i];
    return to;
}

static const float *lay_filter(cad_bump_t *b, const hyena_t *m, const cad_direction_t *d)
{
    const cad_hyena_t *s = &m->shape;
    float *to = cad_bump_floats(b, 1, cad_hyena_filter_size(s, m->D));
    for (int i = 0; to && i <= s->inner; i++) {
        size_t k = (size_t)cad_hyena_inputs(s, i), O = (size_t)s->O;
        float *layer = to + cad_hyena_place(s, i);
        memcpy(layer, cad_param(d, CAD_HYENA_WEIGHT + i), O * k * sizeof *to);
        memcpy(layer + O * k, cad_param(d, CAD_HYENA_WEIGHT_BIAS + i), O * sizeof *to);
    }
    if (!to) return to;
    memcpy(to + cad_hyena_last_place(s), cad_param(d, CAD_HYENA_LAST), (size_t)(m->D * s->O) * sizeof *to);
    if (s->train_freq)
        memcpy(to + cad_hyena_freq_place(s, m->D), cad_param(d, CAD_HYENA_FREQ), (size_t)s->O * sizeof *to);
    return to;
}

static void lay_hyena(cad_bump_t *b, const cad_weights_t *w, const cad_model_t *m, int layer, void *packed)
{
    const cad_direction_t *d = &m->layer[layer].dir[0];
    const cad_hyena_t *s = cad_hyena(&m->cfg);
    int64_t D = w->D, Dp = w->Dp, W = cad_hyena_W(&m->cfg);
    hyena_t *h = packed;
    *h = (hyena_t) { .shape = *s, .D = D, .Dp = Dp, .W = W, .numbers = w->numbers };
    h->in = lay_panels(b, w->numbers, cad_param(d, CAD_HYENA_IN), 3 * D, D, W, Dp);
    h->in_bias = lay_vector(b, cad_param(d, CAD_HYENA_IN_BIAS), 3 * D, W);
    h->out = lay_panels(b, w->numbers, cad_param(d, CAD_HYENA_OUT), D, D, Dp, Dp);
    h->out_bias = lay_vector(b, cad_param(d, CAD_HYENA_OUT_BIAS), D, Dp);
    h->taps = lay_short_taps(b, cad_param(d, CAD_HYENA_SHORT), 3 * D);
    h->taps_bias = lay_vector(b, cad_param(d, CAD_HYENA_SHORT_BIAS), 3 * D, 3 * D + LANES);
    h->zero = lay_vector(b, NULL, 0, cad_max(W, Dp));
    h->bias = lay_vector(b, cad_param(d, CAD_HYENA_BIAS), D, D);
    h->z = lay_rows(b, cad_param(d, CAD_HYENA_Z), s->L, s->emb, s->emb);
    h->t = lay_vector(b, cad_param(d, CAD_HYENA_T), s->L, s->L);
    h->deltas = lay_vector(b, cad_param(d, CAD_HYENA_DELTAS), D, D);
    h->filter = lay_filter(b, h, d);
    h->k = cad_bump_floats(b, D, s->L); /* computed when a sequence needs it (filter_grow) */
}

typedef struct { /* arguments of one call of an operation */
    share_t share;
    cad_lane_t *l;
    const cad_hyena_lane_t *w;
    hyena_t *m;
    const norm_t *norm;
    dest_t dest;
    int *rc; /* set if memory is out */
} hyena_call_t;

static hyena_call_t hyena_call(cad_lane_t *l, int layer, cad_span_t s)
{
    return (hyena_call_t) { .share = { .team = l->team, .span = s },
                            .l = l,
                            .w = cad_hyena_lane(l),
                            .m = l->weights->layer[layer],
                            .norm = &l->weights->norm[layer] };
}

/* ---- a block of channels ---- */

typedef struct { /* the block of channels [first, first + n), of a task */
    const hyena_call_t *c;
    int64_t first, n;
    int64_t stride;
    int64_t points; /* of the current sequence; 0: none yet */
    const cad_fft_t *fft;
    float *spectrum; // (LANES,stride) transforms of the filter, divided by `points`
    float *x;        // (LANES,stride)
} hyena_channels_t;

static hyena_channels_t hyena_channels(const hyena_call_t *c, int64_t task, int worker)
{
    int64_t first = task * LANES, stride = c->w->stride;
    float *room = c->w->room + worker * 2 * LANES * stride;
    return (
        hyena_channels_t) { c, first, cad_min(LANES, c->m->D - first), stride, 0, NULL, room, room + LANES * stride };
}

/* Returns the positions that the filter has in a transform of n points. */
static int64_t filter_positions(const hyena_t *m, int64_t n) { return cad_min(n / 2, m->shape.L); }

/* Makes the transforms ready for a sequence of len rows. False when out of memory. */
static bool channels_enter(hyena_channels_t *b, int64_t len)
{
    const hyena_t *m = b->c->m;
    int64_t n = cad_fft_size(2 * len), have = filter_positions(m, n);
    if (n == b->points) return true;
    b->fft = cad_fft_of(n);
    b->points = b->fft ? n : 0;
    for (int64_t j = 0; b->fft && j < b->n; j++) {
        float *k = b->spectrum + j * b->stride, scale = 1 / (float)n;
        for (int64_t i = 0; i < have; i++) k[i] = m->k[(b->first + j) * m->shape.L + i] * scale;
        memset(k + have, 0, (size_t)(n + 2 - have) * sizeof *k);
        cad_fft_forward(b->fft, k);
    }
    return b->fft != NULL;
}

/* Sets out (LANES) to a third of short(u) for the block at one row. u: the row; back: rows of the sequence before it. */
INLINE void short_row(const hyena_channels_t *b, int third, const float *u, int64_t back, float *out)
{
    const hyena_t *m = b->c->m;
    int64_t at = third * m->D + b->first, ld = 3 * m->D + LANES;
    const float *tap = m->taps + at;
    for (int i = 0; i < LANES; i += VW) {
        vf sum = vfma(vload(tap + 2 * ld + i), vload(u + at + i), vload(m->taps_bias + at + i));
        if (back > 0) sum = vfma(vload(tap + ld + i), vload(u + at + i - m->W), sum);
        if (back > 1) sum = vfma(vload(tap + i), vload(u + at + i - 2 * m->W), sum);
        vstore(out + i, sum);
    }
}

INLINE void times_row(const float *a, const float *b, float *out)
{
    for (int i = 0; i < LANES; i += VW) vstore(out + i, vload(a + i) * vload(b + i));
}

/* Stores `rows` rows (rows,LANES) from position t on into one array for each channel. */
static void to_channels(const hyena_channels_t *b, const float *tile, int64_t rows, int64_t t, float *x)
{
    for (int64_t j = 0; j < b->n; j++)
        for (int64_t r = 0; r < rows; r++) x[j * b->stride + t + r] = tile[r * LANES + j];
}

/* Fetches row t of all channels. */
static void of_channels(const hyena_channels_t *b, const float *x, int64_t t, float *row)
{
    for (int64_t j = 0; j < LANES; j++) row[j] = j < b->n ? x[j * b->stride + t] : 0;
}

/* Sets x to p of a sequence of len rows, whose first row of u is given. */
static void load_product(const hyena_channels_t *b, const float *u, int64_t len, float *x)
{
    int64_t W = b->c->m->W;
    float tile[LANES * LANES];
    for (int64_t t = 0; t < len; t += LANES) {
        int64_t rows = cad_min(LANES, len - t);
        for (int64_t r = 0; r < rows; r++) {
            float x1[LANES], v[LANES];
            short_row(b, 1, u + (t + r) * W, t + r, x1);
            short_row(b, 2, u + (t + r) * W, t + r, v);
            times_row(x1, v, tile + r * LANES);
        }
        to_channels(b, tile, rows, t, x);
    }
}

/* Transforms all channels of x, of which len positions are set. */
static void transform_channels(const hyena_channels_t *b, int64_t len, float *x)
{
    for (int64_t j = 0; j < b->n; j++) {
        memset(x + j * b->stride + len, 0, (size_t)(b->points + 2 - len) * sizeof *x);
        cad_fft_forward(b->fft, x + j * b->stride);
    }
}

/* Multiplies n complex numbers x by y or, if `conjugate`, by the conjugates of y. */
INLINE void complex_times(float *restrict x, const float *restrict y, int64_t n, const bool conjugate)
{
    for (int64_t i = 0; i < 2 * n; i += 2) {
        float re = x[i], im = x[i + 1], imag = conjugate ? -y[i + 1] : y[i + 1];
        x[i] = re * y[i] - im * imag;
        x[i + 1] = re * imag + im * y[i];
    }
}

/* ---- forward pass ---- */

static void hyena_in_task(void *arg, int64_t task, int worker)
{
    const hyena_call_t *c = arg;
    const hyena_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task);
    float *a = c->l->a + (s.beg - c->share.span.beg) * m->Dp;
    dest_t to = { c->w->u, NULL, NULL, m->in_bias, m->W, STORE };
    (void)worker;
    norm_rows(c->norm, c->l->base + s.beg * m->Dp, s.end - s.beg, a);
    project(m->numbers, a, m->Dp, s.end - s.beg, m->in, m->W, m->Dp, &to, s.beg);
}

static int hyena_in(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    hyena_call_t c = hyena_call(l, layer, s);
    (void)dir;
    (void)how;
    share_rows(&c.share, &c, hyena_in_task);
    return 0;
}

static bool holds_sequence(const cad_span_t *s, int q)
{
    return s->off[q] >= s->beg && s->off[q + 1] <= s->end && s->off[q] < s->off[q + 1];
}

/* Computes the filter that the longest sequence of the span needs. */
static void grow_filter(const hyena_call_t *c)
{
    const cad_span_t *s = &c->share.span;
    int64_t need = 0;
    for (int q = 0; q < s->nseq; q++)
        if (holds_sequence(s, q))
            need = cad_max(need, filter_positions(c->m, cad_fft_size(2 * (s->off[q + 1] - s->off[q]))));
    filter_grow(c->m, c->l, need);
}

static void hyena_conv_task(void *arg, int64_t task, int worker)
{
    const hyena_call_t *c = arg;
    const hyena_t *m = c->m;
    const cad_span_t *s = &c->share.span;
    hyena_channels_t b = hyena_channels(c, task, worker);
    for (int q = 0; q < s->nseq; q++) {
        int64_t from = s->off[q], len = s->off[q + 1] - from;
        if (!holds_sequence(s, q)) continue;
        if (!channels_enter(&b, len)) {
            __atomic_store_n(c->rc, CAD_ENOMEM, __ATOMIC_RELAXED);
            return;
        }
        load_product(&b, c->w->u + from * m->W, len, b.x);
        transform_channels(&b, len, b.x);
        for (int64_t j = 0; j < b.n; j++) {
            complex_times(b.x + j * b.stride, b.spectrum + j * b.stride, b.points / 2 + 1, false);
            cad_fft_back(b.fft, b.x + j * b.stride);
        }
        for (int64_t t = 0; t < len; t++) of_channels(&b, b.x, t, c->w->c + (from + t) * m->Dp + b.first);
    }
}

static int hyena_conv(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    hyena_call_t c = hyena_call(l, layer, s);
    int rc = 0;
    (void)dir;
    (void)how;
    c.rc = &rc;
    grow_filter(&c);
    cad_team_run(l->team, c.m->Dp / LANES, hyena_conv_task, &c);
    return rc;
}

/* Sets y to c x0, for rows of the span; y has its first row. */
static void gate_rows(const hyena_call_t *c, cad_span_t s, float *y)
{
    const hyena_t *m = c->m;
    int q = find_seq(&s, s.beg);
    for (int64_t r = s.beg; r < s.end; r++, y += m->Dp) {
        while (s.off[q + 1] <= r) q++;
        for (int64_t first = 0; first < m->D; first += LANES) {
            hyena_channels_t b = { .c = c, .first = first, .n = cad_min(LANES, m->D - first) };
            float x0[LANES];
            short_row(&b, 0, c->w->u + r * m->W, r - s.off[q], x0);
            times_row(x0, c->w->c + r * m->Dp + first, y + first);
            for (int64_t j = b.n; j < LANES; j++) y[first + j] = 0;
        }
    }
}

static void hyena_out_task(void *arg, int64_t task, int worker)
{
    const hyena_call_t *c = arg;
    const hyena_t *m = c->m;
    cad_span_t s = rows_of_task(&c->share, task);
    float *y = c->l->a + (s.beg - c->share.span.beg) * m->Dp;
    (void)worker;
    gate_rows(c, s, y);
    project(m->numbers, y, m->Dp, s.end - s.beg, m->out, m->Dp, m->Dp, &c->dest, s.beg);
}

static int hyena_out(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    hyena_call_t c = hyena_call(l, layer, s);
    (void)dir;
    c.dest = out_dest(l, c.m->out_bias, how);
    share_rows(&c.share, &c, hyena_out_task);
    return 0;
}

static cad_op_f *const hyena_ops[CAD_HYENA_OPS] = {
    [CAD_HYENA_OP_IN] = hyena_in,
    [CAD_HYENA_OP_CONV] = hyena_conv,
    [CAD_HYENA_OP_OUT] = hyena_out,
};

/* ---- backward pass ---- */

#ifdef CAD_ISA_BACK_OPS
typedef struct {
    const float *in, *out; // panels (Dp,W), (Dp,Dp)
} hyena_turned_t;

static void lay_hyena_turned(cad_bump_t *b, const cad_model_t *m, numbers_t f, int layer, void *turned)
{
    const cad_direction_t *d = &m->layer[layer].dir[0];
    int64_t D = m->cfg.d_model, W = cad_hyena_W(&m->cfg), Dp = cad_round_up(D, CAD_PAD);
    hyena_turned_t *t = turned;
    t->in = lay_turned(b, f, cad_param(d, CAD_HYENA_IN), D, D, 3 * D, Dp, W);
    t->out = lay_turned(b, f, cad_param(d, CAD_HYENA_OUT), D, D, D, Dp, Dp);
}

typedef struct { /* arguments of one call of the backward pass */
    hyena_call_t f;
    cad_grad_lane_t *l;
    const cad_hyena_grad_lane_t *w;
    const cad_hyena_sums_t *sum;
    const hyena_turned_t *turned;
} hyena_back_t;

static hyena_back_t hyena_back(cad_grad_lane_t *l, int layer, cad_span_t s)
{
    return (hyena_back_t) { .f = hyena_call(&l->f, layer, s),
                            .l = l,
                            .w = cad_hyena_grad_lane(l),
                            .sum = l->grads->s.layer[layer],
                            .turned = l->grads->turned[layer] };
}

/* Computes g, the gradient of c x0, and c x0 itself; sets the padding of du to 0. */
static void hyena_out_back_task(void *arg, int64_t task, int worker)
{
    const hyena_back_t *b = arg;
    const hyena_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    dest_t g = { b->w->g, NULL, NULL, m->zero, m->Dp, STORE };
    (void)worker;
    gate_rows(&b->f, s, b->l->f.a + (s.beg - b->f.share.span.beg) * m->Dp);
    project(m->numbers, b->l->dout + s.beg * m->Dp, m->Dp, s.end - s.beg, b->turned->out, m->Dp, m->Dp, &g, s.beg);
    for (int64_t r = s.beg; r < s.end; r++)
        memset(b->w->du + r * m->W + 3 * m->D, 0, (size_t)(m->W - 3 * m->D) * sizeof(float));
}

static int hyena_out_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    hyena_back_t b = hyena_back(l, layer, s);
    const hyena_t *m = b.f.m;
    outer_how_t way = outer_how(l, b.w->words);
    const float *dout = l->dout + s.beg * m->Dp;
    (void)dir;
    (void)how;
    share_rows(&b.f.share, &b, hyena_out_back_task);
    outer(&way, s.end - s.beg, dout, m->Dp, m->D, l->f.a, m->Dp, b.sum->out);
    add_columns(dout, m->Dp, s.end - s.beg, m->Dp, b.sum->out_bias);
    return 0;
}

typedef struct { /* a block of channels in the backward pass */
    hyena_channels_t b;
    const hyena_back_t *c;
    float *dc;                                 // (LANES,stride) gradient of c, then of p
    float *dk;                                 // (LANES,stride) transform of the gradient of the filter
    double taps[3][CAD_HYENA_TAPS + 1][LANES]; // gradients of the short filters and, last, of their biases
} hyena_channels_back_t;

static void store_channels(const hyena_channels_t *b, const float *row, float *to)
{
    for (int64_t j = 0; j < b->n; j++) to[j] = row[j];
}

/* Sets dc to the gradient of c, and du to that of x0, for a sequence of len rows from row `from` on. */
static void load_dc(const hyena_channels_back_t *k, int64_t from, int64_t len)
{
    const hyena_channels_t *b = &k->b;
    const hyena_t *m = b->c->m;
    float tile[LANES * LANES];
    for (int64_t t = 0; t < len; t++) {
        float x0[LANES], d0[LANES];
        const float *g = k->c->w->g + (from + t) * m->Dp + b->first, *c = b->c->w->c + (from + t) * m->Dp + b->first;
        short_row(b, 0, b->c->w->u + (from + t) * m->W, t, x0);
        times_row(g, x0, tile + t % LANES * LANES);
        times_row(g, c, d0);
        store_channels(b, d0, k->c->w->du + (from + t) * m->W + b->first);
        if (t % LANES == LANES - 1 || t == len - 1) to_channels(b, tile, t % LANES + 1, t - t % LANES, k->dc);
    }
}

/* From dc, which is then the gradient of p, sets du to the gradients of x1 and v. */
static void store_dproduct(const hyena_channels_back_t *k, int64_t from, int64_t len)
{
    const hyena_channels_t *b = &k->b;
    const hyena_t *m = b->c->m;
    for (int64_t t = 0; t < len; t++) {
        const float *u = b->c->w->u + (from + t) * m->W;
        float x1[LANES], v[LANES], dp[LANES], d1[LANES], dv[LANES], *du = k->c->w->du + (from + t) * m->W + b->first;
        short_row(b, 1, u, t, x1);
        short_row(b, 2, u, t, v);
        of_channels(b, k->dc, t, dp);
        times_row(dp, v, d1);
        times_row(dp, x1, dv);
        store_channels(b, d1, du + m->D);
        store_channels(b, dv, du + 2 * m->D);
    }
}

/* The backward pass of the short convolution of a third: replaces du, the gradient of its output, by that of u. */
static void short_back(hyena_channels_back_t *k, int third, int64_t from, int64_t len)
{
    const hyena_channels_t *b = &k->b;
    const hyena_t *m = b->c->m;
    int64_t at = third * m->D + b->first, ld = 3 * m->D + LANES;
    const float *tap = m->taps + at;
    for (int64_t t = 0; t < len; t++) {
        float *du = k->c->w->du + (from + t) * m->W + at;
        const float *u = b->c->w->u + (from + t) * m->W + at;
        for (int64_t j = 0; j < b->n; j++) {
            double d = (double)du[j];
            float sum = tap[2 * ld + j] * du[j];
            k->taps[third][2][j] += d * (double)u[j];
            if (t > 0) k->taps[third][1][j] += d * (double)u[j - m->W];
            if (t > 1) k->taps[third][0][j] += d * (double)u[j - 2 * m->W];
            k->taps[third][CAD_HYENA_TAPS][j] += d;
            if (t + 1 < len) sum += tap[ld + j] * du[j + m->W];
            if (t + 2 < len) sum += tap[j] * du[j + 2 * m->W];
            du[j] = sum;
        }
    }
}

/* Adds the gradient of the filter that has been summed to dk of the lane, and starts a new sum. */
static void flush_dk(hyena_channels_back_t *k)
{
    const hyena_channels_t *b = &k->b;
    int64_t n = cad_min(b->points / 2, k->c->w->most);
    for (int64_t j = 0; b->points && j < b->n; j++) {
        float *sum = k->dk + j * b->stride, *to = k->c->w->dk + (b->first + j) * k->c->w->most;
        cad_fft_back(b->fft, sum);
        for (int64_t i = 0; i < n; i++) to[i] += sum[i] / (float)b->points;
    }
    memset(k->dk, 0, (size_t)(LANES * b->stride) * sizeof *k->dk);
}

/* Adds the conjugates of n complex numbers p times d to `sum`. */
INLINE void add_conjugate(float *restrict sum, const float *restrict p, const float *restrict d, int64_t n)
{
    for (int64_t i = 0; i < 2 * n; i += 2) {
        sum[i] += p[i] * d[i] + p[i + 1] * d[i + 1];
        sum[i + 1] += p[i] * d[i + 1] - p[i + 1] * d[i];
    }
}

static void hyena_sequence_back(hyena_channels_back_t *k, int64_t from, int64_t len)
{
    hyena_channels_t *b = &k->b;
    load_dc(k, from, len);
    load_product(b, b->c->w->u + from * b->c->m->W, len, b->x);
    transform_channels(b, len, k->dc);
    transform_channels(b, len, b->x);
    for (int64_t j = 0; j < b->n; j++) {
        int64_t at = j * b->stride, n = b->points / 2 + 1;
        add_conjugate(k->dk + at, b->x + at, k->dc + at, n);
        complex_times(k->dc + at, b->spectrum + at, n, true);
        cad_fft_back(b->fft, k->dc + at);
    }
    store_dproduct(k, from, len);
    for (int third = 0; third < 3; third++) short_back(k, third, from, len);
}

/* Adds the gradients of the short filters to the layer's. */
static void add_short_taps(const hyena_channels_back_t *k)
{
    const hyena_t *m = k->b.c->m;
    for (int third = 0; third < 3; third++)
        for (int64_t j = 0; j < k->b.n; j++) {
            int64_t i = third * m->D + k->b.first + j;
            for (int tap = 0; tap < CAD_HYENA_TAPS; tap++)
                k->c->sum->taps[i * CAD_HYENA_TAPS + tap] += (float)k->taps[third][tap][j];
            k->c->sum->taps_bias[i] += (float)k->taps[third][CAD_HYENA_TAPS][j];
        }
}

static void hyena_conv_back_task(void *arg, int64_t task, int worker)
{
    const hyena_back_t *c = arg;
    const cad_span_t *s = &c->f.share.span;
    hyena_channels_back_t k = { .b = hyena_channels(&c->f, task, worker), .c = c };
    k.dc = c->w->room + worker * 2 * LANES * k.b.stride;
    k.dk = k.dc + LANES * k.b.stride;
    for (int q = 0; q < s->nseq; q++) {
        int64_t from = s->off[q], len = s->off[q + 1] - from;
        if (!holds_sequence(s, q)) continue;
        if (cad_fft_size(2 * len) != k.b.points) flush_dk(&k);
        if (!channels_enter(&k.b, len)) {
            __atomic_store_n(c->f.rc, CAD_ENOMEM, __ATOMIC_RELAXED);
            return;
        }
        hyena_sequence_back(&k, from, len);
    }
    flush_dk(&k);
    add_short_taps(&k);
}

/* Adds the gradients of the filter's network and of `bias`. */
static void hyena_filter_back(const hyena_back_t *b)
{
    const cad_span_t *s = &b->f.share.span;
    filter_back_t f = { b->f.m, b->f.w->units, b->w->part, b->w->dk, b->w->most, 0, b->sum->filter };
    for (int q = 0; q < s->nseq; q++) f.end = cad_max(f.end, s->off[q + 1] - s->off[q]);
    for (int64_t d = 0; d < f.m->D; d++) b->sum->bias[d] += f.dk[d * f.most];
    filter_back(&f, b->l->f.team);
}

static int hyena_conv_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    hyena_back_t b = hyena_back(l, layer, s);
    int rc = 0;
    (void)dir;
    (void)how;
    b.f.rc = &rc;
    memset(b.w->dk, 0, (size_t)(b.f.m->D * b.w->most) * sizeof(float));
    grow_filter(&b.f);
    cad_team_run(l->f.team, b.f.m->Dp / LANES, hyena_conv_back_task, &b);
    if (rc == 0) hyena_filter_back(&b);
    return rc;
}

/* Computes the normalised rows again, and their gradient. */
static void hyena_in_back_task(void *arg, int64_t task, int worker)
{
    const hyena_back_t *b = arg;
    const hyena_t *m = b->f.m;
    cad_span_t s = rows_of_task(&b->f.share, task);
    int64_t first = s.beg - b->f.share.span.beg, rows = s.end - s.beg;
    dest_t to = { b->l->da + first * m->Dp, NULL, NULL, m->zero, m->Dp, STORE };
    (void)worker;
    norm_rows(b->f.norm, b->l->f.base + s.beg * m->Dp, rows, b->l->f.a + first * m->Dp);
    project(m->numbers, b->w->du + s.beg * m->W, m->W, rows, b->turned->in, m->Dp, m->W, &to, 0);
}

static int hyena_in_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    hyena_back_t b = hyena_back(l, layer, s);
    const hyena_t *m = b.f.m;
    outer_how_t way = outer_how(l, b.w->words);
    const float *du = b.w->du + s.beg * m->W;
    (void)dir;
    (void)how;
    share_rows(&b.f.share, &b, hyena_in_back_task);
    outer(&way, s.end - s.beg, du, m->W, m->W, l->f.a, m->Dp, b.sum->in);
    add_columns(du, m->W, s.end - s.beg, m->W, b.sum->in_bias);
    norm_back(l, layer, s);
    return 0;
}

static cad_back_f *const hyena_back_ops[CAD_HYENA_BACK_OPS] = {
    [CAD_HYENA_BACK_OUT] = hyena_out_back,
    [CAD_HYENA_BACK_CONV] = hyena_conv_back,
    [CAD_HYENA_BACK_IN] = hyena_in_back,
};
static const cad_kind_sums_t HYENA_SUMS = { .bytes = sizeof(cad_hyena_sums_t),
                                            .place = cad_hyena_sums_place,
                                            .add = cad_hyena_sums_add };
#endif

static const cpu_kind_t cpu_hyena = {
    .packed = sizeof(hyena_t),
    .lay = lay_hyena,
#ifdef CAD_ISA_BACK_OPS
    .turned = sizeof(hyena_turned_t),
    .lay_turned = lay_hyena_turned,
    .sums = &HYENA_SUMS,
#endif
};

#endif
