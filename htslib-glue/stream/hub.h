/* hub.h - a track hub. SPDX-License-Identifier: MIT */
#ifndef CAD_HUB_H
#define CAD_HUB_H

#include "stream/tracks.h"

enum { HUB_FILES = 6 };
typedef struct hub_t {
    /* Set by the caller: */
    const char *dir, *genome, *email;
    const fasta_t *ref;
    const track_t *track; /* (n), in dir/genome/NAME.bw; the logo's are A.bw to T.bw */
    int n;
    /* Its own: */
    output_t *out[HUB_FILES];
    bool made[2]; /* the folders dir and dir/genome */
} hub_t;
/* dir/name or dir/genome/name, malloc'd; NULL: out of memory. */
char *hub_path(const hub_t *h, bool of_genome, const char *name);
/* Makes the folders and opens the hub's own files. */
int hub_open(hub_t *h, cad_error_t *err);
/* Writes, syncs and renames them. */
int hub_close(hub_t *h, cad_error_t *err);
/* Removes what was not closed, and the folders that it made if they are empty. After the tracks are freed. */
void hub_free(hub_t *h);

#endif
