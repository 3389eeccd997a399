/* pretrain.h - what the files of pretrain share. SPDX-License-Identifier: MIT */
#ifndef CAD_PRETRAIN_H
#define CAD_PRETRAIN_H

#include "io/splits.h"
#include "learn/corpus.h"
#include "cmd.h"

typedef struct {
    options_t o;
    limits_t limits; /* BEDs */
    const char *reference, *train, *valid, *config, *dir;
    int64_t d_model, n_layer, seq_len, batch, accumulate, steps, seed, valid_every, valid_tokens, save_every;
    double fraction, soft, lr, lr_end, warmup, decay, clip;
    int rcps, rc_aug; /* -1: not given */
    bool resume, recompute;
} args_t;

typedef struct { /* the windows of one step, or of a validation */
    int64_t n, len;
    double weight;            /* of all */
    char *seq;                // (len+1)
    uint8_t *tokens, *masked; // (n,len)
    float *w;                 // (n,len)
    cad_example_t *ex;        // (n)
} batch_t;

typedef struct {
    const args_t *a;
    notes_t notes;
    fasta_t ref;
    splits_t splits;
    regions_t *on[2]; /* train, valid; NULL: everything, nothing */
    corpus_t corpus[2];
    cad_model_t *model;
    cad_trainer_t *trainer;
    batch_t batch, check;
    text_t recipe; /* what must be the same to go on */
    cad_file_t log;
    struct timespec begun, shown;
    int64_t first; /* the step that this process began with */
    bool made;     /* the folder */
    int claim;     /* on it, or -1 */
    bool written;  /* a line on the terminal, without its end */
} run_t;

/* ---- windows.c: what is trained on ---- */
/* Opens the reference and the corpora of both splits. */
int pretrain_data(run_t *r, cad_error_t *err);
/* Whether windows are turned to their reverse complement at random. */
bool pretrain_turns(const run_t *r);
/* Room for n windows. */
int pretrain_batch(batch_t *b, int64_t n, int64_t len, cad_error_t *err);
void pretrain_batch_close(batch_t *b);
/* r->batch becomes the examples of a step. */
int pretrain_fill_step(run_t *r, int64_t step, cad_error_t *err);
/* r->check, those of every validation: evenly spaced windows, always with the same masks. */
int pretrain_fill_check(run_t *r, cad_error_t *err);

#endif
