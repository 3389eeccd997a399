/* mamba_carry.h - sums the states of a warp's threads, and carries the scan state from piece to piece of a long
 * sequence, which mamba_scan_tmpl.h cuts into pieces. Ep is the padded number of channels; a slot holds the state of
 * one piece. SPDX-License-Identifier: MIT
 */
#ifndef CAD_CUDA_MAMBA_CARRY_H
#define CAD_CUDA_MAMBA_CARRY_H

#include "graph.h"
#include "simd.h"
#include "sums.h"

/* ---- the states of a thread ---- */

DEVICE void load_floats(const float *p, float *to, const int n)
{
    UNROLL
    for (int i = 0; i < n; i += 4) load4(p + i, to + i);
}

DEVICE void load_states(const float *p, float *to) { load_floats(p, to, STATES); }

/* Adds the arrays v (2k) of two threads of a warp whose indexes differ by k. The thread with the lower index stores the
 * first k sums in its v, the other thread the last k sums. */
DEVICE void exchange(float *v, int in_warp, const int k)
{
    bool up = (in_warp & k) != 0;
    REPEAT(i, k) {
        float away = up ? v[i] : v[i + k], stay = up ? v[i + k] : v[i];
        v[i] = stay + shuffle_xor(away, k);
    }
}

/* Each thread of a warp has STATES values v. Returns the sum over the warp of the values with index in_warp % STATES,
 * added in a fixed order. Overwrites v. */
DEVICE float sum_states(float *v, int in_warp)
{
    exchange(v, in_warp, 8);
    exchange(v, in_warp, 4);
    exchange(v, in_warp, 2);
    exchange(v, in_warp, 1);
    return v[0] + shuffle_xor(v[0], STATES);
}

/* ---- the carry ---- */

typedef struct {
    int64_t beg, n; /* the rows [beg, beg + n) in memory */
    bool all;       /* true if these are all rows of the piece */
} piece_rows_t;     /* the rows of a piece whose output is needed */

typedef struct {
    float *state;         // (slots,STATES,Ep) state of each piece
    const float *total;   // (slots,Ep) sum of dt over each piece
    const float *a;       // (STATES,Ep) -exp(A_log) log2 e
    const int64_t *off;   // (nseq+1)
    const int32_t *first; // (nseq) the slot of each sequence's first piece, or -1
    int64_t Ep;
    /* backward pass: `state` holds gradients of states, and the carry runs from the last piece to the first */
    bool back;
} carry_args_t;

/* On entry, arg.state holds the state after each piece, computed as if the state before the piece were 0. The kernel
 * replaces it by the true state before the piece. A thread computes one channel and one state; blockIdx.y counts groups
 * of THREADS channels within each state. */
KERNEL(carry, carry_args_t)
{
    int64_t seq = blockIdx.x, groups = (arg.Ep + THREADS - 1) / THREADS, n = blockIdx.y / groups,
            c = blockIdx.y % groups * THREADS + threadIdx.x;
    int64_t len = arg.off[seq + 1] - arg.off[seq], pieces = (len + PIECE_ROWS - 1) / PIECE_ROWS, slot = arg.first[seq];
    float s = 0, a, end[PREFETCH], total[PREFETCH];
    if (slot < 0 || c >= arg.Ep) return;
    a = arg.a[n * arg.Ep + c];
    for (int64_t k = 0; k < pieces; k += PREFETCH) {
        REPEAT(i, PREFETCH) {
            int64_t next = k + i < pieces ? k + i : k, at = slot + (arg.back ? pieces - 1 - next : next);
            end[i] = arg.state[(at * STATES + n) * arg.Ep + c];
            total[i] = arg.total[at * arg.Ep + c];
        }
        REPEAT(i, PREFETCH) {
            if (k + i >= pieces) break;
            arg.state[((slot + (arg.back ? pieces - 1 - k - i : k + i)) * STATES + n) * arg.Ep + c] = s;
            s = fma32(exp2_fast(a * total[i]), s, end[i]);
        }
    }
}

/* Runs the kernel `carry` for STATES states. a (STATES,Ep): -exp(A_log) log2 e of these states. */
static void carry_pieces(cad_lane_t *l, const float *a, int nseq, bool back)
{
    gpu_t *g = gpu_of(l);
    int64_t Ep = l->weights->mamba.Ep;
    carry_args_t arg = { .state = g->mamba.state,
                         .total = g->mamba.total,
                         .a = a,
                         .off = g->off,
                         .first = g->first,
                         .Ep = Ep,
                         .back = back };
    LAUNCH(carry, nseq, ceil_div(Ep, THREADS) * STATES, THREADS, 0, g->stream, arg);
}

/* Returns the bytes of shared memory for dt_in (R values), B and C of STEP rows. */
static size_t staged_bytes(int64_t R)
{
    return STEP * (size_t)((R <= STATES ? STATES : PADDED(R)) + 2 * STATES) * sizeof(float);
}

#endif
