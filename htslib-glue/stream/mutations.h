/* mutations.h - the source of caduceus mutate, which changes every base of regions of a reference, and the files that
 * it writes. SPDX-License-Identifier: MIT */
#ifndef CAD_MUTATIONS_H
#define CAD_MUTATIONS_H

#include "io/npy.h"
#include "stream/alleles.h"
#include "stream/source.h"

typedef struct stretch_t { /* consecutive bases of a region, and the results of changing them */
    item_t item;           /* must be the first member, as in all pipeline items */
    int contig;
    interval_t at;
    bool first;     /* true: the first stretch of its region */
    char *letter;   // (n+2) the reference as it is: the base before the stretch, the stretch, the next; 0: none there
    float *value;   // (n,4) results of changing a base to A, C, G, T; 0 for the base itself, NaN where not scored
    double *dpll;   // (n) of the deletion of a base, at the first of a run of equal bases; NULL: not computed
    int64_t output; /* number of the classifier's output */
    double whole;   /* this output for the region without changes */
} stretch_t;

/* MUTATIONS_PICTURE: the command draws the results that are kept */
typedef enum { MUTATIONS_TEXT, MUTATIONS_VARIANTS, MUTATIONS_MATRIX, MUTATIONS_PICTURE } mutation_format_t;
typedef struct mutation_file_t { /* one output */
    const char *path;            /* borrowed */
    mutation_format_t format;
    output_t *out;  /* all but variants; NULL in a dry run */
    output_t *json; /* provenance beside the output, or NULL */
    npy_t npy;
    records_out_t records; /* variants */
} mutation_file_t;

enum { MUTATION_FILES = 4 };
typedef struct mutations_t { /* the state of SOURCE_MUTATIONS */
    /* Set by the command: */
    bool deletions;        /* also delete each base */
    int64_t deletion_mask; /* masking of the bases around a deletion */
    cad_head_t head;       /* of a classifier; n is 0 for a language model */
    int64_t output;        /* output of the classifier; -1: the predicted class of each region */
    mutation_file_t file[MUTATION_FILES];
    int nfile;
    bool keep; /* keep the results; there must be one region */
    /* Results, if they are kept: */
    int contig;
    interval_t region; /* also without `keep`: the region that is read */
    char *letter;      // (n) bases, in upper case
    float *value;      // (n,4) as in stretch_t
    int64_t shown;     /* output of the classifier */
    /* Private: */
    flanks_t flanks;
    view_t view, letters; /* the reference in upper case, and as it is */
    allele_t allele;
    kstring_t haplotype;
    int put_contig; /* contig and end of the last bases that were put into the pipeline */
    int64_t put_end;
    double dpll; /* of the last deletion that was written */
    bcf_hdr_t *header;
    bcf1_t *record;
    text_t text;
} mutations_t;
extern const source_t SOURCE_MUTATIONS;
/* True if the settings let base i of the stretch be changed; the letter is A, C, G or T then. */
bool stretch_scored(const stream_t *s, const stretch_t *x, int64_t i);
/* True if the base before base i is equal, in the same region and scored: deleting either gives the same sequence. */
bool stretch_continues(const stream_t *s, const stretch_t *x, int64_t i);

/* ---- mutation_files.c ---- */
/* Writes the first bytes of every file. */
int mutations_begin(stream_t *s, cad_error_t *err);
/* Writes the results of a stretch to every file. */
int mutations_write(stream_t *s, const stretch_t *x, cad_error_t *err);
/* Completes every file, syncs and renames it. */
int mutations_close(stream_t *s, cad_error_t *err);
void mutations_free(mutations_t *m);

#endif
