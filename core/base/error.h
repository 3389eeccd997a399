/* error.h - reports errors: a code, and a text of one line. SPDX-License-Identifier: MIT */
#ifndef CAD_ERROR_H
#define CAD_ERROR_H

#include "caduceus.h"

/* Writes the text to err, as one line, and returns code, so that callers can write `return cad_fail(err, CAD_EIO,
 * ...)`. err may be NULL. */
int cad_fail(cad_error_t *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Writes the text "out of memory" to err, which may be NULL; returns CAD_ENOMEM. */
int cad_out_of_memory(cad_error_t *err);

#endif
