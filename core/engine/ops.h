/* ops.h - the table of operations that a backend fills, and the lane they act on.
 *
 * A batch is packed: sequence i is rows [off[i], off[i+1]) and nothing separates
 * it from its neighbours but these offsets. strand.c loops over tiles of rows;
 * conv reads x beyond the tile (x is kept for all rows), scan keeps its state
 * from tile to tile and clears it where a sequence begins in its direction of
 * time. In the last layer a span says which rows are wanted, and strand.c hands
 * out only the part of a tile that they need: spans do not begin at multiples of
 * `tile`, and x, z, y and h of other rows are left from before. A backend whose
 * tile is the whole batch (CAD_WHOLE) needs no state between tiles, and finds each
 * sequence's need in `want`.
 * Every entry is mandatory and returns 0 or a CAD_E* code, for which it may leave
 * a reason in the lane.
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_OPS_H
#define CAD_OPS_H

#include "base/team.h"
#include "model/model.h"

typedef struct cad_weights_t cad_weights_t; /* a backend's packed weights */
typedef struct cad_ops_t cad_ops_t;
typedef struct cad_back_ops_t cad_back_ops_t; /* train.h */

#define CAD_STRETCH 64 /* rows of a pack between the scan states that a tape keeps */

typedef struct cad_tape_t { /* what a forward pass leaves for the backward pass, in the backend's memory */
    float **res;   // (layers+1) of (rows,Dp): what each layer reads; what the head reads, in the first one's place
    float **x;     // (layers) of (rows,Ep); NULL: made again
    float **state; // (layers,2) of (rows/CAD_STRETCH+sequences,Ep,N); NULL: made again
} cad_tape_t;

typedef struct cad_extent_t {
    int64_t Dp, Ep, Sp, N;
} cad_extent_t; /* strides */
static inline cad_extent_t cad_extent(const cad_model_t *m)
{
    const cad_config_t *c = &m->cfg;
    cad_extent_t e;
    e.Dp = cad_round_up(c->d_model, CAD_PAD);
    e.Ep = cad_round_up(c->d_inner, CAD_PAD);
    e.Sp = cad_round_up(c->dt_rank + 2 * c->d_state, CAD_PAD);
    e.N = c->d_state;
    return e;
}

typedef struct cad_lane_t { /* one stream of execution and its activations */
    const cad_ops_t *ops;
    const cad_weights_t *weights;
    cad_team_t *team;   /* threads inside an operation; NULL: the caller's alone */
    int64_t rows, tile; /* capacity; rows per step */
    uint8_t *tok;       // (rows) in the host's memory
    void *own;          /* the backend's memory */
    size_t bytes;       /* of it */
    char text[256];     /* why an operation failed; "" if its code says it all */
    /* In the backend's memory: */
    float *res;             // (rows,Dp) residual stream
    float *base;            // (rows,Dp) what `in` reads and `out` adds to: res, but for a tape
    float *h;               // (rows,Dp) first direction's output; NULL in the merged block
    float *state[2];        /* by direction: where scan keeps the states at stretches; NULL: nowhere */
    const cad_tape_t *tape; /* NULL in inference */
    /* The CPU's, in `own`; training reads them too: */
    float *x, *y;  // (rows,Ep)
    float *z;      // (zrows,Ep), row r of the pack at r % zrows
    int64_t zrows; /* set by who opens the lane; 0: rows; else tiles: one, or two on the way back */
    float *a;      // (tile,Dp) normalised rows
    float *u;      // (tile,Ep) after conv and SiLU
    float *xdbl;   // (tile,Sp) dt_in, B, C
    float *carry;  // (N,Ep) scan state
    cad_extent_t extent;
    float *row;  // (Dp)
    double *sum; // (Dp)
} cad_lane_t;

typedef struct cad_rows_t {
    int64_t beg, end;
} cad_rows_t; /* none if beg >= end */

typedef struct cad_span_t { /* rows [beg, end) of a packed batch */
    const int64_t *off;     // (nseq+1)
    const cad_rows_t *want; // (nseq) each sequence's rows whose result is read; NULL: all
    int nseq;
    int64_t beg, end;
} cad_span_t;

/* What a span's wanted rows need: themselves and, of their sequences, the rows
 * before (CAD_PAST) and after them (CAD_FUTURE). One range: a row between two
 * sequences' needs is in it, and whatever is computed there is never read. */
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

/* How `out` leaves o = y x out_proj^T + bias. */
typedef enum {
    CAD_OUT_ADD,  /* res = base + o */
    CAD_OUT_KEEP, /* h = o */
    CAD_OUT_PLUS, /* res = base + (h + o) */
    CAD_OUT_TIMES /* res = base + h * o */
} cad_out_t;

enum {
    CAD_IN_X = 1,
    CAD_IN_Z = 2, /* what `in` computes; */
    CAD_IN_TOKENS = 4
}; /* of layer 0, whose rows are the lane's tokens' */

typedef struct cad_pick_t { /* a row whose logits are read */
    int64_t row;
    int strand; /* 1 has the complemented table */
    float *to;  // (V) in the host's memory
} cad_pick_t;

typedef struct cad_range_t { /* rows [beg, end) that are pooled */
    int64_t beg, end;
    enum cad_pool_t how;
    float *to; // MEAN and MAX (D), NONE (end-beg,D), in the host's memory
} cad_range_t;

/* What a lane holds, for tests: widths Dp, Ep, Ep, Ep, Sp, Ep, Dp. */
typedef enum { CAD_AT_RES, CAD_AT_X, CAD_AT_Z, CAD_AT_U, CAD_AT_XDBL, CAD_AT_Y, CAD_AT_H } cad_at_t;

#define CAD_WHOLE ((int64_t)1 << 40) /* a tile or split beyond any batch */

struct cad_ops_t {
    char name[64];       /* "cpu avx512" */
    char precision[8];   /* "fp32" */
    int device;          /* which of several */
    int64_t tile;        /* rows per step of one worker */
    int64_t wide;        /* tiles per step of a team; 0: no team works inside operations */
    int64_t pack, least; /* rows gathered from short sequences; fewest, where memory is short */
    int64_t split;       /* longer sequences are the whole team's */
    int lanes;           /* at once; 0: as many as there are threads */
    bool late;           /* z is made tile by tile where it is used, and not kept for all rows */

    /* Weights in the backend's layout: once for inference. */
    int (*weights_open)(cad_weights_t **w, const cad_ops_t *ops, const cad_model_t *model, cad_error_t *err);
    void (*weights_renew)(cad_weights_t *w, const cad_model_t *model); /* its parameters have changed */
    void (*weights_close)(cad_weights_t *w);
    /* What a lane of l->rows needs (l->bytes, also on failure); less what its tape holds.
     * A lane that failed to open, or never tried, may be closed. */
    int (*lane_open)(cad_lane_t *l, const cad_model_t *model);
    void (*lane_close)(cad_lane_t *l);
    /* Rows [beg, beg+n) of a part in float32; u and xdbl begin with the last span. */
    int (*read)(cad_lane_t *l, cad_at_t what, int64_t beg, int64_t n, float *out);

    /* res[r] = input row of tok[r]. s.want: what the last layer will be asked for. */
    int (*embed)(cad_lane_t *l, const uint8_t *tok, cad_span_t s);
    /* x, z = norm(base) x in_proj^T + bias; z may be left out but for wanted rows. */
    int (*in)(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned parts);
    /* u = silu(conv(x)), xdbl = u x x_proj^T, both of this span from row 0 on. */
    int (*conv)(cad_lane_t *l, int layer, int dir, cad_span_t s);
    /* y = scan(u, xdbl) + skip u [+ y as it was, if add] [times silu(z), if gate]. */
    int (*scan)(cad_lane_t *l, int layer, int dir, cad_span_t s, bool add, bool gate);
    int (*out)(cad_lane_t *l, int layer, int dir, cad_span_t s, cad_out_t how);
    /* Logits of norm_f(res) at n rows of the pack. */
    int (*head)(cad_lane_t *l, const cad_pick_t *pick, int64_t n);
    /* norm_f(res) of n ranges of rows. */
    int (*pool)(cad_lane_t *l, const cad_range_t *range, int64_t n);

    const cad_back_ops_t *back; /* the same backwards; NULL: cad_cpu_back_ops has it */
};

/* ---- cpu/cpu.c ---- */
/* The best table that this processor runs, of float32 or with products of bfloat16 (half);
 * $CADUCEUS_ISA=avx512bf16|avx512|avx2|plain lowers it. */
int cad_cpu_ops(const cad_ops_t **ops, bool half, cad_error_t *err);

/* ---- cpu/lane.c: the lane of every instruction set ---- */
int cad_cpu_lane_open(cad_lane_t *l, const cad_model_t *model);
void cad_cpu_lane_close(cad_lane_t *l);
int cad_cpu_read(cad_lane_t *l, cad_at_t what, int64_t beg, int64_t n, float *out);

/* ---- strand.c ---- */
/* Runs the encoder over nseq packed sequences; res then holds the last residual
 * of the rows in want (nseq), or of all if it is NULL. With a tape, want is NULL. */
int cad_strand_forward(cad_lane_t *l, const cad_model_t *model, const int64_t *off, int nseq, const cad_rows_t *want);
/* One direction of a layer once more, for the backward pass: x and z as `parts`
 * say, the states that scan keeps, and h if `out`. */
int cad_strand_replay(cad_lane_t *l, const cad_model_t *model, int layer, int dir, cad_span_t all, unsigned parts,
                      bool out);
/* Points the lane at a layer of its tape. */
void cad_strand_enter(cad_lane_t *l, int layer);

#endif
