/* bigwig_reader.h - reads a bigWig that bigwig.c wrote. SPDX-License-Identifier: MIT */
#ifndef CAD_BIGWIG_READER_H
#define CAD_BIGWIG_READER_H

#include "io/fasta.h"

#define BIGWIG_BLOCK (24 + 8 * 4096) /* largest size of an uncompressed block, in bytes */
typedef struct bigread_t {
    const char *path; /* borrowed */
    int fd;
    contig_t *contig; /* (ncontig) with only name and length set */
    int ncontig;
    uint64_t index;        /* offset of the index of the data */
    uint64_t blocks, seen; /* blocks: number of data blocks according to the file; seen: number of data blocks read */
    uint64_t nodes;        /* number of tree nodes that may still be visited */
    unsigned char raw[BIGWIG_BLOCK], packed[BIGWIG_BLOCK + BIGWIG_BLOCK / 8 + 64];
} bigread_t;
/* Returns 0 or a negative CAD_E*. Close r also after a failure. */
int bigread_open(bigread_t *r, const char *path, cad_error_t *err);
typedef int bigread_f(void *arg, int contig, int64_t pos, float v, cad_error_t *err);
/* Calls each(arg, contig, pos, value, err) for every value, in order; pos is 0-based. Stops at the first call that
 * does not return 0, and returns its result. */
int bigread_all(bigread_t *r, bigread_f *each, void *arg, cad_error_t *err);
void bigread_close(bigread_t *r); /* a zeroed r is allowed */

#endif
