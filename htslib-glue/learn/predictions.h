/* predictions.h - computes probabilities, predictions and losses from the logits (K) of a head.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_PREDICTIONS_H
#define CAD_PREDICTIONS_H

#include "io/text.h"
#include "caduceus.h"

/* Computes out (K): probabilities by softmax (classes) or the logistic function (labels), or values on their original
 * scale. */
void prediction_of(const cad_head_t *head, const float *logits, double *out);
/* Returns the loss of one row that training minimises. target: (K). */
double prediction_loss(const cad_head_t *head, const float *logits, const float *target);
/* Returns the index of the largest of K numbers; the lowest index if several are equal. */
int64_t prediction_class(const double *p, int64_t K);
/* Appends the names of the columns that prediction_put writes. */
void prediction_names(const cad_head_t *head, text_t *t);
/* Appends a column for each output, with its value in p. For classes and labels, also appends the prediction. */
void prediction_put(const cad_head_t *head, const double *p, text_t *t);
void prediction_none(const cad_head_t *head, text_t *t); /* writes "." in each column */
int64_t prediction_columns(const cad_head_t *head);

#endif
