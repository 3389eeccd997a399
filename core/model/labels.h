/* labels.h - the classifier keys of config.json. The parsed head (cad_head_t) is in caduceus.h.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_LABELS_H
#define CAD_LABELS_H

#include "model/model.h"

/* Copies the classifier's keys from model->config to model->head, under their present names. */
int cad_head_load(cad_model_t *model, cad_error_t *err);
/* Removes the classifier's keys from a config.json. */
void cad_head_drop_keys(json_t *config);

#endif
