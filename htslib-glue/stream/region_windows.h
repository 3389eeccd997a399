/* region_windows.h - cuts regions into windows, and computes the values of a region from the results of its windows.
 *
 * SPDX-License-Identifier: MIT
 */
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
    bool scored;      /* true: a region; false: another line, whose text is written unchanged */
    int64_t row;      /* number of the region, from 0, among the regions that are scored */
    const char *name; /* name of the contig or record, for messages; borrowed */
    int name_len;
    const contig_t *contig;
    char *seq;        /* the region's own sequence, malloc'd; NULL: the region is on a contig of the reference */
    int64_t length;   /* length of the contig or of seq */
    interval_t *span; /* (nspan) intervals to score, malloc'd */
    int nspan, ncol;
    int64_t nbase; /* number of bases in all spans */
    score_sums_t sums;
    double *pooled; // (D) sums or maxima of embeddings; NULL until first used
    int64_t npooled;
    float *bases; // (nbase) log p of each base, NaN where unscored; NULL if not needed
} region_t;
typedef struct cutter_t { /* how the regions of a run are cut into windows */
    encoding_t encoding;
    bases_t bases;
    const fasta_t *ref;
    const tiling_t *tiling;
    int64_t width, mask; /* width: D */
    bool want_scores, want_bases;
    pooling_t pooling;
    /* if pooling is POOL_ROWS: called with n rows (n,width) of embeddings, one for each of the next n bases */
    int (*rows)(void *arg, const region_t *r, const float *rows, int64_t n, cad_error_t *err);
    void *rows_arg;
    pipeline_t *pipe;
} cutter_t;
/* Makes a region whose text is `text` (n bytes, copied), with room for nspans intervals; NULL: out of memory. */
region_t *region_new(const char *text, size_t n, int nspans);
/* Cuts the region into windows and puts it, with its windows, into the pipeline, which then owns the region. */
int region_put(const cutter_t *c, region_t *r, cad_error_t *err);
/* Adds the results of a window to the region. Must be called in the order of the windows. */
int region_take(const cutter_t *c, region_t *r, const job_t *j, cad_error_t *err);
/* Computes out (D), the embedding pooled over all bases of the region; all NaN if no base was pooled. */
void region_embedding(const cutter_t *c, const region_t *r, float *out);
/* Frees the region's arrays, but not r itself. */
void region_clear(region_t *r);
/* Returns how to pool embeddings within each window, so that the region's pooling p can be computed from the results of
 * its windows. */
enum cad_pool_t pooling_in_windows(pooling_t p);

#endif
