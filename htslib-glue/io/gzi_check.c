/* gzi_check.c - checks a .gzi, the index of a bgzip-compressed FASTA. It holds a count, then two offsets for each
 * block: in the compressed file, and in the uncompressed data.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "io/gzi.h"
#include "io/index_check.h"

#define REMEDY "remake it with `samtools faidx`"

bool bgzf_block_at(int fd, uint64_t at, uint64_t *size, uint64_t *data)
{
    unsigned char h[18], n[4];
    if (cad_pread(fd, h, sizeof h, (int64_t)at, "", NULL)) return false;
    *size = cad_little(h + 16, 2) + 1;
    if (h[0] != 0x1f || h[1] != 0x8b || h[12] != 'B' || h[13] != 'C' || *size <= sizeof h + sizeof n) return false;
    if (cad_pread(fd, n, sizeof n, (int64_t)(at + *size - sizeof n), "", NULL)) return false;
    *data = cad_little(n, sizeof n);
    return true;
}

/* Reads n entries into b[1] to b[n]. b[0] stands for the block at offset 0, which has no entry in a .gzi. */
static bool read_entries(int gzi, gzi_block_t *b, uint64_t n)
{
    unsigned char pair[16];
    for (uint64_t i = 0; i < n; i++) {
        if (cad_pread(gzi, pair, sizeof pair, (int64_t)(8 + 16 * i), "", NULL)) return false;
        b[i + 1] = (gzi_block_t) { cad_little(pair, 8), cad_little(pair + 8, 8) };
    }
    return true;
}

/* True if the n entries are, in order, all blocks of the FASTA that hold data, except the first block. */
static bool entries_fit(const gzi_block_t *b, int fasta, uint64_t n)
{
    uint64_t c = 0, u = 0, size, data, blocks = 0;
    for (; bgzf_block_at(fasta, c, &size, &data); c += size, u += data) {
        if (data == 0) continue;
        if (blocks && (blocks > n || b[blocks].at != c || b[blocks].data != u)) return false;
        blocks++;
    }
    return n == (blocks ? blocks - 1 : 0);
}

int gzi_read(gzi_t *g, const char *path, const char *fasta, cad_error_t *err)
{
    struct stat sb;
    unsigned char count[8];
    uint64_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC), fafd = open(fasta, O_RDONLY | O_CLOEXEC), rc = 0;
    if (fd < 0 || fafd < 0 || fstat(fd, &sb)) {
        rc = cad_fail(err, CAD_EIO, "%s: %s; a bgzip-compressed FASTA needs it: " REMEDY, path, strerror(errno));
    } else if (sb.st_size < 8 || cad_pread(fd, count, sizeof count, 0, path, NULL)) {
        rc = cad_fail(err, CAD_EFORMAT, "%s: malformed; " REMEDY, path);
    } else {
        n = cad_little(count, 8);
        if (n > (uint64_t)sb.st_size / 16 || n * 16 + 8 != (uint64_t)sb.st_size)
            rc = cad_fail(err, CAD_EFORMAT, "%s: malformed; " REMEDY, path);
        else if (!(g->block = calloc(n + 1, sizeof *g->block))) rc = cad_out_of_memory(err);
        else if (!read_entries(fd, g->block, n) || !entries_fit(g->block, fafd, n))
            rc = cad_fail(err, CAD_EFORMAT, "%s: does not belong to the FASTA; " REMEDY, path);
    }
    if (rc == 0) g->n = (int64_t)n + 1;
    if (fd >= 0) close(fd);
    if (fafd >= 0) close(fafd);
    return rc;
}

int gzi_seek(const gzi_t *g, BGZF *fp, uint64_t at)
{
    int64_t lo = 0, hi = g->n - 1;
    while (lo < hi) {
        int64_t mid = hi - (hi - lo) / 2;
        if (g->block[mid].data <= at) lo = mid;
        else hi = mid - 1;
    }
    at -= g->block[lo].data;
    return at > UINT16_MAX ? -1 : (int)bgzf_seek(fp, (int64_t)(g->block[lo].at << 16 | at), SEEK_SET);
}
