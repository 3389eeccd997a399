/* common.h - sizes, structs and error functions of the CUDA backend.
 *
 * T stands for the type that matrix products read: float32, or bfloat16 under --precision bf16. The residual stream,
 * the scan state, dt, B and C are always float32. In shapes, D is d_model, V the number of rows of the embedding table,
 * and Dp is D rounded up to CAD_PAD.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_COMMON_H
#define CAD_CUDA_COMMON_H

#include "portable.h"

#include "engine/gradients.h"
#include "engine/module.h"
#include "kinds.h"

#define PREFETCH 8        /* number of values that one thread reads into registers before it adds the first */
#define PIECE_ROWS 1024   /* number of rows of a piece; long sequences are cut into pieces */
#define WHOLE_ROWS 2048   /* number of rows of the longest sequence that is a single piece: 2 x PIECE_ROWS */
#define PRODUCT_ROWS 8192 /* rows of each matrix product: constant, so that a row's sums are the same in any batch */
#define PART_ROWS 512     /* rows of a partial sum of a weight's gradient; divides PRODUCT_ROWS */
#define SLAB 256          /* number of rows that one thread sums, in pooling and in gradients */
#define PICKS 32768       /* maximum number of rows whose logits are copied at once */
#define TRAIN_ROWS (PACK > 2 * PRODUCT_ROWS ? PACK : 2 * PRODUCT_ROWS) /* rows of a pack in training */

/* ---- weights (weights.h) ---- */

struct cad_weights_t {
    int device;
    bool half, rms;
    form_t form;    /* of the weights of products */
    int64_t widest; /* largest number of columns of an input of a product */
    bool apart;     /* some layer has two directions, each with its own projections */
    int64_t D, Dp, V;
    float eps;
    const float **norm, **norm_bias;                     // (layers) pointers to arrays (Dp)
    const float *norm_f, *norm_f_bias, *embed, *head[2]; // norm_f, norm_f_bias: (Dp) each; embed, head: (V,Dp) each
    const float *mirrored, *mirrored_bias;               // (Dp) each: norm_f, norm_f_bias in reverse order
    /* for each layer kind, a struct of its weights that is named as the kind */
    CAD_GPU_KINDS(WEIGHTS_MEMBER)
    void *mem; /* device memory of all weights */
    size_t bytes;
    char *stage; /* (bytes) host memory to assemble weights in, allocated by the first renewal; may be NULL */
    bool stale;  /* the last copy of new weights to the device failed */
    cublasLtHandle_t blas;
};

struct cad_grads_t {
    int device;
    cad_sums_t s;  /* the address of each gradient in `sums` */
    float *sums;   /* all gradients, on the device */
    float *mirror; /* copy of all gradients on the host, in pinned memory */
    CAD_GPU_KINDS(GRADS_MEMBER)
    const cad_kind_sums_t *kind_sums[CAD_NKINDS];
    const cad_model_t *model;
    void *mem; /* device memory of the weights that the backward pass reads */
    size_t bytes;
    char *stage; /* (bytes) host memory to assemble these weights in, or NULL */
    bool stale;  /* the last copy of new weights to the device failed */
    /* Scratch memory of the only grad lane: */
    float *a;       // (rows,Dp) normalised rows
    float *parts;   /* partial sums of one gradient at a time */
    float *dlogits; // (rows,V) gradient of the logits; or (nseq,D) gradient of the pooled rows
    int64_t *row;   // (rows) indexes of the rows whose logits have a gradient
};

/* ---- lanes (lane.h) ---- */

/* A piece of a sequence. The scan of a layer kind may run the pieces of a long sequence in parallel; it then reads the
 * list of the batch's pieces. */
typedef struct {
    int32_t seq, k; /* the k-th piece, counted in the direction of the scan, of sequence seq */
    /* index of the piece in the arrays `state` and `total` (mamba_types.h); -1 if its sequence is a single piece */
    int32_t slot;
} piece_t;

typedef struct {
    int64_t beg, end;
    int32_t range; /* index of the range that these rows belong to */
    int32_t max;   /* 1 if the range is pooled by its maximum, 0 if by its mean */
} slab_t;          /* a slab: at most SLAB rows [beg, end) of a range that is pooled */

#define GRAPH_SEQS 64 /* maximum number of sequences in a recorded batch */
#define GRAPH_KEY (2 + 3 * GRAPH_SEQS)

typedef enum { EAGER, CAPTURING, REPLAYING } graph_mode_t;
typedef struct { /* state of the CUDA graph of a lane; see graph.h */
    graph_mode_t mode;
    bool asked;
    cudaGraphExec_t exec; /* the recorded graph of batches with this key, or NULL */
    int64_t key[GRAPH_KEY];
} graph_t;

typedef struct {
    const void *at;
    int64_t width; /* number of values of a row that `read` returns */
    int64_t ld;    /* values from the start of one row to the start of the next */
    int64_t row;   /* index of the first row */
    bool half;
} view_t; /* describes an array of activations, for the operation `read` */

typedef struct { /* the backend's own data of a lane (cad_lane_t.own): one stream, one allocation on the device */
    cudaStream_t stream;
    cudaEvent_t filled[2]; // recorded when a half of out_stage has been filled
    char *arena;           /* all device memory of the lane */
    char *stage;           /* all pinned host memory of the lane */
    void *a;               // (rows,Dp) of type T: normalised rows
    bf16_t *parts;         // (PRODUCT_ROWS,3 widest) inputs of a product under bf16x3, see form_t; else NULL
    CAD_GPU_KINDS(LANE_MEMBER)
    // (rows,D) float32 rows that are pooled after the last layer; shares memory with the layers' activations
    float *normed;
    double *slab_sum; // (slabs,D) for each slab, the sums or maxima of its rows
    float *out;       // (out_floats) results, before they are copied to the host
    int64_t out_floats;
    /* The following describe the current batch. Each array is on the device; the array NAME_stage, in pinned memory, is
     * its copy on the host. */
    uint8_t *tok, *tok_stage;      // (rows)
    int64_t *off, *off_stage;      // (rows+1)
    piece_t *piece, *piece_stage;  // (pieces)
    int32_t *first, *first_stage;  // (rows) for each sequence, the slot of its first piece, or -1
    cad_rows_t *want, *want_stage; // (rows)
    int64_t *pick, *pick_stage;    // (PICKS) 2 x row + strand of each row whose logits are wanted
    slab_t *slab, *slab_stage;     // (slabs)
    float *out_stage;              // (out_floats)
    int64_t pieces, slots;         /* number of pieces and of slots of this batch */
    graph_t graph;
} gpu_t;

static inline gpu_t *gpu_of(const cad_lane_t *l) { return (gpu_t *)l->own; }

static inline int64_t ceil_div(int64_t n, int64_t by) { return (n + by - 1) / by; }

/* ---- errors: reported in the lane's text, or in err ---- */

static int code_of(cudaError_t e) { return e == cudaErrorMemoryAllocation ? CAD_ENOMEM : CAD_EDEVICE; }

static int check(cad_lane_t *l, cudaError_t e, const char *what)
{
    if (e == cudaSuccess) return 0;
    snprintf(l->text, sizeof l->text, "%s: %s", what, cudaGetErrorString(e));
    return code_of(e);
}

/* Frees pinned memory. p may be NULL, for which cudaFreeHost returns an error that a later launch would report. */
static void free_host(void *p)
{
    if (p) cudaFreeHost(p);
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
