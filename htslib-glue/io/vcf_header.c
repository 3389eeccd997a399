/* vcf_header.c - reads the header of VCF and BCF and passes it to htslib as text. bcf_hdr_read would load an unchecked
 * index beside a VCF, and would not say which header lines it drops or rewrites.
 *
 * SPDX-License-Identifier: MIT
 */
#include <htslib/bgzf.h>
#include <htslib/tbx.h>

#include "base/number.h"
#include "io/header_size.h"
#include "io/index_check.h"
#include "io/local.h"
#include "io/vcf_header.h"

typedef struct text_lines_t {
    const char *path;
    bool version; /* the first line is ##fileformat */
    bool binary;  /* true for BCF, in which header lines have no line number in the file */
    kstring_t text;
    int64_t *line; // (n) number of each header line in the file; blank lines are not header lines
    int64_t n, room;
} text_lines_t;

/* ---- reading the text ---- */

static int add_line(text_lines_t *t, const kstring_t *s, int64_t number, cad_error_t *err)
{
    if (t->n == t->room) {
        int64_t room = t->room ? 2 * t->room : 256, *more = realloc(t->line, (size_t)room * sizeof *more);
        if (!more) return cad_out_of_memory(err);
        t->line = more;
        t->room = room;
    }
    if ((int64_t)(t->text.l + s->l) > HEADER_MOST) return header_too_large(t->path, err);
    t->line[t->n++] = number;
    return kputsn(s->s, s->l, &t->text) < 0 || kputc('\n', &t->text) < 0 ? cad_out_of_memory(err) : 0;
}

static int bad_line(const text_lines_t *t, int64_t number, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: %s", t->path, (long long)number, what);
}

/* Reads the header lines of a VCF, up to and including the line that begins with #CHROM. */
static int read_text(text_lines_t *t, htsFile *fp, kstring_t *s, cad_error_t *err)
{
    int got, rc;
    for (;;) {
        got = hts_getline(fp, '\n', s);
        if (got < -1) return cad_fail(err, CAD_EIO, "%s: damaged or cut short in its header; restore it", t->path);
        if (got < 0) return cad_fail(err, CAD_EFORMAT, "%s: its header is cut short: there is no line #CHROM", t->path);
        if (s->l == 0) continue;
        if (strlen(s->s) != s->l) return bad_line(t, fp->lineno, "a NUL byte in the header; correct it", err);
        if (strchr(s->s, '\r'))
            return bad_line(t, fp->lineno, "carriage returns in place of line ends; convert it: tr '\\r' '\\n'", err);
        if (s->s[0] != '#')
            return bad_line(t, fp->lineno,
                            "expected a line that begins with #: the line #CHROM, which names the columns, is missing",
                            err);
        if ((rc = add_line(t, s, fp->lineno, err))) return rc;
        if (s->s[1] != '#') return 0;
    }
}

/* Reads the text of a BCF's header: a number of bytes, then that many bytes; the last byte may be NUL. Reads in small
 * steps, so that a false number does not allocate more memory than the file has bytes. */
static int read_bytes(text_lines_t *t, BGZF *fp, kstring_t *all, cad_error_t *err)
{
    unsigned char head[9] = { 0 };
    char buf[4096];
    size_t left;
    if (bgzf_read(fp, head, sizeof head) != sizeof head)
        return cad_fail(err, CAD_EFORMAT, "%s: its header is cut short", t->path);
    if (memcmp(head, "BCF\2\2", 5))
        return cad_fail(err, CAD_EFORMAT, "%s: BCF of another version than 2.2; convert it with bcftools view",
                        t->path);
    left = (size_t)cad_little(head + 5, 4);
    if ((int64_t)left > HEADER_MOST) return header_too_large(t->path, err);
    while (left) {
        size_t some = left < sizeof buf ? left : sizeof buf;
        if (bgzf_read(fp, buf, some) != (ssize_t)some)
            return cad_fail(err, CAD_EFORMAT, "%s: its header is cut short", t->path);
        if (kputsn(buf, some, all) < 0) return cad_out_of_memory(err);
        left -= some;
    }
    while (all->l && !all->s[all->l - 1]) all->l--;
    return all->l && strlen(all->s) >= all->l ? 0 : cad_fail(err, CAD_EFORMAT, "%s: a NUL byte in its header", t->path);
}

static int read_binary(text_lines_t *t, htsFile *fp, kstring_t *all, cad_error_t *err)
{
    int rc = read_bytes(t, fp->fp.bgzf, all, err);
    size_t at = 0;
    while (rc == 0 && at < all->l) {
        size_t n = strcspn(all->s + at, "\r\n");
        kstring_t one = { n < all->l - at ? n : all->l - at, 0, all->s + at };
        rc = one.l ? add_line(t, &one, t->n + 1, err) : 0;
        at += one.l + 1;
    }
    return rc;
}

/* ---- comparing the lines with those that htslib keeps ---- */

typedef struct kept_t {
    kstring_t text;
    char **line; // (n) start of each line in `text`, sorted
    size_t n;
} kept_t;

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Lists the header lines that htslib keeps, sorted. */
static int list_kept(kept_t *k, const bcf_hdr_t *h, cad_error_t *err)
{
    size_t room = 1;
    if (bcf_hdr_format(h, 0, &k->text) < 0) return cad_out_of_memory(err);
    for (size_t i = 0; i < k->text.l; i++) room += k->text.s[i] == '\n';
    k->line = cad_alloc(room, sizeof *k->line);
    if (!k->line) return cad_out_of_memory(err);
    for (char *s = k->text.s; s && *s;) {
        char *end = strchr(s, '\n');
        k->line[k->n++] = s;
        if (end) *end = 0;
        s = end ? end + 1 : NULL;
    }
    qsort(k->line, k->n, sizeof *k->line, by_text);
    return 0;
}

/* Removes ",IDX=N", which htslib adds to the lines of a BCF, from the end of s. */
static void cut_index(char *s)
{
    char *at = strstr(s, ",IDX="), *last = at;
    while (at && (at = strstr(at + 1, ",IDX="))) last = at;
    if (last && !strcmp(last + 5 + strspn(last + 5, "0123456789"), ">")) strcpy(last, ">");
}

/* Returns the line kept by htslib that has the same key and ID as the line s, or NULL. */
static const char *namesake(const kept_t *k, const char *s)
{
    const char *id = strstr(s, "=<ID=");
    size_t n = id ? (size_t)(id - s) + 5 + strcspn(id + 5, ",>") : 0;
    for (size_t i = 0; n && i < k->n; i++)
        if (!strncmp(k->line[i], s, n) && strchr(",>", k->line[i][n])) return k->line[i];
    return NULL;
}

static void compare_line(const text_lines_t *t, int64_t i, char *s, const kept_t *k, notes_t *notes)
{
    const char *other;
    cut_index(s);
    if (bsearch(&s, k->line, k->n, sizeof *k->line, by_text)) return;
    other = namesake(k, s);
    note(notes, NOTE_HEADER, 1, "%s:%s%lld: %s%.200s", t->path, t->binary ? " header line " : "", (long long)t->line[i],
         other ? "this header line is not kept; another of this ID, or another spelling, is: "
               : "this header line is not one that htslib keeps; it is dropped: ",
         other ? other : s);
}

/* Prints notes about INFO and FORMAT lines whose Type htslib reads as String, and about lines without Number. */
static void compare_types(const text_lines_t *t, const bcf_hdr_t *h, notes_t *notes)
{
    for (int i = 0; i < h->nhrec; i++) {
        bcf_hrec_t *r = h->hrec[i];
        int type = bcf_hrec_find_key(r, "Type"), id = bcf_hrec_find_key(r, "ID");
        if ((r->type != BCF_HL_INFO && r->type != BCF_HL_FMT) || id < 0) continue;
        if (type < 0 || !strstr(" Integer Float String Character Flag ", r->vals[type]))
            note(notes, NOTE_HEADER, 1, "%s: ##%s %.60s has no Type, or an unknown one; it counts as String", t->path,
                 r->key, r->vals[id]);
        if (bcf_hrec_find_key(r, "Number") < 0)
            note(notes, NOTE_HEADER, 1, "%s: ##%s %.60s has no Number; it counts as \".\"", t->path, r->key,
                 r->vals[id]);
    }
}

static int compare(text_lines_t *t, const bcf_hdr_t *h, notes_t *notes, cad_error_t *err)
{
    kept_t k = { .n = 0 };
    int rc = list_kept(&k, h, err);
    char *s = t->text.s;
    if (rc == 0 && t->n && !t->version)
        note(notes, NOTE_HEADER, 1, "%s: the first line is not ##fileformat=VCFv4.2", t->path);
    for (int64_t i = 0; rc == 0 && i < t->n; i++) {
        char *end = strchr(s, '\n');
        *end = 0;
        if (s[1] == '#') compare_line(t, i, s, &k, notes);
        s = end + 1;
    }
    if (rc == 0) compare_types(t, h, notes);
    free(k.line);
    free(k.text.s);
    return rc;
}

/* ---- contigs that are in the index but not in the header ---- */

static int add_names(bcf_hdr_t *h, struct tbx_t *tabix)
{
    int n = 0, rc = 0, added = 0;
    const char **name = tbx_seqnames(tabix, &n);
    for (int i = 0; name && i < n && rc == 0; i++) {
        kstring_t s = { 0, 0, NULL };
        if (bcf_hdr_name2id(h, name[i]) >= 0) continue;
        if (ksprintf(&s, "##contig=<ID=%s>", name[i]) < 0 || bcf_hdr_append(h, s.s) < 0) rc = -1;
        added++;
        free(s.s);
    }
    free(name);
    return rc == 0 && added ? bcf_hdr_sync(h) : rc;
}

static int add_indexed(bcf_hdr_t *h, const char *path, cad_error_t *err)
{
    index_file_t x;
    cad_error_t unsaid;
    notes_t silent = { .quiet = true };
    char *local = local_path(path);
    struct tbx_t *tabix = NULL;
    int rc = local ? index_find(&x, path, INDEXED_VCF, 0, err) : cad_out_of_memory(err);
    if (rc == 0) {
        if (x.path && index_check(&x, &silent, &unsaid) == 0)
            tabix = tbx_index_load3(local, x.path, HTS_IDX_SILENT_FAIL);
        index_close(&x);
    }
    free(local);
    if (tabix && add_names(h, tabix) < 0) rc = cad_out_of_memory(err);
    if (tabix) tbx_destroy(tabix);
    return rc;
}

/* ---- the whole header ---- */

static int parse(text_lines_t *t, bcf_hdr_t **h, notes_t *notes, cad_error_t *err)
{
    *h = bcf_hdr_init("r");
    t->version = t->n && !strncmp(t->text.s, "##fileformat=", 13);
    if (!*h) return cad_out_of_memory(err);
    if (bcf_hdr_parse(*h, t->text.s) < 0)
        return cad_fail(err, CAD_EFORMAT,
                        "%s: its header cannot be parsed: is the line #CHROM complete, with tabs, and are all samples "
                        "and contigs unique? bcftools view -h may say more",
                        t->path);
    return compare(t, *h, notes, err);
}

/* False if htslib lost the first line, ##fileformat, as it does without an error if memory is short. */
static bool has_version(const text_lines_t *t, const bcf_hdr_t *h)
{
    return !t->version || (h->nhrec && !strcmp(h->hrec[0]->key, "fileformat"));
}

int vcf_header_read(bcf_hdr_t **h, htsFile *fp, const char *path, notes_t *notes, cad_error_t *err)
{
    text_lines_t t = { .path = path, .binary = fp->format.format == bcf };
    kstring_t scratch = { 0, 0, NULL };
    int rc = header_bounded(fp, path, err);
    *h = NULL;
    if (rc == 0) rc = t.binary ? read_binary(&t, fp, &scratch, err) : read_text(&t, fp, &scratch, err);
    if (rc == 0) rc = parse(&t, h, notes, err);
    if (rc == 0 && !has_version(&t, *h)) rc = cad_out_of_memory(err);
    if (rc == 0 && !t.binary && fp->format.compression == bgzf && strcmp(path, "standard input"))
        rc = add_indexed(*h, path, err);
    if (rc && *h) {
        bcf_hdr_destroy(*h);
        *h = NULL;
    }
    free(scratch.s);
    free(t.text.s);
    free(t.line);
    return rc;
}
