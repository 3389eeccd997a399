/* common.h - sizes, structs and errors of the CUDA backend.
 *
 * T stands for the type that matrix products read: float32, or bfloat16 under
 * --precision bf16. The residual stream, the scan state, dt, B and C are always float32.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_COMMON_H
#define CAD_CUDA_COMMON_H

#include "portable.h"

#include "engine/gradients.h"
#include "engine/module.h"
#include "kinds.h"

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

/* ---- weights (weights.h) ---- */

struct cad_weights_t {
    int device;
    bool half, rms;
    bool apart; /* a layer's two directions have projections of their own */
    int64_t D, Dp, V;
    float eps;
    const float **norm, **norm_bias;                     // (layers) of (Dp)
    const float *norm_f, *norm_f_bias, *embed, *head[2]; // (Dp), (V,Dp)
    CAD_KINDS(WEIGHTS_MEMBER)                            /* each kind's, under its name */
    void *mem;                                           /* device memory of all weights */
    size_t bytes;
    char *stage; /* as many bytes on the host once the weights are renewed; or NULL */
    bool stale;  /* a renewal failed */
    cublasLtHandle_t blas;
};

struct cad_grads_t {
    int device;
    cad_sums_t s;  /* where each gradient lies in sums */
    float *sums;   /* all gradients, on the device */
    float *mirror; /* all gradients, in pinned memory */
    CAD_KINDS(GRADS_MEMBER)
    const cad_kind_sums_t *kind_sums[CAD_NKINDS];
    const cad_model_t *model;
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
    int32_t range; /* which range the rows belong to */
    int32_t max;   /* 1: that range wants the maximum */
} slab_t;          /* rows of a pooled range */

#define GRAPH_SEQS 64 /* most sequences in a recorded batch */
#define GRAPH_KEY (1 + 3 * GRAPH_SEQS)

typedef enum { EAGER, CAPTURING, REPLAYING } graph_mode_t;
typedef struct { /* graph.h */
    graph_mode_t mode;
    bool asked;
    cudaGraphExec_t exec; /* recorded batch with this key, or NULL */
    int64_t key[GRAPH_KEY];
} graph_t;

typedef struct {
    const void *at;
    int64_t width; /* values of a row */
    int64_t ld;    /* values from one row to the next */
    int64_t row;   /* the first row */
    bool half;
} part_t; /* an array that tests read */

typedef struct { /* a lane's `own`: one stream, one allocation on the device */
    cudaStream_t stream;
    char *arena; /* memory on the device */
    char *stage; /* pinned memory */
    void *a;     // T: (rows,Dp) normalised rows
    CAD_KINDS(LANE_MEMBER)
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
