/* encoder.c - encodes the sequences of one strand: the embedding, then a loop over layers of any kind.
 *
 * The encoder works with any backend (through backend.h) and any kind of layer (through model/block.h). A sweep runs
 * one direction of a layer over the packed rows, tile by tile.
 *
 * A merged layer has tied projections, added directions and no projection biases:
 *     res += ((y_fwd + y_rev) * silu(z)) out_proj^T
 * So in_proj and out_proj are computed once: the first sweep computes x and y_fwd; the second sweep adds y_rev, applies
 * the gate z and runs out_proj. Only the second sweep needs z. If ops->late is set, it computes z itself, so that memory
 * for one tile of z is enough; otherwise the first sweep computes z together with x. If the layer's kind sets
 * gates_each, each sweep gates its own y, so both need z: the first computes it, and the second adds its gated y. With
 * ops->late and without a tape, such a layer runs in segments of about 1,024 rows, so that z is kept for one segment
 * only. In a layer that is not merged, each direction computes its own in_proj and out_proj. A layer without a direction
 * runs one sweep or, if its kind sets reads_all, two.
 *
 * A layer that pools rows (cad_block_t.stride) has other rows behind it than before it: its first sweep runs over the
 * rows that it reads, its second over those that it writes.
 *
 * In the last layer only the wanted rows are computed, often a single row of a window: each direction stops at the last
 * wanted row on its way, and z and `out` are computed for wanted rows only. SPDX-License-Identifier: MIT
 */
#include "engine/backend.h"

#define BOTH (CAD_IN_X | CAD_IN_Z)
#define SEGMENT 1024 /* approximate number of rows of a segment */

int64_t cad_encoder_tiles(const cad_lane_t *l, int64_t rows) { return (rows + l->tile - 1) / l->tile; }

/* Returns the first row of tile k. */
static int64_t tile_begin(const cad_lane_t *l, const cad_block_t *block, cad_span_t all, int64_t k)
{
    int64_t r = k * l->tile;
    int lo = 0, hi = all.nseq - 1;
    if (r >= all.end) return all.end;
    if (block->chunk < 2) return r;
    while (lo < hi) { /* finds the sequence that contains row r */
        int mid = (lo + hi + 1) / 2;
        if (all.off[mid] <= r) lo = mid;
        else hi = mid - 1;
    }
    return r - (r - all.off[lo]) % block->chunk;
}

cad_span_t cad_encoder_tile(const cad_lane_t *l, const cad_block_t *block, cad_span_t all, int64_t k)
{
    all.beg = tile_begin(l, block, all, k);
    all.end = tile_begin(l, block, all, k + 1);
    return all;
}

int64_t cad_encoder_most(const cad_lane_t *l, const cad_model_t *m)
{
    int64_t chunk = 1;
    for (int k = 0; k < CAD_NKINDS; k++)
        if (cad_config_uses(&m->cfg, k)) chunk = cad_max(chunk, cad_blocks[k]->chunk);
    return l->tile + chunk - 1;
}

/* Runs one direction of a layer over tiles [from, to). w: settings of the sweep; this function sets w.reach, w.starts
 * and, if w.alone is set, w.first. */
static int sweep_tiles(cad_lane_t *l, const cad_model_t *m, int layer, int dir, cad_span_t all, int64_t from,
                       int64_t to, cad_sweep_t w)
{
    const cad_block_t *block = cad_layer_block(m, layer);
    bool reverse = m->layer[layer].dir[dir].reverse;
    int rc = 0;
    w.reach = reverse ? CAD_FUTURE : CAD_PAST;
    w.starts = true;
    for (int64_t i = 0; i < to - from && rc == 0; i++) {
        cad_span_t s = cad_encoder_tile(l, block, all, reverse ? to - 1 - i : from + i);
        if (w.alone) w.first = s.beg;
        rc = block->step(l, layer, dir, s, &w);
        if (s.beg < s.end) w.starts = false;
    }
    return rc;
}

static int sweep(cad_lane_t *l, const cad_model_t *m, int layer, int dir, cad_span_t all, cad_sweep_t w)
{
    return sweep_tiles(l, m, layer, dir, all, 0, cad_encoder_tiles(l, all.end), w);
}

int64_t cad_encoder_segment(const cad_lane_t *l)
{
    return l->ops->late && !l->tape ? cad_max(SEGMENT / l->tile, 1) : cad_max(cad_encoder_tiles(l, l->rows), 1);
}

/* If a sequence has rows both before and from `row` onwards, returns its end; if a sequence begins at `row`, returns
 * `row`. */
static int64_t cut_end(cad_span_t all, int64_t row)
{
    int q = 0;
    while (all.off[q + 1] <= row) q++;
    return all.off[q] == row ? row : all.off[q + 1];
}

/* Runs a merged layer in which each direction applies the gate itself, segment by segment, so that z and the first
 * direction's result are kept for one segment only. The second direction runs from the last row to the first; so its
 * scan state at each boundary between two segments is computed beforehand, together with x of all rows. Slot k + 1
 * holds the state with which the second direction enters segment k. */
static int run_segments(cad_lane_t *l, const cad_model_t *m, int layer, cad_span_t all, unsigned known)
{
    const cad_block_t *block = cad_layer_block(m, layer);
    int64_t tiles = cad_encoder_tiles(l, all.end), each = cad_encoder_segment(l), n = (tiles + each - 1) / each;
    int rc = 0;
    for (int64_t k = n - 1; k > 0 && rc == 0; k--) {
        int64_t row = tile_begin(l, block, all, k * each), to = cad_min((k + 1) * each, tiles);
        cad_sweep_t w = { .in = known | CAD_IN_X, .first = row, .until = cut_end(all, row), .ahead = true };
        w.slot = (unsigned)k;
        rc = sweep_tiles(l, m, layer, 1, all, k * each, to, w);
    }
    for (int64_t k = 0; k < n && rc == 0; k++) {
        cad_span_t s = all;
        int64_t to = cad_min((k + 1) * each, tiles);
        s.beg = tile_begin(l, block, all, k * each);
        s.end = tile_begin(l, block, all, to);
        cad_sweep_t one = { .in = known | (k ? CAD_IN_Z : BOTH), .gate = true, .first = s.beg }, two = one;
        two.in = known;
        two.out = two.add = true;
        two.how = CAD_OUT_ADD;
        two.slot = n > 1 ? (unsigned)k + 1 : 0;
        rc = sweep_tiles(l, m, layer, 0, all, k * each, to, one);
        s = cad_span_need(s, 0);
        if (rc == 0 && s.beg < s.end) rc = sweep_tiles(l, m, layer, 1, all, k * each, to, two);
    }
    return rc;
}

static int merged_layer(cad_lane_t *l, const cad_model_t *m, int layer, cad_span_t all, unsigned known)
{
    unsigned now = known | (l->ops->late ? CAD_IN_X : BOTH);
    cad_sweep_t first = { .in = now };
    cad_sweep_t second = { .in = known | (BOTH & ~now), .out = true, .add = true, .gate = true, .how = CAD_OUT_ADD };
    int rc;
    if (cad_layer_block(m, layer)->gates_each) return run_segments(l, m, layer, all, known);
    rc = sweep(l, m, layer, 0, all, first);
    return rc ? rc : sweep(l, m, layer, 1, all, second);
}

/* Computes what a layer needs x of whole sequences for. */
static int gather(cad_lane_t *l, const cad_model_t *m, int layer, cad_span_t all)
{
    const cad_block_t *block = cad_layer_block(m, layer);
    return block->gather ? block->gather(l, layer, all) : 0;
}

/* Runs a layer in which each row reads x of all rows of its sequence. all.want: rows of the output. */
static int gathering_layer(cad_lane_t *l, const cad_model_t *m, int layer, cad_span_t all, unsigned known)
{
    cad_span_t read = all;
    int rc;
    if (cad_layer_block(m, layer)->stride) read.want = NULL;
    rc = sweep(l, m, layer, 0, read, (cad_sweep_t) { .in = known | CAD_IN_X });
    if (rc == 0) rc = gather(l, m, layer, read);
    all.off = l->off_out;
    all.end = all.off[all.nseq];
    return rc ? rc : sweep(l, m, layer, 0, all, (cad_sweep_t) { .out = true, .how = CAD_OUT_ADD });
}

static int layer_forward(cad_lane_t *l, const cad_model_t *m, int layer, cad_span_t all)
{
    unsigned known = layer ? 0 : CAD_IN_TOKENS;
    cad_sweep_t whole = { .in = known | BOTH, .out = true, .gate = true, .how = CAD_OUT_ADD, .alone = !l->tape };
    int rc;
    if (cad_layer_block(m, layer)->reads_all) return gathering_layer(l, m, layer, all, known);
    if (m->layer[layer].merged) return merged_layer(l, m, layer, all, known);
    if (m->layer[layer].ndir == 1) return sweep(l, m, layer, 0, all, whole);
    whole.how = CAD_OUT_KEEP;
    rc = sweep(l, m, layer, 0, all, whole);
    whole.how = m->cfg.multiply ? CAD_OUT_TIMES : CAD_OUT_PLUS;
    return rc ? rc : sweep(l, m, layer, 1, all, whole);
}

/* ---- rows that change from layer to layer ---- */

static bool pools(const cad_model_t *m, int layer) { return cad_layer_block(m, layer)->stride != NULL; }

int cad_encoder_open(cad_lane_t *l, const cad_model_t *m)
{
    size_t levels = 0;
    for (int i = 0; i < m->cfg.n_layer; i++) levels += pools(m, i);
    l->offsets = levels ? cad_alloc(levels * (size_t)(l->rows + 1), sizeof *l->offsets) : NULL;
    return levels && !l->offsets ? CAD_ENOMEM : 0;
}

const int64_t *cad_encoder_offsets(const cad_lane_t *l, const cad_model_t *m, int layers, const int64_t *off)
{
    int64_t level = 0;
    for (int i = 0; i < layers; i++) level += pools(m, i);
    return level ? l->offsets + (level - 1) * (l->rows + 1) : off;
}

void cad_encoder_rows(cad_lane_t *l, const cad_model_t *m, int layer, const int64_t *off)
{
    l->off_in = cad_encoder_offsets(l, m, layer, off);
    l->off_out = cad_encoder_offsets(l, m, layer + 1, off);
}

/* Computes the offsets after each layer that pools rows. */
static void count_rows(cad_lane_t *l, const cad_model_t *m, const int64_t *off, int nseq)
{
    int64_t *to = l->offsets;
    for (int i = 0; i < m->cfg.n_layer; i++) {
        int64_t each = pools(m, i) ? cad_layer_block(m, i)->stride(&m->cfg) : 0;
        if (!each) continue;
        to[0] = 0;
        for (int q = 0; q < nseq; q++) to[q + 1] = to[q] + (off[q + 1] - off[q] + each - 1) / each;
        off = to;
        to += l->rows + 1;
    }
}

/* ---- the whole encoder ---- */

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
    cad_sweep_t w = { .in = parts, .out = out, .gate = out, .how = CAD_OUT_KEEP };
    int rc = sweep(l, m, layer, dir, all, w);
    return rc ? rc : gather(l, m, layer, all);
}

int cad_encoder_forward(cad_lane_t *l, const cad_model_t *m, const int64_t *off, int nseq, const cad_rows_t *want)
{
    cad_span_t all = { off, l->offsets ? NULL : want, nseq, 0, off[nseq] };
    int64_t layers = l->layers ? l->layers : m->cfg.n_layer;
    int rc;
    l->mirrored = cad_config_folded(&m->cfg, layers - 1);
    if (l->tape) {
        l->res = l->tape->res[0];
        cad_encoder_begin(l, m, NULL);
    }
    count_rows(l, m, off, nseq);
    rc = l->ops->embed(l, l->tok, all);
    for (int i = 0; i < layers && rc == 0; i++) {
        cad_encoder_rows(l, m, i, off);
        all.off = l->off_in;
        all.end = all.off[nseq];
        all.want = i == layers - 1 ? want : NULL;
        if (l->tape) cad_encoder_enter(l, m, i);
        rc = layer_forward(l, m, i, all);
        if (l->done) __atomic_fetch_add(l->done, off[nseq], __ATOMIC_RELAXED);
    }
    /* layers that are left out count as computed, so that each forward pass counts alike */
    if (l->done) __atomic_fetch_add(l->done, off[nseq] * (m->cfg.n_layer - layers), __ATOMIC_RELAXED);
    return rc;
}
