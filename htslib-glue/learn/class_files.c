/* class_files.c - lists the files of a folder that has, for each class, a table or a folder with a text for each
 * sequence, as the Genomic Benchmarks are laid out. SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <errno.h>

#include "io/foundation.h"
#include "learn/labelled.h"

typedef struct {
    class_file_t *file; // (n)
    int n, room;
} list_t;

void class_files_free(class_file_t *file, int n)
{
    for (int i = 0; i < n; i++) {
        free(file[i].path);
        free(file[i].class);
    }
    free(file);
}

/* Adds a file; takes ownership of path, and copies n letters of the class's name. */
static int add(list_t *l, char *path, const char *class, size_t n, bool text, cad_error_t *err)
{
    class_file_t *more = l->file;
    if (l->n == l->room) {
        l->room = l->room ? 2 * l->room : 64;
        more = path ? realloc(l->file, (size_t)l->room * sizeof *more) : NULL;
    }
    if (!path || !more) {
        free(path);
        return cad_out_of_memory(err);
    }
    l->file = more;
    l->file[l->n] = (class_file_t) { .path = path, .class = strndup(class, n), .text = text };
    return l->file[l->n++].class ? 0 : cad_out_of_memory(err);
}

/* Calls fn for each entry of the folder whose name does not begin with a dot. */
static int each_entry(list_t *l, const char *dir, const char *class,
                      int (*fn)(list_t *l, const char *dir, const char *class, const char *name, cad_error_t *err),
                      cad_error_t *err)
{
    DIR *d = opendir(dir);
    int rc = d ? 0 : cad_fail(err, CAD_EIO, "%s: %s", dir, strerror(errno));
    for (struct dirent *e; rc == 0 && (e = readdir(d));)
        if (*e->d_name != '.') rc = fn(l, dir, class, e->d_name, err);
    if (d) closedir(d);
    return rc;
}

static int add_text(list_t *l, const char *dir, const char *class, const char *name, cad_error_t *err)
{
    return add(l, cad_path_join(dir, name), class, strlen(class), true, err);
}

/* Adds the table CLASS.csv or CLASS.csv.gz, or all files of the folder CLASS. Other files, such as metadata.yaml, are
 * left out. */
static int add_class(list_t *l, const char *dir, const char *none, const char *name, cad_error_t *err)
{
    static const char *const suffix[] = { ".csv", ".csv.gz", ".tsv", ".tsv.gz" };
    char *path = cad_path_join(dir, name);
    int rc = path ? 0 : cad_out_of_memory(err);
    (void)none;
    if (rc == 0 && cad_path_is_folder(path)) rc = each_entry(l, path, name, add_text, err);
    else
        for (size_t i = 0; i < sizeof suffix / sizeof *suffix && rc == 0; i++)
            if (ends_in(name, suffix[i]))
                rc = add(l, cad_path_join(dir, name), name, strlen(name) - strlen(suffix[i]), false, err);
    free(path);
    return rc;
}

static int by_class(const void *a, const void *b)
{
    const class_file_t *x = a, *y = b;
    int c = strcmp(x->class, y->class);
    return c ? c : strcmp(x->path, y->path);
}

int class_files(const char *dir, class_file_t **file, int *n, cad_error_t *err)
{
    list_t l = { 0 };
    int rc = each_entry(&l, dir, NULL, add_class, err);
    if (rc == 0 && l.n == 0)
        rc = cad_fail(err, CAD_EFORMAT, "%s: a folder without a CLASS.csv or a folder of texts for each class", dir);
    if (l.n) qsort(l.file, (size_t)l.n, sizeof *l.file, by_class);
    *file = l.file;
    *n = l.n;
    return rc;
}
