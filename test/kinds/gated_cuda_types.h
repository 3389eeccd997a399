/* gated_cuda_types.h - data of a gated layer on the device; see cuda/kinds.h.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_GATED_CUDA_TYPES_H
#define CAD_GATED_CUDA_TYPES_H

#include "kinds/gated_sums.h"
#include "product_types.h"

typedef struct {
    struct {
        const void *in, *out;
    } * dir; // (layers,2) of type T: (2Ep,Dp), (Dp,Ep)
    int64_t Ep;
    product_t in, out;
} gated_weights_t;

typedef struct {
    struct {
        const float *in, *out;
    } * dir; // (layers,2) the same matrices in float32
    int64_t E, Ep, Dp;
    product_t out_back, in_back;
    outer_t out_sum, in_sum;
} gated_grads_t;

typedef struct {
    void *xz, *y; // of type T: xz (rows,2Ep), the columns of x, then those of z; y (rows,Ep)
    float *o;     // (rows,Dp) the second direction's output; or NULL
} gated_lane_t;

#endif
