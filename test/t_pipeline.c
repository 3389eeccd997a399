/* t_pipeline.c - tests the pipeline: order, batches, overlap, memory, errors. A simple function replaces the model.
 * SPDX-License-Identifier: MIT
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "stream/pipeline.h"
#include "tap.h"

#define BATCHES 4096 /* maximum number of batches in a run */

typedef struct scene_t {
    pipeline_t pipe;
    uint8_t base;     /* a token that is scored */
    pthread_t caller; /* the test's thread */
    int64_t item_bytes;
    /* index of the call that fails, for each kind of call; -1: none */
    int fail_batch, fail_take, fail_sink, fail_source;
    /* Events on the calling thread: */
    int put, jobs, taken, sunk, dropped, ticks;
    int most_jobs;        /* maximum number of windows waiting at the same time */
    int64_t most_waiting; /* maximum total size of the waiting items, in bytes */
    int64_t last_id;
    bool strange; /* an event out of order or on the wrong thread */
    /* Events on the computing thread: */
    int computed;
    int size[BATCHES];
    bool strange_compute;
    /* Events that one thread waits for and the other thread reports: */
    void (*before)(struct scene_t *s, int batch); /* called on the computing thread before each batch; or NULL */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int filled, sunk_then, begun;
} scene_t;
typedef struct {
    item_t item;
    int id, windows, taken;
} thing_t;

static float value(int64_t id) { return (float)(id % 1000003); }

/* ---- the computing thread ---- */

static int fake_compute(void *arg, job_t *job, int n, cad_error_t *err)
{
    scene_t *s = arg;
    int batch = s->computed;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (pthread_equal(pthread_self(), s->caller) || !sigismember(&blocked, SIGTERM) || !sigismember(&blocked, SIGINT))
        s->strange_compute = true;
    if (batch < BATCHES) s->size[batch] = n;
    if (s->before) s->before(s, batch);
    for (int i = 0; i < n; i++) job[i].logp[0] = value(job[i].id);
    s->computed++;
    return batch == s->fail_batch ? cad_fail(err, CAD_EFORMAT, "batch %d", batch) : 0;
}

/* Waits until *count is at least n. */
static void await(scene_t *s, const int *count, int n)
{
    pthread_mutex_lock(&s->lock);
    while (*count < n) pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static void report(scene_t *s, int *count, int n)
{
    pthread_mutex_lock(&s->lock);
    *count = n;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* ---- callbacks ---- */

static void check(scene_t *s, bool good) { s->strange |= !good || !pthread_equal(pthread_self(), s->caller); }

static int take(void *arg, item_t *it, const job_t *j, cad_error_t *err)
{
    scene_t *s = arg;
    thing_t *t = (thing_t *)it;
    check(s, j->id > s->last_id && j->id / 16 == t->id && j->logp[0] == value(j->id));
    s->last_id = j->id;
    t->taken++;
    return s->taken++ == s->fail_take ? cad_fail(err, CAD_EIO, "take") : 0;
}

static int sink(void *arg, item_t *it, cad_error_t *err)
{
    scene_t *s = arg;
    thing_t *t = (thing_t *)it;
    check(s, t->id == s->sunk && t->id == s->dropped && t->taken == t->windows);
    report(s, &s->sunk_then, s->sunk + 1);
    return s->sunk++ == s->fail_sink ? cad_fail(err, CAD_EIO, "sink") : 0;
}

static void drop(void *arg, item_t *it)
{
    scene_t *s = arg;
    check(s, ((thing_t *)it)->id == s->dropped);
    s->dropped++;
    free(it);
}

static void tick(void *arg)
{
    scene_t *s = arg;
    check(s, true);
    s->ticks++;
}

/* ---- a source ---- */

static void watch(scene_t *s)
{
    int64_t waiting = (s->put - s->dropped) * s->item_bytes;
    if (s->jobs - s->taken > s->most_jobs) s->most_jobs = s->jobs - s->taken;
    if (waiting > s->most_waiting) s->most_waiting = waiting;
}

static int put_window(scene_t *s, int64_t id, int len, cad_error_t *err)
{
    job_t j = { .id = id, .len = len, .mask = CAD_MASK_NONE, .scored = { 0, len }, .tokens = malloc((size_t)len) };
    memset(j.tokens, s->base, (size_t)len);
    s->jobs++;
    watch(s);
    return pipeline_job(&s->pipe, j, err);
}

/* Puts an item with `windows` windows of len tokens into the pipeline. */
static int put(scene_t *s, int windows, int len, cad_error_t *err)
{
    thing_t *t = calloc(1, sizeof *t);
    int rc = 0;
    t->id = s->put;
    t->windows = windows;
    t->item.bytes = s->item_bytes;
    pipeline_put(&s->pipe, &t->item);
    s->put++;
    watch(s);
    for (int w = 0; w < windows && rc == 0; w++) rc = put_window(s, t->id * 16 + w, len, err);
    return rc ? rc : pipeline_done(&s->pipe, err);
}

/* Puts n items of 0 to 3 windows of 1 to 9 tokens into the pipeline. */
static int feed(scene_t *s, int n, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        if (i == s->fail_source) rc = cad_fail(err, CAD_EFORMAT, "line %d", i);
        else rc = put(s, i * 7 % 11 % 4, 1 + i % 9, err);
    }
    return pipeline_end(&s->pipe, rc, err);
}

/* Puts n items of one window of one token into the pipeline. */
static int feed_plain(scene_t *s, int n, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        rc = i == s->fail_source ? cad_fail(err, CAD_EFORMAT, "line %d", i) : put(s, 1, 1, err);
        report(s, &s->filled, i + 1);
    }
    return pipeline_end(&s->pipe, rc, err);
}

static void begin(scene_t *s, const cad_model_t *m, int batches, int64_t tokens)
{
    memset(s, 0, sizeof *s);
    s->base = (uint8_t)cad_model_number(m, CAD_TOKEN_A);
    s->caller = pthread_self();
    s->fail_batch = s->fail_take = s->fail_sink = s->fail_source = -1;
    s->last_id = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->pipe = (pipeline_t) { .model = m,
                             .mask = CAD_MASK_NONE,
                             .batch_tokens = tokens,
                             .batches = batches,
                             .compute = fake_compute,
                             .compute_arg = s,
                             .take = take,
                             .sink = sink,
                             .drop = drop,
                             .tick = tick,
                             .tick_arg = s,
                             .arg = s };
}

/* Closes the pipeline. Returns true if every item was dropped, in order and on the right thread. */
static bool end(scene_t *s)
{
    pipeline_close(&s->pipe);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    return !s->strange && !s->strange_compute && s->dropped == s->put;
}

/* ---- tests ---- */

static scene_t scene; /* static, because it is large */

static void test_order(const cad_model_t *m)
{
    static const int64_t tokens[] = { 1, 10, 100, 1 << 20 };
    scene_t *s = &scene;
    bool fine = true, all = true, ticked = true;
    for (int k = 0; k < 8; k++) {
        cad_error_t err = { "" };
        begin(s, m, 1 + k % 2, tokens[k / 2]);
        fine &= feed(s, 1000, &err) == 0;
        all &= s->sunk == 1000 && s->dropped == 1000 && s->taken == s->jobs && s->pipe.work.done == s->pipe.work.tokens;
        ticked &= s->ticks >= s->put;
        fine &= end(s);
    }
    tap_ok(fine, "results are handed out in order and on the caller's thread, for batches of any size");
    tap_ok(all, "all of them, by the end of the input");
    tap_ok(ticked, "a tick follows each item");
}

/* Tests the sizes of batches. A batch ends when its items reach a limit of bytes or its windows a limit of tokens. */
static void test_batches(const cad_model_t *m)
{
    scene_t *s = &scene;
    static int size[BATCHES];
    cad_error_t err;
    int n;
    begin(s, m, 1, 40);
    s->item_bytes = (int64_t)3 << 20;
    feed(s, 600, &err);
    n = s->computed;
    memcpy(size, s->size, sizeof size);
    tap_ok(end(s) && n > 50, "items of 3 MB: %d batches", n);
    for (int k = 0; k < 3; k++) {
        begin(s, m, 2, 40);
        s->item_bytes = (int64_t)3 << 20;
        feed(s, 600, &err);
        tap_ok(s->computed == n && !memcmp(size, s->size, sizeof size), "the same batches when computing overlaps");
        end(s);
    }
}

/* Makes the computation of batch k wait until all items of batch k + 1 are in the pipeline. The last of them sends
 * batch k + 1. */
static void wait_for_next(scene_t *s, int batch)
{
    if (batch < 9) await(s, &s->filled, 10 * (batch + 1) + 9);
}

/* Makes the computation of batch k wait until the items of batch k - 1 have been written. */
static void wait_for_sink(scene_t *s, int batch) { await(s, &s->sunk_then, 10 * batch); }

/* Each case would deadlock if the pipeline did not read, compute and write at the same time. */
static void test_overlap(const cad_model_t *m)
{
    scene_t *s = &scene;
    cad_error_t err;
    int rc;
    begin(s, m, 0, 10);
    s->before = wait_for_next;
    rc = feed_plain(s, 100, &err);
    tap_ok(rc == 0 && s->sunk == 100 && end(s), "the next batch is read while one is computed");
    begin(s, m, 0, 10);
    s->before = wait_for_sink;
    rc = feed_plain(s, 100, &err);
    tap_ok(rc == 0 && s->sunk == 100 && end(s), "the last batch is written while one is computed");
}

static void sleep_ms(int ms) { nanosleep(&(struct timespec) { .tv_nsec = ms * 1000000L }, NULL); }

static void slow_compute(scene_t *s, int batch)
{
    (void)s;
    (void)batch;
    sleep_ms(5);
}

/* Returns the wall-clock time, in seconds, of 40 batches, each of which takes 5 ms to read and 5 ms to compute.
 * batches: how many batches may be in the pipeline at a time. */
static double seconds(const cad_model_t *m, int batches)
{
    scene_t *s = &scene;
    struct timespec a, b;
    cad_error_t err;
    int rc = 0;
    begin(s, m, batches, 10);
    s->before = slow_compute;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < 400 && rc == 0; i++) {
        if (i % 10 == 0) sleep_ms(5);
        rc = put(s, 1, 1, &err);
    }
    pipeline_end(&s->pipe, rc, &err);
    clock_gettime(CLOCK_MONOTONIC, &b);
    end(s);
    return (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
}

/* Prints times for information; tests nothing, as times depend on the load of the machine. */
static void measure(const cad_model_t *m)
{
    double one = seconds(m, 1), two = seconds(m, 2);
    printf("# 40 batches, 5 ms to read and 5 ms to compute each: %.2f s one by one, %.2f s overlapped\n", one, two);
}

static void test_memory(const cad_model_t *m)
{
    scene_t *s = &scene;
    cad_error_t err;
    int rc;
    begin(s, m, 0, 10);
    rc = feed_plain(s, 1000, &err);
    tap_ok(rc == 0 && s->most_jobs == 20 && end(s), "two batches of windows are held (%d windows)", s->most_jobs);
    begin(s, m, 0, 1 << 30);
    s->item_bytes = 1 << 20;
    rc = feed_plain(s, 1000, &err);
    tap_ok(rc == 0 && s->most_waiting <= 34 << 20 && s->most_waiting > 16 << 20, "and 16 MB of items for each (%d MB)",
           (int)(s->most_waiting >> 20));
    end(s);
    begin(s, m, 0, 1);
    s->item_bytes = 1 << 20;
    rc = put(s, 1, 1, &err); /* this item is sent at once; the following items, which have no windows, wait for it */
    for (int i = 0; i < 200 && rc == 0; i++) rc = put(s, 0, 0, &err);
    tap_ok(rc == 0 && s->most_waiting <= 34 << 20 && s->most_waiting > 16 << 20,
           "also of items without windows (%d MB)", (int)(s->most_waiting >> 20));
    tap_ok(s->sunk == 201, "which then leave at once");
    end(s);
}

/* Runs 100 items in batches of 10 and expects the error `code` with `text` after `sunk` items were written. */
static void expect_error(scene_t *s, int code, const char *text, int sunk, const char *name)
{
    cad_error_t err = { "" };
    int rc = feed_plain(s, 100, &err), again = s->sunk;
    pipeline_end(&s->pipe, rc, &err);
    tap_ok(rc == code && !strcmp(err.text, text) && s->sunk == sunk, "%s: \"%s\" after %d items", name, err.text,
           s->sunk);
    tap_ok(s->sunk == again && end(s), "nothing is handed out after it, and all items are dropped");
}

static void test_errors(const cad_model_t *m)
{
    scene_t *s = &scene;
    for (int n = 1; n <= 2; n++) {
        begin(s, m, n, 10);
        s->fail_batch = 3;
        expect_error(s, CAD_EFORMAT, "batch 3", 30, "a batch cannot be computed");
        begin(s, m, n, 10);
        s->fail_batch = 9;
        expect_error(s, CAD_EFORMAT, "batch 9", 90, "nor can the last one");
        begin(s, m, n, 10);
        s->fail_take = 25;
        expect_error(s, CAD_EIO, "take", 20, "a result cannot be taken");
        begin(s, m, n, 10);
        s->fail_sink = 25;
        expect_error(s, CAD_EIO, "sink", 26, "an item cannot be written");
        begin(s, m, n, 10);
        s->fail_source = 35;
        expect_error(s, CAD_EFORMAT, "line 35", 30, "the source fails: what was sent is written");
        begin(s, m, n, 10);
        s->fail_source = 35;
        s->fail_batch = 2;
        expect_error(s, CAD_EFORMAT, "batch 2", 20, "the source and an earlier batch fail: the batch's error counts");
        begin(s, m, n, 10);
        s->fail_source = 35;
        s->fail_sink = 29;
        expect_error(s, CAD_EIO, "sink", 30, "the source and an earlier item fail: the item's error counts");
        begin(s, m, n, 10);
        s->fail_source = 25;
        s->fail_batch = 2;
        expect_error(s, CAD_EFORMAT, "line 25", 20, "the source and a later batch fail: the source's error counts");
    }
}

static void report_begun(scene_t *s, int batch)
{
    report(s, &s->begun, batch + 1);
    await(s, &s->filled, 20);
}

/* Closes the pipeline while batch 0 is being computed and batch 1 waits. */
static void test_close(const cad_model_t *m)
{
    scene_t *s = &scene;
    cad_error_t err;
    int rc = 0;
    begin(s, m, 0, 10);
    tap_ok(end(s), "a pipeline without items closes");
    begin(s, m, 0, 10);
    s->before = report_begun;
    for (int i = 0; i < 19 && rc == 0; i++) rc = put(s, 1, 1, &err);
    await(s, &s->begun, 1);
    report(s, &s->filled, 20);
    tap_ok(rc == 0 && end(s) && s->computed == 1 && s->sunk == 0, "closing drops what is computed, filled or waiting");
    pipeline_close(&s->pipe);
    tap_ok(s->dropped == 19, "closing twice is harmless");
}

static void test_counting(const cad_model_t *m)
{
    scene_t *s = &scene;
    cad_error_t err;
    uint64_t digest = 0;
    for (int n = 1; n <= 2; n++) {
        begin(s, m, n, 10);
        s->pipe.compute = NULL;
        /* these items have no windows, because take could not check results that are not computed */
        for (int i = 0; i < 100; i++) put(s, 0, 0, &err);
        for (int i = 0; i < 100; i++) {
            thing_t *t = calloc(1, sizeof *t);
            t->id = s->put++;
            pipeline_put(&s->pipe, &t->item);
            put_window(s, t->id * 16, 1 + i % 7, &err);
            pipeline_done(&s->pipe, &err);
        }
        pipeline_end(&s->pipe, 0, &err);
        if (n == 1) digest = s->pipe.work.digest;
        tap_ok(s->sunk == 200 && s->computed == 0 && s->taken == 0 && s->pipe.work.windows == 100,
               "without a context windows are counted, not computed");
        tap_ok(digest && s->pipe.work.digest == digest, "their digest does not depend on batches");
        end(s);
    }
    begin(s, m, 1, 10);
    s->pipe.compute = NULL;
    pipeline_put(&s->pipe, calloc(1, sizeof(thing_t)));
    for (int i = 0; i < 3; i++) { /* one window for embeddings, one that is scored too */
        job_t j = { .len = 5, .pooled = { 0, i < 2 ? 5 : 0 }, .scored = { 0, i }, .tokens = malloc(5) };
        memset(j.tokens, s->base, 5);
        pipeline_job(&s->pipe, j, &err);
    }
    pipeline_done(&s->pipe, &err);
    pipeline_end(&s->pipe, 0, &err);
    tap_ok(s->pipe.work.tokens == 20 && s->pipe.work.embedded == 10, "passes for embeddings are counted apart");
    end(s);
}

int main(void)
{
    const char *srcdir = getenv("srcdir");
    char path[4096];
    cad_model_t *m;
    alarm(300); /* so that a deadlock fails the test */
    snprintf(path, sizeof path, "%s/test/data/ps", srcdir ? srcdir : ".");
    if (!tap_ok(cad_model_open(&m, path, NULL) == 0, "a model opens")) return 1;
    test_order(m);
    test_batches(m);
    test_overlap(m);
    measure(m);
    test_memory(m);
    test_errors(m);
    test_close(m);
    test_counting(m);
    cad_model_close(m);
    return tap_finish();
}
