/* source_bed.h - functions of source_bed.c that other readers of BED rows use too.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SOURCE_BED_H
#define CAD_SOURCE_BED_H

#include "io/fasta.h"
#include "io/input.h"
#include "io/bed.h"

/* True if this comment may name columns: it has at least three columns, and either contains a tab or begins with
 * #chrom. */
bool row_header(const char *line, size_t len);

#endif
