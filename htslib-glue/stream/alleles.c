/* alleles.c - finds the kind of an ALT allele, its two haplotypes (the sequences with REF and with ALT), and the bases
 * at which the two are compared.
 *
 * REF and ALT are trimmed: first a common suffix, then a common prefix is removed. The bases that remain of each are
 * called its segment. If both segments are one base, the allele is an SNV and is compared at this base, its site. A
 * pure insertion or deletion is extended over all positions to which it can be moved without changing the resulting
 * sequence, as in SPDI. So all ways to write the same insertion or deletion give the same segments. The REF and ALT
 * haplotypes have the same flanks. In each haplotype, the compared bases are the segment and s bases on each side of
 * it. In the shorter haplotype, half of the difference in length is added to s, so that both have the same number of
 * compared bases.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>

#include "stream/alleles.h"

#define SIDE 128    /* the s above: number of compared bases on each side of a segment */
#define AHEAD 65536 /* number of reference bases that a view (a buffer of the reference) reads at a time */

/* ---- a view: a buffer of reference bases ---- */

int view_get(view_t *v, const contig_t *c, int64_t beg, int64_t end, const char **seq, cad_error_t *err)
{
    if (v->contig != c || beg < v->at.beg || end > v->at.end) {
        interval_t at = { cad_max(0, beg - AHEAD / 8), cad_min(c->length, cad_max(end, beg + AHEAD)) };
        char *room = realloc(v->seq, (size_t)(at.end - at.beg) + 1);
        int rc;
        if (!room) return cad_out_of_memory(err);
        v->seq = room;
        v->contig = NULL;
        rc = fasta_fetch(v->ref, c, at.beg, at.end, v->seq, err);
        if (rc) return rc;
        for (int64_t i = 0; i < at.end - at.beg && !v->as_is; i++) v->seq[i] = (char)toupper((unsigned char)v->seq[i]);
        v->at = at;
        v->contig = c;
    }
    *seq = v->seq + (beg - v->at.beg);
    return 0;
}

void view_free(view_t *v)
{
    free(v->seq);
    memset(v, 0, sizeof *v);
}

/* ---- letters ---- */

bool is_base(char b) { return b == 'A' || b == 'C' || b == 'G' || b == 'T'; }

static bool all_bases(const char *s, int64_t n)
{
    while (n > 0 && is_base(s[n - 1])) n--;
    return n <= 0;
}

static bool equal(char a, char b) { return toupper((unsigned char)a) == toupper((unsigned char)b); }

const char *allele_note(const char *alt)
{
    if (!strcmp(alt, "*")) return "STAR";
    for (const char *p = alt; *p; p++)
        if (!isalpha((unsigned char)*p)) return "SYMBOLIC";
    return NULL;
}

bool allele_placeholder(const char *alt)
{
    return !strcmp(alt, ".") || !strcmp(alt, "<*>") || !strcmp(alt, "<NON_REF>");
}

/* ---- the segment ---- */

static int trim(allele_t *a, const char *ref, const char *alt, int64_t pos, cad_error_t *err)
{
    int64_t nr = (int64_t)strlen(ref), na = (int64_t)strlen(alt), k = 0;
    while (nr && na && equal(ref[nr - 1], alt[na - 1])) {
        nr--;
        na--;
    }
    while (k < nr && k < na && equal(ref[k], alt[k])) k++;
    a->ref = (interval_t) { pos + k, pos + nr };
    a->alt.l = 0;
    if (kputsn(alt + k, (size_t)(na - k), &a->alt) < 0) return cad_out_of_memory(err);
    for (size_t i = 0; i < a->alt.l; i++) a->alt.s[i] = (char)toupper((unsigned char)a->alt.s[i]);
    return 0;
}

/* Sets *steps to the number of bases, at most `most`, by which `unit` (n inserted or deleted bases) can be moved
 * without changing the resulting sequence. dir -1: to the left, `at` is then the first base of the unit. dir 1: to the
 * right; `at` is then the base after the unit. */
static int slide(view_t *v, const contig_t *c, int64_t at, const char *unit, int64_t n, int dir, int64_t most,
                 int64_t *steps, cad_error_t *err)
{
    for (*steps = 0; *steps < most; ++*steps) {
        int64_t k = *steps % n, p = dir < 0 ? at - 1 - *steps : at + *steps;
        const char *base;
        int rc;
        if (p < 0 || p >= c->length) return 0;
        if ((rc = view_get(v, c, p, p + 1, &base, err))) return rc;
        if (!is_base(*base) || *base != unit[dir < 0 ? n - 1 - k : k]) return 0;
    }
    return 0;
}

/* Adds the n reference bases from position p on to the ALT segment: at its start if `before` is true, else at its
 * end. */
static int widen_alt(allele_t *a, view_t *v, const contig_t *c, int64_t p, int64_t n, bool before, cad_error_t *err)
{
    const char *seq;
    int rc = view_get(v, c, p, p + n, &seq, err);
    if (rc) return rc;
    if (ks_resize(&a->alt, a->alt.l + (size_t)n + 1) < 0) return cad_out_of_memory(err);
    if (before) memmove(a->alt.s + n, a->alt.s, a->alt.l);
    memcpy(a->alt.s + (before ? 0 : a->alt.l), seq, (size_t)n);
    a->alt.l += (size_t)n;
    a->alt.s[a->alt.l] = 0;
    return 0;
}

/* Extends the segments of a pure insertion or deletion over all positions where the insertion or deletion gives the
 * same sequence. */
static int extend(allele_t *a, view_t *v, const contig_t *c, int64_t most, cad_error_t *err)
{
    int64_t n = a->alt.l ? (int64_t)a->alt.l : a->ref.end - a->ref.beg, left = 0, right = 0;
    const char *seq = NULL;
    char *unit;
    int rc = a->alt.l ? 0 : view_get(v, c, a->ref.beg, a->ref.end, &seq, err);
    if (rc || n > most) return rc;
    /* copies the bases, since slide() changes the view's buffer */
    unit = strndup(a->alt.l ? a->alt.s : seq, (size_t)n);
    if (!unit) return cad_out_of_memory(err);
    rc = slide(v, c, a->ref.beg, unit, n, -1, most, &left, err);
    if (rc == 0) rc = slide(v, c, a->ref.end, unit, n, 1, most, &right, err);
    if (rc == 0) rc = widen_alt(a, v, c, a->ref.beg - left, left, true, err);
    if (rc == 0) rc = widen_alt(a, v, c, a->ref.end, right, false, err);
    a->ref.beg -= left;
    a->ref.end += right;
    free(unit);
    return rc;
}

/* ---- flanks, and the bases compared ---- */

/* Sets the lengths of the two flanks. If the contig ends within one flank, that flank is shortened, and the other is
 * lengthened by as many bases. */
static void place_flanks(allele_t *a, int64_t left, int64_t right, int64_t length)
{
    int64_t before = a->ref.beg, after = length - a->ref.end, l = cad_min(left, before), r = cad_min(right, after);
    a->left = cad_min(before, l + right - r);
    a->right = cad_min(after, r + left - l);
    if (a->left + a->right < left + right) a->note = "EDGE";
}

/* Sets the compared intervals of both haplotypes, with `side` bases on each side of the segment. Returns false if the
 * contig is too short for them. */
static bool set_compared(allele_t *a, int64_t side)
{
    int64_t len[2] = { a->ref.end - a->ref.beg, (int64_t)a->alt.l }, l = cad_min(side, a->left),
            r = cad_min(side, a->right);
    int64_t extra = cad_max(len[0], len[1]) - cad_min(len[0], len[1]), more = (extra + 1) / 2, more_l = more,
            more_r = more;
    a->shorter = len[1] < len[0];
    a->ends_halved = extra % 2;
    if (more > a->left - l || more > a->right - r) {
        bool tight_left = a->left - l <= a->right - r;
        int64_t least = tight_left ? a->left - l : a->right - r;
        more_l = tight_left ? least : extra - least;
        more_r = extra - more_l;
        a->ends_halved = false;
    }
    for (int h = 0; h < 2; h++)
        a->compared[h] = (interval_t) { a->left - l - (h == a->shorter ? more_l : 0),
                                        a->left + len[h] + r + (h == a->shorter ? more_r : 0) };
    a->n = cad_max(len[0], len[1]) + l + r;
    if (l < side || r < side) a->note = "EDGE";
    return more_l <= a->left - l && more_r <= a->right - r;
}

/* Sets the allele's note to N_REF if a compared reference base is not A, C, G or T. */
static int check_bases(allele_t *a, view_t *v, const contig_t *c, cad_error_t *err)
{
    int64_t beg = a->ref.beg - a->left + cad_min(a->compared[0].beg, a->compared[1].beg);
    int64_t after = cad_max(a->compared[0].end - (a->ref.end - a->ref.beg), a->compared[1].end - (int64_t)a->alt.l) -
                    a->left; /* number of compared bases after the segment */
    const char *seq;
    int rc = view_get(v, c, beg, a->ref.end + after, &seq, err);
    if (rc == 0 && !all_bases(seq, a->ref.end + after - beg)) a->note = "N_REF";
    return rc;
}

int flanks_set(flanks_t *f, int64_t window, int64_t flank, int64_t anchor, int64_t *max_len, cad_error_t *err)
{
    int64_t side = (window - 1) / 2, most;
    f->window = window;
    f->left = anchor >= 0 ? anchor : flank >= 0 ? flank : cad_min(1024, side);
    f->right = anchor >= 0 ? window - 1 - anchor : f->left;
    f->longest = cad_max(1024, window / 4);
    if (f->left + f->right >= window)
        return cad_fail(
            err, CAD_EARG,
            "--flank %lld on both sides leaves nothing of --window %lld; lower the flank or widen the window",
            (long long)flank, (long long)window);
    most = cad_max(cad_max(f->left, f->right), SIDE + (f->longest + 1) / 2);
    *max_len = cad_max(window, 2 * most + f->longest);
    return 0;
}

int64_t flanks_reach(const flanks_t *f)
{
    return cad_max(cad_max(f->left, f->right), SIDE + (f->longest + 1) / 2) + f->longest;
}

static int unscored(allele_t *a, const char *note)
{
    a->note = note;
    a->kind = ALLELE_NONE;
    return 0;
}

/* True if the trimmed REF of the record has a letter other than A, C, G and T. (check_bases() later checks the FASTA's
 * bases.) */
static bool odd_ref(const allele_t *a, const char *ref, int64_t pos)
{
    for (int64_t i = a->ref.beg; i < a->ref.end; i++)
        if (!is_base((char)toupper((unsigned char)ref[i - pos]))) return true;
    return false;
}

int allele_extent(allele_t *a, const char *ref, const char *alt, int64_t pos, const contig_t *c, view_t *v,
                  cad_error_t *err)
{
    int rc = trim(a, ref, alt, pos, err);
    int64_t n = a->ref.end - a->ref.beg, m = (int64_t)a->alt.l;
    return rc || (n && m) ? rc : extend(a, v, c, cad_max(n, m), err);
}

int allele_set(allele_t *a, const char *ref, const char *alt, int64_t pos, const contig_t *c, view_t *v,
               const flanks_t *f, cad_error_t *err)
{
    int64_t side = cad_min(SIDE, cad_min(f->left, f->right)), n, m, need, s;
    int rc = trim(a, ref, alt, pos, err);
    if (rc) return rc;
    n = a->ref.end - a->ref.beg;
    a->note = NULL;
    a->kind = n == 1 && a->alt.l == 1 ? ALLELE_SNV : ALLELE_OTHER;
    if (n == 0 && a->alt.l == 0) return unscored(a, "SAME");
    if (odd_ref(a, ref, pos)) return unscored(a, "N_REF");
    if (!all_bases(a->alt.s, (int64_t)a->alt.l)) return unscored(a, "N_ALT");
    if (n == 0 || a->alt.l == 0) rc = extend(a, v, c, f->longest, err);
    if (rc) return rc;
    n = a->ref.end - a->ref.beg;
    m = cad_max(n, (int64_t)a->alt.l);
    if (m > f->longest) return unscored(a, "LONG");
    need = a->kind == ALLELE_SNV ? 0 : side + (m - cad_min(n, (int64_t)a->alt.l) + 1) / 2;
    place_flanks(a, cad_max(f->left, need), cad_max(f->right, need), c->length);
    if (a->kind == ALLELE_SNV) {
        a->compared[0] = a->compared[1] = (interval_t) { a->left, a->left + 1 };
        a->ends_halved = false;
        a->n = 1;
    } else {
        for (s = side; !set_compared(a, s); s--) /* compares fewer bases on each side near a contig's end */
            if (s == 0) return unscored(a, "EDGE");
        if (s < side) a->note = "EDGE";
    }
    rc = check_bases(a, v, c, err);
    if (a->note && !strcmp(a->note, "N_REF")) a->kind = ALLELE_NONE;
    return rc;
}

int allele_haplotype(const allele_t *a, int h, const contig_t *c, view_t *v, kstring_t *out, cad_error_t *err)
{
    const char *seq;
    int64_t beg = a->ref.beg - a->left, end = a->ref.end + a->right;
    int rc = view_get(v, c, beg, end, &seq, err);
    if (rc) return rc;
    out->l = 0;
    if (h == 0) rc = kputsn(seq, (size_t)(end - beg), out) < 0;
    else
        rc = kputsn(seq, (size_t)a->left, out) < 0 || kputsn(a->alt.s ? a->alt.s : "", a->alt.l, out) < 0 ||
             kputsn(seq + (a->ref.end - beg), (size_t)a->right, out) < 0;
    return rc ? cad_out_of_memory(err) : 0;
}
