/* number.c - parses integers, and reverses the order of an array's rows.
 *
 * SPDX-License-Identifier: MIT
 */
#include "base/number.h"

bool cad_parse_int(const char *s, int64_t lo, int64_t hi, int64_t *out)
{
    bool minus = *s == '-';
    int64_t v = 0;
    if (minus) s++;
    if (!*s) return false;
    for (; *s; s++) { /* v is the negated value, because the lowest integer has no positive counterpart */
        if (*s < '0' || *s > '9') return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, *s - '0', &v)) return false;
    }
    if (!minus && __builtin_sub_overflow(0, v, &v)) return false;
    if (v < lo || v > hi) return false;
    *out = v;
    return true;
}

void cad_reverse_rows(float *a, int64_t n, int64_t width)
{
    for (int64_t i = 0, j = n - 1; i < j; i++, j--)
        for (int64_t k = 0; k < width; k++) {
            float t = a[i * width + k];
            a[i * width + k] = a[j * width + k];
            a[j * width + k] = t;
        }
}
