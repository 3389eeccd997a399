/* source_bed.h - what other readers of BED rows share with the source. SPDX-License-Identifier: MIT */
#ifndef CAD_SOURCE_BED_H
#define CAD_SOURCE_BED_H

#include "io/fasta.h"
#include "io/input.h"
#include "io/bed.h"

/* The contig of the row that was just read. */
int row_contig(const input_t *in, const bed_row_t *row, const fasta_t *ref, const contig_t **c, cad_error_t *err);
/* May this comment name columns? "#chrom start end" with any separators, or "#x<TAB>..."
 * of three columns or more. */
bool row_header(const char *line, size_t len);

#endif
