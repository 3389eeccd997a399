/* scan.h - the selective scan: thread = channel, STATES states in registers.
 *
 * A block takes THREADS channels of one piece: a whole sequence, or CHUNK rows of one
 * longer than WHOLE, counted in its own direction of time. dt_in, B and C of STEP rows
 * are staged in shared memory; u, z and y are fetched AHEAD rows before they are used.
 * Pieces of long sequences take three passes: `ends` leaves the state that each makes
 * from zero and the sum of its dt; `carry` turns ends into beginnings, for a state
 * decays by exp2(a * sum of dt) over a piece; `scan` runs all pieces.
 * What is done to a row depends on its sequence alone. `keep` is `scan` that leaves the
 * state before every AHEAD rows to the backward pass (scan_back.h).
 * Part of kernels.h, compiled once for each T. SPDX-License-Identifier: MIT
 */

typedef struct {
    const T *u, *z;                       // (rows,Ep), (rows,2Ep)
    const float *xdbl;                    // (rows,Sp)
    T *y;                                 // (rows,Ep)
    const float *dt, *dt_bias, *a, *skip; // a: (STATES,Ep) from state `from` on
    const int64_t *off;
    const cad_rows_t *want; // or NULL
    const item_t *item;
    float *state, *total;
    float *keep; // (slots,Np,Ep), or NULL
    int64_t Ep, Sp, N, Np, R, from;
    bool reverse, add, gate, skips;
} NAME(scan_job_t);

typedef struct {
    int64_t beg, n;
    bool whole;
} NAME(piece_t); /* rows in memory order; all that the piece has */

/* The rows of a piece that are needed. */
DEVICE NAME(piece_t) NAME(piece_of)(const NAME(scan_job_t) * j, const item_t *t)
{
    int64_t lo = j->off[t->seq], hi = j->off[t->seq + 1], size = hi - lo > WHOLE ? CHUNK : hi - lo, beg, end, full;
    NAME(piece_t) p;
    if (j->reverse) {
        end = hi - t->k * size;
        beg = end - size > lo ? end - size : lo;
    } else {
        beg = lo + t->k * size;
        end = beg + size < hi ? beg + size : hi;
    }
    full = end - beg;
    if (j->want && j->want[t->seq].beg >= j->want[t->seq].end) end = beg;
    else if (j->want && j->reverse) beg = beg > j->want[t->seq].beg ? beg : j->want[t->seq].beg;
    else if (j->want) end = end < j->want[t->seq].end ? end : j->want[t->seq].end;
    p.beg = beg;
    p.n = end > beg ? end - beg : 0;
    p.whole = p.n == full;
    return p;
}

/* The i-th row in time. */
DEVICE int64_t NAME(row_at)(const NAME(scan_job_t) * j, const NAME(piece_t) * p, int64_t i)
{
    return j->reverse ? p->beg + p->n - 1 - i : p->beg + i;
}

/* dt_in, B and C of n rows from the i-th on; where R is small dt_in is padded to STATES. */
DEVICE void NAME(stage)(const NAME(scan_job_t) * j, const NAME(piece_t) * p, int64_t i, int n, float *to,
                        const bool small)
{
    int R = (int)j->R, pad = small ? STATES : PADDED(R), width = pad + 2 * STATES, left = (int)(j->N - j->from);
    for (int k = (int)threadIdx.x; k < n * width; k += THREADS) {
        int row = k / width, c = k % width, s = (c - pad) % STATES;
        const float *from = j->xdbl + NAME(row_at)(j, p, i + row) * j->Sp;
        float v = 0;
        if (c < pad) v = c < R ? from[c] : 0;
        else if (s < left) v = from[R + (c < pad + STATES ? 0 : j->N) + j->from + s];
        to[k] = v;
    }
}

typedef struct {
    float u[AHEAD], z[AHEAD], y[AHEAD];
} NAME(ahead_t);

DEVICE void NAME(fetch)(const NAME(scan_job_t) * j, const NAME(piece_t) * p, int64_t i, int64_t c, NAME(ahead_t) * f)
{
    REPEAT(k, AHEAD) {
        int64_t r = i + k < p->n ? NAME(row_at)(j, p, i + k) : p->beg;
        f->u[k] = get(j->u[r * j->Ep + c]);
        f->z[k] = j->gate ? get(j->z[r * 2 * j->Ep + c]) : 0;
        f->y[k] = j->add ? get(j->y[r * j->Ep + c]) : 0;
    }
}

/* A channel's part of the model and of the state. */
typedef struct {
    float a[STATES], s[STATES], dt[STATES], dt_bias, skip, total;
} NAME(channel_t);

/* dt_in x dt_proj^T + bias, before softplus; small: R is at most STATES. */
DEVICE float NAME(delta)(const NAME(scan_job_t) * j, const NAME(channel_t) * ch, const float *row, int64_t c,
                         const bool small)
{
    float acc = ch->dt_bias, in[STATES];
    if (small) {
        load_states(row, in);
        REPEAT(r, STATES) acc = fma32(in[r], ch->dt[r], acc);
    } else {
        for (int64_t r = 0; r < j->R; r++) acc = fma32(row[r], j->dt[r * j->Ep + c], acc);
    }
    return acc;
}

/* s = exp2(dt a) s + dt u B; returns s.C */
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

/* AHEAD rows, of which n are there. */
DEVICE void NAME(advance_rows)(const NAME(scan_job_t) * j, const NAME(piece_t) * p, NAME(channel_t) * ch,
                               const NAME(ahead_t) * f, const float *rows, int64_t i, int n, int64_t c,
                               const bool small, const bool ends)
{
    const int pad = small ? STATES : PADDED((int)j->R);
    REPEAT(k, AHEAD) {
        const float *row = rows + k * (pad + 2 * STATES);
        float dt, y;
        if (k >= n) break;
        dt = softplus(NAME(delta)(j, ch, row, c, small));
        y = NAME(advance)(ch, row + pad, dt, f->u[k], ends);
        ch->total += dt;
        if (ends) continue;
        y = fma32(ch->skip, f->u[k], y);
        if (j->add) y = f->y[k] + y;
        if (j->gate) y = y * silu(f->z[k]);
        j->y[NAME(row_at)(j, p, i + k) * j->Ep + c] = put(y);
    }
}

DEVICE void NAME(open_channel)(const NAME(scan_job_t) * j, NAME(channel_t) * ch, int64_t c, int32_t slot,
                               const bool small, const bool ends)
{
    REPEAT(n, STATES) {
        ch->a[n] = j->a[n * j->Ep + c];
        ch->s[n] = ends || slot < 0 ? 0 : j->state[(slot * (int64_t)STATES + n) * j->Ep + c];
        ch->dt[n] = small ? j->dt[n * j->Ep + c] : 0;
    }
    ch->dt_bias = j->dt_bias[c];
    ch->skip = j->skips ? j->skip[c] : 0;
    ch->total = 0;
}

DEVICE void NAME(close_channel)(const NAME(scan_job_t) * j, const NAME(channel_t) * ch, int64_t c, int32_t slot)
{
    REPEAT(n, STATES) j->state[(slot * (int64_t)STATES + n) * j->Ep + c] = ch->s[n];
    j->total[slot * j->Ep + c] = ch->total;
}

/* Where the states lie that a tape holds from before the i-th row of a piece, a multiple of AHEAD. */
DEVICE float *NAME(kept)(const NAME(scan_job_t) * j, const item_t *t, int64_t i, int64_t c)
{
    int64_t slot = j->off[t->seq] / AHEAD + t->seq + (t->k * (int64_t)CHUNK + i) / AHEAD;
    return j->keep + (slot * j->Np + j->from) * j->Ep + c;
}

DEVICE void NAME(keep_states)(const NAME(scan_job_t) * j, const item_t *t, int64_t i, int64_t c, const float *s)
{
    float *to = NAME(kept)(j, t, i, c);
    REPEAT(n, STATES) to[n * j->Ep] = s[n];
}

/* All rows of a piece. Threads beyond the last channel only help to stage. */
DEVICE void NAME(scan_piece)(const NAME(scan_job_t) * j, const bool small, const bool ends, const bool keeps)
{
    SHARED(float, rows); // (STEP,width)
    const int width = (small ? STATES : PADDED((int)j->R)) + 2 * STATES;
    item_t t = j->item[blockIdx.x];
    int64_t own = (int64_t)blockIdx.y * THREADS + threadIdx.x, c = own < j->Ep ? own : 0;
    bool mine = own < j->Ep;
    NAME(piece_t) p = NAME(piece_of)(j, &t);
    NAME(channel_t) ch;
    NAME(ahead_t) now, next;
    if (ends && (t.slot < 0 || !p.whole)) return;
    if (p.n == 0) return;
    NAME(open_channel)(j, &ch, c, t.slot, small, ends);
    NAME(fetch)(j, &p, 0, c, &next);
    for (int64_t i = 0; i < p.n; i += STEP) {
        int n = (int)(p.n - i < STEP ? p.n - i : STEP);
        __syncthreads();
        NAME(stage)(j, &p, i, n, rows, small);
        __syncthreads();
        for (int k = 0; k < n && mine; k += AHEAD) {
            now = next;
            NAME(fetch)(j, &p, i + k + AHEAD, c, &next);
            if (keeps) NAME(keep_states)(j, &t, i + k, c, ch.s);
            NAME(advance_rows)(j, &p, &ch, &now, rows + k * width, i + k, n - k, c, small, ends);
        }
    }
    if (ends && mine) NAME(close_channel)(j, &ch, c, t.slot);
}

KERNEL(NAME(scan_small), NAME(scan_job_t)) { NAME(scan_piece)(&j, true, false, false); }
KERNEL(NAME(scan_large), NAME(scan_job_t)) { NAME(scan_piece)(&j, false, false, false); }
KERNEL(NAME(ends_small), NAME(scan_job_t)) { NAME(scan_piece)(&j, true, true, false); }
KERNEL(NAME(ends_large), NAME(scan_job_t)) { NAME(scan_piece)(&j, false, true, false); }
KERNEL(NAME(keep_small), NAME(scan_job_t)) { NAME(scan_piece)(&j, true, false, true); }
KERNEL(NAME(keep_large), NAME(scan_job_t)) { NAME(scan_piece)(&j, false, false, true); }
