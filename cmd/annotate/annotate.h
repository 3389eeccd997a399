/* annotate.h - what annotate.c and annotation.c share. SPDX-License-Identifier: MIT */
#ifndef CAD_ANNOTATE_H
#define CAD_ANNOTATE_H

#include "stream/reads.h"
#include "stream/variants.h"
#include "cmd.h"

typedef struct {
    options_t o;
    const char *in, *in_format, *reference, *aliases, *output, *format, *embed, *score;
    const char *format_option[16];
    limits_t limits; /* -r -R -t -L */
    shard_t shard;
    int nformat_option;
    index_t index;
    int64_t mask, window, flank, anchor;
    bool clip, split, skip_soft, sep, n_token, grid, dry_run;
    bool matrix; /* caduceus embed: the matrix, and the names of its rows as output */
    pooling_t pooling;
    score_list_t scores; /* of regions */
    reads_options_t reads;
    variants_options_t variants;
    bool named[TAGS]; /* by --tag-map */
    bool used[128];   /* options given, by code */
} annotate_args_t;

/* ---- annotate.c: names of what the options choose ---- */
extern const char *const POOL_NAME[];     /* of pooling_t */
extern const char *const READ_SCORE[];    /* three, */
extern const tag_t READ_TAG[];            /* and their tags */
extern const char *const VARIANT_SCORE[]; /* of info_t, without the note */
/* Fills a from the command line: 0 = go on, 1 = error, 2 = help shown. */
int annotate_parse(annotate_args_t *a, const char *cmd, const char *usage, int argc, char **argv);
/* Turns parsed options into embed's: the output is the matrix, `names` that of its rows'
 * names. 0, or 1 after reporting. */
int annotate_matrix(annotate_args_t *a, const char *names);
/* All of the work, sharded or not: 0, or 1 after reporting. */
int annotate_all(annotate_args_t *a, const text_t *command);
/* Embeddings are a column or a tag. */
bool embed_column(const annotate_args_t *a);
/* They are an array for each region rather than one matrix. */
bool embed_several(const annotate_args_t *a);
/* The options against what the input holds; completes the scores wanted. */
int annotate_check(annotate_args_t *a, const input_t *in, cad_error_t *err);

/* ---- annotation.c: sources, pipeline and sinks of one run ---- */
/* 0, or 1 after reporting. count: NULL, or for what a dry run counted. */
int annotate_run(annotate_args_t *a, const text_t *command, work_t *count);

#endif
