/* reference.c - the published forward pass in double, in plain loops: what kernels are
 * compared with. It knows no tiles, no merged block and no backend; a direction is run
 * in full. SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "measure/measure.h"
#include "engine/engine.h"

#define PARTS 4 /* sums of a dot product that do not wait for each other */

int cad_reference_open(cad_reference_t *r, const cad_model_t *m, int64_t rows, cad_error_t *err)
{
    int64_t D = m->cfg.d_model, E = m->cfg.d_inner, N = m->cfg.d_state, S = m->cfg.dt_rank + 2 * N;
    double **part[] = { &r->res, &r->a, &r->x, &r->z, &r->u, &r->y, &r->xdbl, &r->h, &r->state };
    int64_t width[] = { D, D, E, E, E, E, S, D, E * N };
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        *part[i] = calloc((size_t)(part[i] == &r->state ? 1 : rows), (size_t)width[i] * sizeof(double));
        if (*part[i]) continue;
        cad_reference_close(r);
        return cad_fail(err, CAD_ENOMEM, "out of memory");
    }
    return 0;
}

void cad_reference_close(cad_reference_t *r)
{
    double *part[] = { r->res, r->a, r->x, r->z, r->u, r->y, r->xdbl, r->h, r->state };
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) free(part[i]);
    memset(r, 0, sizeof *r);
}

void cad_reference_norm(const cad_model_t *m, const double *x, const float *w, const float *b, double *out)
{
    int64_t D = m->cfg.d_model;
    double mean = 0, var = 0;
    for (int64_t i = 0; i < D && !m->cfg.rms_norm; i++) mean += x[i] / (double)D;
    for (int64_t i = 0; i < D; i++) var += (x[i] - mean) * (x[i] - mean) / (double)D;
    for (int64_t i = 0; i < D; i++)
        out[i] = (x[i] - mean) / sqrt(var + m->cfg.norm_epsilon) * (double)w[i] + (b ? (double)b[i] : 0);
}

double cad_reference_dot(const float *w, const double *x, int64_t n)
{
    double s[PARTS] = { 0 }, rest = 0;
    int64_t i = 0;
    for (; i + PARTS <= n; i += PARTS)
        for (int p = 0; p < PARTS; p++) s[p] += (double)w[i + p] * x[i + p];
    for (; i < n; i++) rest += (double)w[i] * x[i];
    return (s[0] + s[1]) + (s[2] + s[3]) + rest;
}

/* out (rows,n) = a (rows,k) w^T + bias. */
static void project(const double *a, int64_t rows, const float *w, const float *bias, int64_t n, int64_t k, double *out)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            out[r * n + i] = cad_reference_dot(w + i * k, a + r * k, k) + (bias ? (double)bias[i] : 0);
}

static double silu(double v) { return v / (1 + exp(-v)); }
static double softplus(double v) { return v > 30 ? v : log1p(exp(v)); }

/* Row i of a sequence in time; `row` in memory. */
static void convolve(cad_reference_t *r, const cad_model_t *m, const cad_direction_t *d, int64_t row, int64_t i)
{
    int64_t E = m->cfg.d_inner, K = m->cfg.d_conv, step = d->reverse ? -1 : 1;
    for (int64_t e = 0; e < E; e++) {
        double v = d->conv_bias ? (double)d->conv_bias[e] : 0;
        for (int64_t k = cad_max(0, K - 1 - i); k < K; k++)
            v += (double)d->conv[e * K + k] * r->x[(row - step * (K - 1 - k)) * E + e];
        r->u[row * E + e] = silu(v);
    }
}

static void scan(cad_reference_t *r, const cad_model_t *m, const cad_direction_t *d, int64_t row)
{
    int64_t E = m->cfg.d_inner, N = m->cfg.d_state, R = m->cfg.dt_rank;
    const double *dt_in = r->xdbl + row * (R + 2 * N), *B = dt_in + R, *C = B + N;
    for (int64_t e = 0; e < E; e++) {
        double u = r->u[row * E + e], dt = softplus(cad_reference_dot(d->dt + e * R, dt_in, R) + (double)d->dt_bias[e]),
               y = (double)d->skip[e] * u;
        for (int64_t n = 0; n < N; n++) {
            double *s = &r->state[e * N + n];
            *s = exp(-dt * exp((double)d->a_log[e * N + n])) * *s + dt * u * B[n];
            y += *s * C[n];
        }
        r->y[row * E + e] = y * silu(r->z[row * E + e]);
    }
}

void cad_reference_mamba(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off, int nseq)
{
    const cad_layer_t *l = &m->layer[layer];
    const cad_direction_t *d = &l->dir[dir];
    int64_t D = m->cfg.d_model, E = m->cfg.d_inner, N = m->cfg.d_state, S = m->cfg.dt_rank + 2 * N, rows = off[nseq];
    for (int64_t i = 0; i < rows; i++) cad_reference_norm(m, r->res + i * D, l->norm, l->norm_bias, r->a + i * D);
    project(r->a, rows, d->in, d->in_bias, E, D, r->x);
    project(r->a, rows, d->in + E * D, d->in_bias ? d->in_bias + E : NULL, E, D, r->z);
    for (int q = 0; q < nseq; q++) {
        memset(r->state, 0, (size_t)(E * N) * sizeof *r->state);
        for (int64_t i = 0; i < off[q + 1] - off[q]; i++) {
            int64_t row = d->reverse ? off[q + 1] - 1 - i : off[q] + i;
            convolve(r, m, d, row, i);
            project(r->u + row * E, 1, d->x, NULL, S, E, r->xdbl + row * S);
            scan(r, m, d, row);
        }
    }
    project(r->y, rows, d->out, d->out_bias, D, E, r->h);
}

/* ---- the whole model ---- */

/* res += what the layer's directions give; first: (rows,D) for the first of two. */
static void layer_forward(cad_reference_t *r, const cad_model_t *m, int layer, int64_t rows, double *first)
{
    int64_t n = rows * m->cfg.d_model, off[2] = { 0, rows };
    int ndir = m->layer[layer].ndir;
    cad_reference_mamba(r, m, layer, 0, off, 1);
    if (ndir == 2) {
        memcpy(first, r->h, (size_t)n * sizeof *first);
        cad_reference_mamba(r, m, layer, 1, off, 1);
        for (int64_t i = 0; i < n; i++) r->h[i] = m->cfg.multiply ? first[i] * r->h[i] : first[i] + r->h[i];
    }
    for (int64_t i = 0; i < n; i++) r->res[i] += r->h[i];
}

/* One strand: hidden (len,D) and, unless NULL, logits (len,V), in strand 0's order. */
static void strand_forward(cad_reference_t *r, const cad_model_t *m, const uint8_t *tok, int64_t len, int strand,
                           double *room, float *hidden, float *logits)
{
    int64_t D = m->cfg.d_model, V = m->vocab.rows;
    for (int64_t i = 0; i < len * D; i++) r->res[i] = (double)m->embed_in[tok[i / D] * D + i % D];
    for (int i = 0; i < m->cfg.n_layer; i++) layer_forward(r, m, i, len, room);
    for (int64_t t = 0; t < len; t++) {
        int64_t to = strand ? len - 1 - t : t;
        cad_reference_norm(m, r->res + t * D, m->norm_f, m->norm_f_bias, r->a);
        for (int64_t d = 0; d < D; d++) hidden[to * D + d] = (float)r->a[d];
        for (int64_t v = 0; logits && v < V; v++)
            logits[to * V + v] = (float)cad_reference_dot(m->embed + (strand ? m->vocab.comp[v] : v) * D, r->a, D);
    }
}

/* other: (len) for the second strand; part: hidden and logits of either. */
static void forward(cad_reference_t *r, const cad_model_t *m, const uint8_t *tok, int64_t len, uint8_t *other,
                    double *room, float *const part[4], float *hidden, float *logits)
{
    int strands = cad_conjoin_strands(m);
    strand_forward(r, m, tok, len, 0, room, part[0], logits ? part[1] : NULL);
    if (strands == 2) {
        cad_reverse_complement(m, tok, len, other);
        strand_forward(r, m, other, len, 1, room, part[2], logits ? part[3] : NULL);
    }
    if (hidden) cad_conjoin_hidden(m, len, part[0], part[2], hidden);
    if (logits && strands == 2) cad_conjoin_logits(m, len, part[1], part[3], logits);
    else if (logits) memcpy(logits, part[1], (size_t)(len * m->vocab.rows) * sizeof *logits);
}

int cad_reference_forward(const cad_model_t *m, const uint8_t *tok, int64_t len, float *hidden, float *logits,
                          cad_error_t *err)
{
    int64_t D = m->cfg.d_model, width = D + m->vocab.rows;
    double *room = cad_alloc((size_t)(len * D), sizeof *room);
    float *parts = calloc((size_t)(2 * len), (size_t)width * sizeof *parts);
    uint8_t *other = cad_alloc((size_t)len, 1);
    cad_reference_t r = { 0 };
    int rc = room && parts && other ? cad_reference_open(&r, m, len, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0)
        forward(&r, m, tok, len, other, room,
                (float *[4]) { parts, parts + len * D, parts + len * width, parts + len * (width + D) }, hidden,
                logits);
    cad_reference_close(&r);
    free(room);
    free(parts);
    free(other);
    return rc;
}

double cad_relative_error(const float *got, const float *want, int64_t n)
{
    double num = 0, den = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i];
        num += d * d;
        den += (double)want[i] * (double)want[i];
    }
    return num == 0 ? 0 : sqrt(num / den);
}
