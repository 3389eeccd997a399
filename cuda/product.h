/* product.h - computes matrix products: by cublasLt or, in the shim, by plain loops.
 *
 * cublasLt computes PRODUCT_ROWS rows at a time. Each shape of a product has one algorithm, chosen when the weights are
 * opened. The algorithm does not split sums (reduction scheme none), and in float32 it does not use TF32, except in the
 * backward pass under bf16. The last call of a batch also computes rows after the batch's end, which are never read.
 * The gradient of a weight is a sum over rows: one call computes PRODUCT_ROWS / PART_ROWS partial sums, each over
 * PART_ROWS rows, and `fold` (sums.h) adds them in order.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_PRODUCT_H
#define CAD_CUDA_PRODUCT_H

#include "common.h"

/* Sets up a product of the forward pass. half_out: its result is bfloat16. */
static void set_product(cad_weights_t *w, product_t *p, int64_t n, int64_t k, bool half_out)
{
    p->n = p->ldc = n;
    p->k = k;
    p->half = w->form == AS_BF16;
    p->split = w->form == AS_BF16X3;
    p->half_out = half_out;
    w->widest = cad_max(w->widest, k);
}

/* Sets up a float32 product of the backward pass. ldc: floats from one row of C to the next. */
static void set_back_product(product_t *p, int64_t n, int64_t k, int64_t ldc, bool transposed, bool fast)
{
    p->n = n;
    p->k = k;
    p->ldc = ldc;
    p->transposed = transposed;
    p->fast = fast;
}

static void set_outer(outer_t *o, int64_t n, int64_t k, int64_t lda, bool fast)
{
    o->n = n;
    o->k = o->ldb = k;
    o->lda = lda;
    o->fast = fast;
}

static size_t width_of(bool half) { return half ? sizeof(bf16_t) : sizeof(float); }

/* Returns the number of columns of the operands of a product. */
static int64_t inner_of(const product_t *p) { return p->split ? 3 * p->k : p->k; }

#ifdef __CUDACC__

static int blas_check(cad_error_t *err, cublasStatus_t s, const char *what)
{
    return s == CUBLAS_STATUS_SUCCESS ? 0
                                      : fail(err, s == CUBLAS_STATUS_ALLOC_FAILED ? CAD_ENOMEM : CAD_EDEVICE,
                                             "cublasLt, %s: %s", what, cublasLtGetStatusString(s));
}

/* Returns CUDA's name for the type: bfloat16 if half, else float32. */
static cudaDataType_t type_of(bool half) { return half ? CUDA_R_16BF : CUDA_R_32F; }

/* Opens the description of a product for cublasLt. first, second: whether the first, the second operand is
 * transposed. */
static int operation_open(cublasLtMatmulDesc_t *op, bool fast, bool first, bool second, cad_error_t *err)
{
    cublasOperation_t transposed = CUBLAS_OP_T;
    int rc = blas_check(
        err, cublasLtMatmulDescCreate(op, fast ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
        "operation");
    if (rc == 0 && first)
        rc = blas_check(
            err, cublasLtMatmulDescSetAttribute(*op, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
            "operation");
    if (rc == 0 && second)
        rc = blas_check(
            err, cublasLtMatmulDescSetAttribute(*op, CUBLASLT_MATMUL_DESC_TRANSB, &transposed, sizeof transposed),
            "operation");
    return rc;
}

/* Describes the matrices of a product for cublasLt, which is column-major and therefore computes the transpose: C^T
 * (n,rows) = W^T (n,k) x A^T (k,rows). */
static int product_layouts(product_t *p, cad_error_t *err)
{
    uint64_t n = (uint64_t)p->n, k = (uint64_t)inner_of(p);
    bool half = p->half || p->split;
    int rc = operation_open(&p->op, p->fast, !p->transposed, false, err);
    if (rc == 0)
        rc = blas_check(err,
                        cublasLtMatrixLayoutCreate(&p->w, type_of(half), p->transposed ? n : k, p->transposed ? k : n,
                                                   (int64_t)(p->transposed ? n : k)),
                        "layout");
    if (rc == 0)
        rc = blas_check(err, cublasLtMatrixLayoutCreate(&p->a, type_of(half), k, PRODUCT_ROWS, (int64_t)k), "layout");
    if (rc == 0)
        rc = blas_check(err, cublasLtMatrixLayoutCreate(&p->c, type_of(p->half_out), n, PRODUCT_ROWS, p->ldc),
                        "layout");
    return rc;
}

/* Describes, for a batched product, PRODUCT_ROWS / PART_ROWS matrices (rows,cols) that are `step` values apart. */
static int layout_batch(cublasLtMatrixLayout_t *m, int64_t rows, int64_t cols, int64_t ld, int64_t step,
                        cad_error_t *err)
{
    int32_t n = PRODUCT_ROWS / PART_ROWS;
    int rc = blas_check(err, cublasLtMatrixLayoutCreate(m, CUDA_R_32F, (uint64_t)rows, (uint64_t)cols, ld), "layout");
    if (rc == 0)
        rc = blas_check(err, cublasLtMatrixLayoutSetAttribute(*m, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &n, sizeof n),
                        "layout");
    if (rc == 0)
        rc = blas_check(
            err, cublasLtMatrixLayoutSetAttribute(*m, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step),
            "layout");
    return rc;
}

/* Describes the matrices of partial sums for cublasLt, which is column-major and therefore computes the transpose: C^T
 * (k,n) = B^T (k,rows) x A (rows,n). */
static int outer_layouts(outer_t *o, cad_error_t *err)
{
    int rc = operation_open(&o->op, o->fast, false, true, err);
    if (rc == 0) rc = layout_batch(&o->b, o->k, PART_ROWS, o->ldb, PART_ROWS * o->ldb, err);
    if (rc == 0) rc = layout_batch(&o->a, o->n, PART_ROWS, o->lda, PART_ROWS * o->lda, err);
    if (rc == 0) rc = layout_batch(&o->c, o->k, o->n, o->k, o->k * o->n, err);
    return rc;
}

static int prefer(cublasLtMatmulPreference_t like, cublasLtMatmulPreferenceAttributes_t what, const void *value,
                  size_t size, cad_error_t *err)
{
    return blas_check(err, cublasLtMatmulPreferenceSetAttribute(like, what, value, size), "preference");
}

/* Finds an algorithm for a product. aligned: the addresses of all matrices are multiples of this many bytes. */
static int find_algorithm(cublasLtHandle_t blas, cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a,
                          cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, uint32_t aligned,
                          cublasLtMatmulAlgo_t *algo, cad_error_t *err)
{
    static const cublasLtMatmulPreferenceAttributes_t each[] = { CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
                                                                 CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                                                                 CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                                                                 CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES };
    cublasLtMatmulPreference_t like = NULL;
    cublasLtMatmulHeuristicResult_t best;
    uint32_t whole = CUBLASLT_REDUCTION_SCHEME_NONE;
    size_t workspace = 0;
    int found = 0, rc = blas_check(err, cublasLtMatmulPreferenceCreate(&like), "preference");
    if (rc == 0) rc = prefer(like, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &whole, sizeof whole, err);
    if (rc == 0) rc = prefer(like, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace, err);
    for (int i = 0; i < 4 && rc == 0; i++) rc = prefer(like, each[i], &aligned, sizeof aligned, err);
    if (rc == 0)
        rc = blas_check(err, cublasLtMatmulAlgoGetHeuristic(blas, op, a, b, c, c, like, 1, &best, &found), "algorithm");
    if (rc == 0 && !found) rc = fail(err, CAD_EDEVICE, "cublasLt has no algorithm for one of the model's products");
    if (rc == 0) *algo = best.algo;
    if (like) cublasLtMatmulPreferenceDestroy(like);
    return rc;
}

static int blas_open(cublasLtHandle_t *blas, cad_error_t *err)
{
    return blas_check(err, cublasLtCreate(blas), "handle");
}

static void blas_close(cublasLtHandle_t blas)
{
    if (blas) cublasLtDestroy(blas);
}

static int products_open(cublasLtHandle_t blas, product_t *p, int n, uint32_t aligned, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        rc = product_layouts(&p[i], err);
        if (rc == 0) rc = find_algorithm(blas, p[i].op, p[i].w, p[i].a, p[i].c, aligned, &p[i].algo, err);
    }
    return rc;
}

static int outers_open(cublasLtHandle_t blas, outer_t *o, int n, uint32_t aligned, cad_error_t *err)
{
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        rc = outer_layouts(&o[i], err);
        if (rc == 0) rc = find_algorithm(blas, o[i].op, o[i].b, o[i].a, o[i].c, aligned, &o[i].algo, err);
    }
    return rc;
}

static void layouts_close(cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                          cublasLtMatrixLayout_t c)
{
    if (op) cublasLtMatmulDescDestroy(op);
    if (a) cublasLtMatrixLayoutDestroy(a);
    if (b) cublasLtMatrixLayoutDestroy(b);
    if (c) cublasLtMatrixLayoutDestroy(c);
}

static void products_close(product_t *p, int n)
{
    for (int i = 0; i < n; i++) layouts_close(p[i].op, p[i].w, p[i].a, p[i].c);
}

static void outers_close(outer_t *o, int n)
{
    for (int i = 0; i < n; i++) layouts_close(o[i].op, o[i].b, o[i].a, o[i].c);
}

static int blas_report(cad_lane_t *l, cublasStatus_t s)
{
    if (s == CUBLAS_STATUS_SUCCESS) return 0;
    snprintf(l->text, sizeof l->text, "cublasLt: %s", cublasLtGetStatusString(s));
    return CAD_EDEVICE;
}

/* Computes d = `a` x w + beta c for PRODUCT_ROWS rows. beg, end: those that are needed; only the shim uses them. */
static int multiply_block(cad_lane_t *l, const product_t *p, const void *a, const void *w, const void *c, void *d,
                          int64_t beg, int64_t end, float beta)
{
    float one = 1;
    (void)beg;
    (void)end;
    return blas_report(l, cublasLtMatmul(l->weights->blas, p->op, &one, w, p->w, a, p->a, &beta, c, p->c, d, p->c,
                                         &p->algo, NULL, 0, gpu_of(l)->stream));
}

/* Computes partial sums of a weight's gradient, an array (PRODUCT_ROWS/PART_ROWS,n,k), from PRODUCT_ROWS rows, row r
 * onwards. n: the number of all rows; only the shim uses this argument. */
static int outer_rows(cad_lane_t *l, const outer_t *o, const float *a, const float *b, int64_t r, int64_t n,
                      float *parts)
{
    float one = 1, zero = 0;
    (void)n;
    return blas_report(l, cublasLtMatmul(l->weights->blas, o->op, &one, b + r * o->ldb, o->b, a + r * o->lda, o->a,
                                         &zero, parts, o->c, parts, o->c, &o->algo, NULL, 0, gpu_of(l)->stream));
}

#else /* the shim */

/* Does nothing: plain loops need no handle and no algorithm. */
static int blas_open(cublasLtHandle_t *blas, cad_error_t *err)
{
    (void)blas;
    (void)err;
    return 0;
}

static void blas_close(cublasLtHandle_t blas) { (void)blas; }

static int products_open(cublasLtHandle_t blas, product_t *p, int n, uint32_t aligned, cad_error_t *err)
{
    (void)blas;
    (void)p;
    (void)n;
    (void)aligned;
    (void)err;
    return 0;
}

static int outers_open(cublasLtHandle_t blas, outer_t *o, int n, uint32_t aligned, cad_error_t *err)
{
    (void)blas;
    (void)o;
    (void)n;
    (void)aligned;
    (void)err;
    return 0;
}

static void products_close(product_t *p, int n)
{
    (void)p;
    (void)n;
}

static void outers_close(outer_t *o, int n)
{
    (void)o;
    (void)n;
}

static float number(const void *a, int64_t i, bool half)
{
    return half ? from_bf16(((const bf16_t *)a)[i]) : ((const float *)a)[i];
}

/* Converts n values of the array `a`, from index `from` onwards, to float32. */
static void to_floats(const void *a, int64_t from, int64_t n, bool half, float *to)
{
    for (int64_t i = 0; i < n; i++) to[i] = number(a, from + i, half);
}

/* Converts W to float32 (n,k), whether it is stored as (n,k) or as (k,n). k: of the operands */
static void table_to_floats(const product_t *p, const void *w, int64_t k, float *to)
{
    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < k; j++)
            to[i * k + j] = number(w, p->transposed ? j * p->n + i : i * k + j, p->half || p->split);
}

/* Returns the dot product of `a` and `b`, summed in double precision. The shim imitates no particular algorithm of
 * cublasLt, so the errors that tests see come from the other kernels. n is a multiple of 16. */
static float dot(const float *a, const float *b, int64_t n)
{
    double part[16] = { 0 }, sum = 0;
    for (int64_t i = 0; i + 16 <= n; i += 16)
        for (int k = 0; k < 16; k++) part[k] += (double)a[i + k] * (double)b[i + k];
    for (int k = 0; k < 16; k++) sum += part[k];
    return (float)sum;
}

typedef struct {
    const product_t *p;
    const void *a, *w, *c;
    void *d;
    int64_t beg, end;
    float beta;
} multiply_args_t;

/* Computes rows [beg, end) of a product. k is a multiple of 16, because it is Dp, Ep or Sp. */
static int multiply_rows(const void *args)
{
    const multiply_args_t *arg = (const multiply_args_t *)args;
    const product_t *p = arg->p;
    int64_t k = inner_of(p);
    float *row = (float *)malloc((size_t)((p->n + 1) * k) * sizeof *row), *table = row + k;
    if (!row) return CAD_ENOMEM;
    table_to_floats(p, arg->w, k, table);
    for (int64_t r = arg->beg; r < arg->end; r++) {
        to_floats(arg->a, r * k, k, p->half || p->split, row);
        for (int64_t i = 0; i < p->n; i++) {
            int64_t at = r * p->ldc + i;
            float v = dot(row, table + i * k, k) + (arg->beta == 0 ? 0 : arg->beta * number(arg->c, at, p->half_out));
            if (p->half_out) ((bf16_t *)arg->d)[at] = to_bf16(v);
            else ((float *)arg->d)[at] = v;
        }
    }
    free(row);
    return 0;
}

static int multiply_block(cad_lane_t *l, const product_t *p, const void *a, const void *w, const void *c, void *d,
                          int64_t beg, int64_t end, float beta)
{
    multiply_args_t arg = { .p = p, .a = a, .w = w, .c = c, .d = d, .beg = beg, .end = end, .beta = beta };
    return shim_call(multiply_rows, &arg, sizeof arg, gpu_of(l)->stream);
}

static int outer_rows(cad_lane_t *l, const outer_t *o, const float *a, const float *b, int64_t r, int64_t n,
                      float *parts)
{
    (void)l;
    for (int64_t end = cad_min(n, r + PRODUCT_ROWS); r < end; r += PART_ROWS, parts += o->n * o->k) {
        memset(parts, 0, (size_t)(o->n * o->k) * sizeof *parts);
        for (int64_t i = r; i < r + PART_ROWS; i++)
            for (int64_t x = 0; x < o->n; x++)
                for (int64_t y = 0; y < o->k; y++) parts[x * o->k + y] += a[i * o->lda + x] * b[i * o->ldb + y];
    }
    return 0;
}

#endif /* __CUDACC__ */

typedef struct {
    const float *from; // (n)
    bf16_t *to;        // (3n) (high, low, high) of each number
    int64_t n;         /* a multiple of 4 */
} split_args_t;

/* Splits n numbers into two bfloat16 parts. A thread has four of them. */
KERNEL(split, split_args_t)
{
    int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * 4;
    float v[4];
    if (i >= arg.n) return;
    load4(arg.from + i, v);
    REPEAT(k, 4) {
        bf16_t high = to_bf16(v[k]), *to = arg.to + 3 * (i + k);
        to[0] = to[2] = high;
        to[1] = to_bf16(v[k] - from_bf16(high));
    }
}

/* Splits n numbers into the lane's `parts`. */
static int split_rows(cad_lane_t *l, const float *a, int64_t n)
{
    split_args_t arg = { .from = a, .to = gpu_of(l)->parts, .n = n };
    LAUNCH(split, ceil_div(n, 4 * (int64_t)THREADS), 1, THREADS, 0, gpu_of(l)->stream, arg);
    return launched(l, "bf16x3");
}

/* Computes d = `a` x w + beta c for rows [beg, end), extended at both ends to multiples of PRODUCT_ROWS. */
static int multiply(cad_lane_t *l, const product_t *p, const void *a, const void *w, const void *c, void *d,
                    int64_t beg, int64_t end, float beta)
{
    int rc = 0;
    for (int64_t r = beg / PRODUCT_ROWS * PRODUCT_ROWS; r < end && rc == 0; r += PRODUCT_ROWS) {
        size_t in = (size_t)(r * p->k) * width_of(p->half), out = (size_t)(r * p->ldc) * width_of(p->half_out);
        int64_t first = cad_max(beg - r, 0), n = cad_min(end - r, PRODUCT_ROWS);
        const void *from = (const char *)a + in;
        if (p->split) {
            rc = split_rows(l, (const float *)from, n * p->k);
            from = gpu_of(l)->parts;
        }
        if (rc == 0) rc = multiply_block(l, p, from, w, (const char *)c + out, (char *)d + out, first, n, beta);
    }
    return rc;
}

#endif
