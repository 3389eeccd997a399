/* mamba_conv_tmpl.h - Mamba's causal convolution, SiLU and x_proj; a thread computes one channel. The backward pass
 * also has dt_proj's gradients, which are needed between those of the scan and of x_proj. Compiled once for each T.
 *
 * Parameters: T; NAME(x): x with T's suffix; get(v): T to float; put(v): float to T. Gradients are float32.
 * SPDX-License-Identifier: MIT
 */
#include "graph.h"
#include "sums.h"

#define RUN 16 /* rows that one thread convolves */
#define TAPS 4 /* taps whose gradients are summed in one loop over the rows */

/* ---- forward ---- */

typedef struct {
    const T *x;            // (rows,2Ep)
    T *u;                  // (rows,Ep)
    const float *w, *bias; // (K,Ep), (Ep)
    const int64_t *off;
    int64_t beg, end, Ep, K;
    int nseq;
    bool reverse;
} NAME(conv_args_t);

/* Returns the convolution at row r, before SiLU. `first` is the first tap that reads a row of the same sequence. */
DEVICE float NAME(taps)(const NAME(conv_args_t) * arg, int64_t r, int64_t first, const int64_t K, int64_t c)
{
    int64_t step = arg->reverse ? -1 : 1;
    float acc = arg->bias[c];
    UNROLL
    for (int64_t k = 0; k < K; k++)
        if (k >= first)
            acc = fma32(arg->w[k * arg->Ep + c], get(arg->x[(r - step * (K - 1 - k)) * 2 * arg->Ep + c]), acc);
    return acc;
}

DEVICE int64_t NAME(first_tap)(const NAME(conv_args_t) * arg, int64_t r, int q)
{
    int64_t past = arg->reverse ? arg->off[q + 1] - 1 - r : r - arg->off[q];
    return past < arg->K - 1 ? arg->K - 1 - past : 0;
}

KERNEL(NAME(conv), NAME(conv_args_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, r = arg.beg + (int64_t)blockIdx.x * RUN,
            end = r + RUN < arg.end ? r + RUN : arg.end;
    int q = find_seq(arg.off, arg.nseq, r);
    if (c >= arg.Ep) return;
    for (; r < end; r++) {
        int64_t first;
        while (r >= arg.off[q + 1]) q++;
        first = NAME(first_tap)(&arg, r, q);
        arg.u[r * arg.Ep + c] = put(
            silu(arg.K == 4 ? NAME(taps)(&arg, r, first, 4, c) : NAME(taps)(&arg, r, first, arg.K, c)));
    }
}

static NAME(conv_args_t) NAME(conv_args)(const cad_lane_t *l, const mamba_dir_t *p, cad_span_t s)
{
    const mamba_weights_t *w = &l->weights->mamba;
    const gpu_t *g = gpu_of(l);
    NAME(conv_args_t)
    arg = { .x = (const T *)g->mamba.xz,
            .u = (T *)g->mamba.u,
            .w = p->conv,
            .bias = p->conv_bias,
            .off = g->off,
            .beg = s.beg,
            .end = s.end,
            .Ep = w->Ep,
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
    NAME(conv_args_t) arg = NAME(conv_args)(l, p, s);
    int rc;
    (void)how;
    g->mamba.span_beg = s.beg;
    if (replaying(l)) return 0;
    LAUNCH(NAME(conv), ceil_div(s.end - s.beg, RUN), ceil_div(w->Ep, THREADS), THREADS, 0, g->stream, arg);
    rc = launched(l, "conv");
    return rc ? rc : multiply(l, &w->product[X_PROJ], g->mamba.u, p->x, g->mamba.xdbl, g->mamba.xdbl, s.beg, s.end, 0);
}

/* ---- backward: dt_proj and x_proj ---- */

typedef struct {
    const float *part; // (groups,rows,2Np) dB and dC, summed over the channels of each thread block (group)
    float *to;         // (n,Sp) dxdbl; the kernel writes the columns of dB, dC and padding
    int64_t n, rows, groups, Sp, N, Np, R;
} NAME(project_args_t);

/* Sums dB and dC of n rows over all groups of channels. The padding after them becomes 0. */
KERNEL(NAME(project), NAME(project_args_t))
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, width = arg.Sp - arg.R, r = i / width, c = i % width;
    float acc = 0;
    if (r >= arg.n) return;
    for (int64_t g = 0; g < arg.groups && c < 2 * arg.N; g++)
        acc += arg.part[(g * arg.rows + r) * 2 * arg.Np + (c < arg.N ? c : arg.Np + c - arg.N)];
    arg.to[r * arg.Sp + arg.R + c] = acc;
}

/* Computes dxdbl (the gradient of x_proj's output) and adds x_proj's contribution to du. */
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

/* ---- backward: the convolution ---- */

typedef struct {
    NAME(conv_args_t) f; /* arguments of the forward pass */
    float *du, *u;       // (rows,Ep)
} NAME(silu_back_args_t);

/* Replaces du by dc, the gradient of SiLU's input, and recomputes u. */
KERNEL(NAME(silu_back), NAME(silu_back_args_t))
{
    const NAME(conv_args_t) *f = &arg.f;
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, r = f->beg + (int64_t)blockIdx.x * RUN,
            end = r + RUN < f->end ? r + RUN : f->end;
    int q = find_seq(f->off, f->nseq, r);
    if (c >= f->Ep) return;
    for (; r < end; r++) {
        int64_t at = r * f->Ep + c;
        float sum, on;
        while (r >= f->off[q + 1]) q++;
        sum = NAME(taps)(f, r, NAME(first_tap)(f, r, q), f->K, c);
        on = sigmoid(sum);
        arg.u[at] = sum * on;
        arg.du[at] = arg.du[at] * on * fma32(sum, 1.0f - on, 1.0f);
    }
}

typedef struct {
    const T *x;      // (rows,2Ep)
    const float *dc; // (rows,Ep)
    float *dx;       // (rows,2Ep) gradient of x, to which the convolution's contribution is added
    const float *w;  // (K,Ep)
    float *part;     // (slabs,K+1,Ep) partial sums of the gradients: K rows for the taps, one for the bias
    const int64_t *off;
    int64_t rows, Ep, K;
    int nseq;
    bool reverse;
} NAME(conv_back_args_t);

/* Adds to dx. Row r of x was read by the convolution at row r and at the K-1 rows after it in time. */
KERNEL(NAME(conv_back), NAME(conv_back_args_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, r = (int64_t)blockIdx.x * RUN,
            end = r + RUN < arg.rows ? r + RUN : arg.rows, step = arg.reverse ? -1 : 1;
    int q = find_seq(arg.off, arg.nseq, r);
    if (c >= arg.Ep) return;
    for (; r < end; r++) {
        float acc = 0;
        while (r >= arg.off[q + 1]) q++;
        for (int64_t k = 0; k < arg.K; k++) {
            int64_t at = r + step * k;
            if (at >= arg.off[q] && at < arg.off[q + 1])
                acc = fma32(arg.w[(arg.K - 1 - k) * arg.Ep + c], arg.dc[at * arg.Ep + c], acc);
        }
        arg.dx[r * 2 * arg.Ep + c] += acc;
    }
}

/* Sets acc (TAPS+1) to the gradients of the taps from `first` onwards and of the bias, summed over rows [beg, end). */
DEVICE void NAME(sum_taps)(const NAME(conv_back_args_t) * arg, int64_t beg, int64_t end, int64_t first, int64_t c,
                           float *acc)
{
    int64_t step = arg->reverse ? -1 : 1;
    int q = find_seq(arg->off, arg->nseq, beg);
    UNROLL
    for (int k = 0; k <= TAPS; k++) acc[k] = 0;
    for (int64_t r = beg; r < end; r++) {
        float dc = arg->dc[r * arg->Ep + c];
        while (r >= arg->off[q + 1]) q++;
        REPEAT(k, TAPS) {
            int64_t at = r - step * (arg->K - 1 - first - k);
            if (first + k < arg->K && at >= arg->off[q] && at < arg->off[q + 1])
                acc[k] = fma32(get(arg->x[at * 2 * arg->Ep + c]), dc, acc[k]);
        }
        acc[TAPS] += dc;
    }
}

KERNEL(NAME(conv_sums), NAME(conv_back_args_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, beg = (int64_t)blockIdx.x * SLAB,
            end = beg + SLAB < arg.rows ? beg + SLAB : arg.rows;
    float acc[TAPS + 1], *to = arg.part + (int64_t)blockIdx.x * (arg.K + 1) * arg.Ep + c;
    if (c >= arg.Ep) return;
    for (int64_t first = 0; first < arg.K; first += TAPS) {
        NAME(sum_taps)(&arg, beg, end, first, c, acc);
        REPEAT(k, TAPS)
            if (first + k < arg.K) to[(first + k) * arg.Ep] = acc[k];
    }
    to[arg.K * arg.Ep] = acc[TAPS];
}

/* Adds to dx and to the gradients of the convolution's weights and bias, from dc. */
static int NAME(conv_gradients)(cad_grad_lane_t *l, const NAME(conv_args_t) * f, const cad_mamba_dir_sums_t *t)
{
    gpu_t *g = gpu_of(&l->f);
    int64_t groups = ceil_div(f->Ep, THREADS), parts = ceil_div(f->end, SLAB), stride = (f->K + 1) * f->Ep;
    NAME(conv_back_args_t)
    arg = { .x = f->x,
            .dc = back_of(l)->du,
            .dx = back_of(l)->dx,
            .w = f->w,
            .part = l->grads->parts,
            .off = f->off,
            .rows = f->end,
            .Ep = f->Ep,
            .K = f->K,
            .nseq = f->nseq,
            .reverse = f->reverse };
    int rc;
    LAUNCH(NAME(conv_back), ceil_div(f->end, RUN), groups, THREADS, 0, g->stream, arg);
    LAUNCH(NAME(conv_sums), parts, groups, THREADS, 0, g->stream, arg);
    rc = launched(&l->f, "conv, backwards");
    if (rc == 0) rc = fold_parts(l, t->conv, 0, f->K * f->Ep, stride, parts);
    return rc ? rc : fold_parts(l, t->conv_bias, f->K * f->Ep, f->Ep, stride, parts);
}

/* Runs the backward pass of dt_proj and x_proj, then of the convolution. Overwrites du with dc, and dpre, after its
 * last use, with u. */
static int NAME(back_conv)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const mamba_weights_t *w = &l->f.weights->mamba;
    const mamba_dir_t *p = &w->dir[2 * layer + dir];
    const mamba_grads_t *q = &l->grads->mamba;
    const cad_mamba_dir_sums_t *t = mamba_sums(l->grads, layer, dir);
    gpu_t *g = gpu_of(&l->f);
    NAME(silu_back_args_t) arg = { .f = NAME(conv_args)(&l->f, p, s), .du = back_of(l)->du, .u = back_of(l)->dpre };
    int rc = NAME(project_back)(l, p, &q->dir[2 * layer + dir], s);
    (void)how;
    if (rc == 0) rc = columns(l, back_of(l)->dpre, w->Ep, s.end, t->dt_bias);
    if (rc == 0) rc = outer(l, &q->outer[DT_SUM], g->mamba.xdbl, back_of(l)->dpre, s.end, t->dt);
    if (rc) return rc;
    arg.f.beg = 0;
    LAUNCH(NAME(silu_back), ceil_div(s.end, RUN), ceil_div(w->Ep, THREADS), THREADS, 0, g->stream, arg);
    rc = launched(&l->f, "conv, backwards");
    if (rc == 0) rc = outer(l, &q->outer[X_SUM], back_of(l)->dxdbl, back_of(l)->dpre, s.end, t->x);
    return rc ? rc : NAME(conv_gradients)(l, &arg.f, t);
}
