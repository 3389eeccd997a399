/* tensors.c - makes the table of a model's tensors: published names, shapes, ties and the fused-norm fold.
 *
 * The fold: with fused_add_norm and rcps, the published code exchanges the two halves of its channels in every layer.
 * Our strand encoder computes the same function if, in every layer i of n with (n-1-i) odd, the D axis (d_model) is
 * reversed and the two directions are exchanged. The table stores this as data: flip_axis, and the direction to which a
 * stored tensor belongs. The fold is its own inverse, so reading and writing use the same code.
 * SPDX-License-Identifier: MIT
 */
#include <stdarg.h>

#include "model/model.h"
#include "model/tensors.h"

const char *const cad_direction_name[2] = { "mamba_fwd", "mamba_rev" };

typedef struct {
    const cad_config_t *cfg;
    cad_tensor_t *list;
    int n;
    int64_t total;
} table_t;

static cad_tensor_t *add(table_t *t, int role, int layer, int dir, int64_t s0, int64_t s1, int64_t s2)
{
    cad_tensor_t *x = &t->list[t->n++];
    memset(x, 0, sizeof *x);
    x->role = role;
    x->layer = layer;
    x->dir = dir;
    x->shape[0] = s0;
    x->shape[1] = s1;
    x->shape[2] = s2;
    x->ndim = s2 ? 3 : s1 ? 2 : 1;
    x->count = s0 * (s1 ? s1 : 1) * (s2 ? s2 : 1);
    x->offset = t->total;
    x->flip_axis = -1;
    t->total += cad_round_up(x->count, CAD_PAD);
    return x;
}

static void put(char name[112], const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(char name[112], const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, 112, fmt, ap);
    va_end(ap);
}

static void add_direction(table_t *t, int layer, int stored)
{
    const cad_config_t *c = t->cfg;
    const char *wrap = c->rcps ? ".submodule" : "";
    const cad_block_t *block = cad_blocks[c->kind[layer]];
    bool two = cad_config_directions(c, layer) == 2, fold = cad_config_folded(c, layer), shared = c->tied && two;
    int dir = fold && two ? 1 - stored : stored;
    cad_part_t part[CAD_PARTS];
    int n = block->parts(c, part);
    for (int i = 0; i < n; i++) {
        const cad_part_t *p = &part[i];
        bool both = p->projects && shared;
        cad_tensor_t *x;
        if (!p->there || (both && stored == 1)) continue;
        x = add(t, p->role, layer, both ? 0 : dir, p->shape[0], p->shape[1], p->shape[2]);
        x->shared = both;
        x->decays = p->decays;
        x->fixed = p->fixed;
        x->repeats = p->repeats;
        if (c->hyenadna) put(x->name, "backbone.layers.%d.%s.%s", layer / 2, layer % 2 ? "mlp" : "mixer", p->leaf);
        else if (block->undirected) put(x->name, "backbone.layers.%d.mixer%s.%s", layer, wrap, p->leaf);
        else put(x->name, "backbone.layers.%d.mixer%s.%s.%s", layer, wrap, cad_direction_name[stored], p->leaf);
        if (both) put(x->alias, "backbone.layers.%d.mixer%s.%s.%s", layer, wrap, cad_direction_name[1], p->leaf);
        if (fold) x->flip_axis = p->flip;
    }
}

static void add_norm(table_t *t, int role, int layer)
{
    const cad_config_t *c = t->cfg;
    const char *wrap = c->rcps && !c->fused_add_norm ? ".submodule" : "";
    for (int bias = 0; bias <= !c->rms_norm; bias++) {
        cad_tensor_t *x = add(t, role + bias, layer, 0, c->d_model, 0, 0);
        const char *leaf = bias ? "bias" : "weight";
        x->decays = !bias;
        if (layer < 0) put(x->name, "backbone.%s%s.%s", c->hyenadna ? "ln_f" : "norm_f", wrap, leaf);
        else if (c->hyenadna) put(x->name, "backbone.layers.%d.norm%d.%s", layer / 2, 1 + layer % 2, leaf);
        else put(x->name, "backbone.layers.%d.norm%s.%s", layer, wrap, leaf);
        if (layer >= 0 && cad_config_folded(c, layer)) x->flip_axis = 0;
    }
}

int cad_tensors_list(const cad_config_t *c, int64_t rows, int64_t labels, cad_tensor_t **list, int *n, int64_t *total,
                     cad_error_t *err)
{
    table_t t = { c, NULL, 0, 0 };
    cad_tensor_t *x;
    t.list = calloc((size_t)c->n_layer * (2 * CAD_PARTS + 2) + 6, sizeof *t.list);
    if (!t.list) return cad_fail(err, CAD_ENOMEM, "out of memory for %lld layers", (long long)c->n_layer);
    x = add(&t, CAD_T_EMBED, -1, 0, rows, c->d_model, 0);
    put(x->name, "backbone.embeddings.word_embeddings%s.weight", c->rcps ? ".embedding" : "");
    put(x->alias, "lm_head%s.weight", c->rcps ? ".lm_head" : "");
    for (int i = 0; i < c->n_layer; i++) {
        add_direction(&t, i, 0);
        if (cad_config_directions(c, i) == 2) add_direction(&t, i, 1);
        if (!cad_blocks[c->kind[i]]->bare) add_norm(&t, CAD_T_NORM, i);
    }
    add_norm(&t, CAD_T_NORM_F, -1);
    if (labels) {
        x = add(&t, CAD_T_SCORE, -1, 0, labels, c->d_model, 0);
        x->decays = true;
        put(x->name, "score.weight");
    }
    if (labels && c->pool == CAD_POOL_ATTENTION) {
        x = add(&t, CAD_T_POOL, -1, 0, c->d_model, 0, 0);
        x->decays = true;
        put(x->name, "pool.weight");
    }
    if (labels && c->score_bias) put(add(&t, CAD_T_SCORE_BIAS, -1, 0, labels, 0, 0)->name, "score.bias");
    *list = t.list;
    *n = t.n;
    *total = t.total;
    return 0;
}

void cad_tensor_flip(const cad_tensor_t *t, float *a)
{
    if (t->flip_axis == 0) cad_reverse_rows(a, t->shape[0], t->count / t->shape[0]);
    if (t->flip_axis == 1)
        for (int64_t r = 0, row = t->count / t->shape[0]; r < t->shape[0]; r++)
            cad_reverse_rows(a + r * row, t->shape[1], row / t->shape[1]);
}

bool cad_tensor_named(const cad_tensor_t *t, int k, char name[128])
{
    const char *leaf = strrchr(t->name, '.');
    int before = (int)(leaf - t->name) - 1; /* letters before the digit */
    if (k == 0 || (k == 1 && t->alias[0])) {
        snprintf(name, 128, "%s", k ? t->alias : t->name);
        return true;
    }
    if (k > t->repeats) return false;
    snprintf(name, 128, "%.*s%d%s", before, t->name, 2 * k + 1, leaf);
    return true;
}

bool cad_tensor_published(const cad_config_t *c, const cad_tensor_t *t, int k, char name[128])
{
    const char *prefix = c->hyenadna ? "hyena." : "caduceus.";
    size_t n = strlen(prefix);
    char own[128];
    if (!cad_tensor_named(t, k, own)) return false;
    if (strncmp(own, "backbone.", 9)) n = 0;
    snprintf(name, 128, "%.*s%.100s", (int)n, prefix, own);
    return true;
}

int cad_tensors_buffers(const cad_config_t *c, int64_t labels, const char *name[2])
{
    name[0] = "caduceus.backbone.embeddings.word_embeddings.complement_map";
    name[1] = "lm_head.complement_map";
    return c->rcps ? labels ? 1 : 2 : 0;
}

int cad_model_whole(const cad_model_t *m, cad_error_t *err)
{
    return m->spent ? cad_fail(err, CAD_EARG, "the model's weights were handed over to a context") : 0;
}

void cad_model_discard(const cad_model_t *m, int layer)
{
    int64_t beg = m->total, end = 0;
    for (int i = 0; i < m->ntensor; i++) {
        const cad_tensor_t *t = &m->tensor[i];
        if (layer >= 0 && t->layer != layer) continue;
        beg = cad_min(beg, t->offset);
        end = cad_max(end, t->offset + t->count);
    }
    if (beg < end) cad_discard(m->param + beg, (size_t)(end - beg) * sizeof *m->param);
}
