/* nearest.h - finds the known word that a misspelt word was meant to be. SPDX-License-Identifier: MIT */
#ifndef CAD_NEAREST_H
#define CAD_NEAREST_H

#include <stddef.h>

typedef struct nearest_t {
    const char *word; /* n bytes */
    size_t n;
    const char *best; /* the nearest candidate so far; NULL: none is near enough */
    size_t distance;  /* of best */
} nearest_t;
/* Begins a search for the n bytes of word; then offer each candidate, which is borrowed. */
nearest_t nearest_begin(const char *word, size_t n);
void nearest_try(nearest_t *x, const char *candidate);

#endif
