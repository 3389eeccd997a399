/* mamba.h - a Mamba layer's memory on the device: weights, activations, and what the backward
 * pass adds. Its operations are in_tmpl.h, conv_tmpl.h, scan_tmpl.h, scan_back_tmpl.h and out.h.
 * SPDX-License-Identifier: MIT */
#ifndef CAD_CUDA_MAMBA_H
#define CAD_CUDA_MAMBA_H

#include "product.h"
#include "simd.h"
#include "store.h"

/* ---- weights ---- */

/* x's and z's biases (2,E) to (2,Ep); NULL if there are none. */
static const float *place_in_bias(store_t *s, const cad_weights_t *w, const float *v, int64_t E)
{
    return v ? place(s, v, 2, E, 2, w->mamba.Ep, false) : NULL;
}

/* a_log (E,N) to -exp(A_log) log2 e (Np,Ep). Padding is 0, which does not decay. */
static const float *place_decay(store_t *s, const mamba_weights_t *w, const float *a_log, int64_t E)
{
    size_t at = reserve(s, w->Np, w->Ep, sizeof(float));
    float *d = (float *)on_host(s, at);
    for (int64_t e = 0; d && e < E; e++)
        for (int64_t n = 0; n < w->N; n++) {
            double a = -exp((double)a_log[e * w->N + n]) * 1.4426950408889634;
            d[n * w->Ep + e] = a < -1e30 ? -1e30f : (float)a; /* dt A stays finite */
        }
    return (const float *)on_device(s, at);
}

/* Whether the second direction of a layer has the projections of the first. */
static bool tied(const cad_layer_t *l) { return l->dir[0].in == l->dir[1].in && l->dir[0].out == l->dir[1].out; }

/* first: the direction that this one shares projections with, or NULL. */
static mamba_dir_t place_direction(store_t *s, const cad_weights_t *w, const cad_model_t *m, const cad_direction_t *d,
                                   const mamba_dir_t *first)
{
    const mamba_weights_t *b = &w->mamba;
    int64_t D = w->D, E = m->cfg.d_inner, S = b->R + 2 * b->N;
    mamba_dir_t p;
    p.in = first ? first->in : place_table(s, w->half, d->in, 2, E, D, b->Ep, w->Dp);
    p.x = place_table(s, w->half, d->x, 1, S, E, b->Sp, b->Ep);
    p.out = first ? first->out : place_table(s, w->half, d->out, 1, D, E, w->Dp, b->Ep);
    p.in_bias = place_in_bias(s, w, d->in_bias, E);
    p.out_bias = d->out_bias ? place_vector(s, d->out_bias, D, w->Dp) : NULL;
    p.conv = place(s, d->conv, b->K, E, b->K, b->Ep, true);
    p.conv_bias = place_vector(s, d->conv_bias, E, b->Ep);
    p.dt = place(s, d->dt, b->R, E, cad_round_up(b->R, STATES), b->Ep, true);
    p.dt_bias = place_vector(s, d->dt_bias, E, b->Ep);
    p.a = place_decay(s, b, d->a_log, E);
    p.skip = place_vector(s, d->skip, E, b->Ep);
    p.reverse = d->reverse;
    return p;
}

static void mamba_place(store_t *s, cad_weights_t *w, const cad_model_t *m, int layer)
{
    const cad_layer_t *l = &m->layer[layer];
    mamba_dir_t *dir = &w->mamba.dir[2 * layer];
    for (int k = 0; k < l->ndir; k++) dir[k] = place_direction(s, w, m, &l->dir[k], k && tied(l) ? dir : NULL);
}

/* dt_in, B and C of STEP rows must fit into 48 KB. */
static bool mamba_fits(const cad_model_t *m)
{
    return STEP * (PADDED(m->cfg.dt_rank) + 2 * STATES) * (int64_t)sizeof(float) <= 49152;
}

/* Sizes, and host memory; false when out of memory. */
static bool mamba_open(cad_weights_t *w, const cad_model_t *m)
{
    mamba_weights_t *b = &w->mamba;
    cad_extent_t e = cad_extent(m);
    b->N = m->cfg.d_state;
    b->K = m->cfg.d_conv;
    b->R = m->cfg.dt_rank;
    b->Ep = e.Ep;
    b->Sp = e.Sp;
    b->Np = cad_round_up(b->N, STATES);
    set_product(&b->product[IN_PROJ], 2 * b->Ep, w->Dp, w->half, w->half);
    set_product(&b->product[X_PROJ], b->Sp, b->Ep, w->half, false);
    set_product(&b->product[OUT_PROJ], w->Dp, b->Ep, w->half, false);
    b->dir = (mamba_dir_t *)calloc((size_t)m->cfg.n_layer * 2, sizeof *b->dir);
    return b->dir != NULL;
}

static void mamba_close(mamba_weights_t *b)
{
    products_close(b->product, PRODUCTS);
    free(b->dir);
}

/* ---- a lane's activations ---- */

/* padded: rows rounded up to whole products. Arrays of padded rows come first, so that all that
 * cublasLt reads stays aligned. */
static void mamba_carve(cad_lane_t *l, cad_bump_t *b, int64_t padded, int64_t slots)
{
    const cad_weights_t *w = l->weights;
    const mamba_weights_t *z = &w->mamba;
    mamba_lane_t *g = &gpu_of(l)->mamba;
    size_t t = w->half ? sizeof(bf16_t) : sizeof(float);
    g->o = w->apart ? (float *)cad_bump(b, padded, w->Dp, sizeof(float)) : NULL;
    g->xz = cad_bump(b, padded, 2 * z->Ep, t);
    g->u = cad_bump(b, padded, z->Ep, t);
    g->y = cad_bump(b, padded, z->Ep, t);
    g->xdbl = (float *)cad_bump(b, padded, z->Sp, sizeof(float));
    g->state = (float *)cad_bump(b, slots, STATES * z->Ep, sizeof(float));
    g->total = (float *)cad_bump(b, slots, z->Ep, sizeof(float));
}

/* ---- backward pass ---- */

/* The weights that it reads, in float32. */
static void mamba_place_back(store_t *s, cad_grads_t *q, const cad_model_t *m, int layer)
{
    const cad_sums_t *z = &q->s;
    const cad_layer_t *l = &m->layer[layer];
    mamba_back_t *dir = &q->mamba.dir[2 * layer];
    for (int k = 0; k < l->ndir; k++) {
        const cad_direction_t *d = &l->dir[k];
        dir[k].x = (const float *)place_table(s, false, d->x, 1, z->R + 2 * z->N, z->E, z->Sp, z->Ep);
        if (k && tied(l)) {
            dir[k].in = dir[0].in;
            dir[k].out = dir[0].out;
            continue;
        }
        dir[k].in = (const float *)place_table(s, false, d->in, 2, z->E, z->D, z->Ep, z->Dp);
        dir[k].out = (const float *)place_table(s, false, d->out, 1, z->D, z->E, z->Dp, z->Ep);
    }
}

static void set_back_products(cad_grads_t *q, bool fast)
{
    const cad_sums_t *z = &q->s;
    product_t *p = q->mamba.product;
    outer_t *o = q->mamba.outer;
    set_back_product(&p[OUT_BACK], z->Ep, z->Dp, 2 * z->Ep, true, fast);
    set_back_product(&p[DT_BACK], z->Rp, z->Ep, z->Sp, false, fast);
    set_back_product(&p[X_BACK], z->Ep, z->Sp, z->Ep, true, fast);
    set_back_product(&p[IN_BACK], z->Dp, 2 * z->Ep, z->Dp, true, fast);
    set_outer(&o[OUT_SUM], z->Dp, z->Ep, z->Dp, fast);
    set_outer(&o[IN_SUM], 2 * z->Ep, z->Dp, 2 * z->Ep, fast);
    set_outer(&o[X_SUM], z->Sp, z->Ep, z->Sp, fast);
    set_outer(&o[DT_SUM], z->Rp, z->Ep, z->Sp, fast);
}

/* dt_in, B and C of STEP rows, and twice dB and dC of AHEAD rows by warp, must fit into 48 KB. */
static bool mamba_fits_back(const cad_model_t *m)
{
    return (STEP * (PADDED(m->cfg.dt_rank) + 2 * STATES) + 2 * (THREADS / WARP) * AHEAD * 2 * STATES) *
               (int64_t)sizeof(float) <=
           49152;
}

/* q->s is open. fast: products may use TF32. False when out of memory. */
static bool mamba_open_back(cad_grads_t *q, const cad_model_t *m, bool fast)
{
    set_back_products(q, fast);
    q->mamba.dir = (mamba_back_t *)calloc((size_t)m->cfg.n_layer * 2, sizeof *q->mamba.dir);
    return q->mamba.dir != NULL;
}

static void mamba_close_back(mamba_grads_t *b)
{
    products_close(b->product, BACKS);
    outers_close(b->outer, SUMS);
    free(b->dir);
}

/* The most values in partial sums of a gradient. pieces: the most there are of sequences. */
static int64_t mamba_most_parts(const cad_grads_t *q, int64_t rows, int64_t pieces)
{
    const cad_sums_t *z = &q->s;
    int64_t n = cad_max(pieces * (STATES + 1) * z->Ep, ceil_div(rows, SLAB) * cad_max((z->K + 1) * z->Ep, 2 * z->Ep));
    for (int i = 0; i < SUMS; i++) n = cad_max(n, PRODUCT_ROWS / PART_ROWS * q->mamba.outer[i].n * q->mamba.outer[i].k);
    return n;
}

static void mamba_carve_back(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    const cad_sums_t *z = &l->grads->s;
    int64_t rows = l->f.rows, kept = rows / AHEAD + l->most;
    l->dx = (float *)cad_bump(b, rows, 2 * z->Ep, sizeof(float));
    l->g = l->dx ? l->dx + z->Ep : NULL;
    l->du = (float *)cad_bump(b, rows, z->Ep, sizeof(float));
    l->dpre = (float *)cad_bump(b, rows, z->Ep, sizeof(float));
    l->dxdbl = (float *)cad_bump(b, rows, z->Sp, sizeof(float));
    l->part = (float *)cad_bump(b, ceil_div(z->Ep, THREADS) * rows, 2 * z->Np, sizeof(float));
    for (int k = 0; k < 2; k++)
        l->kept[k] = k < m->layer[0].ndir ? (float *)cad_bump(b, kept, z->Np * z->Ep, sizeof(float)) : NULL;
}

#endif
