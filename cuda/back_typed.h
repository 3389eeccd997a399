/* back_typed.h - the backward pass's kernels that read T, and the operations that run
 * them. Gradients are float32. Included once for each, after back.h's helpers.
 * SPDX-License-Identifier: MIT */

/* ---- gate: yz = y silu(z), and g becomes dz ---- */

typedef struct {
    const T *y, *z;
    float *yz, *g;
    int64_t n, Ep;
} NAME(gate_back_job_t); // (rows,Ep), z and g (rows,2Ep); n = rows x Ep

KERNEL(NAME(gate_back), NAME(gate_back_job_t))
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, at = i / j.Ep * 2 * j.Ep + i % j.Ep;
    float z, y, on;
    if (i >= j.n) return;
    z = get(j.z[at]);
    y = get(j.y[i]);
    on = sigmoid(z);
    j.yz[i] = y * (z * on);
    j.g[at] = j.g[at] * y * on * fma32(z, 1.0f - on, 1.0f);
}

/* ---- conv: du becomes dc, the gradient of what is before SiLU; u is made again ---- */

typedef struct {
    NAME(conv_job_t) f;
    float *du, *u;
} NAME(slope_job_t); // (rows,Ep)

KERNEL(NAME(conv_slope), NAME(slope_job_t))
{
    const NAME(conv_job_t) *f = &j.f;
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
        j.u[at] = sum * on;
        j.du[at] = j.du[at] * on * fma32(sum, 1.0f - on, 1.0f);
    }
}

/* dx += what each row gave to those at most K-1 after it in time. */
typedef struct {
    const float *dc;
    float *dx;
    const float *w;
    const int64_t *off;
    int64_t rows, Ep, K;
    int nseq;
    bool reverse;
} NAME(conv_back_job_t); // (rows,Ep), (rows,2Ep), (K,Ep)

KERNEL(NAME(conv_back), NAME(conv_back_job_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, r = (int64_t)blockIdx.x * RUN,
            end = r + RUN < j.rows ? r + RUN : j.rows, step = j.reverse ? -1 : 1;
    int q = find_seq(j.off, j.nseq, r);
    if (c >= j.Ep) return;
    for (; r < end; r++) {
        float acc = 0;
        while (r >= j.off[q + 1]) q++;
        for (int64_t k = 0; k < j.K; k++) {
            int64_t at = r + step * k;
            if (at >= j.off[q] && at < j.off[q + 1])
                acc = fma32(j.w[(j.K - 1 - k) * j.Ep + c], j.dc[at * j.Ep + c], acc);
        }
        j.dx[r * 2 * j.Ep + c] += acc;
    }
}

/* Partial sums (slabs,K+1,Ep) of the weights' gradients, then the bias'. */
typedef struct {
    const T *x;
    const float *dc;
    float *part;
    const int64_t *off;
    int64_t rows, Ep, K;
    int nseq;
    bool reverse;
} NAME(taps_job_t); // x: (rows,2Ep)

#define TAPS 4 /* taken together */

DEVICE void NAME(some_taps)(const NAME(taps_job_t) * j, int64_t beg, int64_t end, int64_t first, int64_t c, float *acc)
{
    int64_t step = j->reverse ? -1 : 1;
    int q = find_seq(j->off, j->nseq, beg);
    UNROLL
    for (int k = 0; k <= TAPS; k++) acc[k] = 0;
    for (int64_t r = beg; r < end; r++) {
        float dc = j->dc[r * j->Ep + c];
        while (r >= j->off[q + 1]) q++;
        REPEAT(k, TAPS) {
            int64_t at = r - step * (j->K - 1 - first - k);
            if (first + k < j->K && at >= j->off[q] && at < j->off[q + 1])
                acc[k] = fma32(get(j->x[at * 2 * j->Ep + c]), dc, acc[k]);
        }
        acc[TAPS] += dc;
    }
}

KERNEL(NAME(conv_taps), NAME(taps_job_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, beg = (int64_t)blockIdx.x * SLAB,
            end = beg + SLAB < j.rows ? beg + SLAB : j.rows;
    float acc[TAPS + 1], *to = j.part + (int64_t)blockIdx.x * (j.K + 1) * j.Ep + c;
    if (c >= j.Ep) return;
    for (int64_t first = 0; first < j.K; first += TAPS) {
        NAME(some_taps)(&j, beg, end, first, c, acc);
        REPEAT(k, TAPS)
            if (first + k < j.K) to[(first + k) * j.Ep] = acc[k];
    }
    to[j.K * j.Ep] = acc[TAPS];
}

#include "scan_back.h"

/* ---- operations ---- */

static int NAME(scan_back)(cad_grad_lane_t *l, const NAME(scan_back_job_t) * job, int nseq)
{
    gpu_t *g = gpu_of(&l->f);
    const NAME(scan_back_job_t) j = *job;
    carry_job_t carries = { g->state, g->total, j.f.a, g->off, g->first, j.f.Ep, true };
    int64_t groups = ceil_div(j.f.Ep, THREADS);
    bool small = j.f.R <= STATES;
    size_t shared = STEP * (size_t)((small ? STATES : PADDED(j.f.R)) + 2 * STATES) * sizeof(float);
    if (g->slots) {
        if (small) LAUNCH(NAME(ends_back_small), g->items, groups, THREADS, shared, g->stream, j);
        else LAUNCH(NAME(ends_back_large), g->items, groups, THREADS, shared, g->stream, j);
        LAUNCH(carry, nseq, groups * STATES, THREADS, 0, g->stream, carries);
    }
    shared += 2 * RED * sizeof(float);
    if (small) LAUNCH(NAME(scan_back_small), g->items, groups, THREADS, shared, g->stream, j);
    else LAUNCH(NAME(scan_back_large), g->items, groups, THREADS, shared, g->stream, j);
    return launched(&l->f, "scan, backwards");
}

static int NAME(back_scan)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, bool add)
{
    cad_grads_t *q = l->grads;
    const cad_weights_t *w = l->f.weights;
    const dir_t *p = &w->dir[2 * layer + dir];
    const cad_sum_t *t = &q->s.dir[2 * layer + dir];
    gpu_t *g = gpu_of(&l->f);
    int rc = 0;
    for (int64_t n = 0; n < w->N && rc == 0; n += STATES) {
        NAME(scan_back_job_t)
        j = { NAME(scan_job)(&l->f, p, s, n, l->f.state[dir]), l->g, l->du, l->dpre, l->part, q->parts, l->f.rows };
        j.f.add = add || n > 0;
        rc = NAME(scan_back)(l, &j, s.nseq);
        if (rc == 0) rc = fold_parts(l, t->a + n * w->Ep, 0, STATES * w->Ep, (STATES + 1) * w->Ep, g->items);
        if (rc == 0 && n == 0) rc = fold_parts(l, t->skip, STATES * w->Ep, w->Ep, (STATES + 1) * w->Ep, g->items);
    }
    return rc;
}

/* The conv's own gradients, and dx. */
static int NAME(conv_gradients)(cad_grad_lane_t *l, const dir_t *p, const cad_sum_t *t, cad_span_t s)
{
    const cad_weights_t *w = l->f.weights;
    gpu_t *g = gpu_of(&l->f);
    int64_t groups = ceil_div(w->Ep, THREADS), parts = ceil_div(s.end, SLAB), stride = (w->K + 1) * w->Ep;
    NAME(conv_back_job_t) back = { l->du, l->dx, p->conv, g->off, s.end, w->Ep, w->K, s.nseq, p->reverse };
    NAME(taps_job_t)
    taps = { (const T *)g->xz, l->du, l->grads->parts, g->off, s.end, w->Ep, w->K, s.nseq, p->reverse };
    int rc;
    LAUNCH(NAME(conv_back), ceil_div(s.end, RUN), groups, THREADS, 0, g->stream, back);
    LAUNCH(NAME(conv_taps), parts, groups, THREADS, 0, g->stream, taps);
    rc = launched(&l->f, "conv, backwards");
    if (rc == 0) rc = fold_parts(l, t->conv, 0, w->K * w->Ep, stride, parts);
    return rc ? rc : fold_parts(l, t->conv_bias, w->K * w->Ep, w->Ep, stride, parts);
}

/* dt_proj and x_proj, then the conv: du becomes dc, and dpre, when it has been read, u. */
static int NAME(back_conv)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    cad_grads_t *q = l->grads;
    const cad_weights_t *w = l->f.weights;
    const dir_t *p = &w->dir[2 * layer + dir];
    const cad_sum_t *t = &q->s.dir[2 * layer + dir];
    gpu_t *g = gpu_of(&l->f);
    NAME(slope_job_t)
    slope = { { (const T *)g->xz, NULL, p->conv, p->conv_bias, g->off, 0, s.end, w->Ep, w->K, s.nseq, p->reverse },
              l->du,
              l->dpre };
    int rc = project_back(l, p, &q->turn[2 * layer + dir], s);
    if (rc == 0) rc = columns(l, l->dpre, w->Ep, s.end, t->dt_bias);
    if (rc == 0) rc = outer(l, DT_SUM, g->xdbl, l->dpre, s.end, t->dt);
    if (rc) return rc;
    LAUNCH(NAME(conv_slope), ceil_div(s.end, RUN), ceil_div(w->Ep, THREADS), THREADS, 0, g->stream, slope);
    rc = launched(&l->f, "conv, backwards");
    if (rc == 0) rc = outer(l, X_SUM, l->dxdbl, l->dpre, s.end, t->x);
    return rc ? rc : NAME(conv_gradients)(l, p, t, s);
}

/* du becomes the gated y. */
static int NAME(back_in)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s)
{
    const cad_weights_t *w = l->f.weights;
    gpu_t *g = gpu_of(&l->f);
    NAME(gate_back_job_t) gate = { (const T *)g->y, (const T *)g->xz + w->Ep, l->du, l->g, s.end * w->Ep, w->Ep };
    int rc;
    LAUNCH(NAME(gate_back), ceil_div(gate.n, THREADS), 1, THREADS, 0, g->stream, gate);
    rc = launched(&l->f, "gate, backwards");
    return rc ? rc : in_gradients(l, layer, dir, s);
}
