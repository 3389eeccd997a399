/* names.h - finds columns by name in a sorted list, so that many columns are also found fast. SPDX-License-Identifier:
 * MIT */
#ifndef CAD_NAMES_H
#define CAD_NAMES_H

#include "io/foundation.h"

typedef struct named_t {
    const char *name; /* borrowed */
    int64_t column;
} named_t;
/* Sorts the n columns by name, and columns of equal name by column number. */
void names_sort(named_t *v, int64_t n);
/* Returns the number of the first column with this name in a list sorted by names_sort, or -1. */
int64_t names_find(const named_t *v, int64_t n, const char *name);
/* Returns a name that occurs twice in a list sorted by names_sort, or NULL. */
const char *names_twice(const named_t *v, int64_t n);

#endif
