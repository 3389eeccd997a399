/* scores.h - scores of regions. SPDX-License-Identifier: MIT */
#ifndef CAD_SCORES_H
#define CAD_SCORES_H

#include "io/text.h"

typedef enum { SCORE_PLL, SCORE_N, SCORE_ENTROPY, SCORE_IC, SCORES } score_t;
typedef struct score_list_t {
    int n;
    score_t kind[SCORES];
} score_list_t;
typedef struct score_sums_t {
    int64_t n;
    double pll, entropy;
} score_sums_t; /* over n bases; nats, bits */
/* Names of a --score list, each at most once, as numbers in its order; "none": 0. */
int list_parse(const char *text, const char *const name[], int names, int *picked, int *n, cad_error_t *err);
/* "pll,n", or "none". */
int scores_parse(score_list_t *l, const char *text, cad_error_t *err);
/* The names, the suffix on all but n. */
void scores_names(const score_list_t *l, const char *separator, const char *suffix, text_t *t);
/* The mean over the bases, or their number. */
void score_put(score_t kind, const score_sums_t *s, text_t *t);

#endif
