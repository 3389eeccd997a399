/* backward.c - the backward pass of the strand encoder, for any backend and any kind of layer.
 *
 * A unit is the part of a layer that one call of the operation `out` completes: both directions of a merged layer, or
 * one direction of a layer that is not merged. Layers are processed from last to first. In each layer, activations that
 * the tape does not hold are recomputed. Then each direction of a unit runs from its last row to its first, tile by
 * tile, so that a tile stays in the cache. The layer kind's functions are called as follows:
 *     back_out (and gate)   in the sweep of the unit's first direction
 *     back_step             in each sweep
 *     back_in               in the sweep of the unit's last direction
 * A kind that sets reads_all has one direction, and each of these functions runs over all rows before the next one does.
 * If it pools rows, back_out runs over the rows of the output and the others over the rows that the layer reads.
 * If a layer has two units, each begins with the gradient of its direction's output. SPDX-License-Identifier: MIT
 */
#include "engine/backward.h"

typedef struct {
    cad_grad_lane_t *l;
    const cad_model_t *m;
    const cad_block_t *block; /* kind of the layer */
    int layer;
    cad_span_t all;
} pass_t;

static cad_span_t tile(const pass_t *p, int64_t k) { return cad_encoder_tile(&p->l->f, p->block, p->all, k); }

/* Starts the backward pass of a tile: recomputes z, except if a replay of the layer has just recomputed z, and runs
 * back_out. */
static int enter(const pass_t *p, int dir, cad_span_t s)
{
    int rc = 0;
    if (s.beg == s.end) return 0;
    if (p->l->f.ops->late || p->l->f.tape->kept) rc = p->block->gate(p->l, p->layer, dir, s);
    return rc ? rc : p->block->back_out(p->l, p->layer, dir, s);
}

/* Runs the backward pass of direction dir+k, the k-th of a unit with ndir directions. In the sweep of the first
 * direction, enter() runs one tile ahead, since the convolution's gradient reaches into the next tile. The sweep of the
 * last direction also runs back_in(). */
static int sweep(const pass_t *p, int dir, int k, int ndir)
{
    cad_grad_lane_t *l = p->l;
    bool reverse = p->m->layer[p->layer].dir[dir + k].reverse;
    bool regate = k && l->f.zrows < l->f.rows && !p->block->gates_each;
    int64_t n = cad_encoder_tiles(&l->f, p->all.end);
    int rc = k ? 0 : enter(p, dir, tile(p, reverse ? 0 : n - 1));
    for (int64_t i = 0; i < n && rc == 0; i++) {
        cad_span_t s = tile(p, reverse ? i : n - 1 - i);
        if (k == 0 && i + 1 < n) rc = enter(p, dir, tile(p, reverse ? i + 1 : n - 2 - i));
        if (s.beg == s.end) continue;
        if (rc == 0 && regate) rc = p->block->gate(l, p->layer, dir, s);
        if (rc == 0) rc = p->block->back_step(l, p->layer, dir + k, s, k > 0);
        if (rc == 0 && k == ndir - 1) rc = p->block->back_in(l, p->layer, dir, s);
    }
    return rc;
}

/* Runs the backward pass of a layer in which each row reads all rows of its sequence: a row's gradient of x is complete
 * after back_step has run on all rows. */
static int gathering_sweep(const pass_t *p)
{
    cad_grad_lane_t *l = p->l;
    pass_t out = *p;
    int64_t n = cad_encoder_tiles(&l->f, p->all.end), nout;
    int rc = 0;
    out.all.off = l->f.off_out;
    out.all.end = out.all.off[out.all.nseq];
    nout = cad_encoder_tiles(&l->f, out.all.end);
    for (int64_t i = 0; i < nout && rc == 0; i++) rc = enter(&out, 0, tile(&out, i));
    if (rc == 0) rc = p->block->back_step(l, p->layer, 0, p->all, false);
    for (int64_t i = 0; i < n && rc == 0; i++) {
        cad_span_t s = tile(p, i);
        if (s.beg < s.end) rc = p->block->back_in(l, p->layer, 0, s);
    }
    return rc;
}

/* Runs the backward pass of one unit, which has directions dir to dir+ndir-1. The caller has set l->dout. */
static int unit(const pass_t *p, int dir, int ndir)
{
    unsigned in = p->l->f.ops->late ? CAD_IN_X : CAD_IN_X | CAD_IN_Z;
    int rc = 0;
    for (int k = 0; k < ndir && rc == 0 && !p->l->f.tape->kept; k++)
        rc = cad_encoder_replay(&p->l->f, p->m, p->layer, dir + k, p->all, k ? 0 : in, false);
    if (rc == 0 && p->block->reads_all) return gathering_sweep(p);
    for (int k = 0; k < ndir && rc == 0; k++) rc = sweep(p, dir, k, ndir);
    return rc;
}

/* Sets keep[k] to the gradient of direction k's output h_k, computed from the gradient of the layer's output, h_0 + h_1
 * or h_0 x h_1. For the product, first recomputes each h_k and stores it in keep[1-k]. */
static int divide(const pass_t *p)
{
    cad_grad_lane_t *l = p->l;
    for (int k = 0; k < 2 && p->m->cfg.multiply; k++) {
        float *h = l->f.h;
        l->f.h = l->keep[1 - k];
        int rc = cad_encoder_replay(&l->f, p->m, p->layer, k, p->all, CAD_IN_X | CAD_IN_Z, true);
        l->f.h = h;
        if (rc) return rc;
    }
    return l->ops->divide(l, p->all.end, p->m->cfg.multiply);
}

static int layer_backward(const pass_t *p)
{
    cad_grad_lane_t *l = p->l;
    const cad_layer_t *layer = &p->m->layer[p->layer];
    int rc = 0;
    if (!cad_layer_apart(layer)) {
        l->dout = l->dres;
        return unit(p, 0, layer->ndir);
    }
    rc = divide(p);
    for (int k = 0; k < 2 && rc == 0; k++) {
        l->dout = l->keep[k];
        rc = unit(p, k, 1);
    }
    return rc;
}

/* Recomputes the first layer's input, which the tape does not keep. */
static int embed_again(cad_grad_lane_t *l, cad_span_t all)
{
    float *res = l->f.res;
    int rc;
    l->f.res = l->f.base;
    rc = l->f.ops->embed(&l->f, l->f.tok, all);
    l->f.res = res;
    return rc;
}

int cad_encoder_backward(cad_grad_lane_t *l, const cad_model_t *m, const int64_t *off, int nseq, cad_layer_done_f *done,
                         void *arg)
{
    pass_t p = { .l = l, .m = m, .all = { off, NULL, nseq, 0, off[nseq] } };
    cad_encoder_begin(&l->f, m, l);
    for (p.layer = (int)m->cfg.n_layer - 1; p.layer >= 0; p.layer--) {
        int rc = 0;
        p.block = cad_layer_block(m, p.layer);
        cad_encoder_enter(&l->f, m, p.layer);
        cad_encoder_rows(&l->f, m, p.layer, off);
        p.all.off = l->f.off_in;
        p.all.end = p.all.off[nseq];
        if (p.layer == 0) rc = embed_again(l, p.all);
        if (rc == 0) rc = layer_backward(&p);
        if (rc == 0 && done) rc = done(arg, l, p.layer);
        if (rc) return rc;
    }
    return l->ops->embed(l, l->f.tok, p.all);
}
