/* listing.h - reads the list of a model's files on the hub, and chooses those to fetch. SPDX-License-Identifier: MIT */
#ifndef CAD_LISTING_H
#define CAD_LISTING_H

#include "io/foundation.h"

typedef struct remote_t { /* a file on the hub */
    char *name;           /* file name, without a folder */
    char hash[65];        /* SHA-256 of the file or git's SHA-1 of the blob; also the blob's name in the cache */
    int64_t size;         /* bytes */
} remote_t;

typedef struct listing_t {
    char commit[65];
    remote_t *file; // (n) config, tokenizer and weight files, in the server's order
    int n;
    int64_t bytes; /* total size of the files */
} listing_t;

/* Reads the hub's answer about a revision. Nothing in it is trusted: names must stay within their folder, and each file
 * must have a hash and a size. Free l also after a failure. */
int listing_read(listing_t *l, const char *text, size_t size, const cad_hub_name_t *name, cad_error_t *err);
void listing_free(listing_t *l);

#endif
