/* shard.h - --shard, and the parts that shards write. SPDX-License-Identifier: MIT */
#ifndef CAD_SHARD_H
#define CAD_SHARD_H

#include "io/provenance.h"

typedef struct shard_t {
    int64_t index, of; /* shard `index` (from 1) of `of`; of 0: all the work */
    int64_t total;     /* tokens of all shards */
    uint64_t digest;   /* hash of all the work, which tells runs apart */
} shard_t;
/* Reads "I/N", or "slurm" for the task of a job array: 0 or CAD_EARG. */
int shard_parse(shard_t *s, const char *text, cad_error_t *err);
/* Adds the keys "work" and "shard", the last ones, if there is a shard. p borrows both buffers. */
void shard_provenance(provenance_t *p, const shard_t *s, char work[64], char text[48]);
/* Syncs out and writes its provenance into `beside`; for a shard with the number of bytes of out. */
int part_write(const provenance_t *p, output_t *beside, output_t *out, cad_error_t *err);
/* True if the output of a shard has as many bytes as path.json says. */
bool part_whole(const char *path);
/* The same, and path.json without that number equals this. */
bool part_done(const char *path, const text_t *json);
/* Checks that the n parts are whole and are all shards of one run: path[order[k]] is then shard
 * k + 1, and *json, which the caller owns, their common provenance without "shard" and "bytes".
 * 0, or a negative CAD_E* with *json NULL. */
int parts_check(const char *const path[], int n, int order[], json_t **json, cad_error_t *err);

#endif
