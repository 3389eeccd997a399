/* context.c - opens a context's lanes and runs masking passes (cad_pass_t) on them.
 *
 * A masking pass is one copy of a window and has one or two sequences, one for each strand. Consecutive sequences form
 * packs of up to the number of rows that the backend prefers; a lane computes one pack at a time. If there are at least
 * as many packs as lanes, each lane runs whole packs. Otherwise, and for long windows, the whole team of threads works
 * on one pack, inside the operations, if the backend supports that. Results do not depend on this choice.
 *
 * If layers pool rows, the rows that are pooled or read are counted after these layers: those that stand for at least
 * one of the bases in question.
 *
 * SPDX-License-Identifier: MIT
 */
#include "engine/engine.h"
#include "engine/module.h"

typedef struct {
    int64_t first, n; /* sequences [first, first+n) of run_t.seq */
    int64_t rows;     /* number of rows of these sequences */
    int64_t picks;    /* index of the pack's first entry in run_t.pick */
} pack_t;

typedef struct {
    cad_context_t *ctx;
    const cad_pass_t *pass; // (npass)
    const int64_t *seq;     // (nseq) each sequence as a number: 2 * index of its masking pass + strand
    const pack_t *pack;     // (npack)
    // (nseq+npack) for each pack of n sequences, n+1 row offsets; those of pack i begin at off[pack[i].first + i]
    int64_t *off;
    int layers;         /* number of layers to run */
    cad_rows_t *want;   // (nseq) wanted rows of each sequence, counted from the start of its pack
    cad_pick_t *pick;   // rows whose logits are read, pack after pack
    cad_range_t *range; // (nseq) rows to be pooled; those of a pack begin at index `first`
    int *rc;            // (lanes) the last error of each lane, or 0
} run_t;

/* ---- opening ---- */

/* Returns the rows of a tile for a lane of `rows` rows. With a team, each thread has a whole tile of the backend's size in
 * each operation, so that threads rarely wait for each other; the tiles of the lane are of about the same size. */
static int64_t tile_rows(const cad_ops_t *ops, const cad_team_t *team, int64_t rows)
{
    int64_t most = team ? ops->tile * cad_max(ops->wide, cad_team_threads(team)) : ops->tile, tiles;
    if (rows <= most || !team) return cad_min(most, rows);
    tiles = (rows + most - 1) / most;
    return (rows + tiles - 1) / tiles;
}

static int open_lane(cad_context_t *ctx, cad_lane_t *l, cad_team_t *team, int64_t rows, cad_error_t *err)
{
    const cad_card_t *card = &ctx->card[l == &ctx->wide ? 0 : (l - ctx->lane) % ctx->cards];
    int rc;
    l->ops = &card->ops;
    l->weights = card->weights;
    l->team = team;
    l->done = &ctx->done;
    l->rows = rows;
    l->tile = tile_rows(ctx->ops, team, rows);
    l->zrows = ctx->ops->late ? l->tile : 0;
    l->tok = cad_alloc((size_t)rows, 1);
    rc = l->tok ? cad_encoder_open(l, ctx->model) : CAD_ENOMEM;
    if (rc == 0) rc = l->ops->lane_open(l, ctx->model);
    ctx->bytes += l->bytes;
    if (rc == CAD_ENOMEM)
        return cad_fail(
            err, rc,
            "out of memory on %s: windows of up to %lld tokens, %d batches at a time, need %.3g GB and more; use %sa smaller window",
            ctx->ops->name, (long long)ctx->max_len, ctx->lanes, (double)ctx->bytes * 1e-9,
            ctx->ops->lanes ? "" : "fewer threads or ");
    return rc ? cad_fail(err, rc, "%s: %s", ctx->ops->name, l->text[0] ? l->text : cad_strerror(rc)) : 0;
}

static void close_lane(cad_lane_t *l)
{
    if (l->ops) l->ops->lane_close(l);
    free(l->tok);
    free(l->offsets);
    memset(l, 0, sizeof *l);
}

static void close_lanes(cad_context_t *ctx)
{
    for (int i = 0; ctx->lane && i < ctx->lanes; i++) close_lane(&ctx->lane[i]);
    close_lane(&ctx->wide);
    ctx->bytes = 0;
}

/* Opens the lanes. Each has room for one pack and for the longest window. If the whole team runs windows longer than
 * ops->split, only the team's lane has room for these. */
static int open_lanes(cad_context_t *ctx, cad_error_t *err)
{
    bool wide = ctx->lanes > 1 && ctx->ops->wide > 0;
    int64_t rows = cad_max(ctx->max_len, ctx->pack), short_rows = wide ? cad_min(rows, ctx->ops->split) : rows;
    for (int i = 0; i < ctx->lanes; i++) {
        int rc = open_lane(ctx, &ctx->lane[i], NULL, short_rows, err);
        if (rc) return rc;
    }
    return wide ? open_lane(ctx, &ctx->wide, ctx->team, rows, err) : 0;
}

/* Sets the number of lanes, each of which is run by one thread. */
static int set_lanes(cad_context_t *ctx, int lanes, cad_error_t *err)
{
    cad_team_close(ctx->team);
    ctx->team = NULL;
    ctx->lanes = lanes;
    return lanes > 1 ? cad_team_open(&ctx->team, lanes, err) : 0;
}

/* Opens the lanes; if memory is short, retries with smaller packs, then with a single lane for each card. */
static int fit_lanes(cad_context_t *ctx, int lanes, cad_error_t *err)
{
    const cad_ops_t *ops = ctx->ops;
    int rc = set_lanes(ctx, lanes, err);
    ctx->lane = calloc((size_t)lanes, sizeof *ctx->lane);
    if (!ctx->lane) return cad_out_of_memory(err);
    for (ctx->pack = ops->pack; rc == 0 && (rc = open_lanes(ctx, err)) == CAD_ENOMEM;) {
        bool smaller = ctx->pack > ops->least && ctx->pack > ctx->max_len;
        if (!smaller && (ops->lanes == 0 || ctx->lanes == ctx->cards)) break;
        close_lanes(ctx);
        if (smaller) ctx->pack = cad_max(ctx->pack / 2, ops->least);
        rc = smaller ? 0 : set_lanes(ctx, ctx->cards, err);
    }
    return rc;
}

void cad_options_init_sized(cad_options_t *o, size_t size)
{
    memset(o, 0, size);
    o->size = size;
    o->threads = 1;
}

/* Sets *o to the defaults, overrides them with the given options and checks the result. */
static int take_options(cad_options_t *o, const cad_options_t *given, const cad_model_t *model, cad_error_t *err)
{
    cad_options_init(o);
    if (given) memcpy(o, given, given->size < sizeof *o ? given->size : sizeof *o);
    if (o->max_len == 0) o->max_len = model->cfg.max_len;
    if (o->threads < 1 || o->threads > 4096)
        return cad_fail(err, CAD_EARG, "%d threads: expected 1 to 4096", o->threads);
    if (o->layer < 0) o->layer += (int)model->cfg.n_layer + 1;
    else if (o->layer == 0) o->layer = (int)model->cfg.n_layer;
    if (o->layer < 1 || o->layer > model->cfg.n_layer)
        return cad_fail(err, CAD_EARG, "layer %d: the model has layers 1 to %lld, or -%lld to -1 from the end",
                        given->layer, (long long)model->cfg.n_layer, (long long)model->cfg.n_layer);
    if (o->max_len < 1 || o->max_len > CAD_LONGEST)
        return cad_fail(err, CAD_EARG, "a window of %lld tokens: expected 1 to %lld", (long long)o->max_len,
                        (long long)CAD_LONGEST);
    return cad_config_fits(&model->cfg, o->max_len, err);
}

/* Copies the classifier's head, because a trainer may change the model while this context computes. The backend
 * copies all other weights. */
static int copy_head(cad_context_t *ctx, cad_error_t *err)
{
    const cad_model_t *m = ctx->model;
    size_t n = (size_t)(m->labels * m->cfg.d_model), D = (size_t)m->cfg.d_model;
    ctx->pool = m->cfg.pool;
    ctx->bin = m->score ? m->cfg.bin : 0;
    if (!m->score) return 0;
    ctx->score = calloc(n + (size_t)m->labels + (size_t)cad_round_up((int64_t)D, CAD_PAD), sizeof *ctx->score);
    if (!ctx->score) return cad_fail(err, CAD_ENOMEM, "out of memory for %lld labels", (long long)m->labels);
    memcpy(ctx->score, m->score, n * sizeof *ctx->score);
    ctx->score_bias = ctx->score + n;
    ctx->pool_weight = ctx->score_bias + m->labels;
    if (m->score_bias) memcpy(ctx->score_bias, m->score_bias, (size_t)m->labels * sizeof *ctx->score);
    if (m->pool_weight) memcpy(ctx->pool_weight, m->pool_weight, D * sizeof *ctx->score);
    return 0;
}

static int open_context(cad_context_t **out, const cad_model_t *model, const cad_options_t *options, cad_error_t *err)
{
    cad_context_t *ctx;
    cad_options_t o;
    int rc = take_options(&o, options, model, err);
    *out = NULL;
    if (rc) return rc;
    ctx = calloc(1, sizeof *ctx);
    if (!ctx) return cad_out_of_memory(err);
    ctx->model = model;
    ctx->max_len = o.max_len;
    ctx->layers = o.layer;
    ctx->vocab_softmax = o.vocab_softmax != 0;
    rc = copy_head(ctx, err);
    if (rc == 0)
        rc = cad_cards_open(&ctx->card, &ctx->cards, ctx->model, o.device, o.precision, ctx->note, sizeof ctx->note,
                            err);
    if (rc == 0) ctx->ops = &ctx->card->ops;
    for (int i = 0; i < ctx->cards && rc == 0; i++)
        rc = ctx->ops->weights_open(&ctx->card[i].weights, &ctx->card[i].ops, model, err);
    if (rc == 0) rc = fit_lanes(ctx, ctx->ops->lanes ? ctx->ops->lanes * ctx->cards : o.threads, err);
    if (rc) cad_context_close(ctx);
    else *out = ctx;
    return rc;
}

int cad_context_open(cad_context_t **out, const cad_model_t *model, const cad_options_t *options, cad_error_t *err)
{
    int rc = cad_model_whole(model, err);
    *out = NULL;
    return rc ? rc : open_context(out, model, options, err);
}

int cad_context_open_last(cad_context_t **out, cad_model_t *model, const cad_options_t *options, cad_error_t *err)
{
    int rc = cad_model_whole(model, err);
    *out = NULL;
    if (rc) return rc;
    model->spent = true; /* the backend discards each layer's weights once it has packed them */
    rc = open_context(out, model, options, err);
    cad_model_discard(model, -1);
    return rc;
}

void cad_context_close(cad_context_t *ctx)
{
    if (!ctx) return;
    cad_team_close(ctx->team);
    close_lanes(ctx);
    free(ctx->lane);
    free(ctx->score);
    for (int i = 0; ctx->ops && i < ctx->cards; i++) ctx->ops->weights_close(ctx->card[i].weights);
    free(ctx->card);
    free(ctx);
}

const char *cad_context_device(const cad_context_t *ctx) { return ctx->ops->name; }

const char *cad_context_precision(const cad_context_t *ctx) { return ctx->ops->precision; }

const char *cad_context_note(const cad_context_t *ctx) { return ctx->note; }

size_t cad_context_bytes(const cad_context_t *ctx) { return ctx->bytes; }

int64_t cad_context_done(const cad_context_t *ctx)
{
    return __atomic_load_n(&ctx->done, __ATOMIC_RELAXED) / (2 * ctx->model->cfg.n_layer);
}

/* ---- running ---- */

static void fill_tokens(const cad_model_t *m, const cad_pass_t *p, int strand, uint8_t *tok)
{
    if (strand == 0) memcpy(tok, p->tok, (size_t)p->len);
    else if (p->tok_rc) memcpy(tok, p->tok_rc, (size_t)p->len);
    else cad_reverse_complement(m, p->tok, p->len, tok);
    for (int64_t i = 0; p->masked && i < p->npos; i++)
        tok[strand ? p->len - 1 - p->pos[i] : p->pos[i]] = (uint8_t)m->vocab.mask;
}

/* Returns the rows of a strand that stand for the bases [beg, end) of strand 0. stride: bases of a row. */
static cad_rows_t rows_of(const cad_pass_t *p, int strand, int64_t beg, int64_t end, int64_t stride)
{
    int64_t from = strand ? p->len - end : beg, to = strand ? p->len - beg : end;
    return (cad_rows_t) { from / stride, (to + stride - 1) / stride };
}

/* If the logits of a position are those of the row before it, moves a range of rows by one. */
static cad_rows_t before(const cad_pass_t *p, cad_rows_t r)
{
    if (!p->next) return r;
    r.beg = cad_max(r.beg - 1, 0);
    r.end = cad_max(r.end - 1, r.beg + 1);
    return r;
}

/* Returns the smallest range that contains all rows whose results are read, counted from the start of the strand. */
static cad_rows_t rows_read(const cad_pass_t *p, int strand, int64_t stride)
{
    int64_t beg = p->len, end = 0;
    if (p->pooled[strand]) {
        beg = p->beg;
        end = p->end;
    }
    for (int64_t i = 0; p->logits[strand] && i < p->npos; i++) {
        beg = cad_min(beg, p->pos[i]);
        end = cad_max(end, p->pos[i] + 1);
    }
    return before(p, rows_of(p, strand, beg, end, stride));
}

static int64_t picks_of(const cad_pass_t *p, int strand) { return p->logits[strand] ? p->npos : 0; }

/* Lists in pick the rows of one strand of a masking pass whose logits are wanted, and returns their number. base: the
 * row of the pack at which this strand's sequence begins. */
static int64_t list_picks(const cad_pass_t *p, int strand, int64_t base, int64_t V, cad_pick_t *pick)
{
    int64_t n = picks_of(p, strand);
    for (int64_t i = 0; i < n; i++) {
        int64_t row = strand ? p->len - 1 - p->pos[i] : p->pos[i];
        pick[i] = (cad_pick_t) { base + (p->next && row ? row - 1 : row), strand, p->logits[strand] + i * V };
    }
    return n;
}

static int64_t list_range(const cad_pass_t *p, int strand, int64_t base, int64_t stride, cad_range_t *range)
{
    cad_rows_t rows = rows_of(p, strand, p->beg, p->end, stride);
    if (!p->pooled[strand]) return 0;
    *range = (cad_range_t) { base + rows.beg, base + rows.end, p->pool, p->pooled[strand], p->pool_weight };
    return 1;
}

/* Computes the wanted logits and pooled rows of a pack, and writes them to the buffers of its masking passes. off: the
 * offsets of the last layer's rows, each of which stands for `stride` bases. */
static int take_results(const run_t *r, const pack_t *pack, const int64_t *off, int64_t stride, cad_lane_t *l)
{
    const cad_model_t *m = r->ctx->model;
    cad_pick_t *pick = r->pick ? r->pick + pack->picks : NULL;
    cad_range_t *range = r->range + pack->first;
    int64_t npick = 0, nrange = 0;
    int rc = 0;
    for (int64_t i = 0; i < pack->n; i++) {
        int64_t seq = r->seq[pack->first + i];
        const cad_pass_t *p = &r->pass[seq / 2];
        npick += list_picks(p, (int)(seq % 2), off[i], m->vocab.rows, pick ? pick + npick : NULL);
        nrange += list_range(p, (int)(seq % 2), off[i], stride, range + nrange);
    }
    if (npick) rc = l->ops->head(l, pick, npick);
    if (rc == 0 && nrange) rc = l->ops->pool(l, range, nrange);
    for (int64_t i = 0; i < pack->n && rc == 0; i++) {
        int64_t seq = r->seq[pack->first + i];
        const cad_pass_t *p = &r->pass[seq / 2];
        if (seq % 2 && p->pooled[1] && p->pool == CAD_POOL_NONE)
            cad_reverse_rows(p->pooled[1], p->end - p->beg, m->cfg.d_model);
    }
    return rc;
}

static int run_pack(const run_t *r, int64_t k, cad_lane_t *l)
{
    const cad_model_t *m = r->ctx->model;
    const pack_t *pack = &r->pack[k];
    int64_t *off = r->off + pack->first + k, stride = cad_config_stride(&m->cfg, r->layers), last = 0;
    cad_rows_t *want = r->want + pack->first;
    int rc;
    off[0] = 0;
    for (int64_t i = 0; i < pack->n; i++) {
        int64_t seq = r->seq[pack->first + i];
        const cad_pass_t *p = &r->pass[seq / 2];
        cad_rows_t rows = rows_read(p, (int)(seq % 2), stride);
        fill_tokens(m, p, (int)(seq % 2), l->tok + off[i]);
        want[i] = (cad_rows_t) { last + rows.beg, last + rows.end };
        off[i + 1] = off[i] + p->len;
        last += (p->len + stride - 1) / stride;
    }
    l->layers = r->layers;
    rc = cad_encoder_forward(l, m, off, (int)pack->n, want);
    return rc ? rc : take_results(r, pack, cad_encoder_offsets(l, m, r->layers, off), stride, l);
}

static void pack_task(void *arg, int64_t task, int worker)
{
    run_t *r = arg;
    int rc;
    /* the pack is too long for this lane; run_packs runs it on the team */
    if (r->pack[task].rows > r->ctx->lane[worker].rows) return;
    rc = run_pack(r, task, &r->ctx->lane[worker]);
    if (rc) r->rc[worker] = rc;
}

static int64_t make_packs(const cad_context_t *ctx, const cad_pass_t *pass, const int64_t *seq, int64_t nseq,
                          pack_t *pack)
{
    int64_t n = 0, picks = 0;
    for (int64_t i = 0; i < nseq; i++) {
        const cad_pass_t *p = &pass[seq[i] / 2];
        if (n && pack[n - 1].rows + p->len <= ctx->pack) {
            pack[n - 1].n++;
            pack[n - 1].rows += p->len;
        } else pack[n++] = (pack_t) { i, 1, p->len, picks };
        picks += picks_of(p, (int)(seq[i] % 2));
    }
    return n;
}

static int run_packs(run_t *r, int64_t npack)
{
    cad_context_t *ctx = r->ctx;
    bool wide = ctx->wide.ops != NULL, apart = !wide || npack >= ctx->lanes;
    int rc = 0;
    for (int64_t k = 0; k < npack && rc == 0 && wide; k++)
        if (!apart || r->pack[k].rows > ctx->lane[0].rows) rc = run_pack(r, k, &ctx->wide);
    if (rc == 0 && apart) cad_team_run(ctx->team, npack, pack_task, r);
    for (int i = 0; i < ctx->lanes && rc == 0; i++) rc = r->rc[i];
    return rc;
}

/* Clears the lanes' error texts, which may come from an earlier run. */
static void clear_texts(cad_context_t *ctx)
{
    ctx->wide.text[0] = 0;
    for (int i = 0; i < ctx->lanes; i++) ctx->lane[i].text[0] = 0;
}

/* Reports rc with the error text of the first lane that has one. */
static int report(const cad_context_t *ctx, int rc, cad_error_t *err)
{
    const char *text = ctx->wide.text;
    for (int i = 0; i < ctx->lanes && !*text; i++) text = ctx->lane[i].text;
    return cad_fail(err, rc, "%s: %s", ctx->ops->name, *text ? text : cad_strerror(rc));
}

int cad_run(cad_context_t *ctx, const cad_pass_t *pass, int64_t npass, int layers, cad_error_t *err)
{
    int64_t nseq = 0, npick = 0, npack, *seq = malloc((size_t)npass * 2 * sizeof *seq);
    pack_t *pack = malloc((size_t)npass * 2 * sizeof *pack);
    int64_t *off = malloc((size_t)npass * 4 * sizeof *off);
    cad_rows_t *want = malloc((size_t)npass * 2 * sizeof *want);
    cad_range_t *range = malloc((size_t)npass * 2 * sizeof *range);
    cad_pick_t *pick = NULL;
    int *rcs = calloc((size_t)ctx->lanes, sizeof *rcs), rc = 0;
    if (npass && (!seq || !pack || !off || !want || !range || !rcs))
        rc = cad_fail(err, CAD_ENOMEM, "out of memory for %lld passes", (long long)npass);
    for (int64_t i = 0; i < npass && rc == 0; i++) {
        if (pass[i].len > ctx->max_len)
            rc = cad_fail(err, CAD_EARG, "a sequence of %lld tokens in a context for %lld", (long long)pass[i].len,
                          (long long)ctx->max_len);
        for (int s = 0; s < pass[i].strands && rc == 0; s++) {
            seq[nseq++] = 2 * i + s;
            npick += picks_of(&pass[i], s);
        }
    }
    if (rc == 0 && npick && !(pick = malloc((size_t)npick * sizeof *pick)))
        rc = cad_fail(err, CAD_ENOMEM, "out of memory for %lld results", (long long)npick);
    if (rc == 0 && nseq) {
        npack = make_packs(ctx, pass, seq, nseq, pack);
        clear_texts(ctx);
        rc = run_packs(&(run_t) { ctx, pass, seq, pack, off, layers, want, pick, range, rcs }, npack);
        if (rc) report(ctx, rc, err);
    }
    free(seq);
    free(pack);
    free(off);
    free(want);
    free(pick);
    free(range);
    free(rcs);
    return rc;
}
