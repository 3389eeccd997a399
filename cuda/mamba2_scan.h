/* mamba2_scan.h - Mamba-2's convolution and scan. blocks/mamba2.h has the equations of a chunk, mamba2_tile.h the
 * matrix products, mamba2_scan_back.h the backward pass. All data here are float32, also under bf16. A head's state is
 * an array (Np,Pp) of its states and channels, both padded; Hp is the padded number of heads.
 *
 * The scan takes four kernels; in all but carry2, thread blocks compute chunks independently of each other:
 *     scores    the scores C[t].B[j] of each chunk and group; the heads of the group share them
 *     ends      for each chunk and head, the state after the chunk, computed as if the state before it were 0
 *     carry2    the state before each chunk, from the results of `ends` for earlier chunks: a thread for each element
 *     outputs   y of each chunk and head, from the state before the chunk and the rows of the chunk
 * The decays L[t,j] = a[j+1] ... a[t] are computed row after row; thread j computes column j.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_MAMBA2_SCAN_H
#define CAD_CUDA_MAMBA2_SCAN_H

#include "mamba2_tile.h"
#include "out.h"

/* ---- convolution and steps ---- */

typedef struct {
    scan2_t f;
    const float *x;            // (rows,Xp) x|B|C|r, of which only the columns of r are read
    const float *dt_bias, *a2; // (Hp)
    float *dt, *decay, *from, *to;
} steps_args_t;

/* Computes dt, a = exp(dt A) and the products of a (from, to), for one head and one chunk. */
KERNEL(steps, steps_args_t)
{
    int64_t h = (int64_t)blockIdx.y * WARP + threadIdx.x, Hp = arg.f.z.Hp;
    chunk_t t;
    float product = 1;
    if (h >= arg.f.z.H || !find_chunk(&arg.f, blockIdx.x, &t)) return;
    for (int i = 0; i < t.n; i++) {
        int64_t row = t.first + i * t.step, at = row * Hp + h;
        float dt = softplus(arg.x[row * arg.f.z.Xp + arg.f.z.Cp + h] + arg.dt_bias[h]), a = exp2_fast(dt * arg.a2[h]);
        product = product * a;
        arg.dt[at] = dt;
        arg.decay[at] = a;
        arg.from[at] = product;
    }
    product = 1;
    for (int i = t.n - 1; i >= 0; i--) {
        int64_t at = (t.first + i * t.step) * Hp + h;
        arg.to[at] = product;
        product = product * arg.decay[at];
    }
}

static scan2_t scan2_of(const cad_lane_t *l, int layer, int dir, cad_span_t s)
{
    const mamba2_weights_t *w = &l->weights->mamba2;
    const mamba2_dir_t *p = &w->dir[2 * layer + dir];
    const gpu_t *g = gpu_of(l);
    float *kept = cad_mamba2_lane(l)->state[dir];
    scan2_t t = { .u = g->mamba2.u,
                  .dt = g->mamba2.dt,
                  .decay = g->mamba2.decay,
                  .from = g->mamba2.from,
                  .to = g->mamba2.to,
                  .score = g->mamba2.score,
                  .state = kept ? kept : g->mamba2.state,
                  .y = g->mamba2.y,
                  .skip = p->skip,
                  .off = g->off,
                  .want = s.want ? g->want : NULL,
                  .z = w->size,
                  .nseq = s.nseq,
                  .reverse = p->reverse };
    return t;
}

static conv_args_t_fp32 conv2_of(const cad_lane_t *l, int layer, int dir, cad_span_t s)
{
    const mamba2_weights_t *w = &l->weights->mamba2;
    const mamba2_dir_t *p = &w->dir[2 * layer + dir];
    const gpu_t *g = gpu_of(l);
    conv_args_t_fp32 arg = { .x = g->mamba2.x,
                             .u = g->mamba2.u,
                             .w = p->conv,
                             .bias = p->conv_bias,
                             .off = g->off,
                             .beg = s.beg,
                             .end = s.end,
                             .ld = w->size.Xp,
                             .width = w->size.Cp,
                             .K = w->size.K,
                             .nseq = s.nseq,
                             .reverse = p->reverse };
    return arg;
}

static int mamba2_conv(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const mamba2_weights_t *w = &l->weights->mamba2;
    const mamba2_dir_t *p = &w->dir[2 * layer + dir];
    gpu_t *g = gpu_of(l);
    conv_args_t_fp32 conv = conv2_of(l, layer, dir, s);
    steps_args_t arg = { .f = scan2_of(l, layer, dir, s),
                         .x = g->mamba2.x,
                         .dt_bias = p->dt_bias,
                         .a2 = p->a2,
                         .dt = g->mamba2.dt,
                         .decay = g->mamba2.decay,
                         .from = g->mamba2.from,
                         .to = g->mamba2.to };
    int rc;
    (void)how;
    g->mamba2.span_beg = s.beg;
    if (replaying(l)) return 0;
    rc = conv_rows_fp32(l, &conv);
    if (rc) return rc;
    LAUNCH(steps, chunks_of(&s), ceil_div(w->size.H, WARP), WARP, 0, g->stream, arg);
    return launched(l, "steps");
}

/* ---- scores ---- */

#define SCORES_BYTES (2 * TILE_FLOATS * sizeof(float))

KERNEL(scores, scan2_t)
{
    SHARED(float, a);           // C^T
    float *b = a + TILE_FLOATS; // B^T
    int64_t g = blockIdx.y, h = g * (arg.z.H / arg.z.G);
    chunk_t t;
    tile_t c;
    if (!find_chunk(&arg, blockIdx.x, &t)) return;
    tile_clear(&c);
    for (int64_t n = 0; n < arg.z.Np; n += TILE) {
        __syncthreads();
        stage_turned(c_rows(&arg, &t, h, n, NULL), a);
        stage_turned(b_rows(&arg, &t, h, n, NULL), b);
        __syncthreads();
        tile_add(&c, a, b, TILE, t.n);
    }
    store_tile(&c, rows_of(&t, arg.score, arg.z.G * TILE, g * TILE, t.n, NULL));
}

/* Returns the address of the scores of row i of a chunk with all rows of the chunk, for the group of head h. */
DEVICE const float *scores_of(const scan2_t *arg, const chunk_t *t, int64_t h, int i)
{
    return arg->score + ((t->first + i * t->step) * arg->z.G + h / (arg->z.H / arg->z.G)) * TILE;
}

/* ---- states ---- */

#define ENDS_BYTES ((2 * TILE_FLOATS + 2 * TILE) * sizeof(float))

/* Computes the state after a chunk, as if the state before it were 0: the sum over t of L[last,t] B[t] (x) dt[t] x[t],
 * where (x) is the outer product. */
KERNEL(ends, scan2_t)
{
    SHARED(float, a);           // B
    float *b = a + TILE_FLOATS; // L dt x
    float *factor = b + TILE_FLOATS, *to = factor + TILE;
    int64_t across = (arg.z.Pp + TILE - 1) / TILE, down = (arg.z.Np + TILE - 1) / TILE,
            h = blockIdx.y / (across * down), n = blockIdx.y / across % down * TILE, p = blockIdx.y % across * TILE;
    chunk_t t;
    tile_t c;
    matrix_t m;
    if (!find_chunk(&arg, blockIdx.x, &t) || t.order == t.last) return;
    stage_vector(&arg, &t, arg.dt, h, factor);
    stage_vector(&arg, &t, arg.to, h, to);
    for (int i = (int)threadIdx.x; i < TILE; i += THREADS) factor[i] = factor[i] * to[i];
    __syncthreads();
    stage_rows(b_rows(&arg, &t, h, n, NULL), a);
    stage_rows(x_rows(&arg, &t, h, p, factor), b);
    __syncthreads();
    m = state_of(&arg, arg.state, t.slot + 1, h, n, p);
    tile_clear(&c);
    tile_add(&c, a, b, t.n, m.cols);
    store_tile(&c, m);
}

typedef struct {
    float *state;      // (rows/CHUNK,H,Np,Pp) states, or their gradients
    const float *from; // (rows,Hp) products of a in a chunk, up to each row
    const int64_t *off;
    /* size: number of elements of one head's state; groups: number of groups of THREADS elements of a state */
    int64_t groups, size, Hp, H;
    bool reverse;
    bool back; /* backward pass: carries the gradients of the states, from the last chunk to the first */
} carry2_args_t;

/* Returns the product of a over all rows of the k-th chunk in the direction of the scan, which is not the last chunk of
 * its sequence. */
DEVICE float decay_of_chunk(const carry2_args_t *arg, int64_t beg, int64_t end, int64_t k, int64_t h)
{
    int64_t last = arg->reverse ? (end - beg - 1) / TILE - k : k;
    last = beg + last * TILE;
    if (!arg->reverse) last = last + TILE - 1;
    return arg->from[last * arg->Hp + h];
}

/* On entry, state k is the state after chunk k, computed as if the state before chunk k were 0; it is replaced by the
 * state before chunk k+1. Backwards: on entry, state k is the gradient of the state before chunk k+1, computed as if
 * the gradient of the state after that chunk were 0; it is replaced by the gradient of the state after chunk k. */
KERNEL(carry2, carry2_args_t)
{
    int64_t q = blockIdx.x / arg.groups, e = blockIdx.x % arg.groups * THREADS + threadIdx.x, h = e / arg.size,
            beg = arg.off[q], end = arg.off[q + 1], n = (end - beg - 1) / TILE;
    float *at = arg.state + beg / TILE * arg.H * arg.size + e, s = 0, own[PREFETCH], a[PREFETCH];
    if (h >= arg.H || end == beg) return;
    for (int64_t i = 0; i < n; i += PREFETCH) {
        REPEAT(b, PREFETCH) {
            int64_t next = i + b < n ? i + b : i, k = arg.back ? n - 1 - next : next;
            own[b] = at[k * arg.H * arg.size];
            a[b] = next ? decay_of_chunk(&arg, beg, end, arg.back ? k + 1 : k, h) : 0;
        }
        REPEAT(b, PREFETCH) {
            if (i + b >= n) break;
            s = fma32(a[b], s, own[b]);
            at[(arg.back ? n - 1 - i - b : i + b) * arg.H * arg.size] = s;
        }
    }
}

static bool has_states(const cad_span_t *s)
{
    for (int q = 0; q < s->nseq; q++)
        if (s->off[q + 1] - s->off[q] > CAD_MAMBA2_CHUNK) return true;
    return false;
}

/* Runs `carry2` on all states, or on their gradients. */
static void carry_states(cad_lane_t *l, const scan2_t *f, const cad_span_t *s, float *state, bool back)
{
    const mamba2_size_t *z = &f->z;
    carry2_args_t arg = { .state = state,
                          .from = f->from,
                          .off = f->off,
                          .groups = ceil_div(z->H * z->Np * z->Pp, THREADS),
                          .size = z->Np * z->Pp,
                          .Hp = z->Hp,
                          .H = z->H,
                          .reverse = f->reverse,
                          .back = back };
    LAUNCH(carry2, s->nseq * arg.groups, 1, THREADS, 0, gpu_of(l)->stream, arg);
}

/* ---- outputs ---- */

#define OUTPUTS_BYTES ((2 * TILE_FLOATS + 3 * TILE) * sizeof(float))

/* Writes M^T to the shared array a, where M[t][j] = L[t,j] C[t].B[j], and 0 for j > t. decay: a = exp(dt A) of each row
 * of the chunk, in shared memory. */
DEVICE void mix_columns(const scan2_t *arg, const chunk_t *t, int64_t h, const float *decay, float *a)
{
    int j = (int)threadIdx.x;
    float l = 1;
    if (j >= TILE) return;
    for (int i = 0; i < TILE; i++) {
        if (i > j) l = l * decay[i];
        a[j * LINE + i] = i < j || i >= t->n ? 0 : l * scores_of(arg, t, h, i)[j];
    }
}

/* Computes y[t] = L[t,-1] C[t] S + sum over j <= t of M[t][j] dt[j] x[j] + D x[t] for the rows of a chunk and TILE
 * columns of a head. S: the state before the chunk. */
KERNEL(outputs, scan2_t)
{
    SHARED(float, a);           // C^T, then M^T
    float *b = a + TILE_FLOATS; // S, then dt x
    float *dt = b + TILE_FLOATS, *decay = dt + TILE, *from = decay + TILE;
    int64_t across = (arg.z.Pp + TILE - 1) / TILE, h = blockIdx.y / across, p = blockIdx.y % across * TILE;
    chunk_t t;
    tile_t c;
    matrix_t x, y;
    if (!find_chunk(&arg, blockIdx.x, &t)) return;
    stage_vector(&arg, &t, arg.dt, h, dt);
    stage_vector(&arg, &t, arg.decay, h, decay);
    stage_vector(&arg, &t, arg.from, h, from);
    tile_clear(&c);
    x = x_rows(&arg, &t, h, p, NULL);
    y = y_rows(&arg, &t, h, p);
    for (int64_t n = 0; n < arg.z.Np && t.order; n += TILE) {
        __syncthreads();
        stage_turned(c_rows(&arg, &t, h, n, NULL), a);
        stage_rows(state_of(&arg, arg.state, t.slot, h, n, p), b);
        __syncthreads();
        tile_add(&c, a, b, TILE, y.cols);
    }
    __syncthreads();
    tile_scale(&c, from);
    mix_columns(&arg, &t, h, decay, a);
    stage_rows(x_rows(&arg, &t, h, p, dt), b);
    __syncthreads();
    tile_add_lower(&c, a, b, t.n, y.cols);
    REPEAT(r, DOWN)
        REPEAT(k, ACROSS) c.v[r][k] = fma32(arg.skip[h], element(&x, first_row() + r, first_column() + k), c.v[r][k]);
    store_tile(&c, y);
}

static int64_t tiles_of(int64_t n) { return ceil_div(n, TILE); }

/* Computes y. The states before the chunks are the kept ones if `resume` is true; else they are computed here. */
static int scan2_rows(cad_lane_t *l, const scan2_t *f, const cad_span_t *s, bool resume)
{
    const scan2_t arg = *f;
    const mamba2_size_t *z = &arg.z;
    cudaStream_t stream = gpu_of(l)->stream;
    int64_t chunks = chunks_of(s);
    LAUNCH(scores, chunks, z->G, THREADS, SCORES_BYTES, stream, arg);
    if (!resume && has_states(s)) {
        LAUNCH(ends, chunks, z->H * state_tiles(z), THREADS, ENDS_BYTES, stream, arg);
        carry_states(l, f, s, arg.state, false);
    }
    LAUNCH(outputs, chunks, z->H * tiles_of(z->Pp), THREADS, OUTPUTS_BYTES, stream, arg);
    return launched(l, "scan");
}

static int mamba2_scan(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    scan2_t arg = scan2_of(l, layer, dir, s);
    (void)how;
    return replaying(l) ? 0 : scan2_rows(l, &arg, &s, false);
}

/* ---- out_proj ---- */

static int mamba2_out(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    const mamba2_weights_t *w = &l->weights->mamba2;
    const mamba2_dir_t *p = &w->dir[2 * layer + dir];
    const mamba2_lane_t *g = &gpu_of(l)->mamba2;
    out_t t = { .product = &w->product[MAMBA2_OUT_Y], .w = p->out, .bias = p->out_bias, .y = g->o, .o = g->second };
    return replaying(l) ? 0 : out_rows(l, &t, s, how);
}

#endif
