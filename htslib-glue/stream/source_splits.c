/* source_splits.c - the source of windows for evaluation: all windows of named intervals of the reference, or
 * some of them, drawn at random. SPDX-License-Identifier: MIT */
#include "io/foundation.h"
#include "stream/evals.h"
#include "stream/region_source.h"

/* ---- the bases to evaluate ---- */

/* Returns the index of the group with this name (a split or a contig, whose results are summed). The intervals of a
 * group are consecutive, so it is the last group, or else a new group is added. */
static int group_of(eval_t *e, const char *name, cad_error_t *err)
{
    eval_group_t *more;
    if (e->ngroup && !strcmp(e->group[e->ngroup - 1].name, name)) return e->ngroup - 1;
    more = realloc(e->group, (size_t)(e->ngroup + 1) * sizeof *more);
    if (!more) return cad_out_of_memory(err);
    e->group = more;
    memset(&more[e->ngroup], 0, sizeof *more);
    more[e->ngroup].name = name;
    return e->ngroup++;
}

static int add_stretch(stream_t *s, int group, const contig_t *c, interval_t span, cad_error_t *err)
{
    eval_t *e = s->state;
    if (e->nstretch == e->room) {
        int64_t room = e->room ? 2 * e->room : 64;
        eval_stretch_t *more = realloc(e->stretch, (size_t)room * sizeof *more);
        if (!more) return cad_out_of_memory(err);
        e->stretch = more;
        e->room = room;
    }
    e->stretch[e->nstretch++] = (eval_stretch_t) { group, c, span };
    e->windows += tiles_count(&s->tiling, span);
    return 0;
}

/* Warns if Markov models are evaluated on bases to which they were fitted, since their results are then too good. */
static void warn_fitted(const stream_t *s, int split, const contig_t *c, interval_t span)
{
    const eval_t *e = s->state;
    if (!e->markov || split == e->fitted || !regions_overlap(e->splits->span[e->fitted], c->name, span.beg, span.end))
        return;
    note(s->notes, NOTE_FITTED, 1,
         "%s:%lld-%lld is in split %s and, at least in part, in %s, on which the baseline is fitted", c->name,
         (long long)span.beg + 1, (long long)span.end, e->splits->name[split], e->splits->name[e->fitted]);
}

/* Adds those intervals of a span that lie within the regions of -r. */
static int plan_span(stream_t *s, int split, const contig_t *c, interval_t span, cad_error_t *err)
{
    eval_t *e = s->state;
    const char *name = split >= 0 && e->splits->name[split] ? e->splits->name[split] : c->name;
    interval_t only;
    int rc, group;
    for (int k = 0; (rc = regions_within(s->only, c, k, &only, s->notes, err)) > 0; k++) {
        interval_t both = { cad_max(span.beg, only.beg), cad_min(span.end, only.end) };
        if (both.beg >= both.end) continue;
        group = rc = group_of(e, name, err);
        if (rc >= 0) rc = add_stretch(s, group, c, both, err);
        if (rc) break;
        warn_fitted(s, split, c, both);
    }
    return rc;
}

static int plan_split(stream_t *s, int split, cad_error_t *err)
{
    const eval_t *e = s->state;
    const fasta_t *ref = s->ref;
    interval_t span;
    int rc = 0;
    for (int i = 0; i < ref->ncontig && rc == 0; i++)
        for (int k = 0; rc == 0 && regions_get(e->splits->span[split], ref->contig[i].name, k, &span); k++)
            rc = plan_span(s, split, &ref->contig[i], span, err);
    return rc;
}

int eval_plan(stream_t *s, cad_error_t *err)
{
    eval_t *e = s->state;
    const fasta_t *ref = s->ref;
    int rc = 0;
    for (int k = 0; k < e->splits->n && rc == 0; k++)
        if (e->split < 0 || e->split == k) rc = plan_split(s, k, err);
    for (int i = 0; !e->splits->path && i < ref->ncontig && rc == 0; i++)
        rc = plan_span(s, -1, &ref->contig[i], (interval_t) { 0, ref->contig[i].length }, err);
    if (rc == 0 && e->windows == 0)
        return cad_fail(err, CAD_EARG, "nothing to evaluate: -L, --split and -r leave no bases");
    e->chosen = e->sample ? cad_min(e->sample, e->windows) : e->windows;
    return rc;
}

/* ---- running ---- */

/* Returns true if window i belongs to the random sample. e->put windows before window i were chosen. Each set of
 * e->chosen windows has the same probability. */
static bool choose(const eval_t *e, int64_t i)
{
    uint64_t left = (uint64_t)(e->windows - i), bits = cad_mix(e->seed + ((uint64_t)i + 1) * CAD_GOLDEN);
    return (uint64_t)((unsigned __int128)bits * left >> 64) < (uint64_t)(e->chosen - e->put);
}

static int put_window(stream_t *s, const eval_stretch_t *stretch, interval_t core, cad_error_t *err)
{
    eval_item_t *it = calloc(1, sizeof *it);
    region_t *r = it ? &it->region : NULL;
    if (r) r->span = malloc(sizeof *r->span);
    if (!r || !r->span) {
        free(it);
        return cad_out_of_memory(err);
    }
    it->group = stretch->group;
    ((eval_t *)s->state)->bases += core.end - core.beg;
    r->name = stretch->contig->name;
    r->name_len = (int)strlen(r->name);
    r->contig = stretch->contig;
    r->length = stretch->contig->length;
    r->span[0] = core;
    r->nspan = 1;
    return region_put(&s->cutter, r, err);
}

static int read_input(stream_t *s, cad_error_t *err)
{
    eval_t *e = s->state;
    int64_t at = 0;
    int rc = 0;
    for (int64_t i = 0; i < e->nstretch && rc == 0; i++) {
        const eval_stretch_t *stretch = &e->stretch[i];
        for (int64_t k = 0, n = tiles_count(&s->tiling, stretch->span); k < n && rc == 0; k++, at++) {
            interval_t core, window;
            if (!choose(e, at)) continue;
            tiles_get(&s->tiling, stretch->span, stretch->contig->length, k, &core, &window);
            rc = put_window(s, stretch, core, err);
            e->put++;
        }
    }
    return rc;
}

static int sink(void *arg, item_t *it, cad_error_t *err)
{
    (void)it;
    (void)err;
    ((stream_t *)arg)->rows++;
    return 0;
}

static int check(settings_t *set, const input_t *in, cad_error_t *err)
{
    (void)in;
    (void)err;
    scores_add(&set->scores, "pll");
    return 0;
}

static double share(const stream_t *s)
{
    const eval_t *e = s->state;
    return e->chosen ? (double)e->put / (double)e->chosen : 0;
}

static void close_eval(stream_t *s)
{
    eval_t *e = s->state;
    free(e->logp);
    free(e->base);
    free(e->stretch);
    free(e->group);
}

const source_t SOURCE_SPLITS = {
    .holds = "splits",
    .counts = "windows",
    .needs = NEEDS_BASES,
    .size = sizeof(eval_t),
    .check = check,
    .plan = regions_plan_cutter,
    .describe = regions_describe,
    .read = read_input,
    .take = eval_take,
    .sink = sink,
    .drop = regions_drop,
    .share = share,
    .close = close_eval,
};
