/* config.c - config.json and tokenizer_config.json. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <sys/stat.h>

#include "internal.h"

typedef struct { json_t *root; const char *path; cad_error_t *err; int rc; } reader_t;

static int bad(reader_t *r, const char *key, const char *what)
{
    if (r->rc == 0) r->rc = cad_fail(r->err, CAD_EFORMAT, "%s: \"%s\" %s", r->path, key, what);
    return r->rc;
}

/* An integer in [lo, hi]; the default where the key is absent or null. */
static int64_t get_int(reader_t *r, json_t *o, const char *key, int64_t def, int64_t lo, int64_t hi)
{
    json_t *v = json_object_get(o, key);
    char what[96];
    double d;
    if (!v || json_is_null(v)) return def;
    if (!json_is_number(v)) { bad(r, key, "is not a number"); return def; }
    d = json_number_value(v);
    if (d != floor(d) || d < (double)lo || d > (double)hi) {
        snprintf(what, sizeof what, "is %g; expected a whole number from %lld to %lld", d,
                 (long long)lo, (long long)hi);
        bad(r, key, what);
        return def;
    }
    return (int64_t)d;
}

static int64_t need_int(reader_t *r, const char *key, int64_t lo, int64_t hi)
{
    json_t *v = json_object_get(r->root, key);
    if (!v || json_is_null(v)) { bad(r, key, "is required and missing"); return lo; }
    return get_int(r, r->root, key, lo, lo, hi);
}

static bool get_bool(reader_t *r, json_t *o, const char *key, bool def)
{
    json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v)) return def;
    if (!json_is_boolean(v)) bad(r, key, "is neither true nor false");
    return json_is_true(v);
}

/* Integers are read as reals: HF writes model_max_length beyond 2^63. */
static int load(json_t **root, const char *path, bool optional, cad_error_t *err)
{
    json_error_t je;
    FILE *f = fopen(path, "rb");
    struct stat sb;
    *root = NULL;
    if (!f && optional && errno == ENOENT) return 0;
    if (!f) return cad_fail(err, CAD_EIO, "%s: %s", path, strerror(errno));
    if (fstat(fileno(f), &sb) == 0 && S_ISDIR(sb.st_mode)) {
        fclose(f);
        return cad_fail(err, CAD_EIO, "%s: %s", path, strerror(EISDIR));
    }
    *root = json_loadf(f, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &je);
    fclose(f);
    if (!*root) return cad_fail(err, CAD_EFORMAT, "%s:%d: %s", path, je.line, je.text);
    if (json_is_object(*root)) return 0;
    json_decref(*root);
    *root = NULL;
    return cad_fail(err, CAD_EFORMAT, "%s: not a JSON object", path);
}

static void read_ssm(cad_config_t *c, reader_t *r)
{
    json_t *ssm = json_object_get(r->root, "ssm_cfg"), *rank;
    int64_t expand;
    if (ssm && !json_is_null(ssm) && !json_is_object(ssm)) bad(r, "ssm_cfg", "is not an object");
    c->d_state = get_int(r, ssm, "d_state", 16, 1, 1024);
    c->d_conv = get_int(r, ssm, "d_conv", 4, 1, 64);
    expand = get_int(r, ssm, "expand", 2, 1, 64);
    c->d_inner = expand * c->d_model;
    c->conv_bias = get_bool(r, ssm, "conv_bias", true);
    c->proj_bias = get_bool(r, ssm, "bias", false);
    rank = json_object_get(ssm, "dt_rank");
    c->dt_rank = (c->d_model + 15) / 16;
    if (rank && json_is_string(rank)) {
        if (strcmp(json_string_value(rank), "auto")) bad(r, "dt_rank", "is neither a number nor \"auto\"");
    } else
        c->dt_rank = get_int(r, ssm, "dt_rank", c->dt_rank, 1, 65536);
}

static void read_strategy(cad_config_t *c, reader_t *r)
{
    json_t *v = json_object_get(r->root, "bidirectional_strategy");
    if (!v || json_is_null(v)) return;
    if (!json_is_string(v)) { bad(r, "bidirectional_strategy", "is not a string"); return; }
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
    if (!json_is_object(map)) { bad(r, "complement_map", "is not an object"); return; }
    c->has_comp = true;
    json_object_foreach(map, key, v) {
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
    if (c->num_labels == 0 && json_is_object(id2label))
        c->num_labels = (int64_t)json_object_size(id2label);
    for (size_t i = 0; i < json_array_size(arch); i++) {
        const char *s = json_string_value(json_array_get(arch, i));
        if (s && strstr(s, "SequenceClassification")) c->classifier = true;
    }
}

static void read_epsilon(cad_config_t *c, reader_t *r)
{
    json_t *v = json_object_get(r->root, "norm_epsilon");
    c->norm_epsilon = 1e-5;
    if (!v || json_is_null(v)) return;
    c->norm_epsilon = json_number_value(v);
    if (!json_is_number(v) || !(c->norm_epsilon > 0) || c->norm_epsilon > 1)
        bad(r, "norm_epsilon", "is not a number above 0 and at most 1");
}

static void read_all(cad_config_t *c, reader_t *r)
{
    c->d_model = need_int(r, "d_model", 1, 65536);
    c->n_layer = need_int(r, "n_layer", 1, 1024);
    c->vocab_size = need_int(r, "vocab_size", 5, 256);
    c->vocab_multiple = get_int(r, r->root, "pad_vocab_size_multiple", 8, 1, 256);
    c->rms_norm = get_bool(r, r->root, "rms_norm", true);
    c->fused_add_norm = get_bool(r, r->root, "fused_add_norm", true);
    c->bidirectional = get_bool(r, r->root, "bidirectional", true);
    c->tied = get_bool(r, r->root, "bidirectional_weight_tie", true);
    c->rcps = get_bool(r, r->root, "rcps", false);
    read_epsilon(c, r);
    read_ssm(c, r);
    read_strategy(c, r);
    read_complement(c, r);
    read_labels(c, r);
}

static int read_max_len(cad_config_t *c, const char *dir, cad_error_t *err)
{
    char *path = cad_path_join(dir, "tokenizer_config.json");
    json_t *root, *v;
    int rc;
    c->max_len = 131072;
    if (!path) return cad_fail(err, CAD_ENOMEM, "out of memory");
    rc = load(&root, path, true, err);
    v = json_object_get(root, "model_max_length");
    if (json_is_number(v)) { /* HF writes 1e30 for "no limit" */
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
    reader_t r = { NULL, path, err, 0 };
    int rc;
    memset(cfg, 0, sizeof *cfg);
    if (!path) return cad_fail(err, CAD_ENOMEM, "out of memory");
    rc = load(&r.root, path, false, err);
    if (rc == 0) {
        read_all(cfg, &r);
        rc = r.rc;
    }
    json_decref(r.root);
    free(path);
    return rc ? rc : read_max_len(cfg, dir, err);
}

bool cad_config_folded(const cad_config_t *c, int64_t layer)
{
    return c->rcps && c->fused_add_norm && (c->n_layer - 1 - layer) % 2 == 1;
}
