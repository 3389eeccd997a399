/* json.c - reads and writes JSON with jansson. SPDX-License-Identifier: MIT */
#include <ctype.h>

#include "base/file.h"
#include "model/json.h"

#define DIGITS 18          /* every integer with this many digits fits into json_int_t */
#define MARK '\1'          /* first byte of a marked string, which stands for a number that jansson cannot hold */
#define QUOTED "\"\\u0001" /* the beginning of a marked string in JSON text */

typedef struct {
    const char *s; /* a text and its size */
    size_t n;
} span_t;

/* Returns the length of the whole part of the number at the beginning of t: its sign and digits. */
static size_t whole_part(span_t t)
{
    size_t n = t.n && t.s[0] == '-';
    while (n < t.n && isdigit((unsigned char)t.s[n])) n++;
    return n;
}

static bool is_long(span_t t, size_t whole)
{
    bool real = whole < t.n && (t.s[whole] == '.' || t.s[whole] == 'e' || t.s[whole] == 'E');
    return whole - (t.s[0] == '-') > DIGITS && !real;
}

/* True for Infinity, -Infinity and NaN (n letters), which Python writes, though JSON has no such numbers. */
static bool is_word(span_t t, size_t n)
{
    return (n == 8 && !memcmp(t.s, "Infinity", 8)) || (n == 9 && !memcmp(t.s, "-Infinity", 9)) ||
           (n == 3 && !memcmp(t.s, "NaN", 3));
}

/* Returns the size of the string, number or word at the beginning of t; at least 1. */
static size_t token(span_t t)
{
    size_t n = 1;
    if (t.s[0] == '"') {
        while (n < t.n && t.s[n] != '"') n += 1 + (t.s[n] == '\\');
        return n < t.n ? n + 1 : t.n;
    }
    if (!isalnum((unsigned char)t.s[0]) && t.s[0] != '-') return 1;
    while (n < t.n && (isalnum((unsigned char)t.s[n]) || (t.s[n] && strchr("+-.", t.s[n])))) n++;
    return n;
}

/* Copies JSON text to out. Each number that jansson cannot hold is replaced by a marked string. Returns the size of the
 * copy. */
static size_t mark_numbers(const char *s, size_t n, char *out)
{
    size_t at = 0;
    for (size_t i = 0, k; i < n; i += k) {
        span_t t = { s + i, n - i };
        bool mark = is_long(t, whole_part(t));
        k = token(t);
        mark = mark || is_word(t, k);
        if (mark) at += (size_t)sprintf(out + at, "%s", QUOTED);
        memcpy(out + at, t.s, k);
        at += k;
        if (mark) out[at++] = '"';
    }
    return at;
}

/* Replaces, in place, the marked strings of JSON text by the numbers that they stand for. */
static void unmark_numbers(char *text, size_t *size)
{
    char *to = text, *end = text + *size;
    for (char *s = text; s < end;) {
        size_t k = token((span_t) { s, (size_t)(end - s) });
        bool marked = k > sizeof QUOTED && !strncmp(s, QUOTED, sizeof QUOTED - 1);
        size_t skip = marked ? sizeof QUOTED - 1 : 0, keep = k - skip - marked;
        memmove(to, s + skip, keep);
        to += keep;
        s += k;
    }
    *to = 0;
    *size = (size_t)(to - text);
}

bool cad_json_number(const json_t *v, double *d)
{
    const char *s = json_string_value(v);
    *d = s && *s == MARK ? strtod(s + 1, NULL) : json_number_value(v);
    return json_is_number(v) || (s && *s == MARK);
}

int cad_json_parse(json_t **root, const char *text, size_t size, const char *path, cad_error_t *err)
{
    json_error_t je;
    /* in the worst case, "NaN,", four bytes of text become 12 */
    char *marked = size < SIZE_MAX / 8 ? malloc(4 * size + sizeof QUOTED) : NULL;
    *root = NULL;
    if (!marked) return cad_fail(err, CAD_ENOMEM, "%s: out of memory", path);
    *root = json_loadb(marked, mark_numbers(text, size, marked), JSON_REJECT_DUPLICATES, &je);
    free(marked);
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

/* True if the text, when parsed, gives the same value. */
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
    if (text) unmark_numbers(text, size);
    return text;
}
