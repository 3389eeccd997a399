/* provenance.c - where a result comes from, in one order for every format.
 * SPDX-License-Identifier: MIT */
#include "io/provenance.h"

void provenance_add(provenance_t *p, const char *key, const char *value)
{
    if (p->n == PROVENANCE_KEYS) return;
    p->key[p->n] = key;
    p->value[p->n++] = value;
}

bool provenance_of_part(const char *key) { return !strcmp(key, "shard") || !strcmp(key, "work"); }

void provenance_header(const provenance_t *p, text_t *t)
{
    for (int i = 0; i < p->n; i++)
        if (!provenance_of_part(p->key[i])) text_printf(t, "##caduceus_%s=%s\n", p->key[i], p->value[i]);
}

/* Values hold no character that JSON escapes: versions, checksums, option names. */
void provenance_json(const provenance_t *p, text_t *t)
{
    text_puts(t, "{\n");
    for (int i = 0; i < p->n; i++)
        text_printf(t, "  \"%s\": \"%s\"%s\n", p->key[i], p->value[i], i + 1 < p->n ? "," : "");
    text_puts(t, "}\n");
}

int provenance_write(const provenance_t *p, output_t *out, cad_error_t *err)
{
    text_t t = { 0 };
    int rc;
    provenance_json(p, &t);
    rc = text_write(out, &t, err);
    text_free(&t);
    return rc;
}
