/* table.h - annotate's sink. SPDX-License-Identifier: MIT */
#ifndef CAD_TABLE_H
#define CAD_TABLE_H

#include "io/npz.h"
#include "io/provenance.h"
#include "stream/cut.h"

typedef struct table_t {
    output_t *out;  /* NULL: a dry run, which only counts bytes */
    npy_t npy;      /* npy.out NULL: no matrix */
    npz_t npz;      /* instead of npy, if npz.out: an array for each region's bases */
    output_t *json; /* beside the matrix, or NULL */
    output_t *part; /* beside a shard's rows, or NULL */
    score_list_t scores;
    const cutter_t *cutter;
    bool column; /* embeddings as a column */
    const provenance_t *provenance;
    const char *rows_are; /* what a row of the matrix is, for its .json */
    int64_t bytes;        /* written, or that would be */
    int64_t rows, bases;  /* of the regions seen */
    text_t text;          /* its own */
    float *row;           // (D)
} table_t;
/* width: D. After the outputs are open and before the first row. */
int table_begin(table_t *t, int64_t width, cad_error_t *err);
/* Provenance and the one #chrom line for rows of ncol columns (0: no row seen):
 * the given line extended if it fits. */
int table_header(table_t *t, int ncol, const char *given, size_t n, cad_error_t *err);
/* That header for names that each follow a tab; s gets no \n. */
void table_columns(const provenance_t *p, int ncol, const char *given, size_t n, const text_t *names, int64_t added,
                   text_t *s);
/* A given line fits rows of ncol columns (0: none seen), and becomes their header. */
bool table_extends(int ncol, const char *given, size_t n);
/* A row that is not BED12 must not end up with twelve columns: it gets one more. */
bool table_filler(int ncol, int64_t added);
int table_pass(table_t *t, const char *line, size_t n, cad_error_t *err);
/* For the pipeline and the cutter, with the table as arg. */
int table_take(void *table, item_t *it, const job_t *j, cad_error_t *err);
int table_sink(void *table, item_t *it, cad_error_t *err);
void table_drop(void *table, item_t *it);
int table_rows(void *table, const region_t *r, const float *rows, int64_t n, cad_error_t *err);
int table_close(table_t *t, cad_error_t *err);
void table_free(table_t *t);

#endif
