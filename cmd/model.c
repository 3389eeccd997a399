/* model.c - caduceus model info | verify | convert. SPDX-License-Identifier: MIT */
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/model.h"
#include "measure/measure.h"
#include "model/safetensors.h"
#include "cmd.h"
#include "base/random.h"

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
    printf("tokens\tA=%d C=%d G=%d T=%d N=%d MASK=%d PAD=%d SEP=%d UNK=%d\n", m->vocab.base[0], m->vocab.base[1],
           m->vocab.base[2], m->vocab.base[3], m->vocab.n, m->vocab.mask, m->vocab.pad, m->vocab.sep, m->vocab.unk);
    printf("dtype\t%s\n", cad_model_text(m, CAD_TEXT_DTYPE));
    printf("sha256\t%s\n", cad_model_text(m, CAD_TEXT_SHA256));
    if (*cad_model_text(m, CAD_TEXT_STATUS)) printf("status\t%s\n", cad_model_text(m, CAD_TEXT_STATUS));
    cad_model_close(m);
    return cmd_finish(o->cmd);
}

/* ---- verify ---- */

typedef struct {
    const options_t *o;
    double tolerance; /* negative: the default of each quantity */
    bool recompute;
    cad_model_t *m;
    cad_context_t *ctx;
    int64_t B, L;
    uint8_t *tok, *tok_rc; // (B,L); tok_rc NULL when not given
    bool failed;
} verify_t;

static void report(verify_t *v, const char *what, double error, double tolerance)
{
    bool ok = error <= (v->tolerance < 0 ? tolerance : v->tolerance); /* NaN is not */
    if (!ok) v->failed = true;
    printf("%s\t%.3g\t%s\n", what, error, ok ? "ok" : "FAILED");
}

static bool coarse(const char *precision) { return !strcmp(precision, "bf16"); }

static double usual_tolerance(const verify_t *v) { return coarse(cad_context_precision(v->ctx)) ? 1e-2 : 2e-6; }

static int read_ids(verify_t *v, cad_safetensors_t *st, const char *name, uint8_t **out, cad_error_t *err)
{
    const cad_stored_t *t = cad_safetensors_find(st, name);
    int64_t *id, V = cad_model_number(v->m, CAD_VOCAB);
    int rc;
    if (!t) return 0;
    if (t->ndim != 2 || (v->B && (t->shape[0] != v->B || t->shape[1] != v->L)))
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s is not of shape (B,L)", st->path[0], name);
    v->B = t->shape[0];
    v->L = t->shape[1];
    id = cad_alloc((size_t)t->count, sizeof *id);
    *out = cad_alloc((size_t)t->count, 1);
    rc = id && *out ? cad_safetensors_i64(st, t, id, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
    for (int64_t i = 0; rc == 0 && i < t->count; i++) {
        if (id[i] < 0 || id[i] >= V)
            rc = cad_fail(err, CAD_EFORMAT, "%s: token %lld in %s; the model has %lld", st->path[0], (long long)id[i],
                          name, (long long)V);
        else (*out)[i] = (uint8_t)id[i];
    }
    free(id);
    return rc;
}

typedef enum { HIDDEN, LOGITS, CLASSES } tensor_t;

static int compute(verify_t *v, tensor_t what, int64_t b, float *out, cad_error_t *err)
{
    const uint8_t *tok = v->tok + b * v->L, *rc = v->tok_rc ? v->tok_rc + b * v->L : NULL;
    switch (what) {
    case HIDDEN: return cad_forward(v->ctx, tok, v->L, out, NULL, err);
    case LOGITS: return cad_forward(v->ctx, tok, v->L, NULL, out, err);
    default: return cad_classify(v->ctx, tok, rc, v->L, out, err);
    }
}

static int compare(verify_t *v, cad_safetensors_t *st, const char *name, tensor_t what, int *compared, cad_error_t *err)
{
    const cad_stored_t *t = cad_safetensors_find(st, name);
    int64_t width = cad_model_number(v->m, what == HIDDEN ? CAD_HIDDEN_WIDTH : what == LOGITS ? CAD_VOCAB : CAD_LABELS);
    int64_t each = (what == CLASSES ? 1 : v->L) * width;
    float *got, *want;
    int rc = 0;
    if (!t) return 0;
    if (t->ndim != (what == CLASSES ? 2 : 3) || t->count != v->B * each || t->shape[0] != v->B ||
        t->shape[t->ndim - 1] != width)
        return cad_fail(err, CAD_EFORMAT, "%s: tensor %s does not fit the model and input_ids", st->path[0], name);
    got = cad_alloc((size_t)t->count, sizeof *got);
    want = cad_alloc((size_t)t->count, sizeof *want);
    rc = got && want ? cad_safetensors_f32(st, t, want, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
    for (int64_t b = 0; b < v->B && rc == 0; b++) rc = compute(v, what, b, got + b * each, err);
    if (rc == 0) report(v, name, cad_relative_error(got, want, t->count), usual_tolerance(v));
    free(got);
    free(want);
    ++*compared;
    return rc;
}

/* ---- gradients: labels (4: ignored), loss (the mean), grad.NAME ---- */

#define IGNORED 4

/* Adds the loss and gradient of every sequence. */
static int add_sequences(verify_t *v, cad_trainer_t *t, const uint8_t *labels, double *loss, cad_error_t *err)
{
    float *weight = cad_alloc((size_t)(v->B * v->L), sizeof *weight);
    int64_t scored = 0;
    int rc = weight ? 0 : cad_fail(err, CAD_ENOMEM, "out of memory");
    for (int64_t i = 0; i < v->B * v->L && rc == 0; i++) {
        weight[i] = labels[i] != IGNORED;
        scored += labels[i] != IGNORED;
    }
    for (int64_t b = 0; b < v->B && rc == 0; b++) {
        cad_example_t e = { v->tok + b * v->L, v->L, labels + b * v->L, weight + b * v->L, NULL };
        rc = cad_trainer_add(t, CAD_LOSS_TOKENS, &e, 1, 1 / (double)scored, loss, err);
    }
    *loss /= (double)scored;
    free(weight);
    return rc;
}

/* The tensor of this published name has this shape. */
static bool like_tensor(const cad_model_t *m, const char *name, const cad_stored_t *s)
{
    for (int i = 0; i < m->ntensor; i++) {
        const cad_tensor_t *t = &m->tensor[i];
        if (!strcmp(name, t->name))
            return s->count == t->count && s->ndim == t->ndim &&
                   !memcmp(s->shape, t->shape, (size_t)t->ndim * sizeof *t->shape);
    }
    return false;
}

static int compare_gradient(verify_t *v, cad_trainer_t *t, cad_safetensors_t *st, const cad_stored_t *s,
                            cad_error_t *err)
{
    const char *name = s->name + (strncmp(s->name, "grad.caduceus.", 14) ? 5 : 14);
    float *got, *want;
    int rc;
    if (!like_tensor(v->m, name, s))
        return cad_fail(err, CAD_EFORMAT, "%s: %s: the model has no such tensor of this shape", st->path[0], s->name);
    got = cad_alloc((size_t)s->count, sizeof *got);
    want = cad_alloc((size_t)s->count, sizeof *want);
    rc = got && want ? cad_safetensors_f32(st, s, want, err) : cad_fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0 && (rc = cad_trainer_gradient(t, name, got)))
        cad_fail(err, rc, "%s: no gradient: %s", s->name, cad_strerror(rc));
    if (rc == 0)
        report(v, s->name, cad_relative_error(got, want, s->count), coarse(cad_trainer_precision(t)) ? 5e-2 : 5e-6);
    free(got);
    free(want);
    return rc;
}

static int compare_gradients(verify_t *v, cad_safetensors_t *st, cad_error_t *err)
{
    const cad_stored_t *s = cad_safetensors_find(st, "loss");
    cad_trainer_t *t = NULL;
    cad_recipe_t r;
    uint8_t *labels = NULL;
    double loss = 0;
    float want = 0;
    int rc = s && s->count == 1 ? read_ids(v, st, "labels", &labels, err)
                                : cad_fail(err, CAD_EFORMAT, "%s: labels without a loss", st->path[0]);
    cad_recipe_init(&r);
    r.max_tokens = v->L;
    r.recompute = v->recompute;
    if (rc == 0) rc = cad_safetensors_f32(st, s, &want, err);
    if (rc == 0) rc = options_open_trainer(v->o, v->m, &r, &t, err);
    if (rc == 0) rc = add_sequences(v, t, labels, &loss, err);
    if (rc == 0)
        report(v, "loss", fabs(loss - (double)want) / fabs((double)want),
               coarse(cad_trainer_precision(t)) ? 1e-2 : 1e-6);
    for (int i = 0; i < st->ntensor && rc == 0; i++)
        if (!strncmp(st->tensor[i].name, "grad.", 5)) rc = compare_gradient(v, t, st, &st->tensor[i], err);
    cad_trainer_close(t);
    free(labels);
    return rc;
}

/* Conjoined results of a sequence and of its reverse complement, the latter turned back. */
static int equivariance(verify_t *v, int64_t b, double *error, cad_error_t *err)
{
    int64_t L = v->L, V = cad_model_number(v->m, CAD_VOCAB), labels = cad_model_number(v->m, CAD_LABELS);
    int64_t n = labels ? labels : L * V;
    const uint8_t *tok = v->tok + b * L;
    uint8_t *other = cad_alloc((size_t)L, 1);
    float *x = cad_alloc((size_t)n, sizeof *x), *y = cad_alloc((size_t)n, sizeof *y),
          *turned = cad_alloc((size_t)n, sizeof *turned);
    int rc = other && x && y && turned ? 0 : cad_fail(err, CAD_ENOMEM, "out of memory");
    if (rc == 0) {
        cad_reverse_complement(v->m, tok, L, other);
        rc = labels ? cad_classify(v->ctx, tok, other, L, x, err) : cad_forward_conjoined(v->ctx, tok, L, x, err);
    }
    if (rc == 0)
        rc = labels ? cad_classify(v->ctx, other, tok, L, y, err) : cad_forward_conjoined(v->ctx, other, L, y, err);
    for (int64_t i = 0; rc == 0 && i < n; i++)
        turned[i] = labels ? y[i] : y[(L - 1 - i / V) * V + v->m->vocab.comp[i % V]];
    if (rc == 0) *error = fmax(*error, cad_relative_error(turned, x, n));
    free(other);
    free(x);
    free(y);
    free(turned);
    return rc;
}

static int random_tokens(verify_t *v, cad_error_t *err)
{
    v->B = 2;
    v->L = 600;
    v->tok = cad_alloc((size_t)(v->B * v->L), 1);
    if (!v->tok) return cad_fail(err, CAD_ENOMEM, "out of memory");
    for (int64_t i = 0; i < v->B * v->L; i++)
        v->tok[i] = (uint8_t)v->m->vocab.base[cad_random(42, 0, 0, (uint64_t)i) & 3];
    return 0;
}

static int run_verify(verify_t *v, cad_safetensors_t *st, const char *expected, cad_error_t *err)
{
    double error = 0;
    int compared = 0, rc;
    if (expected) {
        rc = cad_safetensors_open(st, expected, err);
        if (rc == 0) rc = read_ids(v, st, "input_ids", &v->tok, err);
        if (rc == 0) rc = read_ids(v, st, "input_ids_rc", &v->tok_rc, err);
        if (rc == 0 && !v->tok) rc = cad_fail(err, CAD_EFORMAT, "%s: has no input_ids", expected);
    } else rc = random_tokens(v, err);
    if (rc == 0 && expected && cad_safetensors_find(st, "labels")) return compare_gradients(v, st, err);
    if (rc == 0) rc = options_open_context(v->o, v->m, v->L, &v->ctx, err);
    if (rc == 0 && expected) {
        rc = compare(v, st, "last_hidden_state", HIDDEN, &compared, err);
        if (rc == 0) rc = compare(v, st, "logits", LOGITS, &compared, err);
        if (rc == 0) rc = compare(v, st, "class_logits", CLASSES, &compared, err);
        if (rc == 0 && !compared)
            rc = cad_fail(err, CAD_EFORMAT, "%s: holds none of last_hidden_state, logits, class_logits", expected);
    }
    for (int64_t b = 0; b < v->B && b < 2 && rc == 0; b++) rc = equivariance(v, b, &error, err);
    if (rc == 0) report(v, "rc_equivariance", error, usual_tolerance(v));
    return rc;
}

/* expected.safetensors beside the weights, malloc'd, or NULL. */
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

static int verify(const options_t *o, const char *expected, double tolerance, bool recompute)
{
    verify_t v = { .o = o, .tolerance = tolerance, .recompute = recompute };
    cad_safetensors_t st = { 0 };
    cad_error_t err;
    char *beside = expected ? NULL : default_expected(options_model(o));
    int rc;
    if (options_open_model(o, &v.m)) {
        free(beside);
        return 1;
    }
    rc = run_verify(&v, &st, expected ? expected : beside, &err);
    if (rc) rc = cmd_fail(o->cmd, "%s", err.text);
    else rc = cmd_finish(o->cmd);
    if (rc == 0 && v.failed) rc = cmd_fail(o->cmd, "errors above the tolerance");
    cad_safetensors_close(&st);
    cad_context_close(v.ctx);
    cad_model_close(v.m);
    free(v.tok);
    free(v.tok_rc);
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
        rc = path ? ledger_output(&files, path, &err) : cad_fail(&err, CAD_ENOMEM, "out of memory");
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

int cmd_model(int argc, char **argv)
{
    static const struct option longs[] = { OPTIONS_LONG,
                                           { "tolerance", required_argument, NULL, 1 },
                                           { "output", required_argument, NULL, 'o' },
                                           { "recompute", no_argument, NULL, 2 },
                                           { 0 } };
    options_t o;
    double tolerance = -1;
    bool recompute = false;
    action_t what = INFO;
    const char *file, *output = NULL;
    struct stat sb;
    int c, r;
    if (argc < 2) {
        fputs(USAGE, stderr);
        return 1;
    }
    if (!strcmp(argv[1], "--help")) {
        fputs(USAGE, stdout);
        return cmd_finish("model");
    }
    while (what < NACTION && strcmp(argv[1], ACTION[what].name)) what++;
    if (what == NACTION) return cmd_fail("model", "%s: expected info, verify or convert", argv[1]);
    options_init(&o, ACTION[what].cmd);
    argc--;
    argv++;
    while ((c = getopt_long(argc, argv, OPTIONS_SHORT "o:", longs, NULL)) != -1) {
        if (c == 1004) {
            fputs(ACTION[what].usage, stdout);
            return cmd_finish(o.cmd);
        }
        if (c == '?') return option_unknown(o.cmd, argv);
        if ((c == 1 || c == 2) && what != VERIFY)
            return cmd_fail(o.cmd, "--%s belongs to `model verify`", c == 1 ? "tolerance" : "recompute");
        if (c == 'o' && what != CONVERT) return cmd_fail(o.cmd, "-o belongs to `model convert`");
        if (c == 'o') output = optarg;
        recompute = recompute || c == 2;
        r = c == 'o' || c == 2 ? 0
            : c == 1           ? option_real(o.cmd, "--tolerance", optarg, 0, 1e9, &tolerance)
                               : options_take(&o, c, optarg);
        if (r) return 1;
    }
    if (argc - optind > 1) return cmd_fail(o.cmd, "one file at most, %d given", argc - optind);
    file = optind < argc ? argv[optind] : NULL;
    if (file && (what != VERIFY || (stat(file, &sb) == 0 && S_ISDIR(sb.st_mode)))) { /* a model */
        if (o.model) return cmd_fail(o.cmd, "%s: a second model; -m names one already", file);
        o.model = file;
        file = NULL;
    }
    return what == INFO ? info(&o) : what == VERIFY ? verify(&o, file, tolerance, recompute) : convert(&o, output);
}
