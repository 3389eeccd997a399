/* provenance.c - writes the provenance of results; its keys have the same order in every format.
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

/* Returns a JSON string. If s is not UTF-8, every byte that is not ASCII becomes a question mark. */
static json_t *json_text(const char *s)
{
    json_t *json = json_string(s);
    char *copy = json ? NULL : strdup(s);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c > 127) *c = '?';
    if (copy) json = json_string(copy);
    free(copy);
    return json;
}

void provenance_layout(const json_t *json, text_t *t)
{
    char *s = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    if (!s) t->failed = true;
    else {
        text_puts(t, s);
        text_put(t, "\n", 1);
    }
    free(s);
}

void provenance_json(const provenance_t *p, text_t *t)
{
    json_t *json = json_object();
    for (int i = 0; i < p->n; i++)
        if (json_object_set_new(json, p->key[i], json_text(p->value[i]))) t->failed = true;
    provenance_layout(json, t);
    json_decref(json);
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
