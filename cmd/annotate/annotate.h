/* annotate.h - declarations shared by annotate.c, annotate_options.c and embed.c.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_ANNOTATE_H
#define CAD_ANNOTATE_H

#include "run.h"

typedef struct {
    options_t o;
    settings_t set;
    run_options_t run;
    const char *in, *in_format;
    const char *format_option[16];
    int nformat_option;
    char *named[2];     /* output and embedding, if made from names with {shard}; freed by annotate_end */
    bool used[OPT_END]; /* used[c] is true if the option with code c was given */
} annotate_args_t;

/* ---- annotate_options.c ---- */
/* Fills a from the command line. Returns 0 to continue, 1 after reporting an error, 2 after printing help. */
int annotate_parse(annotate_args_t *a, const command_t *cmd, int argc, char **argv);
/* The options, and texts of the usage, that annotate and embed share. */
#define ANNOTATE_SHORT OPTIONS_SHORT "T:o:O:r:R:t:L:f:F:q:"
extern const struct option ANNOTATE_LONG[];
void annotate_texts(text_t texts[USAGE_TEXTS]);
void embed_texts(text_t texts[USAGE_TEXTS]);
/* Checks the options against each other. Returns 0, or 1 after reporting an error. */
int annotate_settle(annotate_args_t *a);
void annotate_end(annotate_args_t *a);
/* Adapts parsed options for caduceus embed: the output becomes the matrix, and `names` is the path of the file with the
 * names of its rows; names NULL: the output is one text table with names and embeddings, not a matrix. Returns 0, or 1
 * after reporting an error. */
int annotate_matrix(annotate_args_t *a, const char *names);
/* Runs the command, for one shard or for the whole input. Returns 0, or 1 after reporting an error. */
int annotate_all(annotate_args_t *a, const text_t *command);
/* Returns CAD_EARG if an option was given that `source`, which reads this kind of input, does not accept. path: path of
 * the input, for messages. */
int annotate_fits(const annotate_args_t *a, const source_t *source, const char *path, cad_error_t *err);

/* ---- annotate.c: one run ---- */
/* Runs once. Returns 0, or 1 after reporting an error. If count is not NULL, a dry run stores the counted work
 * there. */
int annotate_run(annotate_args_t *a, const text_t *command, work_t *count);

#endif
