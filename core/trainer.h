/* trainer.h - what trainer.c and optimiser.c share. SPDX-License-Identifier: MIT */
#ifndef CAD_TRAINER_H
#define CAD_TRAINER_H

#include "train.h"

struct cad_trainer_t {
    cad_model_t *model;
    cad_recipe_t recipe;
    const cad_ops_t *ops;
    const cad_back_ops_t *back;
    cad_team_t *team;
    cad_weights_t *weights;
    cad_grad_lane_t lane;
    cad_tape_t tape[2];
    uint8_t *tok[2];            // (rows)
    int strands, most;          /* sequences in a pack */
    int64_t *off;               // (most+1)
    float **slot;               /* the pointers of both tapes */
    char *arena[2];             /* the gradients', the tapes' */
    int64_t *row[2];            // (rows) scored positions on each strand
    float *dlogits;             // (rows,V)
    float *pooled[2];           // (most,D)
    float *grad, *m, *v;        // (total) as the parameters
    bool *decay;                // (tensors)
    int64_t step;
    size_t bytes;
};

#endif
