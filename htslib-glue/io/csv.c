/* csv.c - splits a line of CSV or TSV into its columns. SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/csv.h"

const char *cells_get(const cells_t *c, int k) { return c->text.s + c->at[k]; }

void cells_clear(cells_t *c)
{
    c->n = 0;
    c->text.l = 0;
}

static int begin(cells_t *c)
{
    if (c->n == c->room) {
        int room = c->room ? 2 * c->room : 16;
        size_t *more = realloc(c->at, (size_t)room * sizeof *more);
        if (!more) return CAD_ENOMEM;
        c->at = more;
        c->room = room;
    }
    c->at[c->n++] = c->text.l;
    return 0;
}

int cells_add(cells_t *c, const char *s, size_t n)
{
    int rc = begin(c);
    if (rc == 0 && (kputsn(s, n, &c->text) < 0 || kputc(0, &c->text) < 0)) rc = CAD_ENOMEM;
    return rc;
}

/* Appends a quoted column. s points to the opening quote. Sets *stop to the byte after the closing quote. */
static int add_quoted(cells_t *c, const char *s, const char *end, const char **stop)
{
    int rc = begin(c);
    for (s++; s < end && rc == 0; s++) {
        if (*s == '"' && (s + 1 == end || s[1] != '"')) {
            *stop = s + 1;
            return kputc(0, &c->text) < 0 ? CAD_ENOMEM : 0;
        }
        s += *s == '"';
        if (kputc(*s, &c->text) < 0) rc = CAD_ENOMEM;
    }
    return rc ? rc : CAD_EFORMAT;
}

int cells_split(cells_t *c, const char *s, size_t n, char separator)
{
    const char *end = s + n;
    if (n && end[-1] == '\r') end--;
    cells_clear(c);
    for (;; s++) {
        const char *stop = s < end ? memchr(s, separator, (size_t)(end - s)) : NULL;
        int rc;
        if (!stop) stop = end;
        if (s < end && *s == '"') rc = add_quoted(c, s, end, &stop);
        else rc = cells_add(c, s, (size_t)(stop - s));
        if (rc) return rc;
        if (stop < end && *stop != separator) return CAD_EFORMAT;
        s = stop;
        if (s == end) return 0;
    }
}

char cells_separator(const char *s, size_t n) { return memchr(s, '\t', n) ? '\t' : ','; }

int cells_find(const cells_t *c, const char *a, const char *b)
{
    for (int i = 0; i < c->n; i++)
        if (!strcasecmp(cells_get(c, i), a) || !strcasecmp(cells_get(c, i), b)) return i;
    return -1;
}

void cells_free(cells_t *c)
{
    free(c->text.s);
    free(c->at);
    memset(c, 0, sizeof *c);
}
