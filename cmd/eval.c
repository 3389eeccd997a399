/* eval.c - caduceus eval: measures how well a model predicts held-out sequence, and compares it with Markov models
 * that are fitted to the training split. SPDX-License-Identifier: MIT
 */
#include "stream/evals.h"
#include "eval_compare.h"
#include "run.h"

static const char USAGE[] =
    "Usage: caduceus eval [options] -T ref.fa [-L intervals.bed --split valid]\n\n"
    "Masks bases, predicts them, and prints a table of loss, bits per base, accuracy and\n"
    "perplexity: of the model, or of each -m, and of Markov models at the same bases.\n\n"
    "Options:\n"
    "  -T, --reference FASTA  the reference, plain or bgzip; also --fasta-ref\n"
    "  -L, --targets-file BED intervals; column 4 names the split of each, such as train\n"
    "                         or valid [all contigs]\n"
    "      --split NAME       only the intervals of this split [all splits]\n"
    "  -r, --region REGION    only intervals in CONTIG[:BEG-END], counted from 1\n"
    "  -o, --output FILE      the table; - is standard output [-]\n"
    "      --mask HOW         each, stride:K or none [stride:8]\n"
    "      --window W         bases in a window, flanks included [the model's length]\n"
    "      --flank F          context on each side [min(1024, W/4)]\n"
    "      --skip-soft-masked use lower-case bases as context, do not evaluate them\n"
    "      --sample N         evaluate only N windows, drawn at random [all windows]\n"
    "      --seed S           seed of that draw [1]\n"
    "      --markov K         Markov models of orders 0 to K, at most 12, or none [12]\n"
    "      --markov-split NAME  the split that Markov models are fitted to [train]\n"
    "      --masks LIST       compare ways to mask, such as each,stride:8,none, with each\n"
    "      --flanks LIST      compare flanks, such as 128,512,1024, with the longest, in a\n"
    "                         window of --window; both on --sample windows, or 20\n"
    "      --no-version       no lines on version and model; column names without #\n"
    "      --json             write the table, or what --dry-run counts, as JSON\n"
    "      --dry-run          count windows and tokens, estimate time\n" PROGRESS_USAGE OPTIONS_USAGE "\nExamples:\n"
    "  caduceus eval -T hg38.fa -L corpus.bed --split valid\n"
    "  caduceus eval -T hg38.fa --sample 50 --markov none\n"
    "  caduceus eval -T hg38.fa -r chr20 --masks each,stride:8,stride:16,none\n";

enum { MODELS = 16 }; /* maximum number of models, given by several -m */

typedef struct {
    options_t o;
    const char *model[MODELS]; /* values of -m */
    int nmodel;
    settings_t set;
    run_options_t run;
    const char *split, *markov_split;
    int64_t sample, seed, markov; /* markov: order of the largest Markov model; -1: no Markov models */
    bool baseline;                /* true if the user gave --markov */
    /* settings to compare, of --masks or --flanks: each a value of set.mask or of set.flank */
    int64_t compared[16];
    int ncompared;
    bool flanks; /* the settings are flanks */
} args_t;

typedef struct { /* the output, which is written when all models are evaluated */
    output_t *out;
    text_t head, rows;
    json_t *json; /* an array with an object for each model */
} results_t;

typedef struct { /* the evaluation of one model */
    args_t *a;
    run_t run;
    eval_t *eval; /* state of the source of evaluation windows, which owns it */
    splits_t splits;
    cad_markov_t markov;
    bool keep;      /* keep all predictions, to compare them */
    double seconds; /* time of the computation */
} evaluation_t;

/* ---- options ---- */

enum { O_SPLIT = 1, O_SAMPLE, O_SEED, O_MARKOV, O_MARKOV_SPLIT, O_MASKS, O_FLANKS };
static const struct option LONGS[] = { OPTIONS_LONG,
                                       OPTIONS_PROGRESS,
                                       OPTIONS_WINDOWS,
                                       OPTIONS_RUN,
                                       { "split", required_argument, NULL, O_SPLIT },
                                       { "sample", required_argument, NULL, O_SAMPLE },
                                       { "seed", required_argument, NULL, O_SEED },
                                       { "markov", required_argument, NULL, O_MARKOV },
                                       { "markov-split", required_argument, NULL, O_MARKOV_SPLIT },
                                       { "masks", required_argument, NULL, O_MASKS },
                                       { "flanks", required_argument, NULL, O_FLANKS },
                                       { 0 } };

static int take_markov(args_t *a, const char *arg)
{
    a->markov = -1;
    a->baseline = strcmp(arg, "none") != 0;
    if (!a->baseline || cad_parse_int(arg, 0, CAD_MARKOV_ORDERS - 1, &a->markov)) return 0;
    return cmd_fail("eval", "--markov %s: expected none, or a whole number from 0 to %d", arg, CAD_MARKOV_ORDERS - 1);
}

/* Parses a list of settings to compare: of masks, or of flanks. */
static int take_compared(args_t *a, const char *arg, bool flanks)
{
    settings_t one = a->set;
    char word[32];
    const char *s = arg;
    if (a->ncompared) return cmd_fail("eval", "--masks and --flanks: give one of them, once");
    a->flanks = flanks;
    for (bool more = true; more;) {
        size_t n = strcspn(s, ",");
        if (a->ncompared == 16 || n >= sizeof word)
            return cmd_fail("eval", "--%s %.60s: expected at most 16 items", flanks ? "flanks" : "masks", arg);
        snprintf(word, sizeof word, "%.*s", (int)n, s);
        if (windows_take(&one, "eval", flanks ? OPT_FLANK : OPT_MASK, word)) return 1;
        a->compared[a->ncompared++] = flanks ? one.flank : one.mask;
        more = s[n] == ',';
        s += n + more;
    }
    return 0;
}

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    int rc;
    switch (c) {
    case O_MASKS: return take_compared(a, arg, false);
    case O_FLANKS: return take_compared(a, arg, true);
    case 'm':
        if (a->nmodel == MODELS) return cmd_fail("eval", "-m: more than %d models", MODELS);
        a->model[a->nmodel++] = arg;
        return options_take(&a->o, c, arg);
    case O_SPLIT: a->split = arg; return 0;
    case O_SAMPLE: return option_int("eval", "--sample", arg, 1, INT64_MAX, &a->sample);
    case O_SEED: return option_int("eval", "--seed", arg, 0, INT64_MAX, &a->seed);
    case O_MARKOV: return take_markov(a, arg);
    case O_MARKOV_SPLIT: a->markov_split = arg; return 0;
    default: break;
    }
    rc = run_take(&a->run, &a->set, "eval", c, arg);
    if (rc > 0) rc = windows_take(&a->set, "eval", c, arg);
    return rc > 0 ? options_take(&a->o, c, arg) : rc;
}

static void set_defaults(args_t *a)
{
    memset(a, 0, sizeof *a);
    options_init(&a->o, "eval");
    a->run.output = "-";
    settings_init(&a->set);
    a->seed = 1;
    a->markov = CAD_MARKOV_ORDERS - 1;
}

/* Returns 0 to continue, 1 after an error, 2 after printing help. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int rc;
    set_defaults(a);
    rc = options_parse(&CMD_EVAL, argc, argv, take_option, a);
    if (rc == 0) rc = options_operands(&CMD_EVAL, argc, argv, NULL);
    if (rc) return rc;
    if (!a->set.reference) return cmd_fail("eval", "give the reference with -T FASTA");
    if (a->ncompared && (a->nmodel > 1 || a->baseline || a->markov_split || (a->o.json && !a->run.dry_run)))
        return cmd_fail("eval",
                        "--masks and --flanks compare one model with itself; they do not fit --markov and --json");
    if (a->ncompared && !a->sample) a->sample = 20;
    if (a->markov_split && a->markov < 0) return cmd_fail("eval", "--markov-split does not fit --markov none");
    return 0;
}

/* ---- inputs ---- */

static int open_output(const args_t *a, results_t *table, cad_error_t *err)
{
    const char *formats = a->o.json ? "json txt" : "tsv tab txt csv";
    ledger_t files = { 0 };
    int rc;
    for (int i = 0; i < cad_max(a->nmodel, 1); i++) {
        options_t o = a->o;
        o.model = a->model[i];
        options_inputs(&o, a->set.reference, NULL, &a->run.limits, &files);
    }
    rc = ledger_output(&files, a->run.output, err);
    if (rc == 0) rc = output_suffix(a->run.output, formats, formats, err);
    ledger_free(&files);
    return rc || a->run.dry_run ? rc : output_open(&table->out, a->run.output, output_is_gz(a->run.output), err);
}

/* Finds the split (named set of intervals) that the Markov models, the baseline, are fitted to. If the split is
 * missing, omits the Markov models with a warning; returns an error if the user gave --markov or --markov-split. */
static int find_baseline(evaluation_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    if (a->markov < 0) return 0;
    t->eval->fitted = splits_find(&t->splits, "--markov-split", a->markov_split ? a->markov_split : "train", err);
    if (t->eval->fitted >= 0) t->eval->markov = &t->markov;
    else if (a->markov_split || a->baseline) return t->eval->fitted;
    else if (!a->o.quiet) cmd_warn("eval", "no Markov models are fitted: %s", err->text);
    return 0;
}

static int open_intervals(evaluation_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    run_t *r = &t->run;
    int rc = run_open_regions(r, &a->run.limits, "r", "", false, err);
    for (int i = 0; i < a->run.limits.n && rc == 0; i++)
        if (a->run.limits.limit[i].how == 'L')
            rc = splits_add(&t->splits, a->run.limits.limit[i].text, &r->ref, &r->notes, err);
    splits_finish(&t->splits);
    t->eval->split = -1;
    if (rc == 0 && a->split) t->eval->split = rc = splits_find(&t->splits, "--split", a->split, err);
    return rc < 0 ? rc : find_baseline(t, err);
}

/* ---- running ---- */

static int set_provenance(evaluation_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    text_t *s = &t->run.options;
    text_puts(s, "eval");
    run_describe(&t->run);
    if (a->split) text_printf(s, " split=%s", a->split);
    for (int i = 0; i < a->run.limits.n; i++)
        if (a->run.limits.limit[i].how == 'r') text_printf(s, " region=%s", a->run.limits.limit[i].text);
    if (a->sample) text_printf(s, " sample=%lld seed=%lld", (long long)a->sample, (long long)a->seed);
    if (t->eval->markov)
        text_printf(s, " markov=%lld markov-split=%s", (long long)a->markov, t->splits.name[t->eval->fitted]);
    return run_provenance(&t->run, &(shard_t) { 0 }, err);
}

static int open_engine(evaluation_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    run_t *r = &t->run;
    int64_t window = a->set.window ? a->set.window : cad_model_number(r->model, CAD_MAX_LEN);
    int rc = run_open_engine(r, window, &(shard_t) { 0 }, a->run.dry_run, err);
    t->eval->splits = &t->splits;
    t->eval->keep = t->keep && !a->run.dry_run;
    t->eval->sample = a->sample;
    t->eval->seed = (uint64_t)a->seed;
    return rc ? rc : set_provenance(t, err);
}

static int evaluate(evaluation_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    run_t *r = &t->run;
    struct timespec begun;
    int rc = eval_plan(&r->stream, err);
    if (rc == 0 && t->eval->markov && !a->run.dry_run)
        rc = eval_fit(&t->markov, (int)a->markov, &r->ref, t->splits.span[t->eval->fitted], a->o.threads, err);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    if (rc == 0) rc = run_stream(r, err);
    t->seconds = seconds_since(begun);
    if (rc == 0 && r->stream.pipe.work.tokens == 0)
        note(&r->notes, NOTE_NOTHING, 1, "%s: nothing to do: no base of the intervals is A, C, G or T", r->ref.path);
    return rc;
}

static int run(evaluation_t *t, cad_error_t *err)
{
    run_t *r = &t->run;
    int rc = run_begin(r, &SOURCE_SPLITS, NULL, err);
    if (rc) return rc;
    t->eval = r->stream.state;
    rc = run_open_reference(r, t->a->set.reference, NULL, err);
    if (rc == 0) rc = open_intervals(t, err);
    if (rc == 0) rc = run_open_model(r, err);
    if (rc == 0) rc = open_engine(t, err);
    return rc ? rc : evaluate(t, err);
}

static void close_run(evaluation_t *t)
{
    pipeline_close(&t->run.stream.pipe);
    run_end(&t->run);
    cad_markov_close(&t->markov);
    splits_free(&t->splits);
}

static void report_dry_run(const evaluation_t *t, const char *name)
{
    if (name && !t->a->o.json) printf("#model\t%s\n", name);
    run_report_work(&t->run, "bases", t->eval->bases);
}

/* Adds the results of one model to the table. name: the model's name in the column predictor; NULL: there is only one
 * model. */
static void keep_results(evaluation_t *t, const char *name, results_t *table)
{
    const args_t *a = t->a;
    bool plain = a->set.no_version || output_is_csv(a->run.output);
    progress_clear(&t->run.progress);
    if (a->o.json) {
        json_t *json = a->set.no_version ? json_object() : provenance_object(&t->run.provenance);
        json_object_set_new(json, "results", eval_json(t->eval, a->set.mask, name));
        json_array_append_new(table->json, json);
        return;
    }
    if (!plain) provenance_header(&t->run.provenance, &table->head);
    eval_rows(t->eval, a->set.mask, name, &table->rows);
}

/* Evaluates one model, and adds its rows to the table. name: the model's name in the column predictor; NULL: there is
 * only one model. */
static int one_model(args_t *a, const char *name, results_t *table)
{
    evaluation_t t = { .a = a };
    cad_error_t err = { "" };
    run_t *r = &t.run;
    int rc;
    r->o = &a->o;
    r->set = &a->set;
    r->output = a->run.output;
    r->notes = (notes_t) { .cmd = "eval", .quiet = a->o.quiet };
    rc = run(&t, &err);
    rc = run_report(r, rc, &err);
    if (rc == 0 && a->run.dry_run) report_dry_run(&t, name);
    else if (rc == 0) keep_results(&t, name, table);
    close_run(&t);
    return rc;
}

/* Writes the rows of all models. With --json writes an object, or an array of objects if there are several models. */
static int write_table(const args_t *a, results_t *table)
{
    bool csv = output_is_csv(a->run.output), plain = a->set.no_version || csv;
    text_t lines = { 0 };
    cad_error_t err;
    int rc = 0;
    if (a->run.dry_run) return 0;
    if (a->o.json) provenance_layout(a->nmodel > 1 ? table->json : json_array_get(table->json, 0), &table->head);
    else if (a->ncompared) text_puts(&table->head, &"#setting\t" COMPARE_COLUMNS[plain]);
    else text_puts(&table->head, EVAL_COLUMNS + plain);
    if (table->rows.s.l) text_put(&table->head, table->rows.s.s, table->rows.s.l);
    table->head.failed |= table->rows.failed;
    if (csv) text_csv(&lines, &table->head);
    rc = text_write(table->out, csv ? &lines : &table->head, &err);
    text_free(&lines);
    if (rc == 0) {
        rc = output_close(table->out, &err);
        table->out = NULL;
    }
    return rc ? cmd_fail("eval", "%s", err.text) : 0;
}

/* Evaluates the models one after another. The Markov models do not depend on the model, so they are evaluated only with
 * the first one. */
static int all_models(const args_t *a, results_t *table)
{
    int rc = 0;
    for (int i = 0; i < cad_max(a->nmodel, 1) && rc == 0; i++) {
        args_t one = *a;
        one.o.model = a->model[i];
        if (i > 0) one.markov = -1;
        rc = one_model(&one, a->nmodel > 1 ? a->model[i] : NULL, table);
    }
    return rc ? rc : write_table(a, table);
}

/* ---- comparing masks or flanks ---- */

/* Returns the index of the setting with which the others are compared: the mask `each`, or the longest flank. Returns
 * -1 if there is none. */
static int exact_setting(const args_t *a)
{
    int best = a->flanks ? 0 : -1;
    for (int i = 0; i < a->ncompared; i++)
        if (a->flanks ? a->compared[i] > a->compared[best] : a->compared[i] == CAD_MASK_EACH) best = i;
    return best;
}

static void setting_name(const args_t *a, int i, text_t *t)
{
    text_clear(t);
    if (a->flanks) text_printf(t, "flank=%lld", (long long)a->compared[i]);
    else {
        option_mask_text(a->compared[i], t);
        memmove(t->s.s, t->s.s + 1, t->s.l--);
    }
}

/* Chooses setting i. With flanks, all windows evaluate the same bases: those between the longest flanks of --window. */
static int choose_setting(args_t *one, const args_t *a, int i, int64_t window)
{
    int64_t longest = a->flanks ? a->compared[exact_setting(a)] : 0;
    one->markov = -1;
    if (!a->flanks) one->set.mask = a->compared[i];
    if (!a->flanks) return 0;
    if (2 * longest >= window)
        return cmd_fail("eval", "--flanks: %lld on both sides leaves nothing of --window %lld", (long long)longest,
                        (long long)window);
    one->set.flank = a->compared[i];
    one->set.window = window - 2 * longest + 2 * a->compared[i];
    return 0;
}

/* Computes the predictions of one setting. */
static int read_setting(args_t *one, const char *name, reading_t *r, text_t *head)
{
    evaluation_t t = { .a = one, .keep = true };
    cad_error_t err = { "" };
    int rc;
    t.run.o = &one->o;
    t.run.set = &one->set;
    t.run.output = one->run.output;
    t.run.notes = (notes_t) { .cmd = "eval", .quiet = one->o.quiet };
    rc = run(&t, &err);
    rc = run_report(&t.run, rc, &err);
    if (rc == 0 && one->run.dry_run) report_dry_run(&t, name);
    if (rc == 0) {
        *r = (reading_t) { t.eval->logp, t.eval->base, t.eval->kept, t.run.stream.pipe.work, t.seconds };
        t.eval->logp = NULL;
        t.eval->base = NULL;
        if (head && !one->set.no_version && !output_is_csv(one->run.output)) provenance_header(&t.run.provenance, head);
    }
    close_run(&t);
    return rc;
}

/* Returns --window or, if it is not given, the model's length. */
static int64_t window_of(const args_t *a)
{
    cad_model_t *model = NULL;
    int64_t window = a->set.window;
    if (!window && a->flanks && !options_open_model(&a->o, &model)) window = cad_model_number(model, CAD_MAX_LEN);
    cad_model_close(model);
    return window;
}

static int compare_all(const args_t *a, results_t *table)
{
    int exact = exact_setting(a), rc = 0;
    int64_t window = window_of(a);
    reading_t best = { 0 };
    text_t name = { 0 };
    cad_error_t err = { "" };
    if (exact < 0) return cmd_fail("eval", "--masks: each must be in the list; the others are compared with it");
    if (a->flanks && !window) return 1;
    for (int k = -1; k < a->ncompared && rc == 0; k++) {
        int i = k < 0 ? exact : k;
        args_t one = *a;
        reading_t r = { 0 };
        if (k == exact && a->run.dry_run) continue;
        setting_name(a, i, &name);
        rc = choose_setting(&one, a, i, window);
        if (rc == 0 && k != exact) rc = read_setting(&one, name.s.s, k < 0 ? &best : &r, k < 0 ? &table->head : NULL);
        if (k == -1 || rc || a->run.dry_run) {
            reading_free(&r);
            continue;
        }
        if (compare_row(name.s.s, k == exact ? &best : &r, &best, &table->rows, &err))
            rc = cmd_fail("eval", "%s", err.text);
        reading_free(&r);
    }
    reading_free(&best);
    text_free(&name);
    return rc ? rc : write_table(a, table);
}

static int run_eval(int argc, char **argv)
{
    args_t a;
    results_t table = { 0 };
    cad_error_t err;
    int rc = parse_args(&a, argc, argv);
    if (rc) return rc == 2 ? 0 : 1;
    if (a.o.json) table.json = json_array();
    if (open_output(&a, &table, &err)) rc = cmd_fail("eval", "%s", err.text);
    if (rc == 0) rc = a.ncompared ? compare_all(&a, &table) : all_models(&a, &table);
    output_abort(table.out);
    text_free(&table.head);
    text_free(&table.rows);
    json_decref(table.json);
    return rc || cmd_finish("eval") ? 1 : 0;
}

const command_t CMD_EVAL = { "eval",   "measure how well a model predicts held-out sequence, against Markov models",
                             run_eval, USAGE,
                             NULL,     OPTIONS_SHORT "T:o:r:L:",
                             LONGS,    NULL };
