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
    /* the reference with which the CRAM is written; has no contigs if htslib finds the reference by itself */
    const fasta_t *ref;
    const char *path; /* the input, for messages */
    notes_t *notes;
    /* Private: */
    bool *known; // (contigs) whether each contig was already compared with ref; NULL: not open
} cram_check_t;
/* Returns 0, or CAD_ENOMEM. The caller frees r->known. */
int cram_check_open(cram_check_t *r, cad_error_t *err);
/* Returns CAD_EFORMAT for a record that CRAM cannot store; htslib would write some of these records, but could not read
 * them again. Prints a note for a record that CRAM stores with changes. */
int cram_check(cram_check_t *r, const bam1_t *b, cad_error_t *err);

#endif
