/* tuning_files.c - the folder, the model and the labelled sequences of caduceus finetune.
 * SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "io/foundation.h"
#include "io/signals.h"
#include "train/augmenting.h"
#include "train/bases.h"
#include "train/bin_task.h"
#include "train/imbalance.h"

/* ---- outputs ---- */

#define NPARTS 5
static const char *const PARTS[NPARTS] = { "config.json", "tokenizer_config.json", "metrics.tsv", "model.safetensors" },
                         *const ADAPTER_PARTS[NPARTS] = { "config.json", "tokenizer_config.json", "metrics.tsv",
                                                          "adapter_model.safetensors", "adapter_config.json" };

/* Returns the name of output file i, 0 to NPARTS-1, or NULL. */
static const char *part(const finetune_args_t *a, int i) { return (a->lora ? ADAPTER_PARTS : PARTS)[i]; }

static int name_files(const finetune_args_t *a, cad_error_t *err)
{
    ledger_t files = { 0 };
    int rc = 0;
    ledger_reference(&files, a->l.reference);
    for (int64_t k = 0; k < a->nlabel; k++) ledger_input(&files, a->tracks ? bins_file(a->label[k]) : a->label[k]);
    ledger_input(&files, a->bases || a->tracks ? NULL : a->valid);
    ledger_input(&files, a->bases || a->tracks ? NULL : a->test);
    options_input_model(&a->o, &files);
    for (int i = 0; i < NPARTS && part(a, i) && rc == 0; i++) {
        char *path = cad_path_join(a->output, part(a, i));
        rc = path ? ledger_output(&files, path, err) : cad_out_of_memory(err);
        free(path);
    }
    if (rc == 0) rc = ledger_output(&files, a->log, err);
    if (rc == 0 && a->log) rc = output_suffix(a->log, "tsv tab txt", "tsv tab txt", err);
    ledger_free(&files);
    return rc;
}

/* Checks that a file can be created at path, and leaves no file there. */
static int try_file(const char *path, cad_error_t *err)
{
    output_t *out;
    int rc = output_open(&out, path, false, err);
    if (rc == 0) output_abort(out);
    return rc;
}

int tuning_folder(tuning_t *r, cad_error_t *err)
{
    const char *dir = r->a->output;
    int rc = name_files(r->a, err);
    if (rc) return rc;
    signals_hold();
    rc = cad_folder_make(dir, &r->made, err);
    if (r->made) r->ticket = temporary_folder(dir);
    signals_release();
    if (rc == 0) rc = cad_folder_claim(dir, &r->claim, err);
    if (rc == 0) cad_folder_sweep(dir);
    if (rc == 0) rc = state_refuse(r->a, err);
    if (rc == 0 && r->a->lora && cad_path_present(dir, "model.safetensors"))
        rc = cad_fail(err, CAD_EARG,
                      "%s: holds a whole model, which would be read instead of the adapter; choose another folder",
                      dir);
    for (int i = 0; i < NPARTS && part(r->a, i) && rc == 0; i++) {
        char *path = cad_path_join(dir, part(r->a, i));
        rc = path ? try_file(path, err) : cad_out_of_memory(err);
        free(path);
    }
    return rc == 0 && r->a->log ? output_open(&r->log, r->a->log, output_is_gz(r->a->log), err) : rc;
}

/* ---- inputs ---- */

static int read_one(tuning_t *r, examples_t *e, const char *path, bool *bed, cad_error_t *err)
{
    const finetune_args_t *a = r->a;
    label_options_t how = a->l;
    labelled_t l;
    int rc;
    if (e != &r->train) how.around = 0;
    rc = labels_open(&l, &how, path, &r->ref, a->l.window, true, err);
    *bed |= rc == 0 && ((l.in.kind == INPUT_BED && !l.table) || l.placed || l.file);
    if (rc == 0) rc = examples_read(e, &l, err);
    e->path = strcmp(path, "-") ? path : "standard input";
    labelled_close(&l);
    return rc;
}

static int read_inputs(tuning_t *r, cad_error_t *err)
{
    const finetune_args_t *a = r->a;
    bool bed = false;
    int rc = a->l.reference ? fasta_open(&r->ref, a->l.reference, &r->notes, err) : 0;
    if (rc == 0) rc = read_one(r, &r->train, a->train, &bed, err);
    if (rc == 0 && a->valid) rc = read_one(r, &r->valid, a->valid, &bed, err);
    if (rc == 0 && a->test) rc = read_one(r, &r->test, a->test, &bed, err);
    if (rc == 0 && a->l.reference && !bed)
        rc = cad_fail(err, CAD_EARG, "-T: no input is a BED, and only a BED needs a reference");
    return rc;
}

/* Sets the head's labels from the training rows, and moves some of these rows to the validation rows. */
static int settle_labels(tuning_t *r, cad_error_t *err)
{
    const finetune_args_t *a = r->a;
    int rc = examples_learn(&r->train, &r->head, err);
    if (rc == 0) rc = examples_targets(&r->train, &r->head, err);
    if (rc == 0 && a->valid) rc = examples_targets(&r->valid, &r->head, err);
    else if (rc == 0 && a->t.fraction > 0)
        rc = examples_split(&r->train, &r->valid, &r->head, a->t.fraction, (uint64_t)a->t.seed, err);
    r->head.longest = r->train.longest;
    r->head.pad = a->l.pad;
    return rc == 0 && a->test ? examples_targets(&r->test, &r->head, err) : rc;
}

static int open_model(tuning_t *r, cad_error_t *err)
{
    const finetune_args_t *a = r->a;
    int rc = options_load_model(&a->o, &r->model, err);
    if (rc) return rc;
    if (a->lora && *cad_model_text(r->model, CAD_TEXT_ADAPTER))
        return cad_fail(
            err, CAD_EARG,
            "the model has an adapter already; merge it with caduceus model convert --merge, and train on that");
    rc = augmenting_check(r, err);
    if (rc) return rc;
    memcpy(r->source, cad_model_text(r->model, CAD_TEXT_SHA256), sizeof r->source);
    rc = a->dry_run || a->lora || !ranks_first(&r->ranks) ? 0 : cad_model_save_check(r->model, a->output, err);
    snprintf(r->status, sizeof r->status, "fine-tuned by caduceus %s from %s%.12s", cad_version(),
             a->scratch ? "scratch, as " : "", r->source);
    return rc;
}

/* Prints a note if sequences are far longer than the windows on which the initial model was trained. */
static void note_long(tuning_t *r)
{
    int64_t length = cad_model_number(r->model, CAD_MAX_LEN);
    for (int64_t i = 0; i < r->train.n; i++)
        if (r->train.row[i].len / 2 >= length)
            note(&r->notes, NOTE_LONG, 1, "%s:%lld: %lld bases, and the model's length is %lld; consider --crop",
                 r->train.path, (long long)r->train.row[i].line, (long long)r->train.row[i].len, (long long)length);
}

static int default_window(const tuning_t *r, finetune_args_t *a, cad_error_t *err)
{
    int64_t length = cad_model_number(r->model, CAD_MAX_LEN);
    a->l.window = a->bases || a->tracks ? cad_min(length, BASES_WINDOW) : length;
    if (!a->tracks) return 0;
    a->l.window -= a->l.window % a->bin;
    if (a->l.window) return 0;
    return cad_fail(err, CAD_EARG, "--bin %lld: longer than the model's window of %lld bases; give --window",
                    (long long)a->bin, (long long)cad_min(length, BASES_WINDOW));
}

int tuning_inputs(tuning_t *r, finetune_args_t *a, cad_error_t *err)
{
    int rc = open_model(r, err);
    if (rc) return rc;
    if (!a->l.window) rc = default_window(r, a, err);
    if (rc) return rc;
    if (a->bases) rc = bases_read(r, err);
    else if (a->tracks) rc = bins_read(r, err);
    else {
        rc = read_inputs(r, err);
        if (rc == 0) rc = settle_labels(r, err);
        if (rc == 0) rc = imbalance_open(r, err);
        if (rc == 0) note_long(r);
    }
    return rc;
}
