/* source_bed.c - the source of BED rows on a reference: each row is a region and gets columns of scores.
 * columns.c writes the rows. SPDX-License-Identifier: MIT */
#include <strings.h>

#include "io/row_place.h"
#include "stream/region_source.h"
#include "stream/source_bed.h"

typedef struct bed_t {
    int64_t nrow;   /* number of rows read */
    kstring_t line; /* the line just read */
    kstring_t held; /* a line that may be the header, kept until the first row */
    /* number of columns of the first row; once the header is written, every row must have as many */
    int ncol;
    bool headed;
    bool *seen;           // (contigs) with --write-index: whether a row on this contig was already read
    const contig_t *last; /* with --write-index: contig and start of the last row */
    int64_t beg;
} bed_t;

static bool fits(const input_t *in) { return in->kind == INPUT_BED; }

static int check(settings_t *set, const input_t *in, cad_error_t *err)
{
    if (!set->reference)
        return cad_fail(err, CAD_EARG, "%s: BED regions need their reference: give -T FASTA", in->path);
    return regions_check(set, in, err);
}

/* ---- lines that are not rows ---- */

static int write_header(stream_t *s, int ncol, cad_error_t *err)
{
    bed_t *b = s->state;
    int rc = 0;
    /* a line with another number of columns than the rows is a comment, not the header */
    if (b->held.l && !table_extends(ncol, b->held.s, b->held.l)) {
        rc = regions_pass(s, &b->held, err);
        b->held.l = 0;
    }
    if (rc == 0) rc = table_header(s->table, ncol, b->held.s ? b->held.s : "", b->held.l, err);
    b->held.l = 0;
    b->headed = true;
    return rc;
}

bool row_header(const char *s, size_t n)
{
    if (n < 2 || s[0] != '#' || s[1] == '#' || bed_columns(s, n) < 3) return false;
    return memchr(s, '\t', n) || !strncasecmp(s, "#chrom", 6);
}

/* Handles a line that is not a row. Keeps the last comment that may name columns until the first row is read, because
 * that comment may be the header. */
static int other_line(stream_t *s, line_kind_t kind, cad_error_t *err)
{
    bed_t *b = s->state;
    const kstring_t *l = &b->line;
    int rc;
    if (kind == LINE_BROWSER && s->table->compressed) {
        note(s->notes, NOTE_BROWSER, 1, "%s:%lld: track and browser lines are left out of a compressed BED",
             s->in->path, (long long)s->in->line);
        return 0;
    }
    if (s->set->indexed && (kind == LINE_BLANK || b->headed)) /* a query through the index would stop at such a line */
        return cad_fail(err, CAD_EFORMAT,
                        "%s:%lld: a comment or blank line among the rows, which no index allows; "
                        "remove it",
                        s->in->path, (long long)s->in->line);
    if (kind != LINE_COMMENT || b->headed || !row_header(l->s, l->l)) return regions_pass(s, l, err);
    rc = b->held.l ? regions_pass(s, &b->held, err) : 0;
    b->held.l = 0;
    if (rc == 0 && kputsn(l->s, l->l, &b->held) < 0) rc = cad_out_of_memory(err);
    return rc;
}

/* ---- rows ---- */

static region_t *new_row(stream_t *s, const bed_row_t *row, const contig_t *c)
{
    bed_t *b = s->state;
    region_t *g = regions_row(&b->line, b->nrow++, row->ncol, c, row->block ? row->nblock : 1);
    for (int i = 0; g && i < g->nspan; i++) {
        interval_t p = row->block ? row->block[i] : row->span;
        g->span[i] = (interval_t) { cad_min(p.beg, c->length), cad_min(p.end, c->length) };
    }
    return g;
}

/* With --write-index, checks the row: its columns are separated by tabs, all rows of a contig are consecutive, and
 * their starts ascend. */
static int check_order(stream_t *s, const bed_row_t *row, const contig_t *c, cad_error_t *err)
{
    bed_t *b = s->state;
    long long line = (long long)s->in->line;
    bool sorted;
    if (!b->seen) b->seen = calloc((size_t)s->ref->ncontig, sizeof *b->seen);
    if (!b->seen) return cad_out_of_memory(err);
    sorted = b->last == c ? row->span.beg >= b->beg : !b->seen[c - s->ref->contig];
    b->seen[c - s->ref->contig] = true;
    b->last = c;
    b->beg = row->span.beg;
    if (!sorted)
        return cad_fail(err, CAD_EFORMAT,
                        "%s:%lld: not sorted by contig and start, so the output cannot be indexed; sort it (sort "
                        "-k1,1 -k2,2n), or leave out --write-index",
                        s->in->path, line);
    if (!memchr(b->line.s, '\t', b->line.l))
        return cad_fail(err, CAD_EFORMAT, "%s:%lld: blanks between columns, which no index allows; use tabs",
                        s->in->path, line);
    return row->span.end <= s->set->indexed
               ? 0
               : cad_fail(err, CAD_EARG, "%s:%lld: beyond what a .tbi can index; use --write-index=csi", s->in->path,
                          line);
}

static int put_row(stream_t *s, const bed_row_t *row, cad_error_t *err)
{
    bed_t *b = s->state;
    const contig_t *c;
    region_t *g;
    int rc;
    if (b->headed && b->ncol != row->ncol)
        return cad_fail(err, CAD_EFORMAT,
                        "%s:%lld: %d columns, but the rows before it have %d; added columns would not line up",
                        s->in->path, (long long)s->in->line, row->ncol, b->ncol);
    rc = row_contig(s->in, row, s->ref, &c, err);
    if (rc == 0) rc = regions_place(s, c, row->span, err);
    if (rc == 0 && s->set->indexed) rc = check_order(s, row, c, err);
    if (rc) return rc;
    b->ncol = row->ncol;
    if (!b->headed && (rc = write_header(s, row->ncol, err))) return rc;
    g = new_row(s, row, c);
    return g ? region_put(&s->cutter, g, err) : cad_out_of_memory(err);
}

static int data_line(stream_t *s, cad_error_t *err)
{
    bed_t *b = s->state;
    const contig_t *c;
    bed_row_t row;
    int rc = bed_parse(s->in->path, s->in->line, b->line.s, b->line.l, s->set->split, &row, err);
    if (rc) return rc;
    if (!b->ncol) b->ncol = row.ncol;
    c = s->only || s->targets ? fasta_find(s->ref, row.contig) : NULL;
    if (stream_wants(s, c ? c->name : row.contig, row.span.beg, row.span.end)) rc = put_row(s, &row, err);
    bed_free(&row);
    return rc;
}

static int read_input(stream_t *s, cad_error_t *err)
{
    bed_t *b = s->state;
    int rc;
    while ((rc = input_line(s->in, &b->line, err)) > 0) {
        line_kind_t kind = bed_line_kind(b->line.s, b->line.l);
        rc = kind == LINE_DATA ? data_line(s, err) : other_line(s, kind, err);
        if (rc) return rc;
    }
    return rc;
}

/* Writes the header if no row has been written; the first row writes it otherwise. */
static int finish(stream_t *s, cad_error_t *err)
{
    const bed_t *b = s->state;
    return b->headed ? 0 : write_header(s, b->ncol, err);
}

static void close_bed(stream_t *s)
{
    bed_t *b = s->state;
    free(b->line.s);
    free(b->held.s);
    free(b->seen);
}

const source_t SOURCE_BED = {
    REGION_MEMBERS,
    .holds = "regions",
    .counts = "regions",
    .options = " reference chr-alias clip grid split score mask skip-soft-masked embed pool no-version "
               "write-index ",
    .size = sizeof(bed_t),
    .fits = fits,
    .check = check,
    .read = read_input,
    .finish = finish,
    .close = close_bed,
};
