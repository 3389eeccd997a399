/* run.h - one run of a source: what annotate, embed, track, eval, mutate, depend and calibrate share.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_RUN_H
#define CAD_RUN_H

#include "stream/source.h"
#include "cmd.h"

typedef struct run_t {
    /* Set by the command: */
    const options_t *o;
    settings_t *set;
    const char *output; /* path of the output, for progress_open */
    notes_t notes;
    /* Set by the functions below: */
    fasta_t ref;
    regions_t *only, *targets;
    cad_model_t *model;
    cad_context_t *ctx;
    text_t options; /* the options that affect results, as text in the form that is written to the provenance */
    provenance_t provenance;
    char work[64], shard[48]; /* texts that the provenance refers to */
    char named[128];          /* text that a caption refers to */
    stream_t stream;
    progress_t progress;
} run_t;
/* Sets all settings to their defaults. */
void settings_init(settings_t *set);
/* Checks the settings and begins to stream from this source. */
int run_begin(run_t *r, const source_t *source, input_t *in, cad_error_t *err);
/* Opens the reference at path (NULL: none) and reads the file `aliases` of other contig names (NULL: none). Builds the
 * reference's index if it is missing. */
int run_open_reference(run_t *r, const char *path, const char *aliases, cad_error_t *err);
/* Opens the regions given by the options whose letters are in `only` and in `targets`. some: the regions may lie
 * on contigs that the input lacks, as in a panel. */
int run_open_regions(run_t *r, const limits_t *l, const char *only, const char *targets, bool some, cad_error_t *err);
/* Opens the model. If it fails and err has no text, the error has already been reported. */
int run_open_model(run_t *r, cad_error_t *err);
/* Plans the windows, opens the context and sets up the pipeline. counting: the run only counts its work. */
int run_open_engine(run_t *r, int64_t window, const shard_t *shard, bool counting, cad_error_t *err);
/* Appends the shared options that affect results to r->options, after those that the command has added. */
void run_describe(run_t *r);
/* Sets the provenance from r->options, which must not change afterwards. */
int run_provenance(run_t *r, const shard_t *shard, cad_error_t *err);
/* Calls run_describe and run_provenance for a command that adds no options of its own to r->options: the text begins with
 * the name of the command. plain: the output is a table without provenance, which the text then says. */
int run_settle(run_t *r, const shard_t *shard, bool plain, cad_error_t *err);
/* Reads all input, computes and writes the results; shows progress. */
int run_stream(run_t *r, cad_error_t *err);
/* If rc is not 0, reports the error; otherwise prints the summary of the notes. Returns the exit status. */
int run_report(run_t *r, int rc, const cad_error_t *err);
/* Prints the work that a dry run has counted. rows: the number of rows, each of which is a `what` */
void run_report_work(const run_t *r, const char *what, int64_t rows);
/* Frees everything in r. Call this after closing the pipeline and the outputs. */
void run_end(run_t *r);

#endif
