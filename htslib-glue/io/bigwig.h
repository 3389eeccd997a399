/* bigwig.h - writing bigWig. SPDX-License-Identifier: MIT */
#ifndef CAD_BIGWIG_H
#define CAD_BIGWIG_H

#include "io/fasta.h"
#include "io/output.h"

typedef struct bigwig_t bigwig_t;
/* Begins a bigWig of these contigs (borrowed, in the order in which values will come) in `to`,
 * which stays owned by the caller. Free *w also after a failure. */
int bigwig_open(bigwig_t **w, output_t *to, const contig_t *contig, int ncontig, cad_error_t *err);
/* The value of one base; pos is 0-based. Contigs and positions ascend. */
int bigwig_add(bigwig_t *w, int contig, int64_t pos, float v, cad_error_t *err);
/* Writes the indexes and zoom levels; the caller then closes `to`. */
int bigwig_finish(bigwig_t *w, cad_error_t *err);
void bigwig_free(bigwig_t *w); /* NULL is allowed */

#endif
