/* ranking.h - measures how well a score ranks positive rows before negative ones, with bootstrap intervals.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_RANKING_H
#define CAD_RANKING_H

#include "io/foundation.h"

typedef struct scored_t {
    double score;
    bool positive;
} scored_t;
typedef struct areas_t {
    double auroc; /* area under the ROC curve; a pair of equal scores counts half */
    double auprc; /* average precision: the sum of precision x gain of recall over all thresholds */
} areas_t;
/* Sorts rows by falling score. */
void ranking_sort(scored_t *row, int64_t n);
/* Computes both areas of sorted rows. times (n): how often a row counts; NULL: once. NaN without a positive or without a
 * negative row. */
areas_t ranking_areas(const scored_t *row, const uint32_t *times, int64_t n);
/* Computes the interval of 95 % (percentiles 2.5 and 97.5) of both areas over resamples of the rows, drawn with
 * replacement by the seed. Resamples of one kind of row are left out. */
int ranking_intervals(const scored_t *row, int64_t n, int64_t resamples, uint64_t seed, areas_t *low, areas_t *high,
                      cad_error_t *err);

#endif
