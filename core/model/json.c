/* json.c - reading and writing JSON by jansson. SPDX-License-Identifier: MIT */
#include <ctype.h>

#include "base/file.h"
#include "model/json.h"

#define DIGITS 18 /* every integer of so many digits fits json_int_t */

/* Copies a number at s, with ".0" after an integer that is too long for json_int_t; returns the bytes read. */
static size_t copy_number(const char *s, size_t n, char *out, size_t *at)
{
    size_t digits = 0;
    while (digits < n && isdigit((unsigned char)s[digits])) digits++;
    memcpy(out + *at, s, digits);
    *at += digits;
    if (digits > DIGITS && (digits == n || !strchr(".eE", s[digits]))) {
        memcpy(out + *at, ".0", 2);
        *at += 2;
    }
    return digits;
}

/* Copies JSON text and makes its longest integers reals; returns the size of the copy. */
static size_t widen(const char *s, size_t n, char *out)
{
    size_t at = 0;
    bool quoted = false, fraction = false;
    for (size_t i = 0; i < n;) {
        if (!quoted && !fraction && isdigit((unsigned char)s[i])) {
            i += copy_number(s + i, n - i, out, &at);
            continue;
        }
        if (quoted && s[i] == '\\' && i + 1 < n) out[at++] = s[i++];
        else if (s[i] == '"') quoted = !quoted;
        fraction = !quoted && (s[i] == '.' || s[i] == 'e' || s[i] == 'E' || (fraction && strchr("+-0123456789", s[i])));
        out[at++] = s[i++];
    }
    return at;
}

int cad_json_parse(json_t **root, const char *text, size_t size, const char *path, cad_error_t *err)
{
    json_error_t je;
    char *wide = size < SIZE_MAX / 2 ? malloc(size + size / DIGITS * 2 + 2) : NULL;
    *root = NULL;
    if (!wide) return cad_fail(err, CAD_ENOMEM, "%s: out of memory", path);
    *root = json_loadb(wide, widen(text, size, wide), JSON_REJECT_DUPLICATES, &je);
    free(wide);
    if (!*root) return cad_fail(err, CAD_EFORMAT, "%s:%d: %s", path, je.line, je.text);
    if (json_is_object(*root)) return 0;
    json_decref(*root);
    *root = NULL;
    return cad_fail(err, CAD_EFORMAT, "%s: not a JSON object", path);
}

int cad_json_load(json_t **root, const char *path, bool optional, cad_error_t *err)
{
    char *text;
    size_t size;
    int rc = cad_read_text(&text, &size, path, optional, err);
    *root = NULL;
    if (rc == 0 && text) rc = cad_json_parse(root, text, size, path, err);
    free(text);
    return rc;
}

/* True if the text gives back the same value. */
static bool exact(const char *text, size_t size, const json_t *value)
{
    json_t *back = json_loadb(text, size, JSON_DECODE_ANY, NULL);
    bool same = back && json_equal(back, value);
    json_decref(back);
    return same;
}

static char *dump(const json_t *value, size_t flags, size_t *size)
{
    char *text = NULL;
    *size = json_dumpb(value, NULL, 0, flags);
    if (*size) text = malloc(*size + 1);
    if (text && json_dumpb(value, text, *size, flags) != *size) {
        free(text);
        return NULL;
    }
    if (text) text[*size] = 0;
    return text;
}

char *cad_json_text(json_t *value, size_t flags, size_t *size)
{
    char *text = NULL;
    *size = 0;
    for (size_t digits = 15; value && digits <= 17; digits++) {
        free(text);
        text = dump(value, flags | JSON_REAL_PRECISION(digits), size);
        if (!text || exact(text, *size, value)) break;
    }
    json_decref(value);
    return text;
}
