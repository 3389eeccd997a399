/* util.c - memory and files. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"

#define HUGE ((size_t)2 << 20) /* a page of the larger kind */

void *cad_alloc(size_t count, size_t size)
{
    size_t bytes, unit;
    void *p;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    if (bytes == 0) bytes = 1;
    unit = bytes < 16 * HUGE ? 64 : HUGE;
    if (bytes > SIZE_MAX - (unit - 1)) return NULL;
    bytes = (bytes + unit - 1) / unit * unit;
    p = aligned_alloc(unit, bytes);
#ifdef MADV_HUGEPAGE /* fewer, larger pages: kernels walk columns, a row's width apart */
    if (p && unit == HUGE) madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return p;
}

int cad_pread(int fd, void *buf, size_t n, int64_t offset, const char *path, cad_error_t *err)
{
    char *at = buf;
    while (n) {
        ssize_t got = pread(fd, at, n, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
        if (got == 0)
            return cad_fail(err, CAD_EIO,
                            "%s: the file ends early; it shrank while being read, or a copy is incomplete", path);
        at += got;
        n -= (size_t)got;
        offset += got;
    }
    return 0;
}

bool cad_parse_int(const char *s, int64_t lo, int64_t hi, int64_t *out)
{
    bool minus = *s == '-';
    int64_t v = 0;
    if (minus) s++;
    if (!*s) return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9') return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, *s - '0', &v)) return false;
    }
    if (!minus && __builtin_sub_overflow(0, v, &v)) return false; /* v was counted downwards */
    if (v < lo || v > hi) return false;
    *out = v;
    return true;
}

char *cad_path_join(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s/%s", dir, name);
    return path;
}

void cad_reverse_rows(float *a, int64_t n, int64_t width)
{
    for (int64_t i = 0, j = n - 1; i < j; i++, j--)
        for (int64_t k = 0; k < width; k++) {
            float t = a[i * width + k];
            a[i * width + k] = a[j * width + k];
            a[j * width + k] = t;
        }
}

#define TEXT_LIMIT ((size_t)64 << 20)

static int read_all(FILE *f, char **text, size_t *size, const char *path, cad_error_t *err)
{
    size_t room = 0;
    for (;;) {
        char *grown;
        size_t n;
        if (*size + 1 >= room) {
            room = room ? 2 * room : 1 << 14;
            grown = room > TEXT_LIMIT ? NULL : realloc(*text, room);
            if (room > TEXT_LIMIT)
                return cad_fail(err, CAD_EFORMAT, "%s: larger than %zu MB; what is it?", path, TEXT_LIMIT >> 20);
            if (!grown) return cad_fail(err, CAD_ENOMEM, "%s: out of memory", path);
            *text = grown;
        }
        errno = 0;
        n = fread(*text + *size, 1, room - *size - 1, f);
        *size += n;
        (*text)[*size] = 0;
        if (n == 0 && ferror(f)) return cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno ? errno : EIO));
        if (n == 0) return 0;
    }
}

int cad_read_text(char **text, size_t *size, const char *path, bool optional, cad_error_t *err)
{
    FILE *f = fopen(path, "rbe");
    int rc;
    *text = NULL;
    *size = 0;
    if (!f && optional && errno == ENOENT) return 0;
    if (!f) return cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    rc = read_all(f, text, size, path, err);
    fclose(f);
    if (rc == 0) return 0;
    free(*text);
    *text = NULL;
    return rc;
}
