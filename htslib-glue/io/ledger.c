/* ledger.c - keeps a list of the files that a command reads and writes.
 *
 * SPDX-License-Identifier: MIT
 */
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "io/ledger.h"
#include "io/output.h"

/* READ: an input; MADE: an input that the command creates if it is absent, such as an index; WRITTEN: an output */
typedef enum { READ, MADE, WRITTEN } use_t;

typedef struct ledger_file_t {
    char *path;
    use_t use;
} ledger_file_t;

/* Adds a file. Takes ownership of path, which is malloc'd. If path is NULL, because its allocation failed, sets
 * l->failed. */
static void add(ledger_t *l, char *path, use_t use)
{
    ledger_file_t *more = path ? realloc(l->file, (size_t)(l->n + 1) * sizeof *more) : NULL;
    if (more) {
        l->file = more;
        l->file[l->n++] = (ledger_file_t) { .path = path, .use = use };
        return;
    }
    free(path);
    l->failed = true;
}

void ledger_input(ledger_t *l, const char *path)
{
    if (path) add(l, strdup(path), READ);
}

void ledger_inputs(ledger_t *l, const char *path, const char *const suffix[])
{
    for (; path && *suffix; suffix++) add(l, suffixed(path, *suffix), READ);
}

void ledger_reference(ledger_t *l, const char *path)
{
    static const char *const own[] = { "", ".fai", ".gzi" };
    for (int i = 0; path && i < 3; i++) add(l, suffixed(path, own[i]), MADE);
}

/* Gets the status of a path or, if the path is "-", of descriptor fd. */
static int status(const char *path, int fd, struct stat *sb)
{
    return strcmp(path, "-") ? stat(path, sb) : fstat(fd, sb);
}

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool same_file(const char *output, const char *input)
{
    struct stat x, y;
    return status(output, STDOUT_FILENO, &x) == 0 && status(input, STDIN_FILENO, &y) == 0 && S_ISREG(x.st_mode) &&
           same(&x, &y);
}

/* Gets the status of the folder that contains path. Shortens path to the folder's name. */
static int folder_status(char *path, struct stat *sb)
{
    char *slash = strrchr(path, '/');
    if (!slash) return stat(".", sb);
    *slash = 0;
    return stat(*path ? path : "/", sb);
}

/* True if both paths, whose links are resolved, lead to the same file: an existing file, or a file that does not exist
 * yet and has the same name in the same folder. Changes both texts. */
static bool one_target(char *a, char *b)
{
    struct stat s, t;
    const char *x = strrchr(a, '/'), *y = strrchr(b, '/');
    if (stat(a, &s) == 0 && stat(b, &t) == 0) return S_ISREG(s.st_mode) && same(&s, &t);
    return strcmp(x ? x + 1 : a, y ? y + 1 : b) == 0 && folder_status(a, &s) == 0 && folder_status(b, &t) == 0 &&
           same(&s, &t);
}

static int refuse_target(const char *output, const char *other, cad_error_t *err)
{
    char *x = NULL, *y = NULL;
    int rc;
    if (!strcmp(output, "-") || !strcmp(other, "-")) return 0;
    rc = cad_resolve(output, &x, err);
    if (rc == 0) rc = cad_resolve(other, &y, err);
    if (rc == 0 && one_target(x, y))
        rc = cad_fail(err, CAD_EARG, "%s: named for two outputs, or for an output and an index", output);
    free(x);
    free(y);
    return rc;
}

static int check(const ledger_t *l, const char *path, bool beside, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < l->n; i++)
        if (l->file[i].use != WRITTEN && same_file(path, l->file[i].path))
            return cad_fail(err, CAD_EARG, "%s: is also an input (%s); choose another output", path, l->file[i].path);
    for (int i = 0; i < l->n && rc == 0; i++)
        if (l->file[i].use == MADE || (l->file[i].use == WRITTEN && !beside))
            rc = refuse_target(path, l->file[i].path, err);
    return rc;
}

static int check_beside(const ledger_t *l, const char *path, cad_error_t *err)
{
    static const char *const suffix[] = { ".json", ".tbi", ".csi" };
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0 && strcmp(path, "-"); i++) {
        char *beside = suffixed(path, suffix[i]);
        rc = beside ? check(l, beside, true, err) : cad_out_of_memory(err);
        free(beside);
    }
    return rc;
}

int ledger_output(ledger_t *l, const char *path, cad_error_t *err)
{
    int rc = path ? check(l, path, false, err) : 0;
    if (rc || !path) return rc;
    rc = check_beside(l, path, err);
    if (rc == 0) add(l, strdup(path), WRITTEN);
    return rc == 0 && l->failed ? cad_out_of_memory(err) : rc;
}

void ledger_free(ledger_t *l)
{
    for (int i = 0; i < l->n; i++) free(l->file[i].path);
    free(l->file);
    *l = (ledger_t) { 0 };
}
