/* text.h - builds text in memory. A failed allocation is remembered, and text_write reports it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_TEXT_H
#define CAD_TEXT_H

#include <htslib/kstring.h>

#include "io/output.h"

typedef struct text_t { /* zeroed: empty */
    kstring_t s;
    bool failed; /* an allocation failed: the text is incomplete */
} text_t;
void text_put(text_t *t, const char *s, size_t n);
void text_puts(text_t *t, const char *s);
void text_printf(text_t *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Appends v formatted by %.6g, or "." if v is NaN. */
void text_number(text_t *t, double v);
/* Appends a tab and then the number, as text_number does, for each of n numbers. */
void text_columns(text_t *t, const double *v, int64_t n);
/* Appends tab-separated lines as CSV: with commas, and quotes where needed. Drops a \r at the end of a line. */
void text_csv(text_t *t, const text_t *lines);
void text_clear(text_t *t);
void text_free(text_t *t);
/* Writes the text. Returns 0 or a negative CAD_E*: CAD_ENOMEM if an allocation failed while the text was built. */
int text_write(output_t *out, const text_t *t, cad_error_t *err);
/* Writes the text to a file, which is then complete, or unchanged after a failure. The file is compressed if its name
 * ends in .gz. */
int text_save(const text_t *t, const char *path, cad_error_t *err);

#endif
