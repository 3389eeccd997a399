/* shard.h - parses --shard, and checks the parts, which are the output files of shards.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SHARD_H
#define CAD_SHARD_H

#include "io/provenance.h"

typedef struct shard_t {
    int64_t index, of; /* shard number `index` (from 1) of `of` shards; of is 0: not sharded */
    int64_t total;     /* number of tokens in the whole run */
    uint64_t digest;   /* hash of the whole run's work; parts with different digests belong to different runs */
    bool slurm;        /* index and of are from the environment of a Slurm job array */
} shard_t;
/* Parses "I/N", or "slurm" for the task of a Slurm job array. Returns 0 or CAD_EARG. */
int shard_parse(shard_t *s, const char *text, cad_error_t *err);
/* Parses "I/N" alone. */
bool shard_ratio(shard_t *s, const char *text);
/* Returns the path, malloc'd, with every "{shard}" replaced by "I-of-N", where I has as many digits as N, so that names
 * sort in order; NULL when out of memory. */
char *shard_path(const shard_t *s, const char *path);
/* If the run is sharded, adds the keys "work" and "shard". Add them after all other keys. p borrows both buffers. */
void shard_provenance(provenance_t *p, const shard_t *s, char work[64], char text[48]);
/* Refuses a path where a complete part of the run p is, but of another shard than that of p. */
int part_free(const char *path, const provenance_t *p, cad_error_t *err);
/* Under --shard slurm, refuses to write to path if in its folder is a part of the run p with another number of shards:
 * the array is then not the whole run's. */
int part_neighbours(const char *path, const provenance_t *p, const shard_t *s, cad_error_t *err);
/* Syncs `out` and writes its provenance to `beside`. For the output of a shard, also writes the number and the SHA-256
 * of its bytes; it is an error if out would replace another shard of the run (part_free). */
int part_write(const provenance_t *p, output_t *beside, output_t *out, cad_error_t *err);
/* True if the part at path has the size and SHA-256 that PATH.json states. */
bool part_whole(const char *path);
/* True if part_whole is true and PATH.json, without "bytes" and "sha256", equals json. */
bool part_done(const char *path, const text_t *json);
/* Checks that the n parts are complete and are all shards of one run. Sets order so that path[order[k]] is
 * shard k + 1. Sets *json, which the caller owns, to their common provenance without "shard", "bytes" and "sha256".
 * Returns 0, or a negative CAD_E* with *json NULL. */
int parts_check(const char *const path[], int n, int order[], json_t **json, cad_error_t *err);

#endif
