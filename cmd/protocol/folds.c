/* folds.c - trains the folds of a benchmark, each by a call of finetune, with the paper's settings or the user's. The
 * folds are numbered in one order; a shard trains every N-th. SPDX-License-Identifier: MIT */
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/protocol.h"
#include "train/finetune.h"

/* ---- data ---- */

/* Returns DATA/TASK/NAME with one of the benchmark's suffixes, malloc'd; NULL if there is none. */
static char *find_part(const folds_t *s, const bench_task_t *t, const char *name)
{
    for (int i = 0; s->b->suffix[i]; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s/%s%s", s->a->data, t->name, name, s->b->suffix[i]) < 0) return NULL;
        if (access(path, R_OK) == 0) return path;
        free(path);
    }
    return NULL;
}

static bool has_data(const folds_t *s, const bench_task_t *t)
{
    static const char *const part[] = { "train", "test", "dev" };
    bool all = true;
    for (int i = 0; i < 2 + s->b->dev; i++) {
        char *path = find_part(s, t, part[i]);
        all &= path != NULL;
        free(path);
    }
    return all;
}

/* True if the folder of a class or split has a table, whose intervals need the reference. */
static bool has_tables(const char *dir)
{
    class_file_t *file = NULL;
    cad_error_t err;
    int n = 0;
    bool yes = class_files(dir, &file, &n, &err) == 0 && !file[0].text;
    class_files_free(file, n);
    return yes;
}

/* ---- one fold ---- */

static void words_of(const folds_t *s, const fold_t *f, const char *dir, words_t *w)
{
    const protocol_args_t *a = s->a;
    char *train = find_part(s, f->task, "train"), *test = find_part(s, f->task, "test"),
         *dev = s->b->dev ? find_part(s, f->task, "dev") : NULL;
    w->failed |= !train || !test || (s->b->dev && !dev);
    words_add(w, "finetune");
    words_add(w, "--quiet");
    words_add(w, "--resume");
    words_model(w, &a->o);
    words_add(w, "--pad=%lld", (long long)f->task->length);
    words_add(w, "--metric=%s", METRIC_NAME[f->task->metric]);
    words_add(w, "--epochs=%lld", (long long)a->epochs);
    words_add(w, "--lr=%.9g", f->lr);
    words_add(w, "--batch=%lld", (long long)f->batch);
    words_add(w, "--seed=%lld", (long long)f->seed);
    if (a->published) words_add(w, "--as-published");
    if (a->scratch) words_add(w, "--from-scratch");
    if (a->pool) words_add(w, "--pool=%s", a->pool);
    if (a->reference && train && has_tables(train)) words_pair(w, "-T", a->reference);
    words_pair(w, "--valid", dev);
    words_pair(w, "--test", test);
    words_pair(w, "-o", dir);
    words_pair(w, "--", train);
    free(train);
    free(test);
    free(dev);
}

static int train_fold(folds_t *s, fold_t *f, cad_error_t *err)
{
    words_t w = { .n = 0 };
    tuned_t tuned = { .epoch = 0 };
    char *dir = cad_path_join(s->runs, f->id);
    int rc = dir ? 0 : cad_out_of_memory(err);
    if (rc == 0) words_of(s, f, dir, &w);
    if (rc == 0 && w.failed) rc = cad_out_of_memory(err);
    optind = 0; /* makes getopt start again */
    if (rc == 0 && finetune_call(w.n, w.word, &tuned)) {
        err->text[0] = 0; /* this error has already been reported */
        rc = CAD_EIO;
    }
    glue_command("protocol");
    if (rc == 0) {
        f->epoch = tuned.epoch;
        f->valid = tuned.valid;
        f->tested = tuned.tested;
        memcpy(f->test, tuned.test, sizeof f->test);
        f->done = true;
        rc = fold_write(s, f, &tuned.provenance, err);
    }
    if (rc == 0 && !s->a->keep) rc = protocol_remove(dir, err);
    text_free(&tuned.provenance);
    words_free(&w);
    free(dir);
    return rc;
}

/* ---- all folds ---- */

/* Adds the folds of a task: every learning rate and batch with every seed. */
static int add_folds(folds_t *s, const bench_task_t *t, bool chosen)
{
    const protocol_args_t *a = s->a;
    for (int i = 0; i < CHOICES && a->lr[i] > 0; i++)
        for (int j = 0; j < CHOICES && a->batch[j] > 0; j++)
            for (int64_t seed = 1; seed <= a->seeds; seed++) {
                fold_t *f = &s->fold[s->n];
                *f = (fold_t) { .task = t, .lr = a->lr[i], .batch = a->batch[j], .seed = seed, .chosen = chosen };
                if (asprintf(&f->id, "%s.lr%.9g.batch%lld.seed%lld", t->name, f->lr, (long long)f->batch,
                             (long long)seed) < 0)
                    return CAD_ENOMEM;
                for (char *c = f->id; *c; c++)
                    if (*c == '/') *c = '_';
                s->n++;
            }
    return 0;
}

/* True if the comma-separated list has the name. */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *s = list; s; s = strchr(s, ',') ? strchr(s, ',') + 1 : NULL)
        if (strcspn(s, ",") == n && !memcmp(s, name, n)) return true;
    return false;
}

/* Checks that every name in --task is that of a task. */
static int check_names(const folds_t *s, cad_error_t *err)
{
    for (const char *name = s->a->tasks; name; name = strchr(name, ',') ? strchr(name, ',') + 1 : NULL) {
        bool known = false;
        for (int i = 0; i < s->b->tasks; i++)
            known |= strlen(s->b->task[i].name) == strcspn(name, ",") &&
                     !strncmp(name, s->b->task[i].name, strcspn(name, ","));
        if (!known)
            return cad_fail(err, CAD_EARG, "--task %.*s: no task of %s, whose tasks are %s, %s ...",
                            (int)strcspn(name, ","), name, s->b->name, s->b->task[0].name, s->b->task[1].name);
    }
    return 0;
}

/* Lists the folds of all tasks; those of tasks that are chosen and have data are to be trained. */
static int list_folds(folds_t *s, cad_error_t *err)
{
    int found = 0, rc = check_names(s, err);
    s->each = s->a->seeds;
    s->fold = cad_alloc((size_t)s->b->tasks * CHOICES * CHOICES * (size_t)s->each, sizeof *s->fold);
    if (rc == 0 && !s->fold) rc = cad_out_of_memory(err);
    for (int i = 0; i < s->b->tasks && rc == 0; i++) {
        const bench_task_t *t = &s->b->task[i];
        bool wanted = !s->a->tasks || listed(s->a->tasks, t->name), there = has_data(s, t);
        if (wanted && !there && s->a->tasks)
            return cad_fail(err, CAD_EARG, "%s/%s: not there, or without %strain and test%s", s->a->data, t->name,
                            s->b->dev ? "dev, " : "", *s->b->suffix[0] ? s->b->suffix[0] : "");
        found += wanted && there;
        if (add_folds(s, t, wanted && there)) rc = cad_out_of_memory(err);
    }
    if (rc == 0 && !found)
        rc = cad_fail(err, CAD_EARG, "%s: has no folder of a task of %s, such as %s", s->a->data, s->b->name,
                      s->b->task[0].name);
    if (rc == 0 && found < s->b->tasks && !s->a->tasks && !s->a->o.quiet)
        cmd_say("protocol", "%s has data of %d of %d tasks", s->a->data, found, s->b->tasks);
    return rc;
}

/* Sets the recipe: what must be equal for rows to be comparable. */
static int set_recipe(folds_t *s, cad_error_t *err)
{
    const protocol_args_t *a = s->a;
    cad_model_t *model;
    if (options_open_model(&a->o, &model)) {
        err->text[0] = 0; /* this error has already been reported */
        return CAD_EIO;
    }
    text_printf(&s->recipe, "protocol=%s model=%s epochs=%lld precision=%s%s%s%s%s", s->b->name,
                cad_model_text(model, CAD_TEXT_SHA256), (long long)a->epochs,
                a->o.precision ? a->o.precision : "default", a->published ? " as-published" : "",
                a->scratch ? " from-scratch" : "", a->o.adapter ? " adapter=" : "", a->o.adapter ? a->o.adapter : "");
    if (a->pool && strcmp(a->pool, "mean")) text_printf(&s->recipe, " pool=%s", a->pool);
    cad_model_close(model);
    return s->recipe.failed ? cad_out_of_memory(err) : 0;
}

static int make_folders(folds_t *s, cad_error_t *err)
{
    int rc = cad_folder_make(s->a->output, NULL, err);
    return rc ? rc : cad_folder_make(s->runs, NULL, err);
}

static void say_fold(const folds_t *s, int64_t i)
{
    const fold_t *f = &s->fold[i];
    text_t t = { 0 };
    if (s->a->o.quiet) return;
    text_number(&t, f->valid);
    text_puts(&t, ", test ");
    text_number(&t, f->test[f->task->metric]);
    cmd_say("protocol", "%s, lr %g, batch %lld, seed %lld: validation %s %s", f->task->name, f->lr, (long long)f->batch,
            (long long)f->seed, METRIC_NAME[f->task->metric], t.s.s ? t.s.s : "");
    text_free(&t);
}

/* Trains the folds of this shard that are left. Counts in *chosen and *done all folds that are asked for. */
static int train_folds(folds_t *s, int64_t *chosen, int64_t *done, cad_error_t *err)
{
    const shard_t *share = &s->a->shard;
    int rc = 0;
    for (int64_t i = 0; i < s->n && rc == 0; i++) rc = fold_read(s, &s->fold[i], err);
    for (int64_t i = 0; i < s->n && rc == 0; i++) {
        fold_t *f = &s->fold[i];
        bool ours = f->chosen && (!share->of || *chosen % share->of == share->index - 1);
        *chosen += f->chosen;
        if (s->a->dry_run && ours) printf("%s\t%s\n", f->id, f->done ? "done" : "to do");
        if (ours && !f->done && !s->a->dry_run) {
            rc = train_fold(s, f, err);
            if (rc == 0) say_fold(s, i);
        }
    }
    /* other shards may have finished rows in the meantime */
    for (int64_t i = 0; i < s->n && rc == 0; i++) {
        if (!s->fold[i].done) rc = fold_read(s, &s->fold[i], err);
        *done += s->fold[i].chosen && s->fold[i].done;
    }
    return rc;
}

static void folds_free(folds_t *s)
{
    for (int64_t i = 0; i < s->n; i++) free(s->fold[i].id);
    free(s->fold);
    free(s->runs);
    text_free(&s->recipe);
}

int protocol_benchmark(const protocol_args_t *a, const benchmark_t *b, cad_error_t *err)
{
    folds_t s = { .a = a, .b = b, .runs = cad_path_join(a->output, "runs") };
    int64_t chosen = 0, done = 0;
    int rc = s.runs ? list_folds(&s, err) : cad_out_of_memory(err);
    if (rc == 0) rc = set_recipe(&s, err);
    if (rc == 0 && !a->dry_run) rc = make_folders(&s, err);
    if (rc == 0) rc = train_folds(&s, &chosen, &done, err);
    if (rc == 0 && !a->dry_run && (done == chosen || !a->shard.of)) rc = folds_tables(&s, err);
    else if (rc == 0 && !a->dry_run && !a->o.quiet)
        cmd_say("protocol", "%lld of %lld runs are done; the last shard writes the tables", (long long)done,
                (long long)chosen);
    folds_free(&s);
    return rc;
}
