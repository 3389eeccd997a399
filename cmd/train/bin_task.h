/* bin_task.h - finetune --task tracks: values for each bin of bases. SPDX-License-Identifier: MIT */
#ifndef CAD_BIN_TASK_H
#define CAD_BIN_TASK_H

#include "train/finetune.h"

/* Reads the bigWigs and cuts the reference into the examples r->train, r->valid and r->test, by contig. Sets r->head. */
int bins_read(tuning_t *r, cad_error_t *err);
/* Allocates what bins_part needs. */
int bins_room(tuning_t *r, cad_error_t *err);
/* True if example x can be reverse-complemented: its bins are all of full length. */
bool bins_turn(const tuning_t *r, const example_t *x);
/* Sets example i of r->part, whose tokens begin at `at` in the part: its targets and weights. turned: it is
 * reverse-complemented. */
void bins_part(tuning_t *r, int64_t i, const example_t *x, int64_t at, bool turned);
/* Returns the number of bins with values of n training rows: what the loss is divided by. */
double bins_weight(const tuning_t *r, const int64_t *row, int64_t n);
int bins_measure(tuning_t *r, const examples_t *e, cad_context_t *ctx, metrics_t *m, cad_error_t *err);
/* Appends a line for each output: its name, loss, Pearson and Spearman. */
void bins_put(const tuning_t *r, text_t *t);
void bins_json(const tuning_t *r, json_t *to);
/* Appends the options of --task tracks to those of the provenance. */
void bins_options(const finetune_args_t *a, text_t *t);
/* Returns the path of the bigWig of an operand, [NAME=]FILE. */
const char *bins_file(const char *label);
void bins_close(tuning_t *r);

#endif
