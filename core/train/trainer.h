/* trainer.h - defines the trainer, the struct that trainer.c, loss.c and optimiser.c share. D is d_model, V the number
 * of rows of the embedding table. SPDX-License-Identifier: MIT
 */
#ifndef CAD_TRAINER_H
#define CAD_TRAINER_H

#include "engine/module.h"
#include "engine/backward.h"
#include "train/lora.h"

#define CAD_LOGITS 2048 /* maximum number of scored positions whose logits are computed in one call */
#define CAD_LEAVES 128  /* maximum number of leaves of the tree that sums gradients, a power of two (packs.c) */
#define CAD_BLOCK 4096  /* values of param that one task updates; ranks share these blocks */
#define CAD_SPARES 32   /* at least as many as a process needs arrays for that sum */

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
    int64_t pack;     /* rows of a pack; a longer example is a pack by itself */
    int64_t *off;     // (most+1)
    int most;         /* maximum number of sequences in a pack */
    float **slot;     // (strands,layers+1) pointers to residuals (cad_tape_t.res)
    cad_kept_t *kept; // (strands,layers) activations that the tapes keep (cad_tape_t.kept)
    char *arena[2];   /* memory of each grad lane's arrays, from the backend */
    char *tapes;      /* memory of the tapes, from the backend */
    int64_t *row[2];  // (rows) row numbers of the scored positions, for each strand
    float *dlogits;   // (rows,V) logits of the scored positions, overwritten with their gradients
    float *other;     // (CAD_LOGITS,V) the second strand's logits
    // (most,D) pooled rows of each strand; pooled[0] is overwritten with their gradient. With bins: (rows,D), all rows,
    // overwritten with their gradients
    float *pooled[2];
    float *dpool_weight[2]; // (D) gradient of pool.weight for a pack, of each strand
    cad_range_t *range[2];  // (most) rows to be pooled
    cad_lora_t *lora;       /* NULL: the model's own parameters are trained */
    float *param;           // (total) the trained parameters: the model's or, with lora, A, B and the head
    int64_t total;
    // (owned) gradient since the last update, and AdamW's moments, of the values own to own+owned-1 of param: of all, or,
    // with other ranks, of this rank's slice
    float *grad, *m, *v;
    int64_t own, owned;
    double *norms;            // (blocks) sums of the squares of the gradient, for each CAD_BLOCK values
    float *leaf;              // (total) gradient of the packs of one leaf
    float *spare[CAD_SPARES]; // (total) arrays that sums may use
    int nspare;
    cad_peers_t peers;      /* ranks 1 or 0: no other process */
    cad_trained_t *trained; // (ntrained) ranges that AdamW updates
    int ntrained;
    size_t extra; /* bytes that were reserved before the lanes */
    int64_t step;
    size_t bytes;
    void (*watch)(void *arg, int64_t tokens); /* callback of cad_trainer_watch, called after each pack; or NULL */
    void *watch_arg;
};

typedef struct { /* the examples ex[0] to ex[n-1], which are computed together */
    const cad_example_t *ex;
    int n;
    int64_t scored; /* set by cad_pack_loss: number of positions with a weight above 0 */
} cad_pack_t;

/* ---- loss.c ---- */
/* Runs the forward pass of one pack, adds its loss to *sum and, if scale is not 0, adds the gradient of scale x that loss
 * to the backend's gradients and t->leaf. */
int cad_pack_loss(cad_trainer_t *t, enum cad_loss_t loss, cad_pack_t *p, double scale, double *sum);
/* Returns weight x the loss of n outputs, and replaces the outputs by scale x the gradient of that. target (n), or NULL
 * for CAD_LOSS_CLASSES and CAD_LOSS_FOCAL, whose exponent is `focal`: the true class is `label`. */
double cad_label_loss(float *out, int64_t n, const float *target, int64_t label, enum cad_loss_t loss, double focal,
                      double weight, double scale);
/* Returns the address of the gradient of a tensor of the classifier's head; NULL if the model lacks the tensor. */
float *cad_head_grad(const cad_trainer_t *t, const float *tensor);

/* ---- bins.c ---- */
/* Adds the losses of n examples, which begin at the rows t->off, to *sum, and the gradient of the head to the trainer's.
 * Replaces the rows t->pooled of both strands by their gradients. */
int cad_bin_losses(cad_trainer_t *t, enum cad_loss_t loss, const cad_example_t *ex, int n, double scale, double *sum);

/* ---- optimiser.c ---- */
/* Moves the backend's gradients to t->leaf. */
int cad_trainer_collect(cad_trainer_t *t, cad_error_t *err);
/* Packs the changed parameters for the backend's forward and backward pass. */
void cad_trainer_renew(cad_trainer_t *t);

/* ---- peers.c ---- */
/* Calls meet for each other rank. All ranks do so in an order in which pairs meet; in a pair the lower rank sends first. */
typedef int cad_meet_f(void *arg, int other, cad_error_t *err);
int cad_peers_each(const cad_peers_t *p, cad_meet_f *meet, void *arg, cad_error_t *err);
/* Completes an array of n elements of `size` bytes on all ranks. Its blocks, of `block` elements, are shared among the ranks
 * in order, and each rank has computed its own. */
int cad_peers_gather(const cad_peers_t *p, void *data, int64_t n, int64_t block, size_t size, cad_error_t *err);
/* Returns the first value of param that belongs to a rank; of rank `ranks`, their number. */
int64_t cad_slice_begin(const cad_trainer_t *t, int rank);
/* Sets all (total), on rank 0, to the slices (owned) of all ranks; on other ranks it is not used. */
int cad_peers_collect(const cad_trainer_t *t, const float *slice, float *all, cad_error_t *err);

/* Writes to err why an operation failed with the code rc; returns rc. */
int cad_trainer_report(const cad_trainer_t *t, int rc, cad_error_t *err);

#endif
