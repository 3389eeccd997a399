/* annotate.h - what annotate.c, annotate_options.c and embed.c share. SPDX-License-Identifier: MIT */
#ifndef CAD_ANNOTATE_H
#define CAD_ANNOTATE_H

#include "run.h"

typedef struct {
    options_t o;
    settings_t set;
    const char *in, *in_format, *aliases, *output, *format;
    const char *format_option[16];
    int nformat_option;
    limits_t limits; /* -r -R -t -L */
    shard_t shard;
    index_t index;
    bool dry_run;
    bool used[OPT_END]; /* options given, by code */
} annotate_args_t;

/* ---- annotate_options.c ---- */
/* Fills a from the command line: 0 to continue, 1 after an error, 2 after printing help. */
int annotate_parse(annotate_args_t *a, const char *cmd, const char *usage, int argc, char **argv);
/* Checks the options against each other: 0, or 1 after reporting. */
int annotate_settle(annotate_args_t *a);
/* Turns parsed options into embed's: the output is the matrix, `names` the file of its rows'
 * names. 0, or 1 after reporting. */
int annotate_matrix(annotate_args_t *a, const char *names);
/* Runs it, sharded or not: 0, or 1 after reporting. */
int annotate_all(annotate_args_t *a, const text_t *command);
/* Refuses options that do not fit the source of the input at path. */
int annotate_fits(const annotate_args_t *a, const source_t *source, const char *path, cad_error_t *err);

/* ---- annotate.c: one run ---- */
/* 0, or 1 after reporting. count: NULL, or receives what a dry run counted. */
int annotate_run(annotate_args_t *a, const text_t *command, work_t *count);

#endif
