/* file.c - reads whole files; writes files that are complete or absent; makes and locks folders.
 *
 * Where the file system supports it, a file is written without a name, so that the file vanishes if the process dies;
 * elsewhere it is written under a temporary name. Then the file is synced, given a temporary name in the folder of its
 * destination if it has no name yet, and renamed to its destination. SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* ---- reading ---- */

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

/* ---- paths ---- */

char *cad_path_join(const char *dir, const char *name)
{
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s/%s", dir, name);
    return path;
}

bool cad_path_present(const char *dir, const char *name)
{
    char path[PATH_MAX];
    return (size_t)snprintf(path, sizeof path, "%s/%s", dir, name) < sizeof path && access(path, F_OK) == 0;
}

bool cad_path_is_folder(const char *path)
{
    struct stat sb;
    return stat(path, &sb) == 0 && S_ISDIR(sb.st_mode);
}

bool cad_path_inside(const char *path)
{
    for (const char *s = path;; s++) {
        size_t n = strcspn(s, "/"), dots = strspn(s, ".");
        if (n == 0 || (n == dots && dots <= 2)) return false;
        for (; n; n--, s++)
            if ((unsigned char)*s < ' ' || *s == 127) return false;
        if (!*s) return true;
    }
}

/* Returns the path that the symbolic link `path` leads to, malloc'd; NULL if the link cannot be read or memory is
 * out. */
static char *follow(const char *path)
{
    char target[4096], *copy, *next;
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0) return NULL;
    target[n] = 0;
    if (target[0] == '/') return strdup(target);
    copy = strdup(path);
    next = copy ? cad_path_join(dirname(copy), target) : NULL;
    free(copy);
    return next;
}

int cad_resolve(const char *path, char **out, cad_error_t *err)
{
    char *at = strdup(path);
    struct stat sb;
    int hops = 0;
    for (; at && hops < 40 && lstat(at, &sb) == 0 && S_ISLNK(sb.st_mode); hops++) {
        char *next = follow(at);
        free(at);
        at = next;
    }
    *out = at;
    if (at && hops < 40) return 0;
    free(at);
    *out = NULL;
    return hops < 40 ? cad_fail(err, CAD_ENOMEM, "%s: out of memory", path)
                     : cad_fail(err, CAD_EIO, "%s: too many symbolic links", path);
}

/* ---- writing ---- */

static int cannot(const char *path, cad_error_t *err)
{
    return cad_fail(err, CAD_EIO, "%s: cannot write there: %s", path, strerror(errno));
}

#define TEMPORARY ".caduceus-%ld-%d.tmp" /* takes the process id and the number of the attempt */

/* Sets f->tmp to the first free temporary name. If f->fd is an open file without a name, gives it that name; if f->fd
 * is -1, creates a file of that name. Returns 0, or -1 with errno. */
static int take_name(cad_file_t *f)
{
    size_t size = strlen(f->path) + 64;
    const char *slash = strrchr(f->path, '/');
    int folder = slash ? (int)(slash - f->path) + 1 : 0;
    char unnamed[64];
    snprintf(unnamed, sizeof unnamed, "/proc/self/fd/%d", f->fd);
    for (int i = 0; i < 100; i++) {
        snprintf(f->tmp, size, "%.*s" TEMPORARY, folder, f->path, (long)getpid(), i);
        if (f->fd >= 0) f->named = linkat(AT_FDCWD, unnamed, AT_FDCWD, f->tmp, AT_SYMLINK_FOLLOW) == 0;
        else f->named = (f->fd = open(f->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) >= 0;
        if (f->named) return 0;
        if (errno != EEXIST) break;
    }
    return -1;
}

/* Opens the folder that contains path; returns a descriptor, or -1 with errno. flags: as for open(). */
static int open_folder(const char *path, int flags)
{
    char dir[4352];
    size_t n = strlen(path);
    while (n && path[n - 1] == '/') n--;
    while (n && path[n - 1] != '/') n--;
    if (n >= sizeof dir) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(dir, sizeof dir, "%.*s", (int)n, path);
    return open(n ? dir : ".", flags | O_CLOEXEC, 0666);
}

static int open_unnamed(const char *path)
{
#ifdef O_TMPFILE
    if (access("/proc/self/fd", X_OK) == 0) return open_folder(path, O_TMPFILE | O_RDWR);
#endif
    (void)path;
    return -1;
}

static int begin(cad_file_t *f, const char *path, bool named, cad_error_t *err)
{
    struct stat sb;
    int rc = 0;
    memset(f, 0, sizeof *f);
    f->fd = -1;
    /* if path is a symbolic link, the file it leads to is replaced, not the link */
    rc = cad_resolve(path, &f->path, err);
    if (rc) return rc;
    f->tmp = malloc(strlen(f->path) + 64);
    if (!f->tmp) rc = cad_fail(err, CAD_ENOMEM, "%s: out of memory", path);
    else if (stat(path, &sb) == 0 && !S_ISREG(sb.st_mode))
        rc = cad_fail(err, CAD_EIO, "%s: is there and is not a file", path);
    else {
        f->fd = named ? -1 : open_unnamed(f->path);
        if (f->fd < 0 && take_name(f)) rc = cannot(path, err);
    }
    if (rc) cad_file_abort(f);
    return rc;
}

int cad_file_open(cad_file_t *f, const char *path, cad_error_t *err) { return begin(f, path, false, err); }
int cad_file_open_named(cad_file_t *f, const char *path, cad_error_t *err) { return begin(f, path, true, err); }

static int write_error(const cad_file_t *f, cad_error_t *err)
{
    return cad_fail(err, CAD_EIO, "%s: write failed: %s", f->path, strerror(errno ? errno : EIO));
}

int cad_write_all(int fd, const void *data, size_t n)
{
    const char *at = data;
    while (n) {
        ssize_t put = write(fd, at, n);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return -1;
        at += put;
        n -= (size_t)put;
    }
    return 0;
}

int cad_file_write(cad_file_t *f, const void *data, size_t n, cad_error_t *err)
{
    return cad_write_all(f->fd, data, n) ? write_error(f, err) : 0;
}

int cad_file_sync(cad_file_t *f, cad_error_t *err)
{
    struct stat sb;
    int fd = f->fd;
    /* give the file the mode of the file that it will replace */
    if (stat(f->path, &sb) == 0) (void)!fchmod(fd, sb.st_mode & 07777);
    if (fsync(fd)) return write_error(f, err);
    if (!f->named && take_name(f)) return write_error(f, err);
    f->fd = -1;
    return close(fd) ? write_error(f, err) : 0;
}

int cad_file_publish(cad_file_t *f, cad_error_t *err)
{
    int rc = 0;
    if (rename(f->tmp, f->path)) rc = write_error(f, err);
    else f->named = false;
    if (rc == 0 && cad_sync_folder(f->path)) rc = write_error(f, err);
    cad_file_abort(f);
    return rc;
}

void cad_file_abort(cad_file_t *f)
{
    int why = errno; /* cleaning up must not change the errno that the caller reports */
    if (!f->path) return;
    if (f->named) unlink(f->tmp);
    if (f->fd >= 0) close(f->fd);
    free(f->tmp);
    free(f->path);
    memset(f, 0, sizeof *f);
    errno = why;
}

int cad_path_remove(const char *dir, const char *name, cad_error_t *err)
{
    char *path = cad_path_join(dir, name);
    int rc = path ? 0 : cad_out_of_memory(err);
    if (rc == 0 && unlink(path) && errno != ENOENT) rc = cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    free(path);
    return rc;
}

/* ---- folders ---- */

int cad_sync_folder(const char *path)
{
    int fd = open_folder(path, O_RDONLY | O_DIRECTORY), rc = 0;
    if (fd < 0) return errno == EACCES ? 0 : -1; /* a folder may be writable but not readable; it is then not synced */
    if (fsync(fd) && errno != EINVAL) rc = -1;
    close(fd);
    return rc;
}

int cad_folder_make(const char *dir, bool *made, cad_error_t *err)
{
    struct stat sb;
    bool fresh = mkdir(dir, 0777) == 0;
    if (made) *made = fresh;
    if (fresh) return cad_sync_folder(dir) ? cannot(dir, err) : 0;
    if (errno != EEXIST) return cannot(dir, err);
    if (stat(dir, &sb)) return cannot(dir, err);
    if (!S_ISDIR(sb.st_mode)) return cad_fail(err, CAD_EIO, "%s: is there and is not a folder", dir);
    return access(dir, W_OK | X_OK) ? cannot(dir, err) : 0;
}

int cad_folder_claim(const char *dir, int *fd, cad_error_t *err)
{
    *fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0 || flock(*fd, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno == EWOULDBLOCK)
        return cad_fail(err, CAD_EIO, "%s: another process is at work there; wait for it, or give another folder", dir);
    close(*fd);
    *fd = -1;
    return 0;
}

void cad_folder_sweep(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char name[64], *path;
        long pid;
        int i;
        if (sscanf(e->d_name, TEMPORARY, &pid, &i) != 2 || pid <= 0 || kill((pid_t)pid, 0) == 0 || errno != ESRCH)
            continue;
        snprintf(name, sizeof name, TEMPORARY, pid, i);
        path = strcmp(name, e->d_name) ? NULL : cad_path_join(dir, name);
        if (path) unlink(path);
        free(path);
    }
    if (d) closedir(d);
}
