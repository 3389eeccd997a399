/* dependence.h - the source of caduceus depend, which changes each base of one region and compares the predictions of
 * all its other bases, and the blocks of bases that depend on each other. SPDX-License-Identifier: MIT */
#ifndef CAD_DEPENDENCE_H
#define CAD_DEPENDENCE_H

#include "io/npy.h"
#include "stream/alleles.h"
#include "stream/source.h"

/* DEPENDENCE_PICTURE: the command draws the map that is kept */
typedef enum { DEPENDENCE_TEXT, DEPENDENCE_MATRIX, DEPENDENCE_PICTURE } dependence_format_t;
typedef struct dependence_file_t { /* one output */
    const char *path;              /* borrowed */
    dependence_format_t format;
    output_t *out;  /* NULL in a dry run */
    output_t *json; /* provenance beside a matrix or picture, or NULL */
    npy_t npy;
} dependence_file_t;

enum { DEPENDENCE_FILES = 4 };
typedef struct dependence_t { /* the state of SOURCE_DEPENDENCE */
    /* Set by the command: */
    bool keep; /* keep the matrix */
    dependence_file_t file[DEPENDENCE_FILES];
    int nfile;
    /* Results: */
    const contig_t *contig;
    interval_t at; /* the region */
    char *letter;  // (n) the bases of the region, in upper case
    float *e;      // (n,n) row i: the effects of changing base i; NaN where a base is not scored; NULL: not kept
    /* Private: */
    interval_t window; /* the region with its flanks */
    char *seq;         // the letters of the window
    double *odds;      // (n,4) log odds of the bases without changes, natural logarithm
    int64_t put;       /* number of bases whose windows were put into the pipeline */
    text_t text;
} dependence_t;
extern const source_t SOURCE_DEPENDENCE;
/* Completes every file, syncs and renames it. */
int dependence_close(stream_t *s, cad_error_t *err);

/* ---- dependence_blocks.c ---- */
typedef struct block_t { /* neighbouring pairs of bases that depend on each other; intervals count from the matrix */
    interval_t first, second;
    int64_t pairs; /* number of pairs in the block */
    double sum;    /* sum of what they have above the median of pairs as far apart */
    float most;    /* largest value of a pair */
    double slope;  /* correlation of the positions of the pairs: near -1 for a stem, near 1 for a repeat; else 0 */
} block_t;
/* Finds the blocks of the matrix e (n,n), the largest sum first. Sets *block to an array of *count blocks, which the
 * caller frees. */
int blocks_find(const float *e, int64_t n, block_t **block, int64_t *count, cad_error_t *err);

#endif
