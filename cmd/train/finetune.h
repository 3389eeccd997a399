/* finetune.h - declarations shared by the files of finetune. SPDX-License-Identifier: MIT */
#ifndef CAD_FINETUNE_H
#define CAD_FINETUNE_H

#include "learn/annotation.h"
#include "learn/augment.h"
#include "learn/binvalues.h"
#include "learn/metrics.h"
#include "train/label_options.h"
#include "train/ranks.h"

typedef struct {
    options_t o;
    label_options_t l;
    training_t t;
    ranks_options_t among;
    const char *train, *valid, *test, *output, *log;
    enum cad_head_kind_t task;
    enum cad_pool_t pool;
    metric_t metric;
    bool freeze, scratch, dry_run, published;
    int64_t epochs, batch, patience;
    double beta2;
    int64_t lora; /* rank of the adapters; 0: none */
    double alpha;
    const char *targets;
    bool bases;  /* --task bases: a class for each base */
    bool split;  /* --split-by was given */
    bool ignore; /* bases without a label are not trained on */
    const char *class_weights;
    bool balanced; /* --sampler balanced */
    augment_t augment;
    double focal;  /* exponent of the focal loss; below 0: cross-entropy */
    bool tracks;   /* --task tracks: values for each bin of `bin` bases, from the bigWigs `label` (nlabel) */
    bool poisson;  /* Poisson loss; otherwise squared */
    bool missing;  /* bases without a value are ignored; otherwise their value is 0 */
    bool has_loss; /* --loss, --missing or --bin was given */
    int64_t bin, nlabel;
    char **label;
    bool resume;
    int64_t save_every; /* updates between training states; 0: one at the end of each epoch */
    text_t given;       /* options and operands in the form in which DIR/options.txt stores them */
    char *recalled;     /* text of DIR/options.txt, to which values of options point; or NULL */
    char **words;       /* its words, to which `label` points */
} finetune_args_t;

/* Results of a training, for a command that trains many models. */
typedef struct tuned_t {
    int64_t epoch;               /* the best epoch */
    double valid, test[METRICS]; /* --metric on the validation rows; all metrics on the test rows */
    int64_t tested;              /* number of test rows */
    text_t provenance;           /* its lines of provenance; the caller frees it */
} tuned_t;
/* Does what the command finetune does with these words, with --test FILE among them; instead of printing metrics, stores
 * the results in *out. Does not join the processes of a launcher. Returns the exit status; if a signal has stopped the
 * training, its state is saved, and the process ends here. */
int finetune_call(int argc, char **argv, tuned_t *out);

typedef struct {
    /* Set by finetune.c and tuning_files.c: */
    const finetune_args_t *a;
    tuned_t *tuned; /* where to store the results, or NULL: they are printed */
    ranks_t ranks;
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
    cad_model_t *prior;  /* --augment mlm: the initial model */
    augmenter_t augmenter;
    uint8_t *changed; // (part_tokens) --augment: changed examples of `part`; NULL: they stay as they are
    int64_t part_tokens, step, steps;
    int64_t decay;           /* --as-published: updates over which the rate falls */
    int64_t epoch;           /* number of complete epochs */
    double total;            /* sum of the losses of the rows of the current epoch */
    bool saved;              /* the training state in the folder is that of this step */
    bool begun;              /* options.txt is written */
    bool stopped;            /* true if a signal to a rank has ended the run before the last update */
    float class_weight[256]; // (K) --task bases: weight of each class, set by bases.c
    uint8_t *part_class;     // (part_tokens) classes and weights of the bases of `part`
    float *part_weight;
    class_metrics_t by_class[256];           // (K) of the rows that were measured last
    bin_metrics_t by_output[BINVALUES_MOST]; // (K) --task tracks: of the rows that were measured last
    float *part_target;                      // (bins of part_tokens,K) values of reversed examples of `part`
    float *row_weight;                       // (n) --task classify: weights of the training rows; NULL: 1
    int64_t *member, *first; // (n) training rows by class and (K+1) where each class begins; NULL: no balanced sampling
    double best;
    int64_t best_epoch;
    text_t table;   /* text of metrics.tsv; its header has table_head bytes */
    text_t updates; /* text of the log; its header has updates_head bytes */
    size_t table_head, updates_head;
    progress_t progress;
    int64_t tokens; /* tokens computed in training */
    int64_t seen;   /* number of rows used for training until now */
} tuning_t;

const char *task_name(const finetune_args_t *a);

/* ---- tuning_files.c ---- */
/* Opens the output folder and checks that its files can be written, before anything is read. */
int tuning_folder(tuning_t *r, cad_error_t *err);
/* Opens the initial model, reads the labelled sequences and sets the head. Sets a->l.window if it is not given. */
int tuning_inputs(tuning_t *r, finetune_args_t *a, cad_error_t *err);

/* ---- tuning.c ---- */
/* Trains, saves the model of the best epoch in the folder and prints its metrics. Before the call, the inputs must have
 * been read, r->head must have been filled from the training rows, and r->model must be the initial model. */
int tuning_run(tuning_t *r, cad_error_t *err);
/* Frees everything in r, including the inputs. */
void tuning_close(tuning_t *r);
/* Returns the number of rows that --as-published counts an epoch to have: of TRAIN, validation rows included, and of
 * --test. */
int64_t published_rows(const tuning_t *r);

/* ---- tuning_tables.c: the tables metrics.tsv and log.tsv ---- */
/* Appends the options on which the result depends: "key=value key=value". */
void tuning_options(const tuning_t *r, text_t *t);
/* Begins both tables: writes their provenance and column names. */
void tables_begin(tuning_t *r);
/* Appends the row of an epoch to metrics.tsv and writes the file. kept: the epoch's model is saved. */
int tables_epoch(tuning_t *r, double loss, const metrics_t *m, bool kept, cad_error_t *err);
/* Appends the row of an update to the log. */
void tables_update(tuning_t *r, double lr, double loss, double norm);
/* Writes and closes the log, if there is one. */
int tables_close(tuning_t *r, cad_error_t *err);

/* ---- tuning_state.c: what --resume continues ---- */
/* Fails if the folder holds an unfinished training and --resume is not given. */
int state_refuse(const finetune_args_t *a, cad_error_t *err);
/* Saves the training state. Signals wait until it is complete. */
int state_save(tuning_t *r, cad_error_t *err);
/* Continues from the state in the folder, if there is one, or notices that the folder holds this training, complete. */
int state_load(tuning_t *r, cad_error_t *err);
/* Joins the trainers of all ranks, which continue from where rank 0 is. */
int state_join(tuning_t *r, cad_error_t *err);
/* True if --epochs or --patience ends the training after the complete epochs. */
bool state_over(const tuning_t *r);
/* Removes the state of a training that is complete. */
int state_remove(const tuning_t *r, cad_error_t *err);

#endif
