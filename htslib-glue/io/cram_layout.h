/* cram_layout.h - reads the headers of the containers and blocks of a CRAM file.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CRAM_LAYOUT_H
#define CAD_CRAM_LAYOUT_H

#include "base/base.h"

typedef struct cram_file_t {
    const char *path;
    int fd;
    int64_t size; /* bytes of the file */
    int major;    /* major version of CRAM */
} cram_file_t;

enum { CRAM_CONTAINERS = 26 }; /* offset of the first container: the file definition has 26 bytes */

typedef struct cram_container_t {
    int64_t blocks; /* offset of its first block in the file */
    int64_t end;    /* offset after its last block */
    int32_t reads, slices;
    const unsigned char *landmarks; // (slices) in head: offset of each slice's header from `blocks`, as ITF8
    unsigned char head[4096];
} cram_container_t;

/* Reads a number in the ITF8 encoding of CRAM 2 and 3: k leading one bits in the first byte mean that k bytes follow.
 * Returns a pointer to the byte after the number, or NULL if the number is cut short. */
const unsigned char *cram_itf8(const unsigned char *p, const unsigned char *end, int32_t *v);
/* Reads the header of the container at offset `at`. Returns false if it is malformed or longer than c->head. The
 * version must be 2 or 3. */
bool cram_container_read(const cram_file_t *f, int64_t at, cram_container_t *c);
/* Compares the checksum of each uncompressed block that is a header, since htslib compares only those of other blocks, and
 * a false header may make it read beyond the reference. Returns CAD_EFORMAT if one is false. CRAM 2 has no checksums. */
int cram_check_headers(const char *path, cad_error_t *err);

#endif
