/* hyena.h - the layer kind hyena, a gated convolution that is as long as the sequence (Poli et al. 2023), as HyenaDNA
 * (Nguyen et al. 2023) has it, with one long filter for each channel (order 2):
 *
 *     u         = in_proj a + bias                   width 3D; a: the normalised rows
 *     x0, x1, v = short(u)                           causal, depthwise, 3 taps, with bias; width D each
 *     p         = v x1
 *     c[t]      = sum over s <= t of k[t-s] p[s] + bias p[t]
 *     out       = out_proj (c x0) + bias
 *
 * The filter k (L,D) is computed from L positions. Each has `emb` features z: the position as a number from 0 to 1, and
 * cosines and sines of it.
 *
 *     h    = sin(freq (W0 z + b0)),  h = sin(freq (Wi h + bi)) for i = 1 .. inner      width O
 *     k[s] = (Wl h) (exp(-t[s] |deltas|) + 0.05)
 *
 * z, t and deltas are stored in the checkpoint and are not trained. A sequence has at most L tokens. Each row reads its own
 * sequence up to itself, so the layer's output at a base says nothing of later bases, and models with such layers predict
 * the next base (cad_config_next). SPDX-License-Identifier: MIT
 */
#ifndef CAD_HYENA_H
#define CAD_HYENA_H

#include "engine/backward.h"

#define CAD_HYENA_TAPS 3      /* of the short convolution */
#define CAD_HYENA_INNER 4     /* most inner layers of the filter's network */
#define CAD_HYENA_WIDEST 128  /* most units of a layer of that network */
#define CAD_HYENA_FEATURES 33 /* most features of a position */
#define CAD_HYENA_SHIFT 0.05
#define CAD_HYENA_LANES 16   /* channels of a block, which is one task of the convolution */
#define CAD_HYENA_ROWS 32    /* positions that the filter's network computes at a time */
#define CAD_HYENA_STRETCH 16 /* parts of the filter's backward pass, whose gradients are added in order */

typedef struct cad_hyena_t { /* the shape, read from hyena_cfg */
    int64_t O, inner, emb, L;
    double freq;     /* initial value of freq */
    bool train_freq; /* freq is a tensor; false: it is a constant */
} cad_hyena_t;
static inline const cad_hyena_t *cad_hyena(const cad_config_t *c)
{
    return (const cad_hyena_t *)(const void *)&c->shape[CAD_KIND_hyena];
}
/* Returns the floats of a row of u: 3D, rounded up. */
static inline int64_t cad_hyena_W(const cad_config_t *c) { return cad_round_up(3 * c->d_model, CAD_PAD); }

enum {                                                                 /* roles of the tensors */
       CAD_HYENA_IN = CAD_T_KIND,                                      // (3D,D)
       CAD_HYENA_IN_BIAS,                                              // (3D)
       CAD_HYENA_SHORT,                                                // (3D,1,3)
       CAD_HYENA_SHORT_BIAS,                                           // (3D)
       CAD_HYENA_BIAS,                                                 // (D)
       CAD_HYENA_FREQ,                                                 // (1,O)
       CAD_HYENA_Z,                                                    // (1,L,emb)
       CAD_HYENA_T,                                                    // (1,L,1)
       CAD_HYENA_DELTAS,                                               // (1,1,D)
       CAD_HYENA_LAST,                                                 // (D,O)
       CAD_HYENA_OUT,                                                  // (D,D)
       CAD_HYENA_OUT_BIAS,                                             // (D)
       CAD_HYENA_WEIGHT,                                               // (O,emb), then for each inner layer (O,O)
       CAD_HYENA_WEIGHT_BIAS = CAD_HYENA_WEIGHT + CAD_HYENA_INNER + 1, // (O) each
       CAD_HYENA_ROLES = CAD_HYENA_WEIGHT_BIAS + CAD_HYENA_INNER + 1
};

/* Operations of the forward pass, in the order of a backend's table. */
enum {
    CAD_HYENA_OP_IN,   /* u = in_proj(norm(base)) + bias */
    CAD_HYENA_OP_CONV, /* c, for the whole sequences of the span */
    CAD_HYENA_OP_OUT,  /* out_proj(c x0) + bias [cad_out_t] */
    CAD_HYENA_OPS
};
/* Operations of the backward pass. */
enum {
    CAD_HYENA_BACK_OUT,  /* g, the gradient of c x0; the gradients of out_proj and of its bias */
    CAD_HYENA_BACK_CONV, /* the gradient of u, for all rows; the gradients of both convolutions and of the filter */
    CAD_HYENA_BACK_IN,   /* the gradients of in_proj, its bias and the norm; adds to dres */
    CAD_HYENA_BACK_OPS
};

typedef struct cad_hyena_lane_t {
    float *u;      // (rows,W) and CAD_HYENA_LANES more, which a block of channels may read
    float *c;      // (rows,Dp)
    float *room;   // (threads,2,CAD_HYENA_LANES,stride) transforms: of the filter, and of p and c
    double *units; // (threads,cad_hyena_units) units of the filter's network
    int64_t stride;
} cad_hyena_lane_t;
static inline cad_hyena_lane_t *cad_hyena_lane(const cad_lane_t *l)
{
    return (cad_hyena_lane_t *)(void *)&l->work[CAD_KIND_hyena];
}

typedef struct cad_hyena_grad_lane_t {
    float *g;     // (rows,Dp) gradient of c x0
    float *du;    // (rows,W) gradient of u
    float *room;  // (threads,2,CAD_HYENA_LANES,stride) transforms: of the gradients of c and of the filter
    float *dk;    // (D,most) gradient of the filter
    int64_t most; // positions of dk
    double *part; // (CAD_HYENA_STRETCH,cad_hyena_filter_size) gradients of the filter's network
    float *words; // room for rounded rows (cpu/outer_tmpl.h)
} cad_hyena_grad_lane_t;
static inline cad_hyena_grad_lane_t *cad_hyena_grad_lane(const cad_grad_lane_t *l)
{
    return (cad_hyena_grad_lane_t *)(void *)&l->work[CAD_KIND_hyena];
}

/* ---- the filter's network: weights and gradients lie one after the other ---- */

/* Returns the inputs of layer i of the network. */
static inline int64_t cad_hyena_inputs(const cad_hyena_t *s, int64_t i) { return i ? s->O : s->emb; }
/* Returns the place of the weights (O,inputs) of layer i, which its bias (O) follows. After layer `inner` come the last
 * layer (D,O) and freq (O). */
static inline int64_t cad_hyena_place(const cad_hyena_t *s, int64_t i)
{
    return i ? s->O * (s->emb + 1) + (i - 1) * s->O * (s->O + 1) : 0;
}
static inline int64_t cad_hyena_last_place(const cad_hyena_t *s) { return cad_hyena_place(s, s->inner + 1); }
static inline int64_t cad_hyena_freq_place(const cad_hyena_t *s, int64_t D)
{
    return cad_hyena_last_place(s) + D * s->O;
}
static inline int64_t cad_hyena_filter_size(const cad_hyena_t *s, int64_t D)
{
    return cad_round_up(cad_hyena_freq_place(s, D) + s->O, CAD_PAD);
}
/* Returns the doubles that CAD_HYENA_ROWS positions take in the network: features, and of each layer its sums, units and
 * their gradients. */
static inline int64_t cad_hyena_units(const cad_hyena_t *s)
{
    return CAD_HYENA_ROWS * (s->emb + (2 * (s->inner + 1) + 2) * s->O);
}

#endif
