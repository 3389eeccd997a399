/* finetune.h - what finetune.c and tuning.c share. SPDX-License-Identifier: MIT */
#ifndef CAD_FINETUNE_H
#define CAD_FINETUNE_H

#include "learn/examples.h"
#include "learn/metrics.h"
#include "train/label_options.h"

typedef struct {
    options_t o;
    label_options_t l;
    const char *train, *valid, *test, *output, *log;
    cad_head_kind_t task;
    enum cad_pool_t pool;
    metric_t metric;
    bool freeze, scratch, recompute;
    int aug; /* 1 on, 0 off, -1 the model's default */
    int64_t epochs, batch, seed, patience;
    double fraction, lr, warmup, decay, beta2;
} finetune_args_t;

typedef struct {
    const finetune_args_t *a; /* set by finetune.c, as what follows */
    notes_t notes;
    fasta_t ref;
    cad_model_t *model; /* to begin with, then the classifier */
    cad_head_t head;
    examples_t train, valid, test;
    output_t *log;                /* or NULL */
    bool made;                    /* the folder is ours */
    int claim;                    /* on it, or -1 */
    char status[200], source[65]; /* of the result; SHA-256 of the model to begin with */
    cad_trainer_t *trainer;       /* tuning.c's, as what follows */
    bool aug;
    int64_t *order;      // (n)
    cad_example_t *part; // (n) of one cad_trainer_add
    uint8_t *turned;     // (tokens) of a part
    int64_t part_tokens, step, steps;
    double best;
    int64_t best_epoch;
    text_t table, updates; /* updates: rows for the log */
    progress_t progress;
    work_t work;
    int64_t seen; /* rows trained on */
} tuning_t;

extern const char *const TASK_NAME[]; /* of cad_head_kind_t */

/* ---- tuning.c ---- */
/* Trains, keeps the best epoch in the folder, prints its metrics. The inputs are read and
 * their labels known; model is the one to begin with. */
int tuning_run(tuning_t *r, cad_error_t *err);
/* Frees what it holds; the inputs too. */
void tuning_close(tuning_t *r);

#endif
