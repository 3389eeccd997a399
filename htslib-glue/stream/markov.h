/* markov.h - fits Markov models of DNA, with which eval compares a language model. SPDX-License-Identifier: MIT */
#ifndef CAD_MARKOV_H
#define CAD_MARKOV_H

#include "io/foundation.h"

/* Orders of a model are 0 to CAD_MARKOV_ORDERS - 1. In the arrays below, bases A, C, G, T are 0 to 3, and any other
 * letter is 4. */
#define CAD_MARKOV_ORDERS 13
typedef struct cad_markov_t { /* models of orders 0 to `order` */
    int order;
    // count[k] (4^k,4): number of times that each base follows each word of k bases, on both strands
    uint32_t *count[CAD_MARKOV_ORDERS];
} cad_markov_t;
int cad_markov_open(cad_markov_t *m, int order, cad_error_t *err);
void cad_markov_close(cad_markov_t *m);
/* Counts the words (k bases and the base that follows) whose last base has an index in [seen, n) in `base` (n). Words
 * that end before `seen` were counted by an earlier call. */
int cad_markov_count(cad_markov_t *m, cad_team_t *team, const uint8_t *base, int64_t n, int64_t seen, cad_error_t *err);
/* Computes p (order+1,4): for each order k, the probabilities of A, C, G, T at t, given the k bases before t or, if
 * `after` is true, the k bases after t. Uses fewer than k bases if the sequence ends, or has a letter other than A, C,
 * G, T, within them. */
void cad_markov_predict(const cad_markov_t *m, const uint8_t *base, int64_t n, int64_t t, bool after, double (*p)[4]);
/* Computes p (4), the probabilities of A, C, G, T given the bases on both sides, assuming that the two sides are
 * independent given the base. before, after: the predictions from one side; alone: the prediction of order 0. */
void cad_markov_join(const double before[4], const double after[4], const double alone[4], double p[4]);

#endif
