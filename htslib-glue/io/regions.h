/* regions.h - the regions that limit what is read or written (-r, -R, -t, -L). Intervals are
 * 0-based and half-open. Every function that takes err returns 0 or a negative CAD_E*, unless
 * it says otherwise. SPDX-License-Identifier: MIT */
#ifndef CAD_REGIONS_H
#define CAD_REGIONS_H

#include "io/bed.h"
#include "io/fasta.h"

typedef struct regions_t regions_t;
typedef struct names_t { /* the contigs that regions may name; all is borrowed */
    const void *dict;
    bool (*has)(const void *dict, const char *name);
    const char *path;    /* the file that names them, for messages */
    const fasta_t *hint; /* the dict, if that is a FASTA; else NULL */
    bool some;           /* in a BED at least one row's contig must exist, not every row's */
    bool point;          /* chr:beg is one base, as in bcftools, not all bases from there */
} names_t;
/* An empty set; add to it, then regions_finish, then look up. */
int regions_new(regions_t **r, cad_error_t *err);
/* Adds "chr", "chr:beg" or "chr:beg-end", 1-based and inclusive, separated by commas. names:
 * NULL if they are not known yet. Aliases of a FASTA's contigs become its own names. */
int regions_add_text(regions_t *r, const char *text, const names_t *names, cad_error_t *err);
/* Reads one such region of a FASTA, without commas between regions. An end that the text does not give is INT64_MAX. */
int region_parse(const char *text, const fasta_t *ref, const contig_t **c, interval_t *span, cad_error_t *err);
int regions_add_bed(regions_t *r, const char *path, const names_t *names, cad_error_t *err);
int regions_add_span(regions_t *r, const char *contig, interval_t span, cad_error_t *err);
void regions_finish(regions_t *r); /* sorts and joins */
/* Span k of a contig; they ascend and do not touch. False if there are no more. */
bool regions_get(const regions_t *r, const char *contig, int k, interval_t *span);
bool regions_overlap(const regions_t *r, const char *contig, int64_t beg, int64_t end);
/* The same as regions_get, clipped to the contig with a warning; r NULL: the whole contig. 1, 0
 * if there are no more, CAD_EARG if the span begins past the end of the contig. */
int regions_within(const regions_t *r, const contig_t *c, int k, interval_t *span, notes_t *notes, cad_error_t *err);
void regions_free(regions_t *r); /* NULL is allowed */

#endif
