/* source_regions.c - the source of lists of regions on a reference. Each line is a region in the syntax of samtools
 * (CONTIG, CONTIG:BEG or CONTIG:BEG-END) and gets columns of scores. SPDX-License-Identifier: MIT
 */
#include "stream/region_source.h"

#define HEADER "#region"

typedef struct list_t {
    int64_t nrow; /* number of regions read */
    kstring_t line;
} list_t;

static bool fits(const input_t *in) { return in->kind == INPUT_REGIONS; }

static int check(settings_t *set, const input_t *in, cad_error_t *err)
{
    if (!set->reference) return cad_fail(err, CAD_EARG, "%s: regions need their reference: give -T FASTA", in->path);
    return regions_check(set, in, err);
}

/* Sets the end of a region without an end to the end of the contig. If the region begins beyond the end of the contig,
 * gives it one base, so that a later check refuses it. */
static void close_span(const contig_t *c, interval_t *span)
{
    if (span->end == INT64_MAX) span->end = cad_max(c->length, span->beg ? span->beg + 1 : 0);
}

static int parse(const stream_t *s, char *text, const contig_t **c, interval_t *span, cad_error_t *err)
{
    cad_error_t why = { "" };
    int rc = 0;
    if (strchr(text, '\t')) rc = cad_fail(&why, CAD_EFORMAT, "a list of regions has no columns; is this a BED?");
    if (rc == 0) rc = region_parse(text, s->ref, c, span, &why);
    if (rc) return cad_fail(err, rc, "%s:%lld: %s", s->in->path, (long long)s->in->line, why.text);
    close_span(*c, span);
    return 0;
}

static int put_region(stream_t *s, const contig_t *c, interval_t span, cad_error_t *err)
{
    list_t *l = s->state;
    int rc = regions_place(s, c, span, err);
    region_t *g = rc ? NULL : regions_row(&l->line, l->nrow++, 1, c, 1);
    if (!g) return rc ? rc : cad_out_of_memory(err);
    g->span[0] = (interval_t) { cad_min(span.beg, c->length), cad_min(span.end, c->length) };
    return region_put(&s->cutter, g, err);
}

static int data_line(stream_t *s, cad_error_t *err)
{
    kstring_t *line = &((list_t *)s->state)->line;
    char *end = line->s + line->l;
    bool cr = end[-1] == '\r'; /* a \r at the end of the line is also written at the end of the output row */
    const contig_t *c;
    interval_t span;
    int rc;
    if (cr) end[-1] = 0;
    rc = parse(s, line->s, &c, &span, err);
    if (cr) end[-1] = '\r';
    return rc || !stream_wants(s, c->name, span.beg, span.end) ? rc : put_region(s, c, span, err);
}

static int read_input(stream_t *s, cad_error_t *err)
{
    list_t *l = s->state;
    int rc = table_header(s->table, 1, HEADER, strlen(HEADER), err);
    while (rc == 0 && (rc = input_line(s->in, &l->line, err)) > 0) {
        line_kind_t kind = bed_line_kind(l->line.s, l->line.l);
        rc = kind == LINE_BLANK || kind == LINE_COMMENT ? regions_pass(s, &l->line, err) : data_line(s, err);
    }
    return rc;
}

static void close_list(stream_t *s) { free(((list_t *)s->state)->line.s); }

const source_t SOURCE_REGIONS = {
    REGION_MEMBERS,
    .holds = "regions",
    .counts = "regions",
    .options = " reference chr-alias clip grid score mask skip-soft-masked embed pool no-version ",
    .size = sizeof(list_t),
    .fits = fits,
    .check = check,
    .read = read_input,
    .close = close_list,
};
