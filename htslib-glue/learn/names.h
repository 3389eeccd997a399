/* names.h - finds columns by name, however many there are. SPDX-License-Identifier: MIT */
#ifndef CAD_NAMES_H
#define CAD_NAMES_H

#include "io/foundation.h"

typedef struct named_t {
    const char *name; /* borrowed */
    int64_t column;
} named_t;
/* Sorts by name, and equal names by column. */
void names_sort(named_t *v, int64_t n);
/* Returns the first column of this name in a sorted list, or -1. */
int64_t names_find(const named_t *v, int64_t n, const char *name);
/* Returns a name that a sorted list has twice, or NULL. */
const char *names_twice(const named_t *v, int64_t n);

#endif
