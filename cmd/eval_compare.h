/* eval_compare.h - compares the predictions of two ways to mask, or of two flanks, at the same bases.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_EVAL_COMPARE_H
#define CAD_EVAL_COMPARE_H

#include "cmd.h"

typedef struct reading_t { /* what one setting predicts */
    float *logp;           // (bases,4) log p of A, C, G, T at each base
    uint8_t *base;         // (bases) the true bases, 0 to 3
    int64_t bases;
    work_t work;
    double seconds;
} reading_t;
void reading_free(reading_t *r);

#define COMPARE_COLUMNS "bases\tpasses\ttokens\tseconds\trms_pll\tspearman_pll\trms_llr\tspearman_llr\n"
/* Appends a row of a table: the setting's name and the differences of its predictions from those of `exact`. */
int compare_row(const char *name, const reading_t *r, const reading_t *exact, text_t *t, cad_error_t *err);

#endif
