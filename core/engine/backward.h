/* backward.h - the operations of the backward pass, and the lane that they work on. Only training needs them.
 *
 * Spans are the same as in the forward pass. The gradient of a weight is a sum over rows: tile by tile in the order of
 * the sweep, and within a tile in a fixed order that does not depend on the number of threads. Tapes and the arrays of
 * a grad lane are in the backend's memory; only the backend's operations may dereference them.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_BACKWARD_H
#define CAD_BACKWARD_H

#include "engine/backend.h"

typedef struct cad_grads_t cad_grads_t; /* a backend's gradients, and weights packed for the backward pass */

struct cad_grad_lane_t {
    cad_lane_t f; /* lane of the forward pass, with a tape */
    const cad_back_ops_t *ops;
    cad_grads_t *grads;
    int most; /* maximum number of sequences in a pack */
    // (rows,Dp) gradient of the output of the unit (train/backward.c) being processed: dres, or keep[k] for direction k
    // of a layer that is not merged
    const float *dout;
    float *dres; // (rows,Dp) gradient of the residual stream
    // (rows,Dp) gradient of each direction's output, for layers that are not merged; NULL if all layers are merged
    float *keep[2];
    float *da;                   // (tile,Dp) gradient of the normalised rows
    cad_work_t work[CAD_NKINDS]; /* gradients of the activations of each layer kind; blocks/NAME.h has their type */
};

typedef int cad_back_f(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how);

struct cad_back_ops_t {
    const char *name;
    int64_t rows;  /* capacity of a pack in rows */
    int64_t least; /* if memory is short, the pack's capacity is halved, but not below this */
    int64_t round; /* the rows of a lane must be a multiple of this */
    int64_t tile;
    bool keeps; /* tapes may keep a layer's activations (cad_kept_t); if false, layers are always recomputed */
    int lanes;  /* maximum number of lanes at the same time, each with its own gradients */

    /* Allocates memory for the tapes or for `carve`; NULL if out of memory. `give` frees it. */
    void *(*take)(const cad_ops_t *ops, size_t bytes);
    void (*give)(const cad_ops_t *ops, void *memory);
    /* Lays out the arrays that a grad lane has in addition to its lane f, and returns their size in bytes. base
     * NULL: only computes the size. */
    size_t (*carve)(cad_grad_lane_t *l, const cad_model_t *model, char *base);

    /* Opens gradients, which are all 0. If `like` is not NULL, *g shares the backward weights of `like`: close *g
     * before `like`, and call renew on `like` only. */
    int (*open)(cad_grads_t **g, const cad_ops_t *ops, const cad_model_t *model, const cad_grads_t *like,
                cad_error_t *err);
    void (*close)(cad_grads_t *g);
    /* packs the backward weights again, after the parameters have changed */
    void (*renew)(cad_grads_t *g, const cad_model_t *model);
    /* Adds all gradients to flat, which has the parameters' layout, and clears them. */
    int (*collect)(cad_grad_lane_t *l, const cad_model_t *model, float *flat);

    /* Clears dres of n rows. */
    int (*start)(cad_grad_lane_t *l, int64_t n);
    /* Computes keep[k], the gradient of the output h_k of each direction k, for n rows. If the layer's output is h_0 +
     * h_1: keep[k] = dres. If it is h_0 x h_1 (times): keep[k] holds the other direction's output on entry, and is
     * multiplied by dres. */
    int (*divide)(cad_grad_lane_t *l, int64_t n, bool times);
    int (*embed)(cad_grad_lane_t *l, const uint8_t *tok, cad_span_t s);
    cad_back_f *const *kind[CAD_NKINDS]; /* backward operations of each layer kind, in the order of blocks/NAME.h */
    /* Runs the backward pass of the head and norm_f: from dlogits (n,V), the gradient of the logits of the rows
     * base[row[i]], adds the gradient of these rows to dres. The n rows are distinct. */
    int (*head)(cad_grad_lane_t *l, int strand, const int64_t *row, int64_t n, const float *dlogits);
    /* Runs the backward pass of pooling and norm_f: from dpooled (D), the gradient of the mean (or maximum) of
     * norm_f(base) over rows [beg, end), adds the gradient of these rows to dres. */
    int (*pool)(cad_grad_lane_t *l, int64_t beg, int64_t end, enum cad_pool_t how, const float *dpooled);
};

/* ---- cpu/cpu.c ---- */
/* Returns the CPU's backward operations for the tables ops, and replaces ops by the tables that train with them: float32
 * by FMA, where matrix tiles were chosen, since gradients that nearly cancel need the more exact products. */
const cad_back_ops_t *cad_cpu_back_ops(cad_ops_t *ops);

/* ---- train/backward.c ---- */
/* Runs the backward pass of the forward pass that l's tape recorded, and adds all gradients to l->grads. On entry,
 * dres is the gradient of the last residual. */
int cad_encoder_backward(cad_grad_lane_t *l, const cad_model_t *model, const int64_t *off, int nseq);

#endif
