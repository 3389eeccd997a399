/* actions.h - declares the actions of `caduceus model`. SPDX-License-Identifier: MIT */
#ifndef CAD_ACTIONS_H
#define CAD_ACTIONS_H

#include "cmd.h"

/* model.c lists the actions; each has a file of its name. When one is run, optind is at the first argument after its
 * name. */
extern const command_t MODEL_CONVERT, MODEL_INFO, MODEL_LIST, MODEL_PULL, MODEL_VERIFY;

/* Sets o->model to the operand, if there is one. -m together with an operand is an error. Returns 0, or 1 after
 * reporting an error. */
int model_operand(options_t *o, int argc, char **argv);

#endif
