/* columns.h - text output: input lines with columns added, and a matrix beside them. SPDX-License-Identifier: MIT */
#ifndef CAD_COLUMNS_H
#define CAD_COLUMNS_H

#include "io/npz.h"
#include "io/provenance.h"
#include "stream/region_windows.h"

typedef struct table_t {
    output_t *out;   /* NULL: a dry run, which only counts bytes */
    bool compressed; /* out is BGZF */
    npy_t npy;       /* npy.out NULL: no matrix */
    npz_t npz;       /* instead of npy, if npz.out: an array for each region's bases */
    output_t *json;  /* beside the matrix, or NULL */
    output_t *part;  /* beside a shard's rows, or NULL */
    score_list_t scores;
    const cutter_t *cutter;
    bool column; /* embeddings as a column */
    const provenance_t *provenance;
    const char *rows_are; /* for the .json: the meaning of the matrix' rows */
    int64_t bytes;        /* written, or in a dry run counted */
    int64_t rows, bases;  /* of the regions written */
    /* Its own: */
    text_t text;
    float *row; // (D)
} table_t;
/* After the outputs are open and before the first row. width: the matrix has (rows,width). */
int table_begin(table_t *t, int64_t width, cad_error_t *err);
/* Writes provenance and the one #chrom line for rows of ncol columns (0: there are none). It is the
 * given line (n) with columns added, if that fits. */
int table_header(table_t *t, int ncol, const char *given, size_t n, cad_error_t *err);
/* Adds that header to s, without a \n. names: of the added columns, each after a tab. */
void table_columns(const provenance_t *p, int ncol, const char *given, size_t n, const text_t *names, int64_t added,
                   text_t *s);
/* The given line fits rows of ncol columns (0: there are none), so it becomes their header. */
bool table_extends(int ncol, const char *given, size_t n);
/* True if the added columns would make twelve. A filler column is then added, so that the row is not
 * taken for BED12. */
bool table_filler(int ncol, int64_t added);
/* Writes a line as it is. */
int table_pass(table_t *t, const char *line, size_t n, cad_error_t *err);
/* Writes a complete region: its line with the columns, and its row of the matrix. */
int table_region(table_t *t, const region_t *r, cad_error_t *err);
/* For cutter_t.rows, with the table as arg: writes n rows of the matrix, for bases of a region. */
int table_rows(void *table, const region_t *r, const float *rows, int64_t n, cad_error_t *err);
int table_close(table_t *t, cad_error_t *err);
void table_free(table_t *t);

#endif
