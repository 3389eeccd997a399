/* bigwig_reader.c - reads a bigWig that bigwig.c wrote, so that merge can join the outputs of shards.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "io/bigwig_reader.h"

#define MAGIC 0x888FFC26u

static int damaged(const bigread_t *r, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s: not a bigWig of caduceus track, or damaged", r->path);
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

static int take_block(bigread_t *r, uint64_t at, uint64_t size, bigread_f *each, void *arg, cad_error_t *err)
{
    uint32_t place[5];
    uint16_t n;
    uLongf raw = sizeof r->raw;
    int rc = ++r->seen > r->blocks || size > sizeof r->packed ? damaged(r, err) : get(r, at, r->packed, size, err);
    if (rc) return rc;
    if (uncompress(r->raw, &raw, r->packed, size) != Z_OK || raw < 24) return damaged(r, err);
    memcpy(place, r->raw, sizeof place);
    memcpy(&n, r->raw + 22, 2);
    if (place[0] >= (uint32_t)r->ncontig || (r->raw[20] != 2 && r->raw[20] != 3) ||
        raw != 24 + (uLongf)n * (r->raw[20] == 3 ? 4 : 8))
        return damaged(r, err);
    for (int i = 0; i < n && rc == 0; i++) {
        const unsigned char *p = r->raw + 24 + (r->raw[20] == 3 ? 4 : 8) * i;
        uint32_t pos = place[1] + (uint32_t)i;
        float v;
        if (r->raw[20] == 2) {
            memcpy(&pos, p, 4);
            p += 4;
        }
        memcpy(&v, p, 4);
        rc = each(arg, (int)place[0], pos, v, err);
    }
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

int bigread_open(bigread_t *r, const char *path, cad_error_t *err)
{
    unsigned char head[64];
    uint32_t magic;
    uint64_t tree, data;
    int rc;
    memset(r, 0, sizeof *r);
    r->path = path;
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0) return cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    rc = get(r, 0, head, sizeof head, err);
    if (rc) return rc;
    memcpy(&magic, head, 4);
    memcpy(&tree, head + 8, 8);
    memcpy(&data, head + 16, 8);
    memcpy(&r->index, head + 24, 8);
    rc = magic == MAGIC ? get(r, data, &r->blocks, 8, err) : damaged(r, err);
    return rc ? rc : read_contigs(r, tree, err);
}

int bigread_all(bigread_t *r, bigread_f *each, void *arg, cad_error_t *err)
{
    int rc;
    r->seen = 0;
    r->nodes = most_nodes(r->blocks);
    rc = walk_index(r, r->index + 48, 0, each, arg, err);
    return rc == 0 && r->seen != r->blocks ? damaged(r, err) : rc;
}

void bigread_close(bigread_t *r)
{
    if (r->fd > 0) close(r->fd);
    for (int i = 0; i < r->ncontig; i++) free(r->contig[i].name);
    free(r->contig);
    memset(r, 0, sizeof *r);
}
