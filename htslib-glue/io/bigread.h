/* bigread.h - reading bigWig back. SPDX-License-Identifier: MIT */
#ifndef CAD_BIGREAD_H
#define CAD_BIGREAD_H

#include "io/fasta.h"

#define BIGWIG_BLOCK (24 + 8 * 4096) /* bytes of a block, uncompressed */
typedef struct bigread_t {
    const char *path;
    int fd;
    contig_t *contig; /* names and lengths */
    int ncontig;
    uint64_t index;
    unsigned char raw[BIGWIG_BLOCK], packed[BIGWIG_BLOCK + BIGWIG_BLOCK / 8 + 64];
} bigread_t;
int bigread_open(bigread_t *r, const char *path, cad_error_t *err);
typedef int bigread_f(void *arg, int contig, int64_t pos, float v, cad_error_t *err);
/* Every value, in order. */
int bigread_all(bigread_t *r, bigread_f *each, void *arg, cad_error_t *err);
void bigread_close(bigread_t *r);

#endif
