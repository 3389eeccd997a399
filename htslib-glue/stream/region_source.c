/* region_source.c - functions that the sources of regions (BED rows, lists of regions, sequence records) share.
 *
 * SPDX-License-Identifier: MIT
 */
#include "io/row_place.h"
#include "stream/region_source.h"

int regions_check(settings_t *set, const input_t *in, cad_error_t *err)
{
    (void)in;
    return set->scores.n || set->embed ? 0
                                       : cad_fail(err, CAD_EARG, "--score none without --embed leaves nothing to do");
}

int regions_plan_cutter(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err)
{
    const settings_t *set = s->set;
    cutter_t *c = &s->cutter;
    c->ref = s->ref;
    c->tiling = &s->tiling;
    c->mask = set->mask;
    c->pooling = set->pooling;
    c->want_scores = scores_need(&set->scores, NEEDS_BASES);
    c->want_bases = scores_array(&set->scores, ARRAY_BASES);
    c->pipe = &s->pipe;
    s->tiling.grid = set->grid;
    *longest = window;
    return tiling_set(&s->tiling, window, set->flank, err);
}

int regions_plan(stream_t *s, int64_t window, int64_t *longest, cad_error_t *err)
{
    const settings_t *set = s->set;
    table_t *t = s->table;
    t->scores = set->scores;
    t->column = embed_column(set);
    t->rows_are = embed_several(set)          ? "an array for each region, its bases in order"
                  : set->pooling == POOL_ROWS ? "bases of the regions, in order"
                                              : "regions, in order";
    t->provenance = s->provenance;
    t->wide = set->wide;
    t->plain = set->no_version || t->csv;
    t->cutter = &s->cutter;
    s->cutter.rows = table_rows;
    s->cutter.rows_arg = t;
    s->matrix_width = s->cutter.width;
    return regions_plan_cutter(s, window, longest, err);
}

void regions_describe(const stream_t *s, text_t *t)
{
    const settings_t *set = s->set;
    text_printf(t, " window=%lld flank=%lld", (long long)s->tiling.window, (long long)s->tiling.flank);
    if (set->pooling) text_printf(t, " pool=%s", pooling_name(set->pooling));
    if (set->split) text_puts(t, " split");
    if (set->clip) text_puts(t, " clip");
    if (set->grid) text_puts(t, " grid");
}

int regions_take(void *arg, item_t *it, const job_t *j, cad_error_t *err)
{
    return region_take(&((stream_t *)arg)->cutter, (region_t *)it, j, err);
}

int regions_sink(void *arg, item_t *it, cad_error_t *err)
{
    stream_t *s = arg;
    int rc = table_region(s->table, (const region_t *)it, err);
    s->rows = s->table->rows;
    return rc;
}

void regions_drop(void *arg, item_t *it)
{
    (void)arg;
    region_clear((region_t *)it);
    free(it);
}

int regions_pass(stream_t *s, const kstring_t *line, cad_error_t *err)
{
    region_t *g = region_new(line->s ? line->s : "", line->l, 0);
    return g ? region_put(&s->cutter, g, err) : cad_out_of_memory(err);
}

int regions_place(const stream_t *s, const contig_t *c, interval_t span, cad_error_t *err)
{
    long long line = (long long)s->in->line;
    bool beyond = span.end > c->length;
    if (beyond && !s->set->clip) return row_beyond(s->in, span, c, "correct it, or clip with --clip", err);
    if (beyond) note(s->notes, NOTE_CLIPPED, 1, "%s:%lld: clipped at the end of %s", s->in->path, line, c->name);
    if (span.beg == span.end)
        note(s->notes, NOTE_EMPTY, 1, "%s:%lld: an empty region; its scores are \".\"", s->in->path, line);
    return 0;
}

region_t *regions_row(const kstring_t *line, int64_t row, int ncol, const contig_t *c, int nspan)
{
    region_t *g = region_new(line->s, line->l, nspan);
    if (!g) return NULL;
    g->scored = true;
    g->row = row;
    g->ncol = ncol;
    g->contig = c;
    g->name = c->name;
    g->name_len = (int)strlen(c->name);
    g->length = c->length;
    return g;
}

/* Estimates the size of the output, with 8 characters for a score and 10 for each number of an embedding. */
void regions_estimate(const stream_t *s, estimate_t *e)
{
    const table_t *t = s->table;
    e->bytes = t->bytes + t->rows * (8 * t->scores.n + (t->column ? 10 * s->cutter.width : 0));
    e->matrix_rows = s->set->pooling == POOL_ROWS ? t->bases : t->rows;
}

double regions_share(const stream_t *s)
{
    const input_t *in = s->in;
    return in->size ? (double)(in->bytes - (int64_t)(in->fill - in->at)) / (double)in->size : 0;
}
