/* t_kinds.c - tests models that mix layer kinds: Mamba and the gated linear layer of test/kinds. Compares the forward
 * pass with the double-precision reference and gradients with directional derivatives of the reference; tests saving,
 * loading and the meter. Runs in plain C and under the CUDA shim, both of which are built with the gated layer.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>
#include <unistd.h>

#include "base/random.h"
#include "kinds/gated.h"
#include "measure/measure.h"
#include "tap.h"

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
    { "PS, attention", ATTENTION, "\"rcps\": true, \"ssm_cfg\": {\"heads\": 2}, \"gated_cfg\": {\"expand\": 3}", LENGTH,
      false },
    { "Ph, attention beside Mamba", "\"mamba\", \"attention\"",
      "\"rms_norm\": false, " HEADS ", \"positions\": \"none\"}", LENGTH, false },
    { "attention by blocks", "\"attention\", \"gated\"",
      "\"ssm_cfg\": {\"heads\": 2, \"pattern\": \"blocks\", \"random\": 2}", LONG, false },
};

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

static void tokens_of(uint8_t *tok, int len)
{
    for (int i = 0; i < len; i++) tok[i] = (uint8_t)(7 + cad_random(3, 0, 0, (uint64_t)i) % 4);
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
    tokens_of(tok, len);
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
    tokens_of(tok, len);
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
               !memcmp(back->cfg.kind, m->cfg.kind, sizeof m->cfg.kind) && cad_gated_E(&back->cfg) == 72,
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
    tokens_of(tok, LENGTH);
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

static void check_device(const char *device, const char *label)
{
    char name[128];
    for (size_t i = 0; i < sizeof VARIANT / sizeof *VARIANT; i++) {
        const variant_t *v = &VARIANT[i];
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
    check_device("cpu", "plain");
    snprintf(path, sizeof path, "%s/.libs/kinds-shim.so", builddir ? builddir : ".");
    setenv("CADUCEUS_CUDA_MODULE", path, 1);
    check_device("cuda", "CUDA shim");
    m = make(&VARIANT[0]);
    check_save(m, "PS");
    check_meter(m, "PS");
    cad_model_close(m);
    check_refusals();
    return tap_finish();
}
