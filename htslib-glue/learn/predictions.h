/* predictions.h - probabilities, predictions and losses from logits (K) of a head.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_PREDICTIONS_H
#define CAD_PREDICTIONS_H

#include "io/text.h"
#include "caduceus.h"

/* Computes out (K): probabilities by softmax or by the logistic function, or values on their original scale. */
void prediction_of(const cad_head_t *head, const float *logits, double *out);
/* Returns the loss that training minimises, for one row; target (K). */
double prediction_loss(const cad_head_t *head, const float *logits, const float *target);
/* Returns the index of the largest of K numbers, the first one if several are equal. */
int64_t prediction_class(const double *p, int64_t K);
/* prediction_names writes the names of the columns of a row, prediction_put their values: a number for each output and,
 * unless the outputs are values, the prediction. */
void prediction_names(const cad_head_t *head, text_t *t);
void prediction_put(const cad_head_t *head, const double *p, text_t *t);
void prediction_none(const cad_head_t *head, text_t *t); /* writes "." in each column */
int64_t prediction_columns(const cad_head_t *head);

#endif
