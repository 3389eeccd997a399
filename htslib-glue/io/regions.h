/* regions.h - reads and looks up the regions that limit the input (-r, -R, -t, -L). Intervals are 0-based and
 * half-open. A function that takes err returns 0 or a negative CAD_E*, except where its comment says otherwise.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_REGIONS_H
#define CAD_REGIONS_H

#include "io/bed.h"
#include "io/fasta.h"

typedef struct regions_t regions_t;
typedef struct names_t { /* the contigs that regions may name; all members are borrowed */
    const void *dict;
    bool (*has)(const void *dict, const char *name);
    const char *path;    /* the file that has these contigs, for messages */
    const fasta_t *hint; /* equals dict if dict is a FASTA; else NULL */
    bool some;           /* true: at least one row of a BED must name a known contig; false: every row must */
    bool point;          /* chr:beg means only that base, as in bcftools, not all bases from there on */
} names_t;
/* Makes an empty set of regions. After adding all regions, call regions_finish; only then look up regions. */
int regions_new(regions_t **r, cad_error_t *err);
/* Adds regions separated by commas: "chr", "chr:beg" or "chr:beg-end", 1-based and inclusive. Contig names may contain
 * colons and commas: if a text can be read in several ways, the longest name of an existing contig is taken. A name may
 * be enclosed in braces, as in {chr:1}:5-9. names: NULL if the contigs are not known yet. An alias of a FASTA's contig
 * is replaced by the FASTA's own name. */
int regions_add_text(regions_t *r, const char *text, const names_t *names, cad_error_t *err);
/* Parses one region of a FASTA, in the syntax of regions_add_text. If the text has no end, span->end is INT64_MAX. */
int region_parse(const char *text, const fasta_t *ref, const contig_t **c, interval_t *span, cad_error_t *err);
int regions_add_bed(regions_t *r, const char *path, const names_t *names, cad_error_t *err);
int regions_add_span(regions_t *r, const char *contig, interval_t span, cad_error_t *err);
void regions_finish(regions_t *r); /* sorts the regions and joins those that overlap or touch */
/* Finds region k (from 0) of a contig; regions ascend and do not touch. Returns false if there are no more. */
bool regions_get(const regions_t *r, const char *contig, int k, interval_t *span);
bool regions_overlap(const regions_t *r, const char *contig, int64_t beg, int64_t end);
/* Finds region k of a contig, as regions_get does, and clips it to the contig with a warning. If r is NULL, the whole
 * contig is the only region. Returns 1, 0 if there are no more, or CAD_EARG if the region begins past the end of
 * the contig. */
int regions_within(const regions_t *r, const contig_t *c, int k, interval_t *span, notes_t *notes, cad_error_t *err);
typedef struct found_t { /* the regions of a reference */
    int64_t count, longest;
    int contig; /* contig and interval of the last region */
    interval_t at;
} found_t;
/* Counts the regions that regions_within finds on all contigs of the reference. notes: NULL for no warnings. */
int regions_find(const regions_t *r, const fasta_t *ref, notes_t *notes, found_t *found, cad_error_t *err);
typedef struct contigs_t { /* the contigs of a header or a reference, in the order in which a run reads them */
    const void *dict;      /* borrowed */
    int n;
    const char *(*name)(const void *dict, int i);
    int64_t (*length)(const void *dict, int i); /* length of contig i in bases; 0: not known */
} contigs_t;
/* Returns the fraction of the bases of all regions that lie before base pos of the contig with this index, or 0 if the
 * lengths of the contigs are not known. r NULL: the regions are all whole contigs. */
double regions_share_before(const regions_t *r, const contigs_t *contigs, int contig, int64_t pos);
void regions_free(regions_t *r); /* NULL is allowed */

#endif
