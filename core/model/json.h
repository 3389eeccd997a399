/* json.h - reads and writes JSON with jansson. SPDX-License-Identifier: MIT */
#ifndef CAD_JSON_H
#define CAD_JSON_H

#include <jansson.h>

#include "base/base.h"

/* Parses the text of an object, in which no key may occur twice. path: for messages. *root is NULL on failure. Some
 * numbers do not fit into jansson's types: integers of 19 digits or more, which transformers writes for "no limit", and
 * Python's Infinity and NaN. They are kept as marked strings; cad_json_number reads these, and cad_json_text writes
 * them as numbers again. */
int cad_json_parse(json_t **root, const char *text, size_t size, const char *path, cad_error_t *err);
/* Sets *d to the value of a number, marked or not. Returns false for any other value. */
bool cad_json_number(const json_t *v, double *d);
/* Parses the object in a file. If the file is absent and `optional` is true, sets *root to NULL and returns 0. */
int cad_json_load(json_t **root, const char *path, bool optional, cad_error_t *err);
/* Returns a value as malloc'd JSON text, sets *size to its length, and frees the value; returns NULL if the value is
 * NULL or memory is out. A real number is written with the fewest digits, from 15 to 17, that give the same number when
 * parsed. flags: as for json_dumps. */
char *cad_json_text(json_t *value, size_t flags, size_t *size);

#define CAD_JSON_PRETTY JSON_INDENT(2)

#endif
