/* store.h - packs weights: assembles all arrays on the host, then copies them to the device in one call.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_STORE_H
#define CAD_CUDA_STORE_H

#include "common.h"

/* A store: host memory and device memory with the same layout. A function place_NAME fills an array on the host and
 * returns the address of its copy on the device. If host.base is NULL, the functions only add up sizes. */
typedef struct {
    cad_bump_t host;
    char *device;
} store_t;

/* Reserves memory for an array (rows,cols) at a multiple of 256 bytes, as cublasLt prefers, and returns its offset.
 * After an overflow host.used stays above SIZE_MAX / 2, as in cad_bump. */
static size_t reserve(store_t *s, int64_t rows, int64_t cols, size_t size)
{
    size_t at = s->host.used;
    cad_bump(&s->host, rows, cols, size);
    if (s->host.used <= SIZE_MAX / 2) s->host.used = (s->host.used + 255) / 256 * 256;
    return at;
}

static bool overflowed(const store_t *s) { return s->host.used > SIZE_MAX / 2; }

static void *on_host(const store_t *s, size_t at) { return s->host.base ? s->host.base + at : NULL; }
static const void *on_device(const store_t *s, size_t at) { return s->device ? s->device + at : NULL; }

/* Places v (rows,cols), or the transpose of v (cols,rows) if `transposed`, as an array (rows_p,cols_p) with zeros as
 * padding. v NULL: all values are 0. */
static const float *place(store_t *s, const float *v, int64_t rows, int64_t cols, int64_t rows_p, int64_t cols_p,
                          bool transposed)
{
    size_t at = reserve(s, rows_p, cols_p, sizeof(float));
    float *d = (float *)on_host(s, at);
    for (int64_t r = 0; d && v && r < rows; r++)
        for (int64_t c = 0; c < cols; c++) d[r * cols_p + c] = transposed ? v[c * rows + r] : v[r * cols + c];
    return (const float *)on_device(s, at);
}

static const float *place_vector(store_t *s, const float *v, int64_t n, int64_t np)
{
    return place(s, v, 1, n, 1, np, false);
}

/* Does the same as place_vector, with the n values in reverse order. */
static const float *place_mirrored(store_t *s, const float *v, int64_t n, int64_t np)
{
    size_t at = reserve(s, 1, np, sizeof(float));
    float *d = (float *)on_host(s, at);
    for (int64_t i = 0; d && v && i < n; i++) d[i] = v[n - 1 - i];
    return (const float *)on_device(s, at);
}

static size_t bytes_of(form_t form) { return form == AS_FP32 ? 4 : form == AS_BF16 ? 2 : 6; }

/* Writes v to the i-th number of the weights W of a product, which begin at d: AS_BF16 or AS_BF16X3. */
static void put_weight(bf16_t *d, form_t form, int64_t i, float v)
{
    bf16_t high = to_bf16(v);
    if (form == AS_BF16) d[i] = high;
    else {
        d[3 * i] = d[3 * i + 1] = high;
        d[3 * i + 2] = to_bf16(v - from_bf16(high));
    }
}

/* Writes v (rows,cols) to the weights W (...,cols_p) of a product, from row `to` of W onwards. */
static void fill_table(char *d, form_t form, const float *v, int64_t rows, int64_t cols, int64_t cols_p, int64_t to)
{
    for (int64_t r = 0; r < rows; r++, v += cols) {
        int64_t at = (to + r) * cols_p;
        if (form == AS_FP32) memcpy((float *)d + at, v, (size_t)cols * sizeof *v);
        else
            for (int64_t c = 0; c < cols; c++) put_weight((bf16_t *)d, form, at + c, v[c]);
    }
}

/* Places v (parts,rows,cols) as an array (parts,rows_p,cols_p) with padding. parts: number of matrices, such as 2 for x
 * and z of in_proj. */
static const void *place_table(store_t *s, form_t form, const float *v, int parts, int64_t rows, int64_t cols,
                               int64_t rows_p, int64_t cols_p)
{
    size_t at = reserve(s, parts * rows_p, cols_p, bytes_of(form));
    char *d = (char *)on_host(s, at);
    for (int i = 0; d && i < parts; i++) fill_table(d, form, v + i * rows * cols, rows, cols, cols_p, i * rows_p);
    return on_device(s, at);
}

/* Returns zeroed pinned memory, or NULL if there is none; the callers then use ordinary memory. */
static char *stage_open(size_t bytes)
{
    void *p;
    if (cudaMallocHost(&p, bytes) == cudaSuccess) return (char *)memset(p, 0, bytes);
    cudaGetLastError();
    return NULL;
}

/* Begins a store of `bytes` bytes that will be copied to the device. The host memory is `stage` or, if stage is NULL,
 * allocated here; host.base is NULL if the allocation fails. */
static store_t store_begin(char *stage, void *device, size_t bytes)
{
    store_t s = { .host = { .base = stage ? stage : (char *)calloc(1, bytes), .used = 0 }, .device = (char *)device };
    return s;
}

/* Copies the store to the device, waits for the copy, and frees what store_begin allocated. */
static cudaError_t store_end(store_t *s, const char *stage, size_t bytes)
{
    cudaError_t e = cudaErrorMemoryAllocation;
    if (s->host.base) e = cudaMemcpy(s->device, s->host.base, bytes, cudaMemcpyHostToDevice);
    /* the lanes' streams do not wait for this copy, so it must be complete */
    if (s->host.base && e == cudaSuccess) e = cudaDeviceSynchronize();
    if (s->host.base != stage) free(s->host.base);
    return e;
}

#endif
