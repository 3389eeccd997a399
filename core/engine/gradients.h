/* gradients.h - the gradients of a model's weights in the kernels' layout, and their conversion to the parameters'
 * layout. Backends include this file: it is valid C and CUDA C++ and calls no function of libcaduceus. In shapes, D is
 * d_model, V the number of rows of the embedding table; Dp is D rounded up to CAD_PAD. SPDX-License-Identifier: MIT
 */
#ifndef CAD_GRADIENTS_H
#define CAD_GRADIENTS_H

#include <math.h>

#include "model/model.h"

typedef struct cad_kind_sums_t { /* how a backend lays out the gradients of one layer kind */
    size_t bytes;                /* size of the kind's struct that describes the gradients of one layer */
    void (*place)(cad_bump_t *b, const cad_model_t *m, int layer, void *sums);
    /* Adds the gradient of tensor t of direction dir to the array `to`, which has the parameters' layout. */
    void (*add)(const cad_model_t *m, const cad_tensor_t *t, const void *sums, int dir, float *to);
} cad_kind_sums_t;

typedef struct cad_sums_t {
    int64_t D, V, Dp;
    const cad_kind_sums_t *const *kind; // (CAD_NKINDS)
    void **layer;                       // (layers) each layer's struct, whose type depends on the layer's kind
    float **norm, **norm_bias;          // (layers) pointers to arrays (Dp), or NULL if the layer has no norm
    float *norm_f, *norm_f_bias;        // (Dp)
    float *embed, *head[2];             // (V,Dp) each: of the embedding table, and of the head's table on each strand
    /* all layers use the same memory: the gradients of a layer are collected before the next layer's backward pass */
    bool by_layer;
    size_t layers; /* bytes of the gradients of the layers, which come first */
    size_t bytes;  /* bytes of all gradients */
} cad_sums_t;

/* Lays out all gradients from base onwards and sets s->bytes. base NULL: only computes s->bytes, which is SIZE_MAX
 * after an overflow. */
static inline void cad_sums_place(cad_sums_t *s, const cad_model_t *m, void *base)
{
    cad_bump_t b = { (char *)base, 0 };
    s->layers = 0;
    for (int i = 0; i < m->cfg.n_layer; i++) {
        if (s->by_layer) b.used = 0;
        s->kind[m->layer[i].kind]->place(&b, m, i, s->layer[i]);
        s->norm[i] = m->layer[i].norm ? cad_bump_floats(&b, 1, s->Dp) : NULL;
        s->norm_bias[i] = m->layer[i].norm ? cad_bump_floats(&b, 1, s->Dp) : NULL;
        if (b.used > s->layers) s->layers = b.used;
    }
    b.used = s->layers;
    s->norm_f = cad_bump_floats(&b, 1, s->Dp);
    s->norm_f_bias = cad_bump_floats(&b, 1, s->Dp);
    s->embed = cad_bump_floats(&b, s->V, s->Dp);
    s->head[0] = cad_bump_floats(&b, s->V, s->Dp);
    s->head[1] = cad_bump_floats(&b, s->V, s->Dp);
    s->bytes = b.used;
}

/* Computes sizes and offsets; returns false if out of memory. Call cad_sums_close in both cases. */
static inline bool cad_sums_open(cad_sums_t *s, const cad_model_t *m, const cad_kind_sums_t *const *kinds,
                                 bool by_layer)
{
    size_t layers = (size_t)m->cfg.n_layer;
    s->D = m->cfg.d_model;
    s->V = m->vocab.rows;
    s->Dp = cad_round_up(s->D, CAD_PAD);
    s->kind = kinds;
    s->by_layer = by_layer;
    s->layer = (void **)calloc(layers, sizeof *s->layer);
    s->norm = (float **)calloc(layers, sizeof *s->norm);
    s->norm_bias = (float **)calloc(layers, sizeof *s->norm_bias);
    if (!s->layer || !s->norm || !s->norm_bias) return false;
    for (size_t i = 0; i < layers; i++)
        if (!(s->layer[i] = calloc(1, kinds[m->layer[i].kind]->bytes))) return false;
    cad_sums_place(s, m, NULL);
    return s->bytes != SIZE_MAX;
}

static inline void cad_sums_close(cad_sums_t *s, const cad_model_t *m)
{
    for (int64_t i = 0; s->layer && i < m->cfg.n_layer; i++) free(s->layer[i]);
    free(s->layer);
    free(s->norm);
    free(s->norm_bias);
}

/* ---- conversion to the parameters' layout ---- */

static inline void cad_add_rows(float *to, const float *from, int64_t rows, int64_t cols, int64_t ld)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) to[r * cols + c] += from[r * ld + c];
}

/* Adds the transpose of `from` (cols,ld), without the padding, to `to` (rows,cols). */
static inline void cad_add_transposed(float *to, const float *from, int64_t rows, int64_t cols, int64_t ld)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) to[r * cols + c] += from[c * ld + r];
}

/* Adds the gradients of the embedding table and of the head's table, which are one tensor, to the array `to` (V,D). In
 * a fused-norm model with an odd number of layers, the input reads the table with channels reversed and tokens
 * complemented (tensors.c explains why); the gradient is reversed and complemented likewise. */
static inline void cad_add_embedding(float *to, const cad_sums_t *s, const cad_model_t *m)
{
    bool reversed = cad_model_input_reversed(m);
    for (int64_t v = 0; v < s->V; v++)
        for (int64_t d = 0, w = m->vocab.comp[v]; d < s->D; d++) {
            to[v * s->D + d] += s->head[0][v * s->Dp + d];
            to[w * s->D + d] += s->head[1][v * s->Dp + d];
            if (reversed) to[w * s->D + s->D - 1 - d] += s->embed[v * s->Dp + d];
            else to[v * s->D + d] += s->embed[v * s->Dp + d];
        }
}

static inline void cad_add_tensor(float *to, const cad_sums_t *s, const cad_model_t *m, const cad_tensor_t *t)
{
    const cad_kind_sums_t *kind;
    switch (t->role) {
    case CAD_T_EMBED: cad_add_embedding(to, s, m); return;
    case CAD_T_NORM_F: cad_add_rows(to, s->norm_f, 1, s->D, s->Dp); return;
    case CAD_T_NORM_F_BIAS: cad_add_rows(to, s->norm_f_bias, 1, s->D, s->Dp); return;
    case CAD_T_NORM: cad_add_rows(to, s->norm[t->layer], 1, s->D, s->Dp); return;
    case CAD_T_NORM_BIAS: cad_add_rows(to, s->norm_bias[t->layer], 1, s->D, s->Dp); return;
    /* the trainer adds the gradients of the classifier's head, which no backend keeps */
    case CAD_T_SCORE:
    case CAD_T_POOL:
    case CAD_T_SCORE_BIAS: return;
    default: break;
    }
    kind = s->kind[m->layer[t->layer].kind];
    kind->add(m, t, s->layer[t->layer], t->dir, to);
    if (t->shared) kind->add(m, t, s->layer[t->layer], 1, to);
}

/* Adds the gradients of one layer to the array `to`, which has the parameters' layout from the layer's first tensor on.
 */
static inline void cad_sums_add_layer(const cad_sums_t *s, const cad_model_t *m, int layer, float *to)
{
    int64_t first = -1;
    for (int i = 0; i < m->ntensor; i++) {
        const cad_tensor_t *t = &m->tensor[i];
        if (t->layer != layer) continue;
        if (first < 0) first = t->offset;
        cad_add_tensor(to + (t->offset - first), s, m, t);
    }
}

/* Adds all gradients to flat, which has the parameters' layout. */
static inline void cad_sums_add(const cad_sums_t *s, const cad_model_t *m, float *flat)
{
    for (int i = 0; i < m->ntensor; i++) cad_add_tensor(flat + m->tensor[i].offset, s, m, &m->tensor[i]);
}

#endif
