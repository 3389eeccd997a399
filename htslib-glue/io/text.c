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
    else text_put(t, buf, (size_t)snprintf(buf, sizeof buf, "%.6g", v == 0 ? 0.0 : v)); /* -0 becomes 0 */
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
