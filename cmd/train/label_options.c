/* labels.c - options that finetune and predict share. SPDX-License-Identifier: MIT */
#include "train/label_options.h"

int labels_take(label_options_t *o, const char *cmd, int c, const char *arg)
{
    switch (c) {
    case 'T': o->reference = arg; return 0;
    case L_FORMAT: o->format = arg; return 0;
    case L_LABELS: o->labels = arg; return 0;
    case L_SEQUENCE: o->sequence = arg; return 0;
    case L_WINDOW: return -option_int(cmd, "--window", arg, 1, 1 << 30, &o->window);
    case L_CROP: o->crop = true; return 0;
    default: return 1;
    }
}

int labels_open(labelled_t *l, const label_options_t *o, const char *path, const fasta_t *ref, int64_t window,
                bool need_labels, cad_error_t *err)
{
    memset(l, 0, sizeof *l);
    l->path = path;
    l->format = o->format;
    l->labels = o->labels;
    l->sequence = o->sequence;
    l->ref = o->reference ? ref : NULL;
    l->window = window;
    l->crop = o->crop;
    l->need_labels = need_labels;
    return labelled_open(l, err);
}
