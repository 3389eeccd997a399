/* error.h - error codes with a text. SPDX-License-Identifier: MIT */
#ifndef CAD_ERROR_H
#define CAD_ERROR_H

#include "caduceus.h"

/* Writes the text as one line (err may be NULL) and returns code, so that callers
 * write `return cad_fail(err, CAD_EIO, ...)`. */
int cad_fail(cad_error_t *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The text "out of memory"; returns CAD_ENOMEM. */
int cad_out_of_memory(cad_error_t *err);

#endif
