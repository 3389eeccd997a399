/* regions.c - reads and looks up the regions that limit the input (-r, -R, -t, -L). SPDX-License-Identifier: MIT */
#include <ctype.h>

#include "io/input.h"
#include "io/regions.h"

typedef struct {
    char *contig;
    int64_t beg, end;
} span_t;

struct regions_t {
    span_t *span;
    int n, room;
};

int regions_new(regions_t **r, cad_error_t *err)
{
    *r = calloc(1, sizeof **r);
    return *r ? 0 : cad_out_of_memory(err);
}

void regions_free(regions_t *r)
{
    if (!r) return;
    for (int i = 0; i < r->n; i++) free(r->span[i].contig);
    free(r->span);
    free(r);
}

/* Adds the region [beg, end) of the contig. Takes ownership of the name `contig`. If contig is NULL, because its
 * allocation failed, returns an error. */
static int add(regions_t *r, char *contig, int64_t beg, int64_t end, cad_error_t *err)
{
    if (contig && r->n == r->room) {
        int room = r->room ? 2 * r->room : 64;
        span_t *s = realloc(r->span, (size_t)room * sizeof *s);
        if (s) {
            r->span = s;
            r->room = room;
        }
    }
    if (!contig || r->n == r->room) {
        free(contig);
        return cad_out_of_memory(err);
    }
    r->span[r->n++] = (span_t) { .contig = contig, .beg = beg, .end = end };
    return 0;
}

int regions_add_span(regions_t *r, const char *contig, interval_t span, cad_error_t *err)
{
    return add(r, strdup(contig), span.beg, span.end, err);
}

/* True if s begins with exactly three digits. */
static bool thousands(const char *s, size_t n)
{
    for (size_t i = 0; i < 3; i++)
        if (i >= n || !isdigit((unsigned char)s[i])) return false;
    return n == 3 || !isdigit((unsigned char)s[3]);
}

/* Reads a whole number of at least 1. Allows commas between thousands. */
static bool number(const char *s, size_t n, int64_t *out)
{
    char buf[32];
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == ',' && (i == 0 || !thousands(s + i + 1, n - i - 1))) return false;
        if (s[i] == ',') continue;
        if (k + 1 == sizeof buf) return false;
        buf[k++] = s[i];
    }
    buf[k] = 0;
    return k && buf[0] != '+' && cad_parse_int(buf, 1, INT64_MAX - 1, out);
}

/* Reads "beg", "beg-", "beg-end" or "-end", which are 1-based and inclusive, as a 0-based half-open interval. point:
 * "beg" alone means only that base, not all bases from beg on. */
static bool range(const char *s, bool point, int64_t *beg, int64_t *end)
{
    const char *dash = strchr(s, '-');
    size_t n = strlen(s);
    int64_t b = 1;
    *end = INT64_MAX;
    if (!dash) {
        if (!number(s, n, &b)) return false;
        if (point) *end = b;
    } else {
        if (dash > s && !number(s, (size_t)(dash - s), &b)) return false;
        if (dash[1] && !number(dash + 1, n - (size_t)(dash - s) - 1, end)) return false;
        if (dash == s && !dash[1]) return false;
    }
    *beg = b - 1;
    return *beg < *end;
}

/* Returns the FASTA's own name of the contig if `name` is an alias, else a copy of name; malloc'd. */
static char *own_name(const names_t *names, const char *name)
{
    const contig_t *c = names && names->hint ? fasta_find(names->hint, name) : NULL;
    return strdup(c ? c->name : name);
}

typedef struct {
    char *name; /* malloc'd; NULL: out of memory */
    int64_t beg, end;
    bool whole; /* the text is a name without a range */
    bool good;  /* the range is valid */
} place_t;

/* Splits "name:range" at its last colon. Names may contain colons, so a text that is the name of a known contig is not
 * split. A name may be enclosed in braces. */
static place_t split(const char *text, const names_t *names)
{
    const char *close = *text == '{' ? strchr(text, '}') : NULL, *colon = strrchr(text, ':'), *name = text;
    place_t p = { .end = INT64_MAX };
    bool known = names && names->has(names->dict, text), quoted = !known && close && (!close[1] || close[1] == ':');
    size_t n = strlen(text);
    if (quoted) {
        colon = close[1] ? close + 1 : NULL;
        name = text + 1;
        n = (size_t)(close - name);
    } else if (colon && !known) n = (size_t)(colon - text);
    p.whole = known || !colon;
    p.name = strndup(name, n);
    p.good = p.whole || range(colon + 1, names && names->point, &p.beg, &p.end);
    return p;
}

static int check_place(const place_t *p, const char *text, const names_t *names, cad_error_t *err)
{
    char hint[700];
    if (!p->name) return cad_out_of_memory(err);
    if (!p->good)
        return cad_fail(err, CAD_EARG, "region %s: expected CONTIG, CONTIG:BEG or CONTIG:BEG-END, counted from 1",
                        text);
    if (names->has(names->dict, p->name)) return 0;
    return cad_fail(err, CAD_EARG, "region %s: no contig \"%s\" in %s%s", text, p->name, names->path,
                    names->hint ? fasta_hint(names->hint, p->name, hint, sizeof hint) : "");
}

int region_parse(const char *text, const fasta_t *ref, const contig_t **c, interval_t *span, cad_error_t *err)
{
    names_t names = { ref, fasta_has, ref->path, ref, false, false };
    place_t p = split(text, &names);
    int rc = check_place(&p, text, &names, err);
    if (rc == 0) *c = fasta_find(ref, p.name);
    *span = (interval_t) { p.beg, p.end };
    free(p.name);
    return rc;
}

static int add_one(regions_t *r, const char *text, const names_t *names, cad_error_t *err)
{
    place_t p = split(text, names);
    int rc = names ? check_place(&p, text, names, err) : 0;
    if (rc == 0 && p.good) rc = add(r, p.name ? own_name(names, p.name) : NULL, p.beg, p.end, err);
    free(p.name);
    /* while the contigs are unknown, "a:1" may also be a whole contig of that name, so this contig is added as well */
    return rc || names || p.whole ? rc : add(r, strdup(text), 0, INT64_MAX, err);
}

/* ---- lists of regions. A comma separates two regions, separates thousands, or belongs to a contig's name ---- */

/* Returns the next comma that is not within braces, or the end of the text. */
static const char *piece_end(const char *s)
{
    const char *close = *s == '{' ? strchr(s, '}') : NULL;
    s = close ? close : s;
    return s + strcspn(s, ",");
}

/* Returns the end of the first region of a list while the names of contigs are not known. A comma after a colon and
 * before three digits separates thousands. */
static const char *plain_end(const char *s)
{
    const char *p = piece_end(s), *colon = strchr(s, ':');
    while (*p && colon && colon < p && strspn(p + 1, "0123456789") == 3 && strchr(",-", p[4]))
        p += 1 + strcspn(p + 1, ",");
    return p;
}

static bool fits(const char *s, size_t n, const names_t *names)
{
    char *text = strndup(s, n);
    place_t p = { .good = false };
    bool good;
    if (text) p = split(text, names);
    good = p.good && p.name && names->has(names->dict, p.name);
    free(p.name);
    free(text);
    return good;
}

/* Returns the end of the first region of a list: a comma, or the end of the list. Of the first 16 of these, takes the
 * last before which the text is a region on a known contig; if there is none, or names is NULL, takes that of
 * plain_end(). */
static const char *region_end(const char *s, const names_t *names)
{
    const char *end[16], *p = piece_end(s);
    int n = 0;
    if (!names) return plain_end(s);
    for (; n < (int)(sizeof end / sizeof *end); p = piece_end(p + 1)) {
        end[n++] = p;
        if (!*p) break;
    }
    while (n-- > 0)
        if (fits(s, (size_t)(end[n] - s), names)) return end[n];
    return plain_end(s);
}

int regions_add_text(regions_t *r, const char *text, const names_t *names, cad_error_t *err)
{
    int rc = 0;
    for (bool more = true; rc == 0 && more;) {
        const char *end = region_end(text, names);
        char *one = strndup(text, (size_t)(end - text));
        rc = one ? add_one(r, one, names, err) : cad_out_of_memory(err);
        free(one);
        more = *end == ',';
        text = end + 1;
    }
    return rc;
}

static int no_contig(const input_t *in, const char *contig, const names_t *names, cad_error_t *err)
{
    char hint[700];
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: contig \"%s\" is not in %s%s", in->path, (long long)in->line, contig,
                    names->path, names->hint ? fasta_hint(names->hint, contig, hint, sizeof hint) : "");
}

/* Checks that the row's contig is known, and that the row begins before the end of the contig. */
static int check_row(const input_t *in, const bed_row_t *row, const names_t *names, cad_error_t *err)
{
    const contig_t *c = names->hint ? fasta_find(names->hint, row->contig) : NULL;
    if (!names->has(names->dict, row->contig)) return no_contig(in, row->contig, names, err);
    if (!c || row->span.beg < c->length || row->span.end == c->length) return 0;
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: begins past the end of %s (%lld bases)", in->path, (long long)in->line,
                    c->name, (long long)c->length);
}

int regions_add_bed(regions_t *r, const char *path, const names_t *names, cad_error_t *err)
{
    input_t in;
    kstring_t line = { 0, 0, NULL };
    bool any = false;
    cad_error_t none = { "" }; /* the error text of the first row whose contig is unknown */
    int rc = input_open(&in, path, "bed", err);
    while (rc == 0 && (rc = input_line(&in, &line, err)) > 0) {
        bed_row_t row;
        rc = 0;
        if (bed_line_kind(line.s, line.l) != LINE_DATA) continue;
        rc = bed_parse(in.path, in.line, line.s, line.l, false, &row, err);
        if (rc) break;
        if (names && !names->some) rc = check_row(&in, &row, names, err);
        any = any || !names || names->has(names->dict, row.contig);
        if (!any && !none.text[0]) no_contig(&in, row.contig, names, &none);
        if (rc == 0) rc = add(r, own_name(names, row.contig), row.span.beg, row.span.end, err);
        bed_free(&row);
    }
    if (rc == 0 && !any && none.text[0]) rc = cad_fail(err, CAD_EFORMAT, "%s, nor any other row's", none.text);
    free(line.s);
    input_close(&in);
    return rc;
}

static int by_place(const void *a, const void *b)
{
    const span_t *x = a, *y = b;
    int c = strcmp(x->contig, y->contig);
    return c ? c : x->beg < y->beg ? -1 : x->beg > y->beg;
}

/* Sorts the regions and joins those that overlap or touch, so that the regions of a contig ascend with gaps
 * between them. */
void regions_finish(regions_t *r)
{
    int n = 0;
    if (r->n) qsort(r->span, (size_t)r->n, sizeof *r->span, by_place);
    for (int i = 0; i < r->n; i++) {
        span_t *last = n ? &r->span[n - 1] : NULL;
        if (last && r->span[i].beg <= last->end && !strcmp(r->span[i].contig, last->contig)) {
            last->end = cad_max(last->end, r->span[i].end);
            free(r->span[i].contig);
        } else r->span[n++] = r->span[i];
    }
    r->n = n;
}

/* Returns the index of the last region that begins before `end` on this contig, or that is on a contig sorted
 * before it; -1 if there is none. */
static int last_before(const regions_t *r, const char *contig, int64_t end)
{
    int lo = 0, hi = r->n - 1;
    while (lo <= hi) {
        int mid = (lo + hi) / 2, c = strcmp(r->span[mid].contig, contig);
        if (c < 0 || (c == 0 && r->span[mid].beg < end)) lo = mid + 1;
        else hi = mid - 1;
    }
    return hi;
}

/* True if [beg, end) overlaps a region. An empty interval [p,p) counts as base p. */
bool regions_overlap(const regions_t *r, const char *contig, int64_t beg, int64_t end)
{
    int i = last_before(r, contig, end == beg ? beg + 1 : end);
    return i >= 0 && !strcmp(r->span[i].contig, contig) && r->span[i].end > beg;
}

bool regions_get(const regions_t *r, const char *contig, int k, interval_t *span)
{
    int i = last_before(r, contig, INT64_MIN) + 1 + k;
    if (i >= r->n || strcmp(r->span[i].contig, contig)) return false;
    *span = (interval_t) { r->span[i].beg, r->span[i].end };
    return true;
}

int regions_within(const regions_t *r, const contig_t *c, int k, interval_t *span, notes_t *notes, cad_error_t *err)
{
    *span = (interval_t) { 0, c->length };
    if (!r) return k == 0;
    if (!regions_get(r, c->name, k, span)) return 0;
    if (span->end > c->length && span->end < INT64_MAX - 1)
        note(notes, NOTE_CLIPPED, 1, "region %s:%lld-%lld: clipped at the end of the contig", c->name,
             (long long)span->beg + 1, (long long)span->end);
    if (span->beg >= c->length && span->end > c->length)
        return cad_fail(err, CAD_EARG, "region %s:%lld: begins past the end of the contig (%lld bases)", c->name,
                        (long long)span->beg + 1, (long long)c->length);
    span->end = cad_min(span->end, c->length);
    return 1;
}

int regions_find(const regions_t *r, const fasta_t *ref, notes_t *notes, found_t *found, cad_error_t *err)
{
    notes_t mute = { .quiet = true };
    interval_t span;
    *found = (found_t) { 0 };
    for (int i = 0; i < ref->ncontig; i++)
        for (int k = 0, rc; (rc = regions_within(r, &ref->contig[i], k, &span, notes ? notes : &mute, err)) != 0; k++) {
            if (rc < 0) return rc;
            *found = (found_t) { found->count + 1, cad_max(found->longest, span.end - span.beg), i, span };
        }
    return 0;
}

/* Returns how many bases before base `end` of the contig are in regions. If r is NULL, the whole contig is one
 * region. */
static int64_t bases_before(const regions_t *r, const char *contig, int64_t end)
{
    int64_t n = 0;
    interval_t span;
    if (!r) return end;
    for (int k = 0; regions_get(r, contig, k, &span) && span.beg < end; k++) n += cad_min(span.end, end) - span.beg;
    return n;
}

double regions_share_before(const regions_t *r, const contigs_t *c, int contig, int64_t pos)
{
    int64_t all = 0, before = 0;
    for (int i = 0; i < c->n; i++) {
        int64_t length = c->length(c->dict, i);
        const char *name = c->name(c->dict, i);
        if (length <= 0 || !name) continue;
        all += bases_before(r, name, length);
        if (i <= contig) before += bases_before(r, name, i < contig ? length : cad_min(cad_max(pos, 0), length));
    }
    return all ? (double)before / (double)all : 0;
}
