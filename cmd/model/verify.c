/* verify.c - caduceus model verify: compares a model's results with expected tensors, which another implementation has
 * computed. SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "io/foundation.h"
#include "measure/measure.h"
#include "actions.h"

static const char USAGE[] = "Usage: caduceus model verify [options] [EXPECTED.safetensors | MODEL...]\n\n"
                            "Runs the input_ids of EXPECTED (default: expected.safetensors beside the\n"
                            "weights) through the model and prints the relative Frobenius error of every\n"
                            "tensor in it: last_hidden_state, logits, class_logits. If EXPECTED has labels,\n"
                            "prints the errors of the loss and of every gradient (grad.NAME). Without a file,\n"
                            "checks reverse-complement equivariance on random sequence. Exits 1 when\n"
                            "an error is above the tolerance. Several models are verified one after another;\n"
                            "the last line counts those that passed.\n\n"
                            "Options:\n"
                            "      --tolerance X      largest error to accept [2e-6; bf16x3 2e-5; bf16 1e-2;\n"
                            "                         gradients 5e-6, their loss 1e-6; in bf16 5e-2, 1e-2]\n"
                            "      --recompute        for gradients, store only the input of each layer\n" OPTIONS_USAGE
                            "\nExamples:\n"
                            "  caduceus model verify -m model\n"
                            "  caduceus model verify -m model --tolerance 5e-3\n";

typedef struct {
    const options_t *o;
    /* largest error allowed; negative: the default for each kind of quantity (logits, gradients ...) */
    double tolerance;
    bool recompute;
    cad_model_t *m;
    const char *precision; /* precision of the context or trainer */
    bool failed;
} verify_t;

/* Returns the default tolerance for a kind of quantity (logits, gradients ...) at the precision in use. */
static double usual_tolerance(const verify_t *v, cad_verdict_t kind)
{
    static const double usual[][3] = { [CAD_VERDICT_FORWARD] = { 2e-6, 2e-5, 1e-2 },
                                       [CAD_VERDICT_LOSS] = { 1e-6, 1e-5, 1e-2 },
                                       [CAD_VERDICT_GRADIENT] = { 5e-6, 5e-5, 5e-2 } };
    const char *p = v->precision;
    return usual[kind][!strcmp(p, "bf16") ? 2 : !strcmp(p, "bf16x3") ? 1 : 0];
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

/* Returns the path of expected.safetensors beside the weights of the adapter or model, malloc'd; NULL if there is
 * none. */
static char *default_expected(const options_t *o)
{
    const char *model = o->adapter ? o->adapter : options_model(o), *slash = model ? strrchr(model, '/') : NULL;
    char *dir, *path;
    if (!model || cad_hub_named(model)) return NULL;
    if (cad_path_is_folder(model)) dir = strdup(model);
    else dir = slash ? strndup(model, (size_t)(slash - model) + (slash == model)) : strdup(".");
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
    char *beside = file ? NULL : default_expected(o);
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

/* ---- entry ---- */

typedef struct {
    options_t o;
    double tolerance;
    bool recompute;
} args_t;

enum { O_TOLERANCE = 1, O_RECOMPUTE };
static const struct option LONGS[] = {
    OPTIONS_LONG, OPT_VALUE("tolerance", O_TOLERANCE), OPT_FLAG("recompute", O_RECOMPUTE), { 0 }
};

static int take_option(void *args, int c, const char *arg)
{
    args_t *a = args;
    switch (c) {
    case O_RECOMPUTE: a->recompute = true; return 0;
    case O_TOLERANCE: return option_real(a->o.cmd, "--tolerance", arg, 0, 1e9, &a->tolerance);
    default: return options_take(&a->o, c, arg);
    }
}

/* True if the operand names a model, not expected tensors: a folder, an hf: name or a weight file of PyTorch. */
static bool is_model(const char *s)
{
    const char *dot = strrchr(s, '.');
    bool torch = dot && (!strcmp(dot, ".bin") || !strcmp(dot, ".ckpt") || !strcmp(dot, ".pt") || !strcmp(dot, ".pth"));
    return cad_hub_named(s) || torch || cad_path_is_folder(s);
}

/* Verifies each of n models with the file of expected tensors beside it. Continues after a failure. */
static int verify_each(const args_t *a, char **model, int n)
{
    int good = 0;
    if (a->o.model) return cmd_fail(a->o.cmd, "-m and several models: give one or the other");
    for (int i = 0; i < n; i++) {
        options_t o = a->o;
        o.model = model[i];
        printf("#model\t%s\n", model[i]);
        good += verify(&o, NULL, a->tolerance, a->recompute) == 0;
    }
    printf("#verified\t%d of %d\n", good, n);
    return cmd_finish(a->o.cmd) || good < n;
}

static int run_verify(int argc, char **argv)
{
    args_t a = { .tolerance = -1 };
    const char *expected = NULL;
    int rc;
    options_init(&a.o, "model verify");
    rc = options_parse(&MODEL_VERIFY, argc, argv, take_option, &a);
    if (rc) return rc == 2 ? 0 : 1;
    if (argc - optind > 1) return verify_each(&a, argv + optind, argc - optind);
    if (argc - optind == 1 && !is_model(argv[optind])) expected = argv[optind];
    else if (model_operand(&a.o, argc, argv)) return 1;
    return verify(&a.o, expected, a.tolerance, a.recompute);
}

const command_t MODEL_VERIFY = { "model verify", "run a checkpoint and compare the results with expected tensors",
                                 run_verify,     USAGE,
                                 NULL,           OPTIONS_SHORT,
                                 LONGS,          NULL };
