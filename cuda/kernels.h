/* kernels.h - kernels that do not depend on T, and what the others share.
 * SPDX-License-Identifier: MIT */

#define WARP 32
#define AHEAD 4 /* rows fetched before they are used; STEP is a multiple */
#define RUN 16  /* rows that a thread convolves */
#define LOG2E 1.44269504f

/* ---- functions ---- */

DEVICE float silu(float x) { return divide_fast(x, 1.0f + exp2_fast((x > -87.0f ? x : -87.0f) * -LOG2E)); }

DEVICE float sigmoid(float x) { return divide_fast(1.0f, 1.0f + exp2_fast((x > -87.0f ? x : -87.0f) * -LOG2E)); }

/* log(1 + e^x) = max(x,0) + log1p(e^-|x|). With s = y/(2+y), log1p(y) = 2 atanh(s):
 * the series fitted on s^2 in [0, 1/9], relative error 2e-7 also where dt is small. */
DEVICE float softplus(float x)
{
    float y = exp2_fast((x > 0 ? -x : x) * LOG2E), s = divide_fast(y, 2.0f + y), q = s * s, p;
    p = fma32(q, 0.14005994f, 0.14000902f);
    p = fma32(q, p, 0.20010764f);
    p = fma32(q, p, 0.33333208f);
    p = fma32(q, p, 1.0f);
    return fma32(s + s, p, x > 0 ? x : 0);
}

DEVICE void load_states(const float *p, float *to)
{
    UNROLL
    for (int n = 0; n < STATES; n += 4) load4(p + n, to + n);
}

/* Over a warp, in one fixed order; every lane has the sum. */
DEVICE float warp_sum(float v)
{
    for (int k = WARP / 2; k; k /= 2) v = v + shuffle_xor(v, k);
    return v;
}

/* Two lanes, k apart, share 2k values: each keeps the sums of its half. */
DEVICE void halve(float *v, int lane, const int k)
{
    bool up = (lane & k) != 0;
    REPEAT(i, k) {
        float away = up ? v[i] : v[i + k], stay = up ? v[i + k] : v[i];
        v[i] = stay + shuffle_xor(away, k);
    }
}

/* Of STATES values of each lane, the sum over a warp of the (lane % STATES)-th, in one
 * fixed order. v is lost. */
DEVICE float sum_states(float *v, int lane)
{
    halve(v, lane, 8);
    halve(v, lane, 4);
    halve(v, lane, 2);
    halve(v, lane, 1);
    return v[0] + shuffle_xor(v[0], STATES);
}

/* The sequence that holds row r. */
DEVICE int find_seq(const int64_t *off, int nseq, int64_t r)
{
    int lo = 0, hi = nseq - 1;
    while (lo < hi) {
        int mid = (lo + hi + 1) / 2;
        if (off[mid] <= r) lo = mid;
        else hi = mid - 1;
    }
    return lo;
}

/* ---- norms: one warp a row ---- */

typedef struct {
    const float *weight, *bias;
    int64_t D;
    float eps;
    bool rms;
} norm_t; // (Dp)
typedef struct {
    float mean, scale;
} moments_t;

static norm_t norm_of(const cad_weights_t *w, const float *weight, const float *bias)
{
    norm_t n = { weight, bias, w->D, w->eps, w->rms };
    return n;
}

DEVICE moments_t moments(const norm_t *t, const float *x, int lane)
{
    moments_t m;
    float sum = 0, var = 0;
    for (int64_t d = lane; d < t->D && !t->rms; d += WARP) sum += x[d];
    m.mean = t->rms ? 0 : warp_sum(sum) / (float)t->D;
    for (int64_t d = lane; d < t->D; d += WARP) var = fma32(x[d] - m.mean, x[d] - m.mean, var);
    m.scale = 1.0f / sqrtf(warp_sum(var) / (float)t->D + t->eps);
    return m;
}

DEVICE float normed(const norm_t *t, moments_t m, const float *x, int64_t d)
{
    return fma32((x[d] - m.mean) * m.scale, t->weight[d], t->bias[d]);
}

/* ---- embed ---- */

typedef struct {
    float *res;
    const float *table;
    const uint8_t *tok;
    int64_t n, Dp;
} embed_job_t; /* n = rows x Dp */

KERNEL(embed, embed_job_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < j.n) j.res[i] = j.table[j.tok[i / j.Dp] * j.Dp + i % j.Dp];
}

/* ---- residual of models whose directions are not merged ---- */

typedef struct {
    float *res;
    const float *base, *h, *o;
    int64_t n;
    bool times;
} combine_job_t; // from the span's first value on

/* res = base + (h + o), or base + h * o. */
KERNEL(combine, combine_job_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < j.n) j.res[i] = j.base[i] + (j.times ? j.h[i] * j.o[i] : j.h[i] + j.o[i]);
}

/* A bias under out_proj's product. n = rows x width. */
typedef struct {
    float *to;
    const float *base, *bias;
    int64_t n, width;
} spread_out_job_t; // base: or NULL

KERNEL(spread_out, spread_out_job_t)
{
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < j.n) j.to[i] = j.base ? j.base[i] + j.bias[i % j.width] : j.bias[i % j.width];
}

/* ---- head: one block a row ---- */

typedef struct {
    const float *res, *head[2];
    const int64_t *pick;
    float *out;
    norm_t norm;
    int64_t Dp, V;
} head_job_t;

KERNEL(head, head_job_t)
{
    int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP;
    int64_t at = j.pick[blockIdx.x];
    const float *x = j.res + at / 2 * j.Dp, *table = at % 2 ? j.head[1] : j.head[0];
    moments_t m = moments(&j.norm, x, lane);
    for (int64_t v = warp; v < j.V; v += THREADS / WARP) {
        float acc = 0;
        for (int64_t d = lane; d < j.norm.D; d += WARP) acc = fma32(normed(&j.norm, m, x, d), table[v * j.Dp + d], acc);
        acc = warp_sum(acc);
        if (lane == 0) j.out[blockIdx.x * j.V + v] = acc;
    }
}

/* ---- pooling: normalised rows, sums of slabs, sums of those ---- */

typedef struct {
    const float *res;
    float *out;
    norm_t norm;
    int64_t beg, end, Dp;
} final_job_t; // out: (end-beg,D)

KERNEL(final_norm, final_job_t)
{
    int64_t r = j.beg + (int64_t)blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP;
    int lane = (int)threadIdx.x % WARP;
    const float *x = j.res + r * j.Dp;
    moments_t m;
    if (r >= j.end) return;
    m = moments(&j.norm, x, lane);
    for (int64_t d = lane; d < j.norm.D; d += WARP) j.out[(r - j.beg) * j.norm.D + d] = normed(&j.norm, m, x, d);
}

typedef struct {
    const float *rows;
    double *sum;
    const slab_t *slab;
    int64_t beg, D;
} slab_job_t; // rows: from row `beg` on

KERNEL(slabs, slab_job_t)
{
    int64_t d = (int64_t)blockIdx.y * THREADS + threadIdx.x;
    slab_t s = j.slab[blockIdx.x];
    double acc = 0;
    if (d >= j.D) return;
    for (int64_t r = s.beg; r < s.end; r++) {
        float v = j.rows[(r - j.beg) * j.D + d];
        if (!s.max) acc += (double)v;
        else if (r == s.beg || (double)v > acc) acc = (double)v;
    }
    j.sum[blockIdx.x * j.D + d] = acc;
}

typedef struct {
    const double *sum;
    const slab_t *slab;
    float *out;
    int64_t n, D;
} join_job_t; // n slabs; out: (ranges,D)

/* A range's slabs follow each other; the thread of its first joins them. */
KERNEL(join, join_job_t)
{
    int64_t d = (int64_t)blockIdx.y * THREADS + threadIdx.x, i = blockIdx.x, beg = j.slab[i].beg, end;
    int32_t range = j.slab[i].range;
    double acc;
    if (d >= j.D || (i && j.slab[i - 1].range == range)) return;
    acc = j.sum[i * j.D + d];
    end = j.slab[i].end;
    for (i = i + 1; i < j.n && j.slab[i].range == range; i++) {
        double v = j.sum[i * j.D + d];
        acc = !j.slab[i].max ? acc + v : v > acc ? v : acc;
        end = j.slab[i].end;
    }
    j.out[range * j.D + d] = (float)(j.slab[blockIdx.x].max ? acc : acc / (double)(end - beg));
}

/* ---- carry of long sequences: thread = channel and state ---- */

#define BATCH 8 /* pieces read before the first is used */

typedef struct {
    float *state;
    const float *total, *a;
    const int64_t *off;
    const int32_t *first;
    int64_t Ep;
    bool back;
} carry_job_t;

/* Ends of pieces become their beginnings; back: the last piece is the first. blockIdx.y: channels x STATES. */
KERNEL(carry, carry_job_t)
{
    int64_t seq = blockIdx.x, groups = (j.Ep + THREADS - 1) / THREADS, n = blockIdx.y / groups,
            c = blockIdx.y % groups * THREADS + threadIdx.x;
    int64_t len = j.off[seq + 1] - j.off[seq], pieces = (len + CHUNK - 1) / CHUNK, slot = j.first[seq];
    float s = 0, a, end[BATCH], total[BATCH];
    if (slot < 0 || c >= j.Ep) return;
    a = j.a[n * j.Ep + c];
    for (int64_t k = 0; k < pieces; k += BATCH) {
        REPEAT(i, BATCH) {
            int64_t next = k + i < pieces ? k + i : k, at = slot + (j.back ? pieces - 1 - next : next);
            end[i] = j.state[(at * STATES + n) * j.Ep + c];
            total[i] = j.total[at * j.Ep + c];
        }
        REPEAT(i, BATCH) {
            if (k + i >= pieces) break;
            j.state[((slot + (j.back ? pieces - 1 - k - i : k + i)) * STATES + n) * j.Ep + c] = s;
            s = fma32(exp2_fast(a * total[i]), s, end[i]);
        }
    }
}
