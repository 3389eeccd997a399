/* store.c - puts a model's files into the cache of the hub, as huggingface_hub does.
 *
 * The content of each file is a blob, named after its hash. While a blob is fetched, it has the name HASH.incomplete,
 * and a lock is held. It is renamed to HASH after its hash has been checked. The links from the snapshot to the blobs,
 * and then the file of the revision, are written last, so that a revision never points to a snapshot that lacks files.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cmd.h"
#include "store.h"

static int cannot(const char *path, cad_error_t *err)
{
    return cad_fail(err, CAD_EIO, "%s: cannot write there: %s", path, strerror(errno));
}

/* Creates all missing folders above path. */
static int make_folders(const char *path, cad_error_t *err)
{
    char *copy = strdup(path);
    int rc = copy ? 0 : cad_out_of_memory(err);
    for (char *s = copy; rc == 0 && (s = strchr(s + 1, '/'));) {
        *s = 0;
        if (mkdir(copy, 0777) && errno != EEXIST) rc = cannot(copy, err);
        *s = '/';
    }
    free(copy);
    return rc;
}

/* ---- which files the cache has ---- */

static int64_t size_of(const char *path)
{
    struct stat sb;
    return stat(path, &sb) == 0 && S_ISREG(sb.st_mode) ? sb.st_size : 0;
}

static bool is_whole(const char *blob, const remote_t *file)
{
    struct stat sb;
    return stat(blob, &sb) == 0 && S_ISREG(sb.st_mode) && sb.st_size == file->size;
}

/* Sets *part to the path of a blob while it is written, and *blob to its final path. Both are malloc'd. */
static int blob_paths(const char *model, const char *hash, char **blob, char **part, cad_error_t *err)
{
    char name[96];
    int rc = cad_hub_path(blob, CAD_HUB_BLOB, model, hash, err);
    snprintf(name, sizeof name, "%s.incomplete", hash);
    return rc ? rc : cad_hub_path(part, CAD_HUB_BLOB, model, name, err);
}

int64_t store_has(const char *model, const remote_t *file)
{
    char *blob = NULL, *part = NULL;
    int64_t has = 0;
    if (blob_paths(model, file->hash, &blob, &part, NULL) == 0) {
        has = is_whole(blob, file) ? STORE_WHOLE : size_of(part);
        if (has > file->size) has = 0; /* longer than the whole file, so it is not a beginning of this file */
    }
    free(blob);
    free(part);
    return has;
}

int store_room(int64_t bytes, cad_error_t *err)
{
    struct statvfs v;
    char *path, *slash, need[24], free_[24];
    int rc = cad_hub_path(&path, CAD_HUB_CACHE, NULL, NULL, err);
    if (rc) return rc;
    while (statvfs(path, &v) && (slash = strrchr(path, '/')) && slash > path) *slash = 0;
    if (statvfs(path, &v) == 0 && (double)v.f_bavail * (double)v.f_frsize < (double)bytes)
        rc = cad_fail(err, CAD_EIO, "%s: needs %s, the disk has %s; make room, or name another folder in $HF_HUB_CACHE",
                      path, size_text(bytes, need), size_text((int64_t)v.f_bavail * (int64_t)v.f_frsize, free_));
    free(path);
    return rc;
}

/* ---- locks ---- */

/* True if the file at path is still the one that fd has open. */
static bool still_there(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* Opens and locks the file at path; waits while another process has the lock. On a file system without locks, sets *fd
 * to -1 and returns 0. In that case two processes may write the same blob, and only the check of the hash detects
 * it. */
static int lock_file(const char *path, int *fd, const bar_t *bar, cad_error_t *err)
{
    for (;;) {
        int rc;
        *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0664);
        if (*fd < 0) return cannot(path, err);
        rc = flock(*fd, LOCK_EX | LOCK_NB);
        if (rc && errno == EWOULDBLOCK) {
            bar_waits(bar);
            while ((rc = flock(*fd, LOCK_EX)) && errno == EINTR) {}
        }
        if (rc == 0 && still_there(*fd, path)) return 0;
        close(*fd);
        *fd = -1;
        if (rc) return 0;
    }
}

static int lock_blob(const char *model, const char *hash, int *fd, const bar_t *bar, cad_error_t *err)
{
    char *path = NULL;
    int rc = cad_hub_path(&path, CAD_HUB_LOCK, model, hash, err);
    if (rc == 0) rc = make_folders(path, err);
    if (rc == 0) rc = lock_file(path, fd, bar, err);
    free(path);
    return rc;
}

/* ---- a blob ---- */

typedef struct {
    sink_t sink; /* must be the first member, since its functions cast it to this struct */
    int fd;
    const char *path; /* path of HASH.incomplete */
    const remote_t *file;
    bar_t *bar;
    bool git; /* true: the hash is git's SHA-1; false: SHA-256 */
    struct sha256_ctx sha256;
    struct sha1_ctx sha1;
} blob_t;

static void hash_begin(blob_t *b)
{
    char head[64];
    b->git = strlen(b->file->hash) == 40;
    sha256_init(&b->sha256);
    sha1_init(&b->sha1);
    sha1_update(&b->sha1, (size_t)snprintf(head, sizeof head, "blob %lld", (long long)b->file->size) + 1,
                (const uint8_t *)head);
}

static void hash_add(blob_t *b, const void *data, size_t n)
{
    if (b->git) sha1_update(&b->sha1, n, data);
    else sha256_update(&b->sha256, n, data);
}

/* Writes the hash of all bytes to hex, as hexadecimal digits. */
static void hash_end(blob_t *b, char hex[65])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    size_t n = b->git ? SHA1_DIGEST_SIZE : SHA256_DIGEST_SIZE;
    if (b->git) sha1_digest(&b->sha1, n, digest);
    else sha256_digest(&b->sha256, n, digest);
    for (size_t i = 0; i < n; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static int blob_write(sink_t *sink, const void *data, size_t n, cad_error_t *err)
{
    blob_t *b = (blob_t *)sink;
    if (cad_write_all(b->fd, data, n))
        return cad_fail(err, CAD_EIO,
                        "%s: %s: write failed: %s; make room and run the command again to continue the download",
                        sink->name, b->path, strerror(errno));
    hash_add(b, data, n);
    sink->at += (int64_t)n;
    bar_add(b->bar, (int64_t)n, true);
    return 0;
}

static int blob_rewind(sink_t *sink, cad_error_t *err)
{
    blob_t *b = (blob_t *)sink;
    if (ftruncate(b->fd, 0) || lseek(b->fd, 0, SEEK_SET)) return cannot(b->path, err);
    hash_begin(b);
    bar_add(b->bar, -sink->at, false);
    sink->at = 0;
    return 0;
}

/* Hashes the bytes that an earlier download left, so that this download continues after them. */
static int blob_resume(blob_t *b, cad_error_t *err)
{
    char buf[1 << 16];
    ssize_t n;
    while ((n = read(b->fd, buf, sizeof buf)) > 0) {
        hash_add(b, buf, (size_t)n);
        b->sink.at += n;
        bar_add(b->bar, n, false);
    }
    if (n < 0) return cad_fail(err, CAD_EIO, "%s: %s", b->path, strerror(errno));
    return b->sink.at > b->sink.size ? blob_rewind(&b->sink, err) : 0;
}

void store_escape(text_t *to, const char *s)
{
    for (; *s; s++) {
        bool plain = (*s >= '0' && *s <= '9') || ((*s | 32) >= 'a' && (*s | 32) <= 'z') || strchr("-_.~", *s);
        text_printf(to, plain ? "%c" : "%%%02X", (unsigned char)*s);
    }
}

/* Fetches the missing bytes of the blob, and compares the hash of all bytes with the expected hash. Returns 0, 1 if the
 * hash is wrong, or a negative code. */
static int blob_complete(blob_t *b, fetch_t *fetch, const char *path, char hex[65], cad_error_t *err)
{
    int rc = b->sink.at == b->sink.size ? 0 : fetch_get(fetch, path, &b->sink, err);
    if (rc) return rc;
    hash_end(b, hex);
    return strcmp(hex, b->file->hash) != 0;
}

/* Fetches a blob. If the hash is wrong, the bytes that an earlier download left may be damaged, so the whole blob is
 * fetched once more. */
static int blob_fetch(blob_t *b, fetch_t *fetch, const char *path, cad_error_t *err)
{
    char hex[65] = "";
    bool resumed = b->sink.at > 0;
    int rc = blob_complete(b, fetch, path, hex, err);
    if (rc == 1 && resumed) {
        rc = blob_rewind(&b->sink, err);
        if (rc == 0) rc = blob_complete(b, fetch, path, hex, err);
    }
    if (rc != 1) return rc;
    unlink(b->path);
    return cad_fail(err, CAD_EFORMAT,
                    "%s: the downloaded file has %s %s, the hub lists %s; it was deleted; run the command again",
                    b->sink.name, b->git ? "git hash" : "SHA-256", hex, b->file->hash);
}

static int open_part(blob_t *b, cad_error_t *err)
{
    b->fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (b->fd < 0) return cannot(b->path, err);
    hash_begin(b);
    return blob_resume(b, err);
}

/* Syncs and closes the file, then renames it to `blob`. */
static int finish_part(blob_t *b, const char *blob, cad_error_t *err)
{
    int fd = b->fd;
    if (fsync(fd)) return cannot(b->path, err);
    b->fd = -1;
    if (close(fd) || rename(b->path, blob) || cad_sync_folder(blob)) return cannot(blob, err);
    return 0;
}

static int fetch_blob(fetch_t *fetch, const char *blob, const char *part, const char *url, const remote_t *file,
                      bar_t *bar, cad_error_t *err)
{
    blob_t b = { .sink = { .name = file->name, .size = file->size, .write = blob_write, .rewind = blob_rewind },
                 .fd = -1,
                 .path = part,
                 .file = file,
                 .bar = bar };
    int rc = open_part(&b, err);
    if (rc == 0) rc = blob_fetch(&b, fetch, url, err);
    if (rc == 0) rc = finish_part(&b, blob, err);
    if (b.fd >= 0) close(b.fd);
    return rc;
}

int store_blob(fetch_t *fetch, const char *model, const char *commit, const remote_t *file, bar_t *bar,
               cad_error_t *err)
{
    char *blob = NULL, *part = NULL;
    text_t url = { 0 };
    int lock = -1, rc = blob_paths(model, file->hash, &blob, &part, err);
    bar->name = file->name;
    text_printf(&url, "%s/resolve/%s/", model, commit);
    store_escape(&url, file->name);
    if (rc == 0 && url.failed) rc = cad_out_of_memory(err);
    if (rc == 0) rc = make_folders(blob, err);
    if (rc == 0 && !is_whole(blob, file)) rc = lock_blob(model, file->hash, &lock, bar, err);
    if (rc == 0 && is_whole(blob, file)) bar_add(bar, file->size, false);
    else if (rc == 0) rc = fetch_blob(fetch, blob, part, url.s.s, file, bar, err);
    if (lock >= 0) close(lock);
    text_free(&url);
    free(blob);
    free(part);
    return rc;
}

/* ---- the snapshot ---- */

/* Makes or replaces the link at path, which points to the file's blob. If a complete regular file is at path, keeps it:
 * systems without links have such files instead. */
static int link_blob(const char *path, const remote_t *file, cad_error_t *err)
{
    char target[128], there[128];
    ssize_t n = readlink(path, there, sizeof there - 1);
    snprintf(target, sizeof target, "../../blobs/%s", file->hash);
    there[n < 0 ? 0 : n] = 0;
    if (n < 0 ? is_whole(path, file) : !strcmp(target, there)) return 0;
    if (unlink(path) && errno != ENOENT) return cannot(path, err);
    return symlink(target, path) && errno != EEXIST ? cannot(path, err) : 0;
}

static int link_all(const cad_hub_name_t *name, const listing_t *l, cad_error_t *err)
{
    char *dir = NULL;
    int rc = cad_hub_path(&dir, CAD_HUB_SNAPSHOT, name->model, l->commit, err);
    for (int i = 0; i < l->n && rc == 0; i++) {
        char *path = cad_path_join(dir, l->file[i].name);
        rc = path ? make_folders(path, err) : cad_out_of_memory(err);
        if (rc == 0) rc = link_blob(path, &l->file[i], err);
        free(path);
    }
    free(dir);
    return rc;
}

/* Writes the commit to the revision's file in refs/. A revision that is the commit itself needs no such file. */
static int write_ref(const cad_hub_name_t *name, const char *commit, cad_error_t *err)
{
    cad_file_t f = { 0 };
    char *path = NULL, *old = NULL;
    size_t size = 0;
    int rc = cad_hub_path(&path, CAD_HUB_REF, name->model, name->revision, err);
    if (rc == 0) rc = make_folders(path, err);
    if (rc == 0) rc = cad_read_text(&old, &size, path, true, err);
    if (rc == 0 && (!old || strcmp(old, commit))) {
        rc = cad_file_open(&f, path, err);
        if (rc == 0) rc = cad_file_write(&f, commit, strlen(commit), err);
        if (rc == 0) rc = cad_file_sync(&f, err);
        if (rc == 0) rc = cad_file_publish(&f, err);
        cad_file_abort(&f);
    }
    free(old);
    free(path);
    return rc;
}

int store_snapshot(const cad_hub_name_t *name, const listing_t *l, cad_error_t *err)
{
    int rc;
    signals_hold();
    rc = link_all(name, l, err);
    if (rc == 0 && strcmp(name->revision, l->commit)) rc = write_ref(name, l->commit, err);
    signals_release();
    return rc;
}
