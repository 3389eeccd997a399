/* resume.h - the training state that --resume continues. SPDX-License-Identifier: MIT */
#ifndef CAD_RESUME_H
#define CAD_RESUME_H

#include "cmd.h"

/* Compares the recipe that a training state was begun with, and the recipe of this run, both "key=value key=value". If
 * they differ, names what differs and returns CAD_EARG. path: the training state. */
int resume_compare(const char *begun, const char *now, const char *path, cad_error_t *err);
/* Appends to t the words "key=value" that are in the text a but not in the text b, each after a blank. */
void resume_differences(const char *a, const char *b, text_t *t);

#endif
