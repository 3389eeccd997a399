/* labelled.h - reads sequences with or without labels for a classifier, from a file or from a folder with a file or
 * folder for each class.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_LABELLED_H
#define CAD_LABELLED_H

#include "io/csv.h"
#include "io/fasta.h"
#include "io/input.h"
#include "io/sequence.h"
#include "learn/names.h"

typedef struct labelled_t {
    /* Set by the caller: */
    const char *path, *format; /* format: bed, fasta, fastq, csv or tsv; NULL: detected */
    /* names or numbers of the columns with the sequence and with labels; several label columns are separated by commas;
     * NULL: the default columns */
    const char *sequence, *labels;
    const fasta_t *ref; /* reference from which the sequences of a BED are taken, or NULL */
    bool need_labels;
    int64_t window; /* maximum length of a sequence, in bases */
    bool crop;      /* true: use the middle of longer sequences; false: refuse them */
    /* cut sequences on the right, or pad them with N on the left, to this length; 0: neither, and `window` holds */
    int64_t pad;
    int64_t around; /* bases of the reference on either side of a region to read too */
    /* The row that was read last: */
    /* true: a row of data; false: another line of a BED (comment, blank), for which only text and cr are set */
    bool data;
    int64_t row, line; /* number of the row, and of its line in the file, from 1 */
    kstring_t text;    /* BED: the line, without \r */
    bool cr;
    kstring_t name, bases; /* name: name of the FASTA or FASTQ record, or text of the column "name" or "id" */
    int64_t padded;        /* letters N that were put before the sequence */
    /* (2 around) the bases before and after the sequence, N beyond the contig's ends; empty if they are not known */
    kstring_t sides;
    kstring_t label; /* text of each label column, each followed by NUL; empty: the row has no labels */
    int nlabel;      /* number of label columns; 0: the input has none */
    /* About the whole input: */
    input_t in;
    bool table;        /* true if the input is a CSV or TSV */
    bool named;        /* true if the rows have names */
    int ncol;          /* BED: number of columns of the first row */
    kstring_t leading; /* BED: all lines before the first row, each with its \n */
    char **label_name; // (nlabel) names of the label columns
    /* Private: */
    kstring_t raw;
    cells_t cells; /* columns of the line */
    int sequence_column, name_column, *label_column, label_room;
    int place[4];              /* table of intervals: columns of contig, start, end and strand (-1: none) */
    bool placed;               /* true for a table of intervals */
    struct class_file_t *file; // (files) a folder with the files of each class; NULL: one file
    int files, at;             /* at: the file that is being read */
    named_t *header; // (cells.n) columns of a table's header, sorted by name; used only while the header is read
    char separator;
    bool held; /* true if the next call returns the line in raw */
    seq_t seq;
} labelled_t;
/* Opens the input at path. */
int labelled_open(labelled_t *l, cad_error_t *err);
/* Reads the next row. Returns 1, 0 at the end, or a negative CAD_E*. */
int labelled_next(labelled_t *l, cad_error_t *err);
/* Returns the header of a BED, a line before the first row that names the columns, and sets *n to its length. Returns
 * "" if there is no such line. */
const char *labelled_header(const labelled_t *l, size_t *n);
void labelled_close(labelled_t *l);

/* ---- interval_table.c ---- */
/* Sets place and placed if the header, which is in l->cells, names the columns of intervals. */
void places_find(labelled_t *l);
/* Sets the bases of a row, which is in l->cells, to those of its interval. */
int places_fetch(labelled_t *l, cad_error_t *err);

/* Sets l->sides to the bases before beg and from end on. */
int sides_fetch(labelled_t *l, const contig_t *c, int64_t beg, int64_t end, cad_error_t *err);

/* ---- class_files.c ---- */
typedef struct class_file_t {
    char *path, *class; /* class: the label of all rows in the file */
    bool text;          /* the file is one sequence, without a header or a name; otherwise it is a table */
} class_file_t;
/* Lists the files of a folder that has a table or a folder of texts for each class, sorted by class and name. */
int class_files(const char *dir, class_file_t **file, int *n, cad_error_t *err);
void class_files_free(class_file_t *file, int n);

#endif
