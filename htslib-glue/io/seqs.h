/* seqs.h - FASTA and FASTQ records. SPDX-License-Identifier: MIT */
#ifndef CAD_SEQS_H
#define CAD_SEQS_H

#include "io/input.h"

typedef struct seq_t {
    kstring_t name, comment, bases, scratch;
} seq_t; /* comment: the rest of the name's line */
/* The next record: 1, 0 at the end, or CAD_E*. */
int seq_next(input_t *in, seq_t *s, cad_error_t *err);
void seq_free(seq_t *s);
/* Letters without blanks onto the bases; anything that is no base is an error. */
int bases_append(const input_t *in, const char *s, size_t n, kstring_t *bases, cad_error_t *err);

#endif
