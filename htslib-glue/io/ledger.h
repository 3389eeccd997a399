/* ledger.h - the files that a command reads and writes: no output may replace an input or
 * another output. A command names its inputs, then each output before opening it.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_LEDGER_H
#define CAD_LEDGER_H

#include "base/base.h"

typedef struct ledger_t { /* zeroed: empty */
    struct ledger_file_t *file;
    int n;
    bool failed; /* out of memory; ledger_output reports it */
} ledger_t;
/* An input: a path (copied), "-" for standard input, or NULL for none. */
void ledger_input(ledger_t *l, const char *path);
/* path followed by each of these suffixes, up to a NULL; "" is the path itself. */
void ledger_inputs(ledger_t *l, const char *path, const char *const suffix[]);
/* A reference (NULL: none) and its indexes. They may yet be made, so that an output may not
 * have their names even if there are no such files. */
void ledger_reference(ledger_t *l, const char *path);
/* An output: a path, "-" for standard output, or NULL for none. 0, or CAD_EARG if the path, or
 * a .json, .tbi or .csi beside it, is an input, or if the path is another output. Paths are
 * compared by the files that they lead to: links count as their targets. */
int ledger_output(ledger_t *l, const char *path, cad_error_t *err);
void ledger_free(ledger_t *l);

#endif
