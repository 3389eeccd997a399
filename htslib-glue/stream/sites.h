/* sites.h - the source of caduceus calibrate: neutral sites, drawn at random for each pentanucleotide.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SITES_H
#define CAD_SITES_H

#include "stream/alleles.h"
#include "stream/calibration.h"
#include "stream/source.h"

typedef struct drawn_t { /* a site that was drawn */
    uint64_t order;      /* random; the sites with the lowest numbers are drawn */
    int32_t contig;
    int64_t pos;
} drawn_t;
typedef struct draw_t { /* the sites of one pentanucleotide */
    drawn_t *site;      // (room)
    int64_t n, room;
    uint64_t limit; /* sites above it are not drawn */
} draw_t;

typedef struct sites_t { /* the state of SOURCE_SITES */
    /* Set by the command: */
    int64_t each; /* number of sites to draw for each pentanucleotide */
    uint64_t seed;
    /* Set by sites_draw: */
    draw_t draw[CELLS / 4]; /* indexed by calibration_context */
    drawn_t *site;          // (n) in the order of the reference
    int64_t n, put;
    uint64_t digest; /* of the sites */
    /* Results: */
    double *value[CELLS]; // (count[c]) llr of the sites of cell c
    int64_t count[CELLS], room[CELLS];
    /* Private: */
    flanks_t flanks;
    view_t view;
    kstring_t haplotype;
} sites_t;
/* Draws the sites from the regions -L and -r of the reference. Call this before the engine is opened. */
int sites_draw(stream_t *s, cad_error_t *err);

extern const source_t SOURCE_SITES;

#endif
