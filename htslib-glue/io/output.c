/* output.c - outputs that are whole or absent. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <htslib/hfile.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "io/input.h"
#include "io/output.h"
#include "io/temporary.h"

struct output_t {
    char *name; /* as given, for messages */
    char *path; /* the file to replace, links resolved; NULL: direct */
    char *tmp;
    int ticket;
    int fd; /* a second descriptor, for patching, syncing */
    hFILE *h;
    int stream_fd; /* the descriptor that h owns */
    BGZF *bgzf;    /* over h, or NULL */
    htsFile *hts;  /* over h, or NULL */
    int direct;    /* spooling: where the bytes go in the end, else -1 */
    bool failed, synced;
};

bool ends_in(const char *path, const char *suffix)
{
    size_t n = strlen(path), k = strlen(suffix);
    return n > k && !strcasecmp(path + n - k, suffix);
}

bool output_is_gz(const char *path) { return ends_in(path, ".gz") || ends_in(path, ".bgz"); }

char *suffixed(const char *path, const char *suffix)
{
    char *s = malloc(strlen(path) + strlen(suffix) + 1);
    if (s) strcat(strcpy(s, path), suffix);
    return s;
}

bool output_is_file(const output_t *o) { return o->path != NULL; }
bool output_is_terminal(const output_t *o) { return isatty(o->fd); }
const char *output_temporary(const output_t *o) { return o->tmp; }

/* Of a path, or of the descriptor that "-" stands for. */
static int status(const char *path, int fd, struct stat *sb)
{
    return strcmp(path, "-") ? stat(path, sb) : fstat(fd, sb);
}

int refuse_same(const char *output, const char *input, cad_error_t *err)
{
    struct stat x, y;
    if (!output || !input || status(output, STDOUT_FILENO, &x) || status(input, STDIN_FILENO, &y)) return 0;
    if (!S_ISREG(x.st_mode) || x.st_dev != y.st_dev || x.st_ino != y.st_ino) return 0;
    return cad_fail(err, CAD_EARG, "%s: is also an input (%s); choose another output", output, input);
}

/* a and b are links resolved: one name in one folder, or one file by two names. */
static bool one_target(char *a, char *b)
{
    struct stat s, t;
    char *x = strrchr(a, '/'), *y = strrchr(b, '/');
    if (stat(a, &s) == 0 && stat(b, &t) == 0) return S_ISREG(s.st_mode) && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
    if (strcmp(x ? x + 1 : a, y ? y + 1 : b)) return false;
    if (x) *x = 0; /* the folders remain */
    if (y) *y = 0;
    return stat(x ? (*a ? a : "/") : ".", &s) == 0 && stat(y ? (*b ? b : "/") : ".", &t) == 0 && s.st_dev == t.st_dev &&
           s.st_ino == t.st_ino;
}

int refuse_twice(const char *a, const char *b, cad_error_t *err)
{
    char *x = NULL, *y = NULL;
    int rc;
    if (!a || !b || !strcmp(a, "-") || !strcmp(b, "-")) return 0;
    rc = cad_resolve(a, &x, err);
    if (rc == 0) rc = cad_resolve(b, &y, err);
    if (rc == 0 && one_target(x, y)) rc = cad_fail(err, CAD_EARG, "%s: named for two outputs, or an index", a);
    free(x);
    free(y);
    return rc;
}

static int open_temporary(output_t *o, cad_error_t *err)
{
    size_t size = strlen(o->path) + 64;
    const char *slash = strrchr(o->path, '/');
    int folder = slash ? (int)(slash - o->path) + 1 : 0;
    o->tmp = malloc(size);
    if (!o->tmp) return cad_fail(err, CAD_ENOMEM, "out of memory");
    for (int i = 0; i < 100; i++) {
        snprintf(o->tmp, size, "%.*s.caduceus-%ld-%d.tmp", folder, o->path, (long)getpid(), i);
        signals_hold();
        o->fd = open(o->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (o->fd >= 0) o->ticket = temporary_add(o->tmp);
        signals_release();
        if (o->fd >= 0) return 0;
        if (errno != EEXIST) break;
    }
    free(o->tmp);
    o->tmp = NULL;
    return cad_fail(err, CAD_EIO, "%s: cannot write there: %s", o->name, strerror(errno));
}

/* The descriptor that the shell connected: "-", /dev/stdout, /dev/fd/N; else -1. */
static int given_descriptor(const char *path)
{
    int64_t n = -1;
    if (!strcmp(path, "-") || !strcmp(path, "/dev/stdout")) return STDOUT_FILENO;
    if (!strcmp(path, "/dev/stderr")) return STDERR_FILENO;
    if (!strncmp(path, "/dev/fd/", 8)) cad_parse_int(path + 8, 0, INT32_MAX, &n);
    else if (!strncmp(path, "/proc/self/fd/", 14)) cad_parse_int(path + 14, 0, INT32_MAX, &n);
    return (int)n;
}

/* A regular or absent file gets a temporary; anything else is opened as it is. */
static int open_target(output_t *o, const char *path, cad_error_t *err)
{
    struct stat sb;
    int rc;
    if (given_descriptor(path) >= 0) {
        o->fd = fcntl(given_descriptor(path), F_DUPFD_CLOEXEC, 3);
        return o->fd < 0 ? cad_fail(err, CAD_EIO, "%s: %s", o->name, strerror(errno)) : 0;
    }
    if (stat(path, &sb) == 0 && !S_ISREG(sb.st_mode)) {
        if (S_ISDIR(sb.st_mode)) return cad_fail(err, CAD_EIO, "%s: is a folder", path);
        o->fd = open(path, O_WRONLY | O_CLOEXEC);
        return o->fd < 0 ? cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno)) : 0;
    }
    if (lstat(path, &sb) && errno == ENAMETOOLONG) return cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    rc = cad_resolve(path, &o->path, err);
    if (rc) return rc;
    if (access(o->path, F_OK) == 0 && access(o->path, W_OK))
        return cad_fail(err, CAD_EIO, "%s: cannot write there: %s", path, strerror(errno));
    return open_temporary(o, err);
}

static int open_stream(output_t *o, bool bgzf, cad_error_t *err)
{
    int fd = o->stream_fd = fcntl(o->fd, F_DUPFD_CLOEXEC, 3);
    o->h = fd < 0 ? NULL : hdopen(fd, "w");
    if (!o->h) {
        if (fd >= 0) close(fd);
        return cad_fail(err, CAD_EIO, "%s: %s", o->name, strerror(errno));
    }
    if (!bgzf) return 0;
    o->bgzf = bgzf_hopen(o->h, "w");
    return o->bgzf ? 0 : cad_fail(err, CAD_ENOMEM, "%s: out of memory", o->name);
}

int output_beside(output_t **out, const char *path, const char *suffix, cad_error_t *err)
{
    char *beside = suffixed(path, suffix);
    int rc = beside ? output_open(out, beside, false, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
    free(beside);
    return rc;
}

int output_open(output_t **out, const char *path, bool bgzf, cad_error_t *err)
{
    output_t *o = calloc(1, sizeof *o);
    int rc;
    *out = NULL;
    if (!o) return cad_fail(err, CAD_ENOMEM, "out of memory");
    o->fd = o->direct = o->ticket = -1;
    if (!*path) {
        free(o);
        return cad_fail(err, CAD_EARG, "an output without a name");
    }
    o->name = strdup(strcmp(path, "-") ? path : "standard output");
    rc = o->name ? open_target(o, path, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0 && bgzf && isatty(o->fd))
        rc = cad_fail(err, CAD_EARG, "%s: compressed data would go to a terminal", o->name);
    if (rc == 0) rc = open_stream(o, bgzf, err);
    if (rc) output_abort(o);
    else *out = o;
    return rc;
}

static int write_error(output_t *o, cad_error_t *err)
{
    o->failed = true;
    return cad_fail(err, CAD_EIO, "%s: write failed: %s", o->name, strerror(errno ? errno : EIO));
}

int output_failed(output_t *o, cad_error_t *err)
{
    if (o->h && herrno(o->h)) errno = herrno(o->h); /* compressing threads have an errno of their own */
    return write_error(o, err);
}

int output_hts(output_t *o, const char *mode, htsFile **fp, cad_error_t *err)
{
    errno = 0;
    o->hts = *fp = hts_hopen(o->h, "caduceus", mode); /* CRAM keeps the name: one for all outputs */
    return *fp ? 0 : cad_fail(err, CAD_ENOMEM, "%s: out of memory", o->name);
}

int output_write(output_t *o, const void *data, size_t n, cad_error_t *err)
{
    ssize_t put;
    errno = 0;
    put = o->bgzf ? bgzf_write(o->bgzf, data, n) : hwrite(o->h, data, n);
    return put == (ssize_t)n ? 0 : write_error(o, err);
}

int output_scratch(const char *name, cad_error_t *err)
{
    const char *dir = getenv("TMPDIR");
    char path[4096];
    int fd;
    snprintf(path, sizeof path, "%s/caduceus-XXXXXX", dir && *dir ? dir : "/tmp");
    signals_hold();
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) cad_fail(err, CAD_EIO, "%s: no temporary file %s: %s", name, path, strerror(errno));
    else unlink(path);
    signals_release();
    return fd;
}

int output_spool(output_t *o, cad_error_t *err)
{
    int fd;
    if (o->path) return 0;
    fd = output_scratch(o->name, err);
    if (fd < 0) return CAD_EIO;
    if (o->h) hclose_abruptly(o->h); /* nothing written yet */
    o->h = NULL;
    o->direct = o->fd;
    o->fd = fd;
    return open_stream(o, false, err);
}

int output_patch(output_t *o, uint64_t at, const void *data, size_t n, cad_error_t *err)
{
    errno = 0;
    if (hflush(o->h)) return write_error(o, err);
    for (size_t done = 0; done < n;) {
        ssize_t put = pwrite(o->fd, (const char *)data + done, n - done, (off_t)(at + done));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return write_error(o, err);
        done += (size_t)put;
    }
    return 0;
}

static int write_all(int fd, const char *data, ssize_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, data, (size_t)n);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return -1;
        data += put;
        n -= put;
    }
    return 0;
}

static int copy_spool(output_t *o, cad_error_t *err)
{
    char buf[1 << 16];
    ssize_t n;
    if (lseek(o->fd, 0, SEEK_SET) < 0) return write_error(o, err);
    while ((n = read(o->fd, buf, sizeof buf)) > 0)
        if (write_all(o->direct, buf, n)) return write_error(o, err);
    return n < 0 ? write_error(o, err) : 0;
}

static int close_stream(output_t *o)
{
    int at = o->hts && o->hts->is_bgzf && hts_flush(o->hts) ? herrno(o->h) : 0; /* else its threads' errno is lost */
    int rc = o->hts ? hts_close(o->hts) : o->bgzf ? bgzf_close(o->bgzf) : o->h ? hclose(o->h) : 0;
    o->hts = NULL;
    o->bgzf = NULL;
    o->h = NULL;
    if (at) errno = at;
    return rc || at ? -1 : 0;
}

static int publish(output_t *o, cad_error_t *err)
{
    if (rename(o->tmp, o->path)) return write_error(o, err);
    temporary_forget(o->ticket);
    free(o->tmp);
    o->tmp = NULL;
    return cad_sync_folder(o->path) ? write_error(o, err) : 0;
}

int output_sync(output_t *o, cad_error_t *err)
{
    struct stat sb;
    errno = 0;
    if (o->synced) return 0;
    if (o->failed) return CAD_EIO;
    if (close_stream(o)) return write_error(o, err);
    if (o->direct >= 0 && copy_spool(o, err)) return CAD_EIO;
    if (o->path && stat(o->path, &sb) == 0)
        (void)!fchmod(o->fd, sb.st_mode & 07777); /* keep the mode of what is replaced */
    if (o->path) (void)!futimens(o->fd, NULL);    /* an index, synced last, is not older than its file */
    if (o->path && fsync(o->fd)) return write_error(o, err);
    o->synced = true;
    return 0;
}

int64_t output_bytes(const output_t *o)
{
    struct stat sb;
    return fstat(o->fd, &sb) ? -1 : (int64_t)sb.st_size;
}

int output_close(output_t *o, cad_error_t *err)
{
    int rc = output_sync(o, err);
    if (rc == 0 && o->path) rc = publish(o, err);
    if (rc == 0 && o->direct >= 0 && close(o->direct)) rc = write_error(o, err);
    if (rc == 0) o->direct = -1;
    if (rc == 0 && close(o->fd)) rc = write_error(o, err);
    if (rc == 0) o->fd = -1;
    output_abort(o);
    return rc;
}

int outputs_close(output_t **const out[], int n, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++)
        if (*out[i]) rc = output_sync(*out[i], err);
    signals_hold();
    for (int i = 0; i < n && rc == 0; i++) {
        if (!*out[i]) continue;
        rc = output_close(*out[i], err);
        *out[i] = NULL;
    }
    signals_release();
    return rc;
}

/* Closing a compressed stream writes its EOF block: let that go nowhere. */
static void abandon(output_t *o)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, o->stream_fd);
        close(null);
        close_stream(o);
    }
}

void output_abort(output_t *o)
{
    if (!o) return;
    if (o->tmp) {
        unlink(o->tmp);
        temporary_forget(o->ticket);
    }
    if (o->hts && o->failed && o->hts->format.format == cram)
        o->hts = NULL; /* left behind: closing writes the container again, and crashes */
    else if ((o->bgzf || o->hts) && o->tmp) close_stream(o);
    else if (o->bgzf || o->hts) abandon(o);
    else if (o->h) hclose_abruptly(o->h);
    if (o->fd >= 0) close(o->fd);
    if (o->direct >= 0) close(o->direct);
    free(o->tmp);
    free(o->path);
    free(o->name);
    free(o);
}
