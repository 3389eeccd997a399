/* hub.h - writes a UCSC track hub and IGV sessions.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_HUB_H
#define CAD_HUB_H

#include "stream/tracks.h"

enum { HUB_FILES = 6 };
typedef struct hub_t {
    /* Set by the caller: */
    const char *dir, *genome, *email;
    const fasta_t *ref;
    /* (n) tracks, whose files are dir/genome/NAME.bw, or A.bw to T.bw for the bases of the logo */
    const track_t *track;
    int n;
    /* Private: */
    output_t *out[HUB_FILES];
    bool made[2]; /* whether this process made the folders dir and dir/genome */
} hub_t;
/* Returns dir/name or, if of_genome, dir/genome/name, malloc'd; NULL when out of memory. */
char *hub_path(const hub_t *h, bool of_genome, const char *name);
/* Makes the folders, and opens the hub's files other than tracks. */
int hub_open(hub_t *h, cad_error_t *err);
/* Writes, syncs and renames these files. */
int hub_close(hub_t *h, cad_error_t *err);
/* Removes the files that are not closed, and the folders that were made here if they are empty. Call it after the
 * tracks are freed. */
void hub_free(hub_t *h);

#endif
