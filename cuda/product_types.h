/* product_types.h - declares the structs that describe matrix products; product.h computes the products.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_PRODUCT_TYPES_H
#define CAD_CUDA_PRODUCT_TYPES_H

#include "portable.h"

/* A product C (rows,n) = A (rows,k) x W^T with W (n,k) or, if `transposed`, A (rows,k) x W with W (k,n). Each shape has
 * one algorithm. */
typedef struct {
    int64_t n, k, ldc;
    bool transposed; /* W is (k,n) */
    bool half;       /* A and W are bfloat16 */
    bool half_out;   /* C is bfloat16 */
    bool fast;       /* float32 operands may be rounded to TF32 */
#ifdef __CUDACC__
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t w, a, c;
    cublasLtMatmulAlgo_t algo;
#endif
} product_t;

/* A product C (n,k) = A (PART_ROWS,n)^T x B (PART_ROWS,k) in float32: a partial sum of a weight's gradient. */
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
