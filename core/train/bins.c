/* bins.c - the loss of a head that has outputs for each base, or for each bin of bases.
 *
 * The rows of both strands are kept whole. The output of a bin is that of the mean row of its bases and of both strands,
 * so the gradient of each of its rows is the same. SPDX-License-Identifier: MIT
 */
#include "train/trainer.h"

typedef struct {
    cad_trainer_t *t;
    const cad_example_t *x;
    int64_t off;              /* first row of the example */
    float *mean, *out, *back; // (D), (labels), (D)
    double *sum, *grad;       // (D), (labels,D+1) gradient of the head's weight and bias
} bins_t;

/* Returns the row of position p on strand s, (D). */
static float *row_of(const bins_t *b, int s, int64_t p)
{
    return b->t->pooled[s] + (b->off + (s ? b->x->len - 1 - p : p)) * b->t->model->cfg.d_model;
}

static void mean_row(const bins_t *b, int64_t beg, int64_t end)
{
    int64_t D = b->t->model->cfg.d_model;
    double scale = 1 / (double)((end - beg) * b->t->strands);
    memset(b->sum, 0, (size_t)D * sizeof *b->sum);
    for (int64_t p = beg; p < end; p++)
        for (int s = 0; s < b->t->strands; s++) {
            const float *row = row_of(b, s, p);
            for (int64_t d = 0; d < D; d++) b->sum[d] += (double)row[d];
        }
    for (int64_t d = 0; d < D; d++) b->mean[d] = (float)(b->sum[d] * scale);
}

static void outputs(const bins_t *b)
{
    const cad_model_t *m = b->t->model;
    int64_t D = m->cfg.d_model;
    for (int64_t c = 0; c < m->labels; c++) {
        double sum = m->score_bias ? (double)m->score_bias[c] : 0;
        for (int64_t d = 0; d < D; d++) sum += (double)b->mean[d] * (double)m->score[c * D + d];
        b->out[c] = (float)sum;
    }
}

/* Adds the gradient of the head, and replaces the rows [beg, end) of both strands by their gradient. out: the gradient
 * of the outputs. */
static void spread(const bins_t *b, int64_t beg, int64_t end)
{
    const cad_model_t *m = b->t->model;
    int64_t D = m->cfg.d_model;
    float scale = 1 / (float)((end - beg) * b->t->strands);
    memset(b->back, 0, (size_t)D * sizeof *b->back);
    for (int64_t c = 0; c < m->labels; c++) {
        double *g = b->grad + c * (D + 1);
        g[D] += (double)b->out[c];
        for (int64_t d = 0; d < D; d++) {
            g[d] += (double)b->out[c] * (double)b->mean[d];
            b->back[d] += b->out[c] * m->score[c * D + d] * scale;
        }
    }
    for (int64_t p = beg; p < end; p++)
        for (int s = 0; s < b->t->strands; s++) memcpy(row_of(b, s, p), b->back, (size_t)D * sizeof *b->back);
}

static double example_loss(const bins_t *b, enum cad_loss_t loss, double scale)
{
    const cad_example_t *x = b->x;
    int64_t bin = b->t->recipe.bin, labels = b->t->model->labels;
    double sum = 0;
    for (int64_t u = 0, beg = 0; beg < x->len; u++, beg += bin) {
        int64_t end = cad_min(beg + bin, x->len);
        double weight = x->weight ? (double)x->weight[u] : 1;
        if (weight > 0) {
            mean_row(b, beg, end);
            outputs(b);
            sum += cad_label_loss(b->out, labels, x->target ? x->target + u * labels : NULL,
                                  x->labels ? x->labels[u] : 0, loss, b->t->recipe.focal, weight, scale);
        } else {
            memset(b->out, 0, (size_t)labels * sizeof *b->out);
            memset(b->mean, 0, (size_t)b->t->model->cfg.d_model * sizeof *b->mean);
        }
        spread(b, beg, end);
    }
    return sum;
}

static void add_head(const bins_t *b, float *weight, float *bias)
{
    int64_t D = b->t->model->cfg.d_model;
    for (int64_t c = 0; c < b->t->model->labels; c++) {
        const double *g = b->grad + c * (D + 1);
        for (int64_t d = 0; d < D; d++) weight[c * D + d] += (float)g[d];
        if (bias) bias[c] += (float)g[D];
    }
}

int cad_bin_losses(cad_trainer_t *t, enum cad_loss_t loss, const cad_example_t *ex, int n, double scale, double *sum)
{
    int64_t D = t->model->cfg.d_model, labels = t->model->labels;
    size_t grads = (size_t)(labels * (D + 1));
    bins_t b = { .t = t };
    double *doubles = cad_alloc((size_t)D + grads, sizeof *doubles);
    float *floats = cad_alloc((size_t)(2 * D + labels), sizeof *floats);
    int rc = doubles && floats ? 0 : CAD_ENOMEM;
    for (int i = 0; i < n && rc == 0; i++) {
        b.x = &ex[i];
        b.off = t->off[i];
        b.mean = floats;
        b.back = floats + D;
        b.out = floats + 2 * D;
        b.sum = doubles;
        b.grad = doubles + D;
        memset(b.grad, 0, grads * sizeof *b.grad);
        *sum += example_loss(&b, loss, scale);
        add_head(&b, cad_head_grad(t, t->model->score), cad_head_grad(t, t->model->score_bias));
    }
    free(doubles);
    free(floats);
    return rc;
}
