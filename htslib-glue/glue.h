/* glue.h - from files to windows to records: sources, the pipeline, sinks; a section
 * per source file. Coordinates are 0-based half-open unless a comment says otherwise.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_GLUE_H
#define CAD_GLUE_H

#include "files.h"

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
/* That header for names that each follow a tab; s gets no \n. */
void table_columns(const provenance_t *p, int ncol, const char *given, size_t n, const text_t *names, int64_t added, text_t *s);
/* A given line fits rows of ncol columns (0: none seen), and becomes their header. */
bool table_extends(int ncol, const char *given, size_t n);
/* A row that is not BED12 must not end up with twelve columns: it gets one more. */
bool table_filler(int ncol, int64_t added);
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
/* The contig of the row just read; the error that it ends beyond it. */
int row_contig(const input_t *in, const bed_row_t *row, const fasta_t *ref, const contig_t **c, cad_error_t *err);
int row_beyond(const input_t *in, const bed_row_t *row, const contig_t *c, const char *remedy, cad_error_t *err);
/* May this comment name columns? "#chrom start end" with any separators, or "#x<TAB>..."
 * of three columns or more. */
bool row_header(const char *line, size_t len);


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
    int64_t seen, placed, records, scored, bases, bytes; /* read; with bases to score; of this share: handed on; tagged; scored; uncompressed */
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

/* ---- corpus.c: windows of a reference in random order, for training ---- */
typedef struct corpus_t {
    const fasta_t *ref;
    struct corpus_stretch_t *stretch;
    int64_t n, room, windows, bases, len; /* windows in one pass over the corpus; bases of the longest */
    uint64_t seed;
    bool ordered;        /* set after opening: windows in the reference's order */
} corpus_t;
/* on: NULL for all contigs. Nothing in it is no error: windows is 0. */
int corpus_open(corpus_t *c, const fasta_t *ref, const regions_t *on, int64_t len, uint64_t seed, cad_error_t *err);
/* Bases of window i >= 0 of a run, which goes over the corpus again and again: seq (len+1). */
int corpus_window(const corpus_t *c, int64_t i, char *seq, int64_t *len, cad_error_t *err);
/* Of the intervals and all their bases, which are read through once. */
int corpus_digest(const corpus_t *c, uint64_t *digest, cad_error_t *err);
void corpus_close(corpus_t *c);

/* ---- evals.c: how well bases are predicted ---- */
enum { EVAL_MODEL, EVAL_BEFORE, EVAL_BOTH = EVAL_BEFORE + CAD_MARKOV_ORDERS, EVAL_PREDICTORS = EVAL_BOTH + CAD_MARKOV_ORDERS };
typedef struct eval_sums_t { double loss, right; } eval_sums_t; /* over bases: nats; how many were guessed */
typedef struct eval_group_t { const char *name; int64_t bases; eval_sums_t sums[EVAL_PREDICTORS]; } eval_group_t;
typedef struct eval_stretch_t { int group; const contig_t *contig; interval_t span; } eval_stretch_t;
typedef struct eval_t {
    const cutter_t *cutter; /* set by the caller, as what follows */
    const splits_t *splits; /* of -L; path NULL: whole contigs */
    const regions_t *only;  /* -r; NULL: all */
    const cad_markov_t *markov; /* NULL: no baseline */
    int split, fitted;      /* the only one to evaluate, or -1; that of the baseline */
    int64_t sample;         /* windows to draw; 0: all */
    uint64_t seed;
    eval_stretch_t *stretch; /* its own, as what follows */
    int64_t nstretch, room, windows, chosen, done; /* windows: in all, to compute, computed */
    int64_t bases;          /* of the cores put in */
    eval_group_t *group;    /* splits, or contigs where splits have no names */
    int ngroup;
} eval_t;
/* Counts the bases of regions into Markov models of orders 0 to `order`. */
int eval_fit(cad_markov_t *m, int order, const cutter_t *c, const regions_t *on, int threads, cad_error_t *err);
/* Finds the stretches to evaluate; an error if there are none. */
int eval_plan(eval_t *e, cad_error_t *err);
/* Puts their windows into the pipeline and flushes it. */
int eval_run(eval_t *e, cad_error_t *err);
void eval_table(const eval_t *e, text_t *t);
double eval_share(const void *eval); /* done, for progress_t */
/* For pipeline_t, with the eval as arg. */
int eval_take(void *eval, item_t *it, const job_t *j, cad_error_t *err);
int eval_sink(void *eval, item_t *it, cad_error_t *err);
void eval_drop(void *eval, item_t *it);
void eval_free(eval_t *e);

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
int tracks_close(tracks_t *t, const provenance_t *p, cad_error_t *err);
/* The tabix index of a whole bedGraph.gz. */
int tracks_index(output_t *graph, output_t *index, bool csi, const char *path, cad_error_t *err);
void tracks_free(tracks_t *t);

/* ---- hub.c: a track hub ---- */
enum { HUB_FILES = 6 };
typedef struct hub_t {
    const char *dir, *genome, *email;
    const fasta_t *ref;
    const track_t *track; /* (n), in dir/genome/NAME.bw; the logo's are A.bw to T.bw */
    int n;
    output_t *out[HUB_FILES]; /* its own, as what follows */
    bool made[2];             /* the folders dir and dir/genome */
} hub_t;
/* dir/name or dir/genome/name, malloc'd. */
char *hub_path(const hub_t *h, bool of_genome, const char *name);
/* Makes the folders and opens the hub's own files. */
int hub_open(hub_t *h, cad_error_t *err);
/* Writes, syncs and renames them. */
int hub_close(hub_t *h, cad_error_t *err);
/* After all tracks were freed: folders that it made and that are empty go too. */
void hub_free(hub_t *h);

/* ---- shard.c: --shard, and the parts that shards write ---- */
/* "I/N", or "slurm" for the task of a job array. */
int shard_parse(shard_t *s, const char *text, cad_error_t *err);
/* Adds all the work and the shard, if there is one, as the last keys; both texts are borrowed. */
void shard_provenance(provenance_t *p, const shard_t *s, char work[64], char text[48]);
/* Writes provenance beside an output, which is then synced; of a shard, with the output's bytes. */
int part_write(const provenance_t *p, output_t *beside, output_t *out, cad_error_t *err);
/* A shard's output is there with the bytes that path.json names. */
bool part_whole(const char *path);
/* The part is there with the bytes that path.json names, which else says just this. */
bool part_done(const char *path, const text_t *json);
/* The parts are whole, and all shards of one run: path[order[k]] is shard k + 1; json: their
 * common provenance, without shard and bytes. */
int parts_check(const char *const path[], int n, int order[], kstring_t *json, cad_error_t *err);

#endif
