/* lora.h - trains low-rank changes of projections instead of the model's own weights (LoRA, Hu et al. 2021).
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_LORA_H
#define CAD_LORA_H

#include "engine/backward.h"

typedef struct cad_trainer_t cad_trainer_t;

typedef struct cad_delta_t { /* the change scale * B A of one projection */
    const cad_tensor_t *t;
    int64_t out, in;
    int64_t a, b; /* offsets of A (r,in) and of B (out,r) in the trained parameters */
    float *base;  // (out,in) the projection without the change
} cad_delta_t;

typedef struct cad_lora_t {
    int64_t r;
    double alpha, scale; /* scale: alpha / r */
    char *targets;       /* names of the changed projections, separated by commas */
    cad_delta_t *delta;  // (n)
    int n;
    int64_t size;    /* floats of all A and B */
    int64_t head;    /* offset of the classifier's head in the model's parameters, or their total */
    float *base;     /* memory of all delta[i].base */
    float *layer[2]; /* for each strand, the gradient of one layer's weights */
    float *other;    // (size) gradient of the second strand, if it may be computed at the same time as the first
    char details[768];
} cad_lora_t;

/* Opens t->lora and t->param, as t->recipe says: A is random, B is 0. */
int cad_lora_open(cad_trainer_t *t, cad_error_t *err);
void cad_lora_close(cad_trainer_t *t);
/* After the backward pass of a layer on lane l: adds the gradients of A and B of strand s, and forgets the layer's. */
int cad_lora_layer(cad_trainer_t *t, cad_grad_lane_t *l, int s, int layer);
/* Adds the second strand's gradients to t->leaf. */
int cad_lora_collect(cad_trainer_t *t);
/* Sets the model's parameters to those that A, B and the head in t->param give. */
void cad_lora_merge(cad_trainer_t *t);
/* Finds X.lora_A.weight or X.lora_B.weight by its name without prefix, or returns NULL. *half: 'A' or 'B'. */
const cad_delta_t *cad_lora_find(const cad_lora_t *l, const char *name, char *half);
/* Converts values of A or B (half) from the parameters' layout to the published one, or back. */
void cad_lora_flip(const cad_lora_t *l, const cad_delta_t *d, char half, float *value);

#endif
