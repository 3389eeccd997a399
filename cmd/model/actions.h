/* actions.h - declares the actions of `caduceus model`. SPDX-License-Identifier: MIT */
#ifndef CAD_ACTIONS_H
#define CAD_ACTIONS_H

#include "cmd.h"

/* model.c lists the actions; each is in the file of its name. When an action's `run` is called, optind is the index of
 * the first argument after the action's name. */
extern const command_t MODEL_CONVERT, MODEL_INFO, MODEL_LIST, MODEL_NEW, MODEL_PULL, MODEL_VERIFY;

/* Sets o->model to the operand, if there is one. -m together with an operand is an error. Returns 0, or 1 after
 * reporting an error. */
int model_operand(options_t *o, int argc, char **argv);

#endif
