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
    cells_t cells; /* columns of the current row of a table */
    int ncol, sequence_column, name_column;
    char separator;
    int64_t row;
} seq_t;
/* Reads the next record. A row of a table takes its name from the column name or id; without such a column, its name is
 * its number, from 1. Returns 1, 0 at the end, or a negative CAD_E*. */
int seq_next(input_t *in, seq_t *s, cad_error_t *err);
void seq_free(seq_t *s);
/* Appends the n letters at s to bases, but skips blanks. Returns CAD_EFORMAT if a letter cannot be a base. */
int bases_append(const input_t *in, const char *s, size_t n, kstring_t *bases, cad_error_t *err);

#endif
