/* bed.h - parses BED rows. Intervals are 0-based and half-open.
 *
 * SPDX-License-Identifier: MIT
 */
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
    const char *name; /* column 4, a pointer into the line; NULL if there is none */
    int name_len;
    /* (nblock) malloc'd, ascending and not overlapping; NULL if bed_parse was called with split false */
    interval_t *block;
    int nblock;
} bed_row_t;
/* Parses a data line into *row, to be freed with bed_free. Returns 0, CAD_EFORMAT or CAD_ENOMEM; after an error
 * there is nothing to free. path and number, the line's number from 1, are for messages. split: also parse the
 * blocks of a BED12. */
int bed_parse(const char *path, int64_t number, const char *line, size_t len, bool split, bed_row_t *row,
              cad_error_t *err);
void bed_free(bed_row_t *row);
typedef enum { LINE_DATA, LINE_BLANK, LINE_COMMENT, LINE_BROWSER } line_kind_t;
line_kind_t bed_line_kind(const char *line, size_t len);
/* Returns the number of columns. Columns are separated by tabs and, before the first tab, also by spaces. */
int bed_columns(const char *line, size_t len);
/* Finds the next column of s (n bytes). Sets *column, a pointer into s, and *len. Returns false at the end of the line.
 * *at is the number of bytes of s already read; set it to 0 before the first call. */
bool bed_column(const char *s, size_t n, size_t *at, const char **column, size_t *len);
/* Appends a line of column names, "#chrom\tstart...", for ncol columns. */
void bed_header(text_t *t, int ncol);

#endif
