/* labels.h - a classifier's own part of config.json; its head (cad_head_t) is public.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_LABELS_H
#define CAD_LABELS_H

#include "model/model.h"

/* Reads a classifier's own keys of dir/config.json into model->head, as JSON text. */
int cad_head_load(cad_model_t *model, const char *dir, cad_error_t *err);

#endif
