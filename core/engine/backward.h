/* backward.h - defines the operations of the backward pass, and the grad lane that they work on. Only training needs
 * them.
 *
 * Spans are the same as in the forward pass. The gradient of a weight is a sum over rows: the tiles are added in the
 * order in which they are run, and the rows of a tile in a fixed order that does not depend on the number of threads.
 * Tapes and the arrays of a grad lane are in the backend's memory; only the backend's operations may dereference them.
 *
 * In shapes, D is d_model, V the number of rows of the embedding table; Dp is D rounded up to CAD_PAD.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_BACKWARD_H
#define CAD_BACKWARD_H

#include "engine/backend.h"

/* In training, the number of rows of a tile is a multiple of CAD_TRAIN_STEP, and a pack of n rows has at most n /
 * CAD_TRAIN_STEP + 1 sequences. So a layer kind can keep a state before every CAD_TRAIN_STEP-th row of each sequence in
 * limited memory. */
#define CAD_TRAIN_STEP 64

typedef struct cad_grads_t cad_grads_t; /* a backend's gradients, and weights packed for the backward pass */

struct cad_grad_lane_t {
    cad_lane_t f; /* lane of the forward pass, with a tape */
    const cad_back_ops_t *ops;
    cad_grads_t *grads;
    int most; /* maximum number of sequences in a pack */
    // (rows,Dp) gradient of the output that is being processed: of the layer (dres) or, if the layer is not merged, of
    // its direction k (keep[k])
    const float *dout;
    float *dres; // (rows,Dp) gradient of the residual stream
    // (rows,Dp) gradient of each direction's output, for layers that are not merged; NULL if all layers are merged
    float *keep[2];
    float *da; // (tile,Dp) gradient of the normalised rows
    /* CAD_POOL_ATTENTION, in the host's memory: */
    const float *pool_weight; // (Dp) pool.weight, padded with zeros
    float *dpool_weight;      // (D) its gradient, to which `pool` adds
    /* for each layer kind, a struct of the gradients of its activations; blocks/NAME.h declares its type */
    cad_work_t work[CAD_NKINDS];
};

typedef int cad_back_f(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how);

struct cad_back_ops_t {
    const char *name;
    int64_t rows;  /* capacity of a pack in rows */
    int64_t least; /* if memory is short, the pack's capacity is halved, but not below this */
    int64_t round; /* the rows of a lane must be a multiple of this */
    int64_t tile;
    bool keeps; /* tapes may keep a layer's activations (cad_kept_t); if false, layers are always recomputed */
    int lanes;  /* maximum number of lanes that run at the same time, each with its own gradients */

    /* Allocates memory for the tapes or for the arrays of `carve`; NULL if out of memory. `give` frees it. */
    void *(*take)(const cad_ops_t *ops, size_t bytes);
    void (*give)(const cad_ops_t *ops, void *memory);
    /* Lays out the arrays that a grad lane has in addition to those of its lane f, from base onwards. Returns their
     * size in bytes. base NULL: only computes the size. */
    size_t (*carve)(cad_grad_lane_t *l, const cad_model_t *model, char *base);

    /* Opens gradients, which are all 0, and packs the weights for the backward pass. If `like` is not NULL, *g uses the
     * weights of `like` instead: close *g before `like`, and call renew on `like` only. by_layer: all layers' gradients
     * use the same memory, so each layer is collected by collect_layer before the next one's backward pass. */
    int (*open)(cad_grads_t **g, const cad_ops_t *ops, const cad_model_t *model, const cad_grads_t *like, bool by_layer,
                cad_error_t *err);
    void (*close)(cad_grads_t *g);
    /* packs the weights for the backward pass again, after the parameters have changed */
    void (*renew)(cad_grads_t *g, const cad_model_t *model);
    /* Adds all gradients to the array `flat`, which has the parameters' layout, and sets them to 0. */
    int (*collect)(cad_grad_lane_t *l, const cad_model_t *model, float *flat);
    /* Only after open(by_layer). Adds the gradients of one layer to the array `to`, which has the parameters' layout from
     * the layer's first tensor on, and sets them to 0. layer -1: only sets to 0 the gradients of tensors that belong to
     * no layer. */
    int (*collect_layer)(cad_grad_lane_t *l, const cad_model_t *model, int layer, float *to);

    /* Sets n rows of dres to 0. */
    int (*start)(cad_grad_lane_t *l, int64_t n);
    /* Computes keep[k], the gradient of the output h_k of direction k, for n rows and both directions. If the layer's
     * output is h_0 + h_1: keep[k] = dres. If it is h_0 x h_1 (times): keep[k] holds the other direction's output on
     * entry, and is multiplied by dres. */
    int (*divide)(cad_grad_lane_t *l, int64_t n, bool times);
    int (*embed)(cad_grad_lane_t *l, const uint8_t *tok, cad_span_t s);
    cad_back_f *const *kind[CAD_NKINDS]; /* backward operations of each layer kind, in the order of blocks/NAME.h */
    /* Runs the backward pass of the head and of the final norm. dlogits (n,V) is the gradient of the logits of the rows
     * base[row[i]]; adds the gradient of these rows to dres. The n rows are distinct. */
    int (*head)(cad_grad_lane_t *l, int strand, const int64_t *row, int64_t n, const float *dlogits);
    /* Runs the backward pass of pooling and of the final norm, for all sequences of the pack. dpooled (nseq,D) is the
     * gradient of each sequence's pooled row of the final norm's output; adds the gradient of the rows that were pooled to
     * dres. how CAD_POOL_NONE: dpooled (rows,D) is the gradient of each row. off (nseq+1) are the offsets of the last forward pass. */
    int (*pool)(cad_grad_lane_t *l, const int64_t *off, int nseq, enum cad_pool_t how, const float *dpooled);
};

/* ---- cpu/cpu.c ---- */
/* Returns the CPU's backward operations for the tables ops, and replaces ops by the tables that train with them: float32
 * by FMA, where matrix tiles were chosen, since gradients that nearly cancel need the more exact products. In bf16 the
 * inputs of products are rounded in both passes; sums, the scan and the weights that the optimiser updates are float32. */
const cad_back_ops_t *cad_cpu_back_ops(cad_ops_t *ops);

/* ---- train/backward.c ---- */
/* Called after the backward pass of each layer; a value other than 0 ends the backward pass. */
typedef int cad_layer_done_f(void *arg, cad_grad_lane_t *l, int layer);
/* Runs the backward pass that belongs to the forward pass recorded on l's tape, and adds all gradients to l->grads. On
 * entry, dres is the gradient of the last residual. done: see above, or NULL. */
int cad_encoder_backward(cad_grad_lane_t *l, const cad_model_t *model, const int64_t *off, int nseq,
                         cad_layer_done_f *done, void *arg);

#endif
