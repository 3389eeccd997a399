/* hyenadna.c - config.json of the published HyenaDNA models (Nguyen et al. 2023), read as a list of layers of the kinds
 * hyena and mlp, and written again.
 *
 * There are two forms. In that of transformers (LongSafari/hyenadna-*-hf) all keys are at the top. In that of the first
 * release, beside a file weights.ckpt, the keys of the filters are in the object "layer", some under other names.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "model/config.h"

/* Keys of hyena_cfg, with their names in the object "layer". */
static const char *const KEY[][2] = {
    { "filter_order", "filter_order" }, { "num_inner_mlps", "num_inner_mlps" },
    { "emb_dim", "emb_dim" },           { "max_seq_len", "l_max" },
    { "activation_freq", "w" },         { "train_freq", "train_freq" },
    { "hyena_order", "order" },         { "short_filter_order", "short_filter_order" },
    { "modulate", "modulate" },
};
enum { NKEYS = sizeof KEY / sizeof *KEY };

static bool is(const json_t *o, const char *key, const char *word)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s && !strcmp(s, word);
}

/* Sets key to the value of another key, if that is there. False when out of memory. */
static bool take(json_t *to, const char *key, const json_t *from, const char *other)
{
    json_t *v = json_object_get(from, other);
    return !v || json_object_set(to, key, v) == 0;
}

static bool set(json_t *to, const char *key, json_t *value) { return json_object_set_new(to, key, value) == 0; }

/* Returns a new hyena_cfg, or NULL when out of memory. layer: the object "layer", or NULL. Defaults of the published code
 * that differ from those of blocks/hyena.c are set. */
static json_t *filters(const json_t *root, const json_t *layer)
{
    json_t *o = json_pack("{s:i, s:i, s:i}", "emb_dim", 3, "activation_freq", 1, "max_seq_len", 1024);
    bool good = o != NULL;
    for (int i = 0; i < NKEYS && good; i++) good = take(o, KEY[i][0], layer ? layer : root, KEY[i][layer != NULL]);
    if (good) return o;
    json_decref(o);
    return NULL;
}

/* Adds the keys of this project to o, a copy of root. False when out of memory. */
static bool translate(json_t *o, const json_t *root, const json_t *layer)
{
    json_t *n = json_object_get(root, "n_layer"),
           *defaults = json_pack("{s:b, s:i}", "bidirectional", 0, "vocab_size", 12);
    bool good = defaults && json_object_update_missing(o, defaults) == 0;
    json_decref(defaults);
    good = good && set(o, "mlp_cfg", json_pack("{s:s}", "activation", "gelu_tanh")) &&
           take(json_object_get(o, "mlp_cfg"), "d_inner", root, "d_inner") &&
           set(o, "hyena_cfg", filters(root, layer)) && set(o, "layer_kinds", json_pack("[s, s]", "hyena", "mlp")) &&
           set(o, "rms_norm", json_false()) && set(o, "fused_add_norm", json_false()) &&
           take(o, "norm_epsilon", root, "layer_norm_epsilon") && set(o, "initializer_cfg", json_object()) &&
           take(json_object_get(o, "initializer_cfg"), "initializer_range", root, "initializer_range");
    return good && (!json_is_integer(n) || set(o, "n_layer", json_integer(2 * json_integer_value(n))));
}

int cad_hyenadna_read(json_t **own, const json_t *root, cad_error_t *err)
{
    const json_t *layer = json_object_get(root, "layer");
    bool first = is(layer, "_name_", "hyena");
    *own = NULL;
    if (!is(root, "model_type", "hyenadna") && !first) return 0;
    *own = json_copy((json_t *)root);
    if (*own && translate(*own, root, first ? layer : NULL)) return 0;
    json_decref(*own);
    *own = NULL;
    return cad_out_of_memory(err);
}

json_t *cad_hyenadna_write(json_t *keys, bool classifier)
{
    static const char *const same[] = { "d_model",    "vocab_size", "pad_vocab_size_multiple",
                                        "num_labels", "id2label",   "score_bias" };
    const json_t *hyena = json_object_get(keys, "hyena_cfg");
    json_int_t n = json_integer_value(json_object_get(keys, "n_layer"));
    json_t *o = json_pack("{s:[s], s:s, s:I}", "architectures",
                          classifier ? "HyenaDNAForSequenceClassification" : "HyenaDNAForCausalLM", "model_type",
                          "hyenadna", "n_layer", n / 2);
    bool good = o && take(o, "d_inner", json_object_get(keys, "mlp_cfg"), "d_inner") &&
                take(o, "layer_norm_epsilon", keys, "norm_epsilon") &&
                take(o, "initializer_range", json_object_get(keys, "initializer_cfg"), "initializer_range");
    for (size_t i = 0; i < sizeof same / sizeof *same && good; i++) good = take(o, same[i], keys, same[i]);
    for (int i = 0; i < NKEYS && good; i++) good = take(o, KEY[i][0], hyena, KEY[i][0]);
    json_decref(keys);
    if (good) return o;
    json_decref(o);
    return NULL;
}
