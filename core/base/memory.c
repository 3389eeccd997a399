/* memory.c - allocates aligned memory, and gives pages back.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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
#ifdef MADV_HUGEPAGE /* large pages are faster: a kernel that reads a column touches another small page in each row */
    if (p && unit == HUGE) madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return p;
}

void *cad_alloc_zero(size_t bytes, void **own)
{
    size_t unit = bytes < 16 * HUGE ? 64 : HUGE, from;
    *own = bytes > SIZE_MAX - unit ? NULL : calloc(1, bytes + unit);
    if (!*own) return NULL;
    from = (unit - (uintptr_t)*own % unit) % unit;
#ifdef MADV_HUGEPAGE
    if (unit == HUGE) madvise((char *)*own + from, bytes, MADV_HUGEPAGE);
#endif
    return (char *)*own + from;
}

void cad_discard(void *p, size_t bytes)
{
#ifdef MADV_DONTNEED
    size_t page = (size_t)sysconf(_SC_PAGESIZE), skip = (page - (uintptr_t)p % page) % page;
    if (bytes > skip) madvise((char *)p + skip, (bytes - skip) / page * page, MADV_DONTNEED);
#else
    (void)p;
    (void)bytes;
#endif
}
