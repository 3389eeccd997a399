/* module.h - between the library and a backend that is loaded at run time.
 *
 * A module is built with these headers, imports nothing of the library and exports
 * one function, CAD_MODULE_SYMBOL. It refuses a host whose structs are not its own.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_MODULE_H
#define CAD_MODULE_H

#include "engine/backward.h"

#define CAD_MODULE_ABI 6 /* counts changes that no size shows, and those of cad_host_t */
#define CAD_MODULE_SYMBOL "cad_module"

typedef struct cad_host_t { /* the sizes of what host and module share */
    uint32_t abi, ops, lane, model, config, layer, direction, error, back, back_lane, tape, tensor, span, pick, range,
        rows;
} cad_host_t;
#define CAD_HOST_INIT                                                                                                  \
    {                                                                                                                  \
        CAD_MODULE_ABI, sizeof(cad_ops_t), sizeof(cad_lane_t), sizeof(cad_model_t), sizeof(cad_config_t),              \
            sizeof(cad_layer_t), sizeof(cad_direction_t), sizeof(cad_error_t), sizeof(cad_back_ops_t),                 \
            sizeof(cad_grad_lane_t), sizeof(cad_tape_t), sizeof(cad_tensor_t), sizeof(cad_span_t), sizeof(cad_pick_t), \
            sizeof(cad_range_t), sizeof(cad_rows_t)                                                                    \
    }

/* Fills the table for device `index`, with bfloat16 inputs of matrix products (half)
 * or float32. CAD_EARG, without text: another version's host. */
typedef int cad_module_f(const cad_host_t *host, int index, bool half, cad_ops_t *ops, cad_error_t *err);

/* ---- device.c ---- */
enum { CAD_ON_AUTO = -3, CAD_ON_CPU, CAD_ON_UNKNOWN };
/* What a device's name means: one of these, or which CUDA device. NULL is auto. */
int cad_device_number(const char *device);
/* The table of operations of a device, named as in cad_options_t, which describes
 * precision too; note: what cad_context_note says. */
int cad_device_open(cad_ops_t *ops, const char *device, const char *precision, char *note, size_t size,
                    cad_error_t *err);

#endif
