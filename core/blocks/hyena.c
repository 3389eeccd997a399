/* hyena.c - defines the layer kind hyena; hyena.h has the equations. SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>

#include "base/random.h"
#include "blocks/hyena.h"
#include "measure/measure.h"
#include "measure/reference.h"

#define KIND CAD_KIND_hyena
#include "blocks/calls.h"

CAD_KIND_FITS(hyena, CAD_HYENA_OPS, CAD_HYENA_ROLES);

/* ---- configuration ---- */

static void configure(cad_shape_t *shape, const cad_config_t *c, cad_reader_t *r)
{
    cad_hyena_t *s = (cad_hyena_t *)(void *)shape;
    (void)c;
    s->O = cad_read_int(r, "filter_order", 64, 1, CAD_HYENA_WIDEST);
    s->inner = cad_read_int(r, "num_inner_mlps", 2, 0, CAD_HYENA_INNER);
    s->emb = cad_read_int(r, "emb_dim", 5, 3, CAD_HYENA_FEATURES);
    s->L = cad_read_int(r, "max_seq_len", 1026, 2, 1 << 20);
    s->freq = cad_read_real(r, "activation_freq", 10, 1e-6, 1e6);
    s->train_freq = cad_read_bool(r, "train_freq", true);
    if (s->emb % 2 == 0) cad_read_bad(r, "emb_dim", "is not an odd number");
    cad_read_int(r, "hyena_order", 2, 2, 2);
    cad_read_int(r, "short_filter_order", CAD_HYENA_TAPS, CAD_HYENA_TAPS, CAD_HYENA_TAPS);
    if (!cad_read_bool(r, "modulate", true))
        cad_read_bad(r, "modulate", "is false: filters that do not decay are not read");
}

static json_t *write_shape(const cad_config_t *c)
{
    const cad_hyena_t *s = cad_hyena(c);
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:b, s:i, s:i}", "filter_order", (json_int_t)s->O, "num_inner_mlps",
                     (json_int_t)s->inner, "emb_dim", (json_int_t)s->emb, "max_seq_len", (json_int_t)s->L,
                     "activation_freq", s->freq, "train_freq", s->train_freq, "hyena_order", 2, "short_filter_order",
                     CAD_HYENA_TAPS);
}

static int64_t number(const cad_config_t *c, enum cad_number_t what)
{
    return what == CAD_D_INNER ? 3 * c->d_model : what == CAD_D_CONV ? CAD_HYENA_TAPS : -1;
}

static void describe(const cad_config_t *c, char *text, size_t size)
{
    const cad_hyena_t *s = cad_hyena(c);
    snprintf(text, size, " filter_order=%lld max_seq_len=%lld", (long long)s->O, (long long)s->L);
}

static int64_t longest(const cad_config_t *c) { return cad_hyena(c)->L; }

/* ---- tensors ---- */

/* The network's layers are numbered as in a list in which every layer is followed by its sines. */
static const char *const WEIGHT[] = { "filter_fn.implicit_filter.0.weight", "filter_fn.implicit_filter.2.weight",
                                      "filter_fn.implicit_filter.4.weight", "filter_fn.implicit_filter.6.weight",
                                      "filter_fn.implicit_filter.8.weight", "filter_fn.implicit_filter.10.weight" };
static const char *const WEIGHT_BIAS[] = { "filter_fn.implicit_filter.0.bias", "filter_fn.implicit_filter.2.bias",
                                           "filter_fn.implicit_filter.4.bias", "filter_fn.implicit_filter.6.bias",
                                           "filter_fn.implicit_filter.8.bias" };

static int parts(const cad_config_t *c, cad_part_t part[CAD_PARTS])
{
    const cad_hyena_t *s = cad_hyena(c);
    int64_t D = c->d_model, O = s->O;
    const cad_part_t all[] = {
        { CAD_HYENA_IN, "in_proj.weight", { 3 * D, D }, .there = true, .projects = true, .flip = -1, .decays = true },
        { CAD_HYENA_IN_BIAS, "in_proj.bias", { 3 * D }, .there = true, .flip = -1 },
        { CAD_HYENA_OUT, "out_proj.weight", { D, D }, .there = true, .projects = true, .flip = -1, .decays = true },
        { CAD_HYENA_OUT_BIAS, "out_proj.bias", { D }, .there = true, .flip = -1 },
        { CAD_HYENA_SHORT, "short_filter.weight", { 3 * D, 1, CAD_HYENA_TAPS }, .there = true, .flip = -1 },
        { CAD_HYENA_SHORT_BIAS, "short_filter.bias", { 3 * D }, .there = true, .flip = -1 },
        { CAD_HYENA_BIAS, "filter_fn.bias", { D }, .there = true, .flip = -1 },
        { CAD_HYENA_Z, "filter_fn.pos_emb.z", { 1, s->L, s->emb }, .there = true, .flip = -1, .fixed = true },
        { CAD_HYENA_T, "filter_fn.pos_emb.t", { 1, s->L, 1 }, .there = true, .flip = -1, .fixed = true },
        { CAD_HYENA_DELTAS, "filter_fn.modulation.deltas", { 1, 1, D }, .there = true, .flip = -1, .fixed = true },
        { CAD_HYENA_FREQ, "filter_fn.implicit_filter.1.freq", { 1, O }, .there = s->train_freq, .flip = -1 },
        { CAD_HYENA_LAST, WEIGHT[s->inner + 1], { D, O }, .there = true, .flip = -1 },
    };
    int n = sizeof all / sizeof *all;
    memcpy(part, all, sizeof all);
    part[10].repeats = (int)s->inner; /* one tensor, stored with each layer */
    for (int i = 0; i <= s->inner; i++) {
        part[n++] = (cad_part_t) {
            CAD_HYENA_WEIGHT + i, WEIGHT[i], { O, cad_hyena_inputs(s, i) }, .there = true, .flip = -1
        };
        part[n++] = (cad_part_t) { CAD_HYENA_WEIGHT_BIAS + i, WEIGHT_BIAS[i], { O }, .there = true, .flip = -1 };
    }
    return n;
}

/* Returns value i of n values at equal distances from `from` to `to`. */
static double spaced(double from, double to, int64_t i, int64_t n)
{
    return n > 1 ? from + (to - from) * (double)i / (double)(n - 1) : from;
}

/* Returns feature i of a position: the position from 0 to 1, then cosines, then negative sines. */
static double feature(const cad_hyena_t *s, int64_t position, int64_t i)
{
    int64_t bands = (s->emb - 1) / 2;
    double angle;
    if (i == 0) return spaced(0, 1, position, s->L);
    angle = spaced(1e-4, (double)(bands - 1), (i - 1) % bands, bands) * 2 * M_PI * (double)position / (double)s->L;
    return i > bands ? -sin(angle) : cos(angle);
}

/* The filters of the channels decay to 1 % within 1.5 down to 0.3 of the longest sequence. */
static double decay(int64_t channel, int64_t D) { return spaced(log(0.01) / 1.5, log(0.01) / 0.3, channel, D); }

static double initial(const cad_config_t *c, int role, int64_t i, uint64_t bits)
{
    const cad_hyena_t *s = cad_hyena(c);
    double rescale = c->init_rescale ? sqrt((double)(c->n_layer * c->init_residuals)) : 1;
    switch (role) {
    case CAD_HYENA_SHORT:
    case CAD_HYENA_SHORT_BIAS: return (2 * cad_unit(bits) - 1) / sqrt(CAD_HYENA_TAPS);
    case CAD_HYENA_BIAS: return cad_normal(bits);
    case CAD_HYENA_FREQ: return s->freq;
    case CAD_HYENA_Z: return feature(s, i / s->emb, i % s->emb);
    case CAD_HYENA_T: return spaced(0, 1, i, s->L);
    case CAD_HYENA_DELTAS: return decay(i, c->d_model);
    case CAD_HYENA_OUT: return c->init_range * cad_normal(bits) / rescale;
    case CAD_HYENA_IN_BIAS:
    case CAD_HYENA_OUT_BIAS: return 0;
    default: return role >= CAD_HYENA_WEIGHT_BIAS ? 0 : c->init_range * cad_normal(bits);
    }
}

/* ---- forward pass ---- */

static int step(cad_lane_t *l, int layer, int dir, cad_span_t s, const cad_sweep_t *w)
{
    int rc = 0;
    if (w->in & CAD_IN_X) rc = op(l, CAD_HYENA_OP_IN, layer, dir, cad_span_need(s, CAD_PAST | CAD_FUTURE), w->in);
    return rc || !w->out ? rc : op(l, CAD_HYENA_OP_OUT, layer, dir, cad_span_need(s, 0), w->how);
}

/* Transforms have the length of the sequence, so they read all of it, whichever rows are wanted. */
static int gather(cad_lane_t *l, int layer, cad_span_t all)
{
    return op(l, CAD_HYENA_OP_CONV, layer, 0, cad_span_need(all, CAD_PAST | CAD_FUTURE), 0);
}

static void enter(cad_lane_t *l, const cad_kept_t *kept)
{
    cad_hyena_lane_t *w = cad_hyena_lane(l);
    w->u = kept->array[0];
    w->c = kept->array[1];
}

/* ---- backward pass ---- */

static int back_out(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_HYENA_BACK_OUT, layer, dir, s, 0);
}

static int back_step(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, bool add)
{
    (void)add;
    return back(l, CAD_HYENA_BACK_CONV, layer, dir, s, 0);
}

static int back_in(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_HYENA_BACK_IN, layer, dir, s, 0);
}

static void keep(const cad_config_t *c, int ndir, int64_t rows, int64_t most, cad_bump_t *b, cad_kept_t *kept)
{
    (void)ndir;
    (void)most;
    kept->array[0] = cad_bump_floats(b, 1, rows * cad_hyena_W(c) + CAD_HYENA_LANES);
    kept->array[1] = cad_bump_floats(b, rows, cad_round_up(c->d_model, CAD_PAD));
}

/* ---- measuring ---- */

static void costs(const cad_config_t *c, int ndir, bool merged, cad_cost_t *cost)
{
    double D = (double)c->d_model, n = 2 * (double)c->max_len;
    (void)ndir;
    (void)merged;
    cost[CAD_HYENA_OP_IN].flop = 2 * D * 3 * D;
    /* two real transforms of n points for len = n/2 tokens, and the short convolution of x1 and v */
    cost[CAD_HYENA_OP_CONV].flop = D * (2 * 2.5 * 2 * log2(n) + 2 * 2 * CAD_HYENA_TAPS);
    cost[CAD_HYENA_OP_OUT].flop = 2 * D * D + D * 2 * CAD_HYENA_TAPS;
}

/* The residual is read twice and written once; u and c are written once and read once, in parts twice. */
static double traffic(const cad_config_t *c, int ndir, bool merged)
{
    (void)ndir;
    (void)merged;
    return 4 * (3 + 2 * 3 + 2) * (double)c->d_model;
}

static int64_t reference_room(const cad_config_t *c, int64_t rows)
{
    int64_t D = c->d_model;
    return rows * 8 * D + cad_hyena(c)->L * D + 2 * CAD_HYENA_WIDEST;
}

/* Computes the filter at one position, k (D). unit (2 CAD_HYENA_WIDEST): scratch. */
static void reference_filter(const cad_direction_t *w, const cad_hyena_t *s, int64_t D, int64_t position, double *unit,
                             double *k)
{
    const float *freq = cad_param(w, CAD_HYENA_FREQ), *deltas = cad_param(w, CAD_HYENA_DELTAS),
                *z = cad_param(w, CAD_HYENA_Z) + position * s->emb;
    double t = (double)cad_param(w, CAD_HYENA_T)[position], *next = unit + CAD_HYENA_WIDEST;
    for (int64_t i = 0; i < s->emb; i++) unit[i] = (double)z[i];
    for (int i = 0; i <= s->inner; i++) {
        cad_reference_project(unit, 1, cad_param(w, CAD_HYENA_WEIGHT + i), cad_param(w, CAD_HYENA_WEIGHT_BIAS + i),
                              s->O, cad_hyena_inputs(s, i), next);
        for (int64_t o = 0; o < s->O; o++) unit[o] = sin((freq ? (double)freq[o] : s->freq) * next[o]);
    }
    cad_reference_project(unit, 1, cad_param(w, CAD_HYENA_LAST), NULL, D, s->O, k);
    for (int64_t d = 0; d < D; d++) k[d] *= exp(-t * fabs((double)deltas[d])) + CAD_HYENA_SHIFT;
}

/* Computes y (len,D) of one sequence. u (len,3D); v (len,3D): scratch; k (len,D). */
static void reference_sequence(const cad_direction_t *w, int64_t D, const double *u, int64_t len, const double *k,
                               double *v, double *y)
{
    const float *taps = cad_param(w, CAD_HYENA_SHORT), *bias = cad_param(w, CAD_HYENA_BIAS);
    for (int64_t i = 0; i < len * 3 * D; i++) {
        v[i] = (double)cad_param(w, CAD_HYENA_SHORT_BIAS)[i % (3 * D)];
        for (int64_t j = 0; j < CAD_HYENA_TAPS && j <= i / (3 * D); j++)
            v[i] += (double)taps[i % (3 * D) * CAD_HYENA_TAPS + CAD_HYENA_TAPS - 1 - j] * u[i - j * 3 * D];
    }
    for (int64_t i = 0; i < len * D; i++) {
        int64_t t = i / D, d = i % D;
        y[i] = (double)bias[d] * v[t * 3 * D + 2 * D + d] * v[t * 3 * D + D + d];
        for (int64_t s = 0; s <= t; s++) y[i] += k[(t - s) * D + d] * v[s * 3 * D + 2 * D + d] * v[s * 3 * D + D + d];
        y[i] *= v[t * 3 * D + d];
    }
}

static void reference(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off, int nseq)
{
    const cad_direction_t *w = &m->layer[layer].dir[dir];
    const cad_hyena_t *s = cad_hyena(&m->cfg);
    int64_t D = m->cfg.d_model, rows = off[nseq], most = 0;
    double *u = r->room, *v = u + rows * 3 * D, *y = v + rows * 3 * D, *k = y + rows * D, *unit = k + s->L * D;
    cad_reference_project(r->a, rows, cad_param(w, CAD_HYENA_IN), cad_param(w, CAD_HYENA_IN_BIAS), 3 * D, D, u);
    for (int q = 0; q < nseq; q++) most = cad_max(most, off[q + 1] - off[q]);
    for (int64_t i = 0; i < most; i++) reference_filter(w, s, D, i, unit, k + i * D);
    for (int q = 0; q < nseq; q++)
        reference_sequence(w, D, u + off[q] * 3 * D, off[q + 1] - off[q], k, v, y + off[q] * D);
    cad_reference_project(y, rows, cad_param(w, CAD_HYENA_OUT), cad_param(w, CAD_HYENA_OUT_BIAS), D, D, r->h);
}

/* ---- the kind ---- */

extern const cad_block_t cad_block_hyena;
const cad_block_t cad_block_hyena = {
    .name = "hyena",
    .sizes = CAD_KIND_SIZES(hyena),
    .configure = configure,
    .write = write_shape,
    .number = number,
    .describe = describe,
    .longest = longest,
    .parts = parts,
    .initial = initial,
    .biased = always_biased,
    .undirected = true,
    .reads_all = true,
    .causal = true,
    .nop = CAD_HYENA_OPS,
    .op = { "hyena_in", "hyena_conv", "hyena_out" },
    .step = step,
    .gather = gather,
    .begin = begin_nothing,
    .enter = enter,
    .gate = gate_nothing,
    .back_out = back_out,
    .back_step = back_step,
    .back_in = back_in,
    .keep = keep,
    .costs = costs,
    .traffic = traffic,
    .reference_room = reference_room,
    .reference = reference,
};
