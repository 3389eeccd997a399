/* regions.h - -r, -R, -t, -L. SPDX-License-Identifier: MIT */
#ifndef CAD_REGIONS_H
#define CAD_REGIONS_H

#include "io/bed.h"
#include "io/fasta.h"

typedef struct regions_t regions_t;
typedef struct names_t { /* the contig names there are */
    const void *dict;
    bool (*has)(const void *dict, const char *name);
    const char *path;    /* where they come from */
    const fasta_t *hint; /* it is these; or NULL */
    bool some;           /* of a BED, one row's contig must be there, not every row's */
    bool point;          /* chr:beg is that base alone, as in bcftools, not all from it on */
} names_t;
int regions_new(regions_t **r, cad_error_t *err);
/* "chr", "chr:beg" or "chr:beg-end", 1-based inclusive, comma-separated. names: NULL
 * if they are not known beforehand. Contigs of a FASTA go by its own names from there on. */
int regions_add_text(regions_t *r, const char *text, const names_t *names, cad_error_t *err);
int regions_add_bed(regions_t *r, const char *path, const names_t *names, cad_error_t *err);
int regions_add_span(regions_t *r, const char *contig, interval_t span, cad_error_t *err);
void regions_finish(regions_t *r);
/* Span k of a contig, in order and apart; false if there are no more. */
bool regions_get(const regions_t *r, const char *contig, int k, interval_t *span);
bool regions_overlap(const regions_t *r, const char *contig, int64_t beg, int64_t end);
/* The same as regions_get within the contig, with a warning if that cuts it; NULL: the
 * whole contig. 1, 0 if there are no more, CAD_EARG if it begins past the end. */
int regions_within(const regions_t *r, const contig_t *c, int k, interval_t *span, notes_t *notes, cad_error_t *err);
void regions_free(regions_t *r);

#endif
