/* mamba_tmpl.h - one Mamba's operations as they are called: arguments that tasks share.
 *
 * Parameters: CAD_ISA_* of simd.h; CAD_ISA_BACK_OPS, if defined, adds the backward pass's.
 *
 * Gradients of activations are products and loops over rows or channels, shared as in
 * the forward pass. Gradients of weights are sums over the rows of a span: each output is
 * one thread's, which adds the rows in order. SPDX-License-Identifier: MIT
 */
#ifndef CAD_MAMBA_TMPL_H
#define CAD_MAMBA_TMPL_H

#include "cpu/mamba_memory.h"
#include "mamba_weights_tmpl.h"
#include "share_tmpl.h"
#include "weights_tmpl.h"

#define AHEAD 8 /* rows that are prefetched ahead */

typedef struct { /* a call of an operation, forward */
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

/* z of a row of the pack; a lane may hold fewer rows of it than of x. */
static float *z_row(const mamba_call_t *c, int64_t row) { return c->w->z + row % c->l->zrows * c->m->Ep; }

#ifdef CAD_ISA_BACK_OPS
typedef struct { /* a call of an operation, backward */
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

/* Runs of CAD_MAMBA_GROUP channels, whatever the number of threads. */
static void share_back(mamba_back_t *b, cad_task_f *fn)
{
    share_channels(&b->f.share, b, fn, b->f.m->Ep, CAD_MAMBA_GROUP);
}
#endif

#endif
