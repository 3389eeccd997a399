/* labels.c - reads from config.json, and writes to it, the meaning of a classifier's outputs: the keys of transformers
 * (id2label, label2id, num_labels, problem_type) and, for a head that predicts values, target_mean and target_scale.
 * SPDX-License-Identifier: MIT
 */
#include "model/labels.h"

static const char *const PROBLEM[] = { "single_label_classification", "multi_label_classification", "regression",
                                       "regression" };

void cad_head_init_sized(cad_head_t *h, size_t size)
{
    memset(h, 0, size);
    h->size = size;
    h->pool = CAD_POOL_MEAN;
}

void cad_head_free(cad_head_t *h)
{
    for (int64_t k = 0; h->name && k < h->n; k++) free(h->name[k]);
    free(h->name);
    free(h->mean);
    free(h->scale);
    h->name = NULL;
    h->mean = h->scale = NULL;
    h->n = 0;
}

int cad_head_room(cad_head_t *h, int64_t n, cad_error_t *err)
{
    bool values = h->kind == CAD_HEAD_VALUES || h->kind == CAD_HEAD_COUNTS;
    if (n < 1) return cad_fail(err, CAD_EARG, "%lld labels: expected 1 or more", (long long)n);
    h->n = n;
    h->name = calloc((size_t)n, sizeof *h->name);
    h->mean = values ? calloc((size_t)n, sizeof *h->mean) : NULL;
    h->scale = values ? calloc((size_t)n, sizeof *h->scale) : NULL;
    if (h->name && (!values || (h->mean && h->scale))) return 0;
    cad_head_free(h);
    return cad_fail(err, CAD_ENOMEM, "out of memory for %lld labels", (long long)n);
}

/* ---- reading ---- */

static int bad(const char *key, const char *what, cad_error_t *err)
{
    return cad_fail(err, CAD_EFORMAT, "config.json: \"%s\" %s", key, what);
}

static int read_kind(cad_head_t *h, json_t *root, int64_t labels, cad_error_t *err)
{
    const char *s = json_string_value(json_object_get(root, "problem_type"));
    /* the default of transformers if problem_type is absent */
    h->kind = labels == 1 ? CAD_HEAD_VALUES : CAD_HEAD_CLASSES;
    for (int i = 0; s && i < 3; i++)
        if (!strcmp(s, PROBLEM[i])) {
            h->kind = (enum cad_head_kind_t)i;
            if (i == CAD_HEAD_VALUES && json_object_get(root, CAD_LINK_KEY)) h->kind = CAD_HEAD_COUNTS;
            return 0;
        }
    return s ? bad("problem_type", "is none of single_label_classification, multi_label_classification and regression",
                   err)
             : 0;
}

/* Returns false if s has a control character (tab, newline), which would break output tables. */
static bool printable(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ') return false;
    return true;
}

static int read_name(cad_head_t *h, json_t *names, int64_t k, cad_error_t *err)
{
    char key[32];
    const char *s;
    snprintf(key, sizeof key, "%lld", (long long)k);
    s = json_string_value(json_object_get(names, key));
    if (s && (!*s || !printable(s)))
        return bad("id2label", "has a name that is empty or holds control characters", err);
    snprintf(key, sizeof key, "LABEL_%lld", (long long)k);
    h->name[k] = strdup(s ? s : key);
    return h->name[k] ? 0 : cad_out_of_memory(err);
}

static int read_numbers(json_t *root, const char *key, double *out, int64_t n, double otherwise, cad_error_t *err)
{
    json_t *v = json_object_get(root, key);
    for (int64_t k = 0; k < n; k++) out[k] = otherwise;
    if (!v) return 0;
    if (json_array_size(v) != (size_t)n) return bad(key, "is not a list of a number for each label", err);
    for (int64_t k = 0; k < n; k++) {
        json_t *x = json_array_get(v, (size_t)k);
        if (!cad_json_number(x, &out[k])) return bad(key, "is not a list of a number for each label", err);
    }
    return 0;
}

/* True if the caller was compiled with a cad_head_t that has the member `longest`, `bin` or `pad`. */
static bool has_longest(const cad_head_t *h) { return h->size >= offsetof(cad_head_t, bin); }
static bool has_bin(const cad_head_t *h) { return h->size >= offsetof(cad_head_t, pad); }
static bool has_pad(const cad_head_t *h) { return h->size >= sizeof *h; }

static int read_length(json_t *root, const char *key, int64_t *length, cad_error_t *err)
{
    json_t *v = json_object_get(root, key);
    if (!v) return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0) return bad(key, "is not a whole number", err);
    *length = json_integer_value(v);
    return 0;
}

int cad_head_read(cad_head_t *h, const cad_model_t *m, cad_error_t *err)
{
    json_t *root = m->head;
    int rc;
    cad_head_init_sized(h, h->size);
    if (!m->labels) return cad_fail(err, CAD_EARG, "the model has no classifier head");
    h->pool = m->cfg.pool;
    if (has_bin(h)) h->bin = m->cfg.bin;
    rc = read_kind(h, root, m->labels, err);
    if (rc == 0) rc = cad_head_room(h, m->labels, err);
    for (int64_t k = 0; k < h->n && rc == 0; k++) rc = read_name(h, json_object_get(root, "id2label"), k, err);
    if (rc == 0 && h->mean) rc = read_numbers(root, "target_mean", h->mean, h->n, 0, err);
    if (rc == 0 && h->scale) rc = read_numbers(root, "target_scale", h->scale, h->n, 1, err);
    if (rc == 0 && has_longest(h)) rc = read_length(root, CAD_LONGEST_KEY, &h->longest, err);
    if (rc == 0 && has_pad(h)) rc = read_length(root, CAD_PAD_KEY, &h->pad, err);
    if (rc) cad_head_free(h);
    return rc;
}

/* ---- writing ---- */

static json_t *numbers(const double *v, int64_t n)
{
    json_t *list = json_array();
    for (int64_t k = 0; k < n; k++) json_array_append_new(list, json_real(v[k]));
    return list;
}

/* Sets num_labels, id2label and label2id. Returns 0, or -1 if a name is not UTF-8. */
static int put_names(json_t *root, const cad_head_t *h)
{
    json_t *names = json_object(), *ids = json_object();
    char key[32];
    int rc = 0;
    for (int64_t k = 0; k < h->n; k++) {
        snprintf(key, sizeof key, "%lld", (long long)k);
        rc |= json_object_set_new(names, key, json_string(h->name[k]));
        rc |= json_object_set_new(ids, h->name[k], json_integer(k));
    }
    rc |= json_object_set_new(root, "num_labels", json_integer(h->n));
    rc |= json_object_set_new(root, "id2label", names);
    return rc | json_object_set_new(root, "label2id", ids);
}

int cad_head_write(const cad_head_t *h, cad_model_t *m, cad_error_t *err)
{
    json_t *root;
    int rc;
    if (h->n != m->labels)
        return cad_fail(err, CAD_EARG, "a head of %lld labels for a model of %lld", (long long)h->n,
                        (long long)m->labels);
    if (h->pool < CAD_POOL_MEAN || h->pool > CAD_POOL_ATTENTION ||
        (h->pool == CAD_POOL_ATTENTION && has_bin(h) && h->bin))
        return cad_fail(err, CAD_EARG, "a head that pools by %d, with bins of %lld", (int)h->pool,
                        has_bin(h) ? (long long)h->bin : 0);
    root = json_object();
    if (put_names(root, h)) {
        json_decref(root);
        return cad_fail(err, CAD_EFORMAT, "a label is not UTF-8 text, as config.json has to be");
    }
    json_object_set_new(root, "problem_type", json_string(PROBLEM[h->kind]));
    json_object_set_new(root, CAD_POOLING, json_string(cad_pool_name[h->pool]));
    if (h->mean) json_object_set_new(root, "target_mean", numbers(h->mean, h->n));
    if (h->scale) json_object_set_new(root, "target_scale", numbers(h->scale, h->n));
    if (has_longest(h) && h->longest) json_object_set_new(root, CAD_LONGEST_KEY, json_integer(h->longest));
    if (has_pad(h) && h->pad) json_object_set_new(root, CAD_PAD_KEY, json_integer(h->pad));
    if (h->kind == CAD_HEAD_COUNTS) json_object_set_new(root, CAD_LINK_KEY, json_string("log"));
    if (has_bin(h) && h->bin) json_object_set_new(root, CAD_BIN_KEY, json_integer(h->bin));
    rc = cad_model_pool(m, h->pool, err);
    if (rc) {
        json_decref(root);
        return rc;
    }
    m->cfg.bin = has_bin(h) ? h->bin : 0;
    json_decref(m->head);
    m->head = root;
    return 0;
}

static const char *const KEY[] = { "num_labels",    "id2label",       "label2id",    "problem_type",
                                   CAD_POOLING,     CAD_POOLING_ONCE, "target_mean", "target_scale",
                                   CAD_LONGEST_KEY, CAD_PAD_KEY,      CAD_BIN_KEY,   CAD_LINK_KEY };
enum { NKEY = sizeof KEY / sizeof *KEY };

void cad_head_drop_keys(json_t *config)
{
    for (int i = 0; i < NKEY; i++)
        if (json_object_get(config, KEY[i])) json_object_del(config, KEY[i]);
}

static bool names_classifier(const json_t *config)
{
    const json_t *list = json_object_get(config, "architectures");
    bool named = false;
    for (size_t i = 0; i < json_array_size(list) && !named; i++) {
        const char *s = json_string_value(json_array_get(list, i));
        named = s && strstr(s, "SequenceClassification");
    }
    return named;
}

/* Reads the JSON file dir/name, which may be absent: *root is then NULL. */
static int read_optional(json_t **root, const char *dir, const char *name, cad_error_t *err)
{
    char *path = cad_path_join(dir, name);
    int rc = path ? cad_json_load(root, path, true, err) : cad_out_of_memory(err);
    free(path);
    return rc;
}

static bool take_keys(json_t *config, const json_t *from)
{
    bool good = json_object_set(config, "architectures", json_object_get(from, "architectures")) == 0;
    cad_head_drop_keys(config);
    for (int i = 0; i < NKEY; i++) {
        json_t *v = json_object_get(from, KEY[i]);
        if (v) good = json_object_set(config, KEY[i], v) == 0 && good;
    }
    return good;
}

int cad_head_of_adapter(json_t *config, json_t **tokenizer, const char *dir, cad_error_t *err)
{
    json_t *own = NULL, *words = NULL, *length;
    int rc = read_optional(&own, dir, "config.json", err);
    if (rc == 0 && names_classifier(own)) {
        rc = take_keys(config, own) ? read_optional(&words, dir, "tokenizer_config.json", err) : cad_out_of_memory(err);
        length = json_object_get(words, "model_max_length");
        if (rc == 0 && length && !*tokenizer) *tokenizer = json_object();
        if (rc == 0 && length && json_object_set(*tokenizer, "model_max_length", length)) rc = cad_out_of_memory(err);
    }
    json_decref(own);
    json_decref(words);
    return rc;
}

int cad_head_load(cad_model_t *m, cad_error_t *err)
{
    bool good;
    m->head = json_object();
    good = m->head != NULL;
    for (int i = 0; i < NKEY; i++) {
        json_t *v = json_object_get(m->config, KEY[i]);
        const char *key = strcmp(KEY[i], CAD_POOLING_ONCE) ? KEY[i] : CAD_POOLING;
        if (v && !json_object_get(m->head, key)) good = json_object_set(m->head, key, v) == 0 && good;
    }
    return good ? 0 : cad_out_of_memory(err);
}

/* True if the bias is the same for all classes, so that it cancels in the softmax. */
static bool one_bias(const cad_model_t *m)
{
    for (int64_t k = 1; k < m->labels; k++)
        if (m->score_bias[k] != m->score_bias[0]) return false;
    return true;
}

/* Removes the head's bias, which is the last entry, from the model's table of tensors. */
static void drop_bias(cad_model_t *m)
{
    m->ntensor--;
    m->nparam -= m->labels;
    m->score_bias = NULL;
    m->cfg.score_bias = false;
}

int cad_head_fold_bias(cad_model_t *m, cad_error_t *err)
{
    cad_head_t h;
    int rc;
    if (!m->score_bias) return 0;
    cad_head_init(&h);
    rc = cad_head_read(&h, m, err);
    if (rc) return rc;
    if (h.kind == CAD_HEAD_VALUES) {
        for (int64_t k = 0; k < h.n; k++) h.mean[k] += h.scale[k] * (double)m->score_bias[k];
        rc = cad_head_write(&h, m, err);
    } else if (h.kind != CAD_HEAD_CLASSES || !one_bias(m))
        rc = cad_fail(err, CAD_EARG,
                      "the classifier's head has a bias (score.bias), which Python's classes lack; --keep-bias "
                      "writes it for caduceus alone");
    if (rc == 0) drop_bias(m);
    cad_head_free(&h);
    return rc;
}
