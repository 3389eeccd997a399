/* bedgraph.h - reads a bedGraph. SPDX-License-Identifier: MIT */
#ifndef CAD_BEDGRAPH_H
#define CAD_BEDGRAPH_H

#include "io/fasta.h"

/* True if the name is that of a bedGraph: .bedGraph, .bg or .bdg, which .gz may follow. */
bool bedgraph_named(const char *path);
typedef int bedgraph_f(void *arg, int contig, int64_t beg, int64_t end, float v, cad_error_t *err);
/* Calls each(arg, contig, beg, end, value, err) for every row; contig is an index in ref, beg is 0-based. It is an error
 * if a contig is not in ref, or if its rows are not in order or overlap. Stops at the first call that does not return 0,
 * and returns its result. */
int bedgraph_all(const char *path, const fasta_t *ref, bedgraph_f *each, void *arg, cad_error_t *err);

#endif
