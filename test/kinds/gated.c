/* gated.c - a gated linear layer as a layer kind; gated.h has the equations. SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>

#include "base/random.h"
#include "kinds/gated.h"
#include "measure/measure.h"
#include "measure/reference.h"

#define KIND CAD_KIND_gated
#include "blocks/calls.h"

static void configure(cad_shape_t *shape, const cad_config_t *c, cad_reader_t *r)
{
    ((cad_gated_t *)(void *)shape)->E = cad_read_int(r, "expand", 1, 1, 64) * c->d_model;
}

CAD_KIND_FITS(gated, CAD_GATED_OPS, CAD_GATED_OUT + 1);

static json_t *write_shape(const cad_config_t *c)
{
    return json_pack("{s:I}", "expand", (json_int_t)(cad_gated_E(c) / c->d_model));
}

static int64_t number(const cad_config_t *c, enum cad_number_t what)
{
    return what == CAD_D_INNER ? cad_gated_E(c) : -1;
}

static void describe(const cad_config_t *c, char *text, size_t size)
{
    snprintf(text, size, " d_inner=%lld", (long long)cad_gated_E(c));
}

static int parts(const cad_config_t *c, cad_part_t part[CAD_PARTS])
{
    int64_t D = c->d_model, E = cad_gated_E(c);
    part[0] = (cad_part_t) { CAD_GATED_IN, "in_proj.weight", { 2 * E, D }, .flip = 1 };
    part[1] = (cad_part_t) { CAD_GATED_OUT, "out_proj.weight", { D, E }, .flip = 0 };
    for (int i = 0; i < 2; i++) part[i].there = part[i].projects = part[i].decays = true;
    return 2;
}

static double initial(const cad_config_t *c, int role, int64_t i, uint64_t bits)
{
    double width = role == CAD_GATED_IN ? (double)c->d_model : (double)cad_gated_E(c);
    (void)i;
    return (2 * cad_unit(bits) - 1) / sqrt(width);
}

/* ---- forward pass ---- */

static int step(cad_lane_t *l, int layer, int dir, cad_span_t s, const cad_sweep_t *w)
{
    cad_span_t need = cad_span_need(s, 0);
    unsigned how = (w->add ? CAD_GATED_ADD : 0u) | (w->gate ? CAD_GATED_GATE : 0u);
    int rc = w->in & (CAD_IN_X | CAD_IN_Z) ? op(l, CAD_GATED_OP_IN, layer, dir, need, w->in) : 0;
    if (rc == 0) rc = op(l, CAD_GATED_OP_GATE, layer, dir, need, how);
    return rc == 0 && w->out ? op(l, CAD_GATED_OP_OUT, layer, dir, need, w->how) : rc;
}

static void enter(cad_lane_t *l, const cad_kept_t *kept) { cad_gated_lane(l)->x = kept->array[0]; }

/* ---- backward pass ---- */

static int gate(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return op(&l->f, CAD_GATED_OP_IN, layer, dir, s, CAD_IN_Z);
}

static int back_out(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_GATED_BACK_OUT, layer, dir, s, 0);
}

static int back_step(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, bool add)
{
    return back(l, CAD_GATED_BACK_STEP, layer, dir, s, add ? CAD_GATED_ADD : 0);
}

static int back_in(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_GATED_BACK_IN, layer, dir, s, 0);
}

static void keep(const cad_config_t *c, int ndir, int64_t rows, int64_t most, cad_bump_t *b, cad_kept_t *kept)
{
    (void)ndir;
    (void)most;
    kept->array[0] = (float *)cad_bump(b, rows, cad_gated_Ep(c), sizeof(float));
}

/* ---- measuring ---- */

static void costs(const cad_config_t *c, int ndir, bool merged, cad_cost_t *cost)
{
    double D = (double)c->d_model, E = (double)cad_gated_E(c), n = merged ? 1 : ndir;
    cost[CAD_GATED_OP_IN].flop = n * 2 * D * 2 * E;
    cost[CAD_GATED_OP_GATE].exps = n * E;
    cost[CAD_GATED_OP_OUT].flop = n * 2 * D * E;
}

static double traffic(const cad_config_t *c, int ndir, bool merged)
{
    return 4 * (merged ? 1 : ndir) * (3 * (double)c->d_model + 2 * (double)cad_gated_E(c));
}

static int64_t reference_room(const cad_config_t *c, int64_t rows) { return 2 * rows * cad_gated_E(c); }

static void reference(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off, int nseq)
{
    const cad_direction_t *d = &m->layer[layer].dir[dir];
    int64_t D = m->cfg.d_model, E = cad_gated_E(&m->cfg), rows = off[nseq];
    double *x = r->room, *z = x + rows * E;
    cad_reference_project(r->a, rows, cad_param(d, CAD_GATED_IN), NULL, E, D, x);
    cad_reference_project(r->a, rows, cad_param(d, CAD_GATED_IN) + E * D, NULL, E, D, z);
    for (int64_t i = 0; i < rows * E; i++) x[i] *= cad_reference_silu(z[i]);
    cad_reference_project(x, rows, cad_param(d, CAD_GATED_OUT), NULL, D, E, r->h);
}

extern const cad_block_t cad_block_gated;
const cad_block_t cad_block_gated = {
    .name = "gated",
    .sizes = CAD_KIND_SIZES(gated),
    .configure = configure,
    .write = write_shape,
    .number = number,
    .describe = describe,
    .parts = parts,
    .initial = initial,
    .biased = never_biased,
    .nop = CAD_GATED_OPS,
    .op = { "project", "gate", "close" },
    .step = step,
    .begin = begin_nothing,
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
