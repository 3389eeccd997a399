/* weights_tmpl.h - the weights and the gradients of a whole model: those of all kinds of
 * layer together, and opening, renewing and closing them.
 *
 * Parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the gradients.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_WEIGHTS_TMPL_H
#define CAD_WEIGHTS_TMPL_H

#include "engine/backward.h"
#include "engine/gradients.h"
#include "mamba_weights_tmpl.h"
#include "norm_tmpl.h"
#include "panel_tmpl.h"

struct cad_weights_t {
    int64_t D, V, Dp;
    bool half;                    /* panels are of bfloat16 pairs */
    const float *embed, *head[2]; // (V,Dp)
    norm_t *norm, norm_f;         // (layers)
    mamba_t *mamba;               // (layers,2)
    float *mem, *row;             /* all of the above; (Dp) scratch */
};

/* The table of a strand's logits: on strand 1 the rows of complements change places. */
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
    const cad_layer_t *l = &m->layer[layer];
    int64_t tokens = !layer && w->V <= MAMBA_TOKENS ? w->V : 0;
    w->norm[layer] = lay_norm(b, shape, l->norm, l->norm_bias);
    for (int k = 0; k < l->ndir; k++) w->mamba[2 * layer + k] = lay_mamba(b, m, &l->dir[k], w->half, tokens);
}

static void lay_model(cad_bump_t *b, cad_weights_t *w, const cad_model_t *m)
{
    norm_t shape = norm_shape(b, w, m);
    w->embed = lay_rows(b, m->embed_in, w->V, w->D, w->Dp);
    w->head[0] = lay_head(b, w, m, 0);
    w->head[1] = lay_head(b, w, m, 1);
    w->norm_f = lay_norm(b, shape, m->norm_f, m->norm_f_bias);
    w->row = cad_bump_floats(b, 1, w->Dp);
    for (int i = 0; i < m->cfg.n_layer; i++) lay_layer(b, w, m, i, shape);
}

static void weights_renew(cad_weights_t *w, const cad_model_t *m)
{
    cad_bump_t b = { (char *)w->mem, 0 };
    lay_model(&b, w, m);
    for (int k = 0; k < m->layer[0].ndir && w->mamba[k].first_x; k++)
        mamba_tabulate(&w->mamba[k], &w->norm[0], w->embed, w->V, w->row);
}

static void weights_close(cad_weights_t *w)
{
    if (!w) return;
    free(w->mem);
    free(w->mamba);
    free(w->norm);
    free(w);
}

static int weights_open(cad_weights_t **out, const cad_ops_t *ops, const cad_model_t *m, cad_error_t *err)
{
    cad_weights_t *w = calloc(1, sizeof *w);
    size_t layers = (size_t)m->cfg.n_layer;
    cad_bump_t b = { NULL, 0 };
    *out = NULL;
    if (!w) return cad_fail(err, CAD_ENOMEM, "out of memory");
    w->D = m->cfg.d_model;
    w->V = m->vocab.rows;
    w->Dp = cad_extent(m).Dp;
    w->half = !strcmp(ops->precision, "bf16");
    w->mamba = calloc(layers * 2, sizeof *w->mamba);
    w->norm = calloc(layers, sizeof *w->norm);
    if (w->mamba && w->norm) {
        lay_model(&b, w, m);
        w->mem = cad_alloc(b.used, 1);
    }
    if (!w->mem) {
        weights_close(w);
        return cad_fail(err, CAD_ENOMEM, "out of memory for %zu packed weights", b.used / sizeof(float));
    }
    memset(w->mem, 0, b.used);
    weights_renew(w, m);
    *out = w;
    return 0;
}

#ifdef CAD_ISA_BACK_OPS
struct cad_grads_t {
    cad_sums_t s;
    mamba_turned_t *turned; // (layers,2)
    float *sums, *mem;      /* all gradients; all transposed weights */
    bool lent;              /* turned and mem belong to another */
};

static void lay_model_turned(cad_bump_t *b, cad_grads_t *g, const cad_model_t *m)
{
    for (int i = 0; i < 2 * m->cfg.n_layer; i++)
        if (i % 2 < m->layer[i / 2].ndir) g->turned[i] = lay_mamba_turned(b, m, &m->layer[i / 2].dir[i % 2]);
}

static void grads_close(cad_grads_t *g)
{
    if (!g) return;
    cad_sums_close(&g->s);
    free(g->sums);
    if (!g->lent) free(g->turned);
    if (!g->lent) free(g->mem);
    free(g);
}

static void grads_clear(cad_grads_t *g) { memset(g->sums, 0, (size_t)g->s.count * sizeof *g->sums); }

static void grads_renew(cad_grads_t *g, const cad_model_t *m)
{
    cad_bump_t b = { (char *)g->mem, 0 };
    lay_model_turned(&b, g, m);
}

/* The transposed weights, those of `like` if it is not NULL; false when out of memory. */
static bool open_turned(cad_grads_t *g, const cad_model_t *m, const cad_grads_t *like)
{
    cad_bump_t b = { NULL, 0 };
    if (like) {
        g->lent = true;
        g->turned = like->turned;
        g->mem = like->mem;
        return true;
    }
    g->turned = calloc((size_t)m->cfg.n_layer * 2, sizeof *g->turned);
    if (!g->turned) return false;
    lay_model_turned(&b, g, m);
    g->mem = cad_alloc(b.used, 1);
    if (!g->mem) return false;
    memset(g->mem, 0, b.used);
    grads_renew(g, m);
    return true;
}

static int grads_open(cad_grads_t **out, const cad_ops_t *ops, const cad_model_t *m, const cad_grads_t *like,
                      cad_error_t *err)
{
    cad_grads_t *g = calloc(1, sizeof *g);
    (void)ops;
    *out = NULL;
    if (!g) return cad_fail(err, CAD_ENOMEM, "out of memory");
    if (cad_sums_open(&g->s, m, m->cfg.d_state, VW) && open_turned(g, m, like))
        g->sums = cad_alloc((size_t)g->s.count, sizeof(float));
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
#endif

#endif
