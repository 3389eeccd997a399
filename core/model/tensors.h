/* tensors.h - the one table of a model's tensors. SPDX-License-Identifier: MIT */
#ifndef CAD_TENSORS_H
#define CAD_TENSORS_H

#include "model/config.h"

typedef enum {
    CAD_T_EMBED,
    CAD_T_NORM_F,
    CAD_T_NORM_F_BIAS,
    CAD_T_SCORE, /* of the model */
    CAD_T_NORM,
    CAD_T_NORM_BIAS, /* of a layer */
    CAD_T_IN,
    CAD_T_IN_BIAS,
    CAD_T_CONV,
    CAD_T_CONV_BIAS,
    CAD_T_X,
    CAD_T_DT,
    CAD_T_DT_BIAS,
    CAD_T_A_LOG,
    CAD_T_SKIP,
    CAD_T_OUT,
    CAD_T_OUT_BIAS, /* of a direction */
    CAD_T_ROLES
} cad_role_t;
typedef struct cad_tensor_t {
    char name[112], alias[112]; /* as published, without prefix; alias "" if none */
    cad_role_t role;
    int layer, dir; /* dir as computed: 0 forward, 1 reverse in time */
    int ndim;
    int64_t shape[3], count;
    int64_t offset; /* into the parameters */
    int flip_axis;  /* axis stored reversed by the fold, or -1 */
} cad_tensor_t;
/* All tensors that a checkpoint of this configuration has, in published order;
 * a tied pair is one entry with an alias. labels: rows of score, 0 for none. */
int cad_tensors_list(const cad_config_t *cfg, int64_t rows, int64_t labels, cad_tensor_t **list, int *n, int64_t *total,
                     cad_error_t *err);
/* Published layout to computed, or back: reverses flip_axis of values a. */
void cad_tensor_flip(const cad_tensor_t *t, float *a);
/* Name with the prefix of published files. */
void cad_tensor_published(const cad_tensor_t *t, char name[128]);
/* Full names of the complement_map buffers that such a checkpoint has: 0 to 2. */
int cad_tensors_buffers(const cad_config_t *cfg, int64_t labels, const char *name[2]);

#endif
