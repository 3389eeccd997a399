/* backend.h - the table of operations that a backend provides, and the lane they work on.
 *
 * A batch is a pack of sequences: sequence i is rows [off[i], off[i+1]), with no padding between
 * sequences. encoder.c loops over tiles of rows. conv reads x beyond the tile (x is kept for all
 * rows); scan carries its state from tile to tile and clears it where a sequence begins in its
 * direction of time.
 * In the last layer a span lists the wanted rows, and only the part of a tile that they need is
 * computed. Spans then need not begin at multiples of `tile`, and x, z, y and h of all other rows
 * hold old values. A backend whose tile is the whole batch (CAD_WHOLE) carries no state between
 * tiles and reads from `want` which rows each sequence needs.
 * Every entry is mandatory. Operations return 0 or a CAD_E* code, and may then write the reason to
 * the lane's text.
 * device.c chooses the backend by the name of the device.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_BACKEND_H
#define CAD_BACKEND_H

#include "base/team.h"
#include "model/model.h"

typedef struct cad_weights_t cad_weights_t; /* a backend's packed weights */
typedef struct cad_ops_t cad_ops_t;
typedef struct cad_back_ops_t cad_back_ops_t; /* see backward.h */

#define CAD_STRETCH 64 /* a tape keeps the scan state before every CAD_STRETCH rows */

struct cad_kept_t {
    float *part[3];
}; /* activations of one layer on a tape; the layer's kind defines the parts */

typedef struct cad_tape_t { /* activations kept from the forward to the backward pass, in the backend's memory */
    float **res;            // (layers+1) of (rows,Dp): each layer's input, then the head's, which overwrites the first
    cad_kept_t *kept;       // (layers), or NULL: layers are recomputed
} cad_tape_t;

struct cad_lane_t { /* a stream of execution and its activations */
    const cad_ops_t *ops;
    const cad_weights_t *weights;
    cad_team_t *team; /* threads used inside operations; NULL: the calling thread only */
    int64_t rows;     /* capacity in rows */
    int64_t tile;     /* rows per step */
    int64_t zrows;    /* rows for which z is kept, set before lane_open. 0: all rows; otherwise one tile, or two
                            in a backward pass */
    uint8_t *tok;     // (rows) in the host's memory
    void *own;        /* the backend's own memory */
    size_t bytes;     /* size of that memory */
    char text[256];   /* reason for an operation's failure, or "" */
    /* In the backend's memory: */
    float *res;                  // (rows,Dp) residual stream
    float *base;                 // (rows,Dp) the layer's input, to which `out` adds; same as res without a tape
    float *h;                    // (rows,Dp) the first direction's output; NULL if all layers are merged
    const cad_tape_t *tape;      /* NULL in inference */
    cad_work_t work[CAD_NKINDS]; /* each kind's activations; their type is in blocks/NAME.h */
    /* CPU only, in `own`; also used in training: */
    int64_t Dp;
    float *a;    // (tile,Dp) normalised rows
    float *row;  // (Dp)
    double *sum; // (Dp)
};

typedef struct cad_rows_t {
    int64_t beg, end;
} cad_rows_t; /* empty if beg >= end */

struct cad_span_t {         /* rows [beg, end) of a packed batch */
    const int64_t *off;     // (nseq+1)
    const cad_rows_t *want; // (nseq) rows of each sequence whose result is read; NULL: all
    int nseq;
    int64_t beg, end;
};

/* Shrinks a span to the rows that its wanted rows need: the wanted rows and, within their sequences,
 * those before (CAD_PAST) and after them (CAD_FUTURE). The result is one range, so it may include
 * rows between that are not needed; their values are never read. */
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

/* Where `out` stores o = y x out_proj^T + bias. */
typedef enum {
    CAD_OUT_ADD,  /* res = base + o */
    CAD_OUT_KEEP, /* h = o */
    CAD_OUT_PLUS, /* res = base + (h + o) */
    CAD_OUT_TIMES /* res = base + h * o */
} cad_out_t;

/* Outputs of a kind's `in` operation that a sweep computes: its `how`. */
enum {
    CAD_IN_X = 1,     /* x, which is mixed along time */
    CAD_IN_Z = 2,     /* z, the gate */
    CAD_IN_TOKENS = 4 /* layer 0: rows may be looked up by the lane's tokens */
};

struct cad_sweep_t { /* one direction of a layer over all rows, tile by tile */
    unsigned in;     /* CAD_IN_* */
    unsigned reach;  /* CAD_PAST or CAD_FUTURE: rows beyond the wanted ones that the direction needs */
    bool out;        /* run out_proj */
    bool add;        /* add the other direction's y before out_proj */
    bool gate;       /* multiply y, after add, by silu(z) */
    cad_out_t how;   /* what is done with the result of out_proj */
};

typedef struct cad_pick_t { /* a row whose logits are read */
    int64_t row;
    int strand; /* strand 1 uses the complemented table */
    float *to;  // (V) in the host's memory
} cad_pick_t;

typedef struct cad_range_t { /* rows [beg, end) to be pooled */
    int64_t beg, end;
    enum cad_pool_t how;
    float *to; // MEAN and MAX (D), NONE (end-beg,D), in the host's memory
} cad_range_t;

/* Arrays of width Dp that tests `read` from a lane; each kind numbers its own from CAD_AT_KIND. */
enum { CAD_AT_RES, CAD_AT_H, CAD_AT_KIND };

/* An operation of a kind of layer, on the rows of a span. */
typedef int cad_op_f(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how);

#define CAD_WHOLE ((int64_t)1 << 40) /* a tile or split larger than any batch */

struct cad_ops_t {
    char name[64];     /* "cpu avx512" */
    char precision[8]; /* "fp32" */
    int device;        /* index of the device */
    int64_t tile;      /* rows per step of one worker */
    int64_t wide;      /* tiles per step of a team; 0: operations do not use a team */
    int64_t pack;      /* capacity of a pack in rows */
    int64_t least;     /* minimum of that capacity where memory is short */
    int64_t split;     /* sequences longer than this are run by the whole team */
    int lanes;         /* number of lanes; 0: one per thread */
    bool late;         /* z is computed tile by tile where it is used, instead of being kept for all rows */

    /* Packs the weights into the backend's layout; once for inference. */
    int (*weights_open)(cad_weights_t **w, const cad_ops_t *ops, const cad_model_t *model, cad_error_t *err);
    void (*weights_renew)(cad_weights_t *w, const cad_model_t *model); /* after the parameters have changed */
    void (*weights_close)(cad_weights_t *w);
    /* Allocates a lane of l->rows, except for what its tape holds; sets l->bytes, also on failure.
     * lane_close accepts a lane that failed to open or was never opened. */
    int (*lane_open)(cad_lane_t *l, const cad_model_t *model);
    void (*lane_close)(cad_lane_t *l);
    /* Reads rows [beg, beg+n) of an array as float32. Arrays of one tile start at the last span. */
    int (*read)(cad_lane_t *l, int kind, int what, int64_t beg, int64_t n, float *out);

    /* res[r] = input embedding of tok[r]. s.want: rows wanted from the last layer. */
    int (*embed)(cad_lane_t *l, const uint8_t *tok, cad_span_t s);
    cad_op_f *const *kind[CAD_NKINDS]; /* each kind's operations, in the order of blocks/NAME.h */
    /* Computes the logits of norm_f(res) at n rows of the pack. */
    int (*head)(cad_lane_t *l, const cad_pick_t *pick, int64_t n);
    /* Pools norm_f(res) over n ranges of rows. */
    int (*pool)(cad_lane_t *l, const cad_range_t *range, int64_t n);

    const cad_back_ops_t *back; /* operations of the backward pass; NULL: use cad_cpu_back_ops */
};

/* ---- cpu/cpu.c ---- */
/* Finds the fastest table that this processor runs: float32, or matrix products of bfloat16 (half).
 * $CADUCEUS_ISA=avx512bf16|avx512|avx2|plain limits the choice. */
int cad_cpu_ops(const cad_ops_t **ops, bool half, cad_error_t *err);

/* ---- encoder.c ---- */
/* Runs the encoder over nseq packed sequences. res then holds the last residual of the rows in
 * want (nseq), or of all rows if want is NULL. With a tape, want must be NULL. */
int cad_encoder_forward(cad_lane_t *l, const cad_model_t *model, const int64_t *off, int nseq, const cad_rows_t *want);
/* Recomputes, for the backward pass, one direction of a layer: x, z or both (parts: CAD_IN_*), the
 * scan's kept states, and h if `out`. */
int cad_encoder_replay(cad_lane_t *l, const cad_model_t *model, int layer, int dir, cad_span_t all, unsigned parts,
                       bool out);
/* Begins a pass with a tape. In a backward pass, `back` holds the states that the tape does not. */
void cad_encoder_begin(cad_lane_t *l, const cad_model_t *model, cad_grad_lane_t *back);
/* Points the lane at one layer of its tape. */
void cad_encoder_enter(cad_lane_t *l, const cad_model_t *model, int layer);

#endif
