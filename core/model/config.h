/* config.h - reads and writes config.json; reads tokenizer_config.json. SPDX-License-Identifier: MIT */
#ifndef CAD_CONFIG_H
#define CAD_CONFIG_H

#include "model/block.h"

#define CAD_LAYERS 1024 /* maximum number of layers */

struct cad_config_t {
    int64_t d_model, n_layer, vocab_size, vocab_multiple; /* vocab_size as written, unpadded */
    double norm_epsilon;
    bool rms_norm, fused_add_norm;
    bool bidirectional, multiply, tied, rcps, classifier;
    int64_t num_labels;   /* from config.json; 0 if not given */
    enum cad_pool_t pool; /* of a classifier's head */
    int64_t max_len;      /* from tokenizer_config.json, in bases */
    int16_t comp[256];    /* complement_map by token id; -1: not given */
    bool has_comp;
    double init_range; /* initializer_cfg */
    bool init_rescale;
    int64_t init_residuals;
    uint8_t kind[CAD_LAYERS];      /* by layer: index into cad_blocks */
    cad_shape_t shape[CAD_NKINDS]; /* of each kind in use; its type is in blocks/NAME.h */
};
int cad_config_read(cad_config_t *cfg, const char *dir, cad_error_t *err);
/* Parses the text of a config.json. max_len keeps its default. */
int cad_config_parse(cad_config_t *cfg, const char *text, cad_error_t *err);
/* Return the texts of config.json (comp: (rows)) and tokenizer_config.json, malloc'd, or NULL if
 * out of memory. labels 0: a language model. head: a JSON object with further keys, or NULL. */
char *cad_config_text(const cad_config_t *cfg, const uint8_t *comp, int64_t rows, int64_t labels, const char *head,
                      size_t *size);
char *cad_tokenizer_config_text(const cad_config_t *cfg, size_t *size);
/* Returns a jansson value as malloc'd text and frees the value; NULL for NULL. */
char *cad_json_text(struct json_t *value, size_t flags, size_t *size);
/* True if this layer is stored with its strands exchanged: fused-norm checkpoints with rcps. */
bool cad_config_folded(const cad_config_t *cfg, int64_t layer);
/* True if some layer is of this kind. */
static inline bool cad_config_uses(const cad_config_t *cfg, int kind)
{
    return memchr(cfg->kind, kind, (size_t)cfg->n_layer) != NULL;
}

/* ---- for a kind's configure: read a value of ssm_cfg; the default if the key is absent or null ---- */
int64_t cad_read_int(cad_reader_t *r, const char *key, int64_t def, int64_t lo, int64_t hi);
double cad_read_real(cad_reader_t *r, const char *key, double def, double lo, double hi);
bool cad_read_bool(cad_reader_t *r, const char *key, bool def);
/* Returns a string, or NULL if the key is absent, null or not a string. */
const char *cad_read_word(cad_reader_t *r, const char *key);
bool cad_read_has(cad_reader_t *r, const char *key); /* present and not null */
/* Reports an error in a key: `FILE: "KEY" WHY`. Only the first error is kept. */
void cad_read_bad(cad_reader_t *r, const char *key, const char *why);

#endif
