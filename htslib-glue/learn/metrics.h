/* metrics.h - measures how well predictions agree with labels. SPDX-License-Identifier: MIT */
#ifndef CAD_METRICS_H
#define CAD_METRICS_H

#include "io/provenance.h"
#include "learn/predictions.h"

/* Return a metric of a confusion matrix (K,K), whose rows are true classes and whose columns are predicted classes; NaN
 * if the metric is undefined. */
double metric_accuracy(const int64_t *m, int64_t K);
double metric_mcc(const int64_t *m, int64_t K);
double metric_f1(const int64_t *m, int64_t K); /* F1 of class 1 if K = 2, otherwise the mean over the classes */
/* Precision, recall and F1 of class k; of k = K, the means over the classes for which each is defined ("macro"). */
typedef struct called_t {
    double precision, recall, f1;
} called_t;
called_t metric_called(const int64_t *m, int64_t K, int64_t k);
/* Compute a metric of n values. The metric is NaN if it is undefined or if a value is NaN. The functions that return
 * int store it in *out and return 0 or CAD_ENOMEM. */
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
/* Returns true if the metric is defined for the head's task (classes, labels or values). */
bool metric_fits(const cad_head_t *head, metric_t m);
typedef struct metrics_t {
    int64_t n, K;
    double value[METRICS];
    int64_t *confusion; // classes: (K,K), rows are true classes; labels: (K,2,2)
} metrics_t;
/* Computes all metrics of n rows from logits (n,K) and target (n,K). Free m with metrics_free. */
int metrics_of(metrics_t *m, const cad_head_t *head, const float *logits, const float *target, int64_t n,
               cad_error_t *err);
/* Replaces MCC and F1 of the head's classes by their means over batches of the rows, weighted by rows, as the published
 * code computes them. A batch in which a metric is undefined counts as 0. */
int metrics_by_batch(metrics_t *m, const cad_head_t *head, const float *logits, const float *target, int64_t batch,
                     cad_error_t *err);
/* Appends a line "metric<TAB>value" for each metric, and for classes a line for each class and the confusion matrix. */
void metrics_put(const metrics_t *m, const cad_head_t *head, text_t *t);
/* Adds the same metrics and the confusion matrix to a JSON object; undefined metrics are null. */
void metrics_json(const metrics_t *m, const cad_head_t *head, json_t *to);
void metrics_free(metrics_t *m);

#endif
