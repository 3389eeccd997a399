/* eval.c - caduceus eval: how well a model predicts held-out sequence, beside Markov
 * models of the training split. SPDX-License-Identifier: MIT */
#include "stream/evals.h"
#include "cmd.h"

static const char USAGE[] = "Usage: caduceus eval [options] -T ref.fa [-L intervals.bed --split valid]\n\n"
                            "Hides bases, asks the model for them, and prints a table of loss, bits per base,\n"
                            "accuracy and perplexity; and of Markov models at the very same bases.\n\n"
                            "Options:\n"
                            "  -T, --reference FASTA  the reference, plain or bgzip; also --fasta-ref\n"
                            "  -L, --targets-file BED intervals; its fourth column names splits, as train, valid\n"
                            "                         [all contigs]\n"
                            "      --split NAME       only the intervals of this split [all splits]\n"
                            "  -r, --region REGION    only what overlaps CONTIG[:BEG-END], counted from 1\n"
                            "  -o, --output FILE      the table; - is standard output [-]\n"
                            "      --mask HOW         each, stride:K or none [stride:8]\n"
                            "      --window W         bases in a window, flanks included [the model's length]\n"
                            "      --flank F          context on each side [min(1024, W/4)]\n"
                            "      --skip-soft-masked lower-case bases are context, but not evaluated\n"
                            "      --sample N         only N windows, drawn at random [all windows]\n"
                            "      --seed S           of the draw [1]\n"
                            "      --markov K         Markov models of orders 0 to K, at most 12, or none [12]\n"
                            "      --markov-split NAME  the split that they are fitted on [train]\n"
                            "      --dry-run          count windows and tokens, estimate time\n" OPTIONS_USAGE;

typedef struct {
    options_t o;
    const char *reference, *output, *split, *markov_split;
    limits_t limits;
    int64_t mask, window, flank, sample, seed, markov; /* markov: -1 for none */
    bool skip_soft, dry_run, baseline;                 /* baseline: asked for, so it must be had */
} args_t;

typedef struct {
    const args_t *a;
    notes_t notes;
    output_t *out;
    cad_model_t *model;
    cad_context_t *ctx;
    fasta_t ref;
    splits_t splits;
    regions_t *only;
    tiling_t tiling;
    cutter_t cutter;
    cad_markov_t markov;
    text_t options, text;
    provenance_t provenance;
    pipeline_t pipe;
    eval_t eval;
    progress_t progress;
} run_t;

/* ---- options ---- */

enum { O_SPLIT = 1, O_MASK, O_WINDOW, O_FLANK, O_SOFT, O_SAMPLE, O_SEED, O_MARKOV, O_MARKOV_SPLIT, O_DRY };
static const struct option LONGS[] = { OPTIONS_LONG,
                                       { "reference", required_argument, NULL, 'T' },
                                       { "fasta-ref", required_argument, NULL, 'T' },
                                       { "targets-file", required_argument, NULL, 'L' },
                                       { "region", required_argument, NULL, 'r' },
                                       { "output", required_argument, NULL, 'o' },
                                       { "split", required_argument, NULL, O_SPLIT },
                                       { "mask", required_argument, NULL, O_MASK },
                                       { "window", required_argument, NULL, O_WINDOW },
                                       { "flank", required_argument, NULL, O_FLANK },
                                       { "skip-soft-masked", no_argument, NULL, O_SOFT },
                                       { "sample", required_argument, NULL, O_SAMPLE },
                                       { "seed", required_argument, NULL, O_SEED },
                                       { "markov", required_argument, NULL, O_MARKOV },
                                       { "markov-split", required_argument, NULL, O_MARKOV_SPLIT },
                                       { "dry-run", no_argument, NULL, O_DRY },
                                       { 0 } };

static int take_markov(args_t *a, const char *arg)
{
    a->markov = -1;
    a->baseline = strcmp(arg, "none") != 0;
    if (!a->baseline || cad_parse_int(arg, 0, CAD_MARKOV_ORDERS - 1, &a->markov)) return 0;
    return cmd_fail("eval", "--markov %s: expected none, or a whole number from 0 to %d", arg, CAD_MARKOV_ORDERS - 1);
}

static int take_option(args_t *a, int c, const char *arg)
{
    switch (c) {
    case 'T': a->reference = arg; return 0;
    case 'o': a->output = arg; return 0;
    case 'r':
    case 'L': return limits_take(&a->limits, "eval", c, arg);
    case O_SPLIT: a->split = arg; return 0;
    case O_MASK: return option_mask("eval", arg, &a->mask);
    case O_WINDOW: return option_int("eval", "--window", arg, 1, 1 << 30, &a->window);
    case O_FLANK: return option_int("eval", "--flank", arg, 0, 1 << 29, &a->flank);
    case O_SOFT: a->skip_soft = true; return 0;
    case O_SAMPLE: return option_int("eval", "--sample", arg, 1, INT64_MAX, &a->sample);
    case O_SEED: return option_int("eval", "--seed", arg, 0, INT64_MAX, &a->seed);
    case O_MARKOV: return take_markov(a, arg);
    case O_MARKOV_SPLIT: a->markov_split = arg; return 0;
    case O_DRY: a->dry_run = true; return 0;
    default: return options_take(&a->o, c, arg);
    }
}

static void set_defaults(args_t *a)
{
    memset(a, 0, sizeof *a);
    options_init(&a->o, "eval");
    a->output = "-";
    a->mask = 8;
    a->flank = -1;
    a->seed = 1;
    a->markov = CAD_MARKOV_ORDERS - 1;
}

/* 0 = go on, 1 = error, 2 = help shown. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int c;
    set_defaults(a);
    while ((c = getopt_long(argc, argv, OPTIONS_SHORT "T:o:r:L:", LONGS, NULL)) != -1) {
        if (c == 1004) {
            fputs(USAGE, stdout);
            return cmd_finish("eval") ? 1 : 2;
        }
        if (c == '?' || c == ':') return option_unknown("eval", argv);
        if (take_option(a, c, optarg)) return 1;
    }
    if (argc == 1) {
        fputs(USAGE, stderr);
        return 1;
    }
    if (argc > optind) return cmd_fail("eval", "%s: no such argument; intervals are given with -L or -r", argv[optind]);
    if (!a->reference) return cmd_fail("eval", "give the reference with -T FASTA");
    if (a->markov_split && a->markov < 0) return cmd_fail("eval", "--markov-split does not fit --markov none");
    return 0;
}

/* ---- inputs ---- */

static int open_output(run_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    ledger_t files = { 0 };
    int rc;
    options_inputs(&a->o, a->reference, NULL, &a->limits, &files);
    rc = ledger_output(&files, a->output, err);
    ledger_free(&files);
    return rc || a->dry_run ? rc : output_open(&t->out, a->output, output_is_gz(a->output), err);
}

/* The split of the baseline, which is left out where there is none and nobody asked. */
static int find_baseline(run_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    if (a->markov < 0) return 0;
    t->eval.fitted = splits_find(&t->splits, "--markov-split", a->markov_split ? a->markov_split : "train", err);
    if (t->eval.fitted >= 0) t->eval.markov = &t->markov;
    else if (a->markov_split || a->baseline) return t->eval.fitted;
    else if (!a->o.quiet) cmd_warn("eval", "no Markov models beside the model: %s", err->text);
    return 0;
}

static int open_intervals(run_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    names_t names = { &t->ref, fasta_has, t->ref.path, &t->ref, false, false };
    int rc = limits_open(&a->limits, "r", &t->only, &names, err);
    for (int i = 0; i < a->limits.n && rc == 0; i++)
        if (a->limits.limit[i].how == 'L')
            rc = splits_add(&t->splits, a->limits.limit[i].text, &t->ref, &t->notes, err);
    splits_finish(&t->splits);
    t->eval.split = -1;
    if (rc == 0 && a->split) t->eval.split = rc = splits_find(&t->splits, "--split", a->split, err);
    return rc < 0 ? rc : find_baseline(t, err);
}

/* ---- running ---- */

static int set_provenance(run_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    text_t *s = &t->options;
    text_puts(s, "eval");
    option_mask_text(a->mask, s);
    text_printf(s, " window=%lld flank=%lld", (long long)t->tiling.window, (long long)t->tiling.flank);
    if (a->skip_soft) text_puts(s, " skip-soft-masked");
    if (a->split) text_printf(s, " split=%s", a->split);
    for (int i = 0; i < a->limits.n; i++)
        if (a->limits.limit[i].how == 'r') text_printf(s, " region=%s", a->limits.limit[i].text);
    if (a->sample) text_printf(s, " sample=%lld seed=%lld", (long long)a->sample, (long long)a->seed);
    if (t->eval.markov)
        text_printf(s, " markov=%lld markov-split=%s", (long long)a->markov, t->splits.name[t->eval.fitted]);
    options_provenance(&t->provenance, t->model, t->ctx, t->ref.checksum, s);
    return s->failed ? cad_fail(err, CAD_ENOMEM, "out of memory") : 0;
}

static int open_engine(run_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    int64_t window = a->window ? a->window : cad_model_number(t->model, CAD_MAX_LEN);
    int rc = tiling_set(&t->tiling, window, a->flank, err);
    if (rc == 0 && cad_model_number(t->model, CAD_LABELS))
        rc = cad_fail(err, CAD_EARG, "the model is a classifier without a language-model head");
    if (rc == 0) rc = options_open_context(&a->o, t->model, window, &t->ctx, err);
    if (rc) return rc;
    t->cutter = (cutter_t) {
        .ref = &t->ref, .tiling = &t->tiling, .mask = a->mask, .want_scores = true, .pipe = &t->pipe
    };
    cutter_init(&t->cutter, &(encoding_t) { .model = t->model, .skip_soft = a->skip_soft, .notes = &t->notes });
    t->pipe = (pipeline_t) { .model = t->model,
                             .ctx = a->dry_run ? NULL : t->ctx,
                             .mask = a->mask,
                             .take = eval_take,
                             .sink = eval_sink,
                             .drop = eval_drop,
                             .arg = &t->eval,
                             .tick = progress_tick,
                             .tick_arg = &t->progress,
                             .batch_tokens = options_batch(&a->o) };
    t->eval.cutter = &t->cutter;
    t->eval.splits = &t->splits;
    t->eval.only = t->only;
    t->eval.sample = a->sample;
    t->eval.seed = (uint64_t)a->seed;
    return set_provenance(t, err);
}

static int evaluate(run_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    int rc = eval_plan(&t->eval, err);
    if (rc == 0 && t->eval.markov && !a->dry_run)
        rc = eval_fit(&t->markov, (int)a->markov, &t->cutter, t->splits.span[t->eval.fitted], a->o.threads, err);
    if (rc) return rc;
    t->progress.share = eval_share;
    t->progress.share_arg = &t->eval;
    progress_begin(&t->progress, &a->o, &t->pipe.work, &t->eval.done, "windows");
    return eval_run(&t->eval, err);
}

static int write_table(run_t *t, cad_error_t *err)
{
    int rc;
    provenance_header(&t->provenance, &t->text);
    eval_table(&t->eval, &t->text);
    rc = text_write(t->out, &t->text, err);
    if (rc == 0) {
        rc = output_close(t->out, err);
        t->out = NULL;
    }
    return rc;
}

static int run(run_t *t, cad_error_t *err)
{
    int rc = open_output(t, err);
    if (rc == 0) rc = fasta_open(&t->ref, t->a->reference, &t->notes, err);
    if (rc == 0) rc = open_intervals(t, err);
    if (rc) return rc;
    if (options_open_model(&t->a->o, &t->model)) {
        err->text[0] = 0; /* reported */
        return CAD_EIO;
    }
    rc = open_engine(t, err);
    if (rc == 0) rc = evaluate(t, err);
    return rc || t->a->dry_run ? rc : write_table(t, err);
}

static void close_run(run_t *t)
{
    pipeline_close(&t->pipe);
    eval_free(&t->eval);
    cad_markov_close(&t->markov);
    output_abort(t->out);
    text_free(&t->options);
    text_free(&t->text);
    splits_free(&t->splits);
    fasta_close(&t->ref);
    regions_free(t->only);
    cad_context_close(t->ctx);
    cad_model_close(t->model);
}

int cmd_eval(int argc, char **argv)
{
    args_t a;
    run_t t = { .a = &a };
    cad_error_t err = { "" };
    int rc = parse_args(&a, argc, argv);
    if (rc) return rc == 2 ? 0 : 1;
    t.notes = (notes_t) { .cmd = "eval", .quiet = a.o.quiet };
    rc = run(&t, &err);
    progress_end(&t.progress);
    if (rc && err.text[0]) cmd_fail("eval", "%s", err.text);
    if (rc == 0) notes_summary(&t.notes);
    if (rc == 0 && a.dry_run) report_work(&t.pipe.work, t.ctx, t.model, a.o.threads, "bases", t.eval.bases);
    close_run(&t);
    return rc || cmd_finish("eval") ? 1 : 0;
}
