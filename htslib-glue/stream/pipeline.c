/* pipeline.c - items and their windows come in, windows are computed in batches,
 * and finished items reach the sink in the order in which they came.
 *
 * Memory is bounded by one batch of windows and the items it belongs to. Results
 * are handed over window by window in their order, so a batch's size changes no
 * result.
 *
 * A shard is a run of items: those before which shard/of of all work is done. The
 * others are cut, so that work is counted, and dropped. SPDX-License-Identifier: MIT
 */
#include "stream/pipeline.h"

#define FLOATS (16 << 20) /* of unpooled embeddings in a batch */
#define HELD (16 << 20)   /* bytes of items waiting behind an uncomputed window */

static bool scored(const job_t *j) { return j->scored.end > j->scored.beg; }
static bool pooled(const job_t *j) { return j->pooled.end > j->pooled.beg; }

void job_free(job_t *j)
{
    free(j->tokens);
    free(j->skip);
    free(j->logp);
    free(j->embedding);
}

/* ---- computing ---- */

static cad_window_t window(const job_t *j, interval_t core)
{
    return (cad_window_t) { .tokens = j->tokens,
                            .len = j->len,
                            .core_beg = core.beg,
                            .core_end = core.end,
                            .skip = j->skip,
                            .logp = j->logp,
                            .embedding = j->embedding };
}

/* All windows that are masked alike, in one call. */
static int compute_scores(pipeline_t *p, cad_window_t *w, int64_t mask, cad_error_t *err)
{
    int n = 0;
    for (int i = 0; i < p->njob; i++)
        if (scored(&p->job[i]) && p->job[i].mask == mask) w[n++] = window(&p->job[i], p->job[i].scored);
    return n ? cad_score(p->ctx, w, n, mask, err) : 0;
}

static int compute_embeddings(pipeline_t *p, cad_window_t *w, cad_error_t *err)
{
    int n = 0;
    for (int i = 0; i < p->njob; i++)
        if (pooled(&p->job[i])) w[n++] = window(&p->job[i], p->job[i].pooled);
    return n ? cad_embed(p->ctx, w, n, p->pool, err) : 0;
}

static int compute_jobs(pipeline_t *p, cad_error_t *err)
{
    cad_window_t *w = malloc((size_t)p->njob * sizeof *w);
    int rc = w ? compute_scores(p, w, p->mask, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0 && p->mask != CAD_MASK_EACH) rc = compute_scores(p, w, CAD_MASK_EACH, err);
    if (rc == 0) rc = compute_embeddings(p, w, err);
    free(w);
    return rc;
}

/* Hands on the items at the head of the queue that are complete. */
static int drain(pipeline_t *p, cad_error_t *err)
{
    while (p->head && p->head->whole && p->head->open == 0) {
        item_t *it = p->head;
        int rc = it->elsewhere ? 0 : p->sink(p->arg, it, err);
        p->head = it->next;
        if (!p->head) p->tail = NULL;
        p->held -= it->bytes;
        p->drop(p->arg, it);
        if (rc) return rc;
    }
    return 0;
}

static void clear_jobs(pipeline_t *p)
{
    for (int i = 0; i < p->njob; i++) {
        p->job[i].item->open--;
        job_free(&p->job[i]);
    }
    p->njob = 0;
    p->queued = p->floats = 0;
}

static int compute(pipeline_t *p, cad_error_t *err)
{
    int rc = p->njob && p->ctx ? compute_jobs(p, err) : 0;
    for (int i = 0; i < p->njob && rc == 0 && p->ctx; i++) rc = p->take(p->arg, p->job[i].item, &p->job[i], err);
    p->work.done += p->queued;
    clear_jobs(p);
    if (rc == 0 && p->tick) p->tick(p->tick_arg);
    return rc ? rc : drain(p, err);
}

/* ---- putting ---- */

/* Is work unit w of all in this shard? The last shard takes what comes after all work. */
static bool in_shard(const shard_t *s, int64_t w)
{
    int64_t k = s->total ? (int64_t)((unsigned __int128)w * (uint64_t)s->of / (uint64_t)s->total) : 0;
    return s->of == 0 || cad_min(k, s->of - 1) == s->index - 1;
}

void pipeline_put_with(pipeline_t *p, item_t *it, bool together)
{
    it->next = NULL;
    it->open = 0;
    it->whole = false;
    it->elsewhere = together ? p->elsewhere : !in_shard(&p->shard, p->work.tokens);
    p->elsewhere = it->elsewhere;
    if (p->tail) p->tail->next = it;
    else p->head = it;
    p->tail = it;
    p->held += it->bytes;
}

void pipeline_put(pipeline_t *p, item_t *it) { pipeline_put_with(p, it, false); }

int pipeline_done(pipeline_t *p, cad_error_t *err)
{
    int rc;
    p->tail->whole = true;
    rc = drain(p, err);
    return rc == 0 && p->held > HELD && p->njob ? compute(p, err) : rc;
}

static int room_for_results(pipeline_t *p, job_t *j, cad_error_t *err)
{
    int64_t n = j->scored.end - j->scored.beg, D = cad_model_number(p->model, CAD_D_MODEL),
            rows = j->pooled.end - j->pooled.beg;
    if (!p->ctx) return 0;
    if (scored(j)) j->logp = cad_alloc((size_t)n * 4, sizeof(float));
    if (pooled(j)) j->embedding = cad_alloc((size_t)(p->pool == CAD_POOL_NONE ? rows * D : D), sizeof(float));
    return (scored(j) && !j->logp) || (pooled(j) && !j->embedding)
               ? cad_fail(err, CAD_ENOMEM, "out of memory for a core of %lld bases", (long long)n)
               : 0;
}

static int room_for_job(pipeline_t *p, cad_error_t *err)
{
    int room = p->room ? 2 * p->room : 16;
    job_t *more;
    if (p->njob < p->room) return 0;
    more = realloc(p->job, (size_t)room * sizeof *more);
    if (!more) return cad_fail(err, CAD_ENOMEM, "out of memory");
    p->job = more;
    p->room = room;
    return 0;
}

/* Only while work is counted. */
void pipeline_digest(pipeline_t *p, const void *data, size_t n)
{
    if (!p->ctx) p->work.digest = cad_hash_word(cad_hash(p->work.digest, data, n), n);
}

int pipeline_job(pipeline_t *p, job_t job, cad_error_t *err)
{
    int64_t passes = 0;
    int rc = room_for_job(p, err);
    if (rc == 0 && scored(&job)) {
        cad_window_t w = window(&job, job.scored);
        passes = cad_passes(p->model, &w, job.mask);
        if (passes == 0) job.scored.end = job.scored.beg; /* nothing but N: no need to run it */
    }
    passes += pooled(&job);
    if (rc == 0 && passes) {
        pipeline_digest(p, job.tokens, (size_t)job.len);
        pipeline_digest(p, &job.scored, sizeof job.scored);
    }
    if (rc == 0 && p->tail->elsewhere) {
        p->work.tokens += passes * job.len;
        passes = 0;
    }
    if (rc == 0 && passes) rc = room_for_results(p, &job, err);
    if (rc || passes == 0) {
        job_free(&job);
        return rc;
    }
    job.item = p->tail;
    job.item->open++;
    p->job[p->njob++] = job;
    p->queued += passes * job.len;
    p->work.windows++;
    p->work.passes += passes;
    p->work.tokens += passes * job.len;
    if (pooled(&job) && p->pool != CAD_POOL_MEAN) p->floats += 2 * job.len * cad_model_number(p->model, CAD_D_MODEL);
    return p->queued >= p->batch_tokens || p->floats >= FLOATS ? compute(p, err) : 0;
}

int pipeline_flush(pipeline_t *p, cad_error_t *err) { return compute(p, err); }

void pipeline_close(pipeline_t *p)
{
    clear_jobs(p);
    while (p->head) {
        item_t *next = p->head->next;
        p->drop(p->arg, p->head);
        p->head = next;
    }
    free(p->job);
    p->job = NULL;
    p->tail = NULL;
}
