/* pieces.c - cuts a line of VCF or SAM text into pieces, and checks whether htslib would write each piece unchanged.
 *
 * htslib stores the fields of a line in narrow types: float32, integers of 8 to 32 bits, four bits per base. A line is
 * therefore compared with the line that htslib would write.
 *
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <math.h>

#include "io/pieces.h"

piece_t piece_split(piece_t *rest, char separator)
{
    const char *end = rest->n ? memchr(rest->s, separator, rest->n) : NULL;
    piece_t first = { rest->s, end ? (size_t)(end - rest->s) : rest->n };
    size_t gone = first.n + (end != NULL);
    *rest = (piece_t) { rest->s + gone, rest->n - gone };
    return first;
}

bool piece_equal(piece_t a, piece_t b) { return a.n == b.n && (!a.n || !memcmp(a.s, b.s, a.n)); }

int piece_shown(piece_t p) { return (int)cad_min((int64_t)p.n, 40); }

bool piece_number(piece_t p, double *value)
{
    static const char letters[] = "+-.0123456789eEinfINFatyATY"; /* the letters of 1e-5, nan, inf, Infinity */
    char text[64], *end;
    if (!p.n || p.n >= sizeof text) return false;
    memcpy(text, p.s, p.n);
    text[p.n] = 0;
    errno = 0;
    *value = strtod(text, &end);
    return strspn(text, letters) == p.n && end == text + p.n;
}

kept_t piece_kept(piece_t read, piece_t written)
{
    double a, b;
    bool beyond;
    if (piece_equal(read, written) || (!read.n && piece_equal(written, (piece_t) { ".", 1 }))) return KEPT;
    if (!piece_number(read, &a)) return CHANGED;
    beyond = errno == ERANGE; /* the number does not fit in float64, and so not in float32 */
    if (!piece_number(written, &b) || beyond) return CHANGED;
    if (a == b || (isnan(a) && isnan(b))) return KEPT;
    return isfinite(a) && isfinite(b) && fabs(a - b) <= 5.1e-6 * fabs(a) ? ROUNDED : CHANGED;
}
