/* fullfs.c - a library for LD_PRELOAD that simulates a full or failing disk.
 *
 * FULLFS_AFTER=n regular files can take n bytes in all; further writes fail with ENOSPC FULLFS_FSYNC=1 fsync of a
 * regular file fails with EIO FULLFS_CLOSE=1 close of a regular file open for writing fails with ENOSPC
 * FULLFS_NAMED=1 files without a name cannot be opened, as on some network file systems FULLFS_RENAME=n the process
 * dies instead of renaming its n-th file FULLFS_SHRINK=n after n bytes in all, pread reports the end of the file
 * SPDX-License-Identifier: MIT
 */
#undef _FILE_OFFSET_BITS /* so that pwrite and pwrite64 are two names */
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static atomic_llong done, got, renamed;

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

/* Returns how many of n bytes the limit in this environment variable still allows. */
static size_t allowed(const char *limit, atomic_llong *used, size_t n)
{
    const char *s = getenv(limit);
    long long left;
    if (!s) return n;
    left = atoll(s) - atomic_load(used);
    if (left < 0) left = 0;
    if ((unsigned long long)left < n) n = (size_t)left;
    atomic_fetch_add(used, (long long)n);
    return n;
}

static ssize_t put(int fd, const void *data, size_t n, off_t at, bool positioned)
{
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
    return (int)syscall(SYS_fsync, fd);
}

EXPORT int rename(const char *from, const char *to)
{
    const char *last = getenv("FULLFS_RENAME");
    if (last && atomic_fetch_add(&renamed, 1) + 1 >= atoll(last)) raise(SIGKILL);
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

EXPORT int close(int fd)
{
    bool fail = getenv("FULLFS_CLOSE") && regular(fd) && writable(fd);
    int rc = (int)syscall(SYS_close, fd);
    if (fail) errno = ENOSPC;
    return fail ? -1 : rc;
}
