/* trainlog.c - writes log.tsv of a training run. A resumed run keeps the complete lines up to its checkpoint.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "train/trainlog.h"

/* Copies the lines of the existing log, if there is one, up to and including the line of `step`. */
static int copy_lines(output_t *out, const char *path, int64_t step, cad_error_t *err)
{
    FILE *old = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t n = 0;
    int rc = 0;
    if (!old) return errno == ENOENT ? 0 : cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    while (rc == 0 && (n = getline(&line, &room, old)) > 0)
        if (line[n - 1] == '\n' && *line != '#' && strtoll(line, NULL, 10) <= step)
            rc = output_write(out, line, (size_t)n, err);
    if (rc == 0 && !feof(old)) rc = cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    free(line);
    fclose(old);
    return rc;
}

/* Rewrites the log with its header and the lines up to `step`. After a failure, the old log is unchanged. */
static int rewrite(const char *path, const char *header, int64_t step, cad_error_t *err)
{
    output_t *out;
    int rc = output_open(&out, path, false, err);
    if (rc) return rc;
    rc = output_write(out, header, strlen(header), err);
    if (rc == 0 && step) rc = copy_lines(out, path, step, err);
    if (rc == 0) return output_close(out, err);
    output_abort(out);
    return rc;
}

int trainlog_open(cad_file_t *log, const char *dir, const char *header, int64_t step, cad_error_t *err)
{
    int rc;
    *log = (cad_file_t) { .path = cad_path_join(dir, "log.tsv"), .fd = -1 };
    rc = log->path ? rewrite(log->path, header, step, err) : cad_out_of_memory(err);
    if (rc == 0) log->fd = open(log->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (rc == 0 && log->fd < 0) rc = cad_fail(err, CAD_EIO, "%s: %s", log->path, strerror(errno));
    if (rc) cad_file_abort(log);
    return rc;
}

int trainlog_put(cad_file_t *log, const text_t *line, cad_error_t *err)
{
    if (line->failed) return cad_fail(err, CAD_ENOMEM, "%s: out of memory for a line", log->path);
    return cad_file_write(log, line->s.s, line->s.l, err);
}

static int failed(const cad_file_t *log, cad_error_t *err)
{
    return cad_fail(err, CAD_EIO, "%s: write failed: %s", log->path, strerror(errno));
}

int trainlog_sync(const cad_file_t *log, cad_error_t *err)
{
    return fsync(log->fd) && errno != EINVAL ? failed(log, err) : 0;
}

int trainlog_close(cad_file_t *log, cad_error_t *err)
{
    int rc = 0;
    if (!log->path) return 0;
    if (close(log->fd)) rc = failed(log, err);
    log->fd = -1;
    cad_file_abort(log);
    return rc;
}
