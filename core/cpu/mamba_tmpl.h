/* mamba_tmpl.h - defines the arguments that the tasks of one call of a Mamba operation share.
 *
 * Macro parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the arguments of the backward pass.
 *
 * In the backward pass, gradients of activations are products and loops over rows or channels, divided among threads as
 * in the forward pass. Gradients of weights are sums over the rows of a span: each output is computed by one thread,
 * which adds the rows in order.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA_TMPL_H
#define CAD_MAMBA_TMPL_H

#include "conv_tmpl.h"
#include "cpu/mamba_memory.h"
#include "mamba_weights_tmpl.h"
#include "share_tmpl.h"
#include "weights_tmpl.h"
#ifdef CAD_ISA_BACK_OPS
#include "outer_tmpl.h"
#endif

typedef struct { /* arguments of one call of an operation of the forward pass */
    share_t share;
    cad_lane_t *l;
    cad_mamba_lane_t *w;
    const mamba_t *m;
    const norm_t *norm;
    int dir;
    unsigned parts;
    bool add, gate;
    dest_t dest;
} mamba_call_t;

static mamba_call_t mamba_call(cad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return (mamba_call_t) { .share = { .team = l->team, .span = s },
                            .l = l,
                            .w = cad_mamba_lane(l),
                            .m = &((const mamba_t *)l->weights->layer[layer])[dir],
                            .norm = &l->weights->norm[layer],
                            .dir = dir };
}

/* Returns the address of z for a row of the pack. z is a ring buffer of l->zrows rows; the pack may have more rows. */
static float *z_row(const mamba_call_t *c, int64_t row) { return c->w->z + row % c->l->zrows * c->m->Ep; }

#ifdef CAD_ISA_BACK_OPS
typedef struct { /* arguments of one call of an operation of the backward pass */
    mamba_call_t f;
    cad_grad_lane_t *l;
    cad_mamba_grad_lane_t *w;
    cad_mamba_dir_sums_t *sum;
    const mamba_turned_t *t;
} mamba_back_t;

static mamba_back_t mamba_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    return (mamba_back_t) { .f = mamba_call(&l->f, layer, dir, s),
                            .l = l,
                            .w = cad_mamba_grad_lane(l),
                            .sum = &((cad_mamba_sums_t *)l->grads->s.layer[layer])->dir[dir],
                            .t = &((const mamba_turned_t *)l->grads->turned[layer])[dir] };
}

/* Runs fn as tasks of CAD_MAMBA_GROUP channels each. The size is independent of the number of threads; therefore sums
 * over the channels of a task are too. */
static void share_back(mamba_back_t *b, cad_task_f *fn)
{
    share_channels(&b->f.share, b, fn, b->f.m->Ep, CAD_MAMBA_GROUP);
}
#endif

#endif
