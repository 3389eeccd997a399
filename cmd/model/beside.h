/* beside.h - copies of the files that lie beside a checkpoint's own. SPDX-License-Identifier: MIT */
#ifndef CAD_BESIDE_H
#define CAD_BESIDE_H

#include "io/foundation.h"
#include "io/ledger.h"

typedef struct beside_t { /* zeroed: none */
    cad_file_t *file;     // (n) written, not yet in place
    int n;
} beside_t;
/* Copies to folder `to` all regular files of folder `from` but weights, config.json, tokenizer_config.json and hidden
 * ones; files lists inputs and outputs. The copies are put in place by _publish or dropped by _abort. */
int beside_copy(beside_t *b, const char *from, const char *to, ledger_t *files, cad_error_t *err);
int beside_publish(beside_t *b, cad_error_t *err);
void beside_abort(beside_t *b);

#endif
