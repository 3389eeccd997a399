/* grad_network.c - the network and its losses in double precision, in plain loops. SPDX-License-Identifier: MIT */
#include <math.h>

#include "blocks/attention.h"
#include "blocks/cnn.h"
#include "blocks/hyena.h"
#include "blocks/kmer.h"
#include "blocks/mamba.h"
#include "blocks/mamba2.h"
#include "blocks/mlp.h"
#include "grad_network.h"

/* ---- one strand at a time ---- */

typedef struct {
    const cad_model_t *m;
    const double *p;
    const uint8_t *tok; /* tokens of the strand */
} net_t;

/* Returns the values of a tensor, or NULL if it is absent. For a second direction with tied weights, returns those
 * of the first direction. */
static const double *tensor(const net_t *n, int role, int layer, int dir)
{
    const double *first = NULL;
    for (int i = 0; i < n->m->ntensor; i++) {
        const cad_tensor_t *t = &n->m->tensor[i];
        if (t->role != role || t->layer != layer) continue;
        if (t->dir == dir) return n->p + t->offset;
        first = n->p + t->offset;
    }
    return n->m->cfg.tied ? first : NULL;
}

static double silu(double v) { return v / (1 + exp(-v)); }

static double dot(const double *a, const double *b, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += a[i] * b[i];
    return s;
}

static void norm(const net_t *n, const double *x, const double *w, const double *b, double *out)
{
    int64_t D = n->m->cfg.d_model;
    double mean = 0, var = 0;
    for (int64_t i = 0; i < D && !n->m->cfg.rms_norm; i++) mean += x[i] / (double)D;
    for (int64_t i = 0; i < D; i++) var += (x[i] - mean) * (x[i] - mean) / (double)D;
    for (int64_t i = 0; i < D; i++) out[i] = (x[i] - mean) / sqrt(var + n->m->cfg.norm_epsilon) * w[i] + (b ? b[i] : 0);
}

/* Computes h (L,D), the output of one Mamba direction for its input a (L,D). */
static void mamba(const net_t *net, int layer, int dir, const double *a, int64_t L, double *h)
{
    const cad_config_t *c = &net->m->cfg;
    const cad_mamba_t *z = cad_mamba(c);
    int64_t D = c->d_model, E = z->E, N = z->N, K = z->K, R = z->R;
    const double *in = tensor(net, CAD_MAMBA_IN, layer, dir),
                 *in_bias = z->bias ? tensor(net, CAD_MAMBA_IN_BIAS, layer, dir) : NULL;
    const double *conv = tensor(net, CAD_MAMBA_CONV, layer, dir),
                 *conv_bias = z->conv_bias ? tensor(net, CAD_MAMBA_CONV_BIAS, layer, dir) : NULL;
    const double *x_proj = tensor(net, CAD_MAMBA_X, layer, dir), *dt_proj = tensor(net, CAD_MAMBA_DT, layer, dir),
                 *dt_bias = tensor(net, CAD_MAMBA_DT_BIAS, layer, dir);
    const double *a_log = tensor(net, CAD_MAMBA_A_LOG, layer, dir), *skip = tensor(net, CAD_MAMBA_SKIP, layer, dir);
    const double *out = tensor(net, CAD_MAMBA_OUT, layer, dir),
                 *out_bias = z->bias ? tensor(net, CAD_MAMBA_OUT_BIAS, layer, dir) : NULL;
    bool reverse = net->m->layer[layer].dir[dir].reverse;
    double *x = calloc((size_t)(L * E), sizeof *x), *u = calloc((size_t)E, sizeof *u),
           *y = calloc((size_t)E, sizeof *y);
    double *s = calloc((size_t)(E * N), sizeof *s), *bc = calloc((size_t)(R + 2 * N), sizeof *bc);
    for (int64_t r = 0; r < L; r++)
        for (int64_t e = 0; e < E; e++) x[r * E + e] = dot(in + e * D, a + r * D, D) + (in_bias ? in_bias[e] : 0);
    for (int64_t i = 0; i < L; i++) {
        int64_t r = reverse ? L - 1 - i : i, step = reverse ? -1 : 1;
        for (int64_t e = 0; e < E; e++) {
            double v = conv_bias ? conv_bias[e] : 0;
            for (int64_t k = 0; k < K && k <= i; k++) v += conv[e * K + K - 1 - k] * x[(r - step * k) * E + e];
            u[e] = silu(v);
        }
        for (int64_t j = 0; j < R + 2 * N; j++) bc[j] = dot(x_proj + j * E, u, E);
        for (int64_t e = 0; e < E; e++) {
            double dt = log1p(exp(dot(dt_proj + e * R, bc, R) + dt_bias[e])), sum = skip[e] * u[e];
            double gate = dot(in + (E + e) * D, a + r * D, D) + (in_bias ? in_bias[E + e] : 0);
            for (int64_t n = 0; n < N; n++) {
                s[e * N + n] = exp(-dt * exp(a_log[e * N + n])) * s[e * N + n] + dt * u[e] * bc[R + n];
                sum += s[e * N + n] * bc[R + N + n];
            }
            y[e] = sum * silu(gate);
        }
        for (int64_t d = 0; d < D; d++) h[r * D + d] = dot(out + d * E, y, E) + (out_bias ? out_bias[d] : 0);
    }
    free(x);
    free(u);
    free(y);
    free(s);
    free(bc);
}

typedef struct { /* one direction of a Mamba-2 layer: its tensors, and the scratch of one row */
    const cad_mamba2_t *z;
    const double *in, *in_bias, *conv, *conv_bias, *dt_bias, *a_log, *skip, *norm, *out, *out_bias;
    int64_t C;             // I+2GN
    double *u, *y, *state; // (C), (I), (I,N)
} mamba2_t;

static mamba2_t mamba2_of(const net_t *net, int layer, int dir)
{
    const cad_mamba2_t *z = cad_mamba2(&net->m->cfg);
    mamba2_t t = { .z = z, .C = z->I + 2 * z->G * z->N };
    t.in = tensor(net, CAD_MAMBA2_IN, layer, dir);
    t.in_bias = z->bias ? tensor(net, CAD_MAMBA2_IN_BIAS, layer, dir) : NULL;
    t.conv = tensor(net, CAD_MAMBA2_CONV, layer, dir);
    t.conv_bias = z->conv_bias ? tensor(net, CAD_MAMBA2_CONV_BIAS, layer, dir) : NULL;
    t.dt_bias = tensor(net, CAD_MAMBA2_DT_BIAS, layer, dir);
    t.a_log = tensor(net, CAD_MAMBA2_A_LOG, layer, dir);
    t.skip = tensor(net, CAD_MAMBA2_SKIP, layer, dir);
    t.norm = tensor(net, CAD_MAMBA2_NORM, layer, dir);
    t.out = tensor(net, CAD_MAMBA2_OUT, layer, dir);
    t.out_bias = z->bias ? tensor(net, CAD_MAMBA2_OUT_BIAS, layer, dir) : NULL;
    t.u = calloc((size_t)t.C, sizeof *t.u);
    t.y = calloc((size_t)z->I, sizeof *t.y);
    t.state = calloc((size_t)(z->I * z->N), sizeof *t.state);
    return t;
}

/* Sets y = norm(y silu(gate)), with the mean square computed separately for each group. */
static void gated_norm(const mamba2_t *t, const double *gate)
{
    int64_t width = t->z->I / t->z->G;
    for (int64_t g = 0; g < t->z->I; g += width) {
        double square = 0;
        for (int64_t e = g; e < g + width; e++) {
            t->y[e] *= silu(gate[e]);
            square += t->y[e] * t->y[e] / (double)width;
        }
        for (int64_t e = g; e < g + width; e++) t->y[e] *= t->norm[e] / sqrt(square + 1e-5);
    }
}

/* Advances the state by one row and computes y. steps (H): the row's time steps before bias and softplus. */
static void recur(const mamba2_t *t, const double *steps)
{
    int64_t I = t->z->I, N = t->z->N, G = t->z->G;
    for (int64_t e = 0; e < I; e++) {
        int64_t h = e / t->z->P, g = h * G / t->z->H;
        double dt = log1p(exp(steps[h] + t->dt_bias[h])), decay = exp(-dt * exp(t->a_log[h]));
        t->y[e] = t->skip[h] * t->u[e];
        for (int64_t n = 0; n < N; n++) {
            double *s = &t->state[e * N + n];
            *s = decay * *s + dt * t->u[e] * t->u[I + g * N + n];
            t->y[e] += *s * t->u[I + (G + g) * N + n];
        }
    }
}

/* Computes h (L,D), the output of one Mamba-2 direction for its input a (L,D). */
static void mamba2(const net_t *net, int layer, int dir, const double *a, int64_t L, double *h)
{
    mamba2_t t = mamba2_of(net, layer, dir);
    int64_t D = net->m->cfg.d_model, I = t.z->I, K = t.z->K, R = I + t.C + t.z->H;
    bool reverse = net->m->layer[layer].dir[dir].reverse;
    double *in = calloc((size_t)(L * R), sizeof *in);
    for (int64_t r = 0; r < L; r++)
        for (int64_t i = 0; i < R; i++)
            in[r * R + i] = dot(t.in + i * D, a + r * D, D) + (t.in_bias ? t.in_bias[i] : 0);
    for (int64_t i = 0; i < L; i++) {
        int64_t r = reverse ? L - 1 - i : i, step = reverse ? -1 : 1;
        for (int64_t c = 0; c < t.C; c++) {
            double v = t.conv_bias ? t.conv_bias[c] : 0;
            for (int64_t k = 0; k < K && k <= i; k++) v += t.conv[c * K + K - 1 - k] * in[(r - step * k) * R + I + c];
            t.u[c] = silu(v);
        }
        recur(&t, in + r * R + I + t.C);
        gated_norm(&t, in + r * R);
        for (int64_t d = 0; d < D; d++) h[r * D + d] = dot(t.out + d * I, t.y, I) + (t.out_bias ? t.out_bias[d] : 0);
    }
    free(in);
    free(t.u);
    free(t.y);
    free(t.state);
}

/* Turns the pairs of channels (i, i + d/2) of x (d), at a position. */
static void turn(double *x, int64_t d, int64_t position)
{
    for (int64_t i = 0; i < d / 2; i++) {
        double angle = (double)position / pow(10000, 2.0 * (double)i / (double)d), a = x[i], b = x[i + d / 2];
        x[i] = a * cos(angle) - b * sin(angle);
        x[i + d / 2] = b * cos(angle) + a * sin(angle);
    }
}

/* Returns whether row q reads row k of L rows. */
static bool attends(const cad_attention_t *s, int layer, int64_t q, int64_t k, int64_t L)
{
    cad_attention_reads_t reads;
    cad_attention_reads(s, layer, q / 64, (L + 63) / 64, &reads);
    for (int64_t i = 0; i < reads.n; i++)
        if (cad_attention_block(&reads, i) == k / 64) return true;
    return false;
}

/* Sets p (L) to the exponentials of the scores of row r and one head, 0 where it does not attend. qkv (L,3I): of the
 * sequence; at: the head's first channel. */
static void score_rows(const net_t *net, int layer, const double *qkv, int64_t r, int64_t at, int64_t L, double *p)
{
    const cad_attention_t *s = cad_attention(&net->m->cfg);
    int64_t I = s->H * s->d, W = 3 * I;
    const double *q = qkv + r * W + at;
    for (int64_t k = 0; k < L; k++)
        p[k] = attends(s, layer, r, k, L) ? exp(dot(q, qkv + k * W + I + at, s->d) / sqrt((double)s->d)) : 0;
}

/* As score_rows(), along the edges of row r. */
static void score_edges(const net_t *net, int layer, const double *qkv, int64_t r, int64_t at, int64_t L, double *p)
{
    const cad_attention_t *s = cad_attention(&net->m->cfg);
    const double *e = tensor(net, CAD_ATTENTION_EDGE, layer, 0), *q;
    int64_t I = s->H * s->d, W = 3 * I;
    int32_t *edge = calloc((size_t)(L * CAD_EDGES), sizeof *edge);
    uint8_t digit[256];
    q = qkv + r * W + at;
    cad_kmer_digits(&net->m->vocab, digit);
    cad_attention_edges(digit, net->tok, 0, L, edge);
    memset(p, 0, (size_t)L * sizeof *p);
    for (int64_t t = 0, k; t < CAD_EDGES; t++)
        if ((k = edge[r * CAD_EDGES + t]) >= 0)
            p[k] += exp((dot(q, qkv + k * W + I + at, s->d) + dot(q, e + t * I + at, s->d)) / sqrt((double)s->d));
    free(edge);
}

/* Computes h (L,D), the output of an attention layer for its input a (L,D). */
static void attention(const net_t *net, int layer, int dir, const double *a, int64_t L, double *h)
{
    const cad_attention_t *s = cad_attention(&net->m->cfg);
    int64_t D = net->m->cfg.d_model, d = s->d, I = s->H * d, W = 3 * I;
    const double *in = tensor(net, CAD_ATTENTION_QKV, layer, dir), *out = tensor(net, CAD_ATTENTION_OUT, layer, dir);
    double *x = calloc((size_t)(L * W), sizeof *x), *y = calloc((size_t)I, sizeof *y),
           *p = calloc((size_t)L, sizeof *p);
    for (int64_t i = 0; i < L * W; i++) x[i] = dot(in + i % W * D, a + i / W * D, D);
    for (int64_t i = 0; i < L * 2 * s->H && s->rotary; i++)
        turn(x + i / (2 * s->H) * W + i % (2 * s->H) * d, d, i / (2 * s->H));
    for (int64_t r = 0; r < L; r++) {
        for (int64_t e = 0; e < I; e += d) {
            double sum = 0;
            (s->pattern == CAD_ATTENTION_GRAPH ? score_edges : score_rows)(net, layer, x, r, e, L, p);
            for (int64_t k = 0; k < L; k++) sum += p[k];
            for (int64_t i = 0; i < d; i++) {
                y[e + i] = 0;
                for (int64_t k = 0; k < L; k++) y[e + i] += p[k] / sum * x[k * W + 2 * I + e + i];
            }
        }
        for (int64_t i = 0; i < D; i++) h[r * D + i] = dot(out + i * I, y, I);
    }
    free(x);
    free(y);
    free(p);
}

/* Computes h (L,D), the output of an MLP for its input a (L,D). */
static void mlp(const net_t *net, int layer, int dir, const double *a, int64_t L, double *h)
{
    const cad_mlp_t *z = cad_mlp(&net->m->cfg);
    int64_t D = net->m->cfg.d_model;
    const double *fc1 = tensor(net, CAD_MLP_FC1, layer, dir), *fc2 = tensor(net, CAD_MLP_FC2, layer, dir);
    const double *bias1 = z->bias ? tensor(net, CAD_MLP_FC1_BIAS, layer, dir) : NULL,
                 *bias2 = z->bias ? tensor(net, CAD_MLP_FC2_BIAS, layer, dir) : NULL;
    double *u = calloc((size_t)z->E, sizeof *u);
    for (int64_t r = 0; r < L; r++) {
        for (int64_t e = 0; e < z->E; e++) {
            double v = dot(fc1 + e * D, a + r * D, D) + (bias1 ? bias1[e] : 0);
            u[e] = z->tanh ? v / 2 * (1 + tanh(sqrt(2 / M_PI) * (v + 0.044715 * pow(v, 3))))
                           : v / 2 * (1 + erf(v / sqrt(2)));
        }
        for (int64_t d = 0; d < D; d++) h[r * D + d] = dot(fc2 + d * z->E, u, z->E) + (bias2 ? bias2[d] : 0);
    }
    free(u);
}

/* Computes the filter at one position, k (D). */
static void filter_at(const net_t *net, int layer, int64_t position, double *k)
{
    const cad_hyena_t *z = cad_hyena(&net->m->cfg);
    const double *freq = z->train_freq ? tensor(net, CAD_HYENA_FREQ, layer, 0) : NULL,
                 *last = tensor(net, CAD_HYENA_LAST, layer, 0);
    double h[CAD_HYENA_WIDEST], next[CAD_HYENA_WIDEST], t = tensor(net, CAD_HYENA_T, layer, 0)[position];
    memcpy(h, tensor(net, CAD_HYENA_Z, layer, 0) + position * z->emb, (size_t)z->emb * sizeof *h);
    for (int i = 0; i <= z->inner; i++) {
        const double *w = tensor(net, CAD_HYENA_WEIGHT + i, layer, 0),
                     *bias = tensor(net, CAD_HYENA_WEIGHT_BIAS + i, layer, 0);
        int64_t n = i ? z->O : z->emb;
        for (int64_t o = 0; o < z->O; o++) next[o] = sin((freq ? freq[o] : z->freq) * (dot(w + o * n, h, n) + bias[o]));
        memcpy(h, next, (size_t)z->O * sizeof *h);
    }
    for (int64_t d = 0; d < net->m->cfg.d_model; d++)
        k[d] = dot(last + d * z->O, h, z->O) * (exp(-t * fabs(tensor(net, CAD_HYENA_DELTAS, layer, 0)[d])) + 0.05);
}

/* Computes h (L,D), the output of a hyena layer for its input a (L,D). */
static void hyena(const net_t *net, int layer, int dir, const double *a, int64_t L, double *h)
{
    int64_t D = net->m->cfg.d_model, W = 3 * D;
    const double *in = tensor(net, CAD_HYENA_IN, layer, dir), *in_bias = tensor(net, CAD_HYENA_IN_BIAS, layer, dir),
                 *taps = tensor(net, CAD_HYENA_SHORT, layer, dir),
                 *taps_bias = tensor(net, CAD_HYENA_SHORT_BIAS, layer, dir),
                 *bias = tensor(net, CAD_HYENA_BIAS, layer, dir), *out = tensor(net, CAD_HYENA_OUT, layer, dir),
                 *out_bias = tensor(net, CAD_HYENA_OUT_BIAS, layer, dir);
    double *u = calloc((size_t)(L * W), sizeof *u), *x = calloc((size_t)(L * W), sizeof *x),
           *k = calloc((size_t)(L * D), sizeof *k), *y = calloc((size_t)D, sizeof *y);
    for (int64_t i = 0; i < L * W; i++) u[i] = dot(in + i % W * D, a + i / W * D, D) + in_bias[i % W];
    for (int64_t i = 0; i < L * W; i++) {
        x[i] = taps_bias[i % W] + taps[i % W * 3 + 2] * u[i];
        if (i >= W) x[i] += taps[i % W * 3 + 1] * u[i - W];
        if (i >= 2 * W) x[i] += taps[i % W * 3] * u[i - 2 * W];
    }
    for (int64_t i = 0; i < L * D; i++) /* p in the place of v */
        x[i / D * W + 2 * D + i % D] *= x[i / D * W + D + i % D];
    for (int64_t r = 0; r < L; r++) filter_at(net, layer, r, k + r * D);
    for (int64_t r = 0; r < L; r++) {
        for (int64_t d = 0; d < D; d++) {
            y[d] = bias[d] * x[r * W + 2 * D + d];
            for (int64_t s = 0; s <= r; s++) y[d] += k[(r - s) * D + d] * x[s * W + 2 * D + d];
            y[d] *= x[r * W + d];
        }
        for (int64_t d = 0; d < D; d++) h[r * D + d] = dot(out + d * D, y, D) + out_bias[d];
    }
    free(u);
    free(x);
    free(k);
    free(y);
}

/* Returns the row of the table for the word around token r. */
static int64_t word_of(const cad_vocab_t *v, int64_t k, const uint8_t *tok, int64_t L, int64_t r)
{
    int64_t words = 1, word = 0, bases = 0;
    for (int64_t i = r - k / 2; i <= r + k / 2; i++) {
        words *= 4;
        for (int b = 0; b < 4 && i >= 0 && i < L; b++)
            if (tok[i] == v->base[b]) bases++, word = word * 4 + b;
    }
    for (int64_t i = cad_max(r - k / 2, 0); i <= cad_min(r + k / 2, L - 1); i++)
        if (tok[i] == v->mask) return words;
    return bases == k ? word : words + 1;
}

/* Computes h (L,D), the embeddings of the words of a strand. */
static void kmers(const net_t *net, int layer, int dir, const double *a, int64_t L, double *h)
{
    int64_t D = net->m->cfg.d_model, k = cad_kmer_k(&net->m->cfg);
    const double *table = tensor(net, CAD_KMER_TABLE, layer, dir);
    (void)a;
    for (int64_t i = 0; i < L * D; i++) h[i] = table[word_of(&net->m->vocab, k, net->tok, L, i / D) * D + i % D];
}

/* Computes h, the output of a layer that convolves and pools, for its input a (L,D); h has fewer rows. */
static void cnn(const net_t *net, int layer, int dir, const double *a, int64_t L, double *h)
{
    const cad_cnn_t *s = cad_cnn(&net->m->cfg);
    int64_t D = net->m->cfg.d_model, E = s->n * s->C;
    const double *out = tensor(net, CAD_CNN_OUT, layer, dir), *bias = tensor(net, CAD_CNN_OUT_BIAS, layer, dir);
    double *y = calloc((size_t)E, sizeof *y);
    for (int64_t r = 0; r * s->P < L; r++) {
        memset(y, 0, (size_t)E * sizeof *y);
        for (int64_t e = 0; e < E; e++) {
            int i = (int)(e / s->C);
            int64_t w = s->width[i], c = e % s->C;
            const double *weight = tensor(net, CAD_CNN_WEIGHT + 2 * i, layer, dir) + c * D * w;
            for (int64_t t = r * s->P; t < cad_min((r + 1) * s->P, L); t++) {
                double u = tensor(net, CAD_CNN_BIAS + 2 * i, layer, dir)[c];
                for (int64_t from = cad_max(t - (w - 1) / 2, 0); from <= cad_min(t + w / 2, L - 1); from++)
                    for (int64_t d = 0; d < D; d++) u += weight[d * w + from - t + (w - 1) / 2] * a[from * D + d];
                y[e] = fmax(y[e], u);
            }
        }
        for (int64_t d = 0; d < D; d++) h[r * D + d] = dot(out + d * E, y, E) + bias[d];
    }
    free(y);
}

typedef void layer_f(const net_t *net, int layer, int dir, const double *a, int64_t L, double *h);
static layer_f *const LAYER[CAD_NKINDS] = {
    [CAD_KIND_kmer] = kmers, [CAD_KIND_mamba] = mamba, [CAD_KIND_mamba2] = mamba2, [CAD_KIND_attention] = attention,
    [CAD_KIND_mlp] = mlp,    [CAD_KIND_cnn] = cnn,     [CAD_KIND_hyena] = hyena,
};

/* Computes out (n,D), the normalised last residual of one strand; returns n, its rows: L, unless layers pool them. */
static int64_t encode(const cad_model_t *m, const double *p, const uint8_t *tok, int64_t L, double *out)
{
    const net_t strand = { m, p, tok }, *net = &strand;
    const cad_config_t *c = &net->m->cfg;
    int64_t D = c->d_model;
    const double *table = tensor(net, CAD_T_EMBED, -1, 0);
    double *res = calloc((size_t)(L * D), sizeof *res), *a = calloc((size_t)(L * D), sizeof *a), *h[2];
    for (int k = 0; k < 2; k++) h[k] = calloc((size_t)(L * D), sizeof *h[k]);
    for (int64_t r = 0; r < L; r++)
        for (int64_t d = 0; d < D; d++)
            res[r * D + d] = cad_model_input_reversed(net->m) ? table[net->m->vocab.comp[tok[r]] * D + D - 1 - d]
                                                              : table[tok[r] * D + d];
    for (int i = 0; i < c->n_layer; i++) {
        const cad_block_t *block = cad_layer_block(net->m, i);
        const double *weight = tensor(net, CAD_T_NORM, i, 0);
        for (int64_t r = 0; r < L && weight; r++)
            norm(net, res + r * D, weight, c->rms_norm ? NULL : tensor(net, CAD_T_NORM_BIAS, i, 0), a + r * D);
        for (int k = 0; k < net->m->layer[i].ndir; k++) LAYER[net->m->layer[i].kind](net, i, k, a, L, h[k]);
        if (block->stride) {
            L = (L + block->stride(c) - 1) / block->stride(c);
            memset(res, 0, (size_t)(L * D) * sizeof *res);
        }
        for (int64_t j = 0; j < L * D; j++)
            res[j] += net->m->layer[i].ndir == 1 ? h[0][j] : c->multiply ? h[0][j] * h[1][j] : h[0][j] + h[1][j];
    }
    for (int64_t r = 0; r < L; r++)
        norm(net, res + r * D, tensor(net, CAD_T_NORM_F, -1, 0),
             c->rms_norm ? NULL : tensor(net, CAD_T_NORM_F_BIAS, -1, 0), out + r * D);
    free(res);
    free(a);
    free(h[0]);
    free(h[1]);
    return L;
}

/* ---- losses ---- */

static double cross_entropy(const double *logit, int64_t n, int64_t label)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp(logit[i] - logit[label]);
    return log(sum);
}

static double token_loss(const net_t *net, const cad_example_t *e, double *const strand[2])
{
    int64_t D = net->m->cfg.d_model, V = net->m->vocab.rows;
    const double *table = tensor(net, CAD_T_EMBED, -1, 0);
    double logit[256], loss = 0;
    for (int64_t t = 0; t < e->len; t++) {
        for (int64_t v = 0; v < V; v++) {
            logit[v] = dot(table + v * D, strand[0] + t * D, D);
            if (net->m->cfg.rcps)
                logit[v] += dot(table + net->m->vocab.comp[v] * D, strand[1] + (e->len - 1 - t) * D, D);
        }
        if (e->weight[t] > 0) loss += (double)e->weight[t] * cross_entropy(logit, V, e->labels[t]);
    }
    return loss;
}

/* Returns the loss of outputs (labels) with one target. */
static double output_loss(const net_t *net, const double *out, const float *target, enum cad_loss_t how)
{
    int64_t labels = net->m->labels;
    double loss = 0;
    for (int64_t c = 0; c < labels; c++) {
        double y = (double)target[c];
        if (how == CAD_LOSS_CLASSES) loss += y * cross_entropy(out, labels, c);
        if (how == CAD_LOSS_FOCAL) {
            double entropy = cross_entropy(out, labels, c), rest = 1 - exp(-entropy);
            loss += y * rest * rest * entropy;
        }
        if (how == CAD_LOSS_BINARY) loss += log1p(exp(out[c])) - y * out[c];
        if (how == CAD_LOSS_SQUARED) loss += (out[c] - y) * (out[c] - y);
        if (how == CAD_LOSS_POISSON) loss += exp(out[c]) - y * out[c];
    }
    return loss;
}

static double bin_loss(const net_t *net, const cad_example_t *e, double *const strand[2], enum cad_loss_t how,
                       int64_t bin)
{
    int64_t D = net->m->cfg.d_model, labels = net->m->labels;
    const double *score = tensor(net, CAD_T_SCORE, -1, 0);
    double loss = 0;
    for (int64_t u = 0; u * bin < e->len; u++) {
        int64_t beg = u * bin, end = cad_min(beg + bin, e->len);
        double out[8] = { 0 }, n = (double)((end - beg) * (net->m->cfg.rcps ? 2 : 1));
        for (int64_t c = 0; c < labels; c++) {
            for (int64_t t = beg; t < end; t++) {
                out[c] += dot(score + c * D, strand[0] + t * D, D) / n;
                if (net->m->cfg.rcps) out[c] += dot(score + c * D, strand[1] + (e->len - 1 - t) * D, D) / n;
            }
            if (net->m->score_bias) out[c] += tensor(net, CAD_T_SCORE_BIAS, -1, 0)[c];
        }
        if (e->weight[u] <= 0) continue;
        loss += (double)e->weight[u] * (e->target ? output_loss(net, out, e->target + u * labels, how)
                                                  : cross_entropy(out, labels, e->labels[u]));
    }
    return loss;
}

/* Sets p (L) to the weights of attention pooling over the rows h (L,D): the softmax of their scores. */
static void pool_weights(const net_t *net, const double *h, int64_t L, double *p)
{
    int64_t D = net->m->cfg.d_model;
    const double *w = tensor(net, CAD_T_POOL, -1, 0);
    double sum = 0;
    for (int64_t t = 0; t < L; t++) sum += p[t] = exp(dot(w, h + t * D, D));
    for (int64_t t = 0; t < L; t++) p[t] /= sum;
}

/* rows: of a strand after the last layer. */
static double label_loss(const net_t *net, const cad_example_t *e, double *const strand[2], int64_t rows,
                         enum cad_loss_t how, enum cad_pool_t pool)
{
    int64_t D = net->m->cfg.d_model, labels = net->m->labels;
    const double *score = tensor(net, CAD_T_SCORE, -1, 0);
    double out[8] = { 0 };
    int strands = net->m->cfg.rcps ? 2 : 1;
    double *p = malloc((size_t)rows * sizeof *p);
    for (int s = 0; s < strands; s++) {
        for (int64_t t = 0; t < rows; t++) p[t] = 1 / (double)rows;
        if (pool == CAD_POOL_ATTENTION) pool_weights(net, strand[s], rows, p);
        for (int64_t d = 0; d < D; d++) {
            double mean = 0, top = -INFINITY;
            for (int64_t t = 0; t < rows; t++) {
                mean += p[t] * strand[s][t * D + d];
                top = fmax(top, strand[s][t * D + d]);
            }
            for (int64_t c = 0; c < labels; c++)
                out[c] += score[c * D + d] * (pool == CAD_POOL_MAX ? top : mean) / strands;
        }
    }
    free(p);
    for (int64_t c = 0; c < labels && net->m->score_bias; c++) out[c] += tensor(net, CAD_T_SCORE_BIAS, -1, 0)[c];
    return (double)e->weight[0] * output_loss(net, out, e->target, how);
}

double network_loss(const cad_model_t *m, const double *p, const cad_example_t *ex, int n, const case_t *c)
{
    const net_t net = { m, p, NULL };
    enum cad_loss_t how = c->how;
    double loss = 0;
    for (int i = 0; i < n; i++) {
        size_t size = (size_t)(ex[i].len * m->cfg.d_model);
        double *strand[2] = { calloc(size, sizeof(double)), calloc(size, sizeof(double)) };
        uint8_t *reversed = malloc((size_t)ex[i].len);
        cad_reverse_complement(m, ex[i].tokens, ex[i].len, reversed);
        int64_t rows = encode(m, p, ex[i].tokens, ex[i].len, strand[0]);
        if (m->cfg.rcps) encode(m, p, reversed, ex[i].len, strand[1]);
        loss += how == CAD_LOSS_TOKENS ? token_loss(&net, &ex[i], strand)
                : c->bin               ? bin_loss(&net, &ex[i], strand, how, c->bin)
                                       : label_loss(&net, &ex[i], strand, rows, how, c->pool);
        free(strand[0]);
        free(strand[1]);
        free(reversed);
    }
    return loss;
}
