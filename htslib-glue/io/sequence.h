/* sequence.h - reads FASTA and FASTQ records.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SEQUENCE_H
#define CAD_SEQUENCE_H

#include "io/input.h"

typedef struct seq_t {                       /* zeroed: empty */
    kstring_t name, comment, bases, scratch; /* comment: the header line after the name; scratch: private */
} seq_t;
/* Reads the next record. Returns 1, 0 at the end, or a negative CAD_E*. */
int seq_next(input_t *in, seq_t *s, cad_error_t *err);
void seq_free(seq_t *s);
/* Appends n letters to bases, without blanks. Returns CAD_EFORMAT if a letter cannot be a base. */
int bases_append(const input_t *in, const char *s, size_t n, kstring_t *bases, cad_error_t *err);

#endif
