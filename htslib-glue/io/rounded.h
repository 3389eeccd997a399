/* rounded.h - counts the numbers in BAM and BCF records that are rounded when htslib writes them as text, with six
 * digits.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_ROUNDED_H
#define CAD_ROUNDED_H

#include <htslib/sam.h>
#include <htslib/vcf.h>

#include "io/notes.h"

/* Prints or counts a note for each number in the record's tags whose text differs from the number. path: the input's
 * path, for the message. */
void rounded_read(notes_t *notes, const char *path, const bam1_t *b);
/* Does the same for QUAL, INFO and FORMAT of a record. Skips the INFO fields whose names are among the n names in
 * `own`, which the command writes itself. Returns 0, or CAD_ENOMEM if the record cannot be unpacked. */
int rounded_variant(notes_t *notes, const char *path, const bcf_hdr_t *h, bcf1_t *rec, const char (*own)[64], int n,
                    cad_error_t *err);

#endif
