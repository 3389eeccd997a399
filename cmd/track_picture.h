/* track_picture.h - the picture of caduceus track --png. SPDX-License-Identifier: MIT */
#ifndef CAD_TRACK_PICTURE_H
#define CAD_TRACK_PICTURE_H

#include "stream/tracks.h"
#include "run.h"

typedef struct track_picture_t { /* zeroed: no picture */
    const char *path;            /* set by the command; NULL: no picture */
    /* Private: */
    output_t *out, *json;
    const contig_t *contig;
    interval_t at;
    float *value; // (tracks, n)
} track_picture_t;
/* Opens the file and adds it to the ledger; in a dry run, only checks its name. */
int track_picture_open(track_picture_t *p, ledger_t *files, bool dry_run, cad_error_t *err);
/* Finds the region that is shown, and lets the tracks give their values to the picture. */
int track_picture_begin(track_picture_t *p, run_t *r, cad_error_t *err);
/* Draws and closes the picture. */
int track_picture_close(track_picture_t *p, run_t *r, cad_error_t *err);
void track_picture_free(track_picture_t *p);

#endif
