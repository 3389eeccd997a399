/* eqtl_rows.c - reads variants that are labelled as changing expression in a tissue, from a VCF or a table. A variant
 * that several rows have, for several tissues, is listed once. SPDX-License-Identifier: MIT */
#include <math.h>

#include "io/csv.h"
#include "learn/eqtl_rows.h"
#include "learn/info_text.h"

enum { CONTIG, POS, REF, ALT, LABEL, TISSUE, DISTANCE, SPLIT, FIELDS };
enum { VCF_REF = 3, VCF_ALT, VCF_INFO = 7 };

typedef struct {
    const char *s; /* NULL: missing */
    size_t n;
} slice_t;

typedef struct {
    eqtl_rows_t *e;
    input_t in;
    kstring_t line;
    cells_t cells;
    char *name[FIELDS];        /* names of keys or columns, from LABEL on, without =VALUE */
    const char *value[FIELDS]; /* VALUE, or NULL */
    info_key_t key[FIELDS];    /* of a VCF */
    int column[FIELDS];        /* of a table */
    char separator;            /* of a table; 0: a VCF */
} reader_t;

static int bad(const reader_t *r, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: %s", r->in.path, (long long)r->in.line, what);
}

/* ---- one row ---- */

static bool missing(slice_t f) { return !f.s || f.n == 0 || (f.n == 1 && *f.s == '.'); }

static bool equals(slice_t f, const char *text) { return strlen(text) == f.n && !memcmp(f.s, text, f.n); }

/* Parses a whole field as a number. */
static bool take_number(slice_t f, double *v)
{
    char text[64], *end;
    if (f.n >= sizeof text) return false;
    memcpy(text, f.s, f.n);
    text[f.n] = 0;
    *v = strtod(text, &end);
    return f.n && !*end && *text > ' ' && isfinite(*v);
}

static int take_label(const reader_t *r, slice_t f, bool *yes, cad_error_t *err)
{
    if (r->key[LABEL].flag) {
        *yes = f.s != NULL;
        return 0;
    }
    *yes = equals(f, r->value[LABEL] ? r->value[LABEL] : "1");
    if (r->value[LABEL] || *yes || equals(f, "0")) return 0;
    return bad(r, "the label is neither 0 nor 1; name the value of positive variants: --label KEY=VALUE", err);
}

static int take_place(const reader_t *r, const slice_t field[FIELDS], eqtl_row_t *x, cad_error_t *err)
{
    double pos, distance;
    if (missing(field[CONTIG]) || missing(field[REF])) return bad(r, "no contig, or no REF", err);
    if (!take_number(field[POS], &pos) || pos < 1 || pos > 9e15 || pos != floor(pos))
        return bad(r, "the position is not a whole number from 1", err);
    if (!take_number(field[DISTANCE], &distance))
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: %s is not a number; name another with --distance", r->in.path,
                        (long long)r->in.line, r->name[DISTANCE]);
    x->at.pos = (int64_t)pos;
    x->distance = fabs(distance);
    return 0;
}

static int copy_texts(const slice_t field[FIELDS], eqtl_row_t *x, cad_error_t *err)
{
    x->at.contig = strndup(field[CONTIG].s, field[CONTIG].n);
    x->name = strndup(field[TISSUE].s, field[TISSUE].n);
    if (asprintf(&x->at.alleles, "%.*s\t%.*s", (int)field[REF].n, field[REF].s, (int)field[ALT].n, field[ALT].s) < 0)
        x->at.alleles = NULL;
    return x->at.contig && x->name && x->at.alleles ? 0 : cad_out_of_memory(err);
}

static eqtl_row_t *new_row(eqtl_rows_t *e)
{
    if (e->n == e->room) {
        int64_t room = e->room ? 2 * e->room : 1024;
        eqtl_row_t *more = realloc(e->row, (size_t)room * sizeof *more);
        if (!more) return NULL;
        e->row = more;
        e->room = room;
    }
    e->row[e->n] = (eqtl_row_t) { .variant = -1 };
    return &e->row[e->n++];
}

static int take_row(reader_t *r, const slice_t field[FIELDS], cad_error_t *err)
{
    eqtl_row_t x = { .variant = -1 }, *to;
    bool whole = !missing(field[ALT]);
    int rc;
    for (int k = LABEL; k < FIELDS; k++) whole &= !missing(field[k]) || (k == LABEL && r->key[k].flag);
    r->e->incomplete += !whole;
    if (!whole) return 0;
    rc = take_place(r, field, &x, err);
    if (rc == 0) rc = take_label(r, field[LABEL], &x.positive, err);
    if (rc) return rc;
    x.test = equals(field[SPLIT], r->value[SPLIT]);
    to = new_row(r->e);
    if (!to) return cad_out_of_memory(err);
    *to = x;
    return copy_texts(field, to, err);
}

/* ---- a VCF ---- */

static slice_t whole(const reader_t *r, int column)
{
    const char *s = cells_get(&r->cells, column);
    return (slice_t) { s, strlen(s) };
}

static int take_record(reader_t *r, cad_error_t *err)
{
    slice_t field[FIELDS] = { { NULL, 0 } }, alt;
    const char *info;
    int alleles, rc = 0;
    if (r->cells.n <= VCF_INFO) return bad(r, "fewer than eight columns", err);
    field[CONTIG] = whole(r, 0);
    field[POS] = whole(r, 1);
    field[REF] = whole(r, VCF_REF);
    info = cells_get(&r->cells, VCF_INFO);
    alt = whole(r, VCF_ALT);
    alleles = info_count(alt.s, alt.n);
    for (int k = LABEL; k < FIELDS && rc == 0; k++) rc = info_check(&r->in, info, &r->key[k], alleles, err);
    for (int i = 0; i < alleles && rc == 0; i++) {
        field[ALT].s = info_item(alt.s, alt.n, i, &field[ALT].n);
        for (int k = LABEL; k < FIELDS; k++) field[k].s = info_of_allele(info, &r->key[k], i, &field[k].n);
        rc = take_row(r, field, err);
    }
    return rc;
}

/* ---- a table ---- */

static int take_columns(reader_t *r, cad_error_t *err)
{
    static const char *const usual[][2] = {
        { "CHROM", "chromosome" }, { "POS", "position" }, { "REF", "ref" }, { "ALT", "alt" }
    };
    static const char *const option[] = { "", "", "", "", "--label", "--tissue", "--distance", "--split" };
    for (int k = 0; k < FIELDS; k++) {
        const char *a = k < LABEL ? usual[k][0] : r->name[k];
        r->column[k] = cells_find(&r->cells, a, k < LABEL ? usual[k][1] : a);
        if (r->column[k] < 0)
            return cad_fail(err, CAD_EFORMAT,
                            "%s:%lld: neither a VCF nor a table with a column \"%.60s\"%s%s; the first line of a "
                            "table names the columns",
                            r->in.path, (long long)r->in.line, a, *option[k] ? "; name it with " : "", option[k]);
    }
    return 0;
}

static int take_cells(reader_t *r, cad_error_t *err)
{
    slice_t field[FIELDS];
    for (int k = 0; k < FIELDS; k++) {
        if (r->column[k] >= r->cells.n) return bad(r, "fewer columns than the header", err);
        field[k] = whole(r, r->column[k]);
    }
    return take_row(r, field, err);
}

/* ---- lines ---- */

static int split_line(reader_t *r, char separator, cad_error_t *err)
{
    int rc = cells_split(&r->cells, r->line.s, r->line.l, separator);
    if (rc == 0) return 0;
    return rc == CAD_ENOMEM ? cad_out_of_memory(err) : bad(r, "a quoted column does not end where it should", err);
}

/* Takes the first line: it tells a VCF from a table. */
static int take_first(reader_t *r, cad_error_t *err)
{
    int rc;
    if (!strncmp(r->line.s, "##fileformat=VCF", 16)) return 0;
    r->separator = cells_separator(r->line.s, r->line.l);
    rc = split_line(r, r->separator, err);
    return rc ? rc : take_columns(r, err);
}

static int take_line(reader_t *r, cad_error_t *err)
{
    int rc;
    if (r->line.l && r->line.s[r->line.l - 1] == '\r') r->line.s[--r->line.l] = 0;
    if (!r->line.l) return r->in.line == 1 ? bad(r, "neither a VCF nor a table: the first line is empty", err) : 0;
    if (r->in.line == 1) return take_first(r, err);
    if (!r->separator && *r->line.s == '#') {
        for (int k = LABEL; k < FIELDS; k++) info_declare(r->line.s, &r->key[k]);
        return 0;
    }
    rc = split_line(r, r->separator ? r->separator : '\t', err);
    if (rc) return rc;
    return r->separator ? take_cells(r, err) : take_record(r, err);
}

static int read_lines(reader_t *r, const char *path, cad_error_t *err)
{
    int rc = input_open(&r->in, path, "bed", err);
    while (rc == 0 && (rc = input_line(&r->in, &r->line, err)) > 0) rc = take_line(r, err);
    return rc;
}

/* ---- numbers of variants and tissues ---- */

static int by_place(const void *a, const void *b)
{
    const eqtl_variant_t *x = &(*(eqtl_row_t *const *)a)->at, *y = &(*(eqtl_row_t *const *)b)->at;
    int order = strcmp(x->contig, y->contig);
    if (order) return order;
    if (x->pos != y->pos) return x->pos < y->pos ? -1 : 1;
    return strcmp(x->alleles, y->alleles);
}

static int by_tissue(const void *a, const void *b)
{
    return strcmp((*(eqtl_row_t *const *)a)->name, (*(eqtl_row_t *const *)b)->name);
}

/* Moves the variants of rows that are sorted by place to the list of variants. */
static void number_variants(eqtl_rows_t *e, eqtl_row_t *const *row)
{
    for (int64_t i = 0, j; i < e->n; i = j) {
        for (j = i + 1; j < e->n && by_place(&row[i], &row[j]) == 0; j++) {}
        e->variant[e->variants] = row[i]->at;
        for (int64_t k = i; k < j; k++) {
            if (k > i) free(row[k]->at.contig);
            if (k > i) free(row[k]->at.alleles);
            row[k]->variant = e->variants;
            row[k]->at = (eqtl_variant_t) { NULL, NULL, 0 };
        }
        e->variants++;
    }
}

static void number_tissues(eqtl_rows_t *e, eqtl_row_t *const *row)
{
    for (int64_t i = 0, j; i < e->n; i = j) {
        for (j = i + 1; j < e->n && by_tissue(&row[i], &row[j]) == 0; j++) {}
        e->tissue[e->tissues] = row[i]->name;
        for (int64_t k = i; k < j; k++) {
            if (k > i) free(row[k]->name);
            row[k]->tissue = (int)e->tissues;
            row[k]->name = NULL;
        }
        e->tissues++;
    }
}

static int number_rows(eqtl_rows_t *e, cad_error_t *err)
{
    eqtl_row_t **row = cad_alloc((size_t)e->n, sizeof *row);
    e->variant = cad_alloc((size_t)e->n, sizeof *e->variant);
    e->tissue = cad_alloc((size_t)e->n, sizeof *e->tissue);
    if (row && e->variant && e->tissue) {
        for (int64_t i = 0; i < e->n; i++) row[i] = &e->row[i];
        qsort(row, (size_t)e->n, sizeof *row, by_tissue);
        number_tissues(e, row);
        qsort(row, (size_t)e->n, sizeof *row, by_place);
        number_variants(e, row);
        free(row);
        return 0;
    }
    free(row);
    return cad_out_of_memory(err);
}

/* ---- the whole file ---- */

/* Sets the names of keys, and the values that come after =. */
static int name_keys(reader_t *r, cad_error_t *err)
{
    const eqtl_rows_t *e = r->e;
    const char *const given[] = { e->label, e->tissue_key, e->distance, e->split };
    for (int k = LABEL; k < FIELDS; k++) {
        const char *text = given[k - LABEL], *equals_ = k == LABEL || k == SPLIT ? strchr(text, '=') : NULL;
        r->name[k] = strndup(text, equals_ ? (size_t)(equals_ - text) : strlen(text));
        if (!r->name[k]) return cad_out_of_memory(err);
        r->key[k].name = r->name[k];
        r->value[k] = equals_ ? equals_ + 1 : NULL;
    }
    if (!r->value[SPLIT]) r->value[SPLIT] = "test";
    return 0;
}

int eqtl_rows_read(eqtl_rows_t *e, const char *path, cad_error_t *err)
{
    reader_t r = { .e = e };
    int rc = name_keys(&r, err);
    if (rc == 0) rc = read_lines(&r, path, err);
    if (rc == 0 && e->n == 0)
        rc = cad_fail(err, CAD_EFORMAT,
                      "%s: no row with %s, %s, %s and %s (%lld without one of them); name them with --label, --tissue, "
                      "--distance and --split",
                      path, r.name[LABEL], r.name[TISSUE], r.name[DISTANCE], r.name[SPLIT], (long long)e->incomplete);
    if (rc == 0) rc = number_rows(e, err);
    input_close(&r.in);
    cells_free(&r.cells);
    free(r.line.s);
    for (int k = LABEL; k < FIELDS; k++) free(r.name[k]);
    return rc;
}

void eqtl_rows_free(eqtl_rows_t *e)
{
    for (int64_t i = 0; i < e->n; i++) {
        free(e->row[i].at.contig);
        free(e->row[i].at.alleles);
        free(e->row[i].name);
    }
    for (int64_t i = 0; i < e->variants; i++) {
        free(e->variant[i].contig);
        free(e->variant[i].alleles);
    }
    for (int64_t i = 0; i < e->tissues; i++) free(e->tissue[i]);
    free(e->row);
    free(e->variant);
    free(e->tissue);
}
