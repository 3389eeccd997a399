/* eqtl_rows.h - reads variants that are labelled as changing expression in a tissue, with their distance to a gene's
 * start. SPDX-License-Identifier: MIT */
#ifndef CAD_EQTL_ROWS_H
#define CAD_EQTL_ROWS_H

#include "io/text.h"

typedef struct eqtl_variant_t {
    char *contig, *alleles; /* alleles: REF, a tab, ALT */
    int64_t pos;            /* from 1 */
} eqtl_variant_t;
typedef struct eqtl_row_t {
    eqtl_variant_t at; /* its strings are freed once `variant` is set */
    int64_t variant;   /* index in eqtl_rows_t.variant */
    double distance;   /* bases to the start of transcription; not negative */
    char *name;        /* name of its tissue; freed once `tissue` is set */
    int tissue;        /* index in eqtl_rows_t.tissue */
    bool positive, test;
} eqtl_row_t;
typedef struct eqtl_rows_t {
    /* Set by the caller: names of INFO keys, or of columns of a table */
    const char *label; /* KEY with values 0 and 1, or a flag; or KEY=VALUE: the value of positive rows */
    const char *split; /* KEY=VALUE: the value of rows to test on; others are trained on */
    const char *tissue_key, *distance;
    /* Set by eqtl_rows_read: */
    eqtl_row_t *row; // (n) in input order
    int64_t n, room;
    eqtl_variant_t *variant; // (variants) without repeats, sorted by contig and position
    int64_t variants;
    char **tissue; // (tissues) without repeats, sorted by bytes
    int64_t tissues;
    int64_t incomplete; /* rows that are left out, because one of the values is missing */
} eqtl_rows_t;
/* Reads a VCF, or a CSV or TSV with a line of column names, plain or compressed. */
int eqtl_rows_read(eqtl_rows_t *e, const char *path, cad_error_t *err);
void eqtl_rows_free(eqtl_rows_t *e);

#endif
