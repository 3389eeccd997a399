/* pipeline.c - computes windows in batches, and passes each complete item (a region, read, variant ... of the input,
 * which has one or more windows) to the sink, in the order of the input.
 *
 * One thread, the worker, computes batches. Everything else runs on the calling thread, within the functions of
 * pipeline.h, so that sources and sinks need no locks. While the worker computes a batch, the calling thread delivers
 * the results of the previous batch, then reads and encodes the next batch.
 *
 * No result depends on timing. A batch is full when it has a fixed number of tokens, or when the items that wait for it
 * have a fixed number of bytes. Its results are delivered, in the order of the windows, when the next batch is full. So
 * the output, errors and the order of all callbacks are the same in each run.
 *
 * Memory is bounded by the batches and by HELD bytes of items for each of them.
 *
 * A shard consists of consecutive items: shard i of n has the items whose first token lies between (i-1)/n and i/n of
 * the whole work. Items of other shards are also cut into windows, so that their work is counted; these windows are
 * then dropped. SPDX-License-Identifier: MIT */
#include "stream/pipeline.h"

#define FLOATS (16 << 20) /* maximum number of floats in a batch for embeddings that are not pooled */
#define HELD (16 << 20)   /* maximum number of bytes of items that wait for one batch */

static bool scored(const job_t *j) { return j->scored.end > j->scored.beg; }
static bool pooled(const job_t *j) { return j->pooled.end > j->pooled.beg; }

void job_free(job_t *j)
{
    free(j->tokens);
    free(j->skip);
    free(j->logp);
    free(j->embedding);
}

/* ---- computing: on the worker's thread ---- */

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

/* Scores, in one call of the library, all windows of the batch that use this masking. */
static int compute_scores(const jobs_t *b, cad_window_t *w, int64_t mask, cad_error_t *err)
{
    int n = 0;
    for (int i = 0; i < b->n; i++)
        if (scored(&b->job[i]) && b->job[i].mask == mask) w[n++] = window(&b->job[i], b->job[i].scored);
    return n ? cad_score(b->pipe->ctx, w, n, mask, err) : 0;
}

/* Computes the classifier's outputs for n windows. */
static int classify(const pipeline_t *p, const cad_window_t *w, int n, cad_error_t *err)
{
    size_t K = (size_t)p->outputs;
    float *all = cad_alloc((size_t)n * K, sizeof *all);
    int rc = all ? cad_classify_all(p->ctx, w, n, all, err) : cad_out_of_memory(err);
    for (int i = 0; i < n && rc == 0; i++) memcpy(w[i].embedding, all + (size_t)i * K, K * sizeof *all);
    free(all);
    return rc;
}

static int compute_embeddings(const jobs_t *b, cad_window_t *w, cad_error_t *err)
{
    int n = 0;
    for (int i = 0; i < b->n; i++)
        if (pooled(&b->job[i])) w[n++] = window(&b->job[i], b->job[i].pooled);
    if (n && b->pipe->outputs) return classify(b->pipe, w, n, err);
    return n ? cad_embed(b->pipe->ctx, w, n, b->pipe->pool, err) : 0;
}

static int compute_jobs(const jobs_t *b, cad_error_t *err)
{
    int64_t mask = b->pipe->mask;
    cad_window_t *w = malloc((size_t)b->n * sizeof *w);
    int rc = w ? compute_scores(b, w, mask, err) : cad_out_of_memory(err);
    if (rc == 0 && mask != CAD_MASK_EACH) rc = compute_scores(b, w, CAD_MASK_EACH, err);
    if (rc == 0 && mask != CAD_MASK_NONE) rc = compute_scores(b, w, CAD_MASK_NONE, err);
    if (rc == 0) rc = compute_embeddings(b, w, err);
    free(w);
    return rc;
}

static int compute(void *arg, cad_error_t *err)
{
    const jobs_t *b = arg;
    const pipeline_t *p = b->pipe;
    return p->compute ? p->compute(p->compute_arg, b->job, b->n, err) : compute_jobs(b, err);
}

/* ---- batches and results ---- */

static bool counts_only(const pipeline_t *p) { return !p->ctx && !p->compute; }
static int batches(const pipeline_t *p) { return p->batches ? p->batches : PIPELINE_BATCHES; }
static jobs_t *filling(pipeline_t *p) { return &p->batch[(p->first + p->sent) % batches(p)]; }

/* Passes complete items at the head of the queue to the sink. */
static int drain(pipeline_t *p, cad_error_t *err)
{
    int rc = 0;
    while (rc == 0 && p->head && p->head->whole && p->head->open == 0) {
        item_t *it = p->head;
        rc = it->elsewhere ? 0 : p->sink(p->arg, it, err);
        p->head = it->next;
        if (!p->head) p->tail = NULL;
        p->waiting -= it->bytes;
        p->drop(p->arg, it);
    }
    p->failed |= rc != 0;
    return rc;
}

static void clear_batch(jobs_t *b)
{
    for (int i = 0; i < b->n; i++) {
        b->job[i].item->open--;
        job_free(&b->job[i]);
    }
    b->n = 0;
    b->tokens = b->floats = 0;
}

/* Waits for the oldest batch that was sent. Delivers its results, and the items that are then complete. */
static int collect(pipeline_t *p, cad_error_t *err)
{
    jobs_t *b = &p->batch[p->first];
    int rc = counts_only(p) ? 0 : worker_wait(p->worker, &b->task, p->tick, p->tick_arg, err);
    for (int i = 0; i < b->n && rc == 0 && !counts_only(p); i++) rc = p->take(p->arg, b->job[i].item, &b->job[i], err);
    p->work.done += b->tokens;
    clear_batch(b);
    p->first = (p->first + 1) % batches(p);
    p->sent--;
    p->failed |= rc != 0;
    return rc ? rc : drain(p, err);
}

static int collect_all(pipeline_t *p, cad_error_t *err)
{
    int rc = 0;
    while (rc == 0 && p->sent) rc = collect(p, err);
    return rc;
}

/* Advances p->unsent past the items whose windows have all been sent, and subtracts their bytes from p->held. */
static void pass_sent(pipeline_t *p)
{
    for (item_t *it = p->unsent; it && it->whole && it->unsent == 0; p->unsent = it = it->next) p->held -= it->bytes;
}

/* Gives the filled batch to the worker. If no free batch is left, waits for the oldest one and delivers its results. */
static int send_batch(pipeline_t *p, cad_error_t *err)
{
    jobs_t *b = filling(p);
    if (b->n == 0) return 0;
    if (!counts_only(p) && !p->worker) {
        int rc = worker_open(&p->worker, err);
        if (rc) return rc;
    }
    for (int i = 0; i < b->n; i++) b->job[i].item->unsent--;
    pass_sent(p);
    b->pipe = p;
    b->task = (task_t) { .fn = compute, .arg = b };
    if (p->worker) worker_give(p->worker, &b->task);
    p->sent++;
    return p->sent == batches(p) ? collect(p, err) : 0;
}

/* ---- putting ---- */

void pipeline_put_with(pipeline_t *p, item_t *it, bool together)
{
    it->next = NULL;
    it->open = it->unsent = 0;
    it->whole = false;
    it->elsewhere = together ? p->elsewhere : !shard_has(&p->shard, p->work.tokens);
    p->elsewhere = it->elsewhere;
    if (p->tail) p->tail->next = it;
    else p->head = it;
    p->tail = it;
    if (!p->unsent) p->unsent = it;
    p->held += it->bytes;
    p->waiting += it->bytes;
}

void pipeline_put(pipeline_t *p, item_t *it) { pipeline_put_with(p, it, false); }

void pipeline_grow(pipeline_t *p, int64_t bytes)
{
    p->tail->bytes += bytes; /* the last item is not complete, so it is among those that are held */
    p->held += bytes;
    p->waiting += bytes;
}

int pipeline_done(pipeline_t *p, cad_error_t *err)
{
    int rc;
    p->tail->whole = true;
    pass_sent(p);
    rc = drain(p, err);
    if (p->tick) p->tick(p->tick_arg);
    if (rc == 0 && p->held > HELD) rc = send_batch(p, err);
    while (rc == 0 && p->sent && p->waiting > (int64_t)batches(p) * HELD) rc = collect(p, err);
    return rc;
}

/* Allocates n x width floats. Uses malloc and not cad_alloc: results of one batch are freed while those of the next
 * batch are allocated, and small aligned blocks would leave unusable gaps in memory. */
static float *results(int64_t n, int64_t width)
{
    size_t bytes;
    bool over = __builtin_mul_overflow((size_t)n, (size_t)width, &bytes) || bytes > SIZE_MAX / sizeof(float);
    return over ? NULL : malloc(bytes * sizeof(float));
}

static int room_for_results(pipeline_t *p, job_t *j, cad_error_t *err)
{
    int64_t n = j->scored.end - j->scored.beg, rows = j->pooled.end - j->pooled.beg,
            width = p->outputs ? p->outputs : cad_model_number(p->model, CAD_D_MODEL);
    if (counts_only(p)) return 0;
    if (scored(j)) j->logp = results(n, 4);
    if (pooled(j)) j->embedding = results(p->pool == CAD_POOL_NONE && !p->outputs ? rows : 1, width);
    return (scored(j) && !j->logp) || (pooled(j) && !j->embedding)
               ? cad_fail(err, CAD_ENOMEM, "out of memory for a core of %lld bases", (long long)n)
               : 0;
}

static int room_for_job(jobs_t *b, cad_error_t *err)
{
    int room = b->room ? 2 * b->room : 16;
    job_t *more;
    if (b->n < b->room) return 0;
    more = realloc(b->job, (size_t)room * sizeof *more);
    if (!more) return cad_out_of_memory(err);
    b->job = more;
    b->room = room;
    return 0;
}

/* Adds data to the digest of the run's work, but only in a dry run, which counts the work (neither ctx nor compute is
 * set). */
void pipeline_digest(pipeline_t *p, const void *data, size_t n)
{
    if (counts_only(p)) p->work.digest = cad_hash_word(cad_hash(p->work.digest, data, n), n);
}

/* Returns the number of forward passes for the window, and adds the window to the digest. Sets job->scored to an empty
 * interval if no position of it is to be scored. */
static int64_t count_passes(pipeline_t *p, job_t *job)
{
    int64_t passes = 0;
    if (scored(job)) {
        cad_window_t w = window(job, job->scored);
        passes = cad_passes(p->model, &w, job->mask);
        if (passes == 0) job->scored.end = job->scored.beg;
    }
    passes += pooled(job);
    if (passes) {
        pipeline_digest(p, job->tokens, (size_t)job->len);
        pipeline_digest(p, &job->scored, sizeof job->scored);
    }
    return passes;
}

/* Adds the window to the batch that is being filled. */
static void add_job(pipeline_t *p, jobs_t *b, job_t job, int64_t passes)
{
    job.item = p->tail;
    job.item->open++;
    job.item->unsent++;
    b->job[b->n++] = job;
    b->tokens += passes * job.len;
    if (pooled(&job) && p->pool != CAD_POOL_MEAN) b->floats += 2 * job.len * cad_model_number(p->model, CAD_D_MODEL);
    if (pooled(&job)) p->work.embedded += job.len;
    p->work.windows++;
    p->work.passes += passes;
    p->work.tokens += passes * job.len;
}

int pipeline_job(pipeline_t *p, job_t job, cad_error_t *err)
{
    jobs_t *b = filling(p);
    int rc = room_for_job(b, err);
    int64_t passes = rc ? 0 : count_passes(p, &job);
    if (p->tail->elsewhere) {
        p->work.tokens += passes * job.len;
        passes = 0;
    }
    if (passes) rc = room_for_results(p, &job, err);
    if (rc || passes == 0) {
        job_free(&job);
        return rc;
    }
    add_job(p, b, job, passes);
    return b->tokens >= p->batch_tokens || b->floats >= FLOATS ? send_batch(p, err) : 0;
}

/* ---- the end ---- */

int pipeline_flush(pipeline_t *p, cad_error_t *err)
{
    int rc = send_batch(p, err);
    return rc ? rc : collect_all(p, err);
}

int pipeline_end(pipeline_t *p, int rc, cad_error_t *err)
{
    cad_error_t earlier;
    int before;
    if (rc == 0) return pipeline_flush(p, err);
    before = p->failed ? 0 : collect_all(p, &earlier);
    if (before && err) *err = earlier;
    return before ? before : rc;
}

void pipeline_close(pipeline_t *p)
{
    worker_close(p->worker);
    p->worker = NULL;
    for (int i = 0; i < PIPELINE_BATCHES; i++) {
        clear_batch(&p->batch[i]);
        free(p->batch[i].job);
        p->batch[i] = (jobs_t) { 0 };
    }
    while (p->head) {
        item_t *next = p->head->next;
        p->drop(p->arg, p->head);
        p->head = next;
    }
    p->tail = p->unsent = NULL;
    p->sent = 0;
}
