/* finetune.h - declarations shared by finetune.c and tuning.c. SPDX-License-Identifier: MIT */
#ifndef CAD_FINETUNE_H
#define CAD_FINETUNE_H

#include "learn/annotation.h"
#include "learn/binvalues.h"
#include "learn/metrics.h"
#include "train/label_options.h"

typedef struct {
    options_t o;
    label_options_t l;
    training_t t;
    const char *train, *valid, *test, *output, *log;
    enum cad_head_kind_t task;
    enum cad_pool_t pool;
    metric_t metric;
    bool freeze, scratch, dry_run;
    int64_t epochs, batch, patience;
    double beta2;
    int64_t lora; /* rank of the adapters; 0: none */
    double alpha;
    const char *targets;
    bool bases;  /* --task bases: a class for each base */
    bool split;  /* --split-by was given */
    bool ignore; /* bases without a label are not trained on */
    const char *class_weights;
    bool tracks;   /* --task tracks: values for each bin of `bin` bases, from the bigWigs `label` (nlabel) */
    bool poisson;  /* Poisson loss; otherwise squared */
    bool missing;  /* bases without a value are ignored; otherwise their value is 0 */
    bool has_loss; /* --loss, --missing or --bin was given */
    int64_t bin, nlabel;
    char **label;
} finetune_args_t;

typedef struct {
    /* Set by finetune.c: */
    const finetune_args_t *a;
    notes_t notes;
    fasta_t ref;
    cad_model_t *model; /* the initial model, later replaced by the classifier */
    cad_head_t head;
    examples_t train, valid, test;
    output_t *log; /* log.tsv; NULL: not open */
    bool made;     /* true if this process created the folder */
    int ticket;    /* ticket of temporary_folder for that folder, which a signal then removes if it is empty; or -1 */
    int claim;     /* descriptor of the lock on the folder, or -1 */
    char status[200]; /* status text to store in the resulting checkpoint */
    char source[65];  /* SHA-256 of the initial model's weights */
    /* Set by tuning.c: */
    cad_trainer_t *trainer;
    bool turns;          /* true if training rows are reverse-complemented at random */
    int64_t *order;      // (n) indexes of the training rows, in this epoch's order
    cad_example_t *part; // (n) examples for one call of cad_trainer_add
    uint8_t *reversed;   // (part_tokens) reverse complements of examples in `part`
    int64_t part_tokens, step, steps;
    float class_weight[256]; // (K) --task bases: weight of each class, set by bases.c
    uint8_t *part_class;     // (part_tokens) classes and weights of the bases of `part`
    float *part_weight;
    class_metrics_t by_class[256];           // (K) of the rows that were measured last
    bin_metrics_t by_output[BINVALUES_MOST]; // (K) --task tracks: of the rows that were measured last
    float *part_target;                      // (bins of part_tokens,K) values of reversed examples of `part`
    double best;
    int64_t best_epoch;
    text_t table;   /* text of metrics.tsv */
    text_t updates; /* text of the log */
    progress_t progress;
    int64_t tokens; /* tokens computed in training */
    int64_t seen;   /* number of rows used for training until now */
} tuning_t;

const char *task_name(const finetune_args_t *a);

/* ---- tuning.c ---- */
/* Trains, saves the model of the best epoch in the folder and prints its metrics. Before the call, the inputs must have
 * been read, r->head must have been filled from the training rows, and r->model must be the initial model. */
int tuning_run(tuning_t *r, cad_error_t *err);
/* Frees everything in r, including the inputs. */
void tuning_close(tuning_t *r);

#endif
