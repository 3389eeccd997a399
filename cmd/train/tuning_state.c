/* tuning_state.c - saves the state of an unfinished finetune as DIR/training.safetensors, and continues it. The state
 * contains a note with the recipe, the position in the training, and the rows of the tables. SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "io/foundation.h"
#include "io/signals.h"
#include "train/finetune.h"
#include "train/given.h"
#include "train/resume.h"

#define STATE "training.safetensors"

/* ---- saving ---- */

/* Appends everything on which the result depends, as "key=value key=value" in ASCII. */
static void put_recipe(const tuning_t *r, text_t *t)
{
    size_t begin = t->s.l;
    text_printf(t, "model=%s data=%s ", r->source, r->train.digest);
    if (r->a->valid && !r->head.bin) text_printf(t, "valid=%s ", r->valid.digest);
    tuning_options(r, t);
    text_printf(t, " precision=%s%s", cad_trainer_precision(r->trainer), r->a->log ? " log" : "");
    for (size_t i = begin; i < t->s.l; i++) /* the note must be UTF-8, which names of contigs need not be */
        if ((unsigned char)t->s.s[i] > 126 || t->s.s[i] == '\n') t->s.s[i] = '?';
}

static void put_note(const tuning_t *r, text_t *t)
{
    put_recipe(r, t);
    text_printf(t, "\nepoch=%lld total=%a best=%a best_epoch=%lld\n", (long long)r->epoch, r->total, r->best,
                (long long)r->best_epoch);
    if (!r->table.failed) text_puts(t, r->table.s.s + r->table_head);
    text_puts(t, "\n");
    if (!r->updates.failed) text_puts(t, r->updates.s.s + r->updates_head);
    t->failed |= r->table.failed || r->updates.failed;
}

int state_save(tuning_t *r, cad_error_t *err)
{
    text_t note = { 0 };
    char *path;
    int rc;
    r->saved = true;
    if (!ranks_first(&r->ranks)) return cad_trainer_save(r->trainer, NULL, NULL, err);
    path = cad_path_join(r->a->output, STATE);
    put_note(r, &note);
    rc = note.failed || !path ? cad_out_of_memory(err) : 0;
    signals_hold();
    if (rc == 0 && !r->begun && !r->a->recalled) rc = given_write(r->a->output, &r->a->given, err);
    r->begun = rc == 0;
    if (rc == 0) rc = cad_trainer_save(r->trainer, path, note.s.s, err);
    signals_release();
    r->saved = rc == 0;
    text_free(&note);
    free(path);
    return rc;
}

int state_remove(const tuning_t *r, cad_error_t *err)
{
    int rc = ranks_first(&r->ranks) ? cad_path_remove(r->a->output, STATE, err) : 0;
    return rc || !ranks_first(&r->ranks) ? rc : cad_path_remove(r->a->output, "options.txt", err);
}

/* ---- resuming ---- */

int state_refuse(const finetune_args_t *a, cad_error_t *err)
{
    if (a->resume || !cad_path_present(a->output, STATE)) return 0;
    return cad_fail(err, CAD_EARG,
                    "%s/%s: of a training that was begun; continue it with --resume, or remove that file", a->output,
                    STATE);
}

/* Reads from the rows of metrics.tsv how many epochs are complete, and of which epoch the model was kept last. */
static void take_rows(tuning_t *r, const char *rows)
{
    for (const char *s = rows, *end; (end = strchr(s, '\n')); s = end + 1) {
        r->epoch = strtoll(s, NULL, 10);
        if (end > s && end[-1] == '1') r->best_epoch = r->epoch;
    }
}

/* Splits a note into its four parts: the recipe, the position in the training, the rows of metrics.tsv, and the rows of
 * the log. Returns 0, or 1 if it does not have these parts. */
static int split_note(char *note, char *part[4])
{
    char *end;
    part[0] = note;
    for (int i = 1; i < 3; i++) {
        if (!(part[i] = strchr(part[i - 1], '\n'))) return 1;
        *part[i]++ = 0;
    }
    end = *part[2] == '\n' ? part[2] : strstr(part[2], "\n\n");
    if (!end) return 1;
    part[3] = end + (end == part[2] ? 1 : 2);
    part[3][-1] = 0;
    return 0;
}

static int take_note(tuning_t *r, char *note, const char *path, cad_error_t *err)
{
    text_t recipe = { 0 };
    long long epoch, best_epoch;
    char *part[4];
    int rc = 0;
    if (split_note(note, part) ||
        sscanf(part[1], "epoch=%lld total=%la best=%la best_epoch=%lld", &epoch, &r->total, &r->best, &best_epoch) != 4)
        return cad_fail(err, CAD_EFORMAT, "%s: not of caduceus finetune; give another folder", path);
    put_recipe(r, &recipe);
    rc = recipe.failed ? cad_out_of_memory(err) : resume_compare(part[0], recipe.s.s, path, err);
    text_free(&recipe);
    if (rc) return rc;
    r->epoch = epoch;
    r->best_epoch = best_epoch;
    r->step = cad_trainer_steps(r->trainer);
    r->seen = cad_min(r->step * r->a->batch, r->a->epochs * r->train.n);
    text_puts(&r->table, part[2]);
    text_puts(&r->updates, part[3]);
    return 0;
}

bool state_over(const tuning_t *r)
{
    const finetune_args_t *a = r->a;
    return r->epoch >= a->epochs || (a->patience && r->epoch - r->best_epoch >= a->patience);
}

/* Checks whether this training was completed in the folder before: its metrics.tsv then has the same provenance and all
 * rows. If so, sets the position in the training to its end. */
static int find_complete(tuning_t *r, cad_error_t *err)
{
    const finetune_args_t *a = r->a;
    char *path = cad_path_join(a->output, "metrics.tsv"), *text = NULL;
    size_t n = 0;
    int rc = path ? cad_read_text(&text, &n, path, true, err) : cad_out_of_memory(err);
    if (text && !a->l.no_version && n > r->table_head && !memcmp(text, r->table.s.s, r->table_head) &&
        (!a->log || access(a->log, F_OK) == 0)) {
        take_rows(r, text + r->table_head);
        r->step = r->steps;
        if (!state_over(r)) r->epoch = r->best_epoch = r->step = 0;
    }
    if (r->epoch) { /* the log of that training stays */
        output_abort(r->log);
        r->log = NULL;
    }
    free(path);
    free(text);
    return rc;
}

int state_load(tuning_t *r, cad_error_t *err)
{
    char *path = cad_path_join(r->a->output, STATE), *note = NULL;
    int rc = path ? 0 : cad_out_of_memory(err);
    if (rc == 0 && access(path, F_OK) == 0) {
        rc = cad_trainer_load(r->trainer, path, &note, err);
        if (rc == 0) rc = take_note(r, note, path, err);
    } else if (rc == 0) rc = find_complete(r, err);
    if (rc == 0 && !r->a->o.quiet) {
        if (state_over(r)) cmd_say("finetune", "%s: the training is complete", r->a->output);
        else if (r->step) cmd_say("finetune", "%s: going on after update %lld", path, (long long)r->step);
        else cmd_say("finetune", "%s: not there, beginning", path);
    }
    free(note);
    free(path);
    return rc;
}

int state_join(tuning_t *r, cad_error_t *err)
{
    struct {
        int64_t epoch, best_epoch, step, seen;
        double total, best;
    } at = { r->epoch, r->best_epoch, r->step, r->seen, r->total, r->best };
    text_t recipe = { 0 };
    int rc;
    put_recipe(r, &recipe);
    text_printf(&recipe, " save-every=%lld folder=%s", (long long)r->a->save_every, r->a->output);
    rc = recipe.failed ? cad_out_of_memory(err) : ranks_agree(&r->ranks, recipe.s.s, err);
    text_free(&recipe);
    if (rc == 0) rc = ranks_join(&r->ranks, r->trainer, r->a->among.mixed, err);
    if (rc == 0) rc = ranks_share(&r->ranks, &at, sizeof at, err);
    if (rc) return rc;
    r->epoch = at.epoch;
    r->best_epoch = at.best_epoch;
    r->step = at.step;
    r->seen = at.seen;
    r->total = at.total;
    r->best = at.best;
    return 0;
}
