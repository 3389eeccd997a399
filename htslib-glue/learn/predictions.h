/* predictions.h - logits into probabilities, predictions, losses. SPDX-License-Identifier: MIT */
#ifndef CAD_PREDICTIONS_H
#define CAD_PREDICTIONS_H

#include "io/text.h"
#include "model/labels.h"

/* Softmax, logistic function, or values on their own scale. */
void prediction_of(const cad_head_t *head, const float *logits, double *out);
double prediction_loss(const cad_head_t *head, const float *logits, const float *target);
/* The largest of K: the first of equals. */
int64_t prediction_class(const double *p, int64_t K);
/* Columns of a row: a number for each label, and, unless values, what is predicted. */
void prediction_names(const cad_head_t *head, text_t *t);
void prediction_put(const cad_head_t *head, const double *p, text_t *t);
void prediction_none(const cad_head_t *head, text_t *t); /* "." in each */
int64_t prediction_columns(const cad_head_t *head);

#endif
