/* pipeline.h - takes items (regions, reads, variants ... of the input) and their windows, computes the windows, and
 * delivers the results in the order of the input.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_PIPELINE_H
#define CAD_PIPELINE_H

#include "caduceus.h"
#include "io/bed.h"
#include "io/shard.h"
#include "stream/worker.h"

/* Number of batches in memory: while one batch is computed, the results of the previous batch are delivered, and then
 * the next batch is filled. */
#define PIPELINE_BATCHES 2

/* one region, read, variant ... of the input. A source puts a larger struct into the pipeline, whose first member must
 * be an item_t */
typedef struct item_t {
    struct item_t *next;
    int64_t bytes;  /* approximate size in bytes of the item while it waits */
    int64_t unsent; /* number of windows that have been added but not sent to the worker */
    int64_t open;   /* number of windows that have been added and whose results have not been delivered */
    bool whole;     /* true once all windows have been added */
    bool elsewhere; /* the item belongs to another shard */
} item_t;
typedef struct job_t { /* one window of an item. Positions in its intervals count from the window's first token */
    item_t *item;
    int64_t id;             /* number of the window, chosen by the source */
    uint8_t *tokens, *skip; // (len) each, malloc'd; skip: as in cad_window_t, or NULL
    int64_t len;
    int64_t mask;      /* how bases are masked: the pipeline's setting, CAD_MASK_EACH or CAD_MASK_NONE */
    interval_t scored; /* interval to score; empty: no scores */
    /* for regions: those scored bases that lie within the region; only these count in the region's results */
    interval_t kept;
    interval_t pooled; /* interval of the bases whose embeddings are computed; empty: none */
    float *logp;       // (S,4), with S the length of the interval `scored`
    /* (D), or for CAD_POOL_NONE (P,D), with P the length of the interval `pooled`; if the pipeline has outputs,
     * (outputs): those of the classifier for the interval */
    float *embedding;
} job_t;
void job_free(job_t *j);
typedef struct work_t {
    int64_t windows, passes, tokens;
    int64_t embedded; /* those of the tokens whose pass gives embeddings, which --layer may shorten */
    int64_t done;     /* number of tokens whose results have been delivered */
    uint64_t digest;  /* digest of all items and their windows' tokens, items of other shards included */
} work_t;
typedef struct jobs_t { /* a batch: windows that are computed together */
    const struct pipeline_t *pipe;
    job_t *job;
    int n, room;
    int64_t tokens; /* sum over the windows of (tokens x forward passes) */
    int64_t floats; /* number of floats in the embeddings that are not pooled */
    task_t task;
} jobs_t;
typedef struct pipeline_t { /* the state of a pipeline; must not be moved in memory after the first item is put in */
    /* Set by the caller: */
    shard_t shard;
    const cad_model_t *model;
    cad_context_t *ctx; /* no other code may use it until pipeline_close; NULL: see `compute` */
    int64_t mask;
    enum cad_pool_t pool;
    int64_t outputs; /* 0: embeddings are computed; else a classifier's outputs, of which this is the number */
    int64_t batch_tokens;
    /* Computes the results of n windows, on the worker's thread. NULL: ctx computes them; if ctx is NULL too, the
     * pipeline only counts the work (--dry-run). */
    int (*compute)(void *arg, job_t *job, int n, cad_error_t *err);
    void *compute_arg;
    /* number of batches, 1 to PIPELINE_BATCHES; 0 means PIPELINE_BATCHES. With 1, reading and computing do not
     * overlap */
    int batches;
    /* shows progress: called after each item, and a few times a second while a batch is computed; or NULL */
    void (*tick)(void *arg);
    void *tick_arg;
    /* Called on the calling thread, inside the functions below: */
    int (*take)(void *arg, item_t *it, const job_t *j, cad_error_t *err); /* called with the results of each window */
    /* called when all results of an item have been delivered */
    int (*sink)(void *arg, item_t *it, cad_error_t *err);
    /* frees an item after the sink, after an error, or if it belongs to another shard */
    void (*drop)(void *arg, item_t *it);
    void *arg;
    /* Private: */
    item_t *head, *tail;
    item_t *unsent; /* first item that has windows in the batch being filled, or may still get windows */
    /* a ring buffer: the batches that were sent and not yet collected, then the batch being filled */
    jobs_t batch[PIPELINE_BATCHES];
    int first;        /* index of the oldest batch that was sent */
    int sent;         /* number of batches sent to the worker and not yet collected */
    worker_t *worker; /* NULL before the first batch */
    bool elsewhere;   /* true if the item that was put in last belongs to another shard */
    bool failed;      /* true after an error was returned; nothing more is delivered */
    int64_t held;     /* bytes of the items from `unsent` onwards */
    int64_t waiting;  /* bytes of all items in the pipeline */
    work_t work;
} pipeline_t;
/* Puts an item into the pipeline, which then owns it. Items reach the sink in the order of these calls. */
void pipeline_put(pipeline_t *p, item_t *it);
/* Does the same as pipeline_put. together: puts the item into the same shard as the item before it. */
void pipeline_put_with(pipeline_t *p, item_t *it, bool together);
/* Adds a window to the item that was put in last; takes ownership of tokens and skip. pipeline_job, pipeline_done and
 * pipeline_end may deliver the results of earlier windows, and return an error of an earlier window. */
int pipeline_job(pipeline_t *p, job_t job, cad_error_t *err);
/* Adds to the size of the item that was put in last, which has grown since. */
void pipeline_grow(pipeline_t *p, int64_t bytes);
/* Adds to the run's digest data of an item that are not in its windows. Shards of different inputs have different
 * digests, so merge refuses to join them. */
void pipeline_digest(pipeline_t *p, const void *data, size_t n);
/* Marks the item that was put in last as complete. Call this after all its windows have been added. */
int pipeline_done(pipeline_t *p, cad_error_t *err);
/* Computes and delivers everything that is left. */
int pipeline_flush(pipeline_t *p, cad_error_t *err);
/* Ends the input. rc and err: result of reading the input. If rc is 0, does the same as pipeline_flush. Otherwise
 * delivers the batches that were sent. An error in them belongs to an earlier item, so it replaces rc and err. Returns
 * the final error. */
int pipeline_end(pipeline_t *p, int rc, cad_error_t *err);
/* Stops the worker's thread, and frees the items and windows that are left after an error. */
void pipeline_close(pipeline_t *p);

#endif
