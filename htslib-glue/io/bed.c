/* bed.c - parses BED lines.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>

#include "io/bed.h"

/* True if the line is the word (track or browser), or begins with the word and a space. In "track<TAB>12" a tab
 * follows, so the word is the name of a contig, and the result is false. */
static bool is_keyword(const char *s, size_t n, const char *word)
{
    size_t k = strlen(word);
    if (n < k || memcmp(s, word, k)) return false;
    return n == k || s[k] == ' ' || s[k] == '\r' || (s[k] == '\t' && (n == k + 1 || s[k + 1] < '0' || s[k + 1] > '9'));
}

line_kind_t bed_line_kind(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && (s[i] == ' ' || s[i] == '\t' || s[i] == '\r')) i++;
    if (i == n) return LINE_BLANK;
    if (s[0] == '#') return LINE_COMMENT;
    if (is_keyword(s, n, "track") || is_keyword(s, n, "browser")) return LINE_BROWSER;
    return LINE_DATA;
}

typedef struct {
    const char *s;
    size_t n;
} field_t;

/* Finds the next column of the line s, from byte *at onwards, and moves *at past the column. Columns are separated by
 * tabs and, before the first tab, also by spaces: the name of a contig cannot hold spaces, but the name in column 4
 * can. */
static bool next_field(const char *s, size_t n, size_t *at, field_t *f)
{
    size_t i = *at;
    bool blanks = i <= n && !memchr(s, '\t', i);
    if (blanks)
        while (i < n && s[i] == ' ') i++;
    if (i > n || (i == n && (i == 0 || s[i - 1] == ' '))) return false;
    f->s = s + i;
    while (i < n && s[i] != '\t' && (s[i] != ' ' || !blanks)) i++;
    f->n = (size_t)(s + i - f->s);
    if (blanks) /* spaces directly before a tab belong to the separator */
        while (i < n && s[i] == ' ' && i + 1 < n && (s[i + 1] == ' ' || s[i + 1] == '\t')) i++;
    *at = i + 1;
    return true;
}

int bed_columns(const char *s, size_t n)
{
    size_t at = 0;
    int ncol = 0;
    field_t f;
    while (next_field(s, n, &at, &f)) ncol++;
    return ncol;
}

bool bed_column(const char *s, size_t n, size_t *at, const char **column, size_t *len)
{
    field_t f;
    if (!next_field(s, n, at, &f)) return false;
    *column = f.s;
    *len = f.n;
    return true;
}

static bool field_int(const field_t *f, int64_t *out)
{
    char buf[24];
    if (f->n == 0 || f->n >= sizeof buf || f->s[0] == '+') return false;
    memcpy(buf, f->s, f->n);
    buf[f->n] = 0;
    return cad_parse_int(buf, INT64_MIN, INT64_MAX, out);
}

/* Parses a comma-separated list of n numbers, each 0 or more. Allows a trailing comma. */
static bool field_list(const field_t *f, int n, int64_t *out)
{
    const char *s = f->s, *end = f->s + f->n;
    for (int i = 0; i < n; i++) {
        const char *comma = memchr(s, ',', (size_t)(end - s));
        field_t one = { s, (size_t)((comma ? comma : end) - s) };
        if (!field_int(&one, &out[i]) || out[i] < 0) return false;
        if (!comma && i < n - 1) return false;
        s = comma ? comma + 1 : end;
    }
    return s == end;
}

static int parse_blocks(const field_t *f, bed_row_t *row)
{
    int64_t n, *size, *start;
    bool ok;
    if (!field_int(&f[9], &n) || n < 1 || n > 1 << 20) return CAD_EFORMAT;
    size = cad_alloc((size_t)n * 2, sizeof *size);
    row->block = cad_alloc((size_t)n, sizeof *row->block);
    start = size ? size + n : NULL;
    ok = size && row->block;
    if (!ok) {
        free(size);
        return CAD_ENOMEM;
    }
    ok = field_list(&f[10], (int)n, size) && field_list(&f[11], (int)n, start);
    row->nblock = (int)n;
    for (int i = 0; ok && i < n; i++) {
        int64_t beg = 0, end = 0;
        ok = !__builtin_add_overflow(row->span.beg, start[i], &beg) && !__builtin_add_overflow(beg, size[i], &end) &&
             end <= row->span.end;
        if (ok && i) ok = beg >= row->block[i - 1].end; /* blocks must be in ascending order and must not overlap */
        row->block[i] = (interval_t) { beg, end };
    }
    free(size);
    return ok ? 0 : CAD_EFORMAT;
}

/* True if the row looks like GFF: its fourth and fifth columns are numbers. */
static bool is_gff(const field_t *f, int ncol)
{
    int64_t n;
    return ncol >= 8 && field_int(&f[3], &n) && field_int(&f[4], &n);
}

/* True if the row looks like VCF: contig, position, ID, REF, ALT. */
static bool is_vcf(const field_t *f, int ncol)
{
    int64_t n;
    return ncol >= 8 && field_int(&f[1], &n) && !field_int(&f[2], &n) && f[3].n &&
           strspn(f[3].s, "ACGTNacgtn") >= f[3].n;
}

static bool is_float(const field_t *f)
{
    char buf[40], *end;
    if (f->n == 0 || f->n >= sizeof buf || !memchr("0123456789", *f->s, 10)) return false;
    memcpy(buf, f->s, f->n);
    buf[f->n] = 0;
    (void)!strtod(buf, &end);
    return !*end;
}

static bool is_words(const field_t *f)
{
    return f[1].n && f[2].n && isalpha((unsigned char)*f[1].s) && isalpha((unsigned char)*f[2].s);
}

/* For a row whose start or end is not a whole number: returns a text with the likely remedy, to end the error message
 * with, or "". */
static const char *advice(const field_t *f, int ncol)
{
    int64_t n;
    if (is_gff(f, ncol))
        return "; GFF or GTF? Convert it: zcat -f FILE | grep -v '^#' | awk -v OFS='\\t' '{print $1,$4-1,$5,$3,\".\",$7}'";
    if (is_vcf(f, ncol)) return "; VCF? Its first line must be ##fileformat=VCFv4.2";
    if ((field_int(&f[1], &n) || is_float(&f[1])) && (field_int(&f[2], &n) || is_float(&f[2])))
        return "; write the number out";
    return is_words(f) ? "; a header line begins with #" : "";
}

static int not_bed(const char *path, int64_t number, const field_t *f, int ncol, const char *s, size_t n,
                   cad_error_t *err)
{
    long long num = (long long)number;
    if (ncol >= 1 && f[0].n == 0)
        return cad_fail(err, CAD_EFORMAT,
                        "%s:%lld: not BED: the first column is empty, as where a table was written with row names",
                        path, num);
    if (memchr(s, '\r', n))
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: carriage returns in place of line ends; convert it: tr '\\r' '\\n'",
                        path, num);
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: not BED: expected at least contig, start and end, found %d column%s",
                    path, num, ncol, ncol == 1 ? "" : "s");
}

int bed_parse(const char *path, int64_t number, const char *s, size_t n, bool split, bed_row_t *row, cad_error_t *err)
{
    size_t at = 0;
    field_t f[12], more;
    long long num = (long long)number;
    int rc = 0;
    memset(row, 0, sizeof *row);
    if (n && s[n - 1] == '\r') n--;
    for (; row->ncol < 12 && next_field(s, n, &at, &f[row->ncol]); row->ncol++) {}
    while (row->ncol >= 12 && next_field(s, n, &at, &more)) row->ncol++;
    if (row->ncol < 3 || f[0].n == 0 || memchr(s, '\r', n)) return not_bed(path, number, f, row->ncol, s, n, err);
    if (!field_int(&f[1], &row->span.beg) || !field_int(&f[2], &row->span.end))
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: start \"%.*s\" or end \"%.*s\" is not a whole number below 2^63%s",
                        path, num, (int)cad_min((int64_t)f[1].n, 30), f[1].s, (int)cad_min((int64_t)f[2].n, 30), f[2].s,
                        advice(f, row->ncol));
    if (row->span.beg < 0)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: start %lld is negative; BED counts from 0", path, num,
                        (long long)row->span.beg);
    if (row->span.beg > row->span.end)
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: start %lld is after end %lld", path, num, (long long)row->span.beg,
                        (long long)row->span.end);
    if (row->ncol > 3) {
        row->name = f[3].s;
        row->name_len = (int)f[3].n;
    }
    row->contig = strndup(f[0].s, f[0].n);
    if (!row->contig) rc = CAD_ENOMEM;
    else if (split && row->ncol >= 12) rc = parse_blocks(f, row);
    if (rc) bed_free(row);
    if (rc == CAD_ENOMEM) return cad_fail(err, rc, "%s:%lld: out of memory", path, num);
    if (rc)
        return cad_fail(err, rc,
                        "%s:%lld: the BED12 blocks (columns 10 to 12) are malformed, unordered or outside the span",
                        path, num);
    return 0;
}

void bed_free(bed_row_t *row)
{
    free(row->contig);
    free(row->block);
    row->contig = NULL;
    row->block = NULL;
}

void bed_header(text_t *t, int ncol)
{
    static const char *const name[] = {
        "chrom",      "start",    "end",     "name",       "score",      "strand",
        "thickStart", "thickEnd", "itemRgb", "blockCount", "blockSizes", "blockStarts"
    };
    for (int i = 0; i < ncol; i++) {
        if (i) text_put(t, "\t", 1);
        if (i < 12) text_puts(t, name[i]);
        else text_printf(t, "column%d", i + 1);
    }
}
