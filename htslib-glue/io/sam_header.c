/* sam_header.c - reads and checks the header of SAM, BAM and CRAM. htslib accepts any header, parses it only at the
 * first query, and then fails without naming the line.
 *
 * SPDX-License-Identifier: MIT
 */
#include <ctype.h>
#include <errno.h>

#include "io/header_size.h"
#include "io/sam_header.h"

typedef struct named_t { /* value of SN or ID in a header line: a pointer into the text */
    const char *s;
    size_t n;
    int64_t line, order;
} named_t;

typedef struct names_of_t {
    named_t *v;
    int64_t n, room;
} names_of_t;

typedef struct check_t {
    const char *path;
    bool text; /* true for SAM, in which the number of a header line is its line number in the file */
    notes_t *notes;
    int64_t line;
    names_of_t contig, group, program;
} check_t;

static int bad(const check_t *c, int64_t line, const char *what, const char *s, size_t n, cad_error_t *err)
{
    bool quoted = n > 0;
    return cad_fail(err, CAD_EFORMAT, "%s:%s%lld: %s%s%.*s%s; correct it", c->path, c->text ? "" : " header line ",
                    (long long)line, what, quoted ? " \"" : "", (int)cad_min((int64_t)n, 60), quoted ? s : "",
                    quoted ? "\"" : "");
}

/* ---- names ---- */

static int add(names_of_t *a, const char *s, size_t n, int64_t line, cad_error_t *err)
{
    if (a->n == a->room) {
        int64_t room = a->room ? 2 * a->room : 64;
        named_t *more = realloc(a->v, (size_t)room * sizeof *more);
        if (!more) return cad_out_of_memory(err);
        a->v = more;
        a->room = room;
    }
    a->v[a->n] = (named_t) { s, n, line, a->n };
    a->n++;
    return 0;
}

static int compare(const char *s, size_t n, const named_t *b)
{
    int c = memcmp(s, b->s, n < b->n ? n : b->n);
    return c ? c : n < b->n ? -1 : n > b->n;
}

static int by_name(const void *a, const void *b)
{
    const named_t *x = a, *y = b;
    int c = compare(x->s, x->n, y);
    return c ? c : x->order < y->order ? -1 : x->order > y->order;
}

static void sort(names_of_t *a)
{
    if (a->n) qsort(a->v, (size_t)a->n, sizeof *a->v, by_name);
}

/* Returns the second of two equal names in a sorted list, or NULL if all names differ. */
static const named_t *doubled(const names_of_t *a)
{
    for (int64_t i = 1; i < a->n; i++)
        if (!compare(a->v[i].s, a->v[i].n, &a->v[i - 1])) return &a->v[i];
    return NULL;
}

static void check_free(check_t *c)
{
    free(c->contig.v);
    free(c->group.v);
    free(c->program.v);
}

/* ---- lines ---- */

typedef struct tags_t { /* values of the tags of one line that are needed: SN or ID, and LN */
    const char *name, *length;
    size_t name_n, length_n;
    int names; /* number of SN or ID tags in the line */
} tags_t;

/* Splits a header line into tags, and stores the values of two tags: `key` (SN or ID), and LN. */
static int take_tags(const check_t *c, const char *s, const char *end, const char *key, tags_t *t, cad_error_t *err)
{
    memset(t, 0, sizeof *t);
    for (s += 3; s < end;) { /* s is at a tab */
        const char *next = memchr(s + 1, '\t', (size_t)(end - s - 1));
        size_t n = (size_t)((next ? next : end) - ++s);
        if (n < 3 || s[2] != ':') return bad(c, c->line, "not TAG:VALUE:", n ? s : " ", n ? n : 1, err);
        if (!memcmp(s, key, 2)) {
            if (!t->names++) {
                t->name = s + 3;
                t->name_n = n - 3;
            }
        } else if (!memcmp(s, "LN", 2)) {
            t->length = s + 3;
            t->length_n = n - 3;
        }
        s = next ? next : end;
    }
    return 0;
}

static bool is_length(const tags_t *t)
{
    size_t k = 0;
    while (k < t->length_n && isdigit((unsigned char)t->length[k])) k++;
    return k && k == t->length_n && k <= 18;
}

static int named_line(check_t *c, const char *s, const char *end, names_of_t *all, cad_error_t *err)
{
    bool contig = all == &c->contig;
    tags_t t;
    char what[24];
    int rc = take_tags(c, s, end, contig ? "SN" : "ID", &t, err);
    if (rc) return rc;
    snprintf(what, sizeof what, "@%.2s without %s", s + 1, contig ? "SN" : "ID");
    if (!t.names || !t.name_n) return bad(c, c->line, what, NULL, 0, err);
    snprintf(what, sizeof what, "@%.2s with two %s", s + 1, contig ? "SN" : "ID");
    if (t.names > 1) return bad(c, c->line, what, NULL, 0, err);
    if (contig && !is_length(&t))
        return bad(c, c->line, "@SQ without LN, or with an LN that is not a length", NULL, 0, err);
    return add(all, t.name, t.name_n, c->line, err);
}

static int check_line(check_t *c, const char *s, const char *end, cad_error_t *err)
{
    char what[24];
    tags_t t;
    if (end > s && end[-1] == '\r') end--;
    if (c->text && memchr(s, '\r', (size_t)(end - s)))
        return bad(c, c->line, "carriage returns in place of line ends; convert it: tr '\\r' '\\n'", NULL, 0, err);
    if (s == end || *s != '@') /* the text may end early, since htslib replaces a NUL byte by a line end */
        return bad(c, cad_max(c->line - 1, 1), "a NUL byte in it", NULL, 0, err);
    if (end - s < 3 || *s != '@' || !isalpha((unsigned char)s[1]) || !isalpha((unsigned char)s[2]))
        return bad(c, c->line, "not a header line:", end > s ? s : " ", end > s ? (size_t)(end - s) : 1, err);
    snprintf(what, sizeof what, "no tab after %.3s", s);
    if (end - s == 3 || s[3] != '\t') return bad(c, c->line, what, NULL, 0, err);
    if (!memcmp(s, "@CO", 3)) return 0;
    if (!memcmp(s, "@SQ", 3)) return named_line(c, s, end, &c->contig, err);
    if (!memcmp(s, "@RG", 3)) return named_line(c, s, end, &c->group, err);
    if (!memcmp(s, "@PG", 3)) return named_line(c, s, end, &c->program, err);
    return take_tags(c, s, end, "ID", &t, err);
}

static int check_lines(check_t *c, const char *s, size_t n, cad_error_t *err)
{
    const char *end = s + n, *nul = n ? memchr(s, 0, n) : NULL;
    int rc = 0;
    /* after the first NUL only NULs may follow; they pad the header of a BAM */
    for (const char *p = nul; p && p < end; p++) {
        if (!*p) continue;
        for (p = s; p < nul; p++) c->line += *p == '\n';
        return bad(c, c->line + 1, "a NUL byte in it", NULL, 0, err);
    }
    if (nul) end = nul;
    while (rc == 0 && s < end) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        c->line++;
        rc = check_line(c, s, stop ? stop : end, err);
        s = stop ? stop + 1 : end;
    }
    return rc;
}

/* ---- the whole header ---- */

/* Checks that the @SQ lines of a BAM name the same contigs as the BAM's binary list of contigs, in the same order. */
static int check_contigs(const check_t *c, const sam_hdr_t *h, cad_error_t *err)
{
    bool same = c->contig.n == sam_hdr_nref(h);
    for (int64_t i = 0; same && i < c->contig.n; i++) {
        const char *name = sam_hdr_tid2name(h, (int)c->contig.v[i].order);
        same = name && compare(name, strlen(name), &c->contig.v[i]) == 0;
    }
    return same ? 0
                : cad_fail(err, CAD_EFORMAT,
                           "%s: its @SQ lines and its list of contigs differ; samtools reheader can mend it", c->path);
}

/* Adds the contigs of a BAM's binary list, since a BAM may have no @SQ lines. */
static int add_list(check_t *c, const sam_hdr_t *h, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < sam_hdr_nref(h) && rc == 0; i++) {
        const char *name = sam_hdr_tid2name(h, i);
        rc = name ? add(&c->contig, name, strlen(name), 0, err) : 0;
    }
    return rc;
}

static int check_doubles(check_t *c, cad_error_t *err)
{
    const named_t *d;
    char what[100];
    sort(&c->contig);
    sort(&c->group);
    sort(&c->program);
    d = doubled(&c->contig);
    if (d) {
        snprintf(what, sizeof what, "contig %.*s is there twice", (int)cad_min((int64_t)d->n, 60), d->s);
        return d->line ? bad(c, d->line, what, NULL, 0, err) : cad_fail(err, CAD_EFORMAT, "%s: %s", c->path, what);
    }
    if ((d = doubled(&c->group)) || (d = doubled(&c->program)))
        note(c->notes, NOTE_HEADER, 1, "%s:%s%lld: the ID %.*s is there twice", c->path, c->text ? "" : " header line ",
             (long long)d->line, (int)cad_min((int64_t)d->n, 60), d->s);
    return 0;
}

/* Lets htslib parse a copy of the header, since htslib may find more faults. */
static int check_parse(const check_t *c, const sam_hdr_t *h, cad_error_t *err)
{
    sam_hdr_t *copy = sam_hdr_dup(h);
    int rc = copy && sam_hdr_count_lines(copy, "CO") >= 0
                 ? 0
                 : cad_fail(err, CAD_EFORMAT, "%s: its header cannot be parsed; samtools view -H may say why", c->path);
    sam_hdr_destroy(copy);
    return rc;
}

static int check_header(check_t *c, sam_hdr_t *h, cad_error_t *err)
{
    const char *s = sam_hdr_str(h);
    int rc = s ? check_lines(c, s, sam_hdr_length(h), err) : 0;
    if (rc == 0 && c->contig.n == 0) rc = add_list(c, h, err);
    if (rc == 0) rc = check_doubles(c, err);
    if (rc == 0) rc = check_contigs(c, h, err);
    return rc ? rc : check_parse(c, h, err);
}

static bool is_known(const char *line)
{
    static const char *const known[] = { "@HD\t", "@SQ\t", "@RG\t", "@PG\t", "@CO" };
    bool any = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) any |= !strncmp(line, known[i], strlen(known[i]));
    return any;
}

/* Reports a header that cannot be read. htslib stops at a SAM header line of unknown type, and leaves that line in
 * fp->line. */
static int unreadable(const check_t *c, const htsFile *fp, cad_error_t *err)
{
    if (c->text && fp->line.l && fp->line.s[0] == '@' && !is_known(fp->line.s))
        return cad_fail(err, CAD_EFORMAT,
                        "%s:%lld: not a header line: it begins with @HD, @SQ, @RG, @PG or @CO and a tab; correct it",
                        c->path, (long long)fp->lineno);
    return cad_fail(err, CAD_EFORMAT, "%s: cut short, or its header is damaged or missing", c->path);
}

int sam_header_read(sam_hdr_t **h, htsFile *fp, const char *path, notes_t *notes, cad_error_t *err)
{
    check_t c = { .path = path, .text = fp->format.format == sam, .notes = notes };
    int rc = header_bounded(fp, path, err);
    *h = NULL;
    if (rc) return rc;
    errno = 0;
    *h = sam_hdr_read(fp);
    rc = *h ? check_header(&c, *h, err) : unreadable(&c, fp, err);
    check_free(&c);
    return rc;
}

/* ---- chains of @PG ---- */

/* Returns the value of the first PP tag in a @PG line and sets *n to its length; NULL if there is none. */
static const char *predecessor(const char *s, const char *end, size_t *n)
{
    while ((s = memchr(s, '\t', (size_t)(end - s)))) {
        const char *stop = memchr(s + 1, '\t', (size_t)(end - s - 1));
        *n = (size_t)((stop ? stop : end) - ++s);
        if (*n > 3 && !memcmp(s, "PP:", 3)) {
            *n -= 3;
            return s + 3;
        }
    }
    return NULL;
}

/* Returns the index, in file order, of the last program with this ID (htslib also chooses the last one); -1: there is
 * none. */
static int64_t find(const names_of_t *a, const char *s, size_t n)
{
    int64_t lo = 0, hi = a->n;
    while (lo < hi) { /* binary search for the first name that is greater */
        int64_t mid = (lo + hi) / 2;
        if (compare(s, n, &a->v[mid]) >= 0) lo = mid + 1;
        else hi = mid;
    }
    return lo && !compare(s, n, &a->v[lo - 1]) ? a->v[lo - 1].order : -1;
}

/* For each @PG line, appends the ID to c->program, and the value of PP, or "" if the line has no PP, to `to`. */
static int list_programs(check_t *c, const char *s, const char *end, names_of_t *to, cad_error_t *err)
{
    int rc = 0;
    while (rc == 0 && s < end) {
        const char *stop = memchr(s, '\n', (size_t)(end - s)), *p;
        size_t n = 0;
        if (!stop) stop = end;
        c->line++;
        if (stop - s > 3 && !memcmp(s, "@PG", 3)) {
            p = predecessor(s, stop, &n);
            rc = named_line(c, s, stop, &c->program, err);
            if (rc == 0) rc = add(to, p ? p : "", p ? n : 0, c->line, err);
        }
        s = stop + (stop < end);
    }
    return rc;
}

/* Follows PP from each of the n programs. Returns the index of a program in a cycle, or -1 if there is no cycle.
 * before[i]: index of the program that the PP of program i names, or -1; met: scratch array of n zeros. */
static int64_t circle(const int64_t *before, int64_t *met, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t k = i;
        while (k >= 0 && !met[k]) {
            met[k] = i + 1;
            k = before[k];
        }
        if (k >= 0 && met[k] == i + 1) return k;
    }
    return -1;
}

static int find_circle(const check_t *c, const names_of_t *to, cad_error_t *err)
{
    int64_t n = to->n, *before = calloc((size_t)n * 2 + 1, sizeof *before), at;
    if (!before) return cad_out_of_memory(err);
    for (int64_t i = 0; i < n; i++) before[i] = to->v[i].n ? find(&c->program, to->v[i].s, to->v[i].n) : -1;
    at = circle(before, before + n, n);
    free(before);
    return at < 0
               ? 0
               : cad_fail(err, CAD_EFORMAT,
                          "%s:%s%lld: the PP tags of its @PG lines form a circle; correct the header, or see --no-PG",
                          c->path, c->text ? "" : " header line ", (long long)to->v[at].line);
}

int sam_header_chains(sam_hdr_t *h, const htsFile *fp, const char *path, cad_error_t *err)
{
    check_t c = { .path = path, .text = fp->format.format == sam };
    names_of_t to = { NULL, 0, 0 };
    const char *s = sam_hdr_str(h);
    int rc = s ? list_programs(&c, s, s + strnlen(s, sam_hdr_length(h)), &to, err) : 0;
    sort(&c.program);
    if (rc == 0) rc = find_circle(&c, &to, err);
    check_free(&c);
    free(to.v);
    return rc;
}
