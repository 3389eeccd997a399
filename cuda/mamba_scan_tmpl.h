/* mamba_scan_tmpl.h - Mamba's selective scan, s = exp(dt A) s + dt u B and y = s.C + skip u: a thread computes one
 * channel, with STATES states in registers. Compiled once for each T. Ep is the padded number of channels, Np of
 * states; Sp is the padded width of xdbl (dt_in, B and C).
 *
 * Macro parameters: T; NAME(x): x with T's suffix; get(v): T to float; put(v): float to T.
 *
 * A thread block computes THREADS channels of one piece. A piece is a whole sequence or, if the sequence is longer than
 * WHOLE_ROWS, PIECE_ROWS of its rows, counted in the direction of the scan. dt_in, B and C of STEP rows are copied to
 * shared memory (staged); u, z and y are prefetched AHEAD rows ahead.
 *
 * A long sequence takes three kernels. `ends` scans each piece from state 0 and stores its last state and its sum of
 * dt. From these, `carry` (mamba_carry.h) computes the true state at the beginning of each piece, since a state decays
 * by exp2(a * sum of dt) over a piece. `scan` then runs all pieces from these states.
 *
 * In inference the sequences longer than WHOLE_ROWS are usually scanned by mamba_time_tmpl.h instead.
 *
 * The result of a row depends only on the row's own sequence. The kernel `keep` does the same as `scan` and also stores
 * the state before every AHEAD-th row, for the backward pass (mamba_scan_back_tmpl.h).
 *
 * SPDX-License-Identifier: MIT
 */
#include "mamba_carry.h"

typedef struct {
    const T *u, *z;                       // u: (rows,Ep); z: columns of z in the array (rows,2Ep) of x and z
    const float *xdbl;                    // (rows,Sp) dt_in, B and C
    T *y;                                 // (rows,Ep)
    const float *dt, *dt_bias, *a, *skip; // (Rp,Ep); (Ep); (STATES,Ep), for states `from` to from+STATES-1; (Ep)
    const int64_t *off;
    const cad_rows_t *want; // (nseq) the rows of each sequence whose output is needed; NULL: all rows
    const piece_t *piece;
    float *state, *total; // (slots,STATES,Ep) state, (slots,Ep) sum of dt of each piece of a long sequence
    float *keep;          // (kept,Np,Ep) states kept for the backward pass, or NULL
    int64_t Ep, Sp, N, Np, R, from;
    bool reverse, add, gate, skips;
    bool whole; /* only the sequences that are a single piece */
} NAME(scan_args_t);

/* Returns the rows of a piece that must be computed: those up to the last wanted row, in the direction of the scan. */
DEVICE piece_rows_t NAME(rows_of)(const NAME(scan_args_t) * arg, const piece_t *t)
{
    int64_t lo = arg->off[t->seq], hi = arg->off[t->seq + 1], size = hi - lo > WHOLE_ROWS ? PIECE_ROWS : hi - lo, beg,
            end, full;
    piece_rows_t p;
    if (arg->reverse) {
        end = hi - t->k * size;
        beg = end - size > lo ? end - size : lo;
    } else {
        beg = lo + t->k * size;
        end = beg + size < hi ? beg + size : hi;
    }
    full = end - beg;
    if (arg->want && arg->want[t->seq].beg >= arg->want[t->seq].end) end = beg;
    else if (arg->want && arg->reverse) beg = beg > arg->want[t->seq].beg ? beg : arg->want[t->seq].beg;
    else if (arg->want) end = end < arg->want[t->seq].end ? end : arg->want[t->seq].end;
    p.beg = beg;
    p.n = end > beg ? end - beg : 0;
    p.all = p.n == full;
    return p;
}

/* Returns the index of the i-th row of the piece, counted in the direction of the scan. */
DEVICE int64_t NAME(row_at)(const NAME(scan_args_t) * arg, const piece_rows_t *p, int64_t i)
{
    return arg->reverse ? p->beg + p->n - 1 - i : p->beg + i;
}

/* Copies dt_in, B and C of n rows, from the i-th onwards, to shared memory. small: R is at most STATES, and dt_in
 * is padded to STATES values. */
DEVICE void NAME(stage)(const NAME(scan_args_t) * arg, const piece_rows_t *p, int64_t i, int n, float *to,
                        const bool small)
{
    int R = (int)arg->R, pad = small ? STATES : PADDED(R), width = pad + 2 * STATES, left = (int)(arg->N - arg->from);
    for (int k = (int)threadIdx.x; k < n * width; k += THREADS) {
        int row = k / width, c = k % width, s = (c - pad) % STATES;
        const float *from = arg->xdbl + NAME(row_at)(arg, p, i + row) * arg->Sp;
        float v = 0;
        if (c < pad) v = c < R ? from[c] : 0;
        else if (s < left) v = from[R + (c < pad + STATES ? 0 : arg->N) + arg->from + s];
        to[k] = v;
    }
}

typedef struct {
    float u[AHEAD], z[AHEAD], y[AHEAD];
} NAME(fetched_t);

DEVICE void NAME(fetch)(const NAME(scan_args_t) * arg, const piece_rows_t *p, int64_t i, int64_t c, NAME(fetched_t) * f)
{
    REPEAT(k, AHEAD) {
        int64_t r = i + k < p->n ? NAME(row_at)(arg, p, i + k) : p->beg;
        f->u[k] = get(arg->u[r * arg->Ep + c]);
        f->z[k] = arg->gate ? get(arg->z[r * 2 * arg->Ep + c]) : 0;
        f->y[k] = arg->add ? get(arg->y[r * arg->Ep + c]) : 0;
    }
}

/* Weights and state of one channel, and its sum of dt over the rows that have been scanned. */
typedef struct {
    float a[STATES], s[STATES], dt[STATES], dt_bias, skip, total;
} NAME(channel_t);

/* Returns dt before softplus: dt_in x dt_proj^T + bias, for one row and channel c. row: dt_in of the row. small: R is
 * at most STATES, and dt_proj is in registers. */
DEVICE float NAME(delta)(const NAME(scan_args_t) * arg, const NAME(channel_t) * ch, const float *row, int64_t c,
                         const bool small)
{
    float acc = ch->dt_bias, in[STATES];
    if (small) {
        load_states(row, in);
        REPEAT(r, STATES) acc = fma32(in[r], ch->dt[r], acc);
    } else {
        for (int64_t r = 0; r < arg->R; r++) acc = fma32(row[r], arg->dt[r * arg->Ep + c], acc);
    }
    return acc;
}

/* Advances the state s by one row: s = exp2(dt a) s + dt u B. Returns s.C or, in the kernel `ends`, 0. bc: B, then
 * C. */
DEVICE float NAME(advance)(NAME(channel_t) * ch, const float *bc, float dt, float u, const bool ends)
{
    float x = dt * u, part[4] = { 0, 0, 0, 0 }, B[STATES], C[STATES];
    load_states(bc, B);
    if (!ends) load_states(bc + STATES, C);
    REPEAT(n, STATES) {
        ch->s[n] = fma32(exp2_fast(dt * ch->a[n]), ch->s[n], x * B[n]);
        if (!ends) part[n & 3] = fma32(ch->s[n], C[n], part[n & 3]);
    }
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/* Advances the state by min(n, AHEAD) rows, from the i-th row of the piece onwards, and stores their y. */
DEVICE void NAME(advance_rows)(const NAME(scan_args_t) * arg, const piece_rows_t *p, NAME(channel_t) * ch,
                               const NAME(fetched_t) * f, const float *rows, int64_t i, int n, int64_t c,
                               const bool small, const bool ends)
{
    const int pad = small ? STATES : PADDED((int)arg->R);
    REPEAT(k, AHEAD) {
        const float *row = rows + k * (pad + 2 * STATES);
        float dt, y;
        if (k >= n) break;
        dt = softplus(NAME(delta)(arg, ch, row, c, small));
        y = NAME(advance)(ch, row + pad, dt, f->u[k], ends);
        ch->total += dt;
        if (ends) continue;
        y = fma32(ch->skip, f->u[k], y);
        if (arg->add) y = f->y[k] + y;
        if (arg->gate) y = y * silu(f->z[k]);
        arg->y[NAME(row_at)(arg, p, i + k) * arg->Ep + c] = put(y);
    }
}

DEVICE void NAME(open_channel)(const NAME(scan_args_t) * arg, NAME(channel_t) * ch, int64_t c, int32_t slot,
                               const bool small, const bool ends)
{
    REPEAT(n, STATES) {
        ch->a[n] = arg->a[n * arg->Ep + c];
        ch->s[n] = ends || slot < 0 ? 0 : arg->state[(slot * (int64_t)STATES + n) * arg->Ep + c];
        ch->dt[n] = small ? arg->dt[n * arg->Ep + c] : 0;
    }
    ch->dt_bias = arg->dt_bias[c];
    ch->skip = arg->skips ? arg->skip[c] : 0;
    ch->total = 0;
}

DEVICE void NAME(close_channel)(const NAME(scan_args_t) * arg, const NAME(channel_t) * ch, int64_t c, int32_t slot)
{
    REPEAT(n, STATES) arg->state[(slot * (int64_t)STATES + n) * arg->Ep + c] = ch->s[n];
    arg->total[slot * arg->Ep + c] = ch->total;
}

/* Returns the address at which the state before the i-th row of a piece is kept for the backward pass; i is a multiple
 * of AHEAD. */
DEVICE float *NAME(kept)(const NAME(scan_args_t) * arg, const piece_t *t, int64_t i, int64_t c)
{
    int64_t slot = arg->off[t->seq] / AHEAD + t->seq + (t->k * (int64_t)PIECE_ROWS + i) / AHEAD;
    return arg->keep + (slot * arg->Np + arg->from) * arg->Ep + c;
}

DEVICE void NAME(keep_states)(const NAME(scan_args_t) * arg, const piece_t *t, int64_t i, int64_t c, const float *s)
{
    float *to = NAME(kept)(arg, t, i, c);
    REPEAT(n, STATES) to[n * arg->Ep] = s[n];
}

/* Scans all rows of a piece. Threads without a channel only help to copy to shared memory. */
DEVICE void NAME(scan_piece)(const NAME(scan_args_t) * arg, const bool small, const bool ends, const bool keeps)
{
    SHARED(float, rows); // (STEP,width) dt_in, B and C
    const int width = (small ? STATES : PADDED((int)arg->R)) + 2 * STATES;
    piece_t t = arg->piece[blockIdx.x];
    int64_t own = (int64_t)blockIdx.y * THREADS + threadIdx.x, c = own < arg->Ep ? own : 0;
    bool mine = own < arg->Ep;
    piece_rows_t p = NAME(rows_of)(arg, &t);
    NAME(channel_t) ch;
    NAME(fetched_t) now, next;
    if (ends ? t.slot < 0 || !p.all : arg->whole && t.slot >= 0) return;
    if (p.n == 0) return;
    NAME(open_channel)(arg, &ch, c, t.slot, small, ends);
    NAME(fetch)(arg, &p, 0, c, &next);
    for (int64_t i = 0; i < p.n; i += STEP) {
        int n = (int)(p.n - i < STEP ? p.n - i : STEP);
        __syncthreads();
        NAME(stage)(arg, &p, i, n, rows, small);
        __syncthreads();
        for (int k = 0; k < n && mine; k += AHEAD) {
            now = next;
            NAME(fetch)(arg, &p, i + k + AHEAD, c, &next);
            if (keeps) NAME(keep_states)(arg, &t, i + k, c, ch.s);
            NAME(advance_rows)(arg, &p, &ch, &now, rows + k * width, i + k, n - k, c, small, ends);
        }
    }
    if (ends && mine) NAME(close_channel)(arg, &ch, c, t.slot);
}

KERNEL(NAME(scan_small), NAME(scan_args_t)) { NAME(scan_piece)(&arg, true, false, false); }
KERNEL(NAME(scan_large), NAME(scan_args_t)) { NAME(scan_piece)(&arg, false, false, false); }
KERNEL(NAME(ends_small), NAME(scan_args_t)) { NAME(scan_piece)(&arg, true, true, false); }
KERNEL(NAME(ends_large), NAME(scan_args_t)) { NAME(scan_piece)(&arg, false, true, false); }
KERNEL(NAME(keep_small), NAME(scan_args_t)) { NAME(scan_piece)(&arg, true, false, true); }
KERNEL(NAME(keep_large), NAME(scan_args_t)) { NAME(scan_piece)(&arg, false, false, true); }

/* ---- the same in laps, for models with STATES states and R a multiple of 4 up to STATES ----
 *
 * While one lap of rows is scanned, the next is copied to shared memory, in the order of the scan: u, z and y of the
 * thread block's channels, and rows of xdbl. All addresses within a lap are then constant offsets. */

#define LAP_WIDTH (3 * STATES)
#define LAP ((int)(32 / sizeof(T)))   /* rows of a lap: each thread copies 32 bytes of each of u, z and y */
#define PART (16 / (int)sizeof(T))    /* channels that one copy takes */
#define PARTS_OF_ROW (THREADS / PART) /* copies in a row of u, z or y */

typedef struct {
    T u[LAP][THREADS], z[LAP][THREADS], y[LAP][THREADS];
    float xdbl[LAP][LAP_WIDTH]; // dt_in, with padding that is 0, then B and C
} NAME(lap_t);

typedef struct {
    int64_t at;        // index in u and y of row 0 of the next lap, in the first channel that this thread copies
    const float *xdbl; // row 0 of the next lap
    int n;             /* number of rows from there on */
} NAME(source_t);

/* Begins to copy the next lap, and moves the source to the one after it. part: the first channel of the thread block
 * that this thread copies; c: the same channel in the array. */
DEVICE void NAME(copy_lap)(const NAME(scan_args_t) * arg, NAME(source_t) * s, NAME(lap_t) * to, int part, int c,
                           const bool ends)
{
    int ld = arg->reverse ? -(int)arg->Ep : (int)arg->Ep, wide = arg->reverse ? -(int)arg->Sp : (int)arg->Sp,
        R = (int)arg->R;
    REPEAT(m, LAP / PART) {
        int k = (int)threadIdx.x / PARTS_OF_ROW + m * PART;
        int64_t at = s->at + k * ld;
        if (k >= s->n || c >= (int)arg->Ep) continue;
        copy16(&to->u[k][part], arg->u + at);
        if (arg->gate && !ends) copy16(&to->z[k][part], arg->z + 2 * at - c);
        if (arg->add && !ends) copy16(&to->y[k][part], arg->y + at);
    }
    REPEAT(m, (LAP * LAP_WIDTH / 4 + THREADS - 1) / THREADS) {
        int v = (int)threadIdx.x + m * THREADS, k = v / (LAP_WIDTH / 4), from = v % (LAP_WIDTH / 4) * 4;
        bool there = from >= STATES || from < R;
        if (k < LAP && k < s->n && there)
            copy16(&to->xdbl[k][from], s->xdbl + k * wide + (from < STATES ? from : from + R - STATES));
    }
    s->n -= LAP;
    s->at += LAP * ld;
    s->xdbl += LAP * wide;
}

/* Advances the state by `count` rows of a lap, from the k-th onwards, and stores their y. y: the first of these rows in
 * this thread's channel; ld: values from a row to the next. */
DEVICE void NAME(advance_lap)(const NAME(scan_args_t) * arg, NAME(channel_t) * ch, const NAME(lap_t) * lap, int k,
                              const int count, T *y, int ld, const bool ends)
{
    REPEAT(m, count) {
        const float *row = lap->xdbl[k + m];
        float u = get(lap->u[k + m][threadIdx.x]), dt = softplus(NAME(delta)(arg, ch, row, 0, true)),
              v = NAME(advance)(ch, row + STATES, dt, u, ends);
        ch->total += dt;
        if (ends) continue;
        v = fma32(ch->skip, u, v);
        if (arg->add) v = get(lap->y[k + m][threadIdx.x]) + v;
        if (arg->gate) v = v * silu(get(lap->z[k + m][threadIdx.x]));
        y[m * ld] = put(v);
    }
}

/* Stores the state at *keep, and moves *keep to the place of the next. */
DEVICE void NAME(keep_next)(const NAME(scan_args_t) * arg, float **keep, const float *s)
{
    REPEAT(n, STATES) (*keep)[n * arg->Ep] = s[n];
    *keep += arg->Np * arg->Ep;
}

/* Scans n rows of a piece, which are in `lap`. y: the first row; keep: see keep_next. */
DEVICE void NAME(scan_lap)(const NAME(scan_args_t) * arg, NAME(channel_t) * ch, const NAME(lap_t) * lap, int n, T *y,
                           float **keep, const bool ends, const bool keeps)
{
    int ld = arg->reverse ? -(int)arg->Ep : (int)arg->Ep, k = 0;
    ROLLED
    for (; k + AHEAD <= n; k += AHEAD, y += AHEAD * ld) {
        if (keeps) NAME(keep_next)(arg, keep, ch->s);
        NAME(advance_lap)(arg, ch, lap, k, AHEAD, y, ld, ends);
    }
    if (keeps && k < n) NAME(keep_next)(arg, keep, ch->s);
    ROLLED
    for (; k < n; k++, y += ld) NAME(advance_lap)(arg, ch, lap, k, 1, y, ld, ends);
}

/* Sets the padding of dt_in to 0 in both laps. */
DEVICE void NAME(clear_padding)(NAME(lap_t) * lap, int R)
{
    for (int v = (int)threadIdx.x; v < 2 * LAP * STATES && R < STATES; v += THREADS)
        if (v % STATES >= R) lap[v / (LAP * STATES)].xdbl[v / STATES % LAP][v % STATES] = 0;
}

/* Scans all rows of a piece. One barrier a lap: it shows that the copies of all threads have arrived, and that no thread
 * still reads the lap before, which the next copies overwrite. */
DEVICE void NAME(piece_laps)(const NAME(scan_args_t) * arg, const bool ends, const bool keeps)
{
    SHARED(NAME(lap_t), lap); // two
    piece_t t = arg->piece[blockIdx.x];
    int64_t own = (int64_t)blockIdx.y * THREADS + threadIdx.x, c = own < arg->Ep ? own : 0;
    piece_rows_t p = NAME(rows_of)(arg, &t);
    int64_t first = NAME(row_at)(arg, &p, 0);
    int n = (int)p.n, odd = 0, part = (int)threadIdx.x % PARTS_OF_ROW * PART, from = (int)blockIdx.y * THREADS + part;
    NAME(source_t) source = { first * arg->Ep + from, arg->xdbl + first * arg->Sp, n };
    float *keep = keeps ? NAME(kept)(arg, &t, 0, c) : NULL;
    NAME(channel_t) ch;
    if (ends ? t.slot < 0 || !p.all : arg->whole && t.slot >= 0) return;
    NAME(clear_padding)(lap, (int)arg->R);
    NAME(copy_lap)(arg, &source, lap, part, from, ends);
    NAME(open_channel)(arg, &ch, c, t.slot, true, ends);
    for (int i = 0; i < n; i += LAP, odd = !odd) {
        T *y = arg->y + source.at - (arg->reverse ? -LAP : LAP) * (int)arg->Ep + ((int)threadIdx.x - part);
        copies_wait();
        __syncthreads();
        NAME(copy_lap)(arg, &source, lap + !odd, part, from, ends);
        if (own < arg->Ep) NAME(scan_lap)(arg, &ch, lap + odd, n - i < LAP ? n - i : LAP, y, &keep, ends, keeps);
    }
    if (ends && own < arg->Ep) NAME(close_channel)(arg, &ch, c, t.slot);
}

KERNEL(NAME(scan_laps), NAME(scan_args_t)) { NAME(piece_laps)(&arg, false, false); }
KERNEL(NAME(ends_laps), NAME(scan_args_t)) { NAME(piece_laps)(&arg, true, false); }
KERNEL(NAME(keep_laps), NAME(scan_args_t)) { NAME(piece_laps)(&arg, false, true); }

/* ---- operations ---- */

/* Returns the arguments of a launch that computes STATES states, from the n-th onwards. keep: where to store the states
 * before every AHEAD-th row, or NULL. */
static NAME(scan_args_t) NAME(scan_args)(const cad_lane_t *l, int layer, int dir, cad_span_t s, int64_t n, float *keep)
{
    const mamba_weights_t *w = &l->weights->mamba;
    const mamba_dir_t *p = &w->dir[2 * layer + dir];
    const gpu_t *g = gpu_of(l);
    NAME(scan_args_t)
    arg = { .u = (const T *)g->mamba.u[dir],
            .z = (const T *)g->mamba.xz + w->Ep,
            .xdbl = g->mamba.xdbl[dir],
            .y = (T *)g->mamba.y,
            .dt = p->dt,
            .dt_bias = p->dt_bias,
            .a = p->a + n * w->Ep,
            .skip = p->skip,
            .off = g->off,
            .want = s.want ? g->want : NULL,
            .piece = g->piece,
            .state = g->mamba.state,
            .total = g->mamba.total,
            .keep = keep,
            .Ep = w->Ep,
            .Sp = w->Sp,
            .N = w->N,
            .Np = w->Np,
            .R = w->R,
            .from = n,
            .reverse = p->reverse,
            .add = false,
            .gate = false,
            .skips = n == 0 };
    return arg;
}

/* Launches the kernels for models that can be scanned in laps. */
static void NAME(launch_laps)(cad_lane_t *l, const NAME(scan_args_t) * args, int nseq)
{
    gpu_t *g = gpu_of(l);
    const NAME(scan_args_t) arg = *args;
    int64_t groups = ceil_div(arg.Ep, THREADS);
    size_t shared = 2 * sizeof(NAME(lap_t));
    if (g->slots && !arg.whole) {
        LAUNCH(NAME(ends_laps), g->pieces, groups, THREADS, shared, g->stream, arg);
        carry_pieces(l, arg.a, nseq, false);
    }
    if (arg.keep) LAUNCH(NAME(keep_laps), g->pieces, groups, THREADS, shared, g->stream, arg);
    else LAUNCH(NAME(scan_laps), g->pieces, groups, THREADS, shared, g->stream, arg);
}

static void NAME(launch_scan)(cad_lane_t *l, const NAME(scan_args_t) * args, int nseq)
{
    gpu_t *g = gpu_of(l);
    const NAME(scan_args_t) arg = *args;
    int64_t groups = ceil_div(arg.Ep, THREADS);
    bool small = arg.R <= STATES;
    size_t shared = staged_bytes(arg.R);
    if (g->slots) {
        if (small) LAUNCH(NAME(ends_small), g->pieces, groups, THREADS, shared, g->stream, arg);
        else LAUNCH(NAME(ends_large), g->pieces, groups, THREADS, shared, g->stream, arg);
        carry_pieces(l, arg.a, nseq, false);
    }
    if (arg.keep && small) LAUNCH(NAME(keep_small), g->pieces, groups, THREADS, shared, g->stream, arg);
    else if (arg.keep) LAUNCH(NAME(keep_large), g->pieces, groups, THREADS, shared, g->stream, arg);
    else if (small) LAUNCH(NAME(scan_small), g->pieces, groups, THREADS, shared, g->stream, arg);
    else LAUNCH(NAME(scan_large), g->pieces, groups, THREADS, shared, g->stream, arg);
}

static int NAME(scan_states)(cad_lane_t *l, const NAME(scan_args_t) * arg, int nseq)
{
    if (scanned_in_laps(&l->weights->mamba)) NAME(launch_laps)(l, arg, nseq);
    else NAME(launch_scan)(l, arg, nseq);
    return launched(l, "scan");
}

/* Scans the rows of s. A model with more than STATES states takes several launches; each adds its contribution to y,
 * and the last one also multiplies by the gate. whole: leaves out the long sequences. */
static int NAME(scan_pieces)(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how, bool whole)
{
    const mamba_weights_t *w = &l->weights->mamba;
    int rc = 0;
    for (int64_t n = 0; n < w->N && rc == 0; n += STATES) {
        NAME(scan_args_t) arg = NAME(scan_args)(l, layer, dir, s, n, cad_mamba_lane(l)->state[dir]);
        arg.whole = whole;
        arg.add = how & CAD_SCAN_ADD || n > 0;
        arg.gate = how & CAD_SCAN_GATE && n + STATES >= w->N;
        rc = NAME(scan_states)(l, &arg, s.nseq);
    }
    return rc;
}

#undef LAP
#undef LAP_WIDTH
#undef PART
#undef PARTS_OF_ROW
