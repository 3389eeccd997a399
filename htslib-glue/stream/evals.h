/* evals.h - how well bases are predicted. SPDX-License-Identifier: MIT */
#ifndef CAD_EVALS_H
#define CAD_EVALS_H

#include "io/splits.h"
#include "stream/cut.h"
#include "stream/markov.h"

enum {
    EVAL_MODEL,
    EVAL_BEFORE,
    EVAL_BOTH = EVAL_BEFORE + CAD_MARKOV_ORDERS,
    EVAL_PREDICTORS = EVAL_BOTH + CAD_MARKOV_ORDERS
};
typedef struct eval_sums_t {
    double loss, right;
} eval_sums_t; /* over bases: nats; how many were guessed */
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
typedef struct eval_t {
    const cutter_t *cutter;     /* set by the caller, as what follows */
    const splits_t *splits;     /* of -L; path NULL: whole contigs */
    const regions_t *only;      /* -r; NULL: all */
    const cad_markov_t *markov; /* NULL: no baseline */
    int split, fitted;          /* the only one to evaluate, or -1; that of the baseline */
    int64_t sample;             /* windows to draw; 0: all */
    uint64_t seed;
    eval_stretch_t *stretch;                       /* its own, as what follows */
    int64_t nstretch, room, windows, chosen, done; /* windows: in all, to compute, computed */
    int64_t bases;                                 /* of the cores put in */
    eval_group_t *group;                           /* splits, or contigs where splits have no names */
    int ngroup;
} eval_t;
/* Counts the bases of regions into Markov models of orders 0 to `order`. */
int eval_fit(cad_markov_t *m, int order, const cutter_t *c, const regions_t *on, int threads, cad_error_t *err);
/* Finds the stretches to evaluate; an error if there are none. */
int eval_plan(eval_t *e, cad_error_t *err);
/* Puts their windows into the pipeline and flushes it. */
int eval_run(eval_t *e, cad_error_t *err);
void eval_table(const eval_t *e, text_t *t);
double eval_share(const void *eval); /* done, for progress_t */
/* For pipeline_t, with the eval as arg. */
int eval_take(void *eval, item_t *it, const job_t *j, cad_error_t *err);
int eval_sink(void *eval, item_t *it, cad_error_t *err);
void eval_drop(void *eval, item_t *it);
void eval_free(eval_t *e);

#endif
