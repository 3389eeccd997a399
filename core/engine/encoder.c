/* encoder.c - the strand encoder: embedding, then a loop over layers of any kind.
 *
 * It works with any backend (through backend.h) and any kind of layer (through model/block.h). A sweep runs one
 * direction of a layer over the packed rows, tile by tile.
 *
 * A merged layer has tied projections, added directions and no projection biases:
 *     res += ((y_fwd + y_rev) * silu(z)) out_proj^T
 * Hence in_proj and out_proj are computed once. z is computed together with x, or (ops->late) in the second sweep,
 * which then needs memory for one tile of z only. In all other layers each direction computes its own in_proj and
 * out_proj.
 *
 * In the last layer only the wanted rows are computed, often a single row of a window: each direction stops at the
 * wanted row that it reaches last, and z and `out` are computed for wanted rows only. SPDX-License-Identifier: MIT
 */
#include "engine/backend.h"

#define BOTH (CAD_IN_X | CAD_IN_Z)

static int sweep(cad_lane_t *l, const cad_model_t *m, int layer, int dir, cad_span_t all, cad_sweep_t w)
{
    const cad_block_t *block = cad_layer_block(m, layer);
    int64_t ntile = (all.end + l->tile - 1) / l->tile;
    bool reverse = m->layer[layer].dir[dir].reverse;
    int rc = 0;
    w.reach = reverse ? CAD_FUTURE : CAD_PAST;
    for (int64_t i = 0; i < ntile && rc == 0; i++) {
        int64_t k = reverse ? ntile - 1 - i : i;
        cad_span_t s = all;
        s.beg = k * l->tile;
        s.end = cad_min(s.beg + l->tile, all.end);
        rc = block->step(l, layer, dir, s, &w);
    }
    return rc;
}

static int merged_layer(cad_lane_t *l, const cad_model_t *m, int layer, cad_span_t all, unsigned known)
{
    unsigned now = known | (l->ops->late ? CAD_IN_X : BOTH);
    cad_sweep_t first = { .in = now };
    cad_sweep_t second = { .in = known | (BOTH & ~now), .out = true, .add = true, .gate = true, .how = CAD_OUT_ADD };
    int rc = sweep(l, m, layer, 0, all, first);
    return rc ? rc : sweep(l, m, layer, 1, all, second);
}

static int layer_forward(cad_lane_t *l, const cad_model_t *m, int layer, cad_span_t all)
{
    unsigned known = layer ? 0 : CAD_IN_TOKENS;
    cad_sweep_t whole = { .in = known | BOTH, .out = true, .gate = true, .how = CAD_OUT_ADD };
    int rc;
    if (m->layer[layer].merged) return merged_layer(l, m, layer, all, known);
    if (m->layer[layer].ndir == 1) return sweep(l, m, layer, 0, all, whole);
    whole.how = CAD_OUT_KEEP;
    rc = sweep(l, m, layer, 0, all, whole);
    whole.how = m->cfg.multiply ? CAD_OUT_TIMES : CAD_OUT_PLUS;
    return rc ? rc : sweep(l, m, layer, 1, all, whole);
}

void cad_encoder_begin(cad_lane_t *l, const cad_model_t *m, cad_grad_lane_t *back)
{
    for (int k = 0; k < CAD_NKINDS; k++)
        if (cad_config_uses(&m->cfg, k)) cad_blocks[k]->begin(l, back);
}

void cad_encoder_enter(cad_lane_t *l, const cad_model_t *m, int layer)
{
    const cad_tape_t *t = l->tape;
    l->base = t->res[layer];
    l->res = t->res[layer + 1];
    if (t->kept) cad_layer_block(m, layer)->enter(l, &t->kept[layer]);
}

int cad_encoder_replay(cad_lane_t *l, const cad_model_t *m, int layer, int dir, cad_span_t all, unsigned parts,
                       bool out)
{
    return sweep(l, m, layer, dir, all, (cad_sweep_t) { .in = parts, .out = out, .gate = out, .how = CAD_OUT_KEEP });
}

int cad_encoder_forward(cad_lane_t *l, const cad_model_t *m, const int64_t *off, int nseq, const cad_rows_t *want)
{
    cad_span_t all = { off, want, nseq, 0, off[nseq] };
    int rc;
    if (l->tape) {
        l->res = l->tape->res[0];
        cad_encoder_begin(l, m, NULL);
    }
    rc = l->ops->embed(l, l->tok, all);
    for (int i = 0; i < m->cfg.n_layer && rc == 0; i++) {
        all.want = i == m->cfg.n_layer - 1 ? want : NULL;
        if (l->tape) cad_encoder_enter(l, m, i);
        rc = layer_forward(l, m, i, all);
    }
    return rc;
}
