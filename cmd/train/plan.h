/* plan.h - what --dry-run of pretrain and finetune prints. SPDX-License-Identifier: MIT */
#ifndef CAD_PLAN_H
#define CAD_PLAN_H

#include "cmd.h"

/* Sets *seconds to the time of a forward and backward pass for each token, measured on the first examples, up to some
 * 16,384 tokens. The gradients that it leaves in the trainer are not to be used. */
int plan_measure(cad_trainer_t *t, enum cad_loss_t loss, const cad_example_t *ex, int64_t n, double *seconds,
                 cad_error_t *err);
/* Prints "key value", separated by a tab. */
void plan_line(const char *key, int64_t value);
/* Prints the parameters, the memory and the time. */
void plan_end(const cad_model_t *model, const cad_trainer_t *t, double seconds);

#endif
