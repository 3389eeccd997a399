/* run.c - one run of a source: reference, regions, model, pipeline. SPDX-License-Identifier: MIT */
#include <math.h>

#include "run.h"

/* ---- opening ---- */

void settings_init(settings_t *set)
{
    memset(set, 0, sizeof *set);
    set->mask = 8;
    set->flank = set->anchor = -1;
    reads_options_init(&set->reads);
    variants_options_init(&set->variants);
}

int run_begin(run_t *r, const source_t *source, input_t *in, cad_error_t *err)
{
    stream_t *s = &r->stream;
    int rc = source_check(source, r->set, in, err);
    if (rc) return rc;
    progress_open(&r->progress, r->o->cmd, r->o->progress, r->o->quiet, r->output);
    s->set = r->set;
    s->in = in;
    s->ref = &r->ref;
    s->notes = &r->notes;
    s->provenance = &r->provenance;
    return stream_begin(s, source, err);
}

int run_open_reference(run_t *r, const char *path, const char *aliases, cad_error_t *err)
{
    int rc;
    progress_phase(&r->progress, "reading the reference");
    rc = path ? fasta_open(&r->ref, path, &r->notes, err) : 0;
    return rc == 0 && aliases ? fasta_alias(&r->ref, aliases, err) : rc;
}

int run_open_regions(run_t *r, const limits_t *l, const char *only, const char *targets, bool some, cad_error_t *err)
{
    stream_t *s = &r->stream;
    names_t names = { &r->ref, fasta_has, r->ref.path, &r->ref, false, false };
    const names_t *known = s->source->any_name ? NULL : &names;
    int rc;
    if (s->source->names) s->source->names(s, &names);
    names.some = some;
    rc = limits_open(l, only, &r->only, known, err);
    if (rc == 0) rc = limits_open(l, targets, &r->targets, known, err);
    s->only = r->only;
    s->targets = r->targets;
    return rc;
}

int run_open_model(run_t *r, cad_error_t *err)
{
    progress_phase(&r->progress, "reading the model");
    if (!options_open_model(r->o, &r->model)) return 0;
    err->text[0] = 0;
    return CAD_EIO;
}

static int check_model(const run_t *r, cad_error_t *err)
{
    const settings_t *set = r->set;
    const source_t *source = r->stream.source;
    if (set->sep && cad_model_number(r->model, CAD_TOKEN_SEP) < 0)
        return cad_fail(err, CAD_EARG, "--sep: the model's vocabulary has no [SEP]");
    if (set->n_token && cad_model_number(r->model, CAD_TOKEN_N) < 0)
        return cad_fail(err, CAD_EARG, "--n-token: the model's vocabulary has no N");
    if (set->layer && !settings_embed(set))
        return cad_fail(err, CAD_EARG, "--layer chooses the layer of embeddings; nothing here needs them");
    if (llabs(set->layer) > cad_model_number(r->model, CAD_N_LAYER))
        return cad_fail(err, CAD_EARG, "--layer %d: the model has %lld layers", set->layer,
                        (long long)cad_model_number(r->model, CAD_N_LAYER));
    if (!cad_model_number(r->model, CAD_LABELS) || !scores_need(&set->scores, source->needs)) return 0;
    return cad_fail(err, CAD_EARG, "the model is a classifier without a language-model head%s%s",
                    source->headless ? "; " : "", source->headless ? source->headless : "");
}

int run_open_engine(run_t *r, int64_t window, const shard_t *shard, bool counting, cad_error_t *err)
{
    stream_t *s = &r->stream;
    int64_t longest = window;
    int rc;
    stream_encode(s, r->model);
    rc = s->source->plan(s, window, &longest, err);
    if (rc == 0) rc = check_model(r, err);
    if (rc == 0)
        rc = options_open_last(r->o, r->model, longest + r->set->sep, r->set->layer, r->set->variants.vocab_softmax,
                               &r->ctx, err);
    stream_connect(s);
    s->pipe.shard = *shard;
    s->pipe.ctx = counting ? NULL : r->ctx;
    s->pipe.tick = progress_tick;
    s->pipe.tick_arg = &r->progress;
    s->pipe.batch_tokens = options_batch(r->o);
    return rc;
}

/* ---- provenance ---- */

void run_describe(run_t *r)
{
    const settings_t *set = r->set;
    text_t *t = &r->options;
    int64_t layers = cad_model_number(r->model, CAD_N_LAYER), layer = set->layer + (set->layer < 0 ? layers + 1 : 0);
    if (!set->matrix) option_mask_text(set->mask, t);
    r->stream.source->describe(&r->stream, t);
    if (set->skip_soft) text_puts(t, " skip-soft-masked");
    if (set->n_token) text_puts(t, " n-token");
    if (set->sep) text_puts(t, " sep");
    if (layer && layer < layers) text_printf(t, " layer=%lld", (long long)layer);
}

int run_provenance(run_t *r, const shard_t *shard, cad_error_t *err)
{
    const char *contigs = r->ref.path && r->stream.on_reference ? r->ref.checksum : NULL;
    options_provenance(&r->provenance, r->model, r->ctx, contigs, &r->options);
    shard_provenance(&r->provenance, shard, r->work, r->shard);
    return r->options.failed ? cad_out_of_memory(err) : 0;
}

int run_settle(run_t *r, const shard_t *shard, bool plain, cad_error_t *err)
{
    text_puts(&r->options, r->o->cmd);
    run_describe(r);
    if (plain) text_puts(&r->options, TABLE_PLAIN);
    return run_provenance(r, shard, err);
}

/* ---- running ---- */

/* Returns the number of tokens that the run will compute. For a shard it is exact; otherwise it is estimated from the
 * fraction of the input that has been read. 0: not known. */
static double tokens_in_all(const stream_t *s)
{
    double read = s->source->share ? s->source->share(s) : 0;
    if (s->pipe.shard.of) return (double)s->pipe.shard.total / s->pipe.shard.of;
    return read > 0 ? (double)s->pipe.work.tokens / read : 0;
}

static void look(const void *run, progress_state_t *now)
{
    const run_t *r = run;
    const stream_t *s = &r->stream;
    double all = tokens_in_all(s);
    now->items = s->rows;
    now->tokens = s->pipe.ctx ? cad_context_done(s->pipe.ctx) : s->pipe.work.done;
    if (all > 0) now->share = fmin((double)now->tokens / all, 1);
}

/* Prints a note if no record was read or selected. Prints none for a shard, which may be empty. */
static void note_nothing(run_t *r)
{
    const stream_t *s = &r->stream;
    if (s->pipe.shard.of || !s->in || s->rows) return;
    note(&r->notes, NOTE_NOTHING, 1, "%s: nothing to do: %s", s->in->path,
         s->only || s->targets ? "-r, -R, -t and -L select no record" : "it holds no record");
}

int run_stream(run_t *r, cad_error_t *err)
{
    stream_t *s = &r->stream;
    int rc;
    if (!s->pipe.ctx) progress_phase(&r->progress, "counting the work");
    else progress_begin(&r->progress, s->source->counts, look, r);
    rc = stream_run(s, err);
    if (rc == 0) note_nothing(r);
    return rc;
}

int run_report(run_t *r, int rc, const cad_error_t *err)
{
    const stream_t *s = &r->stream;
    if (rc) progress_clear(&r->progress);
    if (rc && err->text[0]) cmd_fail(r->o->cmd, "%s", err->text);
    progress_end(&r->progress, rc == 0 && s->pipe.ctx);
    if (rc == 0) notes_summary(&r->notes);
    return rc != 0;
}

void run_report_work(const run_t *r, const char *what, int64_t rows)
{
    report_t report = { .json = r->o->json };
    report_work(&report, &r->stream.pipe.work, r->ctx, r->model, r->o->threads, what, rows);
    report_end(&report);
}

void run_end(run_t *r)
{
    stream_end(&r->stream);
    text_free(&r->options);
    fasta_close(&r->ref);
    regions_free(r->only);
    regions_free(r->targets);
    cad_context_close(r->ctx);
    cad_model_close(r->model);
}
