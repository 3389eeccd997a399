/* gzi.h - reads .gzi, the index of a bgzip-compressed FASTA. SPDX-License-Identifier: MIT */
#ifndef CAD_GZI_H
#define CAD_GZI_H

#include <htslib/bgzf.h>

#include "base/base.h"

typedef struct gzi_block_t {
    uint64_t at, data; /* offsets of the block: `at` in the compressed file, `data` in the uncompressed data */
} gzi_block_t;
typedef struct gzi_t {
    gzi_block_t *block; /* (n) malloc'd; does not list blocks without data */
    int64_t n;
} gzi_t;
/* Reads the .gzi at path. Returns CAD_EFORMAT if its entries differ from the blocks of the FASTA. Free g->block also
 * after a failure. */
int gzi_read(gzi_t *g, const char *path, const char *fasta, cad_error_t *err);
/* Moves fp to byte `at` of the uncompressed data, where the next bgzf_read begins. If the data have no such byte, the
 * bgzf_read fails. Returns 0, or -1 on failure. Replaces htslib's bgzf_useek, in which an assertion ends the process if
 * a block holds less data than the file says. */
int gzi_seek(const gzi_t *g, BGZF *fp, uint64_t at);

#endif
