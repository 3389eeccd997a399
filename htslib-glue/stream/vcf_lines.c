/* vcf_lines.c - parses lines of VCF. Refuses errors that htslib does not report, and compares each line with the line
 * that htslib would write.
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>

#include "io/pieces.h"
#include "stream/variants.h"

enum { CHROM, POS, ID, REF, ALT, QUAL, FILTER, INFO, COLUMNS };
static const char *const COLUMN[] = { "CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER" };

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

/* Copies the piece to v->text and adds a NUL, which look-ups and messages need. Returns the copy. */
static const char *piece(variants_t *v, piece_t p)
{
    text_clear(&v->text);
    text_put(&v->text, p.s, p.n);
    return v->text.s.s ? v->text.s.s : "";
}

/* Returns CAD_EFORMAT for a line in which htslib's vcf_parse would read a value as 0, invent a value or drop a
 * value. */
static int check_line(variants_t *v, cad_error_t *err)
{
    piece_t c[COLUMNS];
    char buf[4200];
    int n = columns(&v->text_line, c), samples = bcf_hdr_nsamples(v->header),
        least = samples ? COLUMNS + 1 + samples : COLUMNS;
    size_t k = 0;
    double qual;
    if (strlen(v->text_line.s) != v->text_line.l)
        return cad_fail(err, CAD_EFORMAT, "%s: binary data", variant_place(v, buf));
    if (bcf_hdr_name2id(v->header, piece(v, c[CHROM])) < 0)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: contig \"%.100s\" is not in the VCF header; add it with bcftools reheader --fai",
                        variant_place(v, buf), v->text.s.s);
    if (n < least || n > cad_max(least, COLUMNS + 1)) /* the column FORMAT is allowed also without samples */
        return cad_fail(err, CAD_EFORMAT, "%s: %d columns, expected %d; cut short?", variant_place(v, buf), n, least);
    while (k < c[POS].n && isdigit((unsigned char)c[POS].s[k])) k++;
    if (k == 0 || k < c[POS].n || k > 18)
        return cad_fail(err, CAD_EFORMAT, "%s: POS \"%.40s\" is not a position", variant_place(v, buf),
                        piece(v, c[POS]));
    if (!piece_equal(c[QUAL], (piece_t) { ".", 1 }) && !piece_number(c[QUAL], &qual))
        return cad_fail(err, CAD_EFORMAT, "%s: QUAL \"%.40s\" is not a number", variant_place(v, buf),
                        piece(v, c[QUAL]));
    if (!c[REF].n || !c[ALT].n) return cad_fail(err, CAD_EFORMAT, "%s: REF or ALT is empty", variant_place(v, buf));
    return 0;
}

/* ---- comparing the line with the line that htslib would write ---- */

/* Prints a note about a value that htslib rounds or changes. what: "INFO/" or "FORMAT/". */
static void tell(variants_t *v, kept_t kept, const char *what, piece_t key, piece_t read, piece_t written)
{
    char buf[4200];
    if (kept == CHANGED)
        note(v->s->notes, NOTE_VALUE, 1,
             "%s: %s%.*s: \"%.*s\" does not fit its type in the header; \"%.*s\" is written", variant_place(v, buf),
             what, piece_shown(key), key.s, piece_shown(read), read.s, piece_shown(written), written.s);
    else if (kept == ROUNDED)
        note(v->s->notes, NOTE_ROUNDED, 1, "%s: %s%.*s: \"%.*s\" is rounded to \"%.*s\"", variant_place(v, buf), what,
             piece_shown(key), key.s, piece_shown(read), read.s, piece_shown(written), written.s);
}

static int otherwise(const variants_t *v, const char *what, piece_t read, piece_t written, cad_error_t *err)
{
    char buf[4200];
    return cad_fail(err, CAD_EFORMAT, "%s: %s \"%.*s\" would be written as \"%.*s\"; correct it", variant_place(v, buf),
                    what, piece_shown(read), read.s, piece_shown(written), written.s);
}

static bool all_missing(piece_t list)
{
    for (size_t i = 0; i < list.n; i++)
        if (list.s[i] != '.' && list.s[i] != ',') return false;
    return true;
}

/* Prints a note about each value of a list that htslib rounds or changes. */
static void compare_list(variants_t *v, const char *what, piece_t key, piece_t read, piece_t written)
{
    if (piece_equal(read, written)) return;
    do {
        piece_t a = piece_split(&read, ','), b = piece_split(&written, ',');
        tell(v, piece_kept(a, b), what, key, a, b);
    } while (read.n && written.n);
    if (!all_missing(read) || !all_missing(written)) tell(v, CHANGED, what, key, read, written);
}

static int compare_info(variants_t *v, piece_t read, piece_t written, cad_error_t *err)
{
    if (piece_kept(read, written) == KEPT) return 0;
    while (read.n) {
        piece_t a = piece_split(&read, ';'), b, key;
        if (!a.n) continue; /* skips the empty item between two semicolons */
        b = piece_split(&written, ';');
        key = piece_split(&a, '=');
        if (!piece_equal(key, piece_split(&b, '='))) return otherwise(v, "INFO", key, b, err);
        compare_list(v, "INFO/", key, a, b);
    }
    return 0;
}

/* Returns CAD_EFORMAT if FORMAT has the key twice, since htslib then confuses the values of the two; else 0. */
static int named_twice(const variants_t *v, piece_t format, piece_t key, cad_error_t *err)
{
    char buf[4200];
    int n = 0;
    while (format.n) n += piece_equal(piece_split(&format, ':'), key);
    return n < 2 ? 0
                 : cad_fail(err, CAD_EFORMAT, "%s: FORMAT names %.*s twice; remove one", variant_place(v, buf),
                            piece_shown(key), key.s);
}

/* Compares the values of a sample. Values that are left out at the end count as missing values. */
static int compare_sample(variants_t *v, const piece_t format, piece_t read, piece_t written, cad_error_t *err)
{
    piece_t keys = format;
    int rc = 0;
    if (piece_equal(read, written)) return 0;
    while (keys.n && rc == 0) {
        piece_t key = piece_split(&keys, ':'), a = piece_split(&read, ':'), b = piece_split(&written, ':');
        if (piece_equal(a, b) || (all_missing(a) && all_missing(b))) continue;
        rc = named_twice(v, format, key, err);
        if (rc == 0) compare_list(v, "FORMAT/", key, a, b);
    }
    return rc;
}

static int compare_samples(variants_t *v, piece_t read, piece_t written, cad_error_t *err)
{
    piece_t format = piece_split(&read, '\t'), other = piece_split(&written, '\t');
    int rc = 0;
    if (!piece_equal(format, other)) return otherwise(v, "FORMAT", format, other, err);
    while (read.n && rc == 0)
        rc = compare_sample(v, format, piece_split(&read, '\t'), piece_split(&written, '\t'), err);
    return rc;
}

static int compare_line(variants_t *v, const bcf1_t *rec, cad_error_t *err)
{
    piece_t read = { v->given.s, v->given.l }, written;
    int rc = 0;
    v->written.l = 0;
    if (vcf_format(v->header, rec, &v->written) < 0) return cad_out_of_memory(err);
    written = (piece_t) { v->written.s, v->written.l - 1 }; /* without the line end */
    if (piece_equal(read, written)) return 0;
    for (int k = 0; k < INFO && rc == 0; k++) {
        piece_t a = piece_split(&read, '\t'), b = piece_split(&written, '\t');
        kept_t kept = piece_kept(a, b);
        if (k == QUAL) tell(v, kept, "", (piece_t) { "QUAL", 4 }, a, b);
        else if (kept != KEPT) rc = otherwise(v, COLUMN[k], a, b, err);
    }
    if (rc == 0) rc = compare_info(v, piece_split(&read, '\t'), piece_split(&written, '\t'), err);
    return rc == 0 && written.n ? compare_samples(v, read, written, err) : rc;
}

int vcf_line_parse(variants_t *v, bcf1_t *rec, cad_error_t *err)
{
    char buf[4200];
    int rc = check_line(v, err);
    if (rc) return rc;
    v->given.l = 0;
    if (kputsn(v->text_line.s, v->text_line.l, &v->given) < 0) return cad_out_of_memory(err);
    errno = 0;
    if (vcf_parse(&v->text_line, v->header, rec) < 0 || (rec->errcode & ~BCF_ERR_TAG_UNDEF))
        return cad_fail(err, CAD_EFORMAT, "%s: malformed or cut short; bcftools view may say more",
                        variant_place(v, buf));
    if (rec->errcode && v->s->records->fp && v->s->records->format.hts.format == bcf)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: a tag that the header does not declare; BCF cannot hold it: write VCF, or declare it",
                        variant_place(v, buf));
    rec->errcode = 0;
    rc = compare_line(v, rec, err);
    return rc ? rc : 1;
}
