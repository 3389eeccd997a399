/* share_tmpl.h - divides rows or channels among the threads of a team, and finds the sequences of a span (a range of
 * rows of packed sequences).
 *
 * Macro parameters: CAD_ISA_* of simd.h. SPDX-License-Identifier: MIT
 */
#ifndef CAD_SHARE_TMPL_H
#define CAD_SHARE_TMPL_H

#include "engine/backend.h"
#include "product_tmpl.h"

typedef struct {
    cad_team_t *team; /* NULL: the calling thread only */
    cad_span_t span;
    int64_t size; /* number of rows, or channels, of one task; set by share_rows() or share_channels() */
} share_t;

/* Divides the span's rows into tasks and calls fn(arg, task, worker) for each. With a team, a task has at most TILE
 * rows; without a team, one task has all rows. */
static void share_rows(share_t *s, void *arg, cad_task_f *fn)
{
    int64_t rows = s->span.end - s->span.beg, threads = cad_team_threads(s->team);
    s->size = threads > 1 ? cad_min(cad_round_up((rows + threads - 1) / threads, MR), TILE) : rows;
    cad_team_run(s->team, (rows + s->size - 1) / s->size, fn, arg);
}

/* Divides the channels into tasks of `size` channels and calls fn(arg, task, worker) for each. */
static void share_channels(share_t *s, void *arg, cad_task_f *fn, int64_t channels, int64_t size)
{
    s->size = size;
    cad_team_run(s->team, (channels + size - 1) / size, fn, arg);
}

/* Returns the rows of one task of share_rows(). */
static cad_span_t rows_of_task(const share_t *s, int64_t task)
{
    cad_span_t t = s->span;
    t.beg = s->span.beg + task * s->size;
    t.end = cad_min(t.beg + s->size, s->span.end);
    return t;
}

/* Returns the index of the sequence that contains row r. */
static int find_seq(const cad_span_t *s, int64_t r)
{
    int lo = 0, hi = s->nseq - 1;
    while (lo < hi) {
        int mid = (lo + hi + 1) / 2;
        if (s->off[mid] <= r) lo = mid;
        else hi = mid - 1;
    }
    return lo;
}

/* Says where a layer's operation `out` stores its result. how: a cad_out_t. */
static dest_t out_dest(const cad_lane_t *l, const float *bias, unsigned how)
{
    return (dest_t) { how == CAD_OUT_KEEP ? l->h : l->res,
                      l->base,
                      l->h,
                      bias,
                      l->Dp,
                      how == CAD_OUT_KEEP   ? STORE
                      : how == CAD_OUT_ADD  ? ADD
                      : how == CAD_OUT_PLUS ? PLUS
                                            : TIMES };
}

typedef struct { /* the rows [beg, end) of one sequence that belong to a span */
    int64_t beg, end;
    /* whether these rows contain the sequence's first row, and its last row, in the direction of the scan */
    bool first, last;
} piece_t;

/* Returns the rows of sequence q that belong to span s. reverse: the scan runs from the last row to the first. */
static piece_t piece_of(const cad_span_t *s, int q, bool reverse)
{
    int64_t beg = cad_max(s->beg, s->off[q]), end = cad_min(s->end, s->off[q + 1]);
    bool head = beg == s->off[q], tail = end == s->off[q + 1];
    return (piece_t) { beg, end, reverse ? tail : head, reverse ? head : tail };
}

#endif
