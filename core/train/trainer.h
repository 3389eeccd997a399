/* trainer.h - defines the trainer, the struct that trainer.c, loss.c and optimiser.c share. D is d_model, V the number
 * of rows of the embedding table. SPDX-License-Identifier: MIT
 */
#ifndef CAD_TRAINER_H
#define CAD_TRAINER_H

#include "engine/module.h"
#include "engine/backward.h"
#include "train/lora.h"

#define CAD_LOGITS 2048 /* maximum number of scored positions whose logits are computed in one call */

typedef struct cad_trained_t { /* a range of the trained parameters, such as a tensor */
    int64_t at, count;
    bool decays; /* subject to AdamW's weight decay */
} cad_trained_t;

struct cad_trainer_t {
    cad_model_t *model;
    cad_recipe_t recipe;
    cad_ops_t table;
    const cad_ops_t *ops; /* &table once the table is filled */
    const cad_back_ops_t *back;
    char note[512];   /* reason why "auto" uses the CPU, or "" */
    cad_team_t *team; /* all threads */
    /* if there are two lanes, the team of each, with half of the threads; NULL: this lane has one thread */
    cad_team_t *half[2];
    cad_weights_t *weights;
    cad_grads_t *grads[2]; /* gradients of each strand; if grads[1] is NULL, both strands add to grads[0] */
    cad_grad_lane_t lane[2];
    int lanes; /* 1, or 2 if both strands run at the same time */
    cad_tape_t tape[2];
    uint8_t *tok[2]; // (rows)
    int strands;
    int64_t pack;          /* rows of a pack; a longer example is a pack by itself */
    int64_t *off;          // (most+1)
    int most;              /* maximum number of sequences in a pack */
    float **slot;          // (strands,layers+1) pointers to residuals (cad_tape_t.res)
    cad_kept_t *kept;      // (strands,layers) activations that the tapes keep (cad_tape_t.kept)
    char *arena[2];        /* memory of each grad lane's arrays, from the backend */
    char *tapes;           /* memory of the tapes, from the backend */
    int64_t *row[2];       // (rows) row numbers of the scored positions, for each strand
    float *dlogits;        // (rows,V) logits of the scored positions, overwritten with their gradients
    float *other;          // (CAD_LOGITS,V) the second strand's logits
    float *pooled[2];      // (most,D) pooled rows of each strand; pooled[0] is overwritten with their gradient
    cad_range_t *range[2]; // (most) rows to be pooled
    cad_lora_t *lora;      /* NULL: the model's own parameters are trained */
    float *param;          // (total) the trained parameters: the model's or, with lora, A, B and the head
    int64_t total;
    float *grad, *m, *v;    // (total) gradient and AdamW's moments, in the layout of param
    cad_trained_t *trained; // (ntrained) ranges that AdamW updates
    int ntrained;
    size_t extra; /* bytes that were reserved before the lanes */
    int64_t step;
    size_t bytes;
    void (*watch)(void *arg, int64_t tokens); /* callback of cad_trainer_watch, called after each pack; or NULL */
    void *watch_arg;
};

/* Writes to err why an operation failed with the code rc; returns rc. */
int cad_trainer_report(const cad_trainer_t *t, int rc, cad_error_t *err);

#endif
