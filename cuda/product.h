/* product.h - matrix products: cublasLt, or plain loops in the shim.
 *
 * cublasLt computes BLOCK rows at a time with one algorithm for each shape, chosen
 * when the weights are opened, without splitting sums (reduction scheme none), and in
 * float32 without TF32. What lies beyond a batch's last row is computed and never
 * read. SPDX-License-Identifier: MIT
 */

#ifdef __CUDACC__

static int blas_check(cad_error_t *err, cublasStatus_t s, const char *what)
{
    return s == CUBLAS_STATUS_SUCCESS ? 0 : fail(err, s == CUBLAS_STATUS_ALLOC_FAILED ? CAD_ENOMEM : CAD_EDEVICE, "cublasLt, %s: %s", what, cublasLtGetStatusString(s));
}

/* Column-major, as cublas sees it: C^T (n,rows) = W^T (n,k) x A^T (k,rows). */
static int product_layouts(product_t *p, cudaDataType_t in, cudaDataType_t out, cad_error_t *err)
{
    cublasOperation_t turn = CUBLAS_OP_T;
    int rc = blas_check(err, cublasLtMatmulDescCreate(&p->op, CUBLAS_COMPUTE_32F, CUDA_R_32F), "operation");
    if (rc == 0) rc = blas_check(err, cublasLtMatmulDescSetAttribute(p->op, CUBLASLT_MATMUL_DESC_TRANSA, &turn, sizeof turn), "operation");
    if (rc == 0) rc = blas_check(err, cublasLtMatrixLayoutCreate(&p->w, in, (uint64_t)p->k, (uint64_t)p->n, p->k), "layout");
    if (rc == 0) rc = blas_check(err, cublasLtMatrixLayoutCreate(&p->a, in, (uint64_t)p->k, BLOCK, p->k), "layout");
    if (rc == 0) rc = blas_check(err, cublasLtMatrixLayoutCreate(&p->c, out, (uint64_t)p->n, BLOCK, p->ldc), "layout");
    return rc;
}

static int product_algorithm(cublasLtHandle_t blas, product_t *p, cad_error_t *err)
{
    cublasLtMatmulPreference_t like = NULL;
    cublasLtMatmulHeuristicResult_t best;
    uint32_t whole = CUBLASLT_REDUCTION_SCHEME_NONE;
    size_t workspace = 0;
    int found = 0, rc = blas_check(err, cublasLtMatmulPreferenceCreate(&like), "preference");
    if (rc == 0) rc = blas_check(err, cublasLtMatmulPreferenceSetAttribute(like, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &whole, sizeof whole), "preference");
    if (rc == 0) rc = blas_check(err, cublasLtMatmulPreferenceSetAttribute(like, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace), "preference");
    if (rc == 0) rc = blas_check(err, cublasLtMatmulAlgoGetHeuristic(blas, p->op, p->w, p->a, p->c, p->c, like, 1, &best, &found), "algorithm");
    if (rc == 0 && !found) rc = fail(err, CAD_EDEVICE, "cublasLt has no algorithm for a product of width %lld", (long long)p->n);
    if (rc == 0) p->algo = best.algo;
    if (like) cublasLtMatmulPreferenceDestroy(like);
    return rc;
}

static void products_close(cad_weights_t *w)
{
    for (int i = 0; i < PRODUCTS; i++) {
        product_t *p = &w->product[i];
        if (p->op) cublasLtMatmulDescDestroy(p->op);
        if (p->w) cublasLtMatrixLayoutDestroy(p->w);
        if (p->a) cublasLtMatrixLayoutDestroy(p->a);
        if (p->c) cublasLtMatrixLayoutDestroy(p->c);
    }
    if (w->blas) cublasLtDestroy(w->blas);
}

static int products_open(cad_weights_t *w, cad_error_t *err)
{
    cudaDataType_t in = w->half ? CUDA_R_16BF : CUDA_R_32F;
    int rc = blas_check(err, cublasLtCreate(&w->blas), "handle");
    for (int i = 0; i < PRODUCTS && rc == 0; i++) {
        rc = product_layouts(&w->product[i], in, i == IN_PROJ ? in : CUDA_R_32F, err);
        if (rc == 0) rc = product_algorithm(w->blas, &w->product[i], err);
    }
    return rc;
}

static size_t width_of(cudaDataType_t t) { return t == CUDA_R_16BF ? 2 : 4; }

/* Rows [beg, end) and those that share a block with them; beta 1 adds to c. */
static int multiply(cad_lane_t *l, int which, const void *a, const void *w, void *c, int64_t beg, int64_t end, float beta)
{
    const cad_weights_t *m = l->weights;
    const product_t *p = &m->product[which];
    size_t in = width_of(m->half ? CUDA_R_16BF : CUDA_R_32F), out = which == IN_PROJ ? in : sizeof(float);
    float one = 1;
    for (int64_t r = beg / BLOCK * BLOCK; r < end; r += BLOCK) {
        const char *from = (const char *)a + (size_t)(r * p->k) * in;
        char *to = (char *)c + (size_t)(r * p->ldc) * out;
        cublasStatus_t s = cublasLtMatmul(m->blas, p->op, &one, w, p->w, from, p->a, &beta, to, p->c, to, p->c, &p->algo, NULL, 0, gpu_of(l)->stream);
        if (s == CUBLAS_STATUS_SUCCESS) continue;
        snprintf(l->text, sizeof l->text, "cublasLt: %s", cublasLtGetStatusString(s));
        return CAD_EDEVICE;
    }
    return 0;
}

#else

static int products_open(cad_weights_t *w, cad_error_t *err)
{
    (void)w;
    (void)err;
    return 0;
}

static void products_close(cad_weights_t *w) { (void)w; }

static float number(const void *a, int64_t i, bool half) { return half ? from_bf16(((const bf16_t *)a)[i]) : ((const float *)a)[i]; }

static void spell_out(const void *a, int64_t from, int64_t n, bool half, float *to)
{
    for (int64_t i = 0; i < n; i++) to[i] = number(a, from + i, half);
}

/* Sixteen sums, then theirs. */
static float dot(const float *a, const float *b, int64_t n)
{
    float part[16] = { 0 }, sum = 0;
    for (int64_t i = 0; i + 16 <= n; i += 16)
        for (int k = 0; k < 16; k++) part[k] += a[i + k] * b[i + k];
    for (int k = 0; k < 16; k++) sum += part[k];
    return sum;
}

/* k is a multiple of 16: Dp or Ep. */
static int multiply(cad_lane_t *l, int which, const void *a, const void *w, void *c, int64_t beg, int64_t end, float beta)
{
    const product_t *p = &l->weights->product[which];
    bool half = l->weights->half, half_out = half && which == IN_PROJ;
    float *row = (float *)malloc((size_t)((p->n + 1) * p->k) * sizeof *row), *table = row + p->k;
    if (!row) return CAD_ENOMEM;
    spell_out(w, 0, p->n * p->k, half, table);
    for (int64_t r = beg; r < end; r++) {
        spell_out(a, r * p->k, p->k, half, row);
        for (int64_t i = 0; i < p->n; i++) {
            int64_t at = r * p->ldc + i;
            float v = dot(row, table + i * p->k, p->k) + (beta == 0 ? 0 : beta * number(c, at, half_out));
            if (half_out) ((bf16_t *)c)[at] = to_bf16(v);
            else ((float *)c)[at] = v;
        }
    }
    free(row);
    return 0;
}

#endif
