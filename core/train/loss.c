/* loss.c - computes losses and their gradients.
 *
 * Examples are packed as in inference. Both strands of a pack have the same offsets, and each has its own tape. For
 * each pack, the forward pass runs on both strands; the loss gives the gradient of the combined result of both strands;
 * and the backward pass runs on both strands, starting from this gradient. With enough threads both strands run at the
 * same time, each on its own lane; otherwise they run one after the other on one lane, and the whole team of threads
 * works inside the operations. On the CPU each strand has its own gradients in both cases, so the sums and their order
 * depend only on the examples and on the capacity of a pack. SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "engine/engine.h"
#include "train/trainer.h"

/* ---- packs ---- */

/* Writes the tokens of both strands and the offsets of the pack's sequences. */
static void fill(cad_trainer_t *t, const cad_pack_t *p)
{
    t->off[0] = 0;
    for (int i = 0; i < p->n; i++) {
        const cad_example_t *e = &p->ex[i];
        memcpy(t->tok[0] + t->off[i], e->tokens, (size_t)e->len);
        if (t->strands == 2) cad_reverse_complement(t->model, e->tokens, e->len, t->tok[1] + t->off[i]);
        t->off[i + 1] = t->off[i] + e->len;
    }
}

/* Returns the lane that runs strand s, with its pointers set to the strand's tape, tokens and gradients. */
static cad_grad_lane_t *strand_lane(cad_trainer_t *t, int s)
{
    cad_grad_lane_t *l = &t->lane[s % t->lanes];
    l->f.tape = &t->tape[s];
    l->f.res = t->tape[s].res[t->model->cfg.n_layer];
    l->f.tok = t->tok[s];
    l->grads = t->grads[1] ? t->grads[s] : t->grads[0];
    l->pool_weight = t->model->pool_weight;
    l->dpool_weight = t->dpool_weight[s];
    return l;
}

typedef int strand_f(cad_trainer_t *t, cad_grad_lane_t *l, int strand, const cad_pack_t *p);
typedef struct {
    cad_trainer_t *t;
    strand_f *fn;
    const cad_pack_t *p;
    int rc[2];
} strands_t;

static void strand_task(void *arg, int64_t s, int worker)
{
    strands_t *a = arg;
    (void)worker;
    a->rc[s] = a->fn(a->t, strand_lane(a->t, (int)s), (int)s, a->p);
}

/* Calls fn for both strands: at the same time if each strand has its own lane, otherwise one after the other. */
static int each_strand(cad_trainer_t *t, strand_f *fn, const cad_pack_t *p)
{
    strands_t a = { .t = t, .fn = fn, .p = p };
    if (t->lanes == 2) cad_team_run(t->team, 2, strand_task, &a);
    else
        for (int s = 0; s < t->strands && !a.rc[0]; s++) strand_task(&a, s, 0);
    return a.rc[0] ? a.rc[0] : a.rc[1];
}

static int forward(cad_trainer_t *t, cad_grad_lane_t *l, int s, const cad_pack_t *p)
{
    (void)s;
    return cad_encoder_forward(&l->f, t->model, t->off, p->n, NULL);
}

/* ---- losses ---- */

/* Returns weight x the cross-entropy of one row of n logits, and replaces the logits by scale times the gradient of
 * that loss. target: n probabilities; NULL: the true class is `label`. */
static double cross_entropy(float *logit, int64_t n, const float *target, int64_t label, double weight, double scale)
{
    double max = -INFINITY, sum = 0, loss = 0;
    for (int64_t v = 0; v < n; v++) max = fmax(max, (double)logit[v]);
    for (int64_t v = 0; v < n; v++) sum += exp((double)logit[v] - max);
    sum = max + log(sum);
    for (int64_t v = 0; v < n; v++) {
        double want = target ? (double)target[v] : v == label, logp = (double)logit[v] - sum;
        if (want > 0) loss -= want * logp;
        logit[v] = (float)(scale * weight * (exp(logp) - want));
    }
    return weight * loss;
}

/* Does the same for the focal loss, the sum over classes k of -want_k (1 - p_k)^focal log p_k. Its gradient for the logit v
 * is want_v g_v - p_v sum_k want_k g_k with g = focal p (1 - p)^(focal - 1) log p - (1 - p)^focal. */
static double focal_entropy(float *logit, int64_t n, const float *target, int64_t label, double focal, double weight,
                            double scale)
{
    double max = -INFINITY, sum = 0, loss = 0, all = 0;
    for (int64_t v = 0; v < n; v++) max = fmax(max, (double)logit[v]);
    for (int64_t v = 0; v < n; v++) sum += exp((double)logit[v] - max);
    sum = max + log(sum);
    for (int pass = 0; pass < 2; pass++) /* the second pass needs the sum of the first */
        for (int64_t v = 0; v < n; v++) {
            double want = target ? (double)target[v] : v == label, logp = (double)logit[v] - sum, p = exp(logp);
            double rest = -expm1(logp), g = -pow(rest, focal); /* rest: 1 - p */
            if (rest > 0) g += focal * p * pow(rest, focal - 1) * logp;
            if (pass) logit[v] = (float)(scale * weight * (want * g - p * all));
            else if (want > 0) {
                all += want * g;
                loss -= want * pow(rest, focal) * logp;
            }
        }
    return weight * loss;
}

/* Lists in t->row the rows of the scored positions on each strand; returns the number of positions. */
static int64_t scored_rows(cad_trainer_t *t, const cad_pack_t *p)
{
    int64_t n = 0;
    for (int i = 0; i < p->n; i++)
        for (int64_t k = 0; k < p->ex[i].len; k++)
            if (p->ex[i].weight[k] > 0) {
                t->row[0][n] = t->off[i] + k;
                t->row[1][n++] = t->off[i + 1] - 1 - k;
            }
    return n;
}

/* Writes to t->dlogits the logits (n,V) of the scored positions [at, at+n), combined from both strands. */
static int conjoined_logits(cad_trainer_t *t, int64_t at, int64_t n)
{
    int64_t V = t->model->vocab.rows;
    float *out = t->dlogits + at * V;
    cad_pick_t pick[CAD_LOGITS];
    int rc = 0;
    for (int s = 0; s < t->strands && rc == 0; s++) {
        for (int64_t i = 0; i < n; i++)
            pick[i] = (cad_pick_t) { .row = t->row[s][at + i], .strand = s, .to = (s ? t->other : out) + i * V };
        rc = t->ops->head(&strand_lane(t, s)->f, pick, n);
    }
    if (t->strands == 2) cad_conjoin_logits(t->model, n, out, t->other, out);
    return rc;
}

static int token_loss(cad_trainer_t *t, const cad_pack_t *p, double scale, double *sum)
{
    int64_t V = t->model->vocab.rows, n = p->scored, at = 0;
    int rc = 0;
    for (int64_t i = 0; i < n && rc == 0; i += CAD_LOGITS) rc = conjoined_logits(t, i, cad_min(CAD_LOGITS, n - i));
    for (int i = 0; i < p->n && rc == 0; i++)
        for (int64_t k = 0; k < p->ex[i].len; k++)
            if (p->ex[i].weight[k] > 0)
                *sum += cross_entropy(t->dlogits + at++ * V, V, NULL, p->ex[i].labels[k], (double)p->ex[i].weight[k],
                                      scale);
    return rc;
}

typedef struct {
    cad_trainer_t *t;
    int strand;
} layer_arg_t;

static int layer_done(void *arg, cad_grad_lane_t *l, int layer)
{
    const layer_arg_t *a = arg;
    return cad_lora_layer(a->t, l, a->strand, layer);
}

static int encoder_back(cad_trainer_t *t, cad_grad_lane_t *l, int s, const cad_pack_t *p)
{
    layer_arg_t arg = { t, s };
    return cad_encoder_backward(l, t->model, t->off, p->n, t->lora ? layer_done : NULL, &arg);
}

static int tokens_back(cad_trainer_t *t, cad_grad_lane_t *l, int s, const cad_pack_t *p)
{
    int rc = t->back->start(l, t->off[p->n]);
    if (rc == 0) rc = t->back->head(l, s, t->row[s], p->scored, t->dlogits);
    return rc ? rc : encoder_back(t, l, s, p);
}

double cad_label_loss(float *out, int64_t n, const float *target, int64_t label, enum cad_loss_t loss, double focal,
                      double weight, double scale)
{
    double sum = 0;
    if (loss == CAD_LOSS_CLASSES) return cross_entropy(out, n, target, label, weight, scale);
    if (loss == CAD_LOSS_FOCAL) return focal_entropy(out, n, target, label, focal, weight, scale);
    for (int64_t i = 0; i < n; i++) {
        double x = (double)out[i], y = (double)target[i], d;
        if (loss == CAD_LOSS_SQUARED) {
            d = 2 * (x - y);
            sum += (x - y) * (x - y);
        } else if (loss == CAD_LOSS_POISSON) {
            d = exp(x) - y;
            sum += exp(x) - x * y;
        } else {
            d = 1 / (1 + exp(-x)) - y;
            sum += fmax(x, 0) - x * y + log1p(exp(-fabs(x)));
        }
        out[i] = (float)(scale * weight * d);
    }
    return weight * sum;
}

/* Computes, for example i, the mean (D) of both strands' pooled rows, and the classifier's outputs out (labels). */
static void classify(const cad_trainer_t *t, int i, float *mean, float *out)
{
    int64_t D = t->model->cfg.d_model;
    for (int64_t d = 0; d < D; d++) {
        mean[d] = t->pooled[0][i * D + d];
        if (t->strands == 2) mean[d] = (mean[d] + t->pooled[1][i * D + d]) * 0.5f;
    }
    for (int64_t c = 0; c < t->model->labels; c++) {
        double acc = t->model->score_bias ? (double)t->model->score_bias[c] : 0;
        for (int64_t d = 0; d < D; d++) acc += (double)mean[d] * (double)t->model->score[c * D + d];
        out[c] = (float)acc;
    }
}

float *cad_head_grad(const cad_trainer_t *t, const float *tensor)
{
    int64_t shift = t->lora ? t->lora->size - t->lora->head : 0; /* from the model's parameters to the trained ones */
    return tensor ? t->leaf + (tensor - t->model->param) + shift : NULL;
}

/* Returns the offsets of the pack's sequences in the rows of the last layer of lane l. */
static const int64_t *last_rows(const cad_trainer_t *t, const cad_grad_lane_t *l)
{
    return cad_encoder_offsets(&l->f, t->model, (int)t->model->cfg.n_layer, t->off);
}

/* Pools all examples of a pack in one operation, so that the host waits for a GPU only once. */
static int pool_strand(cad_trainer_t *t, cad_grad_lane_t *l, int s, const cad_pack_t *p)
{
    const int64_t D = t->model->cfg.d_model, *off = last_rows(t, l);
    if (t->recipe.bin) {
        t->range[s][0] = (cad_range_t) { .end = t->off[p->n], .how = CAD_POOL_NONE, .to = t->pooled[s] };
        return t->ops->pool(&l->f, t->range[s], 1);
    }
    for (int i = 0; i < p->n; i++)
        t->range[s][i] = (cad_range_t) { .beg = off[i],
                                         .end = off[i + 1],
                                         .how = t->recipe.pool,
                                         .to = t->pooled[s] + i * D,
                                         .weight = t->model->pool_weight };
    return t->ops->pool(&l->f, t->range[s], p->n);
}

/* Adds the losses of a pack to *sum, and the gradient of the head (score.weight and score.bias) to
 * t->leaf. Overwrites t->pooled[0] with the gradient of the pooled rows, which is the same for both strands. */
static int label_losses(cad_trainer_t *t, enum cad_loss_t loss, const cad_pack_t *p, double scale, double *sum)
{
    int64_t D = t->model->cfg.d_model, labels = t->model->labels;
    if (t->recipe.bin) return cad_bin_losses(t, loss, p->ex, p->n, scale, sum);
    float *out = cad_alloc((size_t)labels, sizeof *out), *mean = cad_alloc((size_t)D, sizeof *mean),
          *grad = cad_head_grad(t, t->model->score), *bias = cad_head_grad(t, t->model->score_bias);
    if (!out || !mean) {
        free(out);
        free(mean);
        return CAD_ENOMEM;
    }
    for (int i = 0; i < p->n; i++) {
        float *d = t->pooled[0] + i * D;
        classify(t, i, mean, out);
        *sum += cad_label_loss(out, labels, p->ex[i].target, 0, loss, t->recipe.focal,
                               p->ex[i].weight ? (double)*p->ex[i].weight : 1, scale);
        memset(d, 0, (size_t)D * sizeof *d);
        for (int64_t c = 0; c < labels; c++) {
            if (bias) bias[c] += out[c];
            for (int64_t k = 0; k < D; k++) {
                grad[c * D + k] += out[c] * mean[k];
                d[k] += out[c] * t->model->score[c * D + k] / (float)t->strands;
            }
        }
    }
    free(out);
    free(mean);
    return 0;
}

static int labels_back(cad_trainer_t *t, cad_grad_lane_t *l, int s, const cad_pack_t *p)
{
    bool bins = t->recipe.bin > 0;
    int rc = t->back->start(l, t->off[p->n]);
    if (rc == 0)
        rc = t->back->pool(l, last_rows(t, l), p->n, bins ? CAD_POOL_NONE : t->recipe.pool, t->pooled[bins ? s : 0]);
    return rc || t->recipe.freeze ? rc : encoder_back(t, l, s, p);
}

/* Moves the gradient of pool.weight, which the backend computes for each strand, to t->leaf. */
static void move_pool_weight(cad_trainer_t *t)
{
    float *to = cad_head_grad(t, t->model->pool_weight);
    int64_t D = t->model->cfg.d_model;
    for (int s = 0; s < t->strands && to; s++) {
        for (int64_t d = 0; d < D; d++) to[d] += t->dpool_weight[s][d];
        memset(t->dpool_weight[s], 0, (size_t)D * sizeof *to);
    }
}

int cad_pack_loss(cad_trainer_t *t, enum cad_loss_t loss, cad_pack_t *p, double scale, double *sum)
{
    bool tokens = loss == CAD_LOSS_TOKENS;
    int rc;
    fill(t, p);
    p->scored = tokens ? scored_rows(t, p) : 0;
    if (tokens && p->scored == 0) return 0;
    rc = each_strand(t, forward, p);
    if (rc == 0 && !tokens) rc = each_strand(t, pool_strand, p);
    if (rc == 0) rc = tokens ? token_loss(t, p, scale, sum) : label_losses(t, loss, p, scale, sum);
    if (rc || scale == 0 || (t->recipe.freeze && t->recipe.pool != CAD_POOL_ATTENTION)) return rc;
    rc = each_strand(t, tokens ? tokens_back : labels_back, p);
    move_pool_weight(t);
    return rc;
}
