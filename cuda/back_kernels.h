/* back_kernels.h - kernels of the backward pass that do not depend on T.
 *
 * A weight's gradient is a sum over rows. Each kernel here that makes one leaves
 * partial sums of SLAB rows, or of one piece of a sequence, each in the order of its
 * rows; `fold` adds them in order. Nothing is added atomically. SPDX-License-Identifier: MIT
 */

/* ---- sums of partial sums: to (count) += parts of them, `stride` apart ---- */

typedef struct {
    float *to;
    const float *part;
    int64_t count, stride, parts;
} fold_job_t;

KERNEL(fold, fold_job_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    float acc = 0, v[BATCH];
    if (i >= j.count) return;
    for (int64_t k = 0; k < j.parts; k += BATCH) {
        REPEAT(b, BATCH) v[b] = k + b < j.parts ? j.part[(k + b) * j.stride + i] : 0;
        REPEAT(b, BATCH) acc += v[b];
    }
    j.to[i] += acc;
}

/* ---- C (n,k) = A (rows,n)^T x B (rows,k), where n is small: partial sums (slabs,n,k).
 * tok (rows): A[r][i] is tok[r] == i; neither: n is 1, and A is 1 ---- */

typedef struct {
    const float *a;
    const uint8_t *tok;
    const float *b;
    float *part;
    int64_t rows, n, k, lda, ldb;
} thin_job_t;

KERNEL(thin, thin_job_t)
{
    int64_t groups = (j.k + THREADS - 1) / THREADS, i = blockIdx.y / groups,
            c = blockIdx.y % groups * THREADS + threadIdx.x;
    int64_t beg = (int64_t)blockIdx.x * SLAB, end = beg + SLAB < j.rows ? beg + SLAB : j.rows;
    float acc = 0;
    if (c >= j.k) return;
    for (int64_t r = beg; r < end; r++) {
        if (j.tok && j.tok[r] != i) continue;
        acc = fma32(j.a ? j.a[r * j.lda + i] : 1.0f, j.b[r * j.ldb + c], acc);
    }
    j.part[(blockIdx.x * j.n + i) * j.k + c] = acc;
}

/* ---- keep = dres, or keep x dres: the gradients of two directions' outputs ---- */

typedef struct {
    float *keep[2];
    const float *dres;
    int64_t n;
    bool times;
} divide_job_t; /* n = rows x Dp */

KERNEL(divide, divide_job_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= j.n) return;
    j.keep[0][i] = j.times ? j.keep[0][i] * j.dres[i] : j.dres[i];
    j.keep[1][i] = j.times ? j.keep[1][i] * j.dres[i] : j.dres[i];
}

/* ---- norm: one warp a row ---- */

typedef struct {
    const float *x, *dy; // (rows,Dp) from the first row on; (n,Dp)
    float *dx, *prod;    // (rows,Dp) likewise, added to; (n,Dp) dy times the normalised x
    const int64_t *row;  // (n), or NULL: 0, 1, ...
    norm_t norm;
    int64_t n, Dp;
} norm_back_job_t;

KERNEL(norm_back, norm_back_job_t)
{
    int64_t i = (int64_t)blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP, r;
    int lane = (int)threadIdx.x % WARP;
    const float *x, *dy = j.dy + i * j.Dp;
    float proj = 0, shift = 0, *dx;
    moments_t m;
    if (i >= j.n) return;
    r = j.row ? j.row[i] : i;
    x = j.x + r * j.Dp;
    dx = j.dx + r * j.Dp;
    m = moments(&j.norm, x, lane);
    for (int64_t d = lane; d < j.norm.D; d += WARP) {
        float v = dy[d] * j.norm.weight[d];
        proj = fma32(v, (x[d] - m.mean) * m.scale, proj);
        shift += v;
    }
    proj = warp_sum(proj) / (float)j.norm.D;
    shift = j.norm.rms ? 0 : warp_sum(shift) / (float)j.norm.D;
    for (int64_t d = lane; d < j.Dp; d += WARP) {
        float hat = (x[d] - m.mean) * m.scale, v = fma32(dy[d], j.norm.weight[d], -shift);
        bool real = d < j.norm.D;
        j.prod[i * j.Dp + d] = real ? hat * dy[d] : 0;
        if (real) dx[d] = fma32(fma32(-hat, proj, v), m.scale, dx[d]);
    }
}

/* ---- head: h = norm_f(x) of some rows and the gradient of it; one warp a row ---- */

typedef struct {
    const float *x, *table, *dlogits;
    float *h, *dh;
    const int64_t *row;
    norm_t norm;
    int64_t n, Dp, V;
} head_back_job_t;

KERNEL(head_back, head_back_job_t)
{
    int64_t i = (int64_t)blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP;
    int lane = (int)threadIdx.x % WARP;
    const float *x;
    moments_t m;
    if (i >= j.n) return;
    x = j.x + j.row[i] * j.Dp;
    m = moments(&j.norm, x, lane);
    for (int64_t d = lane; d < j.Dp; d += WARP) {
        float acc = 0;
        for (int64_t v = 0; v < j.V; v++) acc = fma32(j.dlogits[i * j.V + v], j.table[v * j.Dp + d], acc);
        j.h[i * j.Dp + d] = normed(&j.norm, m, x, d);
        j.dh[i * j.Dp + d] = acc;
    }
}

/* ---- pooling: the gradient of n normalised rows. ---- */

typedef struct {
    float *dh;
    const float *pooled;
    int64_t n, D, Dp;
    float share;
} mean_back_job_t;

KERNEL(mean_back, mean_back_job_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, d = i % j.Dp;
    if (i < j.n * j.Dp) j.dh[i] = d < j.D ? j.pooled[d] * j.share : 0;
}

/* Each channel's goes to the first row that has its maximum; dh is 0. h: (n,D) */
typedef struct {
    float *dh;
    const float *h, *pooled;
    int64_t n, D, Dp;
} max_back_job_t;

KERNEL(max_back, max_back_job_t)
{
    int64_t d = (int64_t)blockIdx.x * THREADS + threadIdx.x, at = 0;
    if (d >= j.D) return;
    for (int64_t r = 1; r < j.n; r++)
        if (j.h[r * j.D + d] > j.h[at * j.D + d]) at = r;
    j.dh[at * j.Dp + d] = j.pooled[d];
}

/* ---- dB and dC of a row: the sums over blocks of channels; what is behind them is 0 ---- */

typedef struct {
    const float *part;
    float *to;
    int64_t n, rows, groups, Sp, N, Np, R;
} project_job_t; // part: (groups,rows,2Np); to: (n,Sp)

KERNEL(project, project_job_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, width = j.Sp - j.R, r = i / width, c = i % width;
    float acc = 0;
    if (r >= j.n) return;
    for (int64_t g = 0; g < j.groups && c < 2 * j.N; g++)
        acc += j.part[(g * j.rows + r) * 2 * j.Np + (c < j.N ? c : j.Np + c - j.N)];
    j.to[r * j.Sp + j.R + c] = acc;
}
