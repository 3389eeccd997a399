/* config.c - reads and writes config.json and tokenizer_config.json. SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <math.h>

#include "base/file.h"
#include "model/config.h"

struct cad_reader_t {
    json_t *root, *ssm; /* ssm: ssm_cfg, or NULL */
    const char *path;
    cad_error_t *err;
    int rc;
};
typedef cad_reader_t reader_t;

static int bad(reader_t *r, const char *key, const char *what)
{
    if (r->rc == 0) r->rc = cad_fail(r->err, CAD_EFORMAT, "%s: \"%s\" %s", r->path, key, what);
    return r->rc;
}

/* Returns an integer in [lo, hi], or the default if the key is absent or null. */
static int64_t get_int(reader_t *r, json_t *o, const char *key, int64_t def, int64_t lo, int64_t hi)
{
    json_t *v = json_object_get(o, key);
    char what[96];
    double d;
    if (!v || json_is_null(v)) return def;
    if (!json_is_number(v)) {
        bad(r, key, "is not a number");
        return def;
    }
    d = json_number_value(v);
    if (d != floor(d) || d < (double)lo || d > (double)hi) {
        snprintf(what, sizeof what, "is %g; expected a whole number from %lld to %lld", d, (long long)lo,
                 (long long)hi);
        bad(r, key, what);
        return def;
    }
    return (int64_t)d;
}

static int64_t need_int(reader_t *r, const char *key, int64_t lo, int64_t hi)
{
    json_t *v = json_object_get(r->root, key);
    if (!v || json_is_null(v)) {
        bad(r, key, "is required and missing");
        return lo;
    }
    return get_int(r, r->root, key, lo, lo, hi);
}

static bool get_bool(reader_t *r, json_t *o, const char *key, bool def)
{
    json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v)) return def;
    if (!json_is_boolean(v)) bad(r, key, "is neither true nor false");
    return json_is_true(v);
}

static double get_real(reader_t *r, json_t *o, const char *key, double def, double lo, double hi)
{
    json_t *v = json_object_get(o, key);
    char what[96];
    double d = json_number_value(v);
    if (!v || json_is_null(v)) return def;
    if (json_is_number(v) && d >= lo && d <= hi) return d;
    snprintf(what, sizeof what, "is not a number from %g to %g", lo, hi);
    bad(r, key, what);
    return def;
}

/* Integers are read as reals, since transformers writes model_max_length above 2^63. */
static int parse(json_t **root, const char *text, size_t size, const char *path, cad_error_t *err)
{
    json_error_t je;
    *root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &je);
    if (!*root) return cad_fail(err, CAD_EFORMAT, "%s:%d: %s", path, je.line, je.text);
    if (json_is_object(*root)) return 0;
    json_decref(*root);
    *root = NULL;
    return cad_fail(err, CAD_EFORMAT, "%s: not a JSON object", path);
}

static int load(json_t **root, const char *path, bool optional, cad_error_t *err)
{
    char *text;
    size_t size;
    int rc = cad_read_text(&text, &size, path, optional, err);
    *root = NULL;
    if (rc == 0 && text) rc = parse(root, text, size, path, err);
    free(text);
    return rc;
}

/* ---- readers for a kind's configure ---- */

int64_t cad_read_int(cad_reader_t *r, const char *key, int64_t def, int64_t lo, int64_t hi)
{
    return get_int(r, r->ssm, key, def, lo, hi);
}

double cad_read_real(cad_reader_t *r, const char *key, double def, double lo, double hi)
{
    return get_real(r, r->ssm, key, def, lo, hi);
}

bool cad_read_bool(cad_reader_t *r, const char *key, bool def) { return get_bool(r, r->ssm, key, def); }

const char *cad_read_word(cad_reader_t *r, const char *key) { return json_string_value(json_object_get(r->ssm, key)); }

bool cad_read_has(cad_reader_t *r, const char *key)
{
    json_t *v = json_object_get(r->ssm, key);
    return v && !json_is_null(v);
}

void cad_read_bad(cad_reader_t *r, const char *key, const char *why) { bad(r, key, why); }

/* ---- kinds of layers ---- */

static int kind_named(const char *name)
{
    for (int k = 0; name && k < CAD_NKINDS; k++)
        if (!strcmp(name, cad_blocks[k]->name)) return k;
    return -1;
}

/* Reads "layer_kinds", a name for each layer; a shorter list repeats. Absent: all layers are Mamba. */
static void read_kinds(cad_config_t *c, reader_t *r)
{
    json_t *list = json_object_get(r->root, "layer_kinds");
    size_t n = json_array_size(list);
    memset(c->kind, CAD_KIND_mamba, sizeof c->kind);
    if (!list || json_is_null(list) || r->rc) return;
    if (n < 1 || n > (size_t)c->n_layer) bad(r, "layer_kinds", "is not a list of 1 to n_layer names");
    for (int64_t i = 0; i < c->n_layer && r->rc == 0; i++) {
        int kind = kind_named(json_string_value(json_array_get(list, (size_t)i % n)));
        if (kind < 0) bad(r, "layer_kinds", "names a kind of layer that this version does not know");
        else c->kind[i] = (uint8_t)kind;
    }
}

/* The member that holds a kind's shape: ssm_cfg for the kind of layer 0, else NAME_cfg. */
static const char *shape_key(const cad_config_t *c, int kind, char key[64])
{
    if (kind == c->kind[0]) return "ssm_cfg";
    snprintf(key, 64, "%s_cfg", cad_blocks[kind]->name);
    return key;
}

static void read_shapes(cad_config_t *c, reader_t *r)
{
    for (int k = 0; k < CAD_NKINDS; k++) {
        char own[64];
        const char *key = shape_key(c, k, own);
        if (!cad_config_uses(c, k)) continue;
        r->ssm = json_object_get(r->root, key);
        if (r->ssm && !json_is_null(r->ssm) && !json_is_object(r->ssm)) bad(r, key, "is not an object");
        cad_blocks[k]->configure(&c->shape[k], c, r);
    }
}

/* Reads initializer_cfg, which only creating a model uses. */
static void read_initial(cad_config_t *c, reader_t *r)
{
    json_t *cfg = json_object_get(r->root, "initializer_cfg");
    if (cfg && !json_is_null(cfg) && !json_is_object(cfg)) bad(r, "initializer_cfg", "is not an object");
    c->init_range = get_real(r, cfg, "initializer_range", 0.02, 0, 1e6);
    c->init_rescale = get_bool(r, cfg, "rescale_prenorm_residual", true);
    c->init_residuals = get_int(r, cfg, "n_residuals_per_layer", 1, 1, 1024);
}

static void read_strategy(cad_config_t *c, reader_t *r)
{
    json_t *v = json_object_get(r->root, "bidirectional_strategy");
    if (!v || json_is_null(v)) return;
    if (!json_is_string(v)) {
        bad(r, "bidirectional_strategy", "is not a string");
        return;
    }
    c->multiply = !strcmp(json_string_value(v), "ew_multiply");
    if (!c->multiply && strcmp(json_string_value(v), "add"))
        bad(r, "bidirectional_strategy", "is neither \"add\" nor \"ew_multiply\"");
}

static void read_complement(cad_config_t *c, reader_t *r)
{
    json_t *map = json_object_get(r->root, "complement_map"), *v;
    const char *key;
    for (int i = 0; i < 256; i++) c->comp[i] = -1;
    if (!map || json_is_null(map)) return;
    if (!json_is_object(map)) {
        bad(r, "complement_map", "is not an object");
        return;
    }
    c->has_comp = true;
    json_object_foreach(map, key, v)
    {
        char *end;
        long id = strtol(key, &end, 10);
        double to = json_is_number(v) ? json_number_value(v) : -1;
        if (*end || end == key || id < 0 || id > 255 || to < 0 || to > 255 || to != floor(to)) {
            bad(r, "complement_map", "has an entry that is not a pair of token ids from 0 to 255");
            return;
        }
        c->comp[id] = (int16_t)to;
    }
}

static void read_labels(cad_config_t *c, reader_t *r)
{
    json_t *arch = json_object_get(r->root, "architectures");
    json_t *id2label = json_object_get(r->root, "id2label");
    c->num_labels = get_int(r, r->root, "num_labels", 0, 1, 1 << 20);
    if (c->num_labels == 0 && json_is_object(id2label)) c->num_labels = (int64_t)json_object_size(id2label);
    for (size_t i = 0; i < json_array_size(arch); i++) {
        const char *s = json_string_value(json_array_get(arch, i));
        if (s && strstr(s, "SequenceClassification")) c->classifier = true;
    }
}

static void read_pooling(cad_config_t *c, reader_t *r)
{
    json_t *v = json_object_get(r->root, "pooling_strategy");
    const char *s = json_string_value(v);
    c->pool = s && !strcmp(s, "max") ? CAD_POOL_MAX : CAD_POOL_MEAN;
    if (v && !json_is_null(v) && (!s || (strcmp(s, "mean") && strcmp(s, "max"))))
        bad(r, "pooling_strategy", "is neither \"mean\" nor \"max\"");
}

static void read_epsilon(cad_config_t *c, reader_t *r)
{
    c->norm_epsilon = get_real(r, r->root, "norm_epsilon", 1e-5, 0, 1);
    if (c->norm_epsilon <= 0) bad(r, "norm_epsilon", "is not above 0");
}

static void read_all(cad_config_t *c, reader_t *r)
{
    c->d_model = need_int(r, "d_model", 1, 65536);
    c->n_layer = need_int(r, "n_layer", 1, CAD_LAYERS);
    c->vocab_size = need_int(r, "vocab_size", 5, 256);
    c->vocab_multiple = get_int(r, r->root, "pad_vocab_size_multiple", 8, 1, 256);
    c->rms_norm = get_bool(r, r->root, "rms_norm", true);
    c->fused_add_norm = get_bool(r, r->root, "fused_add_norm", true);
    c->bidirectional = get_bool(r, r->root, "bidirectional", true);
    c->tied = get_bool(r, r->root, "bidirectional_weight_tie", true);
    c->rcps = get_bool(r, r->root, "rcps", false);
    read_epsilon(c, r);
    read_kinds(c, r);
    read_shapes(c, r);
    read_initial(c, r);
    read_strategy(c, r);
    read_complement(c, r);
    read_labels(c, r);
    read_pooling(c, r);
}

#define DEFAULT_LENGTH 131072

static int read_max_len(cad_config_t *c, const char *dir, cad_error_t *err)
{
    char *path = cad_path_join(dir, "tokenizer_config.json");
    json_t *root, *v;
    int rc;
    c->max_len = DEFAULT_LENGTH;
    if (!path) return cad_out_of_memory(err);
    rc = load(&root, path, true, err);
    v = json_object_get(root, "model_max_length");
    if (json_is_number(v)) { /* transformers writes 1e30 for "no limit" */
        double d = json_number_value(v);
        if (d >= 1 && d <= 1 << 20 && d == floor(d)) c->max_len = (int64_t)d;
    }
    json_decref(root);
    free(path);
    return rc;
}

int cad_config_read(cad_config_t *cfg, const char *dir, cad_error_t *err)
{
    char *path = cad_path_join(dir, "config.json");
    reader_t r = { .path = path, .err = err };
    int rc;
    memset(cfg, 0, sizeof *cfg);
    if (!path) return cad_out_of_memory(err);
    rc = load(&r.root, path, false, err);
    if (rc == 0) {
        read_all(cfg, &r);
        rc = r.rc;
    }
    json_decref(r.root);
    free(path);
    return rc ? rc : read_max_len(cfg, dir, err);
}

int cad_config_parse(cad_config_t *cfg, const char *text, cad_error_t *err)
{
    reader_t r = { .path = "config.json", .err = err };
    int rc = parse(&r.root, text, strlen(text), r.path, err);
    memset(cfg, 0, sizeof *cfg);
    if (rc) return rc;
    read_all(cfg, &r);
    cfg->max_len = DEFAULT_LENGTH;
    json_decref(r.root);
    return r.rc;
}

bool cad_config_folded(const cad_config_t *c, int64_t layer)
{
    return c->rcps && c->fused_add_norm && (c->n_layer - 1 - layer) % 2 == 1;
}

/* ---- writing ---- */

int cad_config_merge(char **merged, const char *config, const char *changes, cad_error_t *err)
{
    json_t *root = NULL, *other = NULL;
    size_t n;
    int rc = parse(&root, config, strlen(config), "config.json", err);
    *merged = NULL;
    if (rc == 0) rc = parse(&other, changes, strlen(changes), "changes to config.json", err);
    if (rc == 0 && json_object_update(root, other)) rc = cad_fail(err, CAD_ENOMEM, "out of memory for config.json");
    json_decref(other);
    if (rc) json_decref(root);
    else if (!(*merged = cad_json_text(root, 0, &n))) rc = cad_out_of_memory(err);
    return rc;
}

char *cad_json_text(json_t *value, size_t flags, size_t *size)
{
    char *text = NULL;
    *size = value ? json_dumpb(value, NULL, 0, flags) : 0;
    if (*size) text = malloc(*size + 1);
    if (text && json_dumpb(value, text, *size, flags) != *size) {
        free(text);
        text = NULL;
    }
    if (text) text[*size] = 0;
    json_decref(value);
    return text;
}

#define PRETTY (JSON_INDENT(2) | JSON_REAL_PRECISION(15))

/* Complement of each token id: {"0": 0, ...}. */
static json_t *complement_json(const uint8_t *comp, int64_t rows)
{
    json_t *map = json_object();
    char key[24];
    for (int64_t i = 0; i < rows; i++) {
        snprintf(key, sizeof key, "%lld", (long long)i);
        json_object_set_new(map, key, json_integer(comp[i]));
    }
    return map;
}

/* Default class names, as the published code has them: {"0": "LABEL_0", ...}. */
static json_t *labels_json(int64_t labels)
{
    json_t *map = json_object();
    char key[24];
    for (int64_t i = 0; i < labels; i++) {
        snprintf(key, sizeof key, "%lld", (long long)i);
        json_object_set_new(map, key, json_sprintf("LABEL_%lld", (long long)i));
    }
    return map;
}

/* Writes layer_kinds and the shapes of all kinds but layer 0's, unless all layers are Mamba, as in all
 * published models. False when out of memory. */
static bool put_kinds(const cad_config_t *c, json_t *o)
{
    json_t *list;
    int64_t first = 0;
    bool good = true;
    while (first < c->n_layer && c->kind[first] == CAD_KIND_mamba) first++;
    if (first == c->n_layer) return true;
    list = json_array();
    for (int64_t i = 0; i < c->n_layer && good; i++)
        good = json_array_append_new(list, json_string(cad_blocks[c->kind[i]]->name)) == 0;
    for (int k = 0; k < CAD_NKINDS && good; k++) {
        char own[64];
        const char *key = shape_key(c, k, own);
        if (cad_config_uses(c, k) && k != c->kind[0]) good = json_object_set_new(o, key, cad_blocks[k]->write(c)) == 0;
    }
    return json_object_set_new(o, "layer_kinds", list) == 0 && good;
}

char *cad_config_text(const cad_config_t *c, const uint8_t *comp, int64_t rows, int64_t labels, const char *head,
                      size_t *size)
{
    json_int_t multiple = rows % c->vocab_multiple
                              ? 1
                              : c->vocab_multiple; /* vocab_size = rows must not be padded further */
    json_t *o = json_pack(
        "{s:[s], s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:s, s:b, s:b, s:b, s:f, s:o, s:{s:f, s:b, s:I}, s:o, s:s}",
        "architectures", labels ? "CaduceusForSequenceClassification" : "CaduceusForMaskedLM", "model_type", "caduceus",
        "d_model", (json_int_t)c->d_model, "n_layer", (json_int_t)c->n_layer, "vocab_size", (json_int_t)rows,
        "pad_vocab_size_multiple", multiple, "rcps", c->rcps, "bidirectional", c->bidirectional,
        "bidirectional_weight_tie", c->tied, "bidirectional_strategy", c->multiply ? "ew_multiply" : "add",
        "fused_add_norm", c->fused_add_norm, "rms_norm", c->rms_norm, "residual_in_fp32", 0, "norm_epsilon",
        c->norm_epsilon, "ssm_cfg", cad_blocks[c->kind[0]]->write(c), "initializer_cfg", "initializer_range",
        c->init_range, "rescale_prenorm_residual", c->init_rescale, "n_residuals_per_layer",
        (json_int_t)c->init_residuals, "complement_map", complement_json(comp, rows), "torch_dtype", "float32");
    if (!o || !put_kinds(c, o)) {
        json_decref(o);
        return NULL;
    }
    if (labels) {
        json_object_set_new(o, "num_labels", json_integer(labels));
        json_object_set_new(o, "id2label", labels_json(labels));
    }
    if (labels && head) {
        json_t *more = json_loads(head, 0, NULL);
        json_object_update(o, more);
        json_decref(more);
    }
    return cad_json_text(o, PRETTY, size);
}

char *cad_tokenizer_config_text(const cad_config_t *c, size_t *size)
{
    return cad_json_text(json_pack("{s:I}", "model_max_length", (json_int_t)c->max_len), PRETTY, size);
}
