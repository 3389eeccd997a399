/* labelled.h - sequences with labels, or without. SPDX-License-Identifier: MIT */
#ifndef CAD_LABELLED_H
#define CAD_LABELLED_H

#include "io/fasta.h"
#include "io/input.h"
#include "io/sequence.h"

typedef struct labelled_t {
    /* Set by the caller: */
    const char *path, *format;     /* format: bed, fasta, fastq, csv, tsv; NULL to detect */
    const char *sequence, *labels; /* columns by name or number, labels separated by commas; NULL: default names */
    const fasta_t *ref;            /* the reference of a BED, or NULL */
    bool need_labels;
    int64_t window; /* bases of the longest sequence */
    bool crop;      /* take the middle of longer ones */
    /* The row read last: */
    bool data;         /* false: a line of a BED that is not a row; only text is set */
    int64_t row, line; /* counted from 1 */
    kstring_t text;    /* BED: the line, without its CR */
    bool cr;
    kstring_t name, bases; /* name: of a FASTA record, or in a column "name" or "id" */
    kstring_t label;       /* the labels of all label columns, each ended by NUL; empty: none */
    int nlabel;            /* label columns; 0: the input has none */
    /* The whole input: */
    input_t in;
    bool table;        /* CSV or TSV */
    bool named;        /* rows have names */
    int ncol;          /* BED: columns of the first row */
    kstring_t leading; /* BED: lines before the first row, each with its \n */
    char **label_name; // (nlabel) names of the label columns
    /* Private: */
    kstring_t raw, cell;
    size_t *at; // (ncell) start of each column in cell
    int ncell, room, sequence_column, name_column, *label_column;
    char separator;
    bool held; /* raw holds the next line */
    seq_t seq;
} labelled_t;
/* Opens the input at path. */
int labelled_open(labelled_t *l, cad_error_t *err);
/* Reads the next row: 1, 0 at the end, or CAD_E*. */
int labelled_next(labelled_t *l, cad_error_t *err);
/* The leading line of a BED that names its columns, of n bytes; "" if there is none. */
const char *labelled_header(const labelled_t *l, size_t *n);
void labelled_close(labelled_t *l);

#endif
