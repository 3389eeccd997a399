/* pipeline.h - items and their windows in, results out, in order. SPDX-License-Identifier: MIT */
#ifndef CAD_PIPELINE_H
#define CAD_PIPELINE_H

#include "caduceus.h"
#include "io/bed.h"
#include "io/shard.h"
#include "stream/worker.h"

/* Batches in memory: while one is computed, the results of the one before it are handed
 * out and then the one after it is filled. */
#define PIPELINE_BATCHES 2

typedef struct item_t { /* the first member of the struct that a source puts in */
    struct item_t *next;
    int64_t bytes;  /* roughly the memory that it holds while it waits */
    int64_t unsent; /* windows in the batch that is being filled */
    int64_t open;   /* windows whose results have not been delivered */
    bool whole;     /* all its windows have been added */
    bool elsewhere; /* belongs to another shard */
} item_t;
typedef struct job_t { /* one window of an item; intervals count from its first token */
    item_t *item;
    int64_t id;             /* the source's own number for it */
    uint8_t *tokens, *skip; // (len), malloc'd; skip as in cad_window_t, or NULL
    int64_t len;
    int64_t mask;      /* the pipeline's, or CAD_MASK_EACH */
    interval_t scored; /* empty: no scores */
    interval_t kept;   /* regions: the bases that count for the region */
    interval_t pooled; /* empty: no embedding */
    float *logp;       // (scored,4)
    float *embedding;  // (D), or (pooled,D) for CAD_POOL_NONE
} job_t;
void job_free(job_t *j);
typedef struct work_t {
    int64_t windows, passes, tokens;
    int64_t done;    /* tokens whose results have been delivered */
    uint64_t digest; /* of all items and their windows' tokens, also those of other shards */
} work_t;
typedef struct jobs_t { /* windows that are computed together */
    const struct pipeline_t *pipe;
    job_t *job;
    int n, room;
    int64_t tokens; /* tokens x passes */
    int64_t floats; /* floats of unpooled embeddings while it is computed */
    task_t task;
} jobs_t;
typedef struct pipeline_t { /* does not move after the first item */
    /* Set by the caller: */
    shard_t shard;
    const cad_model_t *model;
    cad_context_t *ctx; /* only the pipeline uses it between the first job and pipeline_close; NULL: see compute */
    int64_t mask;
    enum cad_pool_t pool;
    int64_t batch_tokens;
    /* Computes the results of n jobs, on the pipeline's own thread. If NULL, ctx computes; if ctx is NULL
     * too, work is only counted (--dry-run). */
    int (*compute)(void *arg, job_t *job, int n, cad_error_t *err);
    void *compute_arg;
    int batches;             /* 1 to PIPELINE_BATCHES; 1: nothing overlaps; 0: PIPELINE_BATCHES */
    void (*tick)(void *arg); /* after each batch, or NULL */
    void *tick_arg;
    /* These run on the caller's thread, inside the functions below. */
    int (*take)(void *arg, item_t *it, const job_t *j, cad_error_t *err); /* a window's results are ready */
    int (*sink)(void *arg, item_t *it, cad_error_t *err);                 /* an item is complete */
    void (*drop)(void *arg, item_t *it);                                  /* and no longer needed */
    void *arg;
    /* Its own: */
    item_t *head, *tail;
    item_t *unsent;                 /* the first item that has, or may get, windows in the batch that is being filled */
    jobs_t batch[PIPELINE_BATCHES]; /* a ring: those sent, then the one that is being filled */
    int first;                      /* the oldest batch sent */
    int sent;                       /* number of batches sent */
    worker_t *worker;               /* NULL before the first batch */
    bool elsewhere;                 /* the last item belongs to another shard */
    bool failed;                    /* an error was returned; nothing more is delivered */
    int64_t held;                   /* bytes of the items from `unsent` onwards */
    int64_t waiting;                /* bytes of all items */
    work_t work;
} pipeline_t;
/* The pipeline owns the item, which reaches the sink after all items put before it. */
void pipeline_put(pipeline_t *p, item_t *it);
/* together: in the same shard as the item before. */
void pipeline_put_with(pipeline_t *p, item_t *it, bool together);
/* Adds a window to the item put last; owns tokens and skip. Like pipeline_done and pipeline_end it
 * may deliver results of earlier windows, and returns their errors. */
int pipeline_job(pipeline_t *p, job_t job, cad_error_t *err);
/* Adds data of an item besides its windows to the digest, by which shards of different inputs are told apart. */
void pipeline_digest(pipeline_t *p, const void *data, size_t n);
/* The item put last has all its windows. */
int pipeline_done(pipeline_t *p, cad_error_t *err);
/* Computes and delivers all that is left. */
int pipeline_flush(pipeline_t *p, cad_error_t *err);
/* The end of the input, or of reading it: rc and err are the source's. If rc is 0, flushes. Otherwise
 * delivers the batches already sent; an error among these belongs to an earlier item, so it
 * replaces the source's. Returns the error that counts. */
int pipeline_end(pipeline_t *p, int rc, cad_error_t *err);
/* Stops the thread and frees all that an error left. */
void pipeline_close(pipeline_t *p);

#endif
