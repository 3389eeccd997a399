/* reference.c - computes the published forward pass in double precision and in plain loops, for comparison with
 * kernels. Uses no tiles, no merged layers and no backend; each direction computes its own projections.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "measure/measure.h"
#include "measure/reference.h"
#include "engine/engine.h"

#define PARTS 4 /* number of independent partial sums of a dot product */

static int64_t room_for(const cad_model_t *m, int64_t rows)
{
    int64_t most = 0;
    for (int k = 0; k < CAD_NKINDS; k++)
        if (cad_config_uses(&m->cfg, k)) most = cad_max(most, cad_blocks[k]->reference_room(&m->cfg, rows));
    return most;
}

int cad_reference_open(cad_reference_t *r, const cad_model_t *m, int64_t rows, cad_error_t *err)
{
    size_t wide = (size_t)m->cfg.d_model * sizeof(double);
    memset(r, 0, sizeof *r);
    r->rows = rows;
    r->res = calloc((size_t)rows, wide);
    r->a = calloc((size_t)rows, wide);
    r->h = calloc((size_t)rows, wide);
    r->room = calloc((size_t)room_for(m, rows), sizeof(double));
    if (r->res && r->a && r->h && r->room) return 0;
    cad_reference_close(r);
    return cad_out_of_memory(err);
}

void cad_reference_close(cad_reference_t *r)
{
    free(r->res);
    free(r->a);
    free(r->h);
    free(r->room);
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

void cad_reference_project(const double *a, int64_t rows, const float *w, const float *bias, int64_t n, int64_t k,
                           double *out)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < n; i++)
            out[r * n + i] = cad_reference_dot(w + i * k, a + r * k, k) + (bias ? (double)bias[i] : 0);
}

void cad_reference_direction(cad_reference_t *r, const cad_model_t *m, int layer, int dir, const int64_t *off, int nseq)
{
    const cad_layer_t *l = &m->layer[layer];
    int64_t D = m->cfg.d_model;
    for (int64_t i = 0; i < off[nseq] && l->norm; i++)
        cad_reference_norm(m, r->res + i * D, l->norm, l->norm_bias, r->a + i * D);
    cad_layer_block(m, layer)->reference(r, m, layer, dir, off, nseq);
}

/* ---- the whole model ---- */

/* Runs a layer: res += the combined output of its directions or, if the kind has a stride (of 1 here), res = output.
 * first (rows,D): scratch for the first direction's output. */
static void layer_forward(cad_reference_t *r, const cad_model_t *m, int layer, int64_t rows, double *first)
{
    int64_t n = rows * m->cfg.d_model, off[2] = { 0, rows };
    int ndir = m->layer[layer].ndir;
    cad_reference_direction(r, m, layer, 0, off, 1);
    if (ndir == 2) {
        memcpy(first, r->h, (size_t)n * sizeof *first);
        cad_reference_direction(r, m, layer, 1, off, 1);
        for (int64_t i = 0; i < n; i++) r->h[i] = m->cfg.multiply ? first[i] * r->h[i] : first[i] + r->h[i];
    }
    if (cad_layer_block(m, layer)->stride) memset(r->res, 0, (size_t)n * sizeof *r->res);
    for (int64_t i = 0; i < n; i++) r->res[i] += r->h[i];
}

/* Runs one strand. Writes hidden (len,D) and, if logits is not NULL, logits (len,V), both in the order of strand 0.
 * room (len,D): scratch. */
static void strand_forward(cad_reference_t *r, const cad_model_t *m, const uint8_t *tok, int64_t len, int strand,
                           double *room, float *hidden, float *logits)
{
    int64_t D = m->cfg.d_model, V = m->vocab.rows;
    r->tok = tok;
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

/* Runs the strands and combines their results. other (len): scratch for the second strand's tokens. room (len,D):
 * scratch. part: scratch for hidden and logits of strand 0, then for those of strand 1. */
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
    int refused = cad_rows_of_bases(m, (int)m->cfg.n_layer, err);
    if (refused) return refused;
    double *room = cad_alloc((size_t)(len * D), sizeof *room);
    float *parts = calloc((size_t)(2 * len), (size_t)width * sizeof *parts);
    uint8_t *other = cad_alloc((size_t)len, 1);
    cad_reference_t r = { 0 };
    int rc = room && parts && other ? cad_reference_open(&r, m, len, err) : cad_out_of_memory(err);
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
