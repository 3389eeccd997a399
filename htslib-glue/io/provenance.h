/* provenance.h - describes where results come from, as keys and values. SPDX-License-Identifier: MIT */
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
/* Adds a key. Does nothing if PROVENANCE_KEYS keys exist. Borrows key and value. */
void provenance_add(provenance_t *p, const char *key, const char *value);
/* Appends "##caduceus_key=value" lines, without the keys that differ between the shards of one run. */
void provenance_header(const provenance_t *p, text_t *t);
bool provenance_of_part(const char *key); /* true if the key differs between the shards of one run */
/* Appends the provenance as a JSON object of strings. */
void provenance_json(const provenance_t *p, text_t *t);
/* Appends any JSON in the layout of provenance_json. */
void provenance_layout(const json_t *json, text_t *t);
/* Writes the provenance as JSON. Returns 0 or a negative CAD_E*. */
int provenance_write(const provenance_t *p, output_t *out, cad_error_t *err);

#endif
