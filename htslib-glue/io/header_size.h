/* header_size.h - refuses headers of reads and variants that are too large once they are decompressed.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_HEADER_SIZE_H
#define CAD_HEADER_SIZE_H

#include <htslib/hts.h>

#include "base/base.h"

#define HEADER_MOST ((int64_t)1 << 28) /* bytes: some five million contigs */

/* Decompresses the header of a BAM, or of a compressed SAM or VCF, without keeping it: htslib keeps the whole header in
 * memory, and a file of some hundred kilobytes can expand to gigabytes. Returns CAD_EFORMAT if the header is larger than
 * HEADER_MOST. Damage is left to the reader. Does not check a pipe. */
int header_bounded(const htsFile *fp, const char *path, cad_error_t *err);
/* Returns the error of header_bounded. */
int header_too_large(const char *path, cad_error_t *err);

#endif
