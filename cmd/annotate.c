/* annotate.c - caduceus annotate: any genomic file in, the same kind of file out.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "glue.h"

static const char USAGE[] =
"Usage: caduceus annotate [options] IN\n\n"
"Scores the regions of a BED (with -T), or the records of a FASTA or FASTQ, and\n"
"writes every input line back with columns added. IN may be - and compressed.\n\n"
"Options:\n"
"  -T, --reference FASTA  reference of the regions, plain or bgzip; also --fasta-ref\n"
"  -o, --output FILE      output; .gz is compressed with BGZF [-]\n"
"      --in-format FMT    bed, fasta or fastq [detected]\n"
"  -r, --region REGION    only rows that overlap CONTIG[:BEG-END], counted from 1\n"
"  -L, --targets-file BED only rows that overlap a region of this file\n"
"      --score LIST       of pll, n, entropy, ic, or none [pll,n]\n"
"      --mask HOW         each, stride:K or none [stride:8]\n"
"      --window W         bases in a window, flanks included [the model's length]\n"
"      --flank F          context on each side [min(1024, W/4)]\n"
"      --clip             clip regions at contig ends instead of stopping\n"
"      --split            score the blocks of BED12 rows\n"
"      --skip-soft-masked lower-case bases are context, but not scored\n"
"      --embed FILE       embeddings: a .npy matrix, or - for one more column\n"
"      --pool HOW         mean, max, center or none [mean]\n"
"      --n-token          encode N as the token N, not as PAD\n"
"      --sep              end every window with the SEP token\n"
"      --dry-run          count windows and tokens, estimate time and size\n"
OPTIONS_USAGE;

static const char *const POOL[] = { "", "none", "mean", "max", "center" };

typedef struct {
    options_t o;
    const char *in, *in_format, *reference, *output, *embed;
    const char *region[64], *targets;
    int nregion;
    score_list_t scores;
    int64_t mask, window, flank;
    bool clip, split, skip_soft, sep, n_token, dry_run;
    pooling_t pooling;
} args_t;

typedef struct {
    const args_t *a;
    notes_t notes;
    cad_model_t *model;
    cad_context_t *ctx;
    fasta_t ref;
    input_t in;
    regions_t *only, *targets;
    tiling_t tiling;
    text_t options;          /* as provenance has them */
    provenance_t provenance;
    pipeline_t pipe;
    cutter_t cutter;
    table_t table;
    struct timespec start, shown;
    bool progress;
} annotate_t;

/* ---- options ---- */

static int parse_scores(args_t *a, const char *list)
{
    cad_error_t err;
    return scores_parse(&a->scores, list, &err) ? cmd_fail(a->o.cmd, "%s", err.text) : 0;
}

static int parse_mask(args_t *a, const char *s)
{
    if (!strcmp(s, "each")) a->mask = CAD_MASK_EACH;
    else if (!strcmp(s, "none")) a->mask = CAD_MASK_NONE;
    else if (strncmp(s, "stride:", 7) || !cad_parse_int(s + 7, 1, 1 << 20, &a->mask))
        return cmd_fail(a->o.cmd, "--mask %s: expected each, stride:K (K from 1) or none", s);
    return 0;
}

static int parse_pool(args_t *a, const char *s)
{
    for (pooling_t p = POOL_ROWS; p <= POOL_CENTER; p++)
        if (!strcmp(s, POOL[p])) { a->pooling = p; return 0; }
    return cmd_fail(a->o.cmd, "--pool %s: expected mean, max, center or none", s);
}

enum { O_FORMAT = 1, O_SCORE, O_MASK, O_WINDOW, O_FLANK, O_CLIP, O_SPLIT, O_SOFT, O_EMBED, O_POOL, O_NTOKEN, O_SEP, O_DRY };
static const struct option LONGS[] = {
    OPTIONS_LONG, { "reference", required_argument, NULL, 'T' }, { "fasta-ref", required_argument, NULL, 'T' },
    { "output", required_argument, NULL, 'o' }, { "region", required_argument, NULL, 'r' },
    { "targets-file", required_argument, NULL, 'L' }, { "in-format", required_argument, NULL, O_FORMAT },
    { "score", required_argument, NULL, O_SCORE }, { "mask", required_argument, NULL, O_MASK },
    { "window", required_argument, NULL, O_WINDOW }, { "flank", required_argument, NULL, O_FLANK },
    { "clip", no_argument, NULL, O_CLIP }, { "split", no_argument, NULL, O_SPLIT },
    { "skip-soft-masked", no_argument, NULL, O_SOFT }, { "embed", required_argument, NULL, O_EMBED },
    { "pool", required_argument, NULL, O_POOL }, { "n-token", no_argument, NULL, O_NTOKEN },
    { "sep", no_argument, NULL, O_SEP }, { "dry-run", no_argument, NULL, O_DRY }, { 0 }
};

static int take_option(args_t *a, int c, const char *arg)
{
    switch (c) {
    case 'T': a->reference = arg; return 0;
    case 'o': a->output = arg; return 0;
    case 'r':
        if (a->nregion == 64) return cmd_fail(a->o.cmd, "-r: more than 64 times; use -L");
        a->region[a->nregion++] = arg;
        return 0;
    case 'L': a->targets = arg; return 0;
    case O_FORMAT: a->in_format = arg; return 0;
    case O_SCORE: return parse_scores(a, arg);
    case O_MASK: return parse_mask(a, arg);
    case O_WINDOW: return option_int(a->o.cmd, "--window", arg, 1, 1 << 30, &a->window);
    case O_FLANK: return option_int(a->o.cmd, "--flank", arg, 0, 1 << 29, &a->flank);
    case O_CLIP: a->clip = true; return 0;
    case O_SPLIT: a->split = true; return 0;
    case O_SOFT: a->skip_soft = true; return 0;
    case O_EMBED: a->embed = arg; return 0;
    case O_POOL: return parse_pool(a, arg);
    case O_NTOKEN: a->n_token = true; return 0;
    case O_SEP: a->sep = true; return 0;
    case O_DRY: a->dry_run = true; return 0;
    default: return options_take(&a->o, c, arg);
    }
}

/* 0 = go on, 1 = error, 2 = help shown. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int c, r;
    memset(a, 0, sizeof *a);
    options_init(&a->o, "annotate");
    a->output = "-";
    a->mask = 8;
    a->flank = -1;
    parse_scores(a, "pll,n");
    while ((c = getopt_long(argc, argv, OPTIONS_SHORT "T:o:r:L:", LONGS, NULL)) != -1) {
        if (c == 1004) {
            fputs(USAGE, stdout);
            return cmd_finish("annotate") ? 1 : 2;
        }
        if (c == '?' || c == ':') return option_unknown("annotate", argv);
        r = take_option(a, c, optarg);
        if (r) return 1;
    }
    if (argc - optind != 1) {
        if (argc == 1) fputs(USAGE, stderr);
        else cmd_fail("annotate", "expected one input, %d given; - is standard input", argc - optind);
        return 1;
    }
    a->in = argv[optind];
    if (a->pooling && !a->embed) return cmd_fail("annotate", "--pool needs --embed");
    if (a->embed && !a->pooling) a->pooling = POOL_MEAN;
    if (a->embed && !strcmp(a->embed, "-") && a->pooling == POOL_ROWS) return cmd_fail("annotate", "--pool none needs a file: --embed FILE.npy");
    if (!a->scores.n && !a->embed) return cmd_fail("annotate", "--score none without --embed leaves nothing to do");
    return 0;
}

/* ---- headers and provenance ---- */

static bool embed_column(const args_t *a) { return a->embed && !strcmp(a->embed, "-"); }

static void mask_text(int64_t mask, char buf[32])
{
    if (mask == CAD_MASK_EACH) strcpy(buf, "each");
    else if (mask == CAD_MASK_NONE) strcpy(buf, "none");
    else snprintf(buf, 32, "stride:%lld", (long long)mask);
}

/* Result-changing options, in one order; never threads, paths or time. */
static void set_provenance(annotate_t *t)
{
    const args_t *a = t->a;
    text_t *s = &t->options;
    char mask[32];
    mask_text(a->mask, mask);
    text_puts(s, "score=");
    scores_names(&a->scores, ",", "", s);
    text_printf(s, "%s mask=%s window=%lld flank=%lld", a->scores.n ? "" : "none", mask, (long long)t->tiling.window, (long long)t->tiling.flank);
    if (a->pooling) text_printf(s, " pool=%s", POOL[a->pooling]);
    if (a->split) text_puts(s, " split");
    if (a->clip) text_puts(s, " clip");
    if (a->skip_soft) text_puts(s, " skip-soft-masked");
    if (a->n_token) text_puts(s, " n-token");
    if (a->sep) text_puts(s, " sep");
    provenance_add(&t->provenance, "version", cad_version());
    provenance_add(&t->provenance, "model_sha256", cad_model_text(t->model, CAD_TEXT_SHA256));
    if (a->reference) provenance_add(&t->provenance, "contigs_sha256", t->ref.checksum);
    provenance_add(&t->provenance, "options", s->s.s ? s->s.s : "");
    provenance_add(&t->provenance, "precision", "fp32");
    provenance_add(&t->provenance, "device", cad_context_device(t->ctx));
}

/* ---- progress ---- */

static double seconds(struct timespec a, struct timespec b)
{
    return (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
}

static void progress(void *arg)
{
    annotate_t *t = arg;
    struct timespec now;
    double all, share;
    if (!t->progress) return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (seconds(t->shown, now) < 1) return;
    t->shown = now;
    all = seconds(t->start, now);
    fprintf(stderr, "\r%lld rows, %.3g tokens/s", (long long)t->table.rows, (double)t->pipe.work.done / all);
    share = t->in.size ? (double)(t->in.bytes - (int64_t)(t->in.fill - t->in.at)) / (double)t->in.size : 0;
    if (share > 0 && share < 1) fprintf(stderr, ", %.0f%% read, about %.0f s left", 100 * share, all / share - all);
    fputs("  ", stderr);
}

/* ---- opening and closing ---- */

static int open_filters(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    int rc = 0;
    if (a->nregion) rc = regions_new(&t->only, err);
    for (int i = 0; i < a->nregion && rc == 0; i++) rc = regions_add_text(t->only, a->region[i], a->reference ? &t->ref : NULL, err);
    if (rc == 0 && a->nregion) regions_finish(t->only);
    if (rc == 0 && a->targets) rc = regions_new(&t->targets, err);
    if (rc == 0 && a->targets) rc = regions_add_bed(t->targets, a->targets, err);
    if (rc == 0 && a->targets) regions_finish(t->targets);
    return rc;
}

static int open_inputs(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    int rc = input_open(&t->in, a->in, a->in_format, err);
    if (rc) return rc;
    if (t->in.kind == INPUT_BED && !a->reference)
        return cad_fail(err, CAD_EARG, "%s: BED regions need their reference: give -T FASTA", t->in.path);
    if (t->in.kind != INPUT_BED && a->reference)
        return cad_fail(err, CAD_EARG, "%s: FASTA and FASTQ records are their own sequence; -T does not fit", t->in.path);
    if (t->in.kind != INPUT_BED && (a->split || a->clip))
        return cad_fail(err, CAD_EARG, "%s: --split and --clip fit BED only", t->in.path);
    if (a->targets && !strcmp(a->in, "-") && !strcmp(a->targets, "-")) return cad_fail(err, CAD_EARG, "the input and -L are both standard input");
    return 0;
}

/* The output must not be one of the model's files. */
static int refuse_model(const char *output, const char *model, cad_error_t *err)
{
    static const char *const part[] = { "", "/model.safetensors", "/model.safetensors.index.json", "/config.json",
                                        "/tokenizer_config.json", "/tokenizer.json", "/vocab.txt" };
    int rc = 0;
    for (size_t i = 0; model && i < sizeof part / sizeof *part && rc == 0; i++) {
        char *path = suffixed(model, part[i]);
        rc = path ? refuse_same(output, path, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
        free(path);
    }
    return rc;
}

/* No output may be an input, its index or another output. */
static int refuse_clashes(const args_t *a, bool file, const char *json, cad_error_t *err)
{
    char *fai = a->reference ? suffixed(a->reference, ".fai") : NULL, *gzi = a->reference ? suffixed(a->reference, ".gzi") : NULL;
    const char *in[] = { a->in, a->reference, a->targets, fai, gzi }, *out[] = { a->output, file ? a->embed : NULL, json };
    int rc = a->reference && (!fai || !gzi) ? cad_fail(err, CAD_ENOMEM, "out of memory") : 0;
    for (int o = 0; o < 3; o++) {
        for (int i = 0; i < 5 && rc == 0; i++) rc = refuse_same(out[o], in[i], err);
        if (rc == 0) rc = refuse_twice(out[o], fai, err); /* they may not exist yet */
        if (rc == 0) rc = refuse_twice(out[o], gzi, err);
        for (int k = 0; k < o && rc == 0; k++) {
            rc = refuse_twice(out[o], out[k], err);
        }
        if (rc == 0) rc = refuse_model(out[o], options_model(&a->o), err);
    }
    free(fai);
    free(gzi);
    return rc;
}

/* Outputs are opened before the model is loaded, so that a wrong path costs nothing. */
static int open_outputs(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    bool file = a->embed && strcmp(a->embed, "-");
    char *json = file ? suffixed(a->embed, ".json") : NULL;
    int rc = file && !json ? cad_fail(err, CAD_ENOMEM, "out of memory") : refuse_clashes(a, file, json, err);
    if (rc == 0 && !a->dry_run) {
        rc = output_open(&t->table.out, a->output, output_is_gz(a->output), err);
        if (rc == 0 && file) rc = output_open(&t->table.npy.out, a->embed, false, err);
        if (rc == 0 && file && output_is_file(t->table.npy.out)) rc = output_open(&t->table.json, json, false, err);
    }
    free(json);
    return rc;
}

static int check_model(const annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    if (a->sep && cad_model_number(t->model, CAD_TOKEN_SEP) < 0) return cad_fail(err, CAD_EARG, "--sep: the model's vocabulary has no [SEP]");
    if (a->n_token && cad_model_number(t->model, CAD_TOKEN_N) < 0) return cad_fail(err, CAD_EARG, "--n-token: the model's vocabulary has no N");
    if (cad_model_number(t->model, CAD_LABELS) && a->scores.n)
        return cad_fail(err, CAD_EARG, "the model is a classifier without a language-model head; use --score none --embed FILE");
    return 0;
}

static int open_engine(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    int rc = tiling_set(&t->tiling, a->window ? a->window : cad_model_number(t->model, CAD_MAX_LEN), a->flank, err);
    if (rc == 0) rc = check_model(t, err);
    if (rc == 0) rc = options_open_context(&a->o, t->model, t->tiling.window + a->sep, &t->ctx, err);
    if (rc) return rc;
    set_provenance(t);
    t->table.scores = a->scores;
    t->table.column = embed_column(a);
    t->table.provenance = &t->provenance;
    t->table.cutter = &t->cutter;
    t->cutter = (cutter_t){ .model = t->model, .ref = &t->ref, .tiling = &t->tiling, .mask = a->mask, .want_scores = a->scores.n > 0,
        .skip_soft = a->skip_soft, .sep = a->sep, .encode_flags = a->n_token ? CAD_N_AS_TOKEN : 0, .pooling = a->pooling,
        .rows = table_rows, .rows_arg = &t->table, .notes = &t->notes, .pipe = &t->pipe };
    t->pipe = (pipeline_t){ .model = t->model, .ctx = a->dry_run ? NULL : t->ctx, .mask = a->mask, .pool = pooling_of(a->pooling),
        .take = table_take, .sink = table_sink, .drop = table_drop, .arg = &t->table, .tick = progress, .tick_arg = t,
        .batch_tokens = cad_max((int64_t)1 << 18, (int64_t)a->o.threads << 16) };
    clock_gettime(CLOCK_MONOTONIC, &t->start);
    t->shown = t->start;
    t->progress = !a->o.quiet && isatty(STDERR_FILENO);
    return table_begin(&t->table, cad_model_number(t->model, CAD_D_MODEL), err);
}

/* ---- dry run ---- */

/* Seconds per token of one pass, from a short run of random bases. */
static double calibrate(annotate_t *t)
{
    const work_t *work = &t->pipe.work;
    int64_t n = cad_min(cad_max(work->passes ? work->tokens / work->passes : 1, 1), 8192); /* a typical window */
    int copies = (int)cad_max(cad_min(16384 / n, 256), t->a->o.threads);
    struct timespec a, b;
    cad_window_t w = { .len = n, .core_end = n }, *all = malloc((size_t)copies * sizeof *all);
    uint8_t *tok = malloc((size_t)n);
    float *logp = malloc((size_t)n * 4 * sizeof *logp), *emb = malloc((size_t)cad_model_number(t->model, CAD_D_MODEL) * sizeof *emb);
    double s = 0, best = 1e9;
    for (int64_t i = 0; tok && i < n; i++) tok[i] = (uint8_t)t->model->vocab.base[i * 7 % 11 % 4];
    w.tokens = tok;
    w.logp = logp;
    w.embedding = t->table.row ? t->table.row : emb;
    for (int i = 0; all && i < copies; i++) all[i] = w; /* results over each other: only time counts */
    for (int i = 0; all && tok && logp && w.embedding && i < 3; i++) {
        clock_gettime(CLOCK_MONOTONIC, &a);
        if (t->cutter.want_scores) cad_score(t->ctx, all, copies, CAD_MASK_NONE, NULL);
        else cad_embed(t->ctx, all, copies, CAD_POOL_MEAN, NULL);
        clock_gettime(CLOCK_MONOTONIC, &b);
        s = seconds(a, b);
        if (s < best) best = s;
    }
    free(all);
    free(tok);
    free(logp);
    free(emb);
    return best / (double)(n * copies);
}

static void report_dry_run(annotate_t *t)
{
    const work_t *w = &t->pipe.work;
    int64_t D = cad_model_number(t->model, CAD_D_MODEL);
    printf("rows\t%lld\nwindows\t%lld\npasses\t%lld\ntokens\t%lld\n", (long long)t->table.rows, (long long)w->windows, (long long)w->passes, (long long)w->tokens);
    printf("seconds\t%.3g\n", calibrate(t) * (double)w->tokens);
    printf("output_bytes\t%lld\n", (long long)(t->table.bytes + t->table.rows * (8 * t->a->scores.n + (embed_column(t->a) ? 10 * D : 0))));
    if (t->a->embed && !embed_column(t->a))
        printf("embedding_bytes\t%lld\n", (long long)((t->a->pooling == POOL_ROWS ? t->table.bases : t->table.rows) * D * 4 + 128));
}

/* ---- entry ---- */

static int run(annotate_t *t, cad_error_t *err)
{
    const args_t *a = t->a;
    rows_t rows = { .in = &t->in, .ref = &t->ref, .clip = a->clip, .split = a->split, .drop_browser = output_is_gz(a->output),
        .cutter = &t->cutter, .table = &t->table };
    int rc = open_inputs(t, err);
    if (rc == 0) rc = open_outputs(t, err);
    if (rc == 0 && a->reference) rc = fasta_open(&t->ref, a->reference, &t->notes, err); /* may build an index */
    if (rc == 0) rc = open_filters(t, err);
    if (rc) return rc;
    if (options_open_model(&a->o, &t->model)) {
        err->text[0] = 0; /* reported */
        return CAD_EIO;
    }
    rows.only = t->only;
    rows.targets = t->targets;
    rc = open_engine(t, err);
    if (rc == 0) rc = rows_run(&rows, err);
    if (rc == 0 && a->dry_run) report_dry_run(t);
    return rc ? rc : table_close(&t->table, err);
}

int cmd_annotate(int argc, char **argv)
{
    args_t a;
    annotate_t t = { 0 };
    cad_error_t err = { "" };
    int rc = parse_args(&a, argc, argv);
    if (rc) return rc == 2 ? 0 : 1;
    t.a = &a;
    t.notes = (notes_t){ .cmd = "annotate", .quiet = a.o.quiet };
    rc = run(&t, &err);
    if (t.shown.tv_sec != t.start.tv_sec) fputc('\n', stderr); /* after progress */
    if (rc && err.text[0]) cmd_fail("annotate", "%s", err.text);
    if (rc == 0) notes_summary(&t.notes);
    pipeline_close(&t.pipe);
    table_free(&t.table);
    text_free(&t.options);
    input_close(&t.in);
    if (a.reference) fasta_close(&t.ref);
    regions_free(t.only);
    regions_free(t.targets);
    cad_context_close(t.ctx);
    cad_model_close(t.model);
    return rc || cmd_finish("annotate") ? 1 : 0;
}
