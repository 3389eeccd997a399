/* crai_check.h - checks a .crai, the index of a CRAM, before htslib loads it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CRAI_CHECK_H
#define CAD_CRAI_CHECK_H

#include "io/index_check.h"

/* Checks the .crai at x->path against the CRAM, which index_check has opened as x->fd. Returns 0, or a negative CAD_E*:
 * CAD_EFORMAT if a line is malformed, is out of order, or does not point to a slice of the CRAM. */
int crai_check(const index_file_t *x, cad_error_t *err);

#endif
