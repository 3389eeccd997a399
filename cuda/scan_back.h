/* scan_back.h - the selective scan backwards: thread = channel, as in scan.h.
 *
 * Pieces are those of the forward pass, each taken from its last row in time. AHEAD rows at
 * a time run forwards once more from the state that `keep` left, with the states in
 * registers, and then backwards. dB and dC are sums over channels: within a warp by
 * halving (sum_states), within a block in shared memory, over blocks in `project`. The
 * gradient of the state at a piece's end comes from the pieces behind it in time, as the
 * state does from those before: `ends_back` has each piece's share, `carry` joins them.
 * Part of back_typed.h, compiled once for each T. SPDX-License-Identifier: MIT
 */

typedef struct {
    NAME(scan_job_t) f; /* as forwards; keep is read, y is written */
    const float *g;     // (rows,2Ep) gradient of the gated y, from its column on
    float *du, *dpre;   // (rows,Ep) added to from the second turn on
    float *part;        // (groups,rows,2Np) of dB and dC
    float *sums;        // (items,STATES+1,Ep) of A and the skip
    int64_t rows;
} NAME(scan_back_job_t);

typedef struct {
    float u[AHEAD], z[AHEAD], y[AHEAD], g[AHEAD], s[STATES];
} NAME(behind_t);

/* AHEAD rows from the i-th on; nothing before the first. */
DEVICE void NAME(fetch_back)(const NAME(scan_back_job_t) * j, const NAME(piece_t) * p, const item_t *t, int64_t i,
                             int64_t c, NAME(behind_t) * f)
{
    const float *s;
    if (i < 0) return;
    s = NAME(kept)(&j->f, t, i, c);
    REPEAT(k, AHEAD) {
        int64_t r = i + k < p->n ? NAME(row_at)(&j->f, p, i + k) : p->beg;
        f->u[k] = get(j->f.u[r * j->f.Ep + c]);
        f->z[k] = get(j->f.z[r * 2 * j->f.Ep + c]);
        f->y[k] = j->f.add ? get(j->f.y[r * j->f.Ep + c]) : 0;
        f->g[k] = j->g[r * 2 * j->f.Ep + c];
    }
    REPEAT(n, STATES) f->s[n] = s[n * j->f.Ep];
}

/* What a channel's rows leave to those before them in time, and its sums. */
typedef struct {
    float ds[STATES], da[STATES], dskip;
} NAME(slope_t);

typedef struct {
    float pre[AHEAD], dt[AHEAD], dy[AHEAD], s[AHEAD + 1][STATES];
} NAME(held_t); /* s: before each row, and after the last */

/* n rows forwards, from the i-th on: y, and what the way back needs. */
DEVICE void NAME(again)(const NAME(scan_back_job_t) * j, const NAME(piece_t) * p, const NAME(channel_t) * ch,
                        const NAME(behind_t) * f, const float *rows, int64_t i, int n, int64_t c, const bool small,
                        const bool mine, NAME(held_t) * h)
{
    const int pad = small ? STATES : PADDED((int)j->f.R);
    REPEAT(m, STATES) h->s[0][m] = f->s[m];
    REPEAT(k, AHEAD) {
        const float *row = rows + k * (pad + 2 * STATES);
        float part[4] = { 0, 0, 0, 0 }, B[STATES], C[STATES], x, y;
        if (k >= n) break;
        h->pre[k] = NAME(delta)(&j->f, ch, row, c, small);
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
        if (mine) j->f.y[NAME(row_at)(&j->f, p, i + k) * j->f.Ep + c] = put(j->f.add ? f->y[k] + y : y);
    }
}

/* One row backwards. B and C become each channel's part of dB and dC. */
DEVICE void NAME(row_back)(const NAME(scan_back_job_t) * j, const NAME(channel_t) * ch, NAME(slope_t) * g, float u,
                           float pre, float dt, float dy, const float *before, const float *after, float *B, float *C,
                           int64_t at, const bool mine)
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
    j->du[at] = j->f.from ? j->du[at] + du : du;
    j->dpre[at] = j->f.from ? j->dpre[at] + ddt : ddt;
}

/* The same n rows, the last first; red: (AHEAD,2 STATES) of this warp. */
DEVICE void NAME(rows_back)(const NAME(scan_back_job_t) * j, const NAME(piece_t) * p, const NAME(channel_t) * ch,
                            NAME(slope_t) * g, const NAME(behind_t) * f, const NAME(held_t) * h, const float *rows,
                            float *red, int64_t i, int n, int64_t c, const bool small, const bool mine)
{
    const int pad = small ? STATES : PADDED((int)j->f.R);
    int lane = (int)threadIdx.x % WARP;
    UNROLL
    for (int k = AHEAD - 1; k >= 0; k--) {
        const float *row = rows + k * (pad + 2 * STATES);
        float B[STATES], C[STATES], dB, dC;
        if (k >= n) continue;
        load_states(row + pad, B);
        load_states(row + pad + STATES, C);
        NAME(row_back)
        (j, ch, g, f->u[k], h->pre[k], h->dt[k], h->dy[k], h->s[k], h->s[k + 1], B, C,
         NAME(row_at)(&j->f, p, i + k) * j->f.Ep + c, mine);
        dB = sum_states(B, lane);
        dC = sum_states(C, lane);
        if (lane < STATES) red[k * 2 * STATES + lane] = dB;
        if (lane < STATES) red[k * 2 * STATES + STATES + lane] = dC;
    }
}

/* n rows of dB and dC of this block of channels, from those of its warps that have any, in order. */
DEVICE void NAME(join_warps)(const NAME(scan_back_job_t) * j, const NAME(piece_t) * p, const float *red, int64_t i,
                             int n, int warps)
{
    for (int v = (int)threadIdx.x; v < n * 2 * STATES; v += THREADS) {
        int s = v % (2 * STATES);
        int64_t r = NAME(row_at)(&j->f, p, i + v / (2 * STATES)),
                at = ((int64_t)blockIdx.y * j->rows + r) * 2 * j->f.Np + j->f.from;
        float acc = 0;
        for (int w = 0; w < warps; w++) acc += red[w * AHEAD * 2 * STATES + v];
        j->part[at + (s < STATES ? s : j->f.Np + s - STATES)] = acc;
    }
}

DEVICE void NAME(open_slope)(const NAME(scan_back_job_t) * j, NAME(slope_t) * g, int64_t c, int32_t slot, bool mine)
{
    REPEAT(m, STATES) {
        g->ds[m] = slot < 0 || !mine ? 0 : j->f.state[(slot * (int64_t)STATES + m) * j->f.Ep + c];
        g->da[m] = 0;
    }
    g->dskip = 0;
}

DEVICE void NAME(close_slope)(const NAME(scan_back_job_t) * j, const NAME(slope_t) * g, int64_t c)
{
    float *to = j->sums + (int64_t)blockIdx.x * (STATES + 1) * j->f.Ep + c;
    REPEAT(m, STATES) to[m * j->f.Ep] = g->da[m];
    to[STATES * j->f.Ep] = g->dskip;
}

#define RED (THREADS / WARP * AHEAD * 2 * STATES) /* values of a group of rows, by warp */

DEVICE void NAME(scan_back_piece)(const NAME(scan_back_job_t) * j, const bool small)
{
    SHARED(float, rows); // (STEP,width), then two of RED
    const int width = (small ? STATES : PADDED((int)j->f.R)) + 2 * STATES;
    item_t t = j->f.item[blockIdx.x];
    int64_t own = (int64_t)blockIdx.y * THREADS + threadIdx.x, c = own < j->f.Ep ? own : 0,
            left = (j->f.Ep - own + threadIdx.x + WARP - 1) / WARP;
    int turn = 0, warp = (int)threadIdx.x / WARP, warps = left < THREADS / WARP ? (int)left : THREADS / WARP;
    bool mine = own < j->f.Ep;
    NAME(piece_t) p = NAME(piece_of)(&j->f, &t);
    NAME(channel_t) ch;
    NAME(slope_t) g;
    NAME(behind_t) now, next;
    NAME(held_t) held;
    float *red = rows + STEP * width;
    NAME(open_channel)(&j->f, &ch, c, t.slot, small, true);
    NAME(open_slope)(j, &g, c, t.slot, mine);
    NAME(fetch_back)(j, &p, &t, (p.n - 1) / AHEAD * AHEAD, c, &next);
    for (int64_t i = (p.n - 1) / STEP * STEP; i >= 0; i -= STEP) {
        int n = (int)(p.n - i < STEP ? p.n - i : STEP);
        __syncthreads();
        NAME(stage)(&j->f, &p, i, n, rows, small);
        __syncthreads();
        for (int k = (n - 1) / AHEAD * AHEAD; k >= 0; k -= AHEAD, turn = !turn) {
            int some = n - k < AHEAD ? n - k : AHEAD;
            float *sums = red + turn * RED;
            now = next;
            NAME(fetch_back)(j, &p, &t, i + k - AHEAD, c, &next);
            if (warp < warps) {
                NAME(again)(j, &p, &ch, &now, rows + k * width, i + k, some, c, small, mine, &held);
                NAME(rows_back)
                (j, &p, &ch, &g, &now, &held, rows + k * width, sums + warp * AHEAD * 2 * STATES, i + k, some, c, small,
                 mine);
            }
            __syncthreads();
            NAME(join_warps)(j, &p, sums, i + k, some, warps);
        }
    }
    if (mine) NAME(close_slope)(j, &g, c);
}

/* Of a piece of a long sequence: the gradient of the state before it when that behind it is 0, and the sum of dt. */
DEVICE void NAME(ends_back_piece)(const NAME(scan_back_job_t) * j, const bool small)
{
    SHARED(float, rows); // (STEP,width)
    const int pad = small ? STATES : PADDED((int)j->f.R), width = pad + 2 * STATES;
    item_t t = j->f.item[blockIdx.x];
    int64_t own = (int64_t)blockIdx.y * THREADS + threadIdx.x, c = own < j->f.Ep ? own : 0;
    NAME(piece_t) p = NAME(piece_of)(&j->f, &t);
    NAME(channel_t) ch;
    if (t.slot < 0) return;
    NAME(open_channel)(&j->f, &ch, c, t.slot, small, true);
    for (int64_t i = (p.n - 1) / STEP * STEP; i >= 0; i -= STEP) {
        int n = (int)(p.n - i < STEP ? p.n - i : STEP);
        __syncthreads();
        NAME(stage)(&j->f, &p, i, n, rows, small);
        __syncthreads();
        for (int k = n - 1; k >= 0; k--) {
            const float *row = rows + k * width;
            int64_t r = NAME(row_at)(&j->f, &p, i + k);
            float dt = softplus(NAME(delta)(&j->f, &ch, row, c, small)),
                  dy = j->g[r * 2 * j->f.Ep + c] * silu(get(j->f.z[r * 2 * j->f.Ep + c])), C[STATES];
            load_states(row + pad + STATES, C);
            REPEAT(m, STATES) ch.s[m] = fma32(dy, C[m], ch.s[m]) * exp2_fast(dt * ch.a[m]);
            ch.total += dt;
        }
    }
    if (own < j->f.Ep) NAME(close_channel)(&j->f, &ch, c, t.slot);
}

KERNEL_WIDE(NAME(scan_back_small), NAME(scan_back_job_t)) { NAME(scan_back_piece)(&j, true); }
KERNEL_WIDE(NAME(scan_back_large), NAME(scan_back_job_t)) { NAME(scan_back_piece)(&j, false); }
KERNEL(NAME(ends_back_small), NAME(scan_back_job_t)) { NAME(ends_back_piece)(&j, true); }
KERNEL(NAME(ends_back_large), NAME(scan_back_job_t)) { NAME(ends_back_piece)(&j, false); }
