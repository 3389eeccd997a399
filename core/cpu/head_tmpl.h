/* head_tmpl.h - the end of the encoder, forward and backward pass: applies the final norm (norm_f) to rows of the
 * residual stream, then computes the logits of single rows or pools ranges of rows. D is d_model; Dp is D rounded up to
 * CAD_PAD.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_HEAD_TMPL_H
#define CAD_HEAD_TMPL_H

#include "norm_tmpl.h"
#include "weights_tmpl.h"

/* Sets h (Dp) to norm_f of row r of the residual stream. */
static void final_norm(const cad_lane_t *l, int64_t r, float *h)
{
    const cad_weights_t *w = l->weights;
    norm_row(l->mirrored ? &w->norm_mirrored : &w->norm_f, l->res + r * w->Dp, h);
}

static int head_forward(cad_lane_t *l, const cad_pick_t *pick, int64_t n)
{
    const cad_weights_t *w = l->weights;
    for (int64_t i = 0; i < n; i++) {
        const float *h = l->row;
        final_norm(l, pick[i].row, l->row);
        for (int64_t v = 0; v < w->V; v++) {
            const float *t = w->head[pick[i].strand] + v * w->Dp;
            vf acc = vset(0.0f);
            for (int64_t d = 0; d < w->Dp; d += VW) acc = vfma(vload(h + d), vload(t + d), acc);
            pick[i].to[v] = vsum(acc);
        }
    }
    return 0;
}

/* ---- attention pooling: sums over rows, weighted by the softmax of their scores ----
 *
 * The rows of each strand are pooled by themselves, in the strand's own order of channels, with the same weights; so a
 * sequence and its reverse complement exchange the two results, whose mean stays the same. */

typedef struct {
    double top, total; /* the largest score until now, and the sum of exp(score - top) */
} softmax_t;

/* Takes the score of one more row; returns exp(score - top). fade: the factor by which sums that are weighted so have to
 * be multiplied first, since top may have risen. */
static double softmax_take(softmax_t *s, double score, double *fade)
{
    *fade = 1;
    if (score > s->top) {
        *fade = exp(s->top - score);
        s->top = score;
    }
    score = exp(score - s->top);
    s->total = s->total * *fade + score;
    return score;
}

/* Returns the dot product of two rows (Dp), in double precision: VW sums, which are added in order. */
static double row_dot(const float *a, const float *b, int64_t Dp)
{
    double sum[VW] = { 0 };
    for (int64_t d = 0; d < Dp; d += VW)
        for (int i = 0; i < VW; i++) sum[i] += (double)a[d + i] * (double)b[d + i];
    for (int i = 1; i < VW; i++) sum[0] += sum[i];
    return sum[0];
}

static void weighted_range(cad_lane_t *l, const cad_range_t *p)
{
    const cad_weights_t *w = l->weights;
    const float *h = l->row;
    softmax_t s = { -INFINITY, 0 };
    memset(l->sum, 0, (size_t)w->D * sizeof *l->sum);
    for (int64_t r = p->beg; r < p->end; r++) {
        double fade, e;
        final_norm(l, r, l->row);
        e = softmax_take(&s, row_dot(p->weight, h, w->Dp), &fade);
        for (int64_t d = 0; d < w->D; d++) l->sum[d] = l->sum[d] * fade + e * (double)h[d];
    }
    for (int64_t d = 0; d < w->D; d++) p->to[d] = (float)(l->sum[d] / s.total);
}

static void pool_range(cad_lane_t *l, const cad_range_t *p)
{
    const cad_weights_t *w = l->weights;
    const float *h = l->row;
    if (p->how == CAD_POOL_MEAN) memset(l->sum, 0, (size_t)w->D * sizeof *l->sum);
    for (int64_t r = p->beg; r < p->end; r++) {
        final_norm(l, r, l->row);
        if (p->how == CAD_POOL_NONE || (p->how == CAD_POOL_MAX && r == p->beg))
            memcpy(p->to + (p->how == CAD_POOL_NONE ? (r - p->beg) * w->D : 0), h, (size_t)w->D * sizeof *h);
        else if (p->how == CAD_POOL_MAX)
            for (int64_t d = 0; d < w->D; d++) p->to[d] = h[d] > p->to[d] ? h[d] : p->to[d];
        else
            for (int64_t d = 0; d < w->D; d++) l->sum[d] += (double)h[d];
    }
    if (p->how == CAD_POOL_MEAN)
        for (int64_t d = 0; d < w->D; d++) p->to[d] = (float)(l->sum[d] / (double)(p->end - p->beg));
}

static int pool_forward(cad_lane_t *l, const cad_range_t *range, int64_t n)
{
    for (int64_t i = 0; i < n; i++) (range[i].how == CAD_POOL_ATTENTION ? weighted_range : pool_range)(l, &range[i]);
    return 0;
}

#ifdef CAD_ISA_BACK_OPS
/* Runs the backward pass of norm_f for row r. dh (Dp) is the gradient of norm_f's output. Adds to the gradients of the
 * residual stream (l->dres) and of norm_f's weight and bias. */
static void final_norm_back(cad_grad_lane_t *l, int64_t r, const float *dh)
{
    const cad_weights_t *w = l->f.weights;
    float *xhat = l->f.row;
    norm_row_back(&w->norm_f, l->f.res + r * w->Dp, dh, l->dres + r * w->Dp, xhat);
    for (int64_t i = 0; i < w->Dp; i += VW)
        vstore(l->grads->s.norm_f + i, vfma(vload(xhat + i), vload(dh + i), vload(l->grads->s.norm_f + i)));
    add_row(l->grads->s.norm_f_bias, dh, 1.0f, w->Dp);
}

static int head_back(cad_grad_lane_t *l, int strand, const int64_t *row, int64_t n, const float *dlogits)
{
    const cad_weights_t *w = l->f.weights;
    float *h = l->f.a, *dh = l->da;
    for (int64_t i = 0; i < n; i++) {
        final_norm(&l->f, row[i], h);
        memset(dh, 0, (size_t)w->Dp * sizeof *dh);
        for (int64_t v = 0; v < w->V; v++) {
            add_row(dh, w->head[strand] + v * w->Dp, dlogits[i * w->V + v], w->Dp);
            add_row(l->grads->s.head[strand] + v * w->Dp, h, dlogits[i * w->V + v], w->Dp);
        }
        final_norm_back(l, row[i], dh);
    }
    return 0;
}

static void mean_back(cad_grad_lane_t *l, int64_t beg, int64_t end, const float *dpooled)
{
    float *dh = l->da;
    memset(dh, 0, (size_t)l->grads->s.Dp * sizeof *dh);
    for (int64_t d = 0; d < l->grads->s.D; d++) dh[d] = dpooled[d] / (float)(end - beg);
    for (int64_t r = beg; r < end; r++) final_norm_back(l, r, dh);
}

/* dh (n,D): the gradient of norm_f's output in each row. */
static void rows_back(cad_grad_lane_t *l, int64_t n, const float *dh)
{
    int64_t D = l->grads->s.D;
    memset(l->da, 0, (size_t)l->grads->s.Dp * sizeof *dh);
    for (int64_t r = 0; r < n; r++) {
        memcpy(l->da, dh + r * D, (size_t)D * sizeof *dh);
        final_norm_back(l, r, l->da);
    }
}

#define POOL_CHANNELS 64 /* max_back() finds the maxima of this many channels in one loop over the rows */

/* Runs the backward pass of max pooling over rows [beg, end), for channels [from, to). If several rows have a channel's
 * maximum, the gradient is added to the first of them. */
static void max_back(cad_grad_lane_t *l, int64_t beg, int64_t end, const float *dpooled, int64_t from, int64_t to)
{
    float *dh = l->da, *h = l->f.a, best[POOL_CHANNELS];
    int64_t at[POOL_CHANNELS];
    for (int64_t r = beg; r < end; r++) {
        final_norm(&l->f, r, h);
        for (int64_t d = from; d < to; d++)
            if (r == beg || h[d] > best[d - from]) {
                best[d - from] = h[d];
                at[d - from] = r;
            }
    }
    for (int64_t d = from; d < to; d++) {
        memset(dh, 0, (size_t)l->grads->s.Dp * sizeof *dh);
        dh[d] = dpooled[d];
        final_norm_back(l, at[d - from], dh);
    }
}

/* Runs the backward pass of attention pooling over rows [beg, end). With c[r] = dpooled . h[r] and its mean m = sum p[r]
 * c[r], the gradient of h[r] is p[r] (dpooled + (c[r] - m) w), and that of w is the sum of p[r] (c[r] - m) h[r]. */
static void weighted_back(cad_grad_lane_t *l, int64_t beg, int64_t end, const float *dpooled)
{
    int64_t D = l->grads->s.D, Dp = l->grads->s.Dp;
    const float *w = l->pool_weight;
    float *h = l->f.a, *dg = l->f.a + Dp, *dh = l->da; /* dg: dpooled, padded */
    double m = 0, fade, *dw = l->f.sum;
    softmax_t s = { -INFINITY, 0 };
    memset(dg, 0, (size_t)Dp * sizeof *dg);
    memcpy(dg, dpooled, (size_t)D * sizeof *dg);
    memset(dw, 0, (size_t)D * sizeof *dw);
    for (int64_t r = beg; r < end; r++) {
        double e;
        final_norm(&l->f, r, h);
        e = softmax_take(&s, row_dot(w, h, Dp), &fade);
        m = m * fade + e * row_dot(dg, h, Dp);
    }
    m /= s.total;
    for (int64_t r = beg; r < end; r++) {
        double p, q;
        final_norm(&l->f, r, h);
        p = exp(row_dot(w, h, Dp) - s.top) / s.total;
        q = p * (row_dot(dg, h, Dp) - m);
        for (int64_t d = 0; d < D; d++) dw[d] += q * (double)h[d];
        memset(dh, 0, (size_t)Dp * sizeof *dh);
        add_row(dh, dg, (float)p, Dp);
        add_row(dh, w, (float)q, Dp);
        final_norm_back(l, r, dh);
    }
    for (int64_t d = 0; d < D; d++) l->dpool_weight[d] += (float)dw[d];
}

static int pool_back(cad_grad_lane_t *l, const int64_t *off, int nseq, enum cad_pool_t how, const float *dpooled)
{
    int64_t D = l->grads->s.D;
    if (how == CAD_POOL_NONE) {
        rows_back(l, off[nseq], dpooled);
        return 0;
    }
    for (int i = 0; i < nseq; i++, dpooled += D) {
        if (how == CAD_POOL_MEAN) mean_back(l, off[i], off[i + 1], dpooled);
        else if (how == CAD_POOL_ATTENTION) weighted_back(l, off[i], off[i + 1], dpooled);
        else
            for (int64_t d = 0; d < D; d += POOL_CHANNELS)
                max_back(l, off[i], off[i + 1], dpooled, d, cad_min(d + POOL_CHANNELS, D));
    }
    return 0;
}
#endif

#endif
