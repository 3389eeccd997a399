/* predict_bases.h - predict with a model that has outputs for each base. SPDX-License-Identifier: MIT */
#ifndef CAD_PREDICT_BASES_H
#define CAD_PREDICT_BASES_H

#include "learn/predictions.h"
#include "io/shard.h"
#include "train/label_options.h"

typedef struct {
    const options_t *o;
    const label_options_t *l;
    const char *in, *output; /* in: a FASTA, all of whose contigs are predicted, or a BED of regions of -T */
    cad_model_t *model;
    const cad_head_t *head;
    notes_t *notes;
    progress_t *progress;
    shard_t shard;
} predict_bases_t;
/* Predicts each base of the contigs or regions, and writes the output by its suffix: a BED of runs of bases with one
 * class, or a bedGraph or bigWig for each class. */
int predict_bases(const predict_bases_t *a, cad_error_t *err);

#endif
