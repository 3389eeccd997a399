/* settings.h - what the command line tells a source. SPDX-License-Identifier: MIT */
#ifndef CAD_SETTINGS_H
#define CAD_SETTINGS_H

#include "stream/scores.h"

/* --pool none gives POOL_ROWS. */
typedef enum { POOL_OFF, POOL_ROWS, POOL_MEAN, POOL_MAX, POOL_CENTER, POOLINGS } pooling_t;

typedef struct reads_options_t {
    int require, exclude, min_mapq; /* -f, -F, -q: the reads to score */
    const char *include;            /* htslib's expression, or NULL */
    bool context_ref, clip_soft, no_pg;
    int min_bq; /* bases of lower quality are read as N */
    bool min_bq_given;
    char tag[SCORES_MOST][3]; /* of the score in the same row of SCORE; "": none */
    bool mapped[SCORES_MOST]; /* named by --tag-map */
} reads_options_t;
void reads_options_init(reads_options_t *o);

typedef struct variants_options_t {
    const char *prefix; /* of INFO names and header lines */
    bool keep_mismatch; /* --check-ref w */
    bool no_version;
    int64_t pool_window; /* bases pooled on each side, for embeddings */
    bool difference;     /* ALT less REF instead of both */
} variants_options_t;
void variants_options_init(variants_options_t *o);

typedef struct settings_t {
    const char *reference, *embed, *score; /* NULL: not given */
    int64_t mask, window, flank, anchor;   /* window 0, flank and anchor -1: not given */
    bool clip, split, grid, skip_soft, sep, n_token;
    bool matrix; /* caduceus embed: a matrix and the names of its rows, no scores */
    pooling_t pooling;
    score_list_t scores; /* set by the source's check */
    reads_options_t reads;
    variants_options_t variants;
} settings_t;
/* Embeddings are a column or a tag. */
bool embed_column(const settings_t *s);
/* The path of the file of embeddings; NULL: none. */
const char *embed_file(const settings_t *s);
/* Embeddings are an array for each region rather than one matrix. */
bool embed_several(const settings_t *s);
/* "mean", "max", "center", "none"; "" for POOL_OFF. */
const char *pooling_name(pooling_t p);

#endif
