/* splits.h - reads intervals of a reference, grouped by the names in column 4 of a BED, such as train
 * and valid. Contigs and intervals are checked against the reference. SPDX-License-Identifier: MIT */
#ifndef CAD_SPLITS_H
#define CAD_SPLITS_H

#include "io/regions.h"

typedef struct splits_t { /* zeroed: empty */
    int n;
    char **name; // (n) names in the order of first occurrence; without a column 4, n is 1 and the only name is NULL
    regions_t **span; // (n) intervals of each split
    const char *path; /* path of the first file, for messages; borrowed */
} splits_t;
/* Adds the rows of a BED. Returns 0 or a negative CAD_E*. May be called for several files. */
int splits_add(splits_t *s, const char *path, const fasta_t *ref, notes_t *notes, cad_error_t *err);
void splits_finish(splits_t *s); /* call this after the last file */
/* Returns the index of the split (group of intervals) with this name, or CAD_EARG with a text that lists the names.
 * option: name of the option, for the message. */
int splits_find(const splits_t *s, const char *option, const char *name, cad_error_t *err);
void splits_free(splits_t *s);

#endif
