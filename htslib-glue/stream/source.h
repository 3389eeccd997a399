/* source.h - a source is a value: how one kind of input becomes windows, and their results output.
 *
 * A new kind of input is a file that defines a source_t, and a line in sources.c. A command fills
 * a stream_t and calls, in this order: source_check, stream_begin, open; then, with the reference, the
 * regions and the model open, plan; then, with the pipeline set up, stream_run; last stream_end.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_SOURCE_H
#define CAD_SOURCE_H

#include "io/input.h"
#include "io/records.h"
#include "io/regions.h"
#include "stream/columns.h"
#include "stream/region_windows.h"
#include "stream/settings.h"

typedef struct stream_t stream_t;
typedef struct estimate_t { /* what a run would write, uncompressed */
    int64_t bytes, matrix_rows;
} estimate_t;

typedef enum { WRITES_TEXT, WRITES_READS, WRITES_VARIANTS } writes_t; /* the latter two through htslib */
typedef struct source_t {
    const char *holds;    /* in messages: "regions" */
    const char *counts;   /* in progress and reports: what `rows` of the stream are, as "rows" */
    const char *options;  /* long options of annotate that this source takes, but others refuse: " clip grid " */
    const char *headless; /* advice to someone whose model has no language-model head, or NULL */
    unsigned needs;       /* the NEEDS_* of scores that are computed by that head */
    unsigned of;          /* OF_*: the scores that --score can name; 0: none */
    const char *scores;   /* the scores if there is no --score: "pll,n" */
    writes_t writes;
    bool embeds;   /* caduceus embed takes it */
    bool any_name; /* -r, -R, -t and -L may give any contig name: none is known beforehand */
    size_t size;   /* of its state */
    /* Is the input of this kind? NULL: the source reads only the reference. */
    bool (*fits)(const input_t *in);
    /* Checks the settings against each other; may add to set->scores. NULL: nothing to check. */
    int (*check)(settings_t *set, const input_t *in, cad_error_t *err);
    /* Reads the header of the input, or NULL. */
    int (*open)(stream_t *s, cad_error_t *err);
    /* Changes the contig names that -r, -R, -t and -L may give, which are the reference's; or NULL. */
    void (*names)(const stream_t *s, names_t *names);
    /* Sets how windows of this many bases lie; *longest: bases in the longest one. */
    int (*plan)(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err);
    /* Adds the settings that change the results, for provenance, always in the same order. */
    void (*describe)(const stream_t *s, text_t *t);
    /* Puts all items into the pipeline; then, once they are written, ends the output (or NULL). */
    int (*read)(stream_t *s, cad_error_t *err);
    int (*finish)(stream_t *s, cad_error_t *err);
    /* As in pipeline_t, with the stream as arg. */
    int (*take)(void *stream, item_t *it, const job_t *j, cad_error_t *err);
    int (*sink)(void *stream, item_t *it, cad_error_t *err);
    void (*drop)(void *stream, item_t *it);
    /* Estimates the output of a run, after a dry run. Set only for sources that have `fits`. */
    void (*estimate)(const stream_t *s, estimate_t *e);
    /* The share of the work that is done, 0 to 1; 0: not known. NULL: never known. */
    double (*share)(const stream_t *s);
    /* Frees the contents of the state, also after a failure or if open was not called; or NULL. */
    void (*close)(stream_t *s);
} source_t;

/* ---- sources.c ---- */
/* The list of sources, NULL at its end. */
extern const source_t *const SOURCE[];
extern const source_t SOURCE_BED, SOURCE_REGIONS, SOURCE_SEQUENCES, SOURCE_READS, SOURCE_VARIANTS, SOURCE_CONTIGS,
    SOURCE_SPLITS;
/* The first source that fits the input. */
const source_t *source_of(const input_t *in);
/* Sets set->scores, then the source's own check. */
int source_check(const source_t *source, settings_t *set, const input_t *in, cad_error_t *err);

struct stream_t { /* one run of a source; its pointers are borrowed */
    const source_t *source;
    void *state; /* owned: source->size bytes */
    const settings_t *set;
    input_t *in;
    const htsFormat *format; /* of an input of records; set by open */
    const fasta_t *ref;
    bool on_reference;        /* the results depend on the reference; true unless plan changes it */
    const regions_t *only;    /* -r, -R; NULL: all */
    const regions_t *targets; /* -t, -L; NULL: all */
    notes_t *notes;
    htsThreadPool *pool;    /* of htslib, for records */
    table_t *table;         /* rows of text */
    records_out_t *records; /* or records */
    const provenance_t *provenance;
    const char *command, *description; /* for @PG */
    /* Set by plan: */
    tiling_t tiling;
    cutter_t cutter;
    int64_t matrix_width; /* columns of an embedding's row */
    /* Its own: */
    pipeline_t pipe;
    int64_t rows; /* rows delivered so far */
};
int stream_begin(stream_t *s, const source_t *source, cad_error_t *err);
/* Sets the cutter's encoding, bases and width: as the settings say, for this model. */
void stream_encode(stream_t *s, const cad_model_t *model);
/* Connects the pipeline with the source's callbacks. */
void stream_connect(stream_t *s);
/* Do -r, -R, -t and -L want this interval? */
bool stream_wants(const stream_t *s, const char *contig, int64_t beg, int64_t end);
/* Reads all, computes and writes. */
int stream_run(stream_t *s, cad_error_t *err);
/* Frees the state, also after a failure. The pipeline was closed, since its items belong to the state. */
void stream_end(stream_t *s);

#endif
