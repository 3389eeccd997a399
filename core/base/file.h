/* file.h - reads whole files; writes files that are complete or absent; makes and locks folders. Every function that
 * takes err returns 0, or a negative CAD_E* code with a text in err. SPDX-License-Identifier: MIT
 */
#ifndef CAD_FILE_H
#define CAD_FILE_H

#include "base/base.h"

/* ---- reading ---- */
/* Reads exactly n bytes of fd, from `offset` onwards, into buf; path is for error messages. */
int cad_pread(int fd, void *buf, size_t n, int64_t offset, const char *path, cad_error_t *err);
/* Reads a whole text file of at most 64 MB. *text becomes its *size bytes and a NUL, malloc'd. If the file is absent
 * and `optional` is true, sets *text to NULL and *size to 0. */
int cad_read_text(char **text, size_t *size, const char *path, bool optional, cad_error_t *err);

/* ---- paths ---- */
/* Returns "dir/name", malloc'd; NULL when out of memory. */
char *cad_path_join(const char *dir, const char *name);
/* True if there is a file or folder "dir/name". */
bool cad_path_present(const char *dir, const char *name);
/* True if path is a folder, or a symbolic link to one. */
bool cad_path_is_folder(const char *path);
/* True if path is relative and cannot lead out of its folder: no component is empty, "." or "..", and none contains a
 * control character. */
bool cad_path_inside(const char *path);
/* Follows symbolic links from `path` and sets *out to the final path, malloc'd. Unlike realpath, this function accepts
 * a link whose target does not exist; *out is then the path of the file to create. */
int cad_resolve(const char *path, char **out, cad_error_t *err);

/* ---- writing ---- */
/* Writes n bytes to a descriptor; returns 0, or -1 with errno. */
int cad_write_all(int fd, const void *data, size_t n);

/* A file that is being written. If all members are zero, there is no file. */
typedef struct cad_file_t {
    char *path; /* destination, with symbolic links followed; owned */
    char *tmp;  /* temporary name; owned */
    int fd;     /* descriptor; -1 after cad_file_sync */
    bool named; /* the file exists under the name tmp */
} cad_file_t;
/* Begins to write a file that will replace path. Where the file system supports it, the file has no name until
 * cad_file_sync gives it one; elsewhere it has a temporary name in the folder of path. If this call fails,
 * cad_file_abort need not be called. */
int cad_file_open(cad_file_t *f, const char *path, cad_error_t *err);
/* Does the same as cad_file_open, but gives the file the temporary name f->tmp at once, for writers that need a
 * name. */
int cad_file_open_named(cad_file_t *f, const char *path, cad_error_t *err);
int cad_file_write(cad_file_t *f, const void *data, size_t n, cad_error_t *err);
/* Gives the file the mode of the file that it will replace, then syncs and closes it. Afterwards the file has its
 * temporary name, not yet its final name `path`. errno is set on failure. */
int cad_file_sync(cad_file_t *f, cad_error_t *err);
/* Renames a synced file to its path and syncs the folder. Frees f, also on failure. */
int cad_file_publish(cad_file_t *f, cad_error_t *err);
/* Removes the file if it has not been published, and frees f. A zeroed f is allowed. */
void cad_file_abort(cad_file_t *f);

/* Removes file "dir/name". It is no error if the file is absent. */
int cad_path_remove(const char *dir, const char *name, cad_error_t *err);

/* ---- folders ---- */
/* Syncs the folder that contains path; returns 0, or -1 with errno. */
int cad_sync_folder(const char *path);
/* Makes folder dir if it is absent, and checks that files can be made in dir. Sets *made to whether this call made the
 * folder; made may be NULL. */
int cad_folder_make(const char *dir, bool *made, cad_error_t *err);
/* Locks folder dir: other calls for dir fail until *fd is closed or the process ends. If dir cannot be opened or the
 * file system has no locks, sets *fd to -1 and returns 0. */
int cad_folder_claim(const char *dir, int *fd, cad_error_t *err);
/* Removes the temporary files in dir that were left by processes that have ended. */
void cad_folder_sweep(const char *dir);

#endif
