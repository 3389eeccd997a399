/* weights_tmpl.h - packs the weights of a whole model, whose layers may be of any kind, and allocates its gradients. D
 * is d_model, V the number of rows of the embedding table; Dp is D rounded up to CAD_PAD.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the gradients. SPDX-License-Identifier: MIT
 */
#ifndef CAD_WEIGHTS_TMPL_H
#define CAD_WEIGHTS_TMPL_H

#include "engine/backward.h"
#include "engine/gradients.h"
#include "norm_tmpl.h"
#include "panel_tmpl.h"
#include "project_tmpl.h"

typedef struct {   /* how one layer kind packs its weights and lays out its gradients */
    size_t packed; /* bytes of the struct that describes one layer's packed weights */
    size_t turned; /* bytes of the struct that describes one layer's transposed weights */
    /* Packs a layer's weights. */
    void (*lay)(cad_bump_t *b, const cad_weights_t *w, const cad_model_t *m, int layer, void *packed);
    /* Computes the layer's data that depend on packed weights. Called after the weights of all layers are packed; may
     * be NULL. */
    void (*derive)(const cad_weights_t *w, int layer, void *packed);
    /* Packs a layer's transposed weights for the backward pass, as numbers f; NULL in a table without a backward pass.
     */
    void (*lay_turned)(cad_bump_t *b, const cad_model_t *m, numbers_t f, int layer, void *turned);
    const cad_kind_sums_t *sums; /* layout of the gradients; NULL in a table without a backward pass */
} cpu_kind_t;
static const cpu_kind_t *const cpu_kind[CAD_NKINDS]; /* defined in kinds_tmpl.h */

static const cpu_kind_t *kind_of(const cad_model_t *m, int layer) { return cpu_kind[m->layer[layer].kind]; }

struct cad_weights_t {
    int64_t D, V, Dp;
    numbers_t numbers;            /* of the panels */
    const float *embed;           // (V,Dp)
    const float *head[2];         // (V,Dp) the head's table for each strand
    norm_t *norm;                 // (layers) of a layer without a norm: zeros
    norm_t norm_f, norm_mirrored; /* norm_mirrored: norm_f with its channels in reverse order */
    int64_t layers;
    void **layer;    // (layers) each layer's packed weights: a struct whose type depends on the layer's kind
    void *mem, *own; /* mem: aligned memory of the packed weights and of `row`; own: its address for free() */
    float *row;      // (Dp) scratch
};

/* Packs the head's table for one strand. In the table of strand 1, row v is the row of token v's complement. */
static const float *lay_head(cad_bump_t *b, const cad_weights_t *w, const cad_model_t *m, int strand)
{
    float *d = cad_bump_floats(b, w->V, w->Dp);
    for (int64_t v = 0; d && v < w->V; v++)
        memcpy(d + v * w->Dp, m->embed + (strand ? m->vocab.comp[v] : v) * w->D, (size_t)w->D * sizeof *d);
    return d;
}

static norm_t norm_shape(cad_bump_t *b, const cad_weights_t *w, const cad_model_t *m)
{
    norm_t n = { .D = w->D, .Dp = w->Dp, .eps = (float)m->cfg.norm_epsilon, .rms = m->cfg.rms_norm };
    float *real = cad_bump_floats(b, 1, w->Dp);
    for (int64_t i = 0; real && i < w->D; i++) real[i] = 1.0f;
    n.real = real;
    return n;
}

static void lay_layer(cad_bump_t *b, cad_weights_t *w, const cad_model_t *m, int layer, norm_t shape)
{
    if (m->layer[layer].norm) w->norm[layer] = lay_norm(b, shape, m->layer[layer].norm, m->layer[layer].norm_bias);
    kind_of(m, layer)->lay(b, w, m, layer, w->layer[layer]);
    if (b->base && m->spent) cad_model_discard(m, layer);
}

static const float *lay_mirrored(cad_bump_t *b, const float *v, int64_t n, int64_t np)
{
    float *d = cad_bump_floats(b, 1, np);
    for (int64_t i = 0; d && v && i < n; i++) d[i] = v[n - 1 - i];
    return d;
}

static void lay_model(cad_bump_t *b, cad_weights_t *w, const cad_model_t *m)
{
    norm_t shape = norm_shape(b, w, m);
    w->embed = lay_rows(b, m->embed_in, w->V, w->D, w->Dp);
    w->head[0] = lay_head(b, w, m, 0);
    w->head[1] = lay_head(b, w, m, 1);
    w->norm_f = lay_norm(b, shape, m->norm_f, m->norm_f_bias);
    w->norm_mirrored = w->norm_f;
    w->norm_mirrored.weight = lay_mirrored(b, m->norm_f, w->D, w->Dp);
    w->norm_mirrored.bias = lay_mirrored(b, m->norm_f_bias, w->D, w->Dp);
    w->row = cad_bump_floats(b, 1, w->Dp);
    for (int i = 0; i < m->cfg.n_layer; i++) lay_layer(b, w, m, i, shape);
}

static void weights_renew(cad_weights_t *w, const cad_model_t *m)
{
    cad_bump_t b = { w->mem, 0 };
    lay_model(&b, w, m);
    for (int i = 0; i < m->cfg.n_layer; i++)
        if (kind_of(m, i)->derive) kind_of(m, i)->derive(w, i, w->layer[i]);
}

static void weights_close(cad_weights_t *w)
{
    if (!w) return;
    free(w->own);
    for (int64_t i = 0; w->layer && i < w->layers; i++) free(w->layer[i]);
    free(w->layer);
    free(w->norm);
    free(w);
}

/* Allocates a zeroed struct for each layer, for packed weights or, if `turned`, for transposed weights; returns false
 * when out of memory. */
static bool open_layers(void ***layer, const cad_model_t *m, bool turned)
{
    *layer = calloc((size_t)m->cfg.n_layer, sizeof **layer);
    for (int i = 0; *layer && i < m->cfg.n_layer; i++) {
        const cpu_kind_t *k = kind_of(m, i);
        if (!((*layer)[i] = calloc(1, turned ? k->turned : k->packed))) return false;
    }
    return *layer != NULL;
}

static int weights_open(cad_weights_t **out, const cad_ops_t *ops, const cad_model_t *m, cad_error_t *err)
{
    cad_weights_t *w = calloc(1, sizeof *w);
    size_t layers = (size_t)m->cfg.n_layer;
    cad_bump_t b = { NULL, 0 };
    *out = NULL;
    if (!w) return cad_out_of_memory(err);
    w->D = m->cfg.d_model;
    w->V = m->vocab.rows;
    w->Dp = cad_round_up(w->D, CAD_PAD);
    w->layers = m->cfg.n_layer;
    w->numbers = numbers_of(cad_precision_number(ops->precision));
    w->norm = calloc(layers, sizeof *w->norm);
    if (w->norm && open_layers(&w->layer, m, false)) {
        lay_model(&b, w, m);
        w->mem = cad_alloc_zero(b.used, &w->own);
    }
    if (!w->mem) {
        weights_close(w);
        return cad_fail(err, CAD_ENOMEM, "out of memory for %zu packed weights", b.used / sizeof(float));
    }
    weights_renew(w, m);
    *out = w;
    return 0;
}

#ifdef CAD_ISA_BACK_OPS
struct cad_grads_t {
    cad_sums_t s;
    const cad_kind_sums_t *kind[CAD_NKINDS];
    const cad_model_t *model;
    numbers_t numbers; /* of the transposed weights, and of the products that give gradients of weights */
    void **turned;     // (layers) each layer's transposed weights: a struct whose type depends on the layer's kind
    float *sums;       /* all gradients */
    float *mem;        /* all transposed weights */
    bool lent;         /* turned and mem belong to another cad_grads_t, which frees them */
};

static void lay_model_turned(cad_bump_t *b, cad_grads_t *g, const cad_model_t *m)
{
    for (int i = 0; i < m->cfg.n_layer; i++) kind_of(m, i)->lay_turned(b, m, g->numbers, i, g->turned[i]);
}

static void grads_close(cad_grads_t *g)
{
    if (!g) return;
    cad_sums_close(&g->s, g->model);
    free(g->sums);
    for (int i = 0; !g->lent && g->turned && i < g->model->cfg.n_layer; i++) free(g->turned[i]);
    if (!g->lent) free(g->turned);
    if (!g->lent) free(g->mem);
    free(g);
}

static void grads_clear(cad_grads_t *g) { memset(g->sums, 0, g->s.bytes); }

static void grads_renew(cad_grads_t *g, const cad_model_t *m)
{
    cad_bump_t b = { (char *)g->mem, 0 };
    lay_model_turned(&b, g, m);
}

/* Packs the transposed weights, or shares those of `like` if `like` is not NULL. Returns false when out of memory. */
static bool open_turned(cad_grads_t *g, const cad_model_t *m, const cad_grads_t *like)
{
    cad_bump_t b = { NULL, 0 };
    if (like) {
        g->lent = true;
        g->turned = like->turned;
        g->mem = like->mem;
        return true;
    }
    if (!open_layers(&g->turned, m, true)) return false;
    lay_model_turned(&b, g, m);
    g->mem = b.used == SIZE_MAX ? NULL : cad_alloc(b.used, 1);
    if (!g->mem) return false;
    memset(g->mem, 0, b.used);
    grads_renew(g, m);
    return true;
}

static int grads_open(cad_grads_t **out, const cad_ops_t *ops, const cad_model_t *m, const cad_grads_t *like,
                      bool by_layer, cad_error_t *err)
{
    cad_grads_t *g = calloc(1, sizeof *g);
    *out = NULL;
    if (!g) return cad_out_of_memory(err);
    g->model = m;
    g->numbers = numbers_of(cad_precision_number(ops->precision));
    for (int k = 0; k < CAD_NKINDS; k++) g->kind[k] = cpu_kind[k]->sums;
    if (cad_sums_open(&g->s, m, g->kind, by_layer) && open_turned(g, m, like)) g->sums = cad_alloc(g->s.bytes, 1);
    if (!g->sums) {
        grads_close(g);
        return cad_fail(err, CAD_ENOMEM, "out of memory for the gradients of %lld parameters", (long long)m->nparam);
    }
    cad_sums_place(&g->s, m, g->sums);
    grads_clear(g);
    *out = g;
    return 0;
}

static int grads_collect(cad_grad_lane_t *l, const cad_model_t *m, float *flat)
{
    cad_sums_add(&l->grads->s, m, flat);
    grads_clear(l->grads);
    return 0;
}

static int grads_collect_layer(cad_grad_lane_t *l, const cad_model_t *m, int layer, float *to)
{
    const cad_sums_t *s = &l->grads->s;
    char *sums = (char *)l->grads->sums;
    if (layer >= 0) {
        cad_sums_add_layer(s, m, layer, to);
        memset(sums, 0, s->layers);
    } else memset(sums + s->layers, 0, s->bytes - s->layers);
    return 0;
}
#endif

#endif
