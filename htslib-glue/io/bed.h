/* bed.h - rows of a BED. Intervals are 0-based and half-open. SPDX-License-Identifier: MIT */
#ifndef CAD_BED_H
#define CAD_BED_H

#include "io/text.h"

typedef struct interval_t {
    int64_t beg, end;
} interval_t;
typedef struct bed_row_t {
    char *contig; /* malloc'd */
    interval_t span;
    int ncol;
    const char *name; /* column 4, borrowed from the line; NULL if there is none */
    int name_len;
    interval_t *block; /* (nblock) malloc'd, in order and disjoint; NULL unless requested */
    int nblock;
} bed_row_t;
/* Parses a data line into *row, to be freed: 0, CAD_EFORMAT or CAD_ENOMEM, then with nothing to
 * free. path and number (from 1) are for messages; split: BED12 blocks too. */
int bed_parse(const char *path, int64_t number, const char *line, size_t len, bool split, bed_row_t *row,
              cad_error_t *err);
void bed_free(bed_row_t *row);
typedef enum { LINE_DATA, LINE_BLANK, LINE_COMMENT, LINE_BROWSER } line_kind_t;
line_kind_t bed_line_kind(const char *line, size_t len);
/* The number of columns. Tabs separate columns; before the first tab, blanks do too. */
int bed_columns(const char *line, size_t len);
/* The next column, borrowed from the line; false at its end. *at is 0 before the first. */
bool bed_column(const char *line, size_t len, size_t *at, const char **column, size_t *n);
/* Appends "#chrom\tstart..." for ncol columns. */
void bed_header(text_t *t, int ncol);

#endif
