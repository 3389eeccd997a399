/* labelled_variants.h - reads scores, labels and groups of alleles from the INFO of a VCF. SPDX-License-Identifier: MIT
 */
#ifndef CAD_LABELLED_VARIANTS_H
#define CAD_LABELLED_VARIANTS_H

#include "io/text.h"
#include "learn/ranking.h"

typedef struct labelled_allele_t {
    scored_t scored; /* score: -CADUCEUS_LLR or -CADUCEUS_DPLL */
    char *group;     /* value of the key `by`; "." if the record has none */
} labelled_allele_t;
typedef struct labelled_variants_t {
    /* Set by the caller: */
    const char *label; /* KEY, with values 0 and 1 or a flag, or KEY=VALUE: the value of positive alleles */
    const char *by;    /* KEY, or NULL: no groups */
    /* Set by labelled_variants_read: */
    labelled_allele_t *allele; // (n) sorted by group
    int64_t n, room;
    int64_t unlabelled, unscored; /* alleles that are left out */
} labelled_variants_t;
/* Reads a VCF that caduceus annotate has scored, plain or compressed. */
int labelled_variants_read(labelled_variants_t *v, const char *path, cad_error_t *err);
void labelled_variants_free(labelled_variants_t *v);

#endif
