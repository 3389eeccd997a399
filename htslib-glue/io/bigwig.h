/* bigwig.h - writing bigWig. SPDX-License-Identifier: MIT */
#ifndef CAD_BIGWIG_H
#define CAD_BIGWIG_H

#include "io/fasta.h"
#include "io/output.h"

typedef struct bigwig_t bigwig_t;
/* Of contigs in the order in which values will come. `to` stays the caller's. */
int bigwig_open(bigwig_t **w, output_t *to, const contig_t *contig, int ncontig, cad_error_t *err);
/* Contigs and positions ascend. */
int bigwig_add(bigwig_t *w, int contig, int64_t pos, float v, cad_error_t *err);
/* Writes the indexes and zoom levels; `to` is then to be closed. */
int bigwig_finish(bigwig_t *w, cad_error_t *err);
void bigwig_free(bigwig_t *w);

#endif
