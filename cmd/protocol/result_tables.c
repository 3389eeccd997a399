/* result_tables.c - the tables of caduceus protocol: all rows, and for each task the setting that validation rows choose.
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "protocol/protocol.h"

typedef struct {
    const fold_t *first; /* first of the setting's folds */
    int64_t done;
    double valid;  /* mean on the validation rows */
    spread_t test; /* of the metric on the test rows */
} setting_t;

/* Summarises the n folds of a setting, at most SEEDS_MOST. If some are missing, all numbers are NaN. */
static setting_t summarise(const fold_t *f, int64_t n)
{
    setting_t s = { .first = f, .valid = 0 };
    double value[SEEDS_MOST];
    for (int64_t i = 0; i < n; i++) {
        s.done += f[i].done;
        s.valid += f[i].done ? f[i].valid / (double)n : NAN;
        value[i] = f[i].done ? f[i].test[f->task->metric] : NAN;
    }
    s.test = spread_of(value, n);
    return s;
}

/* Returns the setting with the best mean on validation rows; the first of equal ones. n: the folds of a task. Counts in
 * done those that are finished. */
static setting_t best_setting(const fold_t *f, int64_t n, int64_t each, int64_t *done)
{
    setting_t best = summarise(f, each);
    *done = best.done;
    for (int64_t i = each; i < n; i += each) {
        setting_t s = summarise(f + i, each);
        *done += s.done;
        if (s.valid > best.valid) best = s;
    }
    if (*done == n) return best;
    best.valid = NAN;
    best.test = (spread_t) { NAN, NAN, NAN, NAN, NAN };
    return best;
}

static void put_task(const setting_t *s, int64_t each, int64_t done, int64_t n, text_t *t)
{
    const spread_t *x = &s->test;
    const double value[] = { s->valid, x->mean, x->half, x->deviation, x->least, x->most };
    text_printf(t, "%s\t%s\t", s->first->task->name, METRIC_NAME[s->first->task->metric]);
    if (done == n) text_printf(t, "%g\t%lld", s->first->lr, (long long)s->first->batch);
    else text_puts(t, ".\t.");
    text_printf(t, "\t%lld", (long long)each);
    text_columns(t, value, sizeof value / sizeof *value);
    text_printf(t, "\t%lld/%lld\n", (long long)done, (long long)n);
}

static void put_markdown(const setting_t *s, int64_t done, int64_t n, text_t *t)
{
    text_printf(t, "| %s | %s | ", s->first->task->name, METRIC_NAME[s->first->task->metric]);
    if (done < n) text_printf(t, "%lld of %lld runs | |\n", (long long)done, (long long)n);
    else if (isnan(s->test.mean)) text_puts(t, "not defined | |\n");
    else
        text_printf(t, "%.3f ± %.3f | %g × %lld |\n", s->test.mean, s->test.half, s->first->lr,
                    (long long)s->first->batch);
}

static void put_head(const folds_t *s, text_t *tsv, text_t *md)
{
    text_printf(tsv, "##caduceus_version=%s\n##caduceus_recipe=%s\n", cad_version(), s->recipe.s.s);
    text_puts(tsv, "#task\tmetric\tlr\tbatch\tseeds\tvalid\tmean\tspread\tdeviation\tleast\tmost\truns\n");
    text_printf(md, "| %s | metric | mean ± half the range, %lld seed%s | lr × batch |\n|---|---|---|---|\n",
                s->b->name, (long long)s->each, s->each == 1 ? "" : "s");
}

/* Returns how many of the n folds from f on belong to the task of the first. */
static int64_t of_task(const fold_t *f, int64_t n)
{
    int64_t k = 0;
    while (k < n && f[k].task == f->task) k++;
    return k;
}

static int put_rows(const folds_t *s, text_t *t, cad_error_t *err)
{
    bool headed = false;
    int rc = 0;
    for (int64_t i = 0; i < s->n && rc == 0; i++) {
        char *name = suffixed(s->fold[i].id, ".tsv"), *path = name ? cad_path_join(s->runs, name) : NULL, *text = NULL;
        size_t size = 0;
        rc = path ? cad_read_text(&text, &size, path, true, err) : cad_out_of_memory(err);
        for (const char *line = text, *end; rc == 0 && line && (end = strchr(line, '\n')); line = end + 1) {
            bool column_names = *line == '#' && line[1] != '#';
            if ((column_names && !headed) || *line != '#') text_put(t, line, (size_t)(end + 1 - line));
            headed |= column_names;
        }
        free(text);
        free(path);
        free(name);
    }
    return rc;
}

int folds_tables(folds_t *s, cad_error_t *err)
{
    text_t tsv = { 0 }, md = { 0 }, rows = { 0 };
    int rc;
    put_head(s, &tsv, &md);
    for (int64_t i = 0, n; i < s->n; i += n) {
        int64_t done;
        setting_t best;
        n = of_task(s->fold + i, s->n - i);
        best = best_setting(s->fold + i, n, s->each, &done);
        if (!done && !s->fold[i].chosen) continue;
        put_task(&best, s->each, done, n, &tsv);
        put_markdown(&best, done, n, &md);
    }
    rc = put_rows(s, &rows, err);
    if (rc == 0) rc = protocol_file(s->a->output, "runs.tsv", &rows, err);
    if (rc == 0) rc = protocol_file(s->a->output, "table.tsv", &tsv, err);
    if (rc == 0) rc = protocol_file(s->a->output, "table.md", &md, err);
    if (rc == 0) fputs(md.s.s, stdout);
    text_free(&tsv);
    text_free(&md);
    text_free(&rows);
    return rc;
}
