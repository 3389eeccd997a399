/* fetch.h - gets files from the hub over HTTP, with libcurl. SPDX-License-Identifier: MIT */
#ifndef CAD_FETCH_H
#define CAD_FETCH_H

#include "io/foundation.h"

typedef struct fetch_t fetch_t;

typedef struct sink_t sink_t;
/* receives the bytes of a file, in order. If a request is repeated, it asks for the bytes from `at` on */
struct sink_t {
    const char *name; /* name of the file, for messages; NULL: the list of files */
    int64_t at, size; /* at: number of bytes received; size: size of the file in bytes, -1 if not known */
    int (*write)(sink_t *s, const void *data, size_t n, cad_error_t *err); /* advances `at` */
    int (*rewind)(sink_t *s, cad_error_t *err);                            /* discards all bytes, sets `at` to 0 */
};

/* Loads libcurl, and reads $HF_ENDPOINT, the token and $HF_HUB_DOWNLOAD_TIMEOUT. name: the model, for messages;
 * borrowed. retries: how many times in a row a request may fail without a new byte before fetch_get gives up. Close f
 * also after a failure. */
int fetch_open(fetch_t **f, const cad_hub_name_t *name, int retries, cad_error_t *err);
void fetch_close(fetch_t *f);
/* Downloads ENDPOINT/path into the sink. Sends the token only to the endpoint, not to other servers to which the
 * endpoint redirects. */
int fetch_get(fetch_t *f, const char *path, sink_t *sink, cad_error_t *err);

#endif
