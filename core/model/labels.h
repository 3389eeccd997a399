/* labels.h - reads the classifier's keys of config.json. caduceus.h has the parsed form, cad_head_t.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_LABELS_H
#define CAD_LABELS_H

#include "model/model.h"

/* Copies the classifier's keys from model->config to model->head; keys with an older name get their present name. */
int cad_head_load(cad_model_t *model, cad_error_t *err);
/* If the adapter's folder dir has a config.json of a classifier, replaces the classifier's keys of `config` by those of
 * that file, and model_max_length of *tokenizer by that of tokenizer_config.json in dir. *tokenizer may be NULL. */
int cad_head_of_adapter(json_t *config, json_t **tokenizer, const char *dir, cad_error_t *err);
/* Removes the classifier's keys from a parsed config.json. */
void cad_head_drop_keys(json_t *config);

#endif
