/* region_source.h - functions that the sources of regions share. These sources are BED rows, lists of regions and
 * sequence records. The source of reads uses some of the functions. SPDX-License-Identifier: MIT
 */
#ifndef CAD_REGION_SOURCE_H
#define CAD_REGION_SOURCE_H

#include "stream/source.h"

/* Functions for the members of source_t with the same names. REGION_MEMBERS sets the members that are the same in all
 * sources of regions. */
int regions_check(settings_t *set, const input_t *in, cad_error_t *err);
int regions_plan(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err);
void regions_describe(const stream_t *s, text_t *t);
int regions_take(void *stream, item_t *it, const job_t *j, cad_error_t *err);
int regions_sink(void *stream, item_t *it, cad_error_t *err);
void regions_drop(void *stream, item_t *it);
void regions_estimate(const stream_t *s, estimate_t *e);
double regions_share(const stream_t *s);
#define REGION_MEMBERS                                                                                              \
    .headless = "use --score none --embed FILE", .needs = NEEDS_BASES, .of = OF_REGIONS, .scores = "pll,n",         \
    .embeds = true, .plan = regions_plan, .describe = regions_describe, .take = regions_take, .sink = regions_sink, \
    .drop = regions_drop, .estimate = regions_estimate, .share = regions_share

/* Puts a line that is not a region, such as a comment, into the pipeline, so that it is written unchanged and in its
 * place. */
int regions_pass(stream_t *s, const kstring_t *line, cad_error_t *err);
/* Checks that the interval ends within its contig. An interval that ends beyond it is an error; with --clip, it only
 * gets a note. */
int regions_place(const stream_t *s, const contig_t *c, interval_t span, cad_error_t *err);
/* Makes a region from a line; NULL: out of memory. row: number of the region. The caller then sets its nspan
 * intervals. */
region_t *regions_row(const kstring_t *line, int64_t row, int ncol, const contig_t *c, int nspan);

/* Sets s->tiling and s->cutter for windows of `window` bases, and *longest to the length of the longest window. Does
 * not use s->table, so the sources of reads and of evaluation also call it. */
int regions_plan_cutter(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err);

#endif
