/* output.c - writes outputs so that each is complete or absent. Files are written with cad_file_t; this file adds
 * compression, standard output, pipes and spooling (writing to a temporary file first, so that the output can be
 * patched). SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <htslib/bgzf.h>
#include <htslib/hfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "io/output.h"
#include "io/signals.h"

struct output_t {
    char *name; /* name as given by the user, for messages */
    /* the file, under its temporary name. file.path is NULL for a direct output, which is a pipe, a device or a
     * descriptor that the user named */
    cad_file_t file;
    int ticket; /* ticket of temporary_add for the temporary file; -1: none */
    /* for a direct output: descriptor of the pipe or device, or a duplicate of the descriptor that the user named;
     * while spooling: descriptor of the temporary file that collects the bytes; else -1 */
    int fd;
    int direct; /* while spooling: the descriptor to which output_sync copies the bytes; else -1 */
    hFILE *h;
    int stream_fd; /* the descriptor that h owns */
    BGZF *bgzf;    /* BGZF stream that writes through h, or NULL */
    htsFile *hts;  /* htslib file that writes through h, or NULL */
    int64_t bytes; /* size of the file; output_sync sets it */
    bool failed, synced;
};

bool ends_in(const char *path, const char *suffix)
{
    size_t n = strlen(path), k = strlen(suffix);
    return n > k && !strcasecmp(path + n - k, suffix);
}

bool output_is_gz(const char *path) { return ends_in(path, ".gz") || ends_in(path, ".bgz"); }

bool output_is_csv(const char *path)
{
    return ends_in(path, ".csv") || ends_in(path, ".csv.gz") || ends_in(path, ".csv.bgz");
}

/* True if the list of words contains the word (n bytes), ignoring case. */
static bool has_word(const char *list, const char *word, size_t n)
{
    for (size_t k; *list; list += k + (list[k] == ' ')) {
        k = strcspn(list, " ");
        if (k == n && !strncasecmp(list, word, n)) return true;
    }
    return false;
}

int output_suffix(const char *path, const char *possible, const char *gz, cad_error_t *err)
{
    static const char known[] =
        "png svg pdf jpg jpeg gif bw bigWig bb bigBed wig bedGraph bg bdg bed csv tsv tab txt json h5 hdf5 npy npz "
        "parquet feather arrow xlsx xls rds rdata mat pkl pt zarr zip fa fasta fna fq fastq sam bam cram vcf bcf gff "
        "gff3 gtf safetensors";
    const char *name = strrchr(path, '/'), *list = output_is_gz(path) ? gz : possible, *dot;
    size_t n = strlen(path);
    char words[160] = "";
    name = name ? name + 1 : path;
    if (output_is_gz(path)) n = (size_t)(strrchr(path, '.') - path);
    for (dot = path + n - (n > 0); dot > name && *dot != '.';) dot--;
    if (dot <= name || *dot != '.') return 0;
    n = (size_t)(path + n - dot) - 1;
    if (!has_word(known, dot + 1, n) || has_word(list, dot + 1, n)) return 0;
    for (const char *s = possible; *s && strlen(words) + 12 < sizeof words; s += strcspn(s, " "), s += *s == ' ')
        snprintf(words + strlen(words), 12, " .%.*s", (int)strcspn(s, " "), s);
    return cad_fail(err, CAD_EARG, "%s: %.*s%s cannot be written; possible here:%s", path, (int)n, dot + 1,
                    output_is_gz(path) ? " with gzip" : "", words);
}

char *suffixed(const char *path, const char *suffix)
{
    char *s = malloc(strlen(path) + strlen(suffix) + 1);
    if (s) strcat(strcpy(s, path), suffix);
    return s;
}

static int descriptor(const output_t *o) { return o->file.path ? o->file.fd : o->fd; }

bool output_is_file(const output_t *o) { return o->file.path != NULL; }
bool output_is_terminal(const output_t *o) { return isatty(descriptor(o)); }
const char *output_name(const output_t *o) { return o->name; }
const char *output_temporary(const output_t *o) { return o->file.tmp; }

/* Opens the temporary file and registers it for removal. Signals are blocked until both are done. */
static int open_file(output_t *o, const char *path, cad_error_t *err)
{
    int rc;
    signals_hold();
    rc = cad_file_open_named(&o->file, path, err);
    if (rc == 0) o->ticket = temporary_add(o->file.tmp);
    signals_release();
    return rc;
}

/* Returns the descriptor that the path itself names ("-", /dev/stdout, /dev/stderr, /dev/fd/N or /proc/self/fd/N), or
 * -1. */
static int given_descriptor(const char *path)
{
    int64_t n = -1;
    if (!strcmp(path, "-") || !strcmp(path, "/dev/stdout")) return STDOUT_FILENO;
    if (!strcmp(path, "/dev/stderr")) return STDERR_FILENO;
    if (!strncmp(path, "/dev/fd/", 8)) cad_parse_int(path + 8, 0, INT32_MAX, &n);
    else if (!strncmp(path, "/proc/self/fd/", 14)) cad_parse_int(path + 14, 0, INT32_MAX, &n);
    return (int)n;
}

/* Opens a temporary file if path is a regular file or absent; opens path itself if it is a pipe or device. */
static int open_target(output_t *o, const char *path, cad_error_t *err)
{
    struct stat sb;
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
    if (access(path, F_OK) == 0 && access(path, W_OK))
        return cad_fail(err, CAD_EIO, "%s: cannot write there: %s", path, strerror(errno));
    return open_file(o, path, err);
}

static int open_stream(output_t *o, bool bgzf, cad_error_t *err)
{
    int fd = o->stream_fd = fcntl(descriptor(o), F_DUPFD_CLOEXEC, 3);
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
    int rc = beside ? output_open(out, beside, false, err) : cad_out_of_memory(err);
    free(beside);
    return rc;
}

int output_open(output_t **out, const char *path, bool bgzf, cad_error_t *err)
{
    output_t *o = calloc(1, sizeof *o);
    int rc;
    *out = NULL;
    if (!o) return cad_out_of_memory(err);
    o->fd = o->direct = o->ticket = -1;
    if (!*path) {
        free(o);
        return cad_fail(err, CAD_EARG, "an output without a name");
    }
    o->name = strdup(strcmp(path, "-") ? path : "standard output");
    rc = o->name ? open_target(o, path, err) : cad_out_of_memory(err);
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
    /* the error may have occurred in a compressing thread, whose errno htslib keeps */
    if (o->h && herrno(o->h)) errno = herrno(o->h);
    return write_error(o, err);
}

int output_hts(output_t *o, const char *mode, htsFile **fp, cad_error_t *err)
{
    errno = 0;
    /* CRAM stores this name in the file, so a constant is used instead of the path */
    o->hts = *fp = hts_hopen(o->h, "caduceus", mode);
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
    if (output_is_file(o)) return 0;
    fd = output_scratch(o->name, err);
    if (fd < 0) return CAD_EIO;
    if (o->h) hclose_abruptly(o->h); /* closes h without flushing, since nothing has been written yet */
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
        ssize_t put = pwrite(descriptor(o), (const char *)data + done, n - done, (off_t)(at + done));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return write_error(o, err);
        done += (size_t)put;
    }
    return 0;
}

static int copy_spool(output_t *o, cad_error_t *err)
{
    char buf[1 << 16];
    ssize_t n;
    if (lseek(o->fd, 0, SEEK_SET) < 0) return write_error(o, err);
    while ((n = read(o->fd, buf, sizeof buf)) > 0)
        if (cad_write_all(o->direct, buf, (size_t)n)) return write_error(o, err);
    return n < 0 ? write_error(o, err) : 0;
}

static int close_stream(output_t *o)
{
    /* flushes first, because hts_close loses the errno of the compressing threads */
    int at = o->hts && o->hts->is_bgzf && hts_flush(o->hts) ? herrno(o->h) : 0;
    int rc = o->hts ? hts_close(o->hts) : o->bgzf ? bgzf_close(o->bgzf) : o->h ? hclose(o->h) : 0;
    o->hts = NULL;
    o->bgzf = NULL;
    o->h = NULL;
    if (at) errno = at;
    return rc || at ? -1 : 0;
}

static int sync_file(output_t *o, cad_error_t *err)
{
    struct stat sb;
    /* sets the modification time to now; an index is synced after its data file, so it is not older */
    (void)!futimens(o->file.fd, NULL);
    if (fstat(o->file.fd, &sb)) return write_error(o, err);
    o->bytes = (int64_t)sb.st_size;
    return cad_file_sync(&o->file, NULL) ? write_error(o, err) : 0;
}

int output_sync(output_t *o, cad_error_t *err)
{
    int rc = 0;
    errno = 0;
    if (o->synced) return 0;
    if (o->failed) return CAD_EIO;
    if (close_stream(o)) return write_error(o, err);
    if (o->direct >= 0) rc = copy_spool(o, err);
    if (rc == 0 && output_is_file(o)) rc = sync_file(o, err);
    o->synced = rc == 0;
    return rc;
}

int64_t output_bytes(const output_t *o) { return o->bytes; }

static int close_descriptor(int *fd)
{
    int rc = *fd >= 0 ? close(*fd) : 0;
    *fd = -1;
    return rc;
}

int output_close(output_t *o, cad_error_t *err)
{
    int rc = output_sync(o, err);
    if (rc == 0 && output_is_file(o)) {
        if (cad_file_publish(&o->file, NULL)) rc = write_error(o, err);
        temporary_forget(o->ticket);
        o->ticket = -1;
    }
    if (rc == 0 && close_descriptor(&o->direct)) rc = write_error(o, err);
    if (rc == 0 && close_descriptor(&o->fd)) rc = write_error(o, err);
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

/* Closes a compressed stream without writing to its destination. Closing writes the EOF block, so the descriptor is
 * first replaced by /dev/null. */
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
    if (o->hts && o->failed && o->hts->format.format == cram)
        o->hts = NULL; /* leaked on purpose: closing would write the CRAM container again, and crash */
    else if ((o->bgzf || o->hts) && output_is_file(o)) close_stream(o);
    else if (o->bgzf || o->hts) abandon(o);
    else if (o->h) hclose_abruptly(o->h);
    cad_file_abort(&o->file);
    temporary_forget(o->ticket);
    close_descriptor(&o->fd);
    close_descriptor(&o->direct);
    free(o->name);
    free(o);
}
