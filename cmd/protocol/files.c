/* files.c - writes and removes the files of caduceus protocol. SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "protocol/protocol.h"

int protocol_file(const char *dir, const char *name, const text_t *t, cad_error_t *err)
{
    char *path = cad_path_join(dir, name);
    output_t *out = NULL;
    int rc = path ? output_open(&out, path, false, err) : cad_out_of_memory(err);
    if (rc == 0) rc = text_write(out, t, err);
    if (rc == 0) rc = output_close(out, err);
    else output_abort(out);
    free(path);
    return rc;
}

static int remove_one(const char *dir, const char *name, cad_error_t *err)
{
    char *path = cad_path_join(dir, name);
    int rc = path ? 0 : cad_out_of_memory(err);
    if (rc == 0 && unlink(path) && errno != ENOENT) rc = cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    free(path);
    return rc;
}

int protocol_remove(const char *dir, cad_error_t *err)
{
    DIR *d = opendir(dir);
    int rc = 0;
    if (!d) return errno == ENOENT ? 0 : cad_fail(err, CAD_EIO, "%s: %s", dir, strerror(errno));
    for (struct dirent *e; rc == 0 && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) rc = remove_one(dir, e->d_name, err);
    closedir(d);
    if (rc == 0 && rmdir(dir)) rc = cad_fail(err, CAD_EIO, "%s: %s", dir, strerror(errno));
    return rc;
}
