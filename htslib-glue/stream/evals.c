/* evals.c - how well the bases of intervals are predicted: by the model, and at the very
 * same places by Markov models. Sums are taken in the order of the windows.
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "stream/evals.h"
#include "base/random.h"

#define PIECE ((int64_t)1 << 22) /* bases counted at once */

typedef struct {
    region_t region;
    int group;
} piece_t; /* one window's core */

/* ---- the baseline ---- */

static int fit_span(cad_markov_t *m, cad_team_t *team, const cutter_t *c, const contig_t *contig, interval_t span,
                    cad_error_t *err)
{
    char *seq = malloc((size_t)cad_min(PIECE, span.end - span.beg) + CAD_MARKOV_ORDERS + 1);
    int rc = seq ? 0 : cad_fail(err, CAD_ENOMEM, "out of memory");
    for (int64_t at = span.beg; at < span.end && rc == 0; at += PIECE) {
        int64_t beg = cad_max(at - m->order, span.beg), n = cad_min(at + PIECE, span.end) - beg;
        uint8_t *base = (uint8_t *)seq; /* in place */
        rc = fasta_fetch(c->ref, contig, beg, beg + n, seq, err);
        if (rc) break;
        bases_of_letters(seq, n, base);
        rc = cad_markov_count(m, team, base, n, at - beg, err);
    }
    free(seq);
    return rc;
}

int eval_fit(cad_markov_t *m, int order, const cutter_t *c, const regions_t *on, int threads, cad_error_t *err)
{
    cad_team_t *team = NULL;
    int rc = cad_markov_open(m, order, err);
    if (rc == 0) rc = cad_team_open(&team, (int)cad_min(threads, order + 1), err);
    for (int i = 0; i < c->ref->ncontig && rc == 0; i++) {
        interval_t span;
        for (int k = 0; rc == 0 && regions_get(on, c->ref->contig[i].name, k, &span); k++)
            rc = fit_span(m, team, c, &c->ref->contig[i], span, err);
    }
    cad_team_close(team);
    return rc;
}

/* ---- results ---- */

/* Of the probabilities of A, C, G, T, or their logarithms: 1 if x is the likeliest, a
 * share of it among equals. */
static double guessed(const double p[4], int x)
{
    int equal = 0;
    for (int b = 0; b < 4; b++) {
        if (p[b] > p[x]) return 0;
        equal += p[b] == p[x];
    }
    return 1.0 / equal;
}

static void add(eval_sums_t *s, const double p[4], int x)
{
    s->loss -= log(p[x]);
    s->right += guessed(p, x);
}

static void add_model(eval_sums_t *s, const float logp[4], int x)
{
    double v[4];
    for (int b = 0; b < 4; b++) v[b] = (double)logp[b];
    s->loss -= v[x];
    s->right += guessed(v, x);
}

/* The baseline sees what the model sees, the window, and nothing of it masked. */
static void add_markov(const cad_markov_t *m, eval_group_t *g, const uint8_t *base, int64_t n, int64_t t)
{
    double before[CAD_MARKOV_ORDERS][4], after[CAD_MARKOV_ORDERS][4], both[4];
    cad_markov_predict(m, base, n, t, false, before);
    cad_markov_predict(m, base, n, t, true, after);
    for (int k = 0; k <= m->order; k++) {
        cad_markov_join(before[k], after[k], before[0], both);
        add(&g->sums[EVAL_BEFORE + k], before[k], base[t]);
        add(&g->sums[EVAL_BOTH + k], both, base[t]);
    }
}

int eval_take(void *arg, item_t *it, const job_t *j, cad_error_t *err)
{
    eval_t *e = arg;
    eval_group_t *g = &e->group[((piece_t *)it)->group];
    uint8_t *base = malloc((size_t)j->len);
    if (!base) return cad_fail(err, CAD_ENOMEM, "out of memory");
    for (int64_t i = 0; i < j->len; i++) base[i] = e->cutter->bases.of[j->tokens[i]];
    for (int64_t t = j->kept.beg; t < j->kept.end; t++) {
        const float *logp = j->logp + 4 * (t - j->scored.beg);
        if (isnan(logp[0]) || base[t] == NO_BASE) continue;
        g->bases++;
        add_model(&g->sums[EVAL_MODEL], logp, base[t]);
        if (e->markov) add_markov(e->markov, g, base, j->len, t);
    }
    free(base);
    return 0;
}

int eval_sink(void *arg, item_t *it, cad_error_t *err)
{
    eval_t *e = arg;
    (void)it;
    (void)err;
    e->done++;
    return 0;
}

void eval_drop(void *arg, item_t *it)
{
    (void)arg;
    region_clear(&((piece_t *)it)->region);
    free(it);
}

double eval_share(const void *arg)
{
    const eval_t *e = arg;
    return e->chosen ? (double)e->done / (double)e->chosen : 0;
}

/* ---- what is evaluated ---- */

/* Groups come one after the other. */
static int group_of(eval_t *e, const char *name, cad_error_t *err)
{
    eval_group_t *more;
    if (e->ngroup && !strcmp(e->group[e->ngroup - 1].name, name)) return e->ngroup - 1;
    more = realloc(e->group, (size_t)(e->ngroup + 1) * sizeof *more);
    if (!more) return cad_fail(err, CAD_ENOMEM, "out of memory");
    e->group = more;
    memset(&more[e->ngroup], 0, sizeof *more);
    more[e->ngroup].name = name;
    return e->ngroup++;
}

static int add_stretch(eval_t *e, int group, const contig_t *c, interval_t span, cad_error_t *err)
{
    if (e->nstretch == e->room) {
        int64_t room = e->room ? 2 * e->room : 64;
        eval_stretch_t *more = realloc(e->stretch, (size_t)room * sizeof *more);
        if (!more) return cad_fail(err, CAD_ENOMEM, "out of memory");
        e->stretch = more;
        e->room = room;
    }
    e->stretch[e->nstretch++] = (eval_stretch_t) { group, c, span };
    e->windows += tiles_count(e->cutter->tiling, span);
    return 0;
}

/* Bases of a split that the baseline was fitted on flatter it. */
static void warn_fitted(const eval_t *e, int split, const contig_t *c, interval_t span)
{
    if (!e->markov || split == e->fitted || !regions_overlap(e->splits->span[e->fitted], c->name, span.beg, span.end))
        return;
    note(e->cutter->notes, NOTE_FITTED, 1,
         "%s:%lld-%lld is in split %s and, at least in part, in %s, on which the baseline is fitted", c->name,
         (long long)span.beg + 1, (long long)span.end, e->splits->name[split], e->splits->name[e->fitted]);
}

/* What of a span lies in -r. */
static int plan_span(eval_t *e, int split, const contig_t *c, interval_t span, cad_error_t *err)
{
    const char *name = split >= 0 && e->splits->name[split] ? e->splits->name[split] : c->name;
    interval_t only;
    int rc, group;
    for (int k = 0; (rc = regions_within(e->only, c, k, &only, e->cutter->notes, err)) > 0; k++) {
        interval_t both = { cad_max(span.beg, only.beg), cad_min(span.end, only.end) };
        if (both.beg >= both.end) continue;
        group = rc = group_of(e, name, err);
        if (rc >= 0) rc = add_stretch(e, group, c, both, err);
        if (rc) break;
        warn_fitted(e, split, c, both);
    }
    return rc;
}

static int plan_split(eval_t *e, int split, cad_error_t *err)
{
    const fasta_t *ref = e->cutter->ref;
    interval_t span;
    int rc = 0;
    for (int i = 0; i < ref->ncontig && rc == 0; i++)
        for (int k = 0; rc == 0 && regions_get(e->splits->span[split], ref->contig[i].name, k, &span); k++)
            rc = plan_span(e, split, &ref->contig[i], span, err);
    return rc;
}

int eval_plan(eval_t *e, cad_error_t *err)
{
    const fasta_t *ref = e->cutter->ref;
    int rc = 0;
    for (int s = 0; s < e->splits->n && rc == 0; s++)
        if (e->split < 0 || e->split == s) rc = plan_split(e, s, err);
    for (int i = 0; !e->splits->path && i < ref->ncontig && rc == 0; i++)
        rc = plan_span(e, -1, &ref->contig[i], (interval_t) { 0, ref->contig[i].length }, err);
    if (rc == 0 && e->windows == 0)
        return cad_fail(err, CAD_EARG, "nothing to evaluate: -L, --split and -r leave no bases");
    e->chosen = e->sample ? cad_min(e->sample, e->windows) : e->windows;
    return rc;
}

/* ---- running ---- */

/* Window i of all, when put have been chosen: every set of `chosen` is as likely. */
static bool choose(const eval_t *e, int64_t i, int64_t put)
{
    uint64_t left = (uint64_t)(e->windows - i), bits = cad_mix(e->seed + ((uint64_t)i + 1) * CAD_GOLDEN);
    return (uint64_t)((unsigned __int128)bits * left >> 64) < (uint64_t)(e->chosen - put);
}

static int put_window(eval_t *e, const eval_stretch_t *s, interval_t core, cad_error_t *err)
{
    piece_t *p = calloc(1, sizeof *p);
    region_t *r = p ? &p->region : NULL;
    if (r) r->part = malloc(sizeof *r->part);
    if (!r || !r->part) {
        free(p);
        return cad_fail(err, CAD_ENOMEM, "out of memory");
    }
    p->group = s->group;
    e->bases += core.end - core.beg;
    r->name = s->contig->name;
    r->name_len = (int)strlen(r->name);
    r->contig = s->contig;
    r->length = s->contig->length;
    r->part[0] = core;
    r->npart = 1;
    return region_put(e->cutter, r, err);
}

int eval_run(eval_t *e, cad_error_t *err)
{
    int64_t at = 0, put = 0;
    int rc = 0;
    for (int64_t i = 0; i < e->nstretch && rc == 0; i++) {
        const eval_stretch_t *s = &e->stretch[i];
        for (int64_t k = 0, n = tiles_count(e->cutter->tiling, s->span); k < n && rc == 0; k++, at++) {
            interval_t core, window;
            if (!choose(e, at, put)) continue;
            tiles_get(e->cutter->tiling, s->span, s->contig->length, k, &core, &window);
            rc = put_window(e, s, core, err);
            put++;
        }
    }
    return pipeline_end(e->cutter->pipe, rc, err);
}

/* ---- the table ---- */

static void put_row(text_t *t, const eval_group_t *g, const char *name, const eval_sums_t *s)
{
    double n = g->bases ? (double)g->bases : (double)NAN, loss = s->loss / n;
    const double value[] = { loss, loss / log(2), s->right / n, exp(loss) };
    text_printf(t, "%s\t%s\t%lld", g->name, name, (long long)g->bases);
    for (int i = 0; i < 4; i++) {
        text_put(t, "\t", 1);
        text_number(t, value[i]);
    }
    text_put(t, "\n", 1);
}

static void put_group(const eval_t *e, const eval_group_t *g, text_t *t)
{
    char name[40];
    put_row(t, g, e->cutter->mask == CAD_MASK_NONE ? "model_unmasked" : "model", &g->sums[EVAL_MODEL]);
    for (int k = 0; e->markov && k <= e->markov->order; k++) {
        snprintf(name, sizeof name, "markov-%d", k);
        put_row(t, g, name, &g->sums[EVAL_BEFORE + k]);
    }
    for (int k = 1; e->markov && k <= e->markov->order; k++) { /* of order 0 there are no sides */
        snprintf(name, sizeof name, "markov-%d-two-sided", k);
        put_row(t, g, name, &g->sums[EVAL_BOTH + k]);
    }
}

void eval_table(const eval_t *e, text_t *t)
{
    eval_group_t total = { .name = "total" };
    text_puts(t, "#group\tpredictor\tbases\tloss\tbits\taccuracy\tperplexity\n");
    for (int i = 0; i < e->ngroup; i++) {
        const eval_group_t *g = &e->group[i];
        put_group(e, g, t);
        total.bases += g->bases;
        for (int k = 0; k < EVAL_PREDICTORS; k++) {
            total.sums[k].loss += g->sums[k].loss;
            total.sums[k].right += g->sums[k].right;
        }
    }
    put_group(e, &total, t);
}

void eval_free(eval_t *e)
{
    free(e->stretch);
    free(e->group);
    e->stretch = NULL;
    e->group = NULL;
}
