/* index_check.c - finds and checks the index of a data file (BAM, VCF ...): .bai, .csi or .tbi. Such an index holds a
 * count of contigs and, for each contig, bins with their chunks (pairs of virtual offsets). .bai and .tbi also hold an
 * offset for every 16384 bases. crai_check.c checks .crai, and gzi_check.c checks .gzi.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <htslib/bgzf.h>
#include <htslib/hts_endian.h>
#include <htslib/kstring.h>

#include "base/file.h"
#include "io/crai_check.h"
#include "io/local.h"
#include "io/output.h"

#define DEEPEST 8 /* maximum number of levels of bins below the first; with 8 levels one query visits up to 8^8 bins */
#define LINEAR_MOST 0x8001 /* maximum number of linear offsets of a contig: one per 2^14 of 2^29 bases, and one more */

/* A hostile index of a few compressed bytes can expand without limit. In a valid index, each chunk holds at least one
 * record of the data, each bin has at least one chunk, and each name also occurs in the data. So the limits below grow
 * with the size of the data. Their constants allow for an index that covers a large genome with few records. */
#define ENTRIES_MOST (1 << 20) /* maximum number of bins and chunks, plus one for each byte of the data */
#define NAMES_MOST (1 << 24)   /* maximum number of bytes of names, plus 16 for each byte of the data */
/* maximum number of linear offsets of all contigs; each stands for 16,384 bases */
#define OFFSETS_MOST ((int64_t)1 << 24)

/* ---- finding the index ---- */

static const char *const SUFFIX[][3] = {
    [INDEXED_READS] = { ".csi", ".bai" },
    [INDEXED_CRAM] = { ".crai" },
    [INDEXED_VCF] = { ".csi", ".tbi" },
    [INDEXED_BCF] = { ".csi" },
};

static const char *maker(const index_file_t *x)
{
    return x->kind == INDEXED_READS || x->kind == INDEXED_CRAM ? "samtools index" : "bcftools index";
}

/* Returns the path with its last suffix replaced, malloc'd; NULL if the path has no suffix, or when out of memory. */
static char *replaced(const char *path, const char *suffix)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    char *base, *p = NULL;
    if (!dot || dot == path || (slash && dot <= slash + 1)) return NULL;
    base = strndup(path, (size_t)(dot - path));
    if (base) p = suffixed(base, suffix);
    free(base);
    return p;
}

/* Takes ownership of path. If the file exists, sets x->path to path and returns true; otherwise frees path. */
static bool found(index_file_t *x, char *path)
{
    if (path && access(path, F_OK) == 0) x->path = path;
    else free(path);
    return x->path != NULL;
}

int index_find(index_file_t *x, const char *data, indexed_t kind, int ncontig, cad_error_t *err)
{
    char *local = local_path(data);
    *x = (index_file_t) { .data = data, .kind = kind, .ncontig = ncontig, .fd = -1 };
    if (!local) return cad_out_of_memory(err);
    for (int i = 0; !x->path && SUFFIX[kind][i]; i++)
        if (!found(x, suffixed(local, SUFFIX[kind][i]))) found(x, replaced(local, SUFFIX[kind][i]));
    free(local);
    return 0;
}

void index_close(index_file_t *x)
{
    if (x->path && x->fd >= 0) close(x->fd);
    free(x->path);
    *x = (index_file_t) { .fd = -1 };
}

bool index_is_older(const char *index, const char *data)
{
    struct stat a, b;
    return stat(index, &a) == 0 && stat(data, &b) == 0 && a.st_mtime < b.st_mtime;
}

/* ---- messages ---- */

int index_misfit(const index_file_t *x, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s: does not belong to %s (%s), or that file is damaged; renew it with `%s`",
                    x->path, x->data, what, maker(x));
}

int index_damage(const index_file_t *x, int64_t records, cad_error_t *err)
{
    return cad_fail(
        err, CAD_EIO,
        "%s: no record can be read after record %lld, at the place given by %s: renew that index with `%s`; if the "
        "error remains, the file is damaged or cut short%s",
        x->data, (long long)records, x->path, maker(x),
        x->kind == INDEXED_CRAM ? ", or its reference is missing or another: give it with -T" : "");
}

static int damaged(const index_file_t *x, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s: damaged or cut short (%s); renew it with `%s`", x->path, what, maker(x));
}

/* ---- parsing: each function returns NULL, or a text that says why the index is damaged ---- */

typedef struct reader_t {
    BGZF *fp;
    const index_file_t *x; /* the index, and the data it belongs to */
    uint64_t chunks;       /* number of chunks read so far */
    int64_t entries;       /* number of bins and chunks read so far */
    int64_t offsets;       /* number of linear offsets read so far */
    bool csi;              /* true for .csi, in which each bin has an offset and contigs have no linear offsets */
    uint32_t shift, depth; /* bins of the last level span 2^shift bases; depth: number of levels above it */
    uint32_t bins;         /* number of bins in all levels */
    kstring_t aux;         /* the settings and names of a .tbi; in a .csi, its auxiliary data, which hold the same */
} reader_t;

static const char CUT[] = "it ends too early", ASTRAY[] = "an offset where no block begins",
                  VAST[] = "it holds more than an index of this file can";

static bool take(reader_t *r, void *p, size_t n) { return bgzf_read(r->fp, p, n) == (ssize_t)n; }

static bool take32(reader_t *r, uint32_t *v)
{
    unsigned char b[4];
    if (!take(r, b, sizeof b)) return false;
    *v = (uint32_t)cad_little(b, sizeof b);
    return true;
}

/* Reads a virtual offset. Its upper 48 bits are the offset of a block in the data. */
static const char *take_offset(reader_t *r, uint64_t *v)
{
    unsigned char b[8];
    if (!take(r, b, sizeof b)) return CUT;
    *v = cad_little(b, sizeof b);
    return *v >> 16 > (uint64_t)r->x->size ? "an offset beyond the end of the data" : NULL;
}

static bool is_place(const index_file_t *x, uint64_t offset)
{
    uint64_t size, data;
    if (offset >> 16 == (uint64_t)x->size) return true;
    return bgzf_block_at(x->fd, offset >> 16, &size, &data) && (offset & 0xffff) <= data;
}

/* True if chunk k is to be compared with the data: this is true of the first 16 chunks, then of 8 chunks for k from 2^i
 * to 2^(i+1). */
static bool sampled(uint64_t k)
{
    uint64_t step = 1;
    while (k / step >= 16) step *= 2;
    return k % step == 0;
}

static const char *check_chunks(reader_t *r, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t beg, end;
        const char *bad = take_offset(r, &beg);
        if (!bad) bad = take_offset(r, &end);
        if (bad) return bad;
        if (beg > end) return "a chunk that ends before it begins";
        if (sampled(r->chunks++) && !is_place(r->x, beg)) return ASTRAY;
    }
    return NULL;
}

/* Skips the pseudo-bin, whose number is higher than that of every real bin. The pseudo-bin stores an interval of the
 * file and two counts of reads in place of two chunks. */
static const char *check_counts(reader_t *r, uint32_t n)
{
    char skipped[32];
    if (n != 2) return "a bin of counts without exactly two entries";
    return take(r, skipped, sizeof skipped) ? NULL : CUT;
}

static const char *check_bin(reader_t *r)
{
    uint32_t bin, n;
    uint64_t offset;
    const char *bad = NULL;
    if (!take32(r, &bin)) return CUT;
    if (bin >= r->bins && bin != r->bins + 1) return "a bin whose number cannot be valid";
    if (r->csi) bad = take_offset(r, &offset);
    if (bad) return bad;
    if (!take32(r, &n)) return CUT;
    if (n > INT32_MAX) return "a negative count";
    r->entries += 1 + (int64_t)n;
    if (r->entries - ENTRIES_MOST > r->x->size) return VAST;
    return bin < r->bins ? check_chunks(r, n) : check_counts(r, n);
}

static const char *check_linear(reader_t *r)
{
    uint32_t n;
    uint64_t offset;
    const char *bad = NULL;
    if (!take32(r, &n)) return CUT;
    if (n > LINEAR_MOST) return "more offsets than an index of this kind can have";
    r->offsets += n;
    if (r->offsets > OFFSETS_MOST) return VAST;
    for (uint32_t i = 0; i < n && !bad; i++) bad = take_offset(r, &offset);
    return bad;
}

static const char *check_contigs(reader_t *r, uint32_t ncontig)
{
    const char *bad = NULL;
    for (uint32_t i = 0; i < ncontig && !bad; i++) {
        uint32_t n;
        if (!take32(r, &n)) return CUT;
        if (n > r->bins + 1) return "more bins than its depth allows";
        for (uint32_t k = 0; k < n && !bad; k++) bad = check_bin(r);
        if (!bad && !r->csi) bad = check_linear(r);
    }
    return bad;
}

/* Checks that nothing follows the contigs except, optionally, the number of reads without a position. */
static const char *check_end(reader_t *r)
{
    char rest[9];
    ssize_t n = bgzf_read(r->fp, rest, sizeof rest);
    if (n != 0 && n != 8) return n < 0 ? CUT : "bytes after its end";
    return r->fp->is_compressed && r->fp->no_eof_block ? "its end marker is missing" : NULL;
}

/* Appends n bytes of the index to r->aux. Reads in small steps, so that a false n does not allocate more memory than
 * the index has bytes. */
static const char *take_aux(reader_t *r, uint32_t n)
{
    char buf[4096];
    if (((int64_t)n - NAMES_MOST) / 16 > r->x->size) return VAST;
    while (n) {
        size_t some = (size_t)cad_min((int64_t)n, (int64_t)sizeof buf);
        if (!take(r, buf, some)) return CUT;
        if (kputsn(buf, some, &r->aux) < 0) return "no memory for it";
        n -= (uint32_t)some;
    }
    return NULL;
}

/* ---- the head of an index, before the contigs ---- */

static const char *set_bins(reader_t *r, uint32_t shift, uint32_t depth)
{
    if (shift < 1 || shift > 30 || depth > DEEPEST) return "bins of a size or a depth that htslib cannot use";
    r->shift = shift;
    r->depth = depth;
    r->bins = ((1U << (3 * depth + 3)) - 1) / 7;
    return NULL;
}

/* Returns the length of the names, which r->aux holds at byte 24. */
static uint32_t names_of(const reader_t *r) { return le_to_u32((const uint8_t *)r->aux.s + 24); }

/* Reads the head of a .tbi: the count of contigs, six settings, the length of the names, and the names. */
static const char *tbi_head(reader_t *r, uint32_t *ncontig)
{
    const char *bad = take32(r, ncontig) ? take_aux(r, 28) : CUT;
    return bad ? bad : take_aux(r, names_of(r));
}

static const char *csi_head(reader_t *r, uint32_t *ncontig)
{
    uint32_t shift, depth, n;
    const char *bad = take32(r, &shift) && take32(r, &depth) && take32(r, &n) ? set_bins(r, shift, depth) : CUT;
    if (!bad) bad = take_aux(r, n);
    return bad ? bad : take32(r, ncontig) ? NULL : CUT;
}

/* Checks that the settings are those for VCF (columns 1 and 2 are contig and position), and that there are ncontig
 * names. */
static const char *check_names(const reader_t *r, uint32_t ncontig)
{
    static const unsigned char vcf[] = { 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, '#', 0, 0, 0 };
    uint32_t names = 0, n;
    if (r->aux.l < 28 || memcmp(r->aux.s, vcf, sizeof vcf)) return "it is not made for VCF";
    n = names_of(r);
    if (n > r->aux.l - 28) return CUT;
    for (size_t i = 28; i < 28 + (size_t)n; i++) names += r->aux.s[i] == 0;
    return names == ncontig && (n == 0 || r->aux.s[27 + n] == 0) ? NULL : "its list of names is wrong";
}

static bool is_type(const index_file_t *x, const char *magic)
{
    if (!memcmp(magic, "CSI\1", 4)) return true;
    if (!memcmp(magic, "BAI\1", 4)) return x->kind == INDEXED_READS;
    return !memcmp(magic, "TBI\1", 4) && x->kind == INDEXED_VCF;
}

static int wrong_type(const index_file_t *x, cad_error_t *err)
{
    static const char *const takes[] = { "BAI or CSI", "CRAI", "TBI or CSI", "CSI" };
    return cad_fail(err, CAD_EFORMAT, "%s: not an index of the kind %s, which %s takes; make one with `%s`", x->path,
                    takes[x->kind], x->data, maker(x));
}

static int check_binary(index_file_t *x, reader_t *r, cad_error_t *err)
{
    char magic[4] = { 0 };
    uint32_t ncontig = 0;
    const char *bad = bgzf_read(r->fp, magic, sizeof magic) < 0 ? CUT : NULL;
    if (bad) return damaged(x, bad, err);
    if (!is_type(x, magic)) return wrong_type(x, err);
    r->csi = *magic == 'C';
    if (!r->csi) set_bins(r, 14, 5);
    bad = r->csi ? csi_head(r, &ncontig) : *magic == 'T' ? tbi_head(r, &ncontig) : take32(r, &ncontig) ? NULL : CUT;
    if (!bad && x->kind == INDEXED_VCF) bad = check_names(r, ncontig);
    if (bad) return damaged(x, bad, err);
    if (x->kind != INDEXED_VCF && ncontig > (uint32_t)x->ncontig)
        return index_misfit(x, "it has more contigs than the header", err);
    bad = check_contigs(r, ncontig);
    if (!bad) bad = check_end(r);
    x->reach = (int64_t)1 << (r->shift + 3 * r->depth);
    return bad == ASTRAY ? index_misfit(x, bad, err) : bad ? damaged(x, bad, err) : 0;
}

static int open_data(index_file_t *x, cad_error_t *err)
{
    struct stat sb;
    x->fd = open(x->data, O_RDONLY | O_CLOEXEC);
    if (x->fd < 0 || fstat(x->fd, &sb)) return cad_fail(err, CAD_EIO, "%s: %s", x->data, strerror(errno));
    x->size = sb.st_size;
    x->reach = INT64_MAX;
    return 0;
}

int index_check(index_file_t *x, notes_t *notes, cad_error_t *err)
{
    reader_t r = { .x = x };
    int rc = open_data(x, err);
    if (rc) return rc;
    if (index_is_older(x->path, x->data))
        note(notes, NOTE_INDEX, 1, "%s is older than %s; if that was changed since, renew the index with `%s`", x->path,
             x->data, maker(x));
    if (x->kind == INDEXED_CRAM) return crai_check(x, err);
    r.fp = bgzf_open(x->path, "r");
    if (!r.fp)
        return errno == EACCES ? cad_fail(err, CAD_EIO, "%s: %s", x->path, strerror(errno)) : damaged(x, CUT, err);
    rc = check_binary(x, &r, err);
    bgzf_close(r.fp);
    free(r.aux.s);
    return rc;
}

/* ---- queries ---- */

int index_clip(const index_file_t *x, const char *contig, int64_t beg, int64_t *end, cad_error_t *err)
{
    if (beg >= x->reach)
        return cad_fail(
            err, CAD_EARG,
            "%s: this kind of index covers only the first %lld bases of a contig, and %s:%lld is beyond; make %s",
            x->path, (long long)x->reach, contig, (long long)beg + 1,
            x->kind == INDEXED_READS ? "a CSI index with `samtools index -c`" : "a CSI index with `bcftools index`");
    *end = cad_min(cad_min(*end, x->reach), HTS_POS_MAX);
    return 0;
}

int index_fits(const index_file_t *x, const hts_itr_t *walk, cad_error_t *err)
{
    bool fits = true;
    if (walk->is_cram || walk->finished) return 0;
    if (walk->read_rest) fits = is_place(x, walk->curr_off);
    for (int i = 0; fits && i < walk->n_off; i++) fits = is_place(x, walk->off[i].u);
    return fits ? 0 : index_misfit(x, ASTRAY, err);
}
