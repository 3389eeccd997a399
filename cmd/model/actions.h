/* actions.h - declares the actions of `caduceus model`. SPDX-License-Identifier: MIT */
#ifndef CAD_ACTIONS_H
#define CAD_ACTIONS_H

#include "cmd.h"

/* The entry points of the actions, which model.c lists. Action X is in X.c. optind is the index of the first argument
 * after the action's name. Each returns the exit status. */
int model_convert(int argc, char **argv);
int model_info(int argc, char **argv);
int model_list(int argc, char **argv);
int model_pull(int argc, char **argv);
int model_verify(int argc, char **argv);

/* Sets o->model to the operand, if there is one. -m together with an operand is an error. Returns 0, or 1 after
 * reporting an error. */
int model_operand(options_t *o, int argc, char **argv);

#endif
