/* pipeline.h - items and their windows in, results out, in order. SPDX-License-Identifier: MIT */
#ifndef CAD_PIPELINE_H
#define CAD_PIPELINE_H

#include "caduceus.h"
#include "io/bed.h"
#include "io/shard.h"

typedef struct item_t { /* what a source puts in; the first member of its own struct */
    struct item_t *next;
    int64_t bytes;  /* roughly what it holds while it waits */
    int64_t open;   /* windows not yet computed */
    bool whole;     /* all its windows are there */
    bool elsewhere; /* of another shard */
} item_t;
typedef struct job_t { /* one window of an item; intervals count from its first token */
    item_t *item;
    int64_t id;             /* the item's own name for it */
    uint8_t *tokens, *skip; // (len), malloc'd; skip as in cad_window_t, or NULL
    int64_t len;
    int64_t mask;      /* the pipeline's, or CAD_MASK_EACH */
    interval_t scored; /* empty: no scores */
    interval_t kept;   /* regions: what of it counts */
    interval_t pooled; /* empty: no embedding */
    float *logp;       // (scored,4)
    float *embedding;  // (D), or (pooled,D) for CAD_POOL_NONE
} job_t;
void job_free(job_t *j);
typedef struct work_t {
    int64_t windows, passes, tokens, done; /* done: of tokens */
    uint64_t digest;                       /* of all items and their windows' tokens, also those of other shards */
} work_t;
typedef struct pipeline_t {
    /* set by the caller */
    shard_t shard;
    const cad_model_t *model;
    cad_context_t *ctx; /* NULL: count only (--dry-run) */
    int64_t mask;
    enum cad_pool_t pool;
    int64_t batch_tokens;
    void (*tick)(void *arg); /* after each batch, or NULL */
    void *tick_arg;
    int (*take)(void *arg, item_t *it, const job_t *j, cad_error_t *err); /* a window is computed */
    int (*sink)(void *arg, item_t *it, cad_error_t *err);                 /* an item is complete */
    void (*drop)(void *arg, item_t *it);                                  /* and done with */
    void *arg;
    /* its own */
    item_t *head, *tail;
    job_t *job;
    int njob, room;
    bool elsewhere;       /* the last item is of another shard */
    int64_t queued;       /* tokens x passes waiting */
    int64_t floats, held; /* of unpooled embeddings waiting; bytes of waiting items */
    work_t work;
} pipeline_t;
/* Takes the item over; it reaches the sink after all items put before it. */
void pipeline_put(pipeline_t *p, item_t *it);
/* together: in the shard of the item before. */
void pipeline_put_with(pipeline_t *p, item_t *it, bool together);
/* A window of the item put last; takes tokens and skip over. */
int pipeline_job(pipeline_t *p, job_t job, cad_error_t *err);
/* What an item is besides its windows: parts of inputs that differ in it do not fit together. */
void pipeline_digest(pipeline_t *p, const void *data, size_t n);
/* The item put last has all its windows. */
int pipeline_done(pipeline_t *p, cad_error_t *err);
/* Computes and hands on all that is left. */
int pipeline_flush(pipeline_t *p, cad_error_t *err);
/* Frees what an error left behind. */
void pipeline_close(pipeline_t *p);

#endif
