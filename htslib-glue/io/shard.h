/* shard.h - parses --shard, which computes one of N shares (shards) of a run, and checks the parts, which are the
 * output files of shards.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_SHARD_H
#define CAD_SHARD_H

#include "io/provenance.h"

typedef struct shard_t {
    int64_t index, of; /* this is shard number `index` (from 1) of `of` shards; if `of` is 0, the run is not sharded */
    int64_t total;     /* number of tokens in the whole run */
    uint64_t digest;   /* hash of the whole run's work; parts with different digests belong to different runs */
    bool slurm;        /* true if index and `of` are from the environment of a Slurm job array */
} shard_t;
/* Parses "I/N", or "slurm" for the task of a Slurm job array. Returns 0 or CAD_EARG. */
int shard_parse(shard_t *s, const char *text, cad_error_t *err);
/* Parses "I/N" but not "slurm". Returns false if the text is not of this form. */
bool shard_ratio(shard_t *s, const char *text);
/* Returns the path, malloc'd, with every "{shard}" replaced by "I-of-N", where I has as many digits as N, so that names
 * sort in order; NULL when out of memory. */
char *shard_path(const shard_t *s, const char *path);
/* True if an item that begins after w tokens of the whole work belongs to this shard. Items after the last token belong
 * to the last shard. */
bool shard_has(const shard_t *s, int64_t w);
/* If the run is sharded, adds the keys "work" and "shard" to p, which borrows both buffers. Call this after all other
 * keys are added. */
void shard_provenance(provenance_t *p, const shard_t *s, char work[64], char text[48]);
/* Returns CAD_EARG if the file at path is the complete part of another shard of the same run. p: this shard's
 * provenance. */
int part_free(const char *path, const provenance_t *p, cad_error_t *err);
/* For --shard slurm: returns CAD_EARG if the folder of path contains a part of the same run (p) that was split into
 * another number of shards. The job array is then not the whole run. */
int part_neighbours(const char *path, const provenance_t *p, const shard_t *s, cad_error_t *err);
/* Syncs `out` and writes its provenance to `beside`. For the output of a shard, also writes the size in bytes and the
 * SHA-256 of the output, and returns CAD_EARG if `out` would replace the part of another shard (see part_free). */
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
