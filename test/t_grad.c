/* t_grad.c - compares gradients with central differences of the same network in double precision: every tensor, every
 * switch of the configuration, ragged packs, every instruction set. Also tests that gradients do not depend on
 * threads and recomputation. The CUDA backend is the module that $CADUCEUS_CUDA_MODULE names, by default the shim on
 * the CPU. `t_grad NAME` tests only the instruction set NAME or, if NAME is cuda, this backend.
 * SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "base/random.h"
#include "grad_cases.h"
#include "grad_network.h"
#include "tap.h"

/* ---- a model and examples ---- */

static double real(uint64_t a, uint64_t b) { return 2 * cad_unit(cad_random(7, a, b, 0)) - 1; }

/* Creates a model with initial values plus noise, so that no value is special (0 or 1). */
static cad_model_t *model_of(const case_t *c)
{
    cad_model_t *m = NULL, *classifier = NULL;
    cad_error_t err;
    if (cad_model_create(&m, c->config, 1024, 5, &err)) {
        printf("# %s\n", err.text);
        return NULL;
    }
    if (c->labels && !cad_model_number(m, CAD_LABELS)) {
        cad_model_classifier(&classifier, m, c->labels, 6, &err);
        cad_model_close(m);
        m = classifier;
    }
    for (int i = 0; i < m->ntensor; i++)
        for (int64_t k = 0; k < m->tensor[i].count; k++) {
            float *p = m->param + m->tensor[i].offset + k;
            double shake = real((uint64_t)i, (uint64_t)k);
            if (m->tensor[i].role == CAD_T_EMBED || cad_tensor_of_head(&m->tensor[i])) *p = (float)shake;
            else *p += (float)(0.2 * shake);
        }
    cad_model_refresh(m);
    return m;
}

static int examples_of(const case_t *c, const cad_model_t *m, cad_example_t *ex)
{
    bool words = cad_config_uses(&m->cfg, CAD_KIND_kmer); /* most tokens are then bases, so that most words have some */
    int n = 0;
    for (; n < 8 && c->len[n]; n++) {
        size_t L = (size_t)c->len[n];
        uint8_t *tok = malloc(L), *label = malloc(L);
        float *weight = malloc(L * sizeof *weight), *target = malloc(8 * L * sizeof *target);
        for (size_t i = 0; i < L; i++) {
            uint64_t bits = cad_random(1, (uint64_t)n, i, 1);
            tok[i] = (uint8_t)cad_below(bits, (uint64_t)m->vocab.rows);
            if (words && bits % 8) tok[i] = (uint8_t)m->vocab.base[bits / 8 % 4];
            label[i] = (uint8_t)cad_below(cad_random(1, (uint64_t)n, i, 2), (uint64_t)m->vocab.rows);
            weight[i] = i % 3 == 1 || L == 1 ? (float)(1 + i % 2) : 0;
        }
        if (c->labels && !c->bin) weight[0] = (float)(n + 1) / 2; /* of the whole sequence */
        for (size_t i = 0; i < L && c->bin; i++) label[i] = (uint8_t)(label[i] % c->labels);
        for (size_t k = 0; k < 8 * L; k++)
            target[k] = c->how == CAD_LOSS_SQUARED   ? (float)real(99, (uint64_t)n + k)
                        : c->how == CAD_LOSS_POISSON ? (float)((size_t)n + k % 3)
                                                     : k == (size_t)n % (size_t)cad_max(1, c->labels);
        if (c->bin == 1) { /* classes by number */
            free(target);
            target = NULL;
        }
        ex[n] = (cad_example_t) { tok, c->len[n], label, weight, target };
    }
    return n;
}

static void free_examples(cad_example_t *ex, int n)
{
    for (int i = 0; i < n; i++) {
        free((void *)ex[i].tokens);
        free((void *)ex[i].labels);
        free((void *)ex[i].weight);
        free((void *)ex[i].target);
    }
}

static const char *device = "cpu", *precision; /* the device and precision that compute the gradients */

/* Writes the gradients of all parameters to grad (m->total), laid out as the parameters are. Returns the loss. */
static double gradients(const case_t *c, cad_model_t *m, const cad_example_t *ex, int n, int threads, int recompute,
                        float *grad)
{
    cad_trainer_t *t;
    cad_recipe_t r;
    cad_error_t err = { "" };
    double loss = 0;
    cad_recipe_init(&r);
    r.threads = threads;
    r.recompute = recompute;
    r.pool = c->pool;
    r.bin = c->bin;
    r.max_tokens = 4096;
    for (int i = 0; i < n; i++) r.max_tokens = cad_max(r.max_tokens, ex[i].len);
    r.device = device;
    r.precision = precision;
    if (cad_trainer_open(&t, m, &r, &err) || cad_trainer_add(t, c->how, ex, n, 1, &loss, &err))
        printf("# %s\n", err.text);
    memset(grad, 0, (size_t)m->total * sizeof *grad);
    for (int i = 0; t && i < m->ntensor; i++) {
        cad_trainer_gradient(t, m->tensor[i].name, grad + m->tensor[i].offset);
        cad_tensor_flip(&m->tensor[i], grad + m->tensor[i].offset);
    }
    cad_trainer_close(t);
    return loss;
}

/* Returns the relative error of one tensor's gradient: compares its product with a direction (the gradient plus a
 * random vector) with the derivative of the loss along that direction. */
static double mismatch(const case_t *c, cad_model_t *m, const cad_example_t *ex, int n, const cad_tensor_t *t,
                       const float *grad)
{
    const float *g = grad + t->offset;
    /* the maximum of convolutions bends: a smaller step meets fewer bends */
    double size = 0, want = 0, f[2], h = cad_config_uses(&m->cfg, CAD_KIND_cnn) ? 1e-7 : 1e-4,
           *p = malloc((size_t)m->total * sizeof *p), *v = malloc((size_t)t->count * sizeof *v);
    for (int64_t k = 0; k < t->count; k++) size += (double)g[k] * (double)g[k];
    size = sqrt(size) + 1e-30;
    for (int64_t k = 0; k < t->count; k++) {
        v[k] = (double)g[k] / size + real(55, (uint64_t)k) / sqrt((double)t->count);
        want += v[k] * (double)g[k];
    }
    for (int side = 0; side < 2; side++) {
        for (int64_t k = 0; k < m->total; k++) p[k] = (double)m->param[k];
        for (int64_t k = 0; k < t->count; k++) p[t->offset + k] += (side ? h : -h) * v[k];
        f[side] = network_loss(m, p, ex, n, c);
    }
    free(p);
    free(v);
    return fabs((f[1] - f[0]) / (2 * h) - want) / size;
}

/* Returns true for the tensors of Mamba-2 that have one value for each head. Their gradients are sums whose terms nearly
 * cancel, so that rounding to bfloat16 causes a larger relative error. */
static bool cancels(const char *name)
{
    const char *leaf = strrchr(name, '.') + 1;
    return !strcmp(leaf, "dt_bias") || !strcmp(leaf, "A_log") || !strcmp(leaf, "D");
}

/* Returns how much more than others a tensor's gradient suffers from rounding to bfloat16: see cancels(); and behind a
 * maximum, another row may be the largest. */
static double rounding(const cad_model_t *m, const char *name)
{
    return cancels(name) ? 10 : cad_config_uses(&m->cfg, CAD_KIND_cnn) ? 2 : 1;
}

/* much: the allowed error divided by the error that is allowed for float32 */
static void check_case(const case_t *c, const char *isa, double much)
{
    cad_model_t *m = model_of(c);
    cad_example_t ex[8];
    float *grad, *again;
    double *p, loss, worst = 0, want;
    const char *name = "";
    bool same = true;
    int n;
    if (!tap_ok(m != NULL, "%s, %s: a model", isa, c->name)) return;
    n = examples_of(c, m, ex);
    grad = cad_alloc((size_t)m->total, sizeof *grad);
    again = cad_alloc((size_t)m->total, sizeof *again);
    p = malloc((size_t)m->total * sizeof *p);
    for (int64_t k = 0; k < m->total; k++) p[k] = (double)m->param[k];
    want = network_loss(m, p, ex, n, c);
    loss = gradients(c, m, ex, n, 1, 0, grad);
    tap_ok(fabs(loss - want) < 2e-6 * much * fabs(want), "%s, %s: the loss, %.2g", isa, c->name,
           fabs(loss - want) / fabs(want));
    for (int i = 0; i < m->ntensor; i++) {
        if (m->tensor[i].fixed) continue;
        double e = mismatch(c, m, ex, n, &m->tensor[i], grad) / (much > 1 ? rounding(m, m->tensor[i].name) : 1);
        if (!(e <= worst)) name = m->tensor[i].name;
        if (!(e <= worst)) worst = e;
    }
    tap_ok(worst < 2e-5 * much, "%s, %s: every tensor's gradient, at worst %.2g of %s", isa, c->name, worst, name);
    for (int k = 0; k < (strcmp(device, "cpu") ? 1 : 3);
         k++) { /* a GPU uses no host threads and always recomputes layers, so one setting is enough */
        gradients(c, m, ex, n, k == 0 ? 1 : k == 1 ? 3 : 7, k != 1, again);
        same = same && !memcmp(grad, again, (size_t)m->total * sizeof *grad);
    }
    tap_ok(same, "%s, %s: the same bits with threads and with layers run again", isa, c->name);
    free_examples(ex, n);
    free(p);
    free(grad);
    free(again);
    cad_model_close(m);
}

/* Compares the n cases of a table, or every third of them. much: the error that is allowed, as a multiple of float32's.
 */
static void check_cases(const case_t *c, size_t n, bool third, const char *name, double much)
{
    for (size_t k = 0; k < n; k += third ? 3 : 1) check_case(&c[k], name, much);
}
#define CHECK(cases, third, name, much) check_cases(cases, sizeof(cases) / sizeof *(cases), third, name, much)

static void check_cpu(const char *isa, const char *how, double much)
{
    cad_model_t *m = model_of(&CASES[0]);
    cad_context_t *ctx = NULL;
    cad_options_t o;
    char name[40], device_name[40];
    cad_options_init(&o);
    o.device = "cpu";
    o.precision = precision = how;
    setenv("CADUCEUS_ISA", isa, 1);
    snprintf(name, sizeof name, "%s %s", isa, how);
    snprintf(device_name, sizeof device_name, "cpu %s", isa);
    if (cad_context_open(&ctx, m, &o, NULL) || strcmp(cad_context_device(ctx), device_name))
        tap_skip(name, "this processor lacks it");
    else {
        CHECK(CASES, tap_few || much > 1, name, much);
        CHECK(TILES, tap_few || much > 1, name, much);
        CHECK(MAMBA2, tap_few || much > 1, name, much);
        CHECK(OTHERS, tap_few || much > 1, name, much);
        CHECK(UNDIRECTED, tap_few, name, much > 1 ? much : SHARP);
        CHECK(POOLED, tap_few, name, much > 1 ? much : SHARP);
        CHECK(HYENA, false, name, much > 1 ? much : SHARP);
        CHECK(BESIDE, false, name, much);
    }
    cad_context_close(ctx);
    cad_model_close(m);
}

static void check_cuda(const char *how, double much)
{
    const char *named = getenv("CADUCEUS_CUDA_MODULE"), *builddir = getenv("builddir");
    char path[4096], name[32];
    snprintf(path, sizeof path, "%s/.libs/caduceus-cuda-shim.so", builddir ? builddir : ".");
    if (!named || !*named) setenv("CADUCEUS_CUDA_MODULE", path, 1);
    snprintf(name, sizeof name, "cuda %s", how);
    device = "cuda";
    precision = how;
    CHECK(CASES, much > 1, name, much);
    CHECK(PIECES, false, name, much);
    CHECK(MAMBA2, much > 1, name, much);
}

static void test_unknown_tensor(void)
{
    cad_model_t *m = model_of(&CASES[0]);
    cad_trainer_t *t = NULL;
    cad_recipe_t r;
    float out = 7;
    cad_recipe_init(&r);
    r.device = "cpu";
    cad_trainer_open(&t, m, &r, NULL);
    tap_ok(t && cad_trainer_gradient(t, "no.such.weight", &out) == CAD_EARG && out == 7,
           "an unknown tensor has no gradient, and nothing is written");
    cad_trainer_close(t);
    cad_model_close(m);
}

static const cad_back_ops_t *counted; /* the operations that count_pool() calls */
static int pool_calls;

static int count_pool(cad_grad_lane_t *l, const int64_t *off, int nseq, enum cad_pool_t how, const float *dpooled)
{
    pool_calls++;
    return counted->pool(l, off, nseq, how, dpooled);
}

/* Pooling's backward pass is one operation for each pack and strand, so that a trainer on a GPU does not wait for each
 * example. */
static void test_pools_once(void)
{
    static const uint8_t tok[9] = { 0, 1, 2, 3, 0, 1, 2, 3, 0 };
    static const float target[3] = { 0, 1, 0 };
    static const case_t classes = { .config = "{" SMALL ", \"rcps\": true}", .labels = 3 };
    cad_example_t ex[4];
    cad_model_t *m = model_of(&classes);
    cad_trainer_t *t = NULL;
    cad_back_ops_t ops;
    cad_recipe_t r;
    double loss = 0;
    for (int i = 0; i < 4; i++) ex[i] = (cad_example_t) { .tokens = tok, .len = 9 - i, .target = target };
    cad_recipe_init(&r);
    r.device = "cpu";
    r.threads = 1;
    if (!tap_ok(cad_trainer_open(&t, m, &r, NULL) == 0, "a trainer of a classifier opens")) return;
    ops = *(counted = t->back);
    ops.pool = count_pool;
    t->back = &ops;
    tap_ok(cad_trainer_add(t, CAD_LOSS_CLASSES, ex, 4, 1, &loss, NULL) == 0 && pool_calls == 2,
           "four examples take one backward pooling for each strand");
    t->back = counted;
    cad_trainer_close(t);
    cad_model_close(m);
}

/* Returns whether a trainer gives this gradient, of D values, of pool.weight and 3 D of score.weight. */
static bool head_gradients(cad_model_t *m, int freeze, int threads, const cad_example_t *ex, int n, float *out)
{
    cad_trainer_t *t = NULL;
    cad_recipe_t r;
    double loss = 0;
    bool good;
    cad_recipe_init(&r);
    r.device = "cpu";
    r.freeze = freeze;
    r.threads = threads;
    r.pool = CAD_POOL_ATTENTION;
    good = cad_trainer_open(&t, m, &r, NULL) == 0 && cad_trainer_add(t, CAD_LOSS_CLASSES, ex, n, 1, &loss, NULL) == 0 &&
           cad_trainer_gradient(t, "pool.weight", out) == 0 &&
           cad_trainer_gradient(t, "score.weight", out + m->cfg.d_model) == 0;
    cad_trainer_close(t);
    return good;
}

/* If only the head is trained, its gradients are the same; and pooling by attention needs a head that has weights for it. */
static void test_frozen(void)
{
    const case_t *c = &POOLED[0];
    cad_model_t *m = model_of(c);
    cad_example_t ex[8];
    float whole[24], frozen[24];
    double size = 0;
    int n = examples_of(c, m, ex);
    tap_ok(head_gradients(m, 0, 1, ex, n, whole) && head_gradients(m, 1, 3, ex, n, frozen) &&
               !memcmp(whole, frozen, sizeof whole),
           "the head's gradients are the same if the encoder is frozen");
    for (int i = 0; i < m->cfg.d_model; i++) size += fabs((double)frozen[i]);
    tap_ok(size > 1e-4, "and that of pool.weight is not 0");
    cad_model_close(m);
    m = model_of(&(case_t) { .config = "{" SMALL "}", .labels = 3 });
    tap_ok(!head_gradients(m, 0, 1, ex, n, whole), "a head without pool.weight cannot pool by attention");
    free_examples(ex, n);
    cad_model_close(m);
}

int main(int argc, char **argv)
{
    static const char *const isa[] = { "plain", "avx2", "avx512", "neon", "avx512bf16", "avx512bf16-plain" };
    test_unknown_tensor();
    test_pools_once();
    test_frozen();
    tap_arguments(argc, argv);
    for (size_t i = 0; i < sizeof isa / sizeof *isa; i++) {
        if (!tap_wants(isa[i])) continue;
        if (i < 4) check_cpu(isa[i], "fp32", 1);
        check_cpu(isa[i], "bf16", 2e3); /* the code is that of fp32 but for the products: every third case is enough */
    }
    if (!tap_wants("cuda")) return tap_finish();
    check_cuda("fp32", 1);
    check_cuda("bf16", 2e3);
    return tap_finish();
}
