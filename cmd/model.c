/* model.c - caduceus model info | verify | convert. SPDX-License-Identifier: MIT */
#include <sys/stat.h>
#include <unistd.h>

#include "measure/measure.h"
#include "cmd.h"

static const char USAGE_INFO[] = "Usage: caduceus model info [options] [MODEL]\n\n"
                                 "Prints configuration, parameters, vocabulary, stored type and checksum.\n\n"
                                 "Options:\n" OPTIONS_USAGE;

static const char USAGE_VERIFY[] =
    "Usage: caduceus model verify [options] [EXPECTED.safetensors | MODEL]\n\n"
    "Runs the input_ids of EXPECTED (default: expected.safetensors beside the\n"
    "weights) through the model and prints the relative Frobenius error of every\n"
    "tensor given: last_hidden_state, logits, class_logits; or, where labels are\n"
    "given, of the loss and of every gradient (grad.NAME). Without an expected file,\n"
    "checks reverse-complement equivariance on random sequence. Exits 1 when\n"
    "an error is above the tolerance.\n\n"
    "Options:\n"
    "      --tolerance X      largest error to accept [2e-6; bf16 1e-2; gradients 5e-6,\n"
    "                         their loss 1e-6; in bf16 5e-2 and 1e-2]\n"
    "      --recompute        gradients: keep each layer's input alone, as in training\n" OPTIONS_USAGE;

static const char USAGE_CONVERT[] = "Usage: caduceus model convert [options] -o DIR [MODEL]\n\n"
                                    "Writes a checkpoint anew into folder DIR: float32, one weight file, published\n"
                                    "names, each tied tensor once.\n\n"
                                    "Options:\n"
                                    "  -o, --output DIR       folder to write to; made if absent\n" OPTIONS_USAGE;

static const char USAGE[] = "Usage: caduceus model info|verify|convert [options]\n\n"
                            "  info       print what a checkpoint is\n"
                            "  verify     run it and compare with expected tensors\n"
                            "  convert    write it anew, as float32 with the published names\n";

/* ---- info ---- */

static void info_line(const char *key, int64_t value) { printf("%s\t%lld\n", key, (long long)value); }

static void info_tokens(const cad_model_t *m)
{
    static const struct {
        const char *name;
        enum cad_number_t id;
    } token[] = { { "A", CAD_TOKEN_A },     { "C", CAD_TOKEN_C },     { "G", CAD_TOKEN_G },
                  { "T", CAD_TOKEN_T },     { "N", CAD_TOKEN_N },     { "MASK", CAD_TOKEN_MASK },
                  { "PAD", CAD_TOKEN_PAD }, { "SEP", CAD_TOKEN_SEP }, { "UNK", CAD_TOKEN_UNK } };
    for (size_t i = 0; i < sizeof token / sizeof *token; i++)
        printf("%s%s=%lld", i ? " " : "tokens\t", token[i].name, (long long)cad_model_number(m, token[i].id));
    puts("");
}

static int info(const options_t *o)
{
    cad_model_t *m;
    int64_t labels;
    if (options_open_model(o, &m)) return 1;
    labels = cad_model_number(m, CAD_LABELS);
    printf("model\t%s\n", cad_model_text(m, CAD_TEXT_KIND));
    printf("head\t%s\n", labels ? "classifier" : "masked language model");
    if (labels) info_line("labels", labels);
    printf("configuration\t%s\n", cad_model_text(m, CAD_TEXT_DETAILS));
    info_line("parameters", cad_model_number(m, CAD_PARAMETERS));
    info_line("window", cad_model_number(m, CAD_MAX_LEN));
    printf("vocabulary\t%s (%lld rows)\n", cad_model_text(m, CAD_TEXT_VOCABULARY),
           (long long)cad_model_number(m, CAD_VOCAB));
    info_tokens(m);
    printf("dtype\t%s\n", cad_model_text(m, CAD_TEXT_DTYPE));
    printf("sha256\t%s\n", cad_model_text(m, CAD_TEXT_SHA256));
    if (*cad_model_text(m, CAD_TEXT_STATUS)) printf("status\t%s\n", cad_model_text(m, CAD_TEXT_STATUS));
    cad_model_close(m);
    return cmd_finish(o->cmd);
}

/* ---- verify ---- */

typedef struct {
    const options_t *o;
    double tolerance; /* negative: the default of each kind of quantity */
    bool recompute;
    cad_model_t *m;
    const char *precision; /* of the context or trainer */
    bool failed;
} verify_t;

/* The default tolerance: forward pass, loss, gradients; in fp32, in bf16. */
static double usual_tolerance(const verify_t *v, cad_verdict_t kind)
{
    static const double usual[][2] = { [CAD_VERDICT_FORWARD] = { 2e-6, 1e-2 },
                                       [CAD_VERDICT_LOSS] = { 1e-6, 1e-2 },
                                       [CAD_VERDICT_GRADIENT] = { 5e-6, 5e-2 } };
    return usual[kind][!strcmp(v->precision, "bf16")];
}

static void report(void *arg, const char *name, cad_verdict_t kind, double error)
{
    verify_t *v = arg;
    bool ok = error <= (v->tolerance < 0 ? usual_tolerance(v, kind) : v->tolerance); /* false for NaN */
    if (!ok) v->failed = true;
    printf("%s\t%.3g\t%s\n", name, error, ok ? "ok" : "FAILED");
}

static int verify_gradients(verify_t *v, const cad_expected_t *e, cad_error_t *err)
{
    cad_trainer_t *t = NULL;
    cad_recipe_t r;
    int rc;
    cad_recipe_init(&r);
    r.max_tokens = cad_expected_len(e);
    r.recompute = v->recompute;
    rc = options_open_trainer(v->o, v->m, &r, &t, err);
    if (rc) return rc;
    v->precision = cad_trainer_precision(t);
    rc = cad_expected_gradients(e, t, err);
    cad_trainer_close(t);
    return rc;
}

static int verify_forward(verify_t *v, const cad_expected_t *e, cad_error_t *err)
{
    cad_context_t *ctx = NULL;
    int rc = options_open_context(v->o, v->m, cad_expected_len(e), &ctx, err);
    if (rc) return rc;
    v->precision = cad_context_precision(ctx);
    rc = cad_expected_forward(e, ctx, err);
    cad_context_close(ctx);
    return rc;
}

/* The path of expected.safetensors beside the weights, malloc'd; NULL if there is none. */
static char *default_expected(const char *model)
{
    size_t n = model ? strlen(model) : 0;
    const char *slash = model ? strrchr(model, '/') : NULL;
    char *dir, *path;
    if (!model || !strncmp(model, "hf:", 3)) return NULL;
    if (n > 12 && !strcmp(model + n - 12, ".safetensors"))
        dir = slash ? strndup(model, (size_t)(slash - model)) : strdup(".");
    else dir = strdup(model);
    path = dir ? cad_path_join(dir, "expected.safetensors") : NULL;
    free(dir);
    if (path && access(path, F_OK)) {
        free(path);
        path = NULL;
    }
    return path;
}

static int verify(const options_t *o, const char *file, double tolerance, bool recompute)
{
    verify_t v = { .o = o, .tolerance = tolerance, .recompute = recompute };
    cad_expected_t *e = NULL;
    cad_error_t err;
    char *beside = file ? NULL : default_expected(options_model(o));
    int rc = options_open_model(o, &v.m);
    if (rc == 0) {
        rc = cad_expected_open(&e, v.m, file ? file : beside, report, &v, &err);
        if (rc == 0) rc = (cad_expected_trains(e) ? verify_gradients : verify_forward)(&v, e, &err);
        rc = rc ? cmd_fail(o->cmd, "%s", err.text) : cmd_finish(o->cmd);
    }
    if (rc == 0 && v.failed) rc = cmd_fail(o->cmd, "errors above the tolerance");
    cad_expected_close(e);
    cad_model_close(v.m);
    free(beside);
    return rc;
}

/* ---- convert ---- */

static int convert(const options_t *o, const char *dir)
{
    static const char *const part[] = { "model.safetensors", "config.json" };
    cad_model_t *m = NULL;
    ledger_t files = { 0 };
    cad_error_t err;
    bool made = false;
    int rc;
    if (!dir) return cmd_fail(o->cmd, "-o: give the folder to write to");
    rc = cad_folder_make(dir, &made, &err);
    options_input_model(o, &files);
    for (size_t i = 0; i < sizeof part / sizeof *part && rc == 0; i++) {
        char *path = cad_path_join(dir, part[i]);
        rc = path ? ledger_output(&files, path, &err) : cad_out_of_memory(&err);
        free(path);
    }
    ledger_free(&files);
    if (rc) rc = cmd_fail(o->cmd, "%s", err.text);
    else rc = options_open_model(o, &m);
    if (rc == 0 && options_save_model(m, dir, NULL, &err)) rc = cmd_fail(o->cmd, "%s", err.text);
    if (rc && made) rmdir(dir);
    cad_model_close(m);
    return rc ? rc : cmd_finish(o->cmd);
}

/* ---- entry ---- */

typedef enum { INFO, VERIFY, CONVERT, NACTION } action_t;
static const struct {
    const char *name, *cmd, *usage;
} ACTION[] = {
    { "info", "model info", USAGE_INFO },
    { "verify", "model verify", USAGE_VERIFY },
    { "convert", "model convert", USAGE_CONVERT },
};

typedef struct {
    options_t o;
    action_t what;
    double tolerance;
    bool recompute;
    const char *output;
} args_t;

enum { O_TOLERANCE = 1, O_RECOMPUTE };
static const struct option LONGS[] = { OPTIONS_LONG,
                                       OPT_VALUE("tolerance", O_TOLERANCE),
                                       OPT_VALUE("output", 'o'),
                                       OPT_FLAG("recompute", O_RECOMPUTE),
                                       { 0 } };

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    if ((c == O_TOLERANCE || c == O_RECOMPUTE) && a->what != VERIFY)
        return cmd_fail(a->o.cmd, "--%s belongs to `model verify`", c == O_TOLERANCE ? "tolerance" : "recompute");
    if (c == 'o' && a->what != CONVERT) return cmd_fail(a->o.cmd, "-o belongs to `model convert`");
    switch (c) {
    case 'o': a->output = arg; return 0;
    case O_RECOMPUTE: a->recompute = true; return 0;
    case O_TOLERANCE: return option_real(a->o.cmd, "--tolerance", arg, 0, 1e9, &a->tolerance);
    default: return options_take(&a->o, c, arg);
    }
}

/* Whether the operand names a model: any but a file of expected tensors. */
static bool names_model(const args_t *a, const char *file)
{
    struct stat sb;
    return a->what != VERIFY || (stat(file, &sb) == 0 && S_ISDIR(sb.st_mode));
}

static int run(args_t *a, const char *file)
{
    if (file && names_model(a, file)) {
        if (a->o.model) return cmd_fail(a->o.cmd, "%s: a second model; -m names one already", file);
        a->o.model = file;
        file = NULL;
    }
    switch (a->what) {
    case INFO: return info(&a->o);
    case VERIFY: return verify(&a->o, file, a->tolerance, a->recompute);
    default: return convert(&a->o, a->output);
    }
}

int cmd_model(int argc, char **argv)
{
    args_t a = { .tolerance = -1 };
    int rc;
    if (argc < 2) {
        fputs(USAGE, stderr);
        return 1;
    }
    if (!strcmp(argv[1], "--help")) {
        fputs(USAGE, stdout);
        return cmd_finish("model");
    }
    while (a.what < NACTION && strcmp(argv[1], ACTION[a.what].name)) a.what++;
    if (a.what == NACTION) return cmd_fail("model", "%s: expected info, verify or convert", argv[1]);
    options_init(&a.o, ACTION[a.what].cmd);
    optind = 2; /* after the action */
    rc = options_parse(a.o.cmd, argc, argv, OPTIONS_SHORT "o:", LONGS, ACTION[a.what].usage, take_option, &a);
    if (rc) return rc == 2 ? 0 : 1;
    if (argc - optind > 1) return cmd_fail(a.o.cmd, "one file at most, %d given", argc - optind);
    return run(&a, optind < argc ? argv[optind] : NULL);
}
