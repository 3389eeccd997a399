/* beside.h - copies the other files of a checkpoint's folder, such as its README. SPDX-License-Identifier: MIT */
#ifndef CAD_BESIDE_H
#define CAD_BESIDE_H

#include "io/foundation.h"
#include "io/ledger.h"

typedef struct beside_t { /* copies of files; zeroed: no copies */
    cad_file_t *file;     // (n) copies, written under temporary names until they are published
    int n;
} beside_t;
/* Copies to folder `to` all regular files of folder `from` except weights, configurations (config.json,
 * tokenizer_config.json, model_config.json, adapter_config.json) and hidden files. Adds inputs and outputs to `files`.
 * beside_publish gives the copies their final names. beside_abort removes the copies that have no final name, and frees
 * b. Call beside_abort in any case, also after beside_publish. */
int beside_copy(beside_t *b, const char *from, const char *to, ledger_t *files, cad_error_t *err);
int beside_publish(beside_t *b, cad_error_t *err);
void beside_abort(beside_t *b);

#endif
