/* mamba_scan_back_tmpl.h - backward pass of the selective scan: a thread computes one channel, as in mamba_scan_tmpl.h,
 * which has the forward pass. Compiled once for each T, after mamba_scan_tmpl.h. Ep is the padded number of channels,
 * Np of states.
 *
 * Macro parameters: T; NAME(x): x with T's suffix; get(v): T to float; put(v): float to T.
 *
 * The pieces of sequences are those of the forward pass. A piece is processed AHEAD rows at a time, from its last row
 * in the direction of the scan to its first. The states of these rows are recomputed, in registers, from the state
 * before them that the kernel `keep` stored; then the gradients are computed from the last of the rows to the first. dB
 * and dC are sums over channels: within a warp by exchanges between threads (sum_states), within a thread block in
 * shared memory, over thread blocks by the kernel `project`.
 *
 * In a long sequence, the gradient of the state after a piece comes from the pieces after it. `ends_back` computes the
 * contribution of each piece, and `carry` (mamba_carry.h) combines these contributions, as in the forward pass.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mamba_carry.h"

#define RED_WARP (AHEAD * 2 * STATES)   /* number of floats of dB and dC of AHEAD rows, summed over a warp */
#define RED (THREADS / WARP * RED_WARP) /* number of floats: RED_WARP for each warp of a thread block */

typedef struct {
    NAME(scan_args_t) f; /* arguments of the forward pass; f.keep is read, f.y is written */
    const float *g;      // (rows,2Ep) dx and g, the gradient of the gated y; the pointer is to the first column of g
    // (rows,Ep) gradients of u and of dt before softplus; the launch for the first STATES states stores them, later
    // ones add
    float *du, *dpre;
    float *part; // (groups,rows,2Np) dB and dC, summed over the channels of each thread block (group)
    float *sums; // (pieces,STATES+1,Ep) gradients of A (STATES rows) and of the skip, summed over a piece
    int64_t rows;
} NAME(scan_back_args_t);

typedef struct {
    float u[AHEAD], z[AHEAD], y[AHEAD], g[AHEAD];
    float s[STATES]; /* the state before the first of the rows */
} NAME(fetched_back_t);

/* Loads the inputs of AHEAD rows of the piece, from the i-th row in the direction of the scan onwards; does nothing if
 * i < 0. */
DEVICE void NAME(fetch_back)(const NAME(scan_back_args_t) * arg, const piece_rows_t *p, const piece_t *t, int64_t i,
                             int64_t c, NAME(fetched_back_t) * f)
{
    const float *s;
    if (i < 0) return;
    s = NAME(kept)(&arg->f, t, i, c);
    REPEAT(k, AHEAD) {
        int64_t r = i + k < p->n ? NAME(row_at)(&arg->f, p, i + k) : p->beg;
        f->u[k] = get(arg->f.u[r * arg->f.Ep + c]);
        f->z[k] = get(arg->f.z[r * 2 * arg->f.Ep + c]);
        f->y[k] = arg->f.add ? get(arg->f.y[r * arg->f.Ep + c]) : 0;
        f->g[k] = arg->g[r * 2 * arg->f.Ep + c];
    }
    REPEAT(n, STATES) f->s[n] = s[n * arg->f.Ep];
}

/* Gradients of one channel. ds: of the state; da, dskip: of A and of the skip weight, summed over the rows that have
 * been processed. */
typedef struct {
    float ds[STATES], da[STATES], dskip;
} NAME(channel_grad_t);

typedef struct {
    float pre[AHEAD], dt[AHEAD], dy[AHEAD];
    float s[AHEAD + 1][STATES]; /* s[k]: the state before the k-th row; s[k+1]: after it */
} NAME(recomputed_t);

/* Recomputes n rows of the piece from the i-th onwards: stores their y, and stores in h the values that the backward
 * pass of these rows needs. mine: false in a thread that has no channel. */
DEVICE void NAME(recompute)(const NAME(scan_back_args_t) * arg, const piece_rows_t *p, const NAME(channel_t) * ch,
                            const NAME(fetched_back_t) * f, const float *rows, int64_t i, int n, int64_t c,
                            const bool small, const bool mine, NAME(recomputed_t) * h)
{
    const int pad = small ? STATES : PADDED((int)arg->f.R);
    REPEAT(m, STATES) h->s[0][m] = f->s[m];
    REPEAT(k, AHEAD) {
        const float *row = rows + k * (pad + 2 * STATES);
        float part[4] = { 0, 0, 0, 0 }, B[STATES], C[STATES], x, y;
        if (k >= n) break;
        h->pre[k] = NAME(delta)(&arg->f, ch, row, c, small);
        h->dt[k] = softplus(h->pre[k]);
        h->dy[k] = mine ? f->g[k] * silu(f->z[k]) : 0;
        x = h->dt[k] * f->u[k];
        load_states(row + pad, B);
        load_states(row + pad + STATES, C);
        REPEAT(m, STATES) {
            h->s[k + 1][m] = fma32(exp2_fast(h->dt[k] * ch->a[m]), h->s[k][m], x * B[m]);
            part[m & 3] = fma32(h->s[k + 1][m], C[m], part[m & 3]);
        }
        y = fma32(ch->skip, f->u[k], (part[0] + part[1]) + (part[2] + part[3]));
        if (mine) arg->f.y[NAME(row_at)(&arg->f, p, i + k) * arg->f.Ep + c] = put(arg->f.add ? f->y[k] + y : y);
    }
}

/* Runs the backward pass of one row of one channel. before, after: the states before and after the row. Overwrites B
 * and C with this channel's terms of dB and dC. at: index of the row's values in du and dpre. */
DEVICE void NAME(row_back)(const NAME(scan_back_args_t) * arg, const NAME(channel_t) * ch, NAME(channel_grad_t) * g,
                           float u, float pre, float dt, float dy, const float *before, const float *after, float *B,
                           float *C, int64_t at, const bool mine)
{
    float q[2] = { 0, 0 }, p[2] = { 0, 0 }, du, ddt;
    REPEAT(m, STATES) {
        float d = fma32(dy, C[m], g->ds[m]), back = d * exp2_fast(dt * ch->a[m]), slope = back * before[m];
        q[m & 1] = fma32(d, B[m], q[m & 1]);
        p[m & 1] = fma32(slope, ch->a[m], p[m & 1]);
        g->da[m] = fma32(slope, dt, g->da[m]);
        g->ds[m] = back;
        B[m] = d * (dt * u);
        C[m] = dy * after[m];
    }
    q[0] = q[0] + q[1];
    ddt = fma32(p[0] + p[1], 1.0f / LOG2E, q[0] * u) * sigmoid(pre);
    du = fma32(q[0], dt, dy * ch->skip);
    g->dskip = fma32(dy, u, g->dskip);
    if (!mine) return;
    arg->du[at] = arg->f.from ? arg->du[at] + du : du;
    arg->dpre[at] = arg->f.from ? arg->dpre[at] + ddt : ddt;
}

/* Runs the backward pass of the n recomputed rows, from the last to the first. red (AHEAD,2 STATES): output, dB and dC
 * summed over this warp. */
DEVICE void NAME(rows_back)(const NAME(scan_back_args_t) * arg, const piece_rows_t *p, const NAME(channel_t) * ch,
                            NAME(channel_grad_t) * g, const NAME(fetched_back_t) * f, const NAME(recomputed_t) * h,
                            const float *rows, float *red, int64_t i, int n, int64_t c, const bool small,
                            const bool mine)
{
    const int pad = small ? STATES : PADDED((int)arg->f.R);
    int in_warp = (int)threadIdx.x % WARP;
    UNROLL
    for (int k = AHEAD - 1; k >= 0; k--) {
        const float *row = rows + k * (pad + 2 * STATES);
        float B[STATES], C[STATES], dB, dC;
        if (k >= n) continue;
        load_states(row + pad, B);
        load_states(row + pad + STATES, C);
        NAME(row_back)
        (arg, ch, g, f->u[k], h->pre[k], h->dt[k], h->dy[k], h->s[k], h->s[k + 1], B, C,
         NAME(row_at)(&arg->f, p, i + k) * arg->f.Ep + c, mine);
        dB = sum_states(B, in_warp);
        dC = sum_states(C, in_warp);
        if (in_warp < STATES) red[k * 2 * STATES + in_warp] = dB;
        if (in_warp < STATES) red[k * 2 * STATES + STATES + in_warp] = dC;
    }
}

/* Stores dB and dC of n rows, summed over those warps of this thread block that have channels, in the order of the
 * warps. */
DEVICE void NAME(join_warps)(const NAME(scan_back_args_t) * arg, const piece_rows_t *p, const float *red, int64_t i,
                             int n, int warps)
{
    for (int v = (int)threadIdx.x; v < n * 2 * STATES; v += THREADS) {
        int s = v % (2 * STATES);
        int64_t r = NAME(row_at)(&arg->f, p, i + v / (2 * STATES)),
                at = ((int64_t)blockIdx.y * arg->rows + r) * 2 * arg->f.Np + arg->f.from;
        float acc = 0;
        for (int w = 0; w < warps; w++) acc += red[w * RED_WARP + v];
        arg->part[at + (s < STATES ? s : arg->f.Np + s - STATES)] = acc;
    }
}

DEVICE void NAME(open_grad)(const NAME(scan_back_args_t) * arg, NAME(channel_grad_t) * g, int64_t c, int32_t slot,
                            bool mine)
{
    REPEAT(m, STATES) {
        g->ds[m] = slot < 0 || !mine ? 0 : arg->f.state[(slot * (int64_t)STATES + m) * arg->f.Ep + c];
        g->da[m] = 0;
    }
    g->dskip = 0;
}

DEVICE void NAME(close_grad)(const NAME(scan_back_args_t) * arg, const NAME(channel_grad_t) * g, int64_t c)
{
    float *to = arg->sums + (int64_t)blockIdx.x * (STATES + 1) * arg->f.Ep + c;
    REPEAT(m, STATES) to[m * arg->f.Ep] = g->da[m];
    to[STATES * arg->f.Ep] = g->dskip;
}

/* Runs the backward pass of all rows of a piece. Two buffers for dB and dC alternate, so that each group of AHEAD rows
 * needs only one barrier. */
DEVICE void NAME(scan_back_piece)(const NAME(scan_back_args_t) * arg, const bool small)
{
    SHARED(float, rows); // (STEP,width) dt_in, B and C; then (2,RED) dB and dC
    const int width = (small ? STATES : PADDED((int)arg->f.R)) + 2 * STATES;
    piece_t t = arg->f.piece[blockIdx.x];
    int64_t own = (int64_t)blockIdx.y * THREADS + threadIdx.x, c = own < arg->f.Ep ? own : 0,
            left = (arg->f.Ep - own + threadIdx.x + WARP - 1) / WARP;
    int odd = 0, warp = (int)threadIdx.x / WARP, warps = left < THREADS / WARP ? (int)left : THREADS / WARP;
    bool mine = own < arg->f.Ep;
    piece_rows_t p = NAME(rows_of)(&arg->f, &t);
    NAME(channel_t) ch;
    NAME(channel_grad_t) g;
    NAME(fetched_back_t) now, next;
    NAME(recomputed_t) again;
    float *red = rows + STEP * width;
    NAME(open_channel)(&arg->f, &ch, c, t.slot, small, true);
    NAME(open_grad)(arg, &g, c, t.slot, mine);
    NAME(fetch_back)(arg, &p, &t, (p.n - 1) / AHEAD * AHEAD, c, &next);
    for (int64_t i = (p.n - 1) / STEP * STEP; i >= 0; i -= STEP) {
        int n = (int)(p.n - i < STEP ? p.n - i : STEP);
        __syncthreads();
        NAME(stage)(&arg->f, &p, i, n, rows, small);
        __syncthreads();
        for (int k = (n - 1) / AHEAD * AHEAD; k >= 0; k -= AHEAD, odd = !odd) {
            int some = n - k < AHEAD ? n - k : AHEAD;
            float *sums = red + odd * RED;
            now = next;
            NAME(fetch_back)(arg, &p, &t, i + k - AHEAD, c, &next);
            if (warp < warps) {
                NAME(recompute)(arg, &p, &ch, &now, rows + k * width, i + k, some, c, small, mine, &again);
                NAME(rows_back)
                (arg, &p, &ch, &g, &now, &again, rows + k * width, sums + warp * RED_WARP, i + k, some, c, small, mine);
            }
            __syncthreads();
            NAME(join_warps)(arg, &p, sums, i + k, some, warps);
        }
    }
    if (mine) NAME(close_grad)(arg, &g, c);
}

/* For a piece of a long sequence: computes the sum of dt over the piece, and the gradient of the state before the
 * piece, as if the gradient of the state after the piece were 0. */
DEVICE void NAME(ends_back_piece)(const NAME(scan_back_args_t) * arg, const bool small)
{
    SHARED(float, rows); // (STEP,width) dt_in, B and C
    const int pad = small ? STATES : PADDED((int)arg->f.R), width = pad + 2 * STATES;
    piece_t t = arg->f.piece[blockIdx.x];
    int64_t own = (int64_t)blockIdx.y * THREADS + threadIdx.x, c = own < arg->f.Ep ? own : 0;
    piece_rows_t p = NAME(rows_of)(&arg->f, &t);
    NAME(channel_t) ch;
    if (t.slot < 0) return;
    NAME(open_channel)(&arg->f, &ch, c, t.slot, small, true);
    for (int64_t i = (p.n - 1) / STEP * STEP; i >= 0; i -= STEP) {
        int n = (int)(p.n - i < STEP ? p.n - i : STEP);
        __syncthreads();
        NAME(stage)(&arg->f, &p, i, n, rows, small);
        __syncthreads();
        for (int k = n - 1; k >= 0; k--) {
            const float *row = rows + k * width;
            int64_t r = NAME(row_at)(&arg->f, &p, i + k);
            float dt = softplus(NAME(delta)(&arg->f, &ch, row, c, small)),
                  dy = arg->g[r * 2 * arg->f.Ep + c] * silu(get(arg->f.z[r * 2 * arg->f.Ep + c])), C[STATES];
            load_states(row + pad + STATES, C);
            REPEAT(m, STATES) ch.s[m] = fma32(dy, C[m], ch.s[m]) * exp2_fast(dt * ch.a[m]);
            ch.total += dt;
        }
    }
    if (own < arg->f.Ep) NAME(close_channel)(&arg->f, &ch, c, t.slot);
}

KERNEL_WIDE(NAME(scan_back_small), NAME(scan_back_args_t)) { NAME(scan_back_piece)(&arg, true); }
KERNEL_WIDE(NAME(scan_back_large), NAME(scan_back_args_t)) { NAME(scan_back_piece)(&arg, false); }
KERNEL(NAME(ends_back_small), NAME(scan_back_args_t)) { NAME(ends_back_piece)(&arg, true); }
KERNEL(NAME(ends_back_large), NAME(scan_back_args_t)) { NAME(ends_back_piece)(&arg, false); }

/* Runs the backward pass for the STATES states that args->f describes. */
static int NAME(scan_back_states)(cad_grad_lane_t *l, const NAME(scan_back_args_t) * args, int nseq)
{
    gpu_t *g = gpu_of(&l->f);
    const NAME(scan_back_args_t) arg = *args;
    int64_t groups = ceil_div(arg.f.Ep, THREADS);
    bool small = arg.f.R <= STATES;
    size_t shared = staged_bytes(arg.f.R);
    if (g->slots) {
        if (small) LAUNCH(NAME(ends_back_small), g->pieces, groups, THREADS, shared, g->stream, arg);
        else LAUNCH(NAME(ends_back_large), g->pieces, groups, THREADS, shared, g->stream, arg);
        carry_pieces(&l->f, arg.f.a, nseq, true);
    }
    shared += 2 * RED * sizeof(float);
    if (small) LAUNCH(NAME(scan_back_small), g->pieces, groups, THREADS, shared, g->stream, arg);
    else LAUNCH(NAME(scan_back_large), g->pieces, groups, THREADS, shared, g->stream, arg);
    return launched(&l->f, "scan, backwards");
}

static int NAME(back_scan)(cad_grad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    cad_grads_t *q = l->grads;
    const mamba_weights_t *w = &l->f.weights->mamba;
    const cad_mamba_dir_sums_t *t = mamba_sums(q, layer, dir);
    int64_t pieces = gpu_of(&l->f)->pieces, stride = (STATES + 1) * w->Ep;
    int rc = 0;
    for (int64_t n = 0; n < w->N && rc == 0; n += STATES) {
        NAME(scan_back_args_t)
        arg = { .f = NAME(scan_args)(&l->f, layer, dir, s, n, cad_mamba_lane(&l->f)->state[dir]),
                .g = back_of(l)->g,
                .du = back_of(l)->du,
                .dpre = back_of(l)->dpre,
                .part = back_of(l)->part,
                .sums = q->parts,
                .rows = l->f.rows };
        arg.f.add = how & CAD_SCAN_ADD || n > 0;
        rc = NAME(scan_back_states)(l, &arg, s.nseq);
        if (rc == 0) rc = fold_parts(l, t->a + n * w->Ep, 0, STATES * w->Ep, stride, pieces);
        if (rc == 0 && n == 0) rc = fold_parts(l, t->skip, STATES * w->Ep, w->Ep, stride, pieces);
    }
    return rc;
}
