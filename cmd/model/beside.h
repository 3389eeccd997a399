/* beside.h - copies the files that lie beside a checkpoint's own. SPDX-License-Identifier: MIT */
#ifndef CAD_BESIDE_H
#define CAD_BESIDE_H

#include "io/foundation.h"
#include "io/ledger.h"

typedef struct beside_t { /* copies; zeroed: none */
    cad_file_t *file;     // (n) written, not yet in place
    int n;
} beside_t;
/* Copies to folder `to` all regular files of folder `from` except weights, configurations (config.json,
 * tokenizer_config.json, model_config.json, adapter_config.json) and hidden files. Lists inputs and outputs in `files`.
 * beside_publish puts the copies in place; beside_abort drops those that are not in place. Call beside_abort in any
 * case. */
int beside_copy(beside_t *b, const char *from, const char *to, ledger_t *files, cad_error_t *err);
int beside_publish(beside_t *b, cad_error_t *err);
void beside_abort(beside_t *b);

#endif
