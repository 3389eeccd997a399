/* model.h - defines a model: a checkpoint in memory. In shapes, D is d_model, V the number of rows of the embedding
 * table. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MODEL_H
#define CAD_MODEL_H

#include "model/adapter.h"
#include "model/archive.h"
#include "model/config.h"
#include "model/tensors.h"
#include "model/vocabulary.h"

/* ---- locate.c ---- */
/* Finds, for the path or name that the user gave, the folder of config.json and the path of the weights, both
 * malloc'd. */
int cad_locate(const char *given, char **dir, char **weights, cad_error_t *err);
/* Finds the model and the adapter to open. adapter: the adapter's path, or NULL. If `given` is a folder that holds only
 * an adapter, *base is the model that the adapter names: a folder, or a model of the hub. Otherwise *base is `given`.
 * *base is malloc'd. */
int cad_locate_adapter(const char *given, const char *adapter, char **base, cad_adapter_t *a, cad_error_t *err);
/* Reads dir/config.json or, if it is absent, the object "config" in dir/model_config.json, which the paper's trainer
 * writes. *path: the path of the file, malloc'd, for messages; set also after a failure. */
int cad_locate_config(json_t **root, char **path, const char *dir, cad_error_t *err);

/* ---- config_text.c ---- */
/* These two functions return the text of config.json and of tokenizer_config.json, malloc'd, or NULL if out of memory.
 * dtype: the type of the weights in the same folder. with_files: the Python files of model->folder are copied too, so
 * an auto_map that names them stays valid. */
char *cad_config_text(const cad_model_t *model, cad_dtype_t dtype, bool with_files, size_t *size);
char *cad_tokenizer_config_text(const cad_model_t *model, bool with_files, size_t *size);

/* ---- checkpoint.c ---- */
typedef struct cad_direction_t { /* one direction of a layer */
    /* parameters by role: index role - CAD_T_KIND; float32, in published shape, fold applied; NULL: absent */
    const float *param[CAD_PARTS];
    bool reverse; /* the scan runs from the last row to the first */
} cad_direction_t;
static inline const float *cad_param(const cad_direction_t *d, int role) { return d->param[role - CAD_T_KIND]; }

typedef struct cad_layer_t {
    const float *norm, *norm_bias; // (D), (D) or NULL; norm is NULL if the kind is bare
    int kind;                      /* index into cad_blocks */
    int ndir;
    bool merged; /* both directions share the projections, and their outputs are added before one out_proj */
    cad_direction_t dir[2];
} cad_layer_t;
/* True if the layer has two directions, each with its own projections and output. */
static inline bool cad_layer_apart(const cad_layer_t *l) { return l->ndir == 2 && !l->merged; }

struct cad_model_t {
    cad_config_t cfg;
    cad_vocab_t vocab;
    cad_tensor_t *tensor;
    int ntensor;
    float *param; // (total) all tensors, each at its offset; padding is 0
    int64_t total, nparam, labels;
    cad_layer_t *layer;                // (n_layer)
    const float *embed;                // (V,D), also the head's table
    float *embed_in;                   // (V,D) input embeddings, derived from embed
    const float *norm_f, *norm_f_bias; // (D), (D) or NULL
    const float *score, *score_bias;   // (labels,D), (labels); NULL if the model has no classifier, or its head no bias
    const float *pool_weight;          // (D), followed by zeros to a multiple of CAD_PAD; NULL: no attention pooling
    json_t *config, *tokenizer; /* config.json and tokenizer_config.json as they were read, or NULL; never changed */
    json_t *head;               /* classifier keys of config.json (labels.c), or NULL */
    char *folder, *adapter;     /* paths that the model was opened from; NULL: none */
    /* the weights were handed over to a context (cad_context_open_last), and param holds no values */
    bool spent;
    char kind[64], sha256[65], dtype[64], status[256], details[512];
};
/* Returns CAD_EARG if the weights were handed over to a context (cad_context_open_last). */
int cad_model_whole(const cad_model_t *m, cad_error_t *err);
/* Gives the memory of one layer's weights, or of all weights if layer is -1, back to the system. */
void cad_model_discard(const cad_model_t *m, int layer);
/* True if the layer has two directions that use the same tensor in this role. */
static inline bool cad_layer_shares(const cad_layer_t *l, int role)
{
    return l->ndir == 2 && cad_param(&l->dir[0], role) == cad_param(&l->dir[1], role);
}
/* True if some layer has two directions, each with its own projections and output. */
static inline bool cad_model_apart(const cad_model_t *m)
{
    for (int64_t i = 0; i < m->cfg.n_layer; i++)
        if (cad_layer_apart(&m->layer[i])) return true;
    return false;
}
static inline const cad_block_t *cad_layer_block(const cad_model_t *m, int layer)
{
    return cad_blocks[m->layer[layer].kind];
}
/* True if the fold of fused-norm models (tensors.c) reverses and complements the input table, which it does if the
 * number of layers is odd. */
static inline bool cad_model_input_reversed(const cad_model_t *m)
{
    return m->cfg.rcps && m->cfg.fused_add_norm && m->cfg.n_layer % 2 == 1;
}
/* Two steps of making a model, whose cfg, vocab and labels must be set. cad_model_list fills the table of tensors;
 * cad_model_allocate then allocates zeroed parameters and points the layers at them. */
int cad_model_list(cad_model_t *model, int64_t rows, cad_error_t *err);
int cad_model_allocate(cad_model_t *model, cad_error_t *err);
/* Sets cfg.pool of a classifier, which adds the tensor pool.weight, all 0, or removes it. After an error the model is as
 * it was. */
int cad_model_pool(cad_model_t *model, enum cad_pool_t pool, cad_error_t *err);
typedef struct cad_checkpoint_t { /* an open checkpoint; all members zero: none */
    cad_archive_t weights;        /* the tensors of the model and of the adapter */
    cad_adapter_t adapter;
} cad_checkpoint_t;
/* Finds a checkpoint, reads its config.json and the headers of its weight files, and checks that they fit together.
 * Does not read the values of weights. adapter: as for cad_model_open_adapted. *model and *c must be zeroed. Close c
 * afterwards, also after a failure. */
int cad_model_scan(cad_model_t *model, const char *given, const char *adapter, cad_checkpoint_t *c, cad_error_t *err);
void cad_checkpoint_close(cad_checkpoint_t *c);
/* Recomputes the values that are derived from param (embed_in). Call it whenever param has changed. */
void cad_model_refresh(cad_model_t *model);

#endif
