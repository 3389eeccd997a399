/* cnn.c - defines the layer kind cnn; cnn.h has the equations. SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>

#include "base/random.h"
#include "blocks/cnn.h"
#include "measure/measure.h"
#include "measure/reference.h"

#define KIND CAD_KIND_cnn
#include "blocks/calls.h"

#define WIDEST 64 /* largest width, and most rows that become one */

CAD_KIND_FITS(cnn, CAD_CNN_OPS, CAD_CNN_ROLES);

/* ---- configuration ---- */

static void configure(cad_shape_t *shape, const cad_config_t *c, cad_reader_t *r)
{
    cad_cnn_t *s = (cad_cnn_t *)(void *)shape;
    *s = (cad_cnn_t) { .width = { 8 }, .n = 1 };
    (void)c;
    s->n = cad_max(cad_read_ints(r, "widths", s->width, CAD_CNN_WIDTHS, 1, WIDEST), 1);
    s->C = cad_read_int(r, "channels", 16, 1, 4096);
    s->P = cad_read_int(r, "pool", 2, 1, WIDEST);
    if (s->C % CAD_PAD) cad_read_bad(r, "channels", "is not a multiple of 16");
}

static json_t *write_shape(const cad_config_t *c)
{
    const cad_cnn_t *s = cad_cnn(c);
    json_t *widths = json_array();
    for (int i = 0; i < s->n && widths; i++)
        if (json_array_append_new(widths, json_integer(s->width[i]))) {
            json_decref(widths);
            return NULL;
        }
    return widths
               ? json_pack("{s:o, s:I, s:I}", "widths", widths, "channels", (json_int_t)s->C, "pool", (json_int_t)s->P)
               : NULL;
}

static int64_t number(const cad_config_t *c, enum cad_number_t what)
{
    return what == CAD_D_INNER ? cad_cnn_E(cad_cnn(c)) : -1;
}

static void describe(const cad_config_t *c, char *text, size_t size)
{
    const cad_cnn_t *s = cad_cnn(c);
    char widths[64] = "";
    for (int i = 0; i < s->n; i++)
        snprintf(widths + strlen(widths), sizeof widths - strlen(widths), "%s%lld", i ? "," : "",
                 (long long)s->width[i]);
    snprintf(text, size, " widths=%s channels=%lld pool=%lld", widths, (long long)s->C, (long long)s->P);
}

static int64_t stride(const cad_config_t *c) { return cad_cnn(c)->P; }

/* ---- tensors ---- */

static int parts(const cad_config_t *c, cad_part_t part[CAD_PARTS])
{
    static const char *const WEIGHT[] = { "conv.0.weight", "conv.1.weight", "conv.2.weight", "conv.3.weight" };
    static const char *const BIAS[] = { "conv.0.bias", "conv.1.bias", "conv.2.bias", "conv.3.bias" };
    const cad_cnn_t *s = cad_cnn(c);
    int64_t D = c->d_model;
    int n = 0;
    for (int i = 0; i < s->n; i++) {
        cad_part_t weight = { CAD_CNN_WEIGHT + 2 * i, WEIGHT[i], { s->C, D, s->width[i] }, .flip = 1, .decays = true };
        cad_part_t bias = { CAD_CNN_BIAS + 2 * i, BIAS[i], { s->C }, .flip = -1 };
        part[n++] = weight;
        part[n++] = bias;
    }
    part[n++] = (cad_part_t) { CAD_CNN_OUT, "out_proj.weight", { D, cad_cnn_E(s) }, .flip = 0, .decays = true };
    part[n++] = (cad_part_t) { CAD_CNN_OUT_BIAS, "out_proj.bias", { D }, .flip = 0 };
    for (int i = 0; i < n; i++) part[i].there = part[i].projects = true;
    return n;
}

/* Weights are uniform within 1/sqrt(terms of a sum), as PyTorch initialises its layers; biases are 0. */
static double initial(const cad_config_t *c, int role, int64_t i, uint64_t bits)
{
    const cad_cnn_t *s = cad_cnn(c);
    int k = (role - CAD_CNN_WEIGHT) / 2;
    double terms = (double)cad_cnn_E(s);
    (void)i;
    if (role == CAD_CNN_OUT_BIAS || (role > CAD_CNN_OUT && role != CAD_CNN_WEIGHT + 2 * k)) return 0;
    if (role != CAD_CNN_OUT) terms = (double)(c->d_model * s->width[k]);
    return (2 * cad_unit(bits) - 1) / sqrt(terms);
}

/* ---- forward pass ---- */

static int step(cad_lane_t *l, int layer, int dir, cad_span_t s, const cad_sweep_t *w)
{
    int rc = w->in & CAD_IN_X ? op(l, CAD_CNN_OP_IN, layer, dir, s, 0) : 0;
    return rc == 0 && w->out ? op(l, CAD_CNN_OP_OUT, layer, dir, cad_span_need(s, 0), w->how) : rc;
}

static void enter(cad_lane_t *l, const cad_kept_t *kept) { cad_cnn_lane(l)->u = kept->array[0]; }

/* ---- backward pass ---- */

static int back_out(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_CNN_BACK_OUT, layer, dir, s, 0);
}

/* The gradient of the output has been read; from here on dres has the rows that the layer reads. */
static int back_step(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, bool add)
{
    (void)layer;
    (void)dir;
    (void)add;
    return l->ops->start(l, s.end);
}

static int back_in(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_CNN_BACK_IN, layer, dir, s, 0);
}

static void keep(const cad_config_t *c, int ndir, int64_t rows, int64_t most, cad_bump_t *b, cad_kept_t *kept)
{
    (void)ndir;
    (void)most;
    kept->array[0] = (float *)cad_bump(b, rows, cad_cnn_E(cad_cnn(c)), sizeof(float));
}

/* ---- measuring ---- */

static void costs(const cad_config_t *c, int ndir, bool merged, cad_cost_t *cost)
{
    const cad_cnn_t *s = cad_cnn(c);
    double D = (double)c->d_model;
    (void)ndir;
    (void)merged;
    for (int i = 0; i < s->n; i++) cost[CAD_CNN_OP_IN].flop += 2 * D * (double)(s->C * s->width[i]);
    cost[CAD_CNN_OP_OUT].flop = 2 * D * (double)cad_cnn_E(s) / (double)s->P;
}

static double traffic(const cad_config_t *c, int ndir, bool merged)
{
    const cad_cnn_t *s = cad_cnn(c);
    (void)ndir;
    (void)merged;
    return 4 * ((double)c->d_model * (1 + 1 / (double)s->P) + 2 * (double)cad_cnn_E(s));
}

static int64_t reference_room(const cad_config_t *c, int64_t rows) { return rows * 2 * cad_cnn_E(cad_cnn(c)); }

/* Computes u (len,E) of one sequence for convolution i. */
static void convolve(const cad_model_t *m, const cad_direction_t *w, int i, const double *a, int64_t len, double *u)
{
    const cad_cnn_t *s = cad_cnn(&m->cfg);
    const float *weight = cad_param(w, CAD_CNN_WEIGHT + 2 * i), *bias = cad_param(w, CAD_CNN_BIAS + 2 * i);
    int64_t D = m->cfg.d_model, n = s->width[i];
    for (int64_t at = 0; at < len * s->C; at++) {
        int64_t t = at / s->C, c = at % s->C;
        double sum = (double)bias[c];
        for (int64_t j = 0; j < n; j++) {
            int64_t from = t + j - cad_cnn_before(n);
            for (int64_t d = 0; d < D && from >= 0 && from < len; d++)
                sum += (double)weight[(c * D + d) * n + j] * a[from * D + d];
        }
        u[t * cad_cnn_E(s) + i * s->C + c] = sum;
    }
}

static void reference(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off, int nseq)
{
    const cad_direction_t *w = &m->layer[layer].dir[dir];
    const cad_cnn_t *s = cad_cnn(&m->cfg);
    int64_t D = m->cfg.d_model, E = cad_cnn_E(s), n = 0;
    double *u = r->room, *y = u + off[nseq] * E;
    for (int q = 0; q < nseq; q++) {
        int64_t len = off[q + 1] - off[q];
        for (int i = 0; i < s->n; i++) convolve(m, w, i, r->a + off[q] * D, len, u);
        for (int64_t beg = 0; beg < len; beg += s->P, n++)
            for (int64_t e = 0; e < E; e++) {
                y[n * E + e] = 0;
                for (int64_t t = beg; t < cad_min(beg + s->P, len); t++)
                    y[n * E + e] = fmax(y[n * E + e], u[t * E + e]);
            }
    }
    cad_reference_project(y, n, cad_param(w, CAD_CNN_OUT), cad_param(w, CAD_CNN_OUT_BIAS), D, E, r->h);
}

extern const cad_block_t cad_block_cnn;
const cad_block_t cad_block_cnn = {
    .name = "cnn",
    .length = 1024,
    .sizes = CAD_KIND_SIZES(cnn),
    .configure = configure,
    .write = write_shape,
    .number = number,
    .describe = describe,
    .parts = parts,
    .initial = initial,
    .biased = always_biased,
    .undirected = true,
    .reads_all = true,
    .stride = stride,
    .nop = CAD_CNN_OPS,
    .op = { "convolve", "pool_out" },
    .step = step,
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
