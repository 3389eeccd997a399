/* given.h - writes and reads DIR/options.txt, the options with which a training was started, so that --resume can
 * repeat them. SPDX-License-Identifier: MIT */
#ifndef CAD_GIVEN_H
#define CAD_GIVEN_H

#include "cmd.h"

/* the value of an option: a word; an input, made absolute if there is a file of that name (-m may name a model of the
 * hub); or an output, made absolute */
typedef enum { GIVEN_WORD, GIVEN_INPUT, GIVEN_OUTPUT } given_kind_t;

/* Appends the line "--name=value" for the option with code c. */
void given_add(text_t *given, const struct option *longs, int c, const char *value, given_kind_t kind);
/* Appends an operand. The path of a file begins at `file` in it; "-", standard input, cannot be repeated. */
void given_operand(text_t *given, const char *operand, const char *file);
/* Writes options.txt into folder dir. */
int given_write(const char *dir, const text_t *given, cad_error_t *err);
/* Prepares to parse a command line again, with the lines of DIR/options.txt inserted after argv[0]: sets *argv to a new
 * array of words and *argc to its length, and restarts getopt. The words of the file are in *text. Returns 0, or 1 after
 * reporting an error; after 0 the caller frees *text and *argv. */
int given_recall(const char *cmd, const char *dir, char **text, int *argc, char ***argv);

#endif
