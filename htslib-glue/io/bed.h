/* bed.h - rows of a BED. Coordinates are 0-based half-open. SPDX-License-Identifier: MIT */
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
    const char *name; /* column 4, in the line; NULL if there is none */
    int name_len;
    interval_t *block; /* BED12 blocks if asked for, else NULL */
    int nblock;
} bed_row_t;
/* A data line: 0 or CAD_EFORMAT. */
int bed_parse(const char *path, int64_t number, const char *line, size_t len, bool split, bed_row_t *row,
              cad_error_t *err);
void bed_free(bed_row_t *row);
typedef enum { LINE_DATA, LINE_BLANK, LINE_COMMENT, LINE_BROWSER } line_kind_t;
line_kind_t bed_line_kind(const char *line, size_t len);
/* Columns of a line: tab-separated if it has a tab, else by blanks. */
int bed_columns(const char *line, size_t len);
/* The next column; *at is 0 before the first. */
bool bed_column(const char *line, size_t len, size_t *at, const char **column, size_t *n);
/* "#chrom\tstart..." for ncol columns. */
void bed_header(text_t *t, int ncol);

#endif
