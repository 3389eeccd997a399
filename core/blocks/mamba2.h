/* mamba2.h - Mamba-2 (Dao and Gu 2024), a layer kind: its shape, tensors, operations and memory, shared by
 * blocks/mamba2.c and the backends. The forward pass of one direction, from a normalised row v to its output:
 *
 *     z, x|B|C, r = in_proj v                    widths I, I+2GN, H
 *     x, B, C = silu(conv(x|B|C))                causal, depthwise, K taps
 *     dt[h]   = softplus(r[h] + dt_bias[h])
 *     S[h,p,n] = exp(dt A[h]) S[h,p,n] + dt x[h,p] B[g,n],  A = -exp(A_log),  S = 0 at the start
 *     y[h,p]  = sum_n C[g,n] S[h,p,n] + D[h] x[h,p]
 *     o       = norm(y silu(z))                  RMS norm over the I/G channels of a group
 *     out     = out_proj o
 *
 * x|B|C is one array with the columns of x, then of B and C. I is d_inner, N d_state, P headdim, H = I/P the number of
 * heads, G ngroups, K d_conv; head h reads B and C of group g = h G/H.
 *
 * The scan runs in chunks of CAD_MAMBA2_CHUNK rows. In a chunk, rows are numbered from 0 in the direction of the scan.
 * With a[i] = exp(dt[i] A) and L[t,j] = a[j+1] ... a[t], and with S_in and S_out the states before and after the chunk,
 *     y[t] = L[t,-1] C[t] S_in + sum over j <= t of L[t,j] (C[t].B[j]) dt[j] x[j] + D x[t]
 *     S_out = L[last,-1] S_in + sum over j of L[last,j] B[j] (x) dt[j] x[j]
 * where (x) is the outer product. So all but O(1) operations per row and head are matrix products. Chunks are counted
 * from the first row of a sequence, in both directions, so they depend only on the sequence's length.
 *
 * Layout of rows: each head's P channels are padded to Pp, the N states of each group to Np, the H heads to Hp, all
 * multiples of CAD_PAD. Padding is 0. x has Ep = H Pp columns, x|B|C has Cp = Ep + 2 G Np, and x|B|C|r has Xp = Cp +
 * Hp. In shapes, D is d_model. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA2_H
#define CAD_MAMBA2_H

#include "engine/backward.h"

#define CAD_MAMBA2_CHUNK 64     /* rows of a chunk */
#define CAD_MAMBA2_EPSILON 1e-5 /* epsilon of the gated RMS norm */

typedef struct cad_mamba2_t { /* the shape, read from ssm_cfg */
    int64_t I, N, K, P, G, H;
    bool conv_bias, bias; /* conv_bias: the convolution has a bias; bias: in_proj and out_proj have biases */
    double dt_min, dt_max, dt_init_floor, a_init[2];
} cad_mamba2_t;
static inline const cad_mamba2_t *cad_mamba2(const cad_config_t *c)
{
    return (const cad_mamba2_t *)(const void *)&c->shape[CAD_KIND_mamba2];
}
static inline int64_t cad_mamba2_Pp(const cad_mamba2_t *s) { return cad_round_up(s->P, CAD_PAD); }
static inline int64_t cad_mamba2_Np(const cad_mamba2_t *s) { return cad_round_up(s->N, CAD_PAD); }
static inline int64_t cad_mamba2_Hp(const cad_mamba2_t *s) { return cad_round_up(s->H, CAD_PAD); }
static inline int64_t cad_mamba2_Ep(const cad_mamba2_t *s) { return s->H * cad_mamba2_Pp(s); }
static inline int64_t cad_mamba2_Cp(const cad_mamba2_t *s) { return cad_mamba2_Ep(s) + 2 * s->G * cad_mamba2_Np(s); }
static inline int64_t cad_mamba2_Xp(const cad_mamba2_t *s) { return cad_mamba2_Cp(s) + cad_mamba2_Hp(s); }

/* A run of n channels that are adjacent both in the published tensors (from channel `from`) and in padded rows (from
 * channel `to`). */
typedef struct cad_mamba2_run_t {
    int64_t from, n, to;
} cad_mamba2_run_t;
/* Returns run k of x|B|C|r. The runs are the H heads of x, the G groups of B, the G groups of C, and r. The first H
 * runs are also the heads of z and y. */
static inline cad_mamba2_run_t cad_mamba2_run(const cad_mamba2_t *s, int64_t k)
{
    cad_mamba2_run_t head = { k * s->P, s->P, k * cad_mamba2_Pp(s) },
                     state = { s->I + (k - s->H) * s->N, s->N, cad_mamba2_Ep(s) + (k - s->H) * cad_mamba2_Np(s) },
                     steps = { s->I + 2 * s->G * s->N, s->H, cad_mamba2_Cp(s) };
    return k < s->H ? head : k < s->H + 2 * s->G ? state : steps;
}

enum {                             /* roles of a direction's tensors */
       CAD_MAMBA2_IN = CAD_T_KIND, // (2I+2GN+H,D) rows of z, x, B, C, r
       CAD_MAMBA2_IN_BIAS,         // (2I+2GN+H)
       CAD_MAMBA2_CONV,            // (I+2GN,1,K)
       CAD_MAMBA2_CONV_BIAS,       // (I+2GN)
       CAD_MAMBA2_DT_BIAS,         // (H)
       CAD_MAMBA2_A_LOG,           // (H)
       CAD_MAMBA2_SKIP,            // (H)
       CAD_MAMBA2_NORM,            // (I)
       CAD_MAMBA2_OUT,             // (D,I)
       CAD_MAMBA2_OUT_BIAS         // (D)
};

/* Operations of the forward pass, in the order of a backend's table. Square brackets name the flags that an operation's
 * argument `how` takes; [0]: none. */
enum {
    /* x|B|C|r, z = norm(base) x in_proj^T + bias. If the span lists wanted rows, z is computed for these rows only
     * [CAD_IN_*] */
    CAD_MAMBA2_OP_IN,
    /* u = silu(conv(x|B|C)); also dt and decay. Row 0 of these arrays is the first row of the span [0] */
    CAD_MAMBA2_OP_CONV,
    /* y = scan(u, dt) + skip x. Row 0 of y is the first row of the span [CAD_MAMBA2_STATE, _NEXT, _SLOT; on a GPU
     * always 0] */
    CAD_MAMBA2_OP_SCAN,
    CAD_MAMBA2_OP_GATE, /* o = norm(y silu(z)), for rows of the span that OP_SCAN ran on last [CAD_MAMBA2_ADD] */
    CAD_MAMBA2_OP_OUT,  /* out = o x out_proj^T + bias [cad_out_t] */
    CAD_MAMBA2_OPS
};
enum {
    CAD_MAMBA2_ADD = 1,   /* add the result to o (backward: and to dz), which holds the first direction's result */
    CAD_MAMBA2_STATE = 2, /* compute only the scan state, not y */
    CAD_MAMBA2_NEXT = 4,  /* begin with a copy of the state in the next slot */
    CAD_MAMBA2_SLOT = 8   /* this value times k means that the state is in slot k of the array `carry` */
};

/* Operations of the backward pass, in the order of a backend's table. */
enum {
    /* g = dout x out_proj, dx = 0. Run it before BACK_CONV of a neighbouring tile, which adds to dx */
    CAD_MAMBA2_BACK_OUT,
    /* computes y and o again, and dz, du and dr, from g and the kept states. Run it after OP_CONV [CAD_MAMBA2_ADD] */
    CAD_MAMBA2_BACK_SCAN,
    CAD_MAMBA2_BACK_CONV, /* adds to dx, from du and dr */
    /* computes the gradients of out_proj, in_proj and the layer's norm; adds to dres, the gradient of the residual. Run
     * it after the other operations of both directions */
    CAD_MAMBA2_BACK_IN,
    CAD_MAMBA2_BACK_OPS
};

typedef struct cad_mamba2_lane_t { /* a lane's activations, in the backend's memory */
    float *x;                      // (rows,Xp) x|B|C|r
    // (rows,Ep) gate; normalised gated y. In inference on the CPU, only the rows of one segment (engine/encoder.c)
    float *z, *o;
    float *u;          // (tile,Cp) x|B|C after the convolution
    float *dt, *decay; // (tile,Hp) dt, exp(dt A)
    float *y;          // (tile,Ep) output of the scan
    // (tile,G,CHUNK) the scores C[t].B[j], stored chunk by chunk and group by group; t and j count in the direction of
    // the scan
    float *score;
    // (slots,H,Np,Pp) scan states: one slot for each segment and one more; one slot if all rows are one segment
    float *carry;
    int64_t beg;   /* first row of the span that OP_SCAN ran on last: row 0 of y */
    int64_t first; /* first row of the current segment: row 0 of z and o */
    int64_t Ep, Cp, Xp;
    // for each direction, the scan states (chunks,H,Np,Pp) before each chunk, kept for the backward pass; or NULL
    float *state[2];
} cad_mamba2_lane_t;
static inline cad_mamba2_lane_t *cad_mamba2_lane(const cad_lane_t *l)
{
    return (cad_mamba2_lane_t *)(void *)&l->work[CAD_KIND_mamba2];
}
/* Returns the index, among the kept states, of the chunk of sequence q that contains `row`. */
static inline int64_t cad_mamba2_slot(const int64_t *off, int q, int64_t row)
{
    return off[q] / CAD_MAMBA2_CHUNK + q + (row - off[q]) / CAD_MAMBA2_CHUNK;
}

typedef struct cad_mamba2_grad_lane_t {
    float *g;       // (rows,Ep) gradient of o, which is the same for both directions
    float *dz;      // (rows,Ep) gradient of z
    float *dx;      // (rows,Xp) gradient of x|B|C|r
    float *du;      // (tile,Cp) gradient of u
    float *dr;      // (tile,Hp) gradient of dt before softplus
    float *term;    // (tile,Ep) terms of the gradient of the norm's weight
    float *part;    // (H,tile,2Np) terms of dB and dC from each head
    float *carry;   // (H,Np,Pp) gradient of the scan state
    float *words;   // CPU only: (tile,2 max(Dp,Xp)) room for rounded rows (cpu/outer_tmpl.h)
    float *kept[2]; /* memory for each direction's scan states, if the tape keeps none */
} cad_mamba2_grad_lane_t;
static inline cad_mamba2_grad_lane_t *cad_mamba2_grad_lane(const cad_grad_lane_t *l)
{
    return (cad_mamba2_grad_lane_t *)(void *)&l->work[CAD_KIND_mamba2];
}

/* Numbers of the arrays that tests read from a lane with the operation `read`. U and Y hold the rows of the last span
 * only. */
enum { CAD_AT_MAMBA2_X = CAD_AT_KIND, CAD_AT_MAMBA2_Z, CAD_AT_MAMBA2_U, CAD_AT_MAMBA2_Y, CAD_AT_MAMBA2_O };

/* Scratch memory of the double-precision forward pass, without padding, taken from cad_reference_t.room. */
typedef struct cad_mamba2_reference_t {
    double *zxr;   // (rows,2I+2GN+H) in_proj's result
    double *u;     // (rows,I+2GN)
    double *y, *o; // (rows,I)
    double *state; // (I,N)
} cad_mamba2_reference_t;
void cad_mamba2_reference(cad_mamba2_reference_t *f, const cad_config_t *c, double *room, int64_t rows);

#endif
