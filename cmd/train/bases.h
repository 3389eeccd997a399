/* bases.h - finetune --task bases: a class for each base. SPDX-License-Identifier: MIT */
#ifndef CAD_BASES_H
#define CAD_BASES_H

#include "train/finetune.h"

#define BASES_WINDOW 4096 /* the default --window, at most */

/* Gives each contig of r->ref its part, 0 training, 1 validation, 2 test, in *part (malloc'd). */
int bases_split(const tuning_t *r, uint8_t **part, cad_error_t *err);
/* Reads the labels and cuts the reference into the examples r->train, r->valid and r->test, by contig. Sets r->head. */
int bases_read(tuning_t *r, cad_error_t *err);
/* Sets weight (K) as --class-weights says. count (K): training bases, or rows, of each class, above 0. */
int bases_weigh(const tuning_t *r, const double *count, float *weight, cad_error_t *err);
/* Sets example i of r->part, whose tokens begin at `at` in the part: its classes and weights. turned: it is
 * reverse-complemented. */
void bases_part(tuning_t *r, int64_t i, const example_t *x, int64_t at, bool turned);
/* Returns the sum of the weights of the bases of n training rows: what the loss is divided by. */
double bases_weight(const tuning_t *r, const int64_t *row, int64_t n);
int bases_measure(tuning_t *r, const examples_t *e, cad_context_t *ctx, metrics_t *m, cad_error_t *err);
/* Appends a line for each class: bases, precision, recall, F1, AUROC and AUPRC. */
void bases_put(const tuning_t *r, text_t *t);
void bases_json(const tuning_t *r, json_t *to);
void bases_close(tuning_t *r);

#endif
