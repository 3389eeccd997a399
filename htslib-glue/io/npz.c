/* npz.c - writes several float32 matrices as one .npz: a ZIP of uncompressed .npy files with 64-bit sizes. The file is
 * written from start to end without seeking, so each entry's sizes follow its data. SPDX-License-Identifier: MIT */
#include <zlib.h>

#include "io/npz.h"

typedef struct entry_t {
    int64_t row;
    uint64_t at, size;
    uint32_t crc;
} entry_t;

/* Appends the low `bytes` bytes of v in little-endian order; returns a pointer to the byte after them. */
static unsigned char *le(unsigned char *p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) *p++ = (unsigned char)(v >> 8 * i);
    return p;
}

static int put(npz_t *z, const void *p, size_t n, cad_error_t *err)
{
    z->at += n;
    return output_write(z->out, p, n, err);
}

/* Writes n bytes of the current entry, and adds them to its checksum and size. */
static int put_data(npz_t *z, const void *p, size_t n, cad_error_t *err)
{
    z->crc = (uint32_t)crc32(z->crc, p, (uInt)n);
    z->size += n;
    return put(z, p, n, err);
}

static int name_of(const entry_t *e, char name[40]) { return snprintf(name, 40, "%lld.npy", (long long)e->row); }

int npz_array(npz_t *z, int64_t row, int64_t rows, int64_t width, cad_error_t *err)
{
    char name[40], head[NPY_HEADER + 1];
    unsigned char h[30 + 40], *p = h;
    int n, rc;
    entry_t *more = realloc(z->entry, (z->n + 1) * sizeof *more);
    if (!more) return cad_out_of_memory(err);
    z->entry = more;
    z->entry[z->n] = (entry_t) { .row = row, .at = z->at };
    n = name_of(&z->entry[z->n], name);
    z->crc = 0;
    z->size = 0;
    z->left = rows * width;
    /* local header; then version 4.5, the flag that sizes follow the data, and the method: uncompressed */
    p = le(p, 0x04034b50, 4);
    p = le(p, 45, 2);
    p = le(p, 8, 2);
    p = le(p, 0, 2);
    p = le(p, 0x00210000, 4); /* time and date: 1980-01-01 */
    p = le(p, 0, 4);
    p = le(p, 0, 4);
    p = le(p, 0, 4);
    p = le(p, (uint64_t)n, 2);
    p = le(p, 0, 2);
    memcpy(p, name, (size_t)n);
    npy_header(head, rows, width);
    rc = put(z, h, 30 + (size_t)n, err);
    return rc ? rc : put_data(z, head, NPY_HEADER, err);
}

int npz_empty(npz_t *z, int64_t row, int64_t width, cad_error_t *err)
{
    int64_t *more = realloc(z->empty, (z->nempty + 1) * sizeof *more);
    if (!more) return cad_out_of_memory(err);
    z->empty = more;
    z->empty[z->nempty++] = row;
    z->width = width;
    return 0;
}

int npz_rows(npz_t *z, const float *v, int64_t n, cad_error_t *err)
{
    unsigned char b[4 * 1024], *p;
    int rc = 0;
    for (int64_t i = 0; i < n && rc == 0;) {
        p = b;
        for (; i < n && p < b + sizeof b; i++) {
            uint32_t u;
            memcpy(&u, v + i, 4);
            p = le(p, u, 4);
        }
        rc = put_data(z, b, (size_t)(p - b), err);
    }
    z->left -= n;
    if (rc || z->left) return rc;
    p = le(b, 0x08074b50, 4); /* data descriptor: checksum and sizes of the complete array */
    p = le(p, z->crc, 4);
    p = le(p, z->size, 8);
    p = le(p, z->size, 8);
    z->entry[z->n].size = z->size;
    z->entry[z->n++].crc = z->crc;
    return put(z, b, (size_t)(p - b), err);
}

/* Writes entry i of the ZIP directory, with its sizes and its offset as 64-bit numbers in the extra field. */
static int put_entry(npz_t *z, size_t i, cad_error_t *err)
{
    char name[40];
    unsigned char h[46 + 40 + 28], *p = h;
    int n = name_of(&z->entry[i], name);
    p = le(p, 0x02014b50, 4);
    p = le(p, 45, 2);
    p = le(p, 45, 2);
    p = le(p, 8, 2);
    p = le(p, 0, 2);
    p = le(p, 0x00210000, 4);
    p = le(p, z->entry[i].crc, 4);
    p = le(p, 0xffffffff, 4);
    p = le(p, 0xffffffff, 4);
    p = le(p, (uint64_t)n, 2);
    p = le(p, 28, 2); /* length of the extra field */
    p = le(p, 0, 2);
    p = le(p, 0, 2);
    p = le(p, 0, 2);
    p = le(p, 0, 4);
    p = le(p, 0xffffffff, 4);
    memcpy(p, name, (size_t)n);
    p = le(p + n, 1, 2);
    p = le(p, 24, 2);
    p = le(p, z->entry[i].size, 8);
    p = le(p, z->entry[i].size, 8);
    p = le(p, z->entry[i].at, 8);
    return put(z, h, (size_t)(p - h), err);
}

int npz_finish(npz_t *z, cad_error_t *err)
{
    unsigned char h[56 + 20 + 22], *p = h;
    uint64_t directory, end;
    int rc = 0;
    for (size_t i = 0; i < z->nempty && rc == 0; i++) {
        rc = npz_array(z, z->empty[i], 0, z->width, err);
        if (rc == 0) rc = npz_rows(z, NULL, 0, err);
    }
    directory = z->at;
    for (size_t i = 0; i < z->n && rc == 0; i++) rc = put_entry(z, i, err);
    end = z->at;
    p = le(p, 0x06064b50, 4); /* the 64-bit end-of-directory record */
    p = le(p, 44, 8);
    p = le(p, 45, 2);
    p = le(p, 45, 2);
    p = le(p, 0, 4);
    p = le(p, 0, 4);
    p = le(p, z->n, 8);
    p = le(p, z->n, 8);
    p = le(p, end - directory, 8);
    p = le(p, directory, 8);
    p = le(p, 0x07064b50, 4); /* the locator of the 64-bit end-of-directory record */
    p = le(p, 0, 4);
    p = le(p, end, 8);
    p = le(p, 1, 4);
    /* the 32-bit end-of-directory record, in which fields of all one bits send readers to the 64-bit record */
    p = le(p, 0x06054b50, 4);
    p = le(p, 0, 4);
    p = le(p, 0xffff, 2);
    p = le(p, 0xffff, 2);
    p = le(p, 0xffffffff, 4);
    p = le(p, 0xffffffff, 4);
    p = le(p, 0, 2);
    return rc ? rc : put(z, h, (size_t)(p - h), err);
}

void npz_free(npz_t *z)
{
    free(z->entry);
    free(z->empty);
    z->entry = NULL;
    z->empty = NULL;
}
