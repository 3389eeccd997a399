/* imbalance.h - classes of unequal size in finetune --task classify. SPDX-License-Identifier: MIT */
#ifndef CAD_IMBALANCE_H
#define CAD_IMBALANCE_H

#include "train/finetune.h"

/* Prepares --class-weights and --sampler balanced, once the training rows have targets. */
int imbalance_open(tuning_t *r, cad_error_t *err);
/* With --sampler balanced, draws the rows of an epoch into r->order, with replacement: each class is as likely. */
void imbalance_order(tuning_t *r, int64_t epoch);
/* Returns the sum of the weights of n training rows: what the loss is divided by. */
double imbalance_weight(const tuning_t *r, const int64_t *row, int64_t n);
void imbalance_close(tuning_t *r);

#endif
