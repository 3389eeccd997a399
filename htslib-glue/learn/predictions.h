/* predictions.h - probabilities, predictions and losses from logits (K) of a head.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_PREDICTIONS_H
#define CAD_PREDICTIONS_H

#include "io/text.h"
#include "caduceus.h"

/* out (K): softmax, logistic function, or values on their own scale. */
void prediction_of(const cad_head_t *head, const float *logits, double *out);
/* The loss that training minimises; target (K). */
double prediction_loss(const cad_head_t *head, const float *logits, const float *target);
/* The index of the largest of K; the first among equals. */
int64_t prediction_class(const double *p, int64_t K);
/* The columns of a row: a number for each label and, unless they are values, the prediction. */
void prediction_names(const cad_head_t *head, text_t *t);
void prediction_put(const cad_head_t *head, const double *p, text_t *t);
void prediction_none(const cad_head_t *head, text_t *t); /* "." in each column */
int64_t prediction_columns(const cad_head_t *head);

#endif
