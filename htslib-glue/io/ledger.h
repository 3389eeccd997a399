/* ledger.h - keeps a list of the files that a command reads and writes, so that no output replaces an input or another
 * output. A command first adds its inputs. It then adds each output before opening that output.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_LEDGER_H
#define CAD_LEDGER_H

#include "base/base.h"

typedef struct ledger_t { /* zeroed: empty */
    struct ledger_file_t *file;
    int n;
    bool failed; /* an allocation failed; ledger_output reports it */
} ledger_t;
/* Adds an input: a path (copied), "-" for standard input, or NULL for none. */
void ledger_input(ledger_t *l, const char *path);
/* Adds, for each suffix of a NULL-terminated list, the input path + suffix. The suffix "" stands for path itself. */
void ledger_inputs(ledger_t *l, const char *path, const char *const suffix[]);
/* Adds the reference at path and its indexes as inputs; NULL: adds nothing. Indexes are added even if they do not exist
 * yet, because the command may build them, so no output may have their names. */
void ledger_reference(ledger_t *l, const char *path);
/* Adds an output: a path, "-" for standard output, or NULL for none. Returns 0, or CAD_EARG if the path or one of
 * PATH.json, PATH.tbi and PATH.csi is an input, or if the path is another output. Two paths count as the same if they
 * lead to the same file; a link counts as its target. */
int ledger_output(ledger_t *l, const char *path, cad_error_t *err);
void ledger_free(ledger_t *l);

#endif
