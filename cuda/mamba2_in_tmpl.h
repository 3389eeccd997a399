/* mamba2_in_tmpl.h - the operations of a Mamba-2 layer that write values of type T, the inputs of its projections: the
 * norm before in_proj, and the gated norm before out_proj. All other activations are float32. Compiled once for each T,
 * after mamba_in_tmpl.h. Ep is the padded number of channels of z, y and o.
 *
 * Macro parameters: T; NAME(x): x with T's suffix; get(v): T to float; put(v): float to T. SPDX-License-Identifier: MIT
 */
#include "mamba2_scan_back.h"

static int NAME(mamba2_in)(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned parts)
{
    const cad_weights_t *w = l->weights;
    const product_t *product = w->mamba2.product;
    const mamba2_dir_t *p = &w->mamba2.dir[2 * layer + dir];
    const mamba2_size_t *n = &w->mamba2.size;
    gpu_t *g = gpu_of(l);
    float *x = g->mamba2.x, *z = g->mamba2.z;
    cad_span_t gate = cad_span_need(s, 0);
    int rc;
    if (replaying(l)) return 0;
    if (p->first_x) return mamba2_first(l, p, s, gate, parts);
    rc = NAME(norm_rows)(l, l->base, (T *)g->a, norm_of_layer(w, layer), s.beg, s.end);
    if (rc == 0 && parts & CAD_IN_X && p->in_x_bias) rc = broadcast_bias_fp32(l, p->in_x_bias, n->Xp, x, s);
    if (rc == 0 && parts & CAD_IN_X)
        rc = multiply(l, &product[MAMBA2_IN_X], g->a, p->in_x, x, x, s.beg, s.end, p->in_x_bias ? 1 : 0);
    if (rc == 0 && parts & CAD_IN_Z && p->in_z_bias) rc = broadcast_bias_fp32(l, p->in_z_bias, n->Ep, z, gate);
    if (rc == 0 && parts & CAD_IN_Z)
        rc = multiply(l, &product[MAMBA2_IN_Z], g->a, p->in_z, z, z, gate.beg, gate.end, p->in_z_bias ? 1 : 0);
    return rc;
}

typedef struct {
    float *y;          // (rows,Ep)
    const float *z;    // (rows,Ep)
    const float *norm; // (Ep)
    T *o;              // (rows,Ep) output, which is stored or, for the second direction, added
    int64_t beg, end, Ep, G, I;
    bool add;
} NAME(gate2_args_t);

/* Computes o = norm(y silu(z)). Each warp computes one group of channels of one row. */
KERNEL(NAME(gate2), NAME(gate2_args_t))
{
    int64_t unit = (int64_t)blockIdx.x * NORM_ROWS + threadIdx.x / WARP, row = arg.beg + unit / arg.G,
            width = arg.Ep / arg.G, at = row * arg.Ep + unit % arg.G * width;
    int in_warp = (int)threadIdx.x % WARP;
    const float *norm = arg.norm + unit % arg.G * width;
    float square = 0, scale;
    if (row >= arg.end) return;
    for (int64_t i = in_warp; i < width; i += WARP) {
        float v = arg.y[at + i] * silu(arg.z[at + i]);
        square = fma32(v, v, square);
    }
    scale = 1.0f / sqrtf(warp_sum(square) / (float)(arg.I / arg.G) + (float)CAD_MAMBA2_EPSILON);
    for (int64_t i = in_warp; i < width; i += WARP) {
        float v = arg.y[at + i] * silu(arg.z[at + i]) * scale * norm[i];
        arg.o[at + i] = put(arg.add ? get(arg.o[at + i]) + v : v);
    }
}

static int NAME(mamba2_gate)(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const mamba2_weights_t *w = &l->weights->mamba2;
    const gpu_t *g = gpu_of(l);
    NAME(gate2_args_t)
    arg = { .y = g->mamba2.y,
            .z = g->mamba2.z,
            .norm = w->dir[2 * layer + dir].norm,
            .o = (T *)g->mamba2.o,
            .beg = s.beg,
            .end = s.end,
            .Ep = w->size.Ep,
            .G = w->size.G,
            .I = w->size.I,
            .add = (how & CAD_MAMBA2_ADD) != 0 };
    if (replaying(l)) return 0;
    LAUNCH(NAME(gate2), ceil_div((s.end - s.beg) * arg.G, NORM_ROWS), 1, THREADS, 0, g->stream, arg);
    return launched(l, "gate");
}
