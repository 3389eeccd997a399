/* metrics.h - how well predictions agree with labels. SPDX-License-Identifier: MIT */
#ifndef CAD_METRICS_H
#define CAD_METRICS_H

#include "learn/predictions.h"

/* By a confusion matrix (K,K), rows the truth. NaN where undefined. */
double metric_accuracy(const int64_t *m, int64_t K);
double metric_mcc(const int64_t *m, int64_t K);
double metric_f1(const int64_t *m, int64_t K); /* K = 2: of class 1; else the mean over classes */
/* By n values; NaN where undefined, as where a value is NaN. Those that sort return 0 or
 * CAD_ENOMEM. */
int metric_auroc(const double *score, const uint8_t *positive, int64_t n, double *out);
double metric_pearson(const double *x, const double *y, int64_t n);
int metric_spearman(const double *x, const double *y, int64_t n, double *out);

typedef enum {
    METRIC_LOSS,
    METRIC_ACCURACY,
    METRIC_MCC,
    METRIC_F1,
    METRIC_AUROC,
    METRIC_PEARSON,
    METRIC_SPEARMAN,
    METRICS
} metric_t;
extern const char *const METRIC_NAME[METRICS];
/* Whether a head of this kind has the metric. */
bool metric_fits(const cad_head_t *head, metric_t m);
typedef struct metrics_t {
    int64_t n, K;
    double value[METRICS];
    int64_t *confusion; // classes: (K,K), rows the truth; labels: (K,2,2)
} metrics_t;
/* All metrics of n rows: logits (n,K), targets (n,K). */
int metrics_of(metrics_t *m, const cad_head_t *head, const float *logits, const float *target, int64_t n,
               cad_error_t *err);
/* Appends "metric value" lines and the confusion matrix. */
void metrics_put(const metrics_t *m, const cad_head_t *head, text_t *t);
void metrics_free(metrics_t *m);

#endif
