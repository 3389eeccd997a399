/* crai_check.c - checks a .crai, the index of a CRAM: a text file with one line of six numbers for each slice. A CRAM
 * consists of containers, and a container consists of slices.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/file.h"
#include "io/crai_check.h"
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

/* Moves *p past an encoded number of up to `most` bytes: ITF8 has up to 5, LTF8 up to 9. Returns false if the number is
 * cut short. */
static bool skip_number(const unsigned char **p, const unsigned char *end, int most)
{
    int n = 1;
    if (*p >= end) return false;
    while (n < most && (**p << (n - 1) & 0x80)) n++;
    *p += n;
    return *p <= end;
}

/* Returns the file offset at which the container at offset `at` ends, and sets *reads to its number of reads. Returns
 * -1 if the container's header is malformed or longer than the buffer. The fields of the header are: size, contig,
 * start, span, number of reads, record counter, number of bases, number of blocks, offsets of the slices, and in CRAM 3
 * a checksum. */
static int64_t container_end(const crai_t *c, int64_t at, int32_t *reads)
{
    unsigned char head[4096];
    const unsigned char *p = head + 4, *end = head + cad_min((int64_t)sizeof head, c->x->size - at);
    int32_t slices = 0;
    bool sound = end - p > 0 && cad_pread(c->x->fd, head, (size_t)(end - head), at, "", NULL) == 0;
    for (int i = 0; i < 3; i++) sound = sound && skip_number(&p, end, 5);
    sound = sound && (p = itf8(p, end, reads)) != NULL;
    sound = sound && skip_number(&p, end, c->major > 2 ? 9 : 5) && skip_number(&p, end, 9) && skip_number(&p, end, 5);
    sound = sound && (p = itf8(p, end, &slices)) != NULL;
    for (int32_t i = 0; sound && i < slices; i++) sound = skip_number(&p, end, 5);
    if (!sound) return -1;
    return at + (p - head) + (c->major > 2 ? 4 : 0) + (head[0] | head[1] << 8 | head[2] << 16 | (int64_t)head[3] << 24);
}

/* Checks that no container with reads follows the last container that the index lists. none: the index lists no
 * container, so no container with reads may follow the CRAM's header. End markers are containers without reads; a file
 * may have several of them. */
static int check_last(const crai_t *c, bool none, cad_error_t *err)
{
    int32_t reads = 0;
    int64_t at = c->major > 3 ? -1 : container_end(c, none ? 26 : c->last.container, &reads);
    while (at >= 0 && at < c->x->size) {
        at = container_end(c, at, &reads);
        if (at >= 0 && reads)
            return bad(
                c, "containers of the CRAM follow the last one listed; the index is cut short, or another file's", err);
    }
    return 0;
}

/* Reads the size and the contig of the container at offset `at`. Returns false if no container can begin there. */
static bool read_container(crai_t *c, int64_t at)
{
    unsigned char head[9];
    int32_t contig;
    if (c->major > 3) return at < c->x->size; /* the containers of CRAM 4 have another layout, which is not checked */
    if (at < 26 || cad_pread(c->x->fd, head, sizeof head, at, "", NULL)) return false;
    c->bytes = head[0] | head[1] << 8 | head[2] << 16 | (int64_t)head[3] << 24;
    if (!itf8(head + 4, head + sizeof head, &contig)) return false;
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
