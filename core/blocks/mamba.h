/* mamba.h - Mamba-1 (Gu and Dao 2023), a layer kind: its shape, tensors, operations and memory, shared by
 * blocks/mamba.c and the backends. The forward pass of one direction, from a normalised row h to its output:
 *
 *     x, z    = in_proj h
 *     u       = silu(conv(x))                    causal, depthwise, K taps
 *     dt_in, B, C = x_proj u
 *     dt      = softplus(dt_proj dt_in + bias)
 *     s[e,n]  = exp(dt A[e,n]) s[e,n] + dt u B[n],  A = -exp(A_log),  s = 0 at the start
 *     y[e]    = sum_n C[n] s[e,n] + D[e] u
 *     out     = out_proj (y silu(z))
 *
 * e = 0..E-1 is a channel, n = 0..N-1 a state. E is d_inner, N d_state, K d_conv, R dt_rank, S = R + 2N. In shapes, D
 * is d_model; Ep and Sp are E and S rounded up to CAD_PAD. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA_H
#define CAD_MAMBA_H

#include "engine/backward.h"

typedef struct cad_mamba_t { /* the shape, read from ssm_cfg */
    int64_t E, N, K, R;
    bool conv_bias, bias; /* conv_bias: the convolution has a bias; bias: in_proj and out_proj have biases */
    bool dt_constant;     /* dt_init is "constant", not "random" */
    double dt_min, dt_max, dt_scale, dt_init_floor;
} cad_mamba_t;
static inline const cad_mamba_t *cad_mamba(const cad_config_t *c)
{
    return (const cad_mamba_t *)(const void *)&c->shape[CAD_KIND_mamba];
}
static inline int64_t cad_mamba_Ep(const cad_config_t *c) { return cad_round_up(cad_mamba(c)->E, CAD_PAD); }
static inline int64_t cad_mamba_Sp(const cad_config_t *c)
{
    return cad_round_up(cad_mamba(c)->R + 2 * cad_mamba(c)->N, CAD_PAD);
}

enum {                            /* roles of a direction's tensors */
       CAD_MAMBA_IN = CAD_T_KIND, // (2E,D) rows of x, then rows of z
       CAD_MAMBA_IN_BIAS,         // (2E)
       CAD_MAMBA_CONV,            // (E,1,K)
       CAD_MAMBA_CONV_BIAS,       // (E)
       CAD_MAMBA_X,               // (R+2N,E)
       CAD_MAMBA_DT,              // (E,R)
       CAD_MAMBA_DT_BIAS,         // (E)
       CAD_MAMBA_A_LOG,           // (E,N)
       CAD_MAMBA_SKIP,            // (E)
       CAD_MAMBA_OUT,             // (D,E)
       CAD_MAMBA_OUT_BIAS         // (D)
};

/* Operations of the forward pass, in the order of a backend's table. Square brackets name the flags that an operation's
 * argument `how` takes; [0]: none. */
enum {
    /* x, z = norm(base) x in_proj^T + bias. If the span lists wanted rows, z is computed for these rows only
     * [CAD_IN_*] */
    CAD_MAMBA_OP_IN,
    /* u = silu(conv(x)), xdbl = u x_proj^T. Row 0 of u and xdbl is the first row of the span [0] */
    CAD_MAMBA_OP_CONV,
    CAD_MAMBA_OP_SCAN, /* y = scan(u, xdbl) + skip u [CAD_SCAN_*] */
    CAD_MAMBA_OP_OUT,  /* o = y x out_proj^T + bias [cad_out_t] */
    CAD_MAMBA_OPS
};
enum {
    CAD_SCAN_ADD = 1,  /* add to y, which holds the first direction's y */
    CAD_SCAN_GATE = 2, /* multiply y by silu(z), after the addition */
    CAD_SCAN_MORE = 4  /* the other direction will follow and add its y; a backend may scan both then */
};

/* Operations of the backward pass, in the order of a backend's table. */
enum {
    /* computes g = dout x out_proj, the gradient of the gated y. A backend with tiles sets dx to 0. Run it before
     * CAD_MAMBA_BACK_CONV of a neighbouring tile, which adds to dx */
    CAD_MAMBA_BACK_OUT,
    /* computes y again, and du, dpre, dB and dC, from g and the kept states. Run it after CAD_MAMBA_OP_CONV
     * [CAD_SCAN_ADD] */
    CAD_MAMBA_BACK_SCAN,
    /* adds to dx, from du, dpre, dB and dC: the backward pass of dt_proj, x_proj and the convolution. A backend without
     * tiles sets dx if it is not [CAD_SCAN_ADD] */
    CAD_MAMBA_BACK_CONV,
    /* computes the gated y, dz and the gradients of out_proj, in_proj and the norm; adds to dres, the gradient of the
     * residual. Run it after the other operations of both directions */
    CAD_MAMBA_BACK_IN,
    CAD_MAMBA_BACK_OPS
};

#define CAD_STRETCH 64 /* a tape keeps the scan state before every CAD_STRETCH-th row */

typedef struct cad_mamba_lane_t { /* a lane's activations, in the backend's memory; on a GPU only `state` is used */
    float *x, *y;                 // (rows,Ep)
    float *z;                     // (zrows,Ep) row r of the pack is row r % zrows
    float *u;                     // (tile,Ep) output of the convolution and SiLU
    float *xdbl;                  // (tile,Sp) dt_in, B, C
    float *carry;                 // (N,Ep) scan state, carried from tile to tile
    int64_t Ep, Sp;
    // for each direction, the scan states that are kept for the backward pass; or NULL. On the CPU: (slots,Ep,N), where
    // slots is rows / CAD_STRETCH + sequences
    float *state[2];
} cad_mamba_lane_t;
static inline cad_mamba_lane_t *cad_mamba_lane(const cad_lane_t *l)
{
    return (cad_mamba_lane_t *)(void *)&l->work[CAD_KIND_mamba];
}

typedef struct cad_mamba_grad_lane_t {
    float *g; // (rows,Ep) gradient of the gated y, overwritten with the gradient of z
    // (rows,Ep) gradient of x. CUDA: dx and g are one array (rows,2Ep), in which the columns of dx come first
    float *dx;
    float *du;      // (tile,Ep) gradient of u
    float *dpre;    // (tile,Ep) gradient of dt before softplus
    float *dxdbl;   // (tile,Sp) gradients of dt_in, B, C
    float *bc;      // CPU only: (2N,tile) B and C; gather() in cpu/mamba_scan_back_tmpl.h defines the layout
    float *part;    // partial sums of dB and dC, one for each group of channels; on the CPU each is laid out as bc
    float *carry;   // (N,Ep) gradient of the scan state
    float *words;   // CPU only: (tile,2 max(Dp,Ep,Sp)) room for rounded rows (cpu/outer_tmpl.h)
    float *kept[2]; /* memory for each direction's scan states, if the tape keeps none */
} cad_mamba_grad_lane_t;
static inline cad_mamba_grad_lane_t *cad_mamba_grad_lane(const cad_grad_lane_t *l)
{
    return (cad_mamba_grad_lane_t *)(void *)&l->work[CAD_KIND_mamba];
}

/* indexes of cad_kept_t.array: x; the scan states of direction 0; CAD_MAMBA_KEPT_STATE + 1 is the index of those of
 * direction 1 */
enum { CAD_MAMBA_KEPT_X, CAD_MAMBA_KEPT_STATE };

/* Numbers of the arrays that tests read from a lane with the operation `read`. CAD_AT_XDBL has rows of Sp values, the
 * others of Ep. */
enum { CAD_AT_X = CAD_AT_KIND, CAD_AT_Z, CAD_AT_U, CAD_AT_XDBL, CAD_AT_Y };

/* Scratch memory of the double-precision forward pass, taken from cad_reference_t.room. */
typedef struct cad_mamba_reference_t {
    double *x, *z, *u, *y; // (rows,E); y is gated
    double *xdbl;          // (rows,R+2N)
    double *state;         // (E,N)
} cad_mamba_reference_t;
void cad_mamba_reference(cad_mamba_reference_t *s, const cad_config_t *c, double *room, int64_t rows);

#endif
