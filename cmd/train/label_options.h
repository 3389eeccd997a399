/* labels.h - options that finetune and predict share. SPDX-License-Identifier: MIT */
#ifndef CAD_LABELS_H
#define CAD_LABELS_H

#include "cmd.h"
#include "io/fasta.h"
#include "io/regions.h"
#include "learn/labelled.h"

typedef struct label_options_t {
    const char *reference, *format, *labels, *sequence;
    int64_t window; /* 0: the model's */
    bool crop;
} label_options_t;
enum { L_FORMAT = 900, L_LABELS, L_SEQUENCE, L_WINDOW, L_CROP };
#define LABELS_LONG                                                                                                  \
    { "reference", required_argument, NULL, 'T' }, { "fasta-ref", required_argument, NULL, 'T' },                    \
        { "in-format", required_argument, NULL, L_FORMAT }, { "label-column", required_argument, NULL, L_LABELS },   \
        { "sequence-column", required_argument, NULL, L_SEQUENCE }, { "window", required_argument, NULL, L_WINDOW }, \
    {                                                                                                                \
        "crop", no_argument, NULL, L_CROP                                                                            \
    }
#define LABELS_USAGE                                                                       \
    "  -T, --reference FASTA  reference of a BED; also --fasta-ref\n"                      \
    "      --in-format FMT    csv, tsv, fasta, fastq or bed [detected]\n"                  \
    "      --label-column LIST  columns of labels: names, or numbers as in a BED\n"        \
    "                         [label; BED: 4]\n"                                           \
    "      --sequence-column NAME  the column of sequences in a table [sequence or seq]\n" \
    "      --window W         longest sequence, in bases [the model's length]\n"           \
    "      --crop             take the middle of longer ones instead of stopping\n"
/* Handles one of them: 0 = done, 1 = not one of them, -1 = error, reported. */
int labels_take(label_options_t *o, const char *cmd, int c, const char *arg);
/* An input as they say. */
int labels_open(labelled_t *l, const label_options_t *o, const char *path, const fasta_t *ref, int64_t window,
                bool need_labels, cad_error_t *err);

#endif
