/* hyena_filter_tmpl.h - the network that computes the long filters of a hyena layer, forwards and backwards, in double
 * precision. It is computed for CAD_HYENA_ROWS positions at a time, which are adjacent in memory: an array of n units is
 * (n,CAD_HYENA_ROWS). SPDX-License-Identifier: MIT
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass. */
#ifndef CAD_HYENA_FILTER_TMPL_H
#define CAD_HYENA_FILTER_TMPL_H

#include <math.h>

#include "blocks/hyena.h"
#include "blocks/hyena_sums.h"
#include "hyena_fft.h"
#include "share_tmpl.h"
#include "weights_tmpl.h"

#define HROWS CAD_HYENA_ROWS
#define LANES CAD_HYENA_LANES

typedef struct {
    cad_hyena_t shape;
    int64_t D, Dp, W;
    numbers_t numbers;             /* of the panels */
    const float *in, *in_bias;     // panels (W,Dp); (W)
    const float *out, *out_bias;   // panels (Dp,Dp); (Dp)
    const float *taps, *taps_bias; // (3,3D+LANES) tap 0 is that of the row before the previous one; (3D+LANES)
    const float *zero;             // (max(W,Dp)) zeros
    const float *bias;             // (D)
    const float *z, *t, *deltas;   // (L,emb), (L), (D)
    const float *filter;           // (cad_hyena_filter_size) the network's weights
    float *k;                      // (D,L) the filter, with `bias` added at position 0
    int64_t known;                 /* positions of k that have been computed */
} hyena_t;

/* Sets out (n) = bias + the sum over i of weight[j * step + i * next] in[i]. bias NULL: none. */
static void filter_sums(const float *weight, int64_t step, int64_t next, const float *bias, int64_t n, int64_t k,
                        const double *in, double *out)
{
    for (int64_t j = 0; j < n; j++, weight += step) {
        double sum[HROWS];
        for (int r = 0; r < HROWS; r++) sum[r] = bias ? (double)bias[j] : 0;
        for (int64_t i = 0; i < k; i++) {
            double w = (double)weight[i * next];
            for (int r = 0; r < HROWS; r++) sum[r] += w * in[i * HROWS + r];
        }
        memcpy(out + j * HROWS, sum, sizeof sum);
    }
}

static double filter_freq(const hyena_t *m, int64_t o)
{
    return m->shape.train_freq ? (double)m->filter[cad_hyena_freq_place(&m->shape, m->D) + o] : m->shape.freq;
}

/* The parts of `units`: features (emb), then for each layer its sums (O) and their sines (O). */
static double *filter_of_layer(const hyena_t *m, double *units, int64_t i)
{
    return units + HROWS * (m->shape.emb + 2 * i * m->shape.O);
}

/* Computes all units of positions [row, row + HROWS), or of those below `end`. Returns the sines of the last layer. */
static double *filter_units(const hyena_t *m, int64_t row, int64_t end, double *units)
{
    const cad_hyena_t *s = &m->shape;
    double *in = units, *sum = NULL;
    for (int64_t i = 0; i < s->emb * HROWS; i++) {
        int64_t at = row + i % HROWS;
        units[i] = at < end ? (double)m->z[at * s->emb + i / HROWS] : 0;
    }
    for (int64_t i = 0; i <= s->inner; i++, in = sum + s->O * HROWS) {
        const float *w = m->filter + cad_hyena_place(s, i);
        int64_t k = cad_hyena_inputs(s, i);
        sum = filter_of_layer(m, units, i);
        filter_sums(w, k, 1, w + s->O * k, s->O, k, in, sum);
        for (int64_t j = 0; j < s->O * HROWS; j++) sum[s->O * HROWS + j] = sin(filter_freq(m, j / HROWS) * sum[j]);
    }
    return in;
}

static double filter_decay(const hyena_t *m, int64_t row, int64_t d)
{
    return exp(-(double)m->t[row] * fabs((double)m->deltas[d])) + CAD_HYENA_SHIFT;
}

typedef struct {
    hyena_t *m;
    double *units;
    int64_t beg, end;
} filter_call_t;

static void filter_task(void *arg, int64_t task, int worker)
{
    const filter_call_t *c = arg;
    hyena_t *m = c->m;
    int64_t O = m->shape.O, row = c->beg + task * HROWS, end = cad_min(row + HROWS, c->end);
    double *h = filter_units(m, row, end, c->units + worker * cad_hyena_units(&m->shape));
    for (int64_t d = 0; d < m->D; d++) {
        double k[HROWS];
        filter_sums(m->filter + cad_hyena_last_place(&m->shape) + d * O, O, 1, NULL, 1, O, h, k);
        for (int64_t r = row; r < end; r++)
            m->k[d * m->shape.L + r] = (float)(k[r - row] * filter_decay(m, r, d) + (r ? 0 : (double)m->bias[d]));
    }
}

/* Computes the filter at all positions below `need` that are not yet known. */
static void filter_grow(hyena_t *m, const cad_lane_t *l, int64_t need)
{
    cad_hyena_lock();
    if (m->known < need) {
        filter_call_t c = { m, cad_hyena_lane(l)->units, m->known, need };
        cad_team_run(l->team, (need - m->known + HROWS - 1) / HROWS, filter_task, &c);
        m->known = need;
    }
    cad_hyena_unlock();
}

/* ---- backward pass ---- */

#ifdef CAD_ISA_BACK_OPS
static double filter_dot(const double *a, const double *b)
{
    double sum[8] = { 0 };
    for (int r = 0; r < HROWS; r += 8)
        for (int i = 0; i < 8; i++) sum[i] += a[r + i] * b[r + i];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

typedef struct {
    const hyena_t *m;
    double *units, *part;
    const float *dk; // (D,most)
    int64_t most, end;
    float *sum; // (cad_hyena_filter_size)
} filter_back_t;

/* Adds the gradients of the last layer to g (D,O), and sets dh to the gradient of its input h. */
static void filter_last_back(const filter_back_t *b, int64_t row, int64_t end, const double *h, double *g, double *dh)
{
    const hyena_t *m = b->m;
    int64_t O = m->shape.O;
    memset(dh, 0, (size_t)(O * HROWS) * sizeof *dh);
    for (int64_t d = 0; d < m->D; d++) {
        const float *w = m->filter + cad_hyena_last_place(&m->shape) + d * O;
        double dk[HROWS] = { 0 };
        for (int64_t r = row; r < end; r++) dk[r - row] = (double)b->dk[d * b->most + r] * filter_decay(m, r, d);
        for (int64_t o = 0; o < O; o++) {
            double weight = (double)w[o];
            g[d * O + o] += filter_dot(dk, h + o * HROWS);
            for (int r = 0; r < HROWS; r++) dh[o * HROWS + r] += weight * dk[r];
        }
    }
}

/* Adds the gradients of all weights from positions [row, end) to g (cad_hyena_filter_size). */
static void filter_rows_back(const filter_back_t *b, int64_t row, int64_t end, double *units, double *g)
{
    const hyena_t *m = b->m;
    const cad_hyena_t *s = &m->shape;
    double *h = filter_units(m, row, end, units), *dh = filter_of_layer(m, units, s->inner + 1),
           *da = dh + s->O * HROWS, *dfreq = g + cad_hyena_freq_place(s, m->D);
    filter_last_back(b, row, end, h, g + cad_hyena_last_place(s), dh);
    for (int64_t i = s->inner; i >= 0; i--) {
        int64_t k = cad_hyena_inputs(s, i);
        const double *a = filter_of_layer(m, units, i), *in = i ? a - s->O * HROWS : units;
        double *dw = g + cad_hyena_place(s, i), *dbias = dw + s->O * k;
        for (int64_t j = 0; j < s->O * HROWS; j++) {
            double f = filter_freq(m, j / HROWS), slope = cos(f * a[j]) * dh[j];
            da[j] = f * slope;
            dfreq[j / HROWS] += a[j] * slope;
            dbias[j / HROWS] += da[j];
        }
        for (int64_t j = 0; j < s->O * k; j++) dw[j] += filter_dot(da + j / k * HROWS, in + j % k * HROWS);
        if (i) filter_sums(m->filter + cad_hyena_place(s, i), 1, k, NULL, k, s->O, da, dh);
    }
}

static void filter_back_task(void *arg, int64_t task, int worker)
{
    const filter_back_t *b = arg;
    int64_t size = cad_hyena_filter_size(&b->m->shape, b->m->D), blocks = (b->end + HROWS - 1) / HROWS;
    double *g = b->part + task * size, *units = b->units + worker * cad_hyena_units(&b->m->shape);
    memset(g, 0, (size_t)size * sizeof *g);
    for (int64_t i = task * blocks / CAD_HYENA_STRETCH; i < (task + 1) * blocks / CAD_HYENA_STRETCH; i++)
        filter_rows_back(b, i * HROWS, cad_min((i + 1) * HROWS, b->end), units, g);
}

/* Adds the gradients of the network's weights to b->sum. */
static void filter_back(const filter_back_t *b, cad_team_t *team)
{
    int64_t size = cad_hyena_filter_size(&b->m->shape, b->m->D);
    cad_team_run(team, CAD_HYENA_STRETCH, filter_back_task, (void *)b);
    for (int64_t i = 0; i < size; i++) {
        double sum = 0;
        for (int64_t k = 0; k < CAD_HYENA_STRETCH; k++) sum += b->part[k * size + i];
        b->sum[i] += (float)sum;
    }
}
#endif

#endif
