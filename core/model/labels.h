/* labels.h - the classifier keys of config.json. The parsed head (cad_head_t) is in caduceus.h.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_LABELS_H
#define CAD_LABELS_H

#include "model/model.h"

/* Stores the classifier keys of dir/config.json in model->head, as JSON text. */
int cad_head_load(cad_model_t *model, const char *dir, cad_error_t *err);

#endif
