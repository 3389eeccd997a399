/* file.h - files that are whole or absent. SPDX-License-Identifier: MIT */
#ifndef CAD_FILE_H
#define CAD_FILE_H

#include "base/base.h"

/* Follows links by hand, so that a dangling one names the file to create: *out, malloc'd. */
int cad_resolve(const char *path, char **out, cad_error_t *err);
typedef struct cad_file_t {
    char *path, *tmp;
    int fd;
    bool named;
} cad_file_t;
/* Begins a file that is to become path: it has no name or a temporary one beside
 * path until published. A failed call leaves nothing to abort. */
int cad_file_open(cad_file_t *f, const char *path, cad_error_t *err);
int cad_file_write(cad_file_t *f, const void *data, size_t n, cad_error_t *err);
/* On the disk, closed, under its temporary name. */
int cad_file_sync(cad_file_t *f, cad_error_t *err);
/* Renames what was synced, and frees f. */
int cad_file_publish(cad_file_t *f, cad_error_t *err);
/* Gives up what is not published; a zeroed f is allowed. */
void cad_file_abort(cad_file_t *f);
/* fsync of the folder that holds path: 0 or -1 with errno. */
int cad_sync_folder(const char *path);
/* Makes folder dir if it is absent (*made, may be NULL) and checks that files can be made there. */
int cad_folder_make(const char *dir, bool *made, cad_error_t *err);
/* Until *fd is closed, or the process dies, other claims on dir fail; not where the file system cannot do that (*fd: -1). */
int cad_folder_claim(const char *dir, int *fd, cad_error_t *err);
/* Removes the temporaries in it of processes that are no more. */
void cad_folder_sweep(const char *dir);

#endif
