/* t_grad.c - compares gradients with central differences of the same network in double precision: every tensor, every
 * switch of the configuration, ragged packs, every instruction set. Also tests that gradients do not depend on
 * threads and recomputation. The CUDA backend is the module that $CADUCEUS_CUDA_MODULE names, by default the shim on
 * the CPU. `t_grad NAME` tests only the instruction set NAME or, if NAME is cuda, this backend.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/random.h"
#include "blocks/mamba.h"
#include "blocks/mamba2.h"
#include "tap.h"
#include "train/trainer.h"

typedef struct {
    const char *name, *config;
    int64_t labels;
    enum cad_loss_t how;
    enum cad_pool_t pool;
    int64_t len[8], bin; /* bin: bases that an output stands for; 0: the whole sequence */
} case_t;

/* ---- the network in double precision, one strand at a time ---- */

typedef struct {
    const cad_model_t *m;
    const double *p;
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

/* Computes out (L,D), the normalised last residual of one strand. */
static void encode(const net_t *net, const uint8_t *tok, int64_t L, double *out)
{
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
        for (int64_t r = 0; r < L; r++)
            norm(net, res + r * D, tensor(net, CAD_T_NORM, i, 0),
                 c->rms_norm ? NULL : tensor(net, CAD_T_NORM_BIAS, i, 0), a + r * D);
        for (int k = 0; k < net->m->layer[i].ndir; k++)
            (net->m->layer[i].kind == CAD_KIND_mamba2 ? mamba2 : mamba)(net, i, k, a, L, h[k]);
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

static double label_loss(const net_t *net, const cad_example_t *e, double *const strand[2], enum cad_loss_t how,
                         enum cad_pool_t pool)
{
    int64_t D = net->m->cfg.d_model, labels = net->m->labels;
    const double *score = tensor(net, CAD_T_SCORE, -1, 0);
    double out[8] = { 0 };
    int strands = net->m->cfg.rcps ? 2 : 1;
    for (int s = 0; s < strands; s++)
        for (int64_t d = 0; d < D; d++) {
            double mean = 0, top = -INFINITY;
            for (int64_t t = 0; t < e->len; t++) {
                mean += strand[s][t * D + d] / (double)e->len;
                top = fmax(top, strand[s][t * D + d]);
            }
            for (int64_t c = 0; c < labels; c++)
                out[c] += score[c * D + d] * (pool == CAD_POOL_MAX ? top : mean) / strands;
        }
    for (int64_t c = 0; c < labels && net->m->score_bias; c++) out[c] += tensor(net, CAD_T_SCORE_BIAS, -1, 0)[c];
    return (double)e->weight[0] * output_loss(net, out, e->target, how);
}

static double total_loss(const net_t *net, const cad_example_t *ex, int n, const case_t *c)
{
    enum cad_loss_t how = c->how;
    double loss = 0;
    for (int i = 0; i < n; i++) {
        size_t size = (size_t)(ex[i].len * net->m->cfg.d_model);
        double *strand[2] = { calloc(size, sizeof(double)), calloc(size, sizeof(double)) };
        uint8_t *reversed = malloc((size_t)ex[i].len);
        cad_reverse_complement(net->m, ex[i].tokens, ex[i].len, reversed);
        encode(net, ex[i].tokens, ex[i].len, strand[0]);
        if (net->m->cfg.rcps) encode(net, reversed, ex[i].len, strand[1]);
        loss += how == CAD_LOSS_TOKENS ? token_loss(net, &ex[i], strand)
                : c->bin               ? bin_loss(net, &ex[i], strand, how, c->bin)
                                       : label_loss(net, &ex[i], strand, how, c->pool);
        free(strand[0]);
        free(strand[1]);
        free(reversed);
    }
    return loss;
}

/* ---- a model and examples ---- */

static double real(uint64_t a, uint64_t b) { return 2 * cad_unit(cad_random(7, a, b, 0)) - 1; }

/* Creates a model with initial values plus noise, so that no value is special (0 or 1). */
static cad_model_t *model_of(const case_t *c)
{
    cad_model_t *m = NULL, *classifier = NULL;
    cad_error_t err;
    if (cad_model_create(&m, c->config, 1024, 5, &err)) {
        printf("# %s\n", err.text);
        return NULL;
    }
    if (c->labels && !cad_model_number(m, CAD_LABELS)) {
        cad_model_classifier(&classifier, m, c->labels, 6, &err);
        cad_model_close(m);
        m = classifier;
    }
    for (int i = 0; i < m->ntensor; i++)
        for (int64_t k = 0; k < m->tensor[i].count; k++) {
            float *p = m->param + m->tensor[i].offset + k;
            double shake = real((uint64_t)i, (uint64_t)k);
            if (m->tensor[i].role == CAD_T_EMBED || cad_tensor_of_head(&m->tensor[i])) *p = (float)shake;
            else *p += (float)(0.2 * shake);
        }
    cad_model_refresh(m);
    return m;
}

static int examples_of(const case_t *c, const cad_model_t *m, cad_example_t *ex)
{
    int n = 0;
    for (; n < 8 && c->len[n]; n++) {
        size_t L = (size_t)c->len[n];
        uint8_t *tok = malloc(L), *label = malloc(L);
        float *weight = malloc(L * sizeof *weight), *target = malloc(8 * L * sizeof *target);
        for (size_t i = 0; i < L; i++) {
            tok[i] = (uint8_t)cad_below(cad_random(1, (uint64_t)n, i, 1), (uint64_t)m->vocab.rows);
            label[i] = (uint8_t)cad_below(cad_random(1, (uint64_t)n, i, 2), (uint64_t)m->vocab.rows);
            weight[i] = i % 3 == 1 || L == 1 ? (float)(1 + i % 2) : 0;
        }
        if (c->labels && !c->bin) weight[0] = (float)(n + 1) / 2; /* of the whole sequence */
        for (size_t i = 0; i < L && c->bin; i++) label[i] = (uint8_t)(label[i] % c->labels);
        for (size_t k = 0; k < 8 * L; k++)
            target[k] = c->how == CAD_LOSS_SQUARED   ? (float)real(99, (uint64_t)n + k)
                        : c->how == CAD_LOSS_POISSON ? (float)((size_t)n + k % 3)
                                                     : k == (size_t)n % (size_t)cad_max(1, c->labels);
        if (c->bin == 1) { /* classes by number */
            free(target);
            target = NULL;
        }
        ex[n] = (cad_example_t) { tok, c->len[n], label, weight, target };
    }
    return n;
}

static void free_examples(cad_example_t *ex, int n)
{
    for (int i = 0; i < n; i++) {
        free((void *)ex[i].tokens);
        free((void *)ex[i].labels);
        free((void *)ex[i].weight);
        free((void *)ex[i].target);
    }
}

static const char *device = "cpu", *precision; /* the device and precision that compute the gradients */

/* Writes the gradients of all parameters to grad (m->total), laid out as the parameters are. Returns the loss. */
static double gradients(const case_t *c, cad_model_t *m, const cad_example_t *ex, int n, int threads, int recompute,
                        float *grad)
{
    cad_trainer_t *t;
    cad_recipe_t r;
    cad_error_t err = { "" };
    double loss = 0;
    cad_recipe_init(&r);
    r.threads = threads;
    r.recompute = recompute;
    r.pool = c->pool;
    r.bin = c->bin;
    r.max_tokens = 4096;
    for (int i = 0; i < n; i++) r.max_tokens = cad_max(r.max_tokens, ex[i].len);
    r.device = device;
    r.precision = precision;
    if (cad_trainer_open(&t, m, &r, &err) || cad_trainer_add(t, c->how, ex, n, 1, &loss, &err))
        printf("# %s\n", err.text);
    memset(grad, 0, (size_t)m->total * sizeof *grad);
    for (int i = 0; t && i < m->ntensor; i++) {
        cad_trainer_gradient(t, m->tensor[i].name, grad + m->tensor[i].offset);
        cad_tensor_flip(&m->tensor[i], grad + m->tensor[i].offset);
    }
    cad_trainer_close(t);
    return loss;
}

/* Returns the relative error of one tensor's gradient: compares its product with a direction (the gradient plus a
 * random vector) with the derivative of the loss along that direction. */
static double mismatch(const case_t *c, cad_model_t *m, const cad_example_t *ex, int n, const cad_tensor_t *t,
                       const float *grad)
{
    const float *g = grad + t->offset;
    double size = 0, want = 0, f[2], h = 1e-4, *p = malloc((size_t)m->total * sizeof *p),
           *v = malloc((size_t)t->count * sizeof *v);
    for (int64_t k = 0; k < t->count; k++) size += (double)g[k] * (double)g[k];
    size = sqrt(size) + 1e-30;
    for (int64_t k = 0; k < t->count; k++) {
        v[k] = (double)g[k] / size + real(55, (uint64_t)k) / sqrt((double)t->count);
        want += v[k] * (double)g[k];
    }
    for (int side = 0; side < 2; side++) {
        net_t net = { m, p };
        for (int64_t k = 0; k < m->total; k++) p[k] = (double)m->param[k];
        for (int64_t k = 0; k < t->count; k++) p[t->offset + k] += (side ? h : -h) * v[k];
        f[side] = total_loss(&net, ex, n, c);
    }
    free(p);
    free(v);
    return fabs((f[1] - f[0]) / (2 * h) - want) / size;
}

/* Returns true for the weights of Mamba-2 of which each head has one: the terms of their gradients nearly cancel, so that
 * rounding to bfloat16 weighs more. */
static bool cancels(const char *name)
{
    const char *leaf = strrchr(name, '.') + 1;
    return !strcmp(leaf, "dt_bias") || !strcmp(leaf, "A_log") || !strcmp(leaf, "D");
}

/* much: the allowed error divided by the error that is allowed for float32 */
static void check_case(const case_t *c, const char *isa, double much)
{
    cad_model_t *m = model_of(c);
    cad_example_t ex[8];
    float *grad, *again;
    double *p, loss, worst = 0, want;
    const char *name = "";
    bool same = true;
    int n;
    if (!tap_ok(m != NULL, "%s, %s: a model", isa, c->name)) return;
    n = examples_of(c, m, ex);
    grad = cad_alloc((size_t)m->total, sizeof *grad);
    again = cad_alloc((size_t)m->total, sizeof *again);
    p = malloc((size_t)m->total * sizeof *p);
    for (int64_t k = 0; k < m->total; k++) p[k] = (double)m->param[k];
    want = total_loss(&(net_t) { m, p }, ex, n, c);
    loss = gradients(c, m, ex, n, 1, 0, grad);
    tap_ok(fabs(loss - want) < 2e-6 * much * fabs(want), "%s, %s: the loss, %.2g", isa, c->name,
           fabs(loss - want) / fabs(want));
    for (int i = 0; i < m->ntensor; i++) {
        double e = mismatch(c, m, ex, n, &m->tensor[i], grad) / (much > 1 && cancels(m->tensor[i].name) ? 10 : 1);
        if (!(e <= worst)) name = m->tensor[i].name;
        if (!(e <= worst)) worst = e;
    }
    tap_ok(worst < 2e-5 * much, "%s, %s: every tensor's gradient, at worst %.2g of %s", isa, c->name, worst, name);
    for (int k = 0; k < (strcmp(device, "cpu") ? 1 : 3);
         k++) { /* a GPU uses no host threads and always recomputes layers, so one setting is enough */
        gradients(c, m, ex, n, k == 0 ? 1 : k == 1 ? 3 : 7, k != 1, again);
        same = same && !memcmp(grad, again, (size_t)m->total * sizeof *grad);
    }
    tap_ok(same, "%s, %s: the same bits with threads and with layers run again", isa, c->name);
    free_examples(ex, n);
    free(p);
    free(grad);
    free(again);
    cad_model_close(m);
}

#define HEAD "\"architectures\": [\"CaduceusForSequenceClassification\"], \"num_labels\": 3, \"score_bias\": true"
#define SMALL "\"d_model\": 6, \"n_layer\": 2, \"vocab_size\": 12"
static const case_t CASES[] = {
    { "PS, fused, even depth",
      "{" SMALL ", \"rcps\": true}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 1, 2, 63, 5, 70 },
      0 },
    { "PS, fused, odd depth",
      "{\"d_model\": 5, \"n_layer\": 3, \"vocab_size\": 12, \"rcps\": true}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 20, 3 },
      0 },
    { "Ph, beyond a tile",
      "{\"d_model\": 4, \"n_layer\": 1, \"vocab_size\": 12}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 30, 460, 449, 9 },
      0 },
    { "PS, unfused, odd SSM",
      "{" SMALL
      ", \"rcps\": true, \"fused_add_norm\": false, \"ssm_cfg\": {\"d_state\": 17, \"d_conv\": 3, \"expand\": 3, \"dt_rank\": 5}}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 66, 4 },
      0 },
    { "PS, projection biases",
      "{" SMALL ", \"rcps\": true, \"ssm_cfg\": {\"bias\": true, \"d_state\": 3, \"d_conv\": 2}}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 17, 65 },
      0 },
    { "PS, LayerNorm, no conv bias",
      "{" SMALL ", \"rcps\": true, \"rms_norm\": false, \"ssm_cfg\": {\"conv_bias\": false}}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 33 },
      0 },
    { "Ph, untied",
      "{" SMALL ", \"bidirectional_weight_tie\": false}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 40, 40 },
      0 },
    { "PS, products of directions",
      "{" SMALL ", \"rcps\": true, \"bidirectional_strategy\": \"ew_multiply\"}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 290, 7 },
      0 },
    { "PS, one direction",
      "{" SMALL ", \"rcps\": true, \"bidirectional\": false}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 40, 7 },
      0 },
    { "more channels than a block",
      "{\"d_model\": 40, \"n_layer\": 1, \"vocab_size\": 12, \"rcps\": true}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 25 },
      0 },
    { "PS, classes", "{" SMALL ", \"rcps\": true}", 3, CAD_LOSS_CLASSES, CAD_POOL_MEAN, { 9, 31, 1 }, 0 },
    { "PS, classes, focal loss", "{" SMALL ", \"rcps\": true}", 3, CAD_LOSS_FOCAL, CAD_POOL_MEAN, { 9, 31, 1 }, 0 },
    { "Ph, labels, maximum", "{" SMALL "}", 4, CAD_LOSS_BINARY, CAD_POOL_MAX, { 9, 31 }, 0 },
    { "PS, regression", "{" SMALL ", \"rcps\": true}", 2, CAD_LOSS_SQUARED, CAD_POOL_MEAN, { 9, 31 }, 0 },
    { "PS, a class for each base",
      "{" SMALL ", \"rcps\": true, " HEAD "}",
      3,
      CAD_LOSS_CLASSES,
      CAD_POOL_MEAN,
      { 9, 131, 1 },
      1 },
    { "Ph, counts in bins of 8", "{" SMALL "}", 2, CAD_LOSS_POISSON, CAD_POOL_MEAN, { 9, 64, 131 }, 8 },
    { "PS, values in bins of 5",
      "{\"d_model\": 5, \"n_layer\": 3, \"vocab_size\": 12, \"rcps\": true}",
      2,
      CAD_LOSS_SQUARED,
      CAD_POOL_MEAN,
      { 31, 64 },
      5 },
    { "PS, a head with a bias",
      "{" SMALL ", \"rcps\": true, " HEAD "}",
      3,
      CAD_LOSS_CLASSES,
      CAD_POOL_MEAN,
      { 9, 31 },
      0 },
};

/* Cases that the CPU computes in several parts: tiles of 128 rows, packs of 4096 rows, pairs of states. */
static const case_t TILES[] = {
    { "PS, beside a tile's border",
      "{\"d_model\": 4, \"n_layer\": 1, \"vocab_size\": 12, \"rcps\": true, \"ssm_cfg\": {\"d_state\": 5}}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 126, 1, 2, 3, 4, 120, 7, 130 },
      0 },
    { "PS, across it, one state",
      "{\"d_model\": 4, \"n_layer\": 1, \"vocab_size\": 12, \"rcps\": true, \"ssm_cfg\": {\"d_state\": 1}}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 127, 2, 125, 3, 255, 1, 128, 9 },
      0 },
    { "PS, longer than a pack",
      "{\"d_model\": 4, \"n_layer\": 1, \"vocab_size\": 12, \"rcps\": true, \"ssm_cfg\": {\"d_state\": 2}}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 4300 },
      0 },
};

#define TWO(rest) "\"ssm_cfg\": {\"layer\": \"Mamba2\", " rest "}}"
/* Mamba-2: several chunks, tiles, packs and groups; states and heads larger than 64. Every group has several heads,
 * because with one head the norm would make the gradient of D almost 0. */
static const case_t MAMBA2[] = {
    { "Mamba-2 PS",
      "{" SMALL ", \"rcps\": true, " TWO("\"headdim\": 4, \"d_state\": 5"),
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 1, 2, 63, 5, 70, 64, 129 },
      0 },
    { "Mamba-2 PS, fused, odd depth, groups",
      "{\"d_model\": 5, \"n_layer\": 3, \"vocab_size\": 12, \"rcps\": true, " TWO(
          "\"expand\": 4, \"headdim\": 5, \"ngroups\": 2, \"d_state\": 3, \"d_conv\": 3"),
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 20, 3, 80 },
      0 },
    { "Mamba-2 Ph, large heads and states",
      "{\"d_model\": 20, \"n_layer\": 1, \"vocab_size\": 12, " TWO(
          "\"expand\": 16, \"headdim\": 80, \"ngroups\": 2, \"d_state\": 70"),
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 9, 66 },
      0 },
    { "Mamba-2 PS, biases, LayerNorm, unfused",
      "{" SMALL ", \"rcps\": true, \"rms_norm\": false, \"fused_add_norm\": false, " TWO(
          "\"bias\": true, \"conv_bias\": false, \"headdim\": 3, \"d_state\": 4"),
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 33, 65 },
      0 },
    { "Mamba-2 PS, untied, products of directions",
      "{" SMALL
      ", \"rcps\": true, \"bidirectional_strategy\": \"ew_multiply\", \"bidirectional_weight_tie\": false, " TWO(
          "\"headdim\": 6, \"d_state\": 4"),
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 190, 7 },
      0 },
    { "Mamba-2 PS, one direction",
      "{" SMALL ", \"rcps\": true, \"bidirectional\": false, " TWO("\"headdim\": 6, \"d_state\": 4"),
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 140, 7 },
      0 },
    { "Mamba-2 PS, classes",
      "{" SMALL ", \"rcps\": true, " TWO("\"headdim\": 4, \"d_state\": 5"),
      3,
      CAD_LOSS_CLASSES,
      CAD_POOL_MEAN,
      { 9, 131, 1 },
      0 },
    { "Mamba-2 PS, longer than a pack",
      "{\"d_model\": 4, \"n_layer\": 1, \"vocab_size\": 12, \"rcps\": true, " TWO("\"headdim\": 8, \"d_state\": 2"),
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 4300 },
      0 },
};

/* Cases that a GPU computes in several parts: pieces of long sequences, thread blocks of channels, groups of states
 * and of convolution taps. */
static const case_t PIECES[] = {
    { "a long sequence among others",
      "{\"d_model\": 4, \"n_layer\": 1, \"vocab_size\": 12, \"rcps\": true}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 30, 2300, 9 },
      0 },
    { "long, in turns of states",
      "{\"d_model\": 3, \"n_layer\": 1, \"vocab_size\": 12, \"ssm_cfg\": {\"d_state\": 20, \"d_conv\": 6}}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 2100 },
      0 },
    { "blocks of channels, a large dt_rank",
      "{\"d_model\": 80, \"n_layer\": 1, \"vocab_size\": 12, \"ssm_cfg\": {\"dt_rank\": 21}}",
      0,
      CAD_LOSS_TOKENS,
      CAD_POOL_MEAN,
      { 21, 40, 2 },
      0 },
};

/* Compares the n cases of a table, or every third of them. much: the error that is allowed, as a multiple of float32's.
 */
static void check_cases(const case_t *c, size_t n, bool third, const char *name, double much)
{
    for (size_t k = 0; k < n; k += third ? 3 : 1) check_case(&c[k], name, much);
}
#define CHECK(cases, third, name, much) check_cases(cases, sizeof(cases) / sizeof *(cases), third, name, much)

static void check_cpu(const char *isa, const char *how, double much)
{
    cad_model_t *m = model_of(&CASES[0]);
    cad_context_t *ctx = NULL;
    cad_options_t o;
    char name[40], device_name[40];
    cad_options_init(&o);
    o.device = "cpu";
    o.precision = precision = how;
    setenv("CADUCEUS_ISA", isa, 1);
    snprintf(name, sizeof name, "%s %s", isa, how);
    snprintf(device_name, sizeof device_name, "cpu %s", isa);
    if (cad_context_open(&ctx, m, &o, NULL) || strcmp(cad_context_device(ctx), device_name))
        tap_skip(name, "this processor lacks it");
    else {
        CHECK(CASES, tap_few || much > 1, name, much);
        CHECK(TILES, tap_few || much > 1, name, much);
        CHECK(MAMBA2, tap_few || much > 1, name, much);
    }
    cad_context_close(ctx);
    cad_model_close(m);
}

static void check_cuda(const char *how, double much)
{
    const char *named = getenv("CADUCEUS_CUDA_MODULE"), *builddir = getenv("builddir");
    char path[4096], name[32];
    snprintf(path, sizeof path, "%s/.libs/caduceus-cuda-shim.so", builddir ? builddir : ".");
    if (!named || !*named) setenv("CADUCEUS_CUDA_MODULE", path, 1);
    snprintf(name, sizeof name, "cuda %s", how);
    device = "cuda";
    precision = how;
    CHECK(CASES, much > 1, name, much);
    CHECK(PIECES, false, name, much);
    CHECK(MAMBA2, much > 1, name, much);
}

static void test_unknown_tensor(void)
{
    cad_model_t *m = model_of(&CASES[0]);
    cad_trainer_t *t = NULL;
    cad_recipe_t r;
    float out = 7;
    cad_recipe_init(&r);
    r.device = "cpu";
    cad_trainer_open(&t, m, &r, NULL);
    tap_ok(t && cad_trainer_gradient(t, "no.such.weight", &out) == CAD_EARG && out == 7,
           "an unknown tensor has no gradient, and nothing is written");
    cad_trainer_close(t);
    cad_model_close(m);
}

static const cad_back_ops_t *counted; /* the operations that count_pool() calls */
static int pool_calls;

static int count_pool(cad_grad_lane_t *l, const int64_t *off, int nseq, enum cad_pool_t how, const float *dpooled)
{
    pool_calls++;
    return counted->pool(l, off, nseq, how, dpooled);
}

/* Pooling's backward pass is one operation for each pack and strand, so that a trainer on a GPU does not wait for each
 * example. */
static void test_pools_once(void)
{
    static const uint8_t tok[9] = { 0, 1, 2, 3, 0, 1, 2, 3, 0 };
    static const float target[3] = { 0, 1, 0 };
    static const case_t classes = { .config = "{" SMALL ", \"rcps\": true}", .labels = 3 };
    cad_example_t ex[4];
    cad_model_t *m = model_of(&classes);
    cad_trainer_t *t = NULL;
    cad_back_ops_t ops;
    cad_recipe_t r;
    double loss = 0;
    for (int i = 0; i < 4; i++) ex[i] = (cad_example_t) { .tokens = tok, .len = 9 - i, .target = target };
    cad_recipe_init(&r);
    r.device = "cpu";
    r.threads = 1;
    if (!tap_ok(cad_trainer_open(&t, m, &r, NULL) == 0, "a trainer of a classifier opens")) return;
    ops = *(counted = t->back);
    ops.pool = count_pool;
    t->back = &ops;
    tap_ok(cad_trainer_add(t, CAD_LOSS_CLASSES, ex, 4, 1, &loss, NULL) == 0 && pool_calls == 2,
           "four examples take one backward pooling for each strand");
    t->back = counted;
    cad_trainer_close(t);
    cad_model_close(m);
}

int main(int argc, char **argv)
{
    static const char *const isa[] = { "plain", "avx2", "avx512", "neon", "avx512bf16", "avx512bf16-plain" };
    test_unknown_tensor();
    test_pools_once();
    tap_arguments(argc, argv);
    for (size_t i = 0; i < sizeof isa / sizeof *isa; i++) {
        if (!tap_wants(isa[i])) continue;
        if (i < 4) check_cpu(isa[i], "fp32", 1);
        check_cpu(isa[i], "bf16", 2e3); /* the code is that of fp32 but for the products: every third case is enough */
    }
    if (!tap_wants("cuda")) return tap_finish();
    check_cuda("fp32", 1);
    check_cuda("bf16", 2e3);
    return tap_finish();
}
