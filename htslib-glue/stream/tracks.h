/* tracks.h - per-base scores along a reference. SPDX-License-Identifier: MIT */
#ifndef CAD_TRACKS_H
#define CAD_TRACKS_H

#include "io/bigwig.h"
#include "io/provenance.h"
#include "io/regions.h"
#include "stream/pipeline.h"
#include "stream/tiles.h"
#include "stream/windows.h"

typedef enum {
    TRACK_PLL,
    TRACK_ENTROPY,
    TRACK_IC,
    TRACK_LOGO_REF,
    TRACK_LOGO_A,
    TRACK_LOGO_C,
    TRACK_LOGO_G,
    TRACK_LOGO_T,
    TRACK_PA,
    TRACK_PC,
    TRACK_PG,
    TRACK_PT,
    TRACK_KINDS
} track_kind_t;
typedef struct track_t {
    track_kind_t kind;   /* set by the caller, as the next seven */
    char name[24];       /* of the score, see track_name */
    char *path;          /* malloc'd */
    bool is_bigwig, csi; /* else bedGraph; the index is CSI, not TBI */
    output_t *out;       /* NULL: a dry run */
    output_t *index;     /* of compressed bedGraph, or NULL */
    output_t *json;      /* provenance beside a bigWig, or NULL */
    bigwig_t *bigwig;    /* its own, as what follows */
    int contig;          /* bedGraph: the run of equal values so far */
    interval_t run;
    float value;
} track_t;
/* Names the score: not a pseudo-likelihood where nothing is masked. */
void track_name(track_t *x, int64_t mask);
typedef struct tracks_t {
    encoding_t encoding; /* set by the caller, as what follows */
    bases_t to_base;
    const fasta_t *ref;
    const regions_t *only; /* NULL: whole contigs */
    const tiling_t *tiling;
    int64_t mask;
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

#endif
