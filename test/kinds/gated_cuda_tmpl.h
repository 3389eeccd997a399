/* gated_cuda_tmpl.h - operations of a gated layer on a GPU, compiled once for each type T of weights and activations.
 *
 * Parameters: T; NAME(x): x with T's suffix; get(v): T to float; put(v): float to T. SPDX-License-Identifier: MIT
 */
#include "graph.h"
#include "kind.h"
#include "norm.h"
#include "out.h"

/* ---- forward ---- */

static int NAME(gated_in)(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const cad_weights_t *w = l->weights;
    gpu_t *g = gpu_of(l);
    int rc;
    (void)how; /* one matrix product computes x and z, so both are always computed */
    if (replaying(l)) return 0;
    rc = NAME(norm_rows)(l, l->base, (T *)g->a, norm_of_layer(w, layer), s.beg, s.end);
    return rc ? rc
              : multiply(l, &w->gated.in, g->a, w->gated.dir[2 * layer + dir].in, g->gated.xz, g->gated.xz, s.beg,
                         s.end, 0);
}

typedef struct {
    const T *xz; // (rows,2Ep)
    T *y;        // (rows,Ep)
    int64_t n, Ep;
    bool add, gate;
} NAME(gated_args_t); /* n = rows x Ep */

KERNEL(NAME(gated_gate), NAME(gated_args_t))
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, at = i / arg.Ep * 2 * arg.Ep + i % arg.Ep;
    float v, z;
    if (i >= arg.n) return;
    v = get(arg.xz[at]) + (arg.add ? get(arg.y[i]) : 0);
    z = get(arg.xz[at + arg.Ep]);
    arg.y[i] = put(arg.gate ? v * (z * sigmoid(z)) : v);
}

static int NAME(gated_gate_rows)(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    gpu_t *g = gpu_of(l);
    int64_t Ep = l->weights->gated.Ep;
    NAME(gated_args_t)
    arg = { .xz = (const T *)g->gated.xz + s.beg * 2 * Ep,
            .y = (T *)g->gated.y + s.beg * Ep,
            .n = (s.end - s.beg) * Ep,
            .Ep = Ep,
            .add = (how & CAD_GATED_ADD) != 0,
            .gate = (how & CAD_GATED_GATE) != 0 };
    (void)layer;
    (void)dir;
    if (replaying(l)) return 0;
    LAUNCH(NAME(gated_gate), ceil_div(arg.n, THREADS), 1, THREADS, 0, g->stream, arg);
    return launched(l, "gated layer");
}

static int NAME(gated_out)(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const gated_weights_t *w = &l->weights->gated;
    const gated_lane_t *g = &gpu_of(l)->gated;
    out_t t = { .product = &w->out, .w = w->dir[2 * layer + dir].out, .bias = NULL, .y = g->y, .o = g->o };
    return replaying(l) ? 0 : out_rows(l, &t, s, how);
}

/* ---- backward ---- */

static int NAME(gated_back_out)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const gated_grads_t *q = &l->grads->gated;
    cad_gated_grad_lane_t *w = cad_gated_grad_lane(l);
    size_t width = (size_t)q->Ep * sizeof(float);
    int rc = check(&l->f, cudaMemset2DAsync(w->dx, 2 * width, 0, width, (size_t)s.end, gpu_of(&l->f)->stream),
                   "clearing");
    (void)how;
    return rc ? rc : multiply(&l->f, &q->out_back, l->dout, q->dir[2 * layer + dir].out, w->g, w->g, 0, s.end, 0);
}

typedef struct {
    const T *xz, *y; // (rows,2Ep), (rows,Ep)
    float *dx;       // (rows,2Ep) the columns of dx, then those of g
    float *yz;       // (rows,Ep)
    int64_t n, Ep;
} NAME(gated_back_args_t); /* n = rows x Ep */

/* dx += g silu(z) */
KERNEL(NAME(gated_step), NAME(gated_back_args_t))
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, at = i / arg.Ep * 2 * arg.Ep + i % arg.Ep;
    float z;
    if (i >= arg.n) return;
    z = get(arg.xz[at + arg.Ep]);
    arg.dx[at] += arg.dx[at + arg.Ep] * (z * sigmoid(z));
}

/* yz = y silu(z); g, the gradient of yz, is overwritten with dz. */
KERNEL(NAME(gated_gate_back), NAME(gated_back_args_t))
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, at = i / arg.Ep * 2 * arg.Ep + i % arg.Ep;
    float z, y, on;
    if (i >= arg.n) return;
    z = get(arg.xz[at + arg.Ep]);
    y = get(arg.y[i]);
    on = sigmoid(z);
    arg.yz[i] = y * (z * on);
    arg.dx[at + arg.Ep] *= y * on * fma32(z, 1.0f - on, 1.0f);
}

static NAME(gated_back_args_t) NAME(gated_back_args)(cad_grad_lane_t *l, cad_span_t s)
{
    gpu_t *g = gpu_of(&l->f);
    int64_t Ep = l->grads->gated.Ep;
    NAME(gated_back_args_t)
    arg = { .xz = (const T *)g->gated.xz,
            .y = (const T *)g->gated.y,
            .dx = cad_gated_grad_lane(l)->dx,
            .yz = cad_gated_grad_lane(l)->yz,
            .n = s.end * Ep,
            .Ep = Ep };
    return arg;
}

static int NAME(gated_back_step)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    NAME(gated_back_args_t) arg = NAME(gated_back_args)(l, s);
    int rc = NAME(gated_gate_rows)(&l->f, layer, dir, s, how);
    if (rc) return rc;
    LAUNCH(NAME(gated_step), ceil_div(arg.n, THREADS), 1, THREADS, 0, gpu_of(&l->f)->stream, arg);
    return launched(&l->f, "gated layer, backwards");
}

static int NAME(gated_back_in)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    cad_grads_t *q = l->grads;
    gated_grads_t *z = &q->gated;
    const cad_gated_sums_t *sums = (const cad_gated_sums_t *)q->s.layer[layer];
    NAME(gated_back_args_t) arg = NAME(gated_back_args)(l, s);
    norm_t norm = norm_of_layer(l->f.weights, layer);
    int rc;
    (void)how;
    LAUNCH(NAME(gated_gate_back), ceil_div(arg.n, THREADS), 1, THREADS, 0, gpu_of(&l->f)->stream, arg);
    rc = launched(&l->f, "gated layer, backwards");
    if (rc == 0) rc = norm_rows_fp32(&l->f, l->f.base, q->a, norm, 0, s.end);
    if (rc == 0) rc = outer(l, &z->out_sum, l->dout, arg.yz, s.end, sums->dir[dir].out);
    if (rc == 0) rc = outer(l, &z->in_sum, arg.dx, q->a, s.end, sums->dir[dir].in_x);
    if (rc == 0) rc = multiply(&l->f, &z->in_back, arg.dx, z->dir[2 * layer + dir].in, l->da, l->da, 0, s.end, 0);
    return rc ? rc : norm_gradients(l, l->f.base, l->dres, NULL, s.end, norm, q->s.norm[layer], q->s.norm_bias[layer]);
}

/* ---- memory, which does not depend on T ---- */

#ifndef CAD_GATED_CUDA_H
#define CAD_GATED_CUDA_H

static int gated_refuse(const cad_model_t *m, bool back, cad_error_t *err)
{
    (void)m;
    (void)back;
    (void)err;
    return 0;
}

static bool gated_open(cad_weights_t *w, const cad_model_t *m)
{
    gated_weights_t *b = &w->gated;
    b->Ep = cad_gated_Ep(&m->cfg);
    set_product(w, &b->in, 2 * b->Ep, w->Dp, w->half);
    set_product(w, &b->out, w->Dp, b->Ep, false);
    *(void **)&b->dir = calloc((size_t)m->cfg.n_layer * 2, sizeof *b->dir);
    return b->dir != NULL;
}

static void gated_close(cad_weights_t *w)
{
    products_close(&w->gated.in, 1);
    products_close(&w->gated.out, 1);
    free(w->gated.dir);
}

static void gated_place(store_t *s, cad_weights_t *w, const cad_model_t *m, int layer)
{
    int64_t D = w->D, E = cad_gated_E(&m->cfg), Ep = w->gated.Ep;
    for (int k = 0; k < m->layer[layer].ndir; k++) {
        const cad_direction_t *d = &m->layer[layer].dir[k];
        w->gated.dir[2 * layer + k].in = place_table(s, w->form, cad_param(d, CAD_GATED_IN), 2, E, D, Ep, w->Dp);
        w->gated.dir[2 * layer + k].out = place_table(s, w->form, cad_param(d, CAD_GATED_OUT), 1, D, E, w->Dp, Ep);
    }
}

static int gated_open_products(cad_weights_t *w, cad_error_t *err)
{
    int rc = products_open(w->blas, &w->gated.in, 1, 256, err);
    return rc ? rc : products_open(w->blas, &w->gated.out, 1, 256, err);
}

static void gated_carve(cad_lane_t *l, cad_bump_t *b, int64_t padded, int64_t slots)
{
    gated_lane_t *g = &gpu_of(l)->gated;
    size_t t = l->weights->half ? sizeof(bf16_t) : sizeof(float);
    (void)slots;
    g->o = l->weights->apart ? (float *)cad_bump(b, padded, l->weights->Dp, sizeof(float)) : NULL;
    g->xz = cad_bump(b, padded, 2 * l->weights->gated.Ep, t);
    g->y = cad_bump(b, padded, l->weights->gated.Ep, t);
}

static view_t gated_view(const cad_lane_t *l, int what)
{
    view_t p = { .at = gpu_of(l)->gated.y,
                 .width = l->weights->gated.Ep,
                 .ld = l->weights->gated.Ep,
                 .row = 0,
                 .half = l->weights->half };
    (void)what;
    return p;
}

static bool gated_open_back(cad_grads_t *q, const cad_model_t *m, bool fast)
{
    gated_grads_t *z = &q->gated;
    z->E = cad_gated_E(&m->cfg);
    z->Ep = cad_gated_Ep(&m->cfg);
    z->Dp = q->s.Dp;
    set_back_product(&z->out_back, z->Ep, z->Dp, 2 * z->Ep, true, fast);
    set_back_product(&z->in_back, z->Dp, 2 * z->Ep, z->Dp, true, fast);
    set_outer(&z->out_sum, z->Dp, z->Ep, z->Dp, fast);
    set_outer(&z->in_sum, 2 * z->Ep, z->Dp, 2 * z->Ep, fast);
    *(void **)&z->dir = calloc((size_t)m->cfg.n_layer * 2, sizeof *z->dir);
    return z->dir != NULL;
}

static void gated_close_back(cad_grads_t *q)
{
    products_close(&q->gated.out_back, 1);
    products_close(&q->gated.in_back, 1);
    outers_close(&q->gated.out_sum, 1);
    outers_close(&q->gated.in_sum, 1);
    free(q->gated.dir);
}

static void gated_place_back(store_t *s, cad_grads_t *q, const cad_model_t *m, int layer)
{
    gated_grads_t *z = &q->gated;
    for (int k = 0; k < m->layer[layer].ndir; k++) {
        const cad_direction_t *d = &m->layer[layer].dir[k];
        z->dir[2 * layer + k].in = (const float *)place_table(s, AS_FP32, cad_param(d, CAD_GATED_IN), 2, z->E, q->s.D,
                                                              z->Ep, z->Dp);
        z->dir[2 * layer + k].out = (const float *)place_table(s, AS_FP32, cad_param(d, CAD_GATED_OUT), 1, q->s.D, z->E,
                                                               z->Dp, z->Ep);
    }
}

static int gated_open_products_back(cad_grads_t *q, cublasLtHandle_t blas, cad_error_t *err)
{
    int rc = products_open(blas, &q->gated.out_back, 1, 64, err);
    if (rc == 0) rc = products_open(blas, &q->gated.in_back, 1, 64, err);
    if (rc == 0) rc = outers_open(blas, &q->gated.out_sum, 1, 64, err);
    return rc ? rc : outers_open(blas, &q->gated.in_sum, 1, 64, err);
}

static int64_t gated_most_parts(const cad_grads_t *q, int64_t rows, int64_t pieces)
{
    (void)rows;
    (void)pieces;
    return PRODUCT_ROWS / PART_ROWS * 2 * q->gated.Ep * q->gated.Dp;
}

static void gated_carve_back(cad_grad_lane_t *l, const cad_model_t *m, cad_bump_t *b)
{
    cad_gated_grad_lane_t *w = cad_gated_grad_lane(l);
    int64_t Ep = cad_gated_Ep(&m->cfg);
    w->dx = cad_bump_floats(b, l->f.rows, 2 * Ep);
    w->g = w->dx ? w->dx + Ep : NULL;
    w->yz = cad_bump_floats(b, l->f.rows, Ep);
}

static const cad_kind_sums_t gated_kind_sums = { .bytes = sizeof(cad_gated_sums_t),
                                                 .place = cad_gated_sums_place,
                                                 .add = cad_gated_sums_add };

static const kind_t cuda_gated = {
    .refuse = gated_refuse,
    .open = gated_open,
    .close = gated_close,
    .place = gated_place,
    .open_products = gated_open_products,
    .carve = gated_carve,
    .view = gated_view,
    .open_back = gated_open_back,
    .close_back = gated_close_back,
    .place_back = gated_place_back,
    .open_products_back = gated_open_products_back,
    .most_parts = gated_most_parts,
    .carve_back = gated_carve_back,
    .sums = &gated_kind_sums,
};
#else
/* Operations for both types T, in the order of gated.h. */
static cad_op_f *const gated_ops[2][CAD_GATED_OPS] = { { gated_in_fp32, gated_gate_rows_fp32, gated_out_fp32 },
                                                       { gated_in_bf16, gated_gate_rows_bf16, gated_out_bf16 } };
static cad_back_f *const gated_back_ops[2][CAD_GATED_BACK_OPS] = {
    { gated_back_out_fp32, gated_back_step_fp32, gated_back_in_fp32 },
    { gated_back_out_bf16, gated_back_step_bf16, gated_back_in_bf16 }
};
#endif
