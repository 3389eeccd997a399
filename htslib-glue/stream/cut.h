/* cut.h - regions into windows, results back into regions. SPDX-License-Identifier: MIT */
#ifndef CAD_CUT_H
#define CAD_CUT_H

#include "io/fasta.h"
#include "stream/pipeline.h"
#include "stream/scores.h"
#include "stream/tiles.h"
#include "stream/windows.h"

typedef enum { POOL_OFF, POOL_ROWS, POOL_MEAN, POOL_MAX, POOL_CENTER } pooling_t;
enum cad_pool_t pooling_of(pooling_t p);
typedef struct region_t {
    item_t item;
    kstring_t text;   /* the input line, or the record's name */
    bool scored;      /* false: text passes through */
    int64_t row;      /* its number among the scored, from 0 */
    const char *name; /* of the contig or record, for messages; borrowed */
    int name_len;
    const contig_t *contig;
    char *seq;        /* own sequence, malloc'd; NULL: from the contig */
    int64_t length;   /* of the contig or of seq */
    interval_t *part; /* what is scored, malloc'd */
    int npart, ncol;
    int64_t nbase; /* of all parts */
    score_sums_t sums;
    double *pooled; // (D) sums or maxima; NULL until first used
    int64_t npooled;
    float *bases; // (nbase) log p of each base, NaN where unscored; NULL unless wanted
} region_t;
typedef struct cutter_t { /* how all regions of a run are cut and encoded */
    encoding_t encoding;
    bases_t bases;
    const fasta_t *ref;
    const tiling_t *tiling;
    int64_t width, mask; /* width: D */
    bool want_scores, want_bases;
    pooling_t pooling;
    int (*rows)(void *arg, const region_t *r, const float *rows, int64_t n, cad_error_t *err); /* POOL_ROWS */
    void *rows_arg;
    notes_t *notes;
    pipeline_t *pipe;
} cutter_t;
/* Sets what follows from the model and the encoding: encoding, bases, width, notes. */
void cutter_init(cutter_t *c, const encoding_t *e);
/* Cuts the region and puts it into the pipeline, which then owns it. */
int region_put(const cutter_t *c, region_t *r, cad_error_t *err);
/* For pipeline_t.take. */
int region_take(const cutter_t *c, region_t *r, const job_t *j, cad_error_t *err);
/* The pooled embedding (D), NaN where nothing was pooled. */
void region_embedding(const cutter_t *c, const region_t *r, float *out);
/* Frees what it holds. */
void region_clear(region_t *r);

#endif
