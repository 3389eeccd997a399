/* files.c - writes and removes the files of caduceus protocol. SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "io/foundation.h"
#include "protocol/protocol.h"

int protocol_file(const char *dir, const char *name, const text_t *t, cad_error_t *err)
{
    char *path = cad_path_join(dir, name);
    int rc = path ? text_save(t, path, err) : cad_out_of_memory(err);
    free(path);
    return rc;
}

int protocol_remove(const char *dir, cad_error_t *err)
{
    DIR *d = opendir(dir);
    int rc = 0;
    if (!d) return errno == ENOENT ? 0 : cad_fail(err, CAD_EIO, "%s: %s", dir, strerror(errno));
    for (struct dirent *e; rc == 0 && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) rc = cad_path_remove(dir, e->d_name, err);
    closedir(d);
    if (rc == 0 && rmdir(dir)) rc = cad_fail(err, CAD_EIO, "%s: %s", dir, strerror(errno));
    return rc;
}
