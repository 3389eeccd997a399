/* product_types.h - structs that describe matrix products; product.h runs them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_PRODUCT_TYPES_H
#define CAD_CUDA_PRODUCT_TYPES_H

#include "portable.h"

/* C (rows,n) = A (rows,k) x W^T, where W is (n,k); or A x W if `transposed`, where W is (k,n). Each shape has one
 * algorithm. */
typedef struct {
    int64_t n, k, ldc;
    bool transposed; /* W is (k,n) */
    bool half;       /* A and W are bfloat16 */
    bool half_out;   /* C is bfloat16 */
    bool fast;       /* float32 may be rounded to TF32 */
#ifdef __CUDACC__
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t w, a, c;
    cublasLtMatmulAlgo_t algo;
#endif
} product_t;

/* C (n,k) = A (PART_ROWS,n)^T x B (PART_ROWS,k), in float32: a partial sum of a weight's gradient. */
typedef struct {
    int64_t n, k, lda, ldb;
    bool fast;
#ifdef __CUDACC__
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t b, a, c;
    cublasLtMatmulAlgo_t algo;
#endif
} outer_t;

#endif
