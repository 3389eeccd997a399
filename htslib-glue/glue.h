/* glue.h - files to windows to records. A section per file of htslib-glue/.
 * Coordinates are 0-based half-open unless a comment says otherwise.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_GLUE_H
#define CAD_GLUE_H

#include <htslib/bgzf.h>
#include <htslib/faidx.h>
#include <htslib/hts.h>
#include <htslib/kstring.h>
#include <htslib/sam.h>
#include <htslib/thread_pool.h>
#include <htslib/vcf.h>

#include "internal.h"

/* ---- notes.c: warnings that do not stop, signals ---- */
typedef enum {
    NOTE_EMPTY, NOTE_CLIPPED, NOTE_IUPAC, NOTE_UNSCORED, NOTE_BROWSER, NOTE_INDEX,
    NOTE_NO_SEQUENCE, NOTE_UNMAPPED, NOTE_NO_CONTIG, NOTE_REF_MISMATCH, NOTE_UNSCORABLE, NOTE_VALUE, NOTE_KINDS
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
int output_beside(output_t **out, const char *path, const char *suffix, cad_error_t *err); /* path + suffix */
int output_write(output_t *out, const void *data, size_t n, cad_error_t *err);
/* Overwrites bytes of a seekable, uncompressed output; spooled outputs are always
 * seekable. */
int output_patch(output_t *out, uint64_t at, const void *data, size_t n, cad_error_t *err);
/* Makes a direct output seekable by spooling it through a temporary file. */
int output_spool(output_t *out, cad_error_t *err);
/* A file without a name in $TMPDIR, gone when closed: a descriptor, or -1. */
int output_scratch(const char *name, cad_error_t *err);
/* All bytes written and synced, but nothing renamed yet: with several outputs,
 * sync all before closing one. */
int output_sync(output_t *out, cad_error_t *err);
/* Syncs, renames. Frees out whatever happens. */
int output_close(output_t *out, cad_error_t *err);
/* Removes the temporary and frees out; NULL is allowed. */
void output_abort(output_t *out);
/* A longer path ends in the suffix, in any case of letters. */
bool ends_in(const char *path, const char *suffix);
bool output_is_gz(const char *path);
/* The output is a file, not a pipe or device: a .json may lie beside it. */
bool output_is_file(const output_t *out);
bool output_is_terminal(const output_t *out);
/* Where its bytes are until it is closed; NULL unless it is a file. */
const char *output_temporary(const output_t *out);
/* An htslib file over the output, which closes it. */
int output_hts(output_t *out, const char *mode, htsFile **fp, cad_error_t *err);
/* Reports that writing through that file failed: CAD_EIO. */
int output_failed(output_t *out, cad_error_t *err);
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

/* ---- input.c: what an input is; lines of plain, gzip or BGZF text ---- */
typedef enum { INPUT_BED, INPUT_FASTA, INPUT_FASTQ, INPUT_READS, INPUT_VARIANTS } input_kind_t;
typedef struct input_t {
    const char *path;    /* for messages; "standard input" for "-" */
    BGZF *fp;            /* of text */
    struct hFILE *h;     /* of reads and variants, for records_open; else NULL */
    input_kind_t kind;
    char *buf;
    size_t at, fill;
    int64_t line;        /* number of the last line read, from 1 */
    int64_t bytes, size; /* read so far; of the file, 0 when unknown */
    bool eof;
} input_t;
/* format: NULL to detect, or bed, fasta, fastq, sam, bam, cram, vcf, bcf. */
int input_open(input_t *in, const char *path, const char *format, cad_error_t *err);
/* One line without its \n (a \r is kept): 1, 0 at the end, or CAD_E*. */
int input_line(input_t *in, kstring_t *line, cad_error_t *err);
/* The next byte without consuming it, -1 at the end, or CAD_E* below -1. */
int input_peek(input_t *in, cad_error_t *err);
void input_close(input_t *in);

/* ---- provenance.c: keys and values, borrowed ---- */
#define PROVENANCE_KEYS 12
typedef struct provenance_t { int n; const char *key[PROVENANCE_KEYS], *value[PROVENANCE_KEYS]; } provenance_t;
void provenance_add(provenance_t *p, const char *key, const char *value);
void provenance_header(const provenance_t *p, text_t *t); /* "##caduceus_key=value" lines, less what is a part's own */
bool provenance_of_part(const char *key);
void provenance_json(const provenance_t *p, text_t *t);
int provenance_write(const provenance_t *p, output_t *out, cad_error_t *err); /* as JSON */

/* ---- records.c: alignment and variant files ---- */
/* Threads that compress; none for fewer than two. */
int records_pool(htsThreadPool *pool, int threads, cad_error_t *err);
/* Takes over the input's handle. reference: of CRAM, or NULL. */
int records_open(htsFile **fp, input_t *in, const char *reference, cad_error_t *err);
/* Lets the pool decompress BGZF: after the header, for reading to the end. */
int records_threads(htsFile *fp, htsThreadPool *pool, cad_error_t *err);
/* htslib would follow @SQ UR of a CRAM's header; references are local. unless_m5: only
 * where M5 is missing. */
void records_forget_remote(sam_hdr_t *h, bool unless_m5);
/* Before jumping by an index: 0, or CAD_EIO if the file was cut short. */
int records_whole(htsFile *fp, const char *path, cad_error_t *err);
/* The same after the last record of a stream. */
int records_end(htsFile *fp, const char *path, cad_error_t *err);
typedef struct format_t { htsFormat hts; bool bgzf; char level; } format_t; /* level: a digit, or 0 */
/* What -O asks for, or the path's suffix, else the input's; f->hts.specific may
 * hold options already. */
int format_choose(format_t *f, bool reads, const char *asked, const char *path, const htsFormat *in, cad_error_t *err);
typedef enum { INDEX_NONE, INDEX_CSI, INDEX_BAI, INDEX_TBI } index_t;
typedef struct records_out_t {
    const char *path;    /* set by the caller, as the next three */
    format_t format;
    index_t index;
    bool embed;          /* of CRAM: a reference that is not found is made up and embedded */
    htsFile *fp;         /* NULL: a dry run */
    output_t *part;      /* beside a shard, or NULL; set by the caller, then its own */
    output_t *out, *index_out; /* its own, as what follows */
    char *index_path;
    int shift;
    bool any;            /* the last record's place, for records_in_order */
    uint32_t contig;
    int64_t pos;
} records_out_t;
/* Looks at the options, names the index; nothing is opened yet. */
int records_plan(records_out_t *o, cad_error_t *err);
/* Opens the outputs: early, so that a wrong path costs nothing. */
int records_create(records_out_t *o, cad_error_t *err);
/* Writes the header, one of the two. */
int records_begin(records_out_t *o, sam_hdr_t *reads, bcf_hdr_t *variants, const char *reference, htsThreadPool *pool, cad_error_t *err);
/* Before a record is written; name: for the message. */
int records_in_order(records_out_t *o, int contig, int64_t pos, const char *name, cad_error_t *err);
/* Reports that a record or the header could not be written. */
int records_failed(records_out_t *o, cad_error_t *err);
/* Saves the index; syncs and renames all or nothing. */
int records_close(records_out_t *o, const provenance_t *p, cad_error_t *err);
void records_free(records_out_t *o);

/* ---- fasta.c: an indexed reference ---- */
typedef struct contig_t { char *name; int64_t length, offset, bases, width; } contig_t;
typedef struct fasta_t {
    BGZF *fp;            /* with its .gzi loaded if compressed */
    contig_t *contig;    /* in the order of the index */
    int ncontig;
    int *by_name;        /* contig numbers sorted by name */
    struct alias_t *alias; /* more names, sorted */
    int nalias;
    char *tmp_dir, *tmp_fai, *tmp_gzi; /* index built in a temporary place */
    const char *path;
    char checksum[65];   /* SHA-256 of the "name\tlength\n" lines */
} fasta_t;
int fasta_open(fasta_t *f, const char *path, notes_t *notes, cad_error_t *err);
void fasta_close(fasta_t *f);
const contig_t *fasta_find(const fasta_t *f, const char *name);
bool fasta_has(const void *fasta, const char *name); /* for names_t */
/* Text like `; the FASTA has "chr20"` or "". */
const char *fasta_hint(const fasta_t *f, const char *name, char *buf, size_t size);
/* Bases [beg, end) as written, into seq (end-beg+1 bytes). */
int fasta_fetch(const fasta_t *f, const contig_t *c, int64_t beg, int64_t end, char *seq, cad_error_t *err);

/* ---- alias.c: other names of its contigs, which fasta_find knows too ---- */
int fasta_alias(fasta_t *f, const char *path, cad_error_t *err);
const contig_t *alias_find(const fasta_t *f, const char *name); /* NULL: not one of them */
void alias_free(fasta_t *f);

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

/* ---- regions.c: -r, -R, -t, -L ---- */
typedef struct regions_t regions_t;
typedef struct names_t { /* the contig names there are */
    const void *dict;
    bool (*has)(const void *dict, const char *name);
    const char *path;     /* where they come from */
    const fasta_t *hint;  /* or NULL */
    bool point;           /* chr:beg is that base alone, as in bcftools, not all from it on */
} names_t;
int regions_new(regions_t **r, cad_error_t *err);
/* "chr", "chr:beg" or "chr:beg-end", 1-based inclusive, comma-separated. names: NULL
 * if they are not known beforehand. */
int regions_add_text(regions_t *r, const char *text, const names_t *names, cad_error_t *err);
int regions_add_bed(regions_t *r, const char *path, cad_error_t *err);
void regions_finish(regions_t *r);
/* All contigs are there; after regions_finish. */
int regions_check(const regions_t *r, const names_t *names, cad_error_t *err);
/* Span k of a contig, in order and apart; false if there are no more. */
bool regions_get(const regions_t *r, const char *contig, int k, interval_t *span);
bool regions_overlap(const regions_t *r, const char *contig, int64_t beg, int64_t end);
void regions_free(regions_t *r);

/* ---- seqs.c: FASTA and FASTQ records ---- */
typedef struct seq_t { kstring_t name, bases, scratch; } seq_t;
/* The next record: 1, 0 at the end, or CAD_E*. */
int seq_next(input_t *in, seq_t *s, cad_error_t *err);
void seq_free(seq_t *s);

/* ---- tiles.c ---- */
typedef struct tiling_t {
    int64_t window, flank, core;
    bool grid;            /* cores at multiples of `core` in the contig, whole; else about the middle */
} tiling_t;
/* flank < 0: the default min(1024, window/4). CAD_EARG if no core is left. */
int tiling_set(tiling_t *t, int64_t window, int64_t flank, cad_error_t *err);
int64_t tiles_count(const tiling_t *t, interval_t region);
/* Tile k from the left: its core, and the window clipped to [0, length). Of a grid the
 * first and last core may reach beyond the region. */
void tiles_get(const tiling_t *t, interval_t region, int64_t length, int64_t k,
               interval_t *core, interval_t *window);

/* ---- npy.c ---- */
#define NPY_HEADER 128 /* bytes before the rows */
typedef struct npy_t { output_t *out; int64_t rows, width; } npy_t;
/* Begins a matrix of `width` columns in n->out. */
int npy_begin(npy_t *n, int64_t width, cad_error_t *err);
int npy_write(npy_t *n, const float *row, int64_t rows, cad_error_t *err);
/* Writes the header; n->out is then to be closed. */
int npy_finish(npy_t *n, cad_error_t *err);

/* The header of a matrix, NPY_HEADER bytes. */
void npy_header(char h[NPY_HEADER + 1], int64_t rows, int64_t width);

/* ---- npz.c: several matrices, named "0.npy", "1.npy" ... for their rows ---- */
typedef struct npz_t {
    output_t *out;        /* set by the caller */
    struct entry_t *entry; /* its own, as what follows */
    size_t n;
    uint64_t at, size;
    int64_t left;         /* numbers of the array that are to come */
    uint32_t crc;
} npz_t;
/* Begins the next array; its rows then come in any portions. */
int npz_array(npz_t *z, int64_t row, int64_t rows, int64_t width, cad_error_t *err);
int npz_rows(npz_t *z, const float *v, int64_t n, cad_error_t *err); /* n numbers */
/* Writes the directory; z->out is then to be closed. */
int npz_finish(npz_t *z, cad_error_t *err);
void npz_free(npz_t *z);

/* ---- scores.c ---- */
typedef enum { SCORE_PLL, SCORE_N, SCORE_ENTROPY, SCORE_IC, SCORES } score_t;
typedef struct score_list_t { int n; score_t kind[SCORES]; } score_list_t;
typedef struct score_sums_t { int64_t n; double pll, entropy; } score_sums_t; /* over n bases; nats, bits */
/* Names of a --score list, each at most once, as numbers in its order; "none": 0. */
int list_parse(const char *text, const char *const name[], int names, int *picked, int *n, cad_error_t *err);
/* "pll,n", or "none". */
int scores_parse(score_list_t *l, const char *text, cad_error_t *err);
/* The names, the suffix on all but n. */
void scores_names(const score_list_t *l, const char *separator, const char *suffix, text_t *t);
/* The mean over the bases, or their number. */
void score_put(score_t kind, const score_sums_t *s, text_t *t);

/* ---- pipeline.c: items and their windows in, results out, in order ---- */
typedef struct item_t { /* what a source puts in; the first member of its own struct */
    struct item_t *next;
    int64_t bytes;        /* roughly what it holds while it waits */
    int64_t open;         /* windows not yet computed */
    bool whole;           /* all its windows are there */
    bool elsewhere;       /* of another shard */
} item_t;
typedef struct job_t {    /* one window of an item; intervals count from its first token */
    item_t *item;
    int64_t id;           /* the item's own name for it */
    uint8_t *tokens, *skip; // (len), malloc'd; skip as in cad_window_t, or NULL
    int64_t len;
    int64_t mask;         /* the pipeline's, or CAD_MASK_EACH */
    interval_t scored;    /* empty: no scores */
    interval_t kept;      /* regions: what of it counts */
    interval_t pooled;    /* empty: no embedding */
    float *logp;          // (scored,4)
    float *embedding;     // (D), or (pooled,D) for CAD_POOL_NONE
} job_t;
void job_free(job_t *j);
typedef struct work_t {
    int64_t windows, passes, tokens, done; /* done: of tokens */
    uint64_t digest;      /* of all items and their windows' tokens, also those of other shards */
} work_t;
typedef struct shard_t {
    int64_t index, of;    /* from 1; of 0: all */
    int64_t total;        /* tokens of all shards, */
    uint64_t digest;      /* and what they are */
} shard_t;
typedef struct pipeline_t {
    /* set by the caller */
    shard_t shard;
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
    bool elsewhere;       /* the last item is of another shard */
    int64_t queued;       /* tokens x passes waiting */
    int64_t floats, held; /* of unpooled embeddings waiting; bytes of waiting items */
    work_t work;
} pipeline_t;
/* Takes the item over; it reaches the sink after all items put before it. */
void pipeline_put(pipeline_t *p, item_t *it);
/* together: in the shard of the item before. */
void pipeline_put_with(pipeline_t *p, item_t *it, bool together);
/* A window of the item put last; takes tokens and skip over. */
int pipeline_job(pipeline_t *p, job_t job, cad_error_t *err);
/* What an item is besides its windows: parts of inputs that differ in it do not fit together. */
void pipeline_digest(pipeline_t *p, const void *data, size_t n);
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
    int64_t row;          /* its number among the scored, from 0 */
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
    int (*rows)(void *arg, const region_t *r, const float *rows, int64_t n, cad_error_t *err); /* POOL_ROWS */
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
    npz_t npz;            /* instead of npy, if npz.out: an array for each region's bases */
    output_t *json;       /* beside the matrix, or NULL */
    output_t *part;       /* beside a shard's rows, or NULL */
    score_list_t scores;
    const cutter_t *cutter;
    bool column;          /* embeddings as a column */
    const provenance_t *provenance;
    const char *rows_are; /* what a row of the matrix is, for its .json */
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
int table_rows(void *table, const region_t *r, const float *rows, int64_t n, cad_error_t *err);
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
    int64_t nrow;         /* its own, as what follows: rows so far */
    kstring_t line, held; /* the line read; a header held back */
    int ncol;             /* of the first row read, then of those written */
    bool headed;
} rows_t;
/* Reads all rows, puts them into the pipeline and flushes it. */
int rows_run(rows_t *r, cad_error_t *err);


/* ---- reads.c: SAM, BAM and CRAM, source and sink ---- */
typedef enum { TAG_PLL, TAG_N, TAG_EMBEDDING, TAG_BASES, TAGS } tag_t; /* yp yn ye yb */
typedef struct reads_options_t {
    int require, exclude, min_mapq; /* -f, -F, -q: which reads are scored */
    const char *include;  /* htslib's expression, or NULL */
    bool context_ref, clip_soft, no_pg;
    int min_bq;           /* bases below are read as N */
    char tag[TAGS][3];
    bool want[TAGS];
} reads_options_t;
void reads_options_init(reads_options_t *o);
typedef struct reads_t {
    input_t *in;          /* set by the caller, as what follows */
    const reads_options_t *o;
    const regions_t *only, *targets; /* -r -R, -t -L; NULL: all */
    records_out_t *out;
    const cutter_t *cutter;
    htsFile *fp;          /* its own, as what follows */
    sam_hdr_t *header;
    struct hts_filter_t *filter;
    hts_idx_t *index;
    hts_itr_t *walk;
    struct read_t *spare;
    bool *known;          // (contigs) compared with the reference that CRAM is written with
    float *row;           // (D)
    char missing[700];    /* the first contig that the reference lacks */
    int64_t seen, records, scored, bases, bytes; /* read; handed on; tagged; scored; uncompressed */
} reads_t;
/* Reads the header. reference: of CRAM, or NULL. */
int reads_open(reads_t *r, const char *reference, cad_error_t *err);
bool reads_has_contig(const void *reads, const char *name); /* for names_t */
/* Reads, scores and writes all; command and description: for @PG. */
int reads_run(reads_t *r, const char *reference, htsThreadPool *pool, const char *command, const char *description, cad_error_t *err);
/* For pipeline_t, with the reads as arg. */
int reads_take(void *reads, item_t *it, const job_t *j, cad_error_t *err);
int reads_sink(void *reads, item_t *it, cad_error_t *err);
void reads_drop(void *reads, item_t *it);
void reads_close(reads_t *r);

/* ---- alleles.c: ALT alleles, their haplotypes, what is compared ---- */
typedef struct view_t { /* upper-case reference bases around the last place asked for */
    const fasta_t *ref;
    const contig_t *contig;
    interval_t at;
    char *seq;
} view_t;
/* Bases [beg, end), valid until the next call. */
int view_get(view_t *v, const contig_t *c, int64_t beg, int64_t end, const char **seq, cad_error_t *err);
void view_free(view_t *v);
bool is_base(char b); /* A, C, G or T */
typedef struct context_t { /* of a variant */
    int64_t window, left, right; /* bases in the window; on each side of an SNV */
    int64_t longest;             /* the longest segment that is scored */
} context_t;
/* flank, anchor: -1 if not given. max_len: of the longest haplotype that can come. */
int context_set(context_t *x, int64_t window, int64_t flank, int64_t anchor, int64_t *max_len, cad_error_t *err);
typedef enum { ALLELE_NONE, ALLELE_SNV, ALLELE_OTHER } allele_kind_t;
typedef struct allele_t {
    const char *note;     /* static: why it is not scored, or EDGE; else NULL */
    allele_kind_t kind;
    interval_t ref;       /* the REF segment on the contig */
    kstring_t alt;        /* the ALT segment */
    int64_t left, right;  /* context of both haplotypes */
    interval_t compared[2]; /* in the REF and the ALT haplotype, from its first base */
    int shorter;          /* 0 or 1: the haplotype that takes more bases */
    bool half;            /* its outermost bases count half */
    int64_t n;            /* bases compared */
} allele_t;
/* STAR, SYMBOLIC, or NULL for a sequence. */
const char *allele_note(const char *alt);
/* Of a sequence ALT and a REF at pos that was checked against the reference; reuses a->alt. */
int allele_set(allele_t *a, const char *ref, const char *alt, int64_t pos, const contig_t *c, view_t *v, const context_t *x, cad_error_t *err);
/* Bases of haplotype 0 (REF) or 1 (ALT). */
int allele_haplotype(const allele_t *a, int h, const contig_t *c, view_t *v, kstring_t *out, cad_error_t *err);

/* ---- variants.c: VCF and BCF, source and sink ---- */
typedef enum { FIELD_LLR, FIELD_DPLL, FIELD_N, FIELD_DIST, FIELD_COS, FIELD_NOTE, FIELDS } info_t;
typedef struct variants_options_t {
    bool want[FIELDS];    /* NOTE is always written */
    const char *prefix;   /* of INFO names and header lines */
    bool keep_mismatch;   /* --check-ref w */
    bool no_version;
    int64_t pool_window;  /* bases pooled on each side, for DIST, COS and a matrix */
    bool matrix;          /* embeddings of REF and ALT as rows of a matrix, not INFO */
    bool difference;      /* ALT less REF instead of both */
} variants_options_t;
void variants_options_init(variants_options_t *o);
typedef struct variants_t {
    input_t *in;          /* set by the caller, as what follows */
    const variants_options_t *o;
    const regions_t *only, *targets; /* -r -R, -t -L; NULL: all */
    records_out_t *out;
    table_t *table;       /* of a matrix: its rows' names, and the rows */
    const fasta_t *ref;
    const cad_model_t *model;
    context_t context;
    int64_t mask;         /* of DPLL; an SNV's site is masked alone */
    bool sep;
    unsigned encode_flags;
    notes_t *notes;
    pipeline_t *pipe;
    htsFile *fp;          /* its own, as what follows */
    bcf_hdr_t *header;
    struct tbx_t *tabix;
    hts_idx_t *index;
    hts_itr_t *walk;
    struct variant_t *spare;
    struct site_t *site;  /* the last SNV's of records at one POS */
    int last_rid;         /* the last record's place */
    int64_t last_pos;
    view_t view;
    kstring_t text_line, haplotype;
    text_t text;
    void *values;
    char name[FIELDS][64];
    char missing[700];    /* the first contig that the reference lacks */
    int64_t line;         /* of the last record; 0 = not known */
    int64_t records_put, records, alleles, scored, bytes;
} variants_t;
/* Reads the header. */
int variants_open(variants_t *v, cad_error_t *err);
bool variants_has_contig(const void *variants, const char *name); /* for names_t */
/* Reads, scores and writes all. */
int variants_run(variants_t *v, const provenance_t *p, htsThreadPool *pool, cad_error_t *err);
/* For pipeline_t, with the variants as arg. */
int variants_take(void *variants, item_t *it, const job_t *j, cad_error_t *err);
int variants_sink(void *variants, item_t *it, cad_error_t *err);
void variants_drop(void *variants, item_t *it);
void variants_close(variants_t *v);

/* ---- bigwig.c ---- */
typedef struct bigwig_t bigwig_t;
/* Of contigs in the order in which values will come. `to` stays the caller's. */
int bigwig_open(bigwig_t **w, output_t *to, const contig_t *contig, int ncontig, cad_error_t *err);
/* Contigs and positions ascend. */
int bigwig_add(bigwig_t *w, int contig, int64_t pos, float v, cad_error_t *err);
/* Writes the indexes and zoom levels; `to` is then to be closed. */
int bigwig_finish(bigwig_t *w, cad_error_t *err);
void bigwig_free(bigwig_t *w);

/* ---- bigread.c: reading it back ---- */
#define BIGWIG_BLOCK (24 + 8 * 4096) /* bytes of a block, uncompressed */
typedef struct bigread_t {
    const char *path;
    int fd;
    contig_t *contig;     /* names and lengths */
    int ncontig;
    uint64_t index;
    unsigned char raw[BIGWIG_BLOCK], packed[BIGWIG_BLOCK + BIGWIG_BLOCK / 8 + 64];
} bigread_t;
int bigread_open(bigread_t *r, const char *path, cad_error_t *err);
typedef int bigread_f(void *arg, int contig, int64_t pos, float v, cad_error_t *err);
/* Every value, in order. */
int bigread_all(bigread_t *r, bigread_f *each, void *arg, cad_error_t *err);
void bigread_close(bigread_t *r);

/* ---- tracks.c: per-base scores along a reference ---- */
typedef enum { TRACK_PLL, TRACK_ENTROPY, TRACK_IC, TRACK_LOGO_REF, TRACK_LOGO_A, TRACK_LOGO_C, TRACK_LOGO_G, TRACK_LOGO_T,
               TRACK_PA, TRACK_PC, TRACK_PG, TRACK_PT, TRACK_KINDS } track_kind_t;
typedef struct track_t {
    track_kind_t kind;    /* set by the caller, as the next seven */
    char name[24];        /* of the score, see track_name */
    char *path;           /* malloc'd */
    bool is_bigwig, csi;  /* else bedGraph; the index is CSI, not TBI */
    output_t *out;        /* NULL: a dry run */
    output_t *index;      /* of compressed bedGraph, or NULL */
    output_t *json;       /* provenance beside a bigWig, or NULL */
    bigwig_t *bigwig;     /* its own, as what follows */
    int contig;           /* bedGraph: the run of equal values so far */
    interval_t run;
    float value;
} track_t;
/* Names the score: not a pseudo-likelihood where nothing is masked. */
void track_name(track_t *x, int64_t mask);
typedef struct tracks_t {
    const cad_model_t *model; /* set by the caller, as what follows */
    const fasta_t *ref;
    const regions_t *only; /* NULL: whole contigs */
    const tiling_t *tiling;
    int64_t mask;
    bool skip_soft;
    unsigned encode_flags;
    int decimals;
    track_t track[TRACK_KINDS];
    int n;
    notes_t *notes;
    pipeline_t *pipe;
    int at_contig, at_span; /* its own, as what follows */
    text_t text;
    int64_t cores, bases;
} tracks_t;
/* Begins the files; then reads, scores and writes all. */
int tracks_begin(tracks_t *t, const provenance_t *p, cad_error_t *err);
int tracks_run(tracks_t *t, cad_error_t *err);
/* For pipeline_t, with the tracks as arg. */
int tracks_take(void *tracks, item_t *it, const job_t *j, cad_error_t *err);
int tracks_sink(void *tracks, item_t *it, cad_error_t *err);
void tracks_drop(void *tracks, item_t *it);
/* Syncs and renames all files, or none. */
int tracks_close(tracks_t *t, cad_error_t *err);
/* The tabix index of a whole bedGraph.gz. */
int tracks_index(output_t *graph, output_t *index, bool csi, const char *path, cad_error_t *err);
void tracks_free(tracks_t *t);

/* ---- hub.c: a track hub ---- */
enum { HUB_FILES = 5 };
typedef struct hub_t {
    const char *dir, *genome, *email;
    const fasta_t *ref;
    const track_t *track; /* (n), in dir/genome/NAME.bw; the logo's are A.bw to T.bw */
    int n;
    output_t *out[HUB_FILES]; /* its own */
} hub_t;
/* dir/name or dir/genome/name, malloc'd. */
char *hub_path(const hub_t *h, bool of_genome, const char *name);
/* Opens the hub's own files; the folders must be there. */
int hub_open(hub_t *h, cad_error_t *err);
/* Writes, syncs and renames them. */
int hub_close(hub_t *h, cad_error_t *err);
void hub_free(hub_t *h);

/* ---- shard.c: --shard, and the parts that shards write ---- */
/* "I/N", or "slurm" for the task of a job array. */
int shard_parse(shard_t *s, const char *text, cad_error_t *err);
/* Adds all the work and the shard, if there is one, as the last keys; both texts are borrowed. */
void shard_provenance(provenance_t *p, const shard_t *s, char work[64], char text[48]);
/* The part is there, and path.json says just this. */
bool part_done(const char *path, const text_t *json);
/* The parts are all shards of one run: path[order[k]] is shard k + 1; json: their common
 * provenance, without the shard. */
int parts_check(const char *const path[], int n, int order[], kstring_t *json, cad_error_t *err);

#endif
