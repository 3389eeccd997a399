/* pipeline.c - items are cut into windows, windows are computed in batches, and
 * finished items reach the sink in the order in which they came.
 *
 * Memory is bounded by one batch of windows and the items it belongs to. Sums
 * over a region's windows are taken in window order, so a batch's size changes
 * no result. SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "glue.h"

typedef struct slot_t { /* one window waiting to be computed */
    item_t *item;
    cad_window_t w;
    uint8_t *tokens, *skip;
    interval_t core;
    bool embed;           /* an embedding rather than scores */
} slot_t;

item_t *item_new(void) { return calloc(1, sizeof(item_t)); }

void item_free(item_t *it)
{
    if (!it) return;
    free(it->text.s);
    free(it->seq);
    free(it->part);
    free(it->pooled);
    free(it);
}

static void slot_free(slot_t *s)
{
    free(s->tokens);
    free(s->skip);
    free(s->w.logp);
    free(s->w.embedding);
}

#define FLOATS (16 << 20) /* of unpooled embeddings in a batch */
#define HELD (16 << 20) /* bytes of items waiting behind an uncomputed window */

/* ---- after computing ---- */

static void add_scores(const pipeline_t *p, slot_t *s)
{
    score_sums_t *sum = &s->item->sums;
    for (int64_t t = s->w.core_beg; t < s->w.core_end; t++) {
        const float *logp = s->w.logp + 4 * (t - s->w.core_beg);
        int b = 0;
        if (isnan(logp[0])) continue;
        while (p->model->vocab.base[b] != s->w.tokens[t]) b++;
        sum->n++;
        sum->pll += (double)logp[b];
        sum->entropy += cad_entropy(logp);
    }
}

static int add_embedding(const pipeline_t *p, slot_t *s, cad_error_t *err)
{
    item_t *it = s->item;
    int64_t D = cad_model_number(p->model, CAD_D_MODEL), n = s->w.core_end - s->w.core_beg;
    if (p->pooling == POOL_ROWS) return p->rows(p->arg, s->w.embedding, n, err);
    if (!it->pooled) {
        it->pooled = calloc((size_t)D, sizeof *it->pooled);
        if (!it->pooled) return cad_fail(err, CAD_ENOMEM, "out of memory");
    }
    for (int64_t d = 0; d < D; d++) {
        double e = (double)s->w.embedding[d];
        if (p->pooling != POOL_MAX) it->pooled[d] += e * (double)n;
        else if (it->npooled == 0 || e > it->pooled[d]) it->pooled[d] = e;
    }
    it->npooled += n;
    return 0;
}

static int compute_scores(pipeline_t *p, cad_window_t *w, cad_error_t *err)
{
    int n = 0, rc;
    for (int i = 0; i < p->nslot; i++)
        if (!p->slot[i].embed) w[n++] = p->slot[i].w;
    rc = n ? cad_score(p->ctx, w, n, p->mask, err) : 0;
    for (int i = 0; i < p->nslot && rc == 0; i++)
        if (!p->slot[i].embed) add_scores(p, &p->slot[i]);
    return rc;
}

static int compute_embeddings(pipeline_t *p, cad_window_t *w, cad_error_t *err)
{
    enum cad_pool_t pool = p->pooling == POOL_ROWS ? CAD_POOL_NONE : p->pooling == POOL_MAX ? CAD_POOL_MAX : CAD_POOL_MEAN;
    int n = 0, rc;
    for (int i = 0; i < p->nslot; i++)
        if (p->slot[i].embed) w[n++] = p->slot[i].w;
    rc = n ? cad_embed(p->ctx, w, n, pool, err) : 0;
    for (int i = 0; i < p->nslot && rc == 0; i++)
        if (p->slot[i].embed) rc = add_embedding(p, &p->slot[i], err);
    return rc;
}

/* Roughly what an item keeps in memory. */
static int64_t weight(const item_t *it)
{
    return (int64_t)(sizeof *it + it->text.m + (size_t)it->npart * sizeof *it->part) + (it->seq ? it->length : 0);
}

/* Hands on the items at the head of the queue that are complete. */
static int drain(pipeline_t *p, cad_error_t *err)
{
    while (p->head && p->head->cut && p->head->open == 0) {
        item_t *it = p->head;
        int rc = p->sink(p->arg, it, err);
        p->head = it->next;
        if (!p->head) p->tail = NULL;
        p->work.regions += it->scored;
        p->held -= weight(it);
        p->work.bases += it->nbase;
        item_free(it);
        if (rc) return rc;
    }
    return 0;
}

static void clear_slots(pipeline_t *p)
{
    for (int i = 0; i < p->nslot; i++) {
        p->slot[i].item->open--;
        slot_free(&p->slot[i]);
    }
    p->nslot = 0;
    p->queued = p->floats = 0;
}

static int compute(pipeline_t *p, cad_error_t *err)
{
    cad_window_t *w = p->nslot && p->ctx ? malloc((size_t)p->nslot * sizeof *w) : NULL;
    int rc = 0;
    if (p->nslot && p->ctx) {
        rc = w ? compute_scores(p, w, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
        if (rc == 0) rc = compute_embeddings(p, w, err);
    }
    free(w);
    p->work.done += p->queued;
    clear_slots(p);
    if (rc == 0 && p->tick) p->tick(p->tick_arg);
    return rc ? rc : drain(p, err);
}

/* ---- cutting ---- */

static int get_bases(const pipeline_t *p, const item_t *it, interval_t at, char *seq, cad_error_t *err)
{
    if (!it->seq) return fasta_fetch(p->ref, it->contig, at.beg, at.end, seq, err);
    memcpy(seq, it->seq + at.beg, (size_t)(at.end - at.beg));
    return 0;
}

/* The contig's name, or the first column of the text. */
static const char *name_of(const item_t *it, char buf[64])
{
    if (it->contig) return it->contig->name;
    snprintf(buf, 64, "%.*s", (int)cad_min((int64_t)strcspn(it->text.s, "\t"), 63), it->text.s);
    return buf;
}

static void encode(pipeline_t *p, slot_t *s, const char *seq, interval_t window)
{
    int64_t n = window.end - window.beg, a = s->core.beg - window.beg, b = s->core.end - window.beg, odd;
    char name[64];
    cad_encode(p->model, seq, a, p->encode_flags, s->tokens);
    odd = cad_encode(p->model, seq + a, b - a, p->encode_flags, s->tokens + a);
    cad_encode(p->model, seq + b, n - b, p->encode_flags, s->tokens + b);
    if (p->sep) s->tokens[n] = (uint8_t)cad_model_number(p->model, CAD_TOKEN_SEP);
    if (!s->embed || !p->want_scores)
        note(p->notes, NOTE_IUPAC, odd, "%s:%lld-%lld holds letters other than A, C, G, T and N; they are read as N",
             name_of(s->item, name), (long long)s->core.beg + 1, (long long)s->core.end);
    for (int64_t i = 0; s->skip && i < n; i++) s->skip[i] = seq[i] >= 'a' && seq[i] <= 'z';
}

static int room_for_results(const pipeline_t *p, slot_t *s, cad_error_t *err)
{
    int64_t n = s->w.core_end - s->w.core_beg, D = cad_model_number(p->model, CAD_D_MODEL);
    if (!p->ctx) return 0;
    if (s->embed) s->w.embedding = cad_alloc((size_t)(p->pooling == POOL_ROWS ? n * D : D), sizeof(float));
    else s->w.logp = cad_alloc((size_t)n * 4, sizeof(float));
    return s->w.embedding || s->w.logp ? 0 : cad_fail(err, CAD_ENOMEM, "out of memory for a core of %lld bases", (long long)n);
}

static slot_t *new_slot(pipeline_t *p, cad_error_t *err)
{
    slot_t *s;
    if (p->nslot == p->room) {
        int room = p->room ? 2 * p->room : 16;
        s = realloc(p->slot, (size_t)room * sizeof *s);
        if (!s) { cad_fail(err, CAD_ENOMEM, "out of memory"); return NULL; }
        p->slot = s;
        p->room = room;
    }
    s = &p->slot[p->nslot];
    memset(s, 0, sizeof *s);
    return s;
}

/* Adds the window as a job if there is anything to compute in it. */
static int add_slot(pipeline_t *p, item_t *it, interval_t core, interval_t window, interval_t keep, bool embed, cad_error_t *err)
{
    slot_t *s = new_slot(p, err);
    int64_t n = window.end - window.beg, passes;
    char *seq;
    int rc;
    if (!s) return CAD_ENOMEM;
    seq = malloc((size_t)n + 1);
    s->item = it;
    s->core = core;
    s->embed = embed;
    s->tokens = malloc((size_t)n + 1);
    if (p->skip_soft && !embed) s->skip = calloc((size_t)n + 1, 1);
    rc = seq && s->tokens && (s->skip || !p->skip_soft || embed) ? get_bases(p, it, window, seq, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0) {
        encode(p, s, seq, window);
        s->w = (cad_window_t){ .tokens = s->tokens, .len = n + p->sep, .core_beg = keep.beg - window.beg, .core_end = keep.end - window.beg, .skip = s->skip };
        passes = embed ? 1 : cad_passes(p->model, &s->w, p->mask);
        if (passes == 0) { /* nothing but N: no need to run it */
            slot_free(s);
            free(seq);
            return 0;
        }
        rc = room_for_results(p, s, err);
    }
    free(seq);
    if (rc) {
        slot_free(s);
        return rc;
    }
    p->nslot++;
    it->open++;
    p->queued += passes * s->w.len;
    p->work.windows++;
    p->work.passes += passes;
    p->work.tokens += passes * s->w.len;
    if (embed && p->pooling != POOL_MEAN && p->pooling != POOL_CENTER) p->floats += 2 * n * cad_model_number(p->model, CAD_D_MODEL);
    return p->queued >= p->batch_tokens || p->floats >= FLOATS ? compute(p, err) : 0;
}

/* The part of a core that holds the middle base, or middle two, of all parts.
 * done: bases in the parts before this core. */
static interval_t center_of(const item_t *it, interval_t core, int64_t done)
{
    int64_t lo = (it->nbase - 1) / 2 - done, hi = it->nbase / 2 - done + 1;
    interval_t keep = { core.beg + cad_max(lo, 0), cad_min(core.beg + hi, core.end) };
    if (keep.end < keep.beg || lo >= core.end - core.beg) keep.end = keep.beg;
    return keep;
}

static int cut_item(pipeline_t *p, item_t *it, cad_error_t *err)
{
    int64_t done = 0;
    for (int i = 0; i < it->npart; i++)
        for (int64_t k = 0, n = tiles_count(&p->tiling, it->part[i]); k < n; k++) {
            interval_t core, window, keep;
            int rc = 0;
            tiles_get(&p->tiling, it->part[i], it->length, k, &core, &window);
            if (p->want_scores) rc = add_slot(p, it, core, window, core, false, err);
            keep = p->pooling == POOL_CENTER ? center_of(it, core, done) : core;
            if (rc == 0 && p->pooling && keep.end > keep.beg) rc = add_slot(p, it, core, window, keep, true, err);
            if (rc) return rc;
            done += core.end - core.beg;
        }
    return 0;
}

int pipeline_put(pipeline_t *p, item_t *it, cad_error_t *err)
{
    int rc;
    if (p->tail) p->tail->next = it;
    else p->head = it;
    p->tail = it;
    for (int i = 0; i < it->npart; i++) it->nbase += it->part[i].end - it->part[i].beg;
    p->held += weight(it);
    rc = cut_item(p, it, err);
    it->cut = true;
    if (rc == 0) rc = drain(p, err);
    return rc == 0 && p->held > HELD && p->nslot ? compute(p, err) : rc;
}

int pipeline_flush(pipeline_t *p, cad_error_t *err)
{
    return compute(p, err);
}

void pipeline_close(pipeline_t *p)
{
    clear_slots(p);
    while (p->head) {
        item_t *next = p->head->next;
        item_free(p->head);
        p->head = next;
    }
    free(p->slot);
    p->slot = NULL;
    p->tail = NULL;
}
