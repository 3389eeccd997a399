/* memory.c - allocates aligned memory.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/memory.h"

#define HUGE ((size_t)2 << 20) /* bytes of a large page */

void *cad_alloc(size_t count, size_t size)
{
    size_t bytes, unit;
    void *p;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    if (bytes == 0) bytes = 1;
    unit = bytes < 16 * HUGE ? 64 : HUGE;
    if (bytes > SIZE_MAX - (unit - 1)) return NULL;
    bytes = (bytes + unit - 1) / unit * unit;
    p = aligned_alloc(unit, bytes);
#ifdef MADV_HUGEPAGE /* asks for large pages: a kernel that reads a column touches another small page in each row */
    if (p && unit == HUGE) madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return p;
}
