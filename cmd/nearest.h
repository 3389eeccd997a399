/* nearest.h - finds the known word that a misspelt word was meant to be. SPDX-License-Identifier: MIT */
#ifndef CAD_NEAREST_H
#define CAD_NEAREST_H

#include <stddef.h>

typedef struct nearest_t {
    const char *word; /* n bytes */
    size_t n;
    const char *best; /* the nearest candidate so far; NULL: none is near enough */
    size_t distance;  /* edit distance of `best` to the word */
} nearest_t;
/* Begins a search for the word (n bytes). Afterwards, call nearest_try for each candidate. word and candidates are
 * borrowed. */
nearest_t nearest_begin(const char *word, size_t n);
void nearest_try(nearest_t *x, const char *candidate);

#endif
