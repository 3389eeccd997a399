/* product_types.h - declares the structs that describe matrix products; product.h computes the products.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_PRODUCT_TYPES_H
#define CAD_CUDA_PRODUCT_TYPES_H

#include "portable.h"

/* How the weights W of a product are stored; the inputs A are of type T. */
typedef enum {
    AS_FP32,
    AS_BF16,
    /* each number as the sum of two bfloat16 parts: W has (high, high, low) for a number and A, which `multiply`
     * converts, (high, low, high), so that a product of 3k columns sums all but low x low */
    AS_BF16X3
} form_t;

/* A product C (rows,n) = A (rows,k) x W^T with W (n,k) or, if `transposed`, A (rows,k) x W with W (k,n). Each shape has
 * one algorithm. */
typedef struct {
    int64_t n, k, ldc;
    bool transposed; /* W is (k,n) */
    bool half;       /* A and W are bfloat16 */
    bool split;      /* A is float32, W is AS_BF16X3 */
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
