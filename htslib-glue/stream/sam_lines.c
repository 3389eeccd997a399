/* sam_lines.c - compares lines of SAM text with the lines that htslib would write for them.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/pieces.h"
#include "stream/reads.h"

enum { QNAME, FLAG, RNAME, POS, MAPQ, CIGAR, RNEXT, PNEXT, TLEN, SEQ, QUAL, FIELDS };
static const char *const FIELD[] = { "QNAME", "FLAG",  "RNAME", "POS", "MAPQ", "CIGAR",
                                     "RNEXT", "PNEXT", "TLEN",  "SEQ", "QUAL" };

typedef struct line_t { /* a SAM record as text, cut into fields */
    piece_t field[FIELDS], tags;
} line_t;

/* Cuts a line into its fields. htslib has replaced the tab after some fields before QUAL by NUL. */
static void cut(line_t *l, const char *s)
{
    piece_t rest;
    for (int k = 0; k < QUAL; k++) {
        l->field[k] = (piece_t) { s, strcspn(s, "\t") };
        s += l->field[k].n + 1;
    }
    rest = (piece_t) { s, strlen(s) };
    l->field[QUAL] = piece_split(&rest, '\t');
    l->tags = rest;
}

/* Returns the place of the last record: "file:line", or only the file if it is compressed, since htslib does not count
 * the lines of a compressed file. */
static const char *place(const reads_t *r, char buf[4200])
{
    if (r->fp->is_bgzf) snprintf(buf, 4200, "%.4100s", r->s->in->path);
    else snprintf(buf, 4200, "%.4100s:%lld", r->s->in->path, (long long)r->fp->lineno);
    return buf;
}

static int otherwise(const reads_t *r, const bam1_t *b, piece_t what, piece_t read, piece_t written, cad_error_t *err)
{
    char buf[4200];
    return cad_fail(err, CAD_EFORMAT, "%s: read %s: %.*s \"%.*s\" would be written as \"%.*s\"; correct it",
                    place(r, buf), bam_get_qname(b), piece_shown(what), what.s, piece_shown(read), read.s,
                    piece_shown(written), written.s);
}

static bool is(piece_t p, const char *text) { return piece_equal(p, (piece_t) { text, strlen(text) }); }

/* True if the FLAG of b has the value in the text, which may be hexadecimal or octal. */
static bool same_flag(piece_t read, const bam1_t *b)
{
    char *end;
    long flag = strtol(read.s, &end, 0);
    return read.n && end == read.s + read.n && flag == b->core.flag;
}

/* True if htslib writes the same RNEXT. An "=" counts as the same as the RNAME that it stands for. */
static bool same_mate(const line_t *read, piece_t written)
{
    piece_t mate = read->field[RNEXT], own = read->field[RNAME];
    return piece_equal(mate, written) || (is(written, "=") && piece_equal(mate, own)) ||
           (is(written, "*") && is(mate, "=") && is(own, "*"));
}

/* True if SEQ keeps its length. Prints a note about letters that four bits cannot hold: lower case, U, dots and all
 * others that are not IUPAC codes. */
static bool same_letters(reads_t *r, const bam1_t *b, piece_t read, piece_t written)
{
    char buf[4200];
    size_t k = 0;
    if (read.n != written.n) return false;
    while (k < read.n && read.s[k] == written.s[k]) k++;
    if (k < read.n)
        note(r->s->notes, NOTE_LETTERS, 1, "%s: read %s: SEQ has %c, which is written as %c", place(r, buf),
             bam_get_qname(b), read.s[k], written.s[k]);
    return true;
}

/* Compares the eleven mandatory fields. packed: true if the CIGAR was stored in the tag CG, as very long ones are. */
static int compare_fields(reads_t *r, const bam1_t *b, const line_t *read, const line_t *written, bool packed,
                          cad_error_t *err)
{
    for (int k = 0; k < FIELDS; k++) {
        piece_t x = read->field[k], y = written->field[k];
        bool same = k == FLAG                                          ? same_flag(x, b)
                    : k == RNEXT                                       ? same_mate(read, y)
                    : k == SEQ                                         ? same_letters(r, b, x, y)
                    : k == POS || k == MAPQ || k == PNEXT || k == TLEN ? piece_kept(x, y) == KEPT
                                                                       : piece_equal(x, y) || (k == CIGAR && packed);
        if (!same) return otherwise(r, b, (piece_t) { FIELD[k], strlen(FIELD[k]) }, x, y, err);
    }
    return 0;
}

/* True if both pieces are numbers. If they differ, htslib's type cannot hold the number that was read. */
static bool numbers(piece_t read, piece_t written)
{
    double x, y;
    return piece_number(read, &x) && piece_number(written, &y);
}

/* Compares the text of one value in the input with the text that htslib would write for this value. A real number that
 * is rounded, or that float32 cannot hold, gets a note. Any other change is an error. */
static int compare_value(reads_t *r, const bam1_t *b, piece_t tag, bool real, piece_t read, piece_t written,
                         cad_error_t *err)
{
    char buf[4200];
    kept_t kept = piece_kept(read, written);
    if (kept == KEPT) return 0;
    if (!real || (kept == CHANGED && !numbers(read, written))) return otherwise(r, b, tag, read, written, err);
    note(r->s->notes, kept == ROUNDED ? NOTE_ROUNDED : NOTE_VALUE, 1, "%s: read %s: %.*s \"%.*s\" is %s \"%.*s\"",
         place(r, buf), bam_get_qname(b), piece_shown(tag), tag.s, piece_shown(read), read.s,
         kept == ROUNDED ? "rounded to" : "beyond float32 and written as", piece_shown(written), written.s);
    return 0;
}

/* Compares the text of an array in the input with the text that htslib would write for this array. Both begin with the
 * letter of the type, as in "f,0.5,1". */
static int compare_array(reads_t *r, const bam1_t *b, piece_t tag, bool real, piece_t read, piece_t written,
                         cad_error_t *err)
{
    piece_t x = read, y = written;
    int rc = 0;
    while (x.n && y.n && rc == 0) rc = compare_value(r, b, tag, real, piece_split(&x, ','), piece_split(&y, ','), err);
    return rc == 0 && (x.n || y.n) ? otherwise(r, b, tag, read, written, err) : rc;
}

static int compare_tag(reads_t *r, const bam1_t *b, piece_t read, piece_t written, cad_error_t *err)
{
    enum { HEAD = 5 };
    piece_t tag = { read.s, 2 };
    char type;
    if (piece_equal(read, written)) return 0;
    if (read.n < HEAD || written.n < HEAD || memcmp(read.s, written.s, 3) || read.s[4] != ':')
        return otherwise(r, b, (piece_t) { "tag", 3 }, read, written, err);
    type = read.s[3] == 'I' ? 'i' : read.s[3];
    if (type != written.s[3] || !strchr("ifdB", type)) return otherwise(r, b, tag, read, written, err);
    read = (piece_t) { read.s + HEAD, read.n - HEAD };
    written = (piece_t) { written.s + HEAD, written.n - HEAD };
    if (type != 'B') return compare_value(r, b, tag, type != 'i', read, written, err);
    return read.n && written.n && *read.s == *written.s ? compare_array(r, b, tag, *read.s == 'f', read, written, err)
                                                        : otherwise(r, b, tag, read, written, err);
}

static int compare_tags(reads_t *r, const bam1_t *b, piece_t read, piece_t written, bool packed, cad_error_t *err)
{
    int rc = 0;
    while (read.n && rc == 0) {
        piece_t tag = piece_split(&read, '\t');
        if (packed && tag.n > 3 && !memcmp(tag.s, "CG:", 3)) continue;
        rc = compare_tag(r, b, tag, piece_split(&written, '\t'), err);
    }
    return rc == 0 && written.n ? otherwise(r, b, (piece_t) { "tag", 3 }, (piece_t) { "", 0 }, written, err) : rc;
}

int sam_line_check(reads_t *r, const bam1_t *b, cad_error_t *err)
{
    line_t read, written;
    bool packed;
    int rc;
    if (r->fp->format.format != sam) return 0;
    if (sam_format1(r->header, b, &r->written) < 0) return cad_out_of_memory(err);
    cut(&read, r->fp->line.s);
    cut(&written, r->written.s);
    packed = !piece_equal(read.field[CIGAR], written.field[CIGAR]) && strstr(read.tags.s, "CG:B:I,") &&
             bam_cigar2qlen((int)b->core.n_cigar, bam_get_cigar(b)) == b->core.l_qseq;
    rc = compare_fields(r, b, &read, &written, packed, err);
    return rc ? rc : compare_tags(r, b, read.tags, written.tags, packed, err);
}
