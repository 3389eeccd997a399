/* beside.c - copies the other files of a checkpoint's folder, such as its README. SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beside.h"

static bool ends(const char *name, const char *with)
{
    size_t n = strlen(name), k = strlen(with);
    return n >= k && !strcmp(name + n - k, with);
}

/* True for a file that is to be copied: it is not weights, not a configuration and not hidden. */
static bool other(const struct dirent *e)
{
    static const char *const own[] = { "config.json", "tokenizer_config.json", "model_config.json",
                                       "adapter_config.json" };
    static const char *const weights[] = { ".safetensors", ".bin", ".pt",   ".pth", ".ckpt",
                                           ".index.json",  ".h5",  ".onnx", ".npz", ".msgpack" };
    bool copied = e->d_name[0] != '.';
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) copied = copied && strcmp(e->d_name, own[i]);
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) copied = copied && !ends(e->d_name, weights[i]);
    return copied;
}

static int copy_bytes(cad_file_t *f, int fd, const char *path, cad_error_t *err)
{
    char buf[1 << 16];
    ssize_t n;
    int rc = 0;
    while (rc == 0 && (n = read(fd, buf, sizeof buf)) != 0) {
        if (n < 0 && errno == EINTR) continue;
        rc = n < 0 ? cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno)) : cad_file_write(f, buf, (size_t)n, err);
    }
    return rc;
}

static int copy_to(beside_t *b, int fd, const char *from, const char *to, ledger_t *files, cad_error_t *err)
{
    cad_file_t *f = realloc(b->file, ((size_t)b->n + 1) * sizeof *f);
    int rc;
    if (!f) return cad_out_of_memory(err);
    b->file = f;
    ledger_input(files, from);
    rc = ledger_output(files, to, err);
    if (rc == 0) rc = cad_file_open(&b->file[b->n], to, err);
    if (rc) return rc;
    rc = copy_bytes(&b->file[b->n++], fd, from, err);
    return rc ? rc : cad_file_sync(&b->file[b->n - 1], err); /* closes the file, since a folder may hold many files */
}

static int copy_one(beside_t *b, const char *dir, const char *name, const char *to, ledger_t *files, cad_error_t *err)
{
    char *source = cad_path_join(dir, name), *target = cad_path_join(to, name);
    int fd = source ? open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1, rc = 0;
    struct stat sb;
    if (!source || !target) rc = cad_out_of_memory(err);
    else if (fd < 0 || fstat(fd, &sb)) rc = cad_fail(err, CAD_EIO, "%s: %s", source, strerror(errno));
    else if (S_ISREG(sb.st_mode)) rc = copy_to(b, fd, source, target, files, err);
    if (fd >= 0) close(fd);
    free(source);
    free(target);
    return rc;
}

int beside_copy(beside_t *b, const char *from, const char *to, ledger_t *files, cad_error_t *err)
{
    DIR *d = opendir(from);
    struct dirent *e;
    int rc = 0;
    if (!d) return cad_fail(err, CAD_EIO, "%s: %s", from, strerror(errno));
    for (errno = 0; rc == 0 && (e = readdir(d)); errno = 0)
        if (other(e)) rc = copy_one(b, from, e->d_name, to, files, err);
    if (rc == 0 && errno) rc = cad_fail(err, CAD_EIO, "%s: %s", from, strerror(errno));
    closedir(d);
    return rc;
}

int beside_publish(beside_t *b, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < b->n && rc == 0; i++) rc = cad_file_publish(&b->file[i], err);
    return rc;
}

void beside_abort(beside_t *b)
{
    for (int i = 0; i < b->n; i++) cad_file_abort(&b->file[i]);
    free(b->file);
    *b = (beside_t) { 0 };
}
