/* config.h - config.json and tokenizer_config.json. SPDX-License-Identifier: MIT */
#ifndef CAD_CONFIG_H
#define CAD_CONFIG_H

#include "base/base.h"

typedef struct cad_config_t {
    int64_t d_model, n_layer, vocab_size, vocab_multiple; /* vocab_size as written */
    int64_t d_state, d_conv, d_inner, dt_rank;
    double norm_epsilon;
    bool conv_bias, proj_bias, rms_norm, fused_add_norm;
    bool bidirectional, multiply, tied, rcps, classifier;
    int64_t num_labels;   /* of config.json, 0 when it does not say */
    enum cad_pool_t pool; /* of a classifier */
    int64_t max_len;      /* tokenizer_config.json */
    int16_t comp[256];    /* complement_map, -1 = not given */
    bool has_comp;
    double dt_min, dt_max, dt_scale, dt_init_floor; /* initial values, as the next */
    bool dt_constant;                               /* dt_init "constant" rather than "random" */
    double init_range;                              /* initializer_cfg */
    bool init_rescale;
    int64_t init_residuals;
} cad_config_t;
int cad_config_read(cad_config_t *cfg, const char *dir, cad_error_t *err);
/* The text of a config.json; max_len is left at its default. */
int cad_config_parse(cad_config_t *cfg, const char *text, cad_error_t *err);
/* Texts of config.json (comp: (rows)) and tokenizer_config.json, malloc'd; NULL when
 * out of memory. labels 0: a language model; head: more keys, a JSON object or NULL. */
char *cad_config_text(const cad_config_t *cfg, const uint8_t *comp, int64_t rows, int64_t labels, const char *head,
                      size_t *size);
char *cad_tokenizer_config_text(const cad_config_t *cfg, size_t *size);
/* Text of a jansson value, which is taken over (NULL gives NULL); malloc'd. */
struct json_t;
char *cad_json_text(struct json_t *value, size_t flags, size_t *size);
/* Fused-norm checkpoints with rcps: layers stored with the strands exchanged. */
bool cad_config_folded(const cad_config_t *cfg, int64_t layer);

#endif
