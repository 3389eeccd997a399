/* attention.c - defines the layer kind attention; attention.h has the equations. SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>

#include "blocks/attention.h"
#include "measure/measure.h"
#include "measure/reference.h"

#define KIND CAD_KIND_attention
#include "blocks/calls.h"

/* ---- configuration ---- */

static const char *const PATTERN[CAD_ATTENTION_PATTERNS] = { "full", "blocks", "graph" };

static void configure(cad_shape_t *shape, const cad_config_t *c, cad_reader_t *r)
{
    cad_attention_t *s = (cad_attention_t *)(void *)shape;
    const char *pattern = cad_read_word(r, "pattern"), *positions = cad_read_word(r, "positions");
    s->pattern = CAD_ATTENTION_FULL;
    s->H = cad_read_int(r, "heads", 8, 1, 1024);
    s->d = cad_read_int(r, "head_dim", cad_round_up((c->d_model + s->H - 1) / s->H, CAD_PAD), 1, CAD_ATTENTION_WIDEST);
    if (s->d % CAD_PAD) cad_read_bad(r, "head_dim", "is not a multiple of 16");
    if (cad_read_has(r, "pattern")) s->pattern = CAD_ATTENTION_PATTERNS;
    for (int i = 0; pattern && i < CAD_ATTENTION_PATTERNS; i++)
        if (!strcmp(pattern, PATTERN[i])) s->pattern = i;
    if (s->pattern == CAD_ATTENTION_PATTERNS)
        cad_read_bad(r, "pattern", "is neither \"full\", \"blocks\" nor \"graph\"");
    s->random = cad_read_int(r, "random", 3, 0, CAD_ATTENTION_RANDOM);
    s->seed = cad_read_int(r, "seed", 0, 0, INT32_MAX);
    s->rotary = positions ? !strcmp(positions, "rotary") : s->pattern != CAD_ATTENTION_GRAPH;
    if (cad_read_has(r, "positions") && !(positions && (s->rotary || !strcmp(positions, "none"))))
        cad_read_bad(r, "positions", "is neither \"rotary\" nor \"none\"");
}
CAD_KIND_FITS(attention, CAD_ATTENTION_OPS, CAD_ATTENTION_EDGE + 1);

static json_t *write_shape(const cad_config_t *c)
{
    const cad_attention_t *s = cad_attention(c);
    return json_pack("{s:I, s:I, s:s, s:I, s:I, s:s}", "heads", (json_int_t)s->H, "head_dim", (json_int_t)s->d,
                     "pattern", PATTERN[s->pattern], "random", (json_int_t)s->random, "seed", (json_int_t)s->seed,
                     "positions", s->rotary ? "rotary" : "none");
}

static int64_t number(const cad_config_t *c, enum cad_number_t what)
{
    return what == CAD_D_INNER ? cad_attention_I(c) : -1;
}

static void describe(const cad_config_t *c, char *text, size_t size)
{
    const cad_attention_t *s = cad_attention(c);
    snprintf(text, size, " heads=%lld head_dim=%lld pattern=%s positions=%s", (long long)s->H, (long long)s->d,
             PATTERN[s->pattern], s->rotary ? "rotary" : "none");
}

static int parts(const cad_config_t *c, cad_part_t part[CAD_PARTS])
{
    int64_t D = c->d_model, I = cad_attention_I(c);
    part[0] = (cad_part_t) { CAD_ATTENTION_QKV, "qkv_proj.weight", { 3 * I, D }, .flip = 1 };
    part[1] = (cad_part_t) { CAD_ATTENTION_OUT, "out_proj.weight", { D, I }, .flip = 0 };
    for (int i = 0; i < 2; i++) part[i].there = part[i].projects = part[i].decays = true;
    part[2] = (cad_part_t) { CAD_ATTENTION_EDGE, "edge.weight", { CAD_EDGES, I }, .projects = true, .flip = -1 };
    part[2].there = cad_attention(c)->pattern == CAD_ATTENTION_GRAPH;
    return 3;
}

static double initial(const cad_config_t *c, int role, int64_t i, uint64_t bits)
{
    double rescale = c->init_rescale && role == CAD_ATTENTION_OUT ? sqrt((double)(c->n_layer * c->init_residuals)) : 1;
    (void)i;
    return c->init_range * cad_normal(bits) / rescale;
}

/* ---- forward pass ---- */

static int step(cad_lane_t *l, int layer, int dir, cad_span_t s, const cad_sweep_t *w)
{
    cad_span_t need = cad_span_need(s, 0);
    int rc = 0;
    if (w->in & CAD_IN_X) rc = op(l, CAD_ATTENTION_OP_IN, layer, dir, cad_span_need(s, CAD_PAST | CAD_FUTURE), w->in);
    if (rc || !w->out) return rc;
    rc = op(l, CAD_ATTENTION_OP_ATTEND, layer, dir, need, 0);
    return rc ? rc : op(l, CAD_ATTENTION_OP_OUT, layer, dir, need, w->how);
}

static void enter(cad_lane_t *l, const cad_kept_t *kept)
{
    cad_attention_lane_t *w = cad_attention_lane(l);
    w->qkv = kept->array[0];
    w->y = kept->array[1];
    w->stat = kept->array[2];
}

/* ---- backward pass ---- */

static int back_out(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    int rc = l->f.tape->kept ? 0 : op(&l->f, CAD_ATTENTION_OP_ATTEND, layer, dir, s, 0);
    return rc ? rc : back(l, CAD_ATTENTION_BACK_OUT, layer, dir, s, 0);
}

static int back_step(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, bool add)
{
    (void)add;
    return back(l, CAD_ATTENTION_BACK_ATTEND, layer, dir, s, 0);
}

static int back_in(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_ATTENTION_BACK_IN, layer, dir, s, 0);
}

static void keep(const cad_config_t *c, int ndir, int64_t rows, int64_t most, cad_bump_t *b, cad_kept_t *kept)
{
    (void)ndir;
    (void)most;
    kept->array[0] = (float *)cad_bump(b, rows, 3 * cad_attention_I(c), sizeof(float));
    kept->array[1] = (float *)cad_bump(b, rows, cad_attention_I(c), sizeof(float));
    kept->array[2] = (float *)cad_bump(b, rows, 2 * cad_attention(c)->H, sizeof(float));
}

/* ---- measuring ---- */

/* Returns the rows that a row reads, in a sequence of the model's default length. */
static double reads(const cad_config_t *c)
{
    const cad_attention_t *s = cad_attention(c);
    double all = (double)c->max_len, some = CAD_ATTENTION_BLOCK * (double)(s->random + 5);
    if (s->pattern == CAD_ATTENTION_GRAPH) return CAD_EDGES;
    return s->pattern == CAD_ATTENTION_BLOCKS ? fmin(all, some) : all;
}

static void costs(const cad_config_t *c, int ndir, bool merged, cad_cost_t *cost)
{
    double D = (double)c->d_model, I = (double)cad_attention_I(c);
    (void)ndir;
    (void)merged;
    cost[CAD_ATTENTION_OP_IN].flop = 2 * D * 3 * I;
    cost[CAD_ATTENTION_OP_ATTEND].flop = 4 * I * reads(c);
    cost[CAD_ATTENTION_OP_ATTEND].exps = (double)cad_attention(c)->H * reads(c);
    cost[CAD_ATTENTION_OP_OUT].flop = 2 * D * I;
}

static double traffic(const cad_config_t *c, int ndir, bool merged)
{
    (void)ndir;
    (void)merged;
    return 4 * (3 * (double)c->d_model + 8 * (double)cad_attention_I(c));
}

static int64_t reference_room(const cad_config_t *c, int64_t rows) { return rows * (4 * cad_attention_I(c) + 1); }

/* Turns one head's q or k (d), at a position. */
static void turn(double *x, int64_t d, int64_t position)
{
    for (int64_t i = 0; i < d / 2; i++) {
        double angle = (double)position * pow(CAD_ATTENTION_BASE, -2 * (double)i / (double)d);
        double a = x[i], b = x[i + d / 2];
        x[i] = a * cos(angle) - b * sin(angle);
        x[i + d / 2] = b * cos(angle) + a * sin(angle);
    }
}

/* Computes y (d) of one row and head. qkv (len,3I) is that of the row's sequence; p (len): scratch. */
static void attend(const cad_attention_t *s, int layer, const double *qkv, int64_t len, int64_t row, int64_t head,
                   double *p, double *y)
{
    int64_t I = s->H * s->d, d = s->d, blocks = (len + CAD_ATTENTION_BLOCK - 1) / CAD_ATTENTION_BLOCK;
    const double *q = qkv + row * 3 * I + head * d;
    double sum = 0, most = -INFINITY;
    cad_attention_reads_t reads;
    cad_attention_reads(s, layer, row / CAD_ATTENTION_BLOCK, blocks, &reads);
    for (int64_t k = 0; k < len; k++) p[k] = -INFINITY;
    for (int64_t b = 0; b < reads.n; b++) {
        int64_t beg = cad_attention_block(&reads, b) * CAD_ATTENTION_BLOCK,
                end = cad_min(beg + CAD_ATTENTION_BLOCK, len);
        for (int64_t k = beg; k < end; k++) {
            p[k] = 0;
            for (int64_t i = 0; i < d; i++) p[k] += q[i] * qkv[k * 3 * I + I + head * d + i];
            p[k] /= sqrt((double)d);
            most = fmax(most, p[k]);
        }
    }
    for (int64_t k = 0; k < len; k++) sum += p[k] = exp(p[k] - most);
    memset(y, 0, (size_t)d * sizeof *y);
    for (int64_t k = 0; k < len; k++)
        for (int64_t i = 0; i < d && p[k] > 0; i++) y[i] += p[k] / sum * qkv[k * 3 * I + 2 * I + head * d + i];
}

/* As attend(), along the edges of the row. edge (CAD_EDGES): rows of the sequence; e (CAD_EDGES,I): their embeddings. */
static void attend_edges(const cad_attention_t *s, const double *qkv, const int32_t *edge, const float *e, int64_t row,
                         int64_t head, double *y)
{
    int64_t I = s->H * s->d, d = s->d;
    const double *q = qkv + row * 3 * I + head * d;
    double p[CAD_EDGES] = { 0 }, sum = 0;
    for (int t = 0; t < CAD_EDGES; t++) {
        double score = 0;
        if (edge[t] < 0) continue;
        for (int64_t i = 0; i < d; i++)
            score += q[i] * (qkv[edge[t] * 3 * I + I + head * d + i] + (double)e[t * I + head * d + i]);
        sum += p[t] = exp(score / sqrt((double)d));
    }
    memset(y, 0, (size_t)d * sizeof *y);
    for (int t = 0; t < CAD_EDGES; t++)
        for (int64_t i = 0; i < d && edge[t] >= 0; i++)
            y[i] += p[t] / sum * qkv[edge[t] * 3 * I + 2 * I + head * d + i];
}

/* As attend(), for all rows and heads of a sequence of len tokens. */
static void attend_graph(const cad_model_t *m, int layer, const double *qkv, const uint8_t *tok, int64_t len, double *y)
{
    const cad_attention_t *s = cad_attention(&m->cfg);
    int32_t *edge = cad_alloc((size_t)(len * CAD_EDGES), sizeof *edge);
    uint8_t digit[256];
    cad_kmer_digits(&m->vocab, digit);
    if (edge) cad_attention_edges(digit, tok, 0, len, edge);
    for (int64_t i = 0; edge && i < len * s->H; i++)
        attend_edges(s, qkv, edge + i / s->H * CAD_EDGES, cad_param(&m->layer[layer].dir[0], CAD_ATTENTION_EDGE),
                     i / s->H, i % s->H, y + i * s->d);
    free(edge);
}

static void reference(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off, int nseq)
{
    const cad_direction_t *w = &m->layer[layer].dir[dir];
    const cad_attention_t *s = cad_attention(&m->cfg);
    int64_t D = m->cfg.d_model, I = s->H * s->d, rows = off[nseq];
    double *qkv = r->room, *y = qkv + rows * 3 * I, *p = y + rows * I;
    cad_reference_project(r->a, rows, cad_param(w, CAD_ATTENTION_QKV), NULL, 3 * I, D, qkv);
    for (int q = 0; q < nseq; q++) {
        double *own = qkv + off[q] * 3 * I;
        int64_t len = off[q + 1] - off[q];
        for (int64_t i = 0; i < len * 2 * s->H && s->rotary; i++)
            turn(own + i / (2 * s->H) * 3 * I + i % (2 * s->H) * s->d, s->d, i / (2 * s->H));
        if (s->pattern == CAD_ATTENTION_GRAPH) attend_graph(m, layer, own, r->tok + off[q], len, y + off[q] * I);
        for (int64_t i = 0; i < len * s->H && s->pattern != CAD_ATTENTION_GRAPH; i++)
            attend(s, layer, own, len, i / s->H, i % s->H, p, y + off[q] * I + i * s->d);
    }
    cad_reference_project(y, rows, cad_param(w, CAD_ATTENTION_OUT), NULL, D, I, r->h);
}

extern const cad_block_t cad_block_attention;
const cad_block_t cad_block_attention = {
    .name = "attention",
    .length = 1024,
    .sizes = CAD_KIND_SIZES(attention),
    .configure = configure,
    .write = write_shape,
    .number = number,
    .describe = describe,
    .parts = parts,
    .initial = initial,
    .biased = never_biased,
    .chunk = CAD_ATTENTION_BLOCK,
    .undirected = true,
    .reads_all = true,
    .nop = CAD_ATTENTION_OPS,
    .op = { "qkv", "attend", "attend_out" },
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
