/* columns.h - writes text output: input lines with columns of scores added, and a matrix of embeddings beside them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_COLUMNS_H
#define CAD_COLUMNS_H

#include "io/npz.h"
#include "io/provenance.h"
#include "stream/region_windows.h"

/* End of the text of options in the provenance of a plain table. By this text, caduceus merge knows that the header
 * line has no '#'. */
#define TABLE_PLAIN " no-version"

typedef struct table_t {
    output_t *out;   /* NULL: a dry run, which only counts bytes */
    bool compressed; /* out is BGZF */
    bool plain;      /* --no-version: no provenance, and no '#' before the names of the columns */
    npy_t npy;       /* the matrix of embeddings; npy.out NULL: no matrix */
    /* if npz.out is not NULL, the embeddings are written here, not to the matrix: one array for each region, with a row
     * for each base */
    npz_t npz;
    output_t *json;  /* the .json beside the matrix, or NULL */
    output_t *part;  /* the .json beside a shard's rows, or NULL */
    output_t *index; /* the index of the rows, or NULL */
    bool csi;        /* true: the index is CSI; false: TBI */
    score_list_t scores;
    const cutter_t *cutter;
    bool column; /* true: write embeddings as a column of text */
    bool wide;   /* true, together with `column`: write one column for each number of an embedding */
    bool csv;    /* true: write CSV, without provenance, comments and '#' */
    const provenance_t *provenance;
    const char *rows_are; /* description of the rows of the matrix, for the .json */
    int64_t bytes;        /* bytes written, or counted in a dry run */
    int64_t rows, bases;  /* number of regions written, and number of their bases */
    /* Private: */
    text_t text, line;
    float *row; // (D)
} table_t;
/* Begins the matrix of embeddings, with `width` columns. Call this after the outputs are opened and before the first
 * row. */
int table_begin(table_t *t, int64_t width, cad_error_t *err);
/* Writes the provenance and one line of column names, "#chrom...", for rows of ncol columns (0: there are no rows).
 * given: a comment of the input (n bytes). If table_extends() is true, the line of column names is `given` with columns
 * added; otherwise it has standard names. If t->plain is true, writes only the column names, without the '#'. */
int table_header(table_t *t, int ncol, const char *given, size_t n, cad_error_t *err);
/* Appends to s the header that table_header writes, without the last \n. names: the names of the added columns, each
 * preceded by a tab; added: number of added columns. */
void table_columns(const provenance_t *p, bool plain, int ncol, const char *given, size_t n, const text_t *names,
                   int64_t added, text_t *s);
/* True if the given line has as many columns as the rows, ncol, and is therefore their header. ncol 0: there are no
 * rows. */
bool table_extends(int ncol, const char *given, size_t n);
/* True if rows of ncol columns would have twelve columns after `added` columns are added. One more (filler) column is
 * then written, since other tools would read rows of twelve columns as BED12. */
bool table_filler(int ncol, int64_t added);
/* Appends the names of the columns of an embedding, each after a tab: prefix0, prefix1, .... */
void table_names(const char *prefix, int64_t n, text_t *s);
/* Appends n numbers, each after a tab. */
void table_numbers(const float *v, int64_t n, text_t *s);
/* Writes a line unchanged or, for CSV output, with commas in place of tabs. */
int table_pass(table_t *t, const char *line, size_t n, cad_error_t *err);
/* Writes the results of a region: its line with columns added, and its row of the matrix. */
int table_region(table_t *t, const region_t *r, cad_error_t *err);
/* Writes n rows of embeddings, one for each of the next n bases of a region. Used as cutter_t.rows, with the table as
 * arg. */
int table_rows(void *table, const region_t *r, const float *rows, int64_t n, cad_error_t *err);
int table_close(table_t *t, cad_error_t *err);
void table_free(table_t *t);

#endif
