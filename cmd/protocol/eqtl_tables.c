/* eqtl_tables.c - the tables of caduceus protocol eqtl: all runs, and for each distance the C that validation rows
 * choose; as published, also the C that test rows choose. SPDX-License-Identifier: MIT */
#include <math.h>

#include "protocol/eqtl.h"

/* The runs of one C, and their summary. */
typedef struct {
    double cost;
    double chosen_by; /* mean over the seeds of what chooses C */
    spread_t value;   /* of what is reported */
} choice_t;

/* Summarises the n runs of one C. As published, the reported values choose C too. */
static choice_t summarise(const eqtl_run_t *run, int64_t n)
{
    double by[SEEDS_MOST], value[SEEDS_MOST];
    for (int64_t i = 0; i < n; i++) {
        value[i] = run->published ? run[i].hard : run[i].test;
        by[i] = run->published ? value[i] : run[i].valid;
    }
    return (choice_t) { run->cost, spread_of(by, n).mean, spread_of(value, n) };
}

/* Returns the C with the best mean; the first of equal ones. All is NaN where no C can be chosen. */
static choice_t best_choice(const eqtl_run_t *run, int64_t runs, int64_t each)
{
    choice_t best = summarise(run, each);
    for (int64_t i = each; i < runs; i += each) {
        choice_t c = summarise(run + i, each);
        if (c.chosen_by > best.chosen_by || isnan(best.chosen_by)) best = c;
    }
    if (isnan(best.chosen_by)) best.value = (spread_t) { NAN, NAN, NAN, NAN, NAN };
    return best;
}

static void put_tsv(const eqtl_t *e, int bucket, bool published, const choice_t *c, text_t *t)
{
    const spread_t *s = &c->value;
    const double cost = isnan(s->mean) ? NAN : c->cost,
                 value[] = { c->chosen_by, s->mean, s->half, s->deviation, s->least, s->most };
    text_printf(t, "%s\t%s", BUCKET_NAME[bucket], published ? "auroc_as_published" : "auroc");
    text_columns(t, &cost, 1);
    text_printf(t, "\t%lld", (long long)e->a->seeds);
    text_columns(t, value, sizeof value / sizeof *value);
    text_printf(t, "\t%lld\t%lld\t%lld\n", (long long)e->training[bucket], (long long)e->testing[bucket],
                (long long)e->positive[bucket]);
}

static void put_cells(const choice_t *c, text_t *md)
{
    if (isnan(c->value.mean)) text_puts(md, " not defined | |");
    else text_printf(md, " %.3f ± %.3f | %g |", c->value.mean, c->value.half, c->cost);
}

static void put_tables(const eqtl_t *e, text_t *tsv, text_t *md)
{
    int64_t each = e->a->seeds, runs = e->runs / (1 + e->a->published) / BUCKETS;
    for (int b = 0; b < BUCKETS; b++) {
        text_printf(md, "| %s | %lld | %lld |", BUCKET_NAME[b], (long long)e->training[b], (long long)e->testing[b]);
        for (int how = 0; how <= e->a->published; how++) {
            choice_t c = best_choice(e->run + (how * BUCKETS + b) * runs, runs, each);
            put_tsv(e, b, how, &c, tsv);
            put_cells(&c, md);
        }
        text_puts(md, "\n");
    }
}

static void put_head(const eqtl_t *e, text_t *tsv, text_t *md)
{
    long long seeds = (long long)e->a->seeds;
    text_puts(tsv, "#distance\tresult\tC\tseeds\tchosen_by\tmean\tspread\tdeviation\tleast\tmost\ttrain\ttest\t"
                   "positive\n");
    text_printf(md,
                "| eqtl: distance to TSS | training rows | test rows | AUROC, mean ± half the range, %lld seed%s | C |",
                seeds, seeds == 1 ? "" : "s");
    if (e->a->published) text_puts(md, " as published: of predicted classes, C by the test rows | C |");
    text_puts(md, e->a->published ? "\n|---|---|---|---|---|---|---|\n" : "\n|---|---|---|---|---|\n");
}

static void put_runs(const eqtl_t *e, text_t *t)
{
    text_puts(t,
              "#distance\ttraining\tC\tseed\ttrained\tvalidated\ttested\tvectors\tvalid_auroc\tauroc\tclass_auroc\n");
    for (int64_t i = 0; i < e->runs; i++) {
        const eqtl_run_t *r = &e->run[i];
        text_printf(t, "%s\t%s\t%.9g\t%lld\t%lld\t%lld\t%lld\t%lld", BUCKET_NAME[r->bucket],
                    r->published ? "published" : "validated", r->cost, (long long)r->seed, (long long)r->trained,
                    (long long)r->validated, (long long)e->testing[r->bucket], (long long)r->vectors);
        text_columns(t, (const double[]) { r->valid, r->test, r->hard }, 3);
        text_puts(t, "\n");
    }
}

static void put_provenance(const eqtl_t *e, text_t *t)
{
    const protocol_args_t *a = e->a;
    text_printf(
        t, "##caduceus_version=%s\n##caduceus_recipe=%s##caduceus_options=label=%s tissue=%s distance=%s split=%s ",
        cad_version(), e->recipe.s.s, a->label, a->tissue, a->distance, a->split);
    text_printf(t, "rows=%lld seeds=%lld C=", (long long)a->rows, (long long)a->seeds);
    for (int c = 0; c < CHOICES && a->cost[c] > 0; c++) text_printf(t, "%s%.9g", c ? "," : "", a->cost[c]);
    text_puts(t, a->published ? " as-published\n" : "\n");
}

int eqtl_tables(const eqtl_t *e, cad_error_t *err)
{
    text_t tsv = { 0 }, md = { 0 }, runs = { 0 };
    int rc;
    put_provenance(e, &tsv);
    put_provenance(e, &runs);
    put_head(e, &tsv, &md);
    put_tables(e, &tsv, &md);
    put_runs(e, &runs);
    rc = protocol_file(e->a->output, "runs.tsv", &runs, err);
    if (rc == 0) rc = protocol_file(e->a->output, "table.tsv", &tsv, err);
    if (rc == 0) rc = protocol_file(e->a->output, "table.md", &md, err);
    if (rc == 0) fputs(md.s.s, stdout);
    text_free(&tsv);
    text_free(&md);
    text_free(&runs);
    return rc;
}
