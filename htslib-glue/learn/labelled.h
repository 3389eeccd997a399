/* labelled.h - sequences with labels, or without. SPDX-License-Identifier: MIT */
#ifndef CAD_LABELLED_H
#define CAD_LABELLED_H

#include "io/fasta.h"
#include "io/input.h"
#include "io/sequence.h"

typedef struct labelled_t {
    /* set by the caller */
    const char *path, *format;     /* format: bed, fasta, fastq, csv, tsv; NULL to detect */
    const char *sequence, *labels; /* columns by name or number, labels comma-separated; NULL: the usual */
    const fasta_t *ref;            /* of BED, or NULL */
    bool need_labels;
    int64_t window; /* longest sequence */
    bool crop;      /* the middle of longer ones */
    /* the row read */
    bool data;         /* false: a line of BED that is no row; only text */
    int64_t row, line; /* counted from 1 */
    kstring_t text;    /* BED: the line, without its CR */
    bool cr;
    kstring_t name, bases; /* name: of a FASTA record, or of a column "name" or "id" */
    kstring_t label;       /* those of all columns, separated by NUL; empty: none */
    int nlabel;            /* columns of labels; 0: the input has none */
    /* of the whole input */
    input_t in;
    bool table, named; /* CSV or TSV; rows have names */
    int ncol;          /* BED: columns of the first row */
    kstring_t leading; /* BED: lines before it, each with its \n */
    char **label_name; // (nlabel) names of their columns
    /* its own */
    kstring_t raw, cell;
    size_t *at; // (ncell) beginnings of columns in cell
    int ncell, room, sequence_column, name_column, *label_column;
    char separator;
    bool held; /* the first row is in raw */
    seq_t seq;
} labelled_t;
int labelled_open(labelled_t *l, cad_error_t *err);
/* The next row: 1, 0 at the end, or CAD_E*. */
int labelled_next(labelled_t *l, cad_error_t *err);
/* BED: the leading line that names columns, "" if there is none. */
const char *labelled_header(const labelled_t *l, size_t *n);
void labelled_close(labelled_t *l);

#endif
