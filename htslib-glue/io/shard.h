/* shard.h - --shard, and the parts that shards write. SPDX-License-Identifier: MIT */
#ifndef CAD_SHARD_H
#define CAD_SHARD_H

#include "io/provenance.h"

typedef struct shard_t {
    int64_t index, of; /* from 1; of 0: all */
    int64_t total;     /* tokens of all shards, */
    uint64_t digest;   /* and what they are */
} shard_t;
/* "I/N", or "slurm" for the task of a job array. */
int shard_parse(shard_t *s, const char *text, cad_error_t *err);
/* Adds all the work and the shard, if there is one, as the last keys; both texts are borrowed. */
void shard_provenance(provenance_t *p, const shard_t *s, char work[64], char text[48]);
/* Writes provenance beside an output, which is then synced; of a shard, with the output's bytes. */
int part_write(const provenance_t *p, output_t *beside, output_t *out, cad_error_t *err);
/* A shard's output is there with the bytes that path.json names. */
bool part_whole(const char *path);
/* The part is there with the bytes that path.json names, which else says just this. */
bool part_done(const char *path, const text_t *json);
/* The parts are whole, and all shards of one run: path[order[k]] is shard k + 1; json: their
 * common provenance, without shard and bytes. */
int parts_check(const char *const path[], int n, int order[], kstring_t *json, cad_error_t *err);

#endif
