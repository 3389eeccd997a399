/* bigwig_reader.h - reads a bigWig. SPDX-License-Identifier: MIT */
#ifndef CAD_BIGWIG_READER_H
#define CAD_BIGWIG_READER_H

#include "io/fasta.h"

typedef struct bigread_t {
    const char *path; /* borrowed */
    int fd;
    contig_t *contig; /* (ncontig) with only name and length set */
    int ncontig;
    uint64_t index;        /* offset of the index of the data */
    uint64_t blocks, seen; /* blocks: number of data blocks according to the file; seen: number of data blocks read */
    uint64_t most, nodes;  /* limit of seen; number of tree nodes that may still be visited */
    bool zipped;           /* blocks are compressed */
    size_t room;           /* largest size of an uncompressed block, in bytes */
    int64_t last, end;     /* contig and end of the value that was read last */
    unsigned char *raw, *packed; // (room), somewhat more: a block
} bigread_t;
/* Returns 0 or a negative CAD_E*. Close r also after a failure. */
int bigread_open(bigread_t *r, const char *path, cad_error_t *err);
typedef int bigread_f(void *arg, int contig, int64_t beg, int64_t end, float v, cad_error_t *err);
/* Calls each(arg, contig, beg, end, value, err) for every interval with a value, in order; beg is 0-based. Intervals do
 * not overlap and end within the contig. Stops at the first call that does not return 0, and returns its result. */
int bigread_all(bigread_t *r, bigread_f *each, void *arg, cad_error_t *err);
/* Returns CAD_EFORMAT unless bigread_all has read as many blocks as the file says that it has. Other writers may store
 * another number there. */
int bigread_complete(const bigread_t *r, cad_error_t *err);
void bigread_close(bigread_t *r); /* a zeroed r is allowed */

#endif
