/* provenance.c - where a result comes from, in one order for every format.
 * SPDX-License-Identifier: MIT */
#include "glue.h"

void provenance_add(provenance_t *p, const char *key, const char *value)
{
    if (p->n == PROVENANCE_KEYS) return;
    p->key[p->n] = key;
    p->value[p->n++] = value;
}

void provenance_header(const provenance_t *p, text_t *t)
{
    for (int i = 0; i < p->n; i++) text_printf(t, "##caduceus_%s=%s\n", p->key[i], p->value[i]);
}

/* Values hold no character that JSON escapes: versions, checksums, option names. */
void provenance_json(const provenance_t *p, text_t *t)
{
    text_puts(t, "{\n");
    for (int i = 0; i < p->n; i++) text_printf(t, "  \"%s\": \"%s\"%s\n", p->key[i], p->value[i], i + 1 < p->n ? "," : "");
    text_puts(t, "}\n");
}
