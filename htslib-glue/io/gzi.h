/* gzi.h - reads .gzi, the index of a bgzip-compressed FASTA. SPDX-License-Identifier: MIT */
#ifndef CAD_GZI_H
#define CAD_GZI_H

#include <htslib/bgzf.h>

#include "base/base.h"

typedef struct gzi_block_t {
    uint64_t at, data; /* at: offset of the block in the file; data: offset of its first byte in the data */
} gzi_block_t;
typedef struct gzi_t {
    gzi_block_t *block; /* (n) malloc'd; blocks without data are not listed */
    int64_t n;
} gzi_t;
/* Reads the .gzi at path. Returns CAD_EFORMAT if its entries differ from the blocks of the FASTA. Free g->block also
 * after a failure. */
int gzi_read(gzi_t *g, const char *path, const char *fasta, cad_error_t *err);
/* Moves fp to byte `at` of the data. The next bgzf_read begins there, and fails if there is no such byte. Returns 0, or
 * -1 on failure. Replaces htslib's bgzf_useek, which fails an assertion, and so ends the process, if a block holds less
 * data than the file says. */
int gzi_seek(const gzi_t *g, BGZF *fp, uint64_t at);

#endif
