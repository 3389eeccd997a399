/* config.h - reads config.json. SPDX-License-Identifier: MIT */
#ifndef CAD_CONFIG_H
#define CAD_CONFIG_H

#include "model/block.h"
#include "model/json.h"

#define CAD_LAYERS 1024 /* maximum number of layers */

struct cad_config_t {
    int64_t d_model, n_layer, vocab_size, vocab_multiple; /* vocab_size as in config.json, not padded */
    double norm_epsilon;
    bool rms_norm, fused_add_norm;
    bool bidirectional, multiply, tied, rcps, classifier;
    int64_t num_labels;   /* num_labels of config.json; 0 if absent */
    enum cad_pool_t pool; /* how a classifier's head pools */
    int64_t bin;          /* bases for which the head has outputs; 0: the whole sequence */
    bool score_bias;      /* the head has a bias */
    int64_t max_len;      /* model_max_length of tokenizer_config.json, in bases */
    int16_t comp[256];    /* complement of each token id, from complement_map; -1: not given */
    bool has_comp;
    double init_range; /* this and the next two: values of initializer_cfg */
    bool init_rescale;
    int64_t init_residuals;
    bool next;  /* the model predicts the next token, whatever its layers: CAD_NEXT_KEY */
    bool named; /* config.json names the kinds of layers */
    /* config.json and the names of tensors are those of HyenaDNA (hyenadna.c): the layers 2i and 2i + 1 are block i of the
     * published model */
    bool hyenadna;
    uint8_t kind[CAD_LAYERS];      /* the kind of each layer: an index into cad_blocks */
    cad_shape_t shape[CAD_NKINDS]; /* shape of each kind in use; blocks/NAME.h defines its type */
};
/* Keys that caduceus adds to config.json. CAD_POOLING: how a classifier's head pools rows. CAD_POOLING_ONCE: the name
 * of that key in files of version 0.2; it was changed because transformers took the old key for an argument of the
 * model. */
#define CAD_POOLING "caduceus_pooling"
#define CAD_LONGEST_KEY "caduceus_longest" /* length of the longest sequence that a classifier was trained on */
#define CAD_NEXT_KEY "caduceus_next"       /* true: the model predicts the next token; see cad_config_next */
#define CAD_BIN_KEY "caduceus_bin"         /* bases for which the head has outputs */
#define CAD_PAD_KEY "caduceus_pad"         /* length to which sequences are padded or cut */
#define CAD_LINK_KEY "caduceus_link"       /* "log": values are scale x exp(logit) */
#define CAD_POOLING_ONCE "pooling_strategy"
/* The values of CAD_POOLING, by enum cad_pool_t. cad_pool_number returns -1 for a word that is none of them. */
extern const char *const cad_pool_name[];
int cad_pool_number(const char *name);

/* Reads the configuration from root, the parsed config.json; path is for messages. Sets max_len to its default. */
int cad_config_read(cad_config_t *cfg, json_t *root, const char *path, cad_error_t *err);
/* Does the same as cad_config_read. kind: the kind of all layers if config.json names none. */
int cad_config_read_as(cad_config_t *cfg, json_t *root, const char *path, int kind, cad_error_t *err);
/* Returns model_max_length of a tokenizer_config.json, or a default, which depends on the kind of layers, if the key is
 * absent or not an integer from 1 to 2^20. tokenizer: the parsed file; NULL: there is no such file. */
int64_t cad_config_max_len(const cad_config_t *cfg, const json_t *tokenizer);
/* Returns the kind of the first layer that has a direction of time or, if there is none, of layer 0. */
int cad_config_main(const cad_config_t *cfg);
/* Returns the key of config.json under which a kind's shape is stored: "ssm_cfg" for the kind of cad_config_main, if it
 * has a direction of time; "NAME_cfg" for another kind, written to the buffer `key`. */
const char *cad_config_shape_key(const cad_config_t *cfg, int kind, char key[64]);
/* True if the fold of fused-norm models (tensors.c) applies to this layer: in a fused-norm model with rcps, to every
 * second layer. */
bool cad_config_folded(const cad_config_t *cfg, int64_t layer);
/* True if the model predicts at each row the token of the next row: config.json says so, or some layer reads earlier
 * rows only, since its kind sets `causal`. Otherwise it predicts the row's own token, which is masked. */
static inline bool cad_config_next(const cad_config_t *cfg)
{
    for (int64_t i = 0; i < cfg->n_layer; i++)
        if (cad_blocks[cfg->kind[i]]->causal) return true;
    return cfg->next;
}
/* Returns the most tokens that a sequence may have. */
int64_t cad_config_longest(const cad_config_t *cfg);
/* Fails if a window of len tokens is too long for the model. */
int cad_config_fits(const cad_config_t *cfg, int64_t len, cad_error_t *err);
/* Returns the number of directions of a layer: 1 or 2. */
static inline int cad_config_directions(const cad_config_t *cfg, int64_t layer)
{
    return cfg->bidirectional && !cad_blocks[cfg->kind[layer]]->undirected ? 2 : 1;
}
/* True if some layer has no direction of time. */
static inline bool cad_config_undirected(const cad_config_t *cfg)
{
    for (int64_t i = 0; i < cfg->n_layer; i++)
        if (cad_blocks[cfg->kind[i]]->undirected) return true;
    return false;
}
/* Returns the number of tokens that a row stands for after the first `layers` layers: 1, unless some of them pool rows. */
int64_t cad_config_stride(const cad_config_t *cfg, int64_t layers);
/* True if some layer is of this kind. */
static inline bool cad_config_uses(const cad_config_t *cfg, int kind)
{
    return memchr(cfg->kind, kind, (size_t)cfg->n_layer) != NULL;
}

/* ---- for a layer kind's configure(): return a value of ssm_cfg or NAME_cfg; def if the key is absent or null ---- */
int64_t cad_read_int(cad_reader_t *r, const char *key, int64_t def, int64_t lo, int64_t hi);
double cad_read_real(cad_reader_t *r, const char *key, double def, double lo, double hi);
bool cad_read_bool(cad_reader_t *r, const char *key, bool def);
/* Returns a string, or NULL if the key is absent, null or not a string. */
const char *cad_read_word(cad_reader_t *r, const char *key);
/* Reads a list of two numbers, of which the first is not greater; if the key is absent, leaves range as it is. */
void cad_read_range(cad_reader_t *r, const char *key, double range[2], double lo, double hi);
/* Reads a list of 1 to `most` integers; returns their number, or 0 if the key is absent. */
int cad_read_ints(cad_reader_t *r, const char *key, int64_t *to, int most, int64_t lo, int64_t hi);
bool cad_read_has(cad_reader_t *r, const char *key); /* true if the key is present and not null */
/* Reports an error in a key: `FILE: "KEY" WHY`. Only the first error is kept. */
void cad_read_bad(cad_reader_t *r, const char *key, const char *why);

/* ---- hyenadna.c ---- */
/* If root is the config.json of a published HyenaDNA, of transformers or of the first release, sets *own to a new object
 * with the same configuration in the keys of this project; else to NULL. Returns 0 or CAD_ENOMEM. */
int cad_hyenadna_read(json_t **own, const json_t *root, cad_error_t *err);
/* Returns a new object with the keys of a published HyenaDNA for `keys`, those of this project; NULL when
 * out of memory. Frees `keys`. */
json_t *cad_hyenadna_write(json_t *keys, bool classifier);

#endif
