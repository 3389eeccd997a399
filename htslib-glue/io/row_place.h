/* row_place.h - finds the contig of a row in the reference, and checks that the row lies inside it.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_ROW_PLACE_H
#define CAD_ROW_PLACE_H

#include "io/bed.h"
#include "io/fasta.h"
#include "io/input.h"

/* Sets *c to the contig of a row of `in`; returns CAD_EFORMAT if the reference has no such contig. */
int row_contig(const input_t *in, const bed_row_t *row, const fasta_t *ref, const contig_t **c, cad_error_t *err);
/* Reports that an interval of the line just read ends past the end of its contig. Returns CAD_EFORMAT. */
int row_beyond(const input_t *in, interval_t span, const contig_t *c, const char *remedy, cad_error_t *err);
/* As row_contig, and checks that the row does not end past the end of its contig. */
int row_place(const input_t *in, const bed_row_t *row, const fasta_t *ref, const contig_t **c, cad_error_t *err);

#endif
