/* mlp.c - defines the layer kind MLP; mlp.h has the equations. SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>

#include "base/random.h"
#include "blocks/mlp.h"
#include "measure/measure.h"
#include "measure/reference.h"

#define KIND CAD_KIND_mlp
#include "blocks/calls.h"

CAD_KIND_FITS(mlp, CAD_MLP_OPS, CAD_MLP_FC2_BIAS + 1);

/* ---- configuration ---- */

static void read_activation(cad_mlp_t *s, cad_reader_t *r)
{
    const char *word = cad_read_word(r, "activation");
    s->tanh = word && !strcmp(word, "gelu_tanh");
    if (cad_read_has(r, "activation") && !s->tanh && !(word && !strcmp(word, "gelu")))
        cad_read_bad(r, "activation", "of mlp_cfg is neither \"gelu\" nor \"gelu_tanh\"");
}

static void configure(cad_shape_t *shape, const cad_config_t *c, cad_reader_t *r)
{
    cad_mlp_t *s = (cad_mlp_t *)(void *)shape;
    s->E = cad_read_int(r, "expand", 4, 1, 64) * c->d_model;
    if (cad_read_has(r, "d_inner") && cad_read_has(r, "expand"))
        cad_read_bad(r, "d_inner", "of mlp_cfg is given besides \"expand\"; keep one of them");
    s->E = cad_read_int(r, "d_inner", s->E, 1, 1 << 22);
    s->bias = cad_read_bool(r, "bias", true);
    read_activation(s, r);
}

static json_t *write_shape(const cad_config_t *c)
{
    const cad_mlp_t *s = cad_mlp(c);
    return json_pack("{s:I, s:b, s:s}", "d_inner", (json_int_t)s->E, "bias", s->bias, "activation",
                     s->tanh ? "gelu_tanh" : "gelu");
}

static int64_t number(const cad_config_t *c, enum cad_number_t what)
{
    return what == CAD_D_INNER ? cad_mlp(c)->E : -1;
}

static void describe(const cad_config_t *c, char *text, size_t size)
{
    snprintf(text, size, " d_inner=%lld activation=%s", (long long)cad_mlp(c)->E,
             cad_mlp(c)->tanh ? "gelu_tanh" : "gelu");
}

/* ---- tensors ---- */

static int parts(const cad_config_t *c, cad_part_t part[CAD_PARTS])
{
    const cad_mlp_t *s = cad_mlp(c);
    int64_t D = c->d_model, E = s->E;
    const cad_part_t all[] = {
        { CAD_MLP_FC1, "fc1.weight", { E, D }, .there = true, .projects = true, .flip = 1, .decays = true },
        { CAD_MLP_FC1_BIAS, "fc1.bias", { E }, .there = s->bias, .projects = true, .flip = -1 },
        { CAD_MLP_FC2, "fc2.weight", { D, E }, .there = true, .projects = true, .flip = 0, .decays = true },
        { CAD_MLP_FC2_BIAS, "fc2.bias", { D }, .there = s->bias, .projects = true, .flip = 0 },
    };
    memcpy(part, all, sizeof all);
    return sizeof all / sizeof *all;
}

static double initial(const cad_config_t *c, int role, int64_t i, uint64_t bits)
{
    double rescale = c->init_rescale ? sqrt((double)(c->n_layer * c->init_residuals)) : 1;
    (void)i;
    switch (role) {
    case CAD_MLP_FC1: return c->init_range * cad_normal(bits);
    case CAD_MLP_FC2: return c->init_range * cad_normal(bits) / rescale;
    default: return 0; /* biases */
    }
}

static bool biased(const cad_config_t *c) { return cad_mlp(c)->bias; }

/* ---- forward pass ---- */

/* Runs one tile. A sweep without `out` only prepares for later tiles, so there is nothing to do. */
static int step(cad_lane_t *l, int layer, int dir, cad_span_t s, const cad_sweep_t *w)
{
    cad_span_t need = cad_span_need(s, 0);
    int rc = w->out ? op(l, CAD_MLP_OP_IN, layer, dir, need, 0) : 0;
    return rc == 0 && w->out ? op(l, CAD_MLP_OP_OUT, layer, dir, need, w->how) : rc;
}

/* ---- backward pass: back_in computes everything, one tile at a time ---- */

static int back_in(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_MLP_BACK, layer, dir, s, 0);
}

/* ---- measuring ---- */

static void costs(const cad_config_t *c, int ndir, bool merged, cad_cost_t *cost)
{
    double D = (double)c->d_model, E = (double)cad_mlp(c)->E;
    (void)ndir;
    (void)merged;
    cost[CAD_MLP_OP_IN].flop = cost[CAD_MLP_OP_OUT].flop = 2 * D * E;
    cost[CAD_MLP_OP_IN].exps = E;
}

/* Returns the bytes per token that must be moved between memory and cache: the residual is read twice and written
 * once. */
static double traffic(const cad_config_t *c, int ndir, bool merged)
{
    (void)ndir;
    (void)merged;
    return 4 * 3 * (double)c->d_model;
}

static int64_t reference_room(const cad_config_t *c, int64_t rows) { return rows * cad_mlp(c)->E; }

static double gelu(const cad_mlp_t *s, double v)
{
    double u = 0.7978845608028654 * (v + 0.044715 * v * v * v); /* sqrt(2 / pi) */
    return s->tanh ? 0.5 * v * (1 + tanh(u)) : 0.5 * v * erfc(-v * 0.7071067811865476);
}

static void reference(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off, int nseq)
{
    const cad_mlp_t *s = cad_mlp(&m->cfg);
    const cad_direction_t *d = &m->layer[layer].dir[dir];
    int64_t D = m->cfg.d_model, rows = off[nseq];
    cad_reference_project(r->a, rows, cad_param(d, CAD_MLP_FC1), cad_param(d, CAD_MLP_FC1_BIAS), s->E, D, r->room);
    for (int64_t i = 0; i < rows * s->E; i++) r->room[i] = gelu(s, r->room[i]);
    cad_reference_project(r->room, rows, cad_param(d, CAD_MLP_FC2), cad_param(d, CAD_MLP_FC2_BIAS), D, s->E, r->h);
}

/* ---- the kind ---- */

extern const cad_block_t cad_block_mlp;
const cad_block_t cad_block_mlp = {
    .name = "mlp",
    .sizes = CAD_KIND_SIZES(mlp),
    .configure = configure,
    .write = write_shape,
    .number = number,
    .describe = describe,
    .parts = parts,
    .initial = initial,
    .biased = biased,
    .undirected = true,
    .nop = CAD_MLP_OPS,
    .op = { "fc1", "fc2" },
    .step = step,
    .begin = begin_nothing,
    .enter = enter_nothing,
    .gate = gate_nothing,
    .back_out = gate_nothing,
    .back_step = step_nothing,
    .back_in = back_in,
    .keep = keep_nothing,
    .costs = costs,
    .traffic = traffic,
    .reference_room = reference_room,
    .reference = reference,
};
