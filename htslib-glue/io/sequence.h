/* sequence.h - reads records of FASTA and FASTQ, and rows of a CSV or TSV that has a column sequence or seq.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SEQUENCE_H
#define CAD_SEQUENCE_H

#include "io/csv.h"
#include "io/input.h"

typedef struct seq_t {              /* zeroed: empty */
    kstring_t name, comment, bases; /* comment: the header line after the name */
    /* Private: */
    kstring_t scratch;
    cells_t cells; /* columns of a row of a table */
    int ncol, sequence_column, name_column;
    char separator;
    int64_t row;
} seq_t;
/* Reads the next record. The name of a table's row is that in the column name or id, else its number, from 1. Returns 1,
 * 0 at the end, or a negative CAD_E*. */
int seq_next(input_t *in, seq_t *s, cad_error_t *err);
void seq_free(seq_t *s);
/* Appends n letters to bases, without blanks. Returns CAD_EFORMAT if a letter cannot be a base. */
int bases_append(const input_t *in, const char *s, size_t n, kstring_t *bases, cad_error_t *err);

#endif
