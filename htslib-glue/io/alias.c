/* alias.c - reads other names of a reference's contigs (--chr-alias). Each line of the file lists the names of
 * one contig, as in UCSC's chromAlias.txt. SPDX-License-Identifier: MIT
 */
#include "io/input.h"
#include "io/fasta.h"

typedef struct alias_t {
    char *name;
    const contig_t *contig;
} alias_t;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const alias_t *)a)->name, ((const alias_t *)b)->name);
}

/* Adds the alias `name` of contig c. Takes ownership of name. If name is NULL, because its allocation failed, returns
 * an error. */
static int add(fasta_t *f, char *name, const contig_t *c, cad_error_t *err)
{
    alias_t *more = name ? realloc(f->alias, (size_t)(f->nalias + 1) * sizeof *more) : NULL;
    if (!more) {
        free(name);
        return cad_out_of_memory(err);
    }
    f->alias = more;
    f->alias[f->nalias++] = (alias_t) { .name = name, .contig = c };
    return 0;
}

/* Returns the next name in the line at *at, sets *n to its length and moves *at past it; NULL at the end of the
 * line. */
static const char *next_name(const char **at, size_t *n)
{
    const char *s = *at + strspn(*at, "\t\r");
    *n = strcspn(s, "\t\r");
    *at = s + *n;
    return *n ? s : NULL;
}

/* Returns the contig of the FASTA that has one of the names in the line, or NULL if there is none. */
static const contig_t *known(const fasta_t *f, const char *line)
{
    const contig_t *c = NULL;
    const char *s;
    size_t n;
    while (!c && (s = next_name(&line, &n))) c = fasta_own(f, s, n);
    return c;
}

static int take_line(fasta_t *f, const char *line, cad_error_t *err)
{
    const contig_t *c = *line == '#' ? NULL : known(f, line);
    const char *s;
    size_t n;
    int rc = 0;
    while (rc == 0 && c && (s = next_name(&line, &n)))
        if (strlen(c->name) != n || strncmp(c->name, s, n)) rc = add(f, strndup(s, n), c, err);
    return rc;
}

/* Sorts the aliases, and drops each name that the file gives to several contigs. UCSC's older files have a column with
 * the names of data sources, which are not names of contigs. */
static void drop_ambiguous(fasta_t *f)
{
    int n = 0;
    qsort(f->alias, (size_t)f->nalias, sizeof *f->alias, by_name);
    for (int i = 0, j; i < f->nalias; i = j) {
        bool one = true;
        for (j = i + 1; j < f->nalias && !strcmp(f->alias[j].name, f->alias[i].name); j++) {
            one &= f->alias[j].contig == f->alias[i].contig;
            free(f->alias[j].name);
        }
        if (one) f->alias[n++] = f->alias[i];
        else free(f->alias[i].name);
    }
    f->nalias = n;
}

int fasta_alias(fasta_t *f, const char *path, cad_error_t *err)
{
    input_t in;
    kstring_t line = { 0, 0, NULL };
    int rc = input_open(&in, path, "bed", err), got = 0;
    while (rc == 0 && (got = input_line(&in, &line, err)) > 0) rc = take_line(f, line.s, err);
    free(line.s);
    input_close(&in);
    if (rc || got < 0) return rc ? rc : got;
    if (f->nalias) drop_ambiguous(f);
    return f->nalias
               ? 0
               : cad_fail(err, CAD_EFORMAT,
                          "%s: names no contig of %s; a line holds names of one contig, tab-separated", path, f->path);
}

const contig_t *alias_find(const fasta_t *f, const char *name)
{
    alias_t key = { (char *)(uintptr_t)name, NULL };
    const alias_t *a = f->nalias ? bsearch(&key, f->alias, (size_t)f->nalias, sizeof key, by_name) : NULL;
    return a ? a->contig : NULL;
}

void alias_free(fasta_t *f)
{
    for (int i = 0; i < f->nalias; i++) free(f->alias[i].name);
    free(f->alias);
}
