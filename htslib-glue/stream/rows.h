/* rows.h - annotate's rows. SPDX-License-Identifier: MIT */
#ifndef CAD_ROWS_H
#define CAD_ROWS_H

#include "io/input.h"
#include "io/regions.h"
#include "stream/table.h"

typedef struct rows_t {
    input_t *in;
    const fasta_t *ref;              /* of BED rows */
    const regions_t *only, *targets; /* -r and -L; NULL: all rows */
    bool clip, split, drop_browser;
    const cutter_t *cutter;
    table_t *table;
    int64_t nrow;         /* its own, as what follows: rows so far */
    kstring_t line, held; /* the line read; a header held back */
    int ncol;             /* of the first row read, then of those written */
    bool headed;
} rows_t;
/* Reads all rows, puts them into the pipeline and flushes it. */
int rows_run(rows_t *r, cad_error_t *err);
/* The contig of the row just read; the error that it ends beyond it. */
int row_contig(const input_t *in, const bed_row_t *row, const fasta_t *ref, const contig_t **c, cad_error_t *err);
int row_beyond(const input_t *in, const bed_row_t *row, const contig_t *c, const char *remedy, cad_error_t *err);
/* May this comment name columns? "#chrom start end" with any separators, or "#x<TAB>..."
 * of three columns or more. */
bool row_header(const char *line, size_t len);

#endif
