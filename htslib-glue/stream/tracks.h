/* tracks.h - writes tracks, which are scores of every base along a reference, as bigWig or bedGraph.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_TRACKS_H
#define CAD_TRACKS_H

#include "io/bigwig.h"
#include "stream/source.h"

typedef struct track_t {
    /* Set by tracks_list: */
    const score_t *score;
    int base; /* 0 to 3, base of the track; the argument b of score->at */
    char name[24];
    /* Set by the caller: */
    char *path;      /* malloc'd */
    bool is_bigwig;  /* true: bigWig; false: bedGraph */
    bool csi;        /* true: the index is CSI; false: TBI */
    output_t *out;   /* NULL: a dry run, or the values are only seen */
    output_t *index; /* index of a compressed bedGraph, or NULL */
    output_t *json;  /* provenance beside the track, or NULL */
    /* Private: */
    bigwig_t *bigwig;
    int contig; /* for bedGraph: contig, interval and value of the current run of equal values */
    interval_t run;
    float value;
} track_t;
/* True if the score has four tracks, one for each base, which a browser draws stacked. */
bool track_is_stacked(const track_t *x);
typedef struct tracks_t { /* the state of SOURCE_CONTIGS */
    int decimals;         /* set by the caller */
    track_t *track;       // (n) set by tracks_list
    int n;                /* set by tracks_list */
    /* Called with each value that is written, if set by the caller: number of the track, position, value. */
    void (*see)(void *arg, int track, int64_t pos, float v);
    void *see_arg;
    /* Private: */
    int at_contig, at_span;
    text_t text;
    int64_t bases;  /* bases of the cores that were put into the pipeline */
    int put_contig; /* contig and end of the last core that was put into the pipeline */
    int64_t put_end;
} tracks_t;
/* Lists the tracks of these scores in t->track. If mask is CAD_MASK_NONE, adds "_unmasked" to the names of scores that
 * need masking. */
int tracks_list(tracks_t *t, const score_list_t *scores, int64_t mask, cad_error_t *err);

/* ---- tracks.c: the sink ---- */
typedef struct core_t {
    item_t item; /* must be the first member, as in all pipeline items */
    int contig;
    interval_t core;
    float *value; // (tracks, bases of the core) NaN where unscored; NULL until computed
} core_t;
/* Writes the first bytes of every file. */
int tracks_begin(stream_t *s, cad_error_t *err);
/* Used as the members `take` and `sink` of source_t. */
int tracks_take(void *stream, item_t *it, const job_t *j, cad_error_t *err);
int tracks_sink(void *stream, item_t *it, cad_error_t *err);
void tracks_drop(void *stream, item_t *it);
/* Completes every file, syncs all files, then renames all. */
int tracks_close(stream_t *s, cad_error_t *err);
void tracks_free(tracks_t *t);

#endif
