/* ranking.c - AUROC, AUPRC and their bootstrap intervals. Rows are sorted once; a resample is a count of each row.
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "learn/ranking.h"

static int by_score(const void *a, const void *b)
{
    const scored_t *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (int)y->positive - (int)x->positive; /* a fixed order, for resamples */
}

void ranking_sort(scored_t *row, int64_t n)
{
    if (n) qsort(row, (size_t)n, sizeof *row, by_score);
}

areas_t ranking_areas(const scored_t *row, const uint32_t *times, int64_t n)
{
    double right = 0, wrong = 0, pairs = 0, precision = 0;
    for (int64_t i = 0, j; i < n; i = j) {
        double yes = 0, no = 0;
        for (j = i; j < n && row[j].score == row[i].score; j++) *(row[j].positive ? &yes : &no) += times ? times[j] : 1;
        pairs += no * (right + yes / 2);
        right += yes;
        wrong += no;
        if (yes > 0) precision += yes * right / (right + wrong);
    }
    if (right == 0 || wrong == 0) return (areas_t) { NAN, NAN };
    return (areas_t) { pairs / (right * wrong), precision / right };
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Returns the quantile q of n sorted numbers, interpolated linearly; NaN if there are none. */
static double quantile(const double *v, int64_t n, double q)
{
    double at = q * (double)(n - 1), part = at - floor(at);
    int64_t i = (int64_t)floor(at);
    if (n == 0) return NAN;
    return part > 0 ? v[i] + part * (v[i + 1] - v[i]) : v[i];
}

int ranking_intervals(const scored_t *row, int64_t n, int64_t resamples, uint64_t seed, areas_t *low, areas_t *high,
                      cad_error_t *err)
{
    uint32_t *times = cad_alloc((size_t)cad_max(n, 1), sizeof *times);
    double *roc = cad_alloc((size_t)cad_max(resamples, 1), sizeof *roc),
           *prc = cad_alloc((size_t)cad_max(resamples, 1), sizeof *prc);
    int64_t kept = 0;
    int rc = times && roc && prc ? 0 : cad_out_of_memory(err);
    for (int64_t k = 0; k < resamples && rc == 0; k++) {
        areas_t a;
        memset(times, 0, (size_t)n * sizeof *times);
        for (int64_t i = 0; i < n; i++) times[cad_below(cad_random(seed, (uint64_t)k, (uint64_t)i, 0), (uint64_t)n)]++;
        a = ranking_areas(row, times, n);
        if (isnan(a.auroc)) continue;
        roc[kept] = a.auroc;
        prc[kept++] = a.auprc;
    }
    if (rc == 0 && kept) {
        qsort(roc, (size_t)kept, sizeof *roc, by_number);
        qsort(prc, (size_t)kept, sizeof *prc, by_number);
    }
    *low = rc ? (areas_t) { NAN, NAN } : (areas_t) { quantile(roc, kept, 0.025), quantile(prc, kept, 0.025) };
    *high = rc ? (areas_t) { NAN, NAN } : (areas_t) { quantile(roc, kept, 0.975), quantile(prc, kept, 0.975) };
    free(times);
    free(roc);
    free(prc);
    return rc;
}
