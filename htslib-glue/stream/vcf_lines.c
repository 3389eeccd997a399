/* vcf_lines.c - checks lines of VCF for what htslib would misread without an error, then parses them.
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>

#include "stream/variants.h"

typedef struct piece_t {
    const char *s;
    size_t n;
} piece_t; /* part of a line; it does not end with a NUL */
enum { CHROM, POS, ID, REF, ALT, QUAL, FILTER, INFO, COLUMNS };

/* Splits a line at its tabs. Returns the number of columns; the first COLUMNS of them are stored in c. */
static int columns(const kstring_t *line, piece_t c[COLUMNS])
{
    const char *s = line->s, *end = s + line->l, *tab;
    int n = 0;
    for (;; s = tab + 1) {
        tab = memchr(s, '\t', (size_t)(end - s));
        if (n < COLUMNS) c[n] = (piece_t) { s, (size_t)((tab ? tab : end) - s) };
        n++;
        if (!tab) return n;
    }
}

/* Copies the piece to v->text, as a text for look-ups and messages. */
static const char *piece(variants_t *v, piece_t p)
{
    text_clear(&v->text);
    text_put(&v->text, p.s, p.n);
    return v->text.s.s ? v->text.s.s : "";
}

/* Returns the text up to the first separator, and removes both from *rest. */
static piece_t split(piece_t *rest, char separator)
{
    const char *end = memchr(rest->s, separator, rest->n);
    piece_t first = { rest->s, end ? (size_t)(end - rest->s) : rest->n };
    size_t gone = first.n + (end != NULL);
    *rest = (piece_t) { rest->s + gone, rest->n - gone };
    return first;
}

/* True if the piece is "." or a number that htslib can store. whole: the number must be an integer. */
static bool is_number(piece_t p, bool whole)
{
    char *end = NULL;
    long long n = 0;
    if (p.n == 1 && *p.s == '.') return true;
    errno = 0;
    if (whole) n = strtoll(p.s, &end, 10);
    else (void)!strtod(p.s, &end);
    return p.n && end == p.s + p.n && (!whole || (!errno && n >= BCF_MIN_BT_INT32 && n <= BCF_MAX_BT_INT32));
}

/* Returns the type that the header declares for a key, BCF_HT_*; -1: none. */
static int type_of(variants_t *v, int kind, piece_t key)
{
    int id = bcf_hdr_id2int(v->header, BCF_DT_ID, piece(v, key));
    return bcf_hdr_idinfo_exists(v->header, kind, id) ? (int)bcf_hdr_id2type(v->header, kind, id) : -1;
}

/* Notes values that htslib would silently read as missing: those that are not numbers, or are too large. */
static void check_values(variants_t *v, const char *what, int type, piece_t key, piece_t value)
{
    char buf[4200];
    while ((type == BCF_HT_INT || type == BCF_HT_REAL) && value.n) {
        piece_t one = split(&value, ',');
        if (!is_number(one, type == BCF_HT_INT))
            note(v->s->notes, NOTE_VALUE, 1, "%s: %s/%s: \"%.*s\" is no %s; htslib cannot keep it",
                 variant_place(v, buf), what, piece(v, key), (int)cad_min((int64_t)one.n, 40), one.s,
                 type == BCF_HT_INT ? "Integer of 32 bits" : "Float");
    }
}

static void check_info(variants_t *v, piece_t info)
{
    while (info.n) {
        piece_t value = split(&info, ';'), key = split(&value, '=');
        if (value.n) check_values(v, "INFO", type_of(v, BCF_HL_INFO, key), key, value);
    }
}

/* Checks the values of samples. rest: the column FORMAT, then a column for each sample. */
static void check_samples(variants_t *v, piece_t rest)
{
    enum { KEYS = 64 };
    piece_t format = split(&rest, '\t'), key[KEYS];
    int type[KEYS], n = 0;
    bool numbers = false;
    for (; format.n && n < KEYS; n++) {
        key[n] = split(&format, ':');
        type[n] = type_of(v, BCF_HL_FMT, key[n]);
        numbers |= type[n] == BCF_HT_INT || type[n] == BCF_HT_REAL;
    }
    while (numbers && rest.n) {
        piece_t sample = split(&rest, '\t');
        for (int k = 0; k < n && sample.n; k++) check_values(v, "FORMAT", type[k], key[k], split(&sample, ':'));
    }
}

/* Refuses a line if vcf_parse would read part of it as 0, invent a value or omit it. */
static int check_line(variants_t *v, cad_error_t *err)
{
    piece_t c[COLUMNS];
    char buf[4200];
    int n = columns(&v->text_line, c), samples = bcf_hdr_nsamples(v->header),
        least = samples ? COLUMNS + 1 + samples : COLUMNS;
    size_t k = 0;
    if (strlen(v->text_line.s) != v->text_line.l)
        return cad_fail(err, CAD_EFORMAT, "%s: binary data", variant_place(v, buf));
    if (bcf_hdr_name2id(v->header, piece(v, c[CHROM])) < 0)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: contig \"%.100s\" is not in the VCF header; add it with bcftools reheader --fai",
                        variant_place(v, buf), v->text.s.s);
    if (n < least || n > cad_max(least, COLUMNS + 1)) /* a column FORMAT is allowed without samples */
        return cad_fail(err, CAD_EFORMAT, "%s: %d columns, expected %d; cut short?", variant_place(v, buf), n, least);
    while (k < c[POS].n && isdigit((unsigned char)c[POS].s[k])) k++;
    if (k == 0 || k < c[POS].n || k > 18)
        return cad_fail(err, CAD_EFORMAT, "%s: POS \"%.40s\" is not a position", variant_place(v, buf),
                        piece(v, c[POS]));
    if (!is_number(c[QUAL], false))
        return cad_fail(err, CAD_EFORMAT, "%s: QUAL \"%.40s\" is not a number", variant_place(v, buf),
                        piece(v, c[QUAL]));
    if (!c[REF].n || !c[ALT].n) return cad_fail(err, CAD_EFORMAT, "%s: REF or ALT is empty", variant_place(v, buf));
    check_info(v, c[INFO]);
    if (n > COLUMNS)
        check_samples(v, (piece_t) { c[INFO].s + c[INFO].n + 1,
                                     (size_t)(v->text_line.s + v->text_line.l - c[INFO].s - c[INFO].n - 1) });
    return 0;
}

int vcf_line_parse(variants_t *v, bcf1_t *rec, cad_error_t *err)
{
    char buf[4200];
    int rc = check_line(v, err);
    if (rc) return rc;
    errno = 0;
    if (vcf_parse(&v->text_line, v->header, rec) < 0 || (rec->errcode & ~BCF_ERR_TAG_UNDEF))
        return cad_fail(err, CAD_EFORMAT, "%s: malformed or cut short; bcftools view may say more",
                        variant_place(v, buf));
    if (rec->errcode && v->s->records->fp && v->s->records->format.hts.format == bcf)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: a tag that the header does not declare; BCF cannot hold it: write VCF, or declare it",
                        variant_place(v, buf));
    rec->errcode = 0;
    return 1;
}
