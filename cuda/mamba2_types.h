/* mamba2_types.h - declares the data of a Mamba-2 layer on the device: the types mamba2_weights_t, mamba2_grads_t and
 * mamba2_lane_t. Shapes: H is the number of heads of P channels, N of states, G of groups, K of taps; Dp (d_model), Hp,
 * Pp and Np are padded; Ep = H Pp; Cp and Xp are the widths of x|B|C (x, B and C side by side) and of x|B|C|r.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_MAMBA2_TYPES_H
#define CAD_CUDA_MAMBA2_TYPES_H

#include "blocks/mamba2_sums.h"
#include "product_types.h"

enum { MAMBA2_IN_X, MAMBA2_IN_Z, MAMBA2_OUT_Y, MAMBA2_PRODUCTS }; /* products of the forward pass */
/* products of the backward pass: they compute g, and both terms of da */
enum { MAMBA2_OUT_BACK, MAMBA2_X_BACK, MAMBA2_Z_BACK, MAMBA2_BACKS };
enum { MAMBA2_OUT_SUM, MAMBA2_X_SUM, MAMBA2_Z_SUM, MAMBA2_SUMS }; /* gradients of weights, computed as products */

typedef struct { /* the shape, as kernels read it */
    int64_t I, H, G, K, Pp, Np, Hp, Ep, Cp, Xp;
} mamba2_size_t;

typedef struct {                        /* weights of one direction of a layer, on the device */
    const void *in_x, *in_z;            // (Xp,Dp), (Ep,Dp) of type T
    const void *out;                    // (Dp,Ep) of type T
    const float *in_x_bias, *in_z_bias; // (Xp), (Ep), or NULL
    const float *out_bias;              // (Dp), or NULL
    const float *conv, *conv_bias;      // (K,Cp), (Cp)
    const float *dt_bias, *a, *a2;      // (Hp) each: dt_bias; A; A log2 e
    const float *skip, *norm;           // (Hp) the skip weight D; (Ep)
    const float *first_x, *first_z;     // (V,Xp), (V,Ep) x and z of each token in layer 0; or NULL
    bool reverse;
} mamba2_dir_t;

typedef struct {
    mamba2_size_t size;
    mamba2_dir_t *dir; // (layers,2)
    product_t product[MAMBA2_PRODUCTS];
} mamba2_weights_t;

typedef struct {       /* activations of a lane, on the device */
    float *x, *z;      // (rows,Xp) x|B|C|r; (rows,Ep)
    void *o;           // (rows,Ep) of type T: the normalised gated y
    float *second;     // (rows,Dp) the second direction's output; or NULL
    float *u, *y;      // (rows,Cp) x|B|C after the convolution; (rows,Ep) output of the scan
    float *dt, *decay; // (rows,Hp) dt, a = exp(dt A)
    float *from, *to;  // (rows,Hp) products of a over a chunk's rows: `from` up to this row, `to` after this row
    float *score;      // (rows,G,CHUNK) scores C[t].B[j]
    float *state;      // (rows/CHUNK,H,Np,Pp) state before each chunk, except the first chunk of a sequence
    int64_t span_beg;  /* first row of the span that the operation `conv` ran on last */
} mamba2_lane_t;

typedef struct {
    const float *in_x, *in_z, *out;
} mamba2_back_t; // (Xp,Dp), (Ep,Dp), (Dp,Ep): float32 weights that the backward pass reads

typedef struct {
    mamba2_size_t size;
    mamba2_back_t *dir; // (layers,2)
    product_t product[MAMBA2_BACKS];
    outer_t outer[MAMBA2_SUMS];
    /* Activations of the only grad lane: */
    float *o;      // (rows,Ep) the sum of both directions' normalised rows, in float32
    float *dstate; // (rows/CHUNK,H,Np,Pp) gradient of the state after each chunk, except the last chunk of a sequence
} mamba2_grads_t;

#endif
