/* adapter.c - reads LoRA adapters in peft's layout.
 *
 * An adapter's tensors are added to the model's archive. If the adapter has X.lora_A.weight = A (r, in) and
 * X.lora_B.weight = B (out, r), then X.weight is read as W + scale * B A, where W is the model's weight and scale =
 * alpha / r or, with use_rslora, alpha / sqrt(r) (Hu et al. 2021; Kalajdzievski 2023). A whole tensor, which peft
 * stores for modules_to_save, replaces the model's tensor. SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "model/adapter.h"
#include "model/json.h"

#define COLUMNS 64 /* columns of a weight that are changed together */

/* ---- adapter_config.json ---- */

static bool given(const json_t *v)
{
    return v && !json_is_null(v) && !json_is_false(v) && !(json_is_object(v) && json_object_size(v) == 0);
}

static int check_plain(const json_t *root, const char *path, cad_error_t *err)
{
    static const char *const other[] = { "use_dora", "fan_in_fan_out", "alpha_pattern", "use_qalora", "lora_bias" };
    const char *type = json_string_value(json_object_get(root, "peft_type"));
    if (type && strcmp(type, "LORA"))
        return cad_fail(
            err, CAD_EFORMAT,
            "%s: \"peft_type\" is %.40s; only LORA is read. In Python, untie the projections, merge_and_unload() and save",
            path, type);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (given(json_object_get(root, other[i])))
            return cad_fail(
                err, CAD_EFORMAT,
                "%s: \"%s\" is set; only plain LoRA is read. In Python, untie the projections, merge_and_unload() and save",
                path, other[i]);
    return 0;
}

static int read_config(cad_adapter_t *a, const json_t *root, const char *path, cad_error_t *err)
{
    const json_t *alpha = json_object_get(root, "lora_alpha");
    const char *base = json_string_value(json_object_get(root, "base_model_name_or_path")),
               *revision = json_string_value(json_object_get(root, "revision"));
    int rc = check_plain(root, path, err);
    if (rc) return rc;
    a->alpha = json_number_value(alpha);
    if (!json_is_number(alpha) || !(fabs(a->alpha) < 1e9))
        return cad_fail(err, CAD_EFORMAT, "%s: \"lora_alpha\" is missing or not a number", path);
    a->rslora = json_is_true(json_object_get(root, "use_rslora"));
    a->base = base && *base ? strdup(base) : NULL;
    a->revision = revision && *revision ? strdup(revision) : NULL;
    return (base && *base && !a->base) || (revision && *revision && !a->revision) ? cad_out_of_memory(err) : 0;
}

int cad_adapter_open(cad_adapter_t *a, const char *dir, cad_error_t *err)
{
    char *path = cad_path_join(dir, "adapter_config.json");
    json_t *root = NULL;
    int rc;
    memset(a, 0, sizeof *a);
    a->dir = strdup(dir);
    rc = path && a->dir ? cad_json_load(&root, path, false, err) : cad_out_of_memory(err);
    if (rc == 0) rc = read_config(a, root, path, err);
    json_decref(root);
    free(path);
    return rc;
}

void cad_adapter_close(cad_adapter_t *a)
{
    free(a->dir);
    free(a->base);
    free(a->revision);
    memset(a, 0, sizeof *a);
}

/* ---- the adapter's weights ---- */

int cad_adapter_weights(const cad_adapter_t *a, cad_archive_t *weights, cad_error_t *err)
{
    bool torch = !cad_path_present(a->dir, "adapter_model.safetensors") &&
                 cad_path_present(a->dir, "adapter_model.bin");
    char *path = cad_path_join(a->dir, torch ? "adapter_model.bin" : "adapter_model.safetensors");
    int rc = path ? cad_archive_open(weights, path, err) : cad_out_of_memory(err);
    free(path);
    return rc;
}

/* Removes the first occurrence of `infix` from a name. */
static void remove_infix(char *name, const char *infix)
{
    char *at = strstr(name, infix);
    size_t n = strlen(infix);
    if (at) memmove(at, at + n, strlen(at + n) + 1);
}

/* Removes from tensor names the parts that peft inserts: its own modules, and the adapter's name "default". */
static void plain_names(cad_archive_t *weights)
{
    for (int i = 0; i < weights->ntensor; i++) {
        char *name = weights->tensor[i].name;
        remove_infix(name, ".base_layer");
        remove_infix(name, ".modules_to_save");
        remove_infix(name, ".default");
    }
}

static bool is_lora(const char *name)
{
    return strstr(name, ".lora_A.weight") != NULL || strstr(name, ".lora_B.weight") != NULL;
}

static int check_names(const cad_archive_t *weights, cad_error_t *err)
{
    for (int i = 0; i < weights->ntensor; i++) {
        const cad_stored_t *t = &weights->tensor[i];
        if (is_lora(t->name) && !strncmp(t->name, "lm_head.", 8))
            return cad_fail(err, CAD_EFORMAT,
                            "%s: tensor %s changes the head alone, which is tied to the embedding; train the adapter "
                            "without lm_head among its target_modules",
                            weights->file[t->file].path, t->name);
        if ((strstr(t->name, ".lora_") && !is_lora(t->name)) || (is_lora(t->name) && t->ndim != 2))
            return cad_fail(
                err, CAD_EFORMAT,
                "%s: tensor %s: only LoRA of linear layers is read. In Python, untie the projections, merge_and_unload() and save",
                weights->file[t->file].path, t->name);
    }
    return 0;
}

int cad_adapter_join(cad_archive_t *weights, cad_archive_t *from, cad_error_t *err)
{
    int rc;
    plain_names(from);
    rc = check_names(from, err);
    return rc ? rc : cad_archive_join(weights, from, err);
}

/* ---- the model's tensors with the adapter ---- */

/* True if the name belongs to a projection that tied directions share. Sets twin to the name of that projection in the
 * other direction. */
static bool shared_name(const char *name, char twin[128])
{
    for (int k = 0; k < 2; k++) {
        const char *own = cad_direction_name[k], *at = strstr(name, own), *leaf = at ? at + strlen(own) : NULL;
        if (!at || (strncmp(leaf, ".in_proj.", 9) && strncmp(leaf, ".out_proj.", 10))) continue;
        snprintf(twin, 128, "%.*s%s%s", (int)(at - name), name, cad_direction_name[1 - k], leaf);
        return true;
    }
    return false;
}

static int same_values(const cad_archive_t *w, const cad_stored_t *x, const cad_stored_t *y, bool *same,
                       cad_error_t *err)
{
    float *a = cad_alloc((size_t)x->count, sizeof *a), *b = cad_alloc((size_t)y->count, sizeof *b);
    int rc = a && b ? cad_archive_f32(w, x, a, err) : cad_out_of_memory(err);
    if (rc == 0) rc = cad_archive_f32(w, y, b, err);
    *same = rc == 0 && x->count == y->count && !memcmp(a, b, (size_t)x->count * sizeof *a);
    free(a);
    free(b);
    return rc;
}

int cad_adapter_unties(const cad_archive_t *w, bool *unties, cad_error_t *err)
{
    *unties = false;
    for (int i = 0; i < w->ntensor && !*unties; i++) {
        const cad_stored_t *t = &w->tensor[i], *other;
        char twin[128];
        bool same = false;
        int rc;
        if (!is_lora(t->name) || !shared_name(t->name, twin)) continue;
        other = cad_archive_find(w, twin);
        rc = other ? same_values(w, t, other, &same, err) : 0;
        if (rc) return rc;
        *unties = !same;
    }
    return 0;
}

int cad_adapter_untie(cad_archive_t *w, cad_error_t *err)
{
    int n = w->ntensor;
    for (int i = 0; i < n; i++) {
        cad_stored_t *copy, was = w->tensor[i];
        char twin[128];
        if (is_lora(was.name) || !shared_name(was.name, twin) || cad_archive_find(w, twin)) continue;
        copy = cad_archive_add(w, was.file, twin);
        if (!copy) return cad_out_of_memory(err);
        was.name = copy->name;
        *copy = was;
    }
    cad_archive_sort(w);
    return 0;
}

void cad_adapter_change(float *value, const float *b, const float *a, int64_t out, int64_t r, int64_t in, double scale)
{
    for (int64_t i = 0; i < out; i++)
        for (int64_t from = 0; from < in; from += COLUMNS) {
            int64_t n = cad_min(COLUMNS, in - from);
            double sum[COLUMNS] = { 0 };
            for (int64_t k = 0; k < r; k++)
                for (int64_t j = 0; j < n; j++) sum[j] += (double)b[i * r + k] * (double)a[k * in + from + j];
            for (int64_t j = 0; j < n; j++) value[i * in + from + j] += (float)(scale * sum[j]);
        }
}

/* Returns lora_A or lora_B (half: 'A' or 'B') of the tensor `name` and marks it as used; NULL if there is none. */
static cad_stored_t *find_half(const cad_archive_t *w, const char *name, char half)
{
    size_t n = strlen(name);
    char key[160];
    cad_stored_t *s;
    if (n < 7 || strcmp(name + n - 7, ".weight")) return NULL;
    snprintf(key, sizeof key, "%.*s.lora_%c.weight", (int)(n - 7), name, half);
    s = cad_archive_find(w, key);
    if (s) s->used = true;
    return s;
}

static int add_pair(const cad_adapter_t *c, const cad_archive_t *w, const cad_tensor_t *t, const cad_stored_t *a,
                    const cad_stored_t *b, float *value, cad_error_t *err)
{
    int64_t r = a->shape[0], out = t->shape[0], in = t->count / out;
    double scale = c->rslora ? c->alpha / sqrt((double)r) : c->alpha / (double)r;
    float *fa, *fb;
    int rc;
    if (t->ndim != 2 || a->shape[1] != in || b->shape[0] != out || b->shape[1] != r)
        return cad_fail(err, CAD_EFORMAT, "%s: %s (%lld,%lld) and %s (%lld,%lld) do not fit a tensor of %lld by %lld",
                        w->file[a->file].path, a->name, (long long)r, (long long)a->shape[1], b->name,
                        (long long)b->shape[0], (long long)b->shape[1], (long long)out, (long long)in);
    fa = cad_alloc((size_t)a->count, sizeof *fa);
    fb = cad_alloc((size_t)b->count, sizeof *fb);
    rc = fa && fb ? cad_archive_f32(w, a, fa, err) : cad_out_of_memory(err);
    if (rc == 0) rc = cad_archive_f32(w, b, fb, err);
    if (rc == 0) cad_adapter_change(value, fb, fa, out, r, in, scale);
    free(fa);
    free(fb);
    return rc;
}

int cad_adapter_add(const cad_adapter_t *c, cad_archive_t *w, const cad_tensor_t *t, float *value, cad_error_t *err)
{
    cad_stored_t *a = find_half(w, t->name, 'A'), *b = find_half(w, t->name, 'B');
    /* the change of a tied pair may be stored under one of its names or under both, so both are marked as used */
    if (t->alias[0]) {
        cad_stored_t *a2 = find_half(w, t->alias, 'A'), *b2 = find_half(w, t->alias, 'B');
        a = a ? a : a2;
        b = b ? b : b2;
    }
    if (!a && !b) return 0;
    if (!a || !b)
        return cad_fail(err, CAD_EFORMAT, "%s: of the adapter's tensors for %s, one is missing", c->dir, t->name);
    return add_pair(c, w, t, a, b, value, err);
}
