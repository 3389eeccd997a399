/* source.h - a source is a struct of functions that cut one kind of input into windows and write the results.
 *
 * To add a kind of input, add a file that defines a source_t, and a line in sources.c. A command fills a stream_t and
 * calls, in this order: source_check, stream_begin and open; plan, after it has opened the reference, the regions and
 * the model; stream_run, after it has set up the pipeline; stream_end. SPDX-License-Identifier: MIT
 */
#ifndef CAD_SOURCE_H
#define CAD_SOURCE_H

#include "io/input.h"
#include "io/records.h"
#include "io/regions.h"
#include "stream/columns.h"
#include "stream/region_windows.h"
#include "stream/settings.h"

typedef struct stream_t stream_t;
typedef struct estimate_t { /* size of a run's output, before compression */
    int64_t bytes, matrix_rows;
} estimate_t;

/* The output of a source: rows of text, or records of reads or variants, which htslib writes */
typedef enum { WRITES_TEXT, WRITES_READS, WRITES_VARIANTS } writes_t;
typedef struct source_t {
    const char *holds;  /* what the input holds, for messages, such as "regions" */
    const char *counts; /* name of the things that stream_t.rows counts, for progress and reports, such as "rows" */
    /* long options of annotate that this source accepts and that some source refuses, such as " clip grid " */
    const char *options;
    /* text that is appended to the error message for a model without a language-model head; NULL: none */
    const char *headless;
    unsigned needs;     /* bits NEEDS_*: the results of the model that need its language-model head */
    unsigned of;        /* one of OF_*: the kind of scores that --score can name for this source; 0: none */
    const char *scores; /* default of --score, such as "pll,n" */
    writes_t writes;
    bool embeds;   /* true if caduceus embed accepts this input */
    bool any_name; /* -r, -R, -t and -L may have any contig name, since the input has no list of names */
    size_t size;   /* size of stream_t.state in bytes */
    /* Returns true if the source reads inputs of this kind. NULL: the source reads only the reference. */
    bool (*fits)(const input_t *in);
    /* Checks the settings against each other; may add to set->scores. NULL: nothing to check. */
    int (*check)(settings_t *set, const input_t *in, cad_error_t *err);
    /* Reads the header of the input; or NULL. */
    int (*open)(stream_t *s, cad_error_t *err);
    /* Changes the contig names that -r, -R, -t and -L may have; NULL: they are the names of the reference. */
    void (*names)(const stream_t *s, names_t *names);
    /* Plans windows of `window` bases: sets tiling, cutter and matrix_width. Sets *longest to the length of the longest
     * window. */
    int (*plan)(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err);
    /* Appends the settings that affect results to t, for the provenance, always in the same order. */
    void (*describe)(const stream_t *s, text_t *t);
    /* Puts all items into the pipeline. */
    int (*read)(stream_t *s, cad_error_t *err);
    /* Completes the output after all items are written; or NULL. */
    int (*finish)(stream_t *s, cad_error_t *err);
    /* The callbacks of pipeline_t, with the stream as the first argument. */
    int (*take)(void *stream, item_t *it, const job_t *j, cad_error_t *err);
    int (*sink)(void *stream, item_t *it, cad_error_t *err);
    void (*drop)(void *stream, item_t *it);
    /* Estimates the size of a run's output, after a dry run. NULL in sources without `fits`. */
    void (*estimate)(const stream_t *s, estimate_t *e);
    /* Returns the fraction of the input that has been read, by the number of items or bases; 0 if it is not known.
     * NULL: it is never known. */
    double (*share)(const stream_t *s);
    /* Frees the contents of the state; or NULL. Also called after a failure, or if open was not called. */
    void (*close)(stream_t *s);
} source_t;

/* ---- sources.c ---- */
/* The list of sources; the last entry is NULL. */
extern const source_t *const SOURCE[];
extern const source_t SOURCE_BED, SOURCE_REGIONS, SOURCE_SEQUENCES, SOURCE_READS, SOURCE_VARIANTS, SOURCE_CONTIGS,
    SOURCE_SPLITS;
/* Returns the first source that fits the input. */
const source_t *source_of(const input_t *in);
/* Sets set->scores from set->score, then calls source->check. */
int source_check(const source_t *source, settings_t *set, const input_t *in, cad_error_t *err);

struct stream_t { /* the state of one run of a source; pointers are borrowed unless stated otherwise */
    const source_t *source;
    void *state; /* the source's own state, source->size bytes; owned by the stream */
    const settings_t *set;
    input_t *in;
    const htsFormat *format; /* format of an input of records; set by open */
    const fasta_t *ref;
    bool on_reference;        /* true if results depend on the reference; plan may set it to false */
    const regions_t *only;    /* the regions of -r, -R; NULL: everything */
    const regions_t *targets; /* the regions of -t, -L; NULL: everything */
    notes_t *notes;
    htsThreadPool *pool;    /* htslib's threads, which compress and decompress records */
    table_t *table;         /* output of rows of text; or NULL */
    records_out_t *records; /* output of records; or NULL */
    const provenance_t *provenance;
    const char *command, *description; /* command line and provenance, for the @PG line */
    /* Set by plan: */
    tiling_t tiling;
    cutter_t cutter;
    int64_t matrix_width; /* number of columns of the matrix of embeddings */
    /* Private: */
    pipeline_t pipe;
    int64_t rows; /* number of items (regions, reads, variants ...) delivered */
};
int stream_begin(stream_t *s, const source_t *source, cad_error_t *err);
/* Sets the members encoding, bases and width of s->cutter from the settings and the model. */
void stream_encode(stream_t *s, const cad_model_t *model);
/* Connects the pipeline with the source's callbacks. */
void stream_connect(stream_t *s);
/* True if -r, -R, -t and -L allow this interval. */
bool stream_wants(const stream_t *s, const char *contig, int64_t beg, int64_t end);
/* Reads all input, computes and writes. */
int stream_run(stream_t *s, cad_error_t *err);
/* Frees the state. Call it also after a failure, but only after closing the pipeline, whose items refer to the
 * state. */
void stream_end(stream_t *s);

#endif
