/* context.c - lanes, and running passes on them.
 *
 * A pass is one or two strand sequences. Consecutive sequences are packed up to
 * PACK rows; a pack is the unit of work. With at least as many packs as threads,
 * each pack is one thread's; otherwise, and for long windows, the team works
 * inside the operations. Neither choice changes a result.
 * SPDX-License-Identifier: MIT
 */
#include "engine.h"

#define PACK 2048      /* rows gathered from short sequences */
#define LONG 16384     /* longer sequences are run by the whole team */
#define WIDE_TILES 4   /* tiles per step of a team: fewer meetings */

typedef struct { int64_t first, n, rows; } pack_t; /* sequences [first, first+n) */

typedef struct {
    cad_context_t *ctx;
    const cad_pass_t *pass;
    const int64_t *seq;  /* 2 x pass + strand */
    const pack_t *pack;
    int64_t *off;        // offsets of pack i start at first[i] + i
    cad_rows_t *want;    // rows of each sequence, counted from its pack's first
    int *rc;             // (threads)
} run_t;

/* ---- opening ---- */

static int open_lane(cad_context_t *ctx, cad_lane_t *l, cad_team_t *team, int64_t rows, cad_error_t *err)
{
    size_t bytes;
    char *base;
    l->ops = ctx->ops;
    l->weights = ctx->weights;
    l->team = team;
    l->rows = rows;
    l->tile = cad_min(ctx->ops->tile * (team ? WIDE_TILES : 1), rows);
    bytes = cad_lane_carve(l, ctx->model, NULL);
    base = bytes == SIZE_MAX ? NULL : ctx->ops->alloc(bytes);
    l->arena = base;
    l->tok = cad_alloc((size_t)rows, 1);
    if (!base || !l->tok)
        return cad_fail(err, CAD_ENOMEM, "out of memory: %d threads and windows of up to %lld tokens need %.3g GB and more; use fewer threads or a smaller window",
                        ctx->threads, (long long)ctx->max_len, (double)(ctx->bytes + bytes) * 1e-9);
    cad_lane_carve(l, ctx->model, base);
    ctx->bytes += bytes;
    return 0;
}

static void close_lane(cad_lane_t *l)
{
    if (l->ops) l->ops->release(l->arena);
    free(l->tok);
}

static int open_lanes(cad_context_t *ctx, cad_error_t *err)
{
    int64_t rows = cad_max(ctx->max_len, PACK);
    int64_t short_rows = ctx->threads > 1 ? cad_min(rows, LONG) : rows;
    ctx->lane = calloc((size_t)ctx->threads, sizeof *ctx->lane);
    if (!ctx->lane) return cad_fail(err, CAD_ENOMEM, "out of memory");
    for (int i = 0; i < ctx->threads; i++) {
        int rc = open_lane(ctx, &ctx->lane[i], NULL, short_rows, err);
        if (rc) return rc;
    }
    return ctx->threads > 1 ? open_lane(ctx, &ctx->wide, ctx->team, rows, err) : 0;
}

void cad_options_init_sized(cad_options_t *o, size_t size)
{
    memset(o, 0, size);
    o->size = size;
    o->device = "auto";
    o->precision = "fp32";
    o->threads = 1;
}

/* The caller's options over the defaults, checked. */
static int take_options(cad_options_t *o, const cad_options_t *given, const cad_model_t *model, cad_error_t *err)
{
    cad_options_init(o);
    if (given) memcpy(o, given, given->size < sizeof *o ? given->size : sizeof *o);
    if (o->max_len == 0) o->max_len = model->cfg.max_len;
    if (o->threads < 1 || o->threads > 4096) return cad_fail(err, CAD_EARG, "%d threads: expected 1 to 4096", o->threads);
    if (o->max_len < 1 || o->max_len > CAD_LONGEST)
        return cad_fail(err, CAD_EARG, "a window of %lld tokens: expected 1 to %lld", (long long)o->max_len, (long long)CAD_LONGEST);
    if (strcmp(o->device, "cpu") && strcmp(o->device, "auto"))
        return cad_fail(err, CAD_EDEVICE, "device %.40s: this build has no module for it; use cpu", o->device);
    if (strcmp(o->precision, "fp32")) return cad_fail(err, CAD_EARG, "precision %.40s: expected fp32", o->precision);
    return 0;
}

int cad_context_open(cad_context_t **out, const cad_model_t *model, const cad_options_t *options, cad_error_t *err)
{
    cad_context_t *ctx;
    cad_options_t o;
    int rc = take_options(&o, options, model, err);
    *out = NULL;
    if (rc) return rc;
    ctx = calloc(1, sizeof *ctx);
    if (!ctx) return cad_fail(err, CAD_ENOMEM, "out of memory");
    ctx->model = model;
    ctx->threads = o.threads;
    ctx->max_len = o.max_len;
    rc = cad_cpu_ops(&ctx->ops, err);
    if (rc == 0) rc = ctx->ops->weights_open(&ctx->weights, model, err);
    if (rc == 0 && o.threads > 1) rc = cad_team_open(&ctx->team, o.threads, err);
    if (rc == 0) rc = open_lanes(ctx, err);
    if (rc) cad_context_close(ctx);
    else *out = ctx;
    return rc;
}

void cad_context_close(cad_context_t *ctx)
{
    if (!ctx) return;
    cad_team_close(ctx->team);
    for (int i = 0; ctx->lane && i < ctx->threads; i++) close_lane(&ctx->lane[i]);
    close_lane(&ctx->wide);
    free(ctx->lane);
    if (ctx->ops) ctx->ops->weights_close(ctx->weights);
    free(ctx);
}

const char *cad_context_device(const cad_context_t *ctx) { return ctx->ops->name; }

size_t cad_context_bytes(const cad_context_t *ctx) { return ctx->bytes; }

/* ---- running ---- */

static void fill_tokens(const cad_model_t *m, const cad_pass_t *p, int strand, uint8_t *tok)
{
    if (strand == 0) memcpy(tok, p->tok, (size_t)p->len);
    else if (p->tok_rc) memcpy(tok, p->tok_rc, (size_t)p->len);
    else cad_reverse_complement(m, p->tok, p->len, tok);
    for (int64_t i = 0; p->masked && i < p->npos; i++)
        tok[strand ? p->len - 1 - p->pos[i] : p->pos[i]] = (uint8_t)m->vocab.mask;
}

/* From the first to the last row that is read, in the strand's own order. */
static cad_rows_t rows_read(const cad_pass_t *p, int strand)
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
    return strand ? (cad_rows_t){ p->len - end, p->len - beg } : (cad_rows_t){ beg, end };
}

static int take_logits(cad_lane_t *l, const cad_model_t *m, const cad_pass_t *p, int strand, int64_t base)
{
    int64_t row[256], V = m->vocab.rows;
    int rc = 0;
    for (int64_t at = 0; at < p->npos && rc == 0; at += 256) {
        int64_t n = cad_min(256, p->npos - at);
        for (int64_t i = 0; i < n; i++) row[i] = base + (strand ? p->len - 1 - p->pos[at + i] : p->pos[at + i]);
        rc = l->ops->head(l, strand, row, n, p->logits[strand] + at * V);
    }
    return rc;
}

static void reverse_rows(float *a, int64_t n, int64_t width)
{
    for (int64_t i = 0, j = n - 1; i < j; i++, j--)
        for (int64_t k = 0; k < width; k++) {
            float t = a[i * width + k];
            a[i * width + k] = a[j * width + k];
            a[j * width + k] = t;
        }
}

static int take_pooled(cad_lane_t *l, const cad_model_t *m, const cad_pass_t *p, int strand, int64_t base)
{
    int64_t beg = strand ? p->len - p->end : p->beg, end = strand ? p->len - p->beg : p->end;
    int rc = l->ops->pool(l, base + beg, base + end, p->pool, p->pooled[strand]);
    if (rc == 0 && strand && p->pool == CAD_POOL_NONE) reverse_rows(p->pooled[1], end - beg, m->cfg.d_model);
    return rc;
}

static int run_pack(const run_t *r, int64_t k, cad_lane_t *l)
{
    const cad_model_t *m = r->ctx->model;
    const pack_t *pack = &r->pack[k];
    int64_t *off = r->off + pack->first + k;
    cad_rows_t *want = r->want + pack->first;
    int rc;
    off[0] = 0;
    for (int64_t i = 0; i < pack->n; i++) {
        int64_t seq = r->seq[pack->first + i];
        const cad_pass_t *p = &r->pass[seq / 2];
        cad_rows_t rows = rows_read(p, (int)(seq % 2));
        fill_tokens(m, p, (int)(seq % 2), l->tok + off[i]);
        want[i] = (cad_rows_t){ off[i] + rows.beg, off[i] + rows.end };
        off[i + 1] = off[i] + p->len;
    }
    rc = cad_strand_forward(l, m, off, (int)pack->n, want);
    for (int64_t i = 0; i < pack->n && rc == 0; i++) {
        int64_t seq = r->seq[pack->first + i];
        const cad_pass_t *p = &r->pass[seq / 2];
        int strand = (int)(seq % 2);
        if (p->logits[strand]) rc = take_logits(l, m, p, strand, off[i]);
        if (rc == 0 && p->pooled[strand]) rc = take_pooled(l, m, p, strand, off[i]);
    }
    return rc;
}

static void pack_task(void *arg, int64_t task, int worker)
{
    run_t *r = arg;
    int rc;
    if (r->pack[task].rows > r->ctx->lane[worker].rows) return; /* the team's */
    rc = run_pack(r, task, &r->ctx->lane[worker]);
    if (rc) r->rc[worker] = rc;
}

static int64_t make_packs(const cad_pass_t *pass, const int64_t *seq, int64_t nseq, pack_t *pack)
{
    int64_t n = 0;
    for (int64_t i = 0; i < nseq; i++) {
        int64_t len = pass[seq[i] / 2].len;
        if (n && pack[n - 1].rows + len <= PACK) {
            pack[n - 1].n++;
            pack[n - 1].rows += len;
        } else
            pack[n++] = (pack_t){ i, 1, len };
    }
    return n;
}

static int run_packs(run_t *r, int64_t npack)
{
    cad_context_t *ctx = r->ctx;
    bool apart = npack >= ctx->threads;
    int rc = 0;
    for (int64_t k = 0; k < npack && rc == 0 && ctx->team; k++)
        if (!apart || r->pack[k].rows > ctx->lane[0].rows) rc = run_pack(r, k, &ctx->wide);
    if (rc == 0 && (apart || !ctx->team)) cad_team_run(ctx->team, npack, pack_task, r);
    for (int i = 0; i < ctx->threads && rc == 0; i++) rc = r->rc[i];
    return rc;
}

int cad_run(cad_context_t *ctx, const cad_pass_t *pass, int64_t npass, cad_error_t *err)
{
    int64_t nseq = 0, npack, *seq = malloc((size_t)npass * 2 * sizeof *seq);
    pack_t *pack = malloc((size_t)npass * 2 * sizeof *pack);
    int64_t *off = malloc((size_t)npass * 4 * sizeof *off);
    cad_rows_t *want = malloc((size_t)npass * 2 * sizeof *want);
    int *rcs = calloc((size_t)ctx->threads, sizeof *rcs), rc = 0;
    run_t r = { ctx, pass, seq, pack, off, want, rcs };
    if (npass && (!seq || !pack || !off || !want || !rcs)) rc = cad_fail(err, CAD_ENOMEM, "out of memory for %lld passes", (long long)npass);
    for (int64_t i = 0; i < npass && rc == 0; i++) {
        if (pass[i].len > ctx->max_len)
            rc = cad_fail(err, CAD_EARG, "a sequence of %lld tokens in a context for %lld", (long long)pass[i].len, (long long)ctx->max_len);
        for (int s = 0; s < pass[i].strands && rc == 0; s++) seq[nseq++] = 2 * i + s;
    }
    if (rc == 0 && nseq) {
        npack = make_packs(pass, seq, nseq, pack);
        rc = run_packs(&r, npack);
        if (rc) cad_fail(err, rc, "%s: %s", ctx->ops->name, cad_strerror(rc));
    }
    free(seq);
    free(pack);
    free(off);
    free(want);
    free(rcs);
    return rc;
}
