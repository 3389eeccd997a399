/* model.h - a checkpoint in memory. SPDX-License-Identifier: MIT */
#ifndef CAD_MODEL_H
#define CAD_MODEL_H

#include "model/config.h"
#include "model/tensors.h"
#include "model/vocabulary.h"

/* ---- locate.c ---- */
/* The folder of config.json and the path of the weights, both malloc'd. */
int cad_locate(const char *given, char **dir, char **weights, cad_error_t *err);

/* ---- checkpoint.c ---- */
typedef struct cad_direction_t {   /* one Mamba; float32, published layouts */
    const float *in, *in_bias;     // (2E,D), (2E) or NULL
    const float *conv, *conv_bias; // (E,K), (E) or NULL
    const float *x;                // (R+2N,E)
    const float *dt, *dt_bias;     // (E,R), (E)
    const float *a_log, *skip;     // (E,N), (E)
    const float *out, *out_bias;   // (D,E), (D) or NULL
    bool reverse;                  /* runs backwards in time */
} cad_direction_t;
typedef struct cad_layer_t {
    const float *norm, *norm_bias; // (D), (D) or NULL
    int ndir;
    cad_direction_t dir[2];
} cad_layer_t;
struct cad_model_t {
    cad_config_t cfg;
    cad_vocab_t vocab;
    cad_tensor_t *tensor;
    int ntensor;
    float *param; // (total), tensors at their offsets, zeros between
    int64_t total, nparam, labels;
    cad_layer_t *layer;
    const float *embed;                        // (V,D), also the head
    float *embed_in;                           // (V,D), what tokens enter with
    const float *norm_f, *norm_f_bias, *score; // (D), (D) or NULL, (labels,D) or NULL
    char *head;                                /* a classifier's own keys of config.json (head.c), or NULL */
    char sha256[65], dtype[64], status[256], details[512];
};
/* The tied, additive, bias-free block, whose two directions share both projections. */
static inline bool cad_model_merged(const cad_model_t *m)
{
    return m->cfg.bidirectional && m->cfg.tied && !m->cfg.multiply && !m->cfg.proj_bias;
}
/* Under the fold, an odd depth leaves the input table reversed and complemented. */
static inline bool cad_model_turned(const cad_model_t *m)
{
    return m->cfg.rcps && m->cfg.fused_add_norm && m->cfg.n_layer % 2 == 1;
}
/* Two directions that take turns, each with projections and an output of its own. */
static inline bool cad_model_apart(const cad_model_t *m) { return m->layer[0].ndir == 2 && !cad_model_merged(m); }
/* Of a model with cfg and labels: the table of tensors; memory for it, cleared, and the layers wired. */
int cad_model_list(cad_model_t *model, int64_t rows, cad_error_t *err);
int cad_model_allocate(cad_model_t *model, cad_error_t *err);
/* To be called when param has changed: what is derived from it. */
void cad_model_refresh(cad_model_t *model);

#endif
