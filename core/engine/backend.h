/* backend.h - defines the table of operations that a backend provides, and the lane that they work on.
 *
 * A batch is a pack of sequences: sequence i is rows [off[i], off[i+1]), with no padding between sequences. encoder.c
 * loops over tiles of rows. Mamba's convolution reads rows of x outside the tile, so x is kept for all rows; Mamba's
 * scan carries the state from tile to tile and clears it at the first row of a sequence in the direction of the scan.
 *
 * In the last layer a span lists the wanted rows, and in each tile only the rows on which wanted rows depend are
 * computed. A span then need not begin at a multiple of `tile`; in the rows that are not computed, x, z, y and h keep
 * the values of an earlier layer. A backend whose tile is the whole batch (CAD_WHOLE) carries no state between tiles
 * and reads from `want` which rows each sequence needs.
 *
 * All functions of cad_ops_t are mandatory. Operations return 0 or a CAD_E* code; they may write the reason of an error
 * to the lane's text.
 *
 * To add a backend, fill cad_ops_t and, for training, cad_back_ops_t (backward.h), and let device.c choose it by the
 * name of the device. module.h describes how a backend is loaded at run time.
 *
 * In shapes, D is d_model, V the number of rows of the embedding table; Dp is D rounded up to CAD_PAD.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_BACKEND_H
#define CAD_BACKEND_H

#include "base/team.h"
#include "model/model.h"

typedef struct cad_weights_t cad_weights_t; /* a backend's packed weights */
typedef struct cad_ops_t cad_ops_t;
typedef struct cad_back_ops_t cad_back_ops_t; /* a backend's operations of the backward pass; backward.h defines them */

/* Precisions of a layer's projections: inputs are float32, sums of two bfloat16 parts, or bfloat16. Sums are float32. */
enum { CAD_PRECISION_FP32, CAD_PRECISION_BF16X3, CAD_PRECISION_BF16, CAD_NPRECISIONS };

struct cad_kept_t {
    float *array[3];
}; /* activations of one layer that a tape keeps; the layer's kind defines what each array holds */

typedef struct cad_tape_t { /* activations kept from the forward to the backward pass, in the backend's memory */
    // (layers+1) pointers to arrays (rows,Dp): the input of each layer, then the input of the head. [0] and [layers]
    // point to the same memory
    float **res;
    cad_kept_t *kept; // (layers), or NULL: the backward pass recomputes each layer's activations
} cad_tape_t;

struct cad_lane_t { /* a stream of execution and its activations */
    const cad_ops_t *ops;
    const cad_weights_t *weights;
    cad_team_t *team; /* threads used inside operations; NULL: the calling thread only */
    int64_t rows;     /* capacity in rows */
    /* rows per tile; one call of an operation computes one tile. If a layer kind sets `chunk` (cad_block_t), a tile may
     * have up to chunk - 1 rows more */
    int64_t tile;
    /* number of rows for which z is kept; set before lane_open is called. 0: all rows. Otherwise a multiple of `tile`:
     * one tile or, in a backward pass, two */
    int64_t zrows;
    uint8_t *tok; // (rows) tokens, in the host's memory
    void *own;    /* the backend's own memory */
    size_t bytes; /* size of the memory `own` */
    /* address of a counter of rows x layers computed, shared by all lanes and read by other threads; or NULL */
    int64_t *done;
    int layers; /* number of layers that cad_encoder_forward runs; 0: all */
    /* The residual stream has its channels in reverse order, as it has after every second layer of a folded model
     * (tensors.c). Set by cad_encoder_forward; `pool` then applies the final norm with its channels reversed too. */
    bool mirrored;
    char text[256]; /* reason for an operation's failure, or "" */
    /* (nseq+1) offsets of the sequences in the rows that the current layer reads, and in those that it writes: the same,
     * unless the layer pools rows */
    const int64_t *off_in, *off_out;
    int64_t *offsets; // (pooling layers,rows+1) the offsets after each layer that pools rows; NULL if there is none
    /* The following pointers are addresses in the backend's memory, for a GPU in device memory: */
    float *res;                  // (rows,Dp) residual stream
    float *base;                 // (rows,Dp) the layer's input, to which `out` adds; equal to res if there is no tape
    float *h;                    // (rows,Dp) the first direction's output; NULL if all layers are merged
    const cad_tape_t *tape;      /* NULL in inference */
    cad_work_t work[CAD_NKINDS]; /* for each layer kind, a struct of its activations; blocks/NAME.h declares its type */
    /* Used by the CPU backend only, in the memory `own`: */
    int64_t Dp;
    float *a;    // (tile,Dp) normalised rows
    float *row;  // (Dp) scratch for one row
    double *sum; // (Dp) scratch for sums over rows
};

typedef struct cad_rows_t {
    int64_t beg, end;
} cad_rows_t; /* rows [beg, end); empty if beg >= end */

struct cad_span_t {         /* rows [beg, end) of a packed batch */
    const int64_t *off;     // (nseq+1)
    const cad_rows_t *want; // (nseq) the wanted rows of each sequence, whose results are read; NULL: all rows
    int nseq;
    int64_t beg, end;
};

/* Shrinks a span to the rows that its wanted rows depend on: the wanted rows and, within their sequences, the rows
 * before them if `reach` has CAD_PAST, and the rows after them if it has CAD_FUTURE. The result is one range of rows;
 * it may include rows between wanted sequences that are not needed. The values of such rows are never read. */
enum { CAD_PAST = 1, CAD_FUTURE = 2 };
static inline cad_span_t cad_span_need(cad_span_t s, unsigned reach)
{
    int64_t beg = s.end, end = s.beg;
    if (!s.want) return s;
    for (int q = 0; q < s.nseq; q++) {
        int64_t from = cad_max(s.beg, reach & CAD_PAST ? s.off[q] : s.want[q].beg);
        int64_t to = cad_min(s.end, reach & CAD_FUTURE ? s.off[q + 1] : s.want[q].end);
        if (from >= to || s.want[q].beg >= s.want[q].end) continue;
        beg = cad_min(beg, from);
        end = cad_max(end, to);
    }
    s.beg = cad_min(beg, end);
    s.end = end;
    return s;
}

/* How the operation `out` stores its result, o = y x out_proj^T + bias. */
typedef enum {
    CAD_OUT_ADD,  /* res = base + o */
    CAD_OUT_KEEP, /* h = o */
    CAD_OUT_PLUS, /* res = base + (h + o) */
    CAD_OUT_TIMES /* res = base + h * o */
} cad_out_t;

/* Flags of a layer kind's operation `in` (its argument `how`): which outputs it computes. */
enum {
    CAD_IN_X = 1, /* x, the input of the convolution and the scan */
    CAD_IN_Z = 2, /* z, the gate */
    /* set in layer 0, whose input depends only on the token: x and z may be copied from a table with a row for each
     * token */
    CAD_IN_TOKENS = 4
};

struct cad_sweep_t { /* one direction of a layer over all rows, tile by tile */
    unsigned in;     /* CAD_IN_* */
    unsigned reach;  /* CAD_PAST or CAD_FUTURE: on which side of the wanted rows this direction also needs rows */
    bool out;        /* run out_proj */
    bool add;        /* add the first direction's y before out_proj */
    bool gate;       /* multiply y by silu(z), after `add` */
    cad_out_t how;   /* where out_proj's result goes */
    /* The following are for a layer that runs in segments (encoder.c): */
    bool alone; /* each tile is a segment of its own */
    /* first: the segment's first row. until: the end of the sequence that has rows on both sides of `first`; if there
     * is none, `first` itself */
    int64_t first, until;
    unsigned slot; /* slot of the memory in which the scan state is carried */
    /* ahead: only x and the scan state are computed. starts: set for each tile; true for the segment's first tile with
     * rows, in the direction of the scan */
    bool ahead, starts;
};

typedef struct cad_pick_t { /* a row whose logits are read */
    int64_t row;
    /* strand 0 uses the head's table (V,Dp) as it is; strand 1 uses it with row v replaced by the row of v's
     * complement */
    int strand;
    float *to; // (V) in the host's memory
} cad_pick_t;

typedef struct cad_range_t { /* rows [beg, end), which are pooled */
    int64_t beg, end;
    enum cad_pool_t how;
    float *to;           // result, in the host's memory: (end-beg,D) for NONE, (D) for all others
    const float *weight; // (Dp) pool.weight, padded with zeros, in the host's memory; only for ATTENTION
} cad_range_t;

/* Numbers of the arrays that tests read from a lane with the operation `read`: the residual and h, both of width Dp,
 * and from CAD_AT_KIND onwards the arrays that each layer kind numbers. */
enum { CAD_AT_RES, CAD_AT_H, CAD_AT_KIND };

/* An operation of a layer kind, on the rows of a span, for direction dir of a layer. how: flags of the operation, or a
 * cad_out_t for the operation `out`. */
typedef int cad_op_f(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how);

#define CAD_WHOLE ((int64_t)1 << 40) /* a tile or split larger than any batch */

struct cad_ops_t {
    char name[64];     /* for example "cpu avx512" */
    char precision[8]; /* "fp32", "bf16x3" or "bf16" */
    int device;        /* index of the device */
    int devices;       /* number of devices that this backend has */
    int64_t tile;      /* rows per call of an operation, if one thread runs the lane */
    /* if a team runs the lane, a tile has this many times `tile` rows, or as many times as the team has threads; 0:
     * operations do not use a team */
    int64_t wide;
    int64_t pack;  /* capacity of a pack in rows */
    int64_t least; /* if memory is short, the pack's capacity is halved, but not below this */
    int64_t split; /* sequences longer than this are run by the whole team */
    int lanes;     /* number of lanes; 0: one lane for each thread */
    bool late;     /* z is computed where it is used, for one tile or segment, and not kept for all rows */

    /* Packs the model's weights into the backend's layout. A context calls it once. */
    int (*weights_open)(cad_weights_t **w, const cad_ops_t *ops, const cad_model_t *model, cad_error_t *err);
    /* packs the weights again, after the parameters have changed */
    void (*weights_renew)(cad_weights_t *w, const cad_model_t *model);
    void (*weights_close)(cad_weights_t *w);
    /* Allocates the memory of a lane of l->rows rows, except for the arrays that its tape holds. Sets l->bytes,
     * also on failure. lane_close accepts a lane that failed to open or was never opened. */
    int (*lane_open)(cad_lane_t *l, const cad_model_t *model);
    void (*lane_close)(cad_lane_t *l);
    /* Copies rows [beg, beg+n) of the array `what` (CAD_AT_*) of a layer kind to out, as float32. In an array that
     * holds a single tile, row 0 is the first row of the last span. */
    int (*read)(cad_lane_t *l, int kind, int what, int64_t beg, int64_t n, float *out);

    /* Sets row r of res to the embedding of token tok[r], for the rows of s. s.want: the rows that are wanted from the
     * last layer; NULL if layers pool rows. */
    int (*embed)(cad_lane_t *l, const uint8_t *tok, cad_span_t s);
    cad_op_f *const *kind[CAD_NKINDS]; /* operations of each layer kind, in the order of blocks/NAME.h */
    /* Computes logits at n rows of the pack: applies the final norm to res, then the head. */
    int (*head)(cad_lane_t *l, const cad_pick_t *pick, int64_t n);
    /* Applies the final norm to res and pools the result over n ranges of rows. */
    int (*pool)(cad_lane_t *l, const cad_range_t *range, int64_t n);

    const cad_back_ops_t *back; /* operations of the backward pass; NULL: those that cad_cpu_back_ops returns */
};

/* ---- device.c ---- */
/* Returns the CAD_PRECISION_* that "fp32", "bf16x3" or "bf16" names, and -1 for any other text. */
int cad_precision_number(const char *precision);

/* ---- cpu/cpu.c ---- */
/* Finds the fastest table of operations for this precision (CAD_PRECISION_*) that this processor supports. The variable
 * $CADUCEUS_ISA names an instruction set and limits the choice to that one and slower ones. */
int cad_cpu_ops(const cad_ops_t **ops, int precision, cad_error_t *err);

/* ---- encoder.c ---- */
/* Allocates l->offsets for a model with layers that pool rows, for l->rows rows; returns 0 or CAD_ENOMEM. The caller
 * frees l->offsets. */
int cad_encoder_open(cad_lane_t *l, const cad_model_t *model);
/* Returns the offsets of the sequences after the first `layers` layers of the last forward pass, whose offsets were
 * off. */
const int64_t *cad_encoder_offsets(const cad_lane_t *l, const cad_model_t *model, int layers, const int64_t *off);
/* Points l->off_in and l->off_out to the offsets of a layer. */
void cad_encoder_rows(cad_lane_t *l, const cad_model_t *model, int layer, const int64_t *off);
/* Runs l->layers layers of the encoder on nseq packed sequences. Afterwards res holds the last residual for the rows that `want` (nseq)
 * lists, or for all rows if want is NULL. With a tape, want must be NULL. If layers pool rows, `want` counts the rows
 * after them. */
int cad_encoder_forward(cad_lane_t *l, const cad_model_t *model, const int64_t *off, int nseq, const cad_rows_t *want);
/* Recomputes activations of one direction of a layer for the backward pass: x, z or both (parts: flags CAD_IN_*), the
 * scan states that are kept and, if `out`, the direction's output h. */
int cad_encoder_replay(cad_lane_t *l, const cad_model_t *model, int layer, int dir, cad_span_t all, unsigned parts,
                       bool out);
/* cad_encoder_tiles returns the number of tiles of a layer; cad_encoder_tile, below, returns the rows of tile k as a
 * span. Tile k begins at row k * l->tile, rounded down to a multiple of the kind's chunk, counted from the first row of
 * the sequence that contains that row. A tile may be empty. */
int64_t cad_encoder_tiles(const cad_lane_t *l, int64_t rows);
/* Returns the number of tiles in a segment of a layer in which each direction applies the gate itself (gates_each). */
int64_t cad_encoder_segment(const cad_lane_t *l);
cad_span_t cad_encoder_tile(const cad_lane_t *l, const cad_block_t *block, cad_span_t all, int64_t k);
/* Returns the largest number of rows that a tile of this model can have. */
int64_t cad_encoder_most(const cad_lane_t *l, const cad_model_t *model);
/* Prepares a lane with a tape for a forward or backward pass. back: in a backward pass, the grad lane, which has memory
 * for the scan states that the tape does not keep; in a forward pass, NULL. */
void cad_encoder_begin(cad_lane_t *l, const cad_model_t *model, cad_grad_lane_t *back);
/* Points the lane's arrays to the memory of one layer of its tape. */
void cad_encoder_enter(cad_lane_t *l, const cad_model_t *model, int layer);

#endif
