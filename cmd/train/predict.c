/* predict.c - caduceus predict: predicts classes, labels or values of sequences with a fine-tuned model.
 * SPDX-License-Identifier: MIT
 */
#include "learn/examples.h"
#include "learn/metrics.h"
#include "stream/columns.h"
#include "train/label_options.h"
#include "train/predict_bases.h"

#define ROWS 65536 /* maximum number of lines in a batch */

static const char USAGE[] =
    "Usage: caduceus predict [options] IN\n\n"
    "Applies a fine-tuned checkpoint to each sequence of a CSV or TSV with a header, of a\n"
    "FASTA or FASTQ, or of a BED over a reference. Writes the probability of each class\n"
    "or label and the predicted class or labels, or the values of a regression: as\n"
    "columns added to a BED, as a TSV for other inputs. IN may be compressed; - is\n"
    "standard input. A checkpoint of finetune --task bases or tracks predicts each base, or\n"
    "values of bins, of a FASTA, or of the regions of a BED over -T.\n\n"
    "Options:\n"
    "  -o, --output FILE      output; .csv is CSV; compressed if it ends in .gz; for bases,\n"
    "                         .bed has runs of a class; .bedGraph and .bw are a file for\n"
    "                         each class or track [-]\n" LABELS_USAGE
    "      --metrics FILE     compare predictions with the labels in IN, as finetune does\n"
    "      --json             write the metrics as JSON\n"
    "      --shard I/N|slurm  bases, tracks: only this share of the work; caduceus merge joins\n"
    "                         the parts\n"
    "  -m, --model PATH       checkpoint of caduceus finetune [$CADUCEUS_MODEL]\n" PROGRESS_USAGE OPTIONS_USAGE_RUN
    "\nExamples:\n"
    "  caduceus predict -m classifier more.fa -o classes.tsv\n"
    "  caduceus predict -m classifier test.csv --metrics metrics.tsv -o classes.tsv\n";

typedef struct {
    options_t o;
    label_options_t l;
    const char *in, *output, *metrics;
    shard_t shard;
    char *named; /* the output, if made from a name with {shard} */
} args_t;

typedef struct {
    kstring_t text;  /* text that is written before the result: the input line, the record's name, or its number */
    int64_t example; /* index of the example in the batch; -1: the row has no sequence, -2: the line is not a row */
    bool cr;         /* the input line ended in CR LF */
} line_t;

typedef struct {
    const args_t *a;
    notes_t notes;
    fasta_t ref;
    labelled_t in;
    output_t *out, *metrics;
    cad_model_t *model;
    cad_context_t *ctx;
    cad_head_t head;
    examples_t batch;
    line_t *line; // (ROWS)
    int64_t nline;
    // (rows,K) for K outputs; the rows are all rows if --metrics is given, otherwise those of the batch
    float *logits, *target;
    int64_t rows, room;
    bool headed;
    bool csv, plain; /* csv: write CSV; plain: write neither provenance nor the '#' of the header */
    text_t text, options;
    provenance_t provenance;
    progress_t progress;
} run_t;

/* ---- options ---- */

enum { O_METRICS = 1 };
static const struct option LONGS[] = { OPTIONS_LONG,
                                       OPTIONS_PROGRESS,
                                       OPTIONS_LABELS,
                                       OPT_VALUE("output", 'o'),
                                       OPT_VALUE("metrics", O_METRICS),
                                       OPT_VALUE("shard", OPT_SHARD),
                                       { 0 } };

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    int rc = labels_take(&a->l, "predict", c, arg);
    if (rc < 1) return rc;
    if (c == OPT_SHARD) return option_shard("predict", arg, &a->shard);
    if (c != 'o' && c != O_METRICS) return options_take(&a->o, c, arg);
    *(c == 'o' ? &a->output : &a->metrics) = arg;
    return 0;
}

/* Returns 0 to continue, 1 after an error, 2 after printing help. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int rc;
    *a = (args_t) { .output = "-" };
    options_init(&a->o, "predict");
    rc = options_parse(&CMD_PREDICT, argc, argv, take_option, a);
    if (rc == 0) rc = options_operands(&CMD_PREDICT, argc, argv, "one input");
    if (rc) return rc;
    a->in = argv[optind];
    if (option_named("predict", &a->shard, &a->output, &a->named)) return 1;
    if (a->shard.of && !strcmp(a->output, "-")) return cmd_fail("predict", "--shard needs an output file");
    if (a->metrics && !strcmp(a->metrics, "-") && !strcmp(a->output, "-"))
        return cmd_fail("predict", "--metrics and the output are both standard output");
    if (a->o.json && !a->metrics) return cmd_fail("predict", "--json goes with --metrics");
    if (a->l.labels && !a->metrics) return cmd_fail("predict", "--label-column needs --metrics");
    return 0;
}

/* ---- opening ---- */

static int check_suffixes(const args_t *a, cad_error_t *err)
{
    static const char rows[] = "tsv tab txt csv bed";
    const char *metrics = a->o.json ? "json txt" : "tsv tab txt";
    int rc = output_suffix(a->output, rows, rows, err);
    return rc || !a->metrics ? rc : output_suffix(a->metrics, metrics, metrics, err);
}

static int open_outputs(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    ledger_t files = { 0 };
    int rc;
    ledger_input(&files, a->in);
    ledger_reference(&files, a->l.reference);
    options_input_model(&a->o, &files);
    rc = ledger_output(&files, a->metrics, err);
    if (rc == 0) rc = ledger_output(&files, a->output, err);
    ledger_free(&files);
    if (rc == 0) rc = check_suffixes(a, err);
    r->csv = output_is_csv(a->output);
    r->plain = a->l.no_version || r->csv;
    if (rc == 0) rc = output_open(&r->out, a->output, output_is_gz(a->output), err);
    return rc == 0 && a->metrics ? output_open(&r->metrics, a->metrics, output_is_gz(a->metrics), err) : rc;
}

static int open_model(run_t *r, cad_error_t *err)
{
    int rc;
    if (!options_model(&r->a->o))
        return cad_fail(err, CAD_EARG, "name a checkpoint of caduceus finetune with -m or $CADUCEUS_MODEL");
    rc = options_load_model(&r->a->o, &r->model, err);
    if (rc) return rc;
    if (!cad_model_number(r->model, CAD_LABELS))
        return cad_fail(err, CAD_EARG,
                        "the model is a language model without a classifier; make one of it with caduceus finetune");
    cad_head_init(&r->head);
    return cad_head_read(&r->head, r->model, err);
}

static bool is_bed(const run_t *r) { return r->in.in.kind == INPUT_BED && !r->in.table; }

static int open_input(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    int64_t window = a->l.window ? a->l.window : cad_model_number(r->model, CAD_MAX_LEN);
    label_options_t how = a->l;
    int rc = a->l.reference ? fasta_open(&r->ref, a->l.reference, &r->notes, err) : 0;
    how.pad = r->head.pad;
    if (rc == 0) rc = labels_open(&r->in, &how, a->in, &r->ref, window, a->metrics != NULL, err);
    if (rc) return rc;
    if (!is_bed(r)) rc = output_suffix(a->output, "tsv tab txt csv", "tsv tab txt csv", err);
    if (rc) return rc;
    if (a->l.reference && !is_bed(r) && !r->in.placed && !r->in.file)
        return cad_fail(err, CAD_EARG, "%s: holds its own sequences; -T does not fit", r->in.in.path);
    text_printf(&r->options, "predict window=%lld%s", (long long)window, a->l.crop ? " crop" : "");
    return options_open_last(&a->o, r->model, window, 0, false, &r->ctx, err);
}

static int make_room(run_t *r, cad_error_t *err)
{
    r->line = calloc(ROWS, sizeof *r->line);
    return r->line ? examples_begin(&r->batch, &r->in, err) : cad_out_of_memory(err);
}

/* ---- writing ---- */

/* True if the line s (n bytes) is left out of the output: a track or browser line, if the output is compressed. Prints
 * a note about the first such line. */
static bool dropped(run_t *r, const char *s, size_t n)
{
    if (bed_line_kind(s, n) != LINE_BROWSER || !output_is_gz(r->a->output)) return false;
    note(&r->notes, NOTE_BROWSER, 1, "%s: track and browser lines are left out of a compressed BED", r->in.in.path);
    return true;
}

/* Writes the input lines before the first row, except the header, to the output. */
static void put_leading(run_t *r, const char *header)
{
    const char *s = r->in.leading.s, *end = s ? s + r->in.leading.l : NULL, *stop;
    for (; s < end; s = stop + 1) {
        stop = memchr(s, '\n', (size_t)(end - s));
        if (s != header && !dropped(r, s, (size_t)(stop - s))) text_put(&r->text, s, (size_t)(stop - s) + 1);
    }
}

static void put_header(run_t *r)
{
    text_t names = { 0 };
    size_t n;
    const char *header = labelled_header(&r->in, &n);
    prediction_names(&r->head, &names);
    if (is_bed(r)) {
        if (!r->csv) put_leading(r, header);
        table_columns(&r->provenance, r->plain, r->in.ncol, header, n, &names, prediction_columns(&r->head), &r->text);
    } else {
        if (!r->plain) provenance_header(&r->provenance, &r->text);
        text_printf(&r->text, "%s%s", r->in.named ? "name" : "row", names.s.s ? names.s.s : "");
        r->text.failed |= names.failed;
    }
    text_puts(&r->text, "\n");
    text_free(&names);
    r->headed = true;
}

static void put_line(run_t *r, const line_t *x, const float *logits, double *p)
{
    text_t *t = &r->text;
    if (r->csv && x->example == -2) return; /* a comment, which CSV cannot hold */
    text_put(t, x->text.s, x->text.l);
    if (x->example >= 0) {
        prediction_of(&r->head, logits + x->example * r->head.n, p);
        prediction_put(&r->head, p, t);
    } else if (x->example == -1) prediction_none(&r->head, t);
    if (x->example >= -1 && is_bed(r) && table_filler(r->in.ncol, prediction_columns(&r->head))) text_puts(t, "\t.");
    text_puts(t, x->cr ? "\r\n" : "\n");
}

/* ---- batches ---- */

static int room_for_logits(run_t *r, cad_error_t *err)
{
    int64_t need = r->rows + r->batch.n, K = r->head.n;
    float *more;
    if (need <= r->room) return 0;
    r->room = cad_max(need, 2 * r->room);
    more = realloc(r->logits, (size_t)(r->room * K) * sizeof *more);
    if (more) r->logits = more;
    if (more && r->metrics && (more = realloc(r->target, (size_t)(r->room * K) * sizeof *more))) r->target = more;
    return more ? 0 : cad_fail(err, CAD_ENOMEM, "out of memory for %lld rows", (long long)r->room);
}

static int compute(run_t *r, cad_error_t *err)
{
    examples_t *e = &r->batch;
    int64_t K = r->head.n;
    int rc = room_for_logits(r, err);
    if (rc) return rc;
    examples_encode(e, r->model, &r->notes);
    rc = examples_logits(e, r->ctx, r->model, r->head.n, options_batch(&r->a->o), r->logits + r->rows * K, err);
    if (rc || !r->metrics) return rc;
    rc = examples_targets(e, &r->head, err);
    if (rc == 0) memcpy(r->target + r->rows * K, e->target, (size_t)(e->n * K) * sizeof *e->target);
    return rc;
}

static int write_text(run_t *r, cad_error_t *err)
{
    text_t csv = { 0 };
    int rc;
    if (r->csv) text_csv(&csv, &r->text);
    rc = text_write(r->out, r->csv ? &csv : &r->text, err);
    text_free(&csv);
    return rc;
}

static int flush(run_t *r, cad_error_t *err)
{
    double *p = cad_alloc((size_t)r->head.n, sizeof *p);
    int rc = p ? compute(r, err) : cad_out_of_memory(err);
    text_clear(&r->text);
    if (rc == 0 && !r->headed) put_header(r);
    for (int64_t i = 0; i < r->nline && rc == 0; i++) put_line(r, &r->line[i], r->logits + r->rows * r->head.n, p);
    if (rc == 0) rc = write_text(r, err);
    if (rc == 0 && r->metrics) r->rows += r->batch.n;
    progress_tick(&r->progress);
    r->nline = 0;
    examples_clear(&r->batch);
    free(p);
    return rc;
}

/* Sets s to the text that is written before a row's result: the input line (BED), or the row's name or number. */
static int put_text(const run_t *r, kstring_t *s, cad_error_t *err)
{
    const labelled_t *l = &r->in;
    int rc;
    s->l = 0;
    if (is_bed(r)) rc = kputsn(l->text.s ? l->text.s : "", l->text.l, s);
    else rc = l->named ? kputsn(l->name.s, l->name.l, s) : kputll((long long)l->row, s);
    return rc < 0 ? cad_out_of_memory(err) : 0;
}

/* Prints a note about a sequence that is far longer than those on which the classifier was trained. The classifier
 * averages over all bases, so a short signal has less weight in a longer sequence. */
static void note_long(run_t *r)
{
    const labelled_t *l = &r->in;
    int64_t n = (int64_t)l->bases.l, longest = r->head.longest;
    if (longest && n / 2 >= longest)
        note(&r->notes, NOTE_LONG, 1,
             "%s:%lld: %lld bases, and the model was tuned on sequences of up to %lld; predictions for such long ones "
             "may mean little: consider --crop --window %lld",
             l->in.path, (long long)l->line, (long long)n, (long long)longest, (long long)longest);
}

static int take_row(run_t *r, cad_error_t *err)
{
    const labelled_t *l = &r->in;
    line_t *x = &r->line[r->nline];
    int rc = put_text(r, &x->text, err);
    if (rc || (!l->data && dropped(r, l->text.s, l->text.l))) return rc;
    x->example = l->data ? l->bases.l ? r->batch.n : -1 : -2;
    x->cr = is_bed(r) && l->cr;
    r->nline++;
    if (x->example == -1)
        note(&r->notes, NOTE_EMPTY, 1, "%s:%lld: an empty sequence; its columns are \".\"", l->in.path,
             (long long)l->line);
    if (x->example >= 0) note_long(r);
    if (x->example >= 0) rc = examples_add(&r->batch, l, err);
    return rc == 0 && (r->nline == ROWS || r->batch.tokens >= options_batch(&r->a->o)) ? flush(r, err) : rc;
}

static void look(const void *run, progress_state_t *now)
{
    const run_t *r = run;
    const input_t *in = &r->in.in;
    now->items = r->in.row;
    now->tokens = r->ctx ? cad_context_done(r->ctx) : 0;
    if (in->size) now->share = (double)in->bytes / (double)in->size;
}

static int read_rows(run_t *r, cad_error_t *err)
{
    int rc;
    progress_open(&r->progress, "predict", r->a->o.progress, r->a->o.quiet, r->a->output);
    progress_begin(&r->progress, is_bed(r) ? "regions" : "sequences", look, r);
    options_provenance(&r->provenance, r->model, r->ctx, r->a->l.reference ? r->ref.checksum : NULL, &r->options);
    while ((rc = labelled_next(&r->in, err)) > 0)
        if ((rc = take_row(r, err))) return rc;
    if (rc == 0 && r->in.row == 0 && r->metrics)
        return cad_fail(err, CAD_EFORMAT, "%s: no rows to compare with labels", r->in.in.path);
    if (rc == 0 && r->in.row == 0)
        note(&r->notes, NOTE_NOTHING, 1, "%s: nothing to do: it holds no record", r->in.in.path);
    return rc ? rc : flush(r, err);
}

static void put_json(run_t *r, const metrics_t *m)
{
    json_t *json = r->a->l.no_version ? json_object() : provenance_object(&r->provenance);
    metrics_json(m, &r->head, json);
    provenance_layout(json, &r->text);
    json_decref(json);
}

static int write_metrics(run_t *r, cad_error_t *err)
{
    metrics_t m = { .n = 0 };
    int rc = metrics_of(&m, &r->head, r->logits, r->target, r->rows, err);
    text_clear(&r->text);
    if (rc == 0 && r->a->o.json) put_json(r, &m);
    else if (rc == 0) {
        if (!r->a->l.no_version) provenance_header(&r->provenance, &r->text);
        metrics_put(&m, &r->head, &r->text);
    }
    metrics_free(&m);
    return rc ? rc : text_write(r->metrics, &r->text, err);
}

static int close_outputs(run_t *r, cad_error_t *err)
{
    output_t **out[] = { &r->out, &r->metrics };
    int rc = r->metrics ? write_metrics(r, err) : 0;
    return rc ? rc : outputs_close(out, 2, err);
}

/* True if only a model of bases writes outputs of this name. */
static bool of_bases(const char *path)
{
    static const char *const suffix[] = { ".bw", ".bigWig", ".bedGraph", ".bg", ".bedGraph.gz", ".bg.gz" };
    bool yes = false;
    for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++) yes = yes || ends_in(path, suffix[i]);
    return yes;
}

static int run_bases(run_t *r, cad_error_t *err)
{
    const args_t *a = r->a;
    predict_bases_t p = { &a->o, &a->l, a->in, a->output, r->model, &r->head, &r->notes, &r->progress, a->shard };
    output_abort(r->out);
    r->out = NULL;
    if (a->metrics)
        return cad_fail(err, CAD_EARG,
                        "--metrics: the model has outputs for each base or bin; finetune measures those of contigs");
    if (a->l.crop || a->l.format || a->l.sequence)
        return cad_fail(err, CAD_EARG,
                        "the model has outputs for each base or bin; --crop, --in-format and --sequence-column "
                        "are for sequences");
    return predict_bases(&p, err);
}

static int run(run_t *r, cad_error_t *err)
{
    bool later = of_bases(r->a->output);
    int rc = later ? 0 : open_outputs(r, err);
    if (rc == 0) rc = open_model(r, err);
    if (rc == 0 && r->head.bin) return run_bases(r, err);
    if (rc == 0 && r->a->shard.of)
        rc = cad_fail(err, CAD_EARG, "--shard: the model predicts whole sequences, one a row; split the input instead");
    if (rc == 0 && later) rc = open_outputs(r, err);
    if (rc == 0) rc = open_input(r, err);
    if (rc == 0) rc = make_room(r, err);
    if (rc == 0) rc = read_rows(r, err);
    return rc ? rc : close_outputs(r, err);
}

static void close_all(run_t *r)
{
    output_abort(r->out);
    output_abort(r->metrics);
    examples_free(&r->batch);
    for (int64_t i = 0; r->line && i < ROWS; i++) free(r->line[i].text.s);
    free(r->line);
    free(r->logits);
    free(r->target);
    text_free(&r->text);
    text_free(&r->options);
    labelled_close(&r->in);
    if (r->a->l.reference) fasta_close(&r->ref);
    cad_head_free(&r->head);
    cad_context_close(r->ctx);
    cad_model_close(r->model);
}

static int run_predict(int argc, char **argv)
{
    args_t a;
    run_t r;
    cad_error_t err = { "" };
    int rc = parse_args(&a, argc, argv);
    if (rc) free(a.named);
    if (rc) return rc == 2 ? 0 : 1;
    memset(&r, 0, sizeof r);
    r.a = &a;
    r.notes = (notes_t) { .cmd = "predict", .quiet = a.o.quiet };
    rc = run(&r, &err);
    progress_end(&r.progress, rc == 0);
    if (rc && err.text[0]) cmd_fail("predict", "%s", err.text);
    if (rc == 0) notes_summary(&r.notes);
    close_all(&r);
    free(a.named);
    return rc || cmd_finish("predict") ? 1 : 0;
}

const command_t CMD_PREDICT = {
    "predict",   "predict classes, labels or values of sequences or regions, after finetune",
    run_predict, USAGE,
    NULL,        OPTIONS_SHORT "T:o:",
    LONGS,       NULL
};
