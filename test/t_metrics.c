/* t_metrics.c - tests metrics in cases computed by hand, and in cases where they are undefined.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/random.h"
#include "io/regions.h"
#include "learn/examples.h"
#include "learn/metrics.h"
#include "learn/predictions.h"
#include "stream/pipeline.h"
#include "tap.h"

static bool near(double got, double want)
{
    if (isnan(want)) return isnan(got);
    return fabs(got - want) <= 1e-12;
}

static void is(const char *name, double got, double want)
{
    if (!tap_ok(near(got, want), "%s", name)) printf("# got %.15g, want %.15g\n", got, want);
}

/* ---- by a confusion matrix ---- */

static void test_two_classes(void)
{
    const int64_t m[] = { 3, 1, 2, 4 }, perfect[] = { 5, 0, 0, 2 }, wrong[] = { 0, 5, 2, 0 },
                  constant[] = { 0, 5, 0, 2 }, one[] = { 3, 2, 0, 0 };
    const int64_t none[] = { 0, 0, 0, 0 };
    is("accuracy", metric_accuracy(m, 2), 0.7);
    is("MCC of two classes", metric_mcc(m, 2), (4.0 * 3 - 1 * 2) / sqrt(5.0 * 6 * 4 * 5));
    is("F1 is class 1's", metric_f1(m, 2), 8.0 / 11);
    is("MCC of all right", metric_mcc(perfect, 2), 1);
    is("MCC of all wrong", metric_mcc(wrong, 2), -1);
    is("MCC is 0 where one class is called throughout", metric_mcc(constant, 2), 0);
    is("F1 there", metric_f1(constant, 2), 4.0 / 9);
    is("MCC is undefined where there is one class", metric_mcc(one, 2), NAN);
    is("F1 is 0 where class 1 is only called", metric_f1(one, 2), 0);
    is("accuracy of nothing is undefined", metric_accuracy(none, 2), NAN);
    is("MCC of nothing too", metric_mcc(none, 2), NAN);
    is("F1 of nothing too", metric_f1(none, 2), NAN);
}

static void test_three_classes(void)
{
    const int64_t m[] = { 4, 1, 0, 1, 3, 1, 0, 2, 3 }, absent[] = { 4, 1, 0, 1, 3, 0, 0, 0, 0 };
    /* 15 rows, of which 10 are correct; t (true) = (5, 5, 5), p (predicted) = (5, 6, 4) */
    is("R_K of three classes", metric_mcc(m, 3), (10 * 15.0 - 75) / sqrt((225.0 - 77) * (225 - 75)));
    is("macro F1", metric_f1(m, 3), (0.8 + 6.0 / 11 + 6.0 / 9) / 3);
    is("a class that neither is nor is called does not count", metric_f1(absent, 3), (0.8 + 6.0 / 8) / 2);
    is("nor in R_K", metric_mcc(absent, 3), (7 * 9.0 - 41) / sqrt((81.0 - 41) * (81 - 41)));
}

/* ---- by ranks ---- */

static double auroc(const double *s, const uint8_t *y, int64_t n)
{
    double v;
    return metric_auroc(s, y, n, &v) ? -9 : v;
}

static double spearman(const double *x, const double *y, int64_t n)
{
    double v;
    return metric_spearman(x, y, n, &v) ? -9 : v;
}

static void test_auroc(void)
{
    const double s[] = { 0.1, 0.4, 0.35, 0.8 }, tied[] = { 1, 1, 1, 2 }, flat[] = { 3, 3, 3, 3 },
                 broken[] = { 1, NAN, 2, NAN };
    const uint8_t y[] = { 0, 0, 1, 1 }, all[] = { 1, 1, 1, 1 };
    is("AUROC", auroc(s, y, 4), 0.75);
    is("a tie counts half", auroc(tied, y, 4), 0.75);
    is("AUROC of constant scores is a half", auroc(flat, y, 4), 0.5);
    is("AUROC of one class is undefined", auroc(s, all, 4), NAN);
    is("AUROC of nothing is undefined", auroc(s, all, 0), NAN);
    is("AUROC of scores with a NaN among them is undefined", auroc(broken, y, 4), NAN);
}

static void test_correlation(void)
{
    const double x[] = { 1, 2, 3, 4, 5 }, y[] = { 2, 4, 6, 8, 10 }, down[] = { 9, 7, 5, 3, 1 }, z[] = { 1, 3, 2, 5, 4 },
                 tie[] = { 1, 2, 2, 3, 3 };
    const double flat[] = { 0.1, 0.1, 0.1, 0.1, 0.1 }, steep[] = { 1, 10, 100, 1000, 1e9 },
                 broken[] = { NAN, 2, 3, NAN, 5 };
    is("Pearson of a line", metric_pearson(x, y, 5), 1);
    is("Pearson of a falling line", metric_pearson(x, down, 5), -1);
    is("Pearson", metric_pearson(x, z, 5), 0.8);
    is("Pearson of a constant is undefined", metric_pearson(x, flat, 5), NAN);
    is("Pearson of one row is undefined", metric_pearson(x, y, 1), NAN);
    is("Spearman of anything that rises", spearman(x, steep, 5), 1);
    is("Spearman", spearman(x, z, 5), 0.8);
    is("Spearman with midranks", spearman(x, tie, 5), 9 / sqrt(10.0 * 9));
    is("Spearman of a constant is undefined", spearman(flat, x, 5), NAN);
    is("Spearman of values with a NaN among them is undefined", spearman(x, broken, 5), NAN);
}

/* ---- from logits ---- */

static char *NAME[] = { (char *)"a", (char *)"b", (char *)"c" };

static void test_classes(void)
{
    cad_head_t h = { .kind = CAD_HEAD_CLASSES, .n = 2, .name = NAME };
    const float logits[] = { 0, 1, 2, 0, 0, 3, 1, 0 }, y[] = { 0, 1, 1, 0, 1, 0, 1, 0 };
    metrics_t m;
    double want = 0, p[2];
    tap_ok(metrics_of(&m, &h, logits, y, 4, NULL) == 0, "metrics of two classes");
    for (int i = 0; i < 4; i++)
        want += log(exp((double)logits[2 * i]) + exp((double)logits[2 * i + 1])) -
                (double)(y[2 * i] > 0 ? logits[2 * i] : logits[2 * i + 1]);
    is("cross-entropy", m.value[METRIC_LOSS], want / 4);
    is("their accuracy", m.value[METRIC_ACCURACY], 0.75);
    is("their AUROC", m.value[METRIC_AUROC], 2.0 / 3);
    is("they have no correlation", m.value[METRIC_PEARSON], NAN);
    tap_ok(m.confusion[0] == 2 && m.confusion[1] == 1 && m.confusion[2] == 0 && m.confusion[3] == 1,
           "confusion matrix: rows are the truth");
    metrics_free(&m);
    prediction_of(&h, (const float[]) { 1000, -1000 }, p);
    tap_ok(near(p[0], 1) && near(p[1], 0), "large logits do not overflow");
    is("nor does their loss", prediction_loss(&h, (const float[]) { 1000, -1000 }, (const float[]) { 0, 1 }), 2000);
}

static void test_sets(void)
{
    cad_head_t h = { .kind = CAD_HEAD_LABELS, .n = 2, .name = NAME };
    const float logits[] = { 1, -1, -2, 3, 0.5f, 0.25f }, y[] = { 1, 0, 1, 1, 1, 0 };
    metrics_t m;
    tap_ok(metrics_of(&m, &h, logits, y, 3, NULL) == 0, "metrics of labels");
    is("rows with every label right", m.value[METRIC_ACCURACY], 1.0 / 3);
    is("AUROC is the mean over labels that have both", m.value[METRIC_AUROC], 1);
    is("MCC too", m.value[METRIC_MCC], 0.5);
    is("F1 too", m.value[METRIC_F1], (0.8 + 2.0 / 3) / 2);
    metrics_free(&m);
    tap_ok(metrics_of(&m, &h, logits, y, 0, NULL) == 0 && isnan(m.value[METRIC_LOSS]) && isnan(m.value[METRIC_MCC]),
           "of no rows all are undefined");
    metrics_free(&m);
}

static void test_values(void)
{
    double mean[] = { 10 }, scale[] = { 2 };
    cad_head_t h = { .kind = CAD_HEAD_VALUES, .n = 1, .name = NAME, .mean = mean, .scale = scale };
    const float logits[] = { 0, 1, 2 }, y[] = { 0, 1, 3 };
    metrics_t m;
    double p;
    tap_ok(metrics_of(&m, &h, logits, y, 3, NULL) == 0, "metrics of values");
    is("squared error of standardised values", m.value[METRIC_LOSS], 1.0 / 3);
    is("their correlation", m.value[METRIC_PEARSON], 3 / sqrt(2 * 14.0 / 3));
    is("by rank", m.value[METRIC_SPEARMAN], 1);
    is("they have no accuracy", m.value[METRIC_ACCURACY], NAN);
    metrics_free(&m);
    prediction_of(&h, &logits[1], &p);
    is("a value is on its own scale", p, 12);
}

/* ---- choices by seed ---- */

static void test_shuffle(void)
{
    int64_t a[100], b[100], c[100], seen = 0, same = 0, sum = 0;
    examples_shuffle(a, 100, 7, 1);
    examples_shuffle(b, 100, 7, 1);
    examples_shuffle(c, 100, 7, 2);
    for (int i = 0; i < 100; i++) {
        sum += a[i];
        seen += a[i] >= 0 && a[i] < 100 && a[i] == b[i];
        same += a[i] == c[i];
    }
    tap_ok(seen == 100 && sum == 4950, "an order is a function of seed and epoch");
    tap_ok(same < 20, "another epoch has another order");
    sum = 0;
    for (int64_t i = 0; i < 1000; i++) sum += examples_turned(i, 7, 1);
    tap_ok(sum > 430 && sum < 570, "half of the rows are turned");
}

int main(void)
{
    test_two_classes();
    test_three_classes();
    test_auroc();
    test_correlation();
    test_classes();
    test_sets();
    test_values();
    test_shuffle();
    return tap_finish();
}
