/* adapter.h - LoRA adapters in peft's layout: low-rank changes of a model's projections.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_ADAPTER_H
#define CAD_ADAPTER_H

#include "model/archive.h"
#include "model/tensors.h"

typedef struct cad_adapter_t { /* adapter_config.json. Zeroed: no adapter */
    char *dir;                 /* the adapter's folder, or NULL */
    char *base;                /* base_model_name_or_path, or NULL */
    double alpha;              /* lora_alpha */
    bool rslora;               /* the scale is alpha / sqrt(r), not alpha / r */
} cad_adapter_t;

/* Reads dir/adapter_config.json; refuses adapters that are not plain LoRA. */
int cad_adapter_open(cad_adapter_t *a, const char *dir, cad_error_t *err);
void cad_adapter_close(cad_adapter_t *a);
/* Opens the adapter's weight file. */
int cad_adapter_weights(const cad_adapter_t *a, cad_archive_t *weights, cad_error_t *err);
/* Joins the adapter's weights to the model's, both with names without prefixes; whole tensors replace those of
 * the model. Afterwards from is empty. */
int cad_adapter_join(cad_archive_t *weights, cad_archive_t *from, cad_error_t *err);
/* True if the two directions' shared projections are changed differently, so that they are tied no longer. */
int cad_adapter_unties(const cad_archive_t *weights, bool *unties, cad_error_t *err);
/* Stores each direction's projections under its own name where a file has one name for both. */
int cad_adapter_untie(cad_archive_t *weights, cad_error_t *err);
/* Adds scale * B A to the values of tensor t (out, in), where the weights hold t's A (r, in) and B (out, r). */
int cad_adapter_add(const cad_adapter_t *a, cad_archive_t *weights, const cad_tensor_t *t, float *value,
                    cad_error_t *err);

#endif
