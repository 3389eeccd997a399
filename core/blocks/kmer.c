/* kmer.c - defines the layer kind of k-mer embeddings; kmer.h says what it computes. SPDX-License-Identifier: MIT */
#include <jansson.h>

#include "base/random.h"
#include "blocks/kmer.h"
#include "measure/measure.h"
#include "measure/reference.h"

#define KIND CAD_KIND_kmer
#include "blocks/calls.h"

CAD_KIND_FITS(kmer, CAD_KMER_OPS, CAD_KMER_TABLE + 1);

/* ---- configuration and tensors ---- */

static void configure(cad_shape_t *shape, const cad_config_t *c, cad_reader_t *r)
{
    int64_t k = cad_read_int(r, "k", 3, 1, CAD_KMER_MOST);
    (void)c;
    if (k % 2 == 0) cad_read_bad(r, "k", "of kmer_cfg is even; expected 1, 3 or 5");
    ((cad_kmer_t *)(void *)shape)->k = k;
}

static json_t *write_shape(const cad_config_t *c) { return json_pack("{s:I}", "k", (json_int_t)cad_kmer_k(c)); }

static int64_t number(const cad_config_t *c, enum cad_number_t what)
{
    (void)c;
    (void)what;
    return -1;
}

static void describe(const cad_config_t *c, char *text, size_t size)
{
    snprintf(text, size, " k=%lld", (long long)cad_kmer_k(c));
}

static int parts(const cad_config_t *c, cad_part_t part[CAD_PARTS])
{
    part[0] = (cad_part_t) {
        CAD_KMER_TABLE, "table.weight", { cad_kmer_rows(c), c->d_model }, .there = true, .flip = 1
    };
    return 1;
}

static double initial(const cad_config_t *c, int role, int64_t i, uint64_t bits)
{
    (void)role;
    (void)i;
    return c->init_range * cad_normal(bits);
}

/* ---- forward pass ---- */

static int step(cad_lane_t *l, int layer, int dir, cad_span_t s, const cad_sweep_t *w)
{
    return w->out ? op(l, CAD_KMER_OP_ADD, layer, dir, cad_span_need(s, 0), w->how) : 0;
}

/* ---- backward pass ---- */

static int back_in(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return back(l, CAD_KMER_BACK, layer, dir, s, 0);
}

/* ---- measuring ---- */

static void costs(const cad_config_t *c, int ndir, bool merged, cad_cost_t *cost)
{
    (void)ndir;
    (void)merged;
    cost[CAD_KMER_OP_ADD].flop = (double)c->d_model;
}

/* Returns the bytes per token that must be moved between memory and cache: the residual is read and written once; the
 * table stays in the cache. */
static double traffic(const cad_config_t *c, int ndir, bool merged)
{
    (void)ndir;
    (void)merged;
    return 4 * 2 * (double)c->d_model;
}

static int64_t reference_room(const cad_config_t *c, int64_t rows)
{
    (void)c;
    (void)rows;
    return 1;
}

static void reference(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off, int nseq)
{
    const float *table = cad_param(&m->layer[layer].dir[dir], CAD_KMER_TABLE);
    int64_t D = m->cfg.d_model;
    uint8_t digit[256];
    cad_kmer_digits(&m->vocab, digit);
    for (int q = 0; q < nseq; q++)
        for (int64_t i = off[q]; i < off[q + 1]; i++) {
            int64_t word = cad_kmer_word(digit, cad_kmer_k(&m->cfg), r->tok, off[q], off[q + 1], i);
            for (int64_t d = 0; d < D; d++) r->h[i * D + d] = (double)table[word * D + d];
        }
}

/* ---- the kind ---- */

extern const cad_block_t cad_block_kmer;
const cad_block_t cad_block_kmer = {
    .name = "kmer",
    .sizes = CAD_KIND_SIZES(kmer),
    .configure = configure,
    .write = write_shape,
    .number = number,
    .describe = describe,
    .parts = parts,
    .initial = initial,
    .biased = never_biased,
    .undirected = true,
    .bare = true,
    .nop = CAD_KMER_OPS,
    .op = { "kmer" },
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
