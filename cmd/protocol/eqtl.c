/* eqtl.c - caduceus protocol eqtl: predicts from the embeddings of REF and ALT whether a variant changes expression in a
 * tissue. SPDX-License-Identifier: MIT */
#include "protocol/eqtl.h"
#include "protocol/rbf.h"

static void say_left_out(const eqtl_t *e)
{
    if (!e->a->o.quiet && e->rows.incomplete + e->unscored)
        cmd_say("protocol", "left out: %lld rows without one of the values, %lld whose variant has no embedding",
                (long long)e->rows.incomplete, (long long)e->unscored);
}

static void print_plan(const eqtl_t *e)
{
    printf("rows\t%lld\nvariants\t%lld\ntissues\t%lld\nwindow\t%lld\nparts\t%lld\nparts_done\t%lld\n",
           (long long)e->rows.n, (long long)e->rows.variants, (long long)e->rows.tissues, (long long)e->window,
           (long long)features_parts(e), (long long)e->parts_done);
}

static int measure(eqtl_t *e, cad_error_t *err)
{
    int rc = features_read(e, err);
    if (rc == 0) rc = eqtl_runs(e, err);
    if (rc == 0) rc = eqtl_tables(e, err);
    if (rc == 0) say_left_out(e);
    return rc;
}

static void eqtl_free(eqtl_t *e)
{
    eqtl_rows_free(&e->rows);
    text_free(&e->recipe);
    free(e->parts);
    free(e->feature);
    free(e->run);
}

int protocol_eqtl(const protocol_args_t *a, cad_error_t *err)
{
    eqtl_t e = { .a = a,
                 .rows = { .label = a->label, .split = a->split, .tissue_key = a->tissue, .distance = a->distance },
                 .parts = cad_path_join(a->output, "features") };
    int rc = e.parts ? rbf_check(err) : cad_out_of_memory(err);
    if (rc == 0) rc = eqtl_rows_read(&e.rows, a->data, err);
    if (rc == 0) rc = features_begin(&e, err);
    if (rc == 0) rc = features_compute(&e, err);
    if (rc == 0 && a->dry_run) print_plan(&e);
    else if (rc == 0 && e.parts_done == features_parts(&e)) rc = measure(&e, err);
    else if (rc == 0 && !a->o.quiet)
        cmd_say("protocol", "%lld of %lld parts of the features are there; the last shard goes on with the SVMs",
                (long long)e.parts_done, (long long)features_parts(&e));
    eqtl_free(&e);
    return rc;
}
