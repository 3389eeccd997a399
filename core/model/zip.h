/* zip.h - reads the members of a zip archive with libzip. SPDX-License-Identifier: MIT */
#ifndef CAD_ZIP_H
#define CAD_ZIP_H

#include "base/file.h"

typedef struct {
    const char *name; /* owned by the archive */
    uint64_t index;
    int64_t size, packed; /* size: bytes after unpacking; packed: bytes in the file */
    bool deflated;
    bool checked; /* the member has been read to its end, and its checksum was right */
} cad_member_t;

typedef struct cad_zip_t {
    void *handle; /* zip_t */
    const char *path;
    cad_member_t *member; // (n) sorted by name; no name occurs twice
    int64_t n;
} cad_zip_t;

/* Opens the archive in the file fd; the caller still owns fd. path must outlive z. Returns CAD_EFORMAT in a build
 * without libzip. Close z also after a failure. */
int cad_zip_open(cad_zip_t *z, int fd, const char *path, cad_error_t *err);
void cad_zip_close(cad_zip_t *z);
/* Returns the index of a member, or -1. */
int64_t cad_zip_find(const cad_zip_t *z, const char *name);

/* A function that receives the next n bytes of a member. */
typedef void cad_bytes_f(void *arg, const unsigned char *b, size_t n);
/* Passes bytes [begin, begin + n) of a member to `take`, in several calls; the size of each but the last is a multiple
 * of 8. The first call of cad_zip_read for a member also reads the rest of the member and verifies its checksum. */
int cad_zip_read(cad_zip_t *z, int64_t member, int64_t begin, int64_t n, cad_bytes_f *take, void *arg,
                 cad_error_t *err);

#endif
