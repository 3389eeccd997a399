/* sam_header.h - reads the header of SAM, BAM and CRAM and checks it line by line before htslib parses it. Every
 * function returns 0 or a negative CAD_E*.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SAM_HEADER_H
#define CAD_SAM_HEADER_H

#include <htslib/sam.h>

#include "io/notes.h"

/* Reads the header. Returns CAD_EFORMAT, with a text that names the line, if there is a line that htslib would drop or
 * fail to parse later. */
int sam_header_read(sam_hdr_t **h, htsFile *fp, const char *path, notes_t *notes, cad_error_t *err);
/* Returns CAD_EFORMAT if the PP tags of the @PG lines form a cycle. With a cycle, htslib crashes when it adds a @PG
 * line, because no program is the last one. */
int sam_header_chains(sam_hdr_t *h, const htsFile *fp, const char *path, cad_error_t *err);

#endif
