/* label_options.h - opens labelled sequences with the options that finetune and predict share.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_LABEL_OPTIONS_H
#define CAD_LABEL_OPTIONS_H

#include "cmd.h"
#include "io/fasta.h"
#include "learn/labelled.h"

/* Opens the input at path. ref: the open reference, which is used if the options name a reference; window: maximum
 * length of a sequence, in bases. */
int labels_open(labelled_t *l, const label_options_t *o, const char *path, const fasta_t *ref, int64_t window,
                bool need_labels, cad_error_t *err);

#endif
