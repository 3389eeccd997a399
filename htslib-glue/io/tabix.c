/* tabix.c - writes the tabix index of a compressed BED or bedGraph. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <htslib/tbx.h>

#include "io/tabix.h"

int tabix_index(output_t *text, output_t *index, bool csi, const char *path, cad_error_t *err)
{
    int rc = output_sync(text, err);
    errno = 0;
    if (rc) return rc;
    if (tbx_index_build3(output_temporary(text), output_temporary(index), csi ? 14 : 0, 0, &tbx_conf_bed) == 0)
        return output_sync(index, err);
    if (errno) return cad_fail(err, CAD_EIO, "%s: the tabix index could not be written: %s", path, strerror(errno));
    return cad_fail(err, CAD_EFORMAT,
                    "%s: cannot be indexed: its rows are not sorted by contig and start, or not separated by tabs",
                    path);
}
