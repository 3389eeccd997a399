/* glue.h - files to windows to records. A section per file of htslib-glue/.
 * Coordinates are 0-based half-open unless a comment says otherwise.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_GLUE_H
#define CAD_GLUE_H

#include <htslib/bgzf.h>
#include <htslib/faidx.h>
#include <htslib/hts.h>
#include <htslib/kstring.h>

#include "internal.h"

/* ---- notes.c: warnings that do not stop, signals ---- */
typedef enum {
    NOTE_EMPTY, NOTE_CLIPPED, NOTE_IUPAC, NOTE_UNSCORED, NOTE_BROWSER, NOTE_INDEX, NOTE_KINDS
} note_kind_t;
typedef struct notes_t {
    const char *cmd;
    bool quiet;
    int64_t count[NOTE_KINDS];
} notes_t;
/* Prints the first of its kind, counts all. */
void note(notes_t *n, note_kind_t kind, int64_t times, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* One closing line with the counts, if there are any. */
void notes_summary(const notes_t *n);
/* Signal handlers, htslib's own messages off, no network references. */
void glue_init(void);
/* Removes the temporaries, says that memory is out and ends the process: for
 * libraries that do not survive a failed allocation. */
void glue_out_of_memory(void) __attribute__((noreturn));
void glue_verbosity(int level);
const char *glue_htslib_version(void);

/* ---- output.c ---- */
typedef struct output_t output_t;
/* path: a file, or "-" for stdout. A regular or absent file is written under a
 * temporary name beside it and renamed by output_close; anything else directly. */
int output_open(output_t **out, const char *path, bool bgzf, cad_error_t *err);
int output_write(output_t *out, const void *data, size_t n, cad_error_t *err);
/* Overwrites bytes at the start of a seekable, uncompressed output; spooled
 * outputs are always seekable. */
int output_patch(output_t *out, const void *data, size_t n, cad_error_t *err);
/* Makes a direct output seekable by spooling it through a temporary file. */
int output_spool(output_t *out, cad_error_t *err);
/* All bytes written and synced, but nothing renamed yet: with several outputs,
 * sync all before closing one. */
int output_sync(output_t *out, cad_error_t *err);
/* Syncs, renames. Frees out whatever happens. */
int output_close(output_t *out, cad_error_t *err);
/* Removes the temporary and frees out; NULL is allowed. */
void output_abort(output_t *out);
bool output_is_gz(const char *path);
/* The output is a file, not a pipe or device: a .json may lie beside it. */
bool output_is_file(const output_t *out);
/* An output must not be an input, nor two outputs one file, also through links;
 * "-" is what the shell connected. 0 or CAD_EARG; NULL is nothing. */
int refuse_twice(const char *output, const char *other, cad_error_t *err);
int refuse_same(const char *output, const char *input, cad_error_t *err);

/* path and suffix joined, malloc'd; NULL when out of memory. */
char *suffixed(const char *path, const char *suffix);

/* ---- text.c: a line being built; errors stick until it is written ---- */
typedef struct text_t { kstring_t s; bool failed; } text_t;
void text_put(text_t *t, const char *s, size_t n);
void text_puts(text_t *t, const char *s);
void text_printf(text_t *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* %.6g, "." for NaN. */
void text_number(text_t *t, double v);
void text_clear(text_t *t);
void text_free(text_t *t);
int text_write(output_t *out, const text_t *t, cad_error_t *err);

/* ---- input.c: lines of plain, gzip or BGZF text ---- */
typedef enum { INPUT_BED, INPUT_FASTA, INPUT_FASTQ } input_kind_t;
typedef struct input_t {
    const char *path;    /* for messages; "standard input" for "-" */
    BGZF *fp;
    input_kind_t kind;
    char *buf;
    size_t at, fill;
    int64_t line;        /* number of the last line read, from 1 */
    int64_t bytes, size; /* read so far; of the file, 0 when unknown */
    bool eof;
} input_t;
/* format: NULL to detect, or bed, fasta, fastq. */
int input_open(input_t *in, const char *path, const char *format, cad_error_t *err);
/* One line without its \n (a \r is kept): 1, 0 at the end, or CAD_E*. */
int input_line(input_t *in, kstring_t *line, cad_error_t *err);
/* The next byte without consuming it, -1 at the end, or CAD_E* below -1. */
int input_peek(input_t *in, cad_error_t *err);
void input_close(input_t *in);

/* ---- fasta.c: an indexed reference ---- */
typedef struct contig_t { char *name; int64_t length, offset, bases, width; } contig_t;
typedef struct fasta_t {
    BGZF *fp;            /* with its .gzi loaded if compressed */
    contig_t *contig;    /* in the order of the index */
    int ncontig;
    int *by_name;        /* contig numbers sorted by name */
    char *tmp_dir, *tmp_fai, *tmp_gzi; /* index built in a temporary place */
    const char *path;
    char checksum[65];   /* SHA-256 of the "name\tlength\n" lines */
} fasta_t;
int fasta_open(fasta_t *f, const char *path, notes_t *notes, cad_error_t *err);
void fasta_close(fasta_t *f);
const contig_t *fasta_find(const fasta_t *f, const char *name);
/* Text like `; the FASTA has "chr20"` or "". */
const char *fasta_hint(const fasta_t *f, const char *name, char *buf, size_t size);
/* Bases [beg, end) as written, into seq (end-beg+1 bytes). */
int fasta_fetch(const fasta_t *f, const contig_t *c, int64_t beg, int64_t end, char *seq, cad_error_t *err);

/* ---- bed.c ---- */
typedef struct interval_t { int64_t beg, end; } interval_t;
typedef struct bed_row_t {
    char *contig;        /* malloc'd */
    interval_t span;
    int ncol;
    interval_t *block;   /* BED12 blocks if asked for, else NULL */
    int nblock;
} bed_row_t;
/* A data line: 0 or CAD_EFORMAT. */
int bed_parse(const char *path, int64_t number, const char *line, size_t len, bool split,
              bed_row_t *row, cad_error_t *err);
void bed_free(bed_row_t *row);
typedef enum { LINE_DATA, LINE_BLANK, LINE_COMMENT, LINE_BROWSER } line_kind_t;
line_kind_t bed_line_kind(const char *line, size_t len);
/* Columns of a line: tab-separated if it has a tab, else by blanks. */
int bed_columns(const char *line, size_t len);
/* "#chrom\tstart..." for ncol columns. */
void bed_header(text_t *t, int ncol);

/* ---- regions.c: -r and -L ---- */
typedef struct regions_t regions_t;
int regions_new(regions_t **r, cad_error_t *err);
/* "chr", "chr:beg" or "chr:beg-end", 1-based inclusive, comma-separated. */
int regions_add_text(regions_t *r, const char *text, const fasta_t *ref, cad_error_t *err);
int regions_add_bed(regions_t *r, const char *path, cad_error_t *err);
void regions_finish(regions_t *r);
bool regions_overlap(const regions_t *r, const char *contig, int64_t beg, int64_t end);
void regions_free(regions_t *r);

/* ---- seqs.c: FASTA and FASTQ records ---- */
typedef struct seq_t { kstring_t name, bases, scratch; } seq_t;
/* The next record: 1, 0 at the end, or CAD_E*. */
int seq_next(input_t *in, seq_t *s, cad_error_t *err);
void seq_free(seq_t *s);

/* ---- tiles.c ---- */
typedef struct tiling_t { int64_t window, flank, core; } tiling_t;
/* flank < 0: the default min(1024, window/4). CAD_EARG if no core is left. */
int tiling_set(tiling_t *t, int64_t window, int64_t flank, cad_error_t *err);
int64_t tiles_count(const tiling_t *t, interval_t region);
/* Tile k from the left: its core, and the window clipped to [0, length). */
void tiles_get(const tiling_t *t, interval_t region, int64_t length, int64_t k,
               interval_t *core, interval_t *window);

/* ---- npy.c ---- */
typedef struct npy_t { output_t *out; int64_t rows, width; } npy_t;
/* Begins a matrix of `width` columns in n->out. */
int npy_begin(npy_t *n, int64_t width, cad_error_t *err);
int npy_write(npy_t *n, const float *row, int64_t rows, cad_error_t *err);
/* Writes the header; n->out is then to be closed. */
int npy_finish(npy_t *n, cad_error_t *err);

/* ---- scores.c ---- */
typedef enum { SCORE_PLL, SCORE_N, SCORE_ENTROPY, SCORE_IC, SCORES } score_t;
typedef struct score_list_t { int n; score_t kind[SCORES]; } score_list_t;
typedef struct score_sums_t { int64_t n; double pll, entropy; } score_sums_t; /* over n bases; nats, bits */
/* "pll,n", or "none". */
int scores_parse(score_list_t *l, const char *text, cad_error_t *err);
/* The names, the suffix on all but n. */
void scores_names(const score_list_t *l, const char *separator, const char *suffix, text_t *t);
/* The mean over the bases, or their number. */
void score_put(score_t kind, const score_sums_t *s, text_t *t);

/* ---- provenance.c: keys and values, borrowed ---- */
#define PROVENANCE_KEYS 8
typedef struct provenance_t { int n; const char *key[PROVENANCE_KEYS], *value[PROVENANCE_KEYS]; } provenance_t;
void provenance_add(provenance_t *p, const char *key, const char *value);
void provenance_header(const provenance_t *p, text_t *t); /* "##caduceus_key=value" lines */
void provenance_json(const provenance_t *p, text_t *t);

/* ---- pipeline.c: items and their windows in, results out, in order ---- */
typedef struct item_t { /* what a source puts in; the first member of its own struct */
    struct item_t *next;
    int64_t bytes;        /* roughly what it holds while it waits */
    int64_t open;         /* windows not yet computed */
    bool whole;           /* all its windows are there */
} item_t;
typedef struct job_t {    /* one window of an item; intervals count from its first token */
    item_t *item;
    int64_t id;           /* the item's own name for it */
    uint8_t *tokens, *skip; // (len), malloc'd; skip as in cad_window_t, or NULL
    int64_t len;
    int64_t mask;         /* the pipeline's, or CAD_MASK_EACH */
    interval_t scored;    /* empty: no scores */
    interval_t pooled;    /* empty: no embedding */
    float *logp;          // (scored,4)
    float *embedding;     // (D), or (pooled,D) for CAD_POOL_NONE
} job_t;
void job_free(job_t *j);
typedef struct work_t { int64_t windows, passes, tokens, done; } work_t; /* done: of tokens */
typedef struct pipeline_t {
    /* set by the caller */
    const cad_model_t *model;
    cad_context_t *ctx;   /* NULL: count only (--dry-run) */
    int64_t mask;
    enum cad_pool_t pool;
    int64_t batch_tokens;
    void (*tick)(void *arg); /* after each batch, or NULL */
    void *tick_arg;
    int (*take)(void *arg, item_t *it, const job_t *j, cad_error_t *err); /* a window is computed */
    int (*sink)(void *arg, item_t *it, cad_error_t *err);                 /* an item is complete */
    void (*drop)(void *arg, item_t *it);                                  /* and done with */
    void *arg;
    /* its own */
    item_t *head, *tail;
    job_t *job;
    int njob, room;
    int64_t queued;       /* tokens x passes waiting */
    int64_t floats, held; /* of unpooled embeddings waiting; bytes of waiting items */
    work_t work;
} pipeline_t;
/* Takes the item over; it reaches the sink after all items put before it. */
void pipeline_put(pipeline_t *p, item_t *it);
/* A window of the item put last; takes tokens and skip over. */
int pipeline_job(pipeline_t *p, job_t job, cad_error_t *err);
/* The item put last has all its windows. */
int pipeline_done(pipeline_t *p, cad_error_t *err);
/* Computes and hands on all that is left. */
int pipeline_flush(pipeline_t *p, cad_error_t *err);
/* Frees what an error left behind. */
void pipeline_close(pipeline_t *p);

/* ---- cut.c: regions into windows, results back into regions ---- */
typedef enum { POOL_OFF, POOL_ROWS, POOL_MEAN, POOL_MAX, POOL_CENTER } pooling_t;
enum cad_pool_t pooling_of(pooling_t p);
typedef struct region_t {
    item_t item;
    kstring_t text;       /* the input line, or the record's name */
    bool scored;          /* false: text passes through */
    const char *name;     /* of the contig or record, for messages; borrowed */
    int name_len;
    const contig_t *contig;
    char *seq;            /* own sequence, malloc'd; NULL: from the contig */
    int64_t length;       /* of the contig or of seq */
    interval_t *part;     /* what is scored, malloc'd */
    int npart, ncol;
    int64_t nbase;        /* of all parts */
    score_sums_t sums;
    double *pooled;       // (D) sums or maxima; NULL until first used
    int64_t npooled;
    float *bases;         // (nbase) log p of each base, NaN where unscored; NULL unless wanted
} region_t;
typedef struct cutter_t { /* how all regions of a run are cut and encoded */
    const cad_model_t *model;
    const fasta_t *ref;
    const tiling_t *tiling;
    int64_t mask;
    bool want_scores, want_bases, skip_soft, sep;
    unsigned encode_flags;
    pooling_t pooling;
    int (*rows)(void *arg, const float *rows, int64_t n, cad_error_t *err); /* POOL_ROWS */
    void *rows_arg;
    notes_t *notes;
    pipeline_t *pipe;
} cutter_t;
/* Cuts the region and puts it into the pipeline, which then owns it. */
int region_put(const cutter_t *c, region_t *r, cad_error_t *err);
/* For pipeline_t.take. */
int region_take(const cutter_t *c, region_t *r, const job_t *j, cad_error_t *err);
/* The pooled embedding (D), NaN where nothing was pooled. */
void region_embedding(const cutter_t *c, const region_t *r, float *out);
/* Frees what it holds. */
void region_clear(region_t *r);

/* ---- table.c: annotate's sink ---- */
typedef struct table_t {
    output_t *out;        /* NULL: a dry run, which only counts bytes */
    npy_t npy;            /* npy.out NULL: no matrix */
    output_t *json;       /* beside the matrix, or NULL */
    score_list_t scores;
    const cutter_t *cutter;
    bool column;          /* embeddings as a column */
    const provenance_t *provenance;
    int64_t bytes;        /* written, or that would be */
    int64_t rows, bases;  /* of the regions seen */
    text_t text;          /* its own */
    float *row;           // (D)
} table_t;
/* width: D. After the outputs are open and before the first row. */
int table_begin(table_t *t, int64_t width, cad_error_t *err);
/* Provenance and the one #chrom line for rows of ncol columns (0: no row seen):
 * the given line extended if it fits. */
int table_header(table_t *t, int ncol, const char *given, size_t n, cad_error_t *err);
int table_pass(table_t *t, const char *line, size_t n, cad_error_t *err);
/* For the pipeline and the cutter, with the table as arg. */
int table_take(void *table, item_t *it, const job_t *j, cad_error_t *err);
int table_sink(void *table, item_t *it, cad_error_t *err);
void table_drop(void *table, item_t *it);
int table_rows(void *table, const float *rows, int64_t n, cad_error_t *err);
int table_close(table_t *t, cad_error_t *err);
void table_free(table_t *t);

/* ---- rows.c: annotate's sources ---- */
typedef struct rows_t {
    input_t *in;
    const fasta_t *ref;   /* of BED rows */
    const regions_t *only, *targets; /* -r and -L; NULL: all rows */
    bool clip, split, drop_browser;
    const cutter_t *cutter;
    table_t *table;
    kstring_t line, held; /* its own: the line read; a header held back */
    int ncol;             /* of the first row read, then of those written */
    bool headed;
} rows_t;
/* Reads all rows, puts them into the pipeline and flushes it. */
int rows_run(rows_t *r, cad_error_t *err);

#endif
