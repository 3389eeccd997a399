/* variants.c - caduceus protocol variants: measures how well llr separates variants by their labels in INFO.
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "learn/labelled_variants.h"
#include "protocol/protocol.h"

#define SCORED "scored.vcf.gz"

/* Scores the VCF by annotate, as DIR/scored.vcf.gz. */
static int score(const protocol_args_t *a, const char *scored, cad_error_t *err)
{
    words_t w = { .n = 0 };
    int rc;
    words_add(&w, "annotate");
    words_add(&w, "--quiet");
    words_model(&w, &a->o);
    words_pair(&w, "-T", a->reference);
    words_pair(&w, "-o", scored);
    words_pair(&w, "--", a->data);
    rc = words_run(&w, &CMD_ANNOTATE, err);
    words_free(&w);
    return rc;
}

static void put_area(double value, double low, double high, text_t *tsv, text_t *md)
{
    const double number[] = { value, low, high };
    text_columns(tsv, number, 3);
    if (isnan(value)) text_puts(md, " not defined |");
    else text_printf(md, " %.3f (%.3f–%.3f) |", value, low, high);
}

/* Adds the row of a group: the n alleles from `from` on. */
static int put_group(const protocol_args_t *a, const char *name, const labelled_allele_t *from, int64_t n, text_t *tsv,
                     text_t *md, cad_error_t *err)
{
    scored_t *row = cad_alloc((size_t)n, sizeof *row);
    uint64_t seed = cad_random((uint64_t)a->seed, cad_random_name(name), 0, 0);
    areas_t all, low = { NAN, NAN }, high = low;
    int64_t yes = 0;
    int rc;
    if (!row) return cad_out_of_memory(err);
    for (int64_t i = 0; i < n; i++) {
        row[i] = from[i].scored;
        yes += row[i].positive;
    }
    ranking_sort(row, n);
    all = ranking_areas(row, NULL, n);
    rc = isnan(all.auroc) ? 0 : ranking_intervals(row, n, a->resamples, seed, &low, &high, err);
    text_printf(tsv, "%s\t%lld\t%lld", name, (long long)n, (long long)yes);
    text_printf(md, "| %s | %lld | %lld |", name, (long long)n, (long long)yes);
    put_area(all.auroc, low.auroc, high.auroc, tsv, md);
    put_area(all.auprc, low.auprc, high.auprc, tsv, md);
    text_puts(tsv, "\n");
    text_puts(md, "\n");
    free(row);
    return rc;
}

static int put_groups(const protocol_args_t *a, const labelled_variants_t *v, text_t *tsv, text_t *md, cad_error_t *err)
{
    int rc = put_group(a, "all", v->allele, v->n, tsv, md, err);
    for (int64_t i = 0, j; a->by && i < v->n && rc == 0; i = j) {
        for (j = i; j < v->n && !strcmp(v->allele[j].group, v->allele[i].group);) j++;
        rc = put_group(a, v->allele[i].group, v->allele + i, j - i, tsv, md, err);
    }
    return rc;
}

static void put_head(const protocol_args_t *a, text_t *tsv, text_t *md)
{
    const char *by = a->by ? a->by : "group";
    text_printf(tsv, "##caduceus_version=%s\n##caduceus_options=label=%s%s%s resamples=%lld seed=%lld\n", cad_version(),
                a->label, a->by ? " by=" : "", a->by ? a->by : "", (long long)a->resamples, (long long)a->seed);
    text_printf(tsv, "#%s\tn\tpositive\tauroc\tauroc_low\tauroc_high\tauprc\tauprc_low\tauprc_high\n", by);
    text_printf(md, "| %s | variants | positive | AUROC (95 %%) | AUPRC (95 %%) |\n|---|---|---|---|---|\n", by);
}

static int write_tables(const protocol_args_t *a, const labelled_variants_t *v, cad_error_t *err)
{
    text_t tsv = { 0 }, md = { 0 };
    int rc;
    put_head(a, &tsv, &md);
    rc = put_groups(a, v, &tsv, &md, err);
    if (rc == 0) rc = protocol_file(a->output, "table.tsv", &tsv, err);
    if (rc == 0) rc = protocol_file(a->output, "table.md", &md, err);
    if (rc == 0) fputs(md.s.s, stdout);
    if (rc == 0 && !a->o.quiet && v->unlabelled + v->unscored)
        cmd_say("protocol", "left out: %lld alleles without a label, %lld without a score", (long long)v->unlabelled,
                (long long)v->unscored);
    text_free(&tsv);
    text_free(&md);
    return rc;
}

int protocol_variants(const protocol_args_t *a, cad_error_t *err)
{
    labelled_variants_t v = { .label = a->label, .by = a->by };
    char *scored = a->reference ? cad_path_join(a->output, SCORED) : strdup(a->data);
    int rc = scored ? cad_folder_make(a->output, NULL, err) : cad_out_of_memory(err);
    if (rc == 0 && a->reference) rc = score(a, scored, err);
    if (rc == 0) rc = labelled_variants_read(&v, scored, err);
    if (rc == 0) rc = write_tables(a, &v, err);
    labelled_variants_free(&v);
    free(scored);
    return rc;
}
