/* mamba2_first.h - copies x|B|C|r (x, B, C and r side by side) and z of layer 0 from tables. In layer 0 they depend on
 * the token only, so no product is needed. An error in a table would be the same in all rows with that token, and would
 * add up in the gradients of A, D and dt_bias, which are sums over rows; so the tables are computed on the host, in
 * double precision, also under bf16. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_MAMBA2_FIRST_H
#define CAD_CUDA_MAMBA2_FIRST_H

#include "embed.h"
#include "kind.h"

#define MAMBA2_TOKENS 64 /* size of the largest vocabulary for which there are tables */

typedef struct {                    /* a token's embedding and its norm */
    const float *x, *weight, *bias; // (D) each; bias may be NULL
    int64_t D;
    double mean, scale;
} token_t;

static token_t token_of(const cad_weights_t *w, const cad_model_t *m, int64_t v)
{
    token_t t = { .x = m->embed_in + v * w->D,
                  .weight = m->layer[0].norm,
                  .bias = m->layer[0].norm_bias,
                  .D = w->D,
                  .mean = 0,
                  .scale = 0 };
    double square = 0;
    for (int64_t j = 0; j < t.D && !w->rms; j++) t.mean += (double)t.x[j] / (double)t.D;
    for (int64_t j = 0; j < t.D; j++) square += ((double)t.x[j] - t.mean) * ((double)t.x[j] - t.mean);
    t.scale = 1 / sqrt(square / (double)t.D + (double)w->eps);
    return t;
}

/* Returns the dot product of a row of in_proj (D) and the normalised token. */
static double project_token(const token_t *t, const float *in)
{
    double sum = 0;
    for (int64_t j = 0; j < t->D; j++) {
        double a = ((double)t->x[j] - t->mean) * t->scale * (double)t->weight[j] + (t->bias ? (double)t->bias[j] : 0);
        sum += a * (double)in[j];
    }
    return sum;
}

/* Computes and places the table of x|B|C|r (V,Xp) or, if `heads`, of z (V,Ep), with a row for each of the V tokens. */
static const float *place_first(store_t *s, const cad_weights_t *w, const cad_model_t *m, const cad_direction_t *d,
                                bool heads)
{
    const cad_mamba2_t *z = cad_mamba2(&m->cfg);
    const float *in = cad_param(d, CAD_MAMBA2_IN), *bias = cad_param(d, CAD_MAMBA2_IN_BIAS);
    int64_t width = heads ? cad_mamba2_Ep(z) : cad_mamba2_Xp(z), skip = heads ? 0 : z->I;
    size_t at = reserve(s, w->V, width, sizeof(float));
    float *to = (float *)on_host(s, at);
    for (int64_t v = 0; to && v < w->V; v++) {
        token_t t = token_of(w, m, v);
        for (int64_t k = 0; k < (heads ? z->H : z->H + 2 * z->G + 1); k++) {
            cad_mamba2_run_t r = cad_mamba2_run(z, k);
            for (int64_t i = 0; i < r.n; i++) {
                int64_t row = skip + r.from + i;
                to[v * width + r.to + i] = (float)(project_token(&t, in + row * t.D) + (bias ? (double)bias[row] : 0));
            }
        }
    }
    return (const float *)on_device(s, at);
}

/* Copies, for each row of s, the row of its token from a table (V,width) to the array `to`. */
static int look_up(cad_lane_t *l, const float *table, int64_t width, float *to, cad_span_t s)
{
    gpu_t *g = gpu_of(l);
    embed_args_t arg = { .res = to + s.beg * width, .table = table, .tok = g->tok + s.beg, .Dp = width };
    LAUNCH(embed, s.end - s.beg, ceil_div(width, THREADS), THREADS, 0, g->stream, arg);
    return launched(l, "in");
}

/* Copies from the tables x|B|C|r for the rows of s and z for the rows of `gate`. parts: which of the two (CAD_IN_*). */
static int mamba2_first(cad_lane_t *l, const mamba2_dir_t *p, cad_span_t s, cad_span_t gate, unsigned parts)
{
    const mamba2_size_t *n = &l->weights->mamba2.size;
    mamba2_lane_t *g = &gpu_of(l)->mamba2;
    int rc = parts & CAD_IN_X ? look_up(l, p->first_x, n->Xp, g->x, s) : 0;
    return rc == 0 && parts & CAD_IN_Z ? look_up(l, p->first_z, n->Ep, g->z, gate) : rc;
}

#endif
