/* evals.h - measures how well a language model predicts bases of a reference, for caduceus eval.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_EVALS_H
#define CAD_EVALS_H

#include "io/splits.h"
#include "stream/markov.h"
#include "stream/source.h"

enum {
    EVAL_MODEL,
    EVAL_BEFORE,
    EVAL_BOTH = EVAL_BEFORE + CAD_MARKOV_ORDERS,
    EVAL_PREDICTORS = EVAL_BOTH + CAD_MARKOV_ORDERS
};
typedef struct eval_sums_t {
    double loss, right;
} eval_sums_t; /* sums over bases: loss in nats, and number of bases predicted correctly */
typedef struct eval_group_t {
    const char *name;
    int64_t bases;
    eval_sums_t sums[EVAL_PREDICTORS];
} eval_group_t;
typedef struct eval_stretch_t {
    int group;
    const contig_t *contig;
    interval_t span;
} eval_stretch_t;
typedef struct eval_t { /* the state of SOURCE_SPLITS */
    /* Set by the caller: */
    /* the splits (named sets of intervals) of -L; if splits->path is NULL, whole contigs are evaluated */
    const splits_t *splits;
    const cad_markov_t *markov; /* Markov models, the baseline; NULL: none */
    int split;                  /* index of the only split to evaluate; -1: all splits */
    int fitted;                 /* index of the split that the Markov models are fitted to */
    int64_t sample;             /* number of windows to draw; 0: all windows */
    uint64_t seed;
    bool keep; /* keep the predictions at all bases, below */
    /* Results, if `keep` is set; the caller may take the arrays and set them to NULL: */
    float *logp;   // (kept,4) log p of A, C, G, T
    uint8_t *base; // (kept) the true bases
    int64_t kept, kept_room;
    /* Private: */
    eval_stretch_t *stretch; // (nstretch)
    int64_t nstretch, room;
    int64_t windows;     /* number of windows in all stretches (contiguous intervals to evaluate) */
    int64_t chosen;      /* number of windows to compute */
    int64_t put;         /* number of chosen windows that were put into the pipeline */
    int64_t bases;       /* number of bases put into the pipeline to be evaluated */
    eval_group_t *group; /* (ngroup) results of each split, or of each contig if the splits have no names */
    int ngroup;
} eval_t;

/* ---- source_splits.c ---- */
/* Finds the stretches (contiguous intervals) to evaluate. Returns an error if there are none. Call this after
 * source_t.plan. */
int eval_plan(stream_t *s, cad_error_t *err);

/* ---- evals.c ---- */
/* Fits Markov models of orders 0 to `order` to the bases of the regions `on`. */
int eval_fit(cad_markov_t *m, int order, const fasta_t *ref, const regions_t *on, int threads, cad_error_t *err);
typedef struct eval_item_t {
    region_t region; /* the bases that one window evaluates; must be the first member, as in all pipeline items */
    int group;
} eval_item_t;
/* Used as source_t.take. */
int eval_take(void *stream, item_t *it, const job_t *j, cad_error_t *err);
#define EVAL_COLUMNS "#group\tpredictor\tbases\tloss\tbits\taccuracy\tperplexity\n"
/* Appends the results: a row for each group (split or contig) and predictor, then rows for all groups together if there
 * are several. mask: the masking with which the results were computed. model: name of the language model in its rows;
 * NULL: "model", or "model_unmasked" without masking. */
void eval_rows(const eval_t *e, int64_t mask, const char *model, text_t *t);
/* Returns the rows as a JSON array of objects, whose keys are the columns; undefined numbers are null. */
json_t *eval_json(const eval_t *e, int64_t mask, const char *model);

#endif
