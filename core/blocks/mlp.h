/* mlp.h - an MLP, a layer kind without a direction, from a normalised row h to its output:
 *
 *     u   = fc1 h + bias         width E
 *     out = fc2 GELU(u) + bias
 *
 * In shapes, D is d_model; Dp and Ep are D and E rounded up to CAD_PAD. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MLP_H
#define CAD_MLP_H

#include "engine/backward.h"

typedef struct cad_mlp_t { /* the shape, read from mlp_cfg */
    int64_t E;
    bool bias; /* fc1 and fc2 have biases */
    bool tanh; /* GELU is approximated with tanh; false: it is computed with erf */
} cad_mlp_t;
static inline const cad_mlp_t *cad_mlp(const cad_config_t *c)
{
    return (const cad_mlp_t *)(const void *)&c->shape[CAD_KIND_mlp];
}
static inline int64_t cad_mlp_Ep(const cad_config_t *c) { return cad_round_up(cad_mlp(c)->E, CAD_PAD); }

enum {                           /* roles of the tensors */
       CAD_MLP_FC1 = CAD_T_KIND, // (E,D)
       CAD_MLP_FC1_BIAS,         // (E)
       CAD_MLP_FC2,              // (D,E)
       CAD_MLP_FC2_BIAS          // (D)
};

/* Operations of the forward pass, in the order of a backend's table. */
enum {
    CAD_MLP_OP_IN,  /* u = GELU(norm(base) x fc1^T + bias). Row 0 of u is the first row of the span [0] */
    CAD_MLP_OP_OUT, /* o = u x fc2^T + bias, for the rows of the last CAD_MLP_OP_IN [cad_out_t] */
    CAD_MLP_OPS
};
/* Operations of the backward pass. */
enum {
    CAD_MLP_BACK, /* computes u again, and all gradients of the tile; adds to dres */
    CAD_MLP_BACK_OPS
};

typedef struct cad_mlp_lane_t {
    float *u; // (tile,Ep)
    int64_t Ep;
} cad_mlp_lane_t;
static inline cad_mlp_lane_t *cad_mlp_lane(const cad_lane_t *l)
{
    return (cad_mlp_lane_t *)(void *)&l->work[CAD_KIND_mlp];
}

typedef struct cad_mlp_grad_lane_t {
    float *g;     // (tile,Ep) gradient of u, before GELU
    float *words; // (tile,2 max(Dp,Ep)) room for rounded rows (cpu/outer_tmpl.h)
} cad_mlp_grad_lane_t;
static inline cad_mlp_grad_lane_t *cad_mlp_grad_lane(const cad_grad_lane_t *l)
{
    return (cad_mlp_grad_lane_t *)(void *)&l->work[CAD_KIND_mlp];
}

/* Number of the array u, which tests read from a lane with the operation `read`. */
enum { CAD_AT_MLP_U = CAD_AT_KIND };

#endif
