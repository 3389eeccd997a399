/* metrics.c - measures how well predictions agree with labels. No function changes or reads any state but its
 * arguments. An undefined metric is NaN, and is printed as ".". SPDX-License-Identifier: MIT */
#include <math.h>

#include "learn/metrics.h"

const char *const METRIC_NAME[METRICS] = { "loss", "accuracy", "mcc", "f1", "auroc", "pearson", "spearman" };

/* ---- metrics from a confusion matrix (K,K): a row for each true class, a column for each predicted class ---- */

typedef struct {
    double all;   /* number of samples: sum of the matrix */
    double right; /* number of samples predicted correctly: sum of the diagonal */
} totals_t;

static totals_t totals(const int64_t *m, int64_t K)
{
    totals_t t = { 0, 0 };
    for (int64_t i = 0; i < K * K; i++) t.all += (double)m[i];
    for (int64_t k = 0; k < K; k++) t.right += (double)m[k * K + k];
    return t;
}

static double row_sum(const int64_t *m, int64_t K, int64_t k)
{
    double sum = 0;
    for (int64_t j = 0; j < K; j++) sum += (double)m[k * K + j];
    return sum;
}

static double column_sum(const int64_t *m, int64_t K, int64_t k)
{
    double sum = 0;
    for (int64_t i = 0; i < K; i++) sum += (double)m[i * K + k];
    return sum;
}

double metric_accuracy(const int64_t *m, int64_t K)
{
    totals_t t = totals(m, K);
    return t.all > 0 ? t.right / t.all : NAN;
}

/* Returns Matthews' correlation for K classes (R_K, Gorodkin 2004, Comput. Biol. Chem. 28:367; for two classes
 * Matthews 1975, Biochim. Biophys. Acta 405:442). With n rows, of which c are predicted correctly, t_k belong to
 * class k and p_k are predicted as class k, the value is (c n - sum t_k p_k) / sqrt((n^2 - sum p_k^2) (n^2 - sum
 * t_k^2)). The value is 0 if all rows are predicted as one class (Chicco and Jurman 2020, BMC Genomics 21:6), and
 * undefined if all rows belong to one class. */
double metric_mcc(const int64_t *m, int64_t K)
{
    totals_t t = totals(m, K);
    double both = 0, truth = 0, called = 0;
    for (int64_t k = 0; k < K; k++) {
        double r = row_sum(m, K, k), c = column_sum(m, K, k);
        both += r * c;
        truth += r * r;
        called += c * c;
    }
    if (t.all * t.all == truth) return NAN;
    if (t.all * t.all == called) return 0;
    return (t.right * t.all - both) / sqrt((t.all * t.all - called) * (t.all * t.all - truth));
}

/* Returns F1 of class k (van Rijsbergen 1979): 2 TP / (2 TP + FP + FN). Undefined if no row belongs to class k and no
 * row is predicted as class k. */
static double f1_of(const int64_t *m, int64_t K, int64_t k)
{
    double all = row_sum(m, K, k) + column_sum(m, K, k);
    return all > 0 ? 2 * (double)m[k * K + k] / all : NAN;
}

/* Adds v to *sum and 1 to *n if v is defined (not NaN). */
static void add_defined(double v, double *sum, int64_t *n)
{
    if (isnan(v)) return;
    *sum += v;
    ++*n;
}

/* Returns F1 of class 1 if there are two classes. For more classes, returns the unweighted mean of F1 over the classes
 * for which F1 is defined ("macro": Sokolova and Lapalme 2009, Inf. Process. Manag. 45:427). */
double metric_f1(const int64_t *m, int64_t K)
{
    double sum = 0;
    int64_t n = 0;
    if (K == 2) return f1_of(m, 2, 1);
    for (int64_t k = 0; k < K; k++) add_defined(f1_of(m, K, k), &sum, &n);
    return n ? sum / (double)n : NAN;
}

static called_t called_macro(const int64_t *m, int64_t K)
{
    double sum[3] = { 0, 0, 0 };
    int64_t n[3] = { 0, 0, 0 };
    for (int64_t k = 0; k < K; k++) {
        called_t c = metric_called(m, K, k);
        add_defined(c.precision, &sum[0], &n[0]);
        add_defined(c.recall, &sum[1], &n[1]);
        add_defined(c.f1, &sum[2], &n[2]);
    }
    for (int i = 0; i < 3; i++) sum[i] = n[i] ? sum[i] / (double)n[i] : NAN;
    return (called_t) { sum[0], sum[1], sum[2] };
}

called_t metric_called(const int64_t *m, int64_t K, int64_t k)
{
    double right, truth, called;
    if (k == K) return called_macro(m, K);
    right = (double)m[k * K + k];
    truth = row_sum(m, K, k);
    called = column_sum(m, K, k);
    return (called_t) { called > 0 ? right / called : NAN, truth > 0 ? right / truth : NAN, f1_of(m, K, k) };
}

/* ---- metrics from n values ---- */

typedef struct {
    double value;
    int64_t row;
} ranked_t;

static int by_value(const void *a, const void *b)
{
    double x = ((const ranked_t *)a)->value, y = ((const ranked_t *)b)->value;
    return (x > y) - (x < y);
}

static bool any_nan(const double *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (isnan(v[i])) return true;
    return false;
}

/* Computes the ranks of n values, from 1, to rank (n). Equal values get their mean rank (midranks). If a value is NaN,
 * all ranks are NaN. */
static int rank_all(const double *v, int64_t n, double *rank)
{
    bool undefined = any_nan(v, n);
    ranked_t *r = malloc((size_t)cad_max(n, 1) * sizeof *r);
    if (!r) return CAD_ENOMEM;
    for (int64_t i = 0; i < n && undefined; i++) rank[i] = NAN;
    if (undefined) n = 0;
    for (int64_t i = 0; i < n; i++) r[i] = (ranked_t) { v[i], i };
    qsort(r, (size_t)n, sizeof *r, by_value);
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i; j < n && r[j].value == r[i].value; j++) {}
        for (int64_t k = i; k < j; k++) rank[r[k].row] = 0.5 * (double)(i + 1 + j);
    }
    free(r);
    return 0;
}

/* Computes the area under the ROC curve (Hanley and McNeil 1982, Radiology 143:29): the Wilcoxon statistic of
 * the ranks of the positive rows, divided by the number of pairs of a positive and a negative row. A pair of equal
 * scores counts half. */
int metric_auroc(const double *score, const uint8_t *positive, int64_t n, double *out)
{
    double *rank = malloc((size_t)cad_max(n, 1) * sizeof *rank), sum = 0, yes = 0;
    int rc = rank ? rank_all(score, n, rank) : CAD_ENOMEM;
    for (int64_t i = 0; i < n && rc == 0; i++)
        if (positive[i]) {
            sum += rank[i];
            yes++;
        }
    *out = yes > 0 && yes < (double)n ? (sum - 0.5 * yes * (yes + 1)) / (yes * ((double)n - yes)) : NAN;
    free(rank);
    return rc;
}

static bool constant(const double *x, int64_t n)
{
    for (int64_t i = 1; i < n; i++)
        if (x[i] != x[0]) return false;
    return true;
}

static double mean_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

/* Returns Pearson's correlation (1895, Proc. R. Soc. 58:240). Undefined if all values of x are equal, or all values of
 * y. */
double metric_pearson(const double *x, const double *y, int64_t n)
{
    double xy = 0, xx = 0, yy = 0, mx, my;
    if (n < 2 || constant(x, n) || constant(y, n)) return NAN;
    mx = mean_of(x, n);
    my = mean_of(y, n);
    for (int64_t i = 0; i < n; i++) {
        xy += (x[i] - mx) * (y[i] - my);
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? fmax(-1, fmin(1, xy / (sqrt(xx) * sqrt(yy)))) : NAN;
}

/* Computes Spearman's correlation (1904, Am. J. Psychol. 15:72): Pearson's correlation of the midranks. */
int metric_spearman(const double *x, const double *y, int64_t n, double *out)
{
    double *rank = malloc((size_t)cad_max(n, 1) * 2 * sizeof *rank);
    int rc = rank ? rank_all(x, n, rank) : CAD_ENOMEM;
    if (rc == 0) rc = rank_all(y, n, rank + n);
    *out = rc ? NAN : metric_pearson(rank, rank + n, n);
    free(rank);
    return rc;
}

/* ---- all metrics of a classifier ---- */

bool metric_fits(const cad_head_t *head, metric_t m)
{
    return m == METRIC_LOSS || prediction_is_number(head) == (m >= METRIC_PEARSON);
}

typedef struct {
    const cad_head_t *head;
    const float *target; // (n,K)
    double *p;           // (n,K) predictions
    double *x, *y;       // (n) predicted and true values of one output
    uint8_t *yes;        // (n) for the output being measured: 1 if the row has this label or class, else 0
    int64_t n, K;
} tally_t;

static int64_t true_class(const tally_t *t, int64_t i)
{
    int64_t k = 0;
    while (k < t->K - 1 && t->target[i * t->K + k] < 0.5f) k++;
    return k;
}

/* Fills m->confusion with counts of rows: one matrix (K,K) for classes, or K matrices (2,2) for labels. */
static void count_calls(const tally_t *t, metrics_t *m)
{
    for (int64_t i = 0; i < t->n; i++) {
        const double *p = t->p + i * t->K;
        const float *y = t->target + i * t->K;
        if (t->head->kind == CAD_HEAD_CLASSES) m->confusion[true_class(t, i) * t->K + prediction_class(p, t->K)]++;
        else
            for (int64_t k = 0; k < t->K; k++) m->confusion[4 * k + 2 * (y[k] > 0.5f) + (p[k] > 0.5)]++;
    }
}

/* Returns the fraction of rows for which all K labels are predicted correctly. */
static double exact(const tally_t *t)
{
    int64_t right = 0;
    for (int64_t i = 0; i < t->n; i++) {
        int64_t k = 0;
        while (k < t->K && (t->target[i * t->K + k] > 0.5f) == (t->p[i * t->K + k] > 0.5)) k++;
        right += k == t->K;
    }
    return t->n ? (double)right / (double)t->n : NAN;
}

/* Computes the metric `what` for output k alone. */
static int one_of(const tally_t *t, metric_t what, int64_t k, double *v)
{
    for (int64_t i = 0; i < t->n; i++) {
        double truth = (double)t->target[i * t->K + k];
        t->x[i] = t->p[i * t->K + k];
        t->yes[i] = truth > 0.5;
        t->y[i] = t->head->scale ? truth * t->head->scale[k] + t->head->mean[k] : truth;
    }
    if (what == METRIC_AUROC) return metric_auroc(t->x, t->yes, t->n, v);
    if (what == METRIC_SPEARMAN) return metric_spearman(t->x, t->y, t->n, v);
    *v = metric_pearson(t->x, t->y, t->n);
    return 0;
}

/* Computes the mean of a metric over the outputs from `first` to K-1, leaving out those for which the metric is
 * undefined. For classes, the metric of an output compares this class with all other classes (one against rest; Hand
 * and Till 2001, Mach. Learn. 45:171, discuss this and another way). */
static int mean_over(const tally_t *t, metric_t what, int64_t first, double *out)
{
    double sum = 0, v;
    int64_t n = 0;
    int rc = 0;
    for (int64_t k = first; k < t->K && rc == 0; k++)
        if ((rc = one_of(t, what, k, &v)) == 0) add_defined(v, &sum, &n);
    *out = n ? sum / (double)n : NAN;
    return rc;
}

/* Sets MCC and F1 of a head with several labels: the means over the labels. */
static void label_means(metrics_t *m)
{
    double sum[2] = { 0, 0 };
    int64_t n[2] = { 0, 0 };
    for (int64_t k = 0; k < m->K; k++) {
        add_defined(metric_mcc(m->confusion + 4 * k, 2), &sum[0], &n[0]);
        add_defined(metric_f1(m->confusion + 4 * k, 2), &sum[1], &n[1]);
    }
    m->value[METRIC_MCC] = n[0] ? sum[0] / (double)n[0] : NAN;
    m->value[METRIC_F1] = n[1] ? sum[1] / (double)n[1] : NAN;
}

static int fill(metrics_t *m, const tally_t *t)
{
    int rc;
    if (prediction_is_number(t->head)) {
        rc = mean_over(t, METRIC_PEARSON, 0, &m->value[METRIC_PEARSON]);
        return rc ? rc : mean_over(t, METRIC_SPEARMAN, 0, &m->value[METRIC_SPEARMAN]);
    }
    count_calls(t, m);
    if (t->head->kind == CAD_HEAD_CLASSES) {
        m->value[METRIC_ACCURACY] = metric_accuracy(m->confusion, t->K);
        m->value[METRIC_MCC] = metric_mcc(m->confusion, t->K);
        m->value[METRIC_F1] = metric_f1(m->confusion, t->K);
    } else {
        m->value[METRIC_ACCURACY] = exact(t);
        label_means(m);
    }
    return mean_over(t, METRIC_AUROC, t->head->kind == CAD_HEAD_CLASSES && t->K == 2, &m->value[METRIC_AUROC]);
}

int metrics_of(metrics_t *m, const cad_head_t *head, const float *logits, const float *target, int64_t n,
               cad_error_t *err)
{
    int64_t K = head->n, cells = head->kind == CAD_HEAD_CLASSES ? K * K : 4 * K;
    tally_t t = { .head = head, .target = target, .n = n, .K = K };
    double loss = 0;
    int rc = 0;
    memset(m, 0, sizeof *m);
    m->n = n;
    m->K = K;
    for (int i = 0; i < METRICS; i++) m->value[i] = NAN;
    m->confusion = calloc((size_t)cells, sizeof *m->confusion);
    t.p = cad_alloc((size_t)cad_max(n, 1) * (size_t)K, sizeof *t.p);
    t.x = cad_alloc((size_t)cad_max(n, 1), sizeof *t.x);
    t.y = cad_alloc((size_t)cad_max(n, 1), sizeof *t.y);
    t.yes = cad_alloc((size_t)cad_max(n, 1), 1);
    if (!m->confusion || !t.p || !t.x || !t.y || !t.yes) rc = CAD_ENOMEM;
    for (int64_t i = 0; i < n && rc == 0; i++) {
        prediction_of(head, logits + i * K, t.p + i * K);
        loss += prediction_loss(head, logits + i * K, target + i * K);
    }
    if (rc == 0) rc = fill(m, &t);
    if (n) m->value[METRIC_LOSS] = loss / (double)n;
    free(t.p);
    free(t.x);
    free(t.y);
    free(t.yes);
    if (rc) metrics_free(m);
    return rc ? cad_fail(err, rc, "out of memory for the metrics of %lld rows", (long long)n) : 0;
}

int metrics_by_batch(metrics_t *m, const cad_head_t *head, const float *logits, const float *target, int64_t batch,
                     cad_error_t *err)
{
    static const metric_t what[] = { METRIC_MCC, METRIC_F1 };
    double sum[2] = { 0, 0 };
    int rc = 0;
    for (int64_t i = 0; i < m->n && rc == 0; i += batch) {
        metrics_t part;
        rc = metrics_of(&part, head, logits + i * m->K, target + i * m->K, cad_min(batch, m->n - i), err);
        if (rc) break;
        for (int j = 0; j < 2; j++)
            if (!isnan(part.value[what[j]])) sum[j] += part.value[what[j]] * (double)part.n;
        metrics_free(&part);
    }
    for (int j = 0; j < 2; j++) m->value[what[j]] = m->n ? sum[j] / (double)m->n : NAN;
    return rc;
}

/* ---- printing ---- */

static void put_matrix(const int64_t *m, int64_t K, char *const *name, const char *corner, text_t *t)
{
    text_printf(t, "#%s", corner);
    for (int64_t k = 0; k < K; k++) text_printf(t, "\t%s", name[k]);
    for (int64_t i = 0; i < K; i++) {
        text_printf(t, "\n%s", name[i]);
        for (int64_t j = 0; j < K; j++) text_printf(t, "\t%lld", (long long)m[i * K + j]);
    }
    text_puts(t, "\n");
}

/* Puts a line for each class, and one for their means. */
static void put_classes(const metrics_t *m, const cad_head_t *head, text_t *t)
{
    text_puts(t, "#class\tprecision\trecall\tf1\n");
    for (int64_t k = 0; k <= m->K; k++) {
        called_t c = metric_called(m->confusion, m->K, k);
        const double value[] = { c.precision, c.recall, c.f1 };
        text_puts(t, k < m->K ? head->name[k] : "macro");
        text_columns(t, value, 3);
        text_puts(t, "\n");
    }
}

static void put_labels(const metrics_t *m, const cad_head_t *head, text_t *t)
{
    text_puts(t, "#label\ttrue_negative\tfalse_positive\tfalse_negative\ttrue_positive\n");
    for (int64_t k = 0; k < m->K; k++) {
        const int64_t *c = m->confusion + 4 * k;
        text_printf(t, "%s\t%lld\t%lld\t%lld\t%lld\n", head->name[k], (long long)c[0], (long long)c[1], (long long)c[2],
                    (long long)c[3]);
    }
}

void metrics_put(const metrics_t *m, const cad_head_t *head, text_t *t)
{
    text_printf(t, "#metric\tvalue\nn\t%lld\n", (long long)m->n);
    for (metric_t i = 0; i < METRICS; i++) {
        if (!metric_fits(head, i)) continue;
        text_printf(t, "%s\t", METRIC_NAME[i]);
        text_number(t, m->value[i]);
        text_puts(t, "\n");
    }
    if (head->kind == CAD_HEAD_CLASSES && !head->bin) put_classes(m, head, t);
    if (head->kind == CAD_HEAD_CLASSES) put_matrix(m->confusion, m->K, head->name, "truth\\predicted", t);
    if (head->kind == CAD_HEAD_LABELS) put_labels(m, head, t);
}

static json_t *json_matrix(const int64_t *m, int64_t K)
{
    json_t *rows = json_array();
    for (int64_t i = 0; i < K; i++) {
        json_t *row = json_array();
        for (int64_t j = 0; j < K; j++) json_array_append_new(row, json_integer(m[i * K + j]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *json_labels(const metrics_t *m, const cad_head_t *head)
{
    static const char *const count[] = { "true_negative", "false_positive", "false_negative", "true_positive" };
    json_t *labels = json_object();
    for (int64_t k = 0; k < m->K; k++) {
        json_t *label = json_object();
        for (int i = 0; i < 4; i++) json_object_set_new(label, count[i], json_integer(m->confusion[4 * k + i]));
        json_object_set_new(labels, head->name[k], label);
    }
    return labels;
}

static json_t *json_called(called_t c)
{
    json_t *o = json_object();
    json_object_set_new(o, "precision", number_json(c.precision));
    json_object_set_new(o, "recall", number_json(c.recall));
    json_object_set_new(o, "f1", number_json(c.f1));
    return o;
}

static void json_by_class(const metrics_t *m, json_t *to)
{
    json_t *list = json_array(); /* in the order of "classes" */
    for (int64_t k = 0; k < m->K; k++) json_array_append_new(list, json_called(metric_called(m->confusion, m->K, k)));
    json_object_set_new(to, "per_class", list);
    json_object_set_new(to, "macro", json_called(metric_called(m->confusion, m->K, m->K)));
}

void metrics_json(const metrics_t *m, const cad_head_t *head, json_t *to)
{
    json_object_set_new(to, "n", json_integer(m->n));
    for (metric_t i = 0; i < METRICS; i++)
        if (metric_fits(head, i)) json_object_set_new(to, METRIC_NAME[i], number_json(m->value[i]));
    if (head->kind == CAD_HEAD_LABELS) json_object_set_new(to, "labels", json_labels(m, head));
    if (head->kind != CAD_HEAD_CLASSES) return;
    json_object_set_new(to, "classes", json_array());
    for (int64_t k = 0; k < m->K; k++)
        json_array_append_new(json_object_get(to, "classes"), json_string(head->name[k]));
    if (!head->bin) json_by_class(m, to);
    json_object_set_new(to, "confusion", json_matrix(m->confusion, m->K)); /* a row for each true class */
}

void metrics_free(metrics_t *m)
{
    free(m->confusion);
    m->confusion = NULL;
}
