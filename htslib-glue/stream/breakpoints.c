/* breakpoints.c - the score sv: how much less probable the bases beside the breakpoints of a structural variant become.
 *
 * ALT is described by pieces: stretches of the contig, possibly reversed, and inserted bases. Where two pieces meet that
 * do not meet in REF is a junction. The bases of REF on its sides (sides, `--sv-flank` bases each) are read twice,
 * without masking: in windows of REF around the breakpoints, and in windows of ALT around the junctions.
 *
 *   deletion of [b,e)      [0,b) + [e,...)                    bases before b and from e on
 *   duplication of [b,e)   [0,e) + [b,...)                    bases before e and from b on
 *   inversion of [b,e)     [0,b) + rc [b,e) + [e,...)         bases on both sides of b and e
 *   insertion, replacement [0,b) + inserted bases + [e,...)   bases before b and from e on
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <math.h>

#include "stream/breakpoints.h"

/* ---- kinds of alleles ---- */

/* True if the symbolic ALT is <NAME> or a subtype, <NAME:...>. */
static bool is_type(const char *alt, const char *name)
{
    size_t n = strlen(name);
    return *alt == '<' && !strncmp(alt + 1, name, n) && (alt[n + 1] == '>' || alt[n + 1] == ':');
}

bool breaks_symbolic(const char *alt)
{
    return is_type(alt, "DEL") || !strcmp(alt, "<DUP>") || is_type(alt, "DUP:TANDEM") || is_type(alt, "INV") ||
           is_type(alt, "INS");
}

bool breaks_breakend(const char *alt)
{
    size_t n = strlen(alt);
    return strpbrk(alt, "[]") || (n > 1 && (*alt == '.' || alt[n - 1] == '.'));
}

/* ---- where the allele begins and ends ---- */

/* Returns the value of INFO/SVLEN for the allele, without its sign; 0: none. */
static int64_t length_given(const variants_t *v, variant_t *d, int alt)
{
    int64_t *x = NULL, length = 0;
    int room = 0, n;
    if (!bcf_get_info(v->header, d->rec, "SVLEN")) return 0;
    n = bcf_get_info_int64(v->header, d->rec, "SVLEN", &x, &room);
    if (n > 0 && (n == d->nalt || d->nalt == 1) && x[cad_min(alt, n - 1)] != bcf_int64_missing)
        length = llabs(x[cad_min(alt, n - 1)]);
    free(x);
    return length;
}

/* Returns the value of INFO/END; -1: none. */
static int64_t end_given(const variants_t *v, variant_t *d)
{
    int64_t *x = NULL, end = -1;
    int room = 0;
    if (!bcf_get_info(v->header, d->rec, "END")) return -1;
    if (bcf_get_info_int64(v->header, d->rec, "END", &x, &room) == 1 && *x != bcf_int64_missing) end = *x;
    free(x);
    return end;
}

/* Sets *at to the bases of a symbolic DEL, DUP or INV: those after POS up to END or, in a record of several alleles or
 * without END, as many as SVLEN says. Returns false if they are not known. */
static bool span_given(const variants_t *v, variant_t *d, int alt, interval_t *at)
{
    int64_t end = end_given(v, d), length = length_given(v, d, alt), beg = d->rec->pos + 1;
    *at = (interval_t) { beg, length && (d->nalt > 1 || end < 0) ? beg + length : end };
    return at->end > at->beg;
}

/* Sets *out to the text of an INFO field in upper case, malloc'd; NULL if the record does not have it, or if it holds
 * letters other than A to Z. Returns 0 or CAD_ENOMEM. */
static int text_given(const variants_t *v, variant_t *d, const char *key, char **out, cad_error_t *err)
{
    int room = 0, n;
    *out = NULL;
    if (!bcf_get_info(v->header, d->rec, key)) return 0;
    n = bcf_get_info_string(v->header, d->rec, key, out, &room);
    if (n == -4) return cad_out_of_memory(err);
    for (char *s = *out; n > 0 && *s; s++) {
        if (!isalpha((unsigned char)*s)) n = 0;
        *s = (char)toupper((unsigned char)*s);
    }
    if (n > 0 && **out) return 0;
    free(*out);
    *out = NULL;
    return 0;
}

/* Returns whether INFO/SVCLAIM says that the allele is known by its depth alone, so that its breakpoints are not
 * claimed. */
static bool depth_alone(const variants_t *v, variant_t *d, int alt)
{
    char *claims = NULL;
    const char *s;
    int room = 0;
    bool depth = false;
    if (!bcf_get_info(v->header, d->rec, "SVCLAIM")) return false;
    if (bcf_get_info_string(v->header, d->rec, "SVCLAIM", &claims, &room) > 0) {
        s = claims;
        for (int i = 0; i < alt && strchr(s, ','); i++) s = strchr(s, ',') + 1;
        depth = *s == 'D' && (s[1] == 0 || s[1] == ',');
    }
    free(claims);
    return depth;
}

/* ---- pieces, junctions and sides ---- */

static void add_ref(struct breaks_t *b, int64_t beg, int64_t end, bool reverse)
{
    b->piece[b->npiece++] = (piece_of_alt_t) { .ref = { beg, end }, .reverse = reverse, .n = end - beg };
}

/* Adds inserted bases, of which the pieces take ownership. */
static void add_bases(struct breaks_t *b, char *bases)
{
    b->piece[b->npiece++] = (piece_of_alt_t) { .bases = bases, .n = (int64_t)strlen(bases) };
}

static void add_junction(struct breaks_t *b, int first, int left, int last)
{
    b->junction[b->njunction++] = (junction_t) { first, left, last };
}

static void add_side(struct breaks_t *b, int at, bool before, int junction, bool alt_before, int64_t n)
{
    if (n > 0) b->side[b->nside++] = (side_t) { at, before, junction, alt_before, n };
}

static void describe_deletion(struct breaks_t *b, interval_t at, int64_t k, int64_t length)
{
    add_ref(b, 0, at.beg, false);
    add_ref(b, at.end, length, false);
    add_junction(b, 0, 0, 1);
    add_side(b, 0, true, 0, true, cad_min(k, at.beg));
    add_side(b, 1, false, 0, false, cad_min(k, length - at.end));
}

static void describe_duplication(struct breaks_t *b, interval_t at, int64_t k, int64_t length)
{
    add_ref(b, 0, at.end, false);
    add_ref(b, at.beg, length, false);
    add_junction(b, 0, 0, 1);
    add_side(b, 1, true, 0, true, cad_min(k, at.end - at.beg));
    add_side(b, 0, false, 0, false, cad_min(k, at.end - at.beg));
}

static void describe_inversion(struct breaks_t *b, interval_t at, int64_t k, int64_t length)
{
    int64_t inside = cad_min(k, at.end - at.beg);
    add_ref(b, 0, at.beg, false);
    add_ref(b, at.beg, at.end, true);
    add_ref(b, at.end, length, false);
    add_junction(b, 0, 0, 2);
    add_junction(b, 0, 1, 2);
    add_side(b, 0, true, 0, true, cad_min(k, at.beg));
    add_side(b, 1, true, 0, false, inside);
    add_side(b, 0, false, 1, true, inside);
    add_side(b, 1, false, 1, false, cad_min(k, length - at.end));
}

/* left, right: the inserted bases as they begin and as they end, malloc'd; right NULL: `left` is all of them. */
static void describe_insertion(struct breaks_t *b, interval_t at, char *left, char *right, int64_t k, int64_t length)
{
    add_ref(b, 0, at.beg, false);
    add_bases(b, left);
    if (right) add_bases(b, right);
    add_ref(b, at.end, length, false);
    add_junction(b, 0, 0, right ? 1 : 2);
    add_junction(b, right ? 2 : 0, right ? 2 : 1, b->npiece - 1);
    add_side(b, 0, true, 0, true, cad_min(k, at.beg));
    add_side(b, 1, false, 1, false, cad_min(k, length - at.end));
}

static int past_end(const variants_t *v, const variant_t *d, const contig_t *c, int64_t end, cad_error_t *err)
{
    char buf[4200];
    return cad_fail(err, CAD_EFORMAT,
                    "%s: an allele at POS %lld ends at %lld, past the end of %s (%lld bases in %s); is it the right "
                    "reference?",
                    variant_place(v, buf), (long long)d->rec->pos + 1, (long long)end, c->name, (long long)c->length,
                    v->s->ref->path);
}

/* Describes an <INS> by the sequence in INFO; returns 1 if there is none. */
static int describe_symbolic_insertion(variants_t *v, variant_t *d, struct breaks_t *b, const contig_t *c,
                                       cad_error_t *err)
{
    int64_t at = d->rec->pos + 1;
    char *all = NULL, *left = NULL, *right = NULL;
    int rc = text_given(v, d, "SVINSSEQ", &all, err);
    if (rc == 0 && !all) rc = text_given(v, d, "LEFT_SVINSSEQ", &left, err);
    if (rc == 0 && !all) rc = text_given(v, d, "RIGHT_SVINSSEQ", &right, err);
    b->at[0] = b->at[1] = at;
    if (rc == 0 && at > c->length) rc = past_end(v, d, c, at, err);
    if (rc == 0 && (all || (left && right))) {
        describe_insertion(b, (interval_t) { at, at }, all ? all : left, right, v->s->set->variants.sv_flank,
                           c->length);
        return 0;
    }
    free(all);
    free(left);
    free(right);
    return rc ? rc : 1;
}

/* Describes a sequence allele: the bases over which it can be shifted count as replaced by themselves, so that its
 * spelling does not matter. */
static int describe_sequence(variants_t *v, variant_t *d, int alt, struct breaks_t *b, const contig_t *c,
                             cad_error_t *err)
{
    allele_t *a = &d->alt[alt].allele;
    int rc = allele_extent(a, d->rec->d.allele[0], d->rec->d.allele[alt + 1], d->rec->pos, c, &v->view, err);
    int64_t k = v->s->set->variants.sv_flank;
    char *bases;
    if (rc) return rc;
    b->at[0] = a->ref.beg;
    b->at[1] = a->ref.end;
    if (a->alt.l == 0) {
        describe_deletion(b, a->ref, k, c->length);
        return 0;
    }
    bases = strdup(a->alt.s);
    if (!bases) return cad_out_of_memory(err);
    describe_insertion(b, a->ref, bases, NULL, k, c->length);
    return 0;
}

/* Describes ALT. Sets *note if it cannot be scored. */
static int describe(variants_t *v, variant_t *d, int alt, struct breaks_t *b, const contig_t *c, const char **note,
                    cad_error_t *err)
{
    const char *text = d->rec->d.allele[alt + 1];
    int64_t k = v->s->set->variants.sv_flank;
    interval_t at;
    *note = NULL;
    if (!allele_note(text)) return describe_sequence(v, d, alt, b, c, err);
    if (depth_alone(v, d, alt)) *note = "DEPTH";
    else if (is_type(text, "INS")) {
        int rc = describe_symbolic_insertion(v, d, b, c, err);
        if (rc == 1) *note = "NO_SEQUENCE";
        return rc < 0 ? rc : 0;
    } else if (!span_given(v, d, alt, &at)) *note = "NO_END";
    else {
        if (at.end > c->length) return past_end(v, d, c, at.end, err);
        b->at[0] = at.beg;
        b->at[1] = at.end;
        if (is_type(text, "DEL")) describe_deletion(b, at, k, c->length);
        else if (is_type(text, "INV")) describe_inversion(b, at, k, c->length);
        else describe_duplication(b, at, k, c->length);
    }
    return 0;
}

/* ---- windows ---- */

static char complement(char base)
{
    static const char from[] = "ACGT", to[] = "TGCA";
    const char *s = base ? strchr(from, base) : NULL;
    return s ? to[s - from] : 'N';
}

/* Appends bases [beg, end) of a piece. */
static int append_piece(variants_t *v, const contig_t *c, const piece_of_alt_t *p, int64_t beg, int64_t end,
                        kstring_t *out, cad_error_t *err)
{
    const char *bases = p->bases;
    int rc = 0;
    if (!bases && !p->reverse) rc = view_get(&v->view, c, p->ref.beg + beg, p->ref.beg + end, &bases, err);
    else if (!bases) rc = view_get(&v->view, c, p->ref.end - end, p->ref.end - beg, &bases, err);
    else bases += beg;
    if (rc) return rc;
    if (ks_resize(out, out->l + (size_t)(end - beg) + 1) < 0) return cad_out_of_memory(err);
    for (int64_t i = 0; i < end - beg; i++)
        out->s[out->l + (size_t)i] = p->reverse ? complement(bases[end - beg - 1 - i]) : bases[i];
    out->l += (size_t)(end - beg);
    out->s[out->l] = 0;
    return 0;
}

/* Writes to `out` the ALT haplotype around a junction: at most `left` bases before it and `right` bases after it. Sets
 * *at to the place of the junction. */
static int around_junction(variants_t *v, const contig_t *c, const struct breaks_t *b, const junction_t *j,
                           int64_t left, int64_t right, kstring_t *out, int64_t *at, cad_error_t *err)
{
    int64_t need = left, skip;
    int from = j->left, rc = 0;
    while (from > j->first && b->piece[from].n < need) need -= b->piece[from--].n;
    skip = cad_max(0, b->piece[from].n - need);
    out->l = 0;
    for (int i = from; i <= j->left && rc == 0; i++, skip = 0)
        rc = append_piece(v, c, &b->piece[i], skip, b->piece[i].n, out, err);
    *at = (int64_t)out->l;
    for (int i = j->left + 1; i <= j->last && rc == 0 && right > 0; i++) {
        int64_t n = cad_min(right, b->piece[i].n);
        rc = append_piece(v, c, &b->piece[i], 0, n, out, err);
        right -= n;
    }
    return rc;
}

/* Puts the window of n letters in which the bases on both sides of `at` are read. */
static int put_window(variants_t *v, result_t *r, int64_t id, const char *seq, int64_t n, int64_t at, cad_error_t *err)
{
    int64_t k = v->s->set->variants.sv_flank;
    letters_t letters = { .seq = seq, .window = { 0, n }, .core = { 0, n } };
    job_t j = { .id = id, .mask = CAD_MASK_NONE, .scored = { cad_max(0, at - k), cad_min(n, at + k) } };
    int rc = window_encode(&v->s->cutter.encoding, &letters, &j, err);
    if (at < v->flanks.left || n - at < v->flanks.right) r->allele.note = "EDGE";
    if (rc == 0) return pipeline_job(&v->s->pipe, j, err);
    job_free(&j);
    return rc;
}

static int put_windows(variants_t *v, result_t *r, int64_t id, const contig_t *c, cad_error_t *err)
{
    const struct breaks_t *b = r->breaks;
    int64_t left = v->flanks.left, right = v->flanks.right, at;
    int rc = 0;
    for (int i = 0; i < (b->at[0] == b->at[1] ? 1 : 2) && rc == 0; i++) {
        int64_t beg = cad_max(0, b->at[i] - left), end = cad_min(c->length, b->at[i] + right);
        const char *seq;
        rc = view_get(&v->view, c, beg, end, &seq, err);
        if (rc == 0) rc = put_window(v, r, id + i, seq, end - beg, b->at[i] - beg, err);
    }
    for (int i = 0; i < b->njunction && rc == 0; i++) {
        rc = around_junction(v, c, b, &b->junction[i], left, right, &v->haplotype, &at, err);
        if (rc == 0) rc = put_window(v, r, id + 2 + i, v->haplotype.s, (int64_t)v->haplotype.l, at, err);
    }
    return rc;
}

static int new_breaks(variants_t *v, struct breaks_t **out, cad_error_t *err)
{
    int64_t n = 2 * v->s->set->variants.sv_flank;
    struct breaks_t *b = *out = calloc(1, sizeof *b);
    if (!b) return cad_out_of_memory(err);
    for (int i = 0; i < 2; i++) {
        b->own[i] = malloc((size_t)n * sizeof *b->own[i]);
        if (!b->own[i]) return cad_out_of_memory(err);
        for (int64_t k = 0; k < n; k++) b->own[i][k] = NAN;
    }
    return 0;
}

int breaks_put(variants_t *v, variant_t *d, int alt, const contig_t *c, cad_error_t *err)
{
    result_t *r = &d->alt[alt];
    const char *why;
    char buf[4200];
    int rc = new_breaks(v, &r->breaks, err);
    if (rc == 0) rc = describe(v, d, alt, r->breaks, c, &why, err);
    if (rc) return rc;
    r->allele.kind = ALLELE_NONE;
    r->allele.note = why;
    r->scored = !why;
    v->scored += r->scored;
    if (!why) return put_windows(v, r, ID_BREAKS + 4 * (int64_t)alt, c, err);
    note(v->s->notes, NOTE_UNSCORABLE, 1, "%s: %s:%lld %.40s>%.40s is not scored (%s)", variant_place(v, buf), c->name,
         (long long)d->rec->pos + 1, d->rec->d.allele[0], d->rec->d.allele[alt + 1], why);
    return 0;
}

/* ---- results ---- */

/* Returns log p of the base at position t of the window; NaN if it is not A, C, G or T, or was not read. */
static double own_base(const variants_t *v, const job_t *j, int64_t t)
{
    int base = t < j->scored.beg || t >= j->scored.end ? NO_BASE : v->s->cutter.bases.of[j->tokens[t]];
    return base == NO_BASE ? (double)NAN : (double)j->logp[4 * (t - j->scored.beg) + base];
}

/* Returns the place of the breakpoint or junction in its window: all windows but those at a contig's ends have it after
 * `left` bases. */
static int64_t place_in(const variants_t *v, const struct breaks_t *b, int64_t which)
{
    int64_t at = 0;
    if (which < 2) return cad_min(v->flanks.left, b->at[which]);
    for (int i = b->junction[which - 2].first; i <= b->junction[which - 2].left; i++) at += b->piece[i].n;
    return cad_min(v->flanks.left, at);
}

static void take_side(const variants_t *v, struct breaks_t *b, const side_t *s, const job_t *j, int64_t at)
{
    int64_t k = v->s->set->variants.sv_flank;
    const double *own = b->own[b->at[0] == b->at[1] ? 0 : s->at];
    for (int64_t i = 0; i < s->n; i++) {
        double ref = own[s->before ? k - 1 - i : k + i], alt = own_base(v, j, s->alt_before ? at - 1 - i : at + i);
        if (isnan(ref) || isnan(alt)) continue;
        b->sum += alt - ref;
        b->n++;
    }
}

void breaks_take(const variants_t *v, result_t *r, const job_t *j)
{
    struct breaks_t *b = r->breaks;
    int64_t which = j->id % 4, at = place_in(v, b, which), k = v->s->set->variants.sv_flank;
    for (int64_t i = 0; which < 2 && i < 2 * k; i++) b->own[which][i] = own_base(v, j, at - k + i);
    for (int i = 0; which >= 2 && i < b->nside; i++)
        if (b->side[i].junction == which - 2) take_side(v, b, &b->side[i], j, at);
}

void breaks_free(struct breaks_t *b)
{
    if (!b) return;
    for (int i = 0; i < b->npiece; i++) free(b->piece[i].bases);
    free(b->own[0]);
    free(b->own[1]);
    free(b);
}
