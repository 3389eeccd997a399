/* module.h - the interface between the library (the host) and a module: a backend that is loaded at run time.
 *
 * A module is built with these headers, imports no symbol of the library and exports one function, CAD_MODULE_SYMBOL.
 * That function refuses a host whose structs differ from the module's. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MODULE_H
#define CAD_MODULE_H

#include "engine/backward.h"

/* raise this number if a shared struct changes but keeps its size, or if cad_host_t changes */
#define CAD_MODULE_ABI 16
#define CAD_MODULE_SYMBOL "cad_module"

typedef struct cad_host_t { /* number of layer kinds, and the sizes of the structs that host and module share */
    uint32_t abi, kinds, ops, lane, model, config, layer, direction, error, back, back_lane, tape, tensor, span, pick,
        range, rows;
    cad_kind_sizes_t kind[CAD_NKINDS];
} cad_host_t;
/* Initial values of a cad_host_t, except its member `kind`, for the code (library or module) that is compiled with this
 * macro. */
#define CAD_HOST_INIT                                                                                       \
    {                                                                                                       \
        .abi = CAD_MODULE_ABI, .kinds = CAD_NKINDS, .ops = sizeof(cad_ops_t), .lane = sizeof(cad_lane_t),   \
        .model = sizeof(cad_model_t), .config = sizeof(cad_config_t), .layer = sizeof(cad_layer_t),         \
        .direction = sizeof(cad_direction_t), .error = sizeof(cad_error_t), .back = sizeof(cad_back_ops_t), \
        .back_lane = sizeof(cad_grad_lane_t), .tape = sizeof(cad_tape_t), .tensor = sizeof(cad_tensor_t),   \
        .span = sizeof(cad_span_t), .pick = sizeof(cad_pick_t), .range = sizeof(cad_range_t),               \
        .rows = sizeof(cad_rows_t)                                                                          \
    }

/* Fills the table of operations for device `index`. half: inputs of matrix products are bfloat16, otherwise float32. If
 * host and module are of different versions, returns CAD_EARG and does not write to err. */
typedef int cad_module_f(const cad_host_t *host, int index, bool half, cad_ops_t *ops, cad_error_t *err);

/* ---- device.c ---- */
#define CAD_CARDS 64        /* maximum number of devices of a context */
typedef struct cad_card_t { /* a device, with its own copy of the weights */
    cad_ops_t ops;
    cad_weights_t *weights;
} cad_card_t;

/* Sets all members of *host to the values of this library. */
void cad_host_init(cad_host_t *host);
/* Fills the table of operations of one device. device and precision are as in cad_options_t; several devices are
 * CAD_EARG. Writes to note the text that cad_context_note will return. m: the model that will run on it; if only the
 * CPU has one of its kinds of layers or its pooling, auto is the CPU and a GPU is CAD_EDEVICE. NULL: every device has all
 * kinds. */
int cad_device_open(cad_ops_t *ops, const cad_model_t *m, const char *device, const char *precision, char *note,
                    size_t size, cad_error_t *err);
/* Fills the tables of one or several devices, all of the same type. The caller frees *card, also after an error; n: their
 * number. */
int cad_cards_open(cad_card_t **card, int *n, const cad_model_t *m, const char *device, const char *precision,
                   char *note, size_t size, cad_error_t *err);

#endif
