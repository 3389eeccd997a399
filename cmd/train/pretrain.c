/* pretrain.c - caduceus pretrain: trains a model on a genome by masked language modelling.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <unistd.h>

#include "io/foundation.h"
#include "io/signals.h"
#include "train/card.h"
#include "train/given.h"
#include "train/plan.h"
#include "train/pretrain.h"
#include "train/resume.h"
#include "train/trainlog.h"

/* ---- the folder ---- */

static void name_inputs(const args_t *a, ledger_t *files)
{
    ledger_reference(files, a->reference);
    limits_inputs(&a->limits, files);
    ledger_input(files, a->fresh.config);
    if (a->o.model) options_input_model(&a->o, files);
}

/* Opens the output folder, before anything is read. The folder must be new or, with --resume, hold a run. */
static int open_folder(run_t *r, cad_error_t *err)
{
    static const char *const ours[] = { "training.safetensors", "log.tsv" }, *const others[] = {
        "model.safetensors", "config.json", "tokenizer_config.json", "model.safetensors.index.json",
        "tokenizer.json",    "vocab.txt"
    };
    ledger_t files = { 0 };
    bool begun = false;
    int rc;
    signals_hold();
    rc = cad_folder_make(r->a->dir, &r->made, err);
    if (r->made) r->ticket = temporary_folder(r->a->dir);
    signals_release();
    name_inputs(r->a, &files);
    if (rc == 0) rc = cad_folder_claim(r->a->dir, &r->claim, err);
    for (size_t i = 0; i < sizeof ours / sizeof *ours + sizeof others / sizeof *others && rc == 0; i++) {
        char *path = cad_path_join(r->a->dir, i < 2 ? ours[i] : others[i - 2]);
        bool there = path && access(path, F_OK) == 0;
        if (i == 0) begun = there;
        rc = path ? ledger_output(&files, path, err) : cad_out_of_memory(err);
        if (rc == 0 && there && i < 2 && !r->a->resume)
            rc = cad_fail(err, CAD_EARG,
                          "%s: of a run that was begun; continue it with --resume, or give another folder", path);
        if (rc == 0 && there && i >= 2 && !begun)
            rc = cad_fail(err, CAD_EARG,
                          "%s: of another model, without a run that --resume could continue; give another folder",
                          path);
        free(path);
    }
    ledger_free(&files);
    if (rc == 0 && r->a->resume) cad_folder_sweep(r->a->dir);
    return rc;
}

/* ---- model ---- */

static int open_model(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    int rc = a->o.model ? options_load_model(&a->o, &r->model, err)
                        : new_model_open(&a->fresh, &r->model, a->seq_len, (uint64_t)a->t.seed, err);
    const char *name = a->o.model ? a->o.model : a->fresh.config ? a->fresh.config : "the model";
    if (rc) return rc;
    if (cad_model_number(r->model, CAD_LABELS))
        return cad_fail(err, CAD_EARG, "%s: a classifier, which has no language-model head to train", name);
    if (cad_model_number(r->model, CAD_STRIDE) > 1)
        return cad_fail(err, CAD_EARG, "%s: its layers pool rows, so that no base has logits; finetune can train it",
                        name);
    if (cad_model_number(r->model, CAD_TOKEN_MASK) < 0)
        return cad_fail(err, CAD_EARG, "%s: its vocabulary has no [MASK] token", name);
    return cad_model_set_max_len(r->model, cad_max(cad_model_number(r->model, CAD_MAX_LEN), a->seq_len), err);
}

static int open_trainer(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    cad_recipe_t recipe;
    int rc = open_model(r, err);
    if (rc) return rc;
    cad_recipe_init(&recipe);
    recipe.recompute = a->t.recompute;
    recipe.max_tokens = a->seq_len;
    recipe.weight_decay = a->t.decay;
    recipe.clip = a->clip;
    return options_open_trainer(&a->o, r->model, &recipe, &r->trainer, err);
}

/* Appends to the recipe a key that identifies the initial weights: the SHA-256 of the checkpoint, or a digest of the
 * configuration of a new model. */
static int describe_model(run_t *r, cad_error_t *err)
{
    char *config = NULL;
    int rc = r->a->o.model ? 0 : cad_model_config(&config, r->model, err);
    if (rc) return rc;
    if (config) text_printf(&r->recipe, "model=%016llx ", (unsigned long long)cad_random_name(config));
    else text_printf(&r->recipe, "model=%s ", cad_model_text(r->model, CAD_TEXT_SHA256));
    free(config);
    return 0;
}

/* Checks that at least one base of the training intervals counts in the loss; otherwise training would have no
 * effect. */
static int check_data(const run_t *r, cad_error_t *err)
{
    bool any;
    int rc = corpus_any(&r->corpus[0], r->a->soft > 0, &any, err);
    if (rc || any) return rc;
    return cad_fail(err, CAD_EFORMAT, "%s: nothing to train on: no base of the intervals is %s", r->a->reference,
                    r->a->soft > 0 ? "A, C, G or T" : "an upper-case A, C, G or T, and --soft-mask-weight is 0");
}

/* Writes the recipe to r->recipe: everything on which the trained model depends, as "key=value key=value". */
static int describe(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    text_t *t = &r->recipe;
    uint64_t data;
    int rc = check_data(r, err);
    if (rc == 0) rc = corpus_digest(&r->corpus[0], &data, err);
    if (rc == 0) rc = describe_model(r, err);
    if (rc) return rc;
    text_printf(t, "data=%016llx bases=%lld seq_len=%lld windows=%lld steps=%lld ", (unsigned long long)data,
                (long long)r->corpus[0].bases, (long long)a->seq_len, (long long)pretrain_windows(a),
                (long long)a->steps);
    text_printf(t, "lr=%.9g lr_end=%.9g warmup=%.9g weight_decay=%.9g clip=%.9g ", a->t.lr, a->lr_end, a->t.warmup,
                a->t.decay, a->clip);
    text_printf(t, "soft_mask_weight=%.9g rc_aug=%s seed=%lld", a->soft,
                training_reverses(&a->t, r->model) ? "yes" : "no", (long long)a->t.seed);
    return t->failed ? cad_out_of_memory(err) : 0;
}

/* ---- running ---- */

static double rate_at(const args_t *a, int64_t step)
{
    return cad_schedule(CAD_COSINE_AFTER, step, a->steps, a->t.warmup, a->t.lr, a->lr_end);
}

static int validate(run_t *r, double *loss, cad_error_t *err)
{
    const batch_t *b = &r->check;
    *loss = 0;
    if (b->weight > 0) {
        int rc = cad_trainer_add(r->trainer, CAD_LOSS_TOKENS, b->ex, (int)b->n, 0, loss, err);
        *loss /= b->weight;
        return rc;
    }
    *loss = NAN;
    return 0;
}

static int save_model(const run_t *r, cad_error_t *err)
{
    char status[160];
    text_t card = { 0 };
    cad_save_t how;
    int rc;
    snprintf(status, sizeof status, "pretrained: %lld of %lld steps of %lld tokens",
             (long long)cad_trainer_steps(r->trainer), (long long)r->a->steps,
             (long long)(pretrain_windows(r->a) * r->a->seq_len));
    card_pretrained(&card, r->model, r->a->o.model, status, r->recipe.s.s);
    cad_save_init(&how);
    how.status = status;
    how.card = card_for(&card, r->a->dir);
    rc = card.failed ? cad_out_of_memory(err) : options_save_model(r->model, r->a->dir, &how, err);
    text_free(&card);
    return rc;
}

static int save_training(const run_t *r, cad_error_t *err)
{
    char *path = cad_path_join(r->a->dir, "training.safetensors");
    int rc = path ? 0 : cad_out_of_memory(err);
    if (rc == 0 && ranks_first(&r->ranks)) rc = trainlog_sync(&r->log, err);
    if (rc == 0) rc = cad_trainer_save(r->trainer, path, r->recipe.s.s, err);
    free(path);
    return rc;
}

/* Saves the training state for --resume and then the model. If `over` is true (after the last step), saves only the
 * model. Signals are delayed until everything is saved. */
static int save(const run_t *r, bool over, cad_error_t *err)
{
    int rc = 0;
    signals_hold();
    if (!over) rc = save_training(r, err);
    if (rc == 0 && ranks_first(&r->ranks)) rc = save_model(r, err);
    signals_release();
    return rc;
}

typedef struct { /* results of a step; loss is NaN if no position was scored, valid is NaN if there was no validation */
    double loss, rate, norm, valid;
} outcome_t;

static void look(const void *run, progress_state_t *now)
{
    const run_t *r = run;
    int64_t each = r->batch.n * r->a->seq_len, step = cad_trainer_steps(r->trainer);
    now->items = step;
    now->tokens = (step - r->first) * each + r->tokens;
    now->share = (double)(step * each + r->tokens) / (double)(r->a->steps * each);
    if (!isnan(r->loss)) snprintf(now->more, sizeof now->more, "loss %.4f", r->loss);
}

/* Called while a step is computed: shows progress, as if the other ranks had computed as much. Tokens computed for a
 * validation are not counted. */
static void watch(void *run, int64_t tokens)
{
    run_t *r = run;
    r->tokens = cad_min(r->tokens + tokens * r->ranks.ranks, r->batch.n * r->a->seq_len);
    progress_tick(&r->progress);
}

/* Prints one line about the step just made. It is called after every valid_every steps and after the last one; o->valid
 * is NaN if there is nothing to validate on. */
static void tell(const run_t *r, const outcome_t *o, double speed)
{
    char loss[48] = "", tokens[32];
    if (r->a->o.quiet) return;
    if (!isnan(o->loss)) snprintf(loss, sizeof loss, ", loss %.4f", o->loss);
    if (isnan(o->valid))
        cmd_say("pretrain", "step %lld of %lld%s, %s tokens/s", (long long)cad_trainer_steps(r->trainer),
                (long long)r->a->steps, loss, short_text(speed, tokens));
    else
        cmd_say("pretrain", "step %lld of %lld%s, %s tokens/s; validation %.4f (%.4f bits a base)",
                (long long)cad_trainer_steps(r->trainer), (long long)r->a->steps, loss, short_text(speed, tokens),
                o->valid, o->valid / log(2));
}

static int log_step(run_t *r, const outcome_t *o, bool check, cad_error_t *err)
{
    int64_t step = cad_trainer_steps(r->trainer), each = r->batch.n * r->a->seq_len;
    double speed = (double)((step - r->first) * each) / fmax(seconds_since(r->begun), 1e-9);
    text_t t = { 0 };
    int rc;
    if (!ranks_first(&r->ranks)) return 0;
    text_printf(&t, "%lld\t%lld\t", (long long)step, (long long)(step * each));
    text_number(&t, o->loss);
    text_printf(&t, "\t%.6g\t%.4g\t", o->rate, o->norm);
    text_number(&t, o->valid);
    text_printf(&t, "\t%.0f\n", speed);
    rc = trainlog_put(&r->log, &t, err);
    text_free(&t);
    if (rc == 0 && check) tell(r, o, speed);
    return rc;
}

static int one_step(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    int64_t step = cad_trainer_steps(r->trainer);
    outcome_t o = { 0, rate_at(a, step), 0, NAN };
    int rc = pretrain_fill_step(r, step, err);
    bool last = step + 1 == a->steps, check = (step + 1) % a->valid_every == 0 || last;
    if (rc == 0 && r->batch.weight > 0)
        rc = cad_trainer_add(r->trainer, CAD_LOSS_TOKENS, r->batch.ex, (int)r->batch.n, 1 / r->batch.weight, &o.loss,
                             err);
    o.loss = r->batch.weight > 0 ? o.loss / r->batch.weight : NAN;
    if (rc == 0) rc = cad_trainer_update(r->trainer, o.rate, &o.norm, err);
    r->tokens = 0;
    r->loss = o.loss;
    if (rc == 0 && check) rc = validate(r, &o.valid, err);
    if (rc == 0) rc = log_step(r, &o, check, err);
    if (rc == 0 && ((step + 1) % a->save_every == 0 || last)) rc = save(r, false, err);
    return rc;
}

/* ---- resuming ---- */

/* Checks that this rank has the recipe of rank 0 and the same options that determine which messages ranks exchange. */
static int agree(run_t *r, cad_error_t *err)
{
    text_t t = { 0 };
    uint64_t valid = 0;
    int rc = 0;
    if (r->ranks.ranks == 1) return 0;
    if (r->on[1]) rc = corpus_digest(&r->corpus[1], &valid, err);
    text_printf(&t, "%s valid=%016llx valid_windows=%lld valid_every=%lld save_every=%lld folder=%s", r->recipe.s.s,
                (unsigned long long)valid, (long long)r->check.n, (long long)r->a->valid_every,
                (long long)r->a->save_every, r->a->dir);
    if (rc == 0) rc = t.failed ? cad_out_of_memory(err) : ranks_agree(&r->ranks, t.s.s, err);
    text_free(&t);
    return rc;
}

static int go_on(run_t *r, cad_error_t *err)
{
    char *path = cad_path_join(r->a->dir, "training.safetensors"), *note = NULL;
    int rc = path ? 0 : cad_out_of_memory(err);
    if (rc == 0 && ranks_first(&r->ranks) && access(path, F_OK) == 0) {
        rc = cad_trainer_load(r->trainer, path, &note, err);
        if (rc == 0) rc = resume_compare(note, r->recipe.s.s, path, err);
    }
    if (rc == 0) rc = agree(r, err);
    if (rc == 0) rc = ranks_join(&r->ranks, r->trainer, r->a->among.mixed, err);
    r->first = cad_trainer_steps(r->trainer);
    if (rc == 0 && r->a->resume && !r->a->o.quiet) {
        if (r->first == r->a->steps) cmd_say("pretrain", "%s: all %lld steps are done", path, (long long)r->first);
        else if (r->first) cmd_say("pretrain", "%s: going on after step %lld", path, (long long)r->first);
        else cmd_say("pretrain", "%s: not there, beginning", path);
    }
    free(note);
    free(path);
    return rc;
}

/* If a signal has asked the run to end, saves its state so that --resume can continue it. */
static int stop(run_t *r, cad_error_t *err)
{
    int64_t step = cad_trainer_steps(r->trainer);
    if (step == r->first || step % r->a->save_every == 0) return 0; /* the state was already saved after this step */
    return save(r, false, err);
}

/* Opens what only rank 0 has: the log and the progress line. */
static int begin_log(run_t *r, cad_error_t *err)
{
    if (!ranks_first(&r->ranks)) return 0;
    progress_begin(&r->progress, "steps", look, r);
    return trainlog_open(&r->log, r->a->dir, "#step\ttokens\tloss\tlr\tgradient_norm\tvalid_loss\ttokens_per_s\n",
                         r->first, err);
}

static int steps(run_t *r, cad_error_t *err)
{
    int rc;
    /* all steps are done; an earlier process may have ended after its last step but before it saved the model */
    if (r->first == r->a->steps) return save(r, true, err);
    rc = begin_log(r, err);
    clock_gettime(CLOCK_MONOTONIC, &r->begun);
    cad_trainer_watch(r->trainer, watch, r);
    signals_soften(r->a->o.quiet ? "" : "stopping after this step; a second signal stops at once");
    while (rc == 0 && cad_trainer_steps(r->trainer) < r->a->steps && !r->stopped) {
        rc = one_step(r, err);
        r->stopped = signals_asked();
        if (rc == 0) rc = ranks_any(&r->ranks, &r->stopped, err);
    }
    r->stopped &= cad_trainer_steps(r->trainer) < r->a->steps;
    if (rc == 0 && r->stopped) rc = stop(r, err);
    signals_soften(NULL);
    return rc;
}

/* Does the work of --dry-run: prints what the training would read and compute. */
static int plan(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    int64_t tokens = pretrain_windows(a) * a->seq_len;
    double seconds = 0;
    int rc = describe(r, err);
    if (rc == 0) rc = pretrain_fill_step(r, 0, err);
    if (rc == 0) rc = plan_measure(r->trainer, CAD_LOSS_TOKENS, r->batch.ex, r->batch.n, &seconds, err);
    if (rc) return rc;
    progress_clear(&r->progress);
    plan_line("bases", r->corpus[0].bases);
    plan_line("validation_bases", r->corpus[1].bases);
    plan_line("windows", r->corpus[0].windows);
    plan_line("windows_in_a_step", pretrain_windows(a));
    plan_line("tokens_in_a_step", tokens);
    plan_line("steps", a->steps);
    plan_line("tokens", tokens * a->steps);
    printf("epochs\t%.3g\n", (double)pretrain_windows(a) * (double)a->steps / (double)r->corpus[0].windows);
    plan_end(r->model, r->trainer, seconds * (double)tokens * (double)a->steps);
    return 0;
}

static int train(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    int64_t windows = a->dry_run ? cad_min(pretrain_windows(a), 1 + 16384 / a->seq_len) : pretrain_windows(a);
    int rc = a->dry_run || !ranks_first(&r->ranks) ? 0 : open_folder(r, err);
    if (rc == 0) rc = pretrain_data(r, err);
    if (rc == 0) rc = open_trainer(r, err);
    if (rc == 0) rc = pretrain_batch(&r->batch, windows, a->seq_len, err);
    if (rc == 0 && a->dry_run) return plan(r, err);
    if (rc == 0 && r->on[1]) rc = pretrain_fill_check(r, err);
    if (rc == 0) rc = describe(r, err);
    if (rc == 0) rc = go_on(r, err);
    if (rc == 0 && !a->recalled && ranks_first(&r->ranks)) rc = given_write(a->dir, &a->given, err);
    return rc ? rc : steps(r, err);
}

static void close_run(run_t *r)
{
    pretrain_batch_close(&r->batch);
    pretrain_batch_close(&r->check);
    cad_trainer_close(r->trainer);
    cad_model_close(r->model);
    corpus_close(&r->corpus[0]);
    corpus_close(&r->corpus[1]);
    regions_free(r->on[0]);
    regions_free(r->on[1]);
    splits_free(&r->splits);
    fasta_close(&r->ref);
    text_free(&r->recipe);
}

/* Ends the process if a signal asked for it before the last step. */
static void end_by_signal(const run_t *r)
{
    int64_t step = cad_trainer_steps(r->trainer);
    if (!r->stopped) return;
    if (!r->a->o.quiet)
        cmd_say("pretrain", "stopped at step %lld of %lld; go on with --resume -o %s", (long long)step,
                (long long)r->a->steps, r->a->dir);
    if (signals_asked()) signals_stop();
}

/* Runs this rank. Ranks other than the first are quiet. */
static int run(run_t *r, args_t *a, cad_error_t *err)
{
    int rc = ranks_open(&r->ranks, "pretrain", a->among.timeout, err);
    if (rc) return rc;
    a->o.quiet |= !ranks_first(&r->ranks);
    a->o.device = ranks_device(&r->ranks, a->o.device);
    rc = ranks_enough(&r->ranks, pretrain_windows(a), "windows", err);
    if (rc) return rc;
    r->notes = (notes_t) { .cmd = "pretrain", .quiet = a->o.quiet };
    progress_open(&r->progress, "pretrain", a->o.progress, a->o.quiet, NULL);
    progress_phase(&r->progress, "reading the genome");
    if (a->dry_run && !ranks_first(&r->ranks)) return 0;
    return train(r, err);
}

static int run_pretrain(int argc, char **argv)
{
    args_t a;
    run_t r = { .a = &a, .claim = -1, .ticket = -1 };
    cad_error_t err, later;
    int rc = pretrain_parse(&a, argc, argv);
    if (rc) text_free(&a.given);
    if (rc) return rc == 2 ? 0 : 1;
    r.loss = NAN;
    rc = run(&r, &a, &err);
    if (trainlog_close(&r.log, &later) && rc == 0) {
        rc = CAD_EIO;
        err = later;
    }
    progress_end(&r.progress, rc == 0 && !r.stopped && !a.dry_run);
    if (rc && r.made) rmdir(a.dir); /* fails, as intended, if the folder is not empty */
    temporary_forget(r.ticket);
    if (rc == 0 && !a.o.quiet && !a.dry_run) ranks_tell(&r.ranks);
    ranks_close(&r.ranks, rc, &err);
    if (rc == 0 && !a.dry_run) end_by_signal(&r);
    if (rc && err.text[0]) cmd_fail("pretrain", "%s", err.text);
    if (rc == 0) notes_summary(&r.notes);
    if (r.claim >= 0) close(r.claim);
    close_run(&r);
    text_free(&a.given);
    free(a.recalled);
    return rc || cmd_finish("pretrain") ? 1 : 0;
}

const command_t CMD_PRETRAIN = {
    "pretrain", "train a model on a genome", run_pretrain, PRETRAIN_USAGE, NULL, PRETRAIN_SHORT, PRETRAIN_LONG, NULL
};
