/* given.h - DIR/options.txt: the options that a training was begun with, for --resume. SPDX-License-Identifier: MIT */
#ifndef CAD_GIVEN_H
#define CAD_GIVEN_H

#include "cmd.h"

/* Appends "--name=value", one a line, for the option of code c. A path of a file that is there becomes absolute. */
void given_add(text_t *given, const struct option *longs, int c, const char *value);
/* Writes the file into folder dir. */
int given_write(const char *dir, const text_t *given, cad_error_t *err);
/* Reads the file, and sets *argv to the words argv[0], the file's lines, then the rest of argv, and *argc to their
 * number. The words are in *text; the caller frees both *text and *argv. */
int given_read(const char *dir, char **text, int *argc, char ***argv, cad_error_t *err);

#endif
