/* config_text.c - writes config.json and tokenizer_config.json.
 *
 * A model keeps the two files that it was opened with. A key is written anew only if its value in the model has
 * changed; all other keys, known or not, stay as they were. SPDX-License-Identifier: MIT
 */
#include "model/labels.h"

/* The repository on the hub whose Python classes load the files. */
#define HUB "kuleshov-group/caduceus-ps_seqlen-131k_d_model-256_n_layer-16--"

/* Returns complement_map, the complement of each token id: {"0": 0, ...}. */
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

/* Returns id2label with the default class names of the published code: {"0": "LABEL_0", ...}. */
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

/* True if all layers are of one kind. */
static bool one_kind(const cad_config_t *c)
{
    for (int64_t i = 0; i < c->n_layer; i++)
        if (c->kind[i] != c->kind[0]) return false;
    return true;
}

/* True if the published Python classes know all kinds of the model's layers. */
static bool published_kinds(const cad_config_t *c) { return one_kind(c) && c->kind[0] == CAD_KIND_mamba; }

/* Sets layer_kinds and the shape of each kind, and removes ssm_cfg if it is still null. False when out of memory. */
static bool put_kinds(const cad_config_t *c, json_t *o)
{
    json_t *list;
    bool good = true;
    for (int k = 0; k < CAD_NKINDS && good; k++) {
        char own[64];
        if (cad_config_uses(c, k))
            good = json_object_set_new(o, cad_config_shape_key(c, k, own), cad_blocks[k]->write(c)) == 0;
    }
    if (json_is_null(json_object_get(o, "ssm_cfg"))) json_object_del(o, "ssm_cfg"); /* all kinds have NAME_cfg */
    /* ssm_cfg.layer or the tensors show the kind, so it need not be written */
    if (!good || (one_kind(c) && cad_blocks[c->kind[0]]->layer)) return good;
    list = json_array();
    for (int64_t i = 0; i < c->n_layer && good; i++)
        good = json_array_append_new(list, json_string(cad_blocks[c->kind[i]]->name)) == 0;
    return json_object_set_new(o, "layer_kinds", list) == 0 && good;
}

/* Returns the keys of config.json that caduceus knows, with the values of this configuration; NULL when out of
 * memory. */
static json_t *known_keys(const cad_config_t *c, const uint8_t *comp, int64_t rows, int64_t labels)
{
    json_int_t multiple = rows % c->vocab_multiple ? 1 : c->vocab_multiple; /* 1, so that readers add no further rows */
    json_t *o = json_pack("{s:[s], s:s, s:I, s:I, s:I, s:I, s:b, s:b, s:b, s:s, s:b, s:b, s:b, s:f, s:n, s:{s:f, s:b, "
                          "s:I}, s:o}",
                          "architectures", labels ? "CaduceusForSequenceClassification" : "CaduceusForMaskedLM",
                          "model_type", "caduceus", "d_model", (json_int_t)c->d_model, "n_layer",
                          (json_int_t)c->n_layer, "vocab_size", (json_int_t)rows, "pad_vocab_size_multiple", multiple,
                          "rcps", c->rcps, "bidirectional", c->bidirectional, "bidirectional_weight_tie", c->tied,
                          "bidirectional_strategy", c->multiply ? "ew_multiply" : "add", "fused_add_norm",
                          c->fused_add_norm, "rms_norm", c->rms_norm, "residual_in_fp32", 0, "norm_epsilon",
                          c->norm_epsilon, "ssm_cfg", "initializer_cfg", "initializer_range", c->init_range,
                          "rescale_prenorm_residual", c->init_rescale, "n_residuals_per_layer",
                          (json_int_t)c->init_residuals, "complement_map", complement_json(comp, rows));
    bool good = o && put_kinds(c, o);
    if (c->next) good = good && json_object_set_new(o, CAD_NEXT_KEY, json_true()) == 0;
    if (good && labels) {
        good = json_object_set_new(o, "num_labels", json_integer(labels)) == 0 &&
               json_object_set_new(o, "id2label", labels_json(labels)) == 0;
        if (c->score_bias) good = json_object_set_new(o, "score_bias", json_true()) == 0 && good;
    }
    if (good) return c->hyenadna ? cad_hyenadna_write(o, labels > 0) : o;
    json_decref(o);
    return NULL;
}

/* Returns a new object with the keys that caduceus knows and the values that they have in `kept`, the config.json that
 * the model was opened with (or NULL). */
static json_t *kept_keys(const cad_model_t *m, json_t *kept)
{
    cad_config_t was;
    uint8_t comp[256];
    json_t *keys;
    if (json_object_size(kept) == 0 || cad_config_read_as(&was, kept, "config.json", m->cfg.kind[0], NULL))
        return json_object();
    for (int i = 0; i < 256; i++) comp[i] = was.comp[i] < 0 ? m->vocab.comp[i] : (uint8_t)was.comp[i];
    keys = known_keys(&was, comp, cad_min(cad_round_up(was.vocab_size, was.vocab_multiple), 256),
                      was.classifier ? cad_max(was.num_labels, 1) : 0);
    /* the defaults of ssm_cfg differ between kinds, so the shape of any kind but Mamba is written in full */
    if (!published_kinds(&was)) json_object_del(keys, "ssm_cfg");
    return keys;
}

/* Sets a key of o to value. Of the objects ssm_cfg and initializer_cfg, sets only the members that `value` has; their
 * other members stay unchanged. */
static bool set_key(json_t *o, const char *key, json_t *value)
{
    json_t *there = json_object_get(o, key);
    bool nested = !strcmp(key, "ssm_cfg") || !strcmp(key, "initializer_cfg");
    if (nested && json_is_object(there)) return json_object_update(there, value) == 0;
    return json_object_set(o, key, value) == 0;
}

/* Updates o, the config.json as it was read: sets the keys that o lacks, and those whose values in `now` differ from
 * their values in `was`. */
static bool update(json_t *o, json_t *was, json_t *now)
{
    const char *key;
    json_t *value;
    bool good = true;
    json_object_foreach(now, key, value)
    {
        if (json_object_get(o, key) && json_equal(value, json_object_get(was, key))) continue;
        good = set_key(o, key, value) && good;
    }
    return good;
}

/* True if the first entry of config.json's architectures names a class with the model's kind of head. */
static bool has_architecture(const json_t *o, const char *task)
{
    const char *s = json_string_value(json_array_get(json_object_get(o, "architectures"), 0));
    return s && strstr(s, task);
}

static bool set_architecture(json_t *o, const cad_model_t *m)
{
    const char *task = m->labels ? "ForSequenceClassification" : m->cfg.hyenadna ? "ForCausalLM" : "ForMaskedLM";
    return has_architecture(o, task) ||
           json_object_set_new(
               o, "architectures",
               json_pack("[o]", json_sprintf("%s%s", m->cfg.hyenadna ? "HyenaDNA" : "Caduceus", task))) == 0;
}

/* Replaces the classifier's keys of o by those of m->head, and removes a score_bias that the model no longer has. */
static bool set_head(json_t *o, const cad_model_t *m)
{
    if (!m->cfg.score_bias && json_is_true(json_object_get(o, "score_bias"))) json_object_del(o, "score_bias");
    if (json_object_get(o, CAD_POOLING_ONCE)) json_object_del(o, CAD_POOLING_ONCE);
    if (!m->labels || !m->head) return true;
    cad_head_drop_keys(o);
    return json_object_update(o, m->head) == 0 &&
           (json_object_get(o, "num_labels") || json_object_set_new(o, "num_labels", json_integer(m->labels)) == 0);
}

/* True if the folder has the Python file of `class`, which is "FILE.CLASS". Also true for a class on the hub,
 * "ORG/NAME--FILE.CLASS", which needs no file. folder NULL: there are no files. */
static bool has_class(const char *class, const char *folder)
{
    char file[256];
    if (!class || strstr(class, "--")) return true;
    snprintf(file, sizeof file, "%.*s.py", (int)cad_min((int64_t)strcspn(class, "."), 250), class);
    return folder && cad_path_present(folder, file);
}

/* True if the folder has the files of all classes in an auto_map. */
static bool has_classes(const json_t *map, const char *folder)
{
    const char *key;
    json_t *v;
    bool all = true;
    json_object_foreach((json_t *)map, key, v)
    {
        const json_t *class = json_is_array(v) ? json_array_get(v, 0) : v;
        all = all && has_class(json_string_value(class), folder);
    }
    return all;
}

/* If o has an auto_map and the folder has all files that it names, leaves it unchanged. Otherwise sets it to `map`,
 * which names the hub's Python classes. Frees `map`. */
static bool set_classes(json_t *o, json_t *map, const char *folder)
{
    json_t *there = json_object_get(o, "auto_map");
    bool good = map != NULL;
    if (!there || !has_classes(there, folder)) good = good && json_object_set(o, "auto_map", map) == 0;
    json_decref(map);
    return good;
}

static json_t *model_classes(void)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "AutoConfig", HUB "configuration_caduceus.CaduceusConfig", "AutoModel",
                     HUB "modeling_caduceus.Caduceus", "AutoModelForMaskedLM",
                     HUB "modeling_caduceus.CaduceusForMaskedLM", "AutoModelForSequenceClassification",
                     HUB "modeling_caduceus.CaduceusForSequenceClassification");
}

/* Sets the key for the type of the weights: "torch_dtype", or "dtype", its name in newer files, or both if o has
 * both. */
static bool set_dtype(json_t *o, cad_dtype_t dtype)
{
    const char *name = dtype == CAD_F16 ? "float16" : dtype == CAD_BF16 ? "bfloat16" : "float32";
    bool newer = json_object_get(o, "dtype") != NULL;
    if (newer && json_object_set_new(o, "dtype", json_string(name))) return false;
    return (newer && !json_object_get(o, "torch_dtype")) ||
           json_object_set_new(o, "torch_dtype", json_string(name)) == 0;
}

/* Sets pad_token_id if o lacks it: without it, Python cannot compute the loss of a language model. */
static bool set_pad(json_t *o, const cad_model_t *m)
{
    if (m->vocab.pad < 0 || json_object_get(o, "pad_token_id")) return true;
    return json_object_set_new(o, "pad_token_id", json_integer(m->vocab.pad)) == 0;
}

static json_t *copy_of(const json_t *kept) { return kept ? json_deep_copy(kept) : json_object(); }

char *cad_config_text(const cad_model_t *m, cad_dtype_t dtype, bool with_files, size_t *size)
{
    json_t *o = copy_of(m->config), *now = known_keys(&m->cfg, m->vocab.comp, m->vocab.rows, m->labels),
           *was = o ? kept_keys(m, o) : NULL;
    bool good = o && now && was && set_pad(o, m) && set_dtype(o, dtype);
    if (good && published_kinds(&m->cfg)) good = set_classes(o, model_classes(), with_files ? m->folder : NULL);
    good = good && update(o, was, now) && set_architecture(o, m) && set_head(o, m);
    json_decref(now);
    json_decref(was);
    if (!good) {
        json_decref(o);
        return NULL;
    }
    return cad_json_text(o, CAD_JSON_PRETTY, size);
}

/* Gives the keys that o lacks the values that they have for the published tokenizer. folder: the folder of Python
 * files, or NULL. */
static bool describe_tokenizer(json_t *o, const char *folder)
{
    json_t *keys = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:[s,s,s,s,s]}", "tokenizer_class",
                             "CaduceusTokenizer", "bos_token", "[BOS]", "cls_token", "[CLS]", "eos_token", "[SEP]",
                             "mask_token", "[MASK]", "pad_token", "[PAD]", "sep_token", "[SEP]", "unk_token", "[UNK]",
                             "characters", "A", "C", "G", "T", "N");
    bool good = keys && json_object_update_missing(o, keys) == 0;
    json_decref(keys);
    return good &&
           set_classes(o, json_pack("{s:[s,n]}", "AutoTokenizer", HUB "tokenization_caduceus.CaduceusTokenizer"),
                       folder);
}

char *cad_tokenizer_config_text(const cad_model_t *m, bool with_files, size_t *size)
{
    json_t *o = copy_of(m->tokenizer);
    bool good = o != NULL;
    if (good && (!json_object_get(o, "model_max_length") || cad_config_max_len(&m->cfg, o) != m->cfg.max_len))
        good = json_object_set_new(o, "model_max_length", json_integer(m->cfg.max_len)) == 0;
    if (good && !strcmp(m->vocab.source, "table")) good = describe_tokenizer(o, with_files ? m->folder : NULL);
    if (good) return cad_json_text(o, CAD_JSON_PRETTY, size);
    json_decref(o);
    return NULL;
}

int cad_config_merge(char **merged, const char *config, const char *changes, cad_error_t *err)
{
    json_t *root = NULL, *other = NULL;
    size_t n;
    int rc = cad_json_parse(&root, config, strlen(config), "config.json", err);
    *merged = NULL;
    if (rc == 0) rc = cad_json_parse(&other, changes, strlen(changes), "changes to config.json", err);
    if (rc == 0 && json_object_update(root, other)) rc = cad_fail(err, CAD_ENOMEM, "out of memory for config.json");
    json_decref(other);
    if (rc) json_decref(root);
    else if (!(*merged = cad_json_text(root, 0, &n))) rc = cad_out_of_memory(err);
    return rc;
}
