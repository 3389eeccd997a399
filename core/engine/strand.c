/* strand.c - the strand encoder: embedding, bidirectional Mamba blocks.
 *
 * Written once for every backend, in terms of ops.h. One sweep runs one Mamba
 * over the packed rows in its direction of time, tile by tile.
 *
 * Merged block (tied projections, added directions, no projection bias):
 *     res += ((y_fwd + y_rev) * silu(z)) out_proj^T
 * so in_proj and out_proj are computed once: its z with x, or with the second sweep,
 * which then needs it for a tile at a time only. Otherwise each direction runs in full.
 *
 * Nothing follows the last layer but the rows that are read, often one of a
 * window: a direction of time stops there, and only there are z and out needed.
 * SPDX-License-Identifier: MIT
 */
#include "engine/ops.h"

typedef struct {
    unsigned in;    /* what to project into: CAD_IN_* */
    bool out;       /* project y out */
    bool add, gate; /* see ops.scan */
    cad_out_t how;
} sweep_t;

#define BOTH (CAD_IN_X | CAD_IN_Z)

static bool some(cad_span_t s) { return s.beg < s.end; }

/* One tile. A sweep that leaves `out` to the next leaves it its x too, and so
 * projects what either direction needs. */
static int step(cad_lane_t *l, int layer, int dir, cad_span_t s, const sweep_t *w, unsigned reach)
{
    const cad_ops_t *ops = l->ops;
    cad_span_t in = cad_span_need(s, !(w->in & CAD_IN_X) ? 0 : w->out ? reach : CAD_PAST | CAD_FUTURE);
    cad_span_t run = cad_span_need(s, reach), out = cad_span_need(s, 0);
    int rc = 0;
    if (w->in & BOTH && some(in)) rc = ops->in(l, layer, dir, in, w->in);
    if (rc == 0 && some(run)) rc = ops->conv(l, layer, dir, run);
    if (rc == 0 && some(run)) rc = ops->scan(l, layer, dir, run, w->add, w->gate);
    if (rc == 0 && w->out && some(out)) rc = ops->out(l, layer, dir, out, w->how);
    return rc;
}

static int sweep(cad_lane_t *l, const cad_model_t *m, int layer, int dir, cad_span_t all, sweep_t w)
{
    int64_t ntile = (all.end + l->tile - 1) / l->tile;
    bool reverse = m->layer[layer].dir[dir].reverse;
    int rc = 0;
    for (int64_t i = 0; i < ntile && rc == 0; i++) {
        int64_t k = reverse ? ntile - 1 - i : i;
        cad_span_t s = all;
        s.beg = k * l->tile;
        s.end = cad_min(s.beg + l->tile, all.end);
        rc = step(l, layer, dir, s, &w, reverse ? CAD_FUTURE : CAD_PAST);
    }
    return rc;
}

static int block(cad_lane_t *l, const cad_model_t *m, int layer, cad_span_t all)
{
    unsigned known = layer ? 0 : CAD_IN_TOKENS, now = known | (l->ops->late ? CAD_IN_X : BOTH);
    int rc;
    if (m->layer[layer].ndir == 1)
        return sweep(l, m, layer, 0, all, (sweep_t) { known | BOTH, true, false, true, CAD_OUT_ADD });
    if (cad_model_merged(m)) {
        rc = sweep(l, m, layer, 0, all, (sweep_t) { now, false, false, false, CAD_OUT_ADD });
        if (rc) return rc;
        return sweep(l, m, layer, 1, all, (sweep_t) { known | (BOTH & ~now), true, true, true, CAD_OUT_ADD });
    }
    rc = sweep(l, m, layer, 0, all, (sweep_t) { known | BOTH, true, false, true, CAD_OUT_KEEP });
    if (rc) return rc;
    return sweep(l, m, layer, 1, all,
                 (sweep_t) { known | BOTH, true, false, true, m->cfg.multiply ? CAD_OUT_TIMES : CAD_OUT_PLUS });
}

void cad_strand_enter(cad_lane_t *l, int layer)
{
    const cad_tape_t *t = l->tape;
    l->base = t->res[layer];
    l->res = t->res[layer + 1];
    if (t->x) l->x = t->x[layer];
    for (int k = 0; k < 2 && t->state; k++) l->state[k] = t->state[2 * layer + k];
}

int cad_strand_replay(cad_lane_t *l, const cad_model_t *m, int layer, int dir, cad_span_t all, unsigned parts, bool out)
{
    return sweep(l, m, layer, dir, all, (sweep_t) { parts, out, false, out, CAD_OUT_KEEP });
}

int cad_strand_forward(cad_lane_t *l, const cad_model_t *m, const int64_t *off, int nseq, const cad_rows_t *want)
{
    cad_span_t all = { off, want, nseq, 0, off[nseq] };
    int rc;
    if (l->tape) l->res = l->tape->res[0];
    rc = l->ops->embed(l, l->tok, all);
    for (int i = 0; i < m->cfg.n_layer && rc == 0; i++) {
        all.want = i == m->cfg.n_layer - 1 ? want : NULL;
        if (l->tape) cad_strand_enter(l, i);
        rc = block(l, m, i, all);
    }
    return rc;
}
