/* conv_tmpl.h - the causal, depthwise convolution of packed sequences, followed by SiLU: u = silu(conv(x)). A thread
 * computes one channel. Compiled once for each T, the type of x and u. K is the number of taps, `width` the number of
 * channels.
 *
 * With up to ROLL taps, which is every published model, a thread keeps the last rows of x in registers and reads each
 * row once; fewer taps than ROLL are preceded by taps of weight 0. The backward pass is then a single kernel. More taps
 * take the kernels named any, which read K rows of x for each row.
 *
 * Macro parameters: T; NAME(x): x with T's suffix; get(v): T to float; put(v): float to T. Gradients are float32.
 * SPDX-License-Identifier: MIT
 */
#include "graph.h"
#include "sums.h"

#define ROLL 4           /* maximum number of taps whose rows stay in registers */
#define RUN 16           /* number of rows that one thread convolves; in a large batch LONG_RUN */
#define LONG_RUN 64      /* so that less of the time goes into finding the first row */
#define LARGE_ROWS 32768 /* number of rows of a large batch */
#define TAPS 4           /* number of taps whose gradients are summed in one loop over the rows */

/* ---- forward pass ---- */

typedef struct {
    const T *x;            // (rows,width), where rows are ld values apart
    T *u;                  // (rows,width)
    const float *w, *bias; // (K,width), (width)
    const int64_t *off;
    int64_t beg, end, ld, width, K;
    int nseq, run; /* run: number of rows of a thread */
    bool reverse;
} NAME(conv_args_t);

/* Loads the weights of channel c, the earliest row's first, with 0 before them if there are fewer than ROLL. */
DEVICE void NAME(load_taps)(const NAME(conv_args_t) * arg, int64_t c, float *w)
{
    int skip = ROLL - (int)arg->K;
    REPEAT(k, ROLL) w[k] = k < skip ? 0 : arg->w[(k - skip) * arg->width + c];
}

/* Computes u of n <= PREFETCH rows. from, to: the first of them. x: the ROLL - 1 rows before it; replaced by the last
 * ROLL - 1 rows if n is PREFETCH. */
DEVICE void NAME(roll)(const T *from, T *to, int ld, int width, const float *w, float bias, float *x, int n)
{
    float row[ROLL - 1 + PREFETCH];
    REPEAT(k, ROLL - 1) row[k] = x[k];
    REPEAT(k, PREFETCH) row[ROLL - 1 + k] = k < n ? get(from[k * ld]) : 0;
    REPEAT(k, PREFETCH) {
        float acc = bias;
        if (k >= n) break;
        REPEAT(m, ROLL) acc = fma32(w[m], row[k + m], acc);
        to[k * width] = put(silu(acc));
    }
    REPEAT(k, ROLL - 1) x[k] = row[PREFETCH + k];
}

/* Computes u of the rows of a stretch (simd.h). */
DEVICE void NAME(conv_stretch)(const NAME(conv_args_t) * arg, stretch_t s, int64_t c, const float *w, float bias)
{
    int ld = s.step * (int)arg->ld, width = s.step * (int)arg->width, i = 0;
    const T *from = arg->x + s.row * arg->ld + c;
    T *to = arg->u + s.row * arg->width + c;
    float x[ROLL - 1];
    REPEAT(k, ROLL - 1) x[k] = ROLL - 1 - k <= s.before ? get(from[(k - ROLL + 1) * ld]) : 0;
    for (; i + PREFETCH <= s.n; i += PREFETCH) {
        NAME(roll)(from, to, ld, width, w, bias, x, PREFETCH);
        from += PREFETCH * ld;
        to += PREFETCH * width;
    }
    if (i < s.n) NAME(roll)(from, to, ld, width, w, bias, x, s.n - i);
}

KERNEL(NAME(conv), NAME(conv_args_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, beg = arg.beg + (int64_t)blockIdx.x * arg.run,
            end = beg + arg.run < arg.end ? beg + arg.run : arg.end;
    float w[ROLL], bias;
    if (c >= arg.width) return;
    NAME(load_taps)(&arg, c, w);
    bias = arg.bias[c];
    for (int q = find_seq(arg.off, arg.nseq, beg); q < arg.nseq && arg.off[q] < end; q++)
        NAME(conv_stretch)(&arg, stretch_of(arg.off + q, beg, end, arg.reverse), c, w, bias);
}

/* ---- forward pass, any number of taps ---- */

/* Returns the convolution at row r, before SiLU. `first` is the first tap that reads a row of the same sequence. */
DEVICE float NAME(taps)(const NAME(conv_args_t) * arg, int64_t r, int64_t first, int64_t c)
{
    int64_t step = arg->reverse ? -1 : 1;
    float acc = arg->bias[c];
    for (int64_t k = first; k < arg->K; k++)
        acc = fma32(arg->w[k * arg->width + c], get(arg->x[(r - step * (arg->K - 1 - k)) * arg->ld + c]), acc);
    return acc;
}

DEVICE int64_t NAME(first_tap)(const NAME(conv_args_t) * arg, int64_t r, int q)
{
    int64_t past = arg->reverse ? arg->off[q + 1] - 1 - r : r - arg->off[q];
    return past < arg->K - 1 ? arg->K - 1 - past : 0;
}

KERNEL(NAME(conv_any), NAME(conv_args_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, r = arg.beg + (int64_t)blockIdx.x * arg.run,
            end = r + arg.run < arg.end ? r + arg.run : arg.end;
    int q = find_seq(arg.off, arg.nseq, r);
    if (c >= arg.width) return;
    for (; r < end; r++) {
        int64_t first;
        while (r >= arg.off[q + 1]) q++;
        first = NAME(first_tap)(&arg, r, q);
        arg.u[r * arg.width + c] = put(silu(NAME(taps)(&arg, r, first, c)));
    }
}

/* Computes u for the rows [args->beg, args->end). */
static int NAME(conv_rows)(cad_lane_t *l, const NAME(conv_args_t) * args)
{
    NAME(conv_args_t) arg = *args;
    int64_t rows = arg.end - arg.beg, groups = ceil_div(arg.width, THREADS);
    arg.run = rows < LARGE_ROWS ? RUN : LONG_RUN;
    if (arg.K <= ROLL) LAUNCH(NAME(conv), ceil_div(rows, arg.run), groups, THREADS, 0, gpu_of(l)->stream, arg);
    else LAUNCH(NAME(conv_any), ceil_div(rows, arg.run), groups, THREADS, 0, gpu_of(l)->stream, arg);
    return launched(l, "conv");
}

/* ---- backward pass ---- */

typedef struct {
    NAME(conv_args_t) f; /* arguments of the forward pass, for all rows */
    const float *du;     // (rows,width) gradient of u
    float *u, *dx;       // (rows,width); (rows,width), where rows are ld values apart
    float *part;         // (slabs,ROLL+1,width) partial sums of the gradients: those of the taps, then of the bias
    bool add;            /* adds to dx, which holds the gradient from the other direction */
} NAME(roll_back_args_t);

typedef struct {
    float w[ROLL], bias, dw[ROLL], dbias;
} NAME(roll_t); /* weights of a channel and their gradients */

/* Computes u of the row whose last ROLL rows of x are x, and returns the gradient of the convolution's result. */
DEVICE float NAME(slope)(const NAME(roll_t) * t, const float *x, float du, float *u)
{
    float sum = t->bias, on;
    REPEAT(k, ROLL) sum = fma32(t->w[k], x[k], sum);
    on = sigmoid(sum);
    *u = sum * on;
    return du * on * fma32(sum, 1.0f - on, 1.0f);
}

typedef struct {
    const T *x;
    const float *du;
    float *u, *dx;
} NAME(roll_at_t); /* addresses of one row in one channel */

/* Runs the backward pass of n <= AHEAD rows of a stretch, from the one at `at` backwards in time. xs: on entry its last
 * ROLL - 1 rows of x, beginning with its own; dc: the gradients of the ROLL - 1 rows after it in time, the nearest
 * first. Both are moved by AHEAD rows. before: number of rows of the sequence before the one at `at`. */
DEVICE void NAME(roll_rows_back)(NAME(roll_t) * t, const NAME(roll_at_t) * at, int ld, int width, float *xs, float *dc,
                                 int n, int before, bool add)
{
    float x[AHEAD + ROLL - 1], d[AHEAD + ROLL - 1], du[AHEAD],
        old[AHEAD]; /* x: the latest last; d[AHEAD - 1 - k]: row k */
    REPEAT(k, ROLL - 1) x[AHEAD + ROLL - 2 - k] = xs[k];
    REPEAT(k, ROLL - 1) d[AHEAD + k] = dc[k];
    REPEAT(k, AHEAD) {
        x[AHEAD - 1 - k] = k + ROLL - 1 <= before ? get(at->x[-(k + ROLL - 1) * ld]) : 0;
        du[k] = k < n ? at->du[-k * width] : 0;
        old[k] = add && k < n ? at->dx[-k * ld] : 0;
    }
    REPEAT(k, AHEAD) {
        const float *last = x + AHEAD - 1 - k;
        float sum = 0, u, own;
        if (k >= n) break;
        own = NAME(slope)(t, last, du[k], &u);
        d[AHEAD - 1 - k] = own;
        at->u[-k * width] = u;
        REPEAT(m, ROLL) {
            sum = fma32(t->w[ROLL - 1 - m], d[AHEAD - 1 - k + m], sum);
            t->dw[m] = fma32(last[m], own, t->dw[m]);
        }
        t->dbias += own;
        at->dx[-k * ld] = add ? old[k] + sum : sum;
    }
    REPEAT(k, ROLL - 1) xs[k] = x[ROLL - 2 - k];
    REPEAT(k, ROLL - 1) dc[k] = d[k];
}

/* Runs the backward pass of a stretch (simd.h), from its last row to its first. The rows after it in time belong to
 * other threads, so their gradients are computed here too. */
DEVICE void NAME(roll_stretch_back)(const NAME(roll_back_args_t) * arg, NAME(roll_t) * t, stretch_t s, int64_t c)
{
    int ld = s.step * (int)arg->f.ld, width = s.step * (int)arg->f.width, before = s.before + s.n - 1;
    int64_t row = s.row + (int64_t)s.step * (s.n - 1);
    NAME(roll_at_t)
    at = { arg->f.x + row * arg->f.ld + c, arg->du + row * arg->f.width + c, arg->u + row * arg->f.width + c,
           arg->dx + row * arg->f.ld + c };
    float x[2 * ROLL - 1], xs[ROLL - 1], dc[ROLL - 1], u;
    REPEAT(k, 2 * ROLL - 1)
        x[k] = k - ROLL + 1 >= -before && k - ROLL + 1 <= s.after ? get(at.x[(k - ROLL + 1) * ld]) : 0;
    REPEAT(k, ROLL - 1) dc[k] = k < s.after ? NAME(slope)(t, x + k + 1, at.du[(k + 1) * width], &u) : 0;
    REPEAT(k, ROLL - 1) xs[k] = x[ROLL - 1 - k];
    for (int i = 0; i < s.n; i += AHEAD) {
        if (s.n - i >= AHEAD && before - i >= AHEAD + ROLL - 2)
            NAME(roll_rows_back)(t, &at, ld, width, xs, dc, AHEAD, AHEAD + ROLL - 2, arg->add);
        else NAME(roll_rows_back)(t, &at, ld, width, xs, dc, s.n - i, before - i, arg->add);
        at.x -= AHEAD * ld;
        at.du -= AHEAD * width;
        at.u -= AHEAD * width;
        at.dx -= AHEAD * ld;
    }
}

/* Computes u, dx and, over SLAB rows, the gradients of the taps and of the bias. */
KERNEL(NAME(roll_back), NAME(roll_back_args_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, beg = (int64_t)blockIdx.x * SLAB,
            end = beg + SLAB < arg.f.end ? beg + SLAB : arg.f.end;
    float *to = arg.part + (int64_t)blockIdx.x * (ROLL + 1) * arg.f.width + c;
    NAME(roll_t) t;
    if (c >= arg.f.width) return;
    NAME(load_taps)(&arg.f, c, t.w);
    REPEAT(k, ROLL) t.dw[k] = 0;
    t.bias = arg.f.bias[c];
    t.dbias = 0;
    for (int q = find_seq(arg.f.off, arg.f.nseq, beg); q < arg.f.nseq && arg.f.off[q] < end; q++)
        NAME(roll_stretch_back)(&arg, &t, stretch_of(arg.f.off + q, beg, end, arg.f.reverse), c);
    REPEAT(k, ROLL) to[k * arg.f.width] = t.dw[k];
    to[ROLL * arg.f.width] = t.dbias;
}

/* ---- backward pass, any number of taps ---- */

typedef struct {
    NAME(conv_args_t) f; /* arguments of the forward pass */
    float *du, *u;       // (rows,width)
} NAME(silu_back_args_t);

/* Replaces du by dc, the gradient of the convolution's result before SiLU, and recomputes u. */
KERNEL(NAME(silu_back), NAME(silu_back_args_t))
{
    const NAME(conv_args_t) *f = &arg.f;
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, r = f->beg + (int64_t)blockIdx.x * RUN,
            end = r + RUN < f->end ? r + RUN : f->end;
    int q = find_seq(f->off, f->nseq, r);
    if (c >= f->width) return;
    for (; r < end; r++) {
        int64_t at = r * f->width + c;
        float sum, on;
        while (r >= f->off[q + 1]) q++;
        sum = NAME(taps)(f, r, NAME(first_tap)(f, r, q), c);
        on = sigmoid(sum);
        arg.u[at] = sum * on;
        arg.du[at] = arg.du[at] * on * fma32(sum, 1.0f - on, 1.0f);
    }
}

typedef struct {
    const T *x;      // (rows,width), where rows are ld values apart
    const float *dc; // (rows,width)
    float *dx;       // (rows,width), where rows are ld values apart: gradient of x; see roll_back_args_t
    const float *w;  // (K,width)
    float *part;     // (slabs,K+1,width) partial sums of the gradients: K rows for the taps, one for the bias
    const int64_t *off;
    int64_t rows, ld, width, K;
    int nseq;
    bool reverse, add;
} NAME(conv_back_args_t);

/* Computes dx. Row r of x was read by the convolution at row r and at the K-1 rows after
 * row r in the direction of the scan. */
KERNEL(NAME(conv_back), NAME(conv_back_args_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, r = (int64_t)blockIdx.x * RUN,
            end = r + RUN < arg.rows ? r + RUN : arg.rows, step = arg.reverse ? -1 : 1;
    int q = find_seq(arg.off, arg.nseq, r);
    if (c >= arg.width) return;
    for (; r < end; r++) {
        float acc = 0;
        while (r >= arg.off[q + 1]) q++;
        for (int64_t k = 0; k < arg.K; k++) {
            int64_t at = r + step * k;
            if (at >= arg.off[q] && at < arg.off[q + 1])
                acc = fma32(arg.w[(arg.K - 1 - k) * arg.width + c], arg.dc[at * arg.width + c], acc);
        }
        arg.dx[r * arg.ld + c] = arg.add ? arg.dx[r * arg.ld + c] + acc : acc;
    }
}

/* Sets acc (TAPS+1) to the gradients of the taps from `first` onwards and of the bias, summed over rows [beg, end). */
DEVICE void NAME(sum_taps)(const NAME(conv_back_args_t) * arg, int64_t beg, int64_t end, int64_t first, int64_t c,
                           float *acc)
{
    int64_t step = arg->reverse ? -1 : 1;
    int q = find_seq(arg->off, arg->nseq, beg);
    UNROLL
    for (int k = 0; k <= TAPS; k++) acc[k] = 0;
    for (int64_t r = beg; r < end; r++) {
        float dc = arg->dc[r * arg->width + c];
        while (r >= arg->off[q + 1]) q++;
        REPEAT(k, TAPS) {
            int64_t at = r - step * (arg->K - 1 - first - k);
            if (first + k < arg->K && at >= arg->off[q] && at < arg->off[q + 1])
                acc[k] = fma32(get(arg->x[at * arg->ld + c]), dc, acc[k]);
        }
        acc[TAPS] += dc;
    }
}

KERNEL(NAME(conv_sums), NAME(conv_back_args_t))
{
    int64_t c = (int64_t)blockIdx.y * THREADS + threadIdx.x, beg = (int64_t)blockIdx.x * SLAB,
            end = beg + SLAB < arg.rows ? beg + SLAB : arg.rows;
    float acc[TAPS + 1], *to = arg.part + (int64_t)blockIdx.x * (arg.K + 1) * arg.width + c;
    if (c >= arg.width) return;
    for (int64_t first = 0; first < arg.K; first += TAPS) {
        NAME(sum_taps)(&arg, beg, end, first, c, acc);
        REPEAT(k, TAPS)
            if (first + k < arg.K) to[(first + k) * arg.width] = acc[k];
    }
    to[arg.K * arg.width] = acc[TAPS];
}

/* Runs the kernels for more than ROLL taps. */
static int NAME(any_back)(cad_grad_lane_t *l, const NAME(conv_args_t) * f, float *du, float *u, float *dx, bool add)
{
    gpu_t *g = gpu_of(&l->f);
    int64_t groups = ceil_div(f->width, THREADS), runs = ceil_div(f->end, RUN);
    NAME(silu_back_args_t) slope = { .f = *f, .du = du, .u = u };
    NAME(conv_back_args_t)
    arg = { .x = f->x,
            .dc = du,
            .dx = dx,
            .w = f->w,
            .part = l->grads->parts,
            .off = f->off,
            .rows = f->end,
            .ld = f->ld,
            .width = f->width,
            .K = f->K,
            .nseq = f->nseq,
            .reverse = f->reverse,
            .add = add };
    LAUNCH(NAME(silu_back), runs, groups, THREADS, 0, g->stream, slope);
    LAUNCH(NAME(conv_back), runs, groups, THREADS, 0, g->stream, arg);
    LAUNCH(NAME(conv_sums), ceil_div(f->end, SLAB), groups, THREADS, 0, g->stream, arg);
    return launched(&l->f, "conv, backwards");
}

/* Runs the backward pass of all rows of f: computes u and dx, or adds to dx, and adds to w (K,width) and bias (width)
 * the gradients of the weights. May overwrite du, the gradient of u. */
static int NAME(conv_gradients)(cad_grad_lane_t *l, const NAME(conv_args_t) * f, float *du, float *u, float *dx,
                                bool add, float *w, float *bias)
{
    NAME(roll_back_args_t) arg = { .f = *f, .du = du, .u = u, .dx = dx, .part = l->grads->parts, .add = add };
    int64_t width = f->width, parts = ceil_div(f->end, SLAB), taps = cad_max(f->K, ROLL), first = taps - f->K;
    int rc;
    arg.f.beg = 0;
    if (f->K <= ROLL) LAUNCH(NAME(roll_back), parts, ceil_div(width, THREADS), THREADS, 0, gpu_of(&l->f)->stream, arg);
    rc = f->K <= ROLL ? launched(&l->f, "conv, backwards") : NAME(any_back)(l, &arg.f, du, u, dx, add);
    if (rc == 0) rc = fold_parts(l, w, first * width, f->K * width, (taps + 1) * width, parts);
    return rc ? rc : fold_parts(l, bias, taps * width, width, (taps + 1) * width, parts);
}
