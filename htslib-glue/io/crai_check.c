/* crai_check.c - checks a .crai, the index of a CRAM: a text file with one line of six numbers for each slice. A CRAM
 * consists of containers, and a container consists of slices.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"
#include "io/crai_check.h"
#include "io/cram_layout.h"
#include "io/input.h"

#define REMEDY "renew it with `samtools index`"

typedef struct slice_t {
    int64_t contig;    /* index of the contig; -1: the slice holds reads without a position */
    int64_t start;     /* first base of the slice, counted from 1 */
    int64_t span;      /* length of the slice in bases */
    int64_t container; /* offset of the slice's container in the file */
    int64_t offset;    /* offset of the slice from the end of its container's header */
    int64_t size;      /* size of the slice in bytes */
} slice_t;

typedef struct crai_t {
    const index_file_t *x;
    input_t in;
    slice_t last;
    bool *seen;     // (1 + contigs) seen[contig + 1]: true once a line of this contig was read
    int major;      /* major version of the CRAM */
    int64_t bytes;  /* size in bytes of the container of the slice `last` */
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

/* Checks that no container with reads follows the last container that the index lists. none: the index lists no
 * container, so no container with reads may follow the CRAM's header. End markers are containers without reads; a file
 * may have several of them. */
static int check_last(const crai_t *c, bool none, cad_error_t *err)
{
    const cram_file_t f = { c->x->data, c->x->fd, c->x->size, c->major };
    cram_container_t next = { .reads = 0 };
    if (c->major > 3 || !cram_container_read(&f, none ? CRAM_CONTAINERS : c->last.container, &next)) return 0;
    while (next.end < f.size && cram_container_read(&f, next.end, &next))
        if (next.reads)
            return bad(
                c, "containers of the CRAM follow the last one listed; the index is cut short, or another file's", err);
    return 0;
}

/* Reads the size and the contig of the container at offset `at`. Returns false if no container can begin there. */
static bool read_container(crai_t *c, int64_t at)
{
    unsigned char head[9];
    int32_t contig;
    if (c->major > 3) return at < c->x->size; /* the containers of CRAM 4 have another layout, which is not checked */
    if (at < CRAM_CONTAINERS || cad_pread(c->x->fd, head, sizeof head, at, "", NULL)) return false;
    c->bytes = (int64_t)cad_little(head, 4);
    if (!cram_itf8(head + 4, head + sizeof head, &contig)) return false;
    c->contig = contig;
    return contig >= -2 && contig < c->x->ncontig && c->bytes < c->x->size - at;
}

/* Checks that the lines of each contig are consecutive and sorted by start, because htslib stores one range of lines
 * for each contig and searches in it by start. */
static int check_order(const crai_t *c, const slice_t *s, bool first, cad_error_t *err)
{
    if (s->contig >= c->x->ncontig) return bad(c, "a contig that the header lacks: the index of another file?", err);
    if (first || s->contig != c->last.contig)
        return c->seen[s->contig + 1] ? bad(c, "a contig that was left some lines before; is the CRAM sorted?", err)
                                      : 0;
    return s->start < c->last.start ? bad(c, "a slice that begins before the previous slice; is the CRAM sorted?", err)
                                    : 0;
}

/* Checks that the lines list the slices in the order of the CRAM file, and each slice at most once per contig. This
 * bounds the number of lines by the size of the CRAM, even if a small compressed index expands to very many lines. */
static int check_place(const crai_t *c, const slice_t *s, cad_error_t *err)
{
    const slice_t *last = &c->last;
    bool after = s->container > last->container || (s->container == last->container && s->offset > last->offset),
         beside = s->container == last->container && s->offset == last->offset && s->contig != last->contig;
    return after || beside ? 0 : bad(c, "a slice that stands before the last one in the CRAM, or the same", err);
}

/* Checks that the last slice that the index lists for a container ends where the container ends, since slices fill
 * their container. */
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
    if (rc == 0 && !first) rc = check_place(c, s, err);
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
    if (rc == 0) rc = check_last(c, first, err);
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
    if (rc && c.in.fp && c.in.eof && c.in.bytes == 0) rc = 0; /* an empty .crai is that of a CRAM without reads */
    c.in.most = 400;                                          /* bytes of a line: enough for six numbers */
    if (rc == 0) rc = check_lines(&c, err);
    input_close(&c.in);
    free(c.seen);
    return rc;
}
