/* bigwig.h - writes bigWig files. SPDX-License-Identifier: MIT */
#ifndef CAD_BIGWIG_H
#define CAD_BIGWIG_H

#include "io/fasta.h"
#include "io/output.h"

typedef struct bigwig_t bigwig_t;
/* Begins a bigWig of these contigs in the output `to`, which the caller owns. Borrows the array `contig`. The values
 * must be added contig by contig, in the order of that array. Free *w also after a failure. */
int bigwig_open(bigwig_t **w, output_t *to, const contig_t *contig, int ncontig, cad_error_t *err);
/* Adds the value of one base. contig: index in the array given to bigwig_open; pos is 0-based. Contigs and positions
 * must ascend. */
int bigwig_add(bigwig_t *w, int contig, int64_t pos, float v, cad_error_t *err);
/* Writes the indexes and zoom levels. Then the caller closes `to`. */
int bigwig_finish(bigwig_t *w, cad_error_t *err);
void bigwig_free(bigwig_t *w); /* NULL is allowed */

#endif
