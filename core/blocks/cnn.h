/* cnn.h - the layer kind cnn: convolutions of some widths side by side, then the maximum of each few rows.
 *
 *     u[t]   = for each width w: sum over j < w of W[:,:,j] a[t + j - (w-1)/2] + b      C values for each width
 *     y[r]   = max(0, the maximum of u[t] over t from r P to (r+1) P - 1)               E = C x widths
 *     out[r] = out_proj y[r] + bias
 *
 * a: the normalised rows; rows outside the sequence are 0. P (`pool`) is the number of rows that become one; the last row
 * of a sequence may stand for fewer. The output replaces the residual: there is no sum, since its rows are others.
 *
 * In shapes, D is d_model, Dp D rounded up to CAD_PAD, w the width of a convolution, L and R the number of rows that it
 * reads before and after its own: L + 1 + R = w. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CNN_H
#define CAD_CNN_H

#include "engine/backward.h"

#define CAD_CNN_WIDTHS 4 /* most widths of a layer */

typedef struct cad_cnn_t { /* the shape, read from cnn_cfg */
    int64_t width[CAD_CNN_WIDTHS], n, C, P;
} cad_cnn_t;
static inline const cad_cnn_t *cad_cnn(const cad_config_t *c)
{
    return (const cad_cnn_t *)(const void *)&c->shape[CAD_KIND_cnn];
}
static inline int64_t cad_cnn_E(const cad_cnn_t *s) { return s->n * s->C; }
/* The rows before and after its own that a convolution of width w reads. */
static inline int64_t cad_cnn_before(int64_t w) { return (w - 1) / 2; }
static inline int64_t cad_cnn_after(int64_t w) { return w / 2; }
static inline int64_t cad_cnn_widest(const cad_cnn_t *s)
{
    int64_t most = 0;
    for (int i = 0; i < s->n; i++) most = cad_max(most, s->width[i]);
    return most;
}

/* roles of tensors; the convolution of width i has CAD_CNN_WEIGHT + 2i and CAD_CNN_BIAS + 2i */
enum {
    CAD_CNN_OUT = CAD_T_KIND, // (D,E)
    CAD_CNN_OUT_BIAS,         // (D)
    CAD_CNN_WEIGHT,           // (C,D,w)
    CAD_CNN_BIAS,             // (C)
    CAD_CNN_ROLES = CAD_CNN_WEIGHT + 2 * CAD_CNN_WIDTHS
};
/* Operations of the forward pass: u of the rows of a span; y and `out` of rows of the output. */
enum { CAD_CNN_OP_IN, CAD_CNN_OP_OUT, CAD_CNN_OPS };
/* Operations of the backward pass: the gradient of u, from rows of the output; the rest, from rows that the layer reads. */
enum { CAD_CNN_BACK_OUT, CAD_CNN_BACK_IN, CAD_CNN_BACK_OPS };

typedef struct cad_cnn_lane_t {
    float *u;     // (widths,rows,C)
    float *y;     // (tile,E) row 0 is the first row of the span
    float *a;     // (tile + widest - 1,Dp) normalised rows of one sequence, and those around them that are read
    int64_t rows; /* the lane's capacity: u of width i begins at i rows C */
} cad_cnn_lane_t;
static inline cad_cnn_lane_t *cad_cnn_lane(const cad_lane_t *l)
{
    return (cad_cnn_lane_t *)(void *)&l->work[CAD_KIND_cnn];
}

typedef struct cad_cnn_grad_lane_t {
    float *du;    // (widths,rows,C) gradient of u
    float *g;     // (tile,E) gradient of y
    float *near;  // (tile + widest - 1,C) du of one sequence and width, and of the rows around that are read
    float *words; // (tile,widest x Dp + max(E,Dp)) room for rounded rows (cpu/outer_tmpl.h)
} cad_cnn_grad_lane_t;
static inline cad_cnn_grad_lane_t *cad_cnn_grad_lane(const cad_grad_lane_t *l)
{
    return (cad_cnn_grad_lane_t *)(void *)&l->work[CAD_KIND_cnn];
}

#endif
