/* hub.h - writes a UCSC track hub, IGV sessions, and a page that shows the tracks in igv.js.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_HUB_H
#define CAD_HUB_H

#include "stream/tracks.h"

enum { HUB_FILES = 8 };
typedef struct hub_t {
    /* Set by the caller: */
    const char *dir, *genome, *email;
    const fasta_t *ref;
    const regions_t *only; /* regions of the tracks, set before hub_close; NULL: whole contigs */
    /* (n) tracks. Their files are dir/genome/NAME.bw, or A.bw, C.bw, G.bw and T.bw for the bases of the logo */
    const track_t *track;
    int n;
    /* Private: */
    output_t *out[HUB_FILES];
    bool made[2]; /* true if this process created the folder dir (0), dir/genome (1) */
    /* tickets of temporary_folder for these two folders, which are removed if a signal ends the process; else -1 */
    int ticket[2];
} hub_t;
/* Returns dir/name or, if of_genome, dir/genome/name, malloc'd; NULL when out of memory. */
char *hub_path(const hub_t *h, bool of_genome, const char *name);
/* Creates the folders, and opens all files of the hub except the tracks. */
int hub_open(hub_t *h, cad_error_t *err);
/* Writes, syncs and renames the files that hub_open opened. */
int hub_close(hub_t *h, cad_error_t *err);
/* Removes the files that were not closed. Also removes the folders that hub_open created, unless they contain files.
 * Call this after the tracks are freed. */
void hub_free(hub_t *h);

#endif
