/* run.h - one run of a source: what annotate, embed, track and eval share. SPDX-License-Identifier: MIT */
#ifndef CAD_RUN_H
#define CAD_RUN_H

#include "stream/source.h"
#include "cmd.h"

typedef struct run_t {
    /* Set by the command: */
    const options_t *o;
    settings_t *set;
    notes_t notes;
    /* Set by the functions below: */
    fasta_t ref;
    regions_t *only, *targets;
    cad_model_t *model;
    cad_context_t *ctx;
    text_t options; /* as provenance has them */
    provenance_t provenance;
    char work[64], shard[48]; /* of provenance */
    stream_t stream;
    progress_t progress;
} run_t;
/* The settings as they are if no option is given. */
void settings_init(settings_t *set);
/* Checks the settings and begins a stream of this source. */
int run_begin(run_t *r, const source_t *source, input_t *in, cad_error_t *err);
/* Opens the reference, which may build its index; path or aliases NULL: none. */
int run_open_reference(run_t *r, const char *path, const char *aliases, cad_error_t *err);
/* The regions that the options in `only` and `targets` give; some: panels list contigs that the input may lack. */
int run_open_regions(run_t *r, const limits_t *l, const char *only, const char *targets, bool some, cad_error_t *err);
/* Opens the model. A failure was reported if the error has no text. */
int run_open_model(run_t *r, cad_error_t *err);
/* Plans the windows, opens the context and sets up the pipeline. counting: work is only counted. */
int run_open_engine(run_t *r, int64_t window, const shard_t *shard, bool counting, cad_error_t *err);
/* Adds the options that change results to r->options, after those that the command has put there. */
void run_describe(run_t *r);
/* Provenance of r->options, which must not change any more. */
int run_provenance(run_t *r, const shard_t *shard, cad_error_t *err);
/* Shows progress, reads, computes and writes. */
int run_stream(run_t *r, cad_error_t *err);
/* Reports the error if there is one, else the notes: the exit status. */
int run_report(run_t *r, int rc, const cad_error_t *err);
/* Frees all; pipeline_close and the outputs come first. */
void run_end(run_t *r);

/* Prints the usage, each \f of it replaced by the next of these texts, which is wrapped in the right column. */
void usage_print(FILE *out, const char *usage, const text_t *texts);

#endif
