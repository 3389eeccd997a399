/* markov.h - Markov models of DNA, which eval compares with a model. SPDX-License-Identifier: MIT */
#ifndef CAD_MARKOV_H
#define CAD_MARKOV_H

#include "io/foundation.h"

/* Bases are 0 to 3 for A, C, G, T; 4 is anything else. */
#define CAD_MARKOV_ORDERS 13
typedef struct cad_markov_t { /* models of orders 0 to `order` */
    int order;
    uint32_t *count[CAD_MARKOV_ORDERS]; // [k] (4^k,4): how often a base follows k bases, on both strands
} cad_markov_t;
int cad_markov_open(cad_markov_t *m, int order, cad_error_t *err);
void cad_markov_close(cad_markov_t *m);
/* Counts the words that end within [seen, n) of bases (n); the bases before were counted already. */
int cad_markov_count(cad_markov_t *m, cad_team_t *team, const uint8_t *base, int64_t n, int64_t seen, cad_error_t *err);
/* p (order+1,4): for each order k, the probabilities of A, C, G, T at t from the k bases before it, or
 * after it. Fewer bases are used where one of them is not known, or the sequence ends. */
void cad_markov_predict(const cad_markov_t *m, const uint8_t *base, int64_t n, int64_t t, bool after, double (*p)[4]);
/* p: the prediction from both sides, which are taken as independent given the base. alone: the order-0 prediction. */
void cad_markov_join(const double before[4], const double after[4], const double alone[4], double p[4]);

#endif
