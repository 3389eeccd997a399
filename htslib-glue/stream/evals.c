/* evals.c - sums the loss and accuracy of the language model, and of Markov models at the same bases. Sums are formed
 * in the order of the windows, so that they do not depend on threads. SPDX-License-Identifier: MIT */
#include <math.h>

#include "stream/evals.h"

#define PIECE ((int64_t)1 << 22) /* number of bases that are counted at a time */

/* ---- the baseline: Markov models ---- */

static int fit_span(cad_markov_t *m, cad_team_t *team, const fasta_t *ref, const contig_t *contig, interval_t span,
                    cad_error_t *err)
{
    char *seq = malloc((size_t)cad_min(PIECE, span.end - span.beg) + CAD_MARKOV_ORDERS + 1);
    int rc = seq ? 0 : cad_out_of_memory(err);
    for (int64_t at = span.beg; at < span.end && rc == 0; at += PIECE) {
        int64_t beg = cad_max(at - m->order, span.beg), n = cad_min(at + PIECE, span.end) - beg;
        uint8_t *base = (uint8_t *)seq; /* the codes of the bases overwrite the letters, in the same memory */
        rc = fasta_fetch(ref, contig, beg, beg + n, seq, err);
        if (rc) break;
        bases_of_letters(seq, n, base);
        rc = cad_markov_count(m, team, base, n, at - beg, err);
    }
    free(seq);
    return rc;
}

int eval_fit(cad_markov_t *m, int order, const fasta_t *ref, const regions_t *on, int threads, cad_error_t *err)
{
    cad_team_t *team = NULL;
    int rc = cad_markov_open(m, order, err);
    if (rc == 0) rc = cad_team_open(&team, (int)cad_min(threads, order + 1), err);
    for (int i = 0; i < ref->ncontig && rc == 0; i++) {
        interval_t span;
        for (int k = 0; rc == 0 && regions_get(on, ref->contig[i].name, k, &span); k++)
            rc = fit_span(m, team, ref, &ref->contig[i], span, err);
    }
    cad_team_close(team);
    return rc;
}

/* ---- results ---- */

/* Returns 1 if base x has the highest p, 1/n if n bases including x share the highest p, else 0. p: the probabilities
 * of A, C, G, T, or their logarithms. */
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

/* Adds the loss and accuracy of the Markov models at base t of the window. No base of the window is masked for the
 * Markov models. */
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

static int keep_base(eval_t *e, const float logp[4], uint8_t base, cad_error_t *err)
{
    if (e->kept == e->kept_room) {
        int64_t room = e->kept_room ? 2 * e->kept_room : 1024;
        float *rows = realloc(e->logp, (size_t)room * 4 * sizeof *rows);
        uint8_t *bases = rows ? realloc(e->base, (size_t)room) : NULL;
        if (rows) e->logp = rows;
        if (!bases) return cad_out_of_memory(err);
        e->base = bases;
        e->kept_room = room;
    }
    memcpy(e->logp + 4 * e->kept, logp, 4 * sizeof *logp);
    e->base[e->kept++] = base;
    return 0;
}

int eval_take(void *arg, item_t *it, const job_t *j, cad_error_t *err)
{
    const stream_t *s = arg;
    eval_t *e = s->state;
    eval_group_t *g = &e->group[((eval_item_t *)it)->group];
    uint8_t *base = malloc((size_t)j->len);
    int rc = 0;
    if (!base) return cad_out_of_memory(err);
    for (int64_t i = 0; i < j->len; i++) base[i] = s->cutter.bases.of[j->tokens[i]];
    for (int64_t t = j->kept.beg; t < j->kept.end && rc == 0; t++) {
        const float *logp = j->logp + 4 * (t - j->scored.beg);
        if (isnan(logp[0]) || base[t] == NO_BASE) continue;
        if (e->keep) rc = keep_base(e, logp, base[t], err);
        g->bases++;
        add_model(&g->sums[EVAL_MODEL], logp, base[t]);
        if (e->markov) add_markov(e->markov, g, base, j->len, t);
    }
    free(base);
    return rc;
}

/* ---- the table ---- */

static const char *const VALUE[] = { "loss", "bits", "accuracy", "perplexity" };

/* The destination of the rows: a text or, if `text` is NULL, a JSON array. */
typedef struct {
    text_t *text;
    json_t *json;
} rows_t;

static void json_row(json_t *json, const char *group, const char *name, int64_t bases, const double value[4])
{
    json_t *row = json_object();
    json_object_set_new(row, "group", string_json(group));
    json_object_set_new(row, "predictor", json_string(name));
    json_object_set_new(row, "bases", json_integer(bases));
    for (int i = 0; i < 4; i++) json_object_set_new(row, VALUE[i], number_json(value[i]));
    json_array_append_new(json, row);
}

static void put_row(rows_t *to, const eval_group_t *g, const char *name, const eval_sums_t *s)
{
    double n = g->bases ? (double)g->bases : (double)NAN, loss = s->loss / n;
    const double value[] = { loss, loss / log(2), s->right / n, exp(loss) };
    text_t *t = to->text;
    if (!t) {
        json_row(to->json, g->name, name, g->bases, value);
        return;
    }
    text_printf(t, "%s\t%s\t%lld", g->name, name, (long long)g->bases);
    for (int i = 0; i < 4; i++) {
        text_put(t, "\t", 1);
        text_number(t, value[i]);
    }
    text_put(t, "\n", 1);
}

static void put_group(const eval_t *e, const eval_group_t *g, const char *model, rows_t *t)
{
    char name[40];
    put_row(t, g, model, &g->sums[EVAL_MODEL]);
    for (int k = 0; e->markov && k <= e->markov->order; k++) {
        snprintf(name, sizeof name, "markov-%d", k);
        put_row(t, g, name, &g->sums[EVAL_BEFORE + k]);
    }
    /* starts at order 1, because a prediction of order 0 uses no neighbouring bases, on either side */
    for (int k = 1; e->markov && k <= e->markov->order; k++) {
        snprintf(name, sizeof name, "markov-%d-two-sided", k);
        put_row(t, g, name, &g->sums[EVAL_BOTH + k]);
    }
}

static void put_groups(const eval_t *e, int64_t mask, const char *model, rows_t *t)
{
    eval_group_t total = { .name = "total" };
    if (!model) model = mask == CAD_MASK_NONE ? "model_unmasked" : "model";
    for (int i = 0; i < e->ngroup; i++) {
        const eval_group_t *g = &e->group[i];
        put_group(e, g, model, t);
        total.bases += g->bases;
        for (int k = 0; k < EVAL_PREDICTORS; k++) {
            total.sums[k].loss += g->sums[k].loss;
            total.sums[k].right += g->sums[k].right;
        }
    }
    if (e->ngroup > 1) put_group(e, &total, model, t);
}

void eval_rows(const eval_t *e, int64_t mask, const char *model, text_t *t)
{
    put_groups(e, mask, model, &(rows_t) { .text = t });
}

json_t *eval_json(const eval_t *e, int64_t mask, const char *model)
{
    rows_t rows = { .json = json_array() };
    put_groups(e, mask, model, &rows);
    return rows.json;
}
