/* pretrain.h - declarations shared by the files of pretrain. SPDX-License-Identifier: MIT */
#ifndef CAD_PRETRAIN_H
#define CAD_PRETRAIN_H

#include "io/splits.h"
#include "learn/corpus.h"
#include "train/ranks.h"
#include "cmd.h"

typedef struct {
    options_t o;
    new_model_t fresh;
    training_t t;
    ranks_options_t among;
    limits_t limits; /* the BED files of -L */
    const char *reference, *train, *valid, *dir;
    int64_t seq_len, batch, accumulate, steps, valid_every, valid_tokens, save_every;
    double soft, lr_end, clip;
    bool resume, dry_run;
    text_t given;   /* the options in the form in which DIR/options.txt stores them */
    char *recalled; /* text of DIR/options.txt, to which values of options point; or NULL */
} args_t;

typedef struct { /* the windows of one step, or of a validation */
    int64_t n, len;
    double weight;            /* sum of `w` over all positions of the batch */
    char *seq;                // (len+1) letters of one window
    uint8_t *tokens, *masked; // (n,len) true tokens, and tokens that the model sees
    float *w;                 // (n,len) weight of each position in the loss
    cad_example_t *ex;        // (n)
} batch_t;

typedef struct {
    const args_t *a;
    notes_t notes;
    fasta_t ref;
    splits_t splits;
    regions_t *on[2]; /* regions to train on (NULL: the whole genome) and to validate on (NULL: none) */
    corpus_t corpus[2];
    cad_model_t *model;
    cad_trainer_t *trainer;
    ranks_t ranks;
    batch_t batch, check;
    text_t recipe; /* everything that a run must have in common with the run that it resumes, as text */
    cad_file_t log;
    struct timespec begun;
    progress_t progress;
    int64_t tokens; /* tokens of the current step that have been computed so far */
    double loss;    /* loss of the last step; NaN before the first step */
    int64_t first;  /* the first step of this process */
    bool stopped;   /* true if a signal to a rank has ended the run before the last step */
    bool made;      /* true if this process created the folder */
    int ticket;     /* ticket of temporary_folder for that folder, which a signal then removes if it is empty; or -1 */
    int claim;      /* descriptor of the lock on the folder, or -1 */
} run_t;

/* ---- pretrain_options.c ---- */
#define PRETRAIN_SHORT OPTIONS_SHORT "T:L:o:"
extern const char PRETRAIN_USAGE[];
extern const struct option PRETRAIN_LONG[];
/* Fills a from the command line; with --resume and no reference, also from DIR/options.txt. Returns 0 to continue, 1
 * after reporting an error, 2 after printing help. */
int pretrain_parse(args_t *a, int argc, char **argv);
/* Returns the number of windows in a training step. */
int64_t pretrain_windows(const args_t *a);

/* ---- batches.c: the windows to train on ---- */
/* Opens the reference and the corpora of both splits (training, validation). */
int pretrain_data(run_t *r, cad_error_t *err);
/* Allocates memory for n windows of up to len bases. */
int pretrain_batch(batch_t *b, int64_t n, int64_t len, cad_error_t *err);
void pretrain_batch_close(batch_t *b);
/* Fills r->batch with the examples of training step `step`. */
int pretrain_fill_step(run_t *r, int64_t step, cad_error_t *err);
/* Fills r->check with the examples that every validation uses: evenly spaced windows, masked the same way each time. */
int pretrain_fill_check(run_t *r, cad_error_t *err);

#endif
