/* info_text.c - reads values from the INFO column of a VCF, as text: keys may be of any type.
 * SPDX-License-Identifier: MIT */
#include "learn/info_text.h"

void info_declare(const char *line, info_key_t *key)
{
    static const char id[] = "##INFO=<ID=";
    size_t n = key->name ? strlen(key->name) : 0;
    const char *s = line + sizeof id - 1;
    if (!n || strncmp(line, id, sizeof id - 1) || strncmp(s, key->name, n) || s[n] != ',') return;
    key->flag = strstr(s, "Type=Flag") != NULL;
    key->each = strstr(s, "Number=A,") != NULL;
}

const char *info_value(const char *info, const char *key, size_t *n)
{
    size_t k = strlen(key);
    for (const char *s = info; *s; s += s[strcspn(s, ";")] ? strcspn(s, ";") + 1 : strlen(s)) {
        if (strncmp(s, key, k) || (s[k] && !strchr("=;", s[k]))) continue;
        s += k + (s[k] == '=');
        *n = strcspn(s, ";");
        return s;
    }
    return NULL;
}

int info_count(const char *s, size_t n)
{
    int commas = 1;
    for (size_t i = 0; i < n; i++) commas += s[i] == ',';
    return commas;
}

const char *info_item(const char *s, size_t n, int i, size_t *len)
{
    const char *end = s + n;
    while (i > 0 && s < end) {
        s += strcspn(s, ",;");
        if (s < end) s++;
        i--;
    }
    *len = i ? 0 : strcspn(s, ",;");
    if (s + *len > end) *len = (size_t)(end - s);
    return s;
}

const char *info_of_allele(const char *info, const info_key_t *key, int i, size_t *len)
{
    const char *s = key->name ? info_value(info, key->name, len) : NULL;
    return s && key->each ? info_item(s, *len, i, len) : s;
}

int info_check(const input_t *in, const char *info, const info_key_t *key, int alleles, cad_error_t *err)
{
    size_t n = 0;
    const char *s = key->name ? info_value(info, key->name, &n) : NULL;
    int items = s ? info_count(s, n) : alleles;
    if (!key->each || items == alleles || (n == 1 && *s == '.')) return 0;
    return cad_fail(err, CAD_EFORMAT, "%s:%lld: %s has %d values, and the record has %d ALT", in->path,
                    (long long)in->line, key->name, items, alleles);
}
