/* mamba_kind.h - lays out a Mamba layer's data on the device: weights, activations and gradients. Its operations are in
 * mamba_in_tmpl.h, mamba_conv_tmpl.h, mamba_scan_tmpl.h, mamba_scan_back_tmpl.h and mamba_out.h. Shapes: E is d_inner,
 * N d_state; Ep and Np are E and N with padding. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_MAMBA_KIND_H
#define CAD_CUDA_MAMBA_KIND_H

#include "kind.h"
#include "product.h"
#include "simd.h"

/* ---- weights ---- */

/* Places the biases of x and z, (2,E), as an array (2,Ep) with padding; returns NULL if the model has none. */
static const float *place_in_bias(store_t *s, const cad_weights_t *w, const float *v, int64_t E)
{
    return v ? place(s, v, 2, E, 2, w->mamba.Ep, false) : NULL;
}

/* Places -exp(A_log) log2 e, computed from a_log (E,N), as an array (Np,Ep). The padding is 0: a padding state does not
 * decay. */
static const float *place_decay(store_t *s, const mamba_weights_t *w, const float *a_log, int64_t E)
{
    size_t at = reserve(s, w->Np, w->Ep, sizeof(float));
    float *d = (float *)on_host(s, at);
    for (int64_t e = 0; d && e < E; e++)
        for (int64_t n = 0; n < w->N; n++) {
            double a = -exp((double)a_log[e * w->N + n]) * 1.4426950408889634;
            /* values below -1e30 become -1e30, so that dt A stays finite */
            d[n * w->Ep + e] = a < -1e30 ? -1e30f : (float)a;
        }
    return (const float *)on_device(s, at);
}

static bool mamba_tied(const cad_layer_t *l) { return tied(l, CAD_MAMBA_IN, CAD_MAMBA_OUT); }

/* Places the weights of one direction. first: the direction whose projections this direction shares, or NULL. */
static mamba_dir_t place_direction(store_t *s, const cad_weights_t *w, const cad_model_t *m, const cad_direction_t *d,
                                   const mamba_dir_t *first)
{
    const mamba_weights_t *b = &w->mamba;
    int64_t D = w->D, E = cad_mamba(&m->cfg)->E, S = b->R + 2 * b->N;
    mamba_dir_t p;
    p.in = first ? first->in : place_table(s, w->form, cad_param(d, CAD_MAMBA_IN), 2, E, D, b->Ep, w->Dp);
    p.x = place_table(s, w->form, cad_param(d, CAD_MAMBA_X), 1, S, E, b->Sp, b->Ep);
    p.out = first ? first->out : place_table(s, w->form, cad_param(d, CAD_MAMBA_OUT), 1, D, E, w->Dp, b->Ep);
    p.in_bias = place_in_bias(s, w, cad_param(d, CAD_MAMBA_IN_BIAS), E);
    p.out_bias = cad_param(d, CAD_MAMBA_OUT_BIAS) ? place_vector(s, cad_param(d, CAD_MAMBA_OUT_BIAS), D, w->Dp) : NULL;
    p.conv = place(s, cad_param(d, CAD_MAMBA_CONV), b->K, E, b->K, b->Ep, true);
    p.conv_bias = place_vector(s, cad_param(d, CAD_MAMBA_CONV_BIAS), E, b->Ep);
    p.dt = place(s, cad_param(d, CAD_MAMBA_DT), b->R, E, cad_round_up(b->R, STATES), b->Ep, true);
    p.dt_bias = place_vector(s, cad_param(d, CAD_MAMBA_DT_BIAS), E, b->Ep);
    p.a = place_decay(s, b, cad_param(d, CAD_MAMBA_A_LOG), E);
    p.skip = place_vector(s, cad_param(d, CAD_MAMBA_SKIP), E, b->Ep);
    p.reverse = d->reverse;
    return p;
}

static void mamba_place(store_t *s, cad_weights_t *w, const cad_model_t *m, int layer)
{
    const cad_layer_t *l = &m->layer[layer];
    mamba_dir_t *dir = &w->mamba.dir[2 * layer];
    for (int k = 0; k < l->ndir; k++) dir[k] = place_direction(s, w, m, &l->dir[k], k && mamba_tied(l) ? dir : NULL);
}

/* Refuses a model for which a kernel would need more than 48 KB of shared memory. Shared memory holds dt_in, B and C of
 * STEP rows and, in training, two buffers with dB and dC of AHEAD rows for each warp. */
static int mamba_refuse(const cad_model_t *m, bool back, cad_error_t *err)
{
    int64_t R = cad_mamba(&m->cfg)->R, floats = STEP * (PADDED(R) + 2 * STATES);
    if (back) floats += 2 * (THREADS / WARP) * AHEAD * 2 * STATES;
    if (floats * (int64_t)sizeof(float) <= 49152) return 0;
    return fail(err, CAD_EARG, "dt_rank %lld is more than the CUDA kernels hold%s; use the CPU", (long long)R,
                back ? " in training" : "");
}

/* True for models whose scan takes the kernels for STATES states and a short dt_in. */
static bool scanned_in_laps(const mamba_weights_t *w) { return w->N == STATES && w->R % 4 == 0 && w->R <= STATES; }

/* Returns the bytes of shared memory that a thread block can have. */
static int shared_memory(int device)
{
    int bytes = 0;
    cudaError_t e = cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    return e == cudaSuccess ? bytes : 0;
}

/* Sets the sizes in w and allocates host memory; returns false if out of memory. */
static bool mamba_open(cad_weights_t *w, const cad_model_t *m)
{
    mamba_weights_t *b = &w->mamba;
    const cad_mamba_t *z = cad_mamba(&m->cfg);
    b->N = z->N;
    b->K = z->K;
    b->R = z->R;
    b->Ep = cad_mamba_Ep(&m->cfg);
    b->Sp = cad_mamba_Sp(&m->cfg);
    b->Np = cad_round_up(b->N, STATES);
    b->timed = !w->apart && scanned_in_laps(b) && shared_memory(w->device) >= TIME_SHARED;
    set_product(w, &b->product[IN_PROJ], 2 * b->Ep, w->Dp, w->half);
    set_product(w, &b->product[X_PROJ], b->Sp, b->Ep, false);
    set_product(w, &b->product[OUT_PROJ], w->Dp, b->Ep, false);
    b->dir = (mamba_dir_t *)calloc((size_t)m->cfg.n_layer * 2, sizeof *b->dir);
    return b->dir != NULL;
}

static void mamba_close(cad_weights_t *w)
{
    products_close(w->mamba.product, PRODUCTS);
    free(w->mamba.dir);
}

static int mamba_open_products(cad_weights_t *w, cad_error_t *err)
{
    return products_open(w->blas, w->mamba.product, PRODUCTS, 256, err);
}

/* ---- activations of a lane ---- */

/* Lays out a lane's activations. padded: the number of rows, rounded up to a multiple of PRODUCT_ROWS. Arrays with this
 * many rows come first, so that all operands of cublasLt stay aligned. */
static void mamba_carve(cad_lane_t *l, cad_bump_t *b, int64_t padded, int64_t slots)
{
    const cad_weights_t *w = l->weights;
    const mamba_weights_t *z = &w->mamba;
    mamba_lane_t *g = &gpu_of(l)->mamba;
    size_t t = w->half ? sizeof(bf16_t) : sizeof(float);
    g->o = w->apart ? (float *)cad_bump(b, padded, w->Dp, sizeof(float)) : NULL;
    g->xz = cad_bump(b, padded, 2 * z->Ep, t);
    g->y = cad_bump(b, padded, z->Ep, t);
    for (int k = 0; k < 2; k++) {
        bool own = k == 0 || (z->timed && l->rows > WHOLE_ROWS); /* else the directions share one array */
        g->u[k] = own ? cad_bump(b, padded, z->Ep, t) : g->u[0];
        g->xdbl[k] = own ? (float *)cad_bump(b, padded, z->Sp, sizeof(float)) : g->xdbl[0];
    }
    g->state = (float *)cad_bump(b, slots, STATES * z->Ep, sizeof(float));
    g->total = (float *)cad_bump(b, slots, z->Ep, sizeof(float));
}

static view_t mamba_view(const cad_lane_t *l, int what)
{
    const cad_weights_t *w = l->weights;
    const mamba_lane_t *g = &gpu_of(l)->mamba;
    int64_t Ep = w->mamba.Ep, Sp = w->mamba.Sp;
    view_t wide = { .at = g->xz, .width = Ep, .ld = 2 * Ep, .row = 0, .half = w->half };
    view_t narrow = { .at = g->u[g->conv], .width = Ep, .ld = Ep, .row = g->span_beg, .half = w->half };
    switch (what) {
    case CAD_AT_X: return wide;
    case CAD_AT_Z: wide.at = (const char *)g->xz + (size_t)Ep * (w->half ? sizeof(bf16_t) : sizeof(float)); return wide;
    case CAD_AT_U: return narrow;
    case CAD_AT_XDBL:
        narrow.at = g->xdbl[g->conv];
        narrow.width = narrow.ld = Sp;
        narrow.half = false;
        return narrow;
    default:
        narrow.at = g->y;
        narrow.row = 0;
        return narrow;
    }
}

/* ---- backward pass ---- */

/* Returns the addresses of the gradients of one direction's weights. */
static const cad_mamba_dir_sums_t *mamba_sums(const cad_grads_t *q, int layer, int dir)
{
    return &((const cad_mamba_sums_t *)q->s.layer[layer])->dir[dir];
}

/* Lays out the weights that the backward pass reads, in float32. */
static void mamba_place_back(store_t *s, cad_grads_t *q, const cad_model_t *m, int layer)
{
    const cad_mamba_sums_t *z = &q->mamba.size;
    const cad_layer_t *l = &m->layer[layer];
    mamba_back_t *dir = &q->mamba.dir[2 * layer];
    for (int k = 0; k < l->ndir; k++) {
        const cad_direction_t *d = &l->dir[k];
        dir[k].x = (const float *)place_table(s, AS_FP32, cad_param(d, CAD_MAMBA_X), 1, z->R + 2 * z->N, z->E, z->Sp,
                                              z->Ep);
        if (k && mamba_tied(l)) {
            dir[k].in = dir[0].in;
            dir[k].out = dir[0].out;
            continue;
        }
        dir[k].in = (const float *)place_table(s, AS_FP32, cad_param(d, CAD_MAMBA_IN), 2, z->E, z->D, z->Ep, z->Dp);
        dir[k].out = (const float *)place_table(s, AS_FP32, cad_param(d, CAD_MAMBA_OUT), 1, z->D, z->E, z->Dp, z->Ep);
    }
}

static void set_back_products(cad_grads_t *q, bool fast)
{
    const cad_mamba_sums_t *z = &q->mamba.size;
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

static bool mamba_open_back(cad_grads_t *q, const cad_model_t *m, bool fast)
{
    cad_mamba_sums_shape(&q->mamba.size, m, cad_round_up(cad_mamba(&m->cfg)->N, STATES), 0);
    set_back_products(q, fast);
    q->mamba.dir = (mamba_back_t *)calloc((size_t)m->cfg.n_layer * 2, sizeof *q->mamba.dir);
    return q->mamba.dir != NULL;
}

static void mamba_close_back(cad_grads_t *q)
{
    mamba_grads_t *b = &q->mamba;
    products_close(b->product, BACKS);
    outers_close(b->outer, SUMS);
    free(b->dir);
}

/* Opens the products of the backward pass for addresses that are multiples of 64 bytes only, because their operands may
 * begin inside a matrix. */
static int mamba_open_products_back(cad_grads_t *q, cublasLtHandle_t blas, cad_error_t *err)
{
    int rc = products_open(blas, q->mamba.product, BACKS, 64, err);
    return rc ? rc : outers_open(blas, q->mamba.outer, SUMS, 64, err);
}

/* Returns the maximum number of values of all partial sums of one gradient. pieces: the maximum number of pieces into
 * which the sequences are cut. */
static int64_t mamba_most_parts(const cad_grads_t *q, int64_t rows, int64_t pieces)
{
    const cad_mamba_sums_t *z = &q->mamba.size;
    int64_t n = cad_max(pieces * (STATES + 1) * z->Ep, ceil_div(rows, SLAB) * cad_max((z->K + 1) * z->Ep, 2 * z->Ep));
    for (int i = 0; i < SUMS; i++) n = cad_max(n, PRODUCT_ROWS / PART_ROWS * q->mamba.outer[i].n * q->mamba.outer[i].k);
    return n;
}

/* Returns the struct of Mamba in a grad lane, which has the gradients of activations. */
static cad_mamba_grad_lane_t *back_of(const cad_grad_lane_t *l) { return cad_mamba_grad_lane(l); }

static void mamba_carve_back(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    const cad_mamba_sums_t *z = &l->grads->mamba.size;
    cad_mamba_grad_lane_t *w = cad_mamba_grad_lane(l);
    int64_t rows = l->f.rows, kept = rows / AHEAD + l->most;
    w->dx = (float *)cad_bump(b, rows, 2 * z->Ep, sizeof(float));
    w->g = w->dx ? w->dx + z->Ep : NULL;
    w->du = (float *)cad_bump(b, rows, z->Ep, sizeof(float));
    w->dpre = (float *)cad_bump(b, rows, z->Ep, sizeof(float));
    w->dxdbl = (float *)cad_bump(b, rows, z->Sp, sizeof(float));
    w->part = (float *)cad_bump(b, ceil_div(z->Ep, THREADS) * rows, 2 * z->Np, sizeof(float));
    for (int k = 0; k < 2; k++)
        w->kept[k] = k < m->layer[0].ndir ? (float *)cad_bump(b, kept, z->Np * z->Ep, sizeof(float)) : NULL;
}

static void mamba_place_sums(cad_bump_t *b, const cad_model_t *m, int layer, void *sums)
{
    cad_mamba_sums_place(b, m, layer, (cad_mamba_sums_t *)sums, cad_round_up(cad_mamba(&m->cfg)->N, STATES), 0);
}

static const cad_kind_sums_t mamba_kind_sums = { .bytes = sizeof(cad_mamba_sums_t),
                                                 .place = mamba_place_sums,
                                                 .add = cad_mamba_sums_add };

static const kind_t cuda_mamba = {
    .refuse = mamba_refuse,
    .open = mamba_open,
    .close = mamba_close,
    .place = mamba_place,
    .open_products = mamba_open_products,
    .carve = mamba_carve,
    .view = mamba_view,
    .open_back = mamba_open_back,
    .close_back = mamba_close_back,
    .place_back = mamba_place_back,
    .open_products_back = mamba_open_products_back,
    .most_parts = mamba_most_parts,
    .carve_back = mamba_carve_back,
    .sums = &mamba_kind_sums,
};

#endif
