/* gated.h - a gated linear layer, the smallest layer kind: an example and a test of the interface of layer kinds.
 *
 *     x, z = in_proj h        widths E and E, E = expand x D
 *     out  = out_proj (x silu(z))
 *
 * Rows are independent, so both directions of time give the same result. SPDX-License-Identifier: MIT
 */
#ifndef CAD_GATED_H
#define CAD_GATED_H

#include "engine/backward.h"

typedef struct cad_gated_t {
    int64_t E;
} cad_gated_t;
static inline int64_t cad_gated_E(const cad_config_t *c)
{
    return ((const cad_gated_t *)(const void *)&c->shape[CAD_KIND_gated])->E;
}
static inline int64_t cad_gated_Ep(const cad_config_t *c) { return cad_round_up(cad_gated_E(c), CAD_PAD); }

enum { CAD_GATED_IN = CAD_T_KIND, CAD_GATED_OUT }; // (2E,D), (D,E)
enum { CAD_GATED_OP_IN, CAD_GATED_OP_GATE, CAD_GATED_OP_OUT, CAD_GATED_OPS };
enum { CAD_GATED_ADD = 1, CAD_GATED_GATE = 2 }; /* flags of OP_GATE: y = x, plus y if ADD, times silu(z) if GATE */
enum { CAD_GATED_BACK_OUT, CAD_GATED_BACK_STEP, CAD_GATED_BACK_IN, CAD_GATED_BACK_OPS };

typedef struct cad_gated_lane_t {
    float *x, *y; // (rows,Ep)
    float *z;     // (zrows,Ep), row r at r % zrows
    int64_t Ep;
} cad_gated_lane_t;
static inline cad_gated_lane_t *cad_gated_lane(const cad_lane_t *l)
{
    return (cad_gated_lane_t *)(void *)&l->work[CAD_KIND_gated];
}

typedef struct cad_gated_grad_lane_t {
    float *g;     // (rows,Ep) gradient of the gated y
    float *dx;    // (rows,Ep) gradient of x. CUDA: dx and g are one array (rows,2Ep), with the columns of dx first
    float *yz;    // (tile,Ep) gated y
    float *words; // CPU only: (tile,2 max(Dp,Ep)) room for rounded rows (cpu/outer_tmpl.h)
} cad_gated_grad_lane_t;
static inline cad_gated_grad_lane_t *cad_gated_grad_lane(const cad_grad_lane_t *l)
{
    return (cad_gated_grad_lane_t *)(void *)&l->work[CAD_KIND_gated];
}

#endif
