/* mamba2.c - defines the layer kind Mamba-2; mamba2.h has the equations. SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>

#include "base/random.h"
#include "blocks/mamba2.h"
#include "measure/measure.h"
#include "measure/reference.h"

#define KIND CAD_KIND_mamba2
#include "blocks/calls.h"

/* ---- configuration ---- */

static bool recognise(int (*axes)(const void *arg, const char *leaf), const void *arg)
{
    return axes(arg, "A_log") == 1 && axes(arg, "dt_bias") && axes(arg, "norm.weight") && !axes(arg, "x_proj.weight") &&
           !axes(arg, "dt_proj.weight");
}

/* Refuses a configuration in which an option of mamba_ssm's class Mamba2 that changes its function has another value
 * than the default. */
static void refuse_switches(cad_reader_t *r)
{
    const char *activation = cad_read_word(r, "activation");
    double limit[2] = { 0, INFINITY };
    if (cad_read_has(r, "d_ssm")) cad_read_bad(r, "d_ssm", "is not supported");
    cad_read_range(r, "dt_limit", limit, 0, INFINITY);
    if (limit[0] > 0 || limit[1] < INFINITY)
        cad_read_bad(r, "dt_limit", "is not [0, Infinity], which is not supported");
    if (!cad_read_bool(r, "rmsnorm", true)) cad_read_bad(r, "rmsnorm", "is false, which is not supported");
    if (cad_read_bool(r, "norm_before_gate", false))
        cad_read_bad(r, "norm_before_gate", "is true, which is not supported");
    if (cad_read_bool(r, "D_has_hdim", false)) cad_read_bad(r, "D_has_hdim", "is true, which is not supported");
    if (activation && strcmp(activation, "swish") && strcmp(activation, "silu"))
        cad_read_bad(r, "activation", "is neither \"swish\" nor \"silu\"");
}

static void configure(cad_shape_t *shape, const cad_config_t *c, cad_reader_t *r)
{
    cad_mamba2_t *s = (cad_mamba2_t *)(void *)shape;
    refuse_switches(r);
    s->N = cad_read_int(r, "d_state", 128, 1, 1024);
    s->K = cad_read_int(r, "d_conv", 4, 1, 64);
    s->I = cad_read_int(r, "expand", 2, 1, 64) * c->d_model;
    s->P = cad_read_int(r, "headdim", 64, 1, 4096);
    s->G = cad_read_int(r, "ngroups", 1, 1, 1024);
    s->conv_bias = cad_read_bool(r, "conv_bias", true);
    s->bias = cad_read_bool(r, "bias", false);
    s->dt_min = cad_read_real(r, "dt_min", 1e-3, 1e-12, 1e6);
    s->dt_max = cad_read_real(r, "dt_max", 0.1, 1e-12, 1e6);
    s->dt_init_floor = cad_read_real(r, "dt_init_floor", 1e-4, 0, 1e6);
    s->a_init[0] = 1;
    s->a_init[1] = 16;
    cad_read_range(r, "A_init_range", s->a_init, 1e-12, 1e6);
    if (s->dt_max < s->dt_min) cad_read_bad(r, "dt_max", "is below dt_min");
    if (s->I % s->P) cad_read_bad(r, "headdim", "does not divide expand x d_model");
    s->H = s->I / s->P;
    if (s->I % s->P == 0 && s->H % s->G) cad_read_bad(r, "ngroups", "does not divide the number of heads");
}
CAD_KIND_FITS(mamba2, CAD_MAMBA2_OPS, CAD_MAMBA2_OUT_BIAS + 1);

static json_t *write_shape(const cad_config_t *c)
{
    const cad_mamba2_t *s = cad_mamba2(c);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:[f,f], s:f, s:f, s:f, s:b, s:b}", "d_state", (json_int_t)s->N,
                     "d_conv", (json_int_t)s->K, "expand", (json_int_t)(s->I / c->d_model), "headdim", (json_int_t)s->P,
                     "ngroups", (json_int_t)s->G, "A_init_range", s->a_init[0], s->a_init[1], "dt_min", s->dt_min,
                     "dt_max", s->dt_max, "dt_init_floor", s->dt_init_floor, "conv_bias", s->conv_bias, "bias",
                     s->bias);
}

static int64_t number(const cad_config_t *c, enum cad_number_t what)
{
    const cad_mamba2_t *s = cad_mamba2(c);
    switch (what) {
    case CAD_D_INNER: return s->I;
    case CAD_D_STATE: return s->N;
    case CAD_D_CONV: return s->K;
    default: return -1;
    }
}

static void describe(const cad_config_t *c, char *text, size_t size)
{
    const cad_mamba2_t *s = cad_mamba2(c);
    snprintf(text, size, " d_state=%lld d_conv=%lld d_inner=%lld headdim=%lld ngroups=%lld", (long long)s->N,
             (long long)s->K, (long long)s->I, (long long)s->P, (long long)s->G);
}

/* ---- tensors ---- */

static int parts(const cad_config_t *c, cad_part_t part[CAD_PARTS])
{
    const cad_mamba2_t *s = cad_mamba2(c);
    int64_t D = c->d_model, I = s->I, C = I + 2 * s->G * s->N, R = I + C + s->H;
    const cad_part_t all[] = {
        { CAD_MAMBA2_IN, "in_proj.weight", { R, D }, .there = true, .projects = true, .flip = 1, .decays = true },
        { CAD_MAMBA2_IN_BIAS, "in_proj.bias", { R }, .there = s->bias, .projects = true, .flip = -1 },
        { CAD_MAMBA2_CONV, "conv1d.weight", { C, 1, s->K }, .there = true, .flip = -1, .decays = true },
        { CAD_MAMBA2_CONV_BIAS, "conv1d.bias", { C }, .there = s->conv_bias, .flip = -1 },
        { CAD_MAMBA2_DT_BIAS, "dt_bias", { s->H }, .there = true, .flip = -1 },
        { CAD_MAMBA2_A_LOG, "A_log", { s->H }, .there = true, .flip = -1 },
        { CAD_MAMBA2_SKIP, "D", { s->H }, .there = true, .flip = -1 },
        { CAD_MAMBA2_NORM, "norm.weight", { I }, .there = true, .flip = -1 },
        { CAD_MAMBA2_OUT, "out_proj.weight", { D, I }, .there = true, .projects = true, .flip = 0, .decays = true },
        { CAD_MAMBA2_OUT_BIAS, "out_proj.bias", { D }, .there = s->bias, .projects = true, .flip = 0 },
    };
    memcpy(part, all, sizeof all);
    return sizeof all / sizeof *all;
}

/* Returns softplus^-1(dt), where dt is drawn log-uniformly from [dt_min, dt_max] and then raised to at least
 * dt_init_floor. */
static double step_bias(const cad_mamba2_t *s, uint64_t bits)
{
    double lo = log(s->dt_min), hi = log(s->dt_max);
    double dt = fmax(exp(lo + (hi - lo) * cad_unit(bits)), s->dt_init_floor);
    return dt + log(-expm1(-dt));
}

static double uniform(uint64_t bits, double bound) { return (2 * cad_unit(bits) - 1) * bound; }

static double initial(const cad_config_t *c, int role, int64_t i, uint64_t bits)
{
    const cad_mamba2_t *s = cad_mamba2(c);
    double rescale = c->init_rescale ? sqrt((double)(c->n_layer * c->init_residuals)) : 1;
    (void)i;
    switch (role) {
    case CAD_MAMBA2_IN: return uniform(bits, 1 / sqrt((double)c->d_model));
    case CAD_MAMBA2_OUT: return uniform(bits, 1 / sqrt((double)s->I)) / rescale;
    case CAD_MAMBA2_CONV:
    case CAD_MAMBA2_CONV_BIAS: return uniform(bits, 1 / sqrt((double)s->K));
    case CAD_MAMBA2_DT_BIAS: return step_bias(s, bits);
    case CAD_MAMBA2_A_LOG: return log(s->a_init[0] + (s->a_init[1] - s->a_init[0]) * cad_unit(bits));
    case CAD_MAMBA2_SKIP:
    case CAD_MAMBA2_NORM: return 1;
    default: return 0; /* projection biases */
    }
}

static bool biased(const cad_config_t *c) { return cad_mamba2(c)->bias; }

/* ---- forward pass ---- */

/* Runs one tile of a sweep that runs ahead of the others in a layer of several segments: computes only x of all rows,
 * and the scan state at the end of the segment. */
static int step_ahead(cad_lane_t *l, int layer, int dir, cad_span_t s, const cad_sweep_t *w)
{
    cad_span_t in = cad_span_need(s, CAD_PAST | CAD_FUTURE), run = cad_span_need(s, w->reach);
    unsigned how = CAD_MAMBA2_STATE | (w->starts ? CAD_MAMBA2_NEXT : 0u) | w->slot * CAD_MAMBA2_SLOT;
    int rc = op(l, CAD_MAMBA2_OP_IN, layer, dir, in, w->in);
    run.end = cad_min(run.end, w->until);
    if (rc == 0) rc = op(l, CAD_MAMBA2_OP_CONV, layer, dir, run, 0);
    return rc ? rc : op(l, CAD_MAMBA2_OP_SCAN, layer, dir, run, how);
}

/* Runs one tile. In the first sweep of a merged layer, projects x for all rows that either direction needs, and z. */
static int step(cad_lane_t *l, int layer, int dir, cad_span_t s, const cad_sweep_t *w)
{
    cad_span_t in = cad_span_need(s, !(w->in & CAD_IN_X) ? 0 : w->out ? w->reach : CAD_PAST | CAD_FUTURE);
    cad_span_t run = cad_span_need(s, w->reach), out = cad_span_need(s, 0);
    int rc = 0;
    cad_mamba2_lane(l)->first = w->first;
    if (w->ahead) return step_ahead(l, layer, dir, s, w);
    if (w->in & (CAD_IN_X | CAD_IN_Z)) rc = op(l, CAD_MAMBA2_OP_IN, layer, dir, in, w->in);
    if (rc == 0) rc = op(l, CAD_MAMBA2_OP_CONV, layer, dir, run, 0);
    if (rc == 0) rc = op(l, CAD_MAMBA2_OP_SCAN, layer, dir, run, w->slot * CAD_MAMBA2_SLOT);
    if (rc == 0 && w->gate) rc = op(l, CAD_MAMBA2_OP_GATE, layer, dir, out, w->add ? CAD_MAMBA2_ADD : 0u);
    if (rc == 0 && w->out) rc = op(l, CAD_MAMBA2_OP_OUT, layer, dir, out, w->how);
    return rc;
}

static void begin(cad_lane_t *l, cad_grad_lane_t *back)
{
    for (int k = 0; k < 2; k++) cad_mamba2_lane(l)->state[k] = back ? cad_mamba2_grad_lane(back)->kept[k] : NULL;
}

/* indexes of cad_kept_t.array: x|B|C|r; the scan states of direction 0; KEPT_STATE + 1 is the index of those of
 * direction 1 */
enum { KEPT_X, KEPT_STATE };

static void enter(cad_lane_t *l, const cad_kept_t *kept)
{
    cad_mamba2_lane_t *w = cad_mamba2_lane(l);
    w->x = kept->array[KEPT_X];
    for (int k = 0; k < 2; k++) w->state[k] = kept->array[KEPT_STATE + k];
}

/* ---- backward pass ---- */

static int gate(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return op(&l->f, CAD_MAMBA2_OP_IN, layer, dir, s, CAD_IN_Z);
}

static int back_out(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_MAMBA2_BACK_OUT, layer, dir, s, 0);
}

/* Recomputes u (the convolution's output) and dt of the tile, then runs the backward pass of the norm, the scan and the
 * convolution. */
static int back_step(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, bool add)
{
    int rc = op(&l->f, CAD_MAMBA2_OP_CONV, layer, dir, s, 0);
    if (rc == 0) rc = back(l, CAD_MAMBA2_BACK_SCAN, layer, dir, s, add ? CAD_MAMBA2_ADD : 0);
    return rc ? rc : back(l, CAD_MAMBA2_BACK_CONV, layer, dir, s, 0);
}

static int back_in(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_MAMBA2_BACK_IN, layer, dir, s, 0);
}

static void keep(const cad_config_t *c, int ndir, int64_t rows, int64_t most, cad_bump_t *b, cad_kept_t *kept)
{
    const cad_mamba2_t *s = cad_mamba2(c);
    int64_t slots = rows / CAD_MAMBA2_CHUNK + most;
    kept->array[KEPT_X] = cad_bump_floats(b, rows, cad_mamba2_Xp(s));
    for (int k = 0; k < ndir; k++)
        kept->array[KEPT_STATE + k] = cad_bump_floats(b, slots, cad_mamba2_Ep(s) * cad_mamba2_Np(s));
}

/* ---- measuring ---- */

static void costs(const cad_config_t *c, int ndir, bool merged, cad_cost_t *cost)
{
    const cad_mamba2_t *s = cad_mamba2(c);
    double D = (double)c->d_model, I = (double)s->I, N = (double)s->N, P = (double)s->P, G = (double)s->G;
    double H = (double)s->H, C = I + 2 * G * N, Q = CAD_MAMBA2_CHUNK, dirs = ndir, units = merged ? 1 : dirs;
    cost[CAD_MAMBA2_OP_IN].flop = units * 2 * D * (I + C + H);
    cost[CAD_MAMBA2_OP_CONV].flop = dirs * 2 * (double)s->K * C;
    cost[CAD_MAMBA2_OP_CONV].exps = dirs * (C + 2 * H);
    cost[CAD_MAMBA2_OP_SCAN].flop = dirs * (2 * Q * N * G + H * (2 * Q * P + 4 * P * N));
    cost[CAD_MAMBA2_OP_GATE].exps = units * I;
    cost[CAD_MAMBA2_OP_OUT].flop = units * 2 * I * D;
}

/* Returns the bytes per token that must be moved between memory and cache: the residual is read twice and written once;
 * x|B|C|r, z and o are written once and, in a merged layer, read once by the second direction. */
static double traffic(const cad_config_t *c, int ndir, bool merged)
{
    const cad_mamba2_t *s = cad_mamba2(c);
    double D = (double)c->d_model, wide = (double)(3 * s->I + 2 * s->G * s->N + s->H);
    return merged ? 4 * (3 * D + 2 * wide) : 4 * ndir * (3 * D + wide);
}

static int64_t reference_room(const cad_config_t *c, int64_t rows)
{
    const cad_mamba2_t *s = cad_mamba2(c);
    return rows * (5 * s->I + 4 * s->G * s->N + s->H) + s->I * s->N;
}

void cad_mamba2_reference(cad_mamba2_reference_t *f, const cad_config_t *c, double *room, int64_t rows)
{
    const cad_mamba2_t *s = cad_mamba2(c);
    int64_t C = s->I + 2 * s->G * s->N;
    f->zxr = room;
    f->u = f->zxr + rows * (s->I + C + s->H);
    f->y = f->u + rows * C;
    f->o = f->y + rows * s->I;
    f->state = f->o + rows * s->I;
}

/* Computes u, the convolution's output, for one row. row: the row's index in memory; i: its index in the sequence, in
 * the direction of the scan. */
static void convolve(const cad_mamba2_reference_t *f, const cad_mamba2_t *s, const cad_direction_t *d, int64_t row,
                     int64_t i)
{
    const float *w = cad_param(d, CAD_MAMBA2_CONV), *bias = cad_param(d, CAD_MAMBA2_CONV_BIAS);
    int64_t C = s->I + 2 * s->G * s->N, R = s->I + C + s->H, K = s->K, back = d->reverse ? -1 : 1;
    for (int64_t c = 0; c < C; c++) {
        double v = bias ? (double)bias[c] : 0;
        for (int64_t k = cad_max(0, K - 1 - i); k < K; k++)
            v += (double)w[c * K + k] * f->zxr[(row - back * (K - 1 - k)) * R + s->I + c];
        f->u[row * C + c] = cad_reference_silu(v);
    }
}

static void scan(const cad_mamba2_reference_t *f, const cad_mamba2_t *s, const cad_direction_t *d, int64_t row)
{
    const float *bias = cad_param(d, CAD_MAMBA2_DT_BIAS), *a_log = cad_param(d, CAD_MAMBA2_A_LOG),
                *skip = cad_param(d, CAD_MAMBA2_SKIP);
    int64_t I = s->I, N = s->N, C = I + 2 * s->G * N, R = I + C + s->H;
    for (int64_t e = 0; e < I; e++) {
        int64_t h = e / s->P, g = h / (s->H / s->G);
        const double *u = f->u + row * C, *Bv = u + I + g * N, *Cv = u + I + (s->G + g) * N;
        double dt = cad_reference_softplus(f->zxr[row * R + I + C + h] + (double)bias[h]);
        double a = exp(-dt * exp((double)a_log[h])), y = (double)skip[h] * u[e];
        for (int64_t n = 0; n < N; n++) {
            double *S = &f->state[e * N + n];
            *S = a * *S + dt * u[e] * Bv[n];
            y += *S * Cv[n];
        }
        f->y[row * I + e] = y;
    }
}

static void norm(const cad_mamba2_reference_t *f, const cad_mamba2_t *s, const cad_direction_t *d, int64_t row)
{
    const float *w = cad_param(d, CAD_MAMBA2_NORM);
    int64_t I = s->I, M = I / s->G, R = 2 * I + 2 * s->G * s->N + s->H;
    const double *z = f->zxr + row * R, *y = f->y + row * I;
    double *o = f->o + row * I;
    for (int64_t e = 0; e < I; e++) o[e] = y[e] * cad_reference_silu(z[e]);
    for (int64_t beg = 0; beg < I; beg += M) {
        double sum = 0;
        for (int64_t e = beg; e < beg + M; e++) sum += o[e] * o[e];
        sum = 1 / sqrt(sum / (double)M + CAD_MAMBA2_EPSILON);
        for (int64_t e = beg; e < beg + M; e++) o[e] *= (double)w[e] * sum;
    }
}

static void reference(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off, int nseq)
{
    const cad_mamba2_t *s = cad_mamba2(&m->cfg);
    const cad_direction_t *d = &m->layer[layer].dir[dir];
    int64_t D = m->cfg.d_model, I = s->I, R = 2 * I + 2 * s->G * s->N + s->H, rows = off[nseq];
    cad_mamba2_reference_t f;
    cad_mamba2_reference(&f, &m->cfg, r->room, r->rows);
    cad_reference_project(r->a, rows, cad_param(d, CAD_MAMBA2_IN), cad_param(d, CAD_MAMBA2_IN_BIAS), R, D, f.zxr);
    for (int q = 0; q < nseq; q++) {
        memset(f.state, 0, (size_t)(I * s->N) * sizeof *f.state);
        for (int64_t i = 0; i < off[q + 1] - off[q]; i++) {
            int64_t row = d->reverse ? off[q + 1] - 1 - i : off[q] + i;
            convolve(&f, s, d, row, i);
            scan(&f, s, d, row);
            norm(&f, s, d, row);
        }
    }
    cad_reference_project(f.o, rows, cad_param(d, CAD_MAMBA2_OUT), cad_param(d, CAD_MAMBA2_OUT_BIAS), D, I, r->h);
}

/* ---- the kind ---- */

extern const cad_block_t cad_block_mamba2;
const cad_block_t cad_block_mamba2 = {
    .name = "mamba2",
    .sizes = CAD_KIND_SIZES(mamba2),
    .layer = "Mamba2",
    .title = "Mamba-2",
    .length = 8192,
    .recognise = recognise,
    .configure = configure,
    .write = write_shape,
    .number = number,
    .describe = describe,
    .parts = parts,
    .initial = initial,
    .biased = biased,
    .chunk = CAD_MAMBA2_CHUNK,
    .gates_each = true,
    .nop = CAD_MAMBA2_OPS,
    .op = { "in", "conv", "scan", "gate", "out" },
    .step = step,
    .begin = begin,
    .enter = enter,
    .gate = gate,
    .back_out = back_out,
    .back_step = back_step,
    .back_in = back_in,
    .keep = keep,
    .costs = costs,
    .traffic = traffic,
    .reference_room = reference_room,
    .reference = reference,
};
