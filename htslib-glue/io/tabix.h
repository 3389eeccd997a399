/* tabix.h - writes the tabix index of a compressed BED or bedGraph. SPDX-License-Identifier: MIT */
#ifndef CAD_TABIX_H
#define CAD_TABIX_H

#include "io/output.h"

#define TBI_MOST ((int64_t)1 << 29) /* the largest position that a .tbi can hold */

/* Syncs the output `text`, which is complete, and writes its tabix index to the output `index`: a .csi or a .tbi. path:
 * the path of text, for messages. */
int tabix_index(output_t *text, output_t *index, bool csi, const char *path, cad_error_t *err);

#endif
