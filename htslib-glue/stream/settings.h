/* settings.h - the settings of a source, taken from the command line.
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
    char tag[SCORES_MOST][3]; /* tag of the score in the same row of SCORE; "": none */
    bool mapped[SCORES_MOST]; /* true if the user named the tag with --tag-map */
} reads_options_t;
void reads_options_init(reads_options_t *o);

typedef struct variants_options_t {
    const char *prefix;  /* prefix of INFO names and header lines */
    bool keep_mismatch;  /* --check-ref w */
    int64_t pool_window; /* bases on each side of the variant that are pooled for embeddings */
    bool difference;     /* write ALT - REF instead of both embeddings */
} variants_options_t;
void variants_options_init(variants_options_t *o);

typedef struct settings_t {
    const char *reference, *embed, *score; /* NULL: not given */
    int64_t mask, window, flank, anchor;   /* window 0, flank and anchor -1: not given */
    int64_t indexed; /* rows must be sorted for an index, which holds positions up to this one; 0: no index of rows */
    bool clip, split, grid, skip_soft, sep, n_token;
    bool no_version; /* no lines of provenance; tables begin with the plain names of their columns */
    bool matrix;     /* caduceus embed: writes a matrix and the names of its rows, no scores */
    bool wide;       /* and this as one table, with a column for each number, instead of a matrix */
    pooling_t pooling;
    score_list_t scores; /* set by source_check */
    reads_options_t reads;
    variants_options_t variants;
} settings_t;
/* True if embeddings are written as a column or a tag. */
bool embed_column(const settings_t *s);
/* Returns the path of the file of embeddings, or NULL if there is none. */
const char *embed_file(const settings_t *s);
/* True if embeddings are written as one array per region instead of one matrix. */
bool embed_several(const settings_t *s);
/* Returns "mean", "max", "center" or "none"; "" for POOL_OFF. */
const char *pooling_name(pooling_t p);

#endif
