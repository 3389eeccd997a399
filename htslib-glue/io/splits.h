/* splits.h - intervals of a reference under the names in column 4, as train and valid. SPDX-License-Identifier: MIT */
#ifndef CAD_SPLITS_H
#define CAD_SPLITS_H

#include "io/regions.h"

typedef struct splits_t {
    int n;
    char **name;      // (n) in the order in which they first come; none: (1) NULL
    regions_t **span; // (n)
    const char *path; /* of the first file; for messages */
} splits_t;
/* The rows of a BED; of several files, one after the other. */
int splits_add(splits_t *s, const char *path, const fasta_t *ref, notes_t *notes, cad_error_t *err);
void splits_finish(splits_t *s);
/* The number of the split, or CAD_EARG with the names that there are. */
int splits_find(const splits_t *s, const char *option, const char *name, cad_error_t *err);
void splits_free(splits_t *s);

#endif
