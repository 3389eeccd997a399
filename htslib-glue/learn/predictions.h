/* predictions.h - computes probabilities, predictions and losses from the logits (K) of a classifier's head.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_PREDICTIONS_H
#define CAD_PREDICTIONS_H

#include "io/text.h"
#include "caduceus.h"

/* Computes out (K) from logits (K). For classes: probabilities by softmax. For labels: probabilities by the logistic
 * function. For values and counts: the values on their original scale. */
void prediction_of(const cad_head_t *head, const float *logits, double *out);
/* Returns the loss of one row that training minimises. target: (K). */
double prediction_loss(const cad_head_t *head, const float *logits, const float *target);
/* True if the head predicts values or counts. */
bool prediction_is_number(const cad_head_t *head);
/* Returns the index of the largest of K numbers; the lowest index if several are equal. */
int64_t prediction_class(const double *p, int64_t K);
/* Appends the names of the columns that prediction_put writes. */
void prediction_names(const cad_head_t *head, text_t *t);
/* Appends a column with p[k] for each output k. For classes and labels, also appends a column with the prediction. */
void prediction_put(const cad_head_t *head, const double *p, text_t *t);
void prediction_none(const cad_head_t *head, text_t *t); /* writes "." in each column */
int64_t prediction_columns(const cad_head_t *head);

#endif
