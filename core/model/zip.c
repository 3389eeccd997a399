/* zip.c - reads the members of a zip archive with libzip. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <unistd.h>

#include "model/zip.h"

#ifdef CAD_LIBZIP
#include <zip.h>

#define BUFFER (1 << 16)
#define MAX_MEMBERS 65536 /* libzip needs some 300 bytes of memory for each member */
/* the largest size of the end record, with the longest comment, and of the zip64 locator before it */
#define TAIL (65535 + 22 + 20)

/* ---- opening ---- */

/* Refuses a file that claims to have too many members, before libzip allocates memory for them. Checks every place from
 * which libzip could read their number. */
static int check_count(int fd, const char *path, cad_error_t *err)
{
    off_t size = lseek(fd, 0, SEEK_END);
    size_t n = (size_t)cad_min(size < 0 ? 0 : size, TAIL);
    unsigned char *b = cad_alloc(n + 1, 1), end[56];
    int rc = b ? cad_pread(fd, b, n, size - (int64_t)n, path, err) : cad_out_of_memory(err);
    for (size_t i = 0; rc == 0 && i + 20 <= n; i++) {
        uint64_t at = cad_little(b + i + 8, 8);
        if (memcmp(b + i, "PK\6\7", 4) || size < 56 || at > (uint64_t)size - 56) continue;
        rc = cad_pread(fd, end, sizeof end, (int64_t)at, path, err);
        if (rc == 0 && (cad_little(end + 24, 8) > MAX_MEMBERS || cad_little(end + 32, 8) > MAX_MEMBERS))
            rc = cad_fail(err, CAD_EFORMAT, "%s: a zip archive of more than %d members; not the weights of a model",
                          path, MAX_MEMBERS);
    }
    free(b);
    return rc;
}

static int broken(const cad_zip_t *z, zip_error_t *e, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s: cut short or damaged (zip archive: %s); is the copy complete?", z->path,
                    zip_error_strerror(e));
}

static int open_handle(cad_zip_t *z, int fd, cad_error_t *err)
{
    int own = dup(fd), code = 0, rc;
    zip_error_t e;
    if (own < 0) return cad_fail(err, CAD_EIO, "%s: %s", z->path, strerror(errno));
    z->handle = zip_fdopen(own, 0, &code);
    if (z->handle) return 0;
    close(own);
    zip_error_init_with_code(&e, code);
    rc = broken(z, &e, err);
    zip_error_fini(&e);
    return rc;
}

static int stat_member(cad_zip_t *z, int64_t i, int64_t file_size, cad_error_t *err)
{
    cad_member_t *m = &z->member[i];
    zip_stat_t s;
    if (zip_stat_index(z->handle, (zip_uint64_t)i, ZIP_FL_ENC_RAW, &s)) return broken(z, zip_get_error(z->handle), err);
    if ((s.valid & (ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD)) !=
            (ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD) ||
        s.size > INT64_MAX || s.comp_size > (zip_uint64_t)file_size ||
        (s.comp_method == ZIP_CM_STORE && s.size != s.comp_size))
        return cad_fail(err, CAD_EFORMAT, "%s: its member %.100s has impossible sizes; is the copy complete?", z->path,
                        s.valid & ZIP_STAT_NAME ? s.name : "?");
    if (s.comp_method != ZIP_CM_STORE && s.comp_method != ZIP_CM_DEFLATE)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: its member %.100s is compressed by method %d; zip it with deflate, or as is", z->path,
                        s.name, s.comp_method);
    *m = (cad_member_t) { s.name, (uint64_t)i, (int64_t)s.size, (int64_t)s.comp_size, s.comp_method == ZIP_CM_DEFLATE,
                          false };
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const cad_member_t *)a)->name, ((const cad_member_t *)b)->name);
}

int cad_zip_open(cad_zip_t *z, int fd, const char *path, cad_error_t *err)
{
    off_t size = lseek(fd, 0, SEEK_END);
    int rc;
    *z = (cad_zip_t) { .path = path };
    if ((rc = check_count(fd, path, err)) || (rc = open_handle(z, fd, err))) return rc;
    z->n = zip_get_num_entries(z->handle, 0);
    if (z->n < 1 || z->n > MAX_MEMBERS) return cad_fail(err, CAD_EFORMAT, "%s: an empty zip archive", path);
    z->member = cad_alloc((size_t)z->n, sizeof *z->member);
    if (!z->member) return cad_out_of_memory(err);
    for (int64_t i = 0; i < z->n; i++)
        if ((rc = stat_member(z, i, size, err))) return rc;
    qsort(z->member, (size_t)z->n, sizeof *z->member, by_name);
    for (int64_t i = 1; i < z->n; i++)
        if (!strcmp(z->member[i].name, z->member[i - 1].name))
            return cad_fail(err, CAD_EFORMAT, "%s: its member %.100s is there twice", path, z->member[i].name);
    return 0;
}

void cad_zip_close(cad_zip_t *z)
{
    if (z->handle) zip_discard(z->handle);
    free(z->member);
    memset(z, 0, sizeof *z);
}

/* ---- reading ---- */

typedef struct {
    const cad_zip_t *z;
    const cad_member_t *m;
    zip_file_t *f;
    int64_t at;
    unsigned char *buf; // (BUFFER)
    cad_error_t *err;
} reading_t;

/* Reads the next n bytes of the member, at most BUFFER, into the buffer. */
static int fill(reading_t *r, int64_t n)
{
    int64_t have = 0;
    while (have < n) {
        zip_int64_t got = zip_fread(r->f, r->buf + have, (zip_uint64_t)(n - have));
        if (got < 0) return broken(r->z, zip_file_get_error(r->f), r->err);
        if (got == 0)
            return cad_fail(r->err, CAD_EFORMAT, "%s: its member %.100s is cut short; is the copy complete?",
                            r->z->path, r->m->name);
        have += got;
    }
    r->at += n;
    return 0;
}

/* Moves forward to byte `to` of the member: seeks if the member is not compressed and was checked before, else reads
 * and drops the bytes before `to`. */
static int skip(reading_t *r, int64_t to)
{
    int rc = 0;
    if (r->m->checked && !r->m->deflated && to > r->at && zip_fseek(r->f, to, SEEK_SET) == 0) r->at = to;
    while (rc == 0 && r->at < to) rc = fill(r, cad_min(BUFFER, to - r->at));
    return rc;
}

/* Reads to the end of the member; there libzip compares the checksum. */
static int check(reading_t *r)
{
    int rc = skip(r, r->m->size);
    zip_int64_t got = rc ? 0 : zip_fread(r->f, r->buf, 1);
    if (got < 0) return broken(r->z, zip_file_get_error(r->f), r->err);
    if (got > 0)
        return cad_fail(r->err, CAD_EFORMAT, "%s: its member %.100s is longer than its record says", r->z->path,
                        r->m->name);
    return rc;
}

static int read_range(reading_t *r, int64_t begin, int64_t end, cad_bytes_f *take, void *arg)
{
    int rc = skip(r, begin);
    while (rc == 0 && r->at < end) {
        int64_t n = cad_min(BUFFER, end - r->at);
        rc = fill(r, n);
        if (rc == 0) take(arg, r->buf, (size_t)n);
    }
    return rc == 0 && !r->m->checked ? check(r) : rc;
}

int cad_zip_read(cad_zip_t *z, int64_t member, int64_t begin, int64_t n, cad_bytes_f *take, void *arg, cad_error_t *err)
{
    cad_member_t *m = &z->member[member];
    reading_t r = { .z = z, .m = m, .err = err };
    int rc;
    if (begin < 0 || n < 0 || begin > m->size || n > m->size - begin)
        return cad_fail(err, CAD_EFORMAT, "%s: its member %.100s is too short; is the copy complete?", z->path,
                        m->name);
    r.buf = malloc(BUFFER);
    if (!r.buf) return cad_out_of_memory(err);
    r.f = zip_fopen_index(z->handle, m->index, 0);
    rc = r.f ? read_range(&r, begin, begin + n, take, arg) : broken(z, zip_get_error(z->handle), err);
    if (rc == 0) m->checked = true;
    if (r.f) zip_fclose(r.f);
    free(r.buf);
    return rc;
}

#else

int cad_zip_open(cad_zip_t *z, int fd, const char *path, cad_error_t *err)
{
    (void)fd;
    *z = (cad_zip_t) { .path = path };
    return cad_fail(err, CAD_EFORMAT,
                    "%s: a PyTorch file (or another zip archive), and this caduceus was built without libzip; install "
                    "libzip-dev and build again, or convert the file to safetensors",
                    path);
}

void cad_zip_close(cad_zip_t *z) { memset(z, 0, sizeof *z); }

int cad_zip_read(cad_zip_t *z, int64_t member, int64_t begin, int64_t n, cad_bytes_f *take, void *arg, cad_error_t *err)
{
    (void)member, (void)begin, (void)n, (void)take, (void)arg;
    return cad_fail(err, CAD_EFORMAT, "%s: built without libzip", z->path);
}

#endif

int64_t cad_zip_find(const cad_zip_t *z, const char *name)
{
    int64_t lo = 0, hi = z->n;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        int c = strcmp(z->member[mid].name, name);
        if (c == 0) return mid;
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    return -1;
}
