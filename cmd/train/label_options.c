/* label_options.c - opens labelled sequences with the options that finetune and predict share.
 * SPDX-License-Identifier: MIT
 */
#include "train/label_options.h"

int labels_open(labelled_t *l, const label_options_t *o, const char *path, const fasta_t *ref, int64_t window,
                bool need_labels, cad_error_t *err)
{
    *l = (labelled_t) { .path = path,
                        .format = o->format,
                        .labels = o->labels,
                        .sequence = o->sequence,
                        .ref = o->reference ? ref : NULL,
                        .window = window,
                        .crop = o->crop,
                        .pad = o->pad,
                        .around = o->around,
                        .need_labels = need_labels };
    return labelled_open(l, err);
}
