/* cram_check.h - checks records before they are written as CRAM.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CRAM_CHECK_H
#define CAD_CRAM_CHECK_H

#include <htslib/sam.h>

#include "io/fasta.h"

typedef struct cram_check_t {
    /* Set by the caller; borrowed: */
    sam_hdr_t *header;
    const fasta_t *ref; /* what the CRAM is written with; without contigs if htslib finds the reference by itself */
    const char *path;   /* the input, for messages */
    notes_t *notes;
    /* Private: */
    bool *known; // (contigs) the contig was compared with ref; NULL: not open
} cram_check_t;
/* Returns 0, or CAD_ENOMEM. The caller frees r->known. */
int cram_check_open(cram_check_t *r, cad_error_t *err);
/* Refuses a record that CRAM cannot hold: htslib writes some of them, but cannot read them again. Notes a record that
 * CRAM holds otherwise. */
int cram_check(cram_check_t *r, const bam1_t *b, cad_error_t *err);

#endif
