/* fasta.c - reads an indexed FASTA, after checking that the index belongs to it.
 *
 * htslib trusts the indexes .fai and .gzi: with an outdated or hostile index, htslib returns wrong bases or crashes.
 * Therefore both indexes are parsed and compared with the FASTA before htslib loads them. Every header line must end
 * where the index says that the contig's bases begin, lines must have the lengths that the index gives, and no contig
 * may follow the last contig of the index. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <htslib/faidx.h>

#include "base/file.h"
#include "io/fasta.h"
#include "io/index_check.h"
#include "io/local.h"
#include "io/output.h"
#include "io/signals.h"

#define REMEDY "remake it with `samtools faidx`"
#define GAP (1 << 20)   /* maximum number of bytes between two contigs: header lines and blanks */
#define CACHE (4 << 20) /* size in bytes of htslib's cache of decompressed blocks */
#define SAMPLES 8       /* number of lines of each contig whose ends are checked */

/* ---- parsing .fai ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const contig_t *const *)a)->name, (*(const contig_t *const *)b)->name);
}

static int by_offset(const void *a, const void *b)
{
    const contig_t *x = *(const contig_t *const *)a, *y = *(const contig_t *const *)b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return x < y ? -1 : x > y; /* contigs without bases have equal offsets: keeps their order in the index */
}

/* Returns a malloc'd array of pointers to the contigs, sorted; NULL when out of memory. */
static const contig_t **sorted(const fasta_t *f, int (*compare)(const void *, const void *))
{
    const contig_t **c = malloc((size_t)f->ncontig * sizeof *c);
    if (!c) return NULL;
    for (int i = 0; i < f->ncontig; i++) c[i] = &f->contig[i];
    qsort(c, (size_t)f->ncontig, sizeof *c, compare);
    return c;
}

static bool parse_line(char *line, contig_t *c)
{
    char *field[5], *save = NULL;
    for (int i = 0; i < 5; i++) {
        field[i] = strtok_r(i ? NULL : line, "\t\r\n", &save);
        if (!field[i]) return false;
    }
    c->name = strdup(field[0]);
    return cad_parse_int(field[1], 0, INT64_MAX / 4, &c->length) &&
           cad_parse_int(field[2], 0, INT64_MAX / 4, &c->offset) &&
           cad_parse_int(field[3], 0, UINT32_MAX, &c->bases) && /* the largest value that htslib accepts in a .fai */
           cad_parse_int(field[4], 0, UINT32_MAX, &c->width) &&
           (c->length == 0 ||
            (c->bases > 0 && c->width >= c->bases && c->length / c->bases < INT64_MAX / 4 / c->width));
}

static int read_fai(fasta_t *f, const char *path, cad_error_t *err)
{
    FILE *in = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    int rc = 0;
    if (!in) return cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    while (rc == 0 && getline(&line, &room, in) > 0) {
        contig_t *grown = realloc(f->contig, (size_t)(f->ncontig + 1) * sizeof *grown);
        if (!grown) {
            rc = cad_out_of_memory(err);
            break;
        }
        f->contig = grown;
        memset(&grown[f->ncontig], 0, sizeof *grown);
        if (!parse_line(line, &grown[f->ncontig++]))
            rc = cad_fail(err, CAD_EFORMAT, "%s:%d: malformed; " REMEDY, path, f->ncontig);
        else if (!grown[f->ncontig - 1].name) rc = cad_out_of_memory(err);
    }
    free(line);
    fclose(in);
    if (rc == 0 && f->ncontig == 0)
        rc = cad_fail(err, CAD_EFORMAT, "%s: lists no contigs; is %s a FASTA file?", path, f->path);
    return rc;
}

static int sort_names(fasta_t *f, cad_error_t *err)
{
    f->by_name = sorted(f, by_name);
    if (!f->by_name) return cad_out_of_memory(err);
    for (int i = 1; i < f->ncontig; i++)
        if (!strcmp(f->by_name[i]->name, f->by_name[i - 1]->name))
            return cad_fail(err, CAD_EFORMAT, "%s: contig %.100s is there twice; names must be unique", f->path,
                            f->by_name[i]->name);
    return 0;
}

const contig_t *fasta_own(const fasta_t *f, const char *name, size_t n)
{
    int lo = 0, hi = f->ncontig - 1;
    while (lo <= hi) {
        int mid = (lo + hi) / 2;
        const contig_t *c = f->by_name[mid];
        int cmp = strncmp(name, c->name, n);
        if (cmp == 0 && !c->name[n]) return c;
        if (cmp <= 0) hi = mid - 1;
        else lo = mid + 1;
    }
    return NULL;
}

const contig_t *fasta_find(const fasta_t *f, const char *name)
{
    const contig_t *c = fasta_own(f, name, strlen(name));
    return c ? c : alias_find(f, name);
}

bool fasta_has(const void *fasta, const char *name) { return fasta_find(fasta, name) != NULL; }

const char *fasta_hint(const fasta_t *f, const char *name, char *buf, size_t size)
{
    char other[512];
    const char *bare = !strncmp(name, "chr", 3) ? name + 3 : name;
    buf[0] = 0;
    if (bare != name) snprintf(other, sizeof other, "%s", !strcmp(bare, "M") ? "MT" : bare);
    else snprintf(other, sizeof other, "chr%s", !strcmp(name, "MT") ? "M" : name);
    if (fasta_find(f, other)) snprintf(buf, size, "; it has \"%s\": make the names agree, or see --chr-alias", other);
    else snprintf(buf, size, "; its first contig is \"%.100s\"", f->contig[0].name);
    return buf;
}

/* ---- comparing the index with the file ---- */

static int disagree(const fasta_t *f, const contig_t *c, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s.fai: does not belong to the FASTA (contig %.100s: %s); " REMEDY, f->path,
                    c->name, what);
}

static int64_t read_at(const fasta_t *f, int64_t at, char *buf, int64_t n)
{
    if ((f->gzi.n ? gzi_seek(&f->gzi, f->fp, (uint64_t)at) : bgzf_useek(f->fp, at, SEEK_SET)) < 0) return -1;
    return bgzf_read(f->fp, buf, (size_t)n);
}

/* Returns the offset in the file of base i of the contig. */
static int64_t place(const contig_t *c, int64_t i) { return c->offset + i / c->bases * c->width + i % c->bases; }

static int64_t end_of(const contig_t *c) { return c->length ? place(c, c->length - 1) + 1 : c->offset; }

/* Sets *name to the contig's name in the header line, and writes a NUL after the name. Returns the start of the next
 * line, or NULL. */
static char *take_name(char *line, char **name)
{
    char *nl = strchr(line, '\n');
    *name = line + 1;
    line[1 + strcspn(line + 1, " \t\r\n")] = 0;
    return nl ? nl + 1 : NULL;
}

/* Refuses the FASTA if `name`, the name of a contig without bases that the index does not list, is also the name of a
 * contig in the index. */
static int check_empty(const fasta_t *f, const char *name, cad_error_t *err)
{
    if (!fasta_find(f, name)) return 0;
    return cad_fail(err, CAD_EFORMAT, "%s: contig %.100s is there twice; names must be unique", f->path, name);
}

/* Checks that bytes [beg, next->offset) of the file are line ends and header lines, and that the last header line
 * is that of contig next. */
static int check_header(const fasta_t *f, int64_t beg, const contig_t *next, char *buf, cad_error_t *err)
{
    int64_t n = next->offset - beg;
    char *line = buf, *name = NULL;
    if (n < 2 || n > GAP || read_at(f, beg, buf, n) != n || (next->length && buf[n - 1] != '\n'))
        return disagree(f, next, "its offset", err);
    buf[n] = 0;
    if (beg && !isspace((unsigned char)*line)) return disagree(f, next, "the length of the contig before it", err);
    while (line && *line) {
        int rc = name ? check_empty(f, name, err) : 0;
        if (rc) return rc;
        while (isspace((unsigned char)*line)) line++;
        if (!*line) break;
        if (*line != '>') return disagree(f, next, "bases before it that the index does not list", err);
        line = take_name(line, &name);
    }
    if (!name) return disagree(f, next, "no header line before its bases", err);
    return strcmp(name, next->name) ? disagree(f, next, "another name in its header line", err) : 0;
}

/* Checks that the last line of the contig and `samples` other lines end where the index says. */
static int check_lines(const fasta_t *f, const contig_t *c, int samples, cad_error_t *err)
{
    int64_t full = c->length ? (c->length - 1) / c->bases : 0; /* number of lines before the last one */
    char end[3];
    for (int k = 0; k < samples && k < full; k++) {
        int64_t line = samples == 1 ? 0 : full <= samples ? k : k * (full - 1) / (samples - 1);
        int64_t at = c->offset + line * c->width + c->bases - 1;
        if (read_at(f, at, end, 2) != 2 || !isgraph((unsigned char)end[0]) || (end[1] != '\n' && end[1] != '\r'))
            return disagree(f, c, "the length of its lines", err);
    }
    if (c->length && (read_at(f, end_of(c) - 1, end, 1) != 1 || !isgraph((unsigned char)end[0])))
        return disagree(f, c, "its length", err);
    return 0;
}

static int check_tail(const fasta_t *f, const contig_t *c, char *buf, cad_error_t *err)
{
    int64_t n = read_at(f, end_of(c), buf, GAP);
    char *line = buf, *name;
    int rc;
    if (n < 0 || (n && !isspace((unsigned char)buf[0]))) return disagree(f, c, "its length", err);
    buf[n] = 0;
    while (line) {
        while (isspace((unsigned char)*line)) line++;
        if (!*line) break;
        if (*line != '>') return disagree(f, c, "more bases follow it", err);
        line = take_name(line, &name);
        if ((rc = check_empty(f, name, err))) return rc;
    }
    return 0;
}

static int check_contents(const fasta_t *f, cad_error_t *err)
{
    const contig_t **contig = sorted(f, by_offset);
    char *buf = malloc(GAP + 1);
    int64_t end = 0;
    int rc = contig && buf ? 0 : cad_out_of_memory(err);
    for (int i = 0; rc == 0 && i < f->ncontig; i++) {
        rc = check_header(f, end, contig[i], buf, err);
        if (rc == 0) rc = check_lines(f, contig[i], f->ncontig > 200 ? 1 : SAMPLES, err);
        end = end_of(contig[i]);
    }
    if (rc == 0) rc = check_tail(f, contig[f->ncontig - 1], buf, err);
    free(contig);
    free(buf);
    return rc;
}

/* ---- building a missing index ---- */

static int build_at(const char *fasta, const char *fai, const char *gzi, cad_error_t *err)
{
    char *local = local_path(fasta);
    int failed;
    if (!local) return cad_out_of_memory(err);
    errno = 0;
    failed = fai_build3(local, fai, gzi);
    free(local);
    if (!failed) return 0;
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        return cad_fail(err, CAD_EIO, "%s: cannot write its index: %s", fasta, strerror(errno));
    return cad_fail(err, CAD_EFORMAT,
                    "%s: cannot be indexed: is it FASTA, and are all lines of a contig but the last equally long?",
                    fasta);
}

/* Builds the index in a new folder in $TMPDIR. fasta_open removes the folder once the index is in memory. */
static int build_temporary(fasta_t *f, notes_t *notes, cad_error_t *err)
{
    const char *dir = getenv("TMPDIR");
    char base[4096];
    bool made;
    snprintf(base, sizeof base, "%s/caduceus-XXXXXX", dir && *dir ? dir : "/tmp");
    signals_hold();
    made = mkdtemp(base) != NULL;
    if (made) {
        f->tmp_dir = strdup(base);
        f->tmp_fai = suffixed(base, "/fai");
        f->tmp_gzi = suffixed(base, "/gzi");
        if (!f->tmp_dir) rmdir(base);
    }
    if (f->tmp_dir && f->tmp_fai && f->tmp_gzi) { /* registered in the order in which they must be removed */
        f->ticket[0] = temporary_add(f->tmp_fai);
        f->ticket[1] = temporary_add(f->tmp_gzi);
        f->ticket[2] = temporary_add(f->tmp_dir);
    }
    signals_release();
    if (!made)
        return cad_fail(err, CAD_EIO, "%s: has no index; none can be made beside it, nor in %s: %s", f->path, base,
                        strerror(errno));
    if (!f->tmp_dir || !f->tmp_fai || !f->tmp_gzi) return cad_out_of_memory(err);
    note(notes, NOTE_INDEX, 1,
         "%s: has no index and its folder cannot be written: indexing it anew in a temporary place; "
         "`samtools faidx` it once to save the time",
         f->path);
    return build_at(f->path, f->tmp_fai, f->tmp_gzi, err);
}

/* The two indexes beside the FASTA while they are built: file[0] is the .gzi, for a compressed FASTA, and file[1] the
 * .fai, which is renamed last. */
typedef struct {
    cad_file_t file[2];
    int ticket[2];
} build_t;

static void build_abort(build_t *b)
{
    for (int i = 0; i < 2; i++) {
        cad_file_abort(&b->file[i]);
        temporary_forget(b->ticket[i]);
    }
}

/* Opens both index files under temporary names. If one cannot be created at its path, returns false and leaves no
 * file. */
static bool build_begin(build_t *b, const char *const path[2])
{
    bool good = true;
    *b = (build_t) { .ticket = { -1, -1 } };
    signals_hold();
    for (int i = 0; i < 2 && good; i++) {
        if (!path[i]) continue;
        good = cad_file_open_named(&b->file[i], path[i], NULL) == 0;
        if (good) b->ticket[i] = temporary_add(b->file[i].tmp);
    }
    if (!good) build_abort(b);
    signals_release();
    return good;
}

/* Builds both indexes, and renames them when both are complete, since another process may open them at any time. */
static int build_finish(build_t *b, const char *fasta, cad_error_t *err)
{
    int rc = build_at(fasta, b->file[1].tmp, b->file[0].tmp, err);
    for (int i = 0; i < 2 && rc == 0; i++)
        if (b->file[i].path) rc = cad_file_sync(&b->file[i], err);
    for (int i = 0; i < 2 && rc == 0; i++)
        if (b->file[i].path) rc = cad_file_publish(&b->file[i], err);
    build_abort(b);
    return rc;
}

static int build(fasta_t *f, const char *fai, const char *gzi, bool packed, notes_t *notes, cad_error_t *err)
{
    build_t b;
    return build_begin(&b, (const char *const[]) { packed ? gzi : NULL, fai }) ? build_finish(&b, f->path, err)
                                                                               : build_temporary(f, notes, err);
}

static void drop_temporary(fasta_t *f)
{
    if (f->tmp_fai) unlink(f->tmp_fai);
    if (f->tmp_gzi) unlink(f->tmp_gzi);
    if (f->tmp_dir) rmdir(f->tmp_dir);
    for (int i = 0; f->tmp_dir && f->tmp_fai && f->tmp_gzi && i < 3; i++) temporary_forget(f->ticket[i]);
}

/* ---- opening ---- */

static void checksum(fasta_t *f)
{
    struct sha256_ctx sha;
    uint8_t digest[SHA256_DIGEST_SIZE];
    char number[32];
    sha256_init(&sha);
    for (int i = 0; i < f->ncontig; i++) {
        sha256_update(&sha, strlen(f->contig[i].name), (const uint8_t *)f->contig[i].name);
        sha256_update(&sha, (size_t)snprintf(number, sizeof number, "\t%lld\n", (long long)f->contig[i].length),
                      (const uint8_t *)number);
    }
    sha256_digest(&sha, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(f->checksum + 2 * i, 3, "%02x", digest[i]);
}

static void compare_age(const fasta_t *f, const char *fai, notes_t *notes)
{
    if (!f->tmp_fai && index_is_older(fai, f->path))
        note(notes, NOTE_INDEX, 1, "%s is older than the FASTA; its contents agree", fai);
}

/* Removes the index that this run has built, because it does not agree with the FASTA, and reports that the FASTA is
 * malformed. */
static int disown(const fasta_t *f, const char *fai, const char *gzi, int rc, cad_error_t *err)
{
    unlink(fai);
    unlink(gzi);
    if (rc == CAD_ENOMEM || strstr(err->text, "there twice")) return rc;
    return cad_fail(
        err, CAD_EFORMAT,
        "%s: malformed FASTA: a blank after > or within a sequence line, a line that is not sequence or has 2^32 letters; reformat it",
        f->path);
}

static int open_checked(fasta_t *f, const char *fai, const char *gzi, BGZF *fp, notes_t *notes, cad_error_t *err)
{
    bool packed = fp->is_compressed, ours = false;
    int rc = 0;
    if (packed && (fp->is_gzip || bgzf_compression(fp) != 2))
        return cad_fail(err, CAD_EFORMAT,
                        "%s: compressed with gzip, which has no random access; recompress it: gunzip, then bgzip",
                        f->path);
    if (packed && bgzf_check_EOF(fp) != 1)
        return cad_fail(err, CAD_EFORMAT, "%s: cut short: the BGZF end marker is missing; restore it", f->path);
    if (access(fai, F_OK)) {
        ours = true;
        rc = build(f, fai, gzi, packed, notes, err);
    }
    if (rc) return rc;
    if (f->tmp_fai) {
        fai = f->tmp_fai;
        gzi = f->tmp_gzi;
    }
    if (packed && (rc = gzi_read(&f->gzi, gzi, f->path, err))) return rc;
    rc = read_fai(f, fai, err);
    if (rc == 0) rc = sort_names(f, err);
    if (rc == 0) rc = check_contents(f, err);
    if (rc && ours) return disown(f, fai, gzi, rc, err);
    if (rc) return rc;
    if (packed) bgzf_set_cache_size(fp, CACHE);
    compare_age(f, fai, notes);
    checksum(f);
    return 0;
}

int fasta_open(fasta_t *f, const char *path, notes_t *notes, cad_error_t *err)
{
    char *local = local_path(path), *fai = local ? suffixed(local, ".fai") : NULL,
         *gzi = local ? suffixed(local, ".gzi") : NULL;
    struct stat sb;
    BGZF *fp = NULL;
    int rc = 0;
    memset(f, 0, sizeof *f);
    f->path = path;
    if (!fai || !gzi) rc = cad_out_of_memory(err);
    else if (stat(path, &sb)) rc = cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(sb.st_mode))
        rc = cad_fail(err, CAD_EIO, "%s: not a regular file; a reference must allow random access", path);
    else if (sb.st_size == 0) rc = cad_fail(err, CAD_EFORMAT, "%s: the file is empty", path);
    else if (!(fp = bgzf_open(local, "r"))) rc = cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    f->fp = fp;
    if (rc == 0) rc = open_checked(f, fai, gzi, fp, notes, err);
    drop_temporary(f);
    free(local);
    free(fai);
    free(gzi);
    if (rc) fasta_close(f);
    return rc;
}

void fasta_close(fasta_t *f)
{
    if (f->fp) bgzf_close(f->fp);
    for (int i = 0; i < f->ncontig; i++) free(f->contig[i].name);
    free(f->tmp_dir);
    free(f->tmp_fai);
    free(f->tmp_gzi);
    free(f->gzi.block);
    free(f->contig);
    free(f->by_name);
    alias_free(f);
    memset(f, 0, sizeof *f);
}

/* Reads whole lines of the FASTA, so that the place of every line end can be compared with the index. */
int fasta_fetch(const fasta_t *f, const contig_t *c, int64_t beg, int64_t end, char *seq, cad_error_t *err)
{
    int64_t from = beg < end ? place(c, beg) : 0, n = beg < end ? place(c, end - 1) + 1 - from : 0, k = 0;
    char *raw = malloc((size_t)n + 1);
    int rc = 0;
    if (!raw) return cad_fail(err, CAD_ENOMEM, "out of memory for %lld bases", (long long)(end - beg));
    if (n && read_at(f, from, raw, n) != n)
        rc = cad_fail(err, CAD_EIO, "%s: cannot read %s:%lld-%lld; the file is damaged", f->path, c->name,
                      (long long)beg + 1, (long long)end);
    for (int64_t i = 0; rc == 0 && i < n; i++) {
        bool base = (from + i - c->offset) % c->width < c->bases;
        if (base != (isgraph((unsigned char)raw[i]) != 0)) rc = disagree(f, c, "the length of its lines", err);
        if (base) seq[k++] = raw[i];
    }
    seq[k] = 0;
    free(raw);
    return rc;
}
