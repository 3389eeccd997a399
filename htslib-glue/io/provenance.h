/* provenance.h - where results come from: keys and values, borrowed. SPDX-License-Identifier: MIT */
#ifndef CAD_PROVENANCE_H
#define CAD_PROVENANCE_H

#include "io/output.h"
#include "io/text.h"

#define PROVENANCE_KEYS 12
typedef struct provenance_t {
    int n;
    const char *key[PROVENANCE_KEYS], *value[PROVENANCE_KEYS];
} provenance_t;
void provenance_add(provenance_t *p, const char *key, const char *value);
void provenance_header(const provenance_t *p, text_t *t); /* "##caduceus_key=value" lines, less what is a part's own */
bool provenance_of_part(const char *key);
void provenance_json(const provenance_t *p, text_t *t);
int provenance_write(const provenance_t *p, output_t *out, cad_error_t *err); /* as JSON */

#endif
