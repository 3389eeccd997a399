/* mamba_in_tmpl.h - the input of a Mamba layer: the norm, then in_proj, which gives x and z. The backward pass also
 * computes the gradients of the gate and of out_proj's weights, because these need z and y. Compiled once for each T,
 * after norm_tmpl.h. Ep is the padded number of channels.
 *
 * Macro parameters: T; NAME(x): x with T's suffix; get(v): T to float; put(v): float to T. The backward pass always
 * normalises in float32, so norm_tmpl.h must be compiled for float32 before this file. SPDX-License-Identifier: MIT
 */
#include "graph.h"
#include "norm.h"

/* ---- forward pass ---- */

typedef struct {
    T *to;
    const float *bias;
    int64_t width;
} NAME(broadcast_args_t);

/* Writes bias to every row of the array `to`; the matrix product is then added to these rows. blockIdx.x is a row,
 * blockIdx.y a group of THREADS values. */
KERNEL(NAME(broadcast), NAME(broadcast_args_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x;
    if (c < arg.width) arg.to[blockIdx.x * arg.width + c] = put(arg.bias[c]);
}

static int NAME(broadcast_bias)(cad_lane_t *l, const float *bias, int64_t width, T *xz, cad_span_t s)
{
    NAME(broadcast_args_t)
    arg = { .to = xz + s.beg * width, .bias = bias, .width = width };
    LAUNCH(NAME(broadcast), s.end - s.beg, ceil_div(width, THREADS), THREADS, 0, gpu_of(l)->stream, arg);
    return launched(l, "norm");
}

static int NAME(op_in)(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned parts)
{
    const cad_weights_t *w = l->weights;
    const mamba_dir_t *p = &w->mamba.dir[2 * layer + dir];
    gpu_t *g = gpu_of(l);
    T *xz = (T *)g->mamba.xz;
    int rc;
    if (replaying(l)) return 0;
    (void)parts; /* x and z are one product, so both are always computed */
    rc = NAME(norm_rows)(l, l->base, (T *)g->a, norm_of_layer(w, layer), s.beg, s.end);
    if (rc == 0 && p->in_bias) rc = NAME(broadcast_bias)(l, p->in_bias, 2 * w->mamba.Ep, xz, s);
    return rc ? rc : multiply(l, &w->mamba.product[IN_PROJ], g->a, p->in, xz, xz, s.beg, s.end, p->in_bias ? 1 : 0);
}

/* ---- backward pass ---- */

typedef struct {
    const T *y; // (rows,Ep)
    const T *z; // (rows,2Ep) x and z; the pointer is to the first column of z
    float *yz;  // (rows,Ep) gated y
    float *g;   // (rows,2Ep) dx and g; the pointer is to the first column of g
    int64_t Ep;
} NAME(gate_back_args_t);

/* Computes yz = y silu(z), the gated y. On entry g holds the gradient of yz; overwrites g with dz, the gradient of
 * z. blockIdx.x is a row, blockIdx.y a group of THREADS channels. */
KERNEL(NAME(gate_back), NAME(gate_back_args_t))
{
    int64_t r = blockIdx.x, c = (int64_t)blockIdx.y * THREADS + threadIdx.x, i = r * arg.Ep + c, at = i + r * arg.Ep;
    float z, y, on;
    if (c >= arg.Ep) return;
    z = get(arg.z[at]);
    y = get(arg.y[i]);
    on = sigmoid(z);
    arg.yz[i] = y * (z * on);
    arg.g[at] = arg.g[at] * y * on * fma32(z, 1.0f - on, 1.0f);
}

/* Computes the gradients of in_proj, out_proj and the norm. yz (rows,Ep): the gated y. back_of(l)->dx (rows,2Ep) holds
 * dx, then dz, side by side. */
static int NAME(in_gradients)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, const float *yz)
{
    cad_grads_t *q = l->grads;
    const cad_weights_t *w = l->f.weights;
    const cad_mamba_dir_sums_t *t = mamba_sums(q, layer, dir);
    const outer_t *sum = q->mamba.outer;
    norm_t norm = norm_of_layer(w, layer);
    bool biased = w->mamba.dir[2 * layer + dir].in_bias != NULL;
    int rc = norm_rows_fp32(&l->f, l->f.base, q->a, norm, 0, s.end);
    if (rc == 0) rc = outer(l, &sum[OUT_SUM], l->dout, yz, s.end, t->out);
    if (rc == 0) rc = outer(l, &sum[IN_SUM], back_of(l)->dx, q->a, s.end, t->in_x);
    if (rc == 0 && biased) rc = columns(l, l->dout, w->Dp, s.end, t->out_bias);
    if (rc == 0 && biased) rc = columns(l, back_of(l)->dx, 2 * w->mamba.Ep, s.end, t->in_x_bias);
    if (rc == 0)
        rc = multiply(&l->f, &q->mamba.product[IN_BACK], back_of(l)->dx, q->mamba.dir[2 * layer + dir].in, l->da, l->da,
                      0, s.end, 0);
    return rc ? rc : norm_gradients(l, l->f.base, l->dres, NULL, s.end, norm, q->s.norm[layer], q->s.norm_bias[layer]);
}

/* Runs the backward pass of the gate, the projections' weights and the norm. Overwrites du with the gated y. */
static int NAME(back_in)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    int64_t Ep = l->f.weights->mamba.Ep;
    gpu_t *g = gpu_of(&l->f);
    NAME(gate_back_args_t)
    arg = {
        .y = (const T *)g->mamba.y, .z = (const T *)g->mamba.xz + Ep, .yz = back_of(l)->du, .g = back_of(l)->g, .Ep = Ep
    };
    int rc;
    (void)how;
    LAUNCH(NAME(gate_back), s.end, ceil_div(Ep, THREADS), THREADS, 0, g->stream, arg);
    rc = launched(&l->f, "gate, backwards");
    return rc ? rc : NAME(in_gradients)(l, layer, dir, s, back_of(l)->du);
}
