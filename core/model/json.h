/* json.h - reading and writing JSON by jansson. SPDX-License-Identifier: MIT */
#ifndef CAD_JSON_H
#define CAD_JSON_H

#include <jansson.h>

#include "base/base.h"

/* Parses an object, in which no key may occur twice. path: for messages. *root is NULL on failure. Integers of 19
 * digits or more, as transformers writes for "no limit", and Python's Infinity and NaN are kept as marked strings:
 * cad_json_number reads them, and cad_json_text writes the numbers again. */
int cad_json_parse(json_t **root, const char *text, size_t size, const char *path, cad_error_t *err);
/* Sets *d to the value of a number, marked or not. Returns false for any other value. */
bool cad_json_number(const json_t *v, double *d);
/* Parses the object in a file. A file that is absent and optional gives *root NULL and 0. */
int cad_json_load(json_t **root, const char *path, bool optional, cad_error_t *err);
/* Returns a value as malloc'd text and frees the value; NULL for NULL, or when out of memory. Reals get the fewest
 * digits, 15 to 17, that are read as the same value. flags: as for json_dumps. */
char *cad_json_text(json_t *value, size_t flags, size_t *size);

#define CAD_JSON_PRETTY JSON_INDENT(2)

#endif
