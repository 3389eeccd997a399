/* t_lora.c - compares the gradients of LoRA's A and B with those that follow, in double precision, from the gradients of
 * the whole weights: of a second trainer and, where they are present, of the golden checkpoints ($CADUCEUS_SHARED).
 * Also tests threads, recomputation, resuming, and that a saved adapter gives back the trained model.
 * SPDX-License-Identifier: MIT
 */
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/random.h"
#include "tap.h"
#include "train/trainer.h"

typedef struct {
    const char *name, *config;
    int64_t labels;
} case_t;

#define HEAD "{\"d_model\": 12, \"vocab_size\": 12, "
#define TWO "\"ssm_cfg\": {\"layer\": \"Mamba2\", \"headdim\": 4, \"d_state\": 5}}"
static const case_t CASES[] = {
    { "PS, even depth", HEAD "\"n_layer\": 2, \"rcps\": true}", 3 },
    { "PS, odd depth, folded", HEAD "\"n_layer\": 3, \"rcps\": true}", 3 },
    { "Ph", HEAD "\"n_layer\": 2}", 2 },
    { "Ph, untied", HEAD "\"n_layer\": 2, \"bidirectional_weight_tie\": false}", 2 },
    { "PS, a language model", HEAD "\"n_layer\": 2, \"rcps\": true}", 0 },
    { "PS, products of directions", HEAD "\"n_layer\": 2, \"rcps\": true, \"bidirectional_strategy\": \"ew_multiply\"}",
      2 },
    { "Mamba-2 PS", HEAD "\"n_layer\": 2, \"rcps\": true, " TWO, 3 },
    { "Mamba-2 Ph", HEAD "\"n_layer\": 3, " TWO, 2 },
};

static double real(uint64_t a, uint64_t b) { return 2 * cad_unit(cad_random(7, a, b, 0)) - 1; }

static cad_model_t *model_of(const case_t *c)
{
    cad_model_t *m = NULL, *classifier = NULL;
    cad_error_t err;
    if (cad_model_create(&m, c->config, 1024, 5, &err)) printf("# %s\n", err.text);
    if (!m || !c->labels) return m;
    if (cad_model_classifier(&classifier, m, c->labels, 6, &err)) printf("# %s\n", err.text);
    cad_model_close(m);
    return classifier;
}

#define N 4
static void fill_examples(const cad_model_t *m, cad_example_t *ex, uint8_t tok[N][80], float weight[80], float *target)
{
    static const int64_t len[N] = { 9, 70, 31, 1 };
    for (int i = 0; i < 80; i++) weight[i] = i % 3 == 0;
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 80; k++) tok[i][k] = (uint8_t)cad_below(cad_random(1, (uint64_t)i, (uint64_t)k, 1), 12);
        target[i] = (float)real(9, (uint64_t)i);
        ex[i] = (cad_example_t) { tok[i], len[i], tok[i], weight, target };
    }
    (void)m;
}

static cad_trainer_t *trainer_of(cad_model_t *m, const char *device, int lora, int threads, int recompute)
{
    cad_trainer_t *t = NULL;
    cad_recipe_t r;
    cad_error_t err;
    cad_recipe_init(&r);
    r.device = device;
    r.precision = "fp32";
    r.threads = threads;
    r.recompute = recompute;
    r.max_tokens = 256;
    r.lora = lora;
    r.lora_alpha = lora ? 3 : 0;
    r.lora_seed = 11;
    if (cad_trainer_open(&t, m, &r, &err)) printf("# %s\n", err.text);
    return t;
}

static void add(cad_trainer_t *t, const cad_example_t *ex, double *loss)
{
    cad_error_t err;
    enum cad_loss_t how = t->model->labels ? CAD_LOSS_SQUARED : CAD_LOSS_TOKENS;
    if (cad_trainer_add(t, how, ex, N, 0.25, loss, &err)) printf("# %s\n", err.text);
}

static double relative(const float *got, const double *want, int64_t n)
{
    double error = 0, size = 1e-30;
    for (int64_t i = 0; i < n; i++) {
        error += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += want[i] * want[i];
    }
    return sqrt(error / size);
}

/* Returns the larger relative error of the gradients of A and B of change d. full (out,in): the gradient of the whole
 * projection, in the parameters' layout. */
static double mismatch(const cad_trainer_t *t, const cad_delta_t *d, const float *full)
{
    const cad_lora_t *l = t->lora;
    const float *A = t->param + d->a, *B = t->param + d->b;
    double *a = calloc((size_t)(l->r * d->in), sizeof *a), *b = calloc((size_t)(l->r * d->out), sizeof *b), worst;
    for (int64_t o = 0; o < d->out; o++)
        for (int64_t i = 0; i < d->in; i++)
            for (int64_t k = 0; k < l->r; k++) {
                a[k * d->in + i] += l->scale * (double)B[o * l->r + k] * (double)full[o * d->in + i];
                b[o * l->r + k] += l->scale * (double)A[k * d->in + i] * (double)full[o * d->in + i];
            }
    worst = fmax(relative(t->grad + d->a, a, l->r * d->in), relative(t->grad + d->b, b, l->r * d->out));
    free(a);
    free(b);
    return worst;
}

/* Collects the gradients of a trainer with adapters into t->grad. */
static void collect(cad_trainer_t *t)
{
    char name[160];
    float *out = malloc((size_t)t->total * sizeof *out);
    const char *own = t->lora->delta[0].t->name;
    snprintf(name, sizeof name, "%.*s.lora_A.weight", (int)(strlen(own) - 7), own);
    if (cad_trainer_gradient(t, name, out)) printf("# %s has no gradient\n", name);
    free(out);
}

static void compare_with_whole(const case_t *c, cad_trainer_t *t, const cad_example_t *ex, const char *device)
{
    cad_model_t *copy = model_of(c);
    cad_trainer_t *whole;
    double loss[2] = { 0, 0 }, worst = 0;
    float *full = malloc((size_t)copy->total * sizeof *full);
    memcpy(copy->param, t->model->param, (size_t)copy->total * sizeof *copy->param);
    cad_model_refresh(copy);
    whole = trainer_of(copy, device, 0, 1, 0);
    add(t, ex, &loss[0]);
    add(whole, ex, &loss[1]);
    collect(t);
    for (int i = 0; i < t->lora->n; i++) {
        const cad_delta_t *d = &t->lora->delta[i];
        cad_trainer_gradient(whole, d->t->name, full);
        cad_tensor_flip(d->t, full);
        worst = fmax(worst, mismatch(t, d, full));
    }
    tap_ok(t->lora->n > 0 && worst < 5e-6 && worst > 0 && loss[0] == loss[1],
           "%s, %s: gradients of A and B, at worst %.2g", device, c->name, worst);
    if (c->labels)
        tap_ok(!memcmp(t->grad + t->lora->size, whole->grad + t->lora->head,
                       (size_t)(copy->total - t->lora->head) * sizeof(float)),
               "%s, %s: the head has the gradient of full training", device, c->name);
    cad_trainer_close(whole);
    cad_model_close(copy);
    free(full);
}

/* Trains a model of case c for two updates, adds the gradient of a third, and leaves the model in *m. */
static cad_trainer_t *trained(const case_t *c, cad_model_t **m, const cad_example_t *ex, const char *device,
                              int threads, int recompute)
{
    cad_trainer_t *t;
    double loss = 0;
    *m = model_of(c);
    t = trainer_of(*m, device, 2, threads, recompute);
    for (int i = 0; t && i < 2; i++) {
        add(t, ex, &loss);
        if (cad_trainer_update(t, 0.02, NULL, NULL)) printf("# no update\n");
    }
    return t;
}

static void check_threads(const case_t *c, const cad_trainer_t *t, const cad_example_t *ex)
{
    bool same = true;
    for (int k = 0; k < 3; k++) {
        cad_model_t *m;
        cad_trainer_t *other = trained(c, &m, ex, "cpu", k == 0 ? 1 : k == 1 ? 3 : 7, k != 1);
        same = same && !memcmp(other->param, t->param, (size_t)t->total * sizeof *t->param) &&
               !memcmp(m->param, t->model->param, (size_t)m->total * sizeof *m->param);
        cad_trainer_close(other);
        cad_model_close(m);
    }
    tap_ok(same, "%s: the same bits with threads and with layers run again", c->name);
}

static void check_frozen(const case_t *c, const cad_trainer_t *t)
{
    cad_model_t *base = model_of(c);
    bool kept = true, changed = true;
    for (int i = 0; i < base->ntensor; i++) {
        const cad_tensor_t *x = &base->tensor[i];
        bool same = !memcmp(base->param + x->offset, t->model->param + x->offset, (size_t)x->count * sizeof(float)),
             ours;
        ours = cad_tensor_of_head(x);
        for (int k = 0; k < t->lora->n; k++) ours = ours || t->lora->delta[k].t->offset == x->offset;
        kept = kept && (ours || same);
        changed = changed && (!ours || !same);
    }
    tap_ok(kept && changed, "%s: the targets and the head change, and nothing else", c->name);
    cad_model_close(base);
}

/* Saves and loads a checkpoint of the training; both trainers then make the same update. */
static void check_resume(const case_t *c, cad_trainer_t *t, const cad_example_t *ex, const char *dir)
{
    char path[4096], *note = NULL;
    cad_model_t *m = model_of(c);
    cad_trainer_t *other = trainer_of(m, "cpu", 2, 1, 0), *wrong;
    cad_error_t err = { "" };
    double loss = 0;
    snprintf(path, sizeof path, "%s/state.safetensors", dir);
    tap_ok(cad_trainer_save(t, path, "note", &err) == 0 && cad_trainer_load(other, path, &note, &err) == 0 &&
               !strcmp(note, "note") && cad_trainer_steps(other) == cad_trainer_steps(t),
           "%s: a checkpoint of the training loads: %s", c->name, err.text);
    free(note);
    for (int i = 0; i < 2; i++) {
        memset(i ? other->grad : t->grad, 0, (size_t)t->total * sizeof *t->grad);
        add(i ? other : t, ex, &loss);
        cad_trainer_update(i ? other : t, 0.02, NULL, NULL);
    }
    tap_ok(!memcmp(m->param, t->model->param, (size_t)m->total * sizeof *m->param),
           "%s: and goes on with the same bits", c->name);
    cad_trainer_close(other);
    wrong = trainer_of(m, "cpu", 3, 1, 0);
    tap_ok(cad_trainer_load(wrong, path, &note, &err) == CAD_EFORMAT && strstr(err.text, "another model"),
           "%s: adapters of another rank are refused", c->name);
    cad_trainer_close(wrong);
    cad_model_close(m);
    unlink(path);
}

static void check_saved(const case_t *c, const cad_trainer_t *t, const char *dir)
{
    char base[4096], adapter[4096];
    cad_model_t *m = model_of(c), *again = NULL;
    cad_error_t err = { "" };
    cad_save_t how;
    snprintf(base, sizeof base, "%s/base", dir);
    snprintf(adapter, sizeof adapter, "%s/adapter", dir);
    cad_save_init(&how);
    tap_ok(cad_model_save(m, base, NULL, &err) == 0 && cad_trainer_adapter(t, adapter, base, &how, &err) == 0 &&
               cad_model_open_adapted(&again, adapter, NULL, &err) == 0,
           "%s: an adapter is saved and opens: %s", c->name, err.text);
    tap_ok(again && again->total == t->model->total && again->cfg.tied == t->model->cfg.tied &&
               !memcmp(again->param, t->model->param, (size_t)again->total * sizeof *again->param),
           "%s: and gives the trained model, bit for bit", c->name);
    cad_model_close(again);
    cad_model_close(m);
}

static void check_case(const case_t *c, const char *device, const char *dir)
{
    uint8_t tok[N][80];
    float weight[80], target[N + 8] = { 0 };
    cad_example_t ex[N];
    cad_model_t *m;
    cad_trainer_t *t;
    fill_examples(NULL, ex, tok, weight, target);
    t = trained(c, &m, ex, device, 1, 0);
    if (!tap_ok(t != NULL, "%s, %s: trains", device, c->name)) return;
    if (!strcmp(device, "cpu")) {
        check_threads(c, t, ex);
        check_frozen(c, t);
        check_saved(c, t, dir);
    }
    compare_with_whole(c, t, ex, device);
    if (!strcmp(device, "cpu")) check_resume(c, t, ex, dir);
    cad_trainer_close(t);
    cad_model_close(m);
}

/* ---- golden gradients ---- */

static void add_golden(cad_trainer_t *t, const cad_archive_t *st)
{
    const cad_stored_t *s = cad_archive_find(st, "input_ids"), *y = cad_archive_find(st, "labels");
    int64_t B = s->shape[0], L = s->shape[1], n = 0, *ids = malloc((size_t)(B * L) * 8),
            *labels = malloc((size_t)(B * L) * 8);
    uint8_t *tok = malloc((size_t)(B * L)), *label = malloc((size_t)(B * L));
    float *weight = malloc((size_t)(B * L) * sizeof *weight);
    cad_example_t *ex = calloc((size_t)B, sizeof *ex);
    double loss = 0;
    cad_error_t err;
    cad_archive_i64(st, s, ids, NULL);
    cad_archive_i64(st, y, labels, NULL);
    for (int64_t i = 0; i < B * L; i++) {
        tok[i] = (uint8_t)ids[i];
        label[i] = (uint8_t)cad_max(labels[i], 0); /* a negative label is not scored */
        weight[i] = labels[i] >= 0 && labels[i] != (t->model->vocab.pad < 0 ? 4 : t->model->vocab.pad);
        n += weight[i] > 0;
    }
    for (int64_t i = 0; i < B; i++) ex[i] = (cad_example_t) { tok + i * L, L, label + i * L, weight + i * L, NULL };
    if (cad_trainer_add(t, CAD_LOSS_TOKENS, ex, (int)B, 1 / (double)n, &loss, &err)) printf("# %s\n", err.text);
    free(ids);
    free(labels);
    free(tok);
    free(label);
    free(weight);
    free(ex);
}

/* Gives B random values, and changes the base so that the sum is the golden projection again, but for rounding. */
static void randomise(cad_trainer_t *t)
{
    for (int i = 0; i < t->lora->n; i++) {
        const cad_delta_t *d = &t->lora->delta[i];
        for (int64_t k = 0; k < t->lora->r * d->out; k++)
            t->param[d->b + k] = (float)(0.01 * real((uint64_t)i, (uint64_t)k));
        cad_adapter_change(d->base, t->param + d->b, t->param + d->a, d->out, t->lora->r, d->in, -t->lora->scale);
    }
    cad_lora_merge(t);
    t->ops->weights_renew(t->weights, t->model);
    t->back->renew(t->grads[0], t->model);
}

static void check_golden(const char *name, const char *dir, const char *grads)
{
    cad_model_t *m = NULL;
    cad_archive_t st = { 0 };
    cad_error_t err = { "" };
    cad_trainer_t *t;
    double worst = 0;
    if (cad_model_open(&m, dir, &err) || cad_archive_open(&st, grads, &err)) printf("# %s\n", err.text);
    t = m ? trainer_of(m, "cpu", 4, 2, 0) : NULL;
    if (!tap_ok(t != NULL, "golden %s: opens", name)) return;
    randomise(t);
    add_golden(t, &st);
    collect(t);
    for (int i = 0; i < t->lora->n; i++) {
        const cad_delta_t *d = &t->lora->delta[i];
        char full[160], key[180];
        float *want = malloc((size_t)d->t->count * sizeof *want);
        const cad_stored_t *s;
        cad_tensor_published(&m->cfg, d->t, 0, full);
        snprintf(key, sizeof key, "grad.%s", full);
        s = cad_archive_find(&st, key);
        if (!s) snprintf(key, sizeof key, "grad.%s", d->t->name);
        if (!s) s = cad_archive_find(&st, key);
        if (!s || cad_archive_f32(&st, s, want, NULL)) worst = INFINITY;
        cad_tensor_flip(d->t, want);
        worst = fmax(worst, mismatch(t, d, want));
        free(want);
    }
    tap_ok(worst < 5e-6, "golden %s: gradients of A and B against float64, at worst %.2g", name, worst);
    cad_trainer_close(t);
    cad_model_close(m);
    cad_archive_close(&st);
}

static void check_goldens(void)
{
    const char *shared = getenv("CADUCEUS_SHARED");
    char root[4096];
    struct dirent **list = NULL;
    int n;
    snprintf(root, sizeof root, "%s/golden", shared ? shared : "");
    n = scandir(root, &list, NULL, alphasort);
    if (n < 0) tap_skip("golden gradients", "not present");
    for (int i = 0; i < n; i++) {
        char dir[4400], grads[4500];
        snprintf(dir, sizeof dir, "%s/%s", root, list[i]->d_name);
        snprintf(grads, sizeof grads, "%s/expected_grads.safetensors", dir);
        if (access(grads, R_OK) == 0) check_golden(list[i]->d_name, dir, grads);
        free(list[i]);
    }
    free(list);
}

static void check_refusals(void)
{
    cad_model_t *m = model_of(&CASES[0]);
    cad_trainer_t *t = NULL;
    cad_recipe_t r;
    cad_error_t err = { "" };
    cad_recipe_init(&r);
    r.device = "cpu";
    r.lora = 2;
    r.lora_targets = "in_proj,conv1d";
    tap_ok(cad_trainer_open(&t, m, &r, &err) == CAD_EARG && strstr(err.text, "LoRA of conv1d"),
           "a target that is no projection");
    r.lora_targets = "dt_proj,out_proj";
    tap_ok(cad_trainer_open(&t, m, &r, &err) == 0 && !strcmp(t->lora->targets, "dt_proj,out_proj"), "chosen targets");
    cad_trainer_close(t);
    r.lora = 257;
    tap_ok(cad_trainer_open(&t, m, &r, &err) == CAD_EARG && strstr(err.text, "rank of 1 to 256"),
           "a rank that is too large");
    r.lora = 2;
    r.freeze = 1;
    tap_ok(cad_trainer_open(&t, m, &r, &err) == CAD_EARG, "adapters and a frozen encoder");
    cad_model_close(m);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/caduceus-lora-XXXXXX", path[4096];
    const char *named = getenv("CADUCEUS_CUDA_MODULE"), *builddir = getenv("builddir");
    size_t n = sizeof CASES / sizeof *CASES;
    tap_arguments(argc, argv);
    if (!mkdtemp(dir)) return 1;
    for (size_t i = 0; i < n; i++) check_case(&CASES[i], "cpu", dir);
    check_refusals();
    check_goldens();
    snprintf(path, sizeof path, "%s/.libs/caduceus-cuda-shim.so", builddir ? builddir : ".");
    if (!named || !*named) setenv("CADUCEUS_CUDA_MODULE", path, 1);
    for (size_t i = 0; i < n; i += 3) check_case(&CASES[i], "cuda", dir);
    snprintf(path, sizeof path, "rm -rf '%s'", dir);
    if (system(path)) printf("# %s stays\n", dir);
    return tap_finish();
}
