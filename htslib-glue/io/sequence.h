/* sequence.h - FASTA and FASTQ records. SPDX-License-Identifier: MIT */
#ifndef CAD_SEQUENCE_H
#define CAD_SEQUENCE_H

#include "io/input.h"

typedef struct seq_t {                       /* zeroed: empty */
    kstring_t name, comment, bases, scratch; /* comment: the rest of the header line */
} seq_t;
/* Reads the next record: 1, 0 at the end, or a negative CAD_E*. */
int seq_next(input_t *in, seq_t *s, cad_error_t *err);
void seq_free(seq_t *s);
/* Appends n letters to the bases, without blanks; a letter that is no base is CAD_EFORMAT. */
int bases_append(const input_t *in, const char *s, size_t n, kstring_t *bases, cad_error_t *err);

#endif
