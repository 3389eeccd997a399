/* portable.h - macros and functions that make the backend compile both with nvcc and with a C compiler (the shim, for
 * tests).
 *
 * The backend is written in the common subset of C and CUDA C++. A kernel takes one struct of arguments, whose name in
 * the kernel is arg:
 *     KERNEL(name, args_t) { ... arg.x[threadIdx.x] ... }
 *     LAUNCH(name, blocks_x, blocks_y, threads, shared_bytes, stream, args);
 * With nvcc these macros make CUDA kernels and launches; with shim.h they run on the CPU, where each thread of a thread
 * block is a fiber. SPDX-License-Identifier: MIT
 */
#ifndef CAD_PORTABLE_H
#define CAD_PORTABLE_H

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#define THREADS 128       /* threads of a thread block: four warps */
#define ALONE_THREADS 256 /* threads of a thread block that takes most of a multiprocessor's shared memory */

#ifdef __CUDACC__
#include <cublasLt.h>
#include <cuda_runtime.h>

#define PACK 131072  /* maximum number of rows of a pack of short sequences */
#define CHUNK 262144 /* maximum number of floats of a copy to pinned memory that overlaps with another */
#define DEVICE static __device__ __forceinline__
#define ANYWHERE static __host__ __device__ __forceinline__
#define KERNEL(name, args) static __global__ void __launch_bounds__(THREADS, 4) name(const __grid_constant__ args arg)
#define KERNEL_WIDE(name, args)                          \
    static __global__ void __launch_bounds__(THREADS, 2) \
        name(const __grid_constant__ args arg) /* allows up to twice as many registers for each thread */
#define KERNEL_ALONE(name, args)                               \
    static __global__ void __launch_bounds__(ALONE_THREADS, 1) \
        name(const __grid_constant__ args arg) /* one thread block of ALONE_THREADS a multiprocessor */
#define LAUNCH(name, bx, by, threads, shared, stream, args) \
    name<<<dim3((unsigned)(bx), (unsigned)(by)), threads, shared, stream>>>(args)
#define SHARED(type, name)                               \
    extern __shared__ __align__(16) char shared_bytes[]; \
    type *name = (type *)shared_bytes
#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("unroll 1")
#define REPEAT(i, n) UNROLL for (int i = 0; i < n; i++)

/* Copies four floats from p, an address that is a multiple of 16. */
DEVICE void load4(const float *p, float *to)
{
    float4 v = *(const float4 *)p;
    to[0] = v.x;
    to[1] = v.y;
    to[2] = v.z;
    to[3] = v.w;
}
/* Copies 16 bytes; both addresses are multiples of 16. */
DEVICE void store16(void *to, const void *from) { *(float4 *)to = *(const float4 *)from; }
DEVICE float shuffle_xor(float v, int k) { return __shfl_xor_sync(0xffffffffu, v, k); }
/* Returns v of the thread k before this one, or this thread's own if that is in another group of `width` threads. */
DEVICE float shuffle_up(float v, int k, int width) { return __shfl_up_sync(0xffffffffu, v, k, width); }
DEVICE float fma32(float a, float b, float c) { return fmaf(a, b, c); }
/* Returns 2^x, within two units in the last place; exact for x = 0. */
DEVICE float exp2_fast(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
/* Returns a / b, for b in [1, 2^126]. */
DEVICE float divide_fast(float a, float b) { return __fdividef(a, b); }
/* Begins to copy 16 bytes to shared memory; both addresses are multiples of 16. copies_wait waits for all copies that
 * this thread has begun; other threads see the bytes after a barrier that follows. */
DEVICE void copy16(void *to, const void *from)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((unsigned)__cvta_generic_to_shared(to)), "l"(from)
                 : "memory");
}
DEVICE void copy4(void *to, const void *from) // the same for 4 bytes
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"((unsigned)__cvta_generic_to_shared(to)), "l"(from)
                 : "memory");
}
DEVICE void copies_wait(void) { asm volatile("cp.async.wait_all;" ::: "memory"); }

#else
#include "shim.h"

#define DEVICE static inline __attribute__((always_inline, unused))
#define ANYWHERE DEVICE
#define UNROLL
#define ROLLED
#define REPEAT(i, n) for (int i = 0; i < n; i++)
DEVICE void load4(const float *p, float *to)
{
    shim_aligned(p, 4 * sizeof *p);
    memcpy(to, p, 4 * sizeof *p);
}
DEVICE void store16(void *to, const void *from)
{
    shim_aligned(to, 16);
    shim_aligned(from, 16);
    memcpy(to, from, 16);
}
DEVICE void copy16(void *to, const void *from) { shim_copy(to, from, 16); }
DEVICE void copy4(void *to, const void *from) { shim_copy(to, from, 4); }
DEVICE void copies_wait(void) { shim_copies_wait(); }
DEVICE float shuffle_xor(float v, int k) { return shim_shuffle_xor(v, k); }
DEVICE float shuffle_up(float v, int k, int width) { return shim_shuffle_up(v, k, width); }
DEVICE float fma32(float a, float b, float c) { return a * b + c; }
DEVICE float exp2_fast(float x) { return exp2f(x); }
DEVICE float divide_fast(float a, float b) { return a / b; }
#endif

/* A bfloat16 number: the upper 16 bits of a float32. */
typedef struct {
    uint16_t bits;
} bf16_t;

typedef union {
    float f;
    uint32_t u;
} bits32_t;

ANYWHERE float from_bf16(bf16_t v)
{
    bits32_t b;
    b.u = (uint32_t)v.bits << 16;
    return b.f;
}

/* Rounds v to the nearest bfloat16, ties to even; NaN stays NaN. */
ANYWHERE bf16_t to_bf16(float v)
{
    bf16_t h;
#ifdef __CUDA_ARCH__
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h.bits) : "f"(v));
#else
    bits32_t b;
    b.f = v;
    if (v != v) h.bits = 0x7fff;
    else h.bits = (uint16_t)((b.u + 0x7fff + (b.u >> 16 & 1)) >> 16);
#endif
    return h;
}

#endif
