/* predictions.c - computes probabilities, values and losses from a classifier's logits. SPDX-License-Identifier: MIT */
#include <math.h>

#include "learn/predictions.h"

bool prediction_is_number(const cad_head_t *h) { return h->kind == CAD_HEAD_VALUES || h->kind == CAD_HEAD_COUNTS; }

static double top_of(const float *logits, int64_t K)
{
    double top = (double)logits[0];
    for (int64_t k = 1; k < K; k++) top = fmax(top, (double)logits[k]);
    return top;
}

static double sum_of_exp(const float *logits, int64_t K, double top)
{
    double sum = 0;
    for (int64_t k = 0; k < K; k++) sum += exp((double)logits[k] - top);
    return sum;
}

void prediction_of(const cad_head_t *h, const float *logits, double *out)
{
    double top = top_of(logits, h->n), sum = sum_of_exp(logits, h->n, top);
    for (int64_t k = 0; k < h->n; k++) {
        double z = (double)logits[k];
        if (h->kind == CAD_HEAD_CLASSES) out[k] = exp(z - top) / sum;
        else if (h->kind == CAD_HEAD_LABELS) out[k] = z < 0 ? exp(z) / (1 + exp(z)) : 1 / (1 + exp(-z));
        else if (h->kind == CAD_HEAD_COUNTS) out[k] = exp(z) * h->scale[k];
        else out[k] = z * h->scale[k] + h->mean[k];
    }
}

double prediction_loss(const cad_head_t *h, const float *logits, const float *target)
{
    double loss = 0, top = top_of(logits, h->n), norm = top + log(sum_of_exp(logits, h->n, top));
    for (int64_t k = 0; k < h->n; k++) {
        double z = (double)logits[k], y = (double)target[k];
        if (h->kind == CAD_HEAD_CLASSES) loss += y * (norm - z);
        else if (h->kind == CAD_HEAD_LABELS) loss += fmax(z, 0) - z * y + log1p(exp(-fabs(z)));
        else if (h->kind == CAD_HEAD_COUNTS) loss += exp(z) - y * z;
        else loss += (z - y) * (z - y);
    }
    return loss;
}

int64_t prediction_class(const double *p, int64_t K)
{
    int64_t best = 0;
    for (int64_t k = 1; k < K; k++)
        if (p[k] > p[best]) best = k;
    return best;
}

/* ---- columns ---- */

int64_t prediction_columns(const cad_head_t *h) { return h->n + !prediction_is_number(h); }

void prediction_names(const cad_head_t *h, text_t *t)
{
    for (int64_t k = 0; k < h->n; k++) text_printf(t, "\t%s%s", prediction_is_number(h) ? "" : "p_", h->name[k]);
    if (!prediction_is_number(h)) text_puts(t, "\tpredicted");
}

static void put_set(const cad_head_t *h, const double *p, text_t *t)
{
    const char *sep = "";
    for (int64_t k = 0; k < h->n; k++) {
        if (!(p[k] > 0.5)) continue;
        text_printf(t, "%s%s", sep, h->name[k]);
        sep = ";";
    }
    if (!*sep) text_puts(t, ".");
}

void prediction_put(const cad_head_t *h, const double *p, text_t *t)
{
    text_columns(t, p, h->n);
    if (prediction_is_number(h)) return;
    text_puts(t, "\t");
    if (h->kind == CAD_HEAD_CLASSES) text_puts(t, h->name[prediction_class(p, h->n)]);
    else put_set(h, p, t);
}

void prediction_none(const cad_head_t *h, text_t *t)
{
    for (int64_t k = 0; k < prediction_columns(h); k++) text_puts(t, "\t.");
}
