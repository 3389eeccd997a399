/* tuning_tables.c - the tables of caduceus finetune: metrics.tsv, with a row for each epoch, and the log, with a row for
 * each update. SPDX-License-Identifier: MIT */
#include "io/foundation.h"
#include "train/bin_task.h"

void tuning_options(const tuning_t *r, text_t *t)
{
    const finetune_args_t *a = r->a;
    text_printf(t, "task=%s window=%lld%s", task_name(a), (long long)a->l.window, a->l.crop ? " crop" : "");
    if (a->tracks) bins_options(a, t);
    if (r->head.bin && a->valid) text_printf(t, " valid=%s", a->valid);
    else if (a->valid) text_puts(t, " valid");
    else text_printf(t, " valid-fraction=%.9g", a->t.fraction);
    text_printf(
        t,
        " epochs=%lld batch=%lld lr=%.9g warmup=%.9g weight-decay=%.9g beta2=%.9g seed=%lld metric=%s patience=%lld pool=%s rc-aug=%s",
        (long long)a->epochs, (long long)a->batch, a->t.lr, a->t.warmup, a->t.decay, a->beta2, (long long)a->t.seed,
        METRIC_NAME[a->metric], (long long)a->patience, POOL_NAME[a->pool], r->turns ? "yes" : "no");
    if (r->head.bin && a->test) text_printf(t, " test=%s", a->test);
    if (a->ignore) text_puts(t, " ignore-unlabelled");
    if (a->class_weights) text_printf(t, " class-weights=%s", a->class_weights);
    if (a->balanced) text_puts(t, " sampler=balanced");
    if (augment_any(&a->augment)) {
        text_puts(t, " augment=");
        augment_text(&a->augment, t);
    }
    if (a->focal >= 0) text_printf(t, " loss=focal:%.9g", a->focal);
    if (a->freeze) text_puts(t, " freeze");
    if (a->lora) text_printf(t, " lora=%lld:%.9g", (long long)a->lora, a->alpha > 0 ? a->alpha : (double)a->lora);
    if (a->targets) text_printf(t, " lora-targets=%s", a->targets);
    if (a->scratch) text_puts(t, " from-scratch");
    if (a->l.pad) text_printf(t, " pad=%lld", (long long)a->l.pad);
    if (a->published) text_printf(t, " as-published=%lld", (long long)published_rows(r));
}

void tables_begin(tuning_t *r)
{
    provenance_t p = { 0 };
    text_t options = { 0 };
    bool plain = r->a->l.no_version;
    tuning_options(r, &options);
    options_provenance_of(&p, r->source, r->a->l.reference ? r->ref.checksum : NULL, &options,
                          cad_trainer_precision(r->trainer), cad_trainer_device(r->trainer));
    provenance_add(&p, "train_sha256", r->train.digest);
    if (r->a->valid && !r->head.bin) provenance_add(&p, "valid_sha256", r->valid.digest);
    provenance_table(&p, plain, "#epoch\tupdates\ttrain_loss", &r->table);
    provenance_table(&p, plain, "#update\tepoch\tlr\tloss\tgradient_norm\n", &r->updates);
    text_free(&options);
    for (metric_t i = 0; i < METRICS; i++)
        if (metric_fits(&r->head, i)) text_printf(&r->table, "\tvalid_%s", METRIC_NAME[i]);
    text_puts(&r->table, "\tkept\n");
    r->table_head = r->table.s.l;
    r->updates_head = r->updates.s.l;
}

int tables_epoch(tuning_t *r, double loss, const metrics_t *m, bool kept, cad_error_t *err)
{
    text_t *t = &r->table;
    char *path = cad_path_join(r->a->output, "metrics.tsv");
    int rc;
    text_printf(t, "%lld\t%lld\t", (long long)r->epoch, (long long)r->step);
    text_number(t, loss);
    for (metric_t i = 0; i < METRICS; i++) {
        if (!metric_fits(&r->head, i)) continue;
        text_puts(t, "\t");
        text_number(t, m->value[i]);
    }
    text_printf(t, "\t%d\n", kept);
    rc = !path ? cad_out_of_memory(err) : ranks_first(&r->ranks) ? text_save(t, path, err) : 0;
    free(path);
    return rc;
}

void tables_update(tuning_t *r, double lr, double loss, double norm)
{
    text_t *t = &r->updates;
    if (!r->log) return;
    text_printf(t, "%lld\t%lld", (long long)r->step, (long long)r->epoch + 1);
    text_columns(t, (const double[]) { lr, loss, norm }, 3);
    text_puts(t, "\n");
}

int tables_close(tuning_t *r, cad_error_t *err)
{
    output_t *log = r->log;
    int rc = log ? text_write(log, &r->updates, err) : 0;
    if (rc || !log) return rc;
    r->log = NULL;
    return output_close(log, err);
}
