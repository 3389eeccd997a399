/* memory.h - allocates aligned memory, and lays out arrays in it with a bump allocator. This header is valid C and CUDA
 * C++. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MEMORY_H
#define CAD_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Allocates count x size bytes, aligned to 64 bytes and not cleared; release with free(). Returns NULL if the product
 * overflows or memory is out. */
void *cad_alloc(size_t count, size_t size);

/* Allocates `bytes` bytes that are 0, aligned as by cad_alloc; a large allocation uses no physical memory until it is
 * written. Release *own with free(), not the returned address. */
void *cad_alloc_zero(size_t bytes, void **own);

/* Gives the whole pages inside [p, p+bytes) back to the system; their contents are lost. */
void cad_discard(void *p, size_t bytes);

/* A bump allocator (arena): divides one allocation into arrays, each aligned to 64 bytes. Make the same calls twice.
 * With base NULL they only count, and `used` is then the number of bytes to allocate; with base set they return the
 * arrays. A size that is negative or overflows sets `used` to SIZE_MAX for good, so it is enough to test `used` once,
 * after the last call. */
typedef struct {
    char *base;
    size_t used; /* bytes; SIZE_MAX after an overflow */
} cad_bump_t;

/* Reserves count x width elements of `size` bytes and returns their offset in bytes from base, or SIZE_MAX on overflow.
 * The next array will be aligned to `align` bytes, a power of two. Offsets serve to lay out two allocations alike, such
 * as host and device memory. */
static inline size_t cad_bump_offset(cad_bump_t *b, int64_t count, int64_t width, size_t size, size_t align)
{
    size_t n, at = b->used;
    if (__builtin_mul_overflow((size_t)count, (size_t)width, &n) || __builtin_mul_overflow(n, size, &n) ||
        n > SIZE_MAX / 4 || at > SIZE_MAX / 4) {
        b->used = SIZE_MAX;
        return SIZE_MAX;
    }
    b->used = (at + n + align - 1) / align * align;
    return at;
}

/* Reserves count x width elements of `size` bytes, aligned to 64 bytes. Returns their address, or NULL while counting
 * (base NULL) and on overflow. */
static inline void *cad_bump(cad_bump_t *b, int64_t count, int64_t width, size_t size)
{
    size_t at = cad_bump_offset(b, count, width, size, 64);
    return b->base && at != SIZE_MAX ? b->base + at : NULL;
}

static inline float *cad_bump_floats(cad_bump_t *b, int64_t count, int64_t width)
{
    return (float *)cad_bump(b, count, width, sizeof(float));
}

#endif
