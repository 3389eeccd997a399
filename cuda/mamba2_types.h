/* mamba2_types.h - data of a Mamba-2 layer on the device: none, since mamba2_kind.h refuses such a model.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_CUDA_MAMBA2_TYPES_H
#define CAD_CUDA_MAMBA2_TYPES_H

typedef struct {
    int none;
} mamba2_weights_t, mamba2_grads_t, mamba2_lane_t;

#endif
