/* head.h - what a classifier's outputs mean: the part of config.json that names
 * labels. SPDX-License-Identifier: MIT */
#ifndef CAD_HEAD_H
#define CAD_HEAD_H

#include "model/model.h"

typedef enum { CAD_CLASSES, CAD_LABELS_SET, CAD_VALUES } cad_head_kind_t; /* one of K; any of K; K numbers */
typedef struct cad_head_t {
    cad_head_kind_t kind;
    enum cad_pool_t pool; /* MEAN or MAX */
    int64_t n;            /* K */
    char **name;          // (K)
    double *mean, *scale; // (K) values = logit x scale + mean; NULL unless CAD_VALUES
} cad_head_t;
/* Of a classifier; names that config.json lacks are LABEL_0 and so on. */
int cad_head_read(cad_head_t *head, const cad_model_t *model, cad_error_t *err);
/* Writes it into the model's configuration, for cad_model_save. */
int cad_head_write(const cad_head_t *head, cad_model_t *model, cad_error_t *err);
/* Keeps a classifier's own keys of dir/config.json, when it is opened. */
int cad_head_load(cad_model_t *model, const char *dir, cad_error_t *err);
int cad_head_room(cad_head_t *head, int64_t n, cad_error_t *err);
void cad_head_free(cad_head_t *head);

#endif
