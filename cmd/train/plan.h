/* plan.h - measures and prints what --dry-run of pretrain and finetune shows. SPDX-License-Identifier: MIT */
#ifndef CAD_PLAN_H
#define CAD_PLAN_H

#include "cmd.h"

/* Sets *seconds to the time per token of a forward and backward pass, measured on the first examples, up to 16,384
 * tokens. Afterwards the trainer holds meaningless gradients, so do not train with it. */
int plan_measure(cad_trainer_t *t, enum cad_loss_t loss, const cad_example_t *ex, int64_t n, double *seconds,
                 cad_error_t *err);
/* Prints "key value", separated by a tab. */
void plan_line(const char *key, int64_t value);
/* Prints the number of parameters, the memory and the estimated time. */
void plan_end(const cad_model_t *model, const cad_trainer_t *t, double seconds);

#endif
