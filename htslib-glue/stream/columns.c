/* columns.c - writes text output: input lines with columns of scores added, and a matrix of embeddings
 * beside them. SPDX-License-Identifier: MIT */
#include "io/shard.h"
#include "io/tabix.h"
#include "stream/columns.h"

bool table_filler(int ncol, int64_t added) { return added && ncol + added == 12; }

/* Returns how many columns are added to each row, for the check that the row is not mistaken for BED12; 0 for a wide
 * table. */
static int64_t added(const table_t *t) { return t->wide ? 0 : t->scores.n + t->column; }

static bool needs_filler(const table_t *t, int ncol) { return table_filler(ncol, added(t)); }

static int put_line(table_t *t, text_t *s, cad_error_t *err)
{
    text_put(s, "\n", 1);
    if (t->csv) {
        text_clear(&t->line);
        text_csv(&t->line, s);
        s = &t->line;
    }
    t->bytes += (int64_t)s->s.l;
    return t->out ? text_write(t->out, s, err) : 0;
}

void table_names(const char *prefix, int64_t n, text_t *s)
{
    for (int64_t d = 0; d < n; d++) text_printf(s, "\t%s%lld", prefix, (long long)d);
}

void table_numbers(const float *v, int64_t n, text_t *s)
{
    for (int64_t d = 0; d < n; d++) {
        text_puts(s, "\t");
        text_number(s, (double)v[d]);
    }
}

int table_pass(table_t *t, const char *line, size_t n, cad_error_t *err)
{
    text_clear(&t->text);
    text_put(&t->text, line, n);
    return put_line(t, &t->text, err);
}

/* ---- header ---- */

bool table_extends(int ncol, const char *given, size_t n)
{
    return n && (!ncol || bed_columns(given, n - (given[n - 1] == '\r')) == ncol);
}

/* Writes a header line or a row; replaces spaces between columns by tabs. */
static void put_columns(const char *given, size_t n, text_t *s)
{
    bool tabs = memchr(given, '\t', n) != NULL;
    for (size_t i = 0; i < n; i++) {
        if (tabs || given[i] != ' ') text_put(s, given + i, 1);
        else if (i + 1 < n && given[i + 1] != ' ') text_put(s, "\t", 1);
    }
}

void table_columns(const provenance_t *p, bool plain, int ncol, const char *given, size_t n, const text_t *names,
                   int64_t added, text_t *s)
{
    bool cr = n && given[n - 1] == '\r', extend = table_extends(ncol, given, n);
    size_t skip;
    if (n && !extend) { /* the given line is a comment, not a header: writes it unchanged */
        text_put(s, given, n);
        text_put(s, "\n", 1);
    }
    if (!plain) provenance_header(p, s);
    if (!ncol) ncol = extend ? bed_columns(given, n - cr) : 3;
    skip = 1 + (extend && plain ? strspn(given + 1, " ") : 0); /* skips the '#' with which the given line begins */
    if (!plain) text_puts(s, "#");
    if (extend) put_columns(given + skip, n - cr - skip, s);
    else bed_header(s, ncol);
    text_put(s, names->s.s ? names->s.s : "", names->s.l);
    if (table_filler(ncol, added)) text_puts(s, "\tfiller");
    if (extend && cr) text_put(s, "\r", 1);
    s->failed |= names->failed;
}

int table_header(table_t *t, int ncol, const char *given, size_t n, cad_error_t *err)
{
    text_t names = { 0 };
    for (int i = 0; i < t->scores.n; i++)
        text_printf(&names, "\t%s%s", t->scores.row[i]->name, score_suffix(t->scores.row[i], t->cutter->mask));
    if (t->wide) table_names("e", t->npy.width, &names);
    else if (t->column) text_puts(&names, "\tembedding");
    text_clear(&t->text);
    if (t->csv && !table_extends(ncol, given, n)) n = 0; /* a comment */
    table_columns(t->provenance, t->plain, ncol, given, n, &names, added(t), &t->text);
    text_free(&names);
    return put_line(t, &t->text, err);
}

/* ---- rows ---- */

static void put_embedding(table_t *t, const region_t *r)
{
    int64_t n = r->npooled ? t->npy.width : 1; /* if no embedding was computed, writes a single "." */
    if (t->wide) {
        table_numbers(t->row, t->npy.width, &t->text);
        return;
    }
    for (int64_t d = 0; d < n; d++) {
        text_put(&t->text, d ? "," : "\t", 1);
        text_number(&t->text, (double)t->row[d]);
    }
}

static int write_row(table_t *t, const region_t *r, cad_error_t *err)
{
    text_t *s = &t->text;
    bool cr = r->text.l && r->text.s[r->text.l - 1] == '\r', pooled = t->row && t->cutter->pooling != POOL_ROWS;
    int rc = 0;
    text_clear(s);
    if (t->plain) put_columns(r->text.s, r->text.l - cr, s);
    else text_put(s, r->text.s, r->text.l - cr);
    for (int i = 0; i < t->scores.n; i++) {
        text_put(s, "\t", 1);
        score_put(t->scores.row[i], &r->sums, s);
    }
    if (pooled) region_embedding(t->cutter, r, t->row);
    if (t->column) put_embedding(t, r);
    else if (pooled) rc = npy_write(&t->npy, t->row, 1, err);
    if (needs_filler(t, r->ncol)) text_puts(s, "\t.");
    if (cr) text_put(s, "\r", 1);
    return rc ? rc : put_line(t, s, err);
}

int table_region(table_t *t, const region_t *r, cad_error_t *err)
{
    int rc;
    if (!r->scored) return t->csv ? 0 : table_pass(t, r->text.s, r->text.l, err);
    t->rows++;
    t->bases += r->nbase;
    if (t->npz.out && r->nbase == 0 && (rc = npz_empty(&t->npz, r->row, t->npy.width, err))) return rc;
    if (r->sums.n == 0 && r->nbase && t->scores.n && t->out)
        note(t->cutter->encoding.notes, NOTE_UNSCORED, 1, "%.*s: no base to score; its scores are \".\"",
             (int)cad_min((int64_t)r->text.l, 60), r->text.s);
    return write_row(t, r, err);
}

int table_rows(void *arg, const region_t *r, const float *rows, int64_t n, cad_error_t *err)
{
    table_t *t = arg;
    int rc;
    if (!t->npz.out) return npy_write(&t->npy, rows, n, err);
    /* the region's array begins with its first rows */
    rc = t->npz.left ? 0 : npz_array(&t->npz, r->row, r->nbase, t->npy.width, err);
    return rc ? rc : npz_rows(&t->npz, rows, n * t->npy.width, err);
}

/* ---- opening and closing ---- */

int table_begin(table_t *t, int64_t width, cad_error_t *err)
{
    t->npy.width = width;
    if (!t->column && !t->wide && !t->npy.out) return 0; /* needs no buffer if all embeddings go to an .npz */
    t->row = cad_alloc((size_t)width, sizeof *t->row);
    if (!t->row) return cad_out_of_memory(err);
    return t->npy.out ? npy_begin(&t->npy, width, err) : 0;
}

static int write_json(table_t *t, cad_error_t *err)
{
    provenance_t p = *t->provenance;
    provenance_add(&p, "rows", t->rows_are);
    return part_write(&p, t->json, t->npy.out ? t->npy.out : t->npz.out, err);
}

int table_close(table_t *t, cad_error_t *err)
{
    output_t **out[] = { &t->out, &t->index, &t->npy.out, &t->npz.out, &t->json, &t->part };
    int rc = t->npy.out ? npy_finish(&t->npy, err) : t->npz.out ? npz_finish(&t->npz, err) : 0;
    if (rc == 0 && t->json) rc = write_json(t, err);
    if (rc == 0 && t->index) rc = tabix_index(t->out, t->index, t->csi, output_name(t->out), err);
    if (rc == 0 && t->part) rc = part_write(t->provenance, t->part, t->out, err);
    return rc ? rc : outputs_close(out, 6, err);
}

void table_free(table_t *t)
{
    output_abort(t->out);
    output_abort(t->index);
    output_abort(t->npy.out);
    output_abort(t->npz.out);
    npz_free(&t->npz);
    output_abort(t->json);
    output_abort(t->part);
    free(t->row);
    text_free(&t->text);
    text_free(&t->line);
    memset(t, 0, sizeof *t);
}
