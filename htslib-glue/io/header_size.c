/* header_size.c - refuses headers of reads and variants that are too large once they are decompressed.
 *
 * SPDX-License-Identifier: MIT
 */
#include <htslib/bgzf.h>
#include <sys/stat.h>

#include "base/number.h"
#include "io/header_size.h"
#include "io/local.h"

enum { BUFFER = 1 << 16 };

typedef struct scan_t {
    BGZF *fp;
    char *buf;    // (BUFFER)
    int64_t left; /* bytes that the header may still have; negative: it is too large */
} scan_t;

/* ---- text: SAM and VCF ---- */

/* Returns the offset in s of the first line that does not begin with `mark` and is not blank, or n. *begun: s is at the
 * start of a line; afterwards, the byte after s is. */
static size_t marked(const char *s, size_t n, char mark, bool *begun)
{
    for (size_t at = 0; at < n;) {
        const char *end = memchr(s + at, '\n', n - at);
        if (*begun && s[at] != mark && s[at] != '\n' && s[at] != '\r') return at;
        *begun = end != NULL;
        at = end ? (size_t)(end - s) + 1 : n;
    }
    return n;
}

/* Reads lines that begin with `mark`, until another one begins. */
static void scan_text(scan_t *t, char mark)
{
    bool begun = true;
    ssize_t n;
    while (t->left >= 0 && (n = bgzf_read(t->fp, t->buf, BUFFER)) > 0) {
        size_t header = marked(t->buf, (size_t)n, mark, &begun);
        t->left -= (int64_t)header;
        if (header < (size_t)n) return;
    }
}

/* ---- BAM ---- */

/* Reads n bytes. Returns false if the header is too large with them, or ends before. */
static bool skip(scan_t *t, int64_t n)
{
    t->left -= n;
    for (int64_t some; t->left >= 0 && n > 0; n -= some) {
        some = cad_min(n, BUFFER);
        if (bgzf_read(t->fp, t->buf, (size_t)some) != some) return false;
    }
    return t->left >= 0;
}

static bool read_length(scan_t *t, int64_t *n)
{
    const unsigned char *b = (const unsigned char *)t->buf;
    if (!skip(t, 4)) return false;
    *n = (int64_t)cad_little(b, 4);
    return true;
}

/* The header has "BAM\1", the length of a text, the text, and the number of contigs; then, for each contig, the length
 * of its name, its name and its length. */
static void scan_bam(scan_t *t)
{
    int64_t n, contigs;
    if (!skip(t, 4) || !read_length(t, &n) || !skip(t, n) || !read_length(t, &contigs)) return;
    while (contigs-- > 0 && read_length(t, &n) && skip(t, n + 4)) {}
}

/* ---- any format ---- */

int header_too_large(const char *path, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s: its header is larger than %lld MB; remove the contigs that are not used",
                    path, (long long)(HEADER_MOST >> 20));
}

int header_bounded(const htsFile *fp, const char *path, cad_error_t *err)
{
    const htsFormat *f = &fp->format;
    scan_t t = { .left = HEADER_MOST };
    struct stat st;
    char *local;
    bool text = f->format == sam || f->format == vcf;
    if ((!text && f->format != bam) || f->compression == no_compression || stat(path, &st) || !S_ISREG(st.st_mode))
        return 0;
    local = local_path(path);
    t.buf = malloc(BUFFER);
    t.fp = local && t.buf ? bgzf_open(local, "r") : NULL;
    if (t.fp && text) scan_text(&t, f->format == sam ? '@' : '#');
    else if (t.fp) scan_bam(&t);
    if (t.fp) bgzf_close(t.fp);
    free(t.buf);
    free(local);
    return t.left < 0 ? header_too_large(path, err) : 0;
}
