/* crai_check.c - checks a .crai. It is a text file with one line of six numbers for each slice.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"
#include "io/crai_check.h"
#include "io/input.h"

#define REMEDY "renew it with `samtools index`"

typedef struct slice_t {
    int64_t contig;    /* index of the contig; -1: reads without a position */
    int64_t start;     /* first base of the slice, counted from 1 */
    int64_t span;      /* length in bases */
    int64_t container; /* the container's offset in the file */
    int64_t offset;    /* the slice's offset from the end of the container's header */
    int64_t size;      /* size of the slice in bytes */
} slice_t;

typedef struct crai_t {
    const index_file_t *x;
    input_t in;
    slice_t last;
    bool *seen;     // (1 + contigs) seen[contig + 1]: a line of this contig was read
    int major;      /* major version of the CRAM */
    int64_t bytes;  /* size of the container that `last` is in */
    int64_t contig; /* the contig of that container; -2: it holds several contigs */
} crai_t;

static int bad(const crai_t *c, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: %s; " REMEDY, c->x->path, (long long)c->in.line, what);
}

static bool parse(char *line, slice_t *s)
{
    int64_t *const value[] = { &s->contig, &s->start, &s->span, &s->container, &s->offset, &s->size };
    char *save = NULL, *at = line;
    for (int i = 0; i < 6; i++, at = NULL) {
        const char *field = strtok_r(at, "\t\r", &save);
        if (!field || !cad_parse_int(field, i ? 0 : -1, i == 3 ? INT64_MAX / 2 : INT32_MAX, value[i])) return false;
    }
    return !strtok_r(NULL, "\t\r", &save) && s->start + s->span <= INT32_MAX;
}

/* Reads a number in the ITF8 encoding of CRAM 2 and 3: k leading one bits in the first byte mean that k bytes follow.
 * Returns a pointer to the byte after the number, or NULL if the number is cut short. */
static const unsigned char *itf8(const unsigned char *p, const unsigned char *end, int32_t *v)
{
    int more = 0;
    uint32_t u;
    if (p >= end) return NULL;
    while (more < 4 && (*p << more & 0x80)) more++;
    if (end - p <= more) return NULL;
    u = *p & (more < 4 ? 0x7fU >> more : 15);
    for (int i = 1; i <= more; i++) u = i < 4 ? u << 8 | p[i] : u << 4 | (p[i] & 15);
    *v = (int32_t)u;
    return p + 1 + more;
}

/* Reads the size and the contig of the container at offset `at`. Returns false if no container can begin there. */
static bool read_container(crai_t *c, int64_t at)
{
    unsigned char head[9];
    int32_t contig;
    if (c->major > 3) return at < c->x->size; /* CRAM 4 has another layout */
    if (at < 26 || cad_pread(c->x->fd, head, sizeof head, at, "", NULL)) return false;
    c->bytes = head[0] | head[1] << 8 | head[2] << 16 | (int64_t)head[3] << 24;
    if (!itf8(head + 4, head + sizeof head, &contig)) return false;
    c->contig = contig;
    return contig >= -2 && contig < c->x->ncontig && c->bytes < c->x->size - at;
}

/* Checks that the lines of a contig follow each other and are sorted by start, because htslib keeps one run of lines
 * for each contig and searches that run by start. */
static int check_order(const crai_t *c, const slice_t *s, bool first, cad_error_t *err)
{
    if (s->contig >= c->x->ncontig) return bad(c, "a contig that the header lacks: the index of another file?", err);
    if (first || s->contig != c->last.contig)
        return c->seen[s->contig + 1] ? bad(c, "a contig that was left some lines before; is the CRAM sorted?", err)
                                      : 0;
    return s->start < c->last.start ? bad(c, "a slice that begins before the previous slice; is the CRAM sorted?", err)
                                    : 0;
}

/* Checks that the last slice listed for a container ends at the end of the container, since slices fill a container. */
static int check_full(const crai_t *c, cad_error_t *err)
{
    return c->major > 3 || c->last.offset + c->last.size == c->bytes
               ? 0
               : bad(c, "the slices up to here do not fill their container; the index is cut short, or another file's",
                     err);
}

static int check_slice(crai_t *c, const slice_t *s, bool first, cad_error_t *err)
{
    int rc = check_order(c, s, first, err);
    if (rc) return rc;
    if (!first && s->container != c->last.container && (rc = check_full(c, err))) return rc;
    if ((first || s->container != c->last.container) && !read_container(c, s->container))
        return bad(c, "no container of the CRAM begins there; the index of another file?", err);
    if (c->major <= 3 && (s->offset + s->size > c->bytes || (c->contig != -2 && c->contig != s->contig)))
        return bad(c, "no such slice in its container; the index of another file?", err);
    c->seen[s->contig + 1] = true;
    c->last = *s;
    return 0;
}

static int check_lines(crai_t *c, cad_error_t *err)
{
    kstring_t line = { 0, 0, NULL };
    bool first = true;
    slice_t s;
    int rc;
    while ((rc = input_line(&c->in, &line, err)) > 0) {
        rc = parse(line.s, &s) ? check_slice(c, &s, first, err) : bad(c, "not six numbers of a slice", err);
        if (rc) break;
        first = false;
    }
    free(line.s);
    if (rc == 0 && !first) rc = check_full(c, err);
    return rc;
}

int crai_check(const index_file_t *x, cad_error_t *err)
{
    crai_t c = { .x = x };
    unsigned char head[5];
    int rc = cad_pread(x->fd, head, sizeof head, 0, x->data, err);
    if (rc) return rc;
    c.major = head[4];
    c.seen = calloc((size_t)x->ncontig + 1, sizeof *c.seen);
    if (!c.seen) return cad_out_of_memory(err);
    rc = input_open(&c.in, x->path, "bed", err);
    if (rc == 0) rc = check_lines(&c, err);
    input_close(&c.in);
    free(c.seen);
    return rc;
}
