/* gzi.h - the index of a bgzip-compressed FASTA, .gzi. SPDX-License-Identifier: MIT */
#ifndef CAD_GZI_H
#define CAD_GZI_H

#include <htslib/bgzf.h>

#include "base/base.h"

typedef struct gzi_block_t {
    uint64_t at, data; /* offset of the block in the file, and of its first byte in the data */
} gzi_block_t;
typedef struct gzi_t {
    gzi_block_t *block; /* (n) those with data; malloc'd */
    int64_t n;
} gzi_t;
/* Reads the .gzi at path. Returns CAD_EFORMAT unless it lists the blocks of the FASTA. Free g->block also after a
 * failure. */
int gzi_read(gzi_t *g, const char *path, const char *fasta, cad_error_t *err);
/* Moves fp to byte `at` of the data; the next bgzf_read begins there and fails if there is no such byte. Returns -1 on
 * failure. Used in place of htslib's bgzf_useek, which ends the process by an assertion if a block holds less data than
 * the file says. */
int gzi_seek(const gzi_t *g, BGZF *fp, uint64_t at);

#endif
