/* train.h - the backward table of operations and the lane they act on.
 *
 * Everything that inference does not need. One layer's backward pass is
 *     out    g = dout x out_proj, dx = 0                     before a neighbour's conv
 *     scan   y, du, dpre, dB, dC from g and the kept states  each direction, backwards
 *     conv   dt_proj, x_proj, conv: dx                          in its own time
 *     in     gate, dz, out_proj's and in_proj's weights, the norm: dres
 *                                                            after both directions'
 * over the same spans as the forward pass. Weight gradients are sums over rows in
 * the order of the sweeps' tiles, each tile's part one fixed-order sum, whatever the
 * number of threads. Tapes and what a grad lane holds lie in the backend's memory:
 * outside its operations they are addresses.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_TRAIN_H
#define CAD_TRAIN_H

#include "engine/ops.h"

#define CAD_BLOCK 64 /* channels whose dB and dC are summed together */

typedef struct cad_grads_t cad_grads_t; /* a backend's gradients, and weights for the way back */

typedef struct cad_grad_lane_t {
    cad_lane_t f; /* the forward pass's, with a tape */
    const cad_back_ops_t *ops;
    cad_grads_t *grads;
    int most;          /* sequences in a pack */
    const float *dout; // (rows,Dp) gradient of what `out` made of y
    float *dres;       // (rows,Dp) gradient of the residual stream
    float *g, *dx;     // (rows,Ep) of the gated y (then of z); of x. CUDA: halves of (rows,2Ep), dx first
    float *keep[2];    // (rows,Dp) copies of dout where the directions differ; or NULL
    float *du, *dpre;  // (tile,Ep) of u; of dt before its softplus
    float *dxdbl;      // (tile,Sp) of dt_in, B, C
    float *bc;         // (2N,tile) B and C; the CPU's, in an order of its own
    float *part;       // (Ep/CAD_BLOCK) of the gradients of B and C, by block of channels; likewise
    float *da;         // (tile,Dp) of the normalised rows
    float *carry;      // (N,Ep) gradient of the scan state
    float *kept[2];    /* what f.state is on the way back, where the tape has no states */
} cad_grad_lane_t;

struct cad_back_ops_t {
    const char *name;
    int64_t rows, least; /* of a pack; fewest, where memory is short */
    int64_t round;       /* a lane's rows are a multiple of it */
    int64_t tile;
    bool keeps; /* tapes may hold x and the states; else a layer is always run again */
    int lanes;  /* that may work at once, each with gradients of its own */

    /* Memory for tapes and for what carve lays out; NULL when there is none left. */
    void *(*take)(const cad_ops_t *ops, size_t bytes);
    void (*give)(const cad_ops_t *ops, void *memory);
    /* Lays out what a grad lane needs beside the lane's own; returns the bytes. base NULL: a dry run. */
    size_t (*carve)(cad_grad_lane_t *l, const cad_model_t *model, char *base);

    /* Gradients are 0. like, if not NULL: shares its weights, which outlive these and are the ones renewed. */
    int (*open)(cad_grads_t **g, const cad_ops_t *ops, const cad_model_t *model, const cad_grads_t *like,
                cad_error_t *err);
    void (*close)(cad_grads_t *g);
    void (*renew)(cad_grads_t *g, const cad_model_t *model); /* its parameters have changed */
    /* Adds all gradients into flat, which is laid out as the parameters are; then they are 0. */
    int (*collect)(cad_grad_lane_t *l, const cad_model_t *model, float *flat);

    /* dres of n rows is 0. */
    int (*start)(cad_grad_lane_t *l, int64_t n);
    /* Of n rows each direction's share of the gradient of h0 + h1: keep[k] = dres. times:
     * of h0 x h1, keep[k] being the other's h: keep[k] = keep[k] x dres. */
    int (*divide)(cad_grad_lane_t *l, int64_t n, bool times);
    int (*embed)(cad_grad_lane_t *l, const uint8_t *tok, cad_span_t s);
    int (*out)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s);
    /* After conv has made u and xdbl again. add: y holds the other direction's. */
    int (*scan)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, bool add);
    int (*conv)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s);
    int (*in)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s);
    /* dlogits (n,V) of norm_f(base[row[i]]), each row once: dres += ... */
    int (*head)(cad_grad_lane_t *l, int strand, const int64_t *row, int64_t n, const float *dlogits);
    /* dpooled (D) of the mean (or maximum) of norm_f(base) over rows [beg, end). */
    int (*pool)(cad_grad_lane_t *l, int64_t beg, int64_t end, enum cad_pool_t how, const float *dpooled);
};

/* ---- cpu/lane.c: the CPU's memory ---- */
/* (2N,tile) and what a sum of eight rows of two states may reach beyond. */
static inline int64_t cad_part_size(int64_t tile, int64_t N) { return 2 * N * tile + CAD_PAD; }
void *cad_cpu_take(const cad_ops_t *ops, size_t bytes);
void cad_cpu_give(const cad_ops_t *ops, void *memory);
size_t cad_cpu_carve_back(cad_grad_lane_t *l, const cad_model_t *model, char *base);

/* ---- cpu/cpu_back.c ---- */
/* The backward table for the same instruction set as ops. */
const cad_back_ops_t *cad_cpu_back_ops(const cad_ops_t *ops);

/* ---- back.c ---- */
/* dres: gradient of the last residual on entry. Afterwards all gradients of the
 * tape's forward pass are added to l->grads. */
int cad_strand_backward(cad_grad_lane_t *l, const cad_model_t *model, const int64_t *off, int nseq);

#endif
