/* bigwig_reader.c - reads a bigWig, with blocks of any of the three forms, compressed or not.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "io/bigwig_reader.h"

#define MAGIC 0x888FFC26u
#define BLOCK (24 + 12 * 65535)        /* largest possible size of a block, in bytes */
#define PACKED(n) ((n) + (n) / 8 + 64) /* largest size of n bytes after compression */

static int damaged(const bigread_t *r, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s: not a bigWig, or damaged", r->path);
}

static int get(const bigread_t *r, uint64_t at, void *p, size_t n, cad_error_t *err)
{
    return cad_pread(r->fd, p, n, (int64_t)at, r->path, err);
}

/* Reads the head of the tree node at file offset `at`, and its number of entries into *n. Fails if the depth or the
 * number of nodes read exceeds a limit, so that a damaged tree with a cycle is an error, not an endless loop. */
static int get_node(bigread_t *r, uint64_t at, int depth, unsigned char head[4], uint16_t *n, cad_error_t *err)
{
    enum { LEVELS = 8 };
    int rc = depth > LEVELS || r->nodes == 0 ? damaged(r, err) : get(r, at, head, 4, err);
    *n = 0;
    if (rc) return rc;
    r->nodes--;
    memcpy(n, head + 2, 2);
    return 0;
}

/* Returns an upper limit of the number of nodes in a valid tree of n entries, in which each leaf has at least one
 * entry. */
static uint64_t most_nodes(uint64_t n) { return n > UINT64_MAX / 16 ? UINT64_MAX : 9 * (n + 1); }

/* ---- contigs ---- */

static int take_contig(bigread_t *r, const unsigned char *entry, uint32_t key, cad_error_t *err)
{
    uint32_t v[2];
    memcpy(v, entry + key, 8);
    if (v[0] >= (uint32_t)r->ncontig || r->contig[v[0]].name) return damaged(r, err);
    r->contig[v[0]].name = strndup((const char *)entry, key);
    r->contig[v[0]].length = v[1];
    return r->contig[v[0]].name ? 0 : cad_out_of_memory(err);
}

static int walk_contigs(bigread_t *r, uint64_t at, uint32_t key, int depth, cad_error_t *err)
{
    unsigned char head[4] = { 0 }, entry[256 + 8];
    uint16_t n;
    int rc = get_node(r, at, depth, head, &n, err);
    for (int i = 0; i < n && rc == 0; i++) {
        uint64_t child;
        rc = get(r, at + 4 + (uint64_t)i * (key + 8), entry, key + 8, err);
        if (rc) break;
        memcpy(&child, entry + key, 8);
        rc = head[0] ? take_contig(r, entry, key, err) : walk_contigs(r, child, key, depth + 1, err);
    }
    return rc;
}

static int read_contigs(bigread_t *r, uint64_t tree, cad_error_t *err)
{
    uint32_t head[8];
    uint64_t n;
    int rc = get(r, tree, head, sizeof head, err);
    if (rc) return rc;
    memcpy(&n, head + 4, 8);
    if (head[2] > 255 || n > INT32_MAX / 64) return damaged(r, err);
    r->contig = calloc((size_t)n + 1, sizeof *r->contig);
    if (!r->contig) return cad_out_of_memory(err);
    r->ncontig = (int)n;
    r->nodes = most_nodes(n);
    rc = walk_contigs(r, tree + sizeof head, head[2], 0, err);
    for (int i = 0; i < r->ncontig && rc == 0; i++)
        if (!r->contig[i].name) rc = damaged(r, err);
    return rc;
}

/* ---- values ---- */

/* Reads the block at file offset `at` into r->raw; sets *n to its length. */
static int get_block(bigread_t *r, uint64_t at, uint64_t size, size_t *n, cad_error_t *err)
{
    uLongf raw = r->room;
    int rc = ++r->seen > r->most || size > PACKED(r->room) ? damaged(r, err) : get(r, at, r->packed, size, err);
    if (rc) return rc;
    if (!r->zipped) {
        if (size > r->room) return damaged(r, err);
        memcpy(r->raw, r->packed, size);
        raw = size;
    } else if (uncompress(r->raw, &raw, r->packed, size) != Z_OK) return damaged(r, err);
    *n = raw;
    return raw < 24 ? damaged(r, err) : 0;
}

/* Calls each() for value i of a block, and checks that intervals ascend, which also ends a cycle in a damaged index.
 * head: the block's contig, begin, end, step and span. form: 1 begin, end, value; 2 begin, value; 3 value. */
static int take_value(bigread_t *r, const uint32_t head[5], int form, uint32_t i, bigread_f *each, void *arg,
                      cad_error_t *err)
{
    const unsigned char *p = r->raw + 24 + (size_t)(form == 1 ? 12 : form == 2 ? 8 : 4) * i;
    uint32_t word[2] = { 0 };
    int64_t beg = (int64_t)head[1] + (int64_t)i * head[3], end;
    float v;
    memcpy(word, p, form == 1 ? 8 : form == 2 ? 4 : 0);
    memcpy(&v, p + (form == 1 ? 8 : form == 2 ? 4 : 0), 4);
    if (form < 3) beg = word[0];
    end = form == 1 ? (int64_t)word[1] : beg + head[4];
    if ((int64_t)head[0] < r->last || ((int64_t)head[0] == r->last && beg < r->end) || beg >= end ||
        end > r->contig[head[0]].length)
        return damaged(r, err);
    r->last = head[0];
    r->end = end;
    return each(arg, (int)head[0], beg, end, v, err);
}

static int take_block(bigread_t *r, uint64_t at, uint64_t size, bigread_f *each, void *arg, cad_error_t *err)
{
    static const size_t width[] = { 0, 12, 8, 4 }; /* bytes of a value, for each form */
    uint32_t head[5];
    uint16_t count;
    size_t n = 0;
    int rc = get_block(r, at, size, &n, err), form;
    if (rc) return rc;
    memcpy(head, r->raw, sizeof head);
    memcpy(&count, r->raw + 22, 2);
    form = r->raw[20];
    if (head[0] >= (uint32_t)r->ncontig || form < 1 || form > 3 || n != 24 + count * width[form])
        return damaged(r, err);
    for (uint32_t i = 0; i < count && rc == 0; i++) rc = take_value(r, head, form, i, each, arg, err);
    return rc;
}

static int walk_index(bigread_t *r, uint64_t at, int depth, bigread_f *each, void *arg, cad_error_t *err)
{
    unsigned char head[4] = { 0 }, entry[32];
    uint16_t n;
    int rc = get_node(r, at, depth, head, &n, err);
    for (int i = 0; i < n && rc == 0; i++) {
        size_t width = head[0] ? 32 : 24;
        uint64_t child, size;
        rc = get(r, at + 4 + (uint64_t)i * width, entry, width, err);
        if (rc) break;
        memcpy(&child, entry + 16, 8);
        memcpy(&size, entry + 24, 8);
        rc = head[0] ? take_block(r, child, size, each, arg, err) : walk_index(r, child, depth + 1, each, arg, err);
    }
    return rc;
}

/* ---- the file ---- */

/* Allocates room for a block. size: the size of the largest one, or 0, which means that blocks are not compressed. */
static int make_room(bigread_t *r, uint32_t size, cad_error_t *err)
{
    r->zipped = size > 0;
    r->room = cad_min(size ? size : BLOCK, BLOCK);
    r->raw = malloc(r->room);
    r->packed = malloc(PACKED(r->room));
    return r->raw && r->packed ? 0 : cad_out_of_memory(err);
}

static int read_head(bigread_t *r, cad_error_t *err)
{
    unsigned char head[64];
    uint32_t magic, block;
    uint64_t tree, data;
    int rc = get(r, 0, head, sizeof head, err);
    if (rc) return rc;
    memcpy(&magic, head, 4);
    memcpy(&tree, head + 8, 8);
    memcpy(&data, head + 16, 8);
    memcpy(&r->index, head + 24, 8);
    memcpy(&block, head + 52, 4);
    if (magic != MAGIC) return damaged(r, err);
    rc = get(r, data, &r->blocks, 8, err);
    if (rc == 0) rc = make_room(r, block, err);
    return rc ? rc : read_contigs(r, tree, err);
}

int bigread_open(bigread_t *r, const char *path, cad_error_t *err)
{
    struct stat st;
    memset(r, 0, sizeof *r);
    r->path = path;
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0 || fstat(r->fd, &st)) return cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size < 64) return damaged(r, err);
    r->most = (uint64_t)st.st_size / 16; /* a block has an entry of 32 bytes and some data */
    return read_head(r, err);
}

int bigread_all(bigread_t *r, bigread_f *each, void *arg, cad_error_t *err)
{
    r->seen = 0;
    r->nodes = most_nodes(r->most);
    r->last = -1;
    return r->index ? walk_index(r, r->index + 48, 0, each, arg, err) : 0;
}

int bigread_complete(const bigread_t *r, cad_error_t *err) { return r->seen == r->blocks ? 0 : damaged(r, err); }

void bigread_close(bigread_t *r)
{
    if (r->fd > 0) close(r->fd);
    for (int i = 0; i < r->ncontig; i++) free(r->contig[i].name);
    free(r->contig);
    free(r->raw);
    free(r->packed);
    memset(r, 0, sizeof *r);
}
