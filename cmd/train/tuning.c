/* tuning.c - trains the classifier of caduceus finetune.
 *
 * Every random choice (split, order, reverse complement, --augment) is a function of seed, epoch and row, so it does not depend
 * on the number of threads. SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "train/augmenting.h"
#include "train/bases.h"
#include "train/card.h"
#include "train/finetune.h"
#include "train/imbalance.h"
#include "train/plan.h"
#include "train/bin_task.h"

/* maximum number of tokens given to one call of cad_trainer_add, except for a single longer row */
#define PART (1 << 20)

/* ---- the model ---- */

/* Creates a model with the configuration of r->model and new random weights. */
static int make_fresh(const tuning_t *r, cad_model_t **fresh, cad_error_t *err)
{
    char *config;
    int rc = cad_model_config(&config, r->model, err);
    if (rc == 0)
        rc = cad_model_create(fresh, config, cad_model_number(r->model, CAD_MAX_LEN), (uint64_t)r->a->t.seed, err);
    free(config);
    return rc;
}

/* If --window is longer than the model's maximum length, sets that length to --window, because it is the default
 * --window of caduceus predict. */
static int extend_window(tuning_t *r, cad_error_t *err)
{
    int64_t len = cad_model_number(r->model, CAD_MAX_LEN);
    return cad_model_set_max_len(r->model, cad_max(len, cad_min(r->a->l.window, 1 << 20)), err);
}

/* Replaces the opened model by a classifier with the same encoder. */
static int make_classifier(tuning_t *r, cad_error_t *err)
{
    cad_model_t *from = r->model, *fresh = NULL;
    int rc = r->a->scratch ? make_fresh(r, &fresh, err) : 0;
    r->model = NULL;
    if (rc == 0) rc = cad_model_classifier(&r->model, fresh ? fresh : from, r->head.n, (uint64_t)r->a->t.seed, err);
    if (rc == 0) rc = cad_head_write(&r->head, r->model, err);
    if (rc == 0) rc = extend_window(r, err);
    cad_model_close(fresh);
    if (r->a->augment.mlm > 0) r->prior = from;
    else cad_model_close(from);
    return rc;
}

static int open_trainer(tuning_t *r, cad_error_t *err)
{
    const finetune_args_t *a = r->a;
    cad_recipe_t recipe;
    cad_recipe_init(&recipe);
    recipe.recompute = a->t.recompute;
    recipe.freeze = a->freeze;
    recipe.max_tokens = r->train.longest;
    recipe.pool = a->pool;
    recipe.weight_decay = a->t.decay;
    recipe.beta2 = a->beta2;
    recipe.bin = r->head.bin;
    if (a->focal >= 0) recipe.focal = a->focal;
    recipe.lora = a->lora;
    recipe.lora_alpha = a->alpha;
    recipe.lora_targets = a->targets;
    recipe.lora_seed = (uint64_t)a->t.seed;
    return options_open_trainer(&a->o, r->model, &recipe, &r->trainer, err);
}

int64_t published_rows(const tuning_t *r) { return r->train.n + (r->a->valid ? 0 : r->valid.n) + r->test.n; }

static int make_room(tuning_t *r, cad_error_t *err)
{
    const finetune_args_t *a = r->a;
    r->steps = a->epochs * ((r->train.n + a->batch - 1) / a->batch);
    r->decay = a->epochs * ((published_rows(r) + a->batch - 1) / a->batch);
    r->part_tokens = cad_max(cad_min(PART, r->train.tokens), r->train.longest);
    r->order = cad_alloc((size_t)r->train.n, sizeof *r->order);
    r->part = cad_alloc((size_t)cad_min(a->batch, r->train.n), sizeof *r->part);
    r->reversed = cad_alloc((size_t)r->part_tokens, 1);
    if (!r->order || !r->part || !r->reversed) return cad_out_of_memory(err);
    if (a->tracks) return bins_room(r, err);
    if (!a->bases) return 0;
    r->part_class = cad_alloc((size_t)r->part_tokens, 1);
    r->part_weight = cad_alloc((size_t)r->part_tokens, sizeof *r->part_weight);
    return r->part_class && r->part_weight ? 0 : cad_out_of_memory(err);
}

/* ---- measuring ---- */

/* Opens a context on the trainer's device. Prints no note about the device, since opening the trainer has already
 * printed it. */
static int open_context(const tuning_t *r, const cad_model_t *model, int64_t longest, cad_context_t **ctx,
                        cad_error_t *err)
{
    options_t o = r->a->o;
    o.quiet = true;
    return options_open_context(&o, model, longest, ctx, err);
}

static int measure(tuning_t *r, const examples_t *e, const cad_model_t *model, metrics_t *m, cad_error_t *err)
{
    cad_context_t *ctx = NULL;
    float *logits = cad_alloc(e->n && r->head.bin ? 1 : (size_t)e->n * (size_t)r->head.n, sizeof *logits);
    int rc = logits ? open_context(r, model, e->longest, &ctx, err) : cad_out_of_memory(err);
    if (rc == 0 && r->a->bases) rc = bases_measure(r, e, ctx, m, err);
    else if (rc == 0 && r->a->tracks) rc = bins_measure(r, e, ctx, m, err);
    else if (rc == 0) {
        rc = examples_logits(e, ctx, model, r->head.n, options_batch(&r->a->o), logits, err);
        if (rc == 0) rc = metrics_of(m, &r->head, logits, e->target, e->n, err);
        if (rc == 0 && r->a->published) rc = metrics_by_batch(m, &r->head, logits, e->target, r->a->batch, err);
    }
    cad_context_close(ctx);
    free(logits);
    return rc;
}

static bool better(const tuning_t *r, const metrics_t *m)
{
    double v = m->value[r->a->metric];
    /* the model of the first epoch is saved; without validation rows, the model of each epoch replaces the previous
     * one */
    if (!r->best_epoch || r->valid.n == 0) return true;
    if (isnan(v) || isnan(r->best)) return isnan(r->best) && !isnan(v);
    return r->a->metric == METRIC_LOSS ? v < r->best : v > r->best;
}

static void say_epoch(const tuning_t *r, int64_t epoch, double loss, const metrics_t *m, bool kept)
{
    text_t t = { 0 };
    if (!r->progress.line && !r->progress.log) return;
    text_printf(&t, "epoch %lld of %lld: loss ", (long long)epoch, (long long)r->a->epochs);
    text_number(&t, loss);
    if (r->valid.n) {
        text_printf(&t, "; validation %s ", METRIC_NAME[r->a->metric]);
        text_number(&t, m->value[r->a->metric]);
    }
    if (!t.failed) cmd_say("finetune", "%s%s", t.s.s, kept ? ", kept" : "");
    text_free(&t);
}

/* Writes the adapters and the head. Signals wait until all files are written. */
static int save_adapter(const tuning_t *r, const cad_save_t *how, cad_error_t *err)
{
    char *base = options_base(&r->a->o);
    int rc = base ? 0 : cad_fail(err, CAD_ENOMEM, "out of memory for the name of the base model");
    signals_hold();
    if (rc == 0) rc = cad_trainer_adapter(r->trainer, r->a->output, base, how, err);
    signals_release();
    free(base);
    return rc;
}

static int save_kept(tuning_t *r, const metrics_t *m, cad_error_t *err)
{
    text_t card = { 0 };
    cad_save_t how;
    int rc;
    cad_save_init(&how);
    how.status = r->status;
    card_finetuned(&card, r, m);
    how.card = card_for(&card, r->a->output);
    rc = card.failed  ? cad_out_of_memory(err)
         : r->a->lora ? save_adapter(r, &how, err)
                      : options_save_model(r->model, r->a->output, &how, err);
    text_free(&card);
    return rc;
}

/* Measures the model on the validation rows after an epoch, and saves the model if it is the best until now. */
static int end_epoch(tuning_t *r, int64_t epoch, double loss, cad_error_t *err)
{
    metrics_t m = { .n = 0 };
    bool kept;
    int rc = 0;
    for (int i = 0; i < METRICS; i++) m.value[i] = NAN;
    if (r->valid.n) rc = measure(r, &r->valid, r->model, &m, err);
    if (rc) return rc;
    kept = better(r, &m);
    rc = ranks_share(&r->ranks, &kept, sizeof kept, err); /* with --mixed, other ranks may measure other values */
    if (rc == 0 && kept) {
        r->best = m.value[r->a->metric];
        r->best_epoch = epoch;
        rc = ranks_first(&r->ranks) ? save_kept(r, &m, err) : 0;
    }
    r->epoch = epoch;
    r->total = 0;
    if (rc == 0) rc = tables_epoch(r, loss, &m, kept, err);
    say_epoch(r, epoch, loss, &m, kept);
    metrics_free(&m);
    return rc ? rc : state_save(r, err);
}

/* ---- training ---- */

static enum cad_loss_t loss_of(const tuning_t *r)
{
    if (r->a->focal >= 0) return CAD_LOSS_FOCAL;
    return r->head.kind == CAD_HEAD_CLASSES  ? CAD_LOSS_CLASSES
           : r->head.kind == CAD_HEAD_LABELS ? CAD_LOSS_BINARY
           : r->head.kind == CAD_HEAD_COUNTS ? CAD_LOSS_POISSON
                                             : CAD_LOSS_SQUARED;
}

/* Makes row x, changed by --augment and perhaps turned, example i of r->part; its tokens have room from `at` on. */
static int put_example(tuning_t *r, int64_t i, const example_t *x, int64_t at, int64_t row, int64_t epoch,
                       cad_error_t *err)
{
    bool turned = r->turns && examples_turned(row, (uint64_t)r->a->t.seed, epoch);
    example_t y = *x;
    int rc = r->changed ? augment_row(&r->augmenter, x, row, epoch, r->changed + at, &y, err) : 0;
    if (r->a->tracks) turned = turned && bins_turn(r, x);
    r->part[i] = (cad_example_t) { .tokens = y.tokens, .len = x->len };
    if (x->class) bases_part(r, i, x, at, turned);
    else if (x->weight) bins_part(r, i, x, at, turned);
    else r->part[i].target = r->train.target + row * r->head.n;
    if (r->row_weight) r->part[i].weight = &r->row_weight[row];
    if (!turned) return rc;
    examples_reverse(&y, r->model, r->reversed + at);
    r->part[i].tokens = r->reversed + at;
    return rc;
}

/* Sets r->part to training examples of the first of n rows, up to part_tokens tokens in all. Sets *count to the number
 * of examples. */
static int fill_part(tuning_t *r, const int64_t *row, int64_t n, int64_t epoch, int64_t *count, cad_error_t *err)
{
    int64_t tokens = 0, i = 0;
    int rc = 0;
    for (; i < n && rc == 0; i++) {
        const example_t *x = &r->train.row[row[i]];
        if (tokens + x->len > r->part_tokens) break;
        rc = put_example(r, i, x, tokens, row[i], epoch, err);
        tokens += x->len;
    }
    r->seen += i;
    *count = i;
    return rc;
}

/* Returns the learning rate of the next update. It decays to a tenth of the peak at the last update. */
static double rate(const tuning_t *r)
{
    const training_t *t = &r->a->t;
    return cad_schedule(CAD_COSINE_OVER, r->step, r->a->published ? r->decay : r->steps, t->warmup, t->lr, t->lr / 10);
}

/* Returns what the loss of n training rows is divided by. */
static double weight_of(const tuning_t *r, const int64_t *row, int64_t n)
{
    if (r->a->tracks) return bins_weight(r, row, n);
    return r->a->bases ? bases_weight(r, row, n) : imbalance_weight(r, row, n);
}

/* Makes one update with n rows; adds their losses to r->total. */
static int update(tuning_t *r, const int64_t *row, int64_t n, int64_t epoch, cad_error_t *err)
{
    double sum = 0, norm = 0, lr = rate(r), weight = weight_of(r, row, n);
    int rc = 0;
    for (int64_t i = 0, k = 0; i < n && rc == 0; i += k) {
        rc = fill_part(r, row + i, n - i, epoch, &k, err);
        if (rc == 0) rc = cad_trainer_add(r->trainer, loss_of(r), r->part, (int)k, 1 / weight, &sum, err);
    }
    r->step++;
    r->saved = false;
    if (rc == 0 && !isfinite(sum))
        rc = cad_fail(err, CAD_EARG, "update %lld: the loss is no longer finite; lower --lr", (long long)r->step);
    if (rc == 0) rc = cad_trainer_update(r->trainer, lr, &norm, err);
    tables_update(r, lr, sum / weight, norm);
    r->total += sum / weight * (double)n;
    return rc;
}

/* Trains on the rest of the current epoch: a resumed training may begin within it. */
static int train_epoch(tuning_t *r, cad_error_t *err)
{
    int64_t epoch = r->epoch + 1, n = r->train.n, batch = r->a->batch, each = r->a->save_every;
    int rc = 0;
    examples_shuffle(r->order, n, (uint64_t)r->a->t.seed, epoch);
    imbalance_order(r, epoch);
    for (int64_t i = (r->step - r->epoch * ((n + batch - 1) / batch)) * batch; i < n && rc == 0 && !r->stopped;
         i += batch) {
        rc = update(r, r->order + i, cad_min(batch, n - i), epoch, err);
        r->stopped = signals_asked();
        if (rc == 0) rc = ranks_any(&r->ranks, &r->stopped, err);
        if (rc == 0 && each && r->step % each == 0 && i + batch < n) rc = state_save(r, err);
    }
    return rc || r->stopped ? rc : end_epoch(r, epoch, r->total / (double)n, err);
}

static void look(const void *tuning, progress_state_t *now)
{
    const tuning_t *r = tuning;
    now->items = r->seen;
    now->tokens = r->tokens;
    now->share = (double)r->seen / (double)(r->a->epochs * r->train.n);
}

static void watch(void *tuning, int64_t tokens)
{
    tuning_t *r = tuning;
    r->tokens += tokens * r->ranks.ranks;
    progress_tick(&r->progress);
}

static int train(tuning_t *r, cad_error_t *err)
{
    const finetune_args_t *a = r->a;
    int rc = 0;
    progress_open(&r->progress, "finetune", a->o.progress, a->o.quiet, NULL);
    progress_begin(&r->progress, "sequences", look, r);
    cad_trainer_watch(r->trainer, watch, r);
    signals_soften(a->o.quiet ? "" : "stopping after this update; a second signal stops at once");
    while (rc == 0 && !state_over(r) && !r->stopped) rc = train_epoch(r, err);
    if (rc == 0 && r->stopped && !r->saved) rc = state_save(r, err);
    signals_soften(NULL);
    return rc;
}

/* Does the work of --dry-run: prints what the training would read and compute. Estimates that a token of validation
 * takes a third of the time of a token of training. */
static int plan(tuning_t *r, cad_error_t *err)
{
    int64_t n = cad_min(r->a->batch, r->train.n);
    double seconds, tokens = (double)r->train.tokens + (double)r->valid.tokens / 3;
    int rc;
    for (int64_t i = 0; i < r->train.n; i++) r->order[i] = i;
    rc = fill_part(r, r->order, n, 1, &n, err);
    if (rc == 0) rc = plan_measure(r->trainer, loss_of(r), r->part, n, &seconds, err);
    if (rc) return rc;
    plan_line("sequences", r->train.n);
    plan_line("validation_sequences", r->valid.n);
    plan_line("test_sequences", r->test.n);
    plan_line("labels", r->head.n);
    plan_line("longest", r->train.longest);
    plan_line("epochs", r->a->epochs);
    plan_line("updates", r->steps);
    plan_line("tokens", r->train.tokens * r->a->epochs);
    if (r->a->lora) plan_line("trained", cad_trainer_trained(r->trainer));
    plan_end(r->model, r->trainer, seconds * tokens * (double)r->a->epochs);
    return 0;
}

/* ---- the whole run ---- */

static const char *rows_measured(const tuning_t *r) { return r->test.n ? "test" : "validation"; }

static int print_metrics(const tuning_t *r, const metrics_t *m, cad_error_t *err)
{
    text_t t = { 0 };
    text_printf(&t, "#rows\t%s\n#epoch\t%lld\n", rows_measured(r), (long long)r->best_epoch);
    metrics_put(m, &r->head, &t);
    if (r->a->bases) bases_put(r, &t);
    if (r->a->tracks) bins_put(r, &t);
    if (!t.failed) fputs(t.s.s, stdout);
    text_free(&t);
    return t.failed ? cad_out_of_memory(err) : 0;
}

static int print_json(const tuning_t *r, const metrics_t *m, cad_error_t *err)
{
    json_t *json = json_object();
    int rc;
    json_object_set_new(json, "rows", json_string(rows_measured(r)));
    json_object_set_new(json, "epoch", json_integer(r->best_epoch));
    metrics_json(m, &r->head, json);
    if (r->a->bases) bases_json(r, json);
    if (r->a->tracks) bins_json(r, json);
    rc = report_json(json, err);
    json_decref(json);
    return rc;
}

/* Stores the results of the saved checkpoint for the caller of finetune_call. */
static int hand_over(tuning_t *r, const cad_model_t *best, const metrics_t *m, cad_error_t *err)
{
    tuned_t *out = r->tuned;
    metrics_t valid = { .n = 0 };
    int rc = measure(r, &r->valid, best, &valid, err);
    if (rc) return rc;
    out->epoch = r->best_epoch;
    out->valid = valid.value[r->a->metric];
    out->tested = m->n;
    memcpy(out->test, m->value, sizeof out->test);
    for (const char *s = r->table.s.s, *end; s && !strncmp(s, "##", 2) && (end = strchr(s, '\n')); s = end + 1)
        text_put(&out->provenance, s, (size_t)(end + 1 - s));
    metrics_free(&valid);
    return 0;
}

/* Prints the metrics of the saved checkpoint on the test rows or, if there are none, on the validation rows. */
static int report(tuning_t *r, cad_error_t *err)
{
    const examples_t *e = r->test.n ? &r->test : &r->valid;
    cad_model_t *best = NULL;
    metrics_t m = { .n = 0 };
    int rc = e->n ? cad_model_open(&best, r->a->output, err) : 0;
    if (rc || !e->n) return rc;
    rc = measure(r, e, best, &m, err);
    if (rc == 0 && r->tuned) rc = hand_over(r, best, &m, err);
    else if (rc == 0) rc = r->a->o.json ? print_json(r, &m, err) : print_metrics(r, &m, err);
    metrics_free(&m);
    cad_model_close(best);
    return rc;
}

int tuning_run(tuning_t *r, cad_error_t *err)
{
    int rc = make_classifier(r, err);
    if (rc) return rc;
    r->turns = training_reverses(&r->a->t, r->model);
    examples_encode(&r->train, r->model, &r->notes);
    examples_encode(&r->valid, r->model, &r->notes);
    examples_encode(&r->test, r->model, &r->notes);
    rc = make_room(r, err);
    if (rc == 0) rc = augmenting_open(r, err);
    if (rc == 0) rc = open_trainer(r, err);
    if (rc == 0 && r->a->dry_run) return plan(r, err);
    r->saved = true; /* there is nothing to save before the first update */
    if (rc == 0) tables_begin(r);
    if (rc == 0 && r->a->resume && ranks_first(&r->ranks)) rc = state_load(r, err);
    if (rc == 0) rc = state_join(r, err);
    if (rc == 0) rc = train(r, err);
    if (rc == 0 && r->stopped) return 0;
    if (rc == 0) rc = tables_close(r, err);
    if (rc == 0 && ranks_first(&r->ranks)) rc = report(r, err);
    return rc ? rc : state_remove(r, err);
}

void tuning_close(tuning_t *r)
{
    cad_trainer_close(r->trainer);
    cad_model_close(r->model);
    cad_head_free(&r->head);
    examples_free(&r->train);
    examples_free(&r->valid);
    examples_free(&r->test);
    if (r->a->l.reference) fasta_close(&r->ref);
    free(r->order);
    free(r->part);
    free(r->reversed);
    text_free(&r->table);
    text_free(&r->updates);
    augmenting_close(r);
    bases_close(r);
    bins_close(r);
    imbalance_close(r);
    output_abort(r->log);
}
