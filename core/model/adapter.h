/* adapter.h - reads LoRA adapters in peft's layout: low-rank changes of a model's projections.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_ADAPTER_H
#define CAD_ADAPTER_H

#include "model/archive.h"
#include "model/tensors.h"

typedef struct cad_adapter_t { /* values of adapter_config.json; all members zero: no adapter */
    char *dir;                 /* the adapter's folder, or NULL */
    char *base;                /* base_model_name_or_path, or NULL */
    char *revision;            /* of a base model on the hub, or NULL */
    double alpha;              /* lora_alpha */
    bool rslora;               /* the scale is alpha / sqrt(r), not alpha / r */
} cad_adapter_t;

/* Reads dir/adapter_config.json; refuses adapters that are not plain LoRA. */
int cad_adapter_open(cad_adapter_t *a, const char *dir, cad_error_t *err);
void cad_adapter_close(cad_adapter_t *a);
/* Opens the adapter's weight file. */
int cad_adapter_weights(const cad_adapter_t *a, cad_archive_t *weights, cad_error_t *err);
/* Adds the adapter's tensors (`from`) to the model's (`weights`). The names in both must have no prefixes. A whole
 * tensor of the adapter replaces the model's tensor of the same name. Close both archives afterwards. */
int cad_adapter_join(cad_archive_t *weights, cad_archive_t *from, cad_error_t *err);
/* Sets *unties to true if the adapter changes a projection that two tied directions share, and changes it in a
 * different way for each direction, so that the directions are no longer tied. */
int cad_adapter_unties(const cad_archive_t *weights, bool *unties, cad_error_t *err);
/* If a file stores a projection of two tied directions under one name only, lists the same data under the other name
 * too. */
int cad_adapter_untie(cad_archive_t *weights, cad_error_t *err);
/* If `weights` holds the adapter's matrices A (r, in) and B (out, r) for tensor t, adds scale * B A to t's values (out,
 * in). */
int cad_adapter_add(const cad_adapter_t *a, cad_archive_t *weights, const cad_tensor_t *t, float *value,
                    cad_error_t *err);
/* Adds scale * `b` `a` to `value` (out,in), where `b` is (out,r) and `a` is (r,in). Each sum is rounded once. */
void cad_adapter_change(float *value, const float *b, const float *a, int64_t out, int64_t r, int64_t in, double scale);

#endif
