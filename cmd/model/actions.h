/* actions.h - the actions of `caduceus model`. SPDX-License-Identifier: MIT */
#ifndef CAD_ACTIONS_H
#define CAD_ACTIONS_H

#include "cmd.h"

/* model.c lists the actions; each has a file of its name. optind is at the first argument after the action's name. */
int model_convert(int argc, char **argv);
int model_info(int argc, char **argv);
int model_list(int argc, char **argv);
int model_pull(int argc, char **argv);
int model_verify(int argc, char **argv);

/* Takes the operand that names a model, if one is given: -m and an operand exclude each other. Returns 0, or 1 after
 * reporting an error. */
int model_operand(options_t *o, int argc, char **argv);

#endif
