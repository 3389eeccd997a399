/* evals.h - evaluation: how well bases are predicted. SPDX-License-Identifier: MIT */
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
} eval_sums_t; /* sums over bases: nats; bases guessed right */
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
    const splits_t *splits;     /* of -L; path NULL: whole contigs */
    const cad_markov_t *markov; /* NULL: no baseline */
    int split;                  /* the only split to evaluate, or -1 */
    int fitted;                 /* the baseline's split */
    int64_t sample;             /* windows to draw; 0: all */
    uint64_t seed;
    /* Its own: */
    eval_stretch_t *stretch; // (nstretch)
    int64_t nstretch, room;
    int64_t windows;     /* in all */
    int64_t chosen;      /* windows to compute */
    int64_t bases;       /* of the cores put in */
    eval_group_t *group; /* splits, or contigs where splits have no names */
    int ngroup;
} eval_t;

/* ---- source_splits.c ---- */
/* Finds the stretches to evaluate; an error if there are none. After plan. */
int eval_plan(stream_t *s, cad_error_t *err);

/* ---- evals.c ---- */
/* Counts the bases of regions into Markov models of orders 0 to `order`. */
int eval_fit(cad_markov_t *m, int order, const fasta_t *ref, const regions_t *on, int threads, cad_error_t *err);
typedef struct eval_item_t {
    region_t region; /* first: the pipeline's item, one window's core */
    int group;
} eval_item_t;
/* For source_t. */
int eval_take(void *stream, item_t *it, const job_t *j, cad_error_t *err);
/* The results as a table; mask: as they were computed. */
void eval_table(const eval_t *e, int64_t mask, text_t *t);

#endif
