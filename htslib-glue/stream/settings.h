/* settings.h - settings from the command line that say how an input is scored and written.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SETTINGS_H
#define CAD_SETTINGS_H

#include "stream/scores.h"

/* How the embeddings of a region's bases are pooled; POOL_ROWS is --pool none. */
typedef enum { POOL_OFF, POOL_ROWS, POOL_MEAN, POOL_MAX, POOL_CENTER, POOLINGS } pooling_t;

typedef struct reads_options_t {
    int require, exclude, min_mapq; /* -f, -F, -q: which reads are scored */
    const char *include;            /* filter expression of htslib, or NULL */
    bool context_ref, clip_soft, no_pg, colour;
    int min_bq; /* bases whose quality is below min_bq are encoded as N */
    bool min_bq_given;
    char tag[SCORES_MOST][3]; /* tag[i]: name of the tag for score SCORE[i]; "": none */
    bool mapped[SCORES_MOST]; /* mapped[i]: true if the user named tag[i] with --tag-map */
} reads_options_t;
void reads_options_init(reads_options_t *o);

enum { SAMPLE_LISTS = 64 }; /* how often --sample may be given */
typedef struct variants_options_t {
    const char *prefix;      /* prefix of INFO names and header lines */
    bool keep_mismatch;      /* true with --check-ref w: only warn if REF differs from the FASTA */
    int64_t pool_window;     /* bases on each side of the variant that are pooled for embeddings */
    int64_t sv_flank;        /* bases on each side of a breakpoint that sv compares */
    bool vocab_softmax;      /* probabilities over the whole vocabulary, not A, C, G and T alone */
    bool difference;         /* write ALT - REF instead of both embeddings */
    const char *calibration; /* path of the table of caduceus calibrate, or NULL */
    bool force_calibration;  /* only warn if the table was made with another model or window */
    /* samples in whose haplotypes alleles are scored: lists of names, a file of names (or NULL), or all */
    const char *sample[SAMPLE_LISTS];
    int nsample;
    const char *samples_file;
    bool all_samples;
} variants_options_t;
void variants_options_init(variants_options_t *o);
/* True if alleles are also scored in the haplotypes of samples. */
bool variants_samples(const variants_options_t *o);

typedef struct settings_t {
    const char *reference, *embed, *score; /* NULL: not given */
    int64_t mask, window, flank, anchor;   /* window 0, flank and anchor -1: not given */
    /* largest position that the index of the rows can hold, which also means that rows must be sorted; 0: no index */
    int64_t indexed;
    bool clip, split, grid, skip_soft, sep, n_token;
    bool masked;     /* the command does not take --mask none */
    bool no_version; /* true: write no provenance; the first line of a table is the column names without '#' */
    bool matrix;     /* true for caduceus embed: writes a matrix of embeddings and the names of its rows, no scores */
    /* true for caduceus embed with a text output: writes one table, with a column for each number, instead of a
     * matrix */
    bool wide;
    pooling_t pooling;
    int layer;           /* the layer of embeddings, as in cad_options_t; 0: the last */
    score_list_t scores; /* set by source_check */
    reads_options_t reads;
    variants_options_t variants;
} settings_t;
/* True if embeddings are computed. */
bool settings_embed(const settings_t *s);
/* True if embeddings are written as a column or a tag. */
bool embed_column(const settings_t *s);
/* Returns the path of the file of embeddings, or NULL if there is none. */
const char *embed_file(const settings_t *s);
/* True if embeddings are written as one array per region instead of one matrix. */
bool embed_several(const settings_t *s);
/* Returns "mean", "max", "center" or "none"; "" for POOL_OFF. */
const char *pooling_name(pooling_t p);

#endif
