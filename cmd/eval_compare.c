/* eval_compare.c - compares predictions: root mean square of the differences, and rank correlation.
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "eval_compare.h"
#include "learn/metrics.h"

void reading_free(reading_t *r)
{
    free(r->logp);
    free(r->base);
    memset(r, 0, sizeof *r);
}

/* Writes the pll of each base to x and returns their number or, with llr, the three llr of each base. */
static int64_t values(const reading_t *r, bool llr, double *x)
{
    int64_t n = 0;
    for (int64_t i = 0; i < r->bases; i++) {
        const float *p = r->logp + 4 * i;
        double own = (double)p[r->base[i]];
        if (!llr) x[n++] = own;
        for (int b = 0; b < 4 && llr; b++)
            if (b != r->base[i]) x[n++] = (double)p[b] - own;
    }
    return n;
}

/* Sets out[0] to the root mean square of the differences and out[1] to Spearman's correlation. x, y: scratch, (3 bases)
 * each. */
static int differences(const reading_t *r, const reading_t *exact, bool llr, double *x, double *y, double out[2])
{
    int64_t n = values(r, llr, x);
    double sum = 0;
    values(exact, llr, y);
    for (int64_t i = 0; i < n; i++) sum += (x[i] - y[i]) * (x[i] - y[i]);
    out[0] = sqrt(sum / (double)n);
    return metric_spearman(x, y, n, &out[1]);
}

int compare_row(const char *name, const reading_t *r, const reading_t *exact, text_t *t, cad_error_t *err)
{
    double *x = malloc(sizeof *x * 6 * (size_t)(r->bases + 1)), *y = x ? x + 3 * r->bases : NULL, d[4];
    int rc = CAD_ENOMEM;
    if (r->bases != exact->bases || (r->bases && memcmp(r->base, exact->base, (size_t)r->bases))) {
        free(x);
        return cad_fail(err, CAD_EARG, "%s: its bases are not those that it is compared with", name);
    }
    if (x) rc = differences(r, exact, false, x, y, d);
    if (rc == 0) rc = differences(r, exact, true, x, y, d + 2);
    free(x);
    if (rc) return cad_out_of_memory(err);
    text_printf(t, "%s\t%lld\t%lld\t%lld\t%.3g", name, (long long)r->bases, (long long)r->work.passes,
                (long long)r->work.tokens, r->seconds);
    text_columns(t, d, 4);
    text_puts(t, "\n");
    return 0;
}
