/* backward.h - the operations of the backward pass and the lane they work on: everything that
 * only training needs.
 *
 * Spans are the same as in the forward pass. The gradient of a weight is a sum over rows: tile by
 * tile in the order of the sweep, and within a tile in a fixed order that does not depend on the
 * number of threads. Tapes and the arrays of a grad lane are in the backend's memory; only its
 * operations may dereference them. SPDX-License-Identifier: MIT
 */
#ifndef CAD_BACKWARD_H
#define CAD_BACKWARD_H

#include "engine/backend.h"

typedef struct cad_grads_t cad_grads_t; /* a backend's gradients, and weights packed for the backward pass */

struct cad_grad_lane_t {
    cad_lane_t f; /* lane of the forward pass, with a tape */
    const cad_back_ops_t *ops;
    cad_grads_t *grads;
    int most;                    /* maximum number of sequences in a pack */
    const float *dout;           // (rows,Dp) gradient of the unit's output
    float *dres;                 // (rows,Dp) gradient of the residual stream
    float *keep[2];              // (rows,Dp) dout of each direction, where they differ; or NULL
    float *da;                   // (tile,Dp) gradient of the normalised rows
    cad_work_t work[CAD_NKINDS]; /* each kind's gradients of activations; their type is in blocks/NAME.h */
};

typedef int cad_back_f(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how);

struct cad_back_ops_t {
    const char *name;
    int64_t rows;  /* capacity of a pack in rows */
    int64_t least; /* minimum of that capacity where memory is short */
    int64_t round; /* a lane's rows must be a multiple of this */
    int64_t tile;
    bool keeps; /* tapes may keep x and the states; otherwise layers are always recomputed */
    int lanes;  /* maximum number of lanes at once, each with its own gradients */

    /* Allocates memory for tapes and for carve; NULL if out of memory. give frees it. */
    void *(*take)(const cad_ops_t *ops, size_t bytes);
    void (*give)(const cad_ops_t *ops, void *memory);
    /* Lays out the arrays that a grad lane has in addition to f's; returns their bytes. base NULL: a dry run. */
    size_t (*carve)(cad_grad_lane_t *l, const cad_model_t *model, char *base);

    /* Opens gradients, all 0. If like is given, g shares its weights: close g before like, and renew like
     * only. */
    int (*open)(cad_grads_t **g, const cad_ops_t *ops, const cad_model_t *model, const cad_grads_t *like,
                cad_error_t *err);
    void (*close)(cad_grads_t *g);
    void (*renew)(cad_grads_t *g, const cad_model_t *model); /* after the parameters have changed */
    /* Adds all gradients to flat, which has the parameters' layout, and clears them. */
    int (*collect)(cad_grad_lane_t *l, const cad_model_t *model, float *flat);

    /* Clears dres of n rows. */
    int (*start)(cad_grad_lane_t *l, int64_t n);
    /* Output gradient of each direction k, n rows. For h0 + h1: keep[k] = dres. For h0 x h1 (times),
     * where keep[k] holds the other direction's h: keep[k] = keep[k] x dres. */
    int (*divide)(cad_grad_lane_t *l, int64_t n, bool times);
    int (*embed)(cad_grad_lane_t *l, const uint8_t *tok, cad_span_t s);
    cad_back_f *const *kind[CAD_NKINDS]; /* each kind's operations, in the order of blocks/NAME.h */
    /* Adds to dres the gradient through norm_f(base[row[i]]) of dlogits (n,V); rows are distinct. */
    int (*head)(cad_grad_lane_t *l, int strand, const int64_t *row, int64_t n, const float *dlogits);
    /* The same for dpooled (D): the mean (or maximum) of norm_f(base) over rows [beg, end). */
    int (*pool)(cad_grad_lane_t *l, int64_t beg, int64_t end, enum cad_pool_t how, const float *dpooled);
};

/* ---- cpu/cpu.c ---- */
/* The backward table for the same instruction set as ops. */
const cad_back_ops_t *cad_cpu_back_ops(const cad_ops_t *ops);

/* ---- train/backward.c ---- */
/* Runs the backward pass of the tape's forward pass and adds all gradients to l->grads. On entry,
 * dres is the gradient of the last residual. */
int cad_encoder_backward(cad_grad_lane_t *l, const cad_model_t *model, const int64_t *off, int nseq);

#endif
