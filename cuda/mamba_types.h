/* mamba_types.h - declares the data of a Mamba layer on the device: the types mamba_weights_t, mamba_grads_t and
 * mamba_lane_t; kinds.h needs such a type of each layer kind for weights, gradients and lanes. Shapes: E is d_inner, N
 * d_state, K d_conv, R dt_rank; Dp, Ep, Np and Sp are d_model, E, N and R+2N with padding. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_MAMBA_TYPES_H
#define CAD_CUDA_MAMBA_TYPES_H

#include "blocks/mamba_sums.h"
#include "product_types.h"

/* scan states of a channel that one launch holds in registers; a model with more states takes several launches */
#define STATES 16
#define STEP 32            /* number of rows of dt_in, B and C that are in shared memory at a time */
#define GROUP 16           /* channels that a thread block of the scan in parallel time has (mamba_time_tmpl.h) */
#define TIME_SHARED 227328 /* bytes of shared memory that it needs */
#define AHEAD 4            /* number of rows that the scan prefetches; divides STEP */
/* Length of a row's dt_in in shared memory: R rounded up to a multiple of 4, so that B and C, which follow it, can
 * be read four floats at a time. */
#define PADDED(r) (((r) + 3) / 4 * 4)

enum { IN_PROJ, X_PROJ, OUT_PROJ, PRODUCTS }; /* matrix products of the forward pass */
/* matrix products of the backward pass: they compute g, the columns of dt_in in dxdbl, du, and da */
enum { OUT_BACK, DT_BACK, X_BACK, IN_BACK, BACKS };
enum { OUT_SUM, IN_SUM, X_SUM, DT_SUM, SUMS }; /* gradients of weights, computed as products */

typedef struct {                     /* weights of one direction of a layer, on the device */
    const void *in;                  // (2Ep,Dp) of type T: the rows of x, then those of z
    const void *x;                   // (Sp,Ep) of type T
    const void *out;                 // (Dp,Ep) of type T
    const float *in_bias, *out_bias; // (2Ep), (Dp), or NULL
    const float *conv, *conv_bias;   // (K,Ep), (Ep)
    const float *dt, *dt_bias;       // (Rp,Ep), (Ep); Rp: R rounded up to STATES
    const float *a, *skip;           // (Np,Ep) -exp(A_log) log2 e; (Ep)
    bool reverse;
} mamba_dir_t;

typedef struct {
    int64_t N, K, R, Ep, Sp, Np;
    bool timed;       /* long sequences are scanned by mamba_time_tmpl.h */
    mamba_dir_t *dir; // (layers,2)
    product_t product[PRODUCTS];
} mamba_weights_t;

typedef struct { /* activations of a lane, on the device */
    void *xz, *u[2],
        *y;         // of type T: (rows,2Ep) the columns of x, then those of z; (rows,Ep) of each direction; (rows,Ep)
    float *xdbl[2]; // (rows,Sp) dt_in, B and C of each direction
    float *o;       // (rows,Dp) the second direction's output; or NULL
    float *state, *total; // (slots,STATES,Ep) state, (slots,Ep) sum of dt of each piece of a long sequence
    bool waits;           /* the first direction of the long sequences will be scanned with the second */
    int conv;             /* the direction that the operation `conv` ran for last */
    int64_t span_beg;     /* first row of the span that it ran on */
} mamba_lane_t;

typedef struct {
    const float *in, *x, *out;
} mamba_back_t; // float32 weights that the backward pass reads: (2Ep,Dp), (Sp,Ep), (Dp,Ep)

typedef struct {
    cad_mamba_sums_t size; /* only its sizes are used; its pointers are not set */
    mamba_back_t *dir;     // (layers,2)
    product_t product[BACKS];
    outer_t outer[SUMS];
} mamba_grads_t;

#endif
