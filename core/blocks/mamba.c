/* mamba.c - defines the layer kind Mamba-1; mamba.h has the equations. SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>

#include "base/random.h"
#include "blocks/mamba.h"
#include "measure/measure.h"
#include "measure/reference.h"

#define KIND CAD_KIND_mamba
#include "blocks/calls.h"

/* ---- configuration ---- */

static void read_rank(cad_mamba_t *s, const cad_config_t *c, cad_reader_t *r)
{
    const char *word = cad_read_word(r, "dt_rank");
    s->R = (c->d_model + 15) / 16;
    if (!word) s->R = cad_read_int(r, "dt_rank", s->R, 1, 65536);
    else if (strcmp(word, "auto")) cad_read_bad(r, "dt_rank", "is neither a number nor \"auto\"");
}

static void read_dt(cad_mamba_t *s, cad_reader_t *r)
{
    const char *how = cad_read_word(r, "dt_init");
    s->dt_min = cad_read_real(r, "dt_min", 1e-3, 1e-12, 1e6);
    s->dt_max = cad_read_real(r, "dt_max", 0.1, 1e-12, 1e6);
    if (s->dt_max < s->dt_min) cad_read_bad(r, "dt_max", "is below dt_min");
    s->dt_scale = cad_read_real(r, "dt_scale", 1, 0, 1e6);
    s->dt_init_floor = cad_read_real(r, "dt_init_floor", 1e-4, 0, 1e6);
    s->dt_constant = how && !strcmp(how, "constant");
    if (cad_read_has(r, "dt_init") && !s->dt_constant && !(how && !strcmp(how, "random")))
        cad_read_bad(r, "dt_init", "is neither \"random\" nor \"constant\"");
}

static void configure(cad_shape_t *shape, const cad_config_t *c, cad_reader_t *r)
{
    cad_mamba_t *s = (cad_mamba_t *)(void *)shape;
    s->N = cad_read_int(r, "d_state", 16, 1, 1024);
    s->K = cad_read_int(r, "d_conv", 4, 1, 64);
    s->E = cad_read_int(r, "expand", 2, 1, 64) * c->d_model;
    s->conv_bias = cad_read_bool(r, "conv_bias", true);
    s->bias = cad_read_bool(r, "bias", false);
    read_rank(s, c, r);
    read_dt(s, r);
}
_Static_assert(CAD_TRAIN_STEP % CAD_STRETCH == 0, "tiles of training begin at a stretch");
CAD_KIND_FITS(mamba, CAD_MAMBA_OPS, CAD_MAMBA_OUT_BIAS + 1);

static json_t *write_shape(const cad_config_t *c)
{
    const cad_mamba_t *s = cad_mamba(c);
    return json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:s, s:f, s:f, s:b, s:b}", "d_state", (json_int_t)s->N, "d_conv",
                     (json_int_t)s->K, "expand", (json_int_t)(s->E / c->d_model), "dt_rank", (json_int_t)s->R, "dt_min",
                     s->dt_min, "dt_max", s->dt_max, "dt_init", s->dt_constant ? "constant" : "random", "dt_scale",
                     s->dt_scale, "dt_init_floor", s->dt_init_floor, "conv_bias", s->conv_bias, "bias", s->bias);
}

static int64_t number(const cad_config_t *c, enum cad_number_t what)
{
    const cad_mamba_t *s = cad_mamba(c);
    switch (what) {
    case CAD_D_INNER: return s->E;
    case CAD_D_STATE: return s->N;
    case CAD_D_CONV: return s->K;
    case CAD_DT_RANK: return s->R;
    default: return -1;
    }
}

static void describe(const cad_config_t *c, char *text, size_t size)
{
    const cad_mamba_t *s = cad_mamba(c);
    snprintf(text, size, " d_state=%lld d_conv=%lld d_inner=%lld dt_rank=%lld", (long long)s->N, (long long)s->K,
             (long long)s->E, (long long)s->R);
}

/* ---- tensors ---- */

static int parts(const cad_config_t *c, cad_part_t part[CAD_PARTS])
{
    const cad_mamba_t *s = cad_mamba(c);
    int64_t D = c->d_model, E = s->E, N = s->N, K = s->K, R = s->R;
    const cad_part_t all[] = {
        { CAD_MAMBA_IN, "in_proj.weight", { 2 * E, D }, .there = true, .projects = true, .flip = 1, .decays = true },
        { CAD_MAMBA_IN_BIAS, "in_proj.bias", { 2 * E }, .there = s->bias, .projects = true, .flip = -1 },
        { CAD_MAMBA_CONV, "conv1d.weight", { E, 1, K }, .there = true, .flip = -1, .decays = true },
        { CAD_MAMBA_CONV_BIAS, "conv1d.bias", { E }, .there = s->conv_bias, .flip = -1 },
        { CAD_MAMBA_X, "x_proj.weight", { R + 2 * N, E }, .there = true, .flip = -1, .decays = true },
        { CAD_MAMBA_DT, "dt_proj.weight", { E, R }, .there = true, .flip = -1, .decays = true },
        { CAD_MAMBA_DT_BIAS, "dt_proj.bias", { E }, .there = true, .flip = -1 },
        { CAD_MAMBA_A_LOG, "A_log", { E, N }, .there = true, .flip = -1 },
        { CAD_MAMBA_SKIP, "D", { E }, .there = true, .flip = -1 },
        { CAD_MAMBA_OUT, "out_proj.weight", { D, E }, .there = true, .projects = true, .flip = 0, .decays = true },
        { CAD_MAMBA_OUT_BIAS, "out_proj.bias", { D }, .there = s->bias, .projects = true, .flip = 0 },
    };
    memcpy(part, all, sizeof all);
    return sizeof all / sizeof *all;
}

static double uniform(uint64_t bits, double bound) { return (2 * cad_unit(bits) - 1) * bound; }

/* Returns softplus^-1(dt), where dt is drawn log-uniformly from [dt_min, dt_max] and then raised to at least
 * dt_init_floor. */
static double step_bias(const cad_mamba_t *s, uint64_t bits)
{
    double lo = log(s->dt_min), hi = log(s->dt_max);
    double dt = fmax(exp(lo + (hi - lo) * cad_unit(bits)), s->dt_init_floor);
    return dt + log(-expm1(-dt));
}

static double initial(const cad_config_t *c, int role, int64_t i, uint64_t bits)
{
    const cad_mamba_t *s = cad_mamba(c);
    double rescale = c->init_rescale ? sqrt((double)(c->n_layer * c->init_residuals)) : 1;
    double dt = s->dt_scale / sqrt((double)s->R);
    switch (role) {
    case CAD_MAMBA_IN: return uniform(bits, 1 / sqrt((double)c->d_model));
    case CAD_MAMBA_X: return uniform(bits, 1 / sqrt((double)s->E));
    case CAD_MAMBA_OUT: return uniform(bits, 1 / sqrt((double)s->E)) / rescale;
    case CAD_MAMBA_CONV:
    case CAD_MAMBA_CONV_BIAS: return uniform(bits, 1 / sqrt((double)s->K));
    case CAD_MAMBA_DT: return s->dt_constant ? dt : uniform(bits, dt);
    case CAD_MAMBA_DT_BIAS: return step_bias(s, bits);
    case CAD_MAMBA_A_LOG: return log((double)(i % s->N + 1));
    case CAD_MAMBA_SKIP: return 1;
    default: return 0; /* projection biases */
    }
}

static bool biased(const cad_config_t *c) { return cad_mamba(c)->bias; }

/* ---- forward pass ---- */

/* Runs one tile. In the first sweep of a merged layer (which does not run `out`), projects x for all rows that either
 * direction needs, because the second sweep reuses x. */
static int step(cad_lane_t *l, int layer, int dir, cad_span_t s, const cad_sweep_t *w)
{
    cad_span_t in = cad_span_need(s, !(w->in & CAD_IN_X) ? 0 : w->out ? w->reach : CAD_PAST | CAD_FUTURE);
    cad_span_t run = cad_span_need(s, w->reach), out = cad_span_need(s, 0);
    unsigned scan = (w->add ? CAD_SCAN_ADD : 0u) | (w->gate ? CAD_SCAN_GATE : 0u) | (w->out ? 0u : CAD_SCAN_MORE);
    int rc = 0;
    if (w->in & (CAD_IN_X | CAD_IN_Z)) rc = op(l, CAD_MAMBA_OP_IN, layer, dir, in, w->in);
    if (rc == 0) rc = op(l, CAD_MAMBA_OP_CONV, layer, dir, run, 0);
    if (rc == 0) rc = op(l, CAD_MAMBA_OP_SCAN, layer, dir, run, scan);
    if (rc == 0 && w->out) rc = op(l, CAD_MAMBA_OP_OUT, layer, dir, out, w->how);
    return rc;
}

static void begin(cad_lane_t *l, cad_grad_lane_t *back)
{
    for (int k = 0; k < 2; k++) cad_mamba_lane(l)->state[k] = back ? cad_mamba_grad_lane(back)->kept[k] : NULL;
}

static void enter(cad_lane_t *l, const cad_kept_t *kept)
{
    cad_mamba_lane_t *w = cad_mamba_lane(l);
    w->x = kept->array[CAD_MAMBA_KEPT_X];
    for (int k = 0; k < 2; k++) w->state[k] = kept->array[CAD_MAMBA_KEPT_STATE + k];
}

/* ---- backward pass ---- */

static int gate(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return op(&l->f, CAD_MAMBA_OP_IN, layer, dir, s, CAD_IN_Z);
}

static int back_out(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_MAMBA_BACK_OUT, layer, dir, s, 0);
}

/* Recomputes u (the convolution's output), dt_in, B and C of the tile, then runs the backward pass of the scan and of
 * the convolution. */
static int back_step(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, bool add)
{
    int rc = op(&l->f, CAD_MAMBA_OP_CONV, layer, dir, s, 0);
    if (rc == 0) rc = back(l, CAD_MAMBA_BACK_SCAN, layer, dir, s, add ? CAD_SCAN_ADD : 0);
    return rc ? rc : back(l, CAD_MAMBA_BACK_CONV, layer, dir, s, add ? CAD_SCAN_ADD : 0);
}

static int back_in(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_MAMBA_BACK_IN, layer, dir, s, 0);
}

static void keep(const cad_config_t *c, int ndir, int64_t rows, int64_t most, cad_bump_t *b, cad_kept_t *kept)
{
    int64_t Ep = cad_mamba_Ep(c), slots = rows / CAD_STRETCH + most;
    kept->array[CAD_MAMBA_KEPT_X] = (float *)cad_bump(b, rows, Ep, sizeof(float));
    for (int k = 0; k < ndir; k++)
        kept->array[CAD_MAMBA_KEPT_STATE + k] = (float *)cad_bump(b, slots, Ep * cad_mamba(c)->N, sizeof(float));
}

/* ---- measuring ---- */

static void costs(const cad_config_t *c, int ndir, bool merged, cad_cost_t *cost)
{
    const cad_mamba_t *s = cad_mamba(c);
    double D = (double)c->d_model, E = (double)s->E, N = (double)s->N, K = (double)s->K, R = (double)s->R;
    double dirs = ndir, units = merged ? 1 : dirs;
    cost[CAD_MAMBA_OP_IN].flop = units * 2 * D * 2 * E;
    cost[CAD_MAMBA_OP_CONV].flop = dirs * (2 * K * E + 2 * (R + 2 * N) * E);
    cost[CAD_MAMBA_OP_CONV].exps = dirs * E;
    cost[CAD_MAMBA_OP_SCAN].flop = dirs * 2 * R * E;
    cost[CAD_MAMBA_OP_SCAN].updates = dirs * E * N;
    cost[CAD_MAMBA_OP_SCAN].exps = dirs * E + units * E;
    cost[CAD_MAMBA_OP_OUT].flop = units * 2 * E * D;
}

/* Returns the bytes per token that must be moved between memory and cache: the residual is read twice and written once;
 * x and y are written once and, in a merged layer, read once by the second direction. */
static double traffic(const cad_config_t *c, int ndir, bool merged)
{
    double D = (double)c->d_model, E = (double)cad_mamba(c)->E;
    return merged ? 4 * (3 * D + 4 * E) : 4 * ndir * (3 * D + 2 * E);
}

static int64_t reference_room(const cad_config_t *c, int64_t rows)
{
    const cad_mamba_t *s = cad_mamba(c);
    return rows * (4 * s->E + s->R + 2 * s->N) + s->E * s->N;
}

void cad_mamba_reference(cad_mamba_reference_t *f, const cad_config_t *c, double *room, int64_t rows)
{
    const cad_mamba_t *s = cad_mamba(c);
    f->x = room;
    f->z = f->x + rows * s->E;
    f->u = f->z + rows * s->E;
    f->y = f->u + rows * s->E;
    f->xdbl = f->y + rows * s->E;
    f->state = f->xdbl + rows * (s->R + 2 * s->N);
}

/* Computes u, the convolution's output, for one row. row: the row's index in memory; i: its index in the sequence, in
 * the direction of the scan. */
static void convolve(const cad_mamba_reference_t *f, const cad_mamba_t *s, const cad_direction_t *d, int64_t row,
                     int64_t i)
{
    const float *w = cad_param(d, CAD_MAMBA_CONV), *bias = cad_param(d, CAD_MAMBA_CONV_BIAS);
    int64_t E = s->E, K = s->K, back = d->reverse ? -1 : 1;
    for (int64_t e = 0; e < E; e++) {
        double v = bias ? (double)bias[e] : 0;
        for (int64_t k = cad_max(0, K - 1 - i); k < K; k++)
            v += (double)w[e * K + k] * f->x[(row - back * (K - 1 - k)) * E + e];
        f->u[row * E + e] = cad_reference_silu(v);
    }
}

static void scan(const cad_mamba_reference_t *f, const cad_mamba_t *s, const cad_direction_t *d, int64_t row)
{
    const float *dt_proj = cad_param(d, CAD_MAMBA_DT), *bias = cad_param(d, CAD_MAMBA_DT_BIAS),
                *a_log = cad_param(d, CAD_MAMBA_A_LOG), *skip = cad_param(d, CAD_MAMBA_SKIP);
    int64_t E = s->E, N = s->N, R = s->R;
    const double *dt_in = f->xdbl + row * (R + 2 * N), *B = dt_in + R, *C = B + N;
    for (int64_t e = 0; e < E; e++) {
        double u = f->u[row * E + e],
               dt = cad_reference_softplus(cad_reference_dot(dt_proj + e * R, dt_in, R) + (double)bias[e]),
               y = (double)skip[e] * u;
        for (int64_t n = 0; n < N; n++) {
            double *h = &f->state[e * N + n];
            *h = exp(-dt * exp((double)a_log[e * N + n])) * *h + dt * u * B[n];
            y += *h * C[n];
        }
        f->y[row * E + e] = y * cad_reference_silu(f->z[row * E + e]);
    }
}

static void reference(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off, int nseq)
{
    const cad_mamba_t *s = cad_mamba(&m->cfg);
    const cad_direction_t *d = &m->layer[layer].dir[dir];
    const float *in = cad_param(d, CAD_MAMBA_IN), *in_bias = cad_param(d, CAD_MAMBA_IN_BIAS);
    int64_t D = m->cfg.d_model, E = s->E, N = s->N, S = s->R + 2 * N, rows = off[nseq];
    cad_mamba_reference_t f;
    cad_mamba_reference(&f, &m->cfg, r->room, r->rows);
    cad_reference_project(r->a, rows, in, in_bias, E, D, f.x);
    cad_reference_project(r->a, rows, in + E * D, in_bias ? in_bias + E : NULL, E, D, f.z);
    for (int q = 0; q < nseq; q++) {
        memset(f.state, 0, (size_t)(E * N) * sizeof *f.state);
        for (int64_t i = 0; i < off[q + 1] - off[q]; i++) {
            int64_t row = d->reverse ? off[q + 1] - 1 - i : off[q] + i;
            convolve(&f, s, d, row, i);
            cad_reference_project(f.u + row * E, 1, cad_param(d, CAD_MAMBA_X), NULL, S, E, f.xdbl + row * S);
            scan(&f, s, d, row);
        }
    }
    cad_reference_project(f.y, rows, cad_param(d, CAD_MAMBA_OUT), cad_param(d, CAD_MAMBA_OUT_BIAS), D, E, r->h);
}

/* ---- the kind ---- */

extern const cad_block_t cad_block_mamba;
const cad_block_t cad_block_mamba = {
    .name = "mamba",
    .sizes = CAD_KIND_SIZES(mamba),
    .layer = "Mamba1",
    .configure = configure,
    .write = write_shape,
    .number = number,
    .describe = describe,
    .parts = parts,
    .initial = initial,
    .biased = biased,
    .nop = CAD_MAMBA_OPS,
    .op = { "in", "conv", "scan", "out" },
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
