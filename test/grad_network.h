/* grad_network.h - the loss of a model in double precision, with which t_grad compares gradients.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_GRAD_NETWORK_H
#define CAD_GRAD_NETWORK_H

#include "train/trainer.h"

typedef struct {
    const char *name, *config;
    int64_t labels;
    enum cad_loss_t how;
    enum cad_pool_t pool;
    int64_t len[8], bin; /* bin: bases that an output stands for; 0: the whole sequence */
} case_t;

/* Returns the sum of the losses of n examples. p (m->total) replaces the parameters of m, in their order. */
double network_loss(const cad_model_t *m, const double *p, const cad_example_t *ex, int n, const case_t *c);

#endif
