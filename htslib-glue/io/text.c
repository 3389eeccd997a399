/* text.c - builds text in memory. A failed allocation is remembered, and text_write reports it, so callers check only
 * the result of text_write. SPDX-License-Identifier: MIT
 */
#include <math.h>

#include "io/text.h"

void text_put(text_t *t, const char *s, size_t n)
{
    if (kputsn(s, n, &t->s) < 0) t->failed = true;
}

void text_puts(text_t *t, const char *s) { text_put(t, s, strlen(s)); }

void text_printf(text_t *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (kvsprintf(&t->s, fmt, ap) < 0) t->failed = true;
    va_end(ap);
}

void text_number(text_t *t, double v)
{
    char buf[40];
    if (isnan(v)) text_put(t, ".", 1);
    else text_put(t, buf, (size_t)snprintf(buf, sizeof buf, "%.6g", v == 0 ? 0.0 : v)); /* writes -0 as 0 */
}

void text_columns(text_t *t, const double *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        text_put(t, "\t", 1);
        text_number(t, v[i]);
    }
}

static void put_field(text_t *t, const char *s, size_t n)
{
    bool plain = true;
    for (size_t i = 0; i < n; i++) plain &= s[i] != ',' && s[i] != '"' && s[i] != '\r';
    if (plain) {
        text_put(t, s, n);
        return;
    }
    text_puts(t, "\"");
    for (size_t i = 0; i < n; i++) text_put(t, s[i] == '"' ? "\"\"" : s + i, s[i] == '"' ? 2 : 1);
    text_puts(t, "\"");
}

void text_csv(text_t *t, const text_t *lines)
{
    const char *s = lines->s.s, *end = s + lines->s.l;
    t->failed |= lines->failed;
    while (s && s < end) {
        size_t n = 0;
        bool last;
        while (s + n < end && s[n] != '\t' && s[n] != '\n') n++;
        last = s + n == end || s[n] == '\n';
        put_field(t, s, n - (last && n && s[n - 1] == '\r'));
        text_puts(t, last ? "\n" : ",");
        s += n + 1;
    }
}

void text_clear(text_t *t)
{
    t->s.l = 0;
    t->failed = false;
}

void text_free(text_t *t)
{
    free(t->s.s);
    memset(t, 0, sizeof *t);
}

int text_write(output_t *out, const text_t *t, cad_error_t *err)
{
    if (t->failed) return cad_fail(err, CAD_ENOMEM, "out of memory for a line of output");
    return t->s.l ? output_write(out, t->s.s, t->s.l, err) : 0;
}

int text_save(const text_t *t, const char *path, cad_error_t *err)
{
    output_t *out;
    int rc = output_open(&out, path, output_is_gz(path), err);
    if (rc) return rc;
    rc = text_write(out, t, err);
    if (rc == 0) return output_close(out, err);
    output_abort(out);
    return rc;
}
