/* vcf_header.h - reads the header of VCF and BCF, and prints a note for each header line that htslib does not keep.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_VCF_HEADER_H
#define CAD_VCF_HEADER_H

#include <htslib/vcf.h>

#include "io/notes.h"

/* Reads the header. Returns 0 or a negative CAD_E*. Like bcf_hdr_read, adds contigs that only the index of a VCF names,
 * but only if that index is valid. */
int vcf_header_read(bcf_hdr_t **h, htsFile *fp, const char *path, notes_t *notes, cad_error_t *err);

#endif
