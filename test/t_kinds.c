/* t_kinds.c - tests models that mix layer kinds: Mamba, the gated linear layer of test/kinds, and the kinds without a
 * direction, which only the CPU has. Compares the forward pass with the double-precision reference and gradients with
 * directional derivatives of the reference; tests saving, loading and the meter. Runs in plain C and under the CUDA shim,
 * both of which are built with the gated layer.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <unistd.h>

#include "base/random.h"
#include "kinds/gated.h"
#include "measure/measure.h"
#include "simd.h"
#include "tap.h"

#define N_OF(array) (sizeof(array) / sizeof *(array))
#define LENGTH 157 /* more than one tile of rows, and not a multiple of the tile size */
#define LONG 637   /* ten blocks of an attention layer, the last of them short */

typedef struct {
    const char *name, *kinds, *switches;
    int len;  /* tokens of a sequence */
    bool gpu; /* every backend has the model's kinds */
} variant_t;

#define MIXED "\"mamba\", \"gated\", \"gated\", \"mamba\""
#define ATTENTION "\"attention\", \"gated\""
#define HEADS "\"attention_cfg\": {\"heads\": 3, \"head_dim\": 16"
static const variant_t VARIANT[] = {
    { "PS", MIXED, "\"rcps\": true, \"gated_cfg\": {\"expand\": 3}", LENGTH, true },
    { "PS untied", MIXED, "\"rcps\": true, \"bidirectional_weight_tie\": false, \"gated_cfg\": {\"expand\": 3}", LENGTH,
      true },
    { "PS, merged and apart", MIXED, "\"rcps\": true, \"fused_add_norm\": false, \"ssm_cfg\": {\"bias\": true}", LENGTH,
      true },
    { "PS, gated first", "\"gated\", \"mamba\"", "\"rcps\": true, \"ssm_cfg\": {\"expand\": 2}", LENGTH, true },
    { "Ph multiplied", MIXED, "\"bidirectional_strategy\": \"ew_multiply\"", LENGTH, true },
    { "Ph one direction", MIXED, "\"bidirectional\": false, \"rms_norm\": false", LENGTH, true },
    { "Ph all gated", "\"gated\"", "\"rcps\": false", LENGTH, true },
    { "PS, attention", ATTENTION, "\"rcps\": true, \"attention_cfg\": {\"heads\": 2}, \"gated_cfg\": {\"expand\": 3}",
      LENGTH, false },
    { "Ph, attention beside Mamba", "\"mamba\", \"attention\"",
      "\"rms_norm\": false, " HEADS ", \"positions\": \"none\"}", LENGTH, false },
    { "attention along a graph", "\"kmer\", \"attention\"", "\"attention_cfg\": {\"heads\": 2, \"pattern\": \"graph\"}",
      LONG, false },
    { "attention by blocks", "\"attention\", \"gated\"",
      "\"attention_cfg\": {\"heads\": 2, \"pattern\": \"blocks\", \"random\": 2}", LONG, false },
};

/* Kinds without a direction. The layers of a fused PS model are mirrored in turns. */
#define BESIDE "\"kmer\", \"mamba\", \"mlp\", \"mamba2\""
#define MAMBA2 "\"mamba2_cfg\": {\"headdim\": 12, \"d_state\": 8}"
#define TANH "\"mlp_cfg\": {\"d_inner\": 37, \"activation\": \"gelu_tanh\", \"bias\": false}"
static const variant_t CPU_VARIANT[] = {
    { "PS kmer, mlp", "\"kmer\", \"mlp\", \"mlp\", \"kmer\"", "\"rcps\": true, \"kmer_cfg\": {\"k\": 5}", LENGTH,
      false },
    { "PS unfused mlp", "\"mlp\"", "\"rcps\": true, \"fused_add_norm\": false, \"rms_norm\": false", LENGTH, false },
    { "Ph kmer", "\"kmer\"", "\"kmer_cfg\": {\"k\": 1}, \"rms_norm\": false", LENGTH, false },
    { "PS beside Mamba", BESIDE, "\"rcps\": true, \"ssm_cfg\": {\"d_state\": 5}, " TANH ", " MAMBA2, LENGTH, false },
    { "PS beside Mamba, LayerNorm", BESIDE, "\"rcps\": true, \"rms_norm\": false, " MAMBA2, LENGTH, false },
    { "Ph beside Mamba, multiplied", BESIDE, "\"bidirectional_strategy\": \"ew_multiply\", " MAMBA2, LENGTH, false },
    { "PS transformer", "\"kmer\", \"attention\", \"mlp\"", "\"rcps\": true, \"attention_cfg\": {\"heads\": 2}", LENGTH,
      false },
    { "Ph beside Mamba, one direction", "\"mlp\", \"mamba\", \"kmer\", \"gated\"",
      "\"bidirectional\": false, \"mlp_cfg\": {\"expand\": 2}, \"gated_cfg\": {\"expand\": 2}", LENGTH, false },
    { "hyena", "\"hyena\", \"mlp\"",
      "\"bidirectional\": false, \"rms_norm\": false, \"hyena_cfg\": {\"max_seq_len\": 1024}", LENGTH, false },
    { "hyena beside Mamba", "\"hyena\", \"mamba\"",
      "\"bidirectional\": false, \"hyena_cfg\": {\"max_seq_len\": 1024, \"filter_order\": 17}", LONG, false },
};
/* A step of a central difference often meets a bend of the maximum; t_grad has smaller steps. */
static const variant_t BENT = { "PS convolutions", "\"cnn\", \"mlp\"",
                                "\"rcps\": true, \"cnn_cfg\": {\"widths\": [3, 6, 12], \"pool\": 1}", LENGTH, false };

static cad_model_t *make(const variant_t *v)
{
    char config[512];
    cad_model_t *m;
    cad_error_t err;
    snprintf(config, sizeof config, "{\"d_model\": 24, \"n_layer\": 4, \"vocab_size\": 12, \"layer_kinds\": [%s], %s}",
             v->kinds, v->switches);
    if (cad_model_create(&m, config, 1024, 7, &err)) tap_ok(false, "%s: %s", v->name, err.text);
    return m;
}

/* Bases, with two masked ones and one that is unknown. */
static void tokens_of(const cad_model_t *m, uint8_t *tok, int len)
{
    for (int i = 0; i < len; i++) tok[i] = (uint8_t)(7 + cad_random(3, 0, 0, (uint64_t)i) % 4);
    tok[50] = tok[130] = (uint8_t)m->vocab.mask;
    tok[90] = (uint8_t)m->vocab.pad;
}

static cad_context_t *context(const cad_model_t *m, const char *device, int threads, int len)
{
    cad_options_t o;
    cad_context_t *ctx;
    cad_error_t err;
    cad_options_init(&o);
    o.device = device;
    o.precision = "fp32";
    o.threads = threads;
    o.max_len = len;
    if (cad_context_open(&ctx, m, &o, &err)) tap_ok(false, "a context on %s: %s", device, err.text);
    return ctx;
}

/* ---- forward ---- */

static void check_forward(const cad_model_t *m, const char *device, int len, const char *name)
{
    int64_t V = cad_model_number(m, CAD_VOCAB), W = cad_model_number(m, CAD_HIDDEN_WIDTH);
    float *got = cad_alloc((size_t)(len * (V + W)), sizeof *got),
          *want = cad_alloc((size_t)(len * (V + W)), sizeof *want);
    uint8_t tok[LONG];
    cad_context_t *ctx[2] = { context(m, device, 1, len), context(m, device, 3, len) };
    tokens_of(m, tok, len);
    cad_reference_forward(m, tok, len, want, want + len * W, NULL);
    cad_forward(ctx[0], tok, len, got, got + len * W, NULL);
    tap_ok(cad_relative_error(got, want, len * W) < 2e-6 &&
               cad_relative_error(got + len * W, want + len * W, len * V) < 2e-6,
           "%s: hidden states and logits are the reference's", name);
    cad_forward(ctx[1], tok, len, want, want + len * W, NULL);
    tap_ok(!memcmp(got, want, (size_t)(len * (V + W)) * sizeof *got), "%s: three threads give the same bytes", name);
    for (int i = 0; i < 2; i++) cad_context_close(ctx[i]);
    free(got);
    free(want);
}

/* ---- gradients ---- */

/* Returns the cross-entropy summed over all positions, from the reference's logits. */
static double reference_loss(const cad_model_t *m, const uint8_t *tok, const uint8_t *labels, int len)
{
    int64_t V = cad_model_number(m, CAD_VOCAB);
    float *logits = cad_alloc((size_t)(len * V), sizeof *logits);
    double loss = 0;
    cad_reference_forward(m, tok, len, NULL, logits, NULL);
    for (int i = 0; i < len; i++) {
        double sum = 0;
        for (int64_t v = 0; v < V; v++) sum += exp((double)logits[i * V + v]);
        loss += log(sum) - (double)logits[i * V + labels[i]];
    }
    free(logits);
    return loss;
}

/* Returns the derivative of the loss along a vector of random signs for tensor t, by central differences. */
static double derivative(cad_model_t *m, const cad_tensor_t *t, const uint8_t *tok, const uint8_t *labels, int len,
                         double step)
{
    double loss[2];
    for (int s = 0; s < 2; s++) {
        for (int64_t i = 0; i < t->count; i++) {
            double sign = cad_random(5, 0, 0, (uint64_t)i) & 1 ? 1 : -1;
            m->param[t->offset + i] += (float)(sign * (s ? -2 : 1) * step);
        }
        cad_model_refresh(m);
        loss[s] = reference_loss(m, tok, labels, len);
    }
    return (loss[0] - loss[1]) / (2 * step);
}

static void check_gradients(cad_model_t *m, const char *device, int len, int threads, int recompute, const char *name)
{
    uint8_t tok[LONG], labels[LONG];
    float weight[LONG], *saved = cad_alloc((size_t)m->total, sizeof *saved),
                        *grad = cad_alloc((size_t)m->total, sizeof *grad);
    cad_example_t ex = { .tokens = tok, .len = len, .labels = labels, .weight = weight };
    cad_trainer_t *t;
    cad_recipe_t recipe;
    cad_error_t err;
    double sum = 0, worst = 0, scale = 0;
    tokens_of(m, tok, len);
    for (int i = 0; i < len; i++) labels[i] = (uint8_t)(7 + cad_random(4, 0, 0, (uint64_t)i) % 4);
    for (int i = 0; i < len; i++) weight[i] = 1;
    cad_recipe_init(&recipe);
    recipe.device = device;
    recipe.precision = "fp32";
    recipe.max_tokens = len;
    recipe.recompute = recompute;
    recipe.threads = threads;
    if (cad_trainer_open(&t, m, &recipe, &err) || cad_trainer_add(t, CAD_LOSS_TOKENS, &ex, 1, 1, &sum, &err))
        tap_ok(false, "%s: %s", name, err.text);
    memcpy(saved, m->param, (size_t)m->total * sizeof *saved);
    tap_ok(fabs(sum / reference_loss(m, tok, labels, len) - 1) < 1e-6, "%s: the loss is the reference's", name);
    for (int i = 0; i < m->ntensor; i++) {
        const cad_tensor_t *x = &m->tensor[i];
        double along = 0, want;
        if (x->fixed) continue;
        cad_trainer_gradient(t, x->name, grad);
        cad_tensor_flip(x, grad); /* converts from the published layout to the layout of the parameters */
        for (int64_t k = 0; k < x->count; k++)
            along += (cad_random(5, 0, 0, (uint64_t)k) & 1 ? 1 : -1) * (double)grad[k];
        want = derivative(m, x, tok, labels, len, 7e-4 / sqrt((double)x->count));
        memcpy(m->param, saved, (size_t)m->total * sizeof *saved);
        worst = fmax(worst, fabs(along - want));
        scale = fmax(scale, fabs(want));
    }
    cad_model_refresh(m);
    tap_ok(worst < 2e-3 * scale, "%s: gradients are derivatives: %.2g of %.2g", name, worst, scale);
    cad_trainer_close(t);
    free(saved);
    free(grad);
}

/* ---- save, load, measure ---- */

static void check_save(const cad_model_t *m, const char *name)
{
    char dir[] = "/tmp/t_kinds.XXXXXX", path[64];
    cad_model_t *back = NULL;
    cad_error_t err;
    if (!mkdtemp(dir) || cad_model_save(m, dir, "", &err) || cad_model_open(&back, dir, &err))
        tap_ok(false, "%s: %s", name, err.text);
    tap_ok(back && back->total == m->total && !memcmp(back->param, m->param, (size_t)m->total * sizeof *m->param) &&
               !memcmp(back->cfg.kind, m->cfg.kind, sizeof m->cfg.kind) &&
               !memcmp(back->cfg.shape, m->cfg.shape, sizeof m->cfg.shape),
           "%s: saved and opened, it is the same model", name);
    cad_model_close(back);
    for (int i = 0; i < 3; i++) {
        static const char *const file[] = { "config.json", "model.safetensors", "tokenizer_config.json" };
        snprintf(path, sizeof path, "%s/%s", dir, file[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void check_meter(const cad_model_t *m, const char *name)
{
    static const char *const want[] = {
        "embed", "in", "conv", "scan", "out", "project", "gate", "close", "head", "pool"
    };
    double spent[CAD_NOP];
    cad_cost_t cost[CAD_NOP];
    float embedding[24];
    uint8_t tok[LENGTH];
    cad_window_t w = { .tokens = tok, .len = LENGTH, .core_end = LENGTH, .embedding = embedding };
    cad_context_t *ctx = context(m, "cpu", 1, LENGTH);
    cad_meter_t *meter;
    int n = cad_op_count(m), named = 0, timed = 0;
    tokens_of(m, tok, LENGTH);
    cad_meter_open(&meter, ctx, NULL);
    cad_embed(ctx, &w, 1, CAD_POOL_MEAN, NULL);
    cad_meter_read(meter, spent);
    cad_meter_close(meter);
    cad_costs(m, cost);
    for (int i = 0; i < n && i < 10; i++) {
        named += !strcmp(cad_op_name(m, i), want[i]);
        timed += spent[i] > 0;
    }
    tap_ok(n == 10 && named == 10 && timed == 9, "%s: the meter times the operations of both kinds", name);
    tap_ok(cost[5].flop > 0 && cost[6].exps > 0 && cost[3].updates > 0, "%s: both kinds have costs", name);
    cad_context_close(ctx);
}

static void check_variants(const variant_t *v, size_t n, const char *device, const char *label)
{
    char name[128];
    for (; n > 0; n--, v++) {
        cad_model_t *m;
        if (!v->gpu && strcmp(device, "cpu")) continue;
        m = make(v);
        snprintf(name, sizeof name, "%s, %s", label, v->name);
        check_forward(m, device, v->len, name);
        check_gradients(m, device, v->len, 2, 0, name);
        snprintf(name, sizeof name, "%s, %s, recomputed", label, v->name);
        check_gradients(m, device, v->len, 1, 1, name);
        cad_model_close(m);
    }
}

/* ---- kinds without a direction ---- */

static double phi(double x) { return exp(-x * x / 2) / sqrt(2 * M_PI); }

/* Sets want to GELU(x) and its derivative, or to those of its approximation with tanh. */
static void gelu(double x, bool approximate, double want[2])
{
    double u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x), t = tanh(u), F = erfc(-x / sqrt(2)) / 2;
    want[0] = approximate ? x / 2 * (1 + t) : x * F;
    want[1] = approximate ? (1 + t) / 2 + x / 2 * (1 - t * t) * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x)
                          : F + x * phi(x);
}

/* Compares the vector functions with double precision: errors relative to the value for x >= -2, then to 1. */
static void check_gelu(bool approximate)
{
    double worst[2] = { 0, 0 };
    for (int64_t i = -400000; i <= 400000; i++) {
        float in = (float)i * 5e-5f, out[VW];
        vf x = vset(in), slope;
        double want[2];
        gelu((double)in, approximate, want);
        if (approximate) vgelus_tanh(1, &x, &slope);
        else vgelus(1, &x, &slope);
        vstore(out, x);
        worst[0] = fmax(worst[0], fabs((double)out[0] - want[0]) / (in >= -2 ? fabs(want[0]) + 1e-30 : 1));
        vstore(out, slope);
        worst[1] = fmax(worst[1], fabs((double)out[0] - want[1]));
    }
    tap_ok(worst[0] < 1e-6 && worst[1] < 5e-7, "GELU%s: errors of %.2g and, of the derivative, %.2g",
           approximate ? " by tanh" : "", worst[0], worst[1]);
}

static void check_far_gelu(void)
{
    static const float in[] = { 1e30f, -1e30f, 3e38f, NAN };
    static const float want[] = { 1e30f, 0, 3e38f, NAN };
    for (size_t i = 0; i < N_OF(in); i++) {
        float a[VW], b[VW], c[VW], d[VW];
        vf x = vset(in[i]), y = x, s, t;
        vgelus(1, &x, &s);
        vgelus_tanh(1, &y, &t);
        vstore(a, x), vstore(b, y), vstore(c, s), vstore(d, t);
        if (isnan(want[i])) tap_ok(isnan(a[0]) && isnan(b[0]), "GELU of NaN is NaN");
        else
            tap_ok(fabsf(a[0] - want[i]) < 1e-6f + 1e-6f * want[i] && fabsf(b[0] - want[i]) <= 1e-6f * fabsf(in[i]) &&
                       isfinite(c[0]) && isfinite(d[0]),
                   "GELU of %g is %g and %g", (double)in[i], (double)a[0], (double)b[0]);
    }
}

/* Checks that a model with k-mers and an MLP has no norm where k-mers are, and that each setting is read. */
static void check_shapes(void)
{
    static const variant_t v = { "shapes", BESIDE,
                                 "\"rcps\": true, \"ssm_cfg\": {\"d_state\": 5}, \"kmer_cfg\": {\"k\": 5}, " TANH
                                 ", " MAMBA2,
                                 LENGTH, false };
    cad_model_t *m = make(&v);
    int norms = 0, wide = 0, directed = 0;
    for (int i = 0; i < m->ntensor; i++) {
        const cad_tensor_t *t = &m->tensor[i];
        norms += t->layer == 0 && (t->role == CAD_T_NORM || t->role == CAD_T_NORM_BIAS);
        wide += !strcmp(t->name, "backbone.layers.0.mixer.submodule.table.weight") && t->shape[0] == 1026;
        wide += !strcmp(t->name, "backbone.layers.2.mixer.submodule.fc1.weight") && t->shape[0] == 37;
        directed += t->layer == 2 && strstr(t->name, "bias") != NULL;
    }
    tap_ok(norms == 0 && !m->layer[0].norm && m->layer[2].norm, "a layer of k-mers has no norm, an MLP has one");
    tap_ok(wide == 2 && directed == 0, "kmer_cfg and mlp_cfg say which tensors there are");
    tap_ok(cad_model_number(m, CAD_D_STATE) == 5, "ssm_cfg is that of the first kind with a direction");
    cad_model_close(m);
}

/* Checks that each tensor of an MLP and of a table has the initial values that the configuration asks for. */
static void check_initial(void)
{
    static const variant_t v = { "initial values", "\"kmer\", \"mlp\"",
                                 "\"initializer_cfg\": {\"initializer_range\": 0.5, \"n_residuals_per_layer\": 4}",
                                 LENGTH, false };
    static const struct {
        const char *name;
        double size; /* of a value: the root of the mean square */
    } want[] = { { "backbone.layers.0.mixer.table.weight", 0.5 },
                 { "backbone.layers.1.mixer.fc1.weight", 0.5 },
                 { "backbone.layers.1.mixer.fc2.weight", 0.125 },
                 { "backbone.layers.1.mixer.fc1.bias", 0 },
                 { "backbone.layers.1.mixer.fc2.bias", 0 } };
    cad_model_t *m = make(&v);
    for (size_t i = 0; i < N_OF(want); i++) {
        double sum = 0;
        int64_t n = 0;
        for (int k = 0; k < m->ntensor; k++)
            for (int64_t j = 0; !strcmp(m->tensor[k].name, want[i].name) && j < m->tensor[k].count; j++, n++)
                sum += pow((double)m->param[m->tensor[k].offset + j], 2);
        tap_ok(n && fabs(sqrt(sum / (double)cad_max(n, 1)) - want[i].size) <= 0.1 * want[i].size,
               "initial values of %s: %.3g", want[i].name, sqrt(sum / (double)n));
    }
    cad_model_close(m);
}

/* Checks which rows change if one base of a sequence of bases changes, in a model whose layers are k-mers only: the
 * base's own row and the next one on each side, whose words have it. (The word of the first row and that of the last one
 * reach over an end and stay as they are, but the embedding of the base itself is in its row.) */
static void check_reach(void)
{
    static const variant_t v = { "reach", "\"kmer\"", "\"rcps\": true", LENGTH, false };
    cad_model_t *m = make(&v);
    cad_context_t *ctx = context(m, "cpu", 1, LENGTH);
    int64_t W = cad_model_number(m, CAD_HIDDEN_WIDTH);
    float *was = cad_alloc((size_t)(2 * LENGTH * W), sizeof *was), *now = was + LENGTH * W;
    uint8_t tok[LENGTH];
    cad_random_bases(m, 3, LENGTH, tok);
    cad_forward(ctx, tok, LENGTH, was, NULL, NULL);
    for (int at = 0; at < LENGTH; at += 13) {
        int near = 0, changed = 0, want = at == 0 || at == LENGTH - 1 ? 2 : 3;
        uint8_t kept = tok[at];
        tok[at] = m->vocab.comp[kept];
        cad_forward(ctx, tok, LENGTH, now, NULL, NULL);
        tok[at] = kept;
        for (int r = 0; r < LENGTH; r++) {
            bool differs = memcmp(was + r * W, now + r * W, (size_t)W * sizeof *was) != 0;
            changed += differs;
            near += differs && abs(r - at) <= 1;
        }
        tap_ok(changed == want && near == want, "a change of base %d changes %d rows", at, changed);
    }
    free(was);
    cad_context_close(ctx);
    cad_model_close(m);
}

/* The CUDA module is there, but no model with one of these kinds runs on it. */
static void check_cpu_only(void)
{
    for (size_t i = 0; i < N_OF(CPU_VARIANT); i++) {
        cad_model_t *m = make(&CPU_VARIANT[i]);
        cad_context_t *ctx = NULL;
        cad_trainer_t *t = NULL;
        cad_recipe_t recipe;
        cad_options_t o;
        cad_error_t err = { "" }, train = { "" };
        cad_options_init(&o);
        cad_recipe_init(&recipe);
        recipe.device = o.device = "cuda";
        tap_ok(cad_context_open(&ctx, m, &o, &err) == CAD_EDEVICE && strstr(err.text, "run on the CPU only") &&
                   cad_trainer_open(&t, m, &recipe, &train) == CAD_EDEVICE && !strcmp(err.text, train.text),
               "%s: %s", CPU_VARIANT[i].name, err.text);
        cad_context_close(ctx);
        ctx = context(m, "auto", 1, LENGTH);
        tap_ok(ctx && !strncmp(cad_context_device(ctx), "cpu", 3), "%s: auto takes the CPU", CPU_VARIANT[i].name);
        cad_context_close(ctx);
        cad_model_close(m);
    }
}

static void check_bad_shapes(void)
{
    static const struct {
        const char *kind, *shape, *why;
    } bad[] = {
        { "mlp", "\"expand\": 0", "\"expand\"" },
        { "cnn", "\"widths\": [3, 0]", "\"widths\"" },
        { "cnn", "\"widths\": []", "\"widths\"" },
        { "cnn", "\"widths\": 3", "\"widths\"" },
        { "cnn", "\"channels\": 24", "\"channels\"" },
        { "cnn", "\"pool\": 65", "\"pool\"" },
        { "mlp", "\"expand\": 2, \"d_inner\": 8", "\"d_inner\"" },
        { "mlp", "\"activation\": \"relu\"", "neither \"gelu\" nor \"gelu_tanh\"" },
        { "mlp", "\"activation\": 1", "\"activation\"" },
        { "kmer", "\"k\": 4", "expected 1, 3 or 5" },
        { "kmer", "\"k\": 7", "from 1 to 5" },
    };
    for (size_t i = 0; i < N_OF(bad); i++) {
        char config[256];
        cad_model_t *m = NULL;
        cad_error_t err = { "" };
        snprintf(config, sizeof config,
                 "{\"d_model\": 16, \"n_layer\": 2, \"vocab_size\": 12, \"layer_kinds\": [\"%s\"], \"%s_cfg\": {%s}}",
                 bad[i].kind, bad[i].kind, bad[i].shape);
        tap_ok(cad_model_create(&m, config, 1024, 7, &err) == CAD_EFORMAT && strstr(err.text, bad[i].why),
               "%s_cfg {%s} is refused: %s", bad[i].kind, bad[i].shape, err.text);
        cad_model_close(m);
    }
}

static void check_refusals(void)
{
    static const char *const bad[] = { "[]", "[1]", "\"mamba\"", "[\"mamba\", \"other\"]",
                                       "[\"mamba\", \"mamba\", \"mamba\", \"mamba\", \"mamba\"]" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char config[256];
        cad_model_t *m = NULL;
        cad_error_t err = { "" };
        int rc;
        snprintf(config, sizeof config, "{\"d_model\": 16, \"n_layer\": 4, \"vocab_size\": 12, \"layer_kinds\": %s}",
                 bad[i]);
        rc = cad_model_create(&m, config, 1024, 7, &err);
        tap_ok(rc == CAD_EFORMAT && strstr(err.text, "layer_kinds"), "layer_kinds %s is refused: %s", bad[i], err.text);
    }
}

int main(void)
{
    const char *builddir = getenv("builddir");
    char path[4096];
    cad_model_t *m;
    check_variants(VARIANT, N_OF(VARIANT), "cpu", "plain");
    check_variants(CPU_VARIANT, N_OF(CPU_VARIANT), "cpu", "plain");
    snprintf(path, sizeof path, "%s/.libs/kinds-shim.so", builddir ? builddir : ".");
    setenv("CADUCEUS_CUDA_MODULE", path, 1);
    check_variants(VARIANT, N_OF(VARIANT), "cuda", "CUDA shim");
    check_cpu_only();
    m = make(&VARIANT[0]);
    check_save(m, "PS");
    check_meter(m, "PS");
    cad_model_close(m);
    for (size_t i = 0; i < N_OF(CPU_VARIANT); i++) {
        m = make(&CPU_VARIANT[i]);
        check_save(m, CPU_VARIANT[i].name);
        cad_model_close(m);
    }
    m = make(&BENT);
    check_forward(m, "cpu", LENGTH, BENT.name);
    check_save(m, BENT.name);
    cad_model_close(m);
    check_gelu(false);
    check_gelu(true);
    check_far_gelu();
    check_shapes();
    check_initial();
    check_reach();
    check_bad_shapes();
    check_refusals();
    return tap_finish();
}
