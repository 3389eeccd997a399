/* file.h - reading whole files; writing files that are whole or absent; folders.
 * Every function that takes err returns 0 or a negative CAD_E* with a text.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_FILE_H
#define CAD_FILE_H

#include "base/base.h"

/* ---- reading ---- */
/* Reads exactly n bytes at offset; path is for messages. */
int cad_pread(int fd, void *buf, size_t n, int64_t offset, const char *path, cad_error_t *err);
/* Reads a whole text file: malloc'd, with a NUL after its size bytes. An absent file that is
 * optional gives NULL and 0. */
int cad_read_text(char **text, size_t *size, const char *path, bool optional, cad_error_t *err);

/* ---- paths ---- */
/* "dir/name", malloc'd; NULL when out of memory. */
char *cad_path_join(const char *dir, const char *name);
/* True for a relative path that stays in its folder: no component is empty, "." or "..", no
 * character is a control character. */
bool cad_path_inside(const char *path);
/* The path that links at `path` lead to, malloc'd into *out. It is found without realpath, so
 * that a dangling link gives the name of the file to create. */
int cad_resolve(const char *path, char **out, cad_error_t *err);

/* ---- writing ---- */
/* Writes n bytes to a descriptor: 0, or -1 with errno. */
int cad_write_all(int fd, const void *data, size_t n);

/* A file that is being written. Zeroed: none. */
typedef struct cad_file_t {
    char *path; /* destination, links resolved; owned */
    char *tmp;  /* temporary name; owned */
    int fd;     /* -1 once synced */
    bool named; /* tmp exists */
} cad_file_t;
/* Begins a file that is to replace path. Until it is published it has no name, where the file
 * system can do that, or a temporary one beside path. After a failure there is nothing to abort. */
int cad_file_open(cad_file_t *f, const char *path, cad_error_t *err);
/* The same, always under the temporary name f->tmp, for writers that need a name. */
int cad_file_open_named(cad_file_t *f, const char *path, cad_error_t *err);
int cad_file_write(cad_file_t *f, const void *data, size_t n, cad_error_t *err);
/* Gives f the mode of the file it will replace, syncs and closes it. Afterwards f is under its
 * temporary name, not yet its path. errno is set on failure. */
int cad_file_sync(cad_file_t *f, cad_error_t *err);
/* Renames a synced f to its path, syncs the folder and frees f, also on failure. */
int cad_file_publish(cad_file_t *f, cad_error_t *err);
/* Removes what is not published and frees f; a zeroed f is allowed. */
void cad_file_abort(cad_file_t *f);

/* ---- folders ---- */
/* fsync of the folder that holds path: 0, or -1 with errno. */
int cad_sync_folder(const char *path);
/* Makes folder dir if it is absent (*made, may be NULL) and checks that files can be made in it. */
int cad_folder_make(const char *dir, bool *made, cad_error_t *err);
/* Locks dir: other claims on it fail until *fd is closed or the process dies. A file system
 * without locks gives *fd -1 and 0. */
int cad_folder_claim(const char *dir, int *fd, cad_error_t *err);
/* Removes the temporaries in dir whose processes have ended. */
void cad_folder_sweep(const char *dir);

#endif
