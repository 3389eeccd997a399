/* back.c - the strand encoder backwards, once for every backend.
 *
 * A unit is what one `out` closes: the merged block with both directions, or one
 * Mamba. For each layer, the last first: x, z and the scan's states are made again
 * where the tape does not hold them; then for each direction, a tile at a time, the last
 * in its time first, while it is in the cache:
 *     out (and z)                      in the first direction's sweep
 *     conv (forwards, for u) scan conv
 *     in                               in the last one's
 * Where a layer is two units, both take the gradient that came from above.
 * SPDX-License-Identifier: MIT
 */
#include "engine/backward.h"

typedef struct {
    cad_grad_lane_t *l;
    const cad_model_t *m;
    int layer;
    cad_span_t all;
} pass_t;

static int64_t tiles(const pass_t *p) { return (p->all.end + p->l->f.tile - 1) / p->l->f.tile; }

static cad_span_t tile(const pass_t *p, int64_t k)
{
    cad_span_t s = p->all;
    s.beg = k * p->l->f.tile;
    s.end = cad_min(s.beg + p->l->f.tile, p->all.end);
    return s;
}

static int make_z(const pass_t *p, int dir, cad_span_t s)
{
    cad_lane_t *f = &p->l->f;
    return f->ops->in(f, p->layer, dir, s, CAD_IN_Z);
}

/* What a tile's way back begins with: z, unless a replay has made it, and the gradient of y. */
static int enter(const pass_t *p, int dir, cad_span_t s)
{
    int rc = p->l->f.ops->late || p->l->f.tape->x ? make_z(p, dir, s) : 0;
    return rc ? rc : p->l->ops->out(p->l, p->layer, dir, s);
}

/* Direction dir+k of a unit's ndir, backwards in its time. The first one's tiles are entered
 * a tile ahead, as the conv's dx reaches into the next; the last one's are then finished. */
static int sweep(const pass_t *p, int dir, int k, int ndir)
{
    cad_grad_lane_t *l = p->l;
    bool reverse = p->m->layer[p->layer].dir[dir + k].reverse, gone = k && l->f.zrows < l->f.rows; /* z of this tile */
    int64_t n = tiles(p);
    int rc = k ? 0 : enter(p, dir, tile(p, reverse ? 0 : n - 1));
    for (int64_t i = 0; i < n && rc == 0; i++) {
        cad_span_t s = tile(p, reverse ? i : n - 1 - i);
        if (k == 0 && i + 1 < n) rc = enter(p, dir, tile(p, reverse ? i + 1 : n - 2 - i));
        if (rc == 0 && gone) rc = make_z(p, dir, s);
        if (rc == 0) rc = l->f.ops->conv(&l->f, p->layer, dir + k, s);
        if (rc == 0) rc = l->ops->scan(l, p->layer, dir + k, s, k > 0);
        if (rc == 0) rc = l->ops->conv(l, p->layer, dir + k, s);
        if (rc == 0 && k == ndir - 1) rc = l->ops->in(l, p->layer, dir, s);
    }
    return rc;
}

/* Directions [dir, dir+ndir) of one unit; dout is set. */
static int unit(const pass_t *p, int dir, int ndir)
{
    unsigned in = p->l->f.ops->late ? CAD_IN_X : CAD_IN_X | CAD_IN_Z;
    int rc = 0;
    for (int k = 0; k < ndir && rc == 0 && !p->l->f.tape->x; k++)
        rc = cad_strand_replay(&p->l->f, p->m, p->layer, dir + k, p->all, k ? 0 : in, false);
    for (int k = 0; k < ndir && rc == 0; k++) rc = sweep(p, dir, k, ndir);
    return rc;
}

/* Each direction's share of the gradient of h0 + h1 or h0 x h1: keep[k]. */
static int divide(const pass_t *p)
{
    cad_grad_lane_t *l = p->l;
    for (int k = 0; k < 2 && p->m->cfg.multiply; k++) {
        float *h = l->f.h;
        l->f.h = l->keep[1 - k];
        int rc = cad_strand_replay(&l->f, p->m, p->layer, k, p->all, CAD_IN_X | CAD_IN_Z, true);
        l->f.h = h;
        if (rc) return rc;
    }
    return l->ops->divide(l, p->all.end, p->m->cfg.multiply);
}

static int layer_back(const pass_t *p)
{
    cad_grad_lane_t *l = p->l;
    int ndir = p->m->layer[p->layer].ndir, rc = 0;
    if (ndir == 1 || cad_model_merged(p->m)) {
        l->dout = l->dres;
        return unit(p, 0, ndir);
    }
    rc = divide(p);
    for (int k = 0; k < 2 && rc == 0; k++) {
        l->dout = l->keep[k];
        rc = unit(p, k, 1);
    }
    return rc;
}

/* The first layer's input is not kept. */
static int embed_again(cad_grad_lane_t *l, cad_span_t all)
{
    float *res = l->f.res;
    int rc;
    l->f.res = l->f.base;
    rc = l->f.ops->embed(&l->f, l->f.tok, all);
    l->f.res = res;
    return rc;
}

int cad_strand_backward(cad_grad_lane_t *l, const cad_model_t *m, const int64_t *off, int nseq)
{
    pass_t p = { l, m, 0, { off, NULL, nseq, 0, off[nseq] } };
    for (int k = 0; k < 2; k++) l->f.state[k] = l->kept[k];
    for (p.layer = (int)m->cfg.n_layer - 1; p.layer >= 0; p.layer--) {
        int rc = 0;
        cad_strand_enter(&l->f, p.layer);
        if (p.layer == 0) rc = embed_again(l, p.all);
        if (rc == 0) rc = layer_back(&p);
        if (rc) return rc;
    }
    return l->ops->embed(l, l->f.tok, p.all);
}
