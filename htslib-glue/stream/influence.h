/* influence.h - compares what the model predicts around an allele, given REF and given ALT.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_INFLUENCE_H
#define CAD_INFLUENCE_H

#include <stdint.h>

typedef struct influence_t { /* sums over n positions around an allele */
    int64_t n;
    double jsd;    /* Jensen-Shannon divergences between the two predictions, in bits; each is 0 to 1 */
    double change; /* largest changes of the log-odds of a base, in nats */
} influence_t;
/* Returns log(p/(1-p)) of base b; 1-p is the sum of the other bases' p. p: log p of A, C, G, T. */
double log_odds(const float p[4], int b);
/* Adds n positions. ref, alt (n,4): log p of A, C, G, T, natural logarithm; a position without predictions (NaN, as at
 * N) is left out. */
void influence_add(influence_t *s, const float *ref, const float *alt, int64_t n);

#endif
