/* mamba_time_tmpl.h - Mamba's selective scan of long sequences (more than WHOLE_ROWS rows), parallel in time, so that
 * no exponential is computed twice. Compiled once for each T, after mamba_scan_tmpl.h, for models with STATES states and
 * R a multiple of 4 up to STATES.
 *
 * Macro parameters: T; NAME(x): x with T's suffix; get(v): T to float; put(v): float to T.
 *
 * A thread block scans GROUP channels of one sequence in one direction, a tile of TILE_ROWS rows after the other. Within a
 * tile, TIME threads of a warp share a channel: each has RUN consecutive rows, for which it computes dt; then for each
 * state exp2(dt a), the state after its rows from state 0, and, once the threads have carried the states from one to the
 * next, y from the true state. The decays of the rows stay in registers in between. While a tile is scanned, the next
 * one is copied to shared memory, with its rows in the order of the scan, and dt_in, B and C by columns.
 *
 * Both directions run in one launch, since the channels of one long sequence alone would leave half of the device idle.
 * The first launch scans the first half of the rows in each direction's order and writes y; the second launch goes on
 * with the other half, whose y of the other direction is there by then, adds it and applies the gate.
 *
 * SPDX-License-Identifier: MIT
 */
#include "mamba_carry.h"

#define TIME (ALONE_THREADS / GROUP) /* threads that share a channel; half a warp */
#define RUN 16                       /* rows of a thread within a tile */
#define TILE_ROWS (TIME * RUN)       /* rows */
#define COLUMNS (3 * STATES)         /* of xdbl: dt_in, with padding that is 0, then B and C */
#define RUN_OF_COLUMN (RUN + 4)      /* floats; a gap of 16 bytes, so that threads read from different banks */
#define COLUMN (TIME * RUN_OF_COLUMN + 4)
#define PART (16 / (int)sizeof(T))       /* channels that one copy takes */
#define PARTS_OF_ROW (GROUP / PART)      /* copies in a row of u, z or y */
#define RUN_OF_ROWS (RUN * GROUP + PART) /* values; the same gap */

typedef struct {
    float xdbl[COLUMNS][COLUMN];
    T u[TIME][RUN_OF_ROWS], z[TIME][RUN_OF_ROWS], y[TIME][RUN_OF_ROWS];
} NAME(tile_t);

typedef struct {
    NAME(tile_t) tile[2];
    float a[GROUP][STATES], dt[GROUP][STATES]; // weights
    float carry[GROUP][STATES];                // state before the tile
} NAME(time_shared_t);
static_assert(sizeof(NAME(time_shared_t)) <= TIME_SHARED, "scan_time needs more shared memory");

typedef struct {
    const T *u[2];        // (rows,Ep) of each direction
    const float *xdbl[2]; // (rows,Sp) of each direction
    const T *z;           // columns of z in the array (rows,2Ep) of x and z
    T *y;                 // (rows,Ep)
    mamba_dir_t dir[2];
    const int64_t *off;
    const cad_rows_t *want; // (nseq) the rows of each sequence whose output is needed; NULL: all rows
    const int32_t *first;   // (nseq) a slot of each long sequence, for the first direction; the next is the second's
    float *state;           // (slots,STATES,Ep) states between the two launches
    int64_t Ep, Sp, R;
    bool second, gate; /* second: the second launch */
} NAME(time_args_t);

typedef struct {
    const T *u, *z;    // row 0 of the next tile, in the first channel that this thread copies
    T *y;              // the same place in y
    const float *xdbl; // row 0 of the next tile
    int ld, wide;      // values from a row to the next, in the order of the scan: of u and y; of xdbl
    int n;             // number of rows from row 0 on
} NAME(rest_t);        /* the rows that are not copied yet */

/* Returns the rows of sequence q that this launch scans in direction dir, in the order of the scan. *first is the first
 * one. Rows after the last wanted one are left out. */
DEVICE int NAME(rows_of_launch)(const NAME(time_args_t) * arg, int64_t q, int dir, int64_t *first)
{
    int64_t lo = arg->off[q], hi = arg->off[q + 1], mid = lo + (hi - lo) / 2 / TILE_ROWS * TILE_ROWS;
    bool reverse = arg->dir[dir].reverse, low = reverse == arg->second;
    int64_t beg = low ? lo : mid, end = low ? mid : hi;
    if (arg->want && arg->want[q].beg >= arg->want[q].end) end = beg;
    else if (arg->want && reverse) beg = beg > arg->want[q].beg ? beg : arg->want[q].beg;
    else if (arg->want) end = end < arg->want[q].end ? end : arg->want[q].end;
    *first = reverse ? end - 1 : beg;
    return end > beg ? (int)(end - beg) : 0;
}

/* Returns the column in shared memory of column `from` of xdbl, whose padding, after dt_in, B and C, is 0. */
DEVICE int NAME(column_of)(int from, int R)
{
    return from < R ? from : from < R + 2 * STATES ? from + STATES - R : from - 2 * STATES;
}

/* Begins to copy dt_in, B and C of the next tile: each warp 8 columns of 4 rows at a time. Rows after the last one are
 * copies of it. */
DEVICE void NAME(copy_columns)(const NAME(time_args_t) * arg, const NAME(rest_t) * s, NAME(tile_t) * to)
{
    int lane = (int)threadIdx.x % WARP, last = (s->n < TILE_ROWS ? s->n : TILE_ROWS) - 1, c = lane % 8,
        k = (int)threadIdx.x / WARP * 4 + lane / 8;
    float *at = to->xdbl[0] + k / RUN * RUN_OF_COLUMN + k % RUN, *place[COLUMNS / 8];
    REPEAT(g, COLUMNS / 8) place[g] = at + NAME(column_of)(g * 8 + c, (int)arg->R) * COLUMN;
    REPEAT(m, TILE_ROWS / 32) {
        const float *row = s->xdbl + c + (k + m * 32 < last ? k + m * 32 : last) * s->wide;
        REPEAT(g, COLUMNS / 8) copy4(place[g] + m * (32 / RUN * RUN_OF_COLUMN), row + g * 8);
    }
}

#define COPIED (ALONE_THREADS / PARTS_OF_ROW) /* rows of u, z or y that the thread block copies at a time */

/* Begins to copy the next tile, and moves s to the one after it. */
DEVICE void NAME(copy_tile)(const NAME(time_args_t) * arg, NAME(rest_t) * s, NAME(tile_t) * to)
{
    int last = (s->n < TILE_ROWS ? s->n : TILE_ROWS) - 1, part = (int)threadIdx.x % PARTS_OF_ROW * PART,
        k = (int)threadIdx.x / PARTS_OF_ROW, at = k / RUN * RUN_OF_ROWS + k % RUN * GROUP + part;
    if (s->n <= 0) return;
    NAME(copy_columns)(arg, s, to);
    REPEAT(m, TILE_ROWS / COPIED) {
        int row = (k + m * COPIED < last ? k + m * COPIED : last) * s->ld,
            place = at + m * (COPIED / RUN * RUN_OF_ROWS);
        copy16(to->u[0] + place, s->u + row);
        if (arg->second) copy16(to->y[0] + place, s->y + row);
        if (arg->second && arg->gate) copy16(to->z[0] + place, s->z + 2 * row);
    }
    s->n -= TILE_ROWS;
    s->u += TILE_ROWS * s->ld;
    s->y += TILE_ROWS * s->ld;
    s->z += 2 * TILE_ROWS * s->ld;
    s->xdbl += TILE_ROWS * s->wide;
}

/* Copies y of the n rows of a tile to memory. y: row 0, in the first channel that this thread copies. */
DEVICE void NAME(store_tile)(const NAME(tile_t) * from, T *y, int ld, int n)
{
    int k = (int)threadIdx.x / PARTS_OF_ROW, part = (int)threadIdx.x % PARTS_OF_ROW * PART;
    const T *at = from->y[0] + k / RUN * RUN_OF_ROWS + k % RUN * GROUP + part;
    REPEAT(m, TILE_ROWS / COPIED)
        if (k + m * COPIED < n) store16(y + (k + m * COPIED) * ld, at + m * (COPIED / RUN * RUN_OF_ROWS));
}

typedef struct {
    float dt[RUN], x[RUN], y[RUN], total; // x: dt u; total: sum of dt
} NAME(run_t);                            /* a thread's rows of a tile */

/* Computes dt, dt u and skip u of a thread's rows; from the n-th row on dt is 0, so that the state stays as it is. in:
 * dt_in of these rows, column 0; w: dt_proj of the channel. */
DEVICE void NAME(open_run)(NAME(run_t) * r, const float *in, const T *u, const float *w, float bias, float skip, int n)
{
    float v[RUN], by[STATES];
    load_states(w, by);
    REPEAT(t, RUN) r->dt[t] = bias;
    REPEAT(i, STATES) {
        load_floats(in + i * COLUMN, v, RUN);
        REPEAT(t, RUN) r->dt[t] = fma32(v[t], by[i], r->dt[t]);
    }
    REPEAT(t, RUN) r->dt[t] = softplus(r->dt[t]);
    if (n < RUN)
        REPEAT(t, RUN) r->dt[t] = t < n ? r->dt[t] : 0;
    r->total = 0;
    REPEAT(t, RUN) {
        float at = get(u[t * GROUP]);
        r->x[t] = r->dt[t] * at;
        r->y[t] = skip * at;
        r->total += r->dt[t];
    }
}

/* Returns the state s after the rows of the threads before this one. On entry s is the state after this thread's rows,
 * from state 0, and decay the factor by which a state decays over them; first: the state before the tile. *after is set
 * to the state after this thread's rows. */
DEVICE float NAME(carry_state)(float s, float decay, float first, int time, float *after)
{
    if (time == 0) s = fma32(decay, first, s);
    REPEAT(i, 4) {
        float from = shuffle_up(s, 1 << i, TIME), by = shuffle_up(decay, 1 << i, TIME);
        if (time >= 1 << i) {
            s = fma32(decay, from, s);
            decay = decay * by;
        }
    }
    *after = s;
    s = shuffle_up(s, 1, TIME);
    return time == 0 ? first : s;
}

#define PAIR 2 /* states; their chains of dependent operations overlap */

/* Scans a thread's rows in PAIR states, from the n-th on, and adds their contributions to y. B, C: of these rows, in
 * the n-th state. a: of the channel; carry: the state before the tile, which becomes the state after it. */
DEVICE void NAME(scan_states_of_run)(NAME(run_t) * r, const float *B, const float *C, const float *a, float *carry,
                                     int time)
{
    float decay[PAIR][RUN], in[PAIR][RUN], s[PAIR], after[PAIR], v[RUN];
    REPEAT(j, PAIR) {
        load_floats(B + j * COLUMN, in[j], RUN);
        s[j] = 0;
        REPEAT(t, RUN) {
            decay[j][t] = exp2_fast(r->dt[t] * a[j]);
            in[j][t] = in[j][t] * r->x[t];
            s[j] = fma32(decay[j][t], s[j], in[j][t]);
        }
    }
    REPEAT(j, PAIR) s[j] = NAME(carry_state)(s[j], exp2_fast(r->total * a[j]), carry[j], time, &after[j]);
    REPEAT(j, PAIR) {
        if (time == TIME - 1) carry[j] = after[j];
        load_floats(C + j * COLUMN, v, RUN);
        REPEAT(t, RUN) {
            s[j] = fma32(decay[j][t], s[j], in[j][t]);
            r->y[t] = fma32(s[j], v[t], r->y[t]);
        }
    }
}

/* Scans the n rows of a tile that are this thread's or after them. */
DEVICE void NAME(scan_tile)(const NAME(time_args_t) * arg, NAME(time_shared_t) * s, NAME(tile_t) * tile, int time,
                            int c, float bias, float skip, int n)
{
    const float *in = &tile->xdbl[0][time * RUN_OF_COLUMN], *B = in + STATES * COLUMN, *C = B + STATES * COLUMN;
    const T *z = &tile->z[time][c];
    T *y = &tile->y[time][c];
    NAME(run_t) r;
    NAME(open_run)(&r, in, &tile->u[time][c], s->dt[c], bias, skip, n);
    ROLLED
    for (int k = 0; k < STATES; k += PAIR)
        NAME(scan_states_of_run)(&r, B + k * COLUMN, C + k * COLUMN, &s->a[c][k], &s->carry[c][k], time);
    if (arg->second)
        REPEAT(t, RUN) r.y[t] = get(y[t * GROUP]) + r.y[t];
    if (arg->second && arg->gate)
        REPEAT(t, RUN) r.y[t] = r.y[t] * silu(get(z[t * GROUP]));
    REPEAT(t, RUN) y[t * GROUP] = put(r.y[t]);
}

/* Loads the weights of the thread block's channels and, in the second launch, their states. state: of the first channel.
 * Each thread has one state of one channel. */
DEVICE void NAME(open_group)(const NAME(time_args_t) * arg, NAME(time_shared_t) * s, const mamba_dir_t *p, int64_t c,
                             const float *state)
{
    int k = (int)threadIdx.x % GROUP, n = (int)threadIdx.x / GROUP;
    s->a[k][n] = p->a[n * arg->Ep + c + k];
    s->dt[k][n] = p->dt[n * arg->Ep + c + k];
    s->carry[k][n] = arg->second ? state[n * arg->Ep + k] : 0;
}

/* blockIdx.x counts the two directions of each sequence, blockIdx.y groups of channels. */
KERNEL_ALONE(NAME(scan_time), NAME(time_args_t))
{
    SHARED(NAME(time_shared_t), s);
    int64_t q = blockIdx.x / 2, c0 = (int64_t)blockIdx.y * GROUP, first = 0;
    int dir = (int)(blockIdx.x % 2), time = (int)threadIdx.x % TIME, c = (int)threadIdx.x / TIME, odd = 0;
    int part = (int)threadIdx.x % PARTS_OF_ROW * PART, n = NAME(rows_of_launch)(&arg, q, dir, &first);
    const mamba_dir_t *p = &arg.dir[dir];
    int ld = p->reverse ? -(int)arg.Ep : (int)arg.Ep, wide = p->reverse ? -(int)arg.Sp : (int)arg.Sp;
    int64_t at = first * arg.Ep + c0 + part;
    float *state = arg.state + (arg.first[q] + dir) * (int64_t)STATES * arg.Ep + c0;
    float bias = p->dt_bias[c0 + c], skip = p->skip[c0 + c];
    T *y = arg.y + at;
    NAME(rest_t)
    rest = { arg.u[dir] + at, arg.z + 2 * at - c0 - part, y, arg.xdbl[dir] + first * arg.Sp, ld, wide, n };
    if (arg.first[q] < 0 || n == 0) return;
    NAME(open_group)(&arg, s, p, c0, state);
    NAME(copy_tile)(&arg, &rest, &s->tile[0]);
    for (int i = 0; i < n; i += TILE_ROWS, odd = !odd) {
        copies_wait();
        __syncthreads();
        if (i > 0) NAME(store_tile)(&s->tile[!odd], y - TILE_ROWS * ld, ld, TILE_ROWS);
        __syncthreads();
        NAME(copy_tile)(&arg, &rest, &s->tile[!odd]);
        NAME(scan_tile)(&arg, s, &s->tile[odd], time, c, bias, skip, n - i - time * RUN);
        y += TILE_ROWS * ld;
    }
    __syncthreads();
    NAME(store_tile)(&s->tile[!odd], y - TILE_ROWS * ld, ld, n - (n - 1) / TILE_ROWS * TILE_ROWS);
    if (!arg.second)
        state[(int)threadIdx.x / GROUP * arg.Ep + threadIdx.x % GROUP] =
            s->carry[threadIdx.x % GROUP][threadIdx.x / GROUP];
}

/* ---- operation ---- */

/* Scans both directions of the long sequences. */
static int NAME(scan_long)(cad_lane_t *l, int layer, cad_span_t s, bool gate)
{
    const mamba_weights_t *w = &l->weights->mamba;
    gpu_t *g = gpu_of(l);
    NAME(time_args_t)
    arg = { .z = (const T *)g->mamba.xz + w->Ep,
            .y = (T *)g->mamba.y,
            .off = g->off,
            .want = s.want ? g->want : NULL,
            .first = g->first,
            .state = g->mamba.state,
            .Ep = w->Ep,
            .Sp = w->Sp,
            .R = w->R,
            .gate = gate };
    for (int k = 0; k < 2; k++) {
        arg.u[k] = (const T *)g->mamba.u[k];
        arg.xdbl[k] = g->mamba.xdbl[k];
        arg.dir[k] = w->dir[2 * layer + k];
    }
    cudaFuncSetAttribute((const void *)NAME(scan_time), cudaFuncAttributeMaxDynamicSharedMemorySize, TIME_SHARED);
    for (int k = 0; k < 2; k++) {
        arg.second = k > 0;
        LAUNCH(NAME(scan_time), 2 * (int64_t)s.nseq, w->Ep / GROUP, ALONE_THREADS, sizeof(NAME(time_shared_t)),
               g->stream, arg);
    }
    return launched(l, "scan");
}

/* Scans the rows of s. If the other direction follows, its call scans the long sequences in both. */
static int NAME(op_scan)(cad_lane_t *l, int layer, int dir, cad_span_t s, unsigned how)
{
    gpu_t *g = gpu_of(l);
    bool both = g->mamba.waits;
    int rc = 0;
    if (replaying(l)) return 0;
    g->mamba.waits = l->weights->mamba.timed && g->slots > 0 && how & CAD_SCAN_MORE && !cad_mamba_lane(l)->state[dir];
    if (!both && !g->mamba.waits) return NAME(scan_pieces)(l, layer, dir, s, how, false);
    if (g->pieces > g->slots) rc = NAME(scan_pieces)(l, layer, dir, s, how, true);
    return rc || !both ? rc : NAME(scan_long)(l, layer, s, how & CAD_SCAN_GATE);
}

#undef TIME
#undef RUN
#undef TILE_ROWS
#undef COLUMNS
#undef RUN_OF_COLUMN
#undef COLUMN
#undef PART
#undef PARTS_OF_ROW
#undef RUN_OF_ROWS
#undef COPIED
#undef PAIR
