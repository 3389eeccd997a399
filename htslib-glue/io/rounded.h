/* rounded.h - counts the numbers of binary records that SAM and VCF cannot hold: htslib writes six digits.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_ROUNDED_H
#define CAD_ROUNDED_H

#include <htslib/sam.h>
#include <htslib/vcf.h>

#include "io/notes.h"

/* Notes each number in the record's tags whose text is another number. path: the input, for the message. */
void rounded_read(notes_t *notes, const char *path, const bam1_t *b);
/* Does the same for QUAL, INFO and FORMAT of a record. Fields of INFO with one of the n names in `own` are left out.
 * Returns 0, or CAD_ENOMEM if the record cannot be unpacked. */
int rounded_variant(notes_t *notes, const char *path, const bcf_hdr_t *h, bcf1_t *rec, const char (*own)[64], int n,
                    cad_error_t *err);

#endif
