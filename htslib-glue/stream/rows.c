/* rows.c - the sources of annotate: BED rows over a reference, and FASTA and
 * FASTQ records, as items for the pipeline. SPDX-License-Identifier: MIT */
#include <strings.h>

#include "io/sequence.h"
#include "stream/rows.h"

static int out_of_memory(cad_error_t *err) { return cad_fail(err, CAD_ENOMEM, "out of memory"); }

static region_t *new_region(const char *text, size_t n, int nparts)
{
    region_t *g = calloc(1, sizeof *g);
    if (!g) return NULL;
    if (nparts) g->part = malloc((size_t)nparts * sizeof *g->part);
    if ((nparts && !g->part) || kputsn(text, n, &g->text) < 0) {
        region_clear(g);
        free(g);
        return NULL;
    }
    g->npart = nparts;
    return g;
}

static bool wanted(const rows_t *r, const char *contig, int64_t beg, int64_t end)
{
    return (!r->only || regions_overlap(r->only, contig, beg, end)) &&
           (!r->targets || regions_overlap(r->targets, contig, beg, end));
}

static int pass_through(rows_t *r, const kstring_t *line, cad_error_t *err)
{
    region_t *g = new_region(line->s ? line->s : "", line->l, 0);
    return g ? region_put(r->cutter, g, err) : out_of_memory(err);
}

static int write_header(rows_t *r, int ncol, cad_error_t *err)
{
    int rc = 0;
    if (r->held.l && !table_extends(ncol, r->held.s, r->held.l)) { /* a comment after all, of one shard */
        rc = pass_through(r, &r->held, err);
        r->held.l = 0;
    }
    if (rc == 0) rc = table_header(r->table, ncol, r->held.s ? r->held.s : "", r->held.l, err);
    r->held.l = 0;
    r->headed = true;
    return rc;
}

bool row_header(const char *s, size_t n)
{
    if (n < 2 || s[0] != '#' || s[1] == '#' || bed_columns(s, n) < 3) return false;
    return memchr(s, '\t', n) || !strncasecmp(s, "#chrom", 6);
}

/* Comments before the first row: the last one with columns may be its header. */
static int other_line(rows_t *r, line_kind_t kind, cad_error_t *err)
{
    const kstring_t *l = &r->line;
    int rc;
    if (kind == LINE_BROWSER && r->drop_browser) {
        note(r->cutter->notes, NOTE_BROWSER, 1, "%s:%lld: track and browser lines are left out of a compressed BED",
             r->in->path, (long long)r->in->line);
        return 0;
    }
    if (kind != LINE_COMMENT || r->headed || !row_header(l->s, l->l)) return pass_through(r, l, err);
    rc = r->held.l ? pass_through(r, &r->held, err) : 0;
    r->held.l = 0;
    if (rc == 0 && kputsn(l->s, l->l, &r->held) < 0) rc = out_of_memory(err);
    return rc;
}

/* ---- BED ---- */

int row_contig(const input_t *in, const bed_row_t *row, const fasta_t *ref, const contig_t **c, cad_error_t *err)
{
    char hint[700];
    *c = fasta_find(ref, row->contig);
    if (*c) return 0;
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: contig \"%s\" is not in %s%s", in->path, (long long)in->line,
                    row->contig, ref->path, fasta_hint(ref, row->contig, hint, sizeof hint));
}

int row_beyond(const input_t *in, const bed_row_t *row, const contig_t *c, const char *remedy, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: end %lld is past the end of %s (%lld bases); %s", in->path,
                    (long long)in->line, (long long)row->span.end, c->name, (long long)c->length, remedy);
}

static int check_place(rows_t *r, const bed_row_t *row, const contig_t *c, cad_error_t *err)
{
    long long line = (long long)r->in->line;
    if (row->span.end > c->length && !r->clip) return row_beyond(r->in, row, c, "correct it, or clip with --clip", err);
    if (row->span.end > c->length)
        note(r->cutter->notes, NOTE_CLIPPED, 1, "%s:%lld: clipped at the end of %s", r->in->path, line, c->name);
    if (row->span.beg == row->span.end)
        note(r->cutter->notes, NOTE_EMPTY, 1, "%s:%lld: an empty region; its scores are \".\"", r->in->path, line);
    return 0;
}

static region_t *bed_region(rows_t *r, const bed_row_t *row, const contig_t *c)
{
    region_t *g = new_region(r->line.s, r->line.l, row->block ? row->nblock : 1);
    if (!g) return NULL;
    g->scored = true;
    g->row = r->nrow++;
    g->ncol = row->ncol;
    g->contig = c;
    g->name = c->name;
    g->name_len = (int)strlen(c->name);
    g->length = c->length;
    for (int i = 0; i < g->npart; i++) {
        interval_t p = row->block ? row->block[i] : row->span;
        g->part[i] = (interval_t) { cad_min(p.beg, c->length), cad_min(p.end, c->length) };
    }
    return g;
}

static int place_row(rows_t *r, const bed_row_t *row, cad_error_t *err)
{
    const contig_t *c;
    region_t *g;
    int rc;
    if (r->headed && r->ncol != row->ncol)
        return cad_fail(err, CAD_EFORMAT,
                        "%s:%lld: %d columns, but the rows before it have %d; added columns would not line up",
                        r->in->path, (long long)r->in->line, row->ncol, r->ncol);
    rc = row_contig(r->in, row, r->ref, &c, err);
    if (rc == 0) rc = check_place(r, row, c, err);
    if (rc) return rc;
    r->ncol = row->ncol;
    if (!r->headed && (rc = write_header(r, row->ncol, err))) return rc;
    g = bed_region(r, row, c);
    return g ? region_put(r->cutter, g, err) : out_of_memory(err);
}

static int data_line(rows_t *r, cad_error_t *err)
{
    const contig_t *c;
    bed_row_t row;
    int rc = bed_parse(r->in->path, r->in->line, r->line.s, r->line.l, r->split, &row, err);
    if (rc) return rc;
    if (!r->ncol) r->ncol = row.ncol;
    c = r->only || r->targets ? fasta_find(r->ref, row.contig) : NULL;
    if (wanted(r, c ? c->name : row.contig, row.span.beg, row.span.end)) rc = place_row(r, &row, err);
    bed_free(&row);
    return rc;
}

static int run_bed(rows_t *r, cad_error_t *err)
{
    int rc;
    while ((rc = input_line(r->in, &r->line, err)) > 0) {
        line_kind_t kind = bed_line_kind(r->line.s, r->line.l);
        rc = kind == LINE_DATA ? data_line(r, err) : other_line(r, kind, err);
        if (rc) return rc;
    }
    return rc;
}

/* ---- FASTA and FASTQ: a record is its own contig, its row `name 0 length` ---- */

/* Takes the bases over. */
static int put_record(rows_t *r, seq_t *s, cad_error_t *err)
{
    region_t *g = new_region(s->name.s, s->name.l, 1);
    if (!g) return out_of_memory(err);
    if (s->bases.l == 0)
        note(r->cutter->notes, NOTE_EMPTY, 1, "%s:%lld: an empty sequence; its scores are \".\"", r->in->path,
             (long long)r->in->line);
    g->scored = true;
    g->row = r->nrow++;
    g->ncol = 3;
    g->seq = s->bases.s;
    g->length = (int64_t)s->bases.l;
    g->part[0] = (interval_t) { 0, g->length };
    s->bases = (kstring_t) { 0, 0, NULL };
    if (ksprintf(&g->text, "\t0\t%lld", (long long)g->length) < 0) {
        table_drop(r->table, &g->item);
        return out_of_memory(err);
    }
    g->name = g->text.s;
    g->name_len = (int)s->name.l;
    return region_put(r->cutter, g, err);
}

static int run_seqs(rows_t *r, cad_error_t *err)
{
    seq_t s;
    int rc = write_header(r, 3, err);
    memset(&s, 0, sizeof s);
    while (rc == 0 && (rc = seq_next(r->in, &s, err)) > 0)
        rc = wanted(r, s.name.s, 0, (int64_t)s.bases.l) ? put_record(r, &s, err) : 0;
    seq_free(&s);
    return rc;
}

int rows_run(rows_t *r, cad_error_t *err)
{
    int rc = r->in->kind == INPUT_BED ? run_bed(r, err) : run_seqs(r, err);
    rc = pipeline_end(r->cutter->pipe, rc, err);
    if (rc == 0 && !r->headed) rc = write_header(r, r->ncol, err);
    free(r->line.s);
    free(r->held.s);
    r->line = r->held = (kstring_t) { 0, 0, NULL };
    return rc;
}
