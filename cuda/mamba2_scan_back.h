/* mamba2_scan_back.h - backward pass of Mamba-2's scan and convolution. All data here are float32. blocks/mamba2.h has
 * the equations of the forward pass and the letters of the shapes.
 *
 * y of a layer is recomputed from the kept states (mamba2_scan.h); the backward pass of the gated norm
 * (mamba2_in_tmpl.h) replaces y by its gradient dy. For one chunk, L[t,j] is the product of the decays a of rows j+1 to
 * t (row -1: before the chunk; row `last`: its last row), M[t,j] = L[t,j] (C[t].B[j]), v = dt x, S is the state before
 * the chunk, and dS the gradient of the state after it. The kernels compute:
 *     ends_back   the sum over t of L[t,-1] C[t] (x) dy[t]: the gradient of S, as if dS were 0
 *     carry2      dS of each chunk, from the results of ends_back for later chunks
 *     chunk_back  dM = dy v^T (j <= t)
 *                 dv = M^T dy + L[last,.] (B dS)             dx = dt dv + D dy
 *                 dC = L[.,-1] (S dy) + (dM L) B             dB = L[last,.] (dS v) + (dM L)^T C
 *     heads_back  dB and dC, summed over the heads of a group in order; and the gradient of r
 * where (x) is the outer product, L[last,.] and L[.,-1] multiply each row by one number, and dM L is an elementwise
 * product. The gradient of log a[i] = dt[i] A is the sum of all terms whose factor L contains a[i]: dM[t,j] M[t,j] for
 * j < i <= t; C[t].dC[t] for t >= i and B[j].dB[j] for j < i, each with the first term of dC and dB only; and
 * L[last,-1] S.dS.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_MAMBA2_SCAN_BACK_H
#define CAD_CUDA_MAMBA2_SCAN_BACK_H

#include "mamba2_scan.h"

typedef struct {
    scan2_t f;      /* arguments of the forward pass; f.y holds dy */
    const float *a; // (Hp) A
    float *du;      // (rows,Cp) gradient of u, that is of x|B|C
    float *dr;      // (rows,Hp) gradient of dt
    float *part;    // (H,rows,2Np) terms of dB and dC from each head
    float *dstate;  // (rows/CHUNK,H,Np,Pp) gradients of the states
    float *sums;    // (chunks,2,Hp) gradients of A and of D, summed over a chunk
    int64_t rows;
} scan2_back_t;

/* ---- the gradient of the state ---- */

KERNEL(ends_back, scan2_back_t)
{
    SHARED(float, a);           // L C
    float *b = a + TILE_FLOATS; // dy
    float *from = b + TILE_FLOATS;
    const mamba2_size_t *z = &arg.f.z;
    int64_t across = (z->Pp + TILE - 1) / TILE, down = (z->Np + TILE - 1) / TILE, h = blockIdx.y / (across * down),
            n = blockIdx.y / across % down * TILE, p = blockIdx.y % across * TILE;
    chunk_t t;
    tile_t c;
    matrix_t m;
    if (!find_chunk(&arg.f, blockIdx.x, &t) || t.order == 0) return;
    stage_vector(&arg.f, &t, arg.f.from, h, from);
    __syncthreads();
    stage_rows(c_rows(&arg.f, &t, h, n, from), a);
    stage_rows(y_rows(&arg.f, &t, h, p), b);
    __syncthreads();
    m = state_of(&arg.f, arg.dstate, t.slot, h, n, p);
    tile_clear(&c);
    tile_add(&c, a, b, t.n, m.cols);
    store_tile(&c, m);
}

/* ---- a chunk of a head ---- */

typedef struct {
    /* row[t], column[j]: sums of dM[t,j] M[t,j], with j < t, over row t and over column j */
    double row[TILE], column[TILE];
    double slope[TILE]; /* gradient of log a of each row */
    float a[TILE_FLOATS], b[TILE_FLOATS];
    float low[TILE * (TILE + 1) / 2]; /* L[t,j] for j <= t, stored at t (t+1)/2 + j */
    float dt[TILE], decay[TILE], from[TILE], to[TILE];
    float ddt[TILE], dskip[TILE]; /* terms of the gradients of dt and D from each row */
    /* C[t].dC[t] and B[t].dB[t] of each row t, with the terms of dC and dB that involve the states only */
    float by_C[TILE], by_B[TILE];
    float through[THREADS / WARP]; /* S.dS, one partial sum for each warp */
} chunk_back_t;

DEVICE float low_at(const chunk_back_t *m, int t, int j) { return j <= t ? m->low[t * (t + 1) / 2 + j] : 0; }

DEVICE void open_chunk_back(const scan2_back_t *arg, const chunk_t *t, int64_t h, chunk_back_t *m)
{
    int j = (int)threadIdx.x;
    float l = 1;
    stage_vector(&arg->f, t, arg->f.dt, h, m->dt);
    stage_vector(&arg->f, t, arg->f.decay, h, m->decay);
    stage_vector(&arg->f, t, arg->f.from, h, m->from);
    stage_vector(&arg->f, t, arg->f.to, h, m->to);
    __syncthreads();
    if (j >= TILE) return;
    m->ddt[j] = m->dskip[j] = m->by_C[j] = m->by_B[j] = 0;
    for (int i = j; i < TILE; i++) {
        if (i > j) l = l * m->decay[i];
        m->low[i * (i + 1) / 2 + j] = l;
    }
}

DEVICE int terms_of(int64_t left) { return left < TILE ? (int)left : TILE; }

/* Computes the tile w = dM L (elementwise), and the sums of dM M over rows and over columns in m. */
DEVICE void scores_back(const scan2_back_t *arg, const chunk_t *t, int64_t h, chunk_back_t *m, tile_t *w)
{
    int k = (int)threadIdx.x % TILE;
    double sum = 0;
    tile_clear(w);
    for (int64_t p = 0; p < arg->f.z.Pp; p += TILE) {
        __syncthreads();
        stage_turned(y_rows(&arg->f, t, h, p), m->a);
        stage_turned(x_rows(&arg->f, t, h, p, m->dt), m->b);
        __syncthreads();
        tile_add(w, m->a, m->b, terms_of(arg->f.z.Pp - p), t->n);
    }
    __syncthreads();
    REPEAT(r, DOWN)
        REPEAT(c, ACROSS) {
            int i = first_row() + r, j = first_column() + c;
            w->v[r][c] = w->v[r][c] * low_at(m, i, j);
            m->a[i * LINE + j] = i < t->n && j < i ? w->v[r][c] * scores_of(&arg->f, t, h, i)[j] : 0;
        }
    __syncthreads();
    if (threadIdx.x < TILE)
        for (int i = k + 1; i < TILE; i++) sum += (double)m->a[i * LINE + k];
    else
        for (int j = 0; j < k; j++) sum += (double)m->a[k * LINE + j];
    if (threadIdx.x < TILE) m->column[k] = sum;
    else m->row[k] = sum;
}

/* Writes M to the shared array a. */
DEVICE void stage_mix(const scan2_back_t *arg, const chunk_t *t, int64_t h, chunk_back_t *m)
{
    int j = (int)threadIdx.x % TILE;
    for (int i = (int)threadIdx.x / TILE; i < TILE; i += THREADS / TILE)
        m->a[i * LINE + j] = i < t->n && j <= i ? low_at(m, i, j) * scores_of(&arg->f, t, h, i)[j] : 0;
}

/* Computes dx for channels [p, p+TILE) of a head, and adds their terms of the gradients of dt and D. */
DEVICE void x_back(const scan2_back_t *arg, const chunk_t *t, int64_t h, int64_t p, chunk_back_t *m)
{
    const scan2_t *f = &arg->f;
    matrix_t x = x_rows(f, t, h, p, NULL), du = rows_of(t, arg->du, f->z.Cp, x_of(f, h) + p, f->z.Pp - p, NULL);
    tile_t dv;
    tile_clear(&dv);
    for (int64_t n = 0; n < f->z.Np && t->order < t->last; n += TILE) {
        __syncthreads();
        stage_turned(b_rows(f, t, h, n, NULL), m->a);
        stage_rows(state_of(f, arg->dstate, t->slot + 1, h, n, p), m->b);
        __syncthreads();
        tile_add(&dv, m->a, m->b, terms_of(f->z.Np - n), x.cols);
    }
    __syncthreads();
    tile_scale(&dv, m->to);
    stage_mix(arg, t, h, m);
    stage_rows(y_rows(f, t, h, p), m->b);
    __syncthreads();
    tile_add_upper(&dv, m->a, m->b, t->n, x.cols);
    REPEAT(r, DOWN) {
        int i = first_row() + r;
        float ddt = 0, dskip = 0;
        REPEAT(c, ACROSS) {
            int j = first_column() + c;
            float v = element(&x, i, j), dy = m->b[i * LINE + j];
            ddt = fma32(v, dv.v[r][c], ddt);
            dskip = fma32(v, dy, dskip);
            dv.v[r][c] = fma32(m->dt[i], dv.v[r][c], f->skip[h] * dy);
        }
        ddt = row_sum(ddt);
        dskip = row_sum(dskip);
        if (first_column() == 0) m->ddt[i] += ddt;
        if (first_column() == 0) m->dskip[i] += dskip;
    }
    store_tile(&dv, du);
}

/* Adds to sum[i] the sum over n of from[i][n] d[i][n]. */
DEVICE void dot_rows(const tile_t *d, const matrix_t from, float *sum)
{
    REPEAT(r, DOWN) {
        int i = first_row() + r;
        float v = 0;
        REPEAT(c, ACROSS) v = fma32(element(&from, i, first_column() + c), d->v[r][c], v);
        v = row_sum(v);
        if (first_column() == 0) sum[i] += v;
    }
}

/* Returns columns [at, at+TILE) of a head's array dB|dC (dB and dC side by side). */
DEVICE matrix_t part_rows(const scan2_back_t *arg, const chunk_t *t, int64_t h, int64_t at, int64_t cols)
{
    return rows_of(t, arg->part + h * arg->rows * 2 * arg->f.z.Np, 2 * arg->f.z.Np, at, cols, NULL);
}

/* Computes dC for states [n, n+TILE) of a head. w: dM L (elementwise). */
DEVICE void c_back(const scan2_back_t *arg, const chunk_t *t, int64_t h, int64_t n, chunk_back_t *m, const tile_t *w)
{
    const scan2_t *f = &arg->f;
    matrix_t dC = part_rows(arg, t, h, f->z.Np + n, f->z.Np - n);
    tile_t d;
    tile_clear(&d);
    for (int64_t p = 0; p < f->z.Pp && t->order; p += TILE) {
        __syncthreads();
        stage_turned(y_rows(f, t, h, p), m->a);
        stage_turned(state_of(f, f->state, t->slot, h, n, p), m->b);
        __syncthreads();
        tile_add(&d, m->a, m->b, terms_of(f->z.Pp - p), dC.cols);
    }
    tile_scale(&d, m->from);
    dot_rows(&d, c_rows(f, t, h, n, NULL), m->by_C);
    __syncthreads();
    REPEAT(r, DOWN)
        REPEAT(c, ACROSS) m->a[(first_column() + c) * LINE + first_row() + r] = w->v[r][c];
    stage_rows(b_rows(f, t, h, n, NULL), m->b);
    __syncthreads();
    tile_add_lower(&d, m->a, m->b, t->n, dC.cols);
    store_tile(&d, dC);
}

/* Computes dB for states [n, n+TILE) of a head. w: dM L (elementwise). */
DEVICE void b_back(const scan2_back_t *arg, const chunk_t *t, int64_t h, int64_t n, chunk_back_t *m, const tile_t *w)
{
    const scan2_t *f = &arg->f;
    matrix_t dB = part_rows(arg, t, h, n, f->z.Np - n);
    tile_t d;
    tile_clear(&d);
    for (int64_t p = 0; p < f->z.Pp && t->order < t->last; p += TILE) {
        __syncthreads();
        stage_turned(x_rows(f, t, h, p, m->dt), m->a);
        stage_turned(state_of(f, arg->dstate, t->slot + 1, h, n, p), m->b);
        __syncthreads();
        tile_add(&d, m->a, m->b, terms_of(f->z.Pp - p), dB.cols);
    }
    tile_scale(&d, m->to);
    dot_rows(&d, b_rows(f, t, h, n, NULL), m->by_B);
    __syncthreads();
    REPEAT(r, DOWN)
        REPEAT(c, ACROSS) m->a[(first_row() + r) * LINE + first_column() + c] = w->v[r][c];
    stage_rows(c_rows(f, t, h, n, NULL), m->b);
    __syncthreads();
    tile_add_upper(&d, m->a, m->b, t->n, dB.cols);
    store_tile(&d, dB);
}

/* Stores each warp's sum of S.dS in m->through; 0 in the first and the last chunk of a sequence, where S or dS is 0. */
DEVICE void states_back(const scan2_back_t *arg, const chunk_t *t, int64_t h, chunk_back_t *m)
{
    const mamba2_size_t *z = &arg->f.z;
    int64_t size = z->Np * z->Pp, before = (t->slot * z->H + h) * size, after = before + z->H * size;
    float sum = 0;
    for (int64_t i = threadIdx.x; i < size && t->order && t->order < t->last; i += THREADS)
        sum = fma32(arg->f.state[before + i], arg->dstate[after + i], sum);
    sum = warp_sum(sum);
    if (threadIdx.x % WARP == 0) m->through[threadIdx.x / WARP] = sum;
}

/* Computes the gradients of log a, of A and of D in one thread. Their terms largely cancel, so they are summed in
 * double precision. */
DEVICE void slopes_back(const scan2_back_t *arg, const chunk_t *t, int64_t h, chunk_back_t *m)
{
    float *to = arg->sums + (int64_t)blockIdx.x * 2 * arg->f.z.Hp + h;
    double across = 0, later = 0, before = 0, through = 0, da = 0, dskip = 0;
    for (int i = 0; i < THREADS / WARP; i++) through += (double)m->through[i];
    through *= (double)m->from[t->n - 1];
    for (int i = t->n - 1; i >= 0; i--) {
        later += (double)m->by_C[i];
        m->slope[i] = later + through;
    }
    for (int i = 0; i < t->n; i++) { /* across: the sum of dM[t,j] M[t,j] with j < i <= t */
        m->slope[i] += across + before;
        across += m->column[i] - m->row[i];
        before += (double)m->by_B[i];
        da += (double)m->dt[i] * m->slope[i];
        dskip += (double)m->dskip[i];
    }
    to[0] = (float)da;
    to[arg->f.z.Hp] = (float)dskip;
}

KERNEL_WIDE(chunk_back, scan2_back_t)
{
    SHARED(chunk_back_t, m);
    int64_t h = blockIdx.y, Hp = arg.f.z.Hp;
    int i = (int)threadIdx.x;
    chunk_t t;
    tile_t w;
    if (!find_chunk(&arg.f, blockIdx.x, &t)) {
        if (i < 2) arg.sums[((int64_t)blockIdx.x * 2 + i) * Hp + h] = 0;
        return;
    }
    open_chunk_back(&arg, &t, h, m);
    scores_back(&arg, &t, h, m, &w);
    states_back(&arg, &t, h, m);
    for (int64_t p = 0; p < arg.f.z.Pp; p += TILE) x_back(&arg, &t, h, p, m);
    for (int64_t n = 0; n < arg.f.z.Np; n += TILE) {
        c_back(&arg, &t, h, n, m, &w);
        b_back(&arg, &t, h, n, m, &w);
    }
    __syncthreads();
    if (i == 0) slopes_back(&arg, &t, h, m);
    __syncthreads();
    if (i < t.n) arg.dr[(t.first + i * t.step) * Hp + h] = m->ddt[i] + (float)((double)arg.a[h] * m->slope[i]);
}

/* ---- sums over heads, and steps ---- */

typedef struct {
    const float *part;    // (H,rows,2Np) terms of dB and dC from each head
    float *du;            // (rows,Cp) gradient of u; the columns of B and C are written here
    const float *x;       // (rows,Xp) x|B|C|r
    const float *dt_bias; // (Hp)
    float *dr;            // (rows,Hp) gradient of dt, replaced by the gradient of r; 0 in the padding
    float *dx;            // (rows,Xp) gradient of x|B|C|r, to which the kernel adds
    mamba2_size_t z;
    int64_t n, rows;
} heads_back_args_t;

/* Sums dB and dC over heads, and computes dr. Each thread computes, for one row, one column of dB or dC, or of dr. */
KERNEL(heads_back, heads_back_args_t)
{
    const mamba2_size_t *z = &arg.z;
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x, states = 2 * z->G * z->Np, width = states + z->Hp,
            r = i / width, c = i % width, g = c / z->Np % z->G, each = z->H / z->G,
            k = c % z->Np + (c < z->G * z->Np ? 0 : z->Np), at = r * z->Hp + c - states;
    float sum = 0;
    if (r >= arg.n) return;
    if (c < states) {
        for (int64_t h = g * each; h < (g + 1) * each; h++) sum += arg.part[(h * arg.rows + r) * 2 * z->Np + k];
        arg.du[r * z->Cp + z->Ep + c] = sum;
        return;
    }
    c -= states;
    if (c < z->H) sum = arg.dr[at] * sigmoid(arg.x[r * z->Xp + z->Cp + c] + arg.dt_bias[c]);
    arg.dr[at] = sum;
    arg.dx[r * z->Xp + z->Cp + c] += sum;
}

/* ---- launches ---- */

/* Runs the backward pass of the scan. f->y holds dy, the gradient of y. */
static int scan2_back(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, const scan2_t *f)
{
    cad_grads_t *q = l->grads;
    const cad_mamba2_grad_lane_t *w = cad_mamba2_grad_lane(l);
    const cad_mamba2_dir_sums_t *sum = mamba2_sums(q, layer, dir);
    const mamba2_dir_t *p = &l->f.weights->mamba2.dir[2 * layer + dir];
    const mamba2_size_t *z = &f->z;
    gpu_t *g = gpu_of(&l->f);
    int64_t chunks = chunks_of(&s), columns_of = 2 * z->G * z->Np + z->Hp;
    scan2_back_t arg = { .f = *f,
                         .a = p->a,
                         .du = w->du,
                         .dr = w->dr,
                         .part = w->part,
                         .dstate = q->mamba2.dstate,
                         .sums = q->parts,
                         .rows = l->f.rows };
    heads_back_args_t heads = { .part = w->part,
                                .du = w->du,
                                .x = g->mamba2.x,
                                .dt_bias = p->dt_bias,
                                .dr = w->dr,
                                .dx = w->dx,
                                .z = *z,
                                .n = s.end,
                                .rows = l->f.rows };
    int rc;
    if (has_states(&s)) {
        LAUNCH(ends_back, chunks, z->H * state_tiles(z), THREADS, ENDS_BYTES, g->stream, arg);
        carry_states(&l->f, f, &s, arg.dstate, true);
    }
    LAUNCH(chunk_back, chunks, z->H, THREADS, sizeof(chunk_back_t), g->stream, arg);
    rc = launched(&l->f, "scan, backwards");
    if (rc == 0) rc = fold_parts(l, sum->a, 0, z->H, 2 * z->Hp, chunks);
    if (rc == 0) rc = fold_parts(l, sum->skip, z->Hp, z->H, 2 * z->Hp, chunks);
    if (rc) return rc;
    LAUNCH(heads_back, ceil_div(s.end * columns_of, THREADS), 1, THREADS, 0, g->stream, heads);
    rc = launched(&l->f, "scan, backwards");
    return rc ? rc : columns(l, w->dr, z->Hp, s.end, sum->dt_bias);
}

/* ---- the gated norm ---- */

typedef struct {
    float *y;              // (rows,Ep) y, replaced by its gradient
    const float *z;        // (rows,Ep)
    const float *g, *norm; // g: (rows,Ep) gradient of o; norm: (Ep)
    float *o, *dz;         // (rows,Ep) each: outputs, which are stored or, for the second direction, added
    float *term;           // (rows,Ep) terms of the gradient of the norm's weight
    int64_t end, Ep, G, I;
    bool add;
} gate2_back_args_t;

/* Runs the backward pass of the gated norm. Each warp computes one group of channels of one row. With v = y silu(z),
 * rho = 1/sqrt(mean(v^2) + eps), o = w v rho, and d the gradient of o, the gradient of v is
 * dv = rho w d - v rho^3 mean(w d v). */
KERNEL(gate2_back, gate2_back_args_t)
{
    int64_t unit = (int64_t)blockIdx.x * NORM_ROWS + threadIdx.x / WARP, row = unit / arg.G, width = arg.Ep / arg.G,
            at = row * arg.Ep + unit % arg.G * width;
    int in_warp = (int)threadIdx.x % WARP;
    const float *norm = arg.norm + unit % arg.G * width;
    float square = 0, dot = 0, rho, pull;
    /* computed in double precision, since an error of rho would be the same in the whole row */
    double each = (double)(arg.I / arg.G), exact;
    if (row >= arg.end) return;
    for (int64_t i = in_warp; i < width; i += WARP) {
        float v = arg.y[at + i] * silu(arg.z[at + i]);
        square = fma32(v, v, square);
        dot = fma32(v, norm[i] * arg.g[at + i], dot);
    }
    exact = 1 / sqrt((double)warp_sum(square) / each + CAD_MAMBA2_EPSILON);
    rho = (float)exact;
    pull = (float)(exact * exact * exact * (double)warp_sum(dot) / each);
    for (int64_t i = in_warp; i < width; i += WARP) {
        float y = arg.y[at + i], z = arg.z[at + i], on = sigmoid(z), v = y * (z * on), d = arg.g[at + i],
              dv = fma32(-v, pull, rho * norm[i] * d), o = v * rho * norm[i],
              dz = dv * y * on * fma32(z, 1.0f - on, 1.0f);
        arg.term[at + i] = v * rho * d;
        arg.o[at + i] = arg.add ? arg.o[at + i] + o : o;
        arg.dz[at + i] = arg.add ? arg.dz[at + i] + dz : dz;
        arg.y[at + i] = dv * (z * on);
    }
}

/* Recomputes y from the kept states, then runs the backward pass of the gated norm and of the scan. */
static int mamba2_back_scan(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const cad_mamba2_grad_lane_t *w = cad_mamba2_grad_lane(l);
    const mamba2_dir_t *p = &l->f.weights->mamba2.dir[2 * layer + dir];
    scan2_t f = scan2_of(&l->f, layer, dir, s);
    gate2_back_args_t arg = { .y = f.y,
                              .z = gpu_of(&l->f)->mamba2.z,
                              .g = w->g,
                              .norm = p->norm,
                              .o = l->grads->mamba2.o,
                              .dz = w->dz,
                              .term = w->term,
                              .end = s.end,
                              .Ep = f.z.Ep,
                              .G = f.z.G,
                              .I = f.z.I,
                              .add = (how & CAD_MAMBA2_ADD) != 0 };
    int rc = scan2_rows(&l->f, &f, &s, true);
    if (rc) return rc;
    LAUNCH(gate2_back, ceil_div(s.end * arg.G, NORM_ROWS), 1, THREADS, 0, gpu_of(&l->f)->stream, arg);
    rc = launched(&l->f, "gate, backwards");
    if (rc == 0) rc = columns(l, w->term, arg.Ep, s.end, mamba2_sums(l->grads, layer, dir)->norm);
    return rc ? rc : scan2_back(l, layer, dir, s, &f);
}

/* ---- convolution and projections ---- */

/* Runs the backward pass of the convolution, which may overwrite du. */
static int mamba2_back_conv(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const cad_mamba2_dir_sums_t *sum = mamba2_sums(l->grads, layer, dir);
    const cad_mamba2_grad_lane_t *w = cad_mamba2_grad_lane(l);
    conv_args_t_fp32 f = conv2_of(&l->f, layer, dir, s);
    (void)how;
    return conv_gradients_fp32(l, &f, w->du, f.u, w->dx, true, sum->conv, sum->conv_bias);
}

/* Computes g = dout x out_proj, the gradient of o, and sets dx to 0. */
static int mamba2_back_out(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const mamba2_grads_t *q = &l->grads->mamba2;
    const cad_mamba2_grad_lane_t *w = cad_mamba2_grad_lane(l);
    int rc = check(&l->f,
                   cudaMemsetAsync(w->dx, 0, (size_t)(s.end * q->size.Xp) * sizeof(float), gpu_of(&l->f)->stream),
                   "clearing");
    (void)how;
    return rc ? rc
              : multiply(&l->f, &q->product[MAMBA2_OUT_BACK], l->dout, q->dir[2 * layer + dir].out, w->g, w->g, 0,
                         s.end, 0);
}

/* Adds to the gradients of the projections' biases; does nothing if the model has none. */
static int bias_gradients(cad_grad_lane_t *l, int layer, int dir, int64_t rows)
{
    const mamba2_size_t *z = &l->grads->mamba2.size;
    const cad_mamba2_grad_lane_t *w = cad_mamba2_grad_lane(l);
    const cad_mamba2_dir_sums_t *sum = mamba2_sums(l->grads, layer, dir);
    int rc;
    if (!l->f.weights->mamba2.dir[2 * layer + dir].in_x_bias) return 0;
    rc = columns(l, l->dout, l->grads->s.Dp, rows, sum->out_bias);
    if (rc == 0) rc = columns(l, w->dx, z->Xp, rows, sum->in_x_bias);
    return rc ? rc : columns(l, w->dz, z->Ep, rows, sum->in_z_bias);
}

/* Computes the gradients of in_proj, out_proj and the layer's norm, and adds to dres. */
static int mamba2_back_in(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    cad_grads_t *q = l->grads;
    const mamba2_grads_t *b = &q->mamba2;
    const mamba2_back_t *p = &b->dir[2 * layer + dir];
    const cad_mamba2_grad_lane_t *w = cad_mamba2_grad_lane(l);
    const cad_mamba2_dir_sums_t *sum = mamba2_sums(q, layer, dir);
    norm_t norm = norm_of_layer(l->f.weights, layer);
    int rc = norm_rows_fp32(&l->f, l->f.base, q->a, norm, 0, s.end);
    (void)how;
    if (rc == 0) rc = outer(l, &b->outer[MAMBA2_OUT_SUM], l->dout, b->o, s.end, sum->out);
    if (rc == 0) rc = outer(l, &b->outer[MAMBA2_X_SUM], w->dx, q->a, s.end, sum->in_x);
    if (rc == 0) rc = outer(l, &b->outer[MAMBA2_Z_SUM], w->dz, q->a, s.end, sum->in_z);
    if (rc == 0) rc = bias_gradients(l, layer, dir, s.end);
    if (rc == 0) rc = multiply(&l->f, &b->product[MAMBA2_X_BACK], w->dx, p->in_x, l->da, l->da, 0, s.end, 0);
    if (rc == 0) rc = multiply(&l->f, &b->product[MAMBA2_Z_BACK], w->dz, p->in_z, l->da, l->da, 0, s.end, 1);
    return rc ? rc : norm_gradients(l, l->f.base, l->dres, NULL, s.end, norm, q->s.norm[layer], q->s.norm_bias[layer]);
}

#endif
