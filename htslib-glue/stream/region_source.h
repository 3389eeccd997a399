/* region_source.h - what the sources of regions share: BED rows, sequence records, and in part reads.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_REGION_SOURCE_H
#define CAD_REGION_SOURCE_H

#include "stream/source.h"

/* Members of source_t. */
int regions_check(settings_t *set, const input_t *in, cad_error_t *err);
int regions_plan(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err);
void regions_describe(const stream_t *s, text_t *t);
int regions_take(void *stream, item_t *it, const job_t *j, cad_error_t *err);
int regions_sink(void *stream, item_t *it, cad_error_t *err);
void regions_drop(void *stream, item_t *it);
void regions_estimate(const stream_t *s, estimate_t *e);
double regions_share(const stream_t *s);

/* Tiling and cutter alone, without a table: for reads and evaluation. */
int regions_plan_cutter(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err);

#endif
