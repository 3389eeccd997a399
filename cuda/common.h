/* common.h - sizes, structs and errors of the CUDA backend.
 *
 * T stands for the type that matrix products read: float32, or bfloat16 under
 * --precision bf16. The residual stream, the scan state, dt, B and C are always float32.
 *
 * A struct whose name begins with mamba_ belongs to that kind of layer alone; the rest is
 * common to all kinds.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_COMMON_H
#define CAD_CUDA_COMMON_H

#include "portable.h"

#include "engine/gradients.h"
#include "engine/module.h"

#define STATES 16         /* scan states of a channel that are in registers; more take several launches */
#define STEP 32           /* rows whose dt_in, B and C are in shared memory at a time */
#define AHEAD 4           /* rows prefetched in the scan; STEP is a multiple */
#define PREFETCH 8        /* values that a sum reads before it uses the first */
#define CHUNK 1024        /* rows in a piece of a long sequence */
#define WHOLE 2048        /* longest sequence that is scanned in one piece; 2 x CHUNK */
#define PRODUCT_ROWS 8192 /* rows of a matrix product: always as many, so a row's sums are the same in any batch */
#define PART_ROWS 512     /* rows of a partial sum of a weight's gradient; PRODUCT_ROWS is a multiple */
#define SLAB 256          /* rows that one thread sums, in pooling and in gradients */
#define PICKS 32768       /* most rows whose logits are copied at once */
#define TRAIN_ROWS (PACK > 2 * PRODUCT_ROWS ? PACK : 2 * PRODUCT_ROWS) /* rows of a pack in training */

/* Length of dt_in in shared memory, rounded up so that B and C can be read by fours. */
#define PADDED(r) (((r) + 3) / 4 * 4)

/* ---- matrix products (product.h) ---- */

/* C (rows,n) = A (rows,k) x W (n,k)^T, or A x W (k,n). One shape has one algorithm. */
typedef struct {
    int64_t n, k, ldc;
    bool transposed;     /* W is (k,n) */
    bool half, half_out; /* A and W are bfloat16; C is */
    bool fast;           /* float32 may be rounded to TF32 */
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

/* ---- Mamba (mamba.h) ---- */

enum { IN_PROJ, X_PROJ, OUT_PROJ, PRODUCTS };       /* products of the forward pass */
enum { OUT_BACK, DT_BACK, X_BACK, IN_BACK, BACKS }; /* of the backward pass: g, dxdbl's dt_in, du, da */
enum { OUT_SUM, IN_SUM, X_SUM, DT_SUM, SUMS };      /* gradients of weights */

typedef struct {                     /* weights of one direction of a layer, on the device */
    const void *in, *x, *out;        // T: x over z (2Ep,Dp), (Sp,Ep), (Dp,Ep)
    const float *in_bias, *out_bias; // (2Ep), (Dp), or NULL
    const float *conv, *conv_bias;   // (K,Ep), (Ep)
    const float *dt, *dt_bias;       // (Rp,Ep), (Ep); Rp: R rounded up to STATES
    const float *a, *skip;           // (Np,Ep) -exp(A_log) log2 e; (Ep)
    bool reverse;
} mamba_dir_t;

typedef struct {
    int64_t N, K, R, Ep, Sp, Np;
    mamba_dir_t *dir; // (layers,2)
    product_t product[PRODUCTS];
} mamba_weights_t;

typedef struct {          /* activations of a lane, on the device */
    void *xz, *u, *y;     // T: (rows,2Ep) x beside z, (rows,Ep), (rows,Ep)
    float *xdbl;          // (rows,Sp)
    float *o;             // (rows,Dp) the second direction's output; or NULL
    float *state, *total; // (slots,STATES,Ep), (slots,Ep) of the pieces of long sequences
    int64_t span_beg;     /* row where the last span began */
} mamba_lane_t;

typedef struct {
    const float *in, *x, *out;
} mamba_back_t; // (2Ep,Dp), (Sp,Ep), (Dp,Ep): float32 weights that the backward pass reads

typedef struct {
    mamba_back_t *dir; // (layers,2)
    product_t product[BACKS];
    outer_t outer[SUMS];
} mamba_grads_t;

/* ---- weights (weights.h) ---- */

struct cad_weights_t {
    int device;
    bool half, rms;
    bool apart; /* a layer's two directions have projections of their own */
    int64_t D, Dp, V;
    float eps;
    const float **norm, **norm_bias;                     // (layers) of (Dp)
    const float *norm_f, *norm_f_bias, *embed, *head[2]; // (Dp), (V,Dp)
    mamba_weights_t mamba;
    void *mem; /* device memory of all weights */
    size_t bytes;
    char *stage; /* as many bytes on the host once the weights are renewed; or NULL */
    bool stale;  /* a renewal failed */
    cublasLtHandle_t blas;
};

struct cad_grads_t {
    int device;
    cad_sums_t s;         /* where each gradient lies in sums */
    float *sums, *mirror; /* all gradients: on the device; in pinned memory */
    mamba_grads_t mamba;
    void *mem; /* device memory of the weights that the backward pass reads */
    size_t bytes;
    char *stage; /* as many bytes on the host, or NULL */
    bool stale;  /* a renewal failed */
    /* Scratch of the only lane: */
    float *a;       // (rows,Dp) normalised rows
    float *parts;   /* partial sums of one gradient at a time */
    float *dlogits; // (rows,V); or (D), the gradient of a pooled row
    int64_t *row;   // (rows) rows whose logits have a gradient
};

/* ---- lanes (lane.h) ---- */

typedef struct {
    int32_t seq, k; /* the sequence's k-th piece in time */
    int32_t slot;   /* where the piece's state is kept, or -1 */
} piece_t;

typedef struct {
    int64_t beg, end;
    int32_t range, max; /* which range the rows belong to; whether it wants the maximum */
} slab_t;               /* rows of a pooled range */

#define GRAPH_SEQS 64 /* most sequences in a recorded batch */
#define GRAPH_KEY (1 + 3 * GRAPH_SEQS)

typedef enum { EAGER, CAPTURING, REPLAYING } graph_mode_t;
typedef struct { /* graph.h */
    graph_mode_t mode;
    bool asked;
    cudaGraphExec_t exec; /* recorded batch with this key, or NULL */
    int64_t key[GRAPH_KEY];
} graph_t;

typedef struct { /* a lane's `own`: one stream, one allocation on the device */
    cudaStream_t stream;
    char *arena, *stage; /* on the device; in pinned memory */
    void *a;             // T: (rows,Dp) normalised rows
    mamba_lane_t mamba;
    float *normed;    // (rows,D) float32 rows while they are pooled; shares memory with a layer's activations
    double *slab_sum; // (slabs,D)
    float *out;       // (out_floats) results before they are copied to the host
    int64_t out_floats;
    /* The batch: on the device, and in pinned memory before it is copied there. */
    uint8_t *tok, *tok_stage;      // (rows)
    int64_t *off, *off_stage;      // (rows+1)
    piece_t *piece, *piece_stage;  // (pieces)
    int32_t *first, *first_stage;  // (rows) slot of each sequence's first piece, or -1
    cad_rows_t *want, *want_stage; // (rows)
    int64_t *pick, *pick_stage;    // (PICKS) 2 x row + strand
    slab_t *slab, *slab_stage;     // (slabs)
    float *out_stage;              // (out_floats)
    int64_t pieces, slots;         /* of this batch */
    graph_t graph;
} gpu_t;

static inline gpu_t *gpu_of(const cad_lane_t *l) { return (gpu_t *)l->own; }

static inline int64_t ceil_div(int64_t n, int64_t by) { return (n + by - 1) / by; }

/* ---- errors: in the lane's text, or in err ---- */

static int code_of(cudaError_t e) { return e == cudaErrorMemoryAllocation ? CAD_ENOMEM : CAD_EDEVICE; }

static int check(cad_lane_t *l, cudaError_t e, const char *what)
{
    if (e == cudaSuccess) return 0;
    snprintf(l->text, sizeof l->text, "%s: %s", what, cudaGetErrorString(e));
    return code_of(e);
}

static int launched(cad_lane_t *l, const char *what) { return check(l, cudaGetLastError(), what); }

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
