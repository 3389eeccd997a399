/* splits.c - reads intervals of a reference, grouped by the names in column 4 of a BED.
 * SPDX-License-Identifier: MIT */
#include "io/row_place.h"
#include "io/splits.h"

#define MOST 1000 /* maximum number of names; a BED with more probably holds something else in column 4 */

static int find(const splits_t *s, const char *name, int n)
{
    if (s->n && !name == !s->name[0])
        for (int i = 0; i < s->n; i++)
            if (!name || (!strncmp(s->name[i], name, (size_t)n) && !s->name[i][n])) return i;
    return -1;
}

/* Adds a split, which is a set of intervals with one name. Returns its index, or a negative CAD_E*. */
static int add_split(splits_t *s, const char *name, int n, cad_error_t *err)
{
    char **names = realloc(s->name, (size_t)(s->n + 1) * sizeof *names);
    regions_t **spans = names ? realloc(s->span, (size_t)(s->n + 1) * sizeof *spans) : NULL;
    int rc;
    if (names) s->name = names;
    if (spans) s->span = spans;
    if (!spans) return cad_out_of_memory(err);
    names[s->n] = name ? strndup(name, (size_t)n) : NULL;
    if (name && !names[s->n]) return cad_out_of_memory(err);
    rc = regions_new(&spans[s->n], err);
    if (rc) free(names[s->n]);
    return rc ? rc : s->n++;
}

/* Returns the index of the row's split, or a negative CAD_E*. Adds the split if it is new. */
static int number_of(splits_t *s, const input_t *in, const bed_row_t *row, cad_error_t *err)
{
    int k;
    if (s->n && !s->name[0] != !row->name)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: %s; every row must name its split in the fourth column, or none",
                        in->path, (long long)in->line,
                        row->name ? "a fourth column, unlike the rows before"
                                  : "no fourth column, unlike the rows before");
    k = find(s, row->name, row->name_len);
    if (k < 0 && s->n == MOST)
        return cad_fail(
            err, CAD_EFORMAT,
            "%s:%lld: more than %d names in the fourth column, which names splits such as train; to omit it: cut -f 1-3",
            in->path, (long long)in->line, MOST);
    return k < 0 ? add_split(s, row->name, row->name_len, err) : k;
}

static int add_row(splits_t *s, const input_t *in, const bed_row_t *row, const fasta_t *ref, notes_t *notes,
                   cad_error_t *err)
{
    const contig_t *c;
    int k, rc = row_place(in, row, ref, &c, err);
    if (rc) return rc;
    k = number_of(s, in, row, err);
    if (k < 0) return k;
    if (row->span.end > row->span.beg) return regions_add_span(s->span[k], c->name, row->span, err);
    note(notes, NOTE_EMPTY, 1, "%s:%lld: an empty region", in->path, (long long)in->line);
    return 0;
}

int splits_add(splits_t *s, const char *path, const fasta_t *ref, notes_t *notes, cad_error_t *err)
{
    input_t in;
    kstring_t line = { 0, 0, NULL };
    int rc = input_open(&in, path, "bed", err);
    if (!s->path) s->path = in.path;
    while (rc == 0 && (rc = input_line(&in, &line, err)) > 0) {
        bed_row_t row;
        rc = 0;
        if (bed_line_kind(line.s, line.l) != LINE_DATA) continue;
        rc = bed_parse(in.path, in.line, line.s, line.l, false, &row, err);
        if (rc == 0) rc = add_row(s, &in, &row, ref, notes, err);
        bed_free(&row);
    }
    free(line.s);
    input_close(&in);
    return rc;
}

void splits_finish(splits_t *s)
{
    for (int i = 0; i < s->n; i++) regions_finish(s->span[i]);
}

int splits_find(const splits_t *s, const char *option, const char *name, cad_error_t *err)
{
    text_t t = { 0 };
    int k = find(s, name, (int)strlen(name));
    if (k >= 0) return k;
    if (!s->path)
        return cad_fail(err, CAD_EARG,
                        "%s %s: give the intervals with -L BED; column 4 of the BED names the split of each interval",
                        option, name);
    for (int i = 0; i < s->n && s->name[0]; i++)
        if (i < 10) text_printf(&t, "%s%s", i ? ", " : "", s->name[i]);
    if (s->n > 10) text_puts(&t, ", ...");
    k = t.s.l ? cad_fail(err, CAD_EARG, "%s %s: no such rows in %s; its fourth column has %s", option, name, s->path,
                         t.s.s)
              : cad_fail(err, CAD_EARG, "%s %s: %s has no fourth column, which would name the splits", option, name,
                         s->path);
    text_free(&t);
    return k;
}

void splits_free(splits_t *s)
{
    for (int i = 0; i < s->n; i++) {
        free(s->name[i]);
        regions_free(s->span[i]);
    }
    free(s->name);
    free(s->span);
    memset(s, 0, sizeof *s);
}
