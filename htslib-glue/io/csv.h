/* csv.h - splits a line of CSV or TSV into its columns. SPDX-License-Identifier: MIT */
#ifndef CAD_CSV_H
#define CAD_CSV_H

#include <htslib/kstring.h>
#include <stdbool.h>

#include "io/foundation.h"

typedef struct cells_t { /* the columns of a line; zeroed: no columns */
    int n;
    /* Private: */
    kstring_t text; /* texts of the columns, each followed by NUL */
    size_t *at;     // (n) start of each column in text
    int room;
} cells_t;
/* Returns the text of column k (from 0), valid until the next call that changes the cells. */
const char *cells_get(const cells_t *c, int k);
/* Removes all columns. */
void cells_clear(cells_t *c);
/* Appends a column. Returns 0 or CAD_ENOMEM, without an error text. */
int cells_add(cells_t *c, const char *s, size_t n);
/* Splits a line of n bytes, which has no \n at its end. A column may be quoted; "" within quotes stands for one quote.
 * Returns 0, CAD_ENOMEM, or CAD_EFORMAT if a quoted column does not end at a separator. Sets no error text. */
int cells_split(cells_t *c, const char *s, size_t n, char separator);
/* Returns the separator of a line: a tab if the line has a tab, else a comma. */
char cells_separator(const char *s, size_t n);
/* Returns the index of the first column whose text is a or b, ignoring case; -1: there is none. */
int cells_find(const cells_t *c, const char *a, const char *b);
void cells_free(cells_t *c);

#endif
