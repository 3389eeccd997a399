/* config.c - reads config.json. SPDX-License-Identifier: MIT */
#include <math.h>

#include "model/config.h"

struct cad_reader_t {
    /* ssm: the object (ssm_cfg or NAME_cfg) with the shape of the kind that is being read, or NULL */
    json_t *root, *ssm;
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
    if (!cad_json_number(v, &d)) {
        bad(r, key, "is not a number");
        return def;
    }
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
        const char *type = json_string_value(json_object_get(r->root, "model_type"));
        char what[128] = "is required and missing";
        if (type && strcmp(type, "caduceus"))
            snprintf(what, sizeof what, "is missing; \"model_type\" is \"%.40s\", not \"caduceus\"", type);
        bad(r, key, what);
        return lo;
    }
    return get_int(r, r->root, key, lo, lo, hi);
}

static bool get_bool(reader_t *r, json_t *o, const char *key, bool def)
{
    json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v)) return def;
    if (json_is_string(v)) {
        char what[128];
        snprintf(what, sizeof what, "is the text \"%.40s\"; write true or false, without quotes", json_string_value(v));
        bad(r, key, what);
    } else if (!json_is_boolean(v)) bad(r, key, "is neither true nor false");
    return json_is_true(v);
}

static double get_real(reader_t *r, json_t *o, const char *key, double def, double lo, double hi)
{
    json_t *v = json_object_get(o, key);
    char what[96];
    double d;
    if (!v || json_is_null(v)) return def;
    if (cad_json_number(v, &d) && d >= lo && d <= hi) return d;
    snprintf(what, sizeof what, "is not a number from %g to %g", lo, hi);
    bad(r, key, what);
    return def;
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

void cad_read_range(cad_reader_t *r, const char *key, double range[2], double lo, double hi)
{
    json_t *v = json_object_get(r->ssm, key);
    char what[96];
    double d[2];
    bool fits = json_array_size(v) == 2;
    if (!v || json_is_null(v)) return;
    for (size_t i = 0; i < 2; i++) fits = cad_json_number(json_array_get(v, i), &d[i]) && fits;
    if (fits && d[0] >= lo && d[1] <= hi && d[0] <= d[1]) {
        memcpy(range, d, sizeof d);
        return;
    }
    snprintf(what, sizeof what, "is not a list of two numbers from %g to %g", lo, hi);
    bad(r, key, what);
}

int cad_read_ints(cad_reader_t *r, const char *key, int64_t *to, int most, int64_t lo, int64_t hi)
{
    json_t *v = json_object_get(r->ssm, key);
    char what[96];
    size_t n = json_array_size(v);
    bool fits = n >= 1 && n <= (size_t)most;
    if (!v || json_is_null(v)) return 0;
    for (size_t i = 0; i < n && fits; i++) {
        const json_t *one = json_array_get(v, i);
        to[i] = json_integer_value(one);
        fits = json_is_integer(one) && to[i] >= lo && to[i] <= hi;
    }
    if (fits) return (int)n;
    snprintf(what, sizeof what, "is not a list of 1 to %d integers from %lld to %lld", most, (long long)lo,
             (long long)hi);
    bad(r, key, what);
    return 0;
}

/* ---- kinds of layers ---- */

int64_t cad_config_stride(const cad_config_t *c, int64_t layers)
{
    int64_t stride = 1;
    for (int64_t i = 0; i < layers; i++)
        if (cad_blocks[c->kind[i]]->stride) stride = cad_min(stride * cad_blocks[c->kind[i]]->stride(c), CAD_LONGEST);
    return stride;
}

static int kind_named(const char *name)
{
    for (int k = 0; name && k < CAD_NKINDS; k++)
        if (!strcmp(name, cad_blocks[k]->name)) return k;
    return -1;
}

/* Reads ssm_cfg.layer, which names the kind of all layers. */
static void read_layer(cad_config_t *c, reader_t *r)
{
    json_t *v = json_object_get(json_object_get(r->root, "ssm_cfg"), "layer");
    const char *name = json_string_value(v);
    int kind = 0;
    if (!v || json_is_null(v)) return;
    while (kind < CAD_NKINDS && !(name && cad_blocks[kind]->layer && !strcmp(name, cad_blocks[kind]->layer))) kind++;
    if (kind == CAD_NKINDS) {
        bad(r, "layer", "of ssm_cfg is neither \"Mamba1\" nor \"Mamba2\"");
        return;
    }
    c->named = true;
    memset(c->kind, kind, sizeof c->kind);
}

/* Reads "layer_kinds", a list of a name for each layer; a list shorter than n_layer is repeated. If the key is absent,
 * ssm_cfg.layer names the kind of all layers. */
static void read_kinds(cad_config_t *c, reader_t *r)
{
    json_t *list = json_object_get(r->root, "layer_kinds");
    size_t n = json_array_size(list);
    if (r->rc) return;
    if (!list || json_is_null(list)) {
        read_layer(c, r);
        return;
    }
    c->named = true;
    if (n < 1 || n > (size_t)c->n_layer) bad(r, "layer_kinds", "is not a list of 1 to n_layer names");
    for (int64_t i = 0; i < c->n_layer && r->rc == 0; i++) {
        int kind = kind_named(json_string_value(json_array_get(list, (size_t)i % n)));
        if (kind < 0) bad(r, "layer_kinds", "names a kind of layer that this version does not know");
        else c->kind[i] = (uint8_t)kind;
    }
}

int cad_config_main(const cad_config_t *c)
{
    for (int64_t i = 0; i < c->n_layer; i++)
        if (!cad_blocks[c->kind[i]]->undirected) return c->kind[i];
    return c->kind[0];
}

const char *cad_config_shape_key(const cad_config_t *c, int kind, char key[64])
{
    if (kind == cad_config_main(c) && !cad_blocks[kind]->undirected) return "ssm_cfg";
    snprintf(key, 64, "%s_cfg", cad_blocks[kind]->name);
    return key;
}

/* Refuses a second direction, of layers or of strands, if the model predicts the next token. */
static void refuse_directions(const cad_config_t *c, reader_t *r)
{
    static const char *const why = "is true, but the model predicts the next base: set it to false";
    if (r->rc || !cad_config_next(c)) return;
    if (c->bidirectional) bad(r, "bidirectional", why);
    if (c->rcps) bad(r, "rcps", why);
    for (int64_t i = 0; i < c->n_layer; i++) {
        const cad_block_t *b = cad_blocks[c->kind[i]];
        bool around = b->undirected && !b->causal && (b->reads_all || b->bare);
        if (around) bad(r, "layer_kinds", "has layers that read later bases, but the model predicts the next base");
    }
}

static void read_shapes(cad_config_t *c, reader_t *r)
{
    for (int k = 0; k < CAD_NKINDS; k++) {
        char own[64];
        const char *key = cad_config_shape_key(c, k, own);
        if (!cad_config_uses(c, k)) continue;
        r->ssm = json_object_get(r->root, key);
        if (r->ssm && !json_is_null(r->ssm) && !json_is_object(r->ssm)) bad(r, key, "is not an object");
        cad_blocks[k]->configure(&c->shape[k], c, r);
    }
}

/* Reads initializer_cfg, which is only used to create a model. */
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
        double to;
        if (!cad_json_number(v, &to)) to = -1;
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
    c->score_bias = get_bool(r, r->root, "score_bias", false);
    if (c->num_labels == 0 && json_is_object(id2label)) c->num_labels = (int64_t)json_object_size(id2label);
    for (size_t i = 0; i < json_array_size(arch); i++) {
        const char *s = json_string_value(json_array_get(arch, i));
        if (s && strstr(s, "SequenceClassification")) c->classifier = true;
    }
}

const char *const cad_pool_name[] = { NULL, "mean", "max", "attention" };

int cad_pool_number(const char *name)
{
    for (int i = CAD_POOL_MEAN; i <= CAD_POOL_ATTENTION; i++)
        if (!strcmp(name, cad_pool_name[i])) return i;
    return -1;
}

static void read_pooling(cad_config_t *c, reader_t *r)
{
    const char *key = json_object_get(r->root, CAD_POOLING) ? CAD_POOLING : CAD_POOLING_ONCE;
    json_t *v = json_object_get(r->root, key);
    const char *s = json_string_value(v);
    int pool = s ? cad_pool_number(s) : CAD_POOL_MEAN;
    c->pool = pool < 0 ? CAD_POOL_MEAN : (enum cad_pool_t)pool;
    c->bin = get_int(r, r->root, CAD_BIN_KEY, 0, 0, 65536);
    if (v && !json_is_null(v) && (!s || pool < 0)) bad(r, key, "is neither \"mean\" nor \"max\" nor \"attention\"");
    if (c->bin && pool == CAD_POOL_ATTENTION) bad(r, key, "is \"attention\", with which bins do not go");
}

static void read_epsilon(cad_config_t *c, reader_t *r)
{
    c->norm_epsilon = get_real(r, r->root, "norm_epsilon", 1e-5, 0, 1);
    if (c->norm_epsilon <= 0) bad(r, "norm_epsilon", "is not above 0");
}

/* True if the word occurs in a key of config.json, in model_type or in the first of the architectures. */
static bool mentions(const json_t *root, const char *word)
{
    const char *type = json_string_value(json_object_get(root, "model_type")),
               *class = json_string_value(json_array_get(json_object_get(root, "architectures"), 0)), *key;
    json_t *v;
    json_object_foreach((json_t *)root, key, v) if (strstr(key, word)) return true;
    return (type && strstr(type, word)) || (class && strcasestr(class, word));
}

/* Refuses models that share the name or some keys of Caduceus but have other layers. */
static void refuse_relatives(reader_t *r)
{
    const json_t *root = r->root, *mlp = json_object_get(root, "d_intermediate"),
                 *attention = json_object_get(root, "attn_layer_idx");
    if (json_object_get(root, "arch_layout")) bad(r, "arch_layout", "is there: an H-Net, which is not read");
    if (mentions(root, "axial")) bad(r, "model_type", "is that of an axial model, which is not read");
    if (json_is_array(json_object_get(root, "d_model")))
        bad(r, "d_model", "is a list: a hierarchical model such as H-Net, which is not read");
    if (json_is_number(mlp) ? json_number_value(mlp) != 0 : mlp && !json_is_null(mlp))
        bad(r, "d_intermediate", "is not 0: layers with an MLP are not read");
    if (attention && !json_is_null(attention) && json_array_size(attention) > 0)
        bad(r, "attn_layer_idx", "is not empty: attention layers are not read");
}

static void read_all(cad_config_t *c, reader_t *r)
{
    refuse_relatives(r);
    c->d_model = need_int(r, "d_model", 1, 65536);
    c->n_layer = need_int(r, "n_layer", 1, CAD_LAYERS);
    c->vocab_size = need_int(r, "vocab_size", 5, 256);
    c->vocab_multiple = get_int(r, r->root, "pad_vocab_size_multiple", 8, 1, 256);
    c->rms_norm = get_bool(r, r->root, "rms_norm", true);
    c->fused_add_norm = get_bool(r, r->root, "fused_add_norm", true);
    c->bidirectional = get_bool(r, r->root, "bidirectional", true);
    c->tied = get_bool(r, r->root, "bidirectional_weight_tie", true);
    c->rcps = get_bool(r, r->root, "rcps", false);
    c->next = get_bool(r, r->root, CAD_NEXT_KEY, false);
    read_epsilon(c, r);
    read_kinds(c, r);
    refuse_directions(c, r);
    read_shapes(c, r);
    read_initial(c, r);
    read_strategy(c, r);
    read_complement(c, r);
    read_labels(c, r);
    read_pooling(c, r);
}

#define DEFAULT_LENGTH 131072

int64_t cad_config_longest(const cad_config_t *c)
{
    int64_t most = CAD_LONGEST;
    for (int k = 0; k < CAD_NKINDS; k++)
        if (cad_config_uses(c, k) && cad_blocks[k]->longest) most = cad_min(most, cad_blocks[k]->longest(c));
    return most;
}

int cad_config_fits(const cad_config_t *c, int64_t len, cad_error_t *err)
{
    int64_t most = cad_config_longest(c);
    if (len <= most) return 0;
    return cad_fail(
        err, CAD_EARG,
        "a window of %lld tokens: the model's filters reach %lld (max_seq_len of config.json); use a smaller "
        "window",
        (long long)len, (long long)most);
}

static int64_t default_length(const cad_config_t *c)
{
    if (cad_config_longest(c) < CAD_LONGEST) return cad_config_longest(c);
    int64_t length = cad_blocks[cad_config_main(c)]->length;
    return length ? length : DEFAULT_LENGTH;
}

int64_t cad_config_max_len(const cad_config_t *c, const json_t *tokenizer)
{
    const json_t *v = json_object_get(tokenizer, "model_max_length");
    double d;
    if (!cad_json_number(v, &d) || d < 1 || d > 1 << 20 || d != floor(d)) return default_length(c);
    return cad_min((int64_t)d, cad_config_longest(c));
}

int cad_config_read_as(cad_config_t *cfg, json_t *root, const char *path, int kind, cad_error_t *err)
{
    json_t *published;
    reader_t r = { .path = path, .err = err, .rc = cad_hyenadna_read(&published, root, err) };
    if (r.rc) return r.rc;
    r.root = published ? published : root;
    memset(cfg, 0, sizeof *cfg);
    cfg->hyenadna = published != NULL;
    memset(cfg->kind, kind, sizeof cfg->kind);
    read_all(cfg, &r);
    cfg->max_len = r.rc ? 0 : default_length(cfg);
    json_decref(published);
    return r.rc;
}

int cad_config_read(cad_config_t *cfg, json_t *root, const char *path, cad_error_t *err)
{
    return cad_config_read_as(cfg, root, path, CAD_KIND_mamba, err);
}

bool cad_config_folded(const cad_config_t *c, int64_t layer)
{
    return c->rcps && c->fused_add_norm && (c->n_layer - 1 - layer) % 2 == 1;
}
