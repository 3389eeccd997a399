/* store.h - puts a model's files into the cache of the hub. SPDX-License-Identifier: MIT */
#ifndef CAD_STORE_H
#define CAD_STORE_H

#include "io/text.h"
#include "bar.h"
#include "fetch.h"
#include "listing.h"

/* store_has returns how many bytes of a file the cache has: STORE_WHOLE for all, or the number that an earlier download
 * left. */
enum { STORE_WHOLE = -1 };
int64_t store_has(const char *model, const remote_t *file);
/* Fetches a file's blob if the cache lacks it, and continues an earlier download that was interrupted. Checks the hash
 * before the blob gets its final name. Waits while another process fetches the same blob. */
int store_blob(fetch_t *fetch, const char *model, const char *commit, const remote_t *file, bar_t *bar,
               cad_error_t *err);
/* Links the files into the snapshot of the commit, then points the revision to it. */
int store_snapshot(const cad_hub_name_t *name, const listing_t *l, cad_error_t *err);
/* Appends s to a URL as one component; escapes the bytes that a component must not hold. */
void store_escape(text_t *to, const char *s);
/* Checks that the disk with the cache has room for this many bytes. */
int store_room(int64_t bytes, cad_error_t *err);

#endif
