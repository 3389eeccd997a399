/* sam_header.h - the header of SAM, BAM and CRAM is checked line by line before htslib parses it. Every function
 * returns 0 or a negative CAD_E*.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SAM_HEADER_H
#define CAD_SAM_HEADER_H

#include <htslib/sam.h>

#include "io/notes.h"

/* Reads the header: CAD_EFORMAT that names the line if it is one that htslib would drop, or stumble over later. */
int sam_header_read(sam_hdr_t **h, htsFile *fp, const char *path, notes_t *notes, cad_error_t *err);
/* CAD_EFORMAT if its @PG lines form a circle by their PP: then htslib has no end to add a line to, and crashes. */
int sam_header_chains(sam_hdr_t *h, const htsFile *fp, const char *path, cad_error_t *err);

#endif
