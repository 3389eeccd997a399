/* common.h - weights and lanes of the CUDA backend, and how errors travel.
 *
 * T stands for what the inputs of matrix products are kept in: float32, or bfloat16
 * under --precision bf16. Residual, scan state, dt and B, C are float32 always.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_COMMON_H
#define CAD_CUDA_COMMON_H

#include "portable.h"

#include "engine/module.h"

#define STATES 16                     /* of a channel, in registers: a scan takes as many at a time */
#define STEP 32                       /* rows whose dt_in, B and C are in shared memory at a time */
#define PADDED(r) (((r) + 3) / 4 * 4) /* places of dt_in, so that B and C can be read by fours */
#define CHUNK 1024                    /* rows that a long sequence is cut into */
#define WHOLE 2048                    /* a sequence up to this long is scanned in one piece */
#define BLOCK 8192  /* rows of a matrix product: always as many, so that a row's sums do not depend on the batch */
#define SLAB 256    /* rows summed by one thread in pooling */
#define PICKS 32768 /* rows whose logits are copied at once */
#define ROWS (PACK > 2 * BLOCK ? PACK : 2 * BLOCK) /* of a pack in training */
#define PART 512 /* rows of a partial sum of a weight's gradient; BLOCK is a multiple */

/* C (rows,n) = A (rows,k) x W (n,k)^T, or x W (k,n): one shape, one algorithm. */
typedef struct {
    int64_t n, k, ldc;
    bool turned;         /* W is (k,n) */
    bool half, half_out; /* A and W are bfloat16, C is */
    bool fast;           /* float32 may be rounded to TF32 */
#ifdef __CUDACC__
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t w, a, c;
    cublasLtMatmulAlgo_t algo;
#endif
} product_t;

enum { IN_PROJ, X_PROJ, OUT_PROJ, PRODUCTS };

/* Of PART rows each, C (n,k) = A (rows,n)^T x B (rows,k), in float32. */
typedef struct {
    int64_t n, k, lda, ldb;
    bool fast;
#ifdef __CUDACC__
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t b, a, c;
    cublasLtMatmulAlgo_t algo;
#endif
} outer_t;

typedef struct {                     /* one Mamba; all on the device */
    const void *in, *x, *out;        // T: x over z (2Ep,Dp), (Sp,Ep), (Dp,Ep)
    const float *in_bias, *out_bias; // (2Ep), (Dp), or NULL
    const float *conv, *conv_bias;   // (K,Ep), (Ep)
    const float *dt, *dt_bias;       // (Rp,Ep), (Ep); Rp: R rounded up to STATES
    const float *a, *skip;           // (Np,Ep) -exp(A_log) log2 e; (Ep)
    bool reverse;
} dir_t;

struct cad_weights_t {
    int device;
    bool half, rms, whole; /* whole: two directions with projections of their own */
    int64_t D, N, K, R, V, Dp, Ep, Sp, Np;
    float eps;
    dir_t *dir;                                          // (layers,2)
    const float **norm, **norm_bias;                     // (layers) of (Dp)
    const float *norm_f, *norm_f_bias, *embed, *head[2]; // (Dp), (V,Dp)
    void *mem;                                           /* on the device */
    size_t bytes;
    char *stage; /* of as many bytes on the host, once they are renewed; or NULL */
    bool stale;  /* they could not be renewed */
    product_t product[PRODUCTS];
#ifdef __CUDACC__
    cublasLtHandle_t blas;
#endif
};

typedef struct {
    int32_t seq, k, slot;
} item_t; /* the k-th piece in time; where its state is kept, or -1 */
typedef struct {
    int64_t beg, end;
    int32_t range, max;
} slab_t; /* rows of one range */

#define GRAPH_SEQS 64 /* of a batch that is recorded, at most */
#define GRAPH_KEY (1 + 3 * GRAPH_SEQS)

typedef enum { EAGER, CAPTURING, REPLAYING } graph_mode_t;
typedef struct { /* graph.h */
    graph_mode_t mode;
    bool asked;
    cudaGraphExec_t exec; /* of the batch with this key, or NULL */
    int64_t key[GRAPH_KEY];
} graph_t;

typedef struct { /* a lane's own: one stream, one piece of device memory */
    cudaStream_t stream;
    char *arena, *stage;  /* on the device; in pinned memory */
    void *a, *xz, *u, *y; // T: (rows,Dp), (rows,2Ep), (rows,Ep), (rows,Ep)
    float *xdbl;          // (rows,Sp)
    float *o;             // (rows,Dp) the second direction's output; or NULL
    float *state, *total; // (slots,STATES,Ep), (slots,Ep) of the pieces of long sequences
    double *slab_sum;     // (slabs,D)
    float *out;           // (out_floats) on their way to the host
    int64_t out_floats;
    /* The batch, on the device, and where it is put together in pinned memory. */
    uint8_t *tok, *tok_stage;       // (rows)
    int64_t *off, *off_stage;       // (rows+1)
    item_t *item, *item_stage;      // (items)
    int32_t *first, *first_stage;   // (rows) slot of each sequence's first piece, or -1
    cad_rows_t *want, *want_stage;  // (rows)
    int64_t *pick, *pick_stage;     // (PICKS) 2 x row + strand
    slab_t *slab, *slab_stage;      // (slabs)
    float *out_stage;               // (out_floats)
    int64_t items, slots, span_beg; /* of this batch; where the last span began */
    graph_t graph;
} gpu_t;

static inline gpu_t *gpu_of(const cad_lane_t *l) { return (gpu_t *)l->own; }

static inline int64_t ceil_div(int64_t n, int64_t by) { return (n + by - 1) / by; }

/* ---- errors: in the lane's text, or the caller's ---- */

static int code_of(cudaError_t e) { return e == cudaErrorMemoryAllocation ? CAD_ENOMEM : CAD_EDEVICE; }

static int check(cad_lane_t *l, cudaError_t e, const char *what)
{
    if (e == cudaSuccess) return 0;
    snprintf(l->text, sizeof l->text, "%s: %s", what, cudaGetErrorString(e));
    return code_of(e);
}

__attribute__((format(printf, 3, 4))) static int fail(cad_error_t *err, int code, const char *fmt, ...)
{
    va_list ap;
    if (!err) return code;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return code;
}

#endif
