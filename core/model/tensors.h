/* tensors.h - defines the table of a model's tensors. SPDX-License-Identifier: MIT */
#ifndef CAD_TENSORS_H
#define CAD_TENSORS_H

#include "model/config.h"

enum { /* roles of tensors: of the whole model, of a layer and, from CAD_T_KIND onwards, of a layer's kind */
       CAD_T_EMBED,
       CAD_T_NORM_F,
       CAD_T_NORM_F_BIAS,
       CAD_T_SCORE,
       CAD_T_POOL,
       CAD_T_SCORE_BIAS,
       CAD_T_NORM,
       CAD_T_NORM_BIAS,
       CAD_T_KIND
};
typedef struct cad_tensor_t {
    char name[112], alias[112]; /* published names without prefix; alias: the second name of a tied tensor, or "" */
    int role;
    int layer;   /* index of the layer; -1 if the tensor belongs to no layer */
    int dir;     /* direction after the fold: 0 from the first row to the last, 1 from the last to the first */
    bool shared; /* used by both directions */
    bool decays; /* subject to AdamW's weight decay */
    bool fixed;  /* stored, but not trained */
    int repeats; /* number of further names, as in cad_part_t */
    int ndim;
    int64_t shape[3], count;
    int64_t offset; /* offset in the parameters, in floats */
    int flip_axis;  /* axis along which the fold reverses the stored values, or -1 */
} cad_tensor_t;
/* True for the tensors of a classifier's head, whose gradients the trainer collects. */
static inline bool cad_tensor_of_head(const cad_tensor_t *t)
{
    return t->role == CAD_T_SCORE || t->role == CAD_T_POOL || t->role == CAD_T_SCORE_BIAS;
}
/* The two directions of a layer in published names, such as "backbone.layers.0.mixer.mamba_fwd.in_proj.weight". The
 * published code uses the same two names for every kind of layer. */
extern const char *const cad_direction_name[2];
/* Lists all tensors of a checkpoint with this configuration, in published order. Two tied tensors are one entry with an
 * alias. rows: rows of the embedding table; labels: rows of score.weight, 0 for a language model. *list is malloc'd. */
int cad_tensors_list(const cad_config_t *cfg, int64_t rows, int64_t labels, cad_tensor_t **list, int *n, int64_t *total,
                     cad_error_t *err);
/* Reverses the values `a` of tensor t along its flip_axis: converts them from the published layout to that of the
 * parameters, or back. */
void cad_tensor_flip(const cad_tensor_t *t, float *a);
/* Writes name k of t, without prefix: its own name, its alias, then its further names. Returns false if t has no more than
 * k names. */
#define CAD_NAMES 8 /* most names of a tensor */
bool cad_tensor_named(const cad_tensor_t *t, int k, char name[128]);
/* Does the same, with the prefix that published files use. */
bool cad_tensor_published(const cad_config_t *cfg, const cad_tensor_t *t, int k, char name[128]);
/* Fills name with the full names of the checkpoint's complement_map buffers; returns their number, 0 to 2. */
int cad_tensors_buffers(const cad_config_t *cfg, int64_t labels, const char *name[2]);

#endif
