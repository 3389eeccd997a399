/* mamba_conv_tmpl.h - Mamba's causal convolution, SiLU and x_proj. The backward pass also computes the gradients of
 * dt_proj, since those of x_proj depend on them. Compiled once for each T, after conv_tmpl.h. Sp is the number of
 * columns of x_proj's output (dt_in, B and C), with padding.
 *
 * Macro parameters: T; NAME(x): x with T's suffix; get(v): T to float; put(v): float to T. Gradients are float32.
 * SPDX-License-Identifier: MIT
 */
#include "graph.h"
#include "sums.h"

/* ---- forward pass ---- */

static NAME(conv_args_t) NAME(conv_args)(const cad_lane_t *l, int layer, int dir, cad_span_t s)
{
    const mamba_weights_t *w = &l->weights->mamba;
    const mamba_dir_t *p = &w->dir[2 * layer + dir];
    const gpu_t *g = gpu_of(l);
    NAME(conv_args_t)
    arg = { .x = (const T *)g->mamba.xz,
            .u = (T *)g->mamba.u[dir],
            .w = p->conv,
            .bias = p->conv_bias,
            .off = g->off,
            .beg = s.beg,
            .end = s.end,
            .ld = 2 * w->Ep,
            .width = w->Ep,
            .K = w->K,
            .nseq = s.nseq,
            .reverse = p->reverse };
    return arg;
}

static int NAME(op_conv)(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const mamba_weights_t *w = &l->weights->mamba;
    const mamba_dir_t *p = &w->dir[2 * layer + dir];
    gpu_t *g = gpu_of(l);
    NAME(conv_args_t) arg = NAME(conv_args)(l, layer, dir, s);
    int rc;
    (void)how;
    g->mamba.span_beg = s.beg;
    g->mamba.conv = dir;
    if (replaying(l)) return 0;
    rc = NAME(conv_rows)(l, &arg);
    return rc ? rc
              : multiply(l, &w->product[X_PROJ], g->mamba.u[dir], p->x, g->mamba.xdbl[dir], g->mamba.xdbl[dir], s.beg,
                         s.end, 0);
}

/* ---- backward pass: dt_proj and x_proj ---- */

typedef struct {
    const float *part; // (groups,rows,2Np) dB and dC, summed over the channels of each thread block (a group)
    // (n,Sp) dxdbl, the gradient of x_proj's output; the kernel writes the columns of dB, dC and the padding
    float *to;
    int64_t n, rows, groups, Sp, N, Np, R;
} NAME(project_args_t);

/* Sums dB and dC of n rows over all groups of channels, and sets the padding after them to 0. */
KERNEL(NAME(project), NAME(project_args_t))
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, width = arg.Sp - arg.R, r = i / width, c = i % width;
    float acc = 0;
    if (r >= arg.n) return;
    for (int64_t g = 0; g < arg.groups && c < 2 * arg.N; g++)
        acc += arg.part[(g * arg.rows + r) * 2 * arg.Np + (c < arg.N ? c : arg.Np + c - arg.N)];
    arg.to[r * arg.Sp + arg.R + c] = acc;
}

/* Computes dxdbl, the gradient of x_proj's output, and adds x_proj's contribution to du, the gradient of u. */
static int NAME(project_back)(cad_grad_lane_t *l, const mamba_dir_t *p, const mamba_back_t *back, cad_span_t s)
{
    const mamba_grads_t *q = &l->grads->mamba;
    const cad_mamba_sums_t *z = &q->size;
    NAME(project_args_t)
    arg = { .part = back_of(l)->part,
            .to = back_of(l)->dxdbl,
            .n = s.end,
            .rows = l->f.rows,
            .groups = ceil_div(z->Ep, THREADS),
            .Sp = z->Sp,
            .N = z->N,
            .Np = z->Np,
            .R = z->R };
    int rc = multiply(&l->f, &q->product[DT_BACK], back_of(l)->dpre, p->dt, back_of(l)->dxdbl, back_of(l)->dxdbl, 0,
                      s.end, 0);
    if (rc) return rc;
    LAUNCH(NAME(project), ceil_div(s.end * (z->Sp - z->R), THREADS), 1, THREADS, 0, gpu_of(&l->f)->stream, arg);
    rc = launched(&l->f, "x_proj, backwards");
    return rc ? rc
              : multiply(&l->f, &q->product[X_BACK], back_of(l)->dxdbl, back->x, back_of(l)->du, back_of(l)->du, 0,
                         s.end, 1);
}

/* ---- backward pass: the convolution ---- */

/* Runs the backward pass of dt_proj and x_proj, then of the convolution, which may overwrite du. Overwrites dpre, which
 * is then no longer needed, with u. */
static int NAME(back_conv)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const mamba_weights_t *w = &l->f.weights->mamba;
    const mamba_dir_t *p = &w->dir[2 * layer + dir];
    const mamba_grads_t *q = &l->grads->mamba;
    const cad_mamba_dir_sums_t *t = mamba_sums(l->grads, layer, dir);
    gpu_t *g = gpu_of(&l->f);
    NAME(conv_args_t) arg = NAME(conv_args)(&l->f, layer, dir, s);
    int rc = NAME(project_back)(l, p, &q->dir[2 * layer + dir], s);
    if (rc == 0) rc = columns(l, back_of(l)->dpre, w->Ep, s.end, t->dt_bias);
    if (rc == 0) rc = outer(l, &q->outer[DT_SUM], g->mamba.xdbl[dir], back_of(l)->dpre, s.end, t->dt);
    if (rc == 0)
        rc = NAME(conv_gradients)(l, &arg, back_of(l)->du, back_of(l)->dpre, back_of(l)->dx, how & CAD_SCAN_ADD,
                                  t->conv, t->conv_bias);
    return rc ? rc : outer(l, &q->outer[X_SUM], back_of(l)->dxdbl, back_of(l)->dpre, s.end, t->x);
}
