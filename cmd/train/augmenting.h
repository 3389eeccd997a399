/* augmenting.h - finetune --augment: prepares the changes of training rows. SPDX-License-Identifier: MIT */
#ifndef CAD_AUGMENTING_H
#define CAD_AUGMENTING_H

#include "train/finetune.h"

/* Checks that the model in r->model can serve --augment mlm. */
int augmenting_check(const tuning_t *r, cad_error_t *err);
/* Opens what --augment needs, once training rows are encoded and r->model is the classifier. Uses up r->prior. */
int augmenting_open(tuning_t *r, cad_error_t *err);
void augmenting_close(tuning_t *r);

#endif
