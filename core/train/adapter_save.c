/* adapter_save.c - saves trained adapters in peft's layout: adapter_config.json and adapter_model.safetensors, with the
 * classifier's head in the latter. config.json and tokenizer_config.json beside them are those of the merged model;
 * opening an adapter reads from them what the head's outputs mean. SPDX-License-Identifier: MIT
 */
#include <unistd.h>

#include "model/json.h"
#include "model/model.h"
#include "train/trainer.h"

enum { WEIGHTS, ADAPTER, CONFIG, TOKENIZER, CARD, NFILES };
static const char *const NAME[NFILES] = { "adapter_model.safetensors", "adapter_config.json", "config.json",
                                          "tokenizer_config.json", "README.md" };

typedef struct {
    const cad_trainer_t *t;
    const char *dir;
    cad_file_t file[NFILES];
    float *value;       // (total) copy of the trained parameters, in the published layout
    char (*name)[160];  // (4 n + 3) names of the arrays
    cad_array_t *array; // (4 n + 3)
    int narray;
} save_t;

static int put(save_t *s, int which, char *text, size_t size, cad_error_t *err)
{
    char *path = text ? cad_path_join(s->dir, NAME[which]) : NULL;
    int rc = path ? cad_file_open(&s->file[which], path, err) : cad_out_of_memory(err);
    if (rc == 0) rc = cad_file_write(&s->file[which], text, size, err);
    if (rc == 0) rc = cad_file_write(&s->file[which], "\n", 1, err);
    free(path);
    free(text);
    return rc;
}

/* ---- the weights ---- */

static void add_array(save_t *s, const float *value, int ndim, int64_t s0, int64_t s1)
{
    s->array[s->narray] = (cad_array_t) { s->name[s->narray], CAD_F32, ndim, { s0, s1, 0 }, value };
    s->narray++;
}

/* Adds A and B of one change, under both names of a projection that tied directions share: in Python each direction has
 * its own adapter. */
static void add_delta(save_t *s, const cad_delta_t *d)
{
    const cad_lora_t *l = s->t->lora;
    for (int half = 'A'; half <= 'B'; half++) {
        float *value = s->value + (half == 'A' ? d->a : d->b);
        cad_lora_flip(l, d, (char)half, value);
        for (int second = 0; second <= (d->t->alias[0] != 0); second++) {
            char full[128];
            cad_tensor_published(&s->t->model->cfg, d->t, second, full);
            snprintf(s->name[s->narray], sizeof *s->name, "base_model.model.%.*s.lora_%c.weight",
                     (int)(strlen(full) - strlen(".weight")), full, half);
            add_array(s, value, 2, half == 'A' ? l->r : d->out, half == 'A' ? d->in : l->r);
        }
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const cad_array_t *)a)->name, ((const cad_array_t *)b)->name);
}

static int put_weights(save_t *s, const char *status, cad_error_t *err)
{
    const cad_trainer_t *t = s->t;
    const cad_lora_t *l = t->lora;
    const cad_model_t *m = t->model;
    cad_meta_t meta = { "status", status };
    char *path = cad_path_join(s->dir, NAME[WEIGHTS]);
    int rc = path ? cad_file_open(&s->file[WEIGHTS], path, err) : cad_out_of_memory(err);
    free(path);
    if (rc) return rc;
    s->value = cad_alloc((size_t)t->total, sizeof *s->value);
    s->name = calloc(4 * (size_t)l->n + 3, sizeof *s->name);
    s->array = calloc(4 * (size_t)l->n + 3, sizeof *s->array);
    if (!s->value || !s->name || !s->array) return cad_out_of_memory(err);
    memcpy(s->value, t->param, (size_t)t->total * sizeof *s->value);
    for (int i = 0; i < l->n; i++) add_delta(s, &l->delta[i]);
    for (int i = 0; i < m->ntensor; i++) {
        const cad_tensor_t *x = &m->tensor[i];
        if (!cad_tensor_of_head(x)) continue;
        snprintf(s->name[s->narray], sizeof *s->name, "base_model.model.%s", x->name);
        add_array(s, s->value + l->size + x->offset - l->head, x->ndim, x->shape[0], x->shape[1]);
    }
    qsort(s->array, (size_t)s->narray, sizeof *s->array, by_name);
    return cad_safetensors_put(&s->file[WEIGHTS], s->array, s->narray, &meta, 1, err);
}

/* ---- adapter_config.json ---- */

static json_t *words(const char *list)
{
    json_t *o = json_array();
    for (const char *s = list; *s; s += strspn(s, ",")) {
        size_t n = strcspn(s, ",");
        json_array_append_new(o, json_stringn(s, n));
        s += n;
    }
    return o;
}

/* base: the path of the model, which begins with a slash, or its name on the hub, ORG/NAME[@REV]. */
static int put_config(save_t *s, const char *base, cad_error_t *err)
{
    const cad_lora_t *l = s->t->lora;
    bool whole = l->alpha == (double)(int64_t)l->alpha, classifier = s->t->model->labels > 0;
    const char *at = *base == '/' ? NULL : strchr(base, '@');
    json_t *o = json_pack(
        "{s:{}, s:n, s:s%, s:s, s:b, s:b, s:b, s:o, s:f, s:s?, s:s, s:I, s:{}, s:s?, s:o, s:s?, s:b, s:b}",
        "alpha_pattern", "auto_mapping", "base_model_name_or_path", base, at ? (size_t)(at - base) : strlen(base),
        "bias", "none", "fan_in_fan_out", 0, "inference_mode", 1, "init_lora_weights", 1, "lora_alpha",
        whole ? json_integer((json_int_t)l->alpha) : json_real(l->alpha), "lora_dropout", 0.0, "layers_pattern", NULL,
        "peft_type", "LORA", "r", (json_int_t)l->r, "rank_pattern", "revision", at ? at + 1 : NULL, "target_modules",
        words(l->targets), "task_type", classifier ? "SEQ_CLS" : NULL, "use_dora", 0, "use_rslora", 0);
    size_t size = 0;
    char *text;
    if (o && classifier)
        json_object_set_new(o, "modules_to_save", words(s->t->model->pool_weight ? "score,pool" : "score"));
    text = o ? cad_json_text(o, CAD_JSON_PRETTY | JSON_SORT_KEYS, &size) : NULL;
    if (!o) return cad_fail(err, CAD_EARG, "the name of the base model is not UTF-8, as adapter_config.json has to be");
    return put(s, ADAPTER, text, size, err);
}

/* ---- all files ---- */

static int put_texts(save_t *s, const cad_save_t *how, cad_error_t *err)
{
    const cad_model_t *m = s->t->model;
    size_t size = 0;
    char *text = cad_config_text(m, CAD_F32, false, &size);
    int rc = put(s, CONFIG, text, size, err);
    if (rc) return rc;
    text = cad_tokenizer_config_text(m, false, &size);
    rc = put(s, TOKENIZER, text, size, err);
    if (rc || !how->card) return rc;
    text = strdup(how->card);
    return put(s, CARD, text, strlen(how->card) - (how->card[0] && how->card[strlen(how->card) - 1] == '\n'), err);
}

static int publish(save_t *s, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < NFILES && rc == 0; i++)
        if (s->file[i].path) rc = cad_file_sync(&s->file[i], err);
    for (int i = NFILES - 1; i >= 0 && rc == 0; i--)
        if (s->file[i].path) rc = cad_file_publish(&s->file[i], err);
    return rc;
}

int cad_trainer_adapter(const cad_trainer_t *t, const char *dir, const char *base, const cad_save_t *how,
                        cad_error_t *err)
{
    cad_save_t full = { 0 };
    save_t s = { .t = t, .dir = dir };
    bool made = false;
    int rc;
    memcpy(&full, how, cad_min(how->size, sizeof full));
    if (!t->lora) return cad_fail(err, CAD_EARG, "the trainer trains no adapters");
    rc = cad_folder_make(dir, &made, err);
    if (rc == 0) rc = put_weights(&s, full.status, err);
    if (rc == 0) rc = put_config(&s, base, err);
    if (rc == 0) rc = put_texts(&s, &full, err);
    if (rc == 0) rc = publish(&s, err);
    for (int i = 0; i < NFILES; i++) cad_file_abort(&s.file[i]);
    if (rc && made) rmdir(dir);
    free(s.value);
    free(s.name);
    free(s.array);
    return rc;
}
