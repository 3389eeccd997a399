/* input.c - detects the kind of an input, and reads lines of plain, gzip or BGZF text. To add an input format, add a
 * row to FORMAT. Then add a case to `detect` if htslib recognises the format, else a test for the format's first bytes
 * to detect_text. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <htslib/hfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/csv.h"
#include "io/input.h"
#include "io/local.h"

#define BUFFER (1 << 16)

/* Sets in->kind to the format that htslib detects from the first bytes. For text, sets it to BED; detect_text may
 * change this later. */
static int detect(input_t *in, hFILE *h, cad_error_t *err)
{
    htsFormat fmt;
    memset(&fmt, 0, sizeof fmt);
    in->kind = INPUT_BED;
    if (hts_detect_format(h, &fmt)) return cad_fail(err, CAD_EIO, "%s: %s", in->path, strerror(errno ? errno : EIO));
    switch (fmt.format) {
    case sam:
    case bam:
    case cram: in->kind = INPUT_READS; return 0;
    case vcf:
    case bcf: in->kind = INPUT_VARIANTS; return 0;
    /* htslib detects a .crai by a line of six numbers, but a BED may also have such lines, so the file's name
     * decides */
    case crai:
        if (!ends_in(in->path, ".crai")) return 0;
        /* fall through */
    case bai:
    case csi:
    case gzi:
    case tbi: return cad_fail(err, CAD_EFORMAT, "%s: is an index; give the file that it belongs to", in->path);
    default: return 0;
    }
}

/* True if the first line names columns of a CSV or TSV, one of which is sequence or seq. */
static bool names_sequences(const input_t *in)
{
    const char *end = in->fill ? memchr(in->buf, '\n', in->fill) : NULL;
    size_t n = end ? (size_t)(end - in->buf) : in->fill;
    cells_t cells = { 0 };
    bool found = n && cells_split(&cells, in->buf, n, cells_separator(in->buf, n)) == 0 &&
                 cells_find(&cells, "sequence", "seq") >= 0;
    cells_free(&cells);
    return found;
}

/* Sets in->kind for a text: FASTA if the text begins with >, FASTQ if it begins with @, a table if its first line names
 * columns, else BED. */
static void detect_text(input_t *in)
{
    size_t i = 0;
    while (i < in->fill && isspace((unsigned char)in->buf[i])) i++;
    if (i < in->fill && in->buf[i] == '>') in->kind = INPUT_FASTA;
    else if (i < in->fill && in->buf[i] == '@') in->kind = INPUT_FASTQ;
    else in->kind = names_sequences(in) ? INPUT_TABLE : INPUT_BED;
}

static const struct {
    const char *name;
    input_kind_t kind;
} FORMAT[] = {
    { "bed", INPUT_BED },    { "regions", INPUT_REGIONS }, { "fasta", INPUT_FASTA },  { "fastq", INPUT_FASTQ },
    { "csv", INPUT_TABLE },  { "tsv", INPUT_TABLE },       { "sam", INPUT_READS },    { "bam", INPUT_READS },
    { "cram", INPUT_READS }, { "vcf", INPUT_VARIANTS },    { "bcf", INPUT_VARIANTS },
};

void input_formats(bool (*takes)(input_kind_t kind), text_t *t)
{
    const char *name[sizeof FORMAT / sizeof *FORMAT];
    int n = 0;
    for (size_t i = 0; i < sizeof FORMAT / sizeof *FORMAT; i++)
        if (!takes || takes(FORMAT[i].kind)) name[n++] = FORMAT[i].name;
    for (int i = 0; i < n; i++) text_printf(t, "%s%s", i == 0 ? "" : i == n - 1 ? " or " : ", ", name[i]);
}

static int unlisted(const char *format, cad_error_t *err)
{
    text_t all = { 0 };
    int rc;
    input_formats(NULL, &all);
    rc = cad_fail(err, CAD_EARG, "--in-format %.40s: expected %s", format, all.s.s ? all.s.s : "");
    text_free(&all);
    return rc;
}

static int forced(input_t *in, const char *format, cad_error_t *err)
{
    for (size_t i = 0; i < sizeof FORMAT / sizeof *FORMAT; i++)
        if (!strcmp(format, FORMAT[i].name)) {
            in->kind = FORMAT[i].kind;
            return 0;
        }
    return unlisted(format, err);
}

static int fill(input_t *in, cad_error_t *err)
{
    ssize_t n;
    if (in->at < in->fill || in->eof) return 0;
    n = bgzf_read(in->fp, in->buf, BUFFER);
    if (n < 0)
        return cad_fail(err, CAD_EIO, "%s:%lld: damaged or cut short after this line; restore or recompress it",
                        in->path, (long long)in->line);
    in->at = 0;
    in->fill = (size_t)n;
    in->bytes += n;
    in->eof = n == 0;
    if (in->eof && in->fp->no_eof_block)
        return cad_fail(err, CAD_EIO, "%s:%lld: cut short: the BGZF end marker is missing; restore it", in->path,
                        (long long)in->line);
    return 0;
}

/* First bytes of binary formats, which are refused where text is expected. */
static const struct {
    const char *magic;
    size_t n;
    const char *what;
} FOREIGN[] = {
    { "\xfd"
      "7zXZ",
      5, "compressed with xz: decompress it first" },
    { "BZh", 3, "compressed with bzip2: decompress it first" },
    { "\x28\xb5\x2f\xfd", 4, "compressed with zstd: decompress it first" },
    { "\xff\xfe", 2, "UTF-16: convert it with iconv" },
    { "\xfe\xff", 2, "UTF-16: convert it with iconv" },
    { "\xef\xbb\xbf", 3, "UTF-8 with a byte-order mark: remove it with tail -c +4" },
};

/* True if lines end in carriage returns without line feeds, judged by the bytes in the buffer. */
static bool is_mac(const input_t *in)
{
    const char *cr = in->fill ? memchr(in->buf, '\r', in->fill) : NULL;
    return cr && cr + 1 < in->buf + in->fill && !memchr(in->buf, '\n', in->fill);
}

static int check_text(input_t *in, cad_error_t *err)
{
    const char *name = "#CHROM\tPOS\tID\tREF\tALT";
    for (size_t i = 0; i < sizeof FOREIGN / sizeof *FOREIGN; i++)
        if (in->fill >= FOREIGN[i].n && !memcmp(in->buf, FOREIGN[i].magic, FOREIGN[i].n))
            return cad_fail(err, CAD_EFORMAT, "%s: %s", in->path, FOREIGN[i].what);
    if (in->bytes == 0 && in->eof) return cad_fail(err, CAD_EFORMAT, "%s: the file is empty", in->path);
    if (is_mac(in))
        return cad_fail(err, CAD_EFORMAT, "%s: carriage returns in place of line ends; convert it: tr '\\r' '\\n'",
                        in->path);
    if (in->fill >= strlen(name) && !memcmp(in->buf, name, strlen(name)))
        return cad_fail(err, CAD_EFORMAT, "%s: a VCF whose first line is missing; it must be ##fileformat=VCFv4.2",
                        in->path);
    if (in->fill >= 5 && !memcmp(in->buf, "##gff", 5))
        return cad_fail(
            err, CAD_EFORMAT,
            "%s: looks like GFF; convert it: zcat -f FILE | grep -v '^#' | awk -v OFS='\\t' '{print $1,$4-1,$5,$3,\".\",$7}'",
            in->path);
    return 0;
}

/* Opens the input for reading lines. BGZF functions also read plain text and gzip. */
static int open_text(input_t *in, bool forced_kind, cad_error_t *err)
{
    int rc;
    in->buf = malloc(BUFFER);
    if (in->buf) in->fp = bgzf_hopen(in->h, "r");
    if (!in->fp)
        return in->buf && in->size == 0 && errno == 0 ? cad_fail(err, CAD_EFORMAT, "%s: the file is empty", in->path)
                                                      : cad_fail(err, CAD_ENOMEM, "%s: out of memory", in->path);
    in->h = NULL;
    if (in->fp->is_compressed) in->size = 0;
    rc = fill(in, err);
    if (rc == 0 && !forced_kind) detect_text(in);
    return rc ? rc : check_text(in, err);
}

/* Opens a file, or standard input for "-". Does not use hopen, which would read some names as URLs. */
static int open_file(input_t *in, const char *path, cad_error_t *err)
{
    bool standard = !strcmp(path, "-");
    int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && looks_remote(path))
        return cad_fail(err, CAD_EIO, "%s: no such file here; only local files are read: download it first", path);
    errno = fd < 0 ? errno : 0;
    in->h = fd < 0 ? NULL : hdopen(fd, "r");
    if (in->h) return 0;
    cad_fail(err, CAD_EIO, "%s: %s", in->path, strerror(errno ? errno : EIO));
    if (fd >= 0) close(fd);
    return CAD_EIO;
}

int input_open(input_t *in, const char *path, const char *format, cad_error_t *err)
{
    struct stat sb;
    int rc;
    memset(in, 0, sizeof *in);
    in->path = strcmp(path, "-") ? path : "standard input";
    if (strcmp(path, "-") && stat(path, &sb) == 0) {
        if (S_ISDIR(sb.st_mode)) return cad_fail(err, CAD_EIO, "%s: is a folder", path);
        if (S_ISREG(sb.st_mode)) in->size = sb.st_size;
    }
    rc = open_file(in, path, err);
    if (rc) return rc;
    rc = format ? forced(in, format, err) : detect(in, in->h, err);
    if (rc == 0 && in->kind < INPUT_READS) rc = open_text(in, format != NULL, err);
    return rc;
}

int input_line(input_t *in, kstring_t *line, cad_error_t *err)
{
    bool any = false;
    line->l = 0;
    for (;;) {
        int rc = fill(in, err);
        const char *nl;
        size_t n;
        if (rc) return rc;
        if (in->eof) break;
        any = true;
        nl = memchr(in->buf + in->at, '\n', in->fill - in->at);
        n = (nl ? (size_t)(nl - in->buf) : in->fill) - in->at;
        if (kputsn(in->buf + in->at, n, line) < 0)
            return cad_fail(err, CAD_ENOMEM, "%s:%lld: out of memory", in->path, (long long)in->line + 1);
        if (in->most && line->l > in->most)
            return cad_fail(err, CAD_EFORMAT, "%s:%lld: a line of more than %zu bytes; is this the right file?",
                            in->path, (long long)in->line + 1, in->most);
        in->at += n + (nl != NULL);
        if (nl) break;
    }
    if (!any) return 0;
    in->line++;
    if (memchr(line->s, 0, line->l))
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: binary data; is this a text file?", in->path, (long long)in->line);
    return 1;
}

int input_peek(input_t *in, cad_error_t *err)
{
    int rc = fill(in, err);
    if (rc) return rc - 1;
    return in->eof ? -1 : (unsigned char)in->buf[in->at];
}

void input_close(input_t *in)
{
    if (in->fp) bgzf_close(in->fp);
    if (in->h) hclose_abruptly(in->h);
    free(in->buf);
    memset(in, 0, sizeof *in);
}
