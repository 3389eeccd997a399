/* bench.c - caduceus bench: measures the speed, memory and accuracy of a model on this machine.
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "bench/cells.h"

static const char USAGE[] = "Usage: caduceus bench [options]\n\n"
                            "Measures the tokens computed per second, their memory, the time of each operation\n"
                            "compared with the shortest possible time on this machine, and the error against\n"
                            "double precision, for each combination of the values given. A LIST is N[,N...].\n\n"
                            "Models:\n"
                            "  -m, --model PATH       checkpoint: folder, weight file, hf:ORG/NAME[@REV] or bundled;\n"
                            "                         may be repeated [$CADUCEUS_MODEL, else bundled]\n"
                            "      --adapter DIR      LoRA adapter (peft) to add: folder or hf:ORG/NAME[@REV]\n"
                            "      --config FILE      a random model of this config.json; the next options\n"
                            "                         change it\n" NEW_MODEL_USAGE "Cells:\n"
                            "      --window LIST      tokens in a window [the model's length, at most 16384]\n"
                            "      --batch LIST       windows at once [1]\n"
                            "      --batch-tokens N   instead of --batch: the windows that fit into N tokens,\n"
                            "                         at least one\n"
                            "  -@, --threads LIST     compute threads, 0 means 1 [CPUs this process may use]\n"
                            "      --precision LIST   of fp32, bf16x3 and bf16 [CPU: fp32, CUDA: bf16]\n"
                            "  -d, --device DEV       auto, cpu, cuda or cuda:I [auto]\n"
                            "Measuring:\n"
                            "      --rounds N         rounds; each round measures all combinations [3]\n"
                            "      --brief            measure only speed and memory\n"
                            "      --error-window N   tokens that the error is measured on, 0: none [128]\n"
                            "      --peaks F,U,E,B    the machine's peak rates per second: FLOP, updates of a\n"
                            "                         scan state, exponentials, bytes [measured, on the CPU]\n"
                            "Output:\n"
                            "      --json             print JSON instead of a table\n" PROGRESS_USAGE
                            "      --quiet            no progress, notes or warnings\n"
                            "      --verbosity N      above 3, also print messages of htslib [3]\n"
                            "  -h, --help             this text\n"
                            "\nExamples:\n"
                            "  caduceus bench --window 1024 --brief\n"
                            "  caduceus bench -m model --window 1024,16384 --batch-tokens 16384 -@ 1,4\n";

/* ---- options ---- */

enum { O_WINDOW = 1, O_BATCH, O_BATCH_TOKENS, O_ROUNDS, O_BRIEF, O_ERROR, O_PEAKS, O_JSON };
static const struct option LONGS[] = { OPTIONS_LONG,
                                       OPTIONS_PROGRESS,
                                       OPTIONS_NEW_MODEL,
                                       OPT_VALUE("window", O_WINDOW),
                                       OPT_VALUE("batch", O_BATCH),
                                       OPT_VALUE("batch-tokens", O_BATCH_TOKENS),
                                       OPT_VALUE("rounds", O_ROUNDS),
                                       OPT_FLAG("brief", O_BRIEF),
                                       OPT_VALUE("error-window", O_ERROR),
                                       OPT_VALUE("peaks", O_PEAKS),
                                       OPT_FLAG("json", O_JSON),
                                       { 0 } };

/* Copies the next element of a comma-separated list to piece. Moves *at to the element after it, or sets *at to NULL if
 * there is none. */
static void next_piece(const char **at, char piece[32])
{
    size_t n = strcspn(*at, ",");
    snprintf(piece, 32, "%.*s", (int)cad_min((int64_t)n, 31), *at);
    *at = (*at)[n] ? *at + n + 1 : NULL;
}

static int take_list(const char *name, const char *arg, int64_t lo, int64_t hi, list_t *list)
{
    list->n = 0;
    while (arg) {
        char piece[32];
        if (list->n == MOST) return cmd_fail("bench", "%s: more than %d values", name, MOST);
        next_piece(&arg, piece);
        if (option_int("bench", name, piece, lo, hi, &list->at[list->n++])) return 1;
    }
    return 0;
}

static int take_precision(args_t *a, const char *arg)
{
    static const char *const known[] = { "fp32", "bf16x3", "bf16" };
    const char *at = arg;
    a->nprecision = 0;
    while (at) {
        char piece[32];
        int k = 0;
        next_piece(&at, piece);
        while (k < 3 && strcmp(piece, known[k])) k++;
        for (int i = 0; i < a->nprecision; i++) k = k < 3 && a->precision[i] == known[k] ? 3 : k;
        if (k == 3)
            return cmd_fail("bench", "--precision %s: expected fp32, bf16x3, bf16, or several of them with commas",
                            arg);
        a->precision[a->nprecision++] = known[k];
    }
    return 0;
}

static int take_peaks(args_t *a, const char *arg)
{
    double *rate[] = { &a->peaks.flop, &a->peaks.updates, &a->peaks.exps, &a->peaks.bytes };
    const char *at = arg;
    char piece[32];
    a->peaks_given = true;
    for (int i = 0; i < 4; i++) {
        if (!at) return cmd_fail("bench", "--peaks %s: expected four numbers with commas", arg);
        next_piece(&at, piece);
        if (option_real("bench", "--peaks", piece, 1, 1e30, rate[i])) return 1;
    }
    return at ? cmd_fail("bench", "--peaks %s: expected four numbers with commas", arg) : 0;
}

static int take_model(args_t *a, const char *arg)
{
    if (a->nmodel == MOST) return cmd_fail("bench", "-m: more than %d models", MOST);
    a->model[a->nmodel++] = arg;
    return *arg ? 0 : cmd_fail("bench", "-m: an empty name");
}

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    int rc = new_model_take(&a->fresh, "bench", c, arg);
    if (rc < 1) return rc;
    switch (c) {
    case 'm': return take_model(a, arg);
    case '@': return take_list("-@", arg, 0, 4096, &a->threads);
    case OPT_PRECISION: return take_precision(a, arg);
    case O_WINDOW: return take_list("--window", arg, 1, 1 << 30, &a->windows);
    case O_BATCH: return take_list("--batch", arg, 1, 1 << 24, &a->batches);
    case O_BATCH_TOKENS: return option_int("bench", "--batch-tokens", arg, 1, 1 << 30, &a->batch_tokens);
    case O_ROUNDS: return option_int("bench", "--rounds", arg, 1, 1000, &a->rounds);
    case O_BRIEF: a->brief = true; return 0;
    case O_ERROR: return option_int("bench", "--error-window", arg, 0, 1 << 16, &a->error_window);
    case O_PEAKS: return take_peaks(a, arg);
    case O_JSON: a->json = true; return 0;
    default: return options_take(&a->o, c, arg);
    }
}

/* Checks that the options fit together, and sets the lists that were not given to their defaults. */
static int check(args_t *a)
{
    if (a->nmodel && new_model_given(&a->fresh))
        return cmd_fail("bench", "-m gives the model; --config, --d-model, --n-layer and --rcps make a random one");
    if (a->batches.n && a->batch_tokens)
        return cmd_fail("bench", "--batch and --batch-tokens both say how many windows; give one");
    if (a->brief && (a->error_window >= 0 || a->peaks_given))
        return cmd_fail("bench",
                        "--brief measures neither errors nor operations; leave out --error-window and --peaks");
    if (a->error_window < 0) a->error_window = a->brief ? 0 : 128;
    if (!a->batches.n) a->batches = (list_t) { { 1 }, 1 };
    if (!a->threads.n) a->threads = (list_t) { { a->o.threads }, 1 };
    for (int i = 0; i < a->threads.n; i++) a->threads.at[i] = cad_max(a->threads.at[i], 1);
    /* the list then has one entry, NULL, which means the default precision of the device */
    if (!a->nprecision) a->nprecision = 1;
    if (!a->nmodel) a->nmodel = 1;
    return 0;
}

/* Returns 0 to continue, 1 after an error, 2 after printing help. */
static int parse_args(args_t *a, int argc, char **argv)
{
    int rc;
    memset(a, 0, sizeof *a);
    options_init(&a->o, "bench");
    a->rounds = 3;
    a->fresh.rcps = -1;
    a->error_window = -1;
    rc = options_parse(&CMD_BENCH, argc, argv, take_option, a);
    if (rc == 0) rc = options_operands(&CMD_BENCH, argc, argv, NULL);
    return rc ? rc : check(a);
}

/* ---- models and cells (combinations of model, device, precision, window, batch and threads) ---- */

/* Opens or creates the models. Returns 0, or 1 after reporting an error. */
static int open_models(bench_t *b)
{
    const args_t *a = b->a;
    bool fresh = new_model_given(&a->fresh);
    cad_error_t err;
    b->model = calloc((size_t)a->nmodel, sizeof *b->model);
    if (!b->model) return cmd_fail("bench", "out of memory");
    for (b->nmodel = 0; b->nmodel < a->nmodel; b->nmodel++) {
        subject_t *s = &b->model[b->nmodel];
        options_t o = a->o;
        o.model = a->model[b->nmodel];
        s->name = fresh ? "random" : options_model(&o) ? options_model(&o) : "bundled";
        if (!fresh && options_open_model(&o, &s->m)) return 1;
        if (fresh && new_model_open(&a->fresh, &s->m, 131072, 1, &err)) return cmd_fail("bench", "%s", err.text);
    }
    return 0;
}

static void add_cells(bench_t *b, const subject_t *s, int64_t window)
{
    const args_t *a = b->a;
    for (int i = 0; i < a->batches.n; i++)
        for (int j = 0; j < a->threads.n; j++)
            for (int k = 0; k < a->nprecision; k++) {
                int64_t batch = a->batch_tokens ? cad_max(a->batch_tokens / window, 1) : a->batches.at[i];
                b->cell[b->ncell++] = (cell_t) { .model = s,
                                                 .window = window,
                                                 .batch = batch,
                                                 .threads = (int)a->threads.at[j],
                                                 .wanted = a->precision[k],
                                                 .touched = -1,
                                                 .hidden_error = NAN,
                                                 .logits_error = NAN };
            }
}

static int make_cells(bench_t *b, cad_error_t *err)
{
    const args_t *a = b->a;
    size_t n = (size_t)b->nmodel * (size_t)cad_max(a->windows.n, 1) * (size_t)a->batches.n * (size_t)a->threads.n *
               (size_t)a->nprecision;
    b->cell = n > 4096 ? NULL : calloc(n, sizeof *b->cell);
    if (n > 4096) return cad_fail(err, CAD_EARG, "%zu cells: expected at most 4096", n);
    if (!b->cell) return cad_out_of_memory(err);
    for (int i = 0; i < b->nmodel; i++) {
        int64_t usual = cad_min(cad_model_number(b->model[i].m, CAD_MAX_LEN), 16384);
        for (int k = 0; k < cad_max(a->windows.n, 1); k++)
            add_cells(b, &b->model[i], a->windows.n ? a->windows.at[k] : usual);
    }
    for (int i = 0; i < b->ncell; i++)
        if (!(b->cell[i].rate = calloc((size_t)a->rounds, sizeof(double)))) return cad_out_of_memory(err);
    return 0;
}

static void close_bench(bench_t *b)
{
    for (int i = 0; i < b->ncell; i++) free(b->cell[i].rate);
    for (int i = 0; b->model && i < b->a->nmodel; i++) {
        cad_model_close(b->model[i].m);
        free(b->model[i].tokens);
        free(b->model[i].hidden);
        free(b->model[i].logits);
    }
    free(b->model);
    free(b->cell);
    free(b->rates);
}

static int finish(const bench_t *b)
{
    for (int i = 0; i < b->ncell; i++)
        if (!*b->cell[i].refused) return cmd_finish("bench");
    fflush(stdout);
    return cmd_fail("bench", "nothing was measured: %s", b->cell[0].refused);
}

static int run_bench(int argc, char **argv)
{
    args_t a;
    bench_t b = { .a = &a };
    cad_error_t err;
    int rc = parse_args(&a, argc, argv);
    if (rc) return rc == 2 ? 0 : 1;
    rc = open_models(&b);
    if (rc == 0) {
        rc = make_cells(&b, &err);
        if (rc == 0) rc = cells_measure(&b, &err);
        if (rc == 0 && a.json) rc = cells_json(&b, &err);
        else if (rc == 0) cells_table(&b);
        if (rc) cmd_fail("bench", "%s", err.text);
    }
    if (rc == 0) rc = finish(&b);
    close_bench(&b);
    return rc ? 1 : 0;
}

const command_t CMD_BENCH = { "bench",   "measure speed, memory and error of a model on this machine",
                              run_bench, USAGE,
                              NULL,      OPTIONS_SHORT,
                              LONGS,     NULL };
