/* crai_check.h - parses a .crai before htslib loads it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CRAI_CHECK_H
#define CAD_CRAI_CHECK_H

#include "io/index_check.h"

/* Called by index_check, which has opened x->fd. Returns CAD_EFORMAT if a line is malformed, is out of order, or does
 * not point to a slice of the CRAM. */
int crai_check(const index_file_t *x, cad_error_t *err);

#endif
