/* fullfs.c - a library for LD_PRELOAD that simulates a full or failing disk.
 *
 * FULLFS_AFTER=n     writes to regular files fail with ENOSPC after n bytes in total
 * FULLFS_FSYNC=1     fsync of a regular file fails with EIO
 * FULLFS_CLOSE=1     close of a regular file open for writing fails with ENOSPC
 * FULLFS_FAIL=CALL:n the n-th call of CALL (write, fsync, close or rename) on a regular file fails, once, with EIO
 * FULLFS_COUNT=FILE  writes the number of calls of each kind to FILE when the process exits
 * FULLFS_NAMED=1     open with O_TMPFILE fails, as on some network file systems
 * FULLFS_RENAME=n    the process is killed instead of renaming its n-th file
 * FULLFS_TERM=n      the process gets SIGTERM while it renames its n-th file
 * FULLFS_SHRINK=n    after n bytes in all, pread reports the end of the file
 * SPDX-License-Identifier: MIT
 */
#undef _FILE_OFFSET_BITS /* so that pwrite and pwrite64 are two functions */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef enum { WRITE, FSYNC, CLOSE, RENAME, CALLS } call_t;
static const char *const NAME[CALLS] = { "write", "fsync", "close", "rename" };
static atomic_llong done, got, renamed, calls[CALLS];

/* Counts a call. Returns true and sets errno if this call is to fail. */
static bool fails(call_t call)
{
    const char *s = getenv("FULLFS_FAIL");
    long long n = atomic_fetch_add(&calls[call], 1) + 1;
    size_t k = strlen(NAME[call]);
    if (!s || strncmp(s, NAME[call], k) || s[k] != ':' || atoll(s + k + 1) != n) return false;
    errno = EIO;
    return true;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("FULLFS_COUNT");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (!f) return;
    for (int i = 0; i < CALLS; i++) fprintf(f, "%s %lld\n", NAME[i], atomic_load(&calls[i]));
    fprintf(f, "bytes %lld\n", atomic_load(&done));
    fclose(f);
}

static bool regular(int fd)
{
    struct stat sb;
    return fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode);
}

static bool writable(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

/* Returns how many of n bytes are still below the limit that the environment variable `limit` sets. */
static size_t allowed(const char *limit, atomic_llong *used, size_t n)
{
    const char *s = getenv(limit);
    long long left;
    if (!s) {
        atomic_fetch_add(used, (long long)n);
        return n;
    }
    left = atoll(s) - atomic_load(used);
    if (left < 0) left = 0;
    if ((unsigned long long)left < n) n = (size_t)left;
    atomic_fetch_add(used, (long long)n);
    return n;
}

static ssize_t put(int fd, const void *data, size_t n, off_t at, bool positioned)
{
    if (regular(fd) && fails(WRITE)) return -1;
    size_t some = n && regular(fd) ? allowed("FULLFS_AFTER", &done, n) : n;
    if (n && !some) {
        errno = ENOSPC;
        return -1;
    }
    return positioned ? syscall(SYS_pwrite64, fd, data, some, at) : syscall(SYS_write, fd, data, some);
}

static ssize_t get(int fd, void *data, size_t n, off_t at)
{
    return syscall(SYS_pread64, fd, data, regular(fd) ? allowed("FULLFS_SHRINK", &got, n) : n, at);
}

EXPORT ssize_t write(int fd, const void *data, size_t n) { return put(fd, data, n, 0, false); }
EXPORT ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { return put(fd, data, n, at, true); }
EXPORT ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) { return put(fd, data, n, at, true); }
EXPORT ssize_t pread(int fd, void *data, size_t n, off_t at) { return get(fd, data, n, at); }
EXPORT ssize_t pread64(int fd, void *data, size_t n, off64_t at) { return get(fd, data, n, at); }

#ifdef O_TMPFILE
static int open_as(const char *path, int flags, va_list ap)
{
    mode_t mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
    if ((flags & O_TMPFILE) == O_TMPFILE && getenv("FULLFS_NAMED")) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    int fd = open_as(path, flags, ap);
    va_end(ap);
    return fd;
}

EXPORT int open64(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    int fd = open_as(path, flags, ap);
    va_end(ap);
    return fd;
}
#endif

EXPORT int fsync(int fd)
{
    if (getenv("FULLFS_FSYNC") && regular(fd)) {
        errno = EIO;
        return -1;
    }
    if (regular(fd) && fails(FSYNC)) return -1;
    return (int)syscall(SYS_fsync, fd);
}

EXPORT int rename(const char *from, const char *to)
{
    const char *last = getenv("FULLFS_RENAME"), *term = getenv("FULLFS_TERM");
    long long n = atomic_fetch_add(&renamed, 1) + 1;
    if (last && n >= atoll(last)) raise(SIGKILL);
    if (term && n == atoll(term)) raise(SIGTERM);
    if (fails(RENAME)) return -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int close(int fd)
{
    bool written = regular(fd) && writable(fd), all = written && getenv("FULLFS_CLOSE"), one = written && fails(CLOSE);
    int rc = (int)syscall(SYS_close, fd);
    if (all || one) errno = all ? ENOSPC : EIO;
    return all || one ? -1 : rc;
}
