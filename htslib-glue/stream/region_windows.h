/* region_windows.h - regions become windows, results become values of regions. SPDX-License-Identifier: MIT */
#ifndef CAD_REGION_WINDOWS_H
#define CAD_REGION_WINDOWS_H

#include "io/fasta.h"
#include "stream/pipeline.h"
#include "stream/settings.h"
#include "stream/tiles.h"
#include "stream/windows.h"

typedef struct region_t {
    item_t item;
    kstring_t text;   /* the input line, or the record's name */
    bool scored;      /* false: text passes through */
    int64_t row;      /* its number among the scored, from 0 */
    const char *name; /* of the contig or record, for messages; borrowed */
    int name_len;
    const contig_t *contig;
    char *seq;        /* its own sequence, malloc'd; NULL: the contig's */
    int64_t length;   /* of the contig or of seq */
    interval_t *span; /* the intervals to score, malloc'd */
    int nspan, ncol;
    int64_t nbase; /* of all spans */
    score_sums_t sums;
    double *pooled; // (D) sums or maxima; NULL until first used
    int64_t npooled;
    float *bases; // (nbase) log p of each base, NaN where unscored; NULL unless wanted
} region_t;
typedef struct cutter_t { /* how all regions of a run become windows */
    encoding_t encoding;
    bases_t bases;
    const fasta_t *ref;
    const tiling_t *tiling;
    int64_t width, mask; /* width: D */
    bool want_scores, want_bases;
    pooling_t pooling;
    int (*rows)(void *arg, const region_t *r, const float *rows, int64_t n, cad_error_t *err); /* POOL_ROWS */
    void *rows_arg;
    pipeline_t *pipe;
} cutter_t;
/* A region of this text with room for nspans intervals; NULL: out of memory. */
region_t *region_new(const char *text, size_t n, int nspans);
/* Cuts the region and puts it into the pipeline, which then owns it. */
int region_put(const cutter_t *c, region_t *r, cad_error_t *err);
/* Adds a window's results, in the order of windows. */
int region_take(const cutter_t *c, region_t *r, const job_t *j, cad_error_t *err);
/* The pooled embedding (D), NaN where nothing was pooled. */
void region_embedding(const cutter_t *c, const region_t *r, float *out);
/* Frees the contents. */
void region_clear(region_t *r);
/* The pipeline's pooling that this one is computed from. */
enum cad_pool_t pooling_in_windows(pooling_t p);

#endif
