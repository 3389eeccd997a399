/* bigwig.c - writes bigWig files (the format: Kent et al., Bioinformatics 2010, and its supplement).
 *
 * libBigWig 0.4.7 is not used: it exchanges the minimum and the maximum in zoom levels, keeps zoom levels in memory,
 * and does not report that the disk is full. This writer gets the values in ascending order of position and writes each
 * full block at once. It keeps zoom levels, compressed, in unnamed temporary files until the end. Memory use is 32
 * bytes for each block of the file.
 *
 * The file consists of: header, zoom headers, summary, contig tree, data, index of the data, then the records and the
 * index of each zoom level, then the magic number again. Numbers have the host's byte order; readers detect it from the
 * magic number. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <unistd.h>
#include <zlib.h>

#include "io/bigwig_reader.h"
#include "io/bigwig.h"

#define MAGIC 0x888FFC26u
#define TREE_MAGIC 0x78CA8C91u
#define INDEX_MAGIC 0x2468ACE0u
#define FANOUT 256            /* maximum number of children of a node, in the contig tree and in the indexes */
#define ITEMS 4096            /* maximum number of values in a data block */
#define DENSE 64              /* a block of this many consecutive positions is written as fixedStep */
#define RECORDS 512           /* maximum number of records in a block of a zoom level */
#define ZOOMS 10              /* maximum number of zoom levels */
#define FIRST 16              /* bases in a record of the first zoom level */
#define FACTOR 4              /* number of records of a zoom level that one record of the next level summarises */
#define SECTION 24            /* size in bytes of the header of a data block */
#define BLOCK (24 + 8 * 4096) /* largest size of an uncompressed data block, in bytes */

/* The bases that a block covers: from base beg of contig `contig` to just before base `end` of contig `last`. */
typedef struct {
    uint32_t contig, beg, last, end;
    uint64_t at, size; /* at: offset of the block in the file; size: size of the block in bytes */
} bound_t;
typedef struct {
    bound_t *b;
    size_t n, room;
} bounds_t;
typedef struct {
    uint32_t contig, beg, end, valid;
    float min, max, sum, square;
} record_t;

typedef struct {
    uint32_t width;     /* number of bases that a record summarises */
    record_t open;      /* the record that is being filled; there is none if open.valid is 0 */
    double sum, square; /* sums over the values in the open record */
    record_t block[RECORDS];
    int n;
    uint64_t records, bytes;
    bounds_t bounds; /* what each block of this zoom level covers; offsets count from the first byte of the level */
    FILE *spool;
} zoom_t;

struct bigwig_t {
    output_t *out;
    const contig_t *contig;
    int ncontig, nzoom;
    uint64_t at;               /* bytes written to the file so far */
    uint64_t data;             /* offset of the data in the file */
    uint64_t count;            /* number of blocks in the data */
    uint32_t start[ITEMS], on; /* start: positions of the values of the data block being filled; on: their contig */
    float value[ITEMS];
    int n;   /* number of values in the data block being filled */
    int run; /* how many of the last values are at consecutive positions */
    bounds_t bounds;
    uint64_t covered;
    double min, max, sum, square;
    zoom_t zoom[ZOOMS];
    unsigned char raw[BLOCK], packed[BLOCK + BLOCK / 8 + 64];
};

/* ---- bytes ---- */

static int put(bigwig_t *w, const void *p, size_t n, cad_error_t *err)
{
    w->at += n;
    return output_write(w->out, p, n, err);
}

static int add_bound(bounds_t *l, bound_t b, cad_error_t *err)
{
    if (l->n == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        bound_t *more = realloc(l->b, room * sizeof *more);
        if (!more) return cad_out_of_memory(err);
        l->b = more;
        l->room = room;
    }
    l->b[l->n++] = b;
    return 0;
}

/* Compresses n bytes into w->packed. */
static int pack(bigwig_t *w, const void *p, size_t n, size_t *size, cad_error_t *err)
{
    uLongf room = sizeof w->packed;
    if (compress2(w->packed, &room, p, n, 6) != Z_OK) return cad_out_of_memory(err);
    *size = room;
    return 0;
}

/* ---- trees ---- */

typedef struct {
    uint64_t n, width;
} level_t; /* n: number of nodes in a level of the tree; width: maximum number of entries below one node */

/* Computes the levels of a tree over n entries; level[0] is the root's. Returns the number of levels. */
static int levels_of(uint64_t n, level_t *level)
{
    int k = 1;
    for (uint64_t width = FANOUT; width < n; width *= FANOUT) k++;
    for (int i = k - 1, first = 1; i >= 0; i--, first = 0) {
        level[i].width = first ? FANOUT : level[i + 1].width * FANOUT;
        level[i].n = n ? (n + level[i].width - 1) / level[i].width : 1;
    }
    return k;
}

/* Returns the size in bytes of level i of a tree of k levels and n entries, with `size` bytes per entry or child. Only
 * the last node of a level may be partly filled. */
static uint64_t level_bytes(const level_t *level, int i, int k, uint64_t n, uint64_t size)
{
    uint64_t entries = i == k - 1 ? n : level[i + 1].n;
    return 4 * level[i].n + size * entries;
}

static int put_node(bigwig_t *w, bool leaf, uint64_t n, cad_error_t *err)
{
    unsigned char head[4] = { leaf, 0, 0, 0 };
    uint16_t count = (uint16_t)n;
    memcpy(head + 2, &count, 2);
    return put(w, head, 4, err);
}

/* Finds the children of node i of level l: nodes [*first, *end) of the level below, or entries at the lowest level. */
static void children(const level_t *level, int l, int k, uint64_t n, uint64_t i, uint64_t *first, uint64_t *end)
{
    uint64_t below = l == k - 1 ? n : level[l + 1].n;
    *first = i * FANOUT;
    *end = *first + FANOUT < below ? *first + FANOUT : below;
}

/* Returns the bases that the entries below node i of level l cover. */
static bound_t under(const bounds_t *b, const level_t *level, int l, uint64_t i)
{
    uint64_t first = i * level[l].width, last = first + level[l].width < b->n ? first + level[l].width : b->n;
    bound_t u = b->b[first];
    u.last = b->b[last - 1].last;
    u.end = b->b[last - 1].end;
    return u;
}

static int put_bound(bigwig_t *w, const bound_t *b, uint64_t at, const uint64_t *size, cad_error_t *err)
{
    uint32_t place[4] = { b->contig, b->beg, b->last, b->end };
    int rc = put(w, place, sizeof place, err);
    if (rc == 0) rc = put(w, &at, 8, err);
    return rc || !size ? rc : put(w, size, 8, err);
}

/* Writes level l of an index of k levels. next: file offset of level l + 1; base: number to add to the offsets of
 * blocks. */
static int put_index_level(bigwig_t *w, const bounds_t *b, const level_t *level, int l, int k, uint64_t next,
                           uint64_t base, cad_error_t *err)
{
    int rc = 0;
    for (uint64_t i = 0; i < level[l].n && rc == 0; i++) {
        uint64_t first, end;
        children(level, l, k, b->n, i, &first, &end);
        rc = put_node(w, l == k - 1, end - first, err);
        for (uint64_t c = first; c < end && rc == 0; c++) {
            if (l == k - 1) rc = put_bound(w, &b->b[c], b->b[c].at + base, &b->b[c].size, err);
            else {
                bound_t u = under(b, level, l + 1, c);
                rc = put_bound(w, &u, next + c * (4 + FANOUT * (l + 1 == k - 1 ? 32 : 24)), NULL, err);
            }
        }
    }
    return rc;
}

static int put_index(bigwig_t *w, const bounds_t *b, uint32_t per_block, uint64_t base, cad_error_t *err)
{
    level_t level[12];
    int k = levels_of(b->n, level), rc;
    bound_t all = b->n ? under(b, level, 0, 0) : (bound_t) { 0 };
    uint32_t head[12] = { INDEX_MAGIC, FANOUT, 0, 0, all.contig, all.beg, all.last, all.end, 0, 0, per_block, 0 };
    uint64_t n = b->n, end = w->at, next;
    memcpy(head + 2, &n, 8);
    memcpy(head + 8, &end, 8); /* file offset at which the indexed data end */
    rc = put(w, head, sizeof head, err);
    next = w->at;
    for (int l = 0; l < k && rc == 0; l++) {
        next += level_bytes(level, l, k, b->n, l == k - 1 ? 32 : 24);
        rc = put_index_level(w, b, level, l, k, next, base, err);
    }
    return rc;
}

/* ---- contigs ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const contig_t *const *)a)->name, (*(const contig_t *const *)b)->name);
}

/* Writes an entry of the contig tree: in a leaf, the contig's id and length; in another node, the file offset `child`
 * of a node below. key: number of bytes to which names are padded. */
static int put_contig(bigwig_t *w, const contig_t *c, uint32_t key, bool leaf, uint64_t child, cad_error_t *err)
{
    char name[256] = { 0 };
    uint32_t value[2] = { (uint32_t)(c - w->contig), (uint32_t)c->length };
    int rc;
    memcpy(name, c->name, strlen(c->name));
    rc = put(w, name, key, err);
    return rc ? rc : leaf ? put(w, value, 8, err) : put(w, &child, 8, err);
}

/* Writes the contig tree, which is sorted by name. The id of a contig is its index in w->contig. */
static int put_contigs(bigwig_t *w, cad_error_t *err)
{
    const contig_t **order = malloc((size_t)w->ncontig * sizeof *order);
    uint32_t key = 1;
    level_t level[12];
    uint64_t n = (uint64_t)w->ncontig, next;
    int k = levels_of(n, level), rc;
    uint32_t head[8] = { TREE_MAGIC, FANOUT, 0, 8 };
    if (!order) return cad_out_of_memory(err);
    for (uint32_t i = 0; i < n; i++) {
        order[i] = &w->contig[i];
        key = (uint32_t)cad_max(key, (int64_t)strlen(w->contig[i].name));
    }
    qsort(order, n, sizeof *order, by_name);
    head[2] = key;
    memcpy(head + 4, &n, 8);
    rc = put(w, head, sizeof head, err);
    next = w->at;
    for (int l = 0; l < k && rc == 0; l++) {
        next += level_bytes(level, l, k, n, key + 8);
        for (uint64_t i = 0; i < level[l].n && rc == 0; i++) {
            uint64_t first, end;
            children(level, l, k, n, i, &first, &end);
            rc = put_node(w, l == k - 1, end - first, err);
            for (uint64_t c = first; c < end && rc == 0; c++) {
                uint64_t entry = l == k - 1 ? c : c * level[l + 1].width;
                rc = put_contig(w, order[entry], key, l == k - 1, next + c * (4 + FANOUT * (uint64_t)(key + 8)), err);
            }
        }
    }
    free(order);
    return rc;
}

/* ---- zoom levels ---- */

static int flush_zoom(bigwig_t *w, zoom_t *z, cad_error_t *err)
{
    size_t size = 0;
    const record_t *a = z->block, *b;
    int rc;
    if (!z->n) return 0;
    b = &z->block[z->n - 1];
    rc = pack(w, z->block, (size_t)z->n * sizeof *z->block, &size, err);
    if (rc == 0)
        rc = add_bound(
            &z->bounds,
            (bound_t) {
                .contig = a->contig, .beg = a->beg, .last = b->contig, .end = b->end, .at = z->bytes, .size = size },
            err);
    errno = 0;
    if (rc == 0 && fwrite(w->packed, 1, size, z->spool) != size)
        rc = cad_fail(err, CAD_EIO, "a temporary file: write failed: %s", strerror(errno ? errno : EIO));
    z->bytes += size;
    z->records += (uint64_t)z->n;
    z->n = 0;
    return rc;
}

static int zoom_add(bigwig_t *w, int level, const record_t *r, double sum, double square, cad_error_t *err);

/* Adds the open record of the zoom level, which is complete, to the level's block and to the next zoom level.
 * Afterwards the level has no open record. */
static int close_record(bigwig_t *w, int level, cad_error_t *err)
{
    zoom_t *z = &w->zoom[level];
    record_t r = z->open;
    int rc = 0;
    if (!r.valid) return 0;
    r.sum = (float)z->sum;
    r.square = (float)z->square;
    z->open.valid = 0;
    z->block[z->n++] = r;
    if (z->n == RECORDS) rc = flush_zoom(w, z, err);
    return rc == 0 && level + 1 < w->nzoom ? zoom_add(w, level + 1, &r, z->sum, z->square, err) : rc;
}

static int zoom_add(bigwig_t *w, int level, const record_t *r, double sum, double square, cad_error_t *err)
{
    zoom_t *z = &w->zoom[level];
    uint32_t beg = r->beg / z->width * z->width;
    int rc = z->open.valid && (z->open.contig != r->contig || z->open.beg != beg) ? close_record(w, level, err) : 0;
    if (!z->open.valid) {
        int64_t end = cad_min((int64_t)beg + z->width, w->contig[r->contig].length);
        z->open = (record_t) { .contig = r->contig, .beg = beg, .end = (uint32_t)end, .min = r->min, .max = r->max };
        z->sum = z->square = 0;
    }
    z->open.valid += r->valid;
    z->open.min = fminf(z->open.min, r->min);
    z->open.max = fmaxf(z->open.max, r->max);
    z->sum += sum;
    z->square += square;
    return rc;
}

static int put_zoom(bigwig_t *w, zoom_t *z, uint64_t *data, uint64_t *index, cad_error_t *err)
{
    uint32_t n = (uint32_t)z->records;
    uint64_t base;
    size_t got;
    int rc;
    *data = w->at;
    errno = 0;
    if (fflush(z->spool))
        return cad_fail(err, CAD_EIO, "a temporary file: write failed: %s", strerror(errno ? errno : EIO));
    rc = put(w, &n, 4, err);
    base = w->at;
    rewind(z->spool);
    while (rc == 0 && (got = fread(w->packed, 1, sizeof w->packed, z->spool)) > 0) rc = put(w, w->packed, got, err);
    if (rc == 0 && (ferror(z->spool) || w->at - base != z->bytes))
        rc = cad_fail(err, CAD_EIO, "a temporary file: read failed");
    *index = w->at;
    return rc ? rc : put_index(w, &z->bounds, RECORDS, base, err);
}

/* ---- data ---- */

/* Writes the first n values as a data block. */
static int put_block(bigwig_t *w, int n, cad_error_t *err)
{
    bool dense = w->start[n - 1] - w->start[0] == (uint32_t)n - 1;
    uint32_t head[5] = { w->on, w->start[0], w->start[n - 1] + 1, dense, 1 };
    uint16_t count = (uint16_t)n;
    unsigned char *p = w->raw + SECTION;
    size_t size = 0;
    int rc;
    memcpy(w->raw, head, sizeof head);
    w->raw[20] = dense ? 3 : 2; /* encoding of the block: 3 means fixedStep, 2 means variableStep */
    w->raw[21] = 0;
    memcpy(w->raw + 22, &count, 2);
    for (int i = 0; i < n; i++) {
        if (!dense) {
            memcpy(p, &w->start[i], 4);
            p += 4;
        }
        memcpy(p, &w->value[i], 4);
        p += 4;
    }
    rc = pack(w, w->raw, (size_t)(p - w->raw), &size, err);
    if (rc == 0)
        rc = add_bound(
            &w->bounds,
            (bound_t) { .contig = w->on, .beg = head[1], .last = w->on, .end = head[2], .at = w->at, .size = size },
            err);
    w->count++;
    return rc ? rc : put(w, w->packed, size, err);
}

/* Writes all values except the last `keep` as a data block. */
static int flush_data(bigwig_t *w, int keep, cad_error_t *err)
{
    int n = w->n - keep, rc = n ? put_block(w, n, err) : 0;
    memmove(w->start, w->start + n, (size_t)keep * sizeof *w->start);
    memmove(w->value, w->value + n, (size_t)keep * sizeof *w->value);
    w->n = keep;
    return rc;
}

int bigwig_add(bigwig_t *w, int contig, int64_t pos, float v, cad_error_t *err)
{
    record_t one = {
        .contig = (uint32_t)contig, .beg = (uint32_t)pos, .end = (uint32_t)pos + 1, .valid = 1, .min = v, .max = v
    };
    bool next = w->n && w->on == (uint32_t)contig && pos == (int64_t)w->start[w->n - 1] + 1;
    int rc = 0;
    if (w->n && (w->n == ITEMS || w->on != (uint32_t)contig || (!next && w->run == w->n && w->run >= DENSE)))
        rc = flush_data(w, 0, err);
    w->run = next ? w->run + 1 : 1;
    if (w->run > w->n + 1) w->run = w->n + 1;
    w->on = (uint32_t)contig;
    w->start[w->n] = (uint32_t)pos;
    w->value[w->n++] = v;
    if (rc == 0 && w->run == DENSE && w->n > DENSE) rc = flush_data(w, DENSE, err);
    w->min = w->covered ? fmin(w->min, (double)v) : (double)v;
    w->max = w->covered ? fmax(w->max, (double)v) : (double)v;
    w->covered++;
    w->sum += (double)v;
    w->square += (double)v * (double)v;
    return rc || !w->nzoom ? rc : zoom_add(w, 0, &one, (double)v, (double)v * (double)v, err);
}

/* ---- opening and closing ---- */

static int open_zooms(bigwig_t *w, cad_error_t *err)
{
    int64_t longest = 0, width = FIRST;
    int fd;
    for (int i = 0; i < w->ncontig; i++) longest = cad_max(longest, w->contig[i].length);
    for (w->nzoom = 0; w->nzoom < ZOOMS && (w->nzoom == 0 || width < longest); width *= FACTOR) {
        zoom_t *z = &w->zoom[w->nzoom++];
        z->width = (uint32_t)width;
        fd = output_scratch("zoom levels", err);
        if (fd < 0) return CAD_EIO;
        z->spool = fdopen(fd, "w+b");
        if (!z->spool) {
            close(fd);
            return cad_out_of_memory(err);
        }
    }
    return 0;
}

int bigwig_open(bigwig_t **out, output_t *to, const contig_t *contig, int ncontig, cad_error_t *err)
{
    static const char zero[64 + 24 * ZOOMS + 40];
    bigwig_t *w = calloc(1, sizeof *w);
    int rc = 0;
    *out = w;
    if (!w) return cad_out_of_memory(err);
    w->out = to;
    w->contig = contig;
    w->ncontig = ncontig;
    for (int i = 0; i < ncontig && rc == 0; i++) {
        if (strlen(contig[i].name) > 255)
            rc = cad_fail(err, CAD_EARG, "contig %.40s...: a name of more than 255 letters does not fit bigWig",
                          contig[i].name);
        else if (contig[i].length > UINT32_MAX)
            rc = cad_fail(err, CAD_EARG, "contig %.255s: longer than bigWig can hold; write bedGraph", contig[i].name);
    }
    if (rc == 0) rc = output_spool(to, err);
    if (rc == 0) rc = open_zooms(w, err);
    if (rc == 0) rc = put(w, zero, 64 + 24 * (size_t)w->nzoom + 40, err);
    if (rc == 0) rc = put_contigs(w, err);
    w->data = w->at;
    return rc ? rc : put(w, zero, 8, err);
}

/* Writes the header, the zoom headers and the summary to the start of the file, where bytes were reserved for them. */
static int patch_head(bigwig_t *w, uint64_t index, const uint64_t (*zoom)[2], cad_error_t *err)
{
    unsigned char head[64 + 24 * ZOOMS + 40] = { 0 };
    uint16_t version[2] = { 4, (uint16_t)w->nzoom };
    uint32_t magic = MAGIC, block = BLOCK;
    uint64_t summary = 64 + 24 * (uint64_t)w->nzoom, tree = summary + 40;
    double total[4] = { w->min, w->max, w->sum, w->square };
    memcpy(head, &magic, 4);
    memcpy(head + 4, version, 4);
    memcpy(head + 8, &tree, 8);
    memcpy(head + 16, &w->data, 8);
    memcpy(head + 24, &index, 8);
    memcpy(head + 44, &summary, 8);
    memcpy(head + 52, &block, 4);
    for (int i = 0; i < w->nzoom; i++) {
        memcpy(head + 64 + 24 * i, &w->zoom[i].width, 4);
        memcpy(head + 64 + 24 * i + 8, zoom[i], 16);
    }
    memcpy(head + summary, &w->covered, 8);
    memcpy(head + summary + 8, total, sizeof total);
    return output_patch(w->out, 0, head, tree, err);
}

int bigwig_finish(bigwig_t *w, cad_error_t *err)
{
    uint64_t index, zoom[ZOOMS][2];
    uint32_t magic = MAGIC;
    int rc = w->n ? flush_data(w, 0, err) : 0;
    /* goes from the first level to the last, because closing a record changes the next level */
    for (int i = 0; i < w->nzoom && rc == 0; i++) {
        rc = close_record(w, i, err);
        if (rc == 0) rc = flush_zoom(w, &w->zoom[i], err);
    }
    index = w->at;
    if (rc == 0) rc = put_index(w, &w->bounds, ITEMS, 0, err);
    for (int i = 0; i < w->nzoom && rc == 0; i++) rc = put_zoom(w, &w->zoom[i], &zoom[i][0], &zoom[i][1], err);
    if (rc == 0) rc = put(w, &magic, 4, err);
    if (rc == 0) rc = patch_head(w, index, (const uint64_t(*)[2])zoom, err);
    return rc ? rc : output_patch(w->out, w->data, &w->count, 8, err);
}

void bigwig_free(bigwig_t *w)
{
    if (!w) return;
    for (int i = 0; i < ZOOMS; i++) {
        if (w->zoom[i].spool) fclose(w->zoom[i].spool);
        free(w->zoom[i].bounds.b);
    }
    free(w->bounds.b);
    free(w);
}
