/* kinds.h - lists the layer kinds on the device: for each kind NAME, includes the types of its data here. backend.cu
 * includes its operations, which define the kind_t cuda_NAME. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_KINDS_H
#define CAD_CUDA_KINDS_H

#include "mamba_types.h"
#include "mamba2_types.h"
#ifdef CAD_MORE_KINDS_CUDA_TYPES
#include CAD_MORE_KINDS_CUDA_TYPES
#endif

#define WEIGHTS_MEMBER(name) name##_weights_t name;
#define GRADS_MEMBER(name) name##_grads_t name;
#define LANE_MEMBER(name) name##_lane_t name;

#endif
