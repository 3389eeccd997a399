/* provenance.h - the provenance of results: keys and values that say how they were computed (model, options, versions).
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_PROVENANCE_H
#define CAD_PROVENANCE_H

#include <jansson.h>

#include "io/output.h"
#include "io/text.h"

#define PROVENANCE_KEYS 16
typedef struct provenance_t {
    int n;
    const char *key[PROVENANCE_KEYS], *value[PROVENANCE_KEYS]; /* borrowed */
} provenance_t;
/* Adds a key. Does nothing if p already has PROVENANCE_KEYS keys. Borrows key and value. */
void provenance_add(provenance_t *p, const char *key, const char *value);
/* Appends "##caduceus_key=value" lines, without the keys that differ between the shards of one run. */
void provenance_header(const provenance_t *p, text_t *t);
/* Appends the provenance and then the line of column names, which begins with '#'. plain: leaves out the provenance and
 * the '#', so that pandas and R can read the text as a table. */
void provenance_table(const provenance_t *p, bool plain, const char *columns, text_t *t);
bool provenance_of_part(const char *key); /* true if the key differs between the shards of one run */
/* Appends the provenance as a JSON object of strings. */
void provenance_json(const provenance_t *p, text_t *t);
/* Returns the provenance as a JSON object of strings, without the keys that differ between the shards of one run. */
json_t *provenance_object(const provenance_t *p);
/* Returns a JSON string. If s is not UTF-8, every byte that is not ASCII becomes a question mark. */
json_t *string_json(const char *s);
/* Returns v as a JSON number, or JSON null if v is not finite. */
json_t *number_json(double v);
/* Appends any JSON value with the same indentation as provenance_json. Real numbers get six digits, as from
 * text_number. */
void provenance_layout(const json_t *json, text_t *t);
/* Writes the provenance as JSON to out. Returns 0 or a negative CAD_E*. */
int provenance_write(const provenance_t *p, output_t *out, cad_error_t *err);

#endif
