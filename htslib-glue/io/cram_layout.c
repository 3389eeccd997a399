/* cram_layout.c - reads the headers of the containers and blocks of a CRAM file.
 *
 * SPDX-License-Identifier: MIT
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "io/cram_layout.h"

const unsigned char *cram_itf8(const unsigned char *p, const unsigned char *end, int32_t *v)
{
    int more = 0;
    uint32_t u;
    if (p >= end) return NULL;
    while (more < 4 && (*p << more & 0x80)) more++;
    if (end - p <= more) return NULL;
    u = *p & (more < 4 ? 0x7fU >> more : 15);
    for (int i = 1; i <= more; i++) u = i < 4 ? u << 8 | p[i] : u << 4 | (p[i] & 15);
    *v = (int32_t)u;
    return p + 1 + more;
}

/* Moves *p past a number of up to `most` bytes: ITF8 has up to 5, LTF8 up to 9. False if it is cut short. */
static bool skip_number(const unsigned char **p, const unsigned char *end, int most)
{
    int n = 1;
    if (*p >= end) return false;
    while (n < most && (**p << (n - 1) & 0x80)) n++;
    *p += n;
    return *p <= end;
}

/* ---- containers ---- */

/* The header has a size, the contig, start, span, number of reads, record counter, number of bases, number of blocks,
 * offsets of the slices, and in CRAM 3 a checksum. */
bool cram_container_read(const cram_file_t *f, int64_t at, cram_container_t *c)
{
    int64_t n = cad_min((int64_t)sizeof c->head, cad_max(f->size - at, 0));
    const unsigned char *p = c->head + 4, *end = c->head + n;
    bool sound = end > p && cad_pread(f->fd, c->head, (size_t)n, at, "", NULL) == 0;
    for (int i = 0; i < 3; i++) sound = sound && skip_number(&p, end, 5);
    sound = sound && (p = cram_itf8(p, end, &c->reads)) != NULL;
    sound = sound && skip_number(&p, end, f->major > 2 ? 9 : 5) && skip_number(&p, end, 9) && skip_number(&p, end, 5);
    sound = sound && (p = cram_itf8(p, end, &c->slices)) != NULL;
    c->landmarks = p;
    for (int32_t i = 0; sound && i < c->slices; i++) sound = skip_number(&p, end, 5);
    if (!sound) return false;
    c->blocks = at + (p - c->head) + (f->major > 2 ? 4 : 0);
    c->end = c->blocks + (int64_t)cad_little(c->head, 4);
    return true;
}

/* ---- blocks ---- */

/* Adds n bytes at offset `at` to a checksum. */
static int add_bytes(const cram_file_t *f, int64_t at, int64_t n, uLong *sum, cad_error_t *err)
{
    unsigned char buf[4096];
    int rc = 0;
    for (int64_t some; n > 0 && rc == 0; n -= some, at += some) {
        some = cad_min(n, (int64_t)sizeof buf);
        rc = cad_pread(f->fd, buf, (size_t)some, at, f->path, err);
        if (rc == 0) *sum = crc32(*sum, buf, (uInt)some);
    }
    return rc;
}

/* Compares the checksum of the block at offset `at` of a container that ends at `stop`, unless the block is compressed:
 * htslib checks such a block. A block has its method, type, number, size, size when decompressed, data and checksum. A
 * block that is malformed is left to htslib. */
static int check_block(const cram_file_t *f, int64_t at, int64_t stop, cad_error_t *err)
{
    unsigned char head[32], said[4];
    const unsigned char *p = head + 2, *end = head + cad_min((int64_t)sizeof head, cad_max(stop - at, 0));
    int32_t n = 0;
    uLong sum;
    int rc;
    if (end <= p || cad_pread(f->fd, head, (size_t)(end - head), at, "", NULL) || head[0] != 0) return 0;
    if (!skip_number(&p, end, 5) || !(p = cram_itf8(p, end, &n)) || !skip_number(&p, end, 5)) return 0;
    if (n < 0 || (int64_t)n + 4 > stop - at - (p - head)) return 0;
    sum = crc32(0, head, (uInt)(p - head));
    rc = add_bytes(f, at + (p - head), n, &sum, err);
    if (rc == 0) rc = cad_pread(f->fd, said, sizeof said, at + (p - head) + n, f->path, err);
    if (rc || cad_little(said, 4) == sum) return rc;
    return cad_fail(err, CAD_EFORMAT, "%s: damaged: the header at byte %lld has another checksum; restore the file",
                    f->path, (long long)at);
}

/* Checks the first block of a container, which is the compression header or the header of the file, and the first block
 * of each slice. */
static int check_container(const cram_file_t *f, const cram_container_t *c, cad_error_t *err)
{
    const unsigned char *p = c->landmarks, *end = c->head + sizeof c->head;
    int64_t stop = cad_min(c->end, f->size);
    int rc = check_block(f, c->blocks, stop, err);
    int32_t at = 0;
    for (int32_t i = 0; rc == 0 && i < c->slices && (p = cram_itf8(p, end, &at)); i++)
        if (at > 0) rc = check_block(f, c->blocks + at, stop, err);
    return rc;
}

int cram_check_headers(const char *path, cad_error_t *err)
{
    cram_file_t f = { .path = path, .fd = open(path, O_RDONLY | O_CLOEXEC) };
    cram_container_t c = { .reads = 0 };
    unsigned char head[5] = { 0 };
    struct stat st;
    int rc = 0;
    if (f.fd < 0 || fstat(f.fd, &st) || !S_ISREG(st.st_mode) || cad_pread(f.fd, head, sizeof head, 0, path, NULL))
        goto done;
    f.size = st.st_size;
    f.major = head[4];
    if (f.major != 3) goto done;
    for (int64_t at = CRAM_CONTAINERS; rc == 0 && at < f.size && cram_container_read(&f, at, &c); at = c.end)
        rc = check_container(&f, &c, err);
done:
    if (f.fd >= 0) close(f.fd);
    return rc;
}
