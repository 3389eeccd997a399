/* labelled_variants.c - reads scores, labels and groups of alleles from the INFO of a VCF, as text: keys may be of any
 * type. SPDX-License-Identifier: MIT */
#include <math.h>

#include "io/csv.h"
#include "learn/info_text.h"
#include "learn/labelled_variants.h"

enum { ALT = 4, INFO = 7 };

typedef struct {
    labelled_variants_t *v;
    input_t in;
    kstring_t line;
    cells_t cells;
    info_key_t label, by;
    char *key;         /* KEY of v->label */
    const char *value; /* VALUE of v->label, or NULL */
    bool vcf;          /* a line ##fileformat=VCF was seen */
} reader_t;

static int bad(const reader_t *r, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: %s", r->in.path, (long long)r->in.line, what);
}

/* Sets *score of allele i; returns false if it has none. */
static bool take_score(const char *info, int i, double *score)
{
    static const char *const key[] = { "CADUCEUS_LLR", "CADUCEUS_DPLL" };
    for (int k = 0; k < 2; k++) {
        size_t n = 0, len = 0;
        const char *s = info_value(info, key[k], &n);
        char *end;
        if (!s || !n) continue;
        s = info_item(s, n, i, &len);
        *score = -strtod(s, &end);
        if (len && end == s + len && isfinite(*score)) return true;
    }
    return false;
}

/* Sets *yes to the label of allele i, or returns 1 if it has none. */
static int take_label(const reader_t *r, const char *info, int i, bool *yes, cad_error_t *err)
{
    size_t len = 0;
    const char *s = info_of_allele(info, &r->label, i, &len);
    *yes = s && r->label.flag;
    if (r->label.flag) return 0;
    if (!s) return 1;
    if (len == 0 || (len == 1 && *s == '.')) return 1;
    *yes = r->value ? strlen(r->value) == len && !memcmp(s, r->value, len) : *s == '1';
    if (!r->value && (len != 1 || (*s != '0' && *s != '1')))
        return bad(r, "the label is neither 0 nor 1; name the value of positive variants: --label KEY=VALUE", err);
    return 0;
}

static int add_allele(labelled_variants_t *v, double score, bool yes, const char *group, size_t n, cad_error_t *err)
{
    labelled_allele_t *more = v->allele;
    if (v->n == v->room) {
        v->room = v->room ? 2 * v->room : 1024;
        more = realloc(v->allele, (size_t)v->room * sizeof *more);
        if (!more) return cad_out_of_memory(err);
    }
    v->allele = more;
    v->allele[v->n] = (labelled_allele_t) { { score, yes }, strndup(group, n) };
    return v->allele[v->n++].group ? 0 : cad_out_of_memory(err);
}

static int take_allele(reader_t *r, const char *info, int i, cad_error_t *err)
{
    labelled_variants_t *v = r->v;
    size_t len = 0;
    const char *group = info_of_allele(info, &r->by, i, &len);
    double score = 0;
    bool yes;
    int rc = take_label(r, info, i, &yes, err);
    if (rc < 0) return rc;
    if (rc) {
        v->unlabelled++;
        return 0;
    }
    if (!take_score(info, i, &score)) {
        v->unscored++;
        return 0;
    }
    return add_allele(v, score, yes, group && len ? group : ".", group && len ? len : 1, err);
}

static int take_record(reader_t *r, cad_error_t *err)
{
    const char *info, *alt;
    int alleles, rc = cells_split(&r->cells, r->line.s, r->line.l, '\t');
    if (rc) return rc == CAD_ENOMEM ? cad_out_of_memory(err) : bad(r, "not a line of a VCF", err);
    if (r->cells.n <= INFO) return bad(r, "fewer than eight columns", err);
    info = cells_get(&r->cells, INFO);
    alt = cells_get(&r->cells, ALT);
    alleles = info_count(alt, strlen(alt));
    if (!strcmp(alt, ".")) return 0;
    rc = info_check(&r->in, info, &r->label, alleles, err);
    if (rc == 0) rc = info_check(&r->in, info, &r->by, alleles, err);
    for (int i = 0; i < alleles && rc == 0; i++) rc = take_allele(r, info, i, err);
    return rc;
}

static void take_header(reader_t *r)
{
    r->vcf |= !strncmp(r->line.s, "##fileformat=VCF", 16);
    info_declare(r->line.s, &r->label);
    info_declare(r->line.s, &r->by);
}

static int by_group(const void *a, const void *b)
{
    return strcmp(((const labelled_allele_t *)a)->group, ((const labelled_allele_t *)b)->group);
}

static int read_lines(reader_t *r, cad_error_t *err)
{
    int rc;
    while ((rc = input_line(&r->in, &r->line, err)) > 0) {
        if (r->line.l && r->line.s[r->line.l - 1] == '\r') r->line.s[--r->line.l] = 0;
        if (r->line.l && *r->line.s == '#') take_header(r);
        else if (!r->vcf) return bad(r, "not a VCF, plain or compressed", err);
        else if (r->line.l) rc = take_record(r, err);
        if (rc < 0) return rc;
    }
    return rc;
}

int labelled_variants_read(labelled_variants_t *v, const char *path, cad_error_t *err)
{
    reader_t r = { .v = v, .key = strndup(v->label, strcspn(v->label, "=")) };
    int rc = r.key ? 0 : cad_out_of_memory(err);
    if (strchr(v->label, '=')) r.value = strchr(v->label, '=') + 1;
    r.label.name = r.key;
    r.by.name = v->by;
    if (rc == 0) rc = input_open(&r.in, path, "bed", err);
    if (rc == 0) rc = read_lines(&r, err);
    if (rc == 0 && v->n == 0)
        rc = cad_fail(err, CAD_EFORMAT,
                      "%s: no allele with a label and a score (%lld without a label, %lld without a score)", path,
                      (long long)v->unlabelled, (long long)v->unscored);
    if (rc == 0) qsort(v->allele, (size_t)v->n, sizeof *v->allele, by_group);
    input_close(&r.in);
    cells_free(&r.cells);
    free(r.line.s);
    free(r.key);
    return rc;
}

void labelled_variants_free(labelled_variants_t *v)
{
    for (int64_t i = 0; i < v->n; i++) free(v->allele[i].group);
    free(v->allele);
}
