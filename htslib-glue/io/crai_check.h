/* crai_check.h - .crai is parsed before htslib loads it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CRAI_CHECK_H
#define CAD_CRAI_CHECK_H

#include "io/index_check.h"

/* For index_check: x->fd is open. CAD_EFORMAT if a line is malformed, out of order, or leads to no slice of the CRAM. */
int crai_check(const index_file_t *x, cad_error_t *err);

#endif
