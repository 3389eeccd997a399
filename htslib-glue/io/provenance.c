/* provenance.c - writes the provenance of results (model, options, versions); its keys have the same order in every
 * format. SPDX-License-Identifier: MIT */
#include <math.h>

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

void provenance_table(const provenance_t *p, bool plain, const char *columns, text_t *t)
{
    if (!plain) provenance_header(p, t);
    text_puts(t, columns + plain);
}

json_t *string_json(const char *s)
{
    json_t *json = json_string(s);
    char *copy = json ? NULL : strdup(s);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c > 127) *c = '?';
    if (copy) json = json_string(copy);
    free(copy);
    return json;
}

json_t *provenance_object(const provenance_t *p)
{
    json_t *json = json_object();
    for (int i = 0; i < p->n; i++)
        if (!provenance_of_part(p->key[i])) json_object_set_new(json, p->key[i], string_json(p->value[i]));
    return json;
}

json_t *number_json(double v) { return isfinite(v) ? json_real(v) : json_null(); }

void provenance_layout(const json_t *json, text_t *t)
{
    char *s = json ? json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
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
        if (json_object_set_new(json, p->key[i], string_json(p->value[i]))) t->failed = true;
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
